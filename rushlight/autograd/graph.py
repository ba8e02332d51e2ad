"""The recorded graph, for code that walks it or decides how it keeps tensors."""

import contextlib
import functools
import threading

from rushlight.autograd import saving
from rushlight.autograd.grad_mode import MODE
from rushlight.autograd.node import Node, edge
from rushlight.tensor import Tensor

__all__ = [
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class saved_tensors_hooks:
    """Inside a `with` block, what operations save for the backward pass goes through a pair of functions.

    Args:
        pack_hook: takes the tensor to save, returns what to keep in its place.
        unpack_hook: takes what was kept, returns the tensor; called when the gradient needs it.
    Raises:
        RuntimeError: `pack_hook` changes its argument in place. TypeError: `unpack_hook` returns no tensor.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with torch.autograd.graph.saved_tensors_hooks(lambda t: t.numpy().tolist(), torch.tensor):
    ...     y = x.exp()
    >>> y.sum().backward()
    >>> x.grad
    tensor([2.7183, 7.3891])
    """

    def __init__(self, pack_hook, unpack_hook):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self):
        saving.push(self.pack_hook, self.unpack_hook)

    def __exit__(self, *exception):
        saving.pop()


class save_on_cpu(saved_tensors_hooks):
    """Inside a `with` block, saved tensors are kept in the memory of the CPU, where all tensors here lie anyway.

    Args:
        pin_memory, device_type: accepted; there is no other device.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        super().__init__(lambda t: (t.device, t.cpu()), lambda kept: kept[1].to(kept[0]))


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str):
    """Inside a `with` block, `saved_tensors_hooks` raises RuntimeError with this message."""
    before = saving.HOOKS.disabled
    saving.disable(error_message)
    try:
        yield
    finally:
        saving.HOOKS.disabled = before


class _Copies:
    """What `allow_mutation_on_saved_tensors` gives: the copies that it made."""

    def __init__(self):
        self.copies: dict[int, Tensor] = {}

    def clear(self) -> None:
        """Forget the copies; tensors saved before can no longer be used."""
        self.copies.clear()


@contextlib.contextmanager
def allow_mutation_on_saved_tensors():
    """Inside a `with` block, tensors may be changed in place after an operation saved them: it saves copies.

    >>> import rushlight as torch
    >>> with torch.autograd.graph.allow_mutation_on_saved_tensors():
    ...     x = torch.ones(2, requires_grad=True)
    ...     y = x.clone()
    ...     z = (y**2).sum()
    ...     _ = y.mul_(3)
    ...     z.backward()
    >>> x.grad
    tensor([2., 2.])
    """
    kept = _Copies()

    def pack(t: Tensor) -> int:
        number = len(kept.copies)
        kept.copies[number] = t.clone()
        return number

    def unpack(number: int) -> Tensor:
        if number not in kept.copies:
            raise RuntimeError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in which the graph was "
                "originally recorded."
            )
        return kept.copies[number]

    with saved_tensors_hooks(pack, unpack):
        try:
            yield kept
        finally:
            kept.clear()


def increment_version(tensor) -> None:
    """Note that a tensor (or each of several) was written, so that the backward pass sees the change."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        t._bump()


class _Handles:
    """Removes several hooks together."""

    def __init__(self, handles):
        self.handles = tuple(handles)

    def remove(self) -> None:
        """Take the hooks off."""
        for handle in self.handles:
            handle.remove()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.remove()


def register_multi_grad_hook(tensors, fn, *, mode: str = "all") -> _Handles:
    """Call a function once per backward pass with the gradients of several tensors.

    Args:
        tensors: the tensors; each must require gradients in mode "all".
        fn: in mode "all" takes the list of gradients once all that the pass computes are there (None for the
            others); in mode "any" takes the first gradient.
        mode: "all" or "any".
    Returns:
        A handle whose `remove()` takes the hook off.

    >>> import rushlight as torch
    >>> a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    >>> handle = torch.autograd.graph.register_multi_grad_hook((a, b), print)
    >>> (a + b).backward()
    [tensor([1.]), tensor([1.])]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    gather = (_GatherAll if mode == "all" else _GatherAny)(tensors, fn)
    hooked = [(i, t) for i, t in enumerate(tensors) if mode == "all" or t.requires_grad]
    return _Handles(t.register_hook(functools.partial(gather, i)) for i, t in hooked)


class _GatherAll:
    """Collects the gradients of one backward pass."""

    def __init__(self, tensors, fn):
        self.fn, self.count, self.targets = fn, len(tensors), [edge(t) for t in tensors]
        self.passes: dict = {}  # id of a pass -> [gradients, how many are still to come]
        self.lock = threading.Lock()

    def __call__(self, i: int, grad: Tensor) -> None:
        key = id(MODE.task)
        with self.lock:
            state = self.passes.get(key)
            if state is None:
                state = self.passes[key] = [[None] * self.count, _arriving(self.targets, *MODE.task)]
            state[0][i] = grad
            state[1] -= 1
        if state[1] == 0:
            del self.passes[key]
            self.fn(state[0])


class _GatherAny:
    """Takes the first gradient of one backward pass."""

    def __init__(self, tensors, fn):
        self.fn, self.seen = fn, None

    def __call__(self, i: int, grad: Tensor) -> None:
        if self.seen is not MODE.task:
            self.seen = MODE.task
            self.fn(grad)


def _arriving(targets, roots, captures) -> int:
    """At how many of these nodes and leaves a gradient arrives in a backward pass."""
    seen: set = set()
    waiting = [edge(root) for root in roots]
    while waiting:
        target = waiting.pop()
        if target is None or id(target) in seen:
            continue
        seen.add(id(target))
        if target.is_node and (captures is None or target in captures.beyond):
            waiting.extend(target.edges)
    if captures is None:
        return sum(id(t) in seen for t in targets)
    leaves = {id(t) for t in captures.targets if t is not None and not t.is_node}
    return sum(id(t) in seen and (t in captures.needed if t.is_node else id(t) in leaves) for t in targets)
