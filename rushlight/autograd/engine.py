"""The backward pass: runs recorded nodes from the newest to the oldest.

Nodes are numbered as they are created, and a node is always newer than what it was computed from, so the
highest number waiting is always ready: a heap replaces counting dependencies, and nothing recurses.
"""

from heapq import heappop, heappush
from sys import getrefcount

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.grad_mode import MODE
from rushlight.autograd.node import edge
from rushlight.tensor import Tensor, wrap


class SamplesNeeded(NotImplementedError):
    """A function asked for the memory of a batched tensor (`rushlight.func.batched`): it sees one sample at a time."""


ANOMALY = {"enabled": False, "check_nan": True}


def run(roots, grads, *, retain_graph: bool, create_graph: bool, inputs=None) -> list | None:
    """Send gradients from `roots` down the graph.

    Args:
        roots: tensors to differentiate.
        grads: the gradient of each.
        retain_graph: keep saved tensors for another pass.
        create_graph: record the pass itself, for higher derivatives.
        inputs: tensors whose gradients are wanted; all leaves, accumulating into `.grad`, where None.
    Returns:
        The gradients of `inputs` (None where unreached), or None where `inputs` is None.
    """
    retain_graph = retain_graph or MODE.keeps_graphs
    captures = None if inputs is None else _Captures(roots, inputs)
    waiting: dict = {}  # node -> gradient of its output, or list of those of its outputs
    heap: list = []
    leaves: dict = {}  # id of a leaf -> [leaf, gradient]
    recorded, MODE.enabled = MODE.enabled, create_graph
    outer, MODE.task = MODE.task, (roots, captures)
    try:
        for root, grad in zip(roots, grads, strict=True):
            target = edge(root)
            _deliver(target, root._nr, grad, waiting, heap, leaves, captures)
        while heap:
            node = heappop(heap)[1]
            grad = waiting.pop(node)
            if node.outputs > 1:
                results = _step_many(node, grad, captures)
            elif node.hooks is None and captures is None and node.pre_hooks is None:
                try:
                    results = node.backward(grad)
                except SamplesNeeded:
                    results = _each_sample(node, [grad])
            else:
                results = _step_hooked(node, [grad], captures)
            if results is None:
                continue
            if type(results) is not tuple:
                results = (results,)
            if node.post_hooks:
                results = _run_post_hooks(node, results, grad)
            if ANOMALY["enabled"]:
                _check_nan(node, results)
            numbers = node.edge_outputs
            for i, target in enumerate(node.edges):
                result = results[i]
                if target is None or result is None:
                    continue
                if not target.is_node:
                    slot = leaves.get(id(target))
                    if slot is None:
                        leaves[id(target)] = [target, result]
                    else:
                        slot[1] = _sum(slot[1], result)
                elif target.outputs == 1 and captures is None:
                    before = waiting.get(target)
                    if before is None:
                        waiting[target] = result
                        heappush(heap, (-target.seq, target))
                    else:
                        waiting[target] = _sum(before, result)
                else:
                    _deliver(target, numbers[i] if numbers else 0, result, waiting, heap, leaves, captures)
            results = result = grad = None  # so that memory is free again before the next node runs
            if not retain_graph:
                node.release()
        if captures is not None:
            return captures.results(leaves)
        while leaves:
            _accumulate(leaves.popitem()[1], create_graph)
    finally:
        MODE.enabled, MODE.task = recorded, outer


def _sum(a: Tensor, b: Tensor) -> Tensor:
    if MODE.enabled or a._adds_itself or b._adds_itself:
        return b + a if a.is_sparse and not b.is_sparse else a + b
    return wrap(K.add(a._array, b._array))


def _deliver(target, number, grad, waiting, heap, leaves, captures) -> None:
    """Add a gradient to those waiting at a node's output or at a leaf."""
    if captures is not None and target.is_node and target not in captures.needed:
        return
    if not target.is_node:
        slot = leaves.get(id(target))
        if slot is None:
            leaves[id(target)] = [target, grad]
        else:
            slot[1] = _sum(slot[1], grad)
        return
    before = waiting.get(target)
    if before is None:
        heappush(heap, (-target.seq, target))
    if target.outputs == 1:
        waiting[target] = grad if before is None else _sum(before, grad)
        return
    if before is None:
        before = waiting[target] = [None] * target.outputs
    before[number] = grad if before[number] is None else _sum(before[number], grad)


def _step_many(node, grads, captures):
    if node.hooks or node.pre_hooks or captures:
        return _step_hooked(node, grads, captures)
    try:
        return node.backward(*grads)
    except SamplesNeeded:
        return _each_sample(node, grads)


