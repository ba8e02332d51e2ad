"""A graph of operations."""

import contextlib

from rushlight.fx import codegen
from rushlight.fx.codegen import Namespace, PythonCode
from rushlight.fx.node import Node, base_name, map_arg

__all__ = ["Graph", "PythonCode"]

_OPS = ("placeholder", "get_attr", "call_function", "call_method", "call_module", "output")


class _Nodes:
    """The nodes in order. They may be added to and taken from while somebody goes through them."""

    def __init__(self, graph: "Graph", backward: bool = False):
        self._graph, self._backward = graph, backward

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self):
        root = self._graph._root
        step = "_prev" if self._backward else "_next"
        node = getattr(root, step)
        while node is not root:
            if not node._erased:
                yield node
            node = getattr(node, step)

    def __reversed__(self):
        return iter(_Nodes(self._graph, not self._backward))


class Graph:
    """Operations in the order in which they run. Nodes are made by the methods that are named like their kinds.

    >>> import rushlight as torch
    >>> from rushlight import fx
    >>> graph = fx.Graph()
    >>> x = graph.placeholder("x")
    >>> result = graph.output(graph.call_function(torch.relu, (x,)))
    >>> print(graph.python_code("self").src.strip())
    def forward(self, x):
        relu = torch.relu(x);  x = None
        return relu
    """

    def __init__(self, owning_module=None, tracer_cls=None, tracer_extras=None):
        self._root = Node(self, "", "root", "", (), {})
        self._insert = self._root.prepend
        self._namespace = Namespace()
        self.owning_module, self._tracer_cls = owning_module, tracer_cls

    @property
    def nodes(self) -> _Nodes:
        """The nodes in order."""
        return _Nodes(self)

    def output_node(self) -> Node:
        """The node that returns the result."""
        return next(node for node in reversed(self.nodes) if node.op == "output")

    def find_nodes(self, *, op: str, target=None, sort: bool = True) -> list[Node]:
        """The nodes of one kind, with one target if it is given."""
        return [n for n in self.nodes if n.op == op and (target is None or n.target == target)]

    # -- making nodes -------------------------------------------------------------------------------

    def create_node(self, op, target, args=None, kwargs=None, name=None, type_expr=None) -> Node:
        """Make a node of any kind and put it where nodes are put."""
        if op not in _OPS:
            raise AssertionError(f"op '{op}' is not a legal op: expected one of {', '.join(_OPS)}")
        hint = name if name is not None else self._target_to_str(target)
        node = Node(self, self._namespace.create_name(hint), op, target, args or (), kwargs or {}, type_expr)
        self._insert(node)
        return node

    def _target_to_str(self, target) -> str:
        name = base_name(target)
        if name.startswith("__") and name.endswith("__"):
            name = name[2:-2]
        return codegen.snake_case(name)

    def placeholder(self, name: str, type_expr=None, *default_value, **named) -> Node:
        """An argument of the function."""
        default = default_value or tuple(named.values())
        return self.create_node("placeholder", name, default, type_expr=type_expr)

    def get_attr(self, qualified_name: str, type_expr=None) -> Node:
        """A parameter or other attribute of the module."""
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_function(self, the_function, args=None, kwargs=None, type_expr=None, name=None) -> Node:
        """The call of a function."""
        return self.create_node("call_function", the_function, args, kwargs, name, type_expr)

    def call_method(self, method_name: str, args=None, kwargs=None, type_expr=None) -> Node:
        """The call of a method of the first argument."""
        return self.create_node("call_method", method_name, args, kwargs, type_expr=type_expr)

    def call_module(self, module_name: str, args=None, kwargs=None, type_expr=None) -> Node:
        """The call of a module."""
        return self.create_node("call_module", module_name, args, kwargs, type_expr=type_expr)

    def output(self, result, type_expr=None) -> Node:
        """What the function returns."""
        return self.create_node("output", "output", (result,), type_expr=type_expr)

    # -- changing -----------------------------------------------------------------------------------

    def erase_node(self, to_erase: Node) -> None:
        """Take a node out.

        Raises:
            RuntimeError: others use its result.
        """
        if to_erase.users:
            raise RuntimeError(
                f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in the graph: "
                f"{to_erase.users}!"
            )
        if to_erase.graph is not self:
            raise RuntimeError(f"Attempting to remove {to_erase} from wrong graph!")
        if to_erase._erased:
            return
        to_erase._unlink()
        to_erase._erased = True
        to_erase._set((), {})

    def inserting_before(self, n: Node | None = None):
        """A context in which new nodes are put before a node; before all without one."""
        return self._inserting((n or self._root._next).prepend if n is not None else self._root.append)

    def inserting_after(self, n: Node | None = None):
        """A context in which new nodes are put after a node, in the order in which they are made."""
        return self._inserting((n or self._root).append)

    @contextlib.contextmanager
    def _inserting(self, insert):
        before, self._insert = self._insert, insert
        try:
            yield
        finally:
            self._insert = before

    def node_copy(self, node: Node, arg_transform=lambda x: x) -> Node:
        """Put a copy of another graph's node here.

        Args:
            node: the other node.
            arg_transform: gives the node here for each node that it takes.
        """
        args, kwargs = map_arg((node.args, node.kwargs), arg_transform)
        copy = self.create_node(node.op, node.target, args, kwargs, node.name, node.type)
        copy.meta = dict(node.meta)
        return copy

    def graph_copy(self, g: "Graph", val_map: dict, return_output_node: bool = False):
        """Put copies of another graph's nodes here.

        Args:
            g: the other graph.
            val_map: nodes here by those there; gets the new ones.
            return_output_node: whether to return the other graph's output node too.
        Returns:
            What the other graph returns, with nodes here.
        """
        for node in g.nodes:
            if node in val_map:
                continue
            if node.op == "output":
                result = map_arg(node.args[0], val_map.__getitem__)
                return (result, node) if return_output_node else result
            val_map[node] = self.node_copy(node, val_map.__getitem__)
        return None

    def __deepcopy__(self, memo=None) -> "Graph":
        copy = Graph(tracer_cls=self._tracer_cls)
        result = copy.graph_copy(self, {}, return_output_node=True)
        if result is not None:
            value, old = result
            copy.output(value, old.type).meta = dict(old.meta)
        return copy

    def eliminate_dead_code(self, is_impure_node=None) -> bool:
        """Take out nodes whose results nobody uses; returns whether there were any."""
        self.lint()
        unused = False
        for node in reversed(self.nodes):
            impure = node.is_impure() if is_impure_node is None else is_impure_node(node)
            if not node.users and not impure:
                self.erase_node(node)
                unused = True
        return unused

    # -- looking ------------------------------------------------------------------------------------

    def lint(self) -> None:
        """Check that names are one of a kind, that nodes come before their users, and that targets exist.

        Raises:
            RuntimeError: they don't.
        """
        names: set = set()
        seen: set = set()
        for node in self.nodes:
            for arg in node.all_input_nodes:
                if arg.graph is not self:
                    raise RuntimeError(
                        f"Argument '{arg}' of Node '{node}' does not belong to this Graph, but was used as an argument! "
                        f"If you are copying nodes from another graph, make sure to use ``arg_transform`` on "
                        f"node_copy() to remap values\n{self}"
                    )
                if arg not in seen:
                    raise RuntimeError(
                        f"Argument '{arg}' of Node '{node}' was used before it has been defined! Please check that Nodes "
                        f"in the graph are topologically ordered\n{self}"
                    )
            if node.name in names:
                raise RuntimeError(f"Node redefined name {node.name}!")
            seen.add(node)
            names.add(node.name)
            if self.owning_module is not None and node.op in ("get_attr", "call_module"):
                self._check_target(node)

    def _check_target(self, node: Node) -> None:
        found = self.owning_module
        for i, part in enumerate(parts := node.target.split(".")):
            found = getattr(found, part, None)
            if found is None:
                raise RuntimeError(
                    f"Node {node} target {node.target} references nonexistent attribute {part} of {'.'.join(parts[:i])}"
                )

    def python_code(self, root_module: str = "self", **_) -> PythonCode:
        """The graph as a Python function.

        Args:
            root_module: what the code calls the module whose parts it uses.
        """
        return codegen.write(self, root_module)

    def __str__(self) -> str:
        return "\n    ".join(["graph():", *(node.format_node() for node in self.nodes)])

    def print_tabular(self) -> None:
        """Print the nodes as a table. Needs the package tabulate."""
        try:
            from tabulate import tabulate
        except ImportError as error:
            raise ImportError(
                "Graph.print_tabular needs the package tabulate: pip install tabulate, or print(graph)"
            ) from error
        rows = [[n.op, n.name, n.target, n.args, n.kwargs] for n in self.nodes]
        print(tabulate(rows, headers=["opcode", "name", "target", "args", "kwargs"]))
