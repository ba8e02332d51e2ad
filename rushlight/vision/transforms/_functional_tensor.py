"""The functions of `functional` on tensors (..., C, H, W): sizes, crops, padding, colours."""

import numpy as np

import rushlight as torch
from rushlight.nn.functional import conv2d, interpolate
from rushlight.nn.functional import pad as pad_tensor
from rushlight.tensor import Tensor, wrap
from rushlight.vision.transforms._functional_pil import _check_padding, sides

LARGEST = {
    torch.uint8: 255, torch.int8: 2**7 - 1, torch.int16: 2**15 - 1, torch.uint16: 2**16 - 1,
    torch.int32: 2**31 - 1, torch.int64: 2**63 - 1,
}  # fmt: skip


def _max_value(dtype) -> int:
    return LARGEST.get(dtype, 1)


def check_image(img) -> None:
    if img.ndim < 2:
        raise TypeError("Tensor is not a torch image.")


def check_ndim(img) -> None:
    check_image(img)
    if img.ndim < 3:
        raise TypeError(f"Input image tensor should have at least 3 dimensions, but found {img.ndim}")


def check_channels(img) -> int:
    """The number of channels, which must be that of a grey or a coloured image."""
    channels = get_dimensions(img)[0]
    if channels not in (1, 3):
        raise TypeError(f"Input image tensor permitted channel values are [1, 3], but found {channels}")
    return channels


def _check_factor(name: str, factor) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")


def get_dimensions(img) -> list[int]:
    check_image(img)
    return [1 if img.ndim == 2 else img.shape[-3], *img.shape[-2:]]


def get_image_size(img) -> list[int]:
    check_image(img)
    return [img.shape[-1], img.shape[-2]]


def get_image_num_channels(img) -> int:
    return get_dimensions(img)[0]


def working_type(img):
    """The type in which arithmetic on this image is done."""
    return img.dtype if img.is_floating_point() else torch.float32


def batched(img, function, dtypes):
    """`function` of the image as a batch of one of these types, converted back (integers rounded)."""
    out = img if img.ndim == 4 else img.unsqueeze(0) if img.ndim < 4 else img.reshape(-1, *img.shape[-3:])
    out = function(out if img.dtype in dtypes else out.to(dtypes[0]))
    if img.ndim != 4:
        out = out.squeeze(0) if img.ndim < 4 else out.reshape(*img.shape[:-3], *out.shape[-3:])
    if img.dtype in dtypes:
        return out
    return (out if img.is_floating_point() else out.round()).to(img.dtype)


