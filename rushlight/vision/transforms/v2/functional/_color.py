"""Functionals that change colours. They leave masks, boxes and points alone."""

import rushlight as torch
from rushlight.vision.transforms import _functional_pil as F_pil
from rushlight.vision.transforms import _functional_tensor as F_t
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms.v2.functional._dispatch import functional


def _check_grey(num_output_channels) -> None:
    if num_output_channels not in (1, 3):
        raise ValueError(f"num_output_channels must be 1 or 3, got {num_output_channels}.")


def rgb_to_grayscale_image(image, num_output_channels=1):
    """`rgb_to_grayscale` of a plain tensor."""
    _check_grey(num_output_channels)
    if image.shape[-3] == 1:
        return image.clone() if num_output_channels == 1 else torch.cat((image, image, image), -3)
    return F_t.rgb_to_grayscale(image, num_output_channels)


def _rgb_to_grayscale_pil(image, num_output_channels=1):
    _check_grey(num_output_channels)
    return F_pil.to_grayscale(image, num_output_channels)


rgb_to_grayscale = functional(
    "The image in shades of grey (0.2989 R + 0.587 G + 0.114 B), in one or in three equal channels.",
    rgb_to_grayscale_image,
    _rgb_to_grayscale_pil,
    video=False,
)
to_grayscale = rgb_to_grayscale


def grayscale_to_rgb_image(image):
    """`grayscale_to_rgb` of a plain tensor."""
    return image if image.shape[-3] >= 3 else rgb_to_grayscale_image(image, 3)


def _grayscale_to_rgb_pil(image):
    return image.convert("RGB")


grayscale_to_rgb = functional(
    "A grey image in three equal channels; a coloured one as it is.",
    grayscale_to_rgb_image,
    _grayscale_to_rgb_pil,
    video=False,
)


def adjust_brightness_image(image, brightness_factor):
    """`adjust_brightness` of a plain tensor."""
    return F_t.adjust_brightness(image, brightness_factor)


def adjust_contrast_image(image, contrast_factor):
    """`adjust_contrast` of a plain tensor."""
    return F_t.adjust_contrast(image, contrast_factor)


def adjust_saturation_image(image, saturation_factor):
    """`adjust_saturation` of a plain tensor."""
    return F_t.adjust_saturation(image, saturation_factor)


def adjust_sharpness_image(image, sharpness_factor):
    """`adjust_sharpness` of a plain tensor; bytes are cut to whole numbers, so that the order of operations is seen."""
    if image.is_floating_point() or min(image.shape[-2:]) <= 2 or sharpness_factor < 0:
        return F_t.adjust_sharpness(image, sharpness_factor)
    F_t.check_channels(image)
    out = image.to(torch.float32)
    inside = out[..., 1:-1, 1:-1]
    out[..., 1:-1, 1:-1] = inside + (1.0 - sharpness_factor) * (F_t.smoothed(image) - inside)
    return out.clamp(0, F_t._max_value(image.dtype)).to(image.dtype)


def adjust_hue_image(image, hue_factor):
    """`adjust_hue` of a plain tensor."""
    return F_t.adjust_hue(image, hue_factor)


def adjust_gamma_image(image, gamma, gain=1):
    """`adjust_gamma` of a plain tensor."""
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    out = F_t.convert_image_dtype(image) if not image.is_floating_point() else image
    out = out.pow(gamma)
    out = out if gain == 1 else out.mul(gain).clamp(0, 1)
    return F_t.convert_image_dtype(out, image.dtype)


