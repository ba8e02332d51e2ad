"""Asking whether a tensor is one without data."""

__all__ = ["is_fake"]


def is_fake(x) -> bool:
    """Whether a tensor has no data and only stands for one: False, as there are no such tensors here."""
    return False