def convert_image_dtype(image, dtype=torch.float32):
    if image.dtype == dtype:
        return image
    if image.is_floating_point():
        if dtype.is_floating_point:
            return image.to(dtype)
        if (dtype == torch.int64 and image.dtype in (torch.float32, torch.float64)) or (
            dtype == torch.int32 and image.dtype == torch.float32
        ):
            raise RuntimeError(f"The cast from {image.dtype} to {dtype} cannot be performed safely.")
        # One more than the largest value, less a little, so that all values are equally likely.
        return image.mul(float(_max_value(dtype)) + 1.0 - 1e-3).to(dtype)
    have = float(_max_value(image.dtype))
    if dtype.is_floating_point:
        return image.to(dtype) / have
    want = float(_max_value(dtype))
    if have > want:
        factor = int((have + 1) // (want + 1))
        return torch.div(image, factor, rounding_mode="floor").to(dtype)
    return image.to(dtype) * int((want + 1) // (have + 1))


def _per_channel(value, dtype) -> Tensor:
    """One number, or one for each channel with dimensions for height and width."""
    if isinstance(value, Tensor):
        value = value.to(dtype)
        return value.view(-1, 1, 1) if value.ndim == 1 else value
    array = np.asarray(value, dtype.numpy)
    return wrap(array.reshape(-1, 1, 1) if array.ndim == 1 else array)


def normalize(tensor, mean, std, inplace=False):
    check_image(tensor)
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.ndim < 3:
        raise ValueError(
            "Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = "
            f"{tensor.size()}"
        )
    mean, std = _per_channel(mean, tensor.dtype), _per_channel(std, tensor.dtype)
    if 0 in std.view(-1).tolist():
        raise ValueError(
            f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero."
        )
    return (tensor.sub_(mean) if inplace else tensor - mean).div_(std)


def hflip(img):
    check_image(img)
    return img.flip(-1)


def vflip(img):
    check_image(img)
    return img.flip(-2)


def crop(img, top, left, height, width):
    _, h, w = get_dimensions(img)
    right, bottom = left + width, top + height
    if left >= 0 and top >= 0 and right <= w and bottom <= h:
        return img[..., top:bottom, left:right]
    inside = img[..., max(top, 0) : bottom, max(left, 0) : right]
    missing = [
        max(-left + min(0, right), 0), max(-top + min(0, bottom), 0), max(right - max(w, left), 0),
        max(bottom - max(h, top), 0),
    ]  # fmt: skip
    return pad(inside, missing)


def _mirrored(size: int, before: int, after: int) -> np.ndarray:
    """Where each position of a symmetrically padded dimension comes from; negative padding cuts."""
    places = np.arange(size)[max(-before, 0) : size - max(-after, 0)]
    before, after = max(before, 0), max(after, 0)
    return np.concatenate([places[np.arange(before - 1, -1, -1)], places, places[-1 - np.arange(after)]])


def _pad_symmetric(img, left, top, right, bottom):
    if img.ndim not in (3, 4):
        raise RuntimeError("Symmetric padding of N-D tensors are not supported yet")
    rows = torch.from_numpy(_mirrored(img.shape[-2], top, bottom))
    columns = torch.from_numpy(_mirrored(img.shape[-1], left, right))
    return img[..., rows[:, None], columns[None, :]]


def pad(img, padding, fill=0, padding_mode="constant"):
    check_image(img)
    fill = 0 if fill is None else fill
    if not isinstance(padding, (int, tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if not isinstance(fill, (int, float)):
        raise TypeError("Got inappropriate fill arg")
    _check_padding(padding, fill, padding_mode)
    left, top, right, bottom = sides(padding)
    if padding_mode == "symmetric":
        return _pad_symmetric(img, left, top, right, bottom)
    widths = [left, right, top, bottom]
    if padding_mode == "constant":
        return pad_tensor(img, widths, value=float(fill))
    mode = "replicate" if padding_mode == "edge" else padding_mode
    return batched(img, lambda x: pad_tensor(x, widths, mode=mode), (torch.float32, torch.float64))


def resize(img, size, interpolation="bilinear", antialias=True, dtypes=(torch.float32, torch.float64)):
    """The image in another size; types other than these are computed in the first of them."""
    check_image(img)
    smooth = interpolation in ("bilinear", "bicubic")

    def function(x):
        out = interpolate(
            x,
            size=list(size),
            mode=interpolation,
            align_corners=False if smooth else None,
            antialias=bool(antialias) and smooth,
        )
        return out.clamp(0, 255) if interpolation == "bicubic" and img.dtype == torch.uint8 else out

    return batched(img, function, dtypes)


def rgb_to_grayscale(img, num_output_channels=1):
    check_ndim(img)
    channels = check_channels(img)
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if channels == 3:
        r, g, b = img.unbind(-3)
        grey = (0.2989 * r + 0.587 * g + 0.114 * b).to(img.dtype).unsqueeze(-3)
    else:
        grey = img.clone()
    return grey.expand(img.shape) if num_output_channels == 3 else grey


def _blend(image, other, ratio):
    """Between `other` (0) and `image` (1), or past it."""
    ratio = float(ratio)
    out = ratio * image + (1.0 - ratio) * other
    return out.clamp(0, _max_value(image.dtype)).to(image.dtype)


def adjust_brightness(img, brightness_factor):
    _check_factor("brightness_factor", brightness_factor)
    check_channels(img)
    return _blend(img, torch.zeros_like(img), brightness_factor)


def adjust_contrast(img, contrast_factor):
    _check_factor("contrast_factor", contrast_factor)
    grey = rgb_to_grayscale(img) if check_channels(img) == 3 else img
    mean = grey.to(working_type(img)).mean(dim=(-3, -2, -1), keepdim=True)
    return _blend(img, mean, contrast_factor)


def adjust_saturation(img, saturation_factor):
    _check_factor("saturation_factor", saturation_factor)
    if check_channels(img) == 1:
        return img
    return _blend(img, rgb_to_grayscale(img), saturation_factor)


def adjust_hue(img, hue_factor):
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if check_channels(img) == 1:
        return img
    hue, saturation, value = _rgb_to_hsv(convert_image_dtype(img, torch.float32))
    rgb = _hsv_to_rgb((hue + hue_factor) % 1.0, saturation, value)
    return convert_image_dtype(rgb, img.dtype)


def _rgb_to_hsv(img) -> tuple:
    r, g, b = img.unbind(-3)
    value, least = img.max(dim=-3).values, img.min(dim=-3).values
    spread = value - least
    grey = value == least
    ones = torch.ones_like(value)
    saturation = spread / torch.where(grey, ones, value)
    divisor = torch.where(grey, ones, spread)
    from_r, from_g, from_b = ((value - channel) / divisor for channel in (r, g, b))
    is_r, is_g = value == r, value == g
    hue = (
        is_r * (from_b - from_g)
        + (is_g & ~is_r) * (2.0 + from_r - from_b)
        + (~is_g & ~is_r) * (4.0 + from_g - from_r)
    )
    return torch.fmod(hue / 6.0 + 1.0, 1.0), saturation, value


def _hsv_to_rgb(h, s, v) -> Tensor:
    sector = torch.floor(h * 6.0)
    f = h * 6.0 - sector
    p, q, t = (torch.clamp(v * x, 0.0, 1.0) for x in (1.0 - s, 1.0 - s * f, 1.0 - s * (1.0 - f)))
    sector = (sector.to(torch.int64) % 6).unsqueeze(-3)
    sectors = ((v, q, p, p, t, v), (t, v, v, q, p, p), (p, p, t, v, v, q))  # of red, green and blue
    channels = [torch.stack(choices, -3).gather(-3, sector) for choices in sectors]
    return torch.cat(channels, -3)


def adjust_gamma(img, gamma, gain=1):
    check_channels(img)
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    out = img if img.is_floating_point() else convert_image_dtype(img, torch.float32)
    return convert_image_dtype((gain * out.pow(gamma)).clamp(0, 1), img.dtype)


def _gaussian(size: int, sigma: float, dtype) -> Tensor:
    half = (size - 1) * 0.5
    x = torch.linspace(-half, half, size, dtype=dtype)
    density = torch.exp(-0.5 * (x / sigma).pow(2))
    return density / density.sum()


def _filter(img, kernel) -> Tensor:
    """Each channel convolved with the same (h, w) kernel; the border that it does not fit in is left out."""
    kernel = kernel.expand(img.shape[-3], 1, *kernel.shape)
    return conv2d(img, kernel, groups=img.shape[-3])


def gaussian_blur(img, kernel_size, sigma):
    check_image(img)
    dtype = working_type(img)
    across, down = (_gaussian(k, s, dtype) for k, s in zip(kernel_size, sigma, strict=True))
    kernel = torch.mm(down[:, None], across[None, :])
    x, y = (k // 2 for k in kernel_size)
    return batched(img, lambda img: _filter(pad_tensor(img, [x, x, y, y], mode="reflect"), kernel), (dtype,))


def adjust_sharpness(img, sharpness_factor):
    _check_factor("sharpness_factor", sharpness_factor)
    check_channels(img)
    if img.shape[-1] <= 2 or img.shape[-2] <= 2:
        return img
    smooth = img.clone()
    smooth[..., 1:-1, 1:-1] = smoothed(img)
    return _blend(img, smooth, sharpness_factor)


def smoothed(img):
    """The inner pixels as means of those around them, as `adjust_sharpness` wants them."""
    dtype = working_type(img)
    kernel = torch.ones((3, 3), dtype=dtype)
    kernel[1, 1] = 5.0
    kernel /= kernel.sum()
    return batched(img, lambda x: _filter(x, kernel), (dtype,))


def invert(img):
    check_ndim(img)
    check_channels(img)
    return _max_value(img.dtype) - img


def posterize(img, bits):
    check_ndim(img)
    if img.dtype != torch.uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")
    check_channels(img)
    return img & (256 - 2 ** (8 - bits))


def solarize(img, threshold):
    check_ndim(img)
    check_channels(img)
    if threshold > _max_value(img.dtype):
        raise TypeError("Threshold should be less than bound of img.")
    return torch.where(img >= threshold, invert(img), img)


def autocontrast(img):
    check_ndim(img)
    check_channels(img)
    bound, dtype = _max_value(img.dtype), working_type(img)
    least = img.amin(dim=(-2, -1), keepdim=True).to(dtype)
    most = img.amax(dim=(-2, -1), keepdim=True).to(dtype)
    scale = (most - least).reciprocal() * bound  # how PyTorch divides a number by a tensor
    flat = ~torch.isfinite(scale)
    least = torch.where(flat, torch.zeros_like(least), least)
    scale = torch.where(flat, torch.ones_like(scale), scale)
    return ((img - least) * scale).clamp(0, bound).to(img.dtype)


def _equalize_channel(channel: np.ndarray) -> np.ndarray:
    counts = np.bincount(channel.reshape(-1), minlength=256)
    step = int(counts[counts != 0][:-1].sum()) // 255
    if step == 0:
        return channel
    table = (np.cumsum(counts) + step // 2) // step
    return np.clip(np.concatenate([[0], table[:-1]]), 0, 255).astype(np.uint8)[channel]


def equalize(img):
    check_image(img)
    if not 3 <= img.ndim <= 4:
        raise TypeError(f"Input image tensor should have 3 or 4 dimensions, but found {img.ndim}")
    if img.dtype != torch.uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")
    check_channels(img)
    channels = img._array.reshape(-1, *img.shape[-2:])
    return wrap(np.stack([_equalize_channel(channel) for channel in channels]).reshape(img.shape))


def erase(img, i, j, h, w, v, inplace=False):
    check_image(img)
    out = img if inplace else img.clone()
    out[..., i : i + h, j : j + w] = v
    return out
