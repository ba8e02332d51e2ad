"""The fields of tensors and graph nodes, and the functions that every recorded operation calls.

The native kernels bring the same in C (csrc/handle.cpp), because objects and attributes are most of what a small
operation costs.
"""

from itertools import count
from typing import Any

import numpy as np

from rushlight import kernels as K


class TensorBase:
    """What a tensor's handle holds."""

    _array: Any = None  # its NumPy array
    _node: Any = None  # the gradient function that made it; None for a leaf
    _nr = 0  # which of that function's outputs it is
    _rg = False  # whether gradients flow to it
    _grad: Any = None
    _vc: Any = None  # [version], shared by all tensors on this memory; None until it matters
    _base: Any = None  # the tensor that this one is a view of
    _format: Any = None  # the memory format that the user asked for; None: ours to choose


class NodeBase:
    """What a node of the graph holds."""

    edges: tuple = ()  # per input: the node that made it, the input itself if it is a leaf, or None
    edge_outputs: Any = None  # which output of its node each edge means, where not always the first
    saved: Any = ()
    versions: Any = None  # the versions of the saved tensors, where not all 0
    hooks: Any = None  # {output number: {id: hook}}, on gradients that arrive
    seq = 0  # its number; newer nodes have higher ones


tick = count(1).__next__
_tensor_type: list[type] = []


def set_tensor_type(cls: type) -> None:
    """Tell `wrap` which class to make."""
    _tensor_type[:] = [cls]


def wrap(array, cls=None):
    """A tensor on this array (or NumPy scalar), without a copy."""
    tensor = object.__new__(cls or _tensor_type[0])
    tensor._array = array if type(array) is np.ndarray else np.asanyarray(array)
    return tensor


def edge(t):
    """Where the gradient of `t` goes: its node, itself where it is a leaf, None where none is needed."""
    if not t._rg:
        return None
    if t._base is not None:
        t._refresh()
    return t if t._node is None else t._node


def connect(node, inputs):
    """Give a new node its number, and its edges to what its inputs came from; returns it."""
    node.seq = tick()
    node.edges = tuple([None if t is None else edge(t) for t in inputs])
    if any(t is not None and t._nr for t in inputs):
        node.edge_outputs = tuple([0 if t is None else t._nr for t in inputs])
    return node


if K.NAME == "native":
    from rushlight import _native

    TensorBase, NodeBase = _native.TensorBase, _native.NodeBase
    set_tensor_type, wrap = _native.set_tensor_type, _native.wrap
    edge, connect, tick = _native.edge, _native.connect, _native.tick
