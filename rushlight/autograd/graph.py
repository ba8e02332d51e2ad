"""The recorded graph, for code that walks it."""

from rushlight.autograd.node import Node

__all__ = ["Node"]
