"""Transforms that move pixels."""

import math
import numbers
import warnings
from collections.abc import Sequence

import rushlight as torch
from rushlight.nn import Module
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms._base import (
    Chance,
    chance,
    check_sequence,
    fill_for,
    randint,
    setup_angle,
    setup_fill,
    setup_mode,
    setup_size,
    uniform,
)  # fmt: skip
from rushlight.vision.transforms.functional import InterpolationMode


class Resize(Module):
    """The image in another size.

    Args:
        size: (height, width), or the length of the shorter side, the other in proportion.
        interpolation: an `InterpolationMode` or Pillow's number of it.
        max_size: the longer side is at most that.
        antialias: filter before shrinking (tensors); Pillow always does.

    >>> from rushlight.vision import transforms
    >>> transforms.Resize((2, 3))(torch.zeros(1, 8, 8)).shape
    torch.Size([1, 2, 3])
    """

    def __init__(self, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True):
        super().__init__()
        if not isinstance(size, (int, Sequence)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size = size
        self.max_size = max_size
        self.interpolation = setup_mode(interpolation)
        self.antialias = antialias

    def forward(self, img):
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias})"
        )


class _Crop(Module):
    """A transform that cuts out a size."""

    def __init__(self, size):
        super().__init__()
        self.size = setup_size(size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class CenterCrop(_Crop):
    """The middle of the image, padded with 0 where the image is smaller.

    Args:
        size: height and width, or one number for both.
    """

    def forward(self, img):
        return F.center_crop(img, self.size)


class FiveCrop(_Crop):
    """A tuple of the four corners and the middle.

    Args:
        size: height and width, or one number for both.
    """

    def forward(self, img):
        return F.five_crop(img, self.size)


class TenCrop(_Crop):
    """`FiveCrop` of the image and of the image flipped.

    Args:
        size: height and width, or one number for both.
        vertical_flip: upside down, not from left to right.
    """

    def __init__(self, size, vertical_flip=False):
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def forward(self, img):
        return F.ten_crop(img, self.size, self.vertical_flip)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, vertical_flip={self.vertical_flip})"


class Pad(Module):
    """The image with a border.

    Args:
        padding: one width; or left-right and top-bottom; or left, top, right and bottom.
        fill: the border's colour; tensors take one number.
        padding_mode: "constant", "edge", "reflect" or "symmetric".
    """

    def __init__(self, padding, fill=0, padding_mode="constant"):
        super().__init__()
        if not isinstance(fill, (numbers.Number, tuple, list)):
            raise TypeError("Got inappropriate fill arg")
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
        F.F_pil._check_padding(padding, fill, padding_mode)
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def forward(self, img):
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class RandomCrop(Module):
    """A part of the image at a random place.

    Args:
        size: height and width, or one number for both.
        padding: a border to add first, as in `Pad`.
        pad_if_needed: add a border to images that are too small.
        fill: the border's colour.
        padding_mode: as in `Pad`.
    """

    def __init__(self, size, padding=None, pad_if_needed=False, fill=0, padding_mode="constant"):
        super().__init__()
        self.size = tuple(setup_size(size))
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img, output_size) -> tuple[int, int, int, int]:
        """Draws top and left; returns them with height and width."""
        (_, h, w), (th, tw) = F.get_dimensions(img), output_size
        if h < th or w < tw:
            raise ValueError(f"Required crop size {(th, tw)} is larger than input image size {(h, w)}")
        if w == tw and h == th:
            return 0, 0, h, w
        top = randint(0, h - th + 1)
        return top, randint(0, w - tw + 1), th, tw

    def forward(self, img):
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            _, height, width = F.get_dimensions(img)
            if width < self.size[1]:
                img = F.pad(img, [self.size[1] - width, 0], self.fill, self.padding_mode)
            if height < self.size[0]:
                img = F.pad(img, [0, self.size[0] - height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class RandomHorizontalFlip(Chance):
    """Left and right exchanged, with probability `p`."""

    def change(self, img):
        """The image flipped."""
        return F.hflip(img)


class RandomVerticalFlip(Chance):
    """Upside down, with probability `p`."""

    def change(self, img):
        """The image flipped."""
        return F.vflip(img)


class RandomPerspective(Module):
    """A random perspective, with probability `p`.

    Args:
        distortion_scale: how far the corners move at most, as a part of half the width and height.
        p: the probability.
        interpolation: an `InterpolationMode` or Pillow's number of it.
        fill: the colour outside of the image.
    """

    def __init__(self, distortion_scale=0.5, p=0.5, interpolation=InterpolationMode.BILINEAR, fill=0):
        super().__init__()
        self.p = p
        self.interpolation = setup_mode(interpolation)
        self.distortion_scale = distortion_scale
        self.fill = setup_fill(fill)

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[list, list]:
        """The corners of the image, and the drawn places that they move to."""
        dx, dy = int(distortion_scale * (width // 2)), int(distortion_scale * (height // 2))
        left, right = (0, dx + 1), (width - dx - 1, width)
        top, bottom = (0, dy + 1), (height - dy - 1, height)
        ranges = ((left, top), (right, top), (right, bottom), (left, bottom))
        endpoints = [[randint(*x), randint(*y)] for x, y in ranges]
        return [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], endpoints

    def forward(self, img):
        _, height, width = F.get_dimensions(img)
        fill = fill_for(img, self.fill)
        if not chance(self.p):
            return img
        points = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, *points, self.interpolation, fill)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


def check_ranges(scale, ratio) -> None:
    """Scale and ratio must be sequences, and should be of (min, max)."""
    if not isinstance(scale, Sequence):
        raise TypeError("Scale should be a sequence")
    if not isinstance(ratio, Sequence):
        raise TypeError("Ratio should be a sequence")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=3)


def draw_rectangle(area: float, scale, log_ratio) -> tuple[float, float]:
    """The sides (by the ratio, and by its inverse) of a rectangle of random area and ratio, in pixels."""
    target = area * uniform(*scale)
    ratio = torch.exp(torch.empty(1).uniform_(*log_ratio)).item()
    return round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))


