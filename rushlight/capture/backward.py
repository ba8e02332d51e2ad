"""Recorded functions whose results require grad: the forward pass and the backward pass are two stretches of one tape.

The backward pass is recorded with the forward one, by a trial run through the graph. A replayed call gives results behind
one node, whose `backward` replays the second stretch. Until that has happened the memory between the two is in use, and
further calls run eagerly.
"""

import weakref
from itertools import repeat

import numpy as np

from rushlight import _native
from rushlight import kernels as K
from rushlight.autograd import engine
from rushlight.autograd.grad_mode import MODE
from rushlight.autograd.node import RELEASED, Node, connect
from rushlight.tensor import Tensor, wrap


def roots_of(value) -> list:
    """The tensors of a result that require grad, in order."""
    if isinstance(value, Tensor):
        return [value] if value._rg and value._node is not None else []
    if type(value) is dict:
        value = list(value.values())
    return [root for v in value for root in roots_of(v)] if type(value) in (tuple, list) else []


def is_spent(root: Tensor) -> bool:
    """Whether a backward pass went through its graph and dropped what it needs for another."""
    waiting, seen = [root._node], set()
    while waiting:
        node = waiting.pop()
        if node.saved is RELEASED:
            return True
        if node not in seen:
            seen.add(node)
            waiting += [target for target in node.edges if target is not None and target.is_node]
    return False


class Trial:
    """The backward pass of a recorded call, recorded too.

    Args:
        recording: the recording, which has just run the function.
        roots: the results that require grad.
    """

    def __init__(self, recording, roots: list):
        self.roots = roots
        self.leaves: list = []
        self.saved: list = []  # reached tensors that the graph saves: their versions matter
        tape = recording.tape
        if recording.steps:
            tape.fail("its result requires grad after an optimizer's step")
        self._walk(recording)
        if not self.leaves:
            tape.fail("its result requires grad, but leads to no leaf")
        self.scalar = len(roots) == 1 and roots[0]._array.size == 1
        buffers = [] if self.scalar else [r._array for r in roots]
        # This call ends the first stretch of the tape.
        grads = self.buffers = tape.python(lambda: [np.ones_like(b) for b in buffers], _nothing)
        if self.scalar:
            array = roots[0]._array
            grads = [_native.record_constant(np.ones, (array.shape, array.dtype), {})]
        found = [None] * len(self.leaves)
        if not tape.reason:
            found = gradients(roots, grads, self.leaves)
        if self.scalar and tape.half:
            tape.fail("gradients of float16, which may be scaled")
        self.found = found

    def _walk(self, recording) -> None:
        tape, reach = recording.tape, recording.reach
        owners = {id(t._array): t for t in (*reach.tensors, *recording.inputs)}
        waiting, seen = [r._node for r in self.roots], set()
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            if node.hooks or node.pre_hooks or node.post_hooks:
                tape.fail("a node of its graph has hooks")
            if not type(node).__module__.startswith("rushlight."):
                tape.fail("it uses an autograd.Function of the user's")
            for t in node.saved:
                owner = owners.get(id(t._array)) if isinstance(t, Tensor) else None
                if owner is not None and not any(owner is s for s in self.saved):
                    self.saved.append(owner)
            for target in node.edges:
                if target is None:
                    continue
                if target.is_node:
                    waiting.append(target)
                elif not any(target is leaf for leaf in self.leaves):
                    self.leaves.append(target)
                    if not reach.has(target):
                        tape.fail("it uses a parameter that it can't be seen to reach")


def _nothing() -> None:
    """Between two stretches of a tape."""


def gradients(roots: list, grads: list, leaves: list) -> list:
    """Those of the leaves, the graph kept for another pass."""
    return engine.run(roots, [wrap(g) for g in grads], retain_graph=True, create_graph=False, inputs=leaves)


