"""Tensors without data, of which there are none here."""

from rushlight._subclasses import fake_tensor

__all__ = ["fake_tensor"]
