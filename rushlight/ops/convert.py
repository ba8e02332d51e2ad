"""Conversion of type, device and memory layout, and copies."""

import numpy as np

from rushlight import dtypes, phantom
from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.devices import (
    channels_last,
    channels_last_3d,
    check_device,
    contiguous_format,
    device,
    is_meta,
    memory_format,
    preserve_format,
)
from rushlight.dtypes import dtype
from rushlight.kernels.reference.layout import c_order
from rushlight.ops.common import MODE, Tensor, check_tensor, keep_order, overloaded, record, wrap
from rushlight.ops.registry import op
from rushlight.phantom import NO_DATA
from rushlight.sparse_tensor import SparseError


class ToCopyBackward0(Node):
    def backward(self, grad):
        return cast(grad, self.kind)


class CloneBackward0(Node):
    def backward(self, grad):
        return grad


def cast(x: Tensor, kind: dtype) -> Tensor:
    """The tensor in another type; itself where it has that type."""
    array = x._array
    if array.dtype == kind.numpy:
        return x
    if array.dtype.kind == "c" and not kind.is_complex:
        array = array.real
    elif array.dtype.kind in "fV" and kind.category == 1:
        array = _truncated(array, kind)
    array = array.astype(kind.numpy) if array.dtype.kind in "iub" else K.cast(array, kind.numpy)
    if x._rg and MODE.enabled and kind.category >= 2:
        result = record(array, ToCopyBackward0, (x,), kind=x.dtype)
    else:
        result = wrap(array)
    return keep_order(result, x) if array.ndim > 2 else result


def _truncated(array: np.ndarray, kind: dtype) -> np.ndarray:
    """Floats on their way to integers: through int64, so that what is out of range wraps around as in PyTorch."""
    if kind.itemsize == 8:
        return array.astype(np.float32) if array.dtype.kind == "V" else array
    with np.errstate(all="ignore"):
        return array.astype(np.int64)


@op()
def to(input, *args, **kwargs):
    """The tensor with another type, device or memory layout: `to(dtype)`, `to(device)`, `to(other)` or keywords.

    Args:
        dtype: the wanted type.
        device: the wanted device; only the CPU has tensors in this version.
        other: a tensor whose type is wanted.
        non_blocking: accepted, without effect on the CPU.
        copy: make a copy even where nothing changes.
        memory_format: the wanted order of dimensions in memory.
    Returns:
        The same tensor where nothing changes, else a new one.
    Raises:
        RuntimeError: there is no such device.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).to(torch.float64)
    tensor([1., 2.], dtype=torch.float64)
    """
    kind, wanted_format, copy, where = _parse_to(args, kwargs)
    if where is not None and is_meta(where) is not input.is_meta:
        input = _moved(input)
    result = input if kind is None else cast(input, kind)
    if wanted_format is not None and wanted_format is not preserve_format:
        result = contiguous(result, wanted_format)
    return clone(result) if copy and result is input else result


class MoveBackward0(Node):
    def backward(self, grad):
        raise NotImplementedError(NO_DATA)


def _moved(x: Tensor) -> Tensor:
    """The tensor on the device "meta".

    Raises:
        NotImplementedError: it comes from there, so that there are no values to move.
    """
    if x.is_meta:
        raise NotImplementedError(NO_DATA)
    array = phantom.like(x._strided())
    moved = record(array, MoveBackward0, (x,)) if x._rg and MODE.enabled else wrap(array)
    moved._format = x._format
    return moved


def _parse_to(args, kwargs):
    kind = kwargs.pop("dtype", None)
    where = kwargs.pop("device", None)
    wanted_format = kwargs.pop("memory_format", None)
    copy = kwargs.pop("copy", False)
    kwargs.pop("non_blocking", None)
    other = kwargs.pop("other", None)
    if kwargs:
        raise TypeError(f"to() received an invalid keyword argument {next(iter(kwargs))!r}")
    flags = 0
    for i, arg in enumerate(args):
        if isinstance(arg, dtype):
            kind = arg
        elif isinstance(arg, Tensor):
            other = arg
        elif isinstance(arg, memory_format):
            wanted_format = arg
        elif isinstance(arg, bool) and i:
            flags += 1  # non_blocking, then copy
            copy = arg if flags == 2 else copy
        elif isinstance(arg, device | str | int) and not isinstance(arg, bool):
            where = arg
        elif arg is not None:
            raise TypeError(
                f"to(): expected a dtype, a device or a Tensor, got {type(arg).__name__}; for example x.to(torch.float32)"
            )
    if other is not None:
        kind, where = other.dtype, other.device
    if not is_meta(where):
        check_device(where)
    return kind, wanted_format, copy, where


