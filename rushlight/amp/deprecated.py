"""Autocast and GradScaler of one kind of device, under their names of before PyTorch 2.4."""

import functools
import warnings

from rushlight import amp
from rushlight.dtypes import bfloat16, float16


def _warn(device: str, name: str, arguments: str = "args...") -> None:
    warnings.warn(
        f"`torch.{device}.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}({arguments})` instead.",
        FutureWarning,
        stacklevel=3,
    )


def classes(device: str) -> tuple[type, type]:
    """The classes `autocast` and `GradScaler` of `torch.<device>.amp`."""
    short = bfloat16 if device == "cpu" else float16

    class autocast(amp.autocast):
        __doc__ = f"""`torch.amp.autocast("{device}", ...)`, under its old name."""

        def __init__(self, enabled: bool = True, dtype=short, cache_enabled: bool = True):
            _warn(device, "autocast", f"'{device}', args...")
            super().__init__(device, enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)

    class GradScaler(amp.GradScaler):
        __doc__ = f"""`torch.amp.GradScaler("{device}", ...)`, under its old name."""

        def __init__(
            self, init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5,
            growth_interval: int = 2000, enabled: bool = True,
        ):  # fmt: skip
            _warn(device, "GradScaler", f"'{device}', args...")
            super().__init__(device, init_scale, growth_factor, backoff_factor, growth_interval, enabled)

    for cls in (autocast, GradScaler):
        cls.__module__, cls.__qualname__ = f"rushlight.{device}.amp", cls.__name__
    return autocast, GradScaler


def custom_fwd(fwd=None, *, cast_inputs=None):
    """`torch.amp.custom_fwd(..., device_type="cuda")`, under its old name."""
    _warn("cuda", "custom_fwd", "args..., device_type='cuda'")
    if fwd is None:
        return functools.partial(amp.custom_fwd, device_type="cuda", cast_inputs=cast_inputs)
    return amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd):
    """`torch.amp.custom_bwd(..., device_type="cuda")`, under its old name."""
    _warn("cuda", "custom_bwd", "args..., device_type='cuda'")
    return amp.custom_bwd(bwd, device_type="cuda")
