"""Trading time for memory: `checkpoint` recomputes a part of the network during the backward pass.

Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost" (2016).
"""

import contextlib
import warnings
import weakref

from rushlight import cuda
from rushlight.autograd import backward as run_backward
from rushlight.autograd import saving
from rushlight.autograd.function import Function
from rushlight.autograd.grad_mode import MODE, enable_grad, is_grad_enabled
from rushlight.autograd.graph import saved_tensors_hooks
from rushlight.random import fork_rng, get_rng_state, set_rng_state
from rushlight.tensor import Tensor

__all__ = [
    "CheckpointError", "CheckpointFunction", "DefaultDeviceType", "check_backward_validity", "checkpoint",
    "checkpoint_sequential", "detach_variable", "get_device_states", "noop_context_fn", "set_checkpoint_early_stop",
    "set_device_states",
]  # fmt: skip

_REENTRANT = (
    "{}: the use_reentrant parameter should be passed explicitly. Starting in PyTorch 2.9, calling checkpoint without "
    "use_reentrant will raise an exception. use_reentrant=False is recommended, but if you need to preserve the current "
    "default behavior, you can pass use_reentrant=True. Refer to docs for more details on the differences between the "
    "two variants."
)
_early_stop: list = []  # what set_checkpoint_early_stop says, innermost last


class CheckpointError(RuntimeError):
    """The second run of a checkpointed function saved other tensors than the first."""


class _Stop(Exception):
    """All that the backward pass needs has been computed again."""


