"""The boxes that detectors start from, for every place of every feature map."""

import math

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.vision.models.detection.image_list import ImageList


class AnchorGenerator(nn.Module):
    """Boxes of given sizes and shapes around every place.

    Args:
        sizes: for each feature map, the roots of the boxes' areas, in pixels of the picture.
        aspect_ratios: for each feature map, height over width.

    >>> from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
    >>> AnchorGenerator(((32,),), ((0.5, 1.0, 2.0),)).cell_anchors
    [tensor([[-23., -11.,  23.,  11.],
            [-16., -16.,  16.,  16.],
            [-11., -23.,  11.,  23.]])]
    """

    def __init__(self, sizes=((128, 256, 512),), aspect_ratios=((0.5, 1.0, 2.0),)):
        super().__init__()
        if not isinstance(sizes[0], (list, tuple)):
            sizes = tuple((size,) for size in sizes)
        if not isinstance(aspect_ratios[0], (list, tuple)):
            aspect_ratios = (aspect_ratios,) * len(sizes)
        self.sizes = sizes
        self.aspect_ratios = aspect_ratios
        self.cell_anchors = [
            self.generate_anchors(own, ratios) for own, ratios in zip(sizes, aspect_ratios, strict=False)
        ]

    def generate_anchors(
        self, scales: list[int], aspect_ratios: list[float], dtype=torch.float32, device=None
    ) -> Tensor:
        """The boxes around (0, 0): (ratios * scales, 4), rounded to whole pixels."""
        sizes = torch.as_tensor(scales, dtype=dtype)
        by_height = torch.sqrt(torch.as_tensor(aspect_ratios, dtype=dtype))
        widths = ((1 / by_height)[:, None] * sizes).reshape(-1)
        heights = (by_height[:, None] * sizes).reshape(-1)
        return (torch.stack([-widths, -heights, widths, heights], dim=1) / 2).round()

    def num_anchors_per_location(self) -> list[int]:
        """How many boxes each place has, for each feature map."""
        return [len(s) * len(a) for s, a in zip(self.sizes, self.aspect_ratios, strict=False)]

    def grid_anchors(self, grid_sizes: list, strides: list) -> list[Tensor]:
        """For each feature map its boxes (places * boxes per place, 4).

        Args:
            grid_sizes: (height, width) of each map.
            strides: (vertical, horizontal) distance of its places, in pixels of the picture.
        """
        if not len(grid_sizes) == len(strides) == len(self.cell_anchors):
            raise AssertionError(
                "Anchors should be Tuple[Tuple[int]] because each feature map could potentially have different sizes and "
                "aspect ratios. There needs to be a match between the number of feature maps passed and the number of "
                f"sizes / aspect ratios specified: got {len(grid_sizes)} feature maps and {len(self.cell_anchors)} sizes."
            )
        anchors = []
        for (height, width), (down, across), cell in zip(grid_sizes, strides, self.cell_anchors, strict=True):
            y, x = torch.meshgrid(
                torch.arange(0, height) * int(down), torch.arange(0, width) * int(across), indexing="ij"
            )
            shifts = torch.stack((x, y, x, y), dim=-1).reshape(-1, 1, 4)
            anchors.append((shifts + cell).reshape(-1, 4))
        return anchors

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """For each picture the boxes of all maps."""
        height, width = image_list.tensors.shape[-2:]
        sizes = [feature.shape[-2:] for feature in feature_maps]
        strides = [(height // h, width // w) for h, w in sizes]
        self.cell_anchors = [cell.to(dtype=feature_maps[0].dtype) for cell in self.cell_anchors]
        anchors = torch.cat(self.grid_anchors(sizes, strides))
        return [anchors for _ in image_list.image_sizes]


class DefaultBoxGenerator(nn.Module):
    """The boxes of SSD: for every place two squares and a pair of boxes for each shape.

    Source: Liu et al., SSD, ECCV 2016.

    Args:
        aspect_ratios: for each feature map, width over height; the box lying on its side comes with it.
        min_ratio: size of the smallest boxes as a part of the picture.
        max_ratio: size of the largest; those of maps in between are spread evenly.
        scales: the sizes themselves, one more than there are maps.
        steps: distance of the places of each map, in pixels; by default they fill the picture.
        clip: whether no box is larger than the picture.

    Raises:
        ValueError: there is another number of steps than of maps.
    """

    def __init__(
        self,
        aspect_ratios: list[list[int]],
        min_ratio: float = 0.15,
        max_ratio: float = 0.9,
        scales: list[float] | None = None,
        steps: list[int] | None = None,
        clip: bool = True,
    ):
        super().__init__()
        if steps is not None and len(aspect_ratios) != len(steps):
            raise ValueError("aspect_ratios and steps should have the same length")
        self.aspect_ratios = aspect_ratios
        self.steps = steps
        self.clip = clip
        count = len(aspect_ratios)
        if scales is None:
            scales = [min_ratio, max_ratio]
            if count > 1:
                step = max_ratio - min_ratio
                scales = [*(min_ratio + step * k / (count - 1.0) for k in range(count)), 1.0]
        self.scales = scales
        self._wh_pairs = [self._sides(k) for k in range(count)]

    def _sides(self, k: int) -> Tensor:
        """Width and height of the boxes of a map, as parts of the picture's."""
        own, between = self.scales[k], math.sqrt(self.scales[k] * self.scales[k + 1])
        sides = [[own, own], [between, between]]
        for ratio in self.aspect_ratios[k]:
            long, short = own * math.sqrt(ratio), own / math.sqrt(ratio)
            sides += [[long, short], [short, long]]
        return torch.as_tensor(sides, dtype=torch.float32)

    def num_anchors_per_location(self) -> list[int]:
        """How many boxes each place has, for each feature map."""
        return [2 + 2 * len(ratios) for ratios in self.aspect_ratios]

    def _grid(self, sizes: list, image_size: tuple[int, int], dtype) -> Tensor:
        """Centres and sides of all boxes, as parts of the picture's: (boxes, 4)."""
        found = []
        for k, (height, width) in enumerate(sizes):
            down, across = height, width
            if self.steps is not None:
                down, across = (side / self.steps[k] for side in image_size)
            y = ((torch.arange(0, height) + 0.5) / down).to(dtype=dtype)
            x = ((torch.arange(0, width) + 0.5) / across).to(dtype=dtype)
            y, x = torch.meshgrid(y, x, indexing="ij")
            sides = self._wh_pairs[k].clamp(min=0, max=1) if self.clip else self._wh_pairs[k]
            centres = torch.stack((x, y), dim=-1).reshape(-1, 1, 2).expand(-1, len(sides), -1)
            found.append(torch.cat((centres, sides.expand_as(centres)), dim=-1).reshape(-1, 4))
        return torch.cat(found)

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """For each picture the boxes of all maps, in pixels."""
        height, width = image_list.tensors.shape[-2:]
        sizes = [feature.shape[-2:] for feature in feature_maps]
        boxes = self._grid(sizes, (height, width), feature_maps[0].dtype)
        centres, sides, pixels = boxes[:, :2], boxes[:, 2:], torch.tensor([width, height])
        corners = torch.cat([(centres - 0.5 * sides) * pixels, (centres + 0.5 * sides) * pixels], -1)
        return [corners for _ in image_list.image_sizes]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(aspect_ratios={self.aspect_ratios}, clip={self.clip}, scales={self.scales}, "
            f"steps={self.steps})"
        )
