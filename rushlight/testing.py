"""Comparing tensors in tests, and making them."""

import collections.abc
import math
import numbers
import warnings

import numpy as np

from rushlight import dtypes
from rushlight.ops.data import tensor as make
from rushlight.random import default_generator
from rushlight.tensor import Tensor, wrap

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

#: The relative and absolute tolerance of each type; whole numbers must be equal.
_TOLERANCE = {
    dtypes.float16: (1e-3, 1e-5), dtypes.bfloat16: (1.6e-2, 1e-5), dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7), dtypes.complex64: (1.3e-6, 1e-5), dtypes.complex128: (1e-7, 1e-7),
}  # fmt: skip


def assert_close(
    actual, expected, *, allow_subclasses=True, rtol=None, atol=None, equal_nan=False, check_device=True,
    check_dtype=True, check_layout=True, check_stride=False, msg=None,
) -> None:  # fmt: skip
    """Assert that tensors, numbers, arrays, or sequences and dictionaries of them, are close.

    Args:
        actual, expected: what to compare: |actual - expected| <= atol + rtol * |expected|.
        allow_subclasses: whether the types may differ where one is the other's subclass.
        rtol, atol: both or none; by default those of the less precise type.
        equal_nan: whether nan equals nan.
        check_device, check_layout: accepted; all tensors are on the CPU.
        check_dtype: whether the types of elements must be the same.
        check_stride: whether the strides must be the same.
        msg: the message to show instead, or a function that makes it from the usual one.
    Raises:
        AssertionError: they are not close; the message says where and by how much.
        TypeError: they cannot be compared. ValueError: only one of the tolerances is given.

    >>> import rushlight as torch
    >>> torch.testing.assert_close(torch.tensor([1.0]), torch.tensor([1.0 + 1e-7]))
    """
    if (rtol is None) != (atol is None):
        missing = "rtol" if rtol is None else "atol"
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}.")
    problem = _difference(actual, expected, (rtol, atol), equal_nan, check_dtype, check_stride, "")
    if problem is not None:
        raise AssertionError(problem if msg is None else msg(problem) if callable(msg) else msg)


