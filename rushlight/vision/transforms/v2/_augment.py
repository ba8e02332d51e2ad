"""Transforms that overwrite or mix pictures."""

import math
import numbers

import rushlight as torch
from rushlight.nn.functional import one_hot
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten
from rushlight.vision import tv_tensors
from rushlight.vision.transforms import _photometry as v1
from rushlight.vision.transforms._base import check_sequence, randint
from rushlight.vision.transforms._functional_pil import _is_pil_image
from rushlight.vision.transforms._geometry import check_ranges
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2._base import (
    RandomApplied,
    Transform,
    has_any,
    is_pure_tensor,
    parse_labels_getter,
    query_chw,
    query_size,
)
from rushlight.vision.transforms.v2._geometry import warn_of_marks


class RandomErasing(RandomApplied):
    """A random rectangle of an image overwritten, with probability `p`.

    Args:
        p: the probability.
        scale: smallest and largest part of the area.
        ratio: smallest and largest height / width.
        value: a number, one for each channel, or "random" for normal noise.
        inplace: change the tensor itself.

    Source: Zhong et al., Random Erasing Data Augmentation, AAAI 2020.
    """

    _v1_transform_cls = v1.RandomErasing

    def __init__(self, p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0.0, inplace=False):
        super().__init__(p)
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        check_ranges(scale, ratio)
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        self.scale = scale
        self.ratio = ratio
        if isinstance(value, (int, float)):
            self.value = [float(value)]
        else:
            self.value = None if isinstance(value, str) else [float(v) for v in value]
        self.inplace = inplace

    def make_params(self, flat_inputs):
        """Draws the rectangle and the values."""
        channels, height, width = query_chw(flat_inputs)
        if self.value is not None and len(self.value) not in (1, channels):
            raise ValueError(
                f"If value is a sequence, it should have either a single value or {channels} (number of inpt channels)"
            )
        drawn = v1.draw_erasing(channels, height, width, self.scale, self.ratio, self.value)
        return dict(zip("ijhwv", drawn or (0, 0, height, width, None), strict=True))

    def transform(self, inpt, params):
        """The input with the rectangle overwritten."""
        if params["v"] is None:
            return inpt
        warn_of_marks(self, inpt)
        return self._call_kernel(F.erase, inpt, **params, inplace=self.inplace)


class _Mixing(Transform):
    """What `MixUp` and `CutMix` share: both take a batch, and mix each picture with the one before it."""

    def __init__(self, *, alpha=1.0, num_classes=None, labels_getter="default"):
        super().__init__()
        self.alpha = float(alpha)
        self._dist = torch.distributions.Beta(torch.tensor([alpha]), torch.tensor([alpha]))
        self.num_classes = num_classes
        self._labels_getter = parse_labels_getter(labels_getter)

    def _check_labels(self, labels) -> None:
        if not isinstance(labels, Tensor):
            raise ValueError(f"The labels must be a tensor, but got {type(labels)} instead.")
        if labels.ndim not in (1, 2):
            raise ValueError(
                "labels should be index based with shape (batch_size,) or probability based with shape (batch_size, "
                f"num_classes), but got a tensor of shape {labels.shape} instead."
            )
        if labels.ndim == 2 and self.num_classes not in (None, labels.shape[-1]):
            raise ValueError(
                "When passing 2D labels, the number of elements in last dimension must match num_classes: "
                f"{labels.shape[-1]} != {self.num_classes}. You can Leave num_classes to None."
            )
        if labels.ndim == 1 and self.num_classes is None:
            raise ValueError("num_classes must be passed if the labels are index-based (1D)")

    def forward(self, *inputs):
        """The batch mixed; its labels become probabilities."""
        inputs = inputs if len(inputs) > 1 else inputs[0]
        flat, spec = tree_flatten(inputs)
        changed = self._needs_transform_list(flat)
        marks = (tv_tensors.BoundingBoxes, tv_tensors.Mask, tv_tensors.KeyPoints)
        if has_any(flat, _is_pil_image, *marks):
            raise ValueError(
                f"{type(self).__name__}() does not support PIL images, bounding boxes, keypoints and masks."
            )
        labels = self._labels_getter(inputs)
        self._check_labels(labels)
        drawn = self.make_params([inpt for inpt, needs in zip(flat, changed, strict=True) if needs])
        params = {"labels": labels, "batch_size": labels.shape[0], **drawn}
        out = [
            self.transform(inpt, params) if needs or inpt is labels else inpt
            for inpt, needs in zip(flat, changed, strict=True)
        ]
        return tree_unflatten(out, spec)

    def transform(self, inpt, params):
        """The labels, or the pictures, mixed."""
        if inpt is params["labels"]:
            return self._mixed_labels(inpt, params["lam"])
        if not (isinstance(inpt, (tv_tensors.Image, tv_tensors.Video)) or is_pure_tensor(inpt)):
            return inpt
        expected = 5 if isinstance(inpt, tv_tensors.Video) else 4
        if inpt.ndim != expected:
            raise ValueError(
                f"Expected a batched input with {expected} dims, but got {inpt.ndim} dimensions instead."
            )
        if inpt.shape[0] != params["batch_size"]:
            raise ValueError(
                "The batch size of the image or video does not match the batch size of the labels: "
                f"{inpt.shape[0]} != {params['batch_size']}."
            )
        output = self._mixed(inpt.as_subclass(Tensor), params)
        return output if is_pure_tensor(inpt) else tv_tensors.wrap(output, like=inpt)

    def _mixed_labels(self, labels, lam):
        labels = one_hot(labels, num_classes=self.num_classes) if labels.ndim == 1 else labels
        labels = labels if labels.is_floating_point() else labels.float()
        return labels.roll(1, 0).mul_(1.0 - lam).add_(labels.mul(lam))


