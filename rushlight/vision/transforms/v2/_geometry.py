"""Transforms that move pixels, and with them boxes and points."""

import warnings
from collections.abc import Sequence

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.vision import tv_tensors
from rushlight.vision.transforms import _geometry as v1
from rushlight.vision.transforms._base import check_sequence, randint, setup_angle, setup_size, uniform
from rushlight.vision.transforms._functional_pil import _is_pil_image
from rushlight.vision.transforms._warp import perspective_coefficients
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2._base import (
    RandomApplied,
    Transform,
    check_padding,
    check_padding_mode,
    fill_of,
    get_bounding_boxes,
    has_all,
    has_any,
    is_pure_tensor,
    number_or_pair,
    query_size,
    setup_fill,
)  # fmt: skip
from rushlight.vision.transforms.v2.functional._geometry import parse_padding
from rushlight.vision.transforms.v2.functional._meta import XYXY, converted


class RandomHorizontalFlip(RandomApplied):
    """Left and right exchanged, with probability `p`."""

    _v1_transform_cls = v1.RandomHorizontalFlip

    def transform(self, inpt, params):
        """The input flipped."""
        return self._call_kernel(F.horizontal_flip, inpt)


class RandomVerticalFlip(RandomApplied):
    """Upside down, with probability `p`."""

    _v1_transform_cls = v1.RandomVerticalFlip

    def transform(self, inpt, params):
        """The input flipped."""
        return self._call_kernel(F.vertical_flip, inpt)


class Resize(Transform):
    """The image in another size.

    Args:
        size: (height, width), or the length of the shorter side, or None with `max_size`.
        interpolation: an `InterpolationMode`, its name, or Pillow's number; masks always take the nearest pixel.
        max_size: the longer side is at most that.
        antialias: filter before shrinking (tensors); Pillow always does.

    >>> from rushlight.vision.transforms import v2
    >>> v2.Resize((2, 3))
    Resize(size=[2, 3], interpolation=bilinear, antialias=True)
    """

    _v1_transform_cls = v1.Resize

    def __init__(self, size, interpolation="bilinear", max_size=None, antialias=True):
        super().__init__()
        if size is None and not isinstance(max_size, int):
            raise ValueError(f"max_size must be an integer when size is None, but got {max_size} instead.")
        if not (
            size is None or isinstance(size, int) or (isinstance(size, Sequence) and len(size) in (1, 2))
        ):
            raise ValueError(
                f"size can be an integer, a sequence of one or two integers, or None, but got {size} instead."
            )
        self.size = size if size is None else [size] if isinstance(size, int) else list(size)
        self.interpolation = interpolation
        self.max_size = max_size
        self.antialias = antialias

    def transform(self, inpt, params):
        """The input in the new size."""
        return self._call_kernel(F.resize, inpt, self.size, self.interpolation, self.max_size, self.antialias)


class CenterCrop(Transform):
    """The middle of the image, padded with 0 where the image is smaller.

    Args:
        size: height and width, or one number for both.
    """

    _v1_transform_cls = v1.CenterCrop

    def __init__(self, size):
        super().__init__()
        self.size = setup_size(size)

    def transform(self, inpt, params):
        """The middle of the input."""
        return self._call_kernel(F.center_crop, inpt, self.size)


class RandomResizedCrop(Transform):
    """A random part of the image, in one size.

    Args:
        size: height and width to make, or one number for both.
        scale: smallest and largest part of the area.
        ratio: smallest and largest width / height.
        interpolation: an `InterpolationMode`, its name, or Pillow's number.
        antialias: filter before shrinking (tensors); Pillow always does.

    Source: Szegedy et al., Going Deeper with Convolutions, CVPR 2015.
    """

    _v1_transform_cls = v1.RandomResizedCrop

    def __init__(
        self, size, scale=(0.08, 1.0), ratio=(3.0 / 4.0, 4.0 / 3.0), interpolation="bilinear", antialias=True
    ):
        super().__init__()
        self.size = setup_size(size)
        for name, value in (("Scale", scale), ("Ratio", ratio)):
            if not isinstance(value, Sequence) or len(value) != 2:
                raise TypeError(f"{name} should be a sequence of two floats.")
        if scale[0] > scale[1] or ratio[0] > ratio[1]:
            warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=2)
        self.scale = scale
        self.ratio = ratio
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs):
        """Draws the part."""
        place = v1.draw_resized_crop(*query_size(flat_inputs), self.scale, self.ratio)
        return dict(zip(("top", "left", "height", "width"), place, strict=True))

    def transform(self, inpt, params):
        """The part of the input, in the new size."""
        return self._call_kernel(
            F.resized_crop,
            inpt,
            **params,
            size=self.size,
            interpolation=self.interpolation,
            antialias=self.antialias,
        )


