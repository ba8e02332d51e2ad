"""Elements chosen by truth values: masked_fill, masked_select, masked_scatter."""

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import connect
from rushlight.autograd.views import after, before, check_writable
from rushlight.dtypes import SCALAR_NAMES
from rushlight.ops.common import (
    MODE,
    Tensor,
    broadcast_error,
    check_tensor,
    record,
    recording,
    sum_to,
    wrap,
    write_out,
)
from rushlight.ops.positions import PlacedNode, fill_number, mutator
from rushlight.ops.registry import op
from rushlight.ops.shape import embed, reshape

# -- masks ------------------------------------------------------------------------------------------


def _mask(op_name: str, mask) -> np.ndarray:
    if not isinstance(mask, Tensor):
        raise TypeError(
            f"{op_name}(): argument 'mask' (position 1) must be Tensor, not {type(mask).__name__}"
        )
    if mask._array.dtype != np.bool_:
        raise RuntimeError(
            f"{op_name} only supports boolean masks, but got mask with dtype {mask.dtype}. Use mask.bool()."
        )
    return mask._array


class MaskedFillBackward0(PlacedNode):
    def backward(self, grad):
        to_self = self.edges[0]
        kept = None if to_self is None else sum_to(masked_fill(grad, self.mask, 0), self.shape)
        if len(self.edges) == 1:
            return kept
        zero = grad.new_zeros(())
        return kept, None if self.edges[1] is None else grad.where(self.mask, zero).sum()


class MaskedFillBackward1(MaskedFillBackward0):
    pass


def _fill_masked(array: np.ndarray, mask: np.ndarray, number) -> None:
    with np.errstate(all="ignore"):
        if isinstance(number, np.ndarray):
            number = number.astype(array.dtype)
        np.copyto(array, number, where=mask, casting="unsafe")


def _fits(number, kind: np.dtype) -> bool:
    """Whether a type can hold a number; below zero, unsigned types wrap around."""
    if np.iscomplexobj(number):
        return kind.kind == "c"
    if kind.kind not in "iu":
        return True
    limits = np.iinfo(kind)
    return (limits.min or -limits.max) <= number <= limits.max


def _masked_fill_args(input, mask, value):
    chosen = _mask("masked_fill", mask)
    if isinstance(value, Tensor) and value._array.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value._array.ndim} dimension(s)."
        )
    number, tensors = fill_number("masked_fill", value)
    if not _fits(number, input._array.dtype):
        raise RuntimeError(f"value cannot be converted to type {input.dtype} without overflow")
    return chosen, number, tensors


def _masked_fill_in_place(self, mask, value):
    """In-place form of `masked_fill`."""
    check_writable(self)
    chosen, number, tensors = _masked_fill_args(self, mask, value)
    node = None
    if recording(self, *tensors):
        node = connect(MaskedFillBackward1() if tensors else MaskedFillBackward0(), (before(self), *tensors))
        node.save(mask)
        node.shape = self._array.shape
    try:
        _fill_masked(self._array, chosen, number)
    except ValueError:
        raise _masked_error(self._array.shape, chosen.shape) from None
    return after(self, node)


def _masked_error(shape: tuple, mask: tuple) -> RuntimeError:
    try:
        both = np.broadcast_shapes(shape, mask)
    except ValueError:
        return broadcast_error("masked_fill_", shape, mask)
    return RuntimeError(
        f"output with shape {list(shape)} doesn't match the broadcast shape {list(both)} (masked_fill_)"
    )


