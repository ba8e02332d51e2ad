"""Memory layout and precision, shared by the reference kernels."""

import numpy as np


def is_channels_last(x: np.ndarray) -> bool:
    """Whether (N, C, *spatial) lies in memory as (N, *spatial, C) and not also as (N, C, *spatial)."""
    return x.ndim > 2 and not x.flags.c_contiguous and np.moveaxis(x, 1, -1).flags.c_contiguous


def to_channels_last(x: np.ndarray) -> np.ndarray:
    """`x` itself where its memory is (N, *spatial, C), else a copy that is."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def zeros_like_layout(x: np.ndarray, shape) -> np.ndarray:
    """Zeros of another shape, laid out as `x` is."""
    if not is_channels_last(x):
        return np.zeros(shape, x.dtype)
    return np.moveaxis(np.zeros((shape[0], *shape[2:], shape[1]), x.dtype), -1, 1)


def is_low_precision(dtype: np.dtype) -> bool:
    """Whether arithmetic in `dtype` (float16, bfloat16, float8) is done in float32, as PyTorch does."""
    return dtype.itemsize <= 2 and dtype.kind in "fV"


def widen(x: np.ndarray) -> np.ndarray:
    """`x` in the type that its arithmetic is done in."""
    return x.astype(np.float32) if is_low_precision(x.dtype) else x
