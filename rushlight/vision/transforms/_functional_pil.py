"""The functions of `functional` on Pillow's images. Pillow does the work; it is imported where it is installed."""

import numbers

import numpy as np

try:
    from PIL import Image, ImageEnhance, ImageOps
except ImportError:  # tensors can be transformed without it
    Image = ImageEnhance = ImageOps = None


def _is_pil_image(img) -> bool:
    return Image is not None and isinstance(img, Image.Image)


def require_pillow(what: str) -> None:
    """Raises:
    ImportError: Pillow is not installed."""
    if Image is None:
        raise ImportError(f"{what} needs Pillow: pip install pillow, or pip install 'rushlight[vision]'")


def _check(img) -> None:
    if not _is_pil_image(img):
        raise TypeError(f"img should be PIL Image. Got {type(img)}")


def from_array(array: np.ndarray, mode: str):
    """The image of this mode with these values; unlike `Image.fromarray` for every mode."""
    return Image.frombuffer(mode, array.shape[1::-1], array.tobytes(), "raw", mode, 0, 1)


def get_dimensions(img) -> list[int]:
    if not _is_pil_image(img):
        raise TypeError(f"Unexpected type {type(img)}")
    width, height = img.size
    return [len(img.getbands()), height, width]


def get_image_size(img) -> list[int]:
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img) -> int:
    return get_dimensions(img)[0]


def hflip(img):
    _check(img)
    return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def vflip(img):
    _check(img)
    return img.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def adjust_brightness(img, brightness_factor):
    _check(img)
    return ImageEnhance.Brightness(img).enhance(brightness_factor)


def adjust_contrast(img, contrast_factor):
    _check(img)
    return ImageEnhance.Contrast(img).enhance(contrast_factor)


def adjust_saturation(img, saturation_factor):
    _check(img)
    return ImageEnhance.Color(img).enhance(saturation_factor)


def adjust_sharpness(img, sharpness_factor):
    _check(img)
    return ImageEnhance.Sharpness(img).enhance(sharpness_factor)


def adjust_hue(img, hue_factor):
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    _check(img)
    if img.mode in ("L", "1", "I", "F"):
        return img
    hue, saturation, value = img.convert("HSV").split()
    turned = np.array(hue, np.uint8) + np.int32(hue_factor * 255).astype(np.uint8)  # wraps around
    return Image.merge("HSV", (from_array(turned, "L"), saturation, value)).convert(img.mode)


def adjust_gamma(img, gamma, gain=1.0):
    _check(img)
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    table = [int((255 + 1 - 1e-3) * gain * pow(value / 255.0, gamma)) for value in range(256)] * 3
    return img.convert("RGB").point(table).convert(img.mode)


def _check_padding(padding, fill, padding_mode) -> None:
    if not isinstance(padding, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if fill is not None and not isinstance(fill, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate fill arg")
    if not isinstance(padding_mode, str):
        raise TypeError("Got inappropriate padding_mode arg")
    if isinstance(padding, (tuple, list)) and len(padding) not in (1, 2, 4):
        raise ValueError(
            f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple"
        )
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")


def sides(padding) -> list[int]:
    """Left, top, right and bottom of a padding given as one, two or four numbers."""
    if isinstance(padding, numbers.Number):
        return [padding] * 4
    return list(padding) * (4 // len(padding))


def pad(img, padding, fill=0, padding_mode="constant"):
    _check(img)
    _check_padding(padding, fill, padding_mode)
    palette = img.getpalette() if img.mode == "P" else None
    if padding_mode == "constant":
        border = padding if isinstance(padding, numbers.Number) else tuple(padding)
        if isinstance(border, tuple) and len(border) == 1:
            border = border[0]
        out = ImageOps.expand(img, border, **_parse_fill(fill, img, "fill"))
    else:
        left, top, right, bottom = sides(padding)
        if min(left, top, right, bottom) < 0:
            cut = [-min(side, 0) for side in (left, top, right, bottom)]
            img = img.crop((cut[0], cut[1], img.width - cut[2], img.height - cut[3]))
            left, top, right, bottom = (max(side, 0) for side in (left, top, right, bottom))
        pixels = np.asarray(img)
        widths = ((top, bottom), (left, right), (0, 0))[: pixels.ndim]
        out = Image.fromarray(np.pad(pixels, widths, padding_mode))
    if palette is not None:
        out.putpalette(palette)
    return out


def crop(img, top, left, height, width):
    _check(img)
    return img.crop((left, top, left + width, top + height))


def resize(img, size, interpolation=2):
    _check(img)
    if not (isinstance(size, list) and len(size) == 2):
        raise TypeError(f"Got inappropriate size arg: {size}")
    return img.resize(tuple(size[::-1]), interpolation)


def _parse_fill(fill, img, name="fillcolor") -> dict:
    """The colour outside the image as Pillow's argument of this name."""
    channels = get_image_num_channels(img)
    if fill is None:
        fill = 0
    if isinstance(fill, (int, float)) and channels > 1:
        fill = (fill,) * channels
    if isinstance(fill, (list, tuple)):
        if len(fill) == 1:
            fill = tuple(fill) * channels
        elif len(fill) != channels:
            raise ValueError(
                "The number of elements in 'fill' does not match the number of channels of the image "
                f"({len(fill)} != {channels})"
            )
    if isinstance(fill, (list, tuple)):
        return {name: tuple(fill) if img.mode == "F" else tuple(int(value) for value in fill)}
    return {name: fill if img.mode == "F" else int(fill)}


def affine(img, matrix, interpolation=0, fill=None):
    _check(img)
    return img.transform(img.size, Image.Transform.AFFINE, matrix, interpolation, **_parse_fill(fill, img))


def rotate(img, angle, interpolation=0, expand=False, center=None, fill=None):
    _check(img)
    return img.rotate(angle, interpolation, expand, center, **_parse_fill(fill, img))


def perspective(img, perspective_coeffs, interpolation=3, fill=None):
    _check(img)
    fill = _parse_fill(fill, img)
    return img.transform(img.size, Image.Transform.PERSPECTIVE, perspective_coeffs, interpolation, **fill)


def to_grayscale(img, num_output_channels):
    _check(img)
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    grey = img.convert("L")
    return grey if num_output_channels == 1 else Image.merge("RGB", (grey, grey, grey))


rgb_to_grayscale = to_grayscale


def invert(img):
    _check(img)
    return ImageOps.invert(img)


def posterize(img, bits):
    _check(img)
    return ImageOps.posterize(img, bits)


def solarize(img, threshold):
    _check(img)
    return ImageOps.solarize(img, threshold)


def autocontrast(img):
    _check(img)
    return ImageOps.autocontrast(img)


def equalize(img):
    _check(img)
    return ImageOps.equalize(img)
