"""Tensors on the device "meta": a shape and a type, and no memory.

They are tensors like others, whose arrays have no data (`rushlight/phantom.py`).
"""

import functools
from types import FunctionType

from rushlight import devices, phantom
from rushlight.ops.detour import Detour, own_code
from rushlight.tensor import Tensor, wrap

_META = devices.device("meta")


def empty(shape, kind, requires_grad: bool = False) -> Tensor:
    """A tensor without memory.

    Args:
        shape: its dimensions.
        kind: the NumPy type of its elements.
        requires_grad: whether gradients are to flow to it.
    """
    made = wrap(phantom.make(shape, kind))
    return made.requires_grad_() if requires_grad else made


def without_data(t: Tensor) -> Tensor:
    """A tensor of the shape, type and strides of another."""
    made = wrap(phantom.like(t._strided()))
    if t._format is not None:
        made._format = t._format
    return made.requires_grad_() if t._rg else made


def _takes_device(function: FunctionType) -> bool:
    code = own_code(function)
    return "device" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


@functools.cache
def _detours() -> list[Detour]:
    import rushlight

    makers = {
        f
        for n, f in vars(rushlight).items()
        if isinstance(f, FunctionType) and not n.startswith("_") and _takes_device(f)
    }
    return [Detour(f, _made_on_meta) for f in makers if f.__module__.startswith("rushlight.ops.")]


def _made_on_meta(original, args, kwargs):
    if kwargs.get("device") is not None:
        return original(*args, **kwargs)
    if original.__name__ in ("empty", "zeros", "ones", "full", "rand", "randn"):
        return original(*args, **{**kwargs, "device": _META})
    made = original(*args, **kwargs)
    return made if made.is_meta else without_data(made)


def enter() -> None:
    """Begin a block whose new tensors have no memory."""
    for detour in _detours():
        detour.on()


def leave() -> None:
    """End it."""
    for detour in _detours():
        detour.off()
