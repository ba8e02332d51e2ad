"""What the ops that select and write at positions share: checks of indices, and their in-place forms."""

import numpy as np

from rushlight.autograd.node import Node, connect
from rushlight.autograd.views import after, before, check_writable
from rushlight.ops.common import (
    Tensor,
    check_tensor,
    record,
    recording,
    wrap,
    write_out,
)
from rushlight.ops.registry import op
from rushlight.tensor import check_dim

# -- helpers ----------------------------------------------------------------------------------------


class PlacedNode(Node):
    """A node that saved an index or a mask first, and refuses it where it was changed since."""

    @property
    def index(self) -> Tensor:
        return self.unpack()[0]

    mask = index


def mutator(name: str, doc: str, example: str):
    """Define a function and its in-place form from what is to be written.

    The decorated function checks the arguments and returns what to do: (write, inputs, node type, fields of the
    node). `write(array)` changes an array in place; the first input is the tensor that is changed. The field
    "saved" holds the tensors that the node saves.
    """

    def decorate(prepare):
        def function(input, *args, out=None, **kwargs):
            check_tensor(name, input)
            write, inputs, node_type, fields = prepare(input, *args, **kwargs)
            array = inputs[0]._array.copy(order="K")
            write(array)
            saved = fields.pop("saved", ())
            if recording(*inputs):
                result = record(array, node_type, inputs, *saved, **fields)
            else:
                result = wrap(array)
            if input._format is not None:
                result._format = input._format
            return result if out is None else write_out(result, out, exact=True)

        def function_(self, *args, **kwargs):
            check_writable(self)
            write, inputs, node_type, fields = prepare(before(self), *args, **kwargs)
            node, saved = None, fields.pop("saved", ())
            if recording(*inputs):
                node = connect(node_type(), inputs)
                node.save(*saved)
                node.__dict__.update(fields)
            write(self._array)
            return after(self, node)

        function.__module__ = function_.__module__ = prepare.__module__
        function.__name__ = function.__qualname__ = name
        function_.__name__ = function_.__qualname__ = name + "_"
        function.__doc__ = f"""{doc}

    >>> import rushlight as torch
    >>> {example[0]}
    {example[1]}
    """
        function_.__doc__ = f"In-place form of `{name}`: writes the result into this tensor and returns it."
        op(name=name, inplace=function_)(function)
        return function

    return decorate


def check_bounds(index: np.ndarray, size: int, message) -> None:
    """Refuse positions outside 0 … size - 1."""
    if index.size:
        unsigned = index.view(np.uint64 if index.itemsize == 8 else np.uint32)
        if int(unsigned.max()) >= size:
            bad = index[(index < 0) | (index >= size)].flat[0]
            raise message(int(bad))


def index_positions(op_name: str, index, kinds=(np.int64, np.int32)) -> np.ndarray:
    """The array of an index tensor, of a type that may index."""
    if not isinstance(index, Tensor):
        raise TypeError(
            f"{op_name}(): argument 'index' (position 2) must be Tensor, not {type(index).__name__}"
        )
    if index._array.dtype not in kinds and (index._array.size or kinds != (np.int64, np.int32)):
        raise RuntimeError(f"{op_name}(): Expected dtype int32/int64 for index, got {index.dtype}")
    return index._array


def index_line(op_name: str, input: Tensor, dim: int, index) -> tuple[int, np.ndarray]:
    """The dimension and the positions, of a vector, that an op works along."""
    array = index_positions(op_name, index)
    if array.ndim > 1:
        raise IndexError(f"{op_name}(): Index is supposed to be a vector, got shape {list(array.shape)}")
    shape = input._array.shape
    dim = check_dim(dim, len(shape))
    size = shape[dim] if shape else 1
    array = array.reshape(-1)

    def error(bad):
        return IndexError(
            f"index out of range in self: {op_name} got index {bad} for dimension {dim} of size {size}"
        )

    check_bounds(array, size, error)
    return dim, array


def same_dtype(op_name: str, input: Tensor, other: Tensor, what: str) -> None:
    if input._array.dtype != other._array.dtype:
        raise RuntimeError(
            f"{op_name}(): Expected self.dtype to be equal to {what}.dtype, got {input.dtype} and "
            f"{other.dtype}"
        )


def at_positions(array: np.ndarray, dim: int, index: np.ndarray) -> tuple[np.ndarray, tuple]:
    """The array, with one dimension at least, and where positions along one dimension are in it."""
    if array.ndim == 0:
        return array.reshape(1), (index,)
    return array, (*(slice(None),) * dim, index)


def fill_number(op_name: str, value):
    """A number, or a tensor without dimensions, as (array to write, tensor that may need a gradient)."""
    if isinstance(value, Tensor):
        if value._array.ndim:
            raise RuntimeError(
                f"{op_name} only supports a 0-dimensional value tensor, but got tensor with "
                f"{value._array.ndim} "
                "dimension(s)."
            )
        return value._array, (value,)
    if not isinstance(value, (bool, int, float, complex, np.number, np.bool_)):
        raise TypeError(f"{op_name}: expected a number or a Tensor for value, got {type(value).__name__}")
    return value, ()
