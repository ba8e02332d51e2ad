"""New tensors: zeros, ones, ranges, identity; like others or of given sizes."""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided as _np_as_strided

from rushlight import devices, dtypes, phantom
from rushlight.autograd.node import Node
from rushlight.config import fills_uninitialized_memory
from rushlight.devices import channels_last, channels_last_3d, contiguous_format, preserve_format, strided
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import empty_by
from rushlight.ops.common import Tensor, check_tensor, overloaded, record, recording, unset, wrap, write_out
from rushlight.ops.complex_parts import view_as_real
from rushlight.ops.data import (
    BFloat16Tensor,
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    as_tensor,
    asarray,
    dtype_of,
    from_dlpack,
    from_numpy,
    frombuffer,
    is_tensor,
    legacy_tensor,
    numel,
    require_grad,
    tensor,
)
from rushlight.ops.parts import broadcast_tensors, select
from rushlight.ops.registry import op
from rushlight.phantom import Phantom
from rushlight.sparse_tensor import SparseTensor

__all__ = [
    "BFloat16Tensor",
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "arange",
    "as_tensor",
    "asarray",
    "complex",
    "empty",
    "empty_like",
    "empty_strided",
    "eye",
    "from_dlpack",
    "from_numpy",
    "frombuffer",
    "full",
    "full_like",
    "is_tensor",
    "legacy_tensor",
    "linspace",
    "logspace",
    "numel",
    "ones",
    "ones_like",
    "polar",
    "range",
    "scalar_tensor",
    "tensor",
    "tril_indices",
    "triu_indices",
    "zeros",
    "zeros_like",
]


def _numpy_type(dtype, op_name: str) -> np.dtype:
    return dtypes.get_default_dtype().numpy if dtype is None else dtype_of(dtype, op_name).numpy


def _check_options(op_name: str, layout, device) -> None:
    if device is not None and not devices.is_meta(device):
        devices.check_device(device)
    if layout is not None and layout is not strided:
        raise RuntimeError(
            f"{op_name}: expected layout torch.strided, got {layout}; other layouts are not supported"
        )


def meta(shape, kind: np.dtype, requires_grad: bool) -> Tensor:
    """A tensor without memory."""
    from rushlight.meta_tensor import empty

    return empty(shape, kind, requires_grad)


def _filled(op_name: str, shape, kind: np.dtype, fill) -> np.ndarray:
    """A new array of a shape that the user gave; `fill` is np.zeros, np.ones or unset."""
    try:
        return fill(shape, kind)
    except MemoryError as error:
        raise RuntimeError(f"{op_name}: can't allocate memory: {error}") from None
    except (TypeError, ValueError, RuntimeError):
        raise _size_error(op_name, shape) from None


def _size_error(op_name: str, shape) -> Exception:
    for n in shape:
        if isinstance(n, bool) or not hasattr(n, "__index__") or getattr(n, "ndim", 0):
            return TypeError(
                f"{op_name}(): argument 'size' (position 1) must be tuple of ints, not {type(n).__name__}"
            )
        if int(n) < 0:
            return RuntimeError(f"{op_name}: Dimension size must be non-negative. Got {tuple(shape)}")
    return RuntimeError(f"{op_name}: a tensor of shape {tuple(shape)} is too large")


def _size_of(op_name: str, size: tuple, named: dict):
    """The shape from sizes one by one, as one sequence, or as the keyword `size`."""
    if named:
        if size or named.keys() - {"size", "names"} or "size" not in named:
            unknown = next(iter(named.keys() - {"size"}), "size")
            raise TypeError(f"{op_name}() got an unexpected keyword argument '{unknown}'")
        size = named["size"]
        return (size,) if isinstance(size, int) else tuple(size)
    if len(size) == 1:
        only = size[0]
        if isinstance(only, (tuple, list)):
            return tuple(only)
    elif not size:
        raise TypeError(f'{op_name}() missing 1 required positional arguments: "size"')
    return size