class FiveCrop(Transform):
    """A tuple of the four corners and the middle.

    Args:
        size: height and width, or one number for both.
    """

    _v1_transform_cls = v1.FiveCrop

    def __init__(self, size):
        super().__init__()
        self.size = setup_size(size)

    def check_inputs(self, flat_inputs):
        """Boxes and masks cannot be cut into several."""
        if has_any(flat_inputs, tv_tensors.BoundingBoxes, tv_tensors.Mask):
            raise TypeError(f"BoundingBoxes'es and Mask's are not supported by {type(self).__name__}()")

    def transform(self, inpt, params):
        """The crops of the input."""
        warn_of_marks(self, inpt)
        return self._call_kernel(F.five_crop, inpt, self.size)


class TenCrop(FiveCrop):
    """`FiveCrop` of the image and of the image flipped.

    Args:
        size: height and width, or one number for both.
        vertical_flip: upside down, not from left to right.
    """

    _v1_transform_cls = v1.TenCrop

    def __init__(self, size, vertical_flip=False):
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def transform(self, inpt, params):
        """The crops of the input."""
        warn_of_marks(self, inpt)
        return self._call_kernel(F.ten_crop, inpt, self.size, self.vertical_flip)


def warn_of_marks(transform, inpt) -> None:
    """Say that boxes, points and masks are left as they are."""
    if isinstance(inpt, (tv_tensors.BoundingBoxes, tv_tensors.KeyPoints, tv_tensors.Mask)):
        warnings.warn(
            f"{type(transform).__name__}() is currently passing through inputs of type "
            f"tv_tensors.{type(inpt).__name__}. This will likely change in the future.",
            stacklevel=3,
        )


class _Filling(Transform):
    """A transform with a colour for what is outside of the image, by the type of input."""

    def _set_fill(self, fill) -> None:
        self.fill = fill
        self._fill = setup_fill(fill)

    def _filled(self, functional, inpt, **kwargs):
        return self._call_kernel(functional, inpt, fill=fill_of(self._fill, type(inpt)), **kwargs)


class Pad(_Filling):
    """The image with a border.

    Args:
        padding: one width; or left-right and top-bottom; or left, top, right and bottom.
        fill: the border's colour, or a dict of colours by the type of input, with the key "others" for the rest.
        padding_mode: "constant", "edge", "reflect" or "symmetric".
    """

    _v1_transform_cls = v1.Pad

    def __init__(self, padding, fill=0, padding_mode="constant"):
        super().__init__()
        check_padding(padding)
        check_padding_mode(padding_mode)
        self.padding = padding if isinstance(padding, int) else list(padding)
        self._set_fill(fill)
        self.padding_mode = padding_mode

    def transform(self, inpt, params):
        """The input with a border."""
        return self._filled(F.pad, inpt, padding=self.padding, padding_mode=self.padding_mode)


class RandomZoomOut(RandomApplied, _Filling):
    """The image at a random place of a larger canvas, with probability `p`.

    Args:
        fill: the canvas' colour, or a dict of colours by the type of input.
        side_range: how many times the size of the image the canvas has, at least and at most.
        p: the probability.

    Source: Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016.
    """

    def __init__(self, fill=0, side_range=(1.0, 4.0), p=0.5):
        super().__init__(p)
        self._set_fill(fill)
        check_sequence(side_range, "side_range")
        self.side_range = side_range
        if side_range[0] < 1.0 or side_range[0] > side_range[1]:
            raise ValueError(f"Invalid side range provided {side_range}.")

    def make_params(self, flat_inputs):
        """Draws the border."""
        height, width = query_size(flat_inputs)
        low, high = self.side_range
        r = low + torch.rand(1) * (high - low)
        wide, high = int(width * r), int(height * r)
        r = torch.rand(2)
        left, top = int((wide - width) * r[0]), int((high - height) * r[1])
        return {"padding": [left, top, wide - (left + width), high - (top + height)]}

    def transform(self, inpt, params):
        """The input with its border."""
        return self._filled(F.pad, inpt, **params)


