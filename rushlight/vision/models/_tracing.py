"""A model's operations as a graph, found by running it once on stand-ins for its inputs.

A stand-in (`Proxy`) notes what is done with it. Modules of `rushlight.nn` are single nodes; others are entered.
"""

import dis
import functools
import operator
import re
import sys
import threading
from collections import Counter
from inspect import Parameter as Argument
from inspect import Signature, signature
from types import FunctionType

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.ops.detour import Detour
from rushlight.ops.registry import OPS
from rushlight.tensor import Tensor

__all__ = ["Graph", "Node", "Proxy", "TraceError", "Tracer", "wrap"]


class TraceError(ValueError):
    """A model decides by values which are not known while it is traced."""


class Node:
    """One operation.

    Attributes:
        op: "placeholder", "get_attr", "call_function", "call_method" or "call_module".
        target: the argument's or the module's name, the function, or the method's name.
        args, kwargs: its arguments, in which nodes stand for their results.
        name: of the operation, within the module that it belongs to; None for constants.
    """

    def __init__(self, op: str, target, args: tuple, kwargs: dict):
        self.op, self.target, self.args, self.kwargs = op, target, args, kwargs
        self.name: str | None = None

    def __repr__(self) -> str:
        return f"<{self.op} {self.name or self.target}>"

    def inputs(self) -> list["Node"]:
        """The nodes whose results it takes."""
        found: list[Node] = []
        _map((self.args, self.kwargs), Node, found.append)
        return found

    def changes(self) -> "Node | None":
        """The node whose result it overwrites, as far as its name says so."""
        in_place = self.op == "call_method" and self.target.endswith("_") and not self.target.endswith("__")
        if in_place or self.target is operator.setitem:
            return self.args[0]
        return None


class Graph:
    """Operations in the order in which they ran.

    Attributes:
        nodes: the operations.
        parameters: the arguments of the model's `forward` that are placeholders, as `inspect` has them.
    """

    def __init__(self, parameters: list):
        self.nodes: list[Node] = []
        self.parameters = parameters

    def names(self) -> list[str]:
        """The names of the operations that have one."""
        return [node.name for node in self.nodes if node.name is not None]

    def kept_for(self, outputs: list[Node]) -> "Graph":
        """Only the inputs and what these outputs depend on."""
        needed = set(outputs)
        for node in reversed(self.nodes):
            if node in needed or node.changes() in needed or node.target is torch._assert:
                needed.add(node)
                needed.update(node.inputs())
        kept = Graph(self.parameters)
        kept.nodes = [node for node in self.nodes if node in needed or node.op == "placeholder"]
        return kept

    def run(self, root: nn.Module, args: tuple, kwargs: dict, outputs: dict) -> dict:
        """Do the operations.

        Args:
            root: has the modules and parameters.
            args, kwargs: of the model.
            outputs: the wanted nodes by the keys of the result.
        Returns:
            Their results.
        """
        bound = Signature(self.parameters).bind(*args, **kwargs)
        bound.apply_defaults()
        uses = Counter(node for n in self.nodes for node in n.inputs())
        uses.update(outputs.values())
        values: dict = {}
        for node in self.nodes:
            values[node] = _do(node, root, bound.arguments, values)
            for used in [*node.inputs(), *([] if uses[node] else [node])]:
                uses[used] -= 1
                if uses[used] <= 0:
                    values.pop(used, None)  # its memory is free from here on
        return {key: values[node] for key, node in outputs.items()}


def _do(node: Node, root: nn.Module, inputs: dict, values: dict):
    if node.op == "placeholder":
        return inputs[node.target]
    if node.op == "get_attr":
        return operator.attrgetter(node.target)(root)
    args, kwargs = _map((node.args, node.kwargs), Node, values.__getitem__)
    if node.op == "call_function":
        return node.target(*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], node.target)(*args[1:], **kwargs)
    return root.get_submodule(node.target)(*args, **kwargs)


def _map(value, kind, function):
    """A value with what is of a kind replaced, in sequences, dictionaries and slices too."""
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_map(item, kind, function) for item in value))
    if isinstance(value, list | tuple):
        mapped = [_map(item, kind, function) for item in value]
        return mapped if isinstance(value, list) else tuple(mapped)
    if isinstance(value, dict):
        return {key: _map(item, kind, function) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(_map(item, kind, function) for item in (value.start, value.stop, value.step)))
    return value


