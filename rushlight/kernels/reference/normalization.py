"""Batch and layer normalisation in plain NumPy. Statistics are summed in float64."""

import numpy as np

from rushlight.kernels.reference.layout import c_order, widen


def _per_channel(v, x):
    """v[C] so that it broadcasts against x[N, C, ...]."""
    return v.reshape(-1, *(1,) * (x.ndim - 2))


def _affine(normal, w, b):
    if w is not None:
        normal = normal * widen(w)
    return normal if b is None else normal + widen(b)


def _statistics(x, axes, eps):
    """Mean, 1 / sqrt(variance + eps) and biased variance over `axes`, in the type of the arithmetic."""
    x = widen(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        count = np.prod([x.shape[a] for a in axes])
        mean = np.sum(x, axes, np.float64, keepdims=True) / count
        var = np.sum(np.square(x - mean), axes) / count
    kind = x.dtype
    return mean.reshape(var.shape).astype(kind), (1 / np.sqrt(var + eps)).astype(kind), var.astype(kind)


def batch_norm_train(x, w, b, eps):
    """Normalise each channel of x[N, C, ...] by its own statistics: y, mean[C], rstd[C], var_biased[C]."""
    mean, rstd, var = _statistics(x, (0, *range(2, x.ndim)), eps)
    return _normalise_channels(x, mean, rstd, w, b), mean, rstd, var


def _normalise_channels(x, mean, rstd, w, b):
    scale = rstd if w is None else rstd * widen(w)
    shift = -mean * scale if b is None else widen(b) - mean * scale
    return (widen(x) * _per_channel(scale, x) + _per_channel(shift, x)).astype(x.dtype, copy=False)


def batch_norm_eval(x, mean, var, w, b, eps):
    """Normalise each channel of x[N, C, ...] by given statistics."""
    rstd = 1 / np.sqrt(widen(var) + widen(var).dtype.type(eps))
    return _normalise_channels(x, widen(mean), rstd, w, b)


def batch_norm_backward(g, x, mean, rstd, w, train):
    """Gradients of x, weight and bias. With `train` the statistics were x's own and carry gradient too."""
    wide = widen(g)
    axes = (0, *range(2, x.ndim))
    normal = (widen(x) - _per_channel(mean, x)) * _per_channel(rstd, x)
    gb = np.sum(wide, axes, np.float64)
    gw = np.sum(wide * normal, axes, np.float64)
    scale = rstd if w is None else rstd * widen(w)
    if train:
        count = max(1, x.size // max(1, mean.size))
        wide = wide - _per_channel((gb / count).astype(wide.dtype), x)
        wide = wide - normal * _per_channel((gw / count).astype(wide.dtype), x)
    gx = (wide * _per_channel(scale, x)).astype(x.dtype, copy=False)
    kind = x.dtype if w is None else w.dtype
    return gx, gw.astype(kind), gb.astype(kind)


def layer_norm(x, w, b, eps):
    """Normalise each row of x[M, K], then scale and shift by w[K], b[K]. Returns y, mean[M], rstd[M]."""
    mean, rstd, _ = _statistics(x, (1,), eps)
    normal = (widen(x) - mean[:, None]) * rstd[:, None]
    return _affine(normal, w, b).astype(x.dtype, copy=False), mean, rstd


def group_norm(x, w, b, groups, eps):
    """Normalise groups of channels of each sample of x[N, C, ...], then scale and shift by w[C], b[C].

    Returns y, mean[N * groups], rstd[N * groups].
    """
    rows = x.shape[0] * groups
    if not x.size:
        return np.empty_like(x), np.zeros(rows, widen(x).dtype), np.zeros(rows, widen(x).dtype)
    normal, mean, rstd = layer_norm(widen(c_order(x)).reshape(rows, -1), None, None, eps)
    w, b = (None if v is None else _per_channel(v, x) for v in (w, b))
    return _affine(normal.reshape(x.shape), w, b).astype(x.dtype, copy=False), mean, rstd


def group_norm_backward(g, x, mean, rstd, w, groups):
    """Gradients of `group_norm`'s x, w and b."""
    rows = (x.shape[0] * groups, -1)
    axes = (0, *range(2, x.ndim))
    wide, flat = widen(g), widen(c_order(x)).reshape(rows)
    normal = ((flat - mean[:, None]) * rstd[:, None]).reshape(x.shape)
    scaled = wide if w is None else wide * _per_channel(widen(w), x)
    gx = layer_norm_backward(scaled.reshape(rows), flat, mean, rstd, None)[0].reshape(x.shape)
    kind = x.dtype if w is None else w.dtype
    gw, gb = np.sum(wide * normal, axes, np.float64), np.sum(wide, axes, np.float64)
    return gx.astype(x.dtype, copy=False), gw.astype(kind), gb.astype(kind)


def layer_norm_backward(g, x, mean, rstd, w):
    """Gradients of `layer_norm`'s x, w and b."""
    normal = (widen(x) - mean[:, None]) * rstd[:, None]
    wide = widen(g)
    gb, gw = np.sum(wide, 0, np.float64), np.sum(wide * normal, 0, np.float64)
    scaled = wide if w is None else wide * widen(w)
    part = scaled - scaled.mean(1, keepdims=True, dtype=np.float64)
    part = part - normal * (scaled * normal).mean(1, keepdims=True, dtype=np.float64)
    gx = (part * rstd[:, None]).astype(x.dtype, copy=False)
    kind = x.dtype if w is None else w.dtype
    return gx, gw.astype(kind), gb.astype(kind)
