"""Handles of hooks, under the names that PyTorch has for them."""

from rushlight.autograd.node import Handle as RemovableHandle

__all__ = ["RemovableHandle"]
