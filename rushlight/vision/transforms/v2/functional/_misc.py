"""The other functionals: types, normalisation, blur, noise, erasing, compression, frames."""

import inspect
import io
import warnings

import numpy as np

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.vision import tv_tensors
from rushlight.vision.transforms import _functional_pil as F_pil
from rushlight.vision.transforms import _functional_tensor as F_t
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms.functional import pil_to_tensor, to_pil_image
from rushlight.vision.transforms.v2.functional._dispatch import functional


def normalize_image(image, mean, std, inplace=False):
    """`normalize` of a plain tensor."""
    return F_t.normalize(image, mean, std, inplace)


normalize = functional(
    """(image - mean) / std, for each channel of a floating-point image.

    Args:
        inpt: image or video.
        mean, std: one number for each channel.
        inplace: change the image itself.
    """,
    normalize_image,
)


def gaussian_blur_image(image, kernel_size, sigma=None):
    """`gaussian_blur` of a plain tensor."""
    return F.gaussian_blur(image, kernel_size, sigma)


gaussian_blur = functional(
    """The image blurred by a Gaussian.

    Args:
        inpt: image or video.
        kernel_size: odd width, or odd width and height, of the kernel.
        sigma: standard deviation in pixels, or that in x and in y; 0.15 * kernel_size + 0.35 by default.
    """,
    gaussian_blur_image,
    F.gaussian_blur,
)


def gaussian_noise_image(image, mean=0.0, sigma=0.1, clip=True):
    """`gaussian_noise` of a plain tensor."""
    if sigma < 0:
        raise ValueError(f"sigma shouldn't be negative. Got {sigma}")
    if image.is_floating_point():
        out = image + (mean + torch.randn_like(image) * sigma)
        return out.clamp(0, 1) if clip else out
    if image.dtype != torch.uint8:
        raise ValueError(f"Input tensor is expected to be in uint8 or float dtype, got dtype={image.dtype}")
    noise = mean * 255 + torch.randn_like(image, dtype=torch.float32) * (sigma * 255)
    out = image + noise.to(torch.int16)
    return (out.clamp(0, 255) if clip else out).to(torch.uint8)


def _gaussian_noise_pil(image, mean=0.0, sigma=0.1, clip=True):
    raise ValueError("Gaussian Noise is not implemented for PIL images.")


gaussian_noise = functional(
    """The image with normal noise added.

    Args:
        inpt: image or video, uint8 or floating point with values from 0 to 1.
        mean, sigma: of the noise, where 1 is the whole range.
        clip: cut the result to the range of values.
    """,
    gaussian_noise_image,
    _gaussian_noise_pil,
)


def to_dtype_image(image, dtype=torch.float32, scale=False):
    """`to_dtype` of a plain tensor."""
    return F_t.convert_image_dtype(image, dtype) if scale else image.to(dtype)


to_dtype = functional(
    """The input in another type.

    Args:
        inpt: image, video, mask, boxes or points.
        dtype: the type.
        scale: scale images and videos from the whole range of the one type to that of the other.
    """,
    to_dtype_image,
)
for _kind in (tv_tensors.Mask, tv_tensors.BoundingBoxes, tv_tensors.KeyPoints):
    to_dtype.table[_kind] = lambda inpt, arguments: inpt.to(arguments["dtype"])


def convert_image_dtype(image, dtype=torch.float32):
    """`to_dtype` with `scale=True`."""
    return to_dtype_image(image, dtype, scale=True)


def erase_image(image, i, j, h, w, v, inplace=False):
    """`erase` of a plain tensor."""
    return F_t.erase(image, i, j, h, w, v, inplace)


def _erase_pil(image, i, j, h, w, v, inplace=False):
    return to_pil_image(F_t.erase(pil_to_tensor(image), i, j, h, w, v, inplace), mode=image.mode)


erase = functional(
    "The image with the values `v` in the h x w pixels from row i and column j.", erase_image, _erase_pil
)


def jpeg_image(image, quality):
    """`jpeg` of a plain tensor."""
    from rushlight.vision.io import decode_jpeg, encode_jpeg

    pictures = image.reshape(-1, *image.shape[-3:])
    if len(pictures) == 0:
        return image.clone()
    return torch.stack([decode_jpeg(encode_jpeg(picture, quality=quality)) for picture in pictures]).view(
        image.shape
    )


def _jpeg_pil(image, quality):
    memory = io.BytesIO()
    image.save(memory, format="JPEG", quality=quality)
    return F_pil.Image.open(memory).copy()


jpeg = functional(
    "The image as it comes back from a JPEG file of this quality, 1 to 100.", jpeg_image, _jpeg_pil
)
jpeg.__signature__ = inspect.signature(
    jpeg_image
)  # of all functionals the one whose first argument is `image`


def uniform_temporal_subsample_video(video, num_samples):
    """`uniform_temporal_subsample` of a plain tensor."""
    places = torch.linspace(0, video.shape[-4] - 1, num_samples).to(torch.int64)
    return torch.index_select(video, -4, places)


uniform_temporal_subsample = functional(
    "`num_samples` frames of a video at even distances.", uniform_temporal_subsample_video
)


def to_image(inpt) -> tv_tensors.Image:
    """A picture as an `Image` of its own type, not scaled.

    Args:
        inpt: a Pillow image, an array (H, W, C) or (H, W), or a tensor (..., C, H, W).
    """
    if isinstance(inpt, np.ndarray):
        inpt = torch.from_numpy(np.atleast_3d(inpt)).permute((2, 0, 1)).contiguous()
    elif not (isinstance(inpt, Tensor) or F_pil._is_pil_image(inpt)):
        raise TypeError(
            f"Input can either be a pure Tensor, a numpy array, or a PIL image, but got {type(inpt)} instead."
        )
    return tv_tensors.Image(inpt)


def to_tensor(inpt) -> Tensor:
    """The function of v1, which scales 8-bit values to 0…1; deprecated: use `to_image`, then `to_dtype`."""
    warnings.warn(
        "The function `to_tensor(...)` is deprecated and will be removed in a future release. Instead, please use "
        "`to_image(...)` followed by `to_dtype(..., dtype=torch.float32, scale=True)`.",
        stacklevel=2,
    )
    return F.to_tensor(inpt)


def get_image_size(inpt) -> list[int]:
    """The width and the height; deprecated: use `get_size`, which gives the height first."""
    warnings.warn(
        "The function `get_image_size(...)` is deprecated and will be removed in a future release. Instead, please "
        "use `get_size(...)` which returns `[h, w]` instead of `[w, h]`.",
        stacklevel=2,
    )
    return F.get_image_size(inpt)