def _factory(name: str, fill, doc: str, example: str):
    """Define `torch.name(*size)`, `torch.name_like(input)` and `Tensor.new_name(*size)`."""

    def function(
        *size, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
        memory_format=contiguous_format, **named,
    ):  # fmt: skip
        if device is not None or layout is not None:
            if devices.is_meta(device):
                return meta(_size_of(name, size, named), _numpy_type(dtype, name), requires_grad)
            _check_options(name, layout, device)
        if dtype is None and out is not None:
            dtype = out.dtype
        array = _filled(name, _size_of(name, size, named), _numpy_type(dtype, name), fill)
        result = _formatted(array, memory_format)
        if out is not None:
            return write_out(result, out, exact=True, warn=False)
        return require_grad(result, True) if requires_grad else result

    def like(
        input, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
        memory_format=preserve_format,
    ):  # fmt: skip
        check_tensor(name + "_like", input)
        if isinstance(input, SparseTensor):
            return overloaded(name + "_like", input, dtype=dtype, layout=layout, requires_grad=requires_grad)
        if device is not None or layout is not None:
            _check_options(name + "_like", layout, device)
        kind = input._array.dtype if dtype is None else dtype_of(dtype, name + "_like").numpy
        return require_grad(_like(input, kind, fill, memory_format, device), requires_grad)

    def new(
        self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, **named
    ):  # fmt: skip
        if device is not None or layout is not None:
            _check_options("new_" + name, layout, device)
        kind = self._array.dtype if dtype is None else dtype_of(dtype, "new_" + name).numpy
        _, made = _filling(self._array, fill, device)
        result = wrap(_filled("new_" + name, _size_of("new_" + name, size, named), kind, made))
        return require_grad(result, True) if requires_grad else result

    function.__name__ = function.__qualname__ = name
    like.__name__ = like.__qualname__ = name + "_like"
    new.__name__ = new.__qualname__ = "new_" + name
    options = """
        dtype: the type of the elements.
        layout: `torch.strided`.
        device: where it lies: the CPU.
        requires_grad: whether gradients are to flow to it."""
    function.__doc__ = f"""{doc}

    Args:
        size: its dimensions, one by one or as a sequence.
        out: where to put the result.{options}
    Raises:
        RuntimeError: a dimension is negative.
{example}"""
    like.__doc__ = f"""{doc} Of the shape and type of another tensor.

    Args:
        input: the other tensor.{options}
        memory_format: the order of dimensions in memory; that of the other tensor by default.
    """
    new.__doc__ = f"""{doc} Of the type of this one.

    Args:
        size: its dimensions, one by one or as a sequence.{options}
    """
    op(method=False)(function)
    op(method=False)(like)
    setattr(Tensor, "new_" + name, new)
    return function, like


def _formatted(array: np.ndarray, memory_format) -> Tensor:
    """A tensor on a new array, with channels last in memory where that is asked for."""
    if memory_format is contiguous_format or memory_format is preserve_format:
        return wrap(array)
    rank = {channels_last: 4, channels_last_3d: 5}.get(memory_format)
    if array.ndim != rank:
        raise RuntimeError(
            f"required rank {rank} tensor to use {memory_format} format, got shape {list(array.shape)}"
        )
    last = array.reshape((array.shape[0], *array.shape[2:], array.shape[1]))  # all elements are equal
    result = wrap(np.moveaxis(last, -1, 1))
    result._format = memory_format
    return result


def _filling(array: np.ndarray, fill, device) -> tuple:
    """An array of this shape on the device, the array's own if None, and what makes others there: `fill` on the CPU."""
    if device is None and type(array) is not Phantom:
        return array, fill
    if device is None or devices.is_meta(device):
        return (array if type(array) is Phantom else phantom.like(array)), phantom.make
    return array.view(np.ndarray), fill


def _like(x: Tensor, kind: np.dtype, fill, memory_format=preserve_format, device=None) -> Tensor:
    """A new tensor of the shape of `x`, in its memory layout where the format is to be preserved."""
    array, fill = _filling(x._array, fill, device)
    if memory_format is not preserve_format or array.flags.c_contiguous:
        return _formatted(fill(array.shape, kind), memory_format)
    template = np.empty_like(array, kind, order="K", subok=False)
    if fill is not unset:
        template.fill(fill is np.ones)
    elif fills_uninitialized_memory():
        template[...] = unset((), kind)
    result = wrap(template)
    if x._format is not None or (x._base is not None and not template.flags.c_contiguous):
        result._format = x._format or "fixed"
    return result


zeros, zeros_like = _factory("zeros", np.zeros, "A tensor of zeros.", """
    >>> import rushlight as torch
    >>> torch.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """)  # fmt: skip
ones, ones_like = _factory("ones", np.ones, "A tensor of ones.", """
    >>> import rushlight as torch
    >>> torch.ones(2, dtype=torch.int64)
    tensor([1, 1])
    """)  # fmt: skip