def noop_context_fn():
    """Two contexts that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool):
    """Inside a `with` block, whether a recomputation stops as soon as everything needed is there.

    Args:
        enable: overrides `early_stop` of the checkpoints inside.
    """
    _early_stop.append(enable)
    try:
        yield
    finally:
        _early_stop.pop()


def detach_variable(inputs: tuple) -> tuple:
    """The inputs, tensors as leaves of a new graph that require gradients as they did.

    Raises:
        RuntimeError: `inputs` is no tuple.
    """
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}"
        )
    return tuple(t.detach().requires_grad_(t.requires_grad) if isinstance(t, Tensor) else t for t in inputs)


def check_backward_validity(inputs) -> None:
    """Warn where no input requires gradients."""
    if not any(t.requires_grad for t in inputs if isinstance(t, Tensor)):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


@contextlib.contextmanager
def _random_numbers_of(state):
    """Draw the numbers that follow a state, and go on afterwards as if nothing had been drawn."""
    if state is None:
        yield
        return
    with fork_rng():
        set_rng_state(state)
        yield


class DefaultDeviceType:
    """The kind of device whose random state is kept when no tensor says; without effect here."""

    _kind = "cpu"

    @staticmethod
    def set_device_type(device: str = "cpu") -> None:
        """Choose it.

        Args:
            device: the name of a kind of device.
        """
        DefaultDeviceType._kind = device

    @staticmethod
    def get_device_type() -> str:
        """What was chosen."""
        return DefaultDeviceType._kind


def get_device_states(*args) -> tuple[list, list]:
    """The devices of the tensors that are not on the CPU, and their random states: there are none.

    Args:
        args: the arguments of a function that is to be run again.

    >>> import rushlight as torch
    >>> torch.utils.checkpoint.get_device_states(torch.ones(1))
    ([], [])
    """
    return [], []


def set_device_states(devices, states, *, device_type: str | None = None) -> None:
    """Restore the random states that `get_device_states` gave.

    Args:
        devices: which devices.
        states: their states.
        device_type: their kind.
    Raises:
        AssertionError: a device is named, of which there is none.
    """
    for index, state in zip(devices, states, strict=True):
        cuda.set_rng_state(state, index)


class CheckpointFunction(Function):
    """Runs without recording, and again, recorded, when the gradient is wanted."""

    @staticmethod
    def forward(ctx, run_function, preserve_rng_state, *args):
        """Run the function; keep only its inputs."""
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.rng_state = get_rng_state() if preserve_rng_state else None
        ctx.others = [None if isinstance(a, Tensor) else a for a in args]
        ctx.save_for_backward(*[a if isinstance(a, Tensor) else None for a in args])
        return run_function(*args)

    @staticmethod
    def backward(ctx, *grads):
        """Run the function again with the same random numbers, then backwards."""
        if MODE.task is not None and MODE.task[1] is not None:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
                "parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or call "
                ".backward() without passing the `inputs` argument."
            )
        saved = zip(ctx.saved_tensors, ctx.others, strict=True)
        args = detach_variable(tuple(other if t is None else t for t, other in saved))
        with _random_numbers_of(ctx.rng_state), enable_grad():
            outputs = ctx.run_function(*args)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        linked = [
            (o, g) for o, g in zip(outputs, grads, strict=True) if isinstance(o, Tensor) and o.requires_grad
        ]
        if not linked:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        run_backward([o for o, _ in linked], [g for _, g in linked])
        return None, None, *[a.grad if isinstance(a, Tensor) else None for a in args]


def checkpoint(
    function, *args, use_reentrant: bool | None = None, context_fn=noop_context_fn,
    determinism_check: str = "default", debug: bool = False, early_stop: bool = True, **kwargs
):  # fmt: skip
    """Call a function without keeping its intermediate results; they are computed again for the gradient.

    Args:
        function: what to call.
        args, kwargs: its arguments.
        use_reentrant: True runs a backward pass of its own inside the backward pass, which needs an argument that
            requires gradients and does not work with `autograd.grad`; False, the better one, recomputes tensors as they
            are asked for.
        preserve_rng_state: draw the same random numbers (dropout) the second time; True by default.
        context_fn: returns two context managers, one for each run.
        determinism_check: "default" compares shapes and types of both runs, "none" does not.
        debug: accepted; errors always name the tensors that differ.
        early_stop: end the second run as soon as everything needed is there.
    Returns:
        What the function returns.
    Raises:
        CheckpointError: the second run saves other tensors than the first. ValueError: an argument is not for this
        variant.

    >>> import rushlight as torch
    >>> from rushlight.utils.checkpoint import checkpoint
    >>> x = torch.ones(2, requires_grad=True)
    >>> checkpoint(lambda t: t.exp().log(), x, use_reentrant=False).sum().backward()
    >>> x.grad
    tensor([1., 1.])
    """
    if use_reentrant is None:
        warnings.warn(_REENTRANT.format("torch.utils.checkpoint"), stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if not use_reentrant:
        stop = _early_stop[-1] if _early_stop else early_stop
        return _recomputed(function, args, kwargs, preserve, context_fn, determinism_check, stop)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    return CheckpointFunction.apply(function, preserve, *args)


def _recomputed(function, args, kwargs, preserve, context_fn, determinism_check, early_stop):
    if determinism_check not in ("default", "none"):
        raise ValueError(
            f"determinism_check should be one of ['default', 'none'], but got {determinism_check}"
        )
    forward_context, recompute_context = context_fn()
    if not is_grad_enabled():
        with forward_context:
            return function(*args, **kwargs)
    state = get_rng_state() if preserve else None
    kept = [saving.packed(a) if isinstance(a, Tensor) else a for a in args]

    def again() -> None:
        arguments = [a.unpack() if isinstance(a, saving.Packed) else a for a in kept]
        with _random_numbers_of(state), recompute_context:
            function(*arguments, **kwargs)

    frame = _Frame(again, early_stop, determinism_check != "none")
    with saved_tensors_hooks(frame.put_off, frame.get), forward_context:
        result = function(*args, **kwargs)
    frame.complete = True
    return result


class _Holder:
    """Stands for a tensor that was not kept."""

    value = None


class _Frame:
    """One call of a checkpointed function: what it would have saved, and how to compute that again."""

    def __init__(self, again, early_stop: bool, compare: bool):
        self.again, self.early_stop, self.compare = again, early_stop, compare
        self.complete = False
        self.holders: list = []  # weak, so that a released graph's tensors are not kept again
        self.kinds: list = []  # the (shape, dtype) of each

    def put_off(self, t: Tensor) -> _Holder:
        """Instead of saving a tensor, note what it was like."""
        holder = _Holder()
        self.holders.append(weakref.ref(holder))
        self.kinds.append(_kind(t))
        return holder

    def get(self, holder: _Holder) -> Tensor:
        """The tensor that a holder stands for; computes all of them again where it is not there."""
        if holder.value is None:
            self._recompute()
        found, holder.value = holder.value, None
        return found

    def _recompute(self) -> None:
        count = 0

        def fill(t: Tensor) -> Tensor:
            nonlocal count
            if count >= len(self.holders):
                if not self.complete:  # a gradient is taken inside the function itself
                    return t
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original "
                    "forward pass. Is the function the same both times?"
                )
            holder = self.holders[count]()
            if holder is not None:
                holder.value = t
                self._compare(count, t)
            count += 1
            if self.early_stop and count == len(self.holders):
                raise _Stop
            return t

        with contextlib.suppress(_Stop), saved_tensors_hooks(fill, lambda t: t), enable_grad():
            self.again()
        if count != len(self.holders) and self.complete:
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(self.holders)}\n"
                f"Number of tensors saved during recomputation: {count}."
            )

    def _compare(self, i: int, t: Tensor) -> None:
        if self.compare and _kind(t) != self.kinds[i]:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than during "
                f"the forward pass.\ntensor at position {i}:\nsaved metadata: {self.kinds[i]}\n"
                f"recomputed metadata: {_kind(t)}"
            )


def _kind(t: Tensor) -> dict:
    return {"shape": t.shape, "dtype": t.dtype, "device": t.device}


def checkpoint_sequential(functions, segments: int, input, use_reentrant: bool | None = None, **kwargs):
    """Checkpoint a chain of modules, cut into equal segments; the last one is kept.

    Args:
        functions: a Sequential or a list of callables.
        segments: into how many pieces to cut it.
        input: the input of the first.
        use_reentrant, preserve_rng_state: as in `checkpoint`.
    Raises:
        ValueError: another keyword argument is given.
    """
    if use_reentrant is None:
        warnings.warn(_REENTRANT.format("torch.utils.checkpoint.checkpoint_sequential"), stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = len(functions) // segments

    def run(start: int, end: int):
        def forward(x):
            for function in functions[start:end]:
                x = function(x)
            return x

        return forward

    last = size * (segments - 1)
    for start in range(0, last, size):
        input = checkpoint(
            run(start, start + size), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
    return run(last, len(functions))(input)
