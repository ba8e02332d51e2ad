"""Names of PyTorch's compiler that scripts set: accepted, as nothing is compiled."""

from rushlight._dynamo import config
from rushlight._dynamo.eval_frame import OptimizedModule
from rushlight.compiler import disable, is_compiling, list_backends, reset, set_stance

__all__ = [
    "OptimizedModule", "allow_in_graph", "assume_constant_result", "config", "disable", "disallow_in_graph", "graph_break",
    "is_compiling", "list_backends", "mark_dynamic", "mark_static", "maybe_mark_dynamic", "reset",
    "set_stance",
]  # fmt: skip


def allow_in_graph(fn):
    """Take a function into the compiled graph as a whole; here it is left as it is.

    Args:
        fn: a function, or a list of them.
    """
    return fn


def disallow_in_graph(fn):
    """Keep a function out of the compiled graph; here it is left as it is.

    Args:
        fn: a function, or a list of them.
    """
    return fn


def assume_constant_result(fn):
    """Take a function's result for a constant; here it is left as it is.

    Args:
        fn: a function.
    """
    return fn


def graph_break(msg: str = "") -> None:
    """End a compiled graph here; without effect."""


def mark_dynamic(t, index, *, min=None, max=None, **kwargs) -> None:
    """Say that a size of a tensor changes; without effect, as recordings are made for each shape.

    Args:
        t: the tensor.
        index: its dimension, or a list of them.
        min: the smallest size.
        max: the largest.
    """


maybe_mark_dynamic = mark_dynamic


def mark_static(t, index=None) -> None:
    """Say that a size of a tensor stays; without effect.

    Args:
        t: the tensor.
        index: its dimension, a list of them, or None for all.
    """
