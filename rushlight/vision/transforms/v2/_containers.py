"""Transforms made of transforms."""

from collections.abc import Sequence

import rushlight as torch
from rushlight.nn import ModuleList
from rushlight.vision.transforms import _containers as v1
from rushlight.vision.transforms.v2._base import Transform


class _Container(Transform):
    _kinds: tuple = (Sequence,)

    def __init__(self, transforms):
        super().__init__()
        if not isinstance(transforms, self._kinds):
            or_list = " or a `nn.ModuleList`" if ModuleList in self._kinds else ""
            raise TypeError(f"Argument transforms should be a sequence of callables{or_list}")
        if not transforms:
            raise ValueError("Pass at least one transform")
        self.transforms = transforms

    def _through(self, transforms, inputs: tuple):
        """One transform after the other; several inputs stay several."""
        several = len(inputs) > 1
        for transform in transforms:
            outputs = transform(*inputs)
            inputs = outputs if several else (outputs,)
        return outputs


class _Listed(_Container):
    def extra_repr(self) -> str:
        return "\n".join(f"    {transform}" for transform in self.transforms)


class Compose(_Listed):
    """One transform after the other.

    Args:
        transforms: a list of functions of a sample.

    >>> from rushlight.vision.transforms import v2
    >>> v2.Compose([v2.CenterCrop(2), v2.RandomHorizontalFlip(1.0)])(torch.eye(4)[None])
    tensor([[[0., 1.],
             [1., 0.]]])
    """

    def forward(self, *inputs):
        """The sample after all of them."""
        return self._through(self.transforms, inputs)


class RandomApply(_Listed):
    """All of the transforms, or none of them.

    Args:
        transforms: a list, or a ModuleList.
        p: the probability of applying them.
    """

    _v1_transform_cls = v1.RandomApply
    _kinds = (Sequence, ModuleList)

    def __init__(self, transforms, p=0.5):
        super().__init__(transforms)
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        self.p = p

    def forward(self, *inputs):
        """The sample after all of them, or as it is."""
        if torch.rand(1) >= self.p:
            return inputs if len(inputs) > 1 else inputs[0]
        return self._through(self.transforms, inputs)


class RandomChoice(_Container):
    """One of the transforms.

    Args:
        transforms: the list.
        p: their weights; equal by default.
    """

    def __init__(self, transforms, p=None):
        super().__init__(transforms)
        p = [1] * len(transforms) if p is None else p
        if len(p) != len(transforms):
            raise ValueError(
                f"Length of p doesn't match the number of transforms: {len(p)} != {len(transforms)}"
            )
        self.p = [weight / sum(p) for weight in p]

    def forward(self, *inputs):
        """The sample after the one that is drawn."""
        return self.transforms[int(torch.multinomial(torch.tensor(self.p), 1))](*inputs)


class RandomOrder(_Container):
    """The transforms in a random order.

    Args:
        transforms: the list.
    """

    def forward(self, *inputs):
        """The sample after all of them."""
        order = torch.randperm(len(self.transforms)).tolist()
        return self._through([self.transforms[i] for i in order], inputs)
