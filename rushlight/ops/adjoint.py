"""Linear functions of one tensor: the gradient is the adjoint, whose own gradient is the function again."""

from rushlight.autograd.node import Node
from rushlight.ops.common import MODE, Tensor, record, wrap


class LinearNode(Node):
    """A linear function, given as itself and its adjoint on arrays."""

    def backward(self, grad):
        return apply_linear(grad, self.adjoint, self.function, type(self))


def apply_linear(input: Tensor, function, adjoint, node_type: type[LinearNode]) -> Tensor:
    """Apply a linear function.

    Args:
        input: a tensor.
        function: the function, from array to array.
        adjoint: its adjoint (the transpose of its matrix), from array to array.
        node_type: the gradient function to record.
    """
    array = function(input._array)
    if input._rg and MODE.enabled:
        return record(array, node_type, (input,), function=function, adjoint=adjoint)
    return wrap(array)


def tuple_of(value, n: int) -> tuple:
    """A size given as one number, or as one number per dimension, as a tuple of `n` ints.

    Raises:
        ValueError: there is another number of them. TypeError: they are no integers.
    """
    try:
        sizes = tuple([v.__index__() for v in value])
    except TypeError:
        return (value.__index__(),) * n
    if len(sizes) == 1:
        return sizes * n
    if len(sizes) != n:
        raise ValueError(f"expected one number or {n} of them, got {list(sizes)}")
    return sizes
