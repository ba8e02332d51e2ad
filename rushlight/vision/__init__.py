"""Pictures: data sets, and later transforms and networks, under torchvision's names."""

from rushlight.vision import datasets

__all__ = ["datasets"]
