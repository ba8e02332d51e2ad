"""Data sets of pictures."""

from rushlight.vision.datasets.digits import Digits

__all__ = ["Digits"]
