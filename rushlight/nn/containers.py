"""Modules that hold modules or parameters: in a row, in a list, in a dictionary."""

import operator
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import chain

from rushlight.config import typename
from rushlight.nn.module import Module, _addindent
from rushlight.nn.parameter import Parameter
from rushlight.tensor import Tensor


def _position(index, size: int) -> int:
    """An index counted from the front."""
    index = operator.index(index)
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of range")
    return index % size


class _Row(Module):
    """What Sequential and ModuleList share: submodules in order, named by their positions."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def _key(self, index) -> str:
        """The name of the submodule at a position."""
        return list(self._modules)[_position(index, len(self))]

    def __setitem__(self, idx: int, module: Module) -> None:
        setattr(self, self._key(idx), module)

    def __delitem__(self, idx) -> None:
        for key in list(self._modules)[idx] if isinstance(idx, slice) else [self._key(idx)]:
            delattr(self, key)
        self._rename(list(self._modules.values()))

    def _rename(self, modules: list) -> None:
        self._modules.clear()
        self._modules.update((str(i), module) for i, module in enumerate(modules))

    def _insert(self, index: int, module: Module) -> None:
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._rename(modules)

    def append(self, module: Module):
        """Add a module at the end; returns itself."""
        self.add_module(str(len(self)), module)
        return self

    def pop(self, key):
        """Remove the module at a position (or in a slice), and return it."""
        removed = self[key]
        del self[key]
        return removed


class Sequential(_Row):
    """Modules called one after another, each on what the one before it returned.

    Args:
        args: the modules, or one OrderedDict of modules by name.

    >>> import rushlight as torch
    >>> torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *args):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            named = args[0].items()
        else:
            named = ((str(i), module) for i, module in enumerate(args))
        for name, module in named:
            self.add_module(name, module)

    def forward(self, input):
        for module in self._modules.values():
            input = module(input)
        return input

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return self.__class__(OrderedDict(list(self._modules.items())[idx]))
        return self._modules[self._key(idx)]

    def insert(self, index: int, module: Module):
        """Add a module before a position; returns itself."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}")
        self._insert(index, module)
        return self

    def extend(self, sequential):
        """Add modules at the end; returns itself."""
        for module in sequential:
            self.append(module)
        return self

    def __add__(self, other):
        _check_sequential(other)
        return Sequential().extend(self).extend(other)

    def __iadd__(self, other):
        _check_sequential(other)
        return self.extend(list(other))

    def __mul__(self, other):
        self._check_times(other)
        return Sequential(*(list(self) * other))

    __rmul__ = __mul__

    def __imul__(self, other):
        self._check_times(other)
        return self.extend(list(self) * (other - 1))

    def _check_times(self, times) -> None:
        if not isinstance(times, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(times)}")
        if times <= 0:
            raise ValueError(f"Non-positive multiplication factor {times} for {type(self)}")


def _check_sequential(other) -> None:
    if not isinstance(other, Sequential):
        raise ValueError(
            f"add operator supports only objects of Sequential class, but {type(other)} is given."
        )


class ModuleList(_Row):
    """A list of modules, registered with the module it is an attribute of.

    Args:
        modules: any iterable of modules.

    >>> import rushlight as torch
    >>> layers = torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return self.__class__(list(self._modules.values())[idx])
        return self._modules[str(_position(idx, len(self)))]

    def insert(self, index: int, module: Module) -> None:
        """Add a module before a position."""
        self._insert(index, module)

    def extend(self, modules):
        """Add modules at the end; returns itself."""
        _check_iterable("ModuleList.extend should be called with an iterable", modules)
        offset = len(self)
        for i, module in enumerate(modules):
            self.add_module(str(offset + i), module)
        return self

    def __iadd__(self, modules):
        return self.extend(modules)

    def __add__(self, other):
        return ModuleList(chain(self, other))

    def __repr__(self) -> str:
        """Neighbours that print alike are printed once, with their number."""
        blocks: list[list] = []  # [first, last, text]
        for i, module in enumerate(self):
            text = repr(module)
            if blocks and blocks[-1][2] == text:
                blocks[-1][1] = i
            else:
                blocks.append([i, i, text])
        if not blocks:
            return f"{self._get_name()}()"
        lines = [
            f"({first}): {text}" if first == last else f"({first}-{last}): {last - first + 1} x {text}"
            for first, last, text in blocks
        ]
        return f"{self._get_name()}(\n  " + "\n  ".join(map(_addindent, lines)) + "\n)"


