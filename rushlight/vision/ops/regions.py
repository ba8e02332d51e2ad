"""Pooling of regions of feature maps: parts of fixed size from boxes of any size.

Regions are boxes (x1, y1, x2, y2): a list with a tensor (L, 4) for each picture of the batch, or a tensor (K, 5) whose
first column is the number of the picture. No gradient flows to them.
"""

import functools

import numpy as np

import rushlight as torch
from rushlight import kernels as K
from rushlight.nn import Module
from rushlight.nn.modules.utils import _pair
from rushlight.ops.adjoint import LinearNode, apply_linear
from rushlight.ops.common import Tensor, check_tensor, record, recording, wrap


class _RoiAlignFunctionBackward(LinearNode):
    pass


class _RoiPoolFunctionBackward(LinearNode):
    pass


class _PSRoiAlignFunctionBackward(LinearNode):
    pass


class _PSRoiPoolFunctionBackward(LinearNode):
    pass


def regions_of(boxes) -> Tensor:
    """Regions as one tensor (K, 5).

    Raises:
        AssertionError: they have another shape.
    """
    if isinstance(boxes, Tensor):
        if boxes.dim() != 2 or boxes.shape[1] != 5:
            raise AssertionError(
                f"The boxes tensor shape is not correct as Tensor[K, 5]: got {list(boxes.shape)}"
            )
        return boxes
    if not isinstance(boxes, (list, tuple)):
        raise AssertionError("boxes is expected to be a Tensor[L, 5] or a List[Tensor[K, 4]]")
    for own in boxes:
        if own.dim() != 2 or own.shape[1] != 4:
            raise AssertionError(
                "The shape of the tensor in the boxes list is not correct as List[Tensor[L, 4]]: got "
                f"{list(own.shape)}"
            )
    numbers = [torch.full_like(own[:, :1], i) for i, own in enumerate(boxes)]
    return torch.cat([torch.cat(numbers), torch.cat(list(boxes))], dim=1)


def _checked(name: str, input, boxes, output_size) -> tuple[Tensor, np.ndarray, tuple[int, int]]:
    """Input, regions and size of the output, which fit together."""
    check_tensor(name, input, "input", 1)
    rois, size = regions_of(boxes).detach(), _pair(output_size)
    if input.dim() != 4:
        raise RuntimeError(f"{name}(): input should be [N, C, H, W], got {list(input.shape)}")
    if torch.is_autocast_enabled("cpu"):
        input, rois = (t if t.dtype == torch.float64 else t.float() for t in (input, rois))
    if input.dtype != rois.dtype:
        raise RuntimeError(
            f"{name}(): expected input and rois to have the same type, got {input.dtype} and {rois.dtype}; convert the "
            "boxes with .to(input.dtype)"
        )
    numbers = rois._array[:, 0]
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < input.shape[0]):
        raise RuntimeError(
            f"{name}(): the first column of boxes should be numbers of pictures from 0 to {input.shape[0] - 1}, got "
            f"{numbers.min()} to {numbers.max()}"
        )
    return input, np.ascontiguousarray(rois._array), tuple(int(n) for n in size)


def _mean(name, node, input, boxes, output_size, scale, ratio, mode, by_place=False):
    """A pooling that is linear in its input."""
    kind = getattr(input, "dtype", None)
    input, rois, size = _checked(name, input, boxes, output_size)
    if by_place and input.shape[1] % (size[0] * size[1]):
        raise RuntimeError(
            f"{name}(): input channels must be a multiple of pooling height * pooling width, got {input.shape[1]} "
            f"channels and {size[0]} * {size[1]} bins"
        )
    how = (float(scale), int(ratio), mode, by_place)
    shape = tuple(input.shape)
    forward = lambda x: K.roi_mean(x, rois, size, *how)
    backward = lambda g: K.roi_mean_backward(g, rois, shape, *how)
    return apply_linear(input, forward, backward, node).to(kind)


