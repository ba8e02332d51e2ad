"""The few names of PyTorch's extension module that other packages ask for."""

from types import SimpleNamespace

import rushlight as _VariableFunctions
from rushlight.library.operator import BelowAutograd as _AutoDispatchBelowAutograd  # noqa: F401
from rushlight.nn import functional as _F
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

_nn = SimpleNamespace(
    log_sigmoid=_F.logsigmoid,
    **{
        name: getattr(_F, name)
        for name in (
            "avg_pool2d", "avg_pool3d", "elu_", "gelu", "hardtanh_", "leaky_relu_", "linear", "one_hot",
            "scaled_dot_product_attention", "softplus", "softshrink",
        )
    },
)  # fmt: skip

#: What has the functions; pickles name them by it.
_VariableFunctionsClass = _VariableFunctions


def _log_api_usage_once(event: str) -> None:
    """Tell nobody: we keep no records of what is used."""


def _get_tracing_state() -> None:
    """None: nothing is being traced."""


def _are_functorch_transforms_active() -> bool:
    """False: functions inside `vmap` and `grad` see tensors with values here, and may decide by them."""
    return False
