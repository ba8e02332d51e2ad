"""Arrays without data: a shape, a type and strides over address space that is reserved and never touched.

They are what tensors on the device "meta" hold. Ops work on them as on any array, so every shape, type and stride is
what the same code gives for real data. Nothing is computed: NumPy's functions ask `__array_ufunc__` and
`__array_function__`, which work on a corner of the operands, two elements wide along each dimension; native kernels
take no subclass of ndarray and leave these to the reference kernels, which are NumPy's. What nobody has taught it runs
on the zeros that the address space shows, and only the result's shape is kept. Other arrays pay nothing.
"""

import functools
import math
import mmap
from importlib import import_module
from types import FunctionType

import numpy as np

NO_DATA = "Cannot copy out of meta tensor; no data!"
_CORNER = 2
_RESERVED = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)}
    if hasattr(mmap, "MAP_PRIVATE")
    else {}
)


# Bytes: arrays up to the first limit have address space of their own; larger ones, of which few would fit beside each
# other, share some; those above the second are larger than any address space, and nothing could read through them.
_LARGE, _HUGE = 2**36, 2**45


@functools.cache
def _shared() -> mmap.mmap:
    return mmap.mmap(-1, _HUGE, **_RESERVED)


def make(shape, kind, strides=None) -> "Phantom":
    """An array without data.

    Args:
        shape: its dimensions.
        kind: the type of its elements.
        strides: the bytes between neighbours along each dimension; C order by default.
    """
    shape = tuple(map(int, shape)) if isinstance(shape, tuple | list) else (int(shape),)
    kind = np.dtype(kind)
    kind = np.dtype(float) if kind.hasobject else kind
    if strides is None or 0 in shape:
        span = math.prod(shape) * kind.itemsize
    else:
        span = kind.itemsize + sum((n - 1) * abs(s) for n, s in zip(shape, strides, strict=True))
    _install()
    space = mmap.mmap(-1, max(span, 1), **_RESERVED) if span < _LARGE else _shared()
    if span <= _HUGE:
        return np.ndarray.__new__(Phantom, shape, kind, space, 0, strides)
    steps = strides or [kind.itemsize * math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return np.lib.stride_tricks.as_strided(np.ndarray(1, kind, space), shape, steps).view(Phantom)


def like(array: np.ndarray) -> "Phantom":
    """An array without data of the shape, type and strides of another."""
    strides = array.strides if all(s >= 0 for s in array.strides) else None
    return make(array.shape, array.dtype, strides)


def is_phantom(array) -> bool:
    """Whether it is an array without data."""
    return type(array) is Phantom


def _in_order_of(small, shape) -> "Phantom":
    """An array of this shape whose dimensions follow each other in memory as those of a small one do."""
    strides, step = [0] * len(shape), small.dtype.itemsize
    for i in sorted(range(len(shape)), key=lambda i: (abs(small.strides[i]), -i)):
        strides[i], step = step, step * max(shape[i], 1)
    return make(shape, small.dtype, strides)


def _real(value):
    """Its zeros as an ordinary array; also inside lists and dictionaries."""
    if type(value) is Phantom:
        return value.view(np.ndarray)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(map(_real, value))
    if isinstance(value, dict):
        return {k: _real(v) for k, v in value.items()}
    return value


def _corner(value):
    """The first elements along each dimension of an array."""
    if not isinstance(value, np.ndarray):
        return value
    if type(value) is Phantom and value._value is not None:
        return np.asarray(value._value)
    return value.view(np.ndarray)[(slice(_CORNER),) * value.ndim]


def _phantoms(value):
    """The arrays of a result without their data."""
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        return value if type(value) is Phantom and not value.flags.owndata else like(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_phantoms, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_phantoms, value))
    return value