@op(inplace=_masked_fill_in_place)
def masked_fill(input, mask, value, *, out=None):
    """A tensor with one value where the mask is True.

    Args:
        input: a tensor.
        mask: truth values, whose shape broadcasts with the input's.
        value: a number, or a tensor that holds one.
        out: where to put the result.
    Raises:
        RuntimeError: the mask is not of truth values, or shapes don't broadcast.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).masked_fill(torch.tensor([True, False]), 0)
    tensor([0, 2])
    """
    chosen, number, tensors = _masked_fill_args(check_tensor("masked_fill", input), mask, value)
    array = input._array
    plain = chosen.shape == array.shape and type(number) is float and array.dtype.kind == "f"
    if plain and chosen.flags.c_contiguous and array.flags.c_contiguous:
        found = K.where(chosen, number, array)
        chosen = None
    elif chosen.shape == array.shape or chosen.ndim <= array.ndim:
        found = array.copy(order="K")
    else:
        found = None
    try:
        if found is not None and chosen is not None:
            _fill_masked(found, chosen, number)
    except ValueError:
        found = None
    if found is None:
        try:
            found = np.broadcast_to(array, np.broadcast_shapes(array.shape, chosen.shape)).copy()
        except ValueError:
            raise broadcast_error("masked_fill", array.shape, chosen.shape) from None
        _fill_masked(found, chosen, number)
    if recording(input, *tensors):
        node_type = MaskedFillBackward1 if tensors else MaskedFillBackward0
        return write_out(record(found, node_type, (input, *tensors), mask, shape=array.shape), out)
    return write_out(wrap(found), out)


class MaskedSelectBackward0(PlacedNode):
    def backward(self, grad):
        zeros = grad.new_zeros(self.full)
        return sum_to(masked_scatter(zeros, self.mask, grad), self.shape)


@op()
def masked_select(input, mask, *, out=None):
    """The elements where the mask is True, as a vector.

    Args:
        input: a tensor.
        mask: truth values, whose shape broadcasts with the input's.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).masked_select(torch.tensor([True, False]))
    tensor([1])
    """
    array, chosen = check_tensor("masked_select", input)._array, mask._array
    if chosen.dtype != np.bool_:
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, got {mask.dtype}")
    try:
        shape = np.broadcast_shapes(array.shape, chosen.shape)
    except ValueError:
        raise broadcast_error("masked_select", array.shape, chosen.shape) from None
    found = np.broadcast_to(array, shape)[np.broadcast_to(chosen, shape)]
    if input._rg and MODE.enabled:
        fields = {"shape": array.shape, "full": shape}
        return write_out(record(found, MaskedSelectBackward0, (input,), mask, **fields), out, exact=True)
    return write_out(wrap(found), out, exact=True)


class MaskedScatterBackward0(PlacedNode):
    def backward(self, grad):
        to_self, to_source = self.edges
        kept = given = None
        if to_self is not None:
            kept = masked_fill(grad, self.mask, 0)
        if to_source is not None:
            taken = masked_select(grad, self.mask)
            count, size = taken._array.size, int(np.prod(self.shape))
            given = reshape(embed(taken, (size,), lambda a: a[:count]), self.shape)
        return kept, given


@mutator(
    "masked_scatter",
    """A tensor with values of another, in order, where the mask is True.

    Args:
        input: a tensor.
        mask: truth values, whose shape broadcasts with the input's.
        source: at least as many values as the mask has True.
    Raises:
        RuntimeError: types don't fit, or there are too few values.""",
    ("torch.zeros(3).masked_scatter(torch.tensor([True, False, True]), torch.tensor([1.0, 2.0]))",
     "tensor([1., 0., 2.])"),
)  # fmt: skip
def masked_scatter(input, mask, source):
    chosen = mask._array
    if chosen.dtype != np.bool_:
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype}"
        )
    if input._array.dtype != source._array.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got "
            f"{SCALAR_NAMES[input.dtype]} and {SCALAR_NAMES[source.dtype]}"
        )
    full = np.broadcast_to(chosen, np.broadcast_shapes(chosen.shape, input._array.shape))
    if full.shape != input._array.shape:  # `write` refuses it in place
        input = input.expand(full.shape)
    count = int(np.count_nonzero(full))
    if count > source._array.size:
        raise RuntimeError(
            f"Number of elements of source < number of ones in mask: got {source._array.size} and {count}"
        )

    def write(array):
        if array.shape != full.shape:
            raise broadcast_error("masked_scatter", array.shape, full.shape)
        array[full] = source._array.reshape(-1)[:count]

    fields = {"saved": (mask,), "shape": source._array.shape}
    return write, (input, source), MaskedScatterBackward0, fields
