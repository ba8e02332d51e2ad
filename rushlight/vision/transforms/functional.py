"""Transforms of images as functions without chance. An image is a Pillow image or a tensor (..., C, H, W).

The names, arguments and results are those of `torchvision.transforms.functional`.
"""

import numbers
import sys
import warnings
from enum import Enum

import numpy as np

from rushlight.devices import Size
from rushlight.dtypes import float32, get_default_dtype
from rushlight.ops.creation import from_numpy
from rushlight.tensor import Tensor, wrap
from rushlight.vision.transforms import _functional_pil as F_pil
from rushlight.vision.transforms import _functional_tensor as F_t
from rushlight.vision.transforms import _warp
from rushlight.vision.transforms._functional_pil import _is_pil_image


class InterpolationMode(Enum):
    """How pixels between pixels are computed. Box, Hamming and Lanczos are for Pillow images only."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


pil_modes_mapping = {
    InterpolationMode.NEAREST: 0, InterpolationMode.BILINEAR: 2, InterpolationMode.BICUBIC: 3,
    InterpolationMode.NEAREST_EXACT: 0, InterpolationMode.BOX: 4, InterpolationMode.HAMMING: 5,
    InterpolationMode.LANCZOS: 1,
}  # fmt: skip
_MODE_OF_NUMBER = {
    number: mode for mode, number in pil_modes_mapping.items() if mode is not InterpolationMode.NEAREST_EXACT
}


def _interpolation_modes_from_int(i: int) -> InterpolationMode:
    return _MODE_OF_NUMBER[i]


def _mode(interpolation) -> InterpolationMode:
    if isinstance(interpolation, int):
        return _interpolation_modes_from_int(interpolation)
    if not isinstance(interpolation, InterpolationMode):
        raise TypeError(
            "Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant"
        )
    return interpolation


def _on(img):
    """The module that has the functions for this kind of image."""
    return F_t if isinstance(img, Tensor) else F_pil


def get_dimensions(img) -> list[int]:
    """The number of channels, the height and the width.

    >>> from rushlight.vision.transforms import functional as F
    >>> F.get_dimensions(torch.zeros(3, 4, 5))
    [3, 4, 5]
    """
    return _on(img).get_dimensions(img)


def get_image_size(img) -> list[int]:
    """The width and the height."""
    return _on(img).get_image_size(img)


def get_image_num_channels(img) -> int:
    """The number of channels."""
    return _on(img).get_image_num_channels(img)


# -- conversion -----------------------------------------------------------------------------------------

_TYPE_OF_MODE = {"I": np.int32, "I;16" if sys.byteorder == "little" else "I;16B": np.int16, "F": np.float32}


def to_tensor(pic) -> Tensor:
    """A picture (H, W, C) as a tensor (C, H, W); 8-bit values become numbers from 0 to 1.

    Args:
        pic: a Pillow image or an array of 2 or 3 dimensions.
    Raises:
        TypeError: `pic` is neither. ValueError: the array has another number of dimensions.

    >>> import numpy
    >>> from rushlight.vision.transforms import functional as F
    >>> F.to_tensor(numpy.array([[0, 51, 255]], numpy.uint8))
    tensor([[[0.0000, 0.2000, 1.0000]]])
    """
    if _is_pil_image(pic):
        pixels = np.asarray(pic, _TYPE_OF_MODE.get(pic.mode, np.uint8))
        if pic.mode == "1":
            pixels = 255 * pixels
    elif isinstance(pic, np.ndarray):
        pixels = pic
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    pixels = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]
    if pixels.dtype != np.uint8:
        if _is_pil_image(pic) or not pixels.flags.c_contiguous:
            pixels = pixels.copy()
        return from_numpy(pixels)
    # As an array of its own first: dividing across strides and types at once is slower.
    out = pixels.astype(get_default_dtype().numpy, order="C")
    out /= out.dtype.type(255)
    return wrap(out)


def pil_to_tensor(pic) -> Tensor:
    """A Pillow image as a tensor (C, H, W) of its own type, not scaled."""
    if not _is_pil_image(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    pixels = np.array(pic)
    return from_numpy(pixels.reshape(pic.size[1], pic.size[0], len(pic.getbands()))).permute(2, 0, 1)


def convert_image_dtype(image, dtype=float32) -> Tensor:
    """The image in another type, with values scaled from the whole range of the one to that of the other.

    Raises:
        RuntimeError: the type cannot hold the values (float32 to int32 or int64, float64 to int64).
    """
    if not isinstance(image, Tensor):
        raise TypeError("Input img should be Tensor Image")
    return F_t.convert_image_dtype(image, dtype)


_MODES_OF_CHANNELS = {2: ["LA"], 3: ["RGB", "YCbCr", "HSV"], 4: ["RGBA", "CMYK", "RGBX"]}
_MODE_OF_TYPE = {
    "uint8": "L", "int16": "I;16" if sys.byteorder == "little" else "I;16B", "int32": "I", "float32": "F",
}  # fmt: skip


def to_pil_image(pic, mode=None):
    """A tensor (C, H, W) or an array (H, W, C) as a Pillow image.

    Args:
        pic: floating-point values are from 0 to 1.
        mode: Pillow's name of the colour space; by default that of as many channels.
    Raises:
        TypeError: there is no image of this type. ValueError: the shape or the mode does not fit.
        ImportError: Pillow is not installed.
    """
    F_pil.require_pillow("to_pil_image")
    if isinstance(pic, Tensor):
        pic = (pic.permute(1, 2, 0) if pic.ndim == 3 else pic).numpy(force=True)
    elif not isinstance(pic, np.ndarray):
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    pixels = pic[:, :, None] if pic.ndim == 2 else pic
    if pixels.ndim != 3:
        raise ValueError(f"pic should be 2/3 dimensional. Got {pixels.ndim} dimensions.")
    channels = pixels.shape[2]
    if channels > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")
    if pixels.dtype.kind == "f" and mode != "F":
        pixels = (pixels * 255).astype(np.uint8)
    if channels == 1:
        pixels = pixels[:, :, 0]
        expected = _MODE_OF_TYPE.get(pixels.dtype.name)
        if mode is not None and mode != expected:
            raise ValueError(
                f"Incorrect mode ({mode}) supplied for input type {pixels.dtype}. Should be {expected}"
            )
        mode = expected
    else:
        permitted = _MODES_OF_CHANNELS.get(channels, _MODES_OF_CHANNELS[3])
        if mode is not None and mode not in permitted:
            raise ValueError(f"Only modes {permitted} are supported for {channels}D inputs")
        if mode is None and pixels.dtype == np.uint8:
            mode = permitted[0]
    if mode is None:
        raise TypeError(f"Input type {pixels.dtype} is not supported")
    return F_pil.from_array(pixels, mode)


def normalize(tensor, mean, std, inplace=False) -> Tensor:
    """(tensor - mean) / std, for each channel.

    Args:
        tensor: floating-point (..., C, H, W).
        mean, std: one number for each channel.
        inplace: change the tensor itself.
    Raises:
        TypeError: the tensor is none, or of integers. ValueError: it has less than 3 dimensions, or a std is 0.

    >>> from rushlight.vision.transforms import functional as F
    >>> F.normalize(torch.tensor([[[0.0, 1.0]]]), [0.5], [0.5])
    tensor([[[-1.,  1.]]])
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    # in place on a copy, so that three means for one channel are an error, as in torchvision
    return F_t.normalize(tensor if inplace else tensor.clone(), mean, std, True)


