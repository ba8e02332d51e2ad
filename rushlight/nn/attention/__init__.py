"""Choices about scaled dot product attention that PyTorch offers; here there is one kernel, for every shape."""

from contextlib import contextmanager
from enum import IntEnum

from rushlight.nn.attention import flex_attention as flex_attention

#: Whether PyTorch's classes of masks explain why no fused kernel was used; without effect here.
WARN_FOR_UNFUSED_KERNELS = False


class SDPBackend(IntEnum):
    """PyTorch's implementations of scaled dot product attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    def __repr__(self) -> str:
        return f"<SDPBackend.{self.name}: {self.value}>"

    def __str__(self) -> str:
        return f"SDPBackend.{self.name}"


@contextmanager
def sdpa_kernel(backends, set_priority=False):
    """Accept a choice of implementations, which changes nothing: there is one, and it covers what they all do.

    Args:
        backends: an `SDPBackend`, or a list of them.
        set_priority: whether their order matters.
    Raises:
        AssertionError: `backends` is something else.

    >>> import rushlight as torch
    >>> x = torch.ones(1, 1, 2, 4)
    >>> with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
    ...     torch.nn.functional.scaled_dot_product_attention(x, x, x).shape
    torch.Size([1, 1, 2, 4])
    """
    if not isinstance(backends, list | SDPBackend):
        raise AssertionError(
            "Backend must be an instance of SDPBackend or a list of SDPBackend instances, got "
            f"{type(backends).__name__}"
        )
    yield {}


__all__ = ["WARN_FOR_UNFUSED_KERNELS", "SDPBackend", "sdpa_kernel"]
