"""Running sums and products, and elements at positions along one axis, in plain NumPy."""

import numpy as np

from rushlight.kernels.reference.layout import c_order


def scan(x, axis, product=False, reverse=False):
    """The running sum, or product, along an axis, from its start or from its end. Floats run in float64."""
    ufunc = np.multiply if product else np.add
    wide = x.astype(np.float64) if x.dtype.kind in "fV" else x
    wide = np.flip(wide, axis) if reverse else wide
    found = ufunc.accumulate(wide, axis, dtype=wide.dtype).astype(x.dtype, copy=False)
    return c_order(np.flip(found, axis)) if reverse else found


def grid(index, axis):
    """Where gather and scatter read or write: the index along `axis`, an element's own place elsewhere."""
    where = []
    for d in range(index.ndim):
        if d == axis:
            where.append(index)
        else:
            where.append(np.arange(index.shape[d]).reshape((-1,) + (1,) * (index.ndim - 1 - d)))
    return tuple(where)


def gather(x, index, axis):
    """out[i][j] = x[index[i][j]][j] for axis 0; the index is nowhere else larger than x."""
    return c_order(x[grid(index, axis)])


def scatter_add(x, index, values, axis):
    """x[index[i][j]][j] += values[i][j] for axis 0, in place."""
    if x.ndim > 1 and x.flags.c_contiguous:  # NumPy is quick at it in one dimension only
        flat = np.ravel_multi_index(np.broadcast_arrays(*grid(index, axis)), x.shape)
        np.add.at(x.reshape(-1), flat.reshape(-1), c_order(values).reshape(-1))
    else:
        np.add.at(x, grid(index, axis), values)
    return x


def topk(x, k, largest):
    """Where the k largest or smallest elements of the last axis are, in order; nan counts as the largest."""
    n = x.shape[-1]
    if not k or k * 4 >= n or x.dtype.kind == "V":
        return c_order(order(x, -1, largest)[..., :k])
    if largest:
        some = np.argpartition(x, n - k, -1)[..., n - k :]
    else:
        some = np.argpartition(x, k - 1, -1)[..., :k]
    return np.take_along_axis(some, order(np.take_along_axis(x, some, -1), -1, largest), -1)


def order(x, axis, descending):
    """Indices that sort along an axis; equal elements keep their order, nan counts as the largest."""
    if not descending:
        return np.argsort(x, axis, kind="stable")
    backwards = np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    return x.shape[axis] - 1 - backwards


__all__ = ["gather", "scan", "scatter_add", "topk"]
