"""What a function can reach: the guards of its recording.

Everything that a function may read besides its arguments (its closure, the globals that it names, modules with their
flags and hooks, parameters) is walked once, and each container on the way is guarded: by identity of what it holds, or
by equality of numbers and text. After the recorded call the same guards tell whether the function changed any of it.
"""

import contextlib
import dis
import functools
import sys
import types
from collections import OrderedDict, defaultdict

import numpy as np

from rushlight import devices, dtypes
from rushlight.random import Generator
from rushlight.tensor import Tensor

_LIMIT = 100_000  # objects
_LEAVES = (
    type(None), bool, int, float, complex, str, bytes, range, slice, type(Ellipsis), type(NotImplemented),
    types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType, types.CodeType,
    dtypes.dtype, devices.device, devices.Size, np.dtype, Generator,
)  # fmt: skip
_OURS = __name__.split(".")[0]
_OUR_FILES = __file__.rsplit("capture", 1)[0]
_NUMPY_FILES = np.__file__.rsplit("__init__", 1)[0]
_STANDARD_FILES = types.__file__.rsplit("types", 1)[0]


@functools.cache
def origin(file: str) -> str:
    """Whose code is in a file: "ours", "library" (Python's own or NumPy's) or "user"."""
    if file.startswith(_OUR_FILES):
        return "ours"
    installed = "site-packages" in file or "dist-packages" in file
    standard = file.startswith(_STANDARD_FILES) and not installed
    return (
        "library" if standard or file.startswith((_NUMPY_FILES, "<frozen", "<__array_function__")) else "user"
    )


class Uncapturable(Exception):
    """Why a function can't be recorded; `by_data`: because Python looks at a tensor's data, or writes something out."""

    by_data = False


def _is_ours(module: str | None) -> bool:
    return bool(module) and (module == _OURS or module.startswith(_OURS + "."))


def _is_foreign_library(name: str | None) -> bool:
    """Whether a module is Python's own or NumPy's, whose state no function here depends on."""
    root = (name or "builtins").split(".")[0]
    return root in sys.stdlib_module_names or root in ("numpy", "ml_dtypes", "builtins")


def _global_names(code) -> set:
    """The names that code looks up outside; `co_names` has those of attributes too."""
    return {i.argval for i in dis.get_instructions(code) if i.opname.endswith(("_GLOBAL", "_NAME"))}


