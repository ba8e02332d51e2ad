"""The operations that a tensor came from, as boxes and arrows: what `backward` goes through."""

import re
from collections import defaultdict
from itertools import pairwise

from rushlight.utils.figure import new_figure

__all__ = ["autograd_dot", "autograd_graph"]

_COLOURS = {"leaf": "#bcd9f5", "node": "#e6e6e6", "output": "#c4e8c0"}


class _Graph:
    """Boxes and arrows.

    Attributes:
        labels, kinds: of the boxes, by key.
        edges: pairs of keys, in the direction in which the values went.
    """

    def __init__(self, tensor, names: dict):
        self.labels: dict = {}
        self.kinds: dict = {}
        self.edges: list = []
        self._known = {id(parameter): name for name, parameter in names.items()}
        self._add("output", f"{list(tensor.shape)}", "output")
        if tensor.grad_fn is None:
            raise ValueError(
                "the tensor came from no recorded operation: it has no grad_fn. Compute it from tensors that require gradients"
            )
        self._follow(tensor.grad_fn)
        self.edges.append((_key(tensor.grad_fn), "output"))

    def _add(self, key, label: str, kind: str) -> None:
        self.labels[key], self.kinds[key] = label, kind

    def _follow(self, root) -> None:
        self.keep, waiting = [root], [root]  # kept alive, so that no two have one id
        self._describe(root)
        while waiting:
            node = waiting.pop()
            for source, _ in node.next_functions:
                if source is None:
                    continue
                self.edges.append((_key(source), _key(node)))
                if _key(source) not in self.labels:
                    self._describe(source)
                    self.keep.append(source)
                    waiting.append(source)

    def _describe(self, node) -> None:
        leaf = getattr(node, "variable", None)
        if leaf is None:
            self._add(_key(node), re.sub(r"Backward\d*$", "", node.name()), "node")
        else:
            name = self._known.get(id(leaf), "")
            self._add(_key(node), f"{name}\n{list(leaf.shape)}".lstrip(), "leaf")


def _key(node) -> int:
    """What stands for a node: for what adds to a leaf's gradient, which may exist more than once, the leaf."""
    leaf = getattr(node, "variable", None)
    return id(node if leaf is None else leaf)


def _named(params) -> dict:
    if params is None:
        return {}
    return dict(params.named_parameters()) if hasattr(params, "named_parameters") else dict(params)


def autograd_dot(tensor, params=None) -> str:
    """The operations that a tensor came from, as text for Graphviz (`dot -Tsvg`).

    Args:
        tensor: the result, such as a loss.
        params: the module, or a dictionary of tensors by name, whose names are written.
    Raises:
        ValueError: the tensor came from no recorded operation.

    >>> from rushlight import plot
    >>> x = torch.ones(2, requires_grad=True)
    >>> print(plot.autograd_dot((x * 2).sum(), {"x": x}))
    digraph {
      node [shape=box, style=filled, fontname=Helvetica]
      0 [label="[]", fillcolor="#c4e8c0"]
      1 [label="Sum", fillcolor="#e6e6e6"]
      2 [label="Mul", fillcolor="#e6e6e6"]
      3 [label="x\\n[2]", fillcolor="#bcd9f5"]
      2 -> 1
      3 -> 2
      1 -> 0
    }
    """
    graph = _Graph(tensor, _named(params))
    numbers = {key: i for i, key in enumerate(graph.labels)}
    lines = ["digraph {", "  node [shape=box, style=filled, fontname=Helvetica]"]
    for key, label in graph.labels.items():
        text = label.replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'  {numbers[key]} [label="{text}", fillcolor="{_COLOURS[graph.kinds[key]]}"]')
    lines += [f"  {numbers[a]} -> {numbers[b]}" for a, b in graph.edges]
    return "\n".join([*lines, "}"])