def roi_align(
    input,
    boxes,
    output_size,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
):
    """Means over the bins of regions, of samples that are interpolated.

    Source: He et al., Mask R-CNN, ICCV 2017.

    Args:
        input: (N, C, H, W).
        boxes: regions, see above.
        output_size: bins: one number, or (rows, columns).
        spatial_scale: what coordinates are multiplied by, 0.5 for a feature map of half the picture's size.
        sampling_ratio: samples per bin along each dimension; as many as the bin has pixels where it is not positive.
        aligned: shift coordinates by half a pixel, so that pixels' centres are at whole numbers, as the paper means it.

    Returns:
        (K, C, *output_size).

    Raises:
        AssertionError, RuntimeError: shapes or types do not fit.

    >>> from rushlight.vision.ops import roi_align
    >>> x = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_align(x, [torch.tensor([[0.0, 0.0, 4.0, 4.0]])], 2, aligned=True)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    mode = "centre" if aligned else "corner"
    return _mean(
        "roi_align", _RoiAlignFunctionBackward, input, boxes, output_size, spatial_scale, sampling_ratio, mode
    )


def ps_roi_align(input, boxes, output_size, spatial_scale: float = 1.0, sampling_ratio: int = -1):
    """`roi_align` where every bin has channels of its own (position-sensitive).

    Source: Li et al., Light-Head R-CNN, 2017.

    Args:
        input: (N, C * rows * columns, H, W).
        boxes: regions, see above.
        output_size: bins: one number, or (rows, columns).
        spatial_scale: what coordinates are multiplied by.
        sampling_ratio: samples per bin along each dimension; as many as the bin has pixels where it is not positive.

    Returns:
        (K, C, *output_size).
    """
    return _mean(
        "ps_roi_align", _PSRoiAlignFunctionBackward, input, boxes, output_size, spatial_scale, sampling_ratio,
        "centre", True,
    )  # fmt: skip


def ps_roi_pool(input, boxes, output_size, spatial_scale: float = 1.0):
    """Means over the bins of regions that are rounded to pixels, where every bin has channels of its own.

    The last row and the last column of the input never count, as in torchvision.

    Source: Dai et al., R-FCN, NeurIPS 2016.

    Args:
        input: (N, C * rows * columns, H, W).
        boxes: regions, see above.
        output_size: bins: one number, or (rows, columns).
        spatial_scale: what coordinates are multiplied by.

    Returns:
        (K, C, *output_size).
    """
    return _mean(
        "ps_roi_pool", _PSRoiPoolFunctionBackward, input, boxes, output_size, spatial_scale, 0, "cells", True
    )


def _take(x: np.ndarray, images: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Elements of x [N, C, H, W] at flat positions where[K, C, ...] of the pictures images[K]; zeros at -1."""
    flat = x.reshape(*x.shape[:2], -1)[images]
    found = np.take_along_axis(flat, np.maximum(where, 0).reshape(*where.shape[:2], -1), 2)
    return np.where(where >= 0, found.reshape(where.shape), 0).astype(x.dtype, copy=False)


def _put(g: np.ndarray, images: np.ndarray, where: np.ndarray, shape: tuple) -> np.ndarray:
    """The adjoint of `_take`."""
    n, c, h, w = shape
    starts = ((images[:, None] * c + np.arange(c)) * (h * w)).reshape(*where.shape[:2], 1, 1)
    inside = where >= 0
    gx = np.bincount((starts + where)[inside], g[inside].astype(np.float64), minlength=n * c * h * w)
    return gx.reshape(shape).astype(g.dtype)


def roi_pool(input, boxes, output_size, spatial_scale: float = 1.0):
    """The largest values in the bins of regions that are rounded to pixels.

    Source: Girshick, Fast R-CNN, ICCV 2015.

    Args:
        input: (N, C, H, W).
        boxes: regions, see above.
        output_size: bins: one number, or (rows, columns).
        spatial_scale: what coordinates are multiplied by.

    Returns:
        (K, C, *output_size), zeros where a bin lies outside.

    >>> from rushlight.vision.ops import roi_pool
    >>> x = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_pool(x, [torch.tensor([[0.0, 0.0, 3.0, 3.0]])], 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    kind = getattr(input, "dtype", None)
    input, rois, size = _checked("roi_pool", input, boxes, output_size)
    values, where = K.roi_max(input._array, rois, size, float(spatial_scale))
    images = rois[:, 0].astype(np.int64)
    take = functools.partial(_take, images=images, where=where)
    put = functools.partial(_put, images=images, where=where, shape=tuple(input.shape))
    if not recording(input):
        return wrap(values).to(kind)
    pooled = record(values, _RoiPoolFunctionBackward, (input,), function=take, adjoint=put)
    return pooled.to(kind)


class _RegionPool(Module):
    """What the layers below share: their settings, and how they print them."""

    settings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self.settings)})"
        )


class RoIAlign(_RegionPool):
    """`roi_align` as a layer, called with the input and the regions."""

    settings = ("output_size", "spatial_scale", "sampling_ratio", "aligned")

    def __init__(self, output_size, spatial_scale: float, sampling_ratio: int, aligned: bool = False):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input, rois):
        return roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)


class PSRoIAlign(_RegionPool):
    """`ps_roi_align` as a layer, called with the input and the regions."""

    settings = ("output_size", "spatial_scale", "sampling_ratio")

    def __init__(self, output_size, spatial_scale: float, sampling_ratio: int):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio

    def forward(self, input, rois):
        return ps_roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)


class RoIPool(_RegionPool):
    """`roi_pool` as a layer, called with the input and the regions."""

    settings = ("output_size", "spatial_scale")

    def __init__(self, output_size, spatial_scale: float):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input, rois):
        return roi_pool(input, rois, self.output_size, self.spatial_scale)


class PSRoIPool(RoIPool):
    """`ps_roi_pool` as a layer, called with the input and the regions."""

    def forward(self, input, rois):
        return ps_roi_pool(input, rois, self.output_size, self.spatial_scale)
