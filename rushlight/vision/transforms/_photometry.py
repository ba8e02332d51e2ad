"""Transforms that change colours, blur, or overwrite pixels."""

import numbers
from collections.abc import Sequence

import rushlight as torch
from rushlight.nn import Module
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms._base import Chance, chance, randint, setup_size, uniform
from rushlight.vision.transforms._geometry import check_ranges, draw_rectangle


class Normalize(Module):
    """(image - mean) / std, for each channel of a floating-point tensor.

    Args:
        mean, std: one number for each channel.
        inplace: change the tensor itself.

    >>> from rushlight.vision import transforms
    >>> transforms.Normalize([0.5], [0.5])(torch.tensor([[[0.0, 1.0]]]))
    tensor([[[-1.,  1.]]])
    """

    def __init__(self, mean, std, inplace=False):
        super().__init__()
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def forward(self, tensor):
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


class LinearTransformation(Module):
    """(image - mean_vector) @ transformation_matrix, of the image as one vector: whitening, for example.

    Args:
        transformation_matrix: (D, D), where D = C * H * W.
        mean_vector: (D,).
    """

    def __init__(self, transformation_matrix, mean_vector):
        super().__init__()
        rows, columns = transformation_matrix.shape
        if rows != columns:
            raise ValueError(
                f"transformation_matrix should be square. Got {(rows, columns)} rectangular matrix."
            )
        if mean_vector.shape[0] != rows:
            raise ValueError(
                f"mean_vector should have the same length {mean_vector.shape[0]} as any one of the dimensions of "
                f"the transformation_matrix [{(rows, columns)}]"
            )
        if transformation_matrix.dtype != mean_vector.dtype:
            raise ValueError(
                f"Input tensors should have the same dtype. Got {transformation_matrix.dtype} and "
                f"{mean_vector.dtype}"
            )
        self.transformation_matrix = transformation_matrix
        self.mean_vector = mean_vector

    def forward(self, tensor):
        c, h, w = tensor.shape[-3:]
        n = self.transformation_matrix.shape[0]
        if c * h * w != n:
            raise ValueError(
                f"Input tensor and transformation matrix have incompatible shape.[{c} x {h} x {w}] != {n}"
            )
        flat = tensor.view(-1, n) - self.mean_vector
        return torch.mm(flat, self.transformation_matrix.to(flat.dtype)).view(tensor.shape)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(transformation_matrix={self.transformation_matrix.tolist()}, "
            f"mean_vector={self.mean_vector.tolist()})"
        )


class ColorJitter(Module):
    """Brightness, contrast, saturation and hue changed at random, in random order.

    Args:
        brightness, contrast, saturation: the range of factors, or how far they are from 1 at most.
        hue: the range of parts of the colour circle, or how far to both sides; within -0.5 to 0.5.
    """

    def __init__(self, brightness=0, contrast=0, saturation=0, hue=0):
        super().__init__()
        self.brightness = self._check_input(brightness, "brightness")
        self.contrast = self._check_input(contrast, "contrast")
        self.saturation = self._check_input(saturation, "saturation")
        self.hue = self._check_input(hue, "hue", center=0, bound=(-0.5, 0.5), clip_first_on_zero=False)

    def _check_input(self, value, name, center=1, bound=(0, float("inf")), clip_first_on_zero=True):
        if isinstance(value, numbers.Number):
            if value < 0:
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            low, high = center - float(value), center + float(value)
            low = max(low, 0.0) if clip_first_on_zero else low
        elif isinstance(value, (tuple, list)) and len(value) == 2:
            low, high = float(value[0]), float(value[1])
        else:
            raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
        if not bound[0] <= low <= high <= bound[1]:
            raise ValueError(f"{name} values should be between {bound}, but got {[low, high]}.")
        return None if low == high == center else (low, high)

    @staticmethod
    def get_params(brightness, contrast, saturation, hue) -> tuple:
        """Draws the order, and the factors in the ranges that are not None."""
        order = torch.randperm(4)
        return order, *(
            None if limits is None else uniform(*limits) for limits in (brightness, contrast, saturation, hue)
        )

    def forward(self, img):
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        functions = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for i in order.tolist():
            if factors[i] is not None:
                img = functions[i](img, factors[i])
        return img

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue})"
        )


class Grayscale(Module):
    """The image in shades of grey.

    Args:
        num_output_channels: 1, or 3 equal ones.
    """

    def __init__(self, num_output_channels=1):
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img):
        return F.rgb_to_grayscale(img, num_output_channels=self.num_output_channels)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_output_channels={self.num_output_channels})"


class RandomGrayscale(Chance):
    """Shades of grey in as many channels, with probability `p`."""

    def __init__(self, p=0.1):
        super().__init__(p)

    def change(self, img):
        """The image in shades of grey."""
        return F.rgb_to_grayscale(img, num_output_channels=F.get_dimensions(img)[0])