empty, empty_like = _factory("empty", unset, "A tensor that is not initialised.", """
    >>> import rushlight as torch
    >>> torch.empty(2, 3).shape
    torch.Size([2, 3])
    """)  # fmt: skip


# -- one value --------------------------------------------------------------------------------------


def fill_value_of(value, kind: dtypes.dtype, op_name: str):
    """A number that fits this type, as PyTorch converts it."""
    if isinstance(value, Tensor):
        value = value.item()
    if kind.category != 3 and isinstance(value, complex_number):
        raise RuntimeError(
            f"value cannot be converted to type {kind.name} without overflow: {op_name} got {value}"
        )
    if kind.category == 1 and not isinstance(value, bool):
        return _whole_number(value, kind, op_name)
    return value


def _whole_number(value, kind: dtypes.dtype, op_name: str):
    if isinstance(value, float) and not math.isfinite(value):
        raise RuntimeError(
            f"value cannot be converted to type {kind.name} without overflow: {op_name} got {value}"
        )
    value = int(value)
    limits = np.iinfo(kind.numpy)
    if kind.itemsize == 8 and not -(2**63) <= value <= limits.max:
        raise ValueError(f"Overflow when unpacking long long: {op_name} got {value}")
    if not (limits.min or -limits.max) <= value <= limits.max:
        raise RuntimeError(
            f"value cannot be converted to type {kind.name} without overflow: {op_name} got {value}"
        )
    return np.int64(value).astype(kind.numpy) if value < 2**63 else kind.numpy.type(value)


complex_number = complex  # this module defines torch.complex


def _full(op_name: str, shape, value, kind: dtypes.dtype) -> Tensor:
    array = _filled(op_name, shape, kind.numpy, np.empty)
    with np.errstate(all="ignore"):
        array.fill(fill_value_of(value, kind, op_name))
    return wrap(array)


@op(method=False)
def full(
    size,
    fill_value,
    *,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    names=None,
):
    """A tensor in which all elements are `fill_value`.

    Args:
        size: its dimensions, as a sequence.
        fill_value: the number.
        out: where to put the result.
        dtype: the type of the elements; that of the number by default.
        requires_grad: whether gradients are to flow to it.

    >>> import rushlight as torch
    >>> torch.full((2,), 1.5)
    tensor([1.5000, 1.5000])
    """
    if devices.is_meta(device):
        value = 0 if isinstance(fill_value, Tensor) else fill_value
        return meta(size, (dtype or dtypes.scalar_dtype(value)).numpy, requires_grad)
    _check_options("full", layout, device)
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}"
        )
    if dtype is None:
        value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
        kind = dtypes.scalar_dtype(value) if out is None else out.dtype
    else:
        kind = dtype_of(dtype, "full")
    result = _full("full", tuple(size), fill_value, kind)
    return (
        write_out(result, out, exact=True, warn=False)
        if out is not None
        else require_grad(result, requires_grad)
    )


@op(method=False)
def full_like(
    input, fill_value, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
    memory_format=preserve_format,
):  # fmt: skip
    """A tensor of the shape and type of another, in which all elements are `fill_value`.

    >>> import rushlight as torch
    >>> torch.full_like(torch.zeros(2), 3)
    tensor([3., 3.])
    """
    _check_options("full_like", layout, device)
    kind = check_tensor("full_like", input).dtype if dtype is None else dtype_of(dtype, "full_like")
    result = _like(input, kind.numpy, unset, memory_format, device)
    with np.errstate(all="ignore"):
        result._array.fill(fill_value_of(fill_value, kind, "full_like"))
    return require_grad(result, requires_grad)


def new_full(
    self, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False
):  # fmt: skip
    """A tensor of this one's type in which all elements are `fill_value`.

    >>> import rushlight as torch
    >>> torch.zeros(1).new_full((2,), 3)
    tensor([3., 3.])
    """
    _check_options("new_full", layout, device)
    kind = self.dtype if dtype is None else dtype_of(dtype, "new_full")
    result = _full("new_full", tuple(size), fill_value, kind)
    return require_grad(result, requires_grad, self.device if device is None else device)


Tensor.new_full = new_full


