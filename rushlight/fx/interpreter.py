"""Running a graph node by node."""

from rushlight.fx._symbolic_trace import Tracer
from rushlight.fx.graph import Graph
from rushlight.fx.graph_module import GraphModule
from rushlight.fx.node import Node, map_aggregate, map_arg
from rushlight.fx.proxy import Proxy

__all__ = ["Interpreter", "Transformer"]


class Interpreter:
    """Runs a graph node by node. Subclasses override what a kind of node does.

    Args:
        module: has the graph and its parts.
        garbage_collect_values: whether results go as soon as nobody needs them.
        graph: another graph to run.

    >>> import rushlight as torch
    >>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x) + 1)
    >>> class Loud(torch.fx.Interpreter):
    ...     def run_node(self, n):
    ...         print(n.op, n.name)
    ...         return super().run_node(n)
    >>> Loud(traced).run(torch.tensor([1.0]))
    placeholder x
    call_function relu
    call_function add
    output output
    tensor([2.])
    """

    def __init__(self, module, garbage_collect_values: bool = True, graph: Graph | None = None):
        self.module, self.graph = module, module.graph if graph is None else graph
        self.submodules = dict(module.named_modules())
        self.env: dict[Node, object] = {}
        self.name, self.garbage_collect_values = "Interpreter", garbage_collect_values
        self.extra_traceback = True
        seen: set = set()
        self.user_to_last_uses: dict[Node, list[Node]] = {}
        for user in reversed(self.graph.nodes):
            for node in user.all_input_nodes:
                if node not in seen:
                    seen.add(node)
                    self.user_to_last_uses.setdefault(user, []).append(node)

    def run(self, *args, initial_env: dict | None = None, enable_io_processing: bool = True):
        """The result of the graph.

        Args:
            *args: of the graph.
            initial_env: results that are known, by node.
        """
        self.env = {} if initial_env is None else dict(initial_env)
        self.args_iter = iter(args)
        for node in self.graph.nodes:
            if node in self.env:
                continue
            self.env[node] = self.run_node(node)
            if self.garbage_collect_values:
                for done in self.user_to_last_uses.get(node, []):
                    del self.env[done]
            if node.op == "output":
                return self.env[node]
        return None

    def run_node(self, n: Node):
        """The result of one node."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        return getattr(self, n.op)(n.target, args, kwargs)

    def placeholder(self, target, args: tuple, kwargs: dict):
        """The next argument; those after `*` all of the rest."""
        if target.startswith("*"):
            return list(self.args_iter)
        try:
            return next(self.args_iter)
        except StopIteration:
            if args:
                return args[0]
            raise RuntimeError(
                f"Expected positional argument for parameter {target}, but one was not passed in!"
            ) from None

    def get_attr(self, target, args: tuple, kwargs: dict):
        """An attribute of the module."""
        return self.fetch_attr(target)

    def call_function(self, target, args: tuple, kwargs: dict):
        """A function's result."""
        return target(*args, **kwargs)

    def call_method(self, target, args: tuple, kwargs: dict):
        """A method's result."""
        return getattr(args[0], target)(*args[1:], **kwargs)

    def call_module(self, target, args: tuple, kwargs: dict):
        """A module's result."""
        return self.fetch_attr(target)(*args, **kwargs)

    def output(self, target, args: tuple, kwargs: dict):
        """What the graph returns."""
        return args[0]

    def fetch_attr(self, target: str):
        """What the module has under a dotted name.

        Raises:
            RuntimeError: nothing.
        """
        found = self.module
        for i, part in enumerate(parts := target.split(".")):
            if not hasattr(found, part):
                raise RuntimeError(f"Node referenced nonexistent target {'.'.join(parts[: i + 1])}")
            found = getattr(found, part)
        return found

    def fetch_args_kwargs_from_env(self, n: Node) -> tuple[tuple, dict]:
        """A node's arguments with the results that its nodes stand for."""
        return self.map_nodes_to_values(n.args, n), self.map_nodes_to_values(n.kwargs, n)

    def map_nodes_to_values(self, args, n: Node):
        """Arguments with the results that their nodes stand for."""

        def value(node: Node):
            if node not in self.env:
                raise RuntimeError(
                    f"Node {n} referenced nonexistent value {node}! Run Graph.lint() to diagnose such issues"
                )
            return self.env[node]

        return map_arg(args, value)


class Transformer(Interpreter):
    """Makes a new module from a graph, node by node. Subclasses override what becomes of a kind of node.

    >>> import operator
    >>> import rushlight as torch
    >>> class Minus(torch.fx.Transformer):
    ...     def call_function(self, target, args, kwargs):
    ...         return super().call_function(operator.sub if target is operator.add else target, args, kwargs)
    >>> print(Minus(torch.fx.symbolic_trace(lambda x: x + 1)).transform().code.strip())
    def forward(self, x):
        sub = x - 1;  x = None
        return sub
    """

    def __init__(self, module: GraphModule):
        super().__init__(module)
        self.new_graph = Graph()
        self.tracer = Tracer()
        self.tracer.graph = self.new_graph
        self.tracer._know(module)

    def placeholder(self, target, args: tuple, kwargs: dict) -> Proxy:
        """An argument of the new graph."""
        return Proxy(self.new_graph.create_node("placeholder", target, args), self.tracer)

    def get_attr(self, target, args: tuple, kwargs: dict) -> Proxy:
        """An attribute of the module."""
        return self.tracer.create_proxy("get_attr", target, args, kwargs)

    def call_module(self, target, args: tuple, kwargs: dict):
        """The call of a module."""
        return self.tracer.create_proxy("call_module", target, args, kwargs)

    def call_function(self, target, args: tuple, kwargs: dict):
        """The call of a function."""
        return self.tracer.create_proxy("call_function", target, args, kwargs)

    def transform(self) -> GraphModule:
        """The new module."""
        result = super().run(enable_io_processing=False)
        if result is not None:
            stripped = map_aggregate(result, lambda a: a.node if isinstance(a, Proxy) else a)
            self.new_graph.output(stripped, self.graph.output_node().type)
        return GraphModule(self.module, self.new_graph)