def draw_erasing(channels: int, height: int, width: int, scale, ratio, value) -> tuple | None:
    """Draws top, left, height, width and the values of a rectangle; None after ten misfits."""
    log_ratio = torch.log(torch.tensor(ratio)).tolist()
    for _ in range(10):
        h, w = draw_rectangle(height * width, scale, log_ratio)
        if not (h < height and w < width):
            continue
        if value is None:
            values = torch.empty([channels, h, w], dtype=torch.float32).normal_()
        else:
            values = torch.tensor(value)[:, None, None]
        top = randint(0, height - h + 1)
        return top, randint(0, width - w + 1), h, w, values
    return None


class RandomErasing(Module):
    """A random rectangle of a tensor image overwritten, with probability `p`.

    Args:
        p: the probability.
        scale: smallest and largest part of the area.
        ratio: smallest and largest height / width.
        value: a number, one for each channel, or "random" for normal noise.
        inplace: change the tensor itself.

    Source: Zhong et al., Random Erasing Data Augmentation, AAAI 2020.
    """

    def __init__(self, p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False):
        super().__init__()
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        check_ranges(scale, ratio)
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if p < 0 or p > 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    @staticmethod
    def get_params(img, scale, ratio, value=None) -> tuple:
        """Draws top, left, height, width and the values; after ten misfits they are the image itself."""
        channels, height, width = img.shape[-3:]
        return draw_erasing(channels, height, width, scale, ratio, value) or (0, 0, height, width, img)

    def forward(self, img):
        if not chance(self.p):
            return img
        value = self.value
        if isinstance(value, (int, float)):
            value = [float(value)]
        elif isinstance(value, str):
            value = None
        else:
            value = [float(v) for v in value]
        if value is not None and len(value) not in (1, img.shape[-3]):
            raise ValueError(
                "If value is a sequence, it should have either a single value or "
                f"{img.shape[-3]} (number of input channels)"
            )
        return F.erase(img, *self.get_params(img, self.scale, self.ratio, value), self.inplace)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, "
            f"inplace={self.inplace})"
        )


class GaussianBlur(Module):
    """The image blurred by a Gaussian of random width.

    Args:
        kernel_size: odd width, or odd width and height, of the kernel.
        sigma: the standard deviation in pixels, or its range.
    """

    def __init__(self, kernel_size, sigma=(0.1, 2.0)):
        super().__init__()
        self.kernel_size = setup_size(kernel_size, "Kernel size should be a tuple/list of two integers")
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        if isinstance(sigma, numbers.Number):
            if sigma <= 0:
                raise ValueError("If sigma is a single number, it must be positive.")
            sigma = (sigma, sigma)
        elif not isinstance(sigma, Sequence) or len(sigma) != 2:
            raise ValueError("sigma should be a single number or a list/tuple with length 2.")
        elif not 0.0 < sigma[0] <= sigma[1]:
            raise ValueError("sigma values should be positive and of the form (min, max).")
        self.sigma = sigma

    @staticmethod
    def get_params(sigma_min, sigma_max) -> float:
        """Draws the standard deviation."""
        return uniform(sigma_min, sigma_max)

    def forward(self, img):
        sigma = self.get_params(*self.sigma)
        return F.gaussian_blur(img, self.kernel_size, [sigma, sigma])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})"


class RandomInvert(Chance):
    """The negative, with probability `p`."""

    def change(self, img):
        """The negative of the image."""
        return F.invert(img)


class RandomAutocontrast(Chance):
    """Each channel stretched to the whole range, with probability `p`."""

    def change(self, img):
        """The image with its channels stretched."""
        return F.autocontrast(img)


class RandomEqualize(Chance):
    """Values of an 8-bit image spread evenly, with probability `p`."""

    def change(self, img):
        """The image with its values spread."""
        return F.equalize(img)


class RandomPosterize(Chance):
    """Only the highest bits of each value, with probability `p`.

    Args:
        bits: how many are kept.
        p: the probability.
    """

    def __init__(self, bits, p=0.5):
        super().__init__(p)
        self.bits = bits

    def change(self, img):
        """The image with fewer bits."""
        return F.posterize(img, self.bits)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(bits={self.bits},p={self.p})"


class RandomSolarize(Chance):
    """All values from a threshold upwards inverted, with probability `p`.

    Args:
        threshold: the smallest value that is inverted.
        p: the probability.
    """

    def __init__(self, threshold, p=0.5):
        super().__init__(p)
        self.threshold = threshold

    def change(self, img):
        """The image with its bright parts inverted."""
        return F.solarize(img, self.threshold)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(threshold={self.threshold},p={self.p})"


class RandomAdjustSharpness(Chance):
    """The image sharper or smoother, with probability `p`.

    Args:
        sharpness_factor: 0 is smoothed, 1 the image itself, 2 twice as sharp.
        p: the probability.
    """

    def __init__(self, sharpness_factor, p=0.5):
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def change(self, img):
        """The image with the sharpness changed."""
        return F.adjust_sharpness(img, self.sharpness_factor)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sharpness_factor={self.sharpness_factor},p={self.p})"
