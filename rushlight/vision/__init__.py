"""Pictures: data sets, transforms, networks, files and drawings, under torchvision's names."""

from rushlight.vision import datasets, io, models, ops, transforms, tv_tensors, utils

__all__ = ["datasets", "io", "models", "ops", "transforms", "tv_tensors", "utils"]

__version__ = "0.28.0"  # the torchvision whose names these are, since programs compare it
