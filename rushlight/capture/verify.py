"""The third call: replay and eager execution from the same state, compared bit for bit.

Where the function steps an optimizer, both run in stretches between those steps, each from the state that the eager
stretch before it left; the step itself runs once.
"""

import numpy as np

from rushlight.capture.backward import gradients, roots_of
from rushlight.optim import optimizer as _optimizer
from rushlight.random import default_generator
from rushlight.tensor import Tensor


def verified(recording, function, args: tuple, kwargs: dict):
    """The eager result, and what differed ("" if nothing)."""
    check = _Check(recording, args, kwargs)
    if not check.ready:
        return function(*args, **kwargs), "its guards don't hold in the next call"
    ident = _optimizer.get_ident()
    _optimizer.RECORDERS[ident] = check
    try:
        check.replay()
        result = function(*args, **kwargs)
    finally:
        del _optimizer.RECORDERS[ident]
    check.compare(result)
    return result, check.why


class _Check:
    def __init__(self, recording, args, kwargs):
        self.recording, self.tape, self.plan = recording, recording.tape, recording.plan
        self.stage, self.why = 0, ""
        self.stream = self.tape.stream or default_generator._stream
        self.ready = self.plan.prepare(args, kwargs)
        if self.ready:
            self.tape.poison()

    def replay(self) -> None:
        """Run the next stretch and put everything back."""
        tape, stream = self.tape, self.stream
        before, state = tape.save(), stream.get_state()
        try:
            if not tape.run(self.stage):
                self.why = self.why or "a number that it reads from data changes"
        except Exception as error:
            self.why = self.why or f"its replay failed: {error}"
        self.after, self.state = tape.save(), stream.get_state()
        tape.load(before)
        stream.set_state(state)

    def step(self, optimizer, call):
        """Called instead of an optimizer's step within the eager run."""
        self._compare_memory()
        self._compare_gradients()
        result = call()
        self.stage += 1
        self.replay()
        return result

    def _compare_memory(self) -> None:
        if self.tape.save() != self.after:
            self._differs("what it writes")
        if not np.array_equal(self.stream.get_state(), self.state):
            self._differs("the random numbers it draws")

    def _compare_gradients(self) -> None:
        for tensor, array, stage in self.recording.sets:
            if stage != self.stage:
                continue
            grad = tensor._grad
            if (grad is None) != (array is None):
                self._differs("which gradients there are")
            elif grad is not None and not _equal(grad._array, array):
                self._differs("a gradient")

    def compare(self, result) -> None:
        """At the end: memory, gradients and the result."""
        if self.stage != self.recording.stages:
            self._differs("how often it steps an optimizer")
        self._compare_memory()
        self._compare_gradients()
        self._compare_result(self.recording.spec, result)
        if self.recording.trial is not None and not self.why:
            self._compare_backward(result)
        if not self.plan.unchanged():
            self._differs("what it changes in objects that outlive the call")

    def _compare_result(self, spec, value) -> None:
        kind = spec[0]
        if kind == "tensor":
            good = isinstance(value, Tensor) and value._rg == spec[4] and _equal(value._array, spec[2])
        elif kind == "number":
            good = type(value) is float and np.array(value).tobytes() == np.array(spec[1].item()).tobytes()
        elif kind == "value":
            good = type(value) is type(spec[1]) and (value == spec[1] or value != value)
        elif kind == "same":
            good = value is spec[1]
        elif kind == "argument":
            good = isinstance(value, Tensor)
        else:
            items = list(value.values()) if kind == "dict" and isinstance(value, dict) else value
            good = type(value).__name__ == kind and len(items) == len(spec[1])
            if good:
                for part, item in zip(spec[1], items, strict=True):
                    self._compare_result(part, item)
        if not good:
            self._differs("its result")

    def _compare_backward(self, result) -> None:
        """The gradients of the leaves, from gradients of ones."""
        trial, roots = self.recording.trial, roots_of(result)
        if len(roots) != len(trial.roots):
            return self._differs("which results require grad")
        expected = gradients(roots, [np.ones_like(r._array) for r in roots], trial.leaves)
        for buffer in trial.buffers:
            buffer.fill(1)
        try:
            done = self.tape.run(1)
        except Exception as error:
            done, self.why = False, f"its backward pass failed in replay: {error}"
        for grad, array in zip(expected, self.recording.leaf_grads, strict=True):
            same = (grad is None) == (array is None)
            if (
                not done
                or not same
                or (grad is not None and not np.array_equal(grad._array, array, equal_nan=True))
            ):
                self._differs("a gradient")

    def _differs(self, what: str) -> None:
        self.why = self.why or f"replay and eager execution differ in {what}"


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.strides == b.strides and a.tobytes() == b.tobytes()
