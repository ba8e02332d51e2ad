"""PyTorch's remote procedure calls, which are not here: `is_available` says so."""

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether there are remote procedure calls: there are none."""
    return False
