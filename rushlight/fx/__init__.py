"""Graphs of what functions and modules do, which can be looked at, changed, and run: the names of `torch.fx`.

A function is run once on stand-ins for its arguments (`symbolic_trace`), which note what is done with them.
(Reed et al., "torch.fx: Practical Program Capture and Transformation for Deep Learning in Python", 2022.)
"""

from rushlight.fx import graph, graph_module, node, proxy
from rushlight.fx._symbolic_trace import PH, ProxyableClassMeta, Tracer, symbolic_trace, wrap
from rushlight.fx.graph import Graph
from rushlight.fx.graph_module import GraphModule
from rushlight.fx.interpreter import Interpreter, Transformer
from rushlight.fx.node import Node, has_side_effect, map_arg
from rushlight.fx.proxy import Proxy
from rushlight.fx.subgraph_rewriter import replace_pattern

__all__ = [
    "PH", "Graph", "GraphModule", "Interpreter", "Node", "Proxy", "ProxyableClassMeta", "Tracer", "Transformer", "graph",
    "graph_module", "has_side_effect", "map_arg", "node", "proxy", "replace_pattern", "symbolic_trace", "wrap",
]  # fmt: skip
