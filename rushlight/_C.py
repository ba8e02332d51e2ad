"""The few names of PyTorch's extension module that other packages ask for."""

from rushlight.overrides import DisableTorchFunction, DisableTorchFunctionSubclass
from rushlight.random import Generator
from rushlight.tensor import Tensor as TensorBase
from rushlight.tensor import disabled_torch_function as _disabled_torch_function_impl

__all__ = [
    "DisableTorchFunction",
    "DisableTorchFunctionSubclass",
    "Generator",
    "TensorBase",
    "_disabled_torch_function_impl",
]


def _log_api_usage_once(event: str) -> None:
    """Tell nobody: we keep no records of what is used."""


def _get_tracing_state() -> None:
    """None: nothing is being traced."""


def _are_functorch_transforms_active() -> bool:
    """False: functions inside `vmap` and `grad` see tensors with values here, and may decide by them."""
    return False
