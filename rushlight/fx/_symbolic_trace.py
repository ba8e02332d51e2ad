"""Finding the graph of a function or module by running it once on stand-ins."""

import builtins
import contextlib
import functools
import inspect
import math
import sys
import threading
from inspect import Parameter as Argument
from types import FunctionType, ModuleType

import rushlight as torch
from rushlight.fx.graph import Graph
from rushlight.fx.graph_module import GraphModule
from rushlight.fx.proxy import TracerBase, find_proxy
from rushlight.nn import Module, Parameter, Sequential
from rushlight.ops.detour import Detour
from rushlight.overrides import one_by_one

__all__ = ["PH", "ProxyableClassMeta", "Tracer", "symbolic_trace", "wrap"]

_wrapped: list[tuple[dict, str]] = []  # the scope and the name of functions that are not entered
_tracing: list["Tracer"] = []
_lock = threading.RLock()  # one function at a time: modules of all threads are patched


class _Placeholder:
    def __repr__(self) -> str:
        return "PH"


#: In `concrete_args`: an argument that stays one.
PH = _Placeholder()


def wrap(fn_or_name):
    """Have tracing record the calls of a function instead of following them.

    Args:
        fn_or_name: a function of the calling module, or the name of one, a builtin's too; as a decorator too.
    Raises:
        NotImplementedError: not at the top level of a module.
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("Unsupported type for global function! Must be either a callable or string name")
    frame = sys._getframe(1)
    if frame.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    name = fn_or_name if isinstance(fn_or_name, str) else fn_or_name.__name__
    _wrapped.append((frame.f_globals, name))
    return fn_or_name


class ProxyableClassMeta(type):
    """The metaclass of classes whose construction from stand-ins is recorded."""

    def __call__(cls, *args, **kwargs):
        proxy = find_proxy((args, kwargs))
        if proxy is not None:
            return proxy.tracer.create_proxy("call_function", cls, args, kwargs)
        return super().__call__(*args, **kwargs)


def _recorded(function, original, args, kwargs):
    """A function is called: with stand-ins that is a node."""
    proxy = find_proxy((args, kwargs))
    if proxy is None:
        return original(*args, **kwargs)
    result = proxy.tracer.create_proxy("call_function", function, one_by_one(function, args), kwargs)
    result.node.meta["is_wrapped"] = True
    return result


def _recording(function):
    """A function that records its calls with stand-ins."""

    def recorder(*args, **kwargs):
        return _recorded(function, function, args, kwargs)

    recorder.__name__ = getattr(function, "__name__", "recorder")
    return recorder


@functools.cache
def _detour(function: FunctionType) -> Detour:
    """The same for a function in Python, which may have been imported by name anywhere."""
    return Detour(function, functools.partial(_recorded, function))


class Tracer(TracerBase):
    """Finds graphs. Subclasses say what is recorded, and how.

    Args:
        autowrap_modules: Python modules whose functions are recorded.
        autowrap_functions: functions that are recorded.
    """

    def __init__(self, autowrap_modules=(math,), autowrap_functions=(), param_shapes_constant=False):
        self._search: list[ModuleType] = list(autowrap_modules)
        functions = [f for m in autowrap_modules for n, f in vars(m).items() if not n.startswith("_")]
        self._autowrapped = {id(f): f for f in (*autowrap_functions, *functions) if callable(f)}
        self._know(Module())

    def is_leaf_module(self, m: Module, module_qualified_name: str) -> bool:
        """Whether a module is one node; otherwise it is entered."""
        ours = type(m).__module__.startswith(("rushlight.nn", "torch.nn"))
        return ours and not isinstance(m, Sequential)

    def path_of_module(self, mod: Module) -> str:
        """The dotted name of a module of the root."""
        if mod not in self._paths:
            raise NameError("module is not installed as a submodule")
        return self._paths[mod]

    def call_module(self, m: Module, forward, args: tuple, kwargs: dict):
        """A module is called: one node, or what happens in it."""
        path = self.path_of_module(m)
        if self.is_leaf_module(m, path):
            return self.create_proxy("call_module", path, args, kwargs)
        return forward(*args, **kwargs)

    def getattr(self, attr: str, attr_val, parameter_proxy_cache: dict):
        """An attribute of a module is asked for: parameters get stand-ins."""
        if not isinstance(attr_val, Parameter):
            return attr_val
        name = self._members.get(id(attr_val))
        if name is None:
            return attr_val
        if name not in parameter_proxy_cache:
            parameter_proxy_cache[name] = self.create_proxy("get_attr", name, (), {})
        return parameter_proxy_cache[name]

    def create_arg(self, a):
        """An argument as nodes have it; tensors become attributes of the root."""
        if isinstance(a, torch.Tensor):
            return self.create_node("get_attr", self._name_of(a), (), {})
        if isinstance(a, Module):
            return self.create_node("get_attr", self.path_of_module(a), (), {})
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            return self.create_node("call_function", type(a), tuple(map(self.create_arg, a)), {})
        if isinstance(type(a), ProxyableClassMeta):
            return self.create_node("get_attr", self._stowed(f"_{type(a).__name__}_constant_", a), (), {})
        return super().create_arg(a)

    def _name_of(self, tensor) -> str:
        if id(tensor) not in self._members:
            if isinstance(tensor, Parameter):
                raise NameError("parameter is not a member of this module")
            self._members[id(tensor)] = self._stowed("_tensor_constant", tensor)
        return self._members[id(tensor)]

    def _stowed(self, base: str, value) -> str:
        """Keep a constant as an attribute of the root; returns its name."""
        number = next(i for i in range(sys.maxsize) if not hasattr(self.root, f"{base}{i}"))
        setattr(self.root, f"{base}{number}", value)
        return f"{base}{number}"

    def _know(self, root: Module) -> None:
        """Take note of the names of a module's parts."""
        self.root: Module = root
        self._paths = {module: name for name, module in root.named_modules()}
        self._members = {
            id(value): f"{path}.{name}" if path else name
            for module, path in self._paths.items()
            for name, value in vars(module).items()
            if isinstance(value, torch.Tensor) and not isinstance(value, Parameter)
        }
        self._members |= {id(t): n for n, t in (*root.named_buffers(), *root.named_parameters())}

    def trace(self, root, concrete_args: dict | None = None) -> Graph:
        """The graph of one call.

        Args:
            root: a module or function.
            concrete_args: values of arguments that are constants, by name.
        Raises:
            TraceError: it decides by values that are not known.
        """
        if isinstance(root, Module):
            self.root, function, bound = root, type(root).forward, [root]
        else:
            self.root, function, bound = Module(), root, []
        self.graph = Graph(tracer_cls=type(self))
        self._know(self.root)
        args = self._stand_ins(function, bool(bound), concrete_args or {})
        function = _with_plain_arguments(inspect.unwrap(function), len(bound) + len(args))
        with _lock, contextlib.ExitStack() as patches:
            patches.enter_context(_hidden_parameters(self.root))
            patches.enter_context(self._patched(getattr(function, "__globals__", {})))
            result = self.create_arg(function(*bound, *args))
        returns = inspect.get_annotations(function).get("return")
        self.create_node("output", "output", (result,), {}, type_expr=returns)
        return self.graph

    def _stand_ins(self, function, is_method: bool, constants: dict) -> list:
        """The arguments: named ones after the others, as in the code of functions."""
        parameters = list(inspect.signature(function).parameters.values())[int(is_method) :]
        parameters.sort(key=lambda p: p.kind in (Argument.VAR_POSITIONAL, Argument.VAR_KEYWORD))
        annotations = inspect.get_annotations(inspect.unwrap(function))
        args: list = []
        for p in parameters:
            stars = {Argument.VAR_POSITIONAL: "*", Argument.VAR_KEYWORD: "**"}.get(p.kind, "")
            default = () if p.default is Argument.empty else (p.default,)
            kind = annotations.get(p.name)
            proxy = self.create_proxy("placeholder", stars + p.name, default, {}, type_expr=kind)
            value = constants.get(p.name, PH)
            args.append(proxy if value is PH else value)
        return args

    @contextlib.contextmanager
    def _patched(self, scope: dict):
        """Modules, and the functions that are not to be entered, call us."""
        undo: list[tuple[dict, str, object]] = []
        detours: dict = {}
        searched: set[int] = set()

        def lead(function) -> None:
            if function not in detours:
                detours[function] = _detour(function)
                detours[function].on()

        def patch(names: dict, name: str) -> None:
            plain = names.get(name, getattr(builtins, name, None))
            if isinstance(plain, FunctionType):
                lead(plain)
            elif plain is not None and not any(s is names and n == name for s, n, _ in undo):
                undo.append((names, name, names.get(name, _ABSENT)))
                names[name] = _recording(plain)

        def search(names: dict) -> None:
            if id(names) not in searched:
                searched.add(id(names))
                for name in [n for n, f in names.items() if id(f) in builtin and not n.startswith("_")]:
                    patch(names, name)

        builtin = {i for i, f in self._autowrapped.items() if not isinstance(f, FunctionType)}
        for names, name in _wrapped:
            patch(names, name)
        for names in [scope, *(vars(module) for module in self._search)]:
            search(names)
        for function in self._autowrapped.values():
            if isinstance(function, FunctionType):
                lead(function)
        cache: dict = {}
        thread, plain_call, plain_getattr = threading.get_ident(), Module.__call__, Module.__getattr__

        def call(module, *args, **kwargs):
            if threading.get_ident() != thread:
                return plain_call(module, *args, **kwargs)
            search(getattr(type(module).forward, "__globals__", {}))
            return self.call_module(module, lambda *a, **k: plain_call(module, *a, **k), args, kwargs)

        def member(module, name: str):
            value = plain_getattr(module, name)
            return value if threading.get_ident() != thread else self.getattr(name, value, cache)

        Module.__call__, Module.__getattr__ = call, member
        _tracing.append(self)
        try:
            yield
        finally:
            _tracing.pop()
            Module.__call__, Module.__getattr__ = plain_call, plain_getattr
            for detour in detours.values():
                detour.off()
            for names, name, plain in reversed(undo):
                if plain is _ABSENT:
                    del names[name]
                else:
                    names[name] = plain