class Proxy:
    """Stands for a value while a model is traced: what is done with it becomes a node."""

    def __init__(self, tracer: "Tracer", make_node):
        self._tracer, self._make_node = tracer, make_node

    @property
    def _node(self) -> Node:
        """Its node, made at the first use: an attribute that is only called needs none."""
        if isinstance(self._make_node, Node):
            return self._make_node
        self._make_node = self._make_node()
        return self._make_node

    def __repr__(self) -> str:
        return f"Proxy({self._node.name})"

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Attribute(self, name)

    def __setitem__(self, index, value) -> None:
        self._tracer.record("call_function", operator.setitem, (self, index, value))

    def __iter__(self):
        """As many items as the caller unpacks them to."""
        frame = sys._getframe(1)
        code = frame.f_code
        step = next((i for i in dis.get_instructions(code) if i.offset == frame.f_lasti), None)
        if step is None or step.opname != "UNPACK_SEQUENCE":
            raise TraceError(
                f"{code.co_qualname if hasattr(code, 'co_qualname') else code.co_name}: a traced value cannot be iterated "
                "over, since its length is not known. Unpack it (a, b = x), or make the module a leaf: "
                "tracer_kwargs={'leaf_modules': [...]}"
            )
        return iter([self[i] for i in range(step.argval)])

    def _refuse(self, what: str):
        raise TraceError(
            f"a traced value cannot be {what}, since it is not known before the model runs. Make the module that does it "
            "a leaf (tracer_kwargs={'leaf_modules': [...]}), or the function (autowrap_functions)"
        )

    def __bool__(self) -> bool:
        self._refuse("used in a condition")

    def __len__(self) -> int:
        self._refuse("asked for its length (use x.shape[0])")

    def __index__(self) -> int:
        self._refuse("used as an index of a list or in range()")

    def __int__(self) -> int:
        self._refuse("made an int")

    def __float__(self) -> float:
        self._refuse("made a float")

    __hash__ = object.__hash__


class _Attribute(Proxy):
    """An attribute of a stand-in: a value, or a method."""

    def __init__(self, owner: Proxy, name: str):
        super().__init__(
            owner._tracer, lambda: self._tracer.record("call_function", getattr, (owner, name))._node
        )
        self._owner, self._name = owner, name

    def __call__(self, *args, **kwargs):
        return self._tracer.record("call_method", self._name, (self._owner, *args), kwargs)


_OPERATORS = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift",
    "eq", "ne", "lt", "le", "gt", "ge", "getitem", "neg", "pos", "invert", "abs",
)  # fmt: skip


def _add_operators() -> None:
    def forward(function):
        return lambda self, *others: self._tracer.record("call_function", function, (self, *others))

    def reflected(function):
        return lambda self, other: self._tracer.record("call_function", function, (other, self))

    for name in _OPERATORS:
        function, plain = getattr(operator, name), name.rstrip("_")
        setattr(Proxy, f"__{plain}__", forward(function))
        if name in _OPERATORS[:13]:
            setattr(Proxy, f"__r{plain}__", reflected(function))


_add_operators()

_ACTIVE = threading.local()  # .tracer: the one at work in this thread
_lock = threading.Lock()  # one model at a time: functions of all threads take the detours
_names: dict[FunctionType, str] = {}
_wrapped: list[FunctionType] = []


def wrap(function):
    """Decorator: a function that is one operation for the tracer, which then does not see what is in it."""
    _wrapped.append(function)
    return function


def _functions() -> dict:
    """The functions that are operations, with their names."""
    from rushlight.vision import ops

    names: dict = {function: function.__name__ for function in _wrapped}
    for space in (torch, F, torch.linalg, torch.fft, torch.special, ops):
        for name, function in vars(space).items():
            if callable(function) and (not name.startswith("_") or name == "_assert"):
                known = names.setdefault(function, name)
                if known != name and name == function.__name__:  # rather that than another name of it
                    names[function] = name
    for name in _OPERATORS:
        plain = name.rstrip("_")
        for method in (f"__{plain}__", f"__r{plain}__"):
            names.setdefault(getattr(Tensor, method, None), name)
    for name, entry in OPS.items():
        names.setdefault(entry.function, name)
    return {function: name for function, name in names.items() if isinstance(function, FunctionType)}


@functools.cache
def _detour(function: FunctionType) -> Detour:
    """What notes a function's calls with stand-ins."""

    def handle(original, args, kwargs):
        tracer = getattr(_ACTIVE, "tracer", None)
        if tracer is None or not _has_proxy((args, kwargs)):
            return original(*args, **kwargs)
        return tracer.record("call_function", function, args, kwargs)

    return Detour(function, handle)


def _has_proxy(value) -> bool:
    found: list = []
    _map(value, Proxy, found.append)
    return bool(found)


