"""Gradient scaling, which keeps small float16 gradients from vanishing."""

import inspect
import warnings
from collections import defaultdict
from collections.abc import Iterable
from enum import Enum

import numpy as np

from rushlight.dtypes import float16
from rushlight.kernels.reference.layout import widen
from rushlight.tensor import Tensor, wrap

__all__ = ["GradScaler", "OptState"]


class OptState(Enum):
    """What has been done with an optimizer since the last `update`."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _fresh_state() -> dict:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


class GradScaler:
    """Multiplies the loss, divides the gradients, and skips steps whose gradients overflow.

    The scale falls after an overflow and grows after `growth_interval` steps without one.

    Args:
        device: "cpu"; for "cuda", of which there are no devices, it warns and is disabled.
        init_scale: the first scale.
        growth_factor: what the scale is multiplied by when it grows, more than 1.
        backoff_factor: what it is multiplied by after an overflow, less than 1.
        growth_interval: steps without overflow before it grows.
        enabled: False makes `step` the optimizer's own, and everything else do nothing.
    Raises:
        AssertionError: a factor is out of range.

    Source: Micikevicius et al., "Mixed Precision Training" (2018).

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt, scaler = torch.optim.SGD([w], lr=0.5), torch.amp.GradScaler("cpu", init_scale=8.0)
    >>> scaler.scale((w * 2).sum()).backward()
    >>> scaler.step(opt)
    >>> scaler.update()
    >>> w, scaler.get_scale()
    (tensor([0.], requires_grad=True), 8.0)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        self._device = device
        self._enabled = enabled
        if device == "cuda" and enabled:
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=2 if type(self) is GradScaler else 3,
            )
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._init_growth_tracker = 0
        self._scale: Tensor | None = None  # made by the first call of `scale`
        self._growth_tracker: Tensor | None = None
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._per_optimizer_states: dict[int, dict] = defaultdict(_fresh_state)

    def _check_scale(self, caller: str) -> None:
        if self._scale is None:
            raise AssertionError(
                f"Attempted {caller} but _scale is None.  This may indicate your script did not use "
                "scaler.scale(loss or outputs) earlier in the iteration."
            )

    def scale(self, outputs):
        """Tensors, alone or in (nested) sequences, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._scale = wrap(np.array(self._init_scale, np.float32))
                self._growth_tracker = wrap(np.array(self._init_growth_tracker, np.int32))
            return outputs * self._scale
        if isinstance(outputs, Iterable):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, list | tuple) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer) -> None:
        """Divide the gradients of an optimizer's parameters by the scale, in place; once between two updates.

        Raises:
            RuntimeError: it was done already, or the step was. ValueError: gradients are float16.
        """
        if not self._enabled:
            return
        self._check_scale("unscale_")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        state["found_inf_per_device"] = self._unscale_grads_(optimizer, 1.0 / self._scale.item(), False)
        state["stage"] = OptState.UNSCALED

    def _unscale_grads_(self, optimizer, factor: float, allow_fp16: bool) -> dict:
        """Multiply all gradients; returns whether one was infinite or not a number, by device."""
        found, some = False, False
        factor = np.float32(factor)
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.dtype is float16 and not allow_fp16:
                    raise ValueError("Attempting to unscale FP16 gradients.")
                grad = p.grad._values() if p.grad.is_sparse else p.grad
                some = True
                found = found or not np.isfinite(widen(grad._array)).all()
                if factor != 1:
                    grad._array *= factor.astype(grad._array.dtype)
                    grad._bump()
        return {"cpu": wrap(np.array(float(found), np.float32))} if some else {}

    def step(self, optimizer, *args, **kwargs):
        """`optimizer.step()` on gradients divided by the scale, or nothing where they overflowed.

        Returns:
            What the optimizer's step gave, or None.
        Raises:
            RuntimeError: the step was made already since the last update, or there is a closure.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._check_scale("step")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            result = self._step_that_scales(optimizer, state, args, kwargs)
        else:
            if state["stage"] is OptState.READY:
                self.unscale_(optimizer)
            if not state["found_inf_per_device"]:
                raise AssertionError("No inf checks were recorded for this optimizer.")
            overflow = any(v.item() for v in state["found_inf_per_device"].values())
            result = None if overflow else optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def _step_that_scales(self, optimizer, state: dict, args, kwargs):
        """The step of an optimizer that divides the gradients itself, by its `grad_scale`."""
        if "grad_scaler" in inspect.signature(optimizer.step).parameters:
            return optimizer.step(*args, **kwargs, grad_scaler=self)
        if state["stage"] is OptState.READY:
            self._check_inf_per_device(optimizer)
        before = getattr(optimizer, "grad_scale", None)
        if state["stage"] is OptState.READY:
            before = self._scale if before is None else self._scale * before
        optimizer.grad_scale = before
        optimizer.found_inf = sum(state["found_inf_per_device"].values())
        try:
            return optimizer.step(*args, **kwargs)
        finally:
            del optimizer.grad_scale, optimizer.found_inf

    def update(self, new_scale=None) -> None:
        """Adapt the scale; once per iteration, after the steps of all optimizers.

        Args:
            new_scale: the scale to set, a number or a tensor with one element.
        """
        if not self._enabled:
            return
        self._check_scale("update")
        if isinstance(new_scale, Tensor):
            if new_scale.device.type != self._device or new_scale.numel() != 1 or new_scale.requires_grad:
                raise AssertionError(
                    "new_scale should be a float or a 1-element torch.cuda.FloatTensor or torch.FloatTensor "
                    "with requires_grad=False."
                )
            self._scale.copy_(new_scale.reshape(()))
        elif new_scale is not None:
            self._scale.fill_(new_scale)
        else:
            self._adapt()
        self._per_optimizer_states = defaultdict(_fresh_state)

    def _adapt(self) -> None:
        found = [
            v.item() for s in self._per_optimizer_states.values() for v in s["found_inf_per_device"].values()
        ]
        if not found:
            raise AssertionError("No inf checks were recorded prior to update.")
        scale, tracker = self._scale._array, self._growth_tracker._array
        if any(found):
            scale *= np.float32(self._backoff_factor)
            tracker.fill(0)
            return
        tracker += 1
        if tracker == self._growth_interval:
            grown = scale * np.float32(self._growth_factor)
            if np.isfinite(grown):
                scale[...] = grown
            tracker.fill(0)

    def get_scale(self) -> float:
        """The present scale; 1.0 where scaling is disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by when it grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set what the scale is multiplied by when it grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after an overflow."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set what the scale is multiplied by after an overflow."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """Steps without overflow before the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set the steps without overflow before the scale grows."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else self._growth_tracker.item()

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self._enabled

    def state_dict(self) -> dict:
        """The scale, the factors and the count of steps without overflow; empty where it is disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(), "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor, "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over what `state_dict` gave.

        Raises:
            RuntimeError: it is empty, as a disabled scaler's.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        self._scale = self._growth_tracker = None
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]

    def __getstate__(self) -> dict:
        state = self.__dict__.copy()
        if self._enabled:
            if self._per_optimizer_states:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after "
                    "scaler.update()."
                )
            state["_init_scale"] = self.get_scale()
            state["_init_growth_tracker"] = self._get_growth_tracker()
            state["_scale"] = state["_growth_tracker"] = None
        return state

    def _check_inf_per_device(self, optimizer) -> dict:
        self._check_scale("_check_inf_per_device")
        found = self._unscale_grads_(optimizer, 1.0, True)
        self._per_optimizer_states[id(optimizer)]["found_inf_per_device"] = found
        return found

    def _found_inf_per_device(self, optimizer) -> dict:
        return self._per_optimizer_states[id(optimizer)]["found_inf_per_device"]
