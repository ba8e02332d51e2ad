"""Replacing all places of a graph that look like a pattern."""

from typing import NamedTuple

from rushlight.fx._symbolic_trace import symbolic_trace
from rushlight.fx.graph import Graph
from rushlight.fx.graph_module import GraphModule, copy_attribute
from rushlight.fx.node import Node
from rushlight.nn import Module

__all__ = ["Match", "replace_pattern"]


class Match(NamedTuple):
    """A place that looked like the pattern.

    Attributes:
        anchor: the node there that gave the pattern's result.
        nodes_map: nodes of the graph by nodes of the pattern.
    """

    anchor: Node
    nodes_map: dict


def _graph_of(what) -> Graph:
    if isinstance(what, Graph):
        return what
    return what.graph if isinstance(what, GraphModule) else symbolic_trace(what).graph


def _placeholders(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.op == "placeholder"]


def _inner(found: dict) -> set:
    """The nodes of a place, without what it takes from elsewhere."""
    return {g for p, g in found.items() if p.op != "placeholder" and isinstance(g, Node)}


class _Matcher:
    """Compares a pattern with the part of a graph that ends in a node."""

    def __init__(self, pattern: Graph):
        self.result = pattern.output_node().args[0]
        if not isinstance(self.result, Node):
            raise NotImplementedError(
                "replace_pattern: the pattern must return the result of one operation; replace the parts of a tuple one by one"
            )

    def at(self, node: Node) -> dict | None:
        """Nodes of the graph by those of the pattern; None if it isn't there."""
        found: dict = {}
        if not self._same(self.result, node, found):
            return None
        inner = {g for p, g in found.items() if p.op not in ("placeholder", "get_attr")}
        kept = all(set(g.users) <= inner for g in inner if g is not node)
        return found if kept else None

    def _same(self, pattern, node, found: dict) -> bool:
        if isinstance(pattern, Node):
            if not isinstance(node, Node) and pattern.op != "placeholder":
                return False
            if pattern in found:
                return found[pattern] is node
            if pattern.op != "placeholder" and not self._same_operation(pattern, node, found):
                return False
            found[pattern] = node
            return True
        if isinstance(pattern, tuple | list):
            return (
                isinstance(node, tuple | list)
                and len(pattern) == len(node)
                and all(self._same(p, n, found) for p, n in zip(pattern, node, strict=True))
            )
        return not isinstance(node, Node) and pattern == node

    def _same_operation(self, pattern: Node, node: Node, found: dict) -> bool:
        if (pattern.op, pattern.target) != (
            node.op,
            node.target,
        ) or pattern.kwargs.keys() != node.kwargs.keys():
            return False
        named = [node.kwargs[key] for key in pattern.kwargs]
        return self._same((pattern.args, list(pattern.kwargs.values())), (node.args, named), found)


def replace_pattern(gm: GraphModule, pattern, replacement) -> list[Match]:
    """Replace all places of a module's graph that look like a pattern, as far as they do not overlap.

    Args:
        gm: the module; its code is made anew.
        pattern: a function, or a module with a graph. Its arguments match anything.
        replacement: what takes the place, with the same arguments.
    Returns:
        The places.

    >>> import rushlight as torch
    >>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x) + torch.relu(x * 2))
    >>> places = torch.fx.replace_pattern(traced, lambda a: torch.relu(a), lambda a: torch.tanh(a))
    >>> len(places), traced(torch.zeros(1))
    (2, tensor([0.]))
    """
    wanted, new = _graph_of(pattern), _graph_of(replacement)
    matcher = _Matcher(wanted)
    places: list[Match] = []
    taken: set = set()
    for node in gm.graph.nodes:
        found = matcher.at(node)
        if found is not None and not taken & _inner(found):
            taken |= _inner(found)
            places.append(Match(node, found))
    parameters, new_parameters = _placeholders(wanted), _placeholders(new)
    replaced: dict = {}
    for place in places:
        values = [place.nodes_map.get(p) for p in parameters]
        values = [replaced.get(v, v) if isinstance(v, Node) else v for v in values]
        with gm.graph.inserting_before(place.anchor):
            result = gm.graph.graph_copy(new, dict(zip(new_parameters, values, strict=False)))
        place.anchor.replace_all_uses_with(result)
        replaced[place.anchor] = result
        inner = _inner(place.nodes_map)
        for old in [node for node in reversed(gm.graph.nodes) if node in inner]:
            if not old.users:
                gm.graph.erase_node(old)
    if isinstance(replacement, Module):
        for node in new.nodes:
            if node.op in ("call_module", "get_attr"):
                copy_attribute(replacement, gm, node.target)
    gm.recompile()
    return places
