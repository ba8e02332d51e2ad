"""What has to be seen while a function is recorded: NumPy's calls, random draws, reads of data, foreign code."""

import dis
import functools
import sys
import threading
import types
from contextlib import contextmanager

import numpy as np

from rushlight import _native
from rushlight import kernels as K
from rushlight.capture.reach import origin
from rushlight.compiler import _unrecorded
from rushlight.library.operator import OpOverload
from rushlight.ops.detour import own_code
from rushlight.tensor import Tensor

_WRITES, _RANDOM = 1, 2
_HERE = __file__.rsplit("watch", 1)[0]

#: What makes arrays from numbers alone, where modules of ours hold the function itself.
_BUILTIN_MAKERS = {np.zeros, np.empty}
_MAKERS = {np.ones.__code__, getattr(np.full, "__wrapped__", np.full).__code__}
_EMPTY = {"empty", "empty_like"}
_LIKE = {"zeros_like", "ones_like", "full_like"}
_INTO = {"copyto", "put", "place", "putmask", "fill_diagonal"}
_SHAPES_ONLY = {
    "ndim", "shape", "size", "result_type", "can_cast", "promote_types", "broadcast_shapes", "isscalar", "iscomplexobj",
    "isrealobj", "shares_memory", "may_share_memory", "finfo", "iinfo", "issubdtype", "dtype", "min_scalar_type",
}  # fmt: skip
_DATA_SHAPES = {
    "nonzero",
    "flatnonzero",
    "argwhere",
    "unique",
    "extract",
    "compress",
    "delete",
    "histogram",
    "bincount",
}
_VIEWS = {
    "reshape", "transpose", "view", "swapaxes", "squeeze", "astype", "copy", "ravel", "flatten", "setflags", "diagonal",
    "fill", "__array_wrap__", "__array_finalize__", "__array_ufunc__", "__array_function__",
}  # fmt: skip
_COPIES = {"reshape", "copy", "ravel", "flatten"}
_READS = {
    own_code(Tensor.__dict__[name]): name
    for name in (
        "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__", "__array__", "__repr__",
        "__format__", "__complex__", "data_ptr", "__contains__", "storage", "untyped_storage", "is_nonzero", "equal",
        "allclose", "__dlpack__", "__reduce_ex__", "__deepcopy__", "register_hook", "register_post_accumulate_grad_hook",
        "retain_grad", "share_memory_",
    )
    if isinstance(Tensor.__dict__.get(name), types.FunctionType)
} | {_unrecorded.__code__: "a function under torch.compiler.disable"}  # fmt: skip
_RUN_OPERATOR = OpOverload._run.__code__
_FOREIGN_BUILTINS = {
    "print",
    "input",
    "open",
    "exec",
    "eval",
    "compile",
    "globals",
    "locals",
    "vars",
    "id",
    "hash",
    "breakpoint",
}
_MODULES = {
    "math",
    "cmath",
    "_operator",
    "operator",
    "_functools",
    "functools",
    "itertools",
    "_collections",
    "rushlight._native",
}
_SELVES = (list, dict, tuple, str, set, frozenset, int, float, bytes, type, types.MappingProxyType)
_LIVE_MODULES = {"time", "posix", "_random", "_io", "_socket", "select", "_thread", "_warnings"}


def _has_array(values) -> bool:
    return any(isinstance(v, np.ndarray) or (isinstance(v, list | tuple) and _has_array(v)) for v in values)


TAPES: dict[int, object] = {}  # by thread, while it records
NUMBERS: set[int] = set()  # threads whose recording has read a number


NUMBER_USED = "a number read by item()"


class Number(float):
    """What `item()` gives while somebody records: it may be returned, but nothing may depend on it."""

    array: np.ndarray


def _watched(name: str):
    method = getattr(float, name)

    def used(self, *args):
        tape = TAPES.get(threading.get_ident())
        if tape is not None:
            tape.fail("a number read by item() is used inside")
        return method(self, *args)

    return used


for _name in dir(float):
    if callable(getattr(float, _name)) and _name not in {
        "__new__", "__init__", "__getattribute__", "__setattr__", "__delattr__", "__class__", "__init_subclass__",
        "__subclasshook__", "__dir__", "__getformat__", "__setformat__", "fromhex", "from_number",
    }:  # fmt: skip
        setattr(Number, _name, _watched(_name))


_item = Tensor.item