def _step_hooked(node, grads: list, captures):
    """One node, with the hooks on its outputs and captures for `inputs`."""
    if node.hooks is not None:
        for number, hooks in node.hooks.items():
            if grads[number] is not None:
                grads[number] = run_hooks(hooks, grads[number])
    if node.pre_hooks:
        for hook in list(node.pre_hooks.values()):
            changed = hook(tuple(grads))
            if changed is not None:
                grads = list(changed) if isinstance(changed, tuple) else [changed]
    if captures is not None:
        captures.take(node, grads)
        if node not in captures.beyond:
            return None
    try:
        return node.backward(*grads)
    except SamplesNeeded:
        return _each_sample(node, grads)


def _each_sample(node, grads):
    """The gradients of a node that takes those of one sample at a time."""
    from rushlight.func.batched import backward_each_sample

    return backward_each_sample(node, tuple(grads))


def run_hooks(hooks: dict, grad: Tensor) -> Tensor:
    """Pass a gradient through a tensor's hooks, each of which may replace it."""
    for hook in list(hooks.values()):
        changed = hook(grad)
        if changed is not None:
            if not isinstance(changed, Tensor):
                raise TypeError(
                    f"hook: expected a Tensor or None from the hook, got {type(changed).__name__}"
                )
            grad = changed
    return grad


def _run_post_hooks(node, results, grads):
    outputs = tuple(grads) if isinstance(grads, list) else (grads,)
    for hook in list(node.post_hooks.values()):
        changed = hook(results, outputs)
        if changed is not None:
            results = changed if isinstance(changed, tuple) else (changed,)
    return results


def _check_nan(node, results) -> None:
    if not ANOMALY["check_nan"]:
        return
    for i, result in enumerate(results):
        if result is None:
            continue
        array = result._data if result._adds_itself else result._array
        if array.dtype.kind in "fcV" and np.isnan(array).any():
            made = f"\nIt was recorded here:\n{node.traceback}" if node.traceback else ""
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.{made}")


def _accumulate(slot: list, create_graph: bool) -> None:
    """Add a finished gradient to a leaf's `.grad`."""
    leaf, grad = slot
    slot.clear()
    if not leaf._rg:
        return
    if leaf._hooks:
        grad = run_hooks(leaf._hooks, grad)
    before = leaf._grad
    if before is None:
        leaf._grad = grad if create_graph else _own(grad, leaf)
    elif create_graph or grad._adds_itself or before._adds_itself:
        leaf._grad = _sum(before, grad)
    else:
        K.add(before._array, grad._array, out=before._array)
        before._bump()
    if leaf._post_accumulate_hooks:
        for hook in list(leaf._post_accumulate_hooks.values()):
            hook(leaf)


def _own(grad: Tensor, leaf: Tensor) -> Tensor:
    """The gradient as a tensor of its own: itself where nobody else holds its memory, else a copy."""
    if grad._adds_itself:
        return grad.detach()
    array = grad._array
    # Held here by: the tensor, this variable and getrefcount; the tensor by its caller and this call.
    if array.base is None and getrefcount(array) <= 3 and getrefcount(grad) <= 4 and grad._node is None:
        if array.strides == leaf._array.strides and array.flags.writeable and grad._base is None:
            return grad
    own = np.empty_like(leaf._array, dtype=array.dtype)
    np.copyto(own, array)
    return wrap(own)


class _Captures:
    """Which nodes lead to the inputs of `grad`, and what arrives there."""

    def __init__(self, roots, inputs):
        self.inputs = inputs
        self.targets = [edge(t) for t in inputs]
        self.found: list = [None] * len(inputs)
        wanted_nodes = {t for t in self.targets if t is not None and t.is_node}
        wanted_leaves = {id(t) for t in self.targets if t is not None and not t.is_node}
        self.beyond: set = set()  # nodes with something wanted below them
        seen: set = set()
        stack = [(edge(root), False) for root in roots]
        while stack:
            node, finished = stack.pop()
            if node is None or not node.is_node:
                continue
            if finished:
                for below in node.edges:
                    if below is not None and (
                        below in self.beyond or below in wanted_nodes
                        if below.is_node
                        else id(below) in wanted_leaves
                    ):
                        self.beyond.add(node)
                        break
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                stack.extend((below, False) for below in node.edges)
        self.needed = self.beyond | wanted_nodes

    def take(self, node, grads) -> None:
        for i, target in enumerate(self.targets):
            if target is node:
                self.found[i] = grads[self.inputs[i]._nr]

    def results(self, leaves) -> list:
        for i, target in enumerate(self.targets):
            if target is not None and not target.is_node and id(target) in leaves:
                grad = leaves[id(target)][1]
                self.found[i] = run_hooks(target._hooks, grad) if target._hooks else grad
        return self.found
