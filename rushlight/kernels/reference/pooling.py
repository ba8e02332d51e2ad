"""Pooling in plain NumPy: the windows of each dimension are listed, and the rest follows from the lists."""

from functools import lru_cache

import numpy as np

from rushlight.kernels.reference.layout import widen, zeros_like_layout


def pool_output_size(size, kernel, stride, padding, dilation, ceil_mode):
    """The output length of one pooled dimension; the last window starts before the right padding."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    out = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (out - 1) * stride >= size + padding:
        out -= 1
    return out


@lru_cache(maxsize=1024)
def max_windows(size, kernel, stride, padding, dilation, ceil_mode):
    """First position and end of each window within the input, and the step between its positions."""
    out = pool_output_size(size, kernel, stride, padding, dilation, ceil_mode)
    first = np.arange(out) * stride - padding
    end = np.minimum(first + (kernel - 1) * dilation + 1, size)
    first = np.where(first < 0, first + -(first // dilation) * dilation, first)
    return first.astype(np.int32), end.astype(np.int32), dilation


@lru_cache(maxsize=1024)
def avg_windows(size, kernel, stride, padding, ceil_mode, count_include_pad):
    """First position, end and number of counted positions of each window."""
    out = pool_output_size(size, kernel, stride, padding, 1, ceil_mode)
    first = np.arange(out) * stride - padding
    end = np.minimum(first + kernel, size + padding)
    inside, until = np.maximum(first, 0), np.minimum(end, size)
    count = end - first if count_include_pad else until - inside
    return inside.astype(np.int32), until.astype(np.int32), count.astype(np.int32)


@lru_cache(maxsize=1024)
def adaptive_windows(size, out):
    """First position, end and length of `out` windows that cover `size` positions evenly."""
    index = np.arange(out)
    first, end = index * size // out, -(-(index + 1) * size // out)
    return first.astype(np.int32), end.astype(np.int32), (end - first).astype(np.int32)


def max_over(x, windows):
    """Largest value of each window, and where in the spatial plane it is; the last NaN of a window wins."""
    sizes = x.shape[2:]
    longest = [max((int(e - f - 1) // step + 1 for f, e in zip(first, end, strict=True)), default=1)
               for first, end, step in windows]  # fmt: skip
    plane = np.arange(int(np.prod(sizes)), dtype=np.int32).reshape(sizes)
    start = np.ix_(*(np.minimum(first, n - 1) for (first, _, _), n in zip(windows, sizes, strict=True)))
    nonempty = _outer_and([first < end for first, end, _ in windows])
    y, index = x[(..., *start)], np.broadcast_to(plane[start], (*x.shape[:2], *nonempty.shape)).copy()
    if x.dtype.kind in "fV":
        y = np.where(nonempty, y, np.asanyarray(-np.inf, x.dtype))
    for offset in np.ndindex(*longest):
        position = [first + o * step for (first, _, step), o in zip(windows, offset, strict=True)]
        inside = _outer_and([p < end for p, (_, end, _) in zip(position, windows, strict=True)])
        at = np.ix_(*(np.minimum(p, n - 1) for p, n in zip(position, sizes, strict=True)))
        value = x[(..., *at)]
        better = inside & ((value > y) | (value != value))
        y, index = np.where(better, value, y), np.where(better, plane[at], index)
    values, where = zeros_like_layout(x, y.shape), zeros_like_layout(x, y.shape).astype(np.int32)
    values[...], where[...] = y, index
    return values, where


def _outer_and(masks):
    result = np.ones((), bool)
    for mask in masks:
        result = result[..., None] & mask
    return result


@lru_cache(maxsize=1024)
def max_tables(sizes, kernel, stride, padding, dilation, ceil_mode):
    """`max_windows` of every dimension."""
    args = zip(sizes, kernel, stride, padding, dilation, strict=True)
    return tuple(max_windows(*each, bool(ceil_mode)) for each in args)


@lru_cache(maxsize=1024)
def avg_tables(sizes, kernel, stride, padding, ceil_mode, count_include_pad):
    """`avg_windows` of every dimension."""
    args = zip(sizes, kernel, stride, padding, strict=True)
    return tuple(avg_windows(*each, bool(ceil_mode), bool(count_include_pad)) for each in args)


@lru_cache(maxsize=1024)
def adaptive_tables(sizes, out_size):
    """`adaptive_windows` of every dimension."""
    return tuple(adaptive_windows(n, o) for n, o in zip(sizes, out_size, strict=True))


@lru_cache(maxsize=1024)
def adaptive_max_tables(sizes, out_size):
    """`adaptive_windows` of every dimension, as `max_windows` puts them."""
    return tuple((first, end, 1) for first, end, _ in adaptive_tables(sizes, out_size))


def max_pool(x, kernel, stride, padding, dilation, ceil_mode):
    """Largest value of each window of x[N, C, *sp], and its int32 flat index in the spatial plane."""
    return max_over(x, max_tables(x.shape[2:], kernel, stride, padding, dilation, ceil_mode))


def adaptive_max_pool(x, out_size):
    """`max_pool` over windows that cover x evenly, `out_size` of them in each dimension."""
    return max_over(x, adaptive_max_tables(x.shape[2:], out_size))


def max_pool_backward(g, idx, x_shape):
    """The gradient of a max pool's input: each output's goes to the position it came from."""
    total = np.zeros((x_shape[0] * x_shape[1], int(np.prod(x_shape[2:]))), widen(g[:0]).dtype)
    planes = np.arange(len(total))[:, None]
    shape = (len(total), int(np.prod(g.shape[2:])))
    np.add.at(total, (planes, idx.reshape(shape)), widen(g).reshape(shape))
    gx = zeros_like_layout(g, x_shape)
    gx[...] = total.reshape(x_shape)
    return gx


def _slice(x, axis, first, end):
    return x[(slice(None),) * axis + (slice(first, end),)]


def _sum_over(x, windows):
    """The sum of each window, one dimension after the other."""
    with np.errstate(all="ignore"):
        for axis, (first, end, _) in enumerate(windows, 2):
            parts = [_slice(x, axis, f, e).sum(axis) for f, e in zip(first, end, strict=True)]
            x = np.stack(parts, axis)
    return x


def _spread_over(g, windows, sizes):
    """The gradient of `_sum_over`."""
    for axis, ((first, end, _), size) in enumerate(zip(windows, sizes, strict=True), 2):
        gx = np.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
        for i, (f, e) in enumerate(zip(first, end, strict=True)):
            _slice(gx, axis, f, e)[...] += _slice(g, axis, i, i + 1)
        g = gx
    return g


def _counts(windows, divisor):
    """How many positions each window's mean counts."""
    total = np.ones((), np.int64)
    for _, _, count in windows:
        total = total[..., None] * count
    return np.full(total.shape, divisor) if divisor else total


