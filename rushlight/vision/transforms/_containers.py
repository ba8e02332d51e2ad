"""Transforms made of transforms, and conversions between kinds of images."""

import random
from collections.abc import Sequence

import rushlight as torch
from rushlight.nn import Module
from rushlight.vision.transforms import functional as F


def _lines(name: str, *lines) -> str:
    return "\n".join([f"{name}(", *[f"    {line}" for line in lines], ")"])


class Compose:
    """One transform after the other.

    Args:
        transforms: a list of functions of an image.

    >>> from rushlight.vision import transforms
    >>> transforms.Compose([transforms.CenterCrop(2), transforms.RandomHorizontalFlip(1.0)])(torch.eye(4)[None])
    tensor([[[0., 1.],
             [1., 0.]]])
    """

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, img):
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return _lines(type(self).__name__, *self.transforms)


class ToTensor:
    """A Pillow image or an array (H, W, C) as a tensor (C, H, W); 8-bit values become numbers from 0 to 1."""

    def __call__(self, pic):
        return F.to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class PILToTensor:
    """A Pillow image as a tensor (C, H, W) of its own type, not scaled."""

    def __call__(self, pic):
        return F.pil_to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ConvertImageDtype(Module):
    """The image in another type, with values scaled from the whole range of the one to that of the other.

    >>> from rushlight.vision import transforms
    >>> transforms.ConvertImageDtype(torch.uint8)(torch.tensor([[[0.0, 0.5, 1.0]]]))
    tensor([[[  0, 127, 255]]], dtype=torch.uint8)
    """

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, image):
        return F.convert_image_dtype(image, self.dtype)


class ToPILImage:
    """A tensor (C, H, W) or an array (H, W, C) as a Pillow image.

    Args:
        mode: Pillow's name of the colour space; by default that of as many channels.
    """

    def __init__(self, mode=None):
        self.mode = mode

    def __call__(self, pic):
        return F.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.mode is None else f'mode={self.mode}'})"


class Lambda:
    """A function as a transform."""

    def __init__(self, lambd):
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img):
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class RandomTransforms:
    """What `RandomOrder` and `RandomChoice` share: a list of transforms."""

    def __init__(self, transforms):
        if not isinstance(transforms, Sequence):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms = transforms

    def __call__(self, *args, **kwargs):
        raise NotImplementedError("RandomTransforms is a base class: use RandomOrder or RandomChoice")

    def __repr__(self) -> str:
        return _lines(type(self).__name__, *self.transforms)


class RandomApply(Module):
    """All of the transforms, or none of them.

    Args:
        transforms: a list, or a ModuleList.
        p: the probability of applying them.
    """

    def __init__(self, transforms, p=0.5):
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, img):
        if self.p < torch.rand(1):
            return img
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return _lines(type(self).__name__, f"p={self.p}", *self.transforms)


class RandomOrder(RandomTransforms):
    """The transforms in a random order (drawn from Python's `random`)."""

    def __call__(self, img):
        order = list(range(len(self.transforms)))
        random.shuffle(order)
        for i in order:
            img = self.transforms[i](img)
        return img


class RandomChoice(RandomTransforms):
    """One of the transforms (drawn from Python's `random`).

    Args:
        transforms: the list.
        p: their weights; equal by default.
    """

    def __init__(self, transforms, p=None):
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            raise TypeError("Argument p should be a sequence")
        self.p = p

    def __call__(self, *args):
        return random.choices(self.transforms, weights=self.p)[0](*args)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"