def _caster(name: str, kind: dtype):
    def method(self, memory_format=preserve_format):
        return cast(self, kind)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"The tensor with elements of type {kind}."
    setattr(Tensor, name, method)


for _name, _kind in {
    "float": dtypes.float32, "double": dtypes.float64, "half": dtypes.float16, "bfloat16": dtypes.bfloat16,
    "int": dtypes.int32, "long": dtypes.int64, "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8,
    "bool": dtypes.bool_, "cfloat": dtypes.complex64, "cdouble": dtypes.complex128,
}.items():  # fmt: skip
    _caster(_name, _kind)


@op()
def type_as(input, other):
    """The tensor with elements of the type of another.

    >>> import rushlight as torch
    >>> torch.tensor([1]).type_as(torch.tensor(0.5))
    tensor([1.])
    """
    return cast(input, check_tensor("type_as", other, "other", 2).dtype)


_LEGACY_NAMES = {f"torch.{dtypes.SCALAR_NAMES[d]}Tensor": d for d in dtypes.ALL}


def type_(self, dtype=None, non_blocking=False):
    """The old name of its type, such as "torch.FloatTensor"; or the tensor in another type.

    Args:
        dtype: a dtype, an old name, or an old tensor class; None to ask.

    >>> import rushlight as torch
    >>> torch.zeros(1).type()
    'torch.FloatTensor'
    """
    if dtype is None:
        return f"torch.{dtypes.SCALAR_NAMES[self.dtype]}Tensor"
    if isinstance(dtype, str):
        if dtype not in _LEGACY_NAMES:
            raise ValueError(f"invalid type: '{dtype}'")
        return cast(self, _LEGACY_NAMES[dtype])
    kind = getattr(dtype, "dtype", dtype)
    if not isinstance(kind, dtypes.dtype):
        raise TypeError("dtype must be a type, str, or dtype object")
    return cast(self, kind)


Tensor.type = type_


def cpu(self, memory_format=preserve_format):
    """The tensor on the CPU, where it is already."""
    return to(self, "cpu") if self.is_meta else self


def cuda(self, device=None, non_blocking=False, memory_format=preserve_format):
    """The tensor on a CUDA device, of which this version has none: raises RuntimeError."""
    check_device("cuda" if device is None else device)
    return self


Tensor.cpu, Tensor.cuda = cpu, cuda


@op()
def clone(input, *, memory_format=preserve_format):
    """A copy, through which gradients flow.

    Args:
        input: a tensor.
        memory_format: the order of dimensions in memory; the input's by default.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).clone()
    tensor([1, 2])
    """
    try:
        array = input._array
    except SparseError:
        return overloaded("clone", input)
    array = (
        array.copy(order="K")
        if memory_format is preserve_format
        else _laid_out(array, memory_format, copy=True)
    )
    result = record(array, CloneBackward0, (input,)) if input._rg and MODE.enabled else wrap(array)
    wanted = memory_format
    if memory_format is preserve_format:  # a view's layout is its base's, and the user's wish
        wanted = "fixed" if input._format is None and input._base is not None else input._format
    if wanted is not None and wanted is not contiguous_format:
        result._format = wanted
    return result


def _laid_out(array: np.ndarray, wanted, copy: bool = False) -> np.ndarray:
    if wanted in (channels_last, channels_last_3d):
        ndim = 4 if wanted is channels_last else 5
        if array.ndim != ndim:
            raise RuntimeError(
                f"required rank {ndim} tensor to use {wanted.name} format, got shape {list(array.shape)}"
            )
        last = np.moveaxis(array, 1, -1)
        return np.moveaxis(last.copy("C") if copy else c_order(last), -1, 1)
    return array.copy("C") if copy else c_order(array)


@op()
def contiguous(input, memory_format=contiguous_format):
    """The tensor with its elements in order in memory; itself where they are already.

    Args:
        input: a tensor.
        memory_format: the wanted order of dimensions; that of the indices by default.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).t().contiguous().stride()
    (2, 1)
    """
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    if memory_format is contiguous_format:
        if input._strided().flags.c_contiguous:
            return input
    elif input.is_contiguous(memory_format=memory_format):
        return input
    return clone(input, memory_format=memory_format)