def _stand_in(value):
    """An array without data as identity matrices, which can be inverted and decomposed, or as ones."""
    if isinstance(value, list | tuple):
        return type(value)(map(_stand_in, value))
    if type(value) is not Phantom:
        return value
    if value.ndim < 2 or value.dtype.kind in "iub":
        return np.broadcast_to(np.ones((), value.dtype), value.shape)
    return np.broadcast_to(np.eye(*value.shape[-2:], dtype=value.dtype), value.shape)


def _worked_out(function, args, kwargs):
    """The result of a decomposition, which takes as long as that of other matrices."""
    return _phantoms(function(*_stand_in(args), **{k: _stand_in(v) for k, v in kwargs.items()}))


def _has(value) -> bool:
    """Whether there is an array without data among these."""
    if isinstance(value, list | tuple):
        return any(map(_has, value))
    return type(value) is Phantom


def no_values(op: str) -> NotImplementedError:
    """PyTorch's error of an op whose result's shape depends on values."""
    return NotImplementedError(
        f"aten::{op}: attempted to run this operator with Meta tensors, but there was no fake impl or Meta kernel "
        "registered for this operator: the shape of its result depends on values. Run it on the CPU."
    )


class Phantom(np.ndarray):
    """An array without data; see the module."""

    # -- functions of NumPy -------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        result = _METHODS[method](ufunc, inputs, options)
        if out is None or result is None:
            return result
        results = result if isinstance(result, tuple) else (result,)
        kept = tuple(_written(o, r) for o, r in zip(out, results, strict=True))
        return kept if len(kept) > 1 else kept[0]

    def __array_function__(self, func, types, args, kwargs):
        rule = _RULES.get(func)
        if rule is not None:
            return rule(*args, **kwargs)
        if func.__module__.startswith("numpy.linalg"):
            return _worked_out(func, args, kwargs)
        return _phantoms(np.ndarray.__array_function__(self, func, types, args, kwargs))

    # -- methods that NumPy does not ask about ------------------------------------------------------

    def copy(self, order="C"):
        """As ndarray's."""
        return _empty_like(self, order=order)

    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
        """As ndarray's."""
        return self if not copy and self.dtype == dtype else _empty_like(self, dtype, order)

    def reshape(self, *shape, order="C", copy=None):
        """As ndarray's."""
        shape = shape[0] if len(shape) == 1 else shape
        if self.flags.c_contiguous:
            return np.ndarray.reshape(self, shape)
        full = np.broadcast_to(np.zeros((), self.dtype), self.shape).reshape(shape).shape
        try:
            return np.ndarray.reshape(self, full, copy=False)
        except (TypeError, ValueError):  # TypeError: an older NumPy
            return make(full, self.dtype)

    def flatten(self, order="C"):
        """As ndarray's."""
        return make((self.size,), self.dtype)

    def ravel(self, order="C"):
        """As ndarray's."""
        return self.reshape(-1)

    def __getitem__(self, index):
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(p, np.ndarray | list) for p in parts):
            return _picked(self, parts)
        if not any(p is Ellipsis for p in parts):
            parts = (*parts, ...)  # else a single element were a number
        return np.ndarray.__getitem__(self, parts)

    def __setitem__(self, index, value):
        _fits(value, self, index)

    def fill(self, value):
        """As ndarray's."""

    put = partition = fill

    def sort(self, *args, **kwargs):
        """As ndarray's."""

    def argsort(self, axis=-1, kind=None, order=None, *, stable=None):
        """As ndarray's."""
        return make((self.size,) if axis is None else self.shape, np.intp)

    def argpartition(self, kth, axis=-1, kind="introselect", order=None):
        """As ndarray's."""
        return self.argsort(axis)

    def argmax(self, axis=None, out=None, *, keepdims=False):
        """As ndarray's."""
        return make(_reduced(self.shape, axis, keepdims), np.intp)

    argmin = argmax

    def take(self, indices, axis=None, out=None, mode="raise"):
        """As ndarray's."""
        given = np.shape(indices)
        shape = given if axis is None else (*self.shape[:axis], *given, *self.shape[axis:][1:])
        return make(shape, self.dtype)

    def repeat(self, repeats, axis=None):
        """As ndarray's."""
        if _has(repeats):
            raise no_values("repeat_interleave.Tensor")
        shape = [self.size] if axis is None else list(self.shape)
        axis = 0 if axis is None else axis
        shape[axis] = int(np.sum(np.broadcast_to(repeats, (shape[axis],))))
        return make(shape, self.dtype)

    def nonzero(self):
        """Raises NotImplementedError: what there is depends on values."""
        raise no_values("nonzero")

    # -- values -------------------------------------------------------------------------------------

    # Checks within ops find nothing wrong: zeros, and whatever is asked of all elements holds. Programs ask `item`.
    _value = None  # what an array without dimensions was found to be from zeros

    def __bool__(self) -> bool:
        return bool(self._value)

    def __int__(self) -> int:
        return int(self._value or 0)

    __index__ = __int__

    def __float__(self) -> float:
        return float(self._value or 0)

    def __complex__(self) -> complex:
        return complex(self._value or 0)

    def item(self, *args):
        """Raises RuntimeError: there is nothing to read."""
        raise RuntimeError("Tensor.item() cannot be called on meta tensors")

    def tolist(self):
        """Raises NotImplementedError: there is nothing to read."""
        raise NotImplementedError(NO_DATA)

    tobytes = tolist


