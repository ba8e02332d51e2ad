"""`__torch_function__`: classes that decide what functions of tensors do with them.

A subclass of Tensor keeps its class through every function, and may define `__torch_function__(cls, func, types, args,
kwargs)` to do something else; so may a class that is no tensor at all, and, for all calls within a `with` block, a
`TorchFunctionMode`. The first such class leads all functions here by detours (`ops/detour.py`), so that programs
without one pay nothing. Of classes that are no tensors only `import rushlight.as_torch` hears; elsewhere call `enable()`.
"""

import builtins
import functools
import inspect
import threading
from contextlib import contextmanager
from types import FunctionType

from rushlight import autograd
from rushlight.autograd import engine
from rushlight.ops.detour import Detour
from rushlight.ops.registry import leave_unbound
from rushlight.tensor import Tensor, disabled_torch_function

__all__ = [
    "TorchFunctionMode",
    "disable",
    "enable",
    "enable_reentrant_dispatch",
    "get_default_nowrap_functions",
    "get_ignored_functions",
    "get_overridable_functions",
    "get_testing_overrides",
    "handle_torch_function",
    "has_torch_function",
    "has_torch_function_unary",
    "has_torch_function_variadic",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "resolve_name",
    "wrap_torch_function",
]


class _State(threading.local):
    """What this thread listens to."""

    subclasses = True
    modes_on = True

    def __init__(self):
        self.modes: list[TorchFunctionMode] = []


_STATE = _State()
_lock = threading.Lock()
_detours: dict[FunctionType, Detour] = {}
_enabled = False


class _Without:
    """For a `with` block: functions do what they do, whatever their arguments' classes say."""

    modes_too = False

    def __enter__(self):
        self._before = _STATE.subclasses, _STATE.modes_on
        _STATE.subclasses = False
        if self.modes_too:
            _STATE.modes_on = False
        return self

    def __exit__(self, *error):
        _STATE.subclasses, _STATE.modes_on = self._before


class DisableTorchFunctionSubclass(_Without):
    """For a `with` block: `__torch_function__` of classes is not called; that of modes is."""


class DisableTorchFunction(_Without):
    """For a `with` block: no `__torch_function__` is called."""

    modes_too = True


class TorchFunctionMode:
    """Sees every function that is called within a `with` block; derive your own from it.

    >>> import rushlight as torch
    >>> class Loud(torch.overrides.TorchFunctionMode):
    ...     def __torch_function__(self, func, types, args=(), kwargs=None):
    ...         print(func.__name__)
    ...         return func(*args, **(kwargs or {}))
    >>> with Loud():
    ...     x = torch.ones(2).sum()
    ones
    sum
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Called in place of each function; what it calls itself is not seen by this mode."""
        raise NotImplementedError(f"{type(self).__name__} is a TorchFunctionMode without __torch_function__")

    def __enter__(self):
        enable()
        _STATE.modes.append(self)
        return self

    def __exit__(self, *error):
        _STATE.modes.pop()


def enable() -> None:
    """Have all functions look for `__torch_function__` from now on; needed for classes that are no tensors."""
    _switch(True)


def disable() -> None:
    """Undo `enable`: functions are as quick as before, and subclasses of tensors lose their class in them."""
    _switch(False)


def _switch(on: bool) -> None:
    global _enabled
    with _lock:
        if on and not _detours:
            for function, public in _overridable().items():
                function.__name__ = _shown_name(function.__name__, public.rpartition(".")[2])
                _detours[function] = Detour(function, functools.partial(_call, function))
            _detours[engine.run] = Detour(engine.run, _run_plainly)
        if on != _enabled:
            _enabled = on
            for detour in _detours.values():
                detour.on() if on else detour.off()


def enable_with_classes() -> None:
    """Call `enable` as soon as a class is made that has `__torch_function__`, whatever it derives from.

    Ops that are attributes of a class are left unbound, as built-in functions are.

    Nobody but a base or a metaclass hears of a new class, so this listens where Python builds all of them.
    """
    build = builtins.__build_class__

    def build_and_look(function, name, *bases, **keywords):
        made = build(function, name, *bases, **keywords)
        if getattr(made, "__module__", "").partition(".")[0] != "rushlight":
            if not _enabled and "__torch_function__" in getattr(made, "__dict__", ()):
                enable()
            if isinstance(made, type) and not issubclass(made, Tensor):
                leave_unbound(made)
        return made

    builtins.__build_class__ = build_and_look


_NO_OPS = {
    "__class_getitem__", "__dir__", "__init__", "__init_subclass__", "__iter__", "__new__", "__torch_function__", "shape",
}  # fmt: skip
_IGNORED = {
    "are_deterministic_algorithms_enabled", "as_subclass", "from_numpy", "get_default_dtype", "get_num_threads",
    "get_rng_state", "has_torch_function", "initial_seed", "is_grad_enabled", "is_inference_mode_enabled", "is_storage",
    "is_tensor", "load", "manual_seed", "save", "seed", "set_default_dtype", "set_num_threads", "set_printoptions",
    "set_rng_state", "use_deterministic_algorithms",
}  # fmt: skip