_ABSENT = object()


def _with_plain_arguments(function, count: int):
    """A function whose `*args`, `**kwargs` and named arguments are plain ones: a stand-in can be passed for each."""
    code = getattr(function, "__code__", None)
    starred = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
    if code is None or not (code.co_flags & starred or code.co_kwonlyargcount):
        return function
    plain = code.replace(
        co_flags=code.co_flags & ~starred, co_argcount=count, co_posonlyargcount=0, co_kwonlyargcount=0
    )
    return FunctionType(plain, function.__globals__, function.__name__, None, function.__closure__)


@contextlib.contextmanager
def _hidden_parameters(root: Module):
    """Modules look for their parameters where the tracer sees it: what is computed of them is traced too."""
    hidden = [
        (module.__dict__, name, parameter)
        for module in root.modules()
        for name, parameter in module._parameters.items()
        if parameter is not None and module.__dict__.get(name) is parameter
    ]
    for state, name, _ in hidden:
        del state[name]
    try:
        yield
    finally:
        for state, name, parameter in hidden:
            state[name] = parameter


def is_fx_tracing() -> bool:
    """Whether a function is being traced."""
    return bool(_tracing)


is_fx_symbolic_tracing = is_fx_tracing


def symbolic_trace(root: Module | FunctionType, concrete_args: dict | None = None) -> GraphModule:
    """A module that does what a module or function does, and has a graph of it that can be looked at and changed.

    Args:
        root: it is run once on stand-ins for its arguments.
        concrete_args: values of arguments that are constants, by name.
    Raises:
        TraceError: it decides by values that are not known before it runs.

    >>> import rushlight as torch
    >>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x) + 1)
    >>> print(traced.graph)
    graph():
        %x : [num_users=1] = placeholder[target=x]
        %relu : [num_users=1] = call_function[target=torch.relu](args = (%x,), kwargs = {})
        %add : [num_users=1] = call_function[target=operator.add](args = (%relu, 1), kwargs = {})
        return add
    >>> traced(torch.tensor([-1.0, 2.0]))
    tensor([1., 3.])
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    name = type(root).__name__ if isinstance(root, Module) else root.__name__
    return GraphModule(tracer.root, graph, name)
