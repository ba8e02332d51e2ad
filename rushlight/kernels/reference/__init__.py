"""The kernels in plain NumPy: complete and short, the oracle of the native ones and the fallback."""