# -- sizes and places -----------------------------------------------------------------------------------


def _compute_resized_output_size(image_size, size, max_size=None, allow_size_none=False) -> list[int]:
    h, w = image_size
    short, long = min(h, w), max(h, w)
    if size is None:
        if not allow_size_none or not isinstance(max_size, int):
            raise ValueError(f"max_size must be an integer when size is None, but got {max_size} instead.")
        new_short, new_long = int(max_size * short / long), max_size
    elif len(size) == 1:
        new_short, new_long = size[0], int(size[0] * long / short)
        if max_size is not None:
            if max_size <= new_short:
                raise ValueError(
                    f"max_size = {max_size} must be strictly greater than the requested size for the smaller "
                    f"edge size = {size}"
                )
            if new_long > max_size:
                new_short, new_long = int(max_size * new_short / new_long), max_size
    else:
        return [size[0], size[1]]
    return [new_long, new_short] if w <= h else [new_short, new_long]


def resize(img, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True):
    """The image in another size.

    Args:
        img: the image.
        size: (height, width), or the length of the shorter side, the other in proportion.
        interpolation: an `InterpolationMode` or Pillow's number of it.
        max_size: the longer side is at most that; the shorter then gets smaller than `size`.
        antialias: filter before shrinking (tensors, bilinear and bicubic); Pillow always does.

    >>> from rushlight.vision.transforms import functional as F
    >>> F.resize(torch.zeros(3, 20, 10), 5).shape
    torch.Size([3, 10, 5])
    """
    mode = _mode(interpolation)
    if isinstance(size, (list, tuple)):
        if len(size) not in (1, 2):
            raise ValueError(
                f"Size must be an int or a 1 or 2 element tuple/list, not a {len(size)} element tuple/list"
            )
        if max_size is not None and len(size) != 1:
            raise ValueError(
                "max_size should only be passed if size specifies the length of the smaller edge, i.e. size should "
                "be an int or a sequence of length 1 in torchscript mode."
            )
    have = get_dimensions(img)[1:]
    want = _compute_resized_output_size(have, [size] if isinstance(size, int) else size, max_size)
    if have == want:
        return img
    if isinstance(img, Tensor):
        return F_t.resize(img, want, mode.value, antialias)
    if antialias is False:
        warnings.warn(
            "Anti-alias option is always applied for PIL Image input. Argument antialias is ignored.",
            stacklevel=2,
        )
    return F_pil.resize(img, want, pil_modes_mapping[mode])


