"""Python code of a graph, and the names in it."""

import builtins
import enum
import keyword
import math
import re
from dataclasses import dataclass

import rushlight as torch
from rushlight.fx.functions import qualified_name
from rushlight.fx.node import Node, type_name

_OPERATORS = {
    "eq": "{} == {}", "ne": "{} != {}", "lt": "{} < {}", "gt": "{} > {}", "le": "{} <= {}", "ge": "{} >= {}",
    "pos": "+{}", "neg": "-{}", "invert": "~{}", "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}",
    "floordiv": "{} // {}", "truediv": "{} / {}", "mod": "{} % {}", "pow": "{} ** {}", "lshift": "{} << {}",
    "rshift": "{} >> {}", "and_": "{} & {}", "or_": "{} | {}", "xor": "{} ^ {}", "getitem": "{}[{}]",
    "matmul": "{} @ {}",
}  # fmt: skip
#: Names that code has without saying so.
BUILTIN_GLOBALS = {
    "inf": math.inf, "nan": math.nan, "NoneType": type(None), "torch": torch, "device": torch.device,
}  # fmt: skip
_TAKEN = {*keyword.kwlist, *vars(builtins), *BUILTIN_GLOBALS, "fx_pytree", "pytree"}


class Namespace:
    """Names that are one of a kind."""

    def __init__(self):
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}
        self._of: dict = {}  # by object

    def create_name(self, candidate: str, obj=None) -> str:
        """A name like the candidate that is no keyword, no builtin, and not taken; an object always gets the same."""
        if obj is not None and id(obj) in self._of:
            return self._of[id(obj)][0]
        candidate = re.sub(r"[^0-9a-zA-Z_]+", "_", candidate) or "_unnamed"
        candidate = f"_{candidate}" if candidate[0].isdigit() else candidate
        base, digits = re.match(r"^([a-zA-Z_][0-9a-zA-Z_]*?)(?:_(\d+))?$", candidate).groups()
        number = int(digits or 0)
        if digits is None or candidate in self._used:
            number = self._counts.get(base, 0)
            if candidate in _TAKEN and BUILTIN_GLOBALS.get(candidate, self) is not obj:
                number += 1
                candidate = f"{base}_{number}"
        while candidate in self._used:
            number += 1
            candidate = f"{base}_{number}"
        self._used.add(candidate)
        self._counts[base] = number
        if obj is not None:
            self._of[id(obj)] = candidate, obj
        return candidate


def snake_case(name: str) -> str:
    """mod.PascalCase -> mod.pascal_case"""
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()


@dataclass
class PythonCode:
    """A function's source, and the global values that it needs.

    Attributes:
        src: the source.
        globals: values by name.
    """

    src: str
    globals: dict


def attribute(base: str, path: str) -> str:
    """The expression for an attribute of an attribute."""
    for part in path.split("."):
        base = f"{base}.{part}" if part.isidentifier() else f'getattr({base}, "{part}")'
    return base