def mean_over(x, windows, divisor=None):
    """The mean of each window, or its sum over `divisor`."""
    mean = _sum_over(widen(x), windows) / _counts(windows, divisor).astype(widen(x[:0]).dtype)
    y = zeros_like_layout(x, mean.shape)
    y[...] = mean
    return y


def mean_over_backward(g, x_shape, windows, divisor=None):
    """The gradient of `mean_over`'s x."""
    share = widen(g) / _counts(windows, divisor).astype(widen(g[:0]).dtype)
    gx = zeros_like_layout(g, x_shape)
    gx[...] = _spread_over(share, windows, x_shape[2:])
    return gx


def avg_pool(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override=None):
    """Mean of each window of x[N, C, *sp]."""
    tables = avg_tables(x.shape[2:], kernel, stride, padding, ceil_mode, count_include_pad)
    return mean_over(x, tables, divisor_override)


def avg_pool_backward(
    g, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override=None
):
    """The gradient of `avg_pool`'s x."""
    tables = avg_tables(x_shape[2:], kernel, stride, padding, ceil_mode, count_include_pad)
    return mean_over_backward(g, x_shape, tables, divisor_override)


def adaptive_avg_pool(x, out_size):
    """Mean over windows that cover x evenly, `out_size` of them in each dimension."""
    return mean_over(x, adaptive_tables(x.shape[2:], out_size))


def adaptive_avg_pool_backward(g, x_shape):
    """The gradient of `adaptive_avg_pool`'s x."""
    return mean_over_backward(g, x_shape, adaptive_tables(x_shape[2:], g.shape[2:]))