class Tracer:
    """Finds a model's graph.

    Args:
        leaf_modules: classes of modules that become single nodes, besides those of `rushlight.nn`.
        autowrap_functions: functions that become single nodes.
        autowrap_modules: Python modules all of whose public functions do.
    """

    def __init__(self, leaf_modules=(), autowrap_functions=(), autowrap_modules=()):
        self.leaf_modules = tuple(leaf_modules)
        self.functions = [*autowrap_functions]
        for module in autowrap_modules:
            self.functions += [
                f for n, f in vars(module).items() if not n.startswith("_") and isinstance(f, FunctionType)
            ]

    def trace(self, root: nn.Module, concrete_args: dict | None = None) -> Graph:
        """The graph of one call.

        Args:
            root: the model.
            concrete_args: values of arguments that are constants, by name.
        Raises:
            TraceError: the model decides by values that are not known.
        """
        constants = concrete_args or {}
        every = list(signature(root.forward).parameters.values())
        # What is constant is not passed later, so what comes after it is passed by name.
        parameters = [p for p in every if p.name not in constants]
        self.graph = Graph(parameters)
        self.root, self.path = root, ""
        self.paths = {module: name for name, module in root.named_modules()}
        self.members = {id(p): n for n, p in (*root.named_parameters(), *root.named_buffers())}
        self._counts: dict = {}
        self._parameters: dict = {}
        args, kwargs = self._stand_ins(every, constants)
        with _lock:
            self._result = self._traced(args, kwargs)
        return self.graph

    def _stand_ins(self, parameters: list, constants: dict) -> tuple[list, dict]:
        args: list = []
        kwargs: dict = {}
        for p in parameters:
            if p.kind in (Argument.VAR_POSITIONAL, Argument.VAR_KEYWORD):
                raise TraceError(f"the model's forward takes {p}: how many arguments there are is not known")
            value = constants[p.name] if p.name in constants else self.record("placeholder", p.name)
            if p.kind is Argument.KEYWORD_ONLY:
                kwargs[p.name] = value
            else:
                args.append(value)
        return args, kwargs

    def _traced(self, args: list, kwargs: dict):
        if not _names:
            _names.update(_functions())
        self.names = {**_names, **{f: f.__name__ for f in self.functions}}
        detours = [_detour(function) for function in self.names]
        hidden = self._hide_parameters()
        for detour in detours:
            detour.on()
        _ACTIVE.tracer = self
        nn.Module.__call__, nn.Module.__getattr__ = _call_module, _get_member
        try:
            return self.root.forward(*args, **kwargs)
        finally:
            nn.Module.__call__, nn.Module.__getattr__ = _plain_call, _plain_get_member
            _ACTIVE.tracer = None
            for detour in detours:
                detour.off()
            for state, name, parameter in hidden:
                state[name] = parameter

    def _hide_parameters(self) -> list:
        """Have modules look for their parameters where the tracer sees it: what is computed of them is traced too."""
        hidden = [
            (module.__dict__, name, parameter)
            for module in self.paths
            for name, parameter in module._parameters.items()
            if parameter is not None and module.__dict__.get(name) is parameter
        ]
        for state, name, _ in hidden:
            del state[name]
        return hidden

    def stand_in(self, parameter) -> Proxy | None:
        """What stands for a parameter of the model; None for something else."""
        path = self.members.get(id(parameter))
        if path is not None and path not in self._parameters:
            self._parameters[path] = self.record("get_attr", path)
        return self._parameters.get(path)

    def is_leaf_module(self, module: nn.Module) -> bool:
        """Whether a module is one node."""
        ours = type(module).__module__.startswith("rushlight.nn") and not isinstance(module, nn.Sequential)
        return ours or isinstance(module, self.leaf_modules)

    def call(self, module: nn.Module, args: tuple, kwargs: dict):
        """A module is called: one node, or what happens in it."""
        if module not in self.paths:
            raise NameError(
                "module is not installed as a submodule: assign it to an attribute of the model in __init__"
            )
        outer, self.path = self.path, self.paths[module]
        try:
            if self.is_leaf_module(module):
                return self.record("call_module", self.path, args, kwargs)
            return module.forward(*args, **kwargs)
        finally:
            self.path = outer

    def record(self, op: str, target, args: tuple = (), kwargs: dict | None = None) -> Proxy:
        """Add a node; returns the stand-in for its result."""
        node = Node(op, target, self._arguments(args), self._arguments(kwargs or {}))
        node.name = self._unique(self._base_name(node))
        self.graph.nodes.append(node)
        return Proxy(self, node)

    def _arguments(self, values):
        """Arguments with nodes for stand-ins, and for the model's own tensors."""
        return _map(_map(values, Proxy, lambda proxy: proxy._node), Tensor, self._constant)

    def _constant(self, tensor: Tensor):
        path = self.members.get(id(tensor))
        if path is None:
            return tensor
        node = Node("get_attr", path, (), {})
        self.graph.nodes.append(node)
        return node

    def _base_name(self, node: Node) -> str:
        if node.op == "call_module":
            return self.path
        if isinstance(node.target, str):
            own = re.sub(r"[^0-9a-zA-Z_]+", "_", re.sub(r"(?<=[a-z])([A-Z])", r"_\1", node.target).lower())
        else:
            own = self.names.get(node.target, node.target.__name__)
        return f"{self.path}.{own}" if self.path else own

    def _unique(self, name: str) -> str:
        """The name with a number if it has been there. As in torchvision a number that it ends in goes first."""
        name = re.sub(r"(?<=.)_[0-9]+$", "", name)
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        return f"{name}_{count}" if count else name


def _call_module(module, *args, **kwargs):
    tracer = getattr(_ACTIVE, "tracer", None)
    if tracer is None:
        return _plain_call(module, *args, **kwargs)
    return tracer.call(module, args, kwargs)


def _get_member(module, name: str):
    tracer = getattr(_ACTIVE, "tracer", None)
    member = _plain_get_member(module, name)
    stand_in = tracer.stand_in(member) if tracer is not None and isinstance(member, nn.Parameter) else None
    return member if stand_in is None else stand_in


_plain_call, _plain_get_member = nn.Module.__call__, nn.Module.__getattr__
