"""Matrix products, linear layers and convolutions in plain NumPy."""

import itertools

import numpy as np

from rushlight.kernels.reference.layout import c_order, to_channels_last, widen


def matmul(a, b, out=None):
    """a[..., M, K] @ b[..., K, N]; leading dimensions broadcast."""
    result = np.matmul(widen(a), widen(b)).astype(a.dtype, copy=False)
    if out is None:
        return result
    np.copyto(out, result)
    return out


def linear(x, w, b=None, relu=False):
    """x[M, K] times w[N, K] transposed, plus b[N], and max(0, .) of it where `relu`."""
    y = widen(x) @ widen(w).T
    if b is not None:
        y += widen(b)
    if relu:
        np.maximum(y, 0, out=y)
    return y.astype(x.dtype, copy=False)


def linear_backward_input(g, w):
    """The gradient of `linear`'s x, given its output's g[M, N]."""
    return matmul(g, w)


def linear_backward_weight(g, x, with_bias=True):
    """The gradients of `linear`'s w and b (None without `with_bias`)."""
    return matmul(g.T, x), (widen(g).sum(0).astype(g.dtype, copy=False) if with_bias else None)


def _pad(x, padding):
    if not any(padding):
        return x
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))


def _windows(x, kernel, out, stride, dilation):
    """What each output position sees of a padded x[N, C, *sp]: a view [N, C, *out, *kernel]."""
    steps = x.strides[2:]
    strides = (*x.strides[:2], *(n * s for n, s in zip(steps, stride, strict=True)),
               *(n * d for n, d in zip(steps, dilation, strict=True)))  # fmt: skip
    return np.lib.stride_tricks.as_strided(
        x, (*x.shape[:2], *out, *kernel), strides, subok=True, writeable=False
    )


def _columns(x, kernel, out, stride, padding, dilation, groups):
    """The windows as matrices [groups, N * out, C/groups * kernel]."""
    view = _windows(_pad(widen(x), padding), kernel, out, stride, dilation)
    n, c, dims = x.shape[0], x.shape[1], len(out)
    view = view.reshape(n, groups, c // groups, *out, *kernel)
    order = (1, 0, *range(3, 3 + dims), 2, *range(3 + dims, 3 + 2 * dims))
    rows, depth = n * int(np.prod(out)), c // groups * int(np.prod(kernel))
    return view.transpose(order).reshape(groups, rows, depth)


def _rows(g, groups):
    """An output [N, O, *out] as matrices [groups, N * out, O/groups]."""
    rows = np.moveaxis(widen(g), 1, -1).reshape(
        g.shape[0] * int(np.prod(g.shape[2:])), groups, g.shape[1] // groups
    )
    return rows.transpose(1, 0, 2)


def _filters(w, groups):
    """The weight [O, C/groups, *kernel] as matrices [groups, O/groups, C/groups * kernel]."""
    return widen(w).reshape(groups, w.shape[0] // groups, int(np.prod(w.shape[1:])))


def conv_output_size(size, kernel, stride, padding, dilation):
    """The spatial dimensions of a convolution's output."""
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )


def conv(x, w, b, stride, padding, dilation, groups, relu=False):
    """Convolution (cross-correlation) of x[N, C, *sp] with w[O, C/groups, *k]; channels-last in memory."""
    kernel = w.shape[2:]
    out = conv_output_size(x.shape[2:], kernel, stride, padding, dilation)
    columns = _columns(x, kernel, out, stride, padding, dilation, groups)
    y = columns @ _filters(w, groups).transpose(0, 2, 1)
    y = y.transpose(1, 0, 2).reshape(x.shape[0], *out, w.shape[0])
    if b is not None:
        y += widen(b)
    if relu:
        np.maximum(y, 0, out=y)
    return np.moveaxis(c_order(y.astype(x.dtype, copy=False)), -1, 1)


def conv_backward_input(g, w, x_shape, stride, padding, dilation, groups):
    """The gradient of `conv`'s x: every output position adds its window back. Also transposed convolution."""
    n, kernel, out = x_shape[0], w.shape[2:], g.shape[2:]
    columns = _rows(g, groups) @ _filters(w, groups)  # [groups, N * out, C/groups * kernel]
    columns = columns.reshape(groups, n, *out, x_shape[1] // groups, *kernel)
    columns = np.moveaxis(columns, 0, 1 + len(out)).reshape(n, *out, x_shape[1], *kernel)
    padded = tuple(size + 2 * p for size, p in zip(x_shape[2:], padding, strict=True))
    total = np.zeros((n, *padded, x_shape[1]), columns.dtype)
    for offset in itertools.product(*map(range, kernel)):
        where = tuple(
            slice(o * d, o * d + s * (m - 1) + 1, s)
            for o, d, s, m in zip(offset, dilation, stride, out, strict=True)
        )
        total[(slice(None), *where)] += columns[(..., *offset)]
    inside = tuple(slice(p, p + size) for p, size in zip(padding, x_shape[2:], strict=True))
    return to_channels_last(np.moveaxis(total[(slice(None), *inside)], -1, 1).astype(g.dtype, copy=False))


def conv_backward_weight(g, x, w_shape, stride, padding, dilation, groups, with_bias=True):
    """The gradients of `conv`'s w and b (None without `with_bias`)."""
    columns = _columns(x, w_shape[2:], g.shape[2:], stride, padding, dilation, groups)
    rows = _rows(g, groups)
    gw = (rows.transpose(0, 2, 1) @ columns).reshape(w_shape).astype(g.dtype, copy=False)
    axes = (0, *range(2, g.ndim))
    return gw, (widen(g).sum(axes).astype(g.dtype, copy=False) if with_bias else None)
