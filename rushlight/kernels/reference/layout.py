"""Memory layout and precision, shared by the reference kernels."""

import numpy as np

from rushlight.phantom import Phantom, make


def is_channels_last(x: np.ndarray) -> bool:
    """Whether (N, C, *spatial) lies in memory as (N, *spatial, C) and not also as (N, C, *spatial)."""
    return x.ndim > 2 and not x.flags.c_contiguous and np.moveaxis(x, 1, -1).flags.c_contiguous


def c_order(x: np.ndarray, dtype=None) -> np.ndarray:
    """`x` with its elements in memory in the order of its indices; itself where that is so."""
    if dtype is not None and x.dtype != dtype:
        return x.astype(dtype, order="C")
    return x if x.flags.c_contiguous else x.copy()


def _maker(create, doc: str):
    def by(x: np.ndarray, shape, dtype=None) -> np.ndarray:
        kind = x.dtype if dtype is None else dtype
        return make(shape, kind) if type(x) is Phantom else create(shape, kind)

    by.__doc__ = f"""{doc} of this shape, of the type of `x` by default, and like `x` without data where it has none."""
    return by


empty_by = _maker(np.empty, "An array")
zeros_by, ones_by = _maker(np.zeros, "Zeros"), _maker(np.ones, "Ones")


def eye_by(x: np.ndarray, rows: int, columns: int | None = None, dtype=None) -> np.ndarray:
    """Ones on a diagonal, in the manner of `zeros_by`."""
    kind = x.dtype if dtype is None else dtype
    columns = rows if columns is None else columns
    return make((rows, columns), kind) if type(x) is Phantom else np.eye(rows, columns, dtype=kind)


def to_channels_last(x: np.ndarray) -> np.ndarray:
    """`x` itself where its memory is (N, *spatial, C), else a copy that is."""
    return np.moveaxis(c_order(np.moveaxis(x, 1, -1)), -1, 1)


def zeros_like_layout(x: np.ndarray, shape) -> np.ndarray:
    """Zeros of another shape, laid out as `x` is."""
    if not is_channels_last(x):
        return zeros_by(x, shape)
    return np.moveaxis(zeros_by(x, (shape[0], *shape[2:], shape[1])), -1, 1)


def is_low_precision(dtype: np.dtype) -> bool:
    """Whether arithmetic in `dtype` (float16, bfloat16, float8) is done in float32, as PyTorch does."""
    return dtype.itemsize <= 2 and dtype.kind in "fV"


def widen(x: np.ndarray) -> np.ndarray:
    """`x` in the type that its arithmetic is done in."""
    return x.astype(np.float32) if is_low_precision(x.dtype) else x
