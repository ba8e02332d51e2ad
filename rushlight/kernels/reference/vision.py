"""What detectors need, in plain NumPy: suppression of overlapping boxes, pooling of regions, deformable convolutions.

A region is (image, x1, y1, x2, y2). Pooling cuts it into size[0] x size[1] bins. Means are linear and separable: along
each dimension a matrix says what each input position contributes to each bin. `mode` says which one:

- `corner`: samples in each bin, interpolated, where the first pixel's corner is at 0 and no side is below 1 (RoIAlign);
- `centre`: the same, where the first pixel's centre is at 0 and sides are as given (RoIAlign with `aligned`);
- `cells`: all pixels that a bin touches, after rounding of the region to pixels (R-FCN's pooling).

`by_place` (position-sensitive pooling) gives every bin channels of its own.
"""

from itertools import product

import numpy as np

from rushlight.kernels.reference.layout import widen


def nms(boxes, scores, threshold):
    """Positions of the boxes that no better box overlaps by more than `threshold`, best first.

    Args:
        boxes: [N, 4] as x1, y1, x2, y2. scores: [N]; of equal ones the first is better.
    """
    order = np.argsort(-scores, kind="stable")
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1) * (y2 - y1)
    gone = np.zeros(len(order), bool)
    kept = []
    for at, best in enumerate(order):
        if gone[best]:
            continue
        kept.append(best)
        others = order[at + 1 :]
        width = np.minimum(x2[best], x2[others]) - np.maximum(x1[best], x1[others])
        height = np.minimum(y2[best], y2[others]) - np.maximum(y1[best], y1[others])
        both = np.maximum(width, 0) * np.maximum(height, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            gone[others] |= (both / (areas[best] + areas[others] - both)).astype(np.float64) > threshold
    return np.array(kept, np.int64)


def _rounded(values):
    """To the nearest integer, halves away from zero, within what arrays can have; no number becomes 0."""
    nearest = np.copysign(np.floor(np.abs(np.float64(values)) + 0.5), values)
    return np.clip(np.nan_to_num(nearest), -(2**30), 2**30).astype(np.int64)


def _cells(start, end, bins, size, limit, least=0):
    """First and past-the-last position of each bin of a region that is rounded to pixels.

    Args:
        limit: where positions are cut off. least: what is added to the length, 1 where the last pixel counts.
    """
    low, high = int(_rounded(start)), int(_rounded(end))
    each = start.dtype.type(max(high - low + least, 1)) / start.dtype.type(bins)
    k = np.arange(bins + 1).astype(start.dtype)
    first = np.floor(k[:-1] * each).astype(np.int64) + low
    last = np.ceil(k[1:] * each).astype(np.int64) + low
    return np.clip(first, 0, limit), np.clip(last, 0, limit)


def _interpolated(start, length, bins, ratio, size):
    """What each position contributes to each bin, by samples that are interpolated: [bins, size]."""
    kind = start.dtype.type
    matrix = np.zeros((bins, size), start.dtype)
    each = length / kind(bins)
    count = ratio if ratio > 0 else np.ceil(each)
    if not np.isfinite(start) or not np.isfinite(each) or count <= 0:
        return matrix
    step = each / kind(count)
    for k in range(bins):
        first = start + kind(k) * each
        # Samples beyond the picture count as zeros; those near it are numbered from `low` to `high`.
        low, high = 0, count
        if step > 0:
            low = max(0, np.floor((-1 - first) / step) - 1)
            high = min(count, np.ceil((size - first) / step) + 1)
        at = first + (np.arange(low, high).astype(start.dtype) + kind(0.5)) * step
        at = np.maximum(at[(at >= -1) & (at <= size)], 0)
        below = np.minimum(at.astype(np.int64), size - 1)
        part = np.where(below == size - 1, 0, at - below).astype(start.dtype)
        np.add.at(matrix[k], below, (1 - part) / kind(count))
        np.add.at(matrix[k], np.minimum(below + 1, size - 1), part / kind(count))
    return matrix


def _contributions(start, end, bins, size, ratio, mode):
    """[bins, size] of one region along one dimension; `start` and `end` are in pixels of the input."""
    if mode != "cells":
        shift = start.dtype.type(0.5 if mode == "centre" else 0)
        length = (end - shift) - (start - shift)
        length = length if mode == "centre" else np.maximum(length, start.dtype.type(1))
        return _interpolated(start - shift, length, bins, ratio, size)
    matrix = np.zeros((bins, size), start.dtype)
    for k, (first, last) in enumerate(zip(*_cells(start, end, bins, size, size - 1), strict=True)):
        matrix[k, first:last] = 1 / max(last - first, 1)
    return matrix


def _regions(rois, shape, size, scale, ratio, mode):
    """For each region its image and what rows and columns contribute."""
    rois = widen(rois)
    corners = rois[:, 1:] * rois.dtype.type(scale)
    for image, (x1, y1, x2, y2) in zip(rois[:, 0].astype(np.int64), corners, strict=True):
        rows = _contributions(y1, y2, size[0], shape[2], ratio, mode)
        yield image, rows, _contributions(x1, x2, size[1], shape[3], ratio, mode)


def roi_mean(x, rois, size, scale, ratio, mode, by_place):
    """Means over the bins of regions.

    Args:
        x: [N, C, H, W]. rois: [K, 5]. size: bins by rows and columns. scale: from the regions' units to pixels of x.
        ratio: samples per bin and dimension; as many as the bin has pixels where it is not positive.
    Returns:
        [K, C, *size]; [K, C / prod(size), *size] where `by_place`.
    """
    channels = x.shape[1] // (size[0] * size[1] if by_place else 1)
    y = np.zeros((len(rois), channels, *size), x.dtype)
    for k, (image, rows, columns) in enumerate(_regions(rois, x.shape, size, scale, ratio, mode)):
        if by_place:
            parts = widen(x[image]).reshape(channels, *size, *x.shape[2:])
            y[k] = np.einsum("ph,cpqhw,qw->cpq", rows, parts, columns)
        else:
            y[k] = rows @ widen(x[image]) @ columns.T
    return y


def roi_mean_backward(g, rois, shape, scale, ratio, mode, by_place):
    """The gradient of `roi_mean`'s x, which has this shape."""
    size = g.shape[2:]
    gx = np.zeros(shape, widen(g).dtype)
    for k, (image, rows, columns) in enumerate(_regions(rois, shape, size, scale, ratio, mode)):
        if by_place:
            parts = np.einsum("ph,cpq,qw->cpqhw", rows, widen(g[k]), columns)
            gx[image] += parts.reshape(gx.shape[1:])
        else:
            gx[image] += rows.T @ widen(g[k]) @ columns
    return gx.astype(g.dtype, copy=False)


def roi_max(x, rois, size, scale):
    """The largest values in the bins of regions, which are rounded to pixels, and their positions.

    Returns:
        [K, C, *size], zeros where a bin is empty; flat positions of the same shape in H x W, -1 where it is empty.
    """
    height, width = x.shape[2:]
    rois = widen(rois)
    corners = rois[:, 1:] * rois.dtype.type(scale)
    y = np.zeros((len(rois), x.shape[1], *size), x.dtype)
    where = np.full(y.shape, -1, np.int64)
    for k, (x1, y1, x2, y2) in enumerate(corners):
        rows = list(zip(*_cells(y1, y2, size[0], height, height, 1), strict=True))
        columns = list(zip(*_cells(x1, x2, size[1], width, width, 1), strict=True))
        planes = x[int(rois[k, 0])]
        for (p, (top, bottom)), (q, (left, right)) in product(enumerate(rows), enumerate(columns)):
            part = planes[:, top:bottom, left:right].reshape(len(planes), -1)
            if part.shape[1]:
                best = part.argmax(1)
                y[k, :, p, q] = part[np.arange(len(part)), best]
                down, across = np.divmod(best, right - left)
                where[k, :, p, q] = (top + down) * width + left + across
    return y, where


def _places(x, offset, kernel, stride, padding, dilation):
    """Where a deformable convolution looks, in pixels: rows and columns, each [N, groups, taps, *out]."""
    n, out = offset.shape[0], offset.shape[2:]
    taps = kernel[0] * kernel[1]
    moved = widen(offset).reshape(n, -1, taps, 2, *out)
    found = []
    for d in range(2):
        tap = np.arange(kernel[d]) * dilation[d] - padding[d]
        tap = np.repeat(tap, kernel[1]) if d == 0 else np.tile(tap, kernel[0])
        step = (np.arange(out[d]) * stride[d]).reshape((-1, 1) if d == 0 else (1, -1))
        found.append(tap[:, None, None] + step + moved[:, :, :, d])
    return found


def _neighbours(rows, columns, height, width):
    """For the four pixels around each place: position, weight, and how that changes with rows and columns."""
    inside = (rows > -1) & (rows < height) & (columns > -1) & (columns < width)
    rows, columns = np.where(inside, rows, 0), np.where(inside, columns, 0)
    top, left = np.floor(rows), np.floor(columns)
    down, across = rows - top, columns - left
    for i, j in product(range(2), repeat=2):
        y, x = top.astype(np.int64) + i, left.astype(np.int64) + j
        there = inside & (y >= 0) & (y < height) & (x >= 0) & (x < width)
        by_row, by_column = (down if i else 1 - down), (across if j else 1 - across)
        changes = [(1 if i else -1) * by_column * there, (1 if j else -1) * by_row * there]
        yield np.where(there, y * width + x, 0), by_row * by_column * there, *changes


def _sampled(x, offset, kernel, stride, padding, dilation):
    """x as [N, groups, channels, H * W], and its four neighbours of each place, flattened to [N, groups, places]."""
    rows, columns = _places(x, offset, kernel, stride, padding, dilation)
    n, groups = rows.shape[:2]
    flat = widen(x).reshape(n, groups, x.shape[1] // groups, -1)
    corners = _neighbours(rows, columns, *x.shape[2:])
    return flat, [[part.reshape(n, groups, 1, -1) for part in corner] for corner in corners]


def deform_columns(x, offset, mask, kernel, stride, padding, dilation):
    """What the taps of a deformable convolution see.

    Args:
        x: [N, C, H, W]. offset: [N, groups * taps * 2, *out], rows before columns. mask: [N, groups * taps, *out] or None.
    Returns:
        [N, C * taps, out[0] * out[1]].
    """
    flat, corners = _sampled(x, offset, kernel, stride, padding, dilation)
    total = sum(np.take_along_axis(flat, at, 3) * weight for at, weight, _, _ in corners)
    if mask is not None:
        total = total * widen(mask).reshape(*total.shape[:2], 1, -1)
    taps = kernel[0] * kernel[1]
    return total.reshape(x.shape[0], x.shape[1] * taps, -1).astype(x.dtype, copy=False)


def deform_columns_backward(g, x, offset, mask, kernel, stride, padding, dilation):
    """The gradients of `deform_columns`'s x, offset and mask (None without one)."""
    flat, corners = _sampled(x, offset, kernel, stride, padding, dilation)
    incoming = widen(g).reshape(*flat.shape[:3], -1)
    strength = 1 if mask is None else widen(mask).reshape(*flat.shape[:2], 1, -1)
    gx = np.zeros(flat.size, flat.dtype)
    start = np.arange(flat.size // max(flat.shape[3], 1)).reshape(*flat.shape[:3], 1) * flat.shape[3]
    by_row = by_column = by_mask = 0
    for at, weight, row, column in corners:
        np.add.at(gx, start + at, incoming * weight * strength)
        dot = (np.take_along_axis(flat, at, 3) * incoming).sum(2, keepdims=True)
        by_row, by_column, by_mask = by_row + dot * row, by_column + dot * column, by_mask + dot * weight
    taps = kernel[0] * kernel[1]
    pair = np.stack([(part * strength).reshape(*flat.shape[:2], taps, -1) for part in (by_row, by_column)], 3)
    gmask = None if mask is None else by_mask.reshape(mask.shape).astype(mask.dtype, copy=False)
    gx = gx.reshape(x.shape).astype(x.dtype, copy=False)
    return gx, pair.reshape(offset.shape).astype(offset.dtype, copy=False), gmask


__all__ = [
    "deform_columns",
    "deform_columns_backward",
    "nms",
    "roi_max",
    "roi_mean",
    "roi_mean_backward",
]