class Reach:
    """A walk over what can be reached, which adds guards to a plan.

    `tensors` are those found, `optimizers` the optimizers, whose own state is free to change; `codes` the code of the
    Python functions that were found.
    """

    def __init__(self, plan):
        self.plan = plan
        self.tensors: list[Tensor] = []
        self.optimizers: list = []
        self.codes: set = set()
        self._seen: dict[int, object] = {}
        self._waiting: list = []

    def walk(self, *roots) -> None:
        """Guard all that these lead to."""
        self._waiting.extend(roots)
        while self._waiting:
            value = self._waiting.pop()
            if type(value) in _LEAVES or id(value) in self._seen:
                continue
            self._seen[id(value)] = value
            if len(self._seen) > _LIMIT:
                raise Uncapturable(f"it reaches more than {_LIMIT} objects")
            self._visit(value)

    def has(self, value) -> bool:
        """Whether this object was found."""
        return id(value) in self._seen

    def _visit(self, value) -> None:
        kind = type(value)
        if isinstance(value, Tensor):
            self._tensor(value)
        elif kind in (dict, OrderedDict, defaultdict) or isinstance(value, dict):
            self.plan.guard_dict(value)
            self._waiting.extend(value.values())
            self._waiting.extend(k for k in value if type(k) not in _LEAVES)
            if kind not in (dict, OrderedDict, defaultdict):
                self._instance(value)
        elif kind is list or kind is tuple:
            if kind is list:
                self.plan.guard_list(value)
            self._waiting.extend(value)
        elif kind in (set, frozenset):
            self.plan.guard_equal(value, frozenset(value))
            self._waiting.extend(value)
        elif kind is types.FunctionType:
            self._function(value)
        elif kind is types.MethodType:
            self._waiting += [value.__self__, value.__func__]
        elif kind is types.CellType:
            self.plan.guard_cell(value)
            with contextlib.suppress(ValueError):  # still empty
                self._waiting.append(value.cell_contents)
        elif kind is functools.partial:
            self._waiting += [value.func, value.args, value.keywords]
        elif kind in (staticmethod, classmethod):
            self._waiting.append(value.__func__)
        elif kind is property:
            self._waiting += [f for f in (value.fget, value.fset) if f is not None]
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.ModuleType):
            pass  # the names that functions take from it are guarded one by one
        elif isinstance(value, np.ndarray):
            raise Uncapturable("it reaches a NumPy array")
        elif hasattr(kind, "__next__"):
            raise Uncapturable(f"it reaches an iterator ({kind.__name__}), whose state can't be guarded")
        else:
            self._instance(value)

    def _tensor(self, t: Tensor) -> None:
        if t.is_sparse:
            raise Uncapturable("it reaches a sparse tensor")
        if t._hooks or t._post_accumulate_hooks or t._backward_hooks:
            raise Uncapturable("a tensor has hooks")
        if t._node is not None:
            raise Uncapturable("it reaches a tensor that was computed from others and requires grad")
        if type(t._array) is not np.ndarray:
            raise Uncapturable("it reaches a tensor without memory")
        self.plan.guard_tensor(t)
        self.tensors.append(t)

    def _function(self, function) -> None:
        code = function.__code__
        if origin(code.co_filename) != "user":
            self._waiting.extend(function.__closure__ or ())
            return
        self.plan.guard_attribute(function, "__code__")
        self.plan.guard_attribute(function, "__defaults__")
        self.plan.guard_attribute(function, "__kwdefaults__")
        self._waiting.extend(function.__closure__ or ())
        self._waiting.extend(function.__defaults__ or ())
        self._waiting.extend((function.__kwdefaults__ or {}).values())
        self._waiting.extend(function.__dict__.values())
        self._names(code, function.__globals__)

    def _names(self, code, scope: dict) -> None:
        """Guard the globals that code names, with what it takes from modules of the user's."""
        self.codes.add(code)
        modules = []
        for name in _global_names(code):
            if name not in scope:
                continue
            value = scope[name]
            self.plan.guard_item(scope, name)
            if isinstance(value, types.ModuleType):
                modules.append(value)
            else:
                self._waiting.append(value)
        for module in modules:
            if _is_ours(module.__name__) or _is_foreign_library(module.__name__):
                continue
            for name in code.co_names:
                if name in module.__dict__:
                    self.plan.guard_item(module.__dict__, name)
                    self._waiting.append(module.__dict__[name])
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._names(constant, scope)

    def _class(self, cls: type) -> None:
        """The functions and the values of a class of the user's and of those that it derives from."""
        for base in cls.__mro__:
            if _is_ours(base.__module__) or _is_foreign_library(base.__module__):
                continue
            if base is not cls and id(base) in self._seen:
                continue
            self._seen[id(base)] = base
            for name, value in list(vars(base).items()):
                if isinstance(value, staticmethod | classmethod | property):
                    self._waiting.append(value)
                elif isinstance(value, types.FunctionType) or not name.startswith("__"):
                    self.plan.guard_attribute(base, name)
                    self._waiting.append(value)

    def _instance(self, value) -> None:
        from rushlight.capture.compiled import Compiled
        from rushlight.optim.lr_scheduler import LRScheduler
        from rushlight.optim.optimizer import Optimizer

        kind = type(value)
        if isinstance(value, Compiled):  # what it has recorded is its own affair
            self._waiting.append(value._function)
            return
        if isinstance(value, Optimizer):
            self.optimizers.append(value)
            self.plan.guard_list(value.param_groups)
            for group in value.param_groups:
                self.plan.guard_list(group["params"])
                self._waiting.extend(group["params"])
            return
        if isinstance(value, LRScheduler):
            raise Uncapturable("it reaches a learning rate scheduler; step it outside")
        self._waiting.append(kind)
        fields = getattr(value, "__dict__", None)
        if type(fields) is dict:
            self._seen[id(fields)] = fields
            self.plan.guard_dict(fields)
            self._waiting.extend(fields.values())
        for base in kind.__mro__:
            slots = base.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                    self.plan.guard_attribute(value, name)
                    self._waiting.append(getattr(value, name))