@functools.cache
def _spaces() -> dict:
    """The namespaces of functions, by their public names."""
    import rushlight as torch

    return {
        "torch": torch,
        "torch.nn.functional": torch.nn.functional,
        "torch.nn.init": torch.nn.init,
        "torch.Tensor": Tensor,
        "torch.linalg": torch.linalg,
        "torch.fft": torch.fft,
        "torch.special": torch.special,
    }


@functools.cache
def _overridable() -> dict:
    """The functions that `__torch_function__` hears of, with their public names."""
    found: dict = {}
    for space, holder in _spaces().items():
        for name, member in vars(holder).items():
            private = name.startswith("_") and not name.startswith("__")
            function = None if private or name in _NO_OPS or name in _IGNORED else _function_of(member)
            if function is not None and function.__module__.startswith("rushlight."):
                found.setdefault(function, f"{space}.{name}")
    return found | {autograd.backward: "torch.autograd.backward", autograd.grad: "torch.autograd.grad"}


_NAMES_FOR_OURSELVES = ("<lambda>", "delitem", "getitem", "operator", "setitem", "type_")
_SHOWN = {f"__{name}__": name for name in ("ge", "gt", "le", "lt", "matmul", "ne")} | {"__rtruediv__": "__rdiv__"}  # fmt: skip


def _shown_name(own: str, public: str) -> str:
    """What `func.__name__` says to `__torch_function__`: PyTorch's name, where ours is one for ourselves."""
    if isinstance(getattr(Tensor, public, None), property):
        return "__get__"
    ours_only = own.startswith("_") or own in _NAMES_FOR_OURSELVES
    return _SHOWN.get(public, public) if ours_only else own


def _call(function: FunctionType, original: FunctionType, args: tuple, kwargs: dict):
    """What each function does now."""
    state = _STATE
    special = _overloaded((*args, *kwargs.values())) if state.subclasses else ()
    if not special and not (state.modes and state.modes_on):
        return original(*args, **kwargs)
    return _ask(function, special, one_by_one(function, args), kwargs)


def one_by_one(function, args: tuple) -> tuple:
    """The arguments as PyTorch hands them on: einsum's operands one by one, where they came in a list."""
    if (
        getattr(function, "__name__", None) == "einsum"
        and len(args) == 2
        and isinstance(args[1], list | tuple)
    ):
        return (args[0], *args[1])
    return args


def own_way(function: FunctionType, args: tuple, kwargs: dict):
    """What a function does of its own, asking nobody; the functions that it calls do ask."""
    return _detours[function].original(*args, **kwargs)


def public_name(function: FunctionType) -> str:
    """The last part of its public name: `add` of `torch.add`."""
    return _overridable()[function].rpartition(".")[2]


class NoMemory(NotImplementedError):
    """A function wanted the array of a tensor that has none of its own."""


def call_of(function: FunctionType, args: tuple, kwargs: dict | None) -> tuple[str, tuple, dict]:
    """The public name of a function, and its arguments with the tensor first, also where it came as `input=`."""
    kwargs = dict(kwargs or {})
    if not args and "input" in kwargs:
        args = (kwargs.pop("input"),)
    return public_name(function), args, kwargs


def own_method(cls: type, name: str):
    """The method that a class of tensors has in the place of Tensor's; None where it is Tensor's."""
    own = getattr(cls, name, None)
    return own if callable(own) and own is not getattr(Tensor, name) else None


def _run_plainly(original, args, kwargs):
    """The backward pass, which is nobody's to override: it works on whatever the forward pass saved."""
    with DisableTorchFunctionSubclass():
        return original(*args, **kwargs)


def _overrides(value) -> bool:
    kind = type(value)
    if kind is Tensor:
        return False
    if kind.__module__.partition(".")[0] == "torch":
        return False  # PyTorch's own tensors, in a program with both
    method = getattr(kind, "__torch_function__", None)
    return method is not None and method is not disabled_torch_function


def _overloaded(values) -> list:
    """The arguments whose classes override, one of each class, subclasses before their bases."""
    found: list = []
    for value in values:
        if isinstance(value, list | tuple):
            candidates = [item for item in value if _overrides(item)]
        else:
            candidates = [value] if _overrides(value) else []
        for candidate in candidates:
            kind = type(candidate)
            if all(type(other) is not kind for other in found):
                place = next((i for i, o in enumerate(found) if issubclass(kind, type(o))), len(found))
                found.insert(place, candidate)
    return found


@contextmanager
def _popped():
    """The innermost mode, out of force while it works."""
    mode = _STATE.modes.pop()
    try:
        yield mode
    finally:
        _STATE.modes.append(mode)