def autograd_graph(tensor, params=None):
    """The operations that a tensor came from, as boxes and arrows: leaves blue at the top, the result green at the bottom.

    Args:
        tensor: the result, such as a loss.
        params: the module, or a dictionary of tensors by name, whose names are written.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed. ValueError: the tensor came from no recorded operation.

    >>> from rushlight import plot
    >>> net = torch.nn.Linear(3, 2)
    >>> figure = plot.autograd_graph(net(torch.ones(1, 3)).sum(), net)
    >>> sorted(text.get_text() for text in figure.axes[0].texts if text.get_text())
    ['Addmm', 'Sum', 'T', '[]', 'bias\\n[2]', 'weight\\n[2, 3]']
    """
    graph = _Graph(tensor, _named(params))
    layers, chains = _layers(graph)
    places = _places(graph, layers, chains)
    across = [x for x, _ in places.values()]
    width = max(across) - min(across) + 1.6
    figure, ((ax,),) = new_figure(max(width, 3), 0.72 * len(layers) + 0.4)
    ax.set(xlim=(min(across) - 0.8, max(across) + 0.8), ylim=(-0.5, len(layers) - 0.5))
    ax.set_axis_off()
    for chain in chains:
        _arrow(ax, [places[key] for key in chain], graph.labels[chain[-1]].count("\n") + 1)
    for key, label in graph.labels.items():
        box = {"boxstyle": "round,pad=0.3", "facecolor": _COLOURS[graph.kinds[key]], "edgecolor": "0.4"}
        ax.text(*places[key], label, ha="center", va="center", fontsize=8, bbox=box, zorder=3)
    return figure


def _arrow(ax, points: list, lines: int) -> None:
    """A line through points, with its head above the last box, which has so many lines."""
    x, y = points[-1]
    points = [*points[:-1], (x, y + 0.08 + 0.1 * lines)]
    if len(points) > 2:
        ax.plot(
            *zip(*points[:-1], strict=True), color="0.5", linewidth=0.9, zorder=1, solid_joinstyle="round"
        )
    arrow = {"arrowstyle": "-|>", "color": "0.5", "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", points[-1], points[-2], arrowprops=arrow, zorder=1)


def _layers(graph: _Graph) -> tuple[list, list]:
    """The boxes by their longest way to the result, and the arrows as chains with a place in each layer between.

    Places between are keys (edge, layer), for which room is kept like for boxes.
    """
    sources = defaultdict(list)
    for a, b in graph.edges:
        sources[b].append(a)
    uses = defaultdict(int)
    for a, _ in graph.edges:
        uses[a] += 1
    rank, waiting = {"output": 0}, ["output"]
    while waiting:  # a box comes when all that use it have come
        key = waiting.pop()
        for source in sources[key]:
            rank[source] = max(rank.get(source, 0), rank[key] + 1)
            uses[source] -= 1
            if not uses[source]:
                waiting.append(source)
    layers = [[] for _ in range(max(rank.values()) + 1)]
    for key, place in rank.items():
        layers[place].append(key)
    chains = []
    for number, (a, b) in enumerate(dict.fromkeys(graph.edges)):
        between = [(number, place) for place in range(rank[a] - 1, rank[b], -1)]
        for key in between:
            layers[key[1]].append(key)
        chains.append([a, *between, b])
    return layers, chains


def _places(graph: _Graph, layers: list, chains: list) -> dict:
    """Where boxes go: near what they are joined to, and apart from each other (after Sugiyama et al., 1981)."""
    joined = defaultdict(list)
    for chain in chains:
        for a, b in pairwise(chain):
            joined[a].append(b)
            joined[b].append(a)
    level = {key: i for i, layer in enumerate(layers) for key in layer}
    x = {key: float(i) for layer in layers for i, key in enumerate(layer)}
    half = {key: _half_width(graph.labels.get(key)) for key in level}
    for sweep in range(24):
        for layer in layers if sweep % 2 else layers[::-1]:
            side = 0 if sweep > 16 else -1 if sweep % 2 else 1
            wish = {}
            for key in layer:
                near = [x[other] for other in joined[key] if not side or level[other] == level[key] + side]
                wish[key] = sum(near) / len(near) if near else x[key]
            layer.sort(key=wish.__getitem__)
            _spread(layer, wish, half, x)
    return {key: (x[key], level[key]) for key in level}


def _half_width(label: str | None) -> float:
    """Of a box, in inches; of a line that passes, some room."""
    return 0.12 if label is None else 0.16 + 0.036 * max(map(len, label.split("\n")))


def _spread(layer: list, wish: dict, half: dict, x: dict) -> None:
    """Put a layer's boxes as near to their wishes as they fit beside each other."""
    edge, off = None, 0.0
    for key in layer:
        x[key] = wish[key] if edge is None else max(wish[key], edge + half[key])
        edge = x[key] + half[key] + 0.08
        off += wish[key] - x[key]
    for key in layer:
        x[key] += off / len(layer)
