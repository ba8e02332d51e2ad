"""Stand-ins for values, which note what is done with them."""

import dis
import enum
import operator
import sys
import threading

import rushlight as torch
from rushlight.fx.functions import operations, operators, optional_by_name
from rushlight.fx.graph import Graph
from rushlight.fx.node import Node, map_aggregate
from rushlight.ops.detour import Detour
from rushlight.overrides import one_by_one

__all__ = ["Attribute", "GraphAppendingTracer", "Proxy", "TraceError", "TracerBase"]


class TraceError(ValueError):
    """A function decides by values which are not known while it is traced."""


class TracerBase:
    """Makes nodes of what is done with stand-ins."""

    graph: Graph

    def create_node(self, kind, target, args, kwargs, name=None, type_expr=None) -> Node:
        """Put a node into the graph."""
        return self.graph.create_node(kind, target, args, kwargs, name, type_expr)

    def proxy(self, node: Node) -> "Proxy":
        """The stand-in for a node's result."""
        return Proxy(node, self)

    def create_proxy(self, kind, target, args, kwargs, name=None, type_expr=None, proxy_factory_fn=None):
        """Put a node into the graph; returns the stand-in for its result."""
        arguments, named = self.create_arg(args), self.create_arg(kwargs)
        node = self.create_node(kind, target, arguments, named, name, type_expr)
        return self.proxy(node) if proxy_factory_fn is None else proxy_factory_fn(node)

    def create_arg(self, a):
        """An argument as nodes have it.

        Raises:
            NotImplementedError: nodes have no such arguments.
        """
        if isinstance(a, Proxy):
            return a.node
        if isinstance(a, tuple | list | dict | slice):
            if isinstance(a, tuple) and hasattr(a, "_fields"):
                return type(a)(*map(self.create_arg, a))
            if isinstance(a, tuple | list):
                return type(a)([self.create_arg(item) for item in a])
            if isinstance(a, dict):
                return {key: self.create_arg(item) for key, item in a.items()}
            return slice(*map(self.create_arg, (a.start, a.stop, a.step)))
        if isinstance(a, range):
            return range(*map(self.create_arg, (a.start, a.stop, a.step)))
        plain = (str, int, float, bool, complex, bytes, enum.Enum, Node, type)
        known = (torch.dtype, torch.device, torch.memory_format, torch.layout, torch.Tensor)
        if a is None or a is ... or isinstance(a, (*plain, *known)) or callable(a):
            return a
        raise NotImplementedError(f"argument of type: {type(a)}")

    def to_bool(self, obj: "Proxy") -> bool:
        """What a stand-in is in a condition: an error, unless a subclass knows better."""
        raise TraceError("symbolically traced variables cannot be used as inputs to control flow")

    def iter(self, obj: "Proxy"):
        """What goes through a stand-in's items: an error, unless a subclass knows better."""
        raise TraceError(
            "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a loop or as a *args or "
            "**kwargs function argument. See the torch.fx docs on pytorch.org for a more detailed explanation of what "
            "types of control flow can be traced, and check out the Proxy docstring for help troubleshooting Proxy "
            "iteration errors"
        )

    def keys(self, obj: "Proxy"):
        """What `**` of a stand-in asks for."""
        return Attribute(obj, "keys")()


class GraphAppendingTracer(TracerBase):
    """Puts nodes at the end of a graph."""

    def __init__(self, graph: Graph):
        self.graph = graph


class Proxy:
    """Stands for a value: what is done with it becomes a node.

    Args:
        node: whose result it stands for.
        tracer: makes the nodes; by default they are put where the graph puts nodes.
    """

    def __init__(self, node: Node, tracer: TracerBase | None = None):
        _watch.enter()
        self.tracer = GraphAppendingTracer(node.graph) if tracer is None else tracer
        self.node = node

    def __del__(self):
        if _watch is not None:  # at the end of the process
            _watch.leave()

    def __repr__(self) -> str:
        return f"Proxy({self.node.name})"

    def __getattr__(self, k: str) -> "Attribute":
        if k in ("node", "tracer") or (k.startswith("__") and k.endswith("__")):
            raise AttributeError(k)
        return Attribute(self, k)

    def __call__(self, *args, **kwargs) -> "Proxy":
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __setitem__(self, index, value) -> None:
        raise TypeError(f"'{type(self).__name__}' object does not support item assignment")

    def __iter__(self):
        frame = sys._getframe(1)
        step = next((i for i in dis.get_instructions(frame.f_code) if i.offset == frame.f_lasti), None)
        if step is not None and step.opname == "UNPACK_SEQUENCE":
            return (self[i] for i in range(step.argval))
        return self.tracer.iter(self)

    def __bool__(self) -> bool:
        return self.tracer.to_bool(self)

    def keys(self):
        """What `**` asks for."""
        return self.tracer.keys(self)

    def __len__(self) -> int:
        raise RuntimeError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be recorded, please call "
            "torch.fx.wrap('len') at module scope"
        )

    __hash__ = object.__hash__


