"""Policies of augmentation, on the one image or video of a sample. The operations are those of v1."""

from typing import Any

import rushlight as torch
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten
from rushlight.vision import tv_tensors
from rushlight.vision.transforms import autoaugment as v1
from rushlight.vision.transforms._base import randint
from rushlight.vision.transforms._functional_tensor import _max_value
from rushlight.vision.transforms.autoaugment import AutoAugmentPolicy, _paper_space
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2._base import IMAGES, Transform, check_type, fill_of, setup_fill
from rushlight.vision.transforms.v2.functional._geometry import mode_of


class _Policy(Transform):
    """What draws operations for one image."""

    def __init__(self, *, interpolation="nearest", fill=None):
        super().__init__()
        self.interpolation = interpolation
        self.fill = fill
        self._fill = setup_fill(fill)

    def forward(self, *inputs):
        """The sample with its image changed."""
        flat, spec = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        changed = self._needs_transform_list(flat)
        places = [i for i, inpt in enumerate(flat) if changed[i] and check_type(inpt, IMAGES)]
        for inpt in flat:
            if isinstance(inpt, (tv_tensors.BoundingBoxes, tv_tensors.Mask, tv_tensors.KeyPoints)):
                raise TypeError(
                    f"Inputs of type {type(inpt).__name__} are not supported by {type(self).__name__}()"
                )
        if not places:
            raise TypeError("Found no image in the sample.")
        if len(places) > 1:
            raise TypeError(
                "Auto augment transformations are only properly defined for a single image or video, but found "
                f"{len(places)}."
            )
        flat[places[0]] = self._augmented(flat[places[0]])
        return tree_unflatten(flat, spec)

    def _augmented(self, image):
        raise NotImplementedError

    def _magnitude(self, image, name: str, space: dict, bins: int, pick) -> float:
        """The magnitude that `pick` chooses, and the sign that is drawn."""
        magnitudes, signed = space[name]
        if magnitudes is None:
            return 0.0
        if name == "Solarize":  # as a part of the range of the image
            bound = _max_value(image.dtype) if isinstance(image, Tensor) else 255.0
            return bound * float(torch.linspace(1.0, 0.0, bins)[pick()])
        magnitude = float(magnitudes(bins)[pick()])
        return -magnitude if signed and bool(torch.rand(()) <= 0.5) else magnitude

    def _apply(self, image, name: str, magnitude: float):
        fill = fill_of(self._fill, type(image))
        return v1._apply_op(image, name, magnitude, mode_of(self.interpolation), fill, F)

    def _random(self, image, space: dict, bins: int, pick):
        """A random operation of the space."""
        name = list(space)[randint(0, len(space))]
        return self._apply(image, name, self._magnitude(image, name, space, bins, pick))


class AutoAugment(_Policy):
    """Two operations of a random one of 25 sub-policies.

    Args:
        policy: which data set's.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image, or a dict of colours by the type of input.

    Source: Cubuk et al., AutoAugment: Learning Augmentation Strategies from Data, CVPR 2019.
    """

    _v1_transform_cls: Any = v1.AutoAugment

    def __init__(self, policy=AutoAugmentPolicy.IMAGENET, interpolation="nearest", fill=None):
        super().__init__(interpolation=interpolation, fill=fill)
        self.policy = policy
        self._policies = v1.AutoAugment._get_policies(self, policy)

    def _augmented(self, image):
        space = _paper_space(*F.get_size(image), invert=True)
        for name, p, index in self._policies[randint(0, len(self._policies))]:
            if torch.rand(()) <= p:
                image = self._apply(image, name, self._magnitude(image, name, space, 10, lambda: index))  # noqa: B023
        return image


class RandAugment(_Policy):
    """Random operations, all of one magnitude.

    Args:
        num_ops: how many, one after the other.
        magnitude: the index of the magnitude.
        num_magnitude_bins: how many magnitudes there are.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image, or a dict of colours by the type of input.

    Source: Cubuk et al., RandAugment, CVPR Workshops 2020.
    """

    _v1_transform_cls: Any = v1.RandAugment

    def __init__(self, num_ops=2, magnitude=9, num_magnitude_bins=31, interpolation="nearest", fill=None):
        super().__init__(interpolation=interpolation, fill=fill)
        if not isinstance(num_ops, int) or num_ops < 0:
            raise ValueError(f"num_ops should be a non-negative integer, but got {num_ops} instead.")
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins

    def _augmented(self, image):
        space = _paper_space(*F.get_size(image), first=("Identity",))
        for _ in range(self.num_ops):
            image = self._random(image, space, self.num_magnitude_bins, lambda: self.magnitude)
        return image


class TrivialAugmentWide(_Policy):
    """One random operation of random magnitude, from wide ranges.

    Args:
        num_magnitude_bins: how many magnitudes there are.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image, or a dict of colours by the type of input.

    Source: Müller and Hutter, TrivialAugment, ICCV 2021.
    """

    _v1_transform_cls: Any = v1.TrivialAugmentWide

    def __init__(self, num_magnitude_bins=31, interpolation="nearest", fill=None):
        super().__init__(interpolation=interpolation, fill=fill)
        self.num_magnitude_bins = num_magnitude_bins

    def _augmented(self, image):
        bins = self.num_magnitude_bins
        return self._random(image, v1._wide_space(), bins, lambda: randint(0, bins))


class AugMix(_Policy):
    """A random mixture of the image and of chains of operations on it.

    Args:
        severity: the largest magnitude, from 1 to 10.
        mixture_width: how many chains.
        chain_depth: how many operations each; drawn from 1 to 3 where it is not positive.
        alpha: the parameter of the Dirichlet distributions of the weights.
        all_ops: also brightness, colour, contrast and sharpness.
        interpolation: nearest or bilinear.
        fill: the colour outside of the image, or a dict of colours by the type of input.

    Source: Hendrycks et al., AugMix, ICLR 2020.
    """

    _v1_transform_cls: Any = v1.AugMix
    _PARAMETER_MAX = 10

    def __init__(
        self,
        severity=3,
        mixture_width=3,
        chain_depth=-1,
        alpha=1.0,
        all_ops=True,
        interpolation="bilinear",
        fill=None,
    ):
        super().__init__(interpolation=interpolation, fill=fill)
        if not 1 <= severity <= self._PARAMETER_MAX:
            raise ValueError(
                f"The severity must be between [1, {self._PARAMETER_MAX}]. Got {severity} instead."
            )
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops

    def _augmented(self, image):
        space = v1._mix_space(*F.get_size(image), self.all_ops)
        pixels = image if isinstance(image, Tensor) else F.pil_to_tensor(image)

        def chain(batch):
            depth = self.chain_depth if self.chain_depth > 0 else randint(1, 4)
            for _ in range(depth):
                batch = self._random(batch, space, self._PARAMETER_MAX, lambda: randint(0, self.severity))
            return batch

        kind = type(pixels)
        least = 5 if isinstance(image, tv_tensors.Video) else 4
        mix = v1.mixed(pixels.as_subclass(Tensor), chain, self.alpha, self.mixture_width, least)
        if isinstance(image, Tensor):
            return mix if kind is Tensor else tv_tensors.wrap(mix, like=image)
        return F.to_pil_image(mix)