class MixUp(_Mixing):
    """Each picture of a batch, and its label, averaged with the one before it.

    Use it on batches: after the DataLoader, or in its `collate_fn`.

    Args:
        alpha: the parameter of the Beta distribution of the weights.
        num_classes: the number of classes, where labels are numbers.
        labels_getter: a function from the batch to its labels; by default they are the second item, or what a dict
            calls "labels".

    Source: Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018.

    >>> from rushlight.vision.transforms import v2
    >>> images, labels = v2.MixUp(num_classes=3)(torch.zeros(2, 1, 4, 4), torch.tensor([0, 2]))
    >>> labels.shape
    torch.Size([2, 3])
    """

    def make_params(self, flat_inputs):
        """Draws the weight."""
        return {"lam": float(self._dist.sample(()))}

    def _mixed(self, images, params):
        lam = params["lam"]
        return images.roll(1, 0).mul_(1.0 - lam).add_(images.mul(lam))


class CutMix(_Mixing):
    """A random rectangle of each picture of a batch from the one before it, and the label mixed by area.

    Use it on batches: after the DataLoader, or in its `collate_fn`.

    Args:
        alpha: the parameter of the Beta distribution of the areas.
        num_classes: the number of classes, where labels are numbers.
        labels_getter: a function from the batch to its labels; by default they are the second item, or what a dict
            calls "labels".

    Source: Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers, ICCV 2019.
    """

    def make_params(self, flat_inputs):
        """Draws the rectangle."""
        lam = float(self._dist.sample(()))
        height, width = query_size(flat_inputs)
        x, y = randint(0, width), randint(0, height)
        r = 0.5 * math.sqrt(1.0 - lam)
        half_w, half_h = int(r * width), int(r * height)
        x1, y1 = max(x - half_w, 0), max(y - half_h, 0)
        x2, y2 = min(x + half_w, width), min(y + half_h, height)
        return {"box": (x1, y1, x2, y2), "lam": float(1.0 - (x2 - x1) * (y2 - y1) / (width * height))}

    def _mixed(self, images, params):
        x1, y1, x2, y2 = params["box"]
        output = images.clone()
        output[..., y1:y2, x1:x2] = images.roll(1, 0)[..., y1:y2, x1:x2]
        return output


class JPEG(Transform):
    """The image as it comes back from a JPEG file of random quality.

    Args:
        quality: 1 to 100, or the range to draw from.
    """

    def __init__(self, quality):
        super().__init__()
        if isinstance(quality, bool):
            raise TypeError("quality can't be bool")
        if isinstance(quality, int):
            quality = [quality, quality]
        else:
            check_sequence(quality, "quality")
        if not (1 <= quality[0] <= quality[1] <= 100 and all(isinstance(q, int) for q in quality)):
            raise ValueError(f"quality must be an integer from 1 to 100, got quality ={quality!r}")
        self.quality = quality

    def make_params(self, flat_inputs):
        """Draws the quality."""
        return {"quality": torch.randint(self.quality[0], self.quality[1] + 1, ()).item()}

    def transform(self, inpt, params):
        """The input after compression."""
        return self._call_kernel(F.jpeg, inpt, **params)
