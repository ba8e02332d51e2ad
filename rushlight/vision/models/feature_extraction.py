"""A model that returns what is computed inside of another, by the names of its operations."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from rushlight import nn
from rushlight.vision import ops
from rushlight.vision.models._tracing import Graph, Node, Tracer

__all__ = ["create_feature_extractor", "get_graph_node_names"]

_ADVICE = (
    "When choosing nodes for feature extraction, you may need to specify "
    "output nodes for train and eval mode separately."
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
    train, evaluation = _graphs(model, tracer_kwargs, concrete_args, suppress_diff_warning)
    return train.names(), evaluation.names()


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
    graphs = _graphs(model, tracer_kwargs, concrete_args, suppress_diff_warning)
    return DualGraphModule(
        model, *(_outputs(graph, names) for graph, names in zip(graphs, wanted, strict=True))
    )


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


def _graphs(model: nn.Module, tracer_kwargs, concrete_args, quiet: bool) -> tuple[Graph, Graph]:
    """The model's graphs in training and in evaluation mode."""
    settings = dict(tracer_kwargs or {})
    blocks = [kind for _, kind in inspect.getmembers(ops, inspect.isclass) if issubclass(kind, nn.Module)]
    settings["leaf_modules"] = [*settings.get("leaf_modules", ()), *blocks]
    modes = {module: module.training for module in model.modules()}
    try:
        train, evaluation = (
            Tracer(**settings).trace(model.train(mode), concrete_args) for mode in (True, False)
        )
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not quiet:
        _warn_of_differences(train.names(), evaluation.names())
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


def _outputs(graph: Graph, wanted: dict[str, str]) -> tuple[Graph, dict[str, Node]]:
    """The part of the graph that the wanted nodes need, and these by their keys, in the order of the graph."""
    last: dict[str, Node] = {}
    for node in graph.nodes:
        steps = (node.name or "").split(".")
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
    return graph.kept_for(list(last.values())), {wanted[name]: node for name, node in last.items()}


class DualGraphModule(nn.Module):
    """The operations of a model that some results need, for each mode.

    Args:
        root: the model, whose modules and parameters are taken.
        train: the graph in training mode, and the wanted nodes by their keys.
        evaluation: the same in evaluation mode.
    """

    def __init__(
        self, root: nn.Module, train: tuple[Graph, dict[str, Node]], evaluation: tuple[Graph, dict[str, Node]]
    ) -> None:
        super().__init__()
        self.train_graph, self.train_outputs = train
        self.eval_graph, self.eval_outputs = evaluation
        self._name = type(root).__name__
        for node in (*self.train_graph.nodes, *self.eval_graph.nodes):
            if node.op in ("get_attr", "call_module"):
                self._take(root, node.target)
        self.training = root.training

    def _take(self, root: nn.Module, target: str) -> None:
        """Share a module, parameter or buffer of the model, under its name."""
        *path, name = target.split(".")
        mine, theirs = self, root
        for step in path:
            theirs = getattr(theirs, step)
            if step not in mine._modules:
                mine.add_module(step, nn.Module())
            mine = mine._modules[step]
            mine.training = theirs.training
        if name in theirs._buffers:
            mine.register_buffer(name, theirs._buffers[name], name not in theirs._non_persistent_buffers_set)
        else:
            setattr(mine, name, getattr(theirs, name))

    @property
    def graph(self) -> Graph:
        """The graph of the mode that it is in."""
        return self.train_graph if self.training else self.eval_graph

    def _get_name(self) -> str:
        return self._name

    def forward(self, *args, **kwargs) -> dict:
        return self.graph.run(self, args, kwargs, self.train_outputs if self.training else self.eval_outputs)
