"""Trading time for memory: `checkpoint` recomputes a part of the network during the backward pass.

Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost" (2016).
"""

from rushlight.autograd import backward as run_backward
from rushlight.autograd.function import Function
from rushlight.autograd.grad_mode import enable_grad, is_grad_enabled
from rushlight.random import get_rng_state, set_rng_state
from rushlight.tensor import Tensor


class CheckpointFunction(Function):
    """Runs without recording, and again, recorded, when the gradient is wanted."""

    @staticmethod
    def forward(ctx, function, kwargs, preserve_rng_state, *args):
        """Run the function; keep only its inputs."""
        ctx.function, ctx.kwargs = function, kwargs
        ctx.rng_state = get_rng_state() if preserve_rng_state else None
        ctx.others = [None if isinstance(a, Tensor) else a for a in args]
        ctx.save_for_backward(*[a if isinstance(a, Tensor) else None for a in args])
        return function(*args, **kwargs)

    @staticmethod
    def backward(ctx, *grads):
        """Run the function again with the same random numbers, then backwards."""
        args = [
            other if saved is None else saved.detach().requires_grad_(saved.requires_grad)
            for saved, other in zip(ctx.saved_tensors, ctx.others, strict=True)
        ]
        now = get_rng_state() if ctx.rng_state is not None else None
        if ctx.rng_state is not None:
            set_rng_state(ctx.rng_state)
        try:
            with enable_grad():
                outputs = ctx.function(*args, **ctx.kwargs)
        finally:
            if now is not None:
                set_rng_state(now)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [
            (o, g) for o, g in zip(outputs, grads, strict=True) if isinstance(o, Tensor) and o.requires_grad
        ]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        run_backward([o for o, _ in pairs], [g for _, g in pairs])
        return None, None, None, *[a.grad if isinstance(a, Tensor) and a.is_leaf else None for a in args]


def checkpoint(
    function, *args, use_reentrant: bool | None = None, preserve_rng_state: bool = True, determinism_check="default",
    debug: bool = False, context_fn=None, early_stop: bool = True, **kwargs
):  # fmt: skip
    """Call a function without keeping its intermediate results; they are computed again for the gradient.

    Args:
        function: what to call.
        args, kwargs: its arguments.
        use_reentrant: False also gives parameters their gradients where no argument requires any, as in PyTorch.
        preserve_rng_state: draw the same random numbers (dropout) the second time.
        determinism_check, debug, early_stop: accepted; the second run is always complete and checked by its shapes.
        context_fn: not supported.
    Returns:
        What the function returns.
    Raises:
        NotImplementedError: `context_fn` is given.

    >>> import rushlight as torch
    >>> from rushlight.utils.checkpoint import checkpoint
    >>> x = torch.ones(2, requires_grad=True)
    >>> checkpoint(lambda t: t.exp().log(), x, use_reentrant=False).sum().backward()
    >>> x.grad
    tensor([1., 1.])
    """
    if context_fn is not None:
        raise NotImplementedError("checkpoint: context_fn is not supported; leave it out")
    if not is_grad_enabled():
        return function(*args, **kwargs)
    if use_reentrant is False:
        if not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            from rushlight.ops.creation import zeros

            # The parameters inside may need gradients though no argument does: an extra one joins the graph.
            anchor = zeros((), requires_grad=True)
            return CheckpointFunction.apply(
                lambda _, *a, **k: function(*a, **k), kwargs, preserve_rng_state, anchor, *args
            )
    return CheckpointFunction.apply(function, kwargs, preserve_rng_state, *args)


def checkpoint_sequential(functions, segments: int, input, use_reentrant: bool | None = None, **kwargs):
    """Checkpoint a chain of modules, cut into equal segments; the last one is kept.

    Args:
        functions: a Sequential or a list of callables.
        segments: into how many pieces to cut it.
        input: the input of the first.
        use_reentrant, preserve_rng_state: as in `checkpoint`.
    """
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = len(functions) // segments

    def run(start: int, end: int):
        def forward(x):
            for function in functions[start:end]:
                x = function(x)
            return x

        return forward

    end = -1
    for start in range(0, size * (segments - 1), size):
        end = start + size - 1
        input = checkpoint(run(start, end + 1), input, use_reentrant=use_reentrant, **kwargs)
    return run(end + 1, len(functions))(input)
