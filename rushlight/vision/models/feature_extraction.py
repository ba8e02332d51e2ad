"""A model that returns what is computed inside of another, by the names of its operations."""

import copy
import inspect
import math
import operator
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import rushlight as torch
from rushlight import fx, nn
from rushlight.fx.graph_module import copy_attribute, graph_of_code, state_and_code
from rushlight.fx.proxy import TraceError
from rushlight.vision import ops

__all__ = ["create_feature_extractor", "get_graph_node_names"]

_ADVICE = (
    "When choosing nodes for feature extraction, you may need to specify "
    "output nodes for train and eval mode separately."
)

_LEAVES = (
    "Make the module that does it a leaf (tracer_kwargs={'leaf_modules': [...]}), or the function "
    "(tracer_kwargs={'autowrap_functions': [...]})"
)


class NodePathTracer(fx.Tracer):
    """Finds graphs, and names for their operations: the path of the module with the operation's own name.

    Args:
        leaf_modules: classes of modules that become single nodes, besides those of `rushlight.nn`.
        *args, **kwargs: as for `fx.Tracer`.

    Attributes:
        node_to_qualname: the names by node, in the order in which they run.
    """

    def __init__(self, *args, leaf_modules=(), **kwargs):
        super().__init__(*args, **kwargs)
        self.leaf_modules = tuple(leaf_modules)
        self.current_module_qualname = ""
        self.node_to_qualname: dict[fx.Node, str] = {}
        self._counts: Counter = Counter()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node."""
        return isinstance(m, self.leaf_modules) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward, args: tuple, kwargs: dict):
        """A module is called: what happens in it is named after it."""
        outer, self.current_module_qualname = self.current_module_qualname, self.path_of_module(m)
        try:
            return super().call_module(m, forward, args, kwargs)
        finally:
            self.current_module_qualname = outer

    def create_proxy(self, kind, target, args, kwargs, name=None, type_expr=None, *others):
        """Add a node with a name."""
        proxy = super().create_proxy(kind, target, args, kwargs, name, type_expr, *others)
        self.node_to_qualname[proxy.node] = self._name(proxy.node)
        return proxy

    def _name(self, node: fx.Node) -> str:
        """The name, with a number if it has been there. As in torchvision a number that it ends in goes first."""
        path = self.current_module_qualname
        own = path if node.op == "call_module" else f"{path}.{node}" if path else str(node)
        own = re.sub(r"(?<=.)_[0-9]+$", "", own)
        count = self._counts[own]
        self._counts[own] += 1
        return f"{own}_{count}" if count else own

    def trace(self, root, concrete_args: dict | None = None) -> fx.Graph:
        """The graph of one call, without the arguments that are constants."""
        graph = super().trace(root, concrete_args)
        for node in graph.nodes:
            if node.op == "placeholder" and node.target in (concrete_args or {}):
                del self.node_to_qualname[node]
                graph.erase_node(node)
        return graph

    def to_bool(self, obj: fx.Proxy) -> bool:
        """A traced value is used in a condition."""
        raise TraceError(f"symbolically traced variables cannot be used as inputs to control flow. {_LEAVES}")

    def iter(self, obj: fx.Proxy):
        """Somebody goes through a traced value's items."""
        raise TraceError(
            "Proxy object cannot be iterated, since its length is not known while the model is traced. Unpack it "
            f"(a, b = x). {_LEAVES}"
        )