adjust_brightness = functional(
    "The image times a factor: 0 is black, 1 the image itself.",
    adjust_brightness_image,
    F_pil.adjust_brightness,
)
adjust_contrast = functional(
    "Between one grey, the mean (0), and the image itself (1), or past it.",
    adjust_contrast_image,
    F_pil.adjust_contrast,
)
adjust_saturation = functional(
    "Between shades of grey (0) and the image itself (1), or past it.",
    adjust_saturation_image,
    F_pil.adjust_saturation,
)
adjust_sharpness = functional(
    "Between a smoothed image (0) and the image itself (1), or past it.",
    adjust_sharpness_image,
    F_pil.adjust_sharpness,
)
adjust_hue = functional(
    "The image with all hues turned by a part, from -0.5 to 0.5, of the colour circle.",
    adjust_hue_image,
    F_pil.adjust_hue,
)
adjust_gamma = functional(
    "gain * image ** gamma, for values from 0 to 1: above 1 shadows get darker, below 1 brighter.",
    adjust_gamma_image,
    F_pil.adjust_gamma,
)


def posterize_image(image, bits):
    """`posterize` of a plain tensor."""
    if not isinstance(bits, int) or not 0 <= bits <= 8:
        raise TypeError(f"bits must be a positive integer in the range [0, 8], got {bits} instead.")
    if image.is_floating_point():
        levels = 1 << bits
        return (image * levels).floor().clamp(0, levels - 1) * (1.0 / levels)
    available = F_t._max_value(image.dtype).bit_length()
    if bits >= available:
        return image
    return image & (((1 << bits) - 1) << (available - bits))


def invert_image(image):
    """`invert` of a plain tensor."""
    return F_t._max_value(image.dtype) - image


def solarize_image(image, threshold):
    """`solarize` of a plain tensor."""
    if threshold > F_t._max_value(image.dtype):
        raise TypeError(
            f"Threshold should be less or equal the maximum value of the dtype, but got {threshold}"
        )
    return torch.where(image >= threshold, invert_image(image), image)


def autocontrast_image(image):
    """`autocontrast` of a plain tensor."""
    F_t.check_channels(image)
    bound = F_t._max_value(image.dtype)
    numbers = image if image.is_floating_point() else image.to(torch.float32)
    least, most = numbers.amin((-2, -1), keepdim=True), numbers.amax((-2, -1), keepdim=True)
    flat = least == most
    scale = torch.where(flat, torch.ones_like(most), (most - least) * (1.0 / bound))
    least = torch.where(flat, torch.zeros_like(least), least)
    return ((numbers - least) / scale).clamp(0, bound).to(image.dtype)


def equalize_image(image):
    """`equalize` of a plain tensor."""
    if image.numel() == 0:
        return image
    out = F_t.convert_image_dtype(image, torch.uint8)
    channels = [F_t._equalize_channel(channel) for channel in out.numpy().reshape(-1, *image.shape[-2:])]
    out = torch.stack([torch.from_numpy(channel) for channel in channels]).reshape(image.shape)
    return F_t.convert_image_dtype(out, image.dtype)


posterize = functional(
    "The image with only the highest bits of each value.", posterize_image, F_pil.posterize
)
invert = functional("The negative.", invert_image, F_pil.invert)
solarize = functional(
    "The image with all values from the threshold upwards inverted.", solarize_image, F_pil.solarize
)
autocontrast = functional(
    "The image with each channel stretched to the whole range.", autocontrast_image, F_pil.autocontrast
)
equalize = functional(
    "The image with values spread so that all are about equally frequent.", equalize_image, F_pil.equalize
)


def permute_channels_image(image, permutation):
    """`permute_channels` of a plain tensor."""
    if len(permutation) != image.shape[-3]:
        raise ValueError(
            "Length of permutation does not match number of channels: "
            f"{len(permutation)} != {image.shape[-3]}"
        )
    order = permutation.tolist() if isinstance(permutation, torch.Tensor) else list(permutation)
    return image[..., order, :, :]


def _permute_channels_pil(image, permutation):
    return F.to_pil_image(permute_channels_image(F.pil_to_tensor(image), permutation))


permute_channels = functional(
    "The image with its channels in another order: `permutation` lists their numbers.",
    permute_channels_image,
    _permute_channels_pil,
)