# -- ufuncs -----------------------------------------------------------------------------------------


def _quietly(function, *args, **options):
    with np.errstate(all="ignore"):
        return function(*args, **options)


def _options(options: dict) -> dict:
    return {k: _corner(v) for k, v in options.items()}


def _each(ufunc, inputs, options):
    """A ufunc of each element."""
    if ufunc.signature is not None:
        return (
            _matmul(*inputs)
            if ufunc is np.matmul
            else _phantoms(_quietly(ufunc, *_real(inputs), **_real(options)))
        )
    inputs = [np.asarray(v) if isinstance(v, list | tuple | np.generic) else v for v in inputs]
    shape = np.broadcast_shapes(*(v.shape for v in inputs if isinstance(v, np.ndarray)))
    found = _quietly(ufunc, *map(_corner, inputs), **_options(options))
    if isinstance(found, tuple):
        return tuple(_in_order_of(np.asarray(f), shape) for f in found)
    made = _in_order_of(np.asarray(found), shape)
    if not shape:
        made._value = found
    return made


def _reduced(shape, axis, keepdims) -> tuple:
    """The shape of a sum along these dimensions."""
    gone = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    gone = {a % len(shape) if shape else 0 for a in gone}
    return tuple(1 if i in gone else n for i, n in enumerate(shape) if keepdims or i not in gone)


def _reduce(ufunc, inputs, options):
    options = {"axis": 0, **options}
    small = np.asarray(_quietly(ufunc.reduce, _corner(inputs[0]), **_options(options)))
    shape = _reduced(inputs[0].shape, options["axis"], options.get("keepdims", False))
    found = _in_order_of(small, shape)
    if not shape:
        found._value = True if ufunc is np.logical_and else small[()]
    return found


def _accumulate(ufunc, inputs, options):
    small = _quietly(ufunc.accumulate, _corner(inputs[0]), **_options(options))
    return _in_order_of(small, inputs[0].shape)


def _real_method(name: str):
    def method(ufunc, inputs, options):
        return _phantoms(_quietly(getattr(ufunc, name), *_real(inputs), **_real(options)))

    return method


def _nothing(*args, **kwargs):
    """It has no values that could change."""


_METHODS = {
    "__call__": _each,
    "reduce": _reduce,
    "accumulate": _accumulate,
    "reduceat": _real_method("reduceat"),
    "outer": _real_method("outer"),
    "at": _nothing,
}


def _written(out, result):
    if out is None:
        return result
    if out.shape != result.shape:
        np.broadcast_to(np.broadcast_to(np.int8(0), result.shape), out.shape)
    return out


