"""Upsampling, downsampling and scatter-add of rows in plain NumPy.

Every mode is separable: along a dimension an output is a weighted sum of a few inputs, its taps.
"""

from functools import lru_cache

import numpy as np

from rushlight.kernels.reference.layout import is_low_precision, widen, zeros_like_layout

_LINEAR = ("linear", "bilinear", "trilinear")


def _ratio(size, out, align_corners, scale, kind):
    """How many input positions one output position is worth, rounded as PyTorch rounds it."""
    if align_corners:
        return kind(size - 1) / kind(out - 1) if out > 1 else kind(0)
    return kind(1 / scale) if scale is not None and scale > 0 else kind(size) / kind(out)


def cubic_weights(t):
    """Keys' cubic convolution, a = -0.75, of the four positions around a fraction t, an array or a tensor.

    Source: R. Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """
    a = -0.75
    near = lambda u: ((a + 2) * u - (a + 3)) * u * u + 1
    far = lambda u: ((a * u - 5 * a) * u + 8 * a) * u - 4 * a
    return far(t + 1), near(t), near(1 - t), far(2 - t)


@lru_cache(maxsize=1024)
def taps(size, out, mode, align_corners, scale, kind):
    """Input positions int32[out, taps] and weights[out, taps] of one dimension, for arithmetic in `kind`."""
    kind = np.dtype(kind).type
    at = np.arange(out, dtype=kind)
    if mode in ("nearest", "nearest-exact"):
        ratio = _ratio(size, out, False, scale, kind)
        source = at * ratio if mode == "nearest" else (at + kind(0.5)) * ratio
        index = np.minimum(np.floor(source).astype(np.int32), size - 1)[:, None]
        return index, np.ones((out, 1), kind)
    ratio = _ratio(size, out, align_corners, scale, kind)
    source = at * ratio if align_corners else ratio * (at + kind(0.5)) - kind(0.5)
    if mode in _LINEAR:
        source = np.maximum(source, kind(0))
        low = np.minimum(np.floor(source).astype(np.int32), size - 1)
        part = np.clip(source - low.astype(kind), kind(0), kind(1))
        index, weights = (low, low + 1), (1 - part, part)
    elif mode == "bicubic":
        low = np.floor(source).astype(np.int32)
        index, weights = (low - 1, low, low + 1, low + 2), cubic_weights(source - low.astype(kind))
    else:
        raise ValueError(
            f"upsample: expected a mode of nearest, nearest-exact, linear or bicubic, got {mode!r}"
        )
    return np.clip(np.stack(index, 1), 0, size - 1), np.stack(weights, 1)


def tables(sizes, out_size, mode, align_corners, scales, dtype):
    """The taps of every spatial dimension."""
    kind = "f4" if is_low_precision(dtype) or dtype.kind not in "fV" else dtype.str
    scales = scales or (None,) * len(out_size)
    args = zip(sizes, out_size, scales, strict=True)
    return tuple(taps(n, o, mode, bool(align_corners), s, kind) for n, o, s in args)


def upsample(x, out_size, mode, align_corners=False, scales=None):
    """x[N, C, *sp] sampled on a grid of `out_size`: nearest, nearest-exact, (bi-, tri-)linear or bicubic.

    `scales` are the factors the user gave, or None where the sizes alone say it.
    """
    steps = tables(x.shape[2:], out_size, mode, align_corners, scales, x.dtype)
    if mode.startswith("nearest"):
        sampled = x[(..., *np.ix_(*(index[:, 0] for index, _ in steps)))]
    else:
        sampled = widen(x)
        for axis, (index, weights) in enumerate(steps, 2):
            weights = weights.reshape(*weights.shape, *(1,) * (x.ndim - 1 - axis))
            sampled = sum(sampled.take(index[:, t], axis) * weights[:, t] for t in range(index.shape[1]))
    y = zeros_like_layout(x, sampled.shape)
    y[...] = sampled
    return y


def upsample_backward(g, x_shape, mode, align_corners=False, scales=None):
    """The gradient of `upsample`'s x."""
    steps = tables(x_shape[2:], g.shape[2:], mode, align_corners, scales, g.dtype)
    total = widen(g)
    for axis, (index, weights) in enumerate(steps, 2):
        spread = np.zeros((x_shape[axis], *np.delete(total.shape, axis)), total.dtype)
        moved = np.moveaxis(total, axis, 0)
        for t in range(index.shape[1]):
            np.add.at(spread, index[:, t], moved * weights[:, t].reshape(-1, *(1,) * (g.ndim - 1)))
        total = np.moveaxis(spread, 0, axis)
    gx = zeros_like_layout(g, x_shape)
    gx[...] = total
    return gx


def embedding_backward(g, idx, num_rows):
    """A [num_rows, D] gradient in which row idx[i] collects g[i]."""
    total = np.zeros((num_rows, g.shape[1]), widen(g[:0]).dtype)
    np.add.at(total, idx, widen(g))
    return total.astype(g.dtype, copy=False)
