"""How ops come to cast their inputs while autocast is on, and cost nothing more while it is off.

While some thread has autocast on, the ops that it concerns have their code objects exchanged: whoever holds such
a function, by whatever name and however long ago it was imported, then calls `_cast_call`, which casts and calls
the original. A test of a flag in every op instead would cost each call, with autocast or without.
"""

import threading
from dataclasses import dataclass
from types import CodeType, FunctionType

from rushlight.amp.policy import POLICIES
from rushlight.autograd.grad_mode import MODE
from rushlight.dtypes import bfloat16, dtype, float16, float32, float64
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


@dataclass
class _Entry:
    """One op: the function that everybody holds, the same under another object, and what it casts to."""

    function: FunctionType
    original: FunctionType
    code: CodeType
    casting_code: CodeType
    policy: str


_entries: list[_Entry] = []
_lock = threading.Lock()
_armed = 0


def arm() -> None:
    """Have the ops cast, until as many calls of `disarm`."""
    global _armed
    with _lock:
        if not _entries:
            _find_ops()
        _armed += 1
        if _armed == 1:
            for entry in _entries:
                entry.function.__code__ = entry.casting_code


def disarm() -> None:
    """Take one `arm` back."""
    global _armed
    with _lock:
        _armed -= 1
        if _armed == 0:
            for entry in _entries:
                entry.function.__code__ = entry.code


def _find_ops() -> None:
    from rushlight.ops.registry import OPS

    for policy, names in POLICIES.items():
        for name in names:
            function = OPS[name].function if name in OPS else None
            if isinstance(function, FunctionType):
                code = function.__code__
                original = FunctionType(
                    code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
                )
                original.__kwdefaults__ = function.__kwdefaults__
                casting = _casting_code(len(_entries), code.co_freevars)
                _entries.append(_Entry(function, original, code, casting, policy))


def _casting_code(number: int, free: tuple) -> CodeType:
    """Code that calls `_cast_call`; it has as many free variables as the code that it replaces."""
    names = ", ".join(free)
    source = f"""
def make({names}):
    def op(*args, **kwargs):
        from rushlight.amp.switch import _cast_call
        return _cast_call({number}, args, kwargs)
        {names}
    return op
"""
    scope: dict = {}
    exec(source, scope)
    return scope["make"](*free).__code__


def _cast_call(number: int, args: tuple, kwargs: dict):
    entry = _entries[number]
    if STATE.inside or not STATE.enabled.get("cpu") or kwargs.get("out") is not None:
        return entry.original(*args, **kwargs)
    target = STATE.dtype("cpu")
    if entry.policy == "float32" or (
        entry.policy == "widest" and any(t.dtype is float32 for t in _tensors((*args, *kwargs.values())))
    ):
        target = float32
    STATE.inside = True
    try:
        args = [_cast(a, target) for a in args]
        return entry.original(*args, **{name: _cast(a, target) for name, a in kwargs.items()})
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
