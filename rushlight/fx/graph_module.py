"""A module that runs a graph."""

import copy
import linecache

from rushlight.fx.codegen import BUILTIN_GLOBALS
from rushlight.fx.graph import Graph
from rushlight.nn import Module, Parameter
from rushlight.tensor import Tensor

__all__ = ["GraphModule"]

_files: dict[str, str] = {}  # by source: graphs are compiled again and again without filling the memory


def _compiled(source: str, scope: dict):
    """The function `forward` of some source, which tracebacks show."""
    file = _files.setdefault(source, f"<eval_with_key>.{len(_files)}")
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # type: ignore[assignment]
    names = dict(scope)
    exec(compile(source, file, "exec"), names)
    return names["forward"]


def copy_attribute(root: Module, to: Module, target: str) -> None:
    """Give a module what another has under a dotted name."""
    *path, name = target.split(".")
    for part in path:
        root = getattr(root, part)
        inner = getattr(to, part, None)
        if inner is root:  # the whole of it is there
            return
        if inner is None:
            inner = Module()
            setattr(to, part, inner)
        to = inner
    value = getattr(root, name)
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        to.register_buffer(name, value)
    else:
        setattr(to, name, value)


class GraphModule(Module):
    """A module that runs a graph, by Python code that is made of it.

    Args:
        root: a module whose parts the graph uses, or a dictionary of them by dotted name.
        graph: the graph. After changing it call `recompile`.
        class_name: what the module's class is called.
    """

    def __new__(cls, *args, **kwargs):
        """A class for each module: `forward` is one's own."""
        base = next(c for c in cls.__mro__ if not c.__dict__.get("_is_of_one_module"))
        return super().__new__(type(base.__name__, (base,), {"_is_of_one_module": True}))

    def __init__(self, root: Module | dict, graph: Graph, class_name: str = "GraphModule"):
        super().__init__()
        type(self).__name__ = type(self).__qualname__ = class_name
        if isinstance(root, dict):
            source = Module()
            for node in graph.nodes:
                if node.op in ("get_attr", "call_module"):
                    if node.target not in root:
                        raise RuntimeError(
                            f"Node {node} referenced target {node.target} but that target was not provided in ``root``!"
                        )
            for name in sorted(root, key=lambda name: name.count(".")):
                *path, last = name.split(".")
                place = source
                for part in path:
                    if not hasattr(place, part):
                        setattr(place, part, Module())
                    place = getattr(place, part)
                setattr(place, last, root[name])
            root = source
        self.training = root.training
        for node in graph.nodes:
            if node.op in ("get_attr", "call_module"):
                copy_attribute(root, self, node.target)
        self.graph = graph
        self._tracer_cls = graph._tracer_cls
        self.meta: dict = {}

    @property
    def graph(self) -> Graph:
        """What it does."""
        return self._graph

    @graph.setter
    def graph(self, graph: Graph) -> None:
        self._graph = graph
        graph.owning_module = self
        self.recompile()

    @property
    def code(self) -> str:
        """The Python code of the graph."""
        return self._code

    def recompile(self):
        """Make code of the graph anew; returns it."""
        code = self._graph.python_code("self")
        self._code = code.src
        type(self).forward = _compiled(code.src, code.globals)
        return code

    def add_submodule(self, target: str, m: Module) -> bool:
        """Give it a module under a dotted name; returns whether there was place for it."""
        *path, name = target.split(".")
        place = self
        for part in path:
            inner = getattr(place, part, None)
            if inner is None:
                inner = Module()
                setattr(place, part, inner)
            if not isinstance(inner, Module):
                return False
            place = inner
        place.add_module(name, m)
        return True

    def delete_submodule(self, target: str) -> bool:
        """Take a module away; returns whether it was there."""
        *path, name = target.split(".")
        place = self
        for part in path:
            place = getattr(place, part, None)
        if not isinstance(getattr(place, name, None), Module):
            return False
        delattr(place, name)
        return True

    def delete_all_unused_submodules(self) -> None:
        """Take away the modules that the graph does not use."""
        used: set[str] = set()
        for node in self.graph.nodes:
            if node.op in ("call_module", "get_attr"):
                parts = node.target.split(".")
                used |= {".".join(parts[:i]) for i in range(1, len(parts) + 1)}
                if node.op == "call_module":
                    used |= {
                        f"{node.target}.{name}" for name, _ in self.get_submodule(node.target).named_modules()
                    }
        for name in [name for name, _ in self.named_modules() if name and name not in used]:
            self.delete_submodule(name)

    def print_readable(self, print_output: bool = True, **_) -> str:
        """Print the code as a class; returns it."""
        body = "\n".join(f"    {line}" if line else "" for line in self._code.strip().split("\n"))
        text = f"class {type(self).__name__}(torch.nn.Module):\n{body}\n"
        if print_output:
            print(text)
        return text

    def __str__(self) -> str:
        note = "# To see more debug info, please use `graph_module.print_readable()`"
        return "\n".join([super().__str__(), self._code, note])

    def __deepcopy__(self, memo) -> "GraphModule":
        state, _ = state_and_code(self, self._graph)
        holder = Module()
        holder.__dict__.update(state)
        root = copy.deepcopy(holder, memo)
        made = GraphModule(root, copy.deepcopy(self._graph), type(self).__name__)
        made.meta = copy.copy(self.meta)
        memo[id(self)] = made
        return made

    def __reduce__(self):
        return _rebuilt, (*state_and_code(self, self._graph), type(self).__name__)


def state_and_code(module: GraphModule, *graphs: Graph) -> tuple:
    """What a module's graphs can be made of again: its fields, and the source and global values of each graph."""
    state = {k: v for k, v in module.__dict__.items() if not isinstance(v, Graph) and k != "_tracer_cls"}
    codes = [graph.python_code("self") for graph in graphs]
    return state, *(
        (code.src, {k: v for k, v in code.globals.items() if k not in BUILTIN_GLOBALS}) for code in codes
    )


def graph_of_code(state: dict, source: str, scope: dict) -> Graph:
    """The graph of some source, found by tracing it."""
    from rushlight.fx._symbolic_trace import Tracer

    class Leaves(Tracer):
        def is_leaf_module(self, m, module_qualified_name):
            return True

    holder = type("Holder", (Module,), {"forward": _compiled(source, {**BUILTIN_GLOBALS, **scope})})()
    holder.__dict__.update(state)
    graph = Leaves().trace(holder)
    graph._tracer_cls = Tracer
    return graph


def _rebuilt(state: dict, code: tuple, name: str) -> GraphModule:
    """A module from its parts and code."""
    holder = Module()
    holder.__dict__.update(state)
    return GraphModule(holder, graph_of_code(state, *code), name)
