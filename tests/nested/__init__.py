"""Nested tensors beside PyTorch."""