class Attribute(Proxy):
    """An attribute of a stand-in: a value, or a method that is called."""

    def __init__(self, root: Proxy, attr: str):
        _watch.enter()
        self.root, self.attr, self.tracer, self._node = root, attr, root.tracer, None

    @property
    def node(self) -> Node:
        """Its node, made when it is asked for: a method that is only called needs none."""
        if self._node is None:
            self._node = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {}).node
        return self._node

    def __call__(self, *args, **kwargs) -> Proxy:
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


_FORWARD = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift",
    "eq", "ne", "lt", "le", "gt", "ge", "getitem", "neg", "pos", "invert", "abs",
)  # fmt: skip
_REFLECTED = _FORWARD[:13]


def _add_operators() -> None:
    def forward(function):
        return lambda self, *others: self.tracer.create_proxy("call_function", function, (self, *others), {})

    def reflected(function):
        return lambda self, other: self.tracer.create_proxy("call_function", function, (other, self), {})

    for name in _FORWARD:
        function, plain = getattr(operator, name), name.rstrip("_")
        setattr(Proxy, f"__{plain}__", forward(function))
        if name in _REFLECTED:
            setattr(Proxy, f"__r{plain}__", reflected(function))


_add_operators()


def find_proxy(value) -> Proxy | None:
    """A stand-in among arguments, if there is one."""
    return next(iter(_all_proxies(value)), None)


def _only_tracer(proxies: list[Proxy], function) -> TracerBase:
    tracers = {id(p.tracer): p.tracer for p in proxies}
    if len(tracers) > 1:
        raise RuntimeError(
            f"Found multiple different tracers {list(tracers.values())} while trying to trace operations {function}"
        )
    return proxies[0].tracer


def _of_function(function) -> Detour:
    """What has the calls of a function with stand-ins recorded."""

    def handle(original, args, kwargs):
        proxies = _all_proxies((args, kwargs))
        if not proxies:
            return original(*args, **kwargs)
        if arguments is not None:
            args, kwargs = arguments(args, kwargs)
        tracer = _only_tracer(proxies, function)
        return tracer.create_proxy("call_function", function, one_by_one(function, args), kwargs)

    detour = Detour(function, handle)
    arguments = optional_by_name(function, detour.plain())
    return detour


def _of_operator(function, name: str) -> Detour:
    """What has the uses of a tensor's operator with stand-ins recorded."""

    def handle(original, args, kwargs):
        proxies = _all_proxies((args, kwargs))
        if not proxies:
            return original(*args, **kwargs)
        return _only_tracer(proxies, function).create_proxy("call_method", name, args, kwargs)

    return Detour(function, handle)


def _all_proxies(value) -> list[Proxy]:
    found: list = []
    map_aggregate(value, lambda item: found.append(item) if isinstance(item, Proxy) else None)
    return found


class _Watch:
    """Has functions look for stand-ins among their arguments as long as there are any stand-ins."""

    def __init__(self):
        self.count, self.lock = 0, threading.RLock()
        self.detours: list[Detour] = []

    def enter(self) -> None:
        """There is one more."""
        with self.lock:
            self.count += 1
            if self.count == 1:
                if not self.detours:
                    self.detours = [_of_function(f) for f in operations()]
                    self.detours += [_of_operator(*item) for item in operators().items()]
                for detour in self.detours:
                    detour.on()

    def leave(self) -> None:
        """There is one less."""
        with self.lock:
            self.count -= 1
            if self.count == 0:
                for detour in self.detours:
                    detour.off()


_watch = _Watch()
