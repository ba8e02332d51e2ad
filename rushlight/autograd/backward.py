"""`backward` and `grad`: what users call to run a backward pass."""

import warnings

import numpy as np

from rushlight.autograd.engine import run
from rushlight.kernels.reference.layout import ones_by
from rushlight.tensor import Tensor, wrap

_UNUSED = (
    "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this is the "
    "desired behavior."
)


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Add the gradients of `tensors` with respect to the leaves to the leaves' `.grad`.

    Args:
        tensors: a tensor or several.
        grad_tensors: the gradient of each; None for tensors of one element.
        retain_graph: keep the graph for another pass; by default what `create_graph` is.
        create_graph: record the pass itself, for higher derivatives.
        inputs: accumulate only into these.
    Raises:
        RuntimeError: a tensor does not require gradients, or has more than one element and no gradient is given.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> torch.autograd.backward(x.sum())
    >>> x.grad
    tensor([1., 1.])
    """
    roots = _tuple(tensors)
    grads = _root_gradients(roots, _tuple(grad_tensors, len(roots)))
    if create_graph:
        warnings.warn(
            "Using backward() with create_graph=True will create a reference cycle between the parameter and its "
            "gradient which can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid "
            "this. If you have to use this function, make sure to reset the .grad fields of your parameters to None "
            "after use to break the cycle and avoid the leak.",
            stacklevel=3,
        )
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        run(roots, grads, retain_graph=keep, create_graph=create_graph)
        return
    inputs = _tuple(inputs)
    if not inputs:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    found = run(roots, grads, retain_graph=keep, create_graph=create_graph, inputs=inputs)
    for t, g in zip(inputs, found, strict=True):
        if g is None or t._retains_grad:  # what is retained has been added already
            continue
        t._grad = g if t._grad is None else t._grad + g
        for hook in list((t._post_accumulate_hooks or {}).values()):
            hook(t)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
) -> tuple:
    """The gradients of the sum of `outputs` with respect to `inputs`.

    Args:
        outputs: a tensor or several.
        inputs: a tensor or several that require gradients.
        grad_outputs: the gradient of each output; None for outputs of one element.
        retain_graph, create_graph: as in `backward`.
        allow_unused: give None for an input that no output depends on, instead of an error.
        is_grads_batched: `grad_outputs` have a leading dimension of several gradients to send through.
        materialize_grads: zeros instead of None.
    Returns:
        One gradient per input.
    Raises:
        RuntimeError: an input is unused or does not require gradients.

    >>> import rushlight as torch
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> torch.autograd.grad(x**3, x)
    (tensor(12.),)
    """
    roots, wanted = _tuple(outputs), _tuple(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: False."
        )
    for t in wanted:
        if not t._rg:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    keep = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        return _grad_batched(
            roots,
            wanted,
            _tuple(grad_outputs, len(roots)),
            keep,
            create_graph,
            allow_unused,
            materialize_grads,
        )
    grads = _root_gradients(roots, _tuple(grad_outputs, len(roots)))
    found = run(roots, grads, retain_graph=keep, create_graph=create_graph, inputs=wanted)
    for i, (t, g) in enumerate(zip(wanted, found, strict=True)):
        if g is None:
            if materialize_grads:
                found[i] = wrap(np.zeros_like(t._array))
            elif not allow_unused:
                raise RuntimeError(_UNUSED)
    return tuple(found)


def _grad_batched(roots, wanted, batched, keep, create_graph, allow_unused, materialize) -> tuple:
    from rushlight.func.batched import Level, gradients, taken

    count = next(g for g in batched if g is not None)._array.shape[0]
    with Level(count, "different") as level:
        grads = _root_gradients(roots, [None if g is None else level.batched(g) for g in batched])
        found = [
            None if g is None else taken(g, level)
            for g in gradients(roots, wanted, grads, create_graph, keep)
        ]
    if materialize:  # as PyTorch: of the input's own shape, not one per gradient
        found = [
            wrap(np.zeros_like(t._array)) if g is None else g for t, g in zip(wanted, found, strict=True)
        ]
    elif not allow_unused and any(g is None for g in found):
        raise RuntimeError(_UNUSED)
    return tuple(found)


def _tuple(value, length: int = 1) -> tuple:
    if value is None:
        return (None,) * length
    return (value,) if isinstance(value, Tensor) else tuple(value)


def _root_gradients(roots, grads) -> list:
    if len(roots) != len(grads):
        raise RuntimeError(f"got {len(roots)} tensors and {len(grads)} gradients")
    found = []
    for root, g in zip(roots, grads, strict=True):
        if not root._rg:
            raise RuntimeError(
                "element 0 of tensors does not require grad and does not have a grad_fn: it was computed from nothing "
                "that has requires_grad=True, or under torch.no_grad(), or detached"
            )
        if g is None:
            if root._array.size != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs, but this one has shape "
                    f"{list(root._array.shape)}. Reduce it first, as loss.mean() or loss.sum(), or give its gradient"
                )
            if not root.dtype.is_floating_point:
                raise RuntimeError(
                    f"grad can be implicitly created only for real scalar outputs but got {root.dtype}"
                )
            g = wrap(ones_by(root._array, root._array.shape))
        elif not isinstance(g, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
        elif (
            g._array.shape != root._array.shape if type(g) is type(root) is Tensor else g.shape != root.shape
        ):
            raise RuntimeError(
                f"Mismatch in shape: grad_output[0] has a shape of {g.shape} and output[0] has a shape of {root.shape}."
            )
        found.append(g)
    return found
