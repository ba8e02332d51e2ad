"""The class of jagged tensors, where programs look for it."""

from rushlight.nested.jagged import NestedTensor

__all__ = ["NestedTensor"]