def get_graph_node_names(
    model: nn.Module,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> tuple[list[str], list[str]]:
    """The names of a model's operations, in the order in which they run.

    A name is the dotted path of the module with the operation's own name, such as "layer1.0.add"; modules of
    `rushlight.nn` and building blocks of `rushlight.vision.ops` are single operations. What comes a second time
    gets a number: "layer1.0.relu_1".

    Args:
        model: the model. It is traced without input, once in each mode, and is as before afterwards.
        tracer_kwargs: "leaf_modules" (classes of modules to be single operations), "autowrap_functions" and
            "autowrap_modules" (functions to be single operations).
        suppress_diff_warning: do not warn where both modes differ.
        concrete_args: values of arguments that are constants, by name.
    Returns:
        The names in training mode and those in evaluation mode.
    Raises:
        ValueError: the model decides by values that are not known before it runs.

    >>> from rushlight.vision.models.feature_extraction import get_graph_node_names
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    >>> get_graph_node_names(net)
    (['input', '0', '1'], ['input', '0', '1'])
    """
    train, evaluation = _traced(model, tracer_kwargs, concrete_args, suppress_diff_warning)
    return _names(train), _names(evaluation)


def create_feature_extractor(
    model: nn.Module,
    return_nodes: list[str] | dict[str, str] | None = None,
    train_return_nodes: list[str] | dict[str, str] | None = None,
    eval_return_nodes: list[str] | dict[str, str] | None = None,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> nn.Module:
    """A model that returns results from inside of another, and does no more for it than is needed.

    It shares the modules and parameters with the other, under the same names.

    Args:
        model: the other model.
        return_nodes: names as `get_graph_node_names` gives them, or beginnings of them up to a dot: the last
            operation in such a module is meant. With a dictionary its values are the keys of the result.
        train_return_nodes, eval_return_nodes: different ones for each mode instead.
        tracer_kwargs, suppress_diff_warning, concrete_args: as for `get_graph_node_names`.
    Returns:
        A module whose result is a dictionary, in the order in which the operations run.
    Raises:
        ValueError: there is no such name, or the arguments contradict each other.

    >>> from rushlight.vision.models.feature_extraction import create_feature_extractor
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> extractor = create_feature_extractor(net, {"1": "hidden"})
    >>> {key: out.shape for key, out in extractor(torch.zeros(5, 4)).items()}
    {'hidden': torch.Size([5, 3])}
    >>> list(extractor.state_dict())
    ['0.weight', '0.bias']
    """
    wanted = _wanted(return_nodes, train_return_nodes, eval_return_nodes)
    tracers = _traced(model, tracer_kwargs, concrete_args, suppress_diff_warning)
    for tracer, names in zip(tracers, wanted, strict=True):
        _keep(tracer, names)
    train, evaluation = tracers
    return DualGraphModule(model, train.graph, evaluation.graph, type(model).__name__)


def _wanted(both, train, evaluation) -> tuple[dict, dict]:
    """The wanted names and their keys, in each mode."""
    if both is None and train is None and evaluation is None:
        raise ValueError(
            "Either `return_nodes` or `train_return_nodes` and `eval_return_nodes` together, should be specified"
        )
    if (train is None) != (evaluation is None):
        raise ValueError(
            "If any of `train_return_nodes` and `eval_return_nodes` are specified, then both should be specified"
        )
    if (both is None) == (train is None):
        raise ValueError(
            "If `train_return_nodes` and `eval_return_nodes` are specified, then `return_nodes` should not be"
        )
    return _named(both if train is None else train), _named(both if train is None else evaluation)


def _named(nodes) -> dict[str, str]:
    if isinstance(nodes, list | tuple):
        return {str(name): str(name) for name in nodes}
    if not isinstance(nodes, Mapping):
        raise TypeError(f"create_feature_extractor: a list of names or a dict expected, got {nodes!r}")
    return {str(name): str(key) for name, key in nodes.items()}


def _names(tracer: NodePathTracer) -> list[str]:
    return list(tracer.node_to_qualname.values())


def _traced(
    model: nn.Module, tracer_kwargs, concrete_args, quiet: bool
) -> tuple[NodePathTracer, NodePathTracer]:
    """What traced the model in training and in evaluation mode."""
    settings = dict(tracer_kwargs or {})
    blocks = [kind for _, kind in inspect.getmembers(ops, inspect.isclass) if issubclass(kind, nn.Module)]
    settings["leaf_modules"] = [*settings.get("leaf_modules", ()), *blocks]
    settings["autowrap_modules"] = (*settings.get("autowrap_modules", ()), math, ops)
    train, evaluation = NodePathTracer(**settings), NodePathTracer(**settings)
    modes = {module: module.training for module in model.modules()}
    try:
        train.trace(model.train(), concrete_args)
        evaluation.trace(model.eval(), concrete_args)
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not quiet:
        _warn_of_differences(_names(train), _names(evaluation))
    return train, evaluation


def _warn_of_differences(train: list[str], evaluation: list[str]) -> None:
    if train == evaluation:
        return
    message = "NOTE: The nodes obtained by tracing the model in {} mode are a subsequence of those obtained in {} mode. "
    if _contains_in_order(train, evaluation):
        message = message.format("eval", "train")
    elif _contains_in_order(evaluation, train):
        message = message.format("train", "eval")
    else:
        message = "The nodes obtained by tracing the model in train mode are different to those obtained in eval mode. "
    warnings.warn(message + _ADVICE, stacklevel=4)


def _contains_in_order(names: list[str], others: list[str]) -> bool:
    rest = iter(names)
    return all(name in rest for name in others)


def _keep(tracer: NodePathTracer, wanted: dict[str, str]) -> None:
    """Make the wanted nodes the graph's result, by their keys and in its order, and keep no more than they need."""
    last: dict[str, fx.Node] = {}
    for node, qualname in tracer.node_to_qualname.items():
        steps = qualname.split(".")
        for i in range(1, len(steps) + 1):
            path = ".".join(steps[:i])
            if path in wanted:
                last.pop(path, None)  # so that it comes last
                last[path] = node
    for name in wanted:
        if name not in last:
            raise ValueError(
                f"node: '{name}' is not present in model. Hint: use `get_graph_node_names` to make sure the "
                "`return_nodes` you specified are present. It may even be that you need to specify "
                "`train_return_nodes` and `eval_return_nodes` separately."
            )
    graph = tracer.graph
    graph.erase_node(graph.output_node())
    graph.output({wanted[name]: node for name, node in last.items()})
    graph.eliminate_dead_code(_must_stay)


def _must_stay(node: fx.Node) -> bool:
    """Whether a node is needed that nobody takes the result of."""
    if node.op in ("placeholder", "output") or node.target is torch._assert:
        return True
    in_place = node.op == "call_method" and node.target.endswith("_") and not node.target.endswith("__")
    return (in_place or node.target is operator.setitem) and len(node.args[0].users) > 1


class DualGraphModule(fx.GraphModule):
    """The operations of a model that some results need, with a graph for each mode.

    Args:
        root: the model, whose modules and parameters are taken.
        train_graph, eval_graph: the graphs.
        class_name: what the module's class is called.
    """

    def __init__(
        self, root: nn.Module, train_graph: fx.Graph, eval_graph: fx.Graph, class_name: str = "GraphModule"
    ) -> None:
        super().__init__(root, train_graph, class_name)
        for node in eval_graph.nodes:
            if node.op in ("get_attr", "call_module"):
                copy_attribute(root, self, node.target)
        self.train_graph, self.eval_graph = train_graph, eval_graph
        if not self.training:
            self.graph = eval_graph

    def train(self, mode: bool = True) -> "DualGraphModule":
        """Set the mode, and take its graph."""
        super().train(mode)
        graph = self.train_graph if mode else self.eval_graph
        if self.graph is not graph:
            self.graph = graph
        return self

    def __deepcopy__(self, memo) -> "DualGraphModule":
        made = _dual(*copy.deepcopy(self.__reduce__()[1], memo))
        memo[id(self)] = made
        return made

    def __reduce__(self):
        graphs = self.train_graph, self.eval_graph
        state, *codes = state_and_code(self, *graphs)
        return _dual, (state, codes, type(self).__name__)


def _dual(state: dict, codes: list, name: str) -> DualGraphModule:
    """A module from its parts and the code of both graphs."""
    holder = nn.Module()
    holder.__dict__.update(state)
    train, evaluation = (graph_of_code(state, *code) for code in codes)
    return DualGraphModule(holder, train, evaluation, name)
