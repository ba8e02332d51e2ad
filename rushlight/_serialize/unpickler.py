"""Reads pickles: data and a list of harmless names, or, on demand, everything.

The restricted reader is a small machine of our own. It understands the opcodes that data needs, calls only
the functions of `CALLS` and those that the user declared safe, and sets attributes only on what it made
itself. So a file can neither run code nor reach anything in this process.
"""

import pickle
import struct
from collections import Counter, OrderedDict
from pickle import UnpicklingError

from rushlight._serialize.globals import CALLS, GLOBALS, Unread, parameter_class, resolve
from rushlight._serialize.storage import StorageType

_BLOCKED_MODULES = ("sys", "os", "posix", "nt")
_SIMPLE_KEYS = (str, int, float, bool, bytes, complex, type(None))

safe_globals: list = []  # what the user declared safe: classes, functions, or (one of them, its full name)


def full_name(obj) -> str:
    """The dotted name under which a file would mention a class or function."""
    return f"{obj.__module__}.{getattr(obj, '__qualname__', getattr(obj, '__name__', ''))}"


def _user_globals() -> dict[str, object]:
    found = {}
    for entry in safe_globals:
        obj, name = entry if isinstance(entry, tuple) else (entry, full_name(entry))
        found[name] = obj
    return found


def check_key(key, depth: int = 0):
    """A key of a dict or a member of a set; hashing deep structures would overflow the stack."""
    if isinstance(key, tuple):
        if depth > 20:
            raise UnpicklingError("a key of a dict is nested too deeply")
        for part in key:
            check_key(part, depth + 1)
    elif not isinstance(key, _SIMPLE_KEYS):
        hash(key)  # a TypeError here is the answer
    return key