class RandomRotation(_Filling):
    """The image turned by a random angle.

    Args:
        degrees: the range of angles, or one number for both directions.
        interpolation: nearest or bilinear.
        expand: make the image so large that it holds the whole turned one.
        center: (x, y) of the fixed point; by default the middle.
        fill: the colour outside of the image, or a dict of colours by the type of input.
    """

    _v1_transform_cls = v1.RandomRotation

    def __init__(self, degrees, interpolation="nearest", expand=False, center=None, fill=0):
        super().__init__()
        self.degrees = setup_angle(degrees, "degrees")
        self.interpolation = interpolation
        self.expand = expand
        self._set_fill(fill)
        if center is not None:
            check_sequence(center, "center")
        self.center = center

    def make_params(self, flat_inputs):
        """Draws the angle."""
        return {"angle": uniform(*self.degrees)}

    def transform(self, inpt, params):
        """The input turned."""
        return self._filled(
            F.rotate,
            inpt,
            **params,
            interpolation=self.interpolation,
            expand=self.expand,
            center=self.center,
        )


class RandomAffine(_Filling):
    """The image turned, moved, scaled and sheared at random.

    Args:
        degrees: the range of angles, or one number for both directions.
        translate: how far it moves at most, as parts of width and height.
        scale: the range of factors.
        shear: the range of angles along x, or of those along x and y (four numbers).
        interpolation: nearest or bilinear.
        fill: the colour outside of the image, or a dict of colours by the type of input.
        center: (x, y) of the fixed point; by default the middle.
    """

    _v1_transform_cls = v1.RandomAffine

    def __init__(
        self,
        degrees,
        translate=None,
        scale=None,
        shear=None,
        interpolation="nearest",
        fill=0,
        center=None,
    ):
        super().__init__()
        ranges = v1.RandomAffine(degrees, translate, scale, shear, center=center)  # checks them
        self.degrees, self.translate, self.scale = ranges.degrees, ranges.translate, ranges.scale
        self.shear = ranges.shear
        self.interpolation = interpolation
        self._set_fill(fill)
        self.center = center

    def make_params(self, flat_inputs):
        """Draws angle, translation, scale and shear."""
        height, width = query_size(flat_inputs)
        drawn = v1.RandomAffine.get_params(
            self.degrees, self.translate, self.scale, self.shear, (width, height)
        )
        return dict(zip(("angle", "translate", "scale", "shear"), drawn, strict=True))

    def transform(self, inpt, params):
        """The input moved."""
        return self._filled(F.affine, inpt, **params, interpolation=self.interpolation, center=self.center)


class RandomCrop(_Filling):
    """A part of the image at a random place.

    Args:
        size: height and width, or one number for both.
        padding: a border to add first, as in `Pad`.
        pad_if_needed: add a border to images that are too small.
        fill: the border's colour, or a dict of colours by the type of input.
        padding_mode: as in `Pad`.
    """

    _v1_transform_cls = v1.RandomCrop

    def __init__(self, size, padding=None, pad_if_needed=False, fill=0, padding_mode="constant"):
        super().__init__()
        self.size = setup_size(size)
        if padding is not None:
            check_padding(padding)
        if pad_if_needed or padding is not None:
            check_padding_mode(padding_mode)
        self.padding = parse_padding(padding) if padding else None  # left, right, top, bottom
        self.pad_if_needed = pad_if_needed
        self._set_fill(fill)
        self.padding_mode = padding_mode

    def make_params(self, flat_inputs):
        """Draws the place; says also which border is needed."""
        left, right, top, bottom = self.padding or [0] * 4
        height, width = query_size(flat_inputs)
        height, width = height + top + bottom, width + left + right
        wanted_height, wanted_width = self.size
        if self.pad_if_needed:
            down, across = max(wanted_height - height, 0), max(wanted_width - width, 0)
            top, bottom, height = top + down, bottom + down, height + 2 * down
            left, right, width = left + across, right + across, width + 2 * across
        if height < wanted_height or width < wanted_width:
            padded = "padded " if self.padding is not None else ""
            raise ValueError(
                f"Required crop size {(wanted_height, wanted_width)} is larger than {padded}input image size "
                f"{(height, width)}."
            )
        place = {
            name: int(torch.randint(0, have - want + 1, size=())) if have > want else 0
            for name, have, want in (("top", height, wanted_height), ("left", width, wanted_width))
        }
        padding = [left, top, right, bottom]
        return {
            "needs_crop": height > wanted_height or width > wanted_width,
            **place,
            "height": wanted_height,
            "width": wanted_width,
            "needs_pad": any(padding),
            "padding": padding,
        }

    def transform(self, inpt, params):
        """The part of the input."""
        if params["needs_pad"]:
            inpt = self._filled(F.pad, inpt, padding=params["padding"], padding_mode=self.padding_mode)
        if params["needs_crop"]:
            place = {name: params[name] for name in ("top", "left", "height", "width")}
            inpt = self._call_kernel(F.crop, inpt, **place)
        return inpt


