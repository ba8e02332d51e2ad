"""Policies of augmentation that were found by search, and those that do without: operations of random strength."""

import math
from enum import Enum

import rushlight as torch
from rushlight.nn import Module
from rushlight.tensor import Tensor
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms._base import fill_for, randint
from rushlight.vision.transforms.functional import InterpolationMode

__all__ = ["AugMix", "AutoAugment", "AutoAugmentPolicy", "RandAugment", "TrivialAugmentWide"]


def _shear(x, y):
    def apply(F, img, magnitude, mode, fill):
        angle = math.degrees(math.atan(magnitude))  # about the upper left corner, as in the papers
        return F.affine(img, 0.0, [0, 0], 1.0, [angle * x, angle * y], mode, fill, [0, 0])

    return apply


def _translate(x, y):
    def apply(F, img, magnitude, mode, fill):
        return F.affine(img, 0.0, [int(magnitude) * x, int(magnitude) * y], 1.0, [0.0, 0.0], mode, fill)

    return apply


_OPERATIONS = {
    "ShearX": _shear(1, 0),
    "ShearY": _shear(0, 1),
    "TranslateX": _translate(1, 0),
    "TranslateY": _translate(0, 1),
    "Rotate": lambda F, img, magnitude, mode, fill: F.rotate(img, magnitude, mode, fill=fill),
    "Brightness": lambda F, img, magnitude, *_: F.adjust_brightness(img, 1.0 + magnitude),
    "Color": lambda F, img, magnitude, *_: F.adjust_saturation(img, 1.0 + magnitude),
    "Contrast": lambda F, img, magnitude, *_: F.adjust_contrast(img, 1.0 + magnitude),
    "Sharpness": lambda F, img, magnitude, *_: F.adjust_sharpness(img, 1.0 + magnitude),
    "Posterize": lambda F, img, magnitude, *_: F.posterize(img, int(magnitude)),
    "Solarize": lambda F, img, magnitude, *_: F.solarize(img, magnitude),
    "AutoContrast": lambda F, img, *_: F.autocontrast(img),
    "Equalize": lambda F, img, *_: F.equalize(img),
    "Invert": lambda F, img, *_: F.invert(img),
    "Identity": lambda F, img, *_: img,
}


def _apply_op(img, op_name, magnitude, interpolation, fill, functions=F):
    if op_name not in _OPERATIONS:
        raise ValueError(f"The provided operator {op_name} is not recognized.")
    return _OPERATIONS[op_name](functions, img, magnitude, interpolation, fill)


def _even(low: float, high: float, signed: bool = False):
    """Magnitudes in equal steps, and whether their sign is drawn."""
    return (lambda bins: torch.linspace(low, high, bins)), signed


def _bits(most: int, span: int):
    return (lambda bins: most - (torch.arange(bins) / ((bins - 1) / span)).round().int()), False


_NO_MAGNITUDE = (None, False)


def _space(*, shear, across, down, degrees, colour, bits, first=(), colours_last=False, invert=False) -> dict:
    """The operations in the order that draws refer to, with their magnitudes: by bins, or None."""
    geometry = {
        "ShearX": _even(0.0, shear, True),
        "ShearY": _even(0.0, shear, True),
        "TranslateX": _even(0.0, across, True),
        "TranslateY": _even(0.0, down, True),
        "Rotate": _even(0.0, degrees, True),
    }
    colours = (
        {name: _even(0.0, colour, True) for name in ("Brightness", "Color", "Contrast", "Sharpness")}
        if colour
        else {}
    )
    rest = {"Posterize": bits, "Solarize": _even(255.0, 0.0)}
    rest |= dict.fromkeys(("AutoContrast", "Equalize"), _NO_MAGNITUDE)
    start = dict.fromkeys(first, _NO_MAGNITUDE)
    end = {"Invert": _NO_MAGNITUDE} if invert else {}
    if colours_last:
        return {**start, **geometry, **rest, **colours, **end}
    return {**start, **geometry, **colours, **rest, **end}


