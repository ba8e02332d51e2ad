"""Transforms of images, Pillow's or tensors, under torchvision's names.

The same seed gives the same random draws as torchvision's. Pillow images need Pillow (`pip install pillow`).
"""

from rushlight.vision.transforms import autoaugment, functional, transforms
from rushlight.vision.transforms.autoaugment import *  # noqa: F403
from rushlight.vision.transforms.transforms import *  # noqa: F403

__all__ = ["autoaugment", "functional", "transforms", *autoaugment.__all__, *transforms.__all__]
