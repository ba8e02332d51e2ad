"""Kernels in plain NumPy: short and complete, the oracle of the native ones and their fallback."""