def _paper_space(height: int, width: int, **more) -> dict:
    """That of AutoAugment and RandAugment: the numbers are for pictures of 331 pixels."""
    across, down = 150.0 / 331.0 * width, 150.0 / 331.0 * height
    return _space(shear=0.3, across=across, down=down, degrees=30.0, colour=0.9, bits=_bits(8, 4), **more)


def _wide_space() -> dict:
    """That of TrivialAugment."""
    return _space(
        shear=0.99,
        across=32.0,
        down=32.0,
        degrees=135.0,
        colour=0.99,
        bits=_bits(8, 6),
        first=("Identity",),
    )


def _mix_space(height: int, width: int, all_ops: bool) -> dict:
    """That of AugMix."""
    return _space(
        shear=0.3,
        across=width / 3.0,
        down=height / 3.0,
        degrees=30.0,
        colour=0.9 if all_ops else 0,
        bits=_bits(4, 4),
        colours_last=True,
    )


def _draw_op(space: dict, bins: int, pick) -> tuple[str, float]:
    """Draws an operation, its magnitude (`pick` of the number of them) and its sign."""
    name = list(space)[randint(0, len(space))]
    magnitudes, signed = space[name]
    magnitude = 0.0 if magnitudes is None else float(magnitudes(bins)[pick()].item())
    if signed and randint(0, 2):
        magnitude *= -1.0
    return name, magnitude


