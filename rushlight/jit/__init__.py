"""TorchScript's names, accepted: a scripted or traced function is the function itself, and runs as written.

There is no script language and no archive of code; models are saved by their `state_dict`.
"""

import builtins
import contextlib
import types
import typing
from typing import Any, Final, NoReturn

from rushlight.autograd.grad_mode import no_grad
from rushlight.nn.module import Module

__all__ = [
    "Attribute", "Error", "Final", "ScriptModule", "ScriptWarning", "TracerWarning", "TracingCheckError",
    "annotate", "enable_onednn_fusion", "export", "fork", "freeze", "ignore", "interface", "is_scripting",
    "is_tracing", "isinstance", "load", "onednn_fusion_enabled", "optimize_for_inference",
    "optimized_execution", "save", "script", "script_if_tracing", "script_method", "set_fusion_strategy",
    "trace", "trace_module", "unused", "wait",
]  # fmt: skip


class Error(Exception):
    """A compiled function failed; raised by none here, for programs that catch it."""


class ScriptWarning(Warning):
    """The script compiler warns; it never does here."""


class TracerWarning(Warning):
    """Tracing may have missed something; it never does here."""


class TracingCheckError(Exception):
    """What was traced computes something else; raised by none here, for programs that catch it."""


class ScriptModule(Module):
    """A base class for modules to be scripted: an ordinary module here.

    >>> import rushlight as torch
    >>> isinstance(torch.nn.Linear(1, 1), torch.jit.ScriptModule)
    False
    """

    @property
    def original_name(self) -> str:
        """The name of its class."""
        return type(self).__name__


def script(obj: Any, optimize=None, example_inputs=None, **_):
    """A function, class or module, as it is.

    >>> import rushlight as torch
    >>> @torch.jit.script
    ... def double(x):
    ...     return x + x
    >>> double(torch.ones(1))
    tensor([2.])
    """
    return obj


_overload = _overload_method = script  # forms of a function that only the script language tells apart


def trace(func, example_inputs=None, *, example_kwarg_inputs=None, check_trace=True, strict=True, **_):
    """A function or module, as it is, after one call with the example inputs: what fails, fails here.

    Args:
        func: a function or a module.
        example_inputs: a tensor, or a tuple of arguments.
        example_kwarg_inputs: keyword arguments instead.

    >>> import rushlight as torch
    >>> torch.jit.trace(torch.nn.Linear(2, 1), torch.ones(1, 2))(torch.zeros(3, 2)).shape
    torch.Size([3, 1])
    """
    with no_grad():
        if example_kwarg_inputs is not None:
            func(**example_kwarg_inputs)
        elif example_inputs is not None:
            func(*(example_inputs if type(example_inputs) in (tuple, list) else (example_inputs,)))
    return func


def trace_module(mod: Module, inputs: dict, **_) -> Module:
    """A module, as it is, after one call of each method that `inputs` names.

    >>> import rushlight as torch
    >>> layer = torch.nn.Linear(2, 1)
    >>> torch.jit.trace_module(layer, {"forward": torch.ones(1, 2)}) is layer
    True
    """
    for method, example in inputs.items():
        trace(getattr(mod, method), example)
    return mod


def _as_it_is(name: str):
    def decorate(fn=None, **_):
        return (lambda f: f) if fn is None or fn is True or fn is False else fn

    decorate.__name__ = decorate.__qualname__ = name
    decorate.__doc__ = f"`torch.jit.{name}`: the function as it is, as nothing is compiled."
    return decorate


ignore, unused, export = _as_it_is("ignore"), _as_it_is("unused"), _as_it_is("export")
script_method, script_if_tracing = _as_it_is("script_method"), _as_it_is("script_if_tracing")
interface = _as_it_is("interface")


def freeze(mod: Module, *args, **kwargs) -> Module:
    """A module in evaluation mode, as it is.

    Raises:
        RuntimeError: it is in training mode.

    >>> import rushlight as torch
    >>> torch.jit.freeze(torch.nn.ReLU().eval())
    ReLU()
    """
    if mod.training:
        raise RuntimeError(
            "jit.freeze: expected a module in eval mode, got one in training mode; call eval() first"
        )
    return mod


def optimize_for_inference(mod: Module, *args, **kwargs) -> Module:
    """A module, as it is."""
    return mod


def annotate(the_type, the_value):
    """The value.

    >>> import rushlight as torch
    >>> torch.jit.annotate(int, 3)
    3
    """
    return the_value


Attribute = annotate


def isinstance(obj, target_type) -> bool:
    """Whether an object is of a type, such as `list[int]`, with everything in it.

    >>> import rushlight as torch
    >>> torch.jit.isinstance([1], list[int]), torch.jit.isinstance([1.5], list[int])
    (True, False)
    """
    if type(target_type) is tuple:
        return any(isinstance(obj, t) for t in target_type)
    origin, inner = typing.get_origin(target_type), typing.get_args(target_type)
    if origin is None:
        return builtins.isinstance(obj, target_type)
    if origin in (typing.Union, types.UnionType):
        return any(isinstance(obj, t) for t in inner)
    if not builtins.isinstance(obj, origin):
        return False
    if origin is tuple and inner[-1:] != (...,):
        return len(obj) == len(inner) and all(map(isinstance, obj, inner))
    if origin is dict:
        return all(isinstance(k, inner[0]) and isinstance(v, inner[1]) for k, v in obj.items())
    return all(isinstance(item, inner[0]) for item in obj)


def is_scripting() -> bool:
    """Whether the code runs as TorchScript: never."""
    return False


def is_tracing() -> bool:
    """Whether a trace is recorded: never."""
    return False


def fork(func, *args, **kwargs):
    """Call a function; what it returns is for `wait`.

    >>> import rushlight as torch
    >>> torch.jit.wait(torch.jit.fork(torch.neg, torch.ones(1)))
    tensor([-1.])
    """
    return func(*args, **kwargs)


def wait(future):
    """What `fork` returned."""
    return future


@contextlib.contextmanager
def optimized_execution(should_optimize: bool):
    """Accepted: there is nothing to switch."""
    yield


def save(m: Module, f, _extra_files=None) -> NoReturn:
    """Raises NotImplementedError: there are no TorchScript archives."""
    raise NotImplementedError(
        "jit.save: TorchScript archives are not written. Use torch.save(model.state_dict(), path), or "
        "torch.save(model, path) for the whole module."
    )


def load(f, map_location=None, _extra_files=None) -> NoReturn:
    """Raises NotImplementedError: there are no TorchScript archives."""
    raise NotImplementedError(
        "jit.load: TorchScript archives hold code, which is not run. Build the model in Python and use "
        "model.load_state_dict(torch.load(path))."
    )


_fusion = {"onednn": False, "strategy": [("STATIC", 2), ("DYNAMIC", 10)]}


def enable_onednn_fusion(enabled: bool) -> None:
    """Choose whether compiled graphs are fused; remembered, as there are none."""
    _fusion["onednn"] = bool(enabled)


def onednn_fusion_enabled() -> bool:
    """What `enable_onednn_fusion` chose."""
    return _fusion["onednn"]


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Choose how often graphs are compiled for new shapes; remembered, as none is.

    Returns:
        What was chosen before.
    """
    before, _fusion["strategy"] = _fusion["strategy"], list(strategy)
    return before
