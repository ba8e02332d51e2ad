"""The few names of PyTorch's extension module that other packages ask for."""

from rushlight.random import Generator
from rushlight.tensor import Tensor as TensorBase

__all__ = ["Generator", "TensorBase"]


def _log_api_usage_once(event: str) -> None:
    """Tell nobody: we keep no records of what is used."""


def _get_tracing_state() -> None:
    """None: nothing is being traced."""