class AutoAugmentPolicy(Enum):
    """The data sets that policies were found for."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


# Sub-policies of two operations each: name, probability and index of the magnitude.
_POLICIES = {
    AutoAugmentPolicy.IMAGENET: """
        Posterize 0.4 8, Rotate 0.6 9; Solarize 0.6 5, AutoContrast 0.6; Equalize 0.8, Equalize 0.6;
        Posterize 0.6 7, Posterize 0.6 6; Equalize 0.4, Solarize 0.2 4; Equalize 0.4, Rotate 0.8 8;
        Solarize 0.6 3, Equalize 0.6; Posterize 0.8 5, Equalize 1; Rotate 0.2 3, Solarize 0.6 8;
        Equalize 0.6, Posterize 0.4 6; Rotate 0.8 8, Color 0.4 0; Rotate 0.4 9, Equalize 0.6;
        Equalize 0, Equalize 0.8; Invert 0.6, Equalize 1; Color 0.6 4, Contrast 1 8;
        Rotate 0.8 8, Color 1 2; Color 0.8 8, Solarize 0.8 7; Sharpness 0.4 7, Invert 0.6;
        ShearX 0.6 5, Equalize 1; Color 0.4 0, Equalize 0.6; Equalize 0.4, Solarize 0.2 4;
        Solarize 0.6 5, AutoContrast 0.6; Invert 0.6, Equalize 1; Color 0.6 4, Contrast 1 8;
        Equalize 0.8, Equalize 0.6""",
    AutoAugmentPolicy.CIFAR10: """
        Invert 0.1, Contrast 0.2 6; Rotate 0.7 2, TranslateX 0.3 9; Sharpness 0.8 1, Sharpness 0.9 3;
        ShearY 0.5 8, TranslateY 0.7 9; AutoContrast 0.5, Equalize 0.9; ShearY 0.2 7, Posterize 0.3 7;
        Color 0.4 3, Brightness 0.6 7; Sharpness 0.3 9, Brightness 0.7 9; Equalize 0.6, Equalize 0.5;
        Contrast 0.6 7, Sharpness 0.6 5; Color 0.7 7, TranslateX 0.5 8; Equalize 0.3, AutoContrast 0.4;
        TranslateY 0.4 3, Sharpness 0.2 6; Brightness 0.9 6, Color 0.2 8; Solarize 0.5 2, Invert 0;
        Equalize 0.2, AutoContrast 0.6; Equalize 0.2, Equalize 0.6; Color 0.9 9, Equalize 0.6;
        AutoContrast 0.8, Solarize 0.2 8; Brightness 0.1 3, Color 0.7 0; Solarize 0.4 5, AutoContrast 0.9;
        TranslateY 0.9 9, TranslateY 0.7 9; AutoContrast 0.9, Solarize 0.8 3; Equalize 0.8, Invert 0.1;
        TranslateY 0.7 9, AutoContrast 0.9""",
    AutoAugmentPolicy.SVHN: """
        ShearX 0.9 4, Invert 0.2; ShearY 0.9 8, Invert 0.7; Equalize 0.6, Solarize 0.6 6;
        Invert 0.9, Equalize 0.6; Equalize 0.6, Rotate 0.9 3; ShearX 0.9 4, AutoContrast 0.8;
        ShearY 0.9 8, Invert 0.4; ShearY 0.9 5, Solarize 0.2 6; Invert 0.9, AutoContrast 0.8;
        Equalize 0.6, Rotate 0.9 3; ShearX 0.9 4, Solarize 0.3 3; ShearY 0.8 8, Invert 0.7;
        Equalize 0.9, TranslateY 0.6 6; Invert 0.9, Equalize 0.6; Contrast 0.3 3, Rotate 0.8 4;
        Invert 0.8, TranslateY 0 2; ShearY 0.7 6, Solarize 0.4 8; Invert 0.6, Rotate 0.8 4;
        ShearY 0.3 7, TranslateX 0.9 3; ShearX 0.1 6, Invert 0.6; Solarize 0.7 2, TranslateY 0.6 7;
        ShearY 0.8 4, Invert 0.8; ShearX 0.7 9, TranslateY 0.8 3; ShearY 0.8 5, AutoContrast 0.7;
        ShearX 0.7 2, Invert 0.1""",
}


def _parse(text: str) -> tuple:
    name, p, *magnitude = text.split()
    return name, float(p), int(magnitude[0]) if magnitude else None


class AutoAugment(Module):
    """Two operations of a random one of 25 sub-policies.

    Args:
        policy: which data set's.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image.

    Source: Cubuk et al., AutoAugment: Learning Augmentation Strategies from Data, CVPR 2019.

    >>> from rushlight.vision import transforms
    >>> transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)
    AutoAugment(policy=AutoAugmentPolicy.CIFAR10, fill=None)
    """

    def __init__(self, policy=AutoAugmentPolicy.IMAGENET, interpolation=InterpolationMode.NEAREST, fill=None):
        super().__init__()
        self.policy = policy
        self.interpolation = interpolation
        self.fill = fill
        self.policies = self._get_policies(policy)

    def _get_policies(self, policy) -> list:
        if policy not in _POLICIES:
            raise ValueError(f"The provided policy {policy} is not recognized.")
        return [tuple(_parse(op) for op in pair.split(",")) for pair in _POLICIES[policy].split(";")]

    @staticmethod
    def get_params(transform_num: int) -> tuple:
        """Draws the sub-policy, and for each of its operations a number from 0 to 1 and a sign."""
        return randint(0, transform_num), torch.rand((2,)), torch.randint(2, (2,))

    def forward(self, img):
        fill = fill_for(img, self.fill)
        _, height, width = F.get_dimensions(img)
        chosen, probs, signs = self.get_params(len(self.policies))
        space = _paper_space(height, width, invert=True)
        for i, (name, p, index) in enumerate(self.policies[chosen]):
            if probs[i] <= p:
                magnitudes, signed = space[name]
                magnitude = 0.0 if index is None else float(magnitudes(10)[index].item())
                if signed and signs[i] == 0:
                    magnitude *= -1.0
                img = _apply_op(img, name, magnitude, self.interpolation, fill)
        return img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(policy={self.policy}, fill={self.fill})"


class RandAugment(Module):
    """Random operations, all of one magnitude.

    Args:
        num_ops: how many, one after the other.
        magnitude: the index of the magnitude.
        num_magnitude_bins: how many magnitudes there are.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image.

    Source: Cubuk et al., RandAugment, CVPR Workshops 2020.
    """

    def __init__(
        self,
        num_ops=2,
        magnitude=9,
        num_magnitude_bins=31,
        interpolation=InterpolationMode.NEAREST,
        fill=None,
    ):
        super().__init__()
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation = interpolation
        self.fill = fill

    def forward(self, img):
        fill = fill_for(img, self.fill)
        _, height, width = F.get_dimensions(img)
        space = _paper_space(height, width, first=("Identity",))
        for _ in range(self.num_ops):
            name, magnitude = _draw_op(space, self.num_magnitude_bins, lambda: self.magnitude)
            img = _apply_op(img, name, magnitude, self.interpolation, fill)
        return img

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_ops={self.num_ops}, magnitude={self.magnitude}, "
            f"num_magnitude_bins={self.num_magnitude_bins}, interpolation={self.interpolation}, fill={self.fill})"
        )


class TrivialAugmentWide(Module):
    """One random operation of random magnitude, from wide ranges.

    Args:
        num_magnitude_bins: how many magnitudes there are.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image.

    Source: Müller and Hutter, TrivialAugment, ICCV 2021.
    """

    def __init__(self, num_magnitude_bins=31, interpolation=InterpolationMode.NEAREST, fill=None):
        super().__init__()
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation = interpolation
        self.fill = fill

    def forward(self, img):
        fill = fill_for(img, self.fill)
        bins = self.num_magnitude_bins
        space = _wide_space()
        name, magnitude = _draw_op(space, bins, lambda: randint(0, bins))
        return _apply_op(img, name, magnitude, self.interpolation, fill)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_magnitude_bins={self.num_magnitude_bins}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )


def mixed(img, chain, alpha: float, width: int, least_dims: int = 4) -> Tensor:
    """A random mixture of a tensor image and of what `chain`, called `width` times, makes of it."""
    batch = img.reshape([1] * max(least_dims - img.ndim, 0) + list(img.shape))
    samples = batch.shape[0]
    one_each = [samples] + [1] * (batch.ndim - 1)

    def weights(count: int) -> Tensor:
        return torch._sample_dirichlet(torch.tensor([float(alpha)] * count).expand(samples, -1))

    kept = weights(2)
    parts = weights(width) * kept[:, 1].view([samples, -1])
    mix = kept[:, 0].view(one_each) * batch
    for i in range(width):
        mix.add_(parts[:, i].view(one_each) * chain(batch))
    return mix.view(img.shape).to(img.dtype)


class AugMix(Module):
    """A random mixture of the image and of chains of operations on it.

    Args:
        severity: the largest magnitude, from 1 to 10.
        mixture_width: how many chains.
        chain_depth: how many operations each; drawn from 1 to 3 where it is not positive.
        alpha: the parameter of the Dirichlet and Beta distributions of the weights.
        all_ops: also brightness, colour, contrast and sharpness.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image.

    Source: Hendrycks et al., AugMix, ICLR 2020.
    """

    _PARAMETER_MAX = 10

    def __init__(
        self,
        severity=3,
        mixture_width=3,
        chain_depth=-1,
        alpha=1.0,
        all_ops=True,
        interpolation=InterpolationMode.BILINEAR,
        fill=None,
    ):
        super().__init__()
        if not 1 <= severity <= self._PARAMETER_MAX:
            raise ValueError(
                f"The severity must be between [1, {self._PARAMETER_MAX}]. Got {severity} instead."
            )
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops
        self.interpolation = interpolation
        self.fill = fill

    def _chain(self, img, space, fill):
        depth = self.chain_depth if self.chain_depth > 0 else randint(1, 4)
        for _ in range(depth):
            name, magnitude = _draw_op(space, self._PARAMETER_MAX, lambda: randint(0, self.severity))
            img = _apply_op(img, name, magnitude, self.interpolation, fill)
        return img

    def forward(self, orig_img):
        fill = fill_for(orig_img, self.fill)
        _, height, width = F.get_dimensions(orig_img)
        img = orig_img if isinstance(orig_img, Tensor) else F.pil_to_tensor(orig_img)
        space = _mix_space(height, width, self.all_ops)
        mix = mixed(img, lambda batch: self._chain(batch, space, fill), self.alpha, self.mixture_width)
        return mix if isinstance(orig_img, Tensor) else F.to_pil_image(mix)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(severity={self.severity}, mixture_width={self.mixture_width}, "
            f"chain_depth={self.chain_depth}, alpha={self.alpha}, all_ops={self.all_ops}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