class DifferentiablePlan:
    """A plan whose calls give results behind a node.

    Args:
        recording: a recording with a trial.
    """

    def __init__(self, recording):
        self.tape, self.plan, trial = recording.tape, recording.plan, recording.trial
        self.leaves, self.buffers = trial.leaves, trial.buffers
        reached = {id(t) for t in recording.inputs}
        self.saved = [t for t in trial.saved if id(t) not in reached]
        self.saved_inputs = [i for i, t in enumerate(recording.inputs) if any(t is s for s in trial.saved)]
        self.grads = recording.leaf_grads  # stand-ins in the arena
        self._marks = recording.spec
        self.scalar, self._node, self.count = trial.scalar, _gone, len(trial.roots)

    @property
    def calls(self) -> int:
        """How often it was replayed."""
        return self.plan.calls

    def matches(self, args: tuple, kwargs: dict) -> bool:
        """Whether its guards hold."""
        return self.plan.matches(args, kwargs)

    def call(self, args: tuple, kwargs: dict):
        """The result of a replay, or NotImplemented."""
        node = self._node()
        if node is not None and not node.done:
            return NotImplemented
        result = self.plan.call(args, kwargs)
        if result is NotImplemented:
            return result
        node = connect(CompiledFunctionBackward(), self.leaves)
        node.plan, node.outputs = self, self.count
        node.save(*self.saved, *_tensors(args, kwargs, self.saved_inputs))
        self._node = weakref.ref(node)
        _attach(result, self._marks, node, iter(range(self.count)))
        return result

    def backward(self, grads: tuple) -> tuple:
        """The leaves' gradients from those of the results."""
        for buffer, grad in zip(self.buffers, grads, strict=False):
            np.copyto(buffer, 0 if grad is None else grad._array)
        if not self.tape.run(1):
            raise RuntimeError("compile: a recorded backward pass depends on data that changed")
        found = [None if g is None else g.copy(order="K") for g in self.grads]
        if self.scalar and grads[0]._array.item() != 1:
            for g in found:
                if g is not None:
                    K.mul(g, grads[0]._array.reshape(()).astype(g.dtype), out=g)
        return tuple(None if g is None else wrap(g) for g in found)


class PlanOfSpentResults:
    """A plan whose results require grad, though the call went through their graph itself: `return loss` at a step's end.

    Args:
        recording: a recording with such results.
    """

    def __init__(self, recording):
        self.plan, self._marks = recording.plan, recording.spec
        self.matches = self.plan.matches
        self._node = CompiledFunctionBackward()
        self._node.saved = RELEASED

    @property
    def calls(self) -> int:
        """How often it was replayed."""
        return self.plan.calls

    def call(self, args: tuple, kwargs: dict):
        """The result of a replay, or NotImplemented."""
        result = self.plan.call(args, kwargs)
        if result is not NotImplemented:
            _attach(result, self._marks, self._node, repeat(0))
        return result


def _gone() -> None:
    return None


def _tensors(args: tuple, kwargs: dict, numbers: list) -> list:
    """The tensors among the arguments that have these numbers."""
    if not numbers:
        return []
    found: list = []

    def walk(value) -> None:
        if isinstance(value, Tensor):
            if not value._rg:
                found.append(value)
        elif type(value) in (tuple, list):
            for v in value:
                walk(v)
        elif type(value) is dict:
            for v in value.values():
                walk(v)

    walk(args)
    walk(kwargs)
    return [found[i] for i in numbers]


def _attach(value, marks, node, numbers) -> None:
    """Put the node behind those of the results that require grad."""
    kind = marks[0]
    if kind == "tensor":
        if marks[4]:
            value._node, value._nr, value._rg = node, next(numbers), True
    elif kind in ("tuple", "list", "dict"):
        for mark, v in zip(marks[1], value.values() if kind == "dict" else value, strict=True):
            _attach(v, mark, node, numbers)


class CompiledFunctionBackward(Node):
    """The backward pass of a replayed call."""

    done = False

    def backward(self, *grads):
        """Replays it."""
        if MODE.enabled:
            raise RuntimeError("torch.compile with aot_autograd does not currently support double backward")
        if self.done:
            iter(RELEASED)
        self.unpack()
        return self.plan.backward(grads)

    def release(self) -> None:
        """The memory between the passes is free again."""
        super().release()
        self.done = True