def _watched_item(self):
    array = self._array
    tape = TAPES.get(threading.get_ident()) if _native.recording() else None
    if tape is None or type(array) is not np.ndarray or array.size != 1 or tape.constant_at(array):
        return _item(self)
    if array.dtype.char not in "fd":
        tape.fail("item() reads a tensor's data")
        return _item(self)
    number = Number(array.reshape(-1)[0])
    number.array = array
    NUMBERS.add(threading.get_ident())
    return number


class _Function:
    """A function of NumPy's that is recorded while somebody records in this thread."""

    def __init__(self, name: str, function):
        self.name, self.function = name, function

    def __getattr__(self, name):
        return getattr(self.function, name)

    def __call__(self, *args, **kwargs):
        if not _native.recording():
            return self.function(*args, **kwargs)
        name = self.name
        if any(type(a) is Number for a in (*args, *kwargs.values())):
            TAPES[threading.get_ident()].fail(NUMBER_USED + " goes into NumPy")
        if name in _SHAPES_ONLY:
            return self.function(*args, **kwargs)
        if name in _EMPTY:
            return _native.record_empty(self.function, args, kwargs)
        if not _has_array(args) and not _has_array(kwargs.values()):
            return _native.record_constant(self.function, args, kwargs)
        return _native.record_numpy(
            self.function, args, kwargs, _WRITES if name in _INTO else 0, name in _DATA_SHAPES
        )


class _Numpy:
    """NumPy as rushlight's modules see it while something is recorded."""

    def __getattr__(self, name: str):
        value = getattr(np, name)
        plain = isinstance(value, type | types.ModuleType) or not callable(value)
        wrapped = value if plain else _Function(name, value)
        setattr(self, name, wrapped)
        return wrapped


_PROXY = _Numpy()


def _kernel(function):
    def recorded(*args, **kwargs):
        if not _native.recording():
            return function(*args, **kwargs)
        return _native.record_call(function, args, kwargs, 0)

    return recorded


def _random(function):
    def recorded(*args, **kwargs):
        if not _native.recording():
            return function(*args, **kwargs)
        return _native.record_call(function, args, kwargs, _WRITES | _RANDOM)

    return recorded


_KERNELS = {
    name: (function, _kernel(function))
    for name, function in vars(K).items()
    if isinstance(function, types.FunctionType)
    and not name.startswith("_")
    and function.__module__.startswith(K.__name__ + ".")
}
_STATE = {"seed", "get_state", "set_state", "initial_seed", "raw"}
_DRAWS = {
    name: _random(function)
    for base in reversed(K.MT19937.__mro__)
    for name, function in vars(base).items()
    if isinstance(function, types.FunctionType) and not name.startswith("_") and name not in _STATE
}
_nesting = 0


@contextmanager
def watching(tape, threads_lock):
    """Have NumPy's functions, kernels written in Python and random draws recorded, and reads of data noted."""
    global _nesting
    with threads_lock:
        _nesting += 1
        if _nesting == 1:
            _exchange(True)
    outer = sys.getprofile()
    TAPES[threading.get_ident()] = tape
    tape.begin()
    listener = _Listener(tape)
    sys.setprofile(listener)
    try:
        yield listener
    finally:
        sys.setprofile(outer)
        tape.end()
        del TAPES[threading.get_ident()]
        NUMBERS.discard(threading.get_ident())
        with threads_lock:
            _nesting -= 1
            if _nesting == 0:
                _exchange(False)


def _exchange(on: bool) -> None:
    here, there = (np, _PROXY) if on else (_PROXY, np)
    for name, module in list(sys.modules.items()):
        if name.startswith("rushlight.") and not name.startswith(
            ("rushlight.capture", "rushlight.kernels", "rushlight.optim")
        ):
            if getattr(module, "__dict__", {}).get("np") is here:
                module.np = there
    Tensor.item = _watched_item if on else _item
    for name, (original, recorded) in _KERNELS.items():
        setattr(K, name, recorded if on else original)
    for name, recorded in _DRAWS.items():
        if on:
            setattr(K.MT19937, name, recorded)
        else:
            delattr(K.MT19937, name)


#: Functions that hold arrays and store by subscript, but not into them.
_HARMLESS = {
    ("engine.py", "run"),
    ("engine.py", "take"),
    ("engine.py", "results"),
    ("engine.py", "_accumulate"),
    ("engine.py", "_deliver"),
    ("tensor.py", "_bump"),
    ("common.py", "result_type"),
}


@functools.cache
def _stores(code) -> bool:
    """Whether code stores by subscript, or changes something in place by an operator."""
    return any(
        i.opname in ("STORE_SUBSCR", "STORE_SLICE")
        or (i.opname == "BINARY_OP" and i.argrepr.endswith("="))
        or i.opname.startswith("INPLACE_")
        for i in dis.get_instructions(code)
    )


