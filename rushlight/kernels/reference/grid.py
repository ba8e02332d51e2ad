"""Sampling of images and volumes at given places, in plain NumPy.

A place is one coordinate per dimension, from -1 to 1. Along each dimension a sample has a few taps: positions in the
input, their weights, and how the weights change with the coordinate.
"""

from itertools import product
from math import prod

import numpy as np

from rushlight.kernels.reference.layout import widen, zeros_like_layout
from rushlight.kernels.reference.resample import cubic_weights


def _cubic_slopes(t):
    """The derivatives of `cubic_weights` by t."""
    a = -0.75
    near = lambda u: (3 * (a + 2) * u - 2 * (a + 3)) * u
    far = lambda u: (3 * a * u - 10 * a) * u + 8 * a
    return far(t + 1), near(t), -near(1 - t), -far(2 - t)


def _reflected(at, low, high):
    """Positions reflected at two bounds, as often as it takes, and the sign of the change."""
    if low == high:
        return np.zeros_like(at), np.zeros_like(at)
    span = at.dtype.type(high - low)
    off = at - at.dtype.type(low)
    sign = np.where(off < 0, -1, 1).astype(at.dtype)
    off = np.abs(off)
    times, rest = np.floor(off / span), np.fmod(off, span)
    even = np.fmod(times, 2) == 0
    return np.where(even, rest, span - rest) + at.dtype.type(low), np.where(even, sign, -sign)


def _padded(at, size, padding, align_corners):
    """Positions brought into the input, and how they change with those given."""
    slope = np.ones_like(at)
    if padding == "reflection":
        at, slope = _reflected(at, *((0, size - 1) if align_corners else (-0.5, size - 0.5)))
    if padding != "zeros":
        slope = np.where((at > 0) & (at < size - 1), slope, 0)
        at = np.fmin(np.fmax(at, 0), at.dtype.type(size - 1))  # no number becomes 0
    return at, slope


def places(coordinate, size, mode, padding, align_corners):
    """The taps of coordinates along one dimension.

    Returns:
        For each tap the positions, and whether they are inside; the fraction of the way from one position to the next,
        on which `weights` depend; and how that changes with the coordinate.
    """
    scale = coordinate.dtype.type(size - 1) / 2 if align_corners else coordinate.dtype.type(size) / 2
    at = (coordinate + 1) * scale if align_corners else ((coordinate + 1) * size - 1) / 2
    change = np.full_like(at, scale)
    if mode != "bicubic":
        at, slope = _padded(at, size, padding, align_corners)
        change = slope * scale
    if mode == "nearest":
        positions, part = [np.rint(at)], np.zeros_like(at)
    else:
        low = np.floor(at)
        part = at - low
        positions = [low + t for t in ((0, 1) if mode == "bilinear" else (-1, 0, 1, 2))]
        if mode == "bicubic":
            positions = [_padded(position, size, padding, align_corners)[0] for position in positions]
    inside = [(position >= 0) & (position <= size - 1) for position in positions]
    index = [np.where(i, position, 0).astype(np.int64) for i, position in zip(inside, positions, strict=True)]
    return index, inside, part, change


def weights(part, mode):
    """The weight of each tap; `part` is an array or a tensor."""
    if mode == "bicubic":
        return cubic_weights(part)
    return (1 - part, part) if mode == "bilinear" else (part * 0 + 1,)


def _slopes(part, mode):
    """The derivatives of `weights` by `part`."""
    if mode == "bicubic":
        return _cubic_slopes(part)
    return (-1, 1) if mode == "bilinear" else (0,)


def _taps(coordinate, size, mode, padding, align_corners):
    """Positions, weights and derivatives of the weights by the coordinate: three lists, an entry per tap."""
    index, inside, part, change = places(coordinate, size, mode, padding, align_corners)
    found = [w * i for w, i in zip(weights(part, mode), inside, strict=True)]
    return index, found, [s * change * i for s, i in zip(_slopes(part, mode), inside, strict=True)]


def _corners(grid, sizes, mode, padding, align_corners):
    """For each combination of taps: flat positions [N, P], and the weights and their derivatives by dimension."""
    n = len(sizes)
    flat = widen(grid).reshape(grid.shape[0], prod(grid.shape[1:-1]), n)
    axes = [_taps(flat[..., n - 1 - d], sizes[d], mode, padding, align_corners) for d in range(n)]
    for taps in product(range(len(axes[0][0])), repeat=n):
        index = 0
        for d, t in enumerate(taps):
            index = index * sizes[d] + axes[d][0][t]
        yield index, [axes[d][1][t] for d, t in enumerate(taps)], [axes[d][2][t] for d, t in enumerate(taps)]


def _take(flat, index):
    """Elements [N, C, P] of flat[N, C, S] at index[N, P]."""
    return np.take_along_axis(flat, index[:, None], 2)


@np.errstate(invalid="ignore")
def grid_sample(x, grid, mode="bilinear", padding="zeros", align_corners=False):
    """x[N, C, *sizes] at the places grid[N, *out, n]: [N, C, *out]. In a place the last dimension comes first."""
    sizes = x.shape[2:]
    flat = widen(x).reshape(*x.shape[:2], prod(sizes))
    total = np.zeros((*x.shape[:2], prod(grid.shape[1:-1])), flat.dtype)
    for index, shares, _ in _corners(grid, sizes, mode, padding, align_corners):
        total += _take(flat, index) * prod(shares)[:, None]
    y = zeros_like_layout(x, (*x.shape[:2], *grid.shape[1:-1]))
    y[...] = total.reshape(y.shape)
    return y


@np.errstate(invalid="ignore")
def grid_sample_backward(g, x, grid, mode="bilinear", padding="zeros", align_corners=False, need_x=True):
    """The gradients of `grid_sample`'s x (None unless it is needed) and grid."""
    sizes = x.shape[2:]
    n, c = x.shape[:2]
    points = prod(grid.shape[1:-1])
    flat, incoming = widen(x).reshape(n, c, prod(sizes)), widen(g).reshape(n, c, points)
    gx = np.zeros(flat.size, flat.dtype) if need_x else None
    first = np.arange(n * c).reshape(n, c, 1) * prod(sizes)
    ggrid = np.zeros((n, points, len(sizes)), flat.dtype)
    for index, shares, changes in _corners(grid, sizes, mode, padding, align_corners):
        if need_x:
            np.add.at(gx, first + index[:, None], incoming * prod(shares)[:, None])
        if mode != "nearest":
            dot = (_take(flat, index) * incoming).sum(1)
            for d in range(len(sizes)):
                ggrid[..., -1 - d] += dot * prod([*shares[:d], changes[d], *shares[d + 1 :]])
    if need_x:
        gx = gx.reshape(x.shape).astype(x.dtype, copy=False)
    return gx, ggrid.reshape(grid.shape).astype(grid.dtype, copy=False)