def _difference(a, b, tolerance, equal_nan, check_dtype, check_stride, where: str) -> str | None:
    rest = (tolerance, equal_nan, check_dtype, check_stride)
    if isinstance(a, collections.abc.Mapping) and isinstance(b, collections.abc.Mapping):
        missing, extra = sorted(set(b) - set(a)), sorted(set(a) - set(b))
        if missing or extra:
            return _at(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {missing}\nAdditional keys in the actual mapping: {extra}", where,
            )  # fmt: skip
        pairs = [(f"{where}[{k!r}]", a[k], b[k]) for k in b]
    elif _is_sequence(a) and _is_sequence(b):
        if len(a) != len(b):
            return _at(f"The length of the sequences mismatch: {len(a)} != {len(b)}", where)
        pairs = [(f"{where}[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b, strict=True))]
    else:
        return _leaf_difference(a, b, *rest, where)
    return next((found for w, x, y in pairs if (found := _difference(x, y, *rest, w)) is not None), None)


def _is_sequence(v) -> bool:
    return isinstance(v, collections.abc.Sequence) and not isinstance(v, str)


def _at(message: str, where: str) -> str:
    return f"{message}\n\nThe failure occurred for item {where}" if where else message


def _leaf_difference(a, b, tolerance, equal_nan, check_dtype, check_stride, where: str) -> str | None:
    scalar = isinstance(a, numbers.Number | np.bool_) and isinstance(b, numbers.Number | np.bool_)
    if not scalar and type(a) is not type(b) and not (isinstance(a, type(b)) or isinstance(b, type(a))):
        raise TypeError(
            _at(f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}.", where)
        )
    if a is None or b is None:
        return None if a is b else _at(f"None mismatch: {a} is not {b}", where)
    if not scalar and not isinstance(a, Tensor | np.ndarray):
        return None if a == b else _at(f"Object comparison failed: {a!r} != {b!r}", where)
    x, y = (v.detach() if isinstance(v, Tensor) else make(v) for v in (a, b))
    if x.layout != y.layout:
        return _at(f"The values for attribute 'layout' do not match: {x.layout} != {y.layout}.", where)
    if x.is_sparse:
        x, y = x.to_dense(), y.to_dense()
    if x.shape != y.shape:
        return _at(f"The values for attribute 'shape' do not match: {x.shape} != {y.shape}.", where)
    if check_dtype and not scalar and x.dtype != y.dtype:
        return _at(f"The values for attribute 'dtype' do not match: {x.dtype} != {y.dtype}.", where)
    if check_stride and x.stride() != y.stride():
        return _at(f"The values for attribute 'stride()' do not match: {x.stride()} != {y.stride()}.", where)
    rtol, atol = tolerance
    if rtol is None:
        kinds = [
            dtypes.promote_types(t.dtype, dtypes.float64) if scalar and t.dtype.category > 1 else t.dtype
            for t in (x, y)
        ]
        known = [_TOLERANCE.get(kind, (0.0, 0.0)) for kind in kinds]
        rtol, atol = max(r for r, _ in known), max(t for _, t in known)
    message = _values_difference(_wide(x), _wide(y), rtol, atol, equal_nan, scalar)
    return None if message is None else _at(message, where)


def _wide(t: Tensor) -> np.ndarray:
    a = t._array
    return a.astype(
        np.complex128 if a.dtype.kind == "c" else np.int64 if a.dtype.kind in "iub" else np.float64
    )


def _values_difference(a: np.ndarray, b: np.ndarray, rtol, atol, equal_nan, scalar: bool) -> str | None:
    with np.errstate(all="ignore"):
        off = np.abs(a - b)
        far = ~((a == b) | (off <= atol + rtol * np.abs(b)))
        if equal_nan:
            far &= ~(np.isnan(a) & np.isnan(b))
        if not far.any():
            return None
        relative = np.where(off == 0, 0.0, off / np.abs(b))
        if a.dtype.kind == "i" and a.ndim:  # shown as PyTorch divides them
            relative = relative.astype(np.float32)
    exact = rtol == atol == 0
    head = f"{'Scalars' if scalar or not a.ndim else 'Tensor-likes'} are not {'equal' if exact else 'close'}!\n\n"
    allowed = (lambda limit: "") if exact else (lambda limit: f" (up to {limit} allowed)")
    if scalar or not a.ndim:
        return (
            f"{head}Expected {b.item()} but got {a.item()}.\nAbsolute difference: {off.item()}{allowed(atol)}\n"
            f"Relative difference: {relative.item()}{allowed(rtol)}"
        )
    lines = [f"{head}Mismatched elements: {far.sum()} / {a.size} ({far.mean():.1%})"]
    for name, values, limit in (("absolute", off, atol), ("relative", relative, rtol)):
        counted = np.where(far, values, -1)
        place = np.unravel_index(np.argmax(np.nan_to_num(counted, nan=math.inf)), a.shape)
        index = tuple(int(i) for i in place)
        lines.append(f"Greatest {name} difference: {values[place].item()} at index {index}{allowed(limit)}")
    return "\n".join(lines)


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg="") -> None:
    """`assert_close` of old: types may differ, nan equals nan.

    >>> import rushlight as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.testing.assert_allclose(torch.tensor([1.0]), [1.0])
    """
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12. Please use `torch.testing.assert_close()` instead.",
        FutureWarning,
        stacklevel=2,
    )
    actual, expected = (v if isinstance(v, Tensor) else make(v) for v in (actual, expected))
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None
    )


def make_tensor(
    *shape, dtype, device, low=None, high=None, requires_grad=False, noncontiguous=False, exclude_zero=False,
    memory_format=None,
) -> Tensor:  # fmt: skip
    """A tensor of random numbers for tests.

    Args:
        shape: its dimensions.
        dtype: its type.
        device: the CPU.
        low, high: the numbers' range: [-9, 9] for floats, [-9, 10) for whole numbers, by default.
        requires_grad: whether it wants a gradient.
        noncontiguous: leave gaps in memory.
        exclude_zero: replace zeros by the smallest number.
        memory_format: the order in memory.

    >>> import rushlight as torch
    >>> torch.testing.make_tensor(2, 3, dtype=torch.float32, device="cpu").shape
    torch.Size([2, 3])
    """
    from rushlight import ops

    size = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], collections.abc.Sequence) else shape
    wide = (*size[:-1], size[-1] * 2) if noncontiguous and size else size
    low = (0 if dtype in (dtypes.bool_, dtypes.uint8) else -9) if low is None else low
    high = (2 if dtype == dtypes.bool_ else 10 if dtype.category == 1 else 9) if high is None else high
    if dtype.category < 2:
        made = ops.random.randint(math.floor(low), math.ceil(high), wide, generator=default_generator).to(
            dtype
        )
    else:
        made = ops.random.rand(*wide, dtype=dtypes.float64) * (high - low) + low
        if dtype.is_complex:
            made = ops.creation.complex(
                made, ops.random.rand(*wide, dtype=dtypes.float64) * (high - low) + low
            )
        made = made.to(dtype)
    if noncontiguous and size:
        made = made[..., ::2]
    if exclude_zero:
        tiny = 1 if dtype.category < 2 else float(np.finfo(np.float32).tiny)
        made = made.masked_fill(made == 0, tiny)
    if memory_format is not None:
        made = made.contiguous(memory_format=memory_format)
    return (made if made._base is None else wrap(made._array)).requires_grad_(requires_grad)