def _matmul(a, b):
    """The product of matrices, or of stacks of them."""
    a, b = np.asanyarray(a), np.asanyarray(b)
    rows, columns = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ValueError(f"matmul: the inner dimensions {a.shape[-1]} and {inner} differ")
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return make((*lead, *rows, *columns), np.result_type(a, b))


# -- indices ----------------------------------------------------------------------------------------


def _picked(array: "Phantom", parts: tuple) -> "Phantom":
    """What positions along some dimensions pick out; values of the positions don't matter."""
    parts = [np.asanyarray(p) if isinstance(p, list) else p for p in parts]
    if any(type(p) is Phantom and p.dtype == np.bool_ for p in parts):
        raise no_values("nonzero")
    parts = [
        q for p in parts for q in (p.nonzero() if isinstance(p, np.ndarray) and p.dtype == np.bool_ else (p,))
    ]
    given = sum(p is not None and p is not Ellipsis for p in parts)
    filled = [slice(None)] * (array.ndim - given)
    where = next((i for i, p in enumerate(parts) if p is Ellipsis), len(parts))
    parts[where : where + 1] = filled
    chosen = [
        i for i, p in enumerate(parts) if not isinstance(p, slice) and p is not None
    ]  # numbers are positions too
    positions = np.broadcast_shapes(*(np.shape(parts[i]) for i in chosen))
    # Each part now has one dimension of this view.
    plain = np.ndarray.__getitem__(
        array, tuple(slice(0, 1) if i in chosen else p for i, p in enumerate(parts))
    )
    rest = [n for i, n in enumerate(plain.shape) if i not in chosen]
    start = chosen[0] if chosen[-1] - chosen[0] + 1 == len(chosen) else 0
    return make((*rest[:start], *positions, *rest[start:]), array.dtype)


def _fits(value, array, index) -> None:
    try:
        target = array[index].shape
    except NotImplementedError:  # a mask: as many as there are
        return
    np.broadcast_to(np.broadcast_to(np.int8(0), np.shape(value)), target)


# -- functions of NumPy with rules of their own -------------------------------------------------------

_RULES: dict = {}


def _rule(*functions):
    def note(rule):
        _RULES.update(dict.fromkeys(functions, rule))
        return rule

    return note


@_rule(np.empty_like, np.zeros_like, np.ones_like)
def _empty_like(prototype, dtype=None, order="K", subok=True, shape=None, *, device=None):
    kind = prototype.dtype if dtype is None else np.dtype(dtype)
    if shape is not None:
        return make(shape if isinstance(shape, list | tuple) else (shape,), kind)
    small = (
        np.empty_like(_corner(prototype), order=order) if order != "K" else np.empty_like(_corner(prototype))
    )
    return _in_order_of(small.astype(kind, order="K"), prototype.shape)


@_rule(np.full_like)
def _full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    return _empty_like(a, dtype, order, subok, shape)


@_rule(np.copyto)
def _copyto(dst, src, casting="same_kind", where=True):
    if not is_phantom(dst):
        raise NotImplementedError(NO_DATA)
    shape = np.shape(src)
    np.broadcast_to(np.broadcast_to(np.int8(0), shape), dst.shape)
    kind = getattr(src, "dtype", None)
    if kind is not None and not np.can_cast(kind, dst.dtype, casting):
        raise TypeError(
            f"Cannot cast array data from {kind!r} to {dst.dtype!r} according to the rule {casting!r}"
        )