class RandomPerspective(RandomApplied, _Filling):
    """A random perspective, with probability `p`.

    Args:
        distortion_scale: how far the corners move at most, as a part of half the width and height.
        p: the probability.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image, or a dict of colours by the type of input.
    """

    _v1_transform_cls = v1.RandomPerspective

    def __init__(self, distortion_scale=0.5, p=0.5, interpolation="bilinear", fill=0):
        super().__init__(p)
        if not 0 <= distortion_scale <= 1:
            raise ValueError("Argument distortion_scale value should be between 0 and 1")
        self.distortion_scale = distortion_scale
        self.interpolation = interpolation
        self._set_fill(fill)

    def make_params(self, flat_inputs):
        """Draws where the corners go."""
        height, width = query_size(flat_inputs)
        points = v1.RandomPerspective.get_params(width, height, self.distortion_scale)
        return {"coefficients": perspective_coefficients(*points)}

    def transform(self, inpt, params):
        """The input in the perspective."""
        return self._filled(
            F.perspective,
            inpt,
            startpoints=None,
            endpoints=None,
            interpolation=self.interpolation,
            **params,
        )


class ElasticTransform(_Filling):
    """The image seen as through moving water: a smooth random displacement of its pixels.

    Args:
        alpha: how far pixels move, in x and in y.
        sigma: how smooth the displacement is, in pixels.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image, or a dict of colours by the type of input.
    """

    _v1_transform_cls = v1.ElasticTransform

    def __init__(self, alpha=50.0, sigma=5.0, interpolation="bilinear", fill=0):
        super().__init__()
        self.alpha = number_or_pair(alpha, "alpha")
        self.sigma = number_or_pair(sigma, "sigma")
        self.interpolation = interpolation
        self._set_fill(fill)

    def make_params(self, flat_inputs):
        """Draws the displacement."""
        size = list(query_size(flat_inputs))
        return {"displacement": v1.ElasticTransform.get_params(self.alpha, self.sigma, size)}

    def transform(self, inpt, params):
        """The input displaced."""
        return self._filled(F.elastic, inpt, **params, interpolation=self.interpolation)


def _overlap(boxes, part) -> Tensor:
    """The intersection over union of boxes (N, 4) with one (left, top, right, bottom)."""
    left, top, right, bottom = part
    w = (boxes[:, 2].clamp(max=right) - boxes[:, 0].clamp(min=left)).clamp(min=0)
    h = (boxes[:, 3].clamp(max=bottom) - boxes[:, 1].clamp(min=top)).clamp(min=0)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return w * h / (areas + (right - left) * (bottom - top) - w * h)


class RandomIoUCrop(Transform):
    """A random part of the image that overlaps with a box at least as much as drawn; boxes outside become 0.

    Follow it with `SanitizeBoundingBoxes`.

    Args:
        min_scale, max_scale: smallest and largest part of each side.
        min_aspect_ratio, max_aspect_ratio: smallest and largest width / height.
        sampler_options: the overlaps to draw from; 1 or more leaves the image whole.
        trials: tries for each.

    Source: Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016.
    """

    def __init__(
        self,
        min_scale=0.3,
        max_scale=1.0,
        min_aspect_ratio=0.5,
        max_aspect_ratio=2.0,
        sampler_options=None,
        trials=40,
    ):
        super().__init__()
        self.min_scale = min_scale
        self.max_scale = max_scale
        self.min_aspect_ratio = min_aspect_ratio
        self.max_aspect_ratio = max_aspect_ratio
        self.options = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0] if sampler_options is None else sampler_options
        self.trials = trials

    def check_inputs(self, flat_inputs):
        """An image and boxes are needed."""
        if not (
            has_all(flat_inputs, tv_tensors.BoundingBoxes)
            and has_any(flat_inputs, _is_pil_image, tv_tensors.Image, is_pure_tensor)
        ):
            raise TypeError(
                f"{type(self).__name__}() requires input sample to contain tensor or PIL images and bounding boxes. "
                "Sample can also contain masks."
            )

    def _draw(self, height: int, width: int):
        """The left, top, right and bottom side of a random part, or None where it is too long or empty."""
        r = self.min_scale + (self.max_scale - self.min_scale) * torch.rand(2)
        w, h = int(width * r[0]), int(height * r[1])
        if not self.min_aspect_ratio <= w / h <= self.max_aspect_ratio:
            return None
        r = torch.rand(2)
        left, top = int((width - w) * r[0]), int((height - h) * r[1])
        return (left, top, left + w, top + h) if w and h else None

    def make_params(self, flat_inputs):
        """Draws the overlap, and parts until one has it."""
        height, width = query_size(flat_inputs)
        boxes = get_bounding_boxes(flat_inputs)
        corners = None
        while True:
            least = self.options[randint(0, len(self.options))]
            if least >= 1.0:  # then rotated boxes, which have no such corners, are fine too
                return {}
            if corners is None:
                corners = converted(boxes.as_subclass(Tensor), boxes.format, XYXY)
                x, y = 0.5 * (corners[..., 0] + corners[..., 2]), 0.5 * (corners[..., 1] + corners[..., 3])
            for _ in range(self.trials):
                part = self._draw(height, width)
                if part is None:
                    continue
                left, top, right, bottom = part
                inside = (left < x) & (x < right) & (top < y) & (y < bottom)
                if inside.any() and _overlap(corners[inside], part).max() >= least:
                    return {
                        "top": top,
                        "left": left,
                        "height": bottom - top,
                        "width": right - left,
                        "is_within_crop_area": inside,
                    }

    def transform(self, inpt, params):
        """The part of the input."""
        if not params:
            return inpt
        place = {name: value for name, value in params.items() if name != "is_within_crop_area"}
        output = self._call_kernel(F.crop, inpt, **place)
        if isinstance(output, tv_tensors.BoundingBoxes):
            output[~params["is_within_crop_area"]] = 0
        return output


