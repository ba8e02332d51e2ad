"""Transforms that change colours."""

from collections.abc import Sequence

import rushlight as torch
from rushlight.vision.transforms import _photometry as v1
from rushlight.vision.transforms._base import chance, uniform
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2._base import RandomApplied, Transform, query_chw


class Grayscale(Transform):
    """The image in shades of grey.

    Args:
        num_output_channels: 1, or 3 equal ones.
    """

    _v1_transform_cls = v1.Grayscale

    def __init__(self, num_output_channels=1):
        super().__init__()
        self.num_output_channels = num_output_channels

    def transform(self, inpt, params):
        """The input in shades of grey."""
        return self._call_kernel(F.rgb_to_grayscale, inpt, self.num_output_channels)


class RandomGrayscale(RandomApplied):
    """Shades of grey in as many channels, with probability `p`."""

    _v1_transform_cls = v1.RandomGrayscale

    def __init__(self, p=0.1):
        super().__init__(p)

    def make_params(self, flat_inputs):
        """The number of channels."""
        return {"num_output_channels": query_chw(flat_inputs)[0]}

    def transform(self, inpt, params):
        """The input in shades of grey."""
        return self._call_kernel(F.rgb_to_grayscale, inpt, **params)


class RGB(Transform):
    """Grey images in three equal channels; coloured ones as they are."""

    def transform(self, inpt, params):
        """The input with three channels."""
        return self._call_kernel(F.grayscale_to_rgb, inpt)


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed at random, in random order.

    Args:
        brightness, contrast, saturation: the range of factors, or how far they are from 1 at most.
        hue: the range of parts of the colour circle, or how far to both sides; within -0.5 to 0.5.
    """

    _v1_transform_cls = v1.ColorJitter

    def __init__(self, brightness=None, contrast=None, saturation=None, hue=None):
        super().__init__()
        self.brightness = self._check_input(brightness, "brightness")
        self.contrast = self._check_input(contrast, "contrast")
        self.saturation = self._check_input(saturation, "saturation")
        self.hue = self._check_input(hue, "hue", 0, (-0.5, 0.5))

    def _check_input(self, value, name, center=1.0, bound=(0, float("inf"))):
        if value is None:
            return None
        if isinstance(value, (int, float)):
            if value < 0:
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            low, high = center - value, center + value
            low = max(low, 0.0) if center else low
        elif isinstance(value, Sequence) and len(value) == 2:
            low, high = (float(v) for v in value)
        else:
            raise TypeError(f"{name}={value} should be a single number or a sequence with length 2.")
        if not bound[0] <= low <= high <= bound[1]:
            raise ValueError(
                f"{name} values should be between {bound} and increasing, but got {[low, high]}."
            )
        return None if low == high == center else (float(low), float(high))

    def make_params(self, flat_inputs):
        """Draws the order and the factors."""
        order, *factors = v1.ColorJitter.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        return {"fn_idx": order.tolist(), "factors": factors}

    def transform(self, inpt, params):
        """The input with its colours changed."""
        for i in params["fn_idx"]:
            factor = params["factors"][i]
            if factor is not None:
                inpt = self._call_kernel(_ADJUST[i], inpt, factor)
        return inpt


_ADJUST = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)


class RandomChannelPermutation(Transform):
    """The channels in a random order."""

    def make_params(self, flat_inputs):
        """Draws the order."""
        return {"permutation": torch.randperm(query_chw(flat_inputs)[0])}

    def transform(self, inpt, params):
        """The input with its channels exchanged."""
        return self._call_kernel(F.permute_channels, inpt, **params)


class RandomPhotometricDistort(Transform):
    """Brightness, contrast, saturation, hue and the order of channels each changed with probability `p`.

    Args:
        brightness, contrast, saturation: the range of factors.
        hue: the range of parts of the colour circle.
        p: the probability of each change.

    Source: Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016.
    """

    def __init__(
        self,
        brightness=(0.875, 1.125),
        contrast=(0.5, 1.5),
        saturation=(0.5, 1.5),
        hue=(-0.05, 0.05),
        p=0.5,
    ):
        super().__init__()
        self.brightness = brightness
        self.contrast = contrast
        self.hue = hue
        self.saturation = saturation
        self.p = p

    def make_params(self, flat_inputs):
        """Draws the factors, whether contrast comes early, and the order of channels."""
        channels = query_chw(flat_inputs)[0]
        ranges = (self.brightness, self.contrast, self.saturation, self.hue)
        factors = [uniform(*limits) if chance(self.p) else None for limits in ranges]
        early = bool(torch.rand(()) < 0.5)
        return {
            "factors": factors,
            "order": (0, 1, 2, 3) if early else (0, 2, 3, 1),
            "permutation": torch.randperm(channels) if chance(self.p) else None,
        }

    def transform(self, inpt, params):
        """The input with its colours changed."""
        for i in params["order"]:
            if params["factors"][i] is not None:
                inpt = self._call_kernel(_ADJUST[i], inpt, params["factors"][i])
        if params["permutation"] is not None:
            inpt = self._call_kernel(F.permute_channels, inpt, params["permutation"])
        return inpt


class RandomEqualize(RandomApplied):
    """Values spread evenly, with probability `p`."""

    _v1_transform_cls = v1.RandomEqualize

    def transform(self, inpt, params):
        """The input with its values spread."""
        return self._call_kernel(F.equalize, inpt)


class RandomInvert(RandomApplied):
    """The negative, with probability `p`."""

    _v1_transform_cls = v1.RandomInvert

    def transform(self, inpt, params):
        """The negative of the input."""
        return self._call_kernel(F.invert, inpt)


class RandomAutocontrast(RandomApplied):
    """Each channel stretched to the whole range, with probability `p`."""

    _v1_transform_cls = v1.RandomAutocontrast

    def transform(self, inpt, params):
        """The input with its channels stretched."""
        return self._call_kernel(F.autocontrast, inpt)


class RandomPosterize(RandomApplied):
    """Only the highest bits of each value, with probability `p`.

    Args:
        bits: how many are kept.
        p: the probability.
    """

    _v1_transform_cls = v1.RandomPosterize

    def __init__(self, bits, p=0.5):
        super().__init__(p)
        self.bits = bits

    def transform(self, inpt, params):
        """The input with fewer bits."""
        return self._call_kernel(F.posterize, inpt, self.bits)


class RandomSolarize(RandomApplied):
    """All values from a threshold upwards inverted, with probability `p`.

    Args:
        threshold: the smallest value that is inverted.
        p: the probability.
    """

    _v1_transform_cls = v1.RandomSolarize

    def __init__(self, threshold, p=0.5):
        super().__init__(p)
        self.threshold = threshold

    def transform(self, inpt, params):
        """The input with its bright parts inverted."""
        return self._call_kernel(F.solarize, inpt, self.threshold)


class RandomAdjustSharpness(RandomApplied):
    """The image sharper or smoother, with probability `p`.

    Args:
        sharpness_factor: 0 is smoothed, 1 the image itself, 2 twice as sharp.
        p: the probability.
    """

    _v1_transform_cls = v1.RandomAdjustSharpness

    def __init__(self, sharpness_factor, p=0.5):
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def transform(self, inpt, params):
        """The input with the sharpness changed."""
        return self._call_kernel(F.adjust_sharpness, inpt, self.sharpness_factor)