@_rule(np.concatenate)
def _concatenate(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    arrays = [np.asanyarray(a) for a in arrays]
    if axis is None:
        arrays, axis = [a.reshape(-1) for a in arrays], 0
    _on_one_device("cat", arrays)
    small = np.concatenate([_corner(a) for a in arrays], axis, dtype=dtype)  # checks ranks
    shapes = [list(a.shape) for a in arrays]
    total = sum(s[axis] for s in shapes)
    for s in shapes:
        s[axis] = total
        if s != shapes[0]:
            raise ValueError(
                "all the input array dimensions except for the concatenation axis must match exactly"
            )
    return _in_order_of(small, shapes[0])


@_rule(np.where)
def _where(condition, *values):
    if not values:
        raise no_values("nonzero")
    operands = [
        np.asanyarray(v) if not isinstance(v, int | float | complex) else v for v in (condition, *values)
    ]
    shape = np.broadcast_shapes(*map(np.shape, operands))
    return _in_order_of(np.where(*map(_corner, operands)), shape)


@_rule(np.broadcast_to)
def _broadcast_to(array, shape, subok=False):
    return np.broadcast_to(array.view(np.ndarray), shape).view(Phantom)


@_rule(np.broadcast_arrays)
def _broadcast_arrays(*arrays, subok=False):
    shape = np.broadcast_shapes(*map(np.shape, arrays))
    return tuple(np.broadcast_to(a, shape) for a in arrays)


@_rule(np.take)
def _take(a, indices, axis=None, out=None, mode="raise"):
    return _as_phantom(a).take(indices, axis)


def _as_phantom(array) -> "Phantom":
    return array if type(array) is Phantom else like(np.asarray(array))


@_rule(np.take_along_axis)
def _take_along_axis(arr, indices, axis=-1):
    if axis is None:
        return make(np.shape(indices), arr.dtype)
    lead = np.broadcast_shapes(
        *([n for i, n in enumerate(a.shape) if i != axis % a.ndim] for a in (arr, indices))
    )
    axis %= indices.ndim
    return make((*lead[:axis], indices.shape[axis], *lead[axis:]), arr.dtype)


_rule(np.put_along_axis, np.putmask, np.place, np.put)(_nothing)


@_rule(np.repeat)
def _repeat(a, repeats, axis=None):
    return _as_phantom(a).repeat(repeats, axis)


@_rule(np.sort)
def _sort(a, axis=-1, kind=None, order=None, *, stable=None):
    return make((a.size,), a.dtype) if axis is None else a.copy()


@_rule(np.partition)
def _partition(a, kth, axis=-1, kind="introselect", order=None):
    return _sort(a, axis)


@_rule(np.argsort)
def _argsort(a, axis=-1, kind=None, order=None, *, stable=None):
    return a.argsort(axis)


@_rule(np.lexsort)
def _lexsort(keys, axis=-1):
    return make(np.shape(keys[0]), np.intp)


@_rule(np.searchsorted)
def _searchsorted(a, v, side="left", sorter=None):
    return make(np.shape(v), np.intp)


@_rule(np.count_nonzero)
def _count_nonzero(a, axis=None, *, keepdims=False):
    return make(_reduced(a.shape, axis, keepdims), np.intp)


@_rule(np.dot)
def _dot(a, b, out=None):
    a, b = np.asanyarray(a), np.asanyarray(b)
    if not a.ndim or not b.ndim:
        return a * b
    if b.ndim < 3:
        return _matmul(a, b)
    return make((*a.shape[:-1], *b.shape[:-2], *b.shape[-1:]), np.result_type(a, b))


@_rule(np.vdot)
def _vdot(a, b, /):
    return make((), np.result_type(a, b))


@_rule(np.einsum)
def _einsum(*operands, out=None, optimize=False, **options):
    if not isinstance(operands[0], str):
        return _phantoms(np.einsum(*_real(operands), **options))
    sizes = {}
    arrays = list(map(np.asanyarray, operands[1:]))
    inputs, arrow, wanted = operands[0].replace(" ", "").partition("->")
    if "." in inputs or not arrow:
        return _phantoms(np.einsum(operands[0], *_real(arrays), optimize=True))
    for letters, a in zip(inputs.split(","), arrays, strict=True):
        sizes.update({c: n for c, n in zip(letters, a.shape, strict=True) if sizes.get(c, 1) == 1})
    return make([sizes[c] for c in wanted], np.result_type(*arrays))


def _refusal(op: str):
    def refuse(*args, **kwargs):
        raise no_values(op)

    return refuse


for _functions, _op in {
    (np.nonzero, np.flatnonzero, np.argwhere): "nonzero", (np.unique,): "_unique2", (np.bincount,): "bincount",
}.items():  # fmt: skip
    _rule(*_functions)(_refusal(_op))
_rule(np.array_equal, np.allclose)(lambda *args, **kwargs: False)
_rule(np.shares_memory, np.may_share_memory)(
    lambda a, b, max_work=None: np.may_share_memory(_real(a), _real(b))
)


# -- kernels ----------------------------------------------------------------------------------------


@functools.cache
def _install() -> None:
    """Have the reference kernels give arrays without data where they are given some."""
    from rushlight import kernels as K
    from rushlight.ops import lapack
    from rushlight.ops.detour import Detour

    for name, function in vars(lapack).items():
        if isinstance(function, FunctionType) and function.__module__ == lapack.__name__ and name[0] != "_":
            Detour(function, _decomposition).on()
    for part in K.PARTS:
        home = import_module(f"rushlight.kernels.reference.{part}")
        for name in home.__all__:
            reference = getattr(home, name)
            # A native kernel calls the reference by itself, functions in Python may not.
            called = getattr(K, name) if isinstance(getattr(K, name), FunctionType) else reference
            if isinstance(called, FunctionType):
                Detour(
                    called, functools.partial(_kernel, name, None if called is reference else reference)
                ).on()


def _decomposition(original, args, kwargs):
    """What a function of `ops.lapack` does now."""
    return (
        _worked_out(original, args, kwargs) if _has((*args, *kwargs.values())) else original(*args, **kwargs)
    )


#: Kernels to which ops give positions that they made themselves.
_WITH_POSITIONS = {
    "csr_matmul", "embedding_backward", "gather", "rnn_backward", "rnn_forward", "sampled_matmul", "scatter_add",
}  # fmt: skip


def _on_one_device(name: str, values) -> None:
    """Refuse arrays with data beside those without, numbers excepted."""
    for value in values:
        if (
            type(value) is np.ndarray
            and value.ndim
            and not (name in _WITH_POSITIONS and value.dtype.kind in "iu")
        ):
            raise RuntimeError(
                f"{name}: Expected all tensors to be on the same device, but found at least two devices, meta and cpu!"
            )


def _resampled(x, out_size, *settings):
    from rushlight.kernels.reference.layout import zeros_like_layout

    return zeros_like_layout(x, (*x.shape[:2], *out_size))


def _convolved(x, w, b, stride, padding, dilation, groups, relu=False):
    from rushlight.kernels.reference.conv import conv_output_size

    out = conv_output_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
    return np.moveaxis(make((x.shape[0], *out, w.shape[0]), x.dtype), -1, 1)


def _convolved_input(g, w, x_shape, *settings):
    return np.moveaxis(make((x_shape[0], *x_shape[2:], x_shape[1]), g.dtype), -1, 1)


def _convolved_weight(g, x, w_shape, stride, padding, dilation, groups, with_bias=True):
    return make(w_shape, g.dtype), make(g.shape[1], g.dtype) if with_bias else None


#: What kernels give of which the reference would work with large tables.
_RULES_OF_KERNELS = {
    "conv": _convolved,
    "conv_backward_input": _convolved_input,
    "conv_backward_weight": _convolved_weight,
    "upsample": _resampled,
    "upsample_backward": lambda g, x_shape, *settings: _resampled(g, x_shape[2:]),
}


def _kernel(name, reference, original, args, kwargs):
    """What a kernel does now."""
    given = (*args, *kwargs.values())
    if not _has(given):
        return original(*args, **kwargs)
    if name != "copy":
        _on_one_device(name, given)
    elif not is_phantom(args[0]):
        raise NotImplementedError(NO_DATA)
    return _phantoms(_RULES_OF_KERNELS.get(name, reference or original)(*args, **kwargs))
