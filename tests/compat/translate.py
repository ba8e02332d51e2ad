"""PyTorch's sample inputs and test functions, carried over to Rushlight."""

import functools
import importlib
import types

import numpy as np
import torch
from torch.testing._internal.opinfo.core import OpInfo

import rushlight

HOMES = ("torch.nn.functional", "torch.linalg", "torch.fft", "torch.special", "torch.signal.windows", "torch")


class Untranslatable(Exception):
    """A test function uses something that has no counterpart."""


def resolve(path: str):
    """Our object of PyTorch's dotted name.

    Raises:
        Untranslatable: we have none.
    """
    parts = path.removeprefix("torch.").split(".") if path != "torch" else []
    found = rushlight
    for i, part in enumerate(parts):
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(".".join(["rushlight", *parts[: i + 1]]))
            except ImportError:
                raise Untranslatable(f"no torch.{'.'.join(parts)}") from None
    return found


def tensor(t: torch.Tensor):
    """A leaf of ours with the same values, strides and wish for gradients."""
    if t.layout is not torch.strided:
        ours = rushlight.sparse_coo_tensor(value(t._indices()), value(t._values()), tuple(t.shape))
        return ours.requires_grad_(t.requires_grad)
    source = t.detach().resolve_conj().resolve_neg()
    if source.dtype is torch.bfloat16:
        ours = rushlight.from_numpy(source.float().numpy().copy(order="K")).to(rushlight.bfloat16)
    else:
        ours = rushlight.from_numpy(strided_copy(source.numpy()))
    return ours.requires_grad_() if t.requires_grad else ours


def strided_copy(a: np.ndarray) -> np.ndarray:
    """A copy with the same strides, where they are those of a dense or spread array."""
    if a.size == 0 or any(s < 0 for s in a.strides):
        return a.copy()
    return np.lib.stride_tricks.as_strided(_memory(a), a.shape, a.strides)


def _memory(a: np.ndarray) -> np.ndarray:
    length = sum((n - 1) * s for n, s in zip(a.shape, a.strides, strict=True)) // a.itemsize + 1
    return np.lib.stride_tricks.as_strided(a, (length,), (a.itemsize,)).copy()


def value(v):
    """Anything that a sample holds, as ours."""
    if isinstance(v, torch.nn.Parameter):
        return rushlight.nn.Parameter(tensor(v.detach()), v.requires_grad)
    if isinstance(v, torch.Tensor):
        return tensor(v)
    if isinstance(v, torch.dtype | torch.memory_format | torch.layout):
        return resolve(str(v))
    if isinstance(v, torch.device):
        return rushlight.device(str(v))
    if isinstance(v, torch.Size):
        return rushlight.Size(v)
    if isinstance(v, torch.Generator):
        g = rushlight.Generator()
        g.set_state(tensor(v.get_state()))
        return g
    if isinstance(v, tuple | list):
        made = [value(i) for i in v]
        return type(v)(*made) if hasattr(v, "_fields") else type(v)(made)
    if isinstance(v, dict):
        return {k: value(i) for k, i in v.items()}
    if isinstance(v, slice):
        return slice(value(v.start), value(v.stop), value(v.step))
    if isinstance(v, OpInfo):  # a sample's function asks it for its name
        return v
    return function(v) if callable(v) else v


def _wrapper_set_seed(f, *args, **kwargs):
    rushlight.manual_seed(42)
    return f(*args, **kwargs)


#: Helpers of PyTorch's tests that reach into PyTorch itself.
OWN = {"wrapper_set_seed": _wrapper_set_seed}


def function(f):
    """A function of PyTorch's or of its tests, working on our tensors."""
    if isinstance(f, functools.partial):
        return functools.partial(function(f.func), *value(f.args), **value(f.keywords))
    if isinstance(f, torch.nn.Module):
        return resolve(f"torch.nn.{type(f).__name__}")()
    if isinstance(f, type):
        return resolve(f"{f.__module__}.{f.__qualname__}") if f.__module__.startswith("torch") else f
    if getattr(f, "__name__", None) in OWN and f.__module__.startswith("torch.testing"):
        return OWN[f.__name__]
    if isinstance(f, types.FunctionType) and f.__module__.startswith("torch.testing"):
        return _rebuilt(f)
    name = getattr(f, "__name__", None)
    owner = getattr(f, "__objclass__", None)
    if owner is not None and owner.__name__ in ("TensorBase", "Tensor"):
        return resolve(f"torch.Tensor.{name}")
    if getattr(f, "__module__", "") in ("builtins", "_operator", "operator"):
        return f
    if getattr(f, "__qualname__", "").startswith("Tensor."):
        return resolve(f"torch.Tensor.{name}")
    for home in HOMES:
        if getattr(importlib.import_module(home), str(name), None) is f:
            return resolve(f"{home}.{name}")
    for alias in (
        name,
        str(name).removeprefix("linalg_"),
        str(name).removeprefix("fft_"),
        str(name).removeprefix("special_"),
    ):
        for home in HOMES:
            if hasattr(importlib.import_module(home), str(alias)) and f is getattr(
                importlib.import_module(home), alias
            ):
                return resolve(f"{home}.{alias}")
    if isinstance(f, types.FunctionType) and not (f.__module__ or "").startswith("torch"):
        return f
    raise Untranslatable(f"no counterpart of {f!r}")


def _rebuilt(f: types.FunctionType):
    """The same code with our modules in place of PyTorch's."""
    names = dict(f.__globals__)
    names.update(torch=rushlight, F=rushlight.nn.functional)
    for name in _names(f.__code__):
        if (
            isinstance(names.get(name), types.FunctionType)
            and name in f.__globals__
            and f.__globals__[name] is not f
        ):
            names[name] = function(f.__globals__[name])
    cells = tuple(types.CellType(value(c.cell_contents)) for c in f.__closure__ or ())
    made = types.FunctionType(f.__code__, names, f.__name__, value(f.__defaults__), cells)
    made.__kwdefaults__ = value(f.__kwdefaults__) if f.__kwdefaults__ else None
    return made


def _names(code) -> set:
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def to_torch(t):
    """Our tensor as PyTorch's, for comparing."""
    if t.is_sparse:
        t = t.to_dense()
    t = t.detach().resolve_conj()
    if t.dtype == rushlight.bfloat16:
        return torch.from_numpy(t.float().numpy().copy()).bfloat16()
    return torch.from_numpy(t.numpy().copy())
