"""Pooling of regions from the level of a feature pyramid that suits their size."""

import math

import rushlight as torch
from rushlight.nn import Module
from rushlight.vision.ops.boxes import box_area
from rushlight.vision.ops.regions import regions_of, roi_align


class LevelMapper:
    """The level of a feature pyramid for each box: one more for twice the size.

    Source: Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017, equation 1.

    Args:
        k_min: first level there is.
        k_max: last level there is.
        canonical_scale: size (the root of the area) of boxes that belong to
        canonical_level: this level.
        eps: added before rounding.
    """

    def __init__(
        self,
        k_min: int,
        k_max: int,
        canonical_scale: int = 224,
        canonical_level: int = 4,
        eps: float = 1e-6,
    ):
        self.k_min = k_min
        self.k_max = k_max
        self.s0 = canonical_scale
        self.lvl0 = canonical_level
        self.eps = eps

    def __call__(self, boxlists: list):
        """For each box of all lists its level (int64), counted from `k_min`."""
        size = torch.sqrt(torch.cat([box_area(boxes) for boxes in boxlists]))
        level = torch.floor(self.lvl0 + torch.log2(size / self.s0) + torch.tensor(self.eps, dtype=size.dtype))
        return torch.clamp(level, min=self.k_min, max=self.k_max).to(torch.int64) - self.k_min


def _scale(feature, size: tuple[int, int]) -> float:
    """How much smaller a feature map is than pictures of this size: a power of two."""
    return 2.0 ** round(math.log2(feature.shape[-2] / size[0]))


class MultiScaleRoIAlign(Module):
    """`roi_align` from several feature maps, for each region from the one that suits its size.

    Args:
        featmap_names: which maps to use.
        output_size: bins: one number, or (rows, columns).
        sampling_ratio: as in `roi_align`.
        canonical_scale: size (the root of the area) of boxes that belong to
        canonical_level: this level of the pyramid, the one whose maps are 2**canonical_level smaller than pictures.

    >>> from rushlight.vision.ops import MultiScaleRoIAlign
    >>> pool = MultiScaleRoIAlign(["0", "1"], 3, 2)
    >>> maps = {"0": torch.zeros(1, 5, 16, 16), "1": torch.zeros(1, 5, 8, 8)}
    >>> pool(maps, [torch.tensor([[0.0, 0.0, 30.0, 20.0]])], [(64, 64)]).shape
    torch.Size([1, 5, 3, 3])
    """

    def __init__(
        self,
        featmap_names: list[str],
        output_size,
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
    ):
        super().__init__()
        self.featmap_names = featmap_names
        self.sampling_ratio = sampling_ratio
        self.output_size = (output_size,) * 2 if isinstance(output_size, int) else tuple(output_size)
        self.scales = None
        self.map_levels = None
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def _set_up(self, maps: list, image_shapes: list) -> None:
        """Find out, once, how much smaller the maps are than the pictures."""
        if not image_shapes:
            raise ValueError("images list should not be empty")
        size = max(shape[0] for shape in image_shapes), max(shape[1] for shape in image_shapes)
        self.scales = [_scale(feature, size) for feature in maps]
        first, last = (round(-math.log2(scale)) for scale in (self.scales[0], self.scales[-1]))
        self.map_levels = LevelMapper(first, last, self.canonical_scale, self.canonical_level)

    def forward(self, x: dict, boxes: list, image_shapes: list):
        """Pooled regions (K, C, *output_size).

        Args:
            x: feature maps (N, C, H, W) by name, largest first.
            boxes: for each picture (L, 4), in pixels of the picture.
            image_shapes: (height, width) of each picture.
        """
        maps = [feature for name, feature in x.items() if name in self.featmap_names]
        if self.scales is None or self.map_levels is None:
            self._set_up(maps, image_shapes)
        if len(maps) == 1:
            return roi_align(maps[0], boxes, self.output_size, self.scales[0], self.sampling_ratio)
        rois, levels = regions_of(boxes), self.map_levels(boxes)
        result = torch.zeros((len(rois), maps[0].shape[1], *self.output_size), dtype=maps[0].dtype)
        for level, (feature, scale) in enumerate(zip(maps, self.scales, strict=True)):
            own = torch.where(levels == level)[0]
            pooled = roi_align(feature, rois[own], self.output_size, scale, self.sampling_ratio)
            result[own] = pooled.to(result.dtype)
        return result

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio})"
        )