class _Listener:
    """Hears each call of a Python function and of a C function, and tells the tape what can't be recorded."""

    def __init__(self, tape):
        self.tape = tape
        self.filling = self.converting = self.copying = None
        self.by_data = False
        self.operator = None  # the frame of an operator of the user's own, which may read what it likes
        self.foreign: set = set()  # code of the user's and of other libraries

    def __call__(self, frame, event, value):
        if event == "call":
            self._called(frame)
        elif event == "return":
            if self.converting is frame:
                self._made()
            self._returned(frame)
            if self.operator is frame:
                self.operator = None
        elif event == "c_call":
            self._called_c(frame, value)
        elif event == "c_return" or event == "c_exception":
            if self.copying is not None and self.copying[2] is frame:
                source, in_order, _ = self.copying
                self.copying = None
                self.tape.copied(source, in_order)
            if self.converting == (frame, value):
                self._made()
            if self.filling is not None and value.__name__ == "fill":
                self._filled()

    def _called(self, frame) -> None:
        code = frame.f_code
        if code in _MAKERS and self.converting is None and _native.recording():
            if not isinstance(frame.f_locals.get("fill_value"), np.ndarray | np.generic | Number):
                self.tape.making_constant, self.converting = True, frame
            return
        if code in _READS:
            self.by_data = self.by_data or not (self.tape.reason or self.operator)
            self._refuse(f"{_READS[code]}() reads a tensor's data", frame.f_back)
        elif code is _RUN_OPERATOR and self.operator is None:
            self.operator = frame
        elif origin(code.co_filename) == "user":
            self.foreign.add(code)

    def _returned(self, frame) -> None:
        """NumPy's arrays may be written by subscript where nothing hears it: code that might do so is refused."""
        code = frame.f_code
        if origin(code.co_filename) != "ours" or code.co_filename.startswith(_HERE) or not _stores(code):
            return
        if not _native.recording() or (code.co_filename.rsplit("/", 1)[-1], code.co_name) in _HARMLESS:
            return
        if any(isinstance(v, np.ndarray | Tensor) for v in frame.f_locals.values()):
            self._refuse(f"{code.co_name}() may write an array by subscript", frame.f_back)

    def _called_c(self, frame, function) -> None:
        owner = getattr(function, "__self__", None)
        name = function.__name__
        file = frame.f_code.co_filename
        if file.startswith(_HERE) or name == "get_ident":
            return
        if function in _BUILTIN_MAKERS and self.converting is None and _native.recording():
            self.tape.making_constant, self.converting = True, (frame, function)
            return
        ours = origin(file) == "ours"
        if isinstance(owner, np.ndarray):
            if not _native.recording():
                return
            if not ours:
                self._refuse(f"NumPy's {name}() is called", frame)
            elif name == "fill":
                self.filling = owner
            elif name in _VIEWS and owner.size and self.tape.constant_at(owner):
                self.tape.making_constant, self.converting = True, (frame, function)
            elif name in _COPIES and owner.size:
                self.copying = owner, name != "copy", frame
                self.tape.forget_last()
            elif name not in _VIEWS and owner.size and not self.tape.constant_at(owner):
                self._refuse(f"NumPy's {name}() reads data", frame)
            return
        module = getattr(function, "__module__", None)
        if module in _LIVE_MODULES or type(owner).__module__ in _LIVE_MODULES:
            if _native.recording():
                self._refuse(f"{module or type(owner).__name__}.{name}() is called", frame)
            return
        if origin(file) != "user":
            return
        if module in _MODULES and threading.get_ident() in NUMBERS:
            self._refuse(f"{name}() is called after item()", frame)
        if (module == "builtins" and name not in _FOREIGN_BUILTINS) or module in _MODULES:
            return
        if module is None and (isinstance(owner, _SELVES) or getattr(owner, "__name__", None) in _MODULES):
            return
        self._refuse(f"{name}() is called", frame)

    def _made(self) -> None:
        self.tape.making_constant, self.converting = False, None
        self.tape.remade_last()

    def _filled(self) -> None:
        array, self.filling = self.filling, None
        if array.size:
            self.tape.remade(array)
            _native.record_call(np.ndarray.fill, (array, array.flat[0].item()), {}, _WRITES)

    def _refuse(self, what: str, frame) -> None:
        while frame is not None and origin(frame.f_code.co_filename) != "user":
            if frame.f_back is None:
                break
            frame = frame.f_back
        place = f", at {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
        self.tape.fail(what + place)