def draw_resized_crop(height: int, width: int, scale, ratio) -> tuple[int, int, int, int]:
    """Draws top, left, height and width; after ten misfits takes the largest part in the middle."""
    log_ratio = torch.log(torch.tensor(ratio)).tolist()
    for _ in range(10):
        w, h = draw_rectangle(height * width, scale, log_ratio)
        if 0 < w <= width and 0 < h <= height:
            top = randint(0, height - h + 1)
            return top, randint(0, width - w + 1), h, w
    w, h = width, height
    if width / height < min(ratio):
        h = round(w / min(ratio))
    elif width / height > max(ratio):
        w = round(h * max(ratio))
    return (height - h) // 2, (width - w) // 2, h, w


class RandomResizedCrop(Module):
    """A random part of the image, in one size.

    Args:
        size: height and width to make, or one number for both.
        scale: smallest and largest part of the area.
        ratio: smallest and largest width / height.
        interpolation: an `InterpolationMode` or Pillow's number of it.
        antialias: filter before shrinking (tensors); Pillow always does.

    Source: Szegedy et al., Going Deeper with Convolutions, CVPR 2015.
    """

    def __init__(
        self,
        size,
        scale=(0.08, 1.0),
        ratio=(3.0 / 4.0, 4.0 / 3.0),
        interpolation=InterpolationMode.BILINEAR,
        antialias=True,
    ):
        super().__init__()
        self.size = setup_size(size)
        check_ranges(scale, ratio)
        self.interpolation = setup_mode(interpolation)
        self.antialias = antialias
        self.scale = scale
        self.ratio = ratio

    @staticmethod
    def get_params(img, scale, ratio) -> tuple[int, int, int, int]:
        """Draws top, left, height and width; after ten misfits takes the largest part in the middle."""
        return draw_resized_crop(*F.get_dimensions(img)[1:], scale, ratio)

    def forward(self, img):
        place = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *place, self.size, self.interpolation, antialias=self.antialias)

    def __repr__(self) -> str:
        scale, ratio = (tuple(round(x, 4) for x in values) for values in (self.scale, self.ratio))
        return (
            f"{type(self).__name__}(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class RandomRotation(Module):
    """The image turned by a random angle.

    Args:
        degrees: the range of angles, or one number for both directions.
        interpolation: an `InterpolationMode` or Pillow's number of it.
        expand: make the image so large that it holds the whole turned one.
        center: (x, y) of the fixed point; by default the middle.
        fill: the colour outside of the image.
    """

    def __init__(self, degrees, interpolation=InterpolationMode.NEAREST, expand=False, center=None, fill=0):
        super().__init__()
        self.interpolation = setup_mode(interpolation)
        self.degrees = setup_angle(degrees, "degrees")
        if center is not None:
            check_sequence(center, "center")
        self.center = center
        self.expand = expand
        self.fill = setup_fill(fill)

    @staticmethod
    def get_params(degrees) -> float:
        """Draws the angle."""
        return uniform(*degrees)

    def forward(self, img):
        fill = fill_for(img, self.fill)
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, fill)

    def __repr__(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        return (
            f"{type(self).__name__}(degrees={self.degrees}, interpolation={self.interpolation.value}, "
            f"expand={self.expand}{center}, fill={self.fill})"
        )


class RandomAffine(Module):
    """The image turned, moved, scaled and sheared at random.

    Args:
        degrees: the range of angles, or one number for both directions.
        translate: how far it moves at most, as parts of width and height.
        scale: the range of factors.
        shear: the range of angles along x, or of those along x and y (four numbers).
        interpolation: an `InterpolationMode` or Pillow's number of it.
        fill: the colour outside of the image.
        center: (x, y) of the fixed point; by default the middle.
    """

    def __init__(
        self,
        degrees,
        translate=None,
        scale=None,
        shear=None,
        interpolation=InterpolationMode.NEAREST,
        fill=0,
        center=None,
    ):
        super().__init__()
        self.interpolation = setup_mode(interpolation)
        self.degrees = setup_angle(degrees, "degrees")
        if translate is not None:
            check_sequence(translate, "translate")
            if not all(0.0 <= t <= 1.0 for t in translate):
                raise ValueError("translation values should be between 0 and 1")
        self.translate = translate
        if scale is not None:
            check_sequence(scale, "scale")
            if any(s <= 0 for s in scale):
                raise ValueError("scale values should be positive")
        self.scale = scale
        self.shear = None if shear is None else setup_angle(shear, "shear", (2, 4))
        self.fill = setup_fill(fill)
        if center is not None:
            check_sequence(center, "center")
        self.center = center

    @staticmethod
    def get_params(degrees, translate, scale_ranges, shears, img_size) -> tuple:
        """Draws angle, (x, y) to move by, scale and (x, y) to shear by, for an image of (width, height)."""
        angle = uniform(*degrees)
        move = (0, 0)
        if translate is not None:
            far = [float(part * size) for part, size in zip(translate, img_size, strict=True)]
            move = tuple(round(uniform(-distance, distance)) for distance in far)
        scale = 1.0 if scale_ranges is None else uniform(*scale_ranges)
        shear = [0.0, 0.0]
        if shears is not None:
            shear[0] = uniform(shears[0], shears[1])
            if len(shears) == 4:
                shear[1] = uniform(shears[2], shears[3])
        return angle, move, scale, tuple(shear)

    def forward(self, img):
        fill = fill_for(img, self.fill)
        _, height, width = F.get_dimensions(img)
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, [width, height])
        return F.affine(img, *drawn, interpolation=self.interpolation, fill=fill, center=self.center)

    def __repr__(self) -> str:
        shown = [f"degrees={self.degrees}"]
        for name in ("translate", "scale", "shear"):
            if getattr(self, name) is not None:
                shown.append(f"{name}={getattr(self, name)}")
        if self.interpolation != InterpolationMode.NEAREST:
            shown.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            shown.append(f"fill={self.fill}")
        if self.center is not None:
            shown.append(f"center={self.center}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _pair_of_floats(value, name: str):
    if not isinstance(value, (float, Sequence)):
        raise TypeError(f"{name} should be float or a sequence of floats. Got {type(value)}")
    if isinstance(value, float):
        return [value, value]
    if len(value) != 2:
        raise ValueError(f"If {name} is a sequence its length should be 2. Got {len(value)}")
    for element in value:
        if not isinstance(element, float):
            raise TypeError(f"{name} should be a sequence of floats. Got {type(element)}")
    return value


class ElasticTransform(Module):
    """The image seen as through moving water: a smooth random displacement of its pixels.

    Args:
        alpha: how far pixels move, in x and in y.
        sigma: how smooth the displacement is, in pixels.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image.
    """

    def __init__(self, alpha=50.0, sigma=5.0, interpolation=InterpolationMode.BILINEAR, fill=0):
        super().__init__()
        self.alpha = _pair_of_floats(alpha, "alpha")
        self.sigma = _pair_of_floats(sigma, "sigma")
        self.interpolation = setup_mode(interpolation)
        if not isinstance(fill, (int, float, list, tuple)):
            raise TypeError(f"fill should be int or float or a list or tuple of them. Got {type(fill)}")
        self.fill = [float(f) for f in fill] if isinstance(fill, (list, tuple)) else [float(fill)]

    @staticmethod
    def get_params(alpha, sigma, size):
        """Draws the displacement (1, height, width, 2), as parts of half the width and height."""

        def along(alpha, smooth, length):
            out = torch.rand([1, 1, *size]) * 2 - 1
            if smooth > 0.0:
                kernel = int(8 * smooth + 1) // 2 * 2 + 1
                out = F.gaussian_blur(out, [kernel, kernel], sigma)
            return out * alpha / length

        dx, dy = along(alpha[0], sigma[0], size[1]), along(alpha[1], sigma[1], size[0])
        return torch.cat([dx, dy], 1).permute([0, 2, 3, 1])

    def forward(self, tensor):
        displacement = self.get_params(self.alpha, self.sigma, F.get_dimensions(tensor)[1:])
        return F.elastic_transform(tensor, displacement, self.interpolation, self.fill)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(alpha={self.alpha}, sigma={self.sigma}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