class _RandomSize(Transform):
    """A transform that draws a size."""

    def __init__(self, **settings):
        super().__init__()
        for name, value in settings.items():
            setattr(self, name, value)

    def transform(self, inpt, params):
        """The input in the size that was drawn."""
        return self._call_kernel(
            F.resize,
            inpt,
            size=params["size"],
            interpolation=self.interpolation,
            antialias=self.antialias,
        )


class ScaleJitter(_RandomSize):
    """The image fitted to a size, times a random factor.

    Args:
        target_size: (height, width).
        scale_range: smallest and largest factor.
        interpolation: an `InterpolationMode`, its name, or Pillow's number.
        antialias: filter before shrinking (tensors); Pillow always does.

    Source: Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method, CVPR 2021.
    """

    def __init__(self, target_size, scale_range=(0.1, 2.0), interpolation="bilinear", antialias=True):
        super().__init__(
            target_size=target_size, scale_range=scale_range, interpolation=interpolation, antialias=antialias
        )

    def make_params(self, flat_inputs):
        """Draws the factor."""
        height, width = query_size(flat_inputs)
        low, high = self.scale_range
        scale = low + torch.rand(1) * (high - low)
        r = min(self.target_size[1] / height, self.target_size[0] / width) * scale
        return {"size": (int(height * r), int(width * r))}


class RandomShortestSize(_RandomSize):
    """The image with a random length of its shorter side.

    Args:
        min_size: the length, or those to draw from.
        max_size: the longer side is at most that.
        interpolation: an `InterpolationMode`, its name, or Pillow's number.
        antialias: filter before shrinking (tensors); Pillow always does.
    """

    def __init__(self, min_size, max_size=None, interpolation="bilinear", antialias=True):
        sizes = [min_size] if isinstance(min_size, int) else list(min_size)
        super().__init__(min_size=sizes, max_size=max_size, interpolation=interpolation, antialias=antialias)

    def make_params(self, flat_inputs):
        """Draws the length."""
        height, width = query_size(flat_inputs)
        r = self.min_size[int(torch.randint(len(self.min_size), ()))] / min(height, width)
        if self.max_size is not None:
            r = min(r, self.max_size / max(height, width))
        return {"size": (int(height * r), int(width * r))}


class RandomResize(_RandomSize):
    """The image with a random length, from `min_size` up to below `max_size`, of its shorter side.

    Args:
        min_size, max_size: the range.
        interpolation: an `InterpolationMode`, its name, or Pillow's number.
        antialias: filter before shrinking (tensors); Pillow always does.
    """

    def __init__(self, min_size, max_size, interpolation="bilinear", antialias=True):
        super().__init__(
            min_size=min_size, max_size=max_size, interpolation=interpolation, antialias=antialias
        )

    def make_params(self, flat_inputs):
        """Draws the length."""
        return {"size": [int(torch.randint(self.min_size, self.max_size, ()))]}