@contextmanager
def enable_reentrant_dispatch():
    """For a `with` block inside `__torch_function__`: classes are asked again."""
    before, _STATE.subclasses = _STATE.subclasses, True
    try:
        yield
    finally:
        _STATE.subclasses = before


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """Ask the modes and the arguments' classes what a function is to do.

    Args:
        public_api: the function.
        relevant_args: the arguments whose classes are asked.
        args, kwargs: the function's arguments.
    Raises:
        TypeError: all of them say NotImplemented.
    """
    return _ask(public_api, _overloaded(relevant_args), args, kwargs)


def _ask(public_api, special: list, args: tuple, kwargs: dict):
    """What the modes say, else the classes of these arguments, in order."""
    types = tuple(map(type, special))
    asked = []
    if _STATE.modes and _STATE.modes_on:
        with _popped() as mode:
            result = mode.__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
        asked.append(f"mode object {mode}")
    for value in special:
        result = value.__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    asked += [f"tensor subclass {kind}" for kind in types]
    raise TypeError(
        f"Multiple dispatch failed for '{resolve_name(public_api)}'; all __torch_function__ handlers returned "
        "NotImplemented:\n\n" + "\n".join(f"  - {who}" for who in asked)
    )


def has_torch_function(relevant_args) -> bool:
    """Whether a class of these arguments, or a mode, overrides functions.

    >>> import rushlight as torch
    >>> torch.overrides.has_torch_function([torch.ones(1)])
    False
    """
    if _STATE.modes and _STATE.modes_on:
        return True
    return _STATE.subclasses and any(map(_overrides, relevant_args))


def has_torch_function_unary(value) -> bool:
    """`has_torch_function` of one argument."""
    return has_torch_function((value,))


def has_torch_function_variadic(*values) -> bool:
    """`has_torch_function` of several arguments."""
    return has_torch_function(values)


def wrap_torch_function(dispatcher):
    """Decorator: a function of yours that can be overridden.

    Args:
        dispatcher: gives the arguments that are asked, from the same arguments.

    >>> import rushlight as torch
    >>> @torch.overrides.wrap_torch_function(lambda a: (a,))
    ... def double(a):
    ...     return a + a
    >>> double(torch.ones(1))
    tensor([2.])
    """

    def decorate(function):
        @functools.wraps(function)
        def overridable(*args, **kwargs):
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(overridable, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return overridable

    return decorate


def default_torch_function(cls, func, types, args=(), kwargs=None):
    """What `Tensor.__torch_function__` does: the function as it is, its results as tensors of the class."""
    if not all(issubclass(cls, kind) for kind in types):
        return NotImplemented
    with DisableTorchFunctionSubclass():
        result = func(*args, **(kwargs or {}))
        return result if cls is Tensor or func in get_default_nowrap_functions() else _as_class(result, cls)


def _as_class(value, cls):
    if isinstance(value, Tensor):
        if isinstance(value, cls):
            return value
        if value._rg:
            return value.as_subclass(cls)
        value = value._share()  # without the cost of a recorded view
        value.__class__ = cls
        return value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_as_class(item, cls) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(_as_class(item, cls) for item in value)
    return value


@functools.cache
def get_default_nowrap_functions() -> set:
    """Functions whose results keep the class that they have."""
    return {Tensor.grad.fget}


@functools.cache
def get_ignored_functions() -> set:
    """Public functions that `__torch_function__` does not hear of."""
    named = {
        getattr(holder, name) for holder in _spaces().values() for name in _IGNORED if hasattr(holder, name)
    }
    return named | {Tensor.__new__, Tensor.__init__, Tensor.__init_subclass__}


def get_overridable_functions() -> dict:
    """The functions that `__torch_function__` hears of, by the namespace that has them.

    >>> import rushlight as torch
    >>> torch.add in torch.overrides.get_overridable_functions()[torch.Tensor]
    True
    """
    found = {holder: _functions_in(holder) for holder in _spaces().values()}
    return {holder: [f for f in _overridable() if f in functions] for holder, functions in found.items()}


def _function_of(member):
    """A function, or that of a property; None for other members."""
    member = member.fget if isinstance(member, property) else member
    return member if isinstance(member, FunctionType) else None


def _functions_in(holder) -> set:
    return set(map(_function_of, vars(holder).values()))


def get_testing_overrides() -> dict:
    """For each function that can be overridden another with its arguments, which returns -1."""

    def dummy(function):
        @functools.wraps(function)
        def returns_minus_one(*args, **kwargs):
            inspect.signature(function).bind(*args, **kwargs)
            return -1

        return returns_minus_one

    return {function: dummy(function) for function in _overridable()}


def is_tensor_like(inp) -> bool:
    """Whether it is a tensor, or its class has `__torch_function__`."""
    return isinstance(inp, Tensor) or hasattr(inp, "__torch_function__")


def is_tensor_method_or_property(func) -> bool:
    """Whether tensors have it as a method or property."""
    return func in _functions_in(Tensor)


def resolve_name(f) -> str | None:
    """The public name of a function, such as `torch.add`; None for others.

    >>> import rushlight as torch
    >>> torch.overrides.resolve_name(torch.nn.functional.relu6)
    'torch.nn.functional.relu6'
    """
    return _overridable().get(f, getattr(f, "__qualname__", None))
