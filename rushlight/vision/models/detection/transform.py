"""What is done to pictures and targets before a detector, and to its detections after it."""

import math
from typing import Any

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.nn import functional as F
from rushlight.vision.models.detection._masks import paste_masks_in_image
from rushlight.vision.models.detection._utils import sizes_of
from rushlight.vision.models.detection.image_list import ImageList


class GeneralizedRCNNTransform(nn.Module):
    """Normalises pictures, resizes them with their targets, and puts them into one tensor.

    Args:
        min_size: the shorter side of the resized picture; of several, one is drawn in training and the last one else.
        max_size: the longer side is at most this, though the shorter becomes smaller then.
        image_mean: of each channel; subtracted.
        image_std: of each channel; divided by.
        size_divisible: pictures are padded to a multiple of it.
        fixed_size: (width, height) that every picture is resized to instead.
        **kwargs: `_skip_resize=True` leaves the size as it is in training.
    """

    def __init__(
        self,
        min_size,
        max_size: int,
        image_mean: list[float],
        image_std: list[float],
        size_divisible: int = 32,
        fixed_size: tuple[int, int] | None = None,
        **kwargs: Any,
    ):
        super().__init__()
        self.min_size = min_size if isinstance(min_size, (list, tuple)) else (min_size,)
        self.max_size = max_size
        self.image_mean = image_mean
        self.image_std = image_std
        self.size_divisible = size_divisible
        self.fixed_size = fixed_size
        self._skip_resize = kwargs.pop("_skip_resize", False)

    def forward(self, images: list[Tensor], targets: list[dict] | None = None):
        """The pictures as an `ImageList`, and the targets that go with them; what was given stays as it is.

        Raises:
            ValueError: a picture is not (C, H, W). TypeError: it does not have floating point numbers.
        """
        results, moved = [], []
        for i, image in enumerate(images):
            if image.dim() != 3:
                raise ValueError(
                    f"images is expected to be a list of 3d tensors of shape [C, H, W], got {image.shape}"
                )
            target = None if targets is None else dict(targets[i])
            image, target = self.resize(self.normalize(image), target)
            results.append(image)
            moved.append(target)
        sizes = sizes_of(results)
        batch = self.batch_images(results, size_divisible=self.size_divisible)
        return ImageList(batch, sizes), None if targets is None else moved

    def normalize(self, image: Tensor) -> Tensor:
        """The picture (C, H, W) less the mean, divided by the deviation."""
        if not image.is_floating_point():
            raise TypeError(
                "Expected input images to be of floating type (in range [0, 1]), but found type "
                f"{image.dtype} instead"
            )
        mean = torch.as_tensor(self.image_mean, dtype=image.dtype)
        std = torch.as_tensor(self.image_std, dtype=image.dtype)
        return (image - mean[:, None, None]) / std[:, None, None]

    def _shorter_side(self) -> int:
        if not self.training:
            return self.min_size[-1]
        return self.min_size[int(torch.empty(1).uniform_(0.0, float(len(self.min_size))).item())]

    def resize(self, image: Tensor, target: dict | None = None):
        """A picture and its target in the size that the detector takes."""
        before = image.shape[-2:]
        if self.training and self._skip_resize:
            return image, target
        shorter = self._shorter_side()
        how: dict[str, Any] = {"recompute_scale_factor": True}
        how["scale_factor"] = min(shorter / min(before), self.max_size / max(before))
        if self.fixed_size is not None:
            how = {"size": [self.fixed_size[1], self.fixed_size[0]]}
        image = F.interpolate(image[None], mode="bilinear", align_corners=False, **how)[0]
        if target is None:
            return image, target
        after = image.shape[-2:]
        if "masks" in target:
            target["masks"] = F.interpolate(target["masks"][:, None].float(), **how)[:, 0].byte()
        target["boxes"] = resize_boxes(target["boxes"], before, after)
        if "keypoints" in target:
            target["keypoints"] = resize_keypoints(target["keypoints"], before, after)
        return image, target

    def batch_images(self, images: list[Tensor], size_divisible: int = 32) -> Tensor:
        """Pictures (C, H, W) in one tensor, zeros to the right of them and below."""
        channels, height, width = (max(image.shape[d] for image in images) for d in range(3))
        height, width = (math.ceil(side / size_divisible) * size_divisible for side in (height, width))
        batch = images[0].new_full((len(images), channels, height, width), 0)
        for place, image in zip(batch, images, strict=True):
            place[: image.shape[0], : image.shape[1], : image.shape[2]].copy_(image)
        return batch

    def postprocess(
        self,
        result: list[dict],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[dict]:
        """Detections in pixels of the pictures as they were given; in training nothing is done."""
        if self.training:
            return result
        for own, now, before in zip(result, image_shapes, original_image_sizes, strict=True):
            own["boxes"] = resize_boxes(own["boxes"], now, before)
            if "masks" in own:
                own["masks"] = paste_masks_in_image(own["masks"], own["boxes"], before)
            if "keypoints" in own:
                own["keypoints"] = resize_keypoints(own["keypoints"], now, before)
        return result

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(\n    Normalize(mean={self.image_mean}, std={self.image_std})\n    Resize(min_size="
            f"{self.min_size}, max_size={self.max_size}, mode='bilinear')\n)"
        )


def _ratios(original_size, new_size) -> list[Tensor]:
    """New over old, for height and width."""
    wide = lambda side: torch.tensor(side, dtype=torch.float32)
    return [wide(new) / wide(old) for new, old in zip(new_size, original_size, strict=True)]


def resize_keypoints(keypoints: Tensor, original_size, new_size) -> Tensor:
    """Keypoints (..., 3) as x, y and visibility, of a picture that was resized from (height, width) to another."""
    down, across = _ratios(original_size, new_size)
    return torch.stack((keypoints[..., 0] * across, keypoints[..., 1] * down, keypoints[..., 2]), dim=-1)


def resize_boxes(boxes: Tensor, original_size, new_size) -> Tensor:
    """Boxes (N, 4) of a picture that was resized from (height, width) to another."""
    down, across = _ratios(original_size, new_size)
    return boxes * torch.stack((across, down, across, down))
