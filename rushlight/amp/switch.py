"""How ops come to cast their inputs while autocast is on.

While some thread has it on, calls of the ops that it concerns take a detour to `_cast_call`, which casts and calls
the original.
"""

import threading
from functools import partial
from types import FunctionType

from rushlight.amp.policy import POLICIES
from rushlight.autograd.grad_mode import MODE
from rushlight.dtypes import bfloat16, dtype, float16, float32, float64
from rushlight.ops.detour import Detour
from rushlight.tensor import Tensor


class _State(threading.local):
    """This thread's settings."""

    nesting = 0
    cache_enabled = True
    inside = False  # an op that casts is running: what it calls does not cast

    def __init__(self):
        self.enabled: dict[str, bool] = {}
        self.dtypes: dict[str, dtype] = {}
        self.cache: dict = {}  # id of a parameter -> (parameter, version, the cast one)

    def dtype(self, device_type: str) -> dtype:
        return self.dtypes.get(device_type, bfloat16 if device_type in ("cpu", "hpu", "xla") else float16)


STATE = _State()


_detours: list[Detour] = []
_lock = threading.Lock()
_armed = 0


def arm() -> None:
    """Have the ops cast, until as many calls of `disarm`."""
    global _armed
    with _lock:
        if not _detours:
            _find_ops()
        _armed += 1
        if _armed == 1:
            for detour in _detours:
                detour.on()


def disarm() -> None:
    """Take one `arm` back."""
    global _armed
    with _lock:
        _armed -= 1
        if _armed == 0:
            for detour in _detours:
                detour.off()


def _find_ops() -> None:
    from rushlight.ops.registry import OPS

    for policy, names in POLICIES.items():
        for name in names:
            function = OPS[name].function if name in OPS else None
            if isinstance(function, FunctionType):
                _detours.append(Detour(function, partial(_cast_call, policy)))


def _cast_call(policy: str, original: FunctionType, args: tuple, kwargs: dict):
    if STATE.inside or not STATE.enabled.get("cpu") or kwargs.get("out") is not None:
        return original(*args, **kwargs)
    target = STATE.dtype("cpu")
    if policy == "float32" or (
        policy == "widest" and any(t.dtype is float32 for t in _tensors((*args, *kwargs.values())))
    ):
        target = float32
    STATE.inside = True
    try:
        args = [_cast(a, target) for a in args]
        return original(*args, **{name: _cast(a, target) for name, a in kwargs.items()})
    finally:
        STATE.inside = False


def _tensors(values):
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _cast(value, target: dtype):
    """A tensor, or those in a sequence, in the target type; float64 and what is not floating-point stays."""
    if isinstance(value, Tensor):
        kind = value.dtype
        if not kind.is_floating_point or kind is float64 or kind is target:
            return value
        if (
            value._rg
            and value._node is None
            and target is not float32
            and STATE.cache_enabled
            and MODE.enabled
        ):
            return _cached(value, target)
        return value.to(target)
    if type(value) in (list, tuple):
        return type(value)(_cast(v, target) for v in value)
    return value


def _cached(parameter: Tensor, target: dtype) -> Tensor:
    """A parameter's cast, made once in a region for as long as the parameter is not changed."""
    version = parameter._version
    found = STATE.cache.get(id(parameter))
    if found is not None and found[0] is parameter and found[1] == version and found[2].dtype is target:
        return found[2]
    cast = parameter.to(target)
    if STATE.nesting:
        STATE.cache[id(parameter)] = parameter, version, cast
    return cast
