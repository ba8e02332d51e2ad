"""PyTorch's path to what is asked about automatic casts on CUDA devices."""

__all__ = ["amp_definitely_not_available"]


def amp_definitely_not_available() -> bool:
    """Whether there can be no casts, for want of a device: True."""
    return True