class ModuleDict(Module):
    """A dictionary of modules, registered with the module it is an attribute of; it keeps their order.

    Args:
        modules: a mapping or an iterable of pairs of name and module.

    >>> import rushlight as torch
    >>> torch.nn.ModuleDict({"act": torch.nn.ReLU()})["act"]
    ReLU()
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Module:
        """Remove a module, and return it."""
        return self._modules.pop(key)

    def keys(self):
        """The names."""
        return self._modules.keys()

    def items(self):
        """The names and modules."""
        return self._modules.items()

    def values(self):
        """The modules."""
        return self._modules.values()

    def update(self, modules) -> None:
        """Add modules from a mapping or from pairs of name and module; equal names are replaced."""
        _check_iterable("ModuleDict.update should be called with an iterable of key/value pairs", modules)
        is_mapping = isinstance(modules, Mapping | ModuleDict)
        for key, module in modules.items() if is_mapping else _pairs("ModuleDict", modules):
            self[key] = module


def _check_iterable(message: str, value) -> None:
    if not isinstance(value, Iterable) or isinstance(value, Tensor):
        raise TypeError(f"{message}, but got {type(value).__name__}")


def _pairs(name: str, pairs):
    """The pairs of an iterable, each checked to be one."""
    for i, pair in enumerate(pairs):
        if not isinstance(pair, Iterable):
            raise TypeError(
                f"{name} update sequence element #{i} should be Iterable; is {type(pair).__name__}"
            )
        if len(pair) != 2:
            raise ValueError(f"{name} update sequence element #{i} has length {len(pair)}; 2 is required")
        yield pair


def _as_parameter(value):
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _described(key, value, kind: str) -> str:
    """One line of a printed ParameterList or ParameterDict."""
    if not isinstance(value, Tensor):
        return f"  ({key}): Object of type: {type(value).__name__}"
    what = "Parameter" if isinstance(value, Parameter) else "Tensor"
    return f"  ({key}): {what} containing: [{kind} of size {'x'.join(map(str, value.size()))}]"


class ParameterList(Module):
    """A list of parameters, registered with the module it is an attribute of; tensors become parameters.

    Args:
        values: any iterable.

    >>> import rushlight as torch
    >>> torch.nn.ParameterList([torch.ones(2), torch.ones(3)])
    ParameterList(
        (0): Parameter containing: [torch.float32 of size 2]
        (1): Parameter containing: [torch.float32 of size 3]
    )
    """

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def __len__(self) -> int:
        return self._size

    def __iter__(self):
        return iter(self[i] for i in range(self._size))

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return self.__class__(self[i] for i in range(*idx.indices(len(self))))
        return getattr(self, str(_position(idx, len(self))))

    def __setitem__(self, idx: int, param) -> None:
        setattr(self, str(_position(idx, len(self))), _as_parameter(param))

    def append(self, value):
        """Add a parameter, or anything else, at the end; returns itself."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values):
        """Add parameters at the end; returns itself."""
        _check_iterable("ParameterList.extend should be called with an iterable", values)
        for value in values:
            self.append(value)
        return self

    def __iadd__(self, parameters):
        return self.extend(parameters)

    def extra_repr(self) -> str:
        return "\n".join(
            _described(i, p, p.dtype if isinstance(p, Tensor) else "") for i, p in enumerate(self)
        )

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """A dictionary of parameters, registered with the module it is an attribute of; tensors become
    parameters.

    Args:
        parameters: a mapping or an iterable of pairs of name and value.

    >>> import rushlight as torch
    >>> list(torch.nn.ParameterDict({"a": torch.ones(2)}).keys())
    ['a']
    """

    def __init__(self, parameters=None):
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str):
        return getattr(self, _check_key(key))

    def __setitem__(self, key: str, value) -> None:
        self._keys[_check_key(key)] = None
        setattr(self, key, _as_parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, _check_key(key))

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(self._keys)

    def __contains__(self, key) -> bool:
        return key in self._keys

    def copy(self) -> "ParameterDict":
        """Another dictionary with the same parameters."""
        return ParameterDict(OrderedDict(self.items()))

    def setdefault(self, key: str, default=None):
        """The value of a key, after setting it to `default` where there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self) -> None:
        """Remove all parameters."""
        for key in list(self._keys):
            del self[key]

    def pop(self, key: str):
        """Remove a parameter, and return it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple:
        """Remove the newest parameter, and return its name and itself."""
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def get(self, key: str, default=None):
        """The value of a key, or `default` where there is none."""
        return self[key] if key in self else default  # noqa: SIM401

    def fromkeys(self, keys, default=None) -> "ParameterDict":
        """A dictionary with the same value for all of these keys."""
        return ParameterDict((key, default) for key in keys)

    def keys(self):
        """The names."""
        return self._keys.keys()

    def items(self):
        """The names and parameters."""
        return ((key, self[key]) for key in self._keys)

    def values(self):
        """The parameters."""
        return (self[key] for key in self._keys)

    def update(self, parameters) -> None:
        """Add parameters from a mapping (sorted by name unless it is ordered) or from pairs."""
        _check_iterable(
            "ParametersDict.update should be called with an iterable of key/value pairs", parameters
        )
        if isinstance(parameters, OrderedDict | ParameterDict):
            pairs = parameters.items()
        elif isinstance(parameters, Mapping):
            pairs = sorted(parameters.items())
        else:
            pairs = _pairs("ParameterDict", parameters)
        for key, value in pairs:
            self[key] = value

    def extra_repr(self) -> str:
        return "\n".join(_described(key, p, typename(p)) for key, p in self.items())

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterDict should not be called.")

    def __or__(self, other):
        joined = self.copy()
        joined.update(other)
        return joined

    def __ror__(self, other):
        joined = other.copy()
        joined.update(self)
        return joined

    def __ior__(self, other):
        self.update(other)
        return self


def _check_key(key) -> str:
    if not isinstance(key, str):
        raise TypeError(
            "Index given to ParameterDict cannot be used as a key as it is not a string (type is "
            f"'{type(key).__name__}'). Open an issue on github if you need non-string keys."
        )
    return key


class Container(Module):
    """The old name of a module with named submodules; subclass `Module` instead."""

    def __init__(self, **kwargs):
        super().__init__()
        warnings.warn(
            "`nn.Container` is deprecated. All of its functionality is now implemented in `nn.Module`. "
            "Subclass that instead.",
            FutureWarning,
            stacklevel=2,
        )
        for name, module in kwargs.items():
            self.add_module(name, module)
