"""Interpolation that filters before it shrinks: each output is a weighted mean of all inputs that it covers."""

import functools

import numpy as np

from rushlight.kernels.reference.resample import taps
from rushlight.ops.adjoint import LinearNode, apply_linear
from rushlight.ops.common import Tensor, wrap


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic with a = -0.5."""
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


FILTERS = {"bilinear": (_triangle, 1.0), "bicubic": (_cubic, 2.0), "lanczos": (_lanczos, 3.0)}


def _node(mode: str) -> type[LinearNode]:
    name = f"Upsample{mode.capitalize()}2DAaBackward0"
    return type(name, (LinearNode,), {"__module__": __name__})


_NODES = {mode: _node(mode) for mode in FILTERS}


@functools.lru_cache(maxsize=64)
def _weights(have: int, out: int, mode: str, align_corners: bool, factor: float | None, kind) -> np.ndarray:
    """The (out, have) matrix of the mean along one dimension, rounded to this type where PyTorch rounds."""
    if align_corners:
        step = kind((have - 1) / (out - 1) if out > 1 else 0.0)
    else:
        step = kind(1 / factor if factor else kind(have) / kind(out))
    function, radius = FILTERS[mode]
    width = max(step, kind(1))
    center = (step * (np.arange(out, dtype=np.float64)[:, None] + 0.5)).astype(kind)
    place = np.arange(have)
    first = np.maximum((center - kind(radius) * width + 0.5).astype(np.int64), 0)
    last = np.minimum((center + kind(radius) * width + 0.5).astype(np.int64), have)
    distance = ((place.astype(kind) - center + 0.5) * (kind(1) / width)).astype(kind)
    weights = np.where((place >= first) & (place < last), function(distance), 0).astype(kind)
    total = weights.sum(1, keepdims=True)
    return weights * np.divide(kind(1), total, out=np.zeros_like(total), where=total != 0)


@functools.lru_cache(maxsize=64)
def _weights_between(have: int, out: int, mode: str, align_corners: bool, factor: float | None) -> np.ndarray:
    """The (out, have) matrix that interpolates between neighbours, without a filter."""
    index, values = taps(have, out, mode, align_corners, factor, "f8")
    weights = np.zeros((out, have))
    np.add.at(weights, (np.arange(out)[:, None], index), values)
    return weights


def _mean_of_bytes(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """One dimension, the last but one, of 8-bit images in fixed point, as Pillow and PyTorch do."""
    largest, bits = weights.max(), 0
    while bits < 22 and int(0.5 + largest * (1 << (bits + 1))) < 1 << 15:
        bits += 1
    scaled = weights * (1 << bits)
    fixed = np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int32)
    used = weights != 0
    first = used.argmax(1)
    count = int((used.shape[1] - used[:, ::-1].argmax(1) - first).max())
    first = np.minimum(first, used.shape[1] - count)
    total = np.full((*x.shape[:-2], len(fixed), x.shape[-1]), 1 << bits >> 1, np.int32)
    for place in (first + tap for tap in range(count)):
        factor = np.take_along_axis(fixed, place[:, None], 1)
        total += factor * x.take(place, -2)
    return np.clip(total >> bits, 0, 255).astype(np.uint8)


def resized_bytes(
    x: np.ndarray, sizes: tuple, mode: str, align_corners: bool, scales: tuple | None, filtered: bool
) -> np.ndarray:
    """8-bit images (N, C, H, W) in another size, first along rows, then along columns; arguments as of `antialiased`.

    Args:
        filtered: average all that an output covers; else interpolate between two or four neighbours.
    """
    make = functools.partial(_weights, kind=np.float64) if filtered else _weights_between
    down, across = (
        make(have, out, mode, align_corners, factor)
        for have, out, factor in zip(x.shape[2:], sizes, scales or (None, None), strict=True)
    )
    x = np.ascontiguousarray(x.swapaxes(2, 3))
    return _mean_of_bytes(down, np.ascontiguousarray(_mean_of_bytes(across, x).swapaxes(2, 3)))


def antialiased(input: Tensor, sizes: tuple, mode: str, align_corners: bool, scales: tuple | None) -> Tensor:
    """Resize (N, C, H, W) with a filter as wide as the step through the input.

    Args:
        input: the images.
        sizes: height and width to make.
        mode: "bilinear" (triangle), "bicubic" (Keys, a = -0.5) or "lanczos" (three lobes).
        align_corners: step through the input from the first centre to the last.
        scales: what the sizes were multiplied by, where that is known.
    Returns:
        (N, C, *sizes).

    Source: the resampling of Pillow, which PyTorch follows.
    """
    x = input._array
    if x.dtype == np.uint8:
        return wrap(resized_bytes(x, sizes, mode, align_corners, scales, filtered=True))
    kind = np.float32 if x.dtype.itemsize in (2, 4) else np.float64
    down, across = (
        _weights(have, out, mode, align_corners, factor, kind)
        for have, out, factor in zip(x.shape[2:], sizes, scales or (None, None), strict=True)
    )

    def function(x):
        return (down @ (np.asanyarray(x, kind) @ across.T)).astype(x.dtype)

    def adjoint(g):
        return (down.T @ (np.asanyarray(g, kind) @ across)).astype(g.dtype)

    return apply_linear(input, function, adjoint, _NODES[mode])
