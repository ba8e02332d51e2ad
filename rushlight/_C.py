"""The few names of PyTorch's extension module that other packages ask for."""

from rushlight.random import Generator
from rushlight.tensor import Tensor as TensorBase

__all__ = ["Generator", "TensorBase"]


def _log_api_usage_once(event: str) -> None:
    """Tell nobody: we keep no records of what is used."""


def _disabled_torch_function_impl(func, types, args=(), kwargs=None):
    """Call a function as it is, for subclasses of tensors that do not intercept it."""
    return func(*args, **(kwargs or {}))


def _get_tracing_state() -> None:
    """None: nothing is being traced."""