@op(method=False)
def scalar_tensor(s, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A tensor without dimensions that holds one number.

    >>> import rushlight as torch
    >>> torch.scalar_tensor(3)
    tensor(3.)
    """
    _check_options("scalar_tensor", layout, device)
    kind = dtypes.get_default_dtype() if dtype is None else dtype_of(dtype, "scalar_tensor")
    return require_grad(_full("scalar_tensor", (), s, kind), requires_grad, device)


@op(method=False)
def empty_strided(
    size, stride, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """A tensor that is not initialised, with given steps in memory.

    Args:
        size: its dimensions.
        stride: the step along each of them, in elements.

    >>> import rushlight as torch
    >>> torch.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    _check_options("empty_strided", layout, device)
    return require_grad(
        _strided_empty(size, stride, _numpy_type(dtype, "empty_strided"), device), requires_grad
    )


@op(method=False)
def empty_permuted(
    size, physical_layout, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """A tensor that is not initialised, dense in memory, with its dimensions in a given physical order.

    Args:
        size: its dimensions.
        physical_layout: the dimensions from the outermost in memory to the innermost.

    >>> import rushlight as torch
    >>> torch.empty_permuted((2, 3), (1, 0)).stride()
    (1, 2)
    """
    _check_options("empty_permuted", layout, device)
    if sorted(physical_layout) != [d for d, _ in enumerate(size)]:
        raise RuntimeError(
            f"Number of dimensions in size ({len(size)}) does not match the length of the physical_layout "
            f"{list(physical_layout)}, which must be a permutation of them"
        )
    steps, step = [0] * len(size), 1
    for dim in reversed(physical_layout):
        steps[dim], step = step, step * max(size[dim], 1)
    return require_grad(
        _strided_empty(size, steps, _numpy_type(dtype, "empty_permuted"), device), requires_grad
    )


def _strided_empty(size, stride, kind: np.dtype, device=None) -> Tensor:
    if len(size) != len(stride):
        raise RuntimeError(
            f"dimensionality of sizes ({len(size)}) must match dimensionality of strides ({len(stride)})"
        )
    needed = 0 if 0 in size else 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    strides = tuple(s * kind.itemsize for s in stride)
    if devices.is_meta(device):
        array = phantom.make(size, kind, strides)
    else:
        array = _np_as_strided(unset(needed, kind), tuple(size), strides)
    result = wrap(array)
    if not array.flags.c_contiguous:
        result._format = "fixed"
    return result


def new_empty_strided(
    self, size, stride, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):  # fmt: skip
    """A tensor of this one's type, not initialised, with given steps in memory."""
    _check_options("new_empty_strided", layout, device)
    kind = self._array.dtype if dtype is None else dtype_of(dtype, "new_empty_strided").numpy
    return require_grad(
        _strided_empty(size, stride, kind, self.device if device is None else device), requires_grad
    )


Tensor.new_empty_strided = new_empty_strided


# -- ranges -----------------------------------------------------------------------------------------


def _number(value):
    return value.item() if isinstance(value, (Tensor, np.generic)) else value


def _range_kind(dtype, values, op_name: str) -> dtypes.dtype:
    if dtype is not None:
        kind = dtype_of(dtype, op_name)
    else:
        floating = any(isinstance(v, float) for v in values)
        kind = dtypes.get_default_dtype() if floating else dtypes.int64
    if kind.category in (0, 3):
        raise NotImplementedError(f"\"{op_name}_cpu\" not implemented for '{SCALAR_NAMES[kind]}'")
    return kind


def _check_range(start, end, step) -> None:
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"upper bound and lower bound inconsistent with step sign: got start {start}, end {end}, step "
            f"{step}"
        )


@op(method=False)
def arange(
    *bounds, start=0, end=None, step=None, out=None, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    """Numbers from `start` up to, but not including, `end`, `step` apart.

    Args:
        start: the first number; 0 by default.
        end: where to stop.
        step: the distance between neighbours; 1 by default.
        out: where to put the result.
        dtype: the type of the elements; int64 by default where all three are whole numbers.
        requires_grad: whether gradients are to flow to it.
    Raises:
        RuntimeError: the step is zero or has the wrong sign.

    >>> import rushlight as torch
    >>> torch.arange(1, 2, 0.5)
    tensor([1.0000, 1.5000])
    """
    _check_options("arange", layout, device)
    if len(bounds) > 3 or (not bounds and end is None):
        raise TypeError(f"arange() takes from 1 to 3 positional arguments but {len(bounds)} were given")
    if len(bounds) == 1 and end is None:
        end = bounds[0]
    elif bounds:
        start, end, step = (*bounds, *(end, step)[len(bounds) - 1 :])
    start, end, step = _number(start), _number(end), 1 if step is None else _number(step)
    kind = _range_kind(dtype if dtype is not None or out is None else out.dtype, (start, end, step), "arange")
    _check_range(start, end, step)
    if kind.category == 1:
        start, end, step = int(start), int(end), int(step)
        if step == 0:
            raise ValueError("step must be nonzero")
        array = np.arange(start, end, step, np.int64).astype(kind.numpy, copy=False)
    else:
        array = _floating_range(start, step, math.ceil((end - start) / step), kind)
    return _row(array, out, requires_grad, device, warn=True)


def _row(array: np.ndarray, out, requires_grad, device=None, warn=False) -> Tensor:
    """Numbers in a row, in `out` if that is given, which keeps its shape where it has as many elements."""
    if out is None:
        return require_grad(wrap(array), requires_grad, device)
    if isinstance(out, Tensor) and out._array.size == array.size:
        array = array.reshape(out._array.shape)
    return write_out(wrap(array), out, exact=True, warn=warn)


def _floating_range(start, step, count: int, kind: dtypes.dtype) -> np.ndarray:
    return np.add(np.multiply(np.arange(max(count, 0), dtype=np.float64), step), start).astype(kind.numpy)


@op(method=False)
def range(start=0, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """Numbers from `start` to `end`, both included; deprecated by PyTorch in favour of `arange`.

    >>> import rushlight as torch
    >>> torch.arange(1, 4)
    tensor([1, 2, 3])
    """
    import warnings

    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is "
        "inconsistent with "
        "Python's range builtin. Instead, use torch.arange, which produces values in [start, end).",
        stacklevel=2,
    )
    _check_options("range", layout, device)
    start, end, step = _number(start), _number(end), _number(step)
    kind = dtypes.get_default_dtype() if dtype is None else dtype_of(dtype, "range")
    _check_range(start, end, step)
    return _row(_floating_range(start, step, int((end - start) / step) + 1, kind), out, requires_grad, device)


@op(method=False)
def linspace(start, end, steps, *, out=None, dtype=None, layout=None, device=None, requires_grad=False,
             pin_memory=False):  # fmt: skip
    """`steps` numbers from `start` to `end`, both included, equally far apart.

    >>> import rushlight as torch
    >>> torch.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    _check_options("linspace", layout, device)
    kind = _spaced_kind(dtype if dtype is not None or out is None else out.dtype, (start, end), "linspace")
    return _row(_spaced(start, end, steps, kind), out, requires_grad, device)


def _spaced_kind(dtype, values, op_name: str) -> dtypes.dtype:
    if dtype is not None:
        return dtype_of(dtype, op_name)
    default = dtypes.get_default_dtype()
    return default.to_complex() if any(isinstance(_number(v), complex_number) for v in values) else default


def _spaced(start, end, steps, kind: dtypes.dtype) -> np.ndarray:
    if isinstance(steps, float):
        raise TypeError(f"linspace() and logspace() take a whole number of steps, not {steps}")
    start, end, steps = _number(start), _number(end), int(steps)
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, got {steps}")
    if steps < 2:
        return np.full(steps, start).astype(kind.numpy)
    work = {1: np.float64}.get(kind.category, kind.numpy.type)
    if kind.itemsize < 4 and kind.category == 2:
        work = np.float32
    if kind.category == 1:
        start, end = int(start), int(end)
    # As in PyTorch: counted from both ends, so that the result is symmetric.
    first, last = work(start), work(end)
    step = (last - first) / work(steps - 1)
    i = np.arange(steps)
    # With more digits than the result has, because PyTorch multiplies and adds in one step.
    fused = {1: np.float64, 3: np.complex128}.get(kind.category, np.longdouble)
    i = i.astype(fused)
    from_start = fused(first) + fused(step) * i
    from_end = fused(last) - fused(step) * (steps - 1 - i)
    return np.where(np.arange(steps) < steps // 2, from_start, from_end).astype(kind.numpy)


@op(method=False)
def logspace(
    start, end, steps, base=10.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """`base` to the power of `steps` numbers from `start` to `end`, both included, equally far apart.

    >>> import rushlight as torch
    >>> torch.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    _check_options("logspace", layout, device)
    kind = _spaced_kind(dtype if dtype is not None or out is None else out.dtype, (start, end), "logspace")
    wide = dtypes.complex128 if kind.is_complex else dtypes.float64
    if kind.category == 1:
        start, end = int(_number(start)), int(_number(end))
    powers = np.power(np.asanyarray(_number(base), wide.numpy), _spaced(start, end, steps, wide))
    return _row(powers.astype(kind.numpy), out, requires_grad, device)


# -- matrices ---------------------------------------------------------------------------------------


@op(method=False)
def eye(n, m=None, *, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Ones on the diagonal of an n x m matrix, zeros elsewhere.

    >>> import rushlight as torch
    >>> torch.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    _check_options("eye", layout, device)
    if n < 0:
        raise RuntimeError(f"n must be greater or equal to 0, got {n}")
    if m is not None and m < 0:
        raise RuntimeError(f"m must be greater or equal to 0, got {m}")
    kind = _numpy_type(dtype if dtype is not None or out is None else out.dtype, "eye")
    result = wrap(np.eye(n, m, dtype=kind))
    return (
        write_out(result, out, exact=True, warn=False)
        if out is not None
        else require_grad(result, requires_grad, device)
    )


def _indices(name: str, choose):
    def function(row, col, offset=0, *, dtype=dtypes.int64, device=None, layout=None, pin_memory=False):
        _check_options(name, layout, device)
        if row < 0 or col < 0:
            raise RuntimeError(f"{name}: row and col must be non-negative, got {row} and {col}")
        return require_grad(
            wrap(np.stack(choose(row, offset, col)).astype(dtype_of(dtype, name).numpy)), False, device
        )

    function.__name__ = function.__qualname__ = name
    where = "on and below" if name == "tril_indices" else "on and above"
    function.__doc__ = f"""The rows and columns of the elements {where} a diagonal of a matrix.

    Args:
        row, col: the numbers of rows and columns of the matrix.
        offset: how far above the main diagonal the diagonal is.
        dtype: the type of the result.
    Returns:
        (2, number of such elements).

    >>> import rushlight as torch
    >>> torch.{name}(2, 2)
    tensor({"[[0, 1, 1]," if name == "tril_indices" else "[[0, 0, 1],"}
            {"[0, 0, 1]])" if name == "tril_indices" else "[0, 1, 1]])"}
    """
    return op(method=False)(function)


tril_indices = _indices("tril_indices", np.tril_indices)
triu_indices = _indices("triu_indices", np.triu_indices)


# -- complex numbers --------------------------------------------------------------------------------


class ComplexBackward0(Node):
    def backward(self, grad):
        parts = view_as_real(grad)
        return select(parts, -1, 0), select(parts, -1, 1)


@op(method=False)
def complex(real, imag, *, out=None):
    """Complex numbers from their real and imaginary parts.

    Raises:
        RuntimeError: the parts are of different types, or not of a floating-point one.

    >>> import rushlight as torch
    >>> torch.complex(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([1.+2.j])
    """
    _check_parts(check_tensor("complex", real, "real"), check_tensor("complex", imag, "imag", 2))
    x, y = real._array, imag._array
    array = empty_by(x, np.broadcast_shapes(x.shape, y.shape), real.dtype.to_complex().numpy)
    array.real, array.imag = x, y
    if recording(real, imag):
        real, imag = broadcast_tensors(real, imag)
        return write_out(record(array, ComplexBackward0, (real, imag)), out, exact=True)
    return write_out(wrap(array), out, exact=True)


def _check_parts(a: Tensor, b: Tensor) -> None:
    names = SCALAR_NAMES[a.dtype], SCALAR_NAMES[b.dtype]
    if not (a.dtype.is_floating_point and b.dtype.is_floating_point):
        raise RuntimeError(
            f"Expected both inputs to be Half, Float or Double tensors but got {names[0]} and {names[1]}"
        )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {names[0]} but got scalar type {names[1]} for second argument"
        )


@op(method=False)
def polar(abs, angle, *, out=None):
    """Complex numbers from their lengths and angles in radians.

    >>> import rushlight as torch
    >>> torch.polar(torch.tensor([2.0]), torch.tensor([0.0]))
    tensor([2.+0.j])
    """
    _check_parts(check_tensor("polar", abs, "abs"), check_tensor("polar", angle, "angle", 2))
    return write_out(complex(abs * angle.cos(), abs * angle.sin()), out, exact=True)
