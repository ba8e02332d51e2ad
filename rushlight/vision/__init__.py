"""Pictures: data sets, transforms, files and drawings, under torchvision's names."""

from rushlight.vision import datasets, io, transforms, utils

__all__ = ["datasets", "io", "transforms", "utils"]