def pad(img, padding, fill=0, padding_mode="constant"):
    """The image with a border.

    Args:
        img: the image.
        padding: one width; or left-right and top-bottom; or left, top, right and bottom.
        fill: the border's colour; tensors take one number.
        padding_mode: "constant", "edge" (the last pixel), "reflect" or "symmetric" (mirrored without and with it).

    >>> from rushlight.vision.transforms import functional as F
    >>> F.pad(torch.ones(1, 1, 1), (1, 0))
    tensor([[[0., 1., 0.]]])
    """
    return _on(img).pad(img, padding=padding, fill=fill, padding_mode=padding_mode)


def crop(img, top, left, height, width):
    """The part of the image that starts at (top, left); what is outside of the image is 0."""
    return _on(img).crop(img, top, left, height, width)


def _pair(size) -> tuple:
    if isinstance(size, numbers.Number):
        return int(size), int(size)
    return (size[0], size[0]) if len(size) == 1 else tuple(size)


def center_crop(img, output_size):
    """The middle of the image, padded with 0 where the image is smaller than (height, width)."""
    crop_height, crop_width = _pair(output_size)
    _, height, width = get_dimensions(img)
    if crop_width > width or crop_height > height:
        x, y = max(crop_width - width, 0), max(crop_height - height, 0)
        img = pad(img, [x // 2, y // 2, (x + 1) // 2, (y + 1) // 2], fill=0)
        _, height, width = get_dimensions(img)
        if crop_width == width and crop_height == height:
            return img
    top, left = round((height - crop_height) / 2.0), round((width - crop_width) / 2.0)
    return crop(img, top, left, crop_height, crop_width)


def resized_crop(
    img, top, left, height, width, size, interpolation=InterpolationMode.BILINEAR, antialias=True
):
    """`crop`, then `resize`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def five_crop(img, size) -> tuple:
    """The four corners and the middle.

    Raises:
        ValueError: the image is smaller than `size`.
    """
    size = _pair(size)
    if len(size) != 2:
        raise ValueError("Please provide only two dimensions (h, w) for size.")
    (h, w), (_, height, width) = size, get_dimensions(img)
    if w > width or h > height:
        raise ValueError(f"Requested crop size {size} is bigger than input size {(height, width)}")
    corners = [crop(img, top, left, h, w) for top in (0, height - h) for left in (0, width - w)]
    return (*corners, center_crop(img, [h, w]))


def ten_crop(img, size, vertical_flip=False) -> tuple:
    """`five_crop` of the image and of the image flipped from left to right, or upside down."""
    size = _pair(size)
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def hflip(img):
    """The image with left and right exchanged."""
    return _on(img).hflip(img)


def vflip(img):
    """The image upside down."""
    return _on(img).vflip(img)


_get_perspective_coeffs = _warp.perspective_coefficients
_get_inverse_affine_matrix = _warp.inverse_affine_matrix


def perspective(img, startpoints, endpoints, interpolation=InterpolationMode.BILINEAR, fill=None):
    """The image seen in the perspective that moves four points.

    Args:
        img: the image.
        startpoints, endpoints: four (x, y) each: top left, top right, bottom right and bottom left corner.
        interpolation: nearest or bilinear; for Pillow images also bicubic.
        fill: the colour outside of the image.
    """
    coeffs = _get_perspective_coeffs(startpoints, endpoints)
    mode = _mode(interpolation)
    if isinstance(img, Tensor):
        return _warp.perspective(img, coeffs, mode.value, fill)
    return F_pil.perspective(img, coeffs, pil_modes_mapping[mode], fill)


def _offset(img, center) -> list[float]:
    """The centre relative to the middle of the image."""
    _, height, width = get_dimensions(img)
    if center is None:
        return [0.0, 0.0]
    return [1.0 * (c - s * 0.5) for c, s in zip(center, (width, height), strict=True)]


def rotate(img, angle, interpolation=InterpolationMode.NEAREST, expand=False, center=None, fill=None):
    """The image turned.

    Args:
        img: the image.
        angle: in degrees, counter-clockwise.
        interpolation: nearest or bilinear; for Pillow images also bicubic.
        expand: make the image so large that it holds the whole turned one; `center` is then ignored.
        center: (x, y) of the fixed point; by default the middle.
        fill: the colour outside of the image.
    """
    mode = _mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if not isinstance(img, Tensor):
        return F_pil.rotate(img, angle, pil_modes_mapping[mode], expand, center, fill)
    # Tensors' matrices turn the other way round: y points down.
    matrix = _get_inverse_affine_matrix(_offset(img, center), -angle, [0.0, 0.0], 1.0, [0.0, 0.0])
    return _warp.rotate(img, matrix, mode.value, expand, fill)


def check_affine(angle, translate, scale, shear, center) -> list:
    """The shear along x and along y, after all arguments of an affine map have been checked."""
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    if not isinstance(shear, (numbers.Number, list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    shear = [shear, 0.0] if isinstance(shear, numbers.Number) else list(shear)
    shear = shear * 2 if len(shear) == 1 else shear
    if len(shear) != 2:
        raise ValueError(f"Shear should be a sequence containing two values. Got {shear}")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    return shear


def affine(
    img, angle, translate, scale, shear, interpolation=InterpolationMode.NEAREST, fill=None, center=None
):
    """The image turned, moved, scaled and sheared.

    Args:
        img: the image.
        angle: in degrees, clockwise.
        translate: pixels to the right and down.
        scale: the factor.
        shear: degrees along x, or along x and y.
        interpolation: nearest or bilinear; for Pillow images also bicubic.
        fill: the colour outside of the image.
        center: (x, y) of the fixed point; by default the middle.
    """
    mode = _mode(interpolation)
    shear = check_affine(angle, translate, scale, shear, center)
    _, height, width = get_dimensions(img)
    if isinstance(img, Tensor):
        matrix = _get_inverse_affine_matrix(_offset(img, center), angle, translate, scale, shear)
        return _warp.affine(img, matrix, mode.value, fill)
    middle = [width * 0.5, height * 0.5] if center is None else center
    matrix = _get_inverse_affine_matrix(middle, angle, translate, scale, shear)
    return F_pil.affine(img, matrix, pil_modes_mapping[mode], fill)


def elastic_transform(img, displacement, interpolation=InterpolationMode.BILINEAR, fill=None):
    """The image with each pixel taken from a place nearby.

    Args:
        img: the image.
        displacement: (1, H, W, 2), x and y as parts of half the width and height.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image.
    """
    if isinstance(interpolation, int):
        warnings.warn(
            "Argument interpolation should be of type InterpolationMode instead of int. Please, use "
            "InterpolationMode enum.",
            stacklevel=2,
        )
    mode = _mode(interpolation)
    if not isinstance(displacement, Tensor):
        raise TypeError("Argument displacement should be a Tensor")
    shape = Size((1, *get_dimensions(img)[1:], 2))
    if shape != displacement.shape:
        raise ValueError(f"Argument displacement shape should be {shape}, but given {displacement.shape}")
    return _through_tensor(img, lambda x: _warp.elastic_transform(x, displacement, mode.value, fill))


def _through_tensor(img, function):
    """A function of tensors on any image."""
    if isinstance(img, Tensor):
        return function(img)
    if not _is_pil_image(img):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")
    return to_pil_image(function(pil_to_tensor(img)), mode=img.mode)


# -- colours --------------------------------------------------------------------------------------------


def adjust_brightness(img, brightness_factor):
    """The image times a factor: 0 is black, 1 the image itself.

    >>> from rushlight.vision.transforms import functional as F
    >>> F.adjust_brightness(torch.tensor([[[0.25, 0.75]]]), 2)
    tensor([[[0.5000, 1.0000]]])
    """
    return _on(img).adjust_brightness(img, brightness_factor)


def adjust_contrast(img, contrast_factor):
    """Between one grey, the mean (0), and the image itself (1), or past it."""
    return _on(img).adjust_contrast(img, contrast_factor)


def adjust_saturation(img, saturation_factor):
    """Between shades of grey (0) and the image itself (1), or past it."""
    return _on(img).adjust_saturation(img, saturation_factor)


def adjust_hue(img, hue_factor):
    """The image with all hues turned by a part, from -0.5 to 0.5, of the colour circle."""
    return _on(img).adjust_hue(img, hue_factor)


def adjust_gamma(img, gamma, gain=1):
    """gain * image ** gamma, for values from 0 to 1: above 1 shadows get darker, below 1 brighter."""
    return _on(img).adjust_gamma(img, gamma, gain)


def to_grayscale(img, num_output_channels=1):
    """A Pillow image in shades of grey, in one or in three equal channels."""
    if not _is_pil_image(img):
        raise TypeError("Input should be PIL Image")
    return F_pil.to_grayscale(img, num_output_channels)


def rgb_to_grayscale(img, num_output_channels=1):
    """An image in shades of grey (0.2989 R + 0.587 G + 0.114 B), in one or in three equal channels."""
    return _on(img).rgb_to_grayscale(img, num_output_channels)


def erase(img, i, j, h, w, v, inplace=False) -> Tensor:
    """A tensor image with the values `v` in the h x w pixels from row i and column j."""
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    return F_t.erase(img, i, j, h, w, v, inplace=inplace)


def gaussian_blur(img, kernel_size, sigma=None):
    """The image blurred by a Gaussian.

    Args:
        img: the image.
        kernel_size: odd width, or odd width and height, of the kernel.
        sigma: standard deviation in pixels, or that in x and in y; 0.15 * kernel_size + 0.35 by default.
    """
    if not isinstance(kernel_size, (int, list, tuple)):
        raise TypeError(f"kernel_size should be int or a sequence of integers. Got {type(kernel_size)}")
    kernel_size = [kernel_size] * 2 if isinstance(kernel_size, int) else kernel_size
    if len(kernel_size) != 2:
        raise ValueError(f"If kernel_size is a sequence its length should be 2. Got {len(kernel_size)}")
    if any(size % 2 == 0 or size < 0 for size in kernel_size):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {kernel_size}")
    if sigma is None:
        sigma = [size * 0.15 + 0.35 for size in kernel_size]
    if not isinstance(sigma, (int, float, list, tuple)):
        raise TypeError(f"sigma should be either float or sequence of floats. Got {type(sigma)}")
    sigma = [float(sigma)] if isinstance(sigma, (int, float)) else list(sigma)
    sigma = sigma * 2 if len(sigma) == 1 else sigma
    if len(sigma) != 2:
        raise ValueError(f"If sigma is a sequence, its length should be 2. Got {len(sigma)}")
    if any(s <= 0.0 for s in sigma):
        raise ValueError(f"sigma should have positive values. Got {sigma}")
    return _through_tensor(img, lambda x: F_t.gaussian_blur(x, kernel_size, sigma))


def invert(img):
    """The negative."""
    return _on(img).invert(img)


def posterize(img, bits):
    """An 8-bit image with only the highest bits of each value."""
    if not 0 <= bits <= 8:
        raise ValueError(f"The number if bits should be between 0 and 8. Got {bits}")
    return _on(img).posterize(img, bits)


def solarize(img, threshold):
    """The image with all values from the threshold upwards inverted."""
    return _on(img).solarize(img, threshold)


def adjust_sharpness(img, sharpness_factor):
    """Between a smoothed image (0) and the image itself (1), or past it."""
    return _on(img).adjust_sharpness(img, sharpness_factor)


def autocontrast(img):
    """The image with each channel stretched to the whole range."""
    return _on(img).autocontrast(img)


def equalize(img):
    """An 8-bit image with values spread so that all are about equally frequent."""
    return _on(img).equalize(img)
