"""Pictures: data sets, and later transforms and networks, under torchvision's names."""

from rushlight.vision import datasets, io, transforms, utils

__all__ = ["datasets", "io", "transforms", "utils"]
