"""Pooling: the largest or the mean of each window, with windows of a given size or as many as wanted."""

from functools import lru_cache
from math import prod

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.kernels.reference.layout import empty_by, zeros_by
from rushlight.ops.adjoint import LinearNode, apply_linear, tuple_of
from rushlight.ops.common import MODE, Tensor, check_tensor, record, wrap, write_out
from rushlight.ops.conv import mark_format
from rushlight.ops.registry import op


class MaxPool2DWithIndicesBackward0(Node):
    """The largest of each window: its gradient goes to the position it came from."""

    def backward(self, grad):
        (index,) = self.unpack()
        if not MODE.enabled:
            return wrap(K.max_pool_backward(grad._array, index._array, self.shape))
        where, shape = index._array, self.shape
        spread, take = (lambda g: K.max_pool_backward(g, where, shape)), (lambda x: _gather(x, where))
        return apply_linear(grad, spread, take, MaxPool2DWithIndicesBackwardBackward0)


class MaxPool2DWithIndicesBackwardBackward0(LinearNode):
    pass


def _gather(x: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The elements of x[N, C, *sizes] at flat positions index[N, C, *other sizes]."""
    flat = np.take_along_axis(x.reshape(*x.shape[:2], -1), index.reshape(*index.shape[:2], -1), 2)
    return flat.reshape(index.shape)


def _scatter(values: np.ndarray, index: np.ndarray, sizes: tuple) -> np.ndarray:
    """Zeros with values[N, C, *] at flat positions; of several at one position the last stays."""
    lead = values.shape[:2]
    flat = zeros_by(values, (*lead, prod(sizes)))
    np.put_along_axis(flat, index.reshape(*lead, -1), values.reshape(*lead, -1), 2)
    return flat.reshape(*lead, *sizes)


class MaxPool3DWithIndicesBackward0(MaxPool2DWithIndicesBackward0):
    pass


class AdaptiveMaxPool2DBackward0(MaxPool2DWithIndicesBackward0):
    pass


class AdaptiveMaxPool3DBackward0(MaxPool2DWithIndicesBackward0):
    pass


class AvgPool2DBackward0(LinearNode):
    pass


class AvgPool3DBackward0(LinearNode):
    pass


class AdaptiveAvgPool2DBackward0(LinearNode):
    pass


class AdaptiveAvgPool3DBackward0(LinearNode):
    pass


class MaxUnpool2DBackward0(LinearNode):
    pass


class MaxUnpool3DBackward0(LinearNode):
    pass


_MAX_NODES = {
    1: MaxPool2DWithIndicesBackward0,
    2: MaxPool2DWithIndicesBackward0,
    3: MaxPool3DWithIndicesBackward0,
}
_ADAPTIVE_MAX_NODES = {
    1: AdaptiveMaxPool2DBackward0,
    2: AdaptiveMaxPool2DBackward0,
    3: AdaptiveMaxPool3DBackward0,
}
_AVG_NODES = {1: AvgPool2DBackward0, 2: AvgPool2DBackward0, 3: AvgPool3DBackward0}
_ADAPTIVE_AVG_NODES = {
    1: AdaptiveAvgPool2DBackward0,
    2: AdaptiveAvgPool2DBackward0,
    3: AdaptiveAvgPool3DBackward0,
}

_UNPOOL_NODES = {1: MaxUnpool2DBackward0, 2: MaxUnpool2DBackward0, 3: MaxUnpool3DBackward0}


# -- checks, done once for each combination of shape and settings --------------------------------------


def _sizes(name: str, what: str, value, n: int) -> tuple:
    try:
        return tuple_of(value, n)
    except ValueError:
        words = {1: "one int", 2: "two ints", 3: "three ints"}[n]
        raise RuntimeError(
            f"{name}: {what} must either be a single int, or a tuple of {words}, got {list(value)}"
        ) from None
    except (TypeError, AttributeError):
        raise TypeError(
            f"{name}(): argument '{what}' must be tuple of ints, not {type(value).__name__}"
        ) from None


def _check_shape(name: str, n: int, shape: tuple) -> None:
    """(N, C, *sizes) or (C, *sizes), of which only N may be zero."""
    if len(shape) not in (n + 1, n + 2) or 0 in shape[len(shape) - n - 1 :]:
        raise RuntimeError(
            f"{name}: Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim batch size for "
            "input, but "
            f"got:{list(shape)}"
        )


def _output_size(size, kernel, stride, padding, dilation, ceil_mode) -> int:
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    out = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    return out - 1 if ceil_mode and (out - 1) * stride >= size + padding else out


@lru_cache(maxsize=4096)
def _plan(name, n, shape, kernel_size, stride, padding, dilation, ceil_mode):
    """Checks a pooling; returns its settings as tuples."""
    _check_shape(name, n, shape)
    kernel = _sizes(name, "kernel_size", kernel_size, n)
    stride = kernel if stride is None or stride == () else _sizes(name, "stride", stride, n)
    padding, dilation = _sizes(name, "padding", padding, n), _sizes(name, "dilation", dilation, n)
    for what, value in (("kernel_size", kernel), ("stride", stride), ("dilation", dilation)):
        if min(value) < 1:
            zero = "stride should not be zero" if what == "stride" else f"{what} should be greater than zero"
            raise RuntimeError(f"{name}: {zero}, but got {what}={list(value)}")
    for p, k, d in zip(padding, kernel, dilation, strict=True):
        if p < 0 or p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                f"{name}: pad should be at most half of effective kernel size, but got pad={p}, "
                f"kernel_size={k} and "
                f"dilation={d}"
            )
    sizes = shape[len(shape) - n :]
    out = [
        _output_size(*each, ceil_mode) for each in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    if min(out) < 1:
        channels = shape[len(shape) - n - 1]
        given, found = ("x".join(map(str, (channels, *s))) for s in (sizes, [max(o, 0) for o in out]))
        raise RuntimeError(
            f"{name}: Given input size: ({given}). Calculated output size: ({found}). Output size is too "
            "small; use a "
            "smaller kernel, more padding, or fewer pooling layers before this one"
        )
    return kernel, stride, padding, dilation


def _settings(name, n, shape, kernel_size, stride, padding, dilation, ceil_mode):
    try:
        return _plan(name, n, shape, kernel_size, stride, padding, dilation, ceil_mode)
    except TypeError:
        values = [tuple(v) if isinstance(v, list) else v for v in (kernel_size, stride, padding, dilation)]
        return _plan(name, n, shape, *values, ceil_mode)


def _no_bool(name: str, input: Tensor, no_integers: bool) -> None:
    kind = input._array.dtype.kind
    if kind in "bc" or (no_integers and kind in "iu"):
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}: convert the input, x.float()')


# -- the largest ----------------------------------------------------------------------------------------


def _max_result(input: Tensor, kernel, node_type, return_indices: bool, unbatched: bool):
    """Apply a kernel that gives the largest values and where they are; `unbatched` input has no N."""
    x = input._array[None] if unbatched else input._array
    y, index = kernel(x)
    if input._rg and MODE.enabled:
        if unbatched:
            source = input.unsqueeze(0)
            out = record(y, node_type, (source,), wrap(index), shape=x.shape).squeeze(0)
        else:
            out = record(y, node_type, (input,), wrap(index), shape=x.shape)
    else:
        out = wrap(y[0] if unbatched else y)
    if input._format is not None or input._base is not None:
        mark_format(out, input)
    if not return_indices:
        return out
    return out, wrap((index[0] if unbatched else index).astype(np.int64))


_MAX_DOC = """The largest element of each window.

    Args:
        input: (N, C, {sizes}) or (C, {sizes}).
        kernel_size: the size of a window, one number or {n}.
        stride: steps between neighbouring windows; by default the kernel's size.
        padding: positions that count as minus infinity around the input; at most half a kernel.
        dilation: steps between neighbouring elements of a window.
        ceil_mode: also take windows that go over the end.
        return_indices: also return where each was found, as int64 positions in the flattened ({sizes}).
    Returns:
        The values, or the values and their indices.
    Raises:
        RuntimeError: the input's shape or the settings do not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.max_pool{n}d(torch.arange({count}.).reshape({example}), 2).flatten()
    tensor([{value}])
    """

_AVG_DOC = """The mean of each window.

    Args:
        input: (N, C, {sizes}) or (C, {sizes}).
        kernel_size: the size of a window, one number or {n}.
        stride: steps between neighbouring windows; by default the kernel's size.
        padding: zeros around the input; at most half a kernel.
        ceil_mode: also take windows that go over the end.
        count_include_pad: count the padding in the mean.{divisor}
    Returns:
        (N, C, {sizes}').
    Raises:
        RuntimeError: the input's shape or the settings do not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.avg_pool{n}d(torch.arange({count}.).reshape({example}), 2).flatten()
    tensor([{value}])
    """

_ADAPTIVE_DOC = """The {what} of each of `output_size` windows that cover the input evenly.

    Args:
        input: (N, C, {sizes}) or (C, {sizes}).
        output_size: the number of windows, one number or {n}; None keeps the input's size.{indices}
    Returns:
        (N, C, *output_size).
    Raises:
        RuntimeError: the input's shape or the output size does not fit.

    >>> import rushlight as torch
    >>> torch.nn.functional.adaptive_{short}_pool{n}d(torch.arange({count}.).reshape({example}), 1).flatten()
    tensor([{value}])
    """


def _words(n: int, **more) -> dict:
    largest = 4**n - 1
    return {
        "n": n, "sizes": ", ".join("DHW"[-n:] if n > 1 else "L"), "count": 4**n,
        "example": ", ".join(map(str, (1, 1, *[4] * n))), "largest": largest, **more,
    }  # fmt: skip


def _listed(function, name: str, doc: str):
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return op(name=name, method=False)(function)


def _define_max(n: int):
    name, node_type = f"max_pool{n}d", _MAX_NODES[n]

    def max_pool(
        input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
    ):
        shape = check_tensor(name, input)._array.shape
        settings = _settings(name, n, shape, kernel_size, stride, padding, dilation, bool(ceil_mode))
        if input._array.dtype.kind != "f":
            _no_bool(name, input, no_integers=n == 1)
        kernel = lambda x: K.max_pool(x, *settings, ceil_mode)
        return _max_result(input, kernel, node_type, return_indices, len(shape) == n + 1)

    value = {1: "1., 3.", 2: " 5.,  7., 13., 15.", 3: "21., 23., 29., 31., 53., 55., 61., 63."}[n]
    return _listed(max_pool, name, _MAX_DOC.format(**_words(n, value=value)))


max_pool1d, max_pool2d, max_pool3d = _define_max(1), _define_max(2), _define_max(3)


def _define_with_indices(n: int, pool):
    def with_indices(
        input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
    ):
        return pool(input, kernel_size, stride, padding, dilation, ceil_mode, True)

    doc = f"`max_pool{n}d` with `return_indices=True`: the values and where each was found."
    return _listed(with_indices, f"max_pool{n}d_with_indices", doc)


max_pool1d_with_indices = _define_with_indices(1, max_pool1d)
max_pool2d_with_indices = _define_with_indices(2, max_pool2d)
max_pool3d_with_indices = _define_with_indices(3, max_pool3d)


# -- the mean -------------------------------------------------------------------------------------------


def _linear_result(input: Tensor, function, adjoint, node_type, unbatched: bool) -> Tensor:
    if unbatched:
        return apply_linear(input.unsqueeze(0), function, adjoint, node_type).squeeze(0)
    out = apply_linear(input, function, adjoint, node_type)
    if input._format is not None or input._base is not None:
        mark_format(out, input)
    return out


def _avg_pool(
    name, n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override=None
):
    shape = check_tensor(name, input)._array.shape
    if divisor_override == 0:
        raise RuntimeError(
            f"{name}: divisor must be not zero; leave divisor_override out for the size of the window"
        )
    kernel, stride, padding, _ = _settings(name, n, shape, kernel_size, stride, padding, 1, bool(ceil_mode))
    if input._array.dtype.kind != "f":
        _no_bool(name, input, no_integers=False)
    unbatched = len(shape) == n + 1
    x_shape = (1, *shape) if unbatched else shape
    settings = kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    function = lambda x: K.avg_pool(x, *settings)
    adjoint = lambda g: K.avg_pool_backward(g, x_shape, *settings)
    return _linear_result(input, function, adjoint, _AVG_NODES[n], unbatched)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None,
    *, out=None,
):  # fmt: skip
    settings = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    result = _avg_pool("avg_pool2d", 2, input, *settings)
    return result if out is None else write_out(result, out, exact=True)


def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None,
    *, out=None,
):  # fmt: skip
    settings = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    result = _avg_pool("avg_pool3d", 3, input, *settings)
    return result if out is None else write_out(result, out, exact=True)


for _n, _pool, _value in (
    (1, avg_pool1d, "0.5000, 2.5000"), (2, avg_pool2d, " 2.5000,  4.5000, 10.5000, 12.5000"),
    (3, avg_pool3d, "10.5000, 12.5000, 18.5000, 20.5000, 42.5000, 44.5000, 50.5000, 52.5000"),
):  # fmt: skip
    _divisor = (
        "\n        divisor_override: what to divide each sum by instead of the size of the window."
        if _n > 1
        else ""
    )
    _listed(_pool, f"avg_pool{_n}d", _AVG_DOC.format(**_words(_n, value=_value, divisor=_divisor)))


# -- as many windows as wanted --------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _adaptive_plan(name, n, shape, output_size) -> tuple:
    """Checks an adaptive pooling; returns the number of windows along each dimension."""
    if len(shape) <= n and n > 1 and isinstance(output_size, tuple):
        raise ValueError(
            f"{name}(): Input dimension should be at least {n + 1}, but got the shape {list(shape)}"
        )
    if len(shape) not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got: {list(shape)}")
    sizes = shape[len(shape) - n :]
    for i in range(len(shape) - n - 1 + (len(shape) == n + 1), len(shape)):
        if shape[i] == 0 and i >= len(shape) - n:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has "
                "sizes "
                f"{list(shape)} with dimension {i} being empty"
            )
    wanted = output_size if isinstance(output_size, tuple) else (output_size,) * n
    if len(wanted) != n:
        raise RuntimeError(f"{name}: output_size must be {n} numbers or one, got {list(wanted)}")
    try:
        found = tuple([size if o is None else o.__index__() for size, o in zip(sizes, wanted, strict=True)])
    except (TypeError, AttributeError):
        raise TypeError(
            f"{name}(): argument 'output_size' must be tuple of ints, not {output_size!r}"
        ) from None
    if min(found) < 0:
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received {list(found)}"
        )
    return found


def _adaptive_size(name, n, input, output_size) -> tuple:
    shape = check_tensor(name, input)._array.shape
    try:
        return _adaptive_plan(name, n, shape, output_size)
    except TypeError:
        if not isinstance(output_size, list):
            raise
        return _adaptive_plan(name, n, shape, tuple(output_size))


def _define_adaptive_avg(n: int):
    name, node_type = f"adaptive_avg_pool{n}d", _ADAPTIVE_AVG_NODES[n]

    def adaptive_avg_pool(input, output_size):
        sizes = _adaptive_size(name, n, input, output_size)
        x = input._array
        if x.dtype.kind not in "fV":
            _no_bool(name, input, no_integers=True)
        if max(sizes) == 1 and min(sizes) == 1:  # as PyTorch: the mean over everything
            return input.mean(tuple(range(-n, 0)), keepdim=True)
        unbatched = x.ndim == n + 1
        x_shape = (1, *x.shape) if unbatched else x.shape
        function = lambda x: K.adaptive_avg_pool(x, sizes)
        if 0 in sizes:
            function = lambda x: empty_by(x, (*x.shape[:2], *sizes))
        adjoint = lambda g: K.adaptive_avg_pool_backward(g, x_shape)
        return _linear_result(input, function, adjoint, node_type, unbatched)

    value = {1: "1.5000", 2: "7.5000", 3: "31.5000"}[n]
    words = _words(n, value=value, what="mean", short="avg", indices="")
    return _listed(adaptive_avg_pool, name, _ADAPTIVE_DOC.format(**words))


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = map(_define_adaptive_avg, (1, 2, 3))


def _define_adaptive_max(n: int):
    name, node_type = f"adaptive_max_pool{n}d", _ADAPTIVE_MAX_NODES[n]

    def adaptive_max_pool(input, output_size, return_indices=False):
        sizes = _adaptive_size(name, n, input, output_size)
        if input._array.dtype.kind not in "fV":
            _no_bool(name, input, no_integers=True)
        kernel = lambda x: K.adaptive_max_pool(x, sizes)
        return _max_result(input, kernel, node_type, return_indices, input._array.ndim == n + 1)

    indices = "\n        return_indices: also return where each was found, as int64 flat positions."
    words = _words(n, value=f"{4**n - 1}.", what="largest", short="max", indices=indices)
    return _listed(adaptive_max_pool, name, _ADAPTIVE_DOC.format(**words))


adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = map(_define_adaptive_max, (1, 2, 3))


def _define_adaptive_with_indices(n: int, pool):
    def with_indices(input, output_size, return_indices=False):
        return pool(input, output_size, True)

    doc = f"`adaptive_max_pool{n}d` with `return_indices=True`: the values and where each was found."
    return _listed(with_indices, f"adaptive_max_pool{n}d_with_indices", doc)


adaptive_max_pool1d_with_indices = _define_adaptive_with_indices(1, adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _define_adaptive_with_indices(2, adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _define_adaptive_with_indices(3, adaptive_max_pool3d)


# -- compositions ---------------------------------------------------------------------------------------


def _lp_pool(name, n, pool, input, norm_type, kernel_size, stride, ceil_mode):
    """The p-norm of each window, from the mean of the powers, with PyTorch's sign for odd powers."""
    kernel = _sizes(name, "kernel_size", kernel_size, n)
    powers = pool(check_tensor(name, input).pow(norm_type), kernel, stride, 0, ceil_mode)
    return (powers.sign() * powers.abs().relu()).mul(prod(kernel)).pow(1.0 / norm_type)


_LP_DOC = """The p-norm of each window: (sum of x^p) ^ (1/p).

    Args:
        input: (N, C, {sizes}) or (C, {sizes}).
        norm_type: p.
        kernel_size: the size of a window.
        stride: steps between neighbouring windows; by default the kernel's size.
        ceil_mode: also take windows that go over the end.

    >>> import rushlight as torch
    >>> torch.nn.functional.lp_pool{n}d(torch.full(({example}), 3.0), 1, 4).flatten()
    tensor([{value}.])
    """


def _define_lp(n: int, pool):
    name = f"lp_pool{n}d"

    def lp_pool(input, norm_type, kernel_size, stride=None, ceil_mode=False):
        return _lp_pool(name, n, pool, input, norm_type, kernel_size, stride, ceil_mode)

    return _listed(lp_pool, name, _LP_DOC.format(**_words(n, value=3 * 4**n)))


lp_pool1d, lp_pool2d, lp_pool3d = (
    _define_lp(1, avg_pool1d),
    _define_lp(2, avg_pool2d),
    _define_lp(3, avg_pool3d),
)


def _unpool_size(name, n, sizes, kernel, stride, padding, output_size) -> tuple:
    default = [
        (size - 1) * s + k - 2 * p for size, s, k, p in zip(sizes, stride, kernel, padding, strict=True)
    ]
    if output_size is None:
        return tuple(default)
    wanted = tuple(output_size)[-n:]
    if len(output_size) not in (n, n + 1, n + 2):
        raise ValueError(
            f"{name}: output_size should be a sequence containing {n} or {n + 2} elements, but it has a "
            f"length of '{len(output_size)}'"
        )
    for d, (size, middle, s) in enumerate(zip(wanted, default, stride, strict=True)):
        if not middle - s < size < middle + s:
            raise ValueError(
                f'invalid output_size "{wanted}" (dim {d} must be between {middle - s} and {middle + s})'
            )
    return wanted


_UNPOOL_DOC = """Put the values of a max pooling back where they came from, with zeros elsewhere.

    Args:
        input: the pooled values, (N, C, {sizes}) or (C, {sizes}).
        indices: where each was found, as `max_pool{n}d(..., return_indices=True)` gives them.
        kernel_size, stride, padding: those of the pooling.
        output_size: the size of the result, where several are possible.
    Raises:
        RuntimeError: the indices do not fit. ValueError: the output size does not fit.

    >>> import rushlight as torch
    >>> indices = torch.zeros({small}, dtype=torch.int64)
    >>> torch.nn.functional.max_unpool{n}d(torch.ones({small}), indices, 2).sum()
    tensor(1.)
    """


def _define_unpool(n: int):
    name = f"max_unpool{n}d"

    def max_unpool(input, indices, kernel_size, stride=None, padding=0, output_size=None):
        shape = check_tensor(name, input)._array.shape
        kernel = _sizes(name, "kernel_size", kernel_size, n)
        stride = kernel if stride is None else _sizes(name, "stride", stride, n)
        sizes = _unpool_size(
            name, n, shape[-n:], kernel, stride, _sizes(name, "padding", padding, n), output_size
        )
        _check_unpool(name, n, input, indices, sizes)
        index = indices._array
        if len(shape) == n + 1:
            input, index = input.unsqueeze(0), index[None]
        put, take = (lambda x: _scatter(x, index, sizes)), (lambda g: _gather(g, index))
        out = apply_linear(input, put, take, _UNPOOL_NODES[n])
        return out.squeeze(0) if len(shape) == n + 1 else out

    words = _words(n, small=", ".join("1" * (n + 2)))
    return _listed(max_unpool, name, _UNPOOL_DOC.format(**words))


def _check_unpool(name, n, input: Tensor, indices, sizes) -> None:
    shape, where = input._array.shape, check_tensor(name, indices, "indices", 2)._array
    if where.dtype != np.int64:
        raise RuntimeError(f"{name}: elements in indices should be type int64 but got: {indices.dtype}")
    if len(shape) not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name}: Expected {n + 1}D or {n + 2}D (batch mode) input, but got: {list(shape)}"
        )
    if where.shape != shape:
        raise RuntimeError(
            f"{name}: Expected shape of indices to be same as that of the input tensor ({list(shape)}) but "
            "got indices "
            f"tensor with shape: {list(where.shape)}"
        )
    wrong = (where < 0) | (where >= prod(sizes))
    if wrong.any():
        raise RuntimeError(
            f"{name}: Found an invalid max index: {where[wrong][0]} (output volumes are of size "
            f"{'x'.join(map(str, sizes))})"
        )


max_unpool1d, max_unpool2d, max_unpool3d = map(_define_unpool, (1, 2, 3))
