"""The recorder: Python tells it of every call (`sys.setprofile`), and it keeps those of operations.

Nothing is added to the operations themselves, so that they cost nothing extra when nobody looks.
"""

import sys
import threading
import time
from types import FunctionType

from rushlight import cpu
from rushlight.autograd.node import Node
from rushlight.ops.detour import own_code
from rushlight.ops.registry import OPS
from rushlight.optim.optimizer import Optimizer
from rushlight.profiler.events import FunctionEvent
from rushlight.tensor import Tensor


def _op_names() -> dict:
    """The name of the op that each code object belongs to; None where several ops share it."""
    names: dict = {}
    for name, entry in OPS.items():
        functions = [(f"aten::{name}", entry.function)]
        if entry.inplace:
            functions.append((f"aten::{name}_", getattr(Tensor, f"{name}_", None)))
        for label, function in functions:
            if isinstance(function, FunctionType):
                code = own_code(function)
                names[code] = label if names.get(code, label) == label else None
    return names


def _name_of_shared(frame) -> str:
    """The op's name, where one definition serves many: it is in the closure."""
    name = frame.f_locals.get("name", frame.f_code.co_name)
    return f"aten::{name}{'_' if frame.f_code.co_name.endswith('_') and not name.endswith('_') else ''}"


def _shapes(frame) -> list:
    code = frame.f_code
    values = [frame.f_locals.get(n) for n in code.co_varnames[: code.co_argcount]]
    return [list(v.shape) if isinstance(v, Tensor) else [] for v in values]


class Recorder:
    """Collects events while it is on.

    Args:
        shapes: keep the shapes of tensor arguments.
        memory: keep the bytes that were allocated.
    """

    current: "Recorder | None" = None

    def __init__(self, shapes: bool = False, memory: bool = False):
        self.shapes, self.memory = shapes, memory
        self.events: list[FunctionEvent] = []
        self._open: list = []  # (frame or None, event)
        self._names = _op_names()

    def start(self) -> None:
        """Begin to record this thread.

        Raises:
            RuntimeError: another recorder is on.
        """
        if Recorder.current is not None:
            raise RuntimeError(
                "Profiler is already enabled on this thread: only one profile can be active at a time"
            )
        Recorder.current = self
        sys.setprofile(self._seen)

    def stop(self) -> None:
        """Stop recording; what is still open ends now."""
        if Recorder.current is self:
            sys.setprofile(None)
            Recorder.current = None
        while self._open:
            self._close()

    def open(self, name: str, frame=None, shapes=(), user: bool = False) -> FunctionEvent:
        """Begin an event, inside those that are open."""
        event = FunctionEvent(name, threading.get_ident(), list(shapes), user)
        if self._open:
            event.cpu_parent = self._open[-1][1]
            event.cpu_parent.cpu_children.append(event)
        self.events.append(event)
        self._open.append((frame, event))
        if self.memory:
            event.memory = cpu.memory_allocated()
        event.start = time.perf_counter_ns()
        return event

    def close(self, event: FunctionEvent) -> None:
        """End an event, and those inside it that are still open."""
        if any(e is event for _, e in self._open):
            while self._close() is not event:
                pass

    def _close(self) -> FunctionEvent:
        event = self._open.pop()[1]
        event.end = time.perf_counter_ns()
        if self.memory:
            event.memory = cpu.memory_allocated() - event.memory
        return event

    def _seen(self, frame, what: str, argument) -> None:
        if what == "call":
            label = self._label(frame)
            if label is not None:
                self.open(label, frame, _shapes(frame) if self.shapes else ())
        elif what == "return" and self._open and self._open[-1][0] is frame:
            self._close()

    def _label(self, frame) -> str | None:
        code = frame.f_code
        if code in self._names:
            return self._names[code] or _name_of_shared(frame)
        if code.co_name in ("backward", "step", "zero_grad"):
            owner = frame.f_locals.get("self")
            if code.co_name == "backward":
                if isinstance(owner, Node):
                    return f"autograd::engine::evaluate_function: {type(owner).__name__}"
            elif isinstance(owner, Optimizer):
                return f"Optimizer.{code.co_name}#{type(owner).__name__}.{code.co_name}"
        return None


class record_function:
    """A block, or a decorated function, that appears under its own name in the profile.

    Args:
        name: the name.
        args: accepted, as in PyTorch.

    >>> import rushlight as torch
    >>> with torch.profiler.profile() as prof:
    ...     with torch.profiler.record_function("mine"):
    ...         y = torch.ones(2) + 1
    >>> [event.key for event in prof.key_averages()][0]
    'mine'
    """

    def __init__(self, name: str, args: str | None = None):
        self.name, self.args, self._event = name, args, None

    def __enter__(self) -> "record_function":
        if Recorder.current is not None:
            self._event = Recorder.current.open(self.name, user=True)
        return self

    def __exit__(self, *exc) -> None:
        if Recorder.current is not None and self._event is not None:
            Recorder.current.close(self._event)
        self._event = None

    def __call__(self, function):
        import functools

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return wrapped
