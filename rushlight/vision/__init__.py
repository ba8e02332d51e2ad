"""Pictures: data sets, transforms, networks, files and drawings, under torchvision's names."""

from rushlight.vision import datasets, io, models, ops, transforms, tv_tensors, utils
from rushlight.vision._backends import (
    disable_beta_transforms_warning,
    get_image_backend,
    get_video_backend,
    set_image_backend,
    set_video_backend,
)

__all__ = [
    "datasets",
    "disable_beta_transforms_warning",
    "get_image_backend",
    "get_video_backend",
    "io",
    "models",
    "ops",
    "set_image_backend",
    "set_video_backend",
    "transforms",
    "tv_tensors",
    "utils",
]

__version__ = "0.28.0"  # the torchvision whose names these are, since programs compare it