class _Writer:
    """Writes the code of one graph."""

    def __init__(self, graph, root: str):
        self.root = root
        self.namespace = Namespace()
        self.globals: dict = dict(BUILTIN_GLOBALS)
        self.arguments: list[str] = []
        self.body: list[str] = []
        self.wrapped: list[str] = []
        self.returns = ""
        self.nodes = list(graph.nodes)
        for name, value in BUILTIN_GLOBALS.items():
            self.namespace.create_name(name, value)
        for node in self.nodes:
            self.namespace.create_name(node.name, node)
        self.last_uses = self._last_uses()

    def _last_uses(self) -> dict:
        seen: set = set()
        uses: dict = {}
        for user in reversed(self.nodes):
            for node in user.all_input_nodes:
                if node not in seen:
                    seen.add(node)
                    uses.setdefault(user, []).append(node)
        return uses

    def write(self) -> PythonCode:
        for node in self.nodes:
            self._node(node)
        arguments = self.arguments if self.arguments[:1] == ["self"] else ["self", *self.arguments]
        wraps = "\n".join(
            f'{self._global("torch.fx._symbolic_trace.wrap", torch.fx.wrap)}("{name}")'
            for name in self.wrapped
        )
        body = "".join(self.body).lstrip("\n") or "pass\n"
        indented = "\n".join(f"    {line}" for line in body.split("\n"))
        head = f"def forward({', '.join(arguments)}){self.returns}:"
        return PythonCode(f"\n{wraps}\n\n{head}\n{indented}", self.globals)

    def _node(self, node: Node) -> None:
        kind = f" : {self._type(node.type)}" if node.type is not None else ""
        if node.op == "placeholder":
            default = f" = {self._repr(node.args[0])}" if node.args else ""
            self.arguments.append(f"{node.target}{kind}{default}")
            name = node.target.replace("*", "")
            if name != node.name:
                self.body.append(f"{node.name} = {name}\n")
        elif node.op == "output":
            self.returns = f" -> {self._type(node.type)}" if node.type is not None else ""
            self.body.append(f"return {self._repr(node.args[0])}\n")
        else:
            self.body.append(f"{node.name}{kind} = {self._expression(node)}")
            done = [*self.last_uses.get(node, []), *([] if node.users else [node])]
            freed = " = ".join([*(n.name for n in done), "None"]) if done else ""
            self.body.append(f";  {freed}\n" if freed else "\n")

    def _expression(self, node: Node) -> str:
        if node.op == "get_attr":
            return attribute(self.root, node.target)
        if node.op == "call_module":
            return f"{attribute(self.root, node.target)}({self._arguments(node.args, node.kwargs)})"
        if node.op == "call_method":
            method = attribute(self._repr(node.args[0]), node.target)
            return f"{method}({self._arguments(node.args[1:], node.kwargs)})"
        name = node.target.__name__
        if getattr(node.target, "__module__", "") == "_operator" and name in _OPERATORS:
            return _OPERATORS[name].format(*map(self._repr, node.args))
        name = self._global(qualified_name(node.target), node.target)
        if name == "getattr" and len(node.args) == 2 and str(node.args[1]).isidentifier():
            return f"{self._repr(node.args[0])}.{node.args[1]}"
        if node.meta.get("is_wrapped") and name not in self.wrapped:
            self.wrapped.append(name)
        return f"{name}({self._arguments(node.args, node.kwargs)})"

    def _arguments(self, args, kwargs) -> str:
        return ", ".join([*map(self._repr, args), *(f"{k} = {self._repr(v)}" for k, v in kwargs.items())])

    def _global(self, hint: str, value) -> str:
        if _reachable(hint, value):
            return hint
        name = self.namespace.create_name(hint, value)
        if name not in _TAKEN or name in BUILTIN_GLOBALS:
            self.globals[name] = value
        return name

    def _type(self, kind) -> str:
        arguments = getattr(kind, "__args__", None)
        if arguments and getattr(kind, "__origin__", None) is not None:
            origin = self._type(kind.__origin__)
            return f"{origin}[{','.join(map(self._type, arguments))}]"
        if isinstance(kind, str):
            return repr(kind)
        return self._global(type_name(kind), kind)

    def _repr(self, value) -> str:
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return f"{self._global(qualified_name(type(value)), type(value))}{tuple(value)!r}"
        if isinstance(value, tuple):
            return f"({', '.join(map(self._repr, value))}{',' if len(value) == 1 else ''})"
        if isinstance(value, list):
            return f"[{', '.join(map(self._repr, value))}]"
        if isinstance(value, slice):
            return f"slice({', '.join(map(self._repr, (value.start, value.stop, value.step)))})"
        if isinstance(value, enum.Enum):
            return f"{self._global(type(value).__name__, type(value))}.{value.name}"
        return repr(value)


def _reachable(name: str, value) -> bool:
    """Whether a dotted name below torch leads to the value."""
    parts = name.split(".")
    found = torch if parts[0] == "torch" else builtins
    for part in parts[1:] if parts[0] == "torch" else parts:
        found = getattr(found, part, None)
    return found is value


def write(graph, root: str) -> PythonCode:
    """The code of a graph.

    Args:
        graph: the graph.
        root: the name of the module that it belongs to, "self".
    """
    return _Writer(graph, root).write()