class Unpickler:
    """The restricted reader.

    Args:
        file: has `read` and `readline`.
        persistent_load: gives the storage for a ("storage", …) tuple.
        limit: the size of the file, which no piece of text in it can exceed.
    """

    def __init__(self, file, persistent_load, limit: int):
        self._limit = limit
        self._read_some, self._readline = file.read, file.readline
        self._persistent_load = persistent_load
        self._user = _user_globals()

    def load(self):
        """The object that the pickle describes.

        Raises:
            UnpicklingError: the pickle is damaged, or holds something that is not allowed.
            EOFError: it ends too early.
        """
        self.stack: list = []
        self.marks: list[list] = []
        self.memo: dict[int, object] = {}
        actions = _ACTIONS
        try:
            while True:
                code = self._read_some(1)
                if not code:
                    raise EOFError("Ran out of input")
                if code == pickle.STOP:
                    return self.stack.pop()
                action = actions.get(code[0])
                if action is None:
                    raise UnpicklingError(f"Unsupported operand {code[0]}")
                action(self)
        except (
            IndexError, KeyError, TypeError, ValueError, AttributeError, struct.error, RecursionError,
            OverflowError,
        ) as error:  # fmt: skip
            raise UnpicklingError(f"the pickle is damaged: {type(error).__name__}: {error}") from None

    # -- helpers ------------------------------------------------------------------------------------

    def read(self, count: int) -> bytes:
        """Exactly that many bytes."""
        data = self._read_some(count) if count <= self._limit else b""
        if len(data) != count:
            raise EOFError("Ran out of input")
        return data

    def unpack(self, form: str) -> int:
        """A number in the pickle."""
        return struct.unpack(form, self.read(struct.calcsize(form)))[0]

    def text(self, form: str) -> str:
        """Text after its length."""
        return str(self.read(self.unpack(form)), "utf-8", "surrogatepass")

    def pop_mark(self) -> list:
        """What was put on the stack since the last mark."""
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def mark(self) -> None:
        """Begin a group of items."""
        self.marks.append(self.stack)
        self.stack = []

    def set_items(self, items: list) -> None:
        """Put keys and values into the dict on top of the stack."""
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict, Counter) and type(target) not in self._user.values():
            raise UnpicklingError(
                "Can only SETITEMS for dict, collections.OrderedDict, collections.Counter, but got "
                f"{type(target)}"
            )
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[check_key(key)] = value

    def extend(self, items: list) -> None:
        """Append to the list on top of the stack."""
        target = self.stack[-1]
        if type(target) is not list:
            raise UnpicklingError(f"Can only extend lists, but got {type(target)}")
        target.extend(items)

    def tuple_of(self, count: int) -> None:
        """Join the last items."""
        if len(self.stack) < count:
            raise UnpicklingError("unexpected tuple")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def remember(self, number: int) -> None:
        """Keep the top of the stack for later."""
        self.memo[number] = self.stack[-1]

    # -- names, calls, attributes -------------------------------------------------------------------

    def find_global(self, module: str, name: str) -> None:
        """Put what a name means on the stack."""
        module, name = _RENAMED.get((module, name), (_OLD_MODULES.get(module, module), name))
        path = f"{module}.{name}"
        if module.partition(".")[0] in _BLOCKED_MODULES:
            raise UnpicklingError(
                f"Trying to load unsupported GLOBAL {path} whose module {module} is blocked."
            )
        if (module, name) in GLOBALS:
            found = GLOBALS[module, name]
        elif path in self._user:
            found = self._user[path]
        elif (module, name) == ("torch.nn.parameter", "Parameter"):
            found = parameter_class()
        else:
            found = self._ours(module, name, path)
        self.stack.append(found)

    def _ours(self, module: str, name: str, path: str):
        """A class of ours under PyTorch's name, if the user declared it safe."""
        if module.partition(".")[0] == "torch":
            try:
                found = resolve(module, name)
            except AttributeError:
                found = None
            if found is not None and any(found is safe for safe in self._user.values()):
                return found
        shown = path.removeprefix("builtins.")
        raise UnpicklingError(
            f"Unsupported global: GLOBAL {shown} was not an allowed global by default. Please use "
            f"`torch.serialization.add_safe_globals([{shown}])` or the "
            f"`torch.serialization.safe_globals([{shown}])` context manager to allowlist this global if you "
            "trust this class/function."
        )

    def _is_users(self, obj) -> bool:
        return any(obj is safe for safe in self._user.values())

    def reduce(self) -> None:
        """Call a function."""
        args, function = self.stack.pop(), self.stack.pop()
        if type(args) is not tuple:
            raise UnpicklingError(f"expected a tuple of arguments, got {type(args)}")
        allowed = function if self._is_users(function) else _lookup(function)
        if allowed is None:
            raise UnpicklingError(f"Trying to call reduce for unrecognized function {function!r:.100}")
        self.stack.append(allowed(*args))

    def new_object(self) -> None:
        """Make an object of a class."""
        args, cls = self.stack.pop(), self.stack.pop()
        if type(args) is tuple and self._is_users(cls):
            self.stack.append(cls.__new__(cls, *args))
        elif cls in (OrderedDict, Counter, Unread) and args == ():
            self.stack.append(cls())
        else:
            raise UnpicklingError(
                "Can only create new object for nn.Parameter or classes allowlisted via `add_safe_globals` "
                f"but got {cls!r:.100}"
            )

    def build(self) -> None:
        """Give an object its state."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is OrderedDict:
            if type(state) is not dict:
                raise UnpicklingError(f"expected a dict of attributes, got {type(state)}")
            target.__dict__.update(state)
        elif type(target) is Unread:
            target.state = state
        elif self._is_users(type(target)):
            _set_state(target, state)
        else:
            raise UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via `add_safe_globals`, "
                f"but got {type(target)}"
            )

    def persistent(self) -> None:
        """Put a storage on the stack."""
        identity = self.stack.pop()
        if type(identity) is not tuple or not identity or _plain(identity[0]) != "storage":
            raise UnpicklingError("Only persistent_load of storage is allowed")
        if len(identity) < 5 or not isinstance(identity[1], StorageType):
            raise UnpicklingError("a storage is not described as expected")
        self.stack.append(self._persistent_load(identity))


def _lookup(function):
    try:
        return CALLS.get(function)
    except TypeError:  # not hashable, so not a function
        return None


def _plain(value):
    return value.decode("ascii") if isinstance(value, bytes) else value


def _set_state(target, state) -> None:
    if hasattr(target, "__setstate__"):
        target.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        target.__dict__.update(state)
    for name, value in (slots or {}).items():
        setattr(target, name, value)


# Names of Python 2, which PyTorch's default protocol writes.
_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_RENAMED = {("__builtin__", "unicode"): ("builtins", "str"), ("__builtin__", "long"): ("builtins", "int")}


def _line(machine: Unpickler) -> str:
    return machine._readline()[:-1].decode("utf-8")


def _push(function):
    def action(machine: Unpickler) -> None:
        value = function(machine)  # may change which stack is the present one
        machine.stack.append(value)

    return action


def _stack_global(machine: Unpickler) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise UnpicklingError("STACK_GLOBAL requires str")
    machine.find_global(module, name)


def _add_items(machine: Unpickler) -> None:
    items = machine.pop_mark()
    target = machine.stack[-1]
    if type(target) is not set:
        raise UnpicklingError(f"Can only add to sets, but got {type(target)}")
    target.update(map(check_key, items))


_ACTIONS = {
    code[0]: action
    for code, action in {
        pickle.PROTO: lambda m: m.read(1),
        pickle.FRAME: lambda m: m.read(8),
        pickle.MARK: Unpickler.mark,
        pickle.POP: lambda m: m.stack.pop(),
        pickle.NONE: _push(lambda m: None),
        pickle.NEWTRUE: _push(lambda m: True),
        pickle.NEWFALSE: _push(lambda m: False),
        pickle.BININT: _push(lambda m: m.unpack("<i")),
        pickle.BININT1: _push(lambda m: m.unpack("<B")),
        pickle.BININT2: _push(lambda m: m.unpack("<H")),
        pickle.LONG1: _push(lambda m: pickle.decode_long(m.read(m.unpack("<B")))),
        pickle.BINFLOAT: _push(lambda m: m.unpack(">d")),
        pickle.BINUNICODE: _push(lambda m: m.text("<I")),
        pickle.SHORT_BINUNICODE: _push(lambda m: m.text("<B")),
        pickle.SHORT_BINSTRING: _push(lambda m: m.read(m.unpack("<B"))),
        pickle.SHORT_BINBYTES: _push(lambda m: m.read(m.unpack("<B"))),
        pickle.BINBYTES: _push(lambda m: m.read(m.unpack("<I"))),
        pickle.BINUNICODE8: _push(lambda m: m.text("<Q")),
        pickle.BINBYTES8: _push(lambda m: m.read(m.unpack("<Q"))),
        pickle.BYTEARRAY8: _push(lambda m: bytearray(m.read(m.unpack("<Q")))),
        pickle.EMPTY_TUPLE: _push(lambda m: ()),
        pickle.EMPTY_LIST: _push(lambda m: []),
        pickle.EMPTY_DICT: _push(lambda m: {}),
        pickle.EMPTY_SET: _push(lambda m: set()),
        pickle.TUPLE: _push(lambda m: tuple(m.pop_mark())),
        pickle.TUPLE1: lambda m: m.tuple_of(1),
        pickle.TUPLE2: lambda m: m.tuple_of(2),
        pickle.TUPLE3: lambda m: m.tuple_of(3),
        pickle.APPEND: lambda m: m.extend([m.stack.pop()]),
        pickle.APPENDS: lambda m: m.extend(m.pop_mark()),
        pickle.ADDITEMS: _add_items,
        pickle.SETITEM: lambda m: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
        pickle.SETITEMS: lambda m: m.set_items(m.pop_mark()),
        pickle.GLOBAL: lambda m: m.find_global(_line(m), _line(m)),
        pickle.STACK_GLOBAL: _stack_global,
        pickle.REDUCE: Unpickler.reduce,
        pickle.NEWOBJ: Unpickler.new_object,
        pickle.BUILD: Unpickler.build,
        pickle.BINPERSID: Unpickler.persistent,
        pickle.BINPUT: lambda m: m.remember(m.unpack("<B")),
        pickle.LONG_BINPUT: lambda m: m.remember(m.unpack("<I")),
        pickle.MEMOIZE: lambda m: m.remember(len(m.memo)),
        pickle.BINGET: _push(lambda m: m.memo[m.unpack("<B")]),
        pickle.LONG_BINGET: _push(lambda m: m.memo[m.unpack("<I")]),
    }.items()
}


def full_unpickler(base: type, file, persistent_load, **options):
    """A reader that runs whatever the pickle says, with PyTorch's names read as ours.

    Args:
        base: the Unpickler class to build on.
        file: has `read` and `readline`.
        persistent_load: gives the storage for a ("storage", …) tuple.
    """

    class FullUnpickler(base):
        def find_class(self, module: str, name: str):
            if module.partition(".")[0] == "torch":
                return resolve(module, name)
            return super().find_class(module, name)

        def persistent_load(self, identity):
            return persistent_load(identity)

    return FullUnpickler(file, **options)
