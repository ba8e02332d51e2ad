"""Noting the shapes of a graph's results."""

from typing import Any, NamedTuple

import rushlight as torch
from rushlight.fx.interpreter import Interpreter
from rushlight.fx.node import Node, map_aggregate

__all__ = ["ShapeProp", "TensorMetadata"]


class TensorMetadata(NamedTuple):
    """What is known of a tensor besides its values."""

    shape: torch.Size
    dtype: torch.dtype
    requires_grad: bool
    stride: tuple[int, ...]
    memory_format: torch.memory_format | None
    is_quantized: bool
    qparams: dict[str, Any]


def _described(value):
    if not isinstance(value, torch.Tensor):
        return value
    format = torch.contiguous_format if value.is_contiguous() else None
    return TensorMetadata(value.shape, value.dtype, value.requires_grad, value.stride(), format, False, {})


class ShapeProp(Interpreter):
    """Runs a graph and notes each result's shape and type in its node's `meta["tensor_meta"]`.

    >>> import rushlight as torch
    >>> from rushlight.fx.passes.shape_prop import ShapeProp
    >>> traced = torch.fx.symbolic_trace(torch.nn.Linear(3, 2))
    >>> out = ShapeProp(traced).propagate(torch.ones(5, 3))
    >>> traced.graph.output_node().meta["tensor_meta"].shape
    torch.Size([5, 2])
    """

    def run_node(self, n: Node):
        """The result of one node, which is noted."""
        result = super().run_node(n)
        found = map_aggregate(result, _described)
        if isinstance(result, torch.Tensor | tuple | list | dict):
            n.meta["tensor_meta"] = found
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args):
        """The graph's result."""
        return super().run(*args)
