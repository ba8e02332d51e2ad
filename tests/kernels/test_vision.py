"""The native kernels of detectors against the reference ones: layouts, regions partly or wholly outside, odd sizes."""

import numpy as np
import pytest

from rushlight import kernels as K
from rushlight.kernels.reference import vision as reference

DTYPES = ["float32", "float64"]


def _close(a, b, dtype):
    tol = 2e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


def _last(x):
    """The same values, channels last in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def _regions(rng, count, images, size, dtype):
    corners = rng.uniform(-0.3 * size, 1.3 * size, (count, 4))
    corners[: count * 3 // 4, 2:] = corners[: count * 3 // 4, :2] + rng.uniform(0, size, (count * 3 // 4, 2))
    rois = np.concatenate([rng.integers(0, images, (count, 1)), corners], 1)
    rois[0, 1:] = [1, 1, 1, 1]
    rois[1, 1:] = [0, 0, size, size]
    rois[2, 1:] = [-1e6, -1e6, 1e6, 1e6]
    rois[3, 1:] = [np.nan, 2, np.inf, 4]
    return rois.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [0, 1, 7, 300])
def test_nms(count, dtype):
    rng = np.random.default_rng(count)
    boxes = rng.uniform(0, 10, (count, 4)).astype(dtype)
    boxes[:, 2:] += boxes[:, :2]
    scores = np.round(rng.random(count), 2).astype(dtype)  # some are equal
    for threshold in (0.0, 0.3, 0.7, 1.0):
        np.testing.assert_array_equal(
            K.nms(boxes, scores, threshold), reference.nms(boxes, scores, threshold)
        )
    np.testing.assert_array_equal(
        K.nms(boxes[::2], scores[::2], 0.5), reference.nms(boxes[::2], scores[::2], 0.5)
    )


def test_nms_of_the_same_overlap_as_the_threshold():
    """An overlap of exactly the threshold is none; the threshold is not rounded to the boxes' type."""
    for dtype in DTYPES:
        boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.5], [0, 0, 1, 0.3]], dtype)
        scores = np.array([3, 2, 1], dtype)
        assert K.nms(boxes, scores, 0.5).tolist() == reference.nms(boxes, scores, 0.5).tolist() == [0, 1]
        assert (
            K.nms(boxes[[0, 2]], scores[[0, 2]], 0.3).tolist()
            == reference.nms(boxes[[0, 2]], scores[[0, 2]], 0.3).tolist()
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["corner", "centre", "cells"])
@pytest.mark.parametrize("by_place", [False, True])
def test_roi_mean(mode, by_place, dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 12, 11, 9)).astype(dtype)
    rois = _regions(rng, 40, 3, 20, dtype)
    for ratio in (-1, 1, 3):
        for scale in (0.5, 1.0):
            args = ((2, 3), scale, ratio, mode, by_place)
            with np.errstate(invalid="ignore"):
                expected = reference.roi_mean(x, rois, *args)
            g = rng.standard_normal(expected.shape).astype(dtype)
            with np.errstate(invalid="ignore"):
                gradient = reference.roi_mean_backward(g, rois, x.shape, *args[1:])
            for layout in (np.ascontiguousarray, _last):
                _close(K.roi_mean(layout(x), rois, *args), expected, dtype)
                _close(K.roi_mean_backward(layout(g), rois, x.shape, *args[1:]), gradient, dtype)
    assert K.roi_mean(x, rois[:0], *args).shape == (0, 2 if by_place else 12, 2, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_roi_max(dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 5, 11, 9)).astype(dtype)
    x[0, 0, 3, 3] = np.nan
    rois = _regions(rng, 40, 3, 20, dtype)
    rois[3] = [1, 2, 2, 4, 4]
    for scale in (0.5, 1.0):
        for layout in (np.ascontiguousarray, _last):
            for a, b in zip(
                K.roi_max(layout(x), rois, (2, 3), scale),
                reference.roi_max(x, rois, (2, 3), scale),
                strict=True,
            ):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_deform_columns(masked, dtype):
    rng = np.random.default_rng(0)
    for (height, width), kernel, stride, padding, dilation, groups in (
        ((5, 7), (3, 2), (1, 1), (1, 0), (1, 1), 1),
        ((23, 21), (3, 3), (1, 2), (2, 1), (2, 1), 3),
        ((4, 4), (1, 1), (3, 1), (0, 2), (1, 1), 2),
    ):
        out = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip((height, width), kernel, stride, padding, dilation, strict=True)
        ]
        taps = kernel[0] * kernel[1]
        x = rng.standard_normal((2, 6, height, width)).astype(dtype)
        offset = (2 * rng.standard_normal((2, 2 * groups * taps, *out))).astype(dtype)
        offset[0, 0] = 0
        offset[1, 0, 0, 0] = 1e9
        mask = rng.random((2, groups * taps, *out)).astype(dtype) if masked else None
        args = (kernel, stride, padding, dilation)
        expected = reference.deform_columns(x, offset, mask, *args)
        _close(K.deform_columns(_last(x), offset, mask, *args), expected, dtype)
        g = rng.standard_normal(expected.shape).astype(dtype)
        ours = K.deform_columns_backward(g, x, offset, mask, *args)
        for a, b in zip(ours, reference.deform_columns_backward(g, x, offset, mask, *args), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                _close(a, b, dtype)
