"""`autocast` regions, and `custom_fwd`/`custom_bwd` for autograd functions inside them."""

import functools
import warnings
from collections.abc import Iterable, Mapping

import numpy as np

from rushlight.amp import state
from rushlight.amp.state import is_autocast_available
from rushlight.dtypes import bfloat16, dtype, float16, float64
from rushlight.tensor import Tensor

__all__ = ["autocast", "autocast_decorator", "custom_bwd", "custom_fwd", "is_autocast_available"]


def autocast_decorator(autocast_instance, func):
    """A function that runs `func` inside an autocast region."""

    @functools.wraps(func)
    def decorate_autocast(*args, **kwargs):
        with autocast_instance:
            return func(*args, **kwargs)

    return decorate_autocast


class autocast:
    """A region, or a decorated function, in which each op picks the type that suits it.

    Products (linear layers, convolutions, attention) run in bfloat16, losses and other long sums in float32, the
    rest in the type of what it is given. Parameters stay as they are, and so do their gradients' types.

    Args:
        device_type: "cpu"; for "cuda" and others, of which there are no devices, it warns and does nothing.
        dtype: bfloat16 (the default on the CPU) or float16.
        enabled: False makes a region without casts, also inside one with them.
        cache_enabled: cast a parameter once for all its uses in the region.
    Raises:
        RuntimeError: there is no autocast for this kind of device.

    Source: Micikevicius et al., "Mixed Precision Training" (2018).

    >>> import rushlight as torch
    >>> layer = torch.nn.Linear(2, 3)
    >>> with torch.autocast("cpu"):
    ...     y = layer(torch.ones(1, 2))
    >>> y.dtype, layer.weight.dtype
    (torch.bfloat16, torch.float32)
    """

    def __init__(
        self,
        device_type: str,
        dtype: dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ):
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.fast_dtype = state.get_autocast_dtype(device_type) if dtype is None else dtype
        self.device = device_type
        if not is_autocast_available(device_type):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self._cache_enabled = state.is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        if enabled and device_type == "cuda":
            warnings.warn(
                "CUDA is not available or torch_xla is imported. Disabling autocast.",
                stacklevel=_outside(type(self)),
            )
            enabled = False
        elif enabled and self.fast_dtype not in (bfloat16, float16):
            name = device_type.upper()
            warnings.warn(
                f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n{name} Autocast only "
                "supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=_outside(type(self)),
            )
            enabled = False
        self._enabled = enabled

    def __enter__(self):
        self.prev_cache_enabled = state.is_autocast_cache_enabled()
        self.prev = state.is_autocast_enabled(self.device)
        self.prev_fastdtype = state.get_autocast_dtype(self.device)
        state.set_autocast_enabled(self.device, self._enabled)
        state.set_autocast_dtype(self.device, self.fast_dtype)
        state.autocast_increment_nesting()
        state.set_autocast_cache_enabled(self._cache_enabled)
        return self

    def __exit__(self, *exception):
        if state.autocast_decrement_nesting() == 0:
            state.clear_autocast_cache()
        state.set_autocast_enabled(self.device, self.prev)
        state.set_autocast_dtype(self.device, self.prev_fastdtype)
        state.set_autocast_cache_enabled(self.prev_cache_enabled)
        return False

    def __call__(self, func):
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. "
                "Did you mean to use autocast as a context manager? For example:\n"
                "    with torch.autocast(device_type=...):\n        output = model(input)"
            )
        return autocast_decorator(self, func)


def _outside(cls: type) -> int:
    """The stack level of whoever made an autocast, through the constructor of a subclass or not."""
    return 2 if cls is autocast else 3


def _cast(value, device_type: str, dtype: dtype):
    """A tensor, or those in a container, in another type; float64 and what is not floating-point stays."""
    if isinstance(value, Tensor):
        eligible = (
            value.is_floating_point() and value.device.type == device_type and value.dtype is not float64
        )
        return value.to(dtype) if eligible else value
    if isinstance(value, str | bytes | np.ndarray):
        return value
    if isinstance(value, Mapping):
        return {_cast(k, device_type, dtype): _cast(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, Iterable):
        cast = (_cast(v, device_type, dtype) for v in value)
        return type(value)(cast) if isinstance(value, list | tuple) else cast
    return value


def _check_device_type(device_type) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


def custom_fwd(fwd=None, *, device_type: str, cast_inputs: dtype | None = None):
    """Decorate the `forward` of an autograd function for use under autocast.

    Args:
        fwd: the function; without it a decorator is returned.
        device_type: "cpu".
        cast_inputs: in an autocast region, cast floating-point inputs to this type, and run without autocast.
    """
    _check_device_type(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorate_fwd(*args, **kwargs):
        context = args[0]
        context._dtype = state.get_autocast_dtype(device_type)
        enabled = state.is_autocast_enabled(device_type)
        context._fwd_used_autocast = enabled and cast_inputs is None
        if cast_inputs is None or not enabled:
            return fwd(*args, **kwargs)
        with autocast(device_type=device_type, enabled=False):
            args, kwargs = (_cast(a, device_type, cast_inputs) for a in (args, kwargs))
            return fwd(*args, **kwargs)

    return decorate_fwd


def custom_bwd(bwd=None, *, device_type: str):
    """Decorate the `backward` of an autograd function, to run as its `forward` did, with autocast or without.

    Args:
        bwd: the function; without it a decorator is returned.
        device_type: "cpu".
    """
    _check_device_type(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorate_bwd(*args, **kwargs):
        with autocast(device_type=device_type, enabled=args[0]._fwd_used_autocast, dtype=args[0]._dtype):
            return bwd(*args, **kwargs)

    return decorate_bwd
