"""Hooks around the backward pass of a whole module: identity nodes before and behind what it computed."""

import warnings

from rushlight.autograd.node import Node
from rushlight.ops.common import record_many
from rushlight.ops.creation import zeros
from rushlight.tensor import Tensor, recording


class BackwardHookFunctionBackward(Node):
    """Passes gradients on, zeros where there is none; the hooks sit on it."""

    def backward(self, *grads):
        return tuple(
            zeros(shape, dtype=kind) if g is None else g
            for g, (shape, kind) in zip(grads, self.kinds, strict=True)
        )


class BackwardHook:
    """One call of a module with full backward hooks.

    Args:
        module: the module that is called.
        hooks: called with (module, gradients of the inputs, gradients of the outputs) when both are known.
        pre_hooks: called with (module, gradients of the outputs), which they may replace.
    """

    def __init__(self, module, hooks: list, pre_hooks: list):
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.grad_outputs: tuple | None = None
        self.inputs: list[int] | None = None  # which arguments are tensors; None where none needs a gradient
        self.n_inputs = 0

    def watch_inputs(self, args: tuple) -> tuple:
        """The arguments, with a node in front of the tensors that reports their gradients."""
        self.n_inputs = len(args)
        args, self.inputs, node = _through_node(args)
        if node is not None:
            node.register_hook(lambda grads, _: self._inputs_known(grads))
        return args

    def watch_outputs(self, result):
        """The result, with a node behind it that reports its gradients."""
        outputs, positions, node = _through_node(result if isinstance(result, tuple) else (result,))
        if node is None:
            return result
        node.register_hook(lambda _, grads: self._outputs_known(grads, positions, len(outputs)))
        return outputs if isinstance(result, tuple) else outputs[0]

    def _outputs_known(self, grads: tuple, positions: list[int], count: int) -> tuple:
        grad_outputs = _spread(grads, positions, count)
        for hook in self.pre_hooks:
            changed = hook(self.module, grad_outputs)
            if changed is not None:
                changed = changed if isinstance(changed, tuple | list) else (changed,)
                _check_count("Backward pre hook", "grad_output", changed, count)
                grad_outputs = tuple(changed)
        self.grad_outputs = grad_outputs
        if self.inputs is None:
            self._call_without_inputs()
        return tuple(grad_outputs[i] for i in positions)

    def _call_without_inputs(self) -> None:
        """No input needs a gradient: call the hooks as soon as the gradients of the outputs are known."""
        if self.hooks:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module outputs "
                "since no inputs require gradients. See "
                "https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html"
                "#torch.nn.Module.register_full_backward_hook for more details.",
                stacklevel=2,
            )
        for hook in self.hooks:
            changed = hook(self.module, (None,) * self.n_inputs, self.grad_outputs)
            if changed is not None and not (isinstance(changed, tuple) and all(c is None for c in changed)):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always return None or "
                    "None for all gradients."
                )
        self.grad_outputs = None

    def _inputs_known(self, grads: tuple):
        if self.grad_outputs is None:
            return None  # the gradient came another way, not through the outputs
        grad_inputs = _spread(grads, self.inputs, self.n_inputs)
        for hook in self.hooks:
            changed = hook(self.module, grad_inputs, self.grad_outputs)
            if changed is not None:
                changed = changed if isinstance(changed, tuple | list) else (changed,)
                _check_count("Backward hook", "grad_input", changed, self.n_inputs)
                grad_inputs = tuple(changed)
        self.grad_outputs = None
        return tuple(grad_inputs[i] for i in self.inputs)


def _through_node(values: tuple):
    """The values, the tensors among them joined to one new node; their positions and the node, or None."""
    positions = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
    tensors = [values[i] for i in positions]
    if not recording(*tensors):
        return values, None, None
    joined = record_many(
        [t._strided() for t in tensors],  # settled, as both tensors now look at it
        BackwardHookFunctionBackward,
        tensors,
        differentiable=[t._rg for t in tensors],
        kinds=[(t.shape, t.dtype) for t in tensors],
    )
    node = next(t._node for t in joined if t._node is not None)
    replaced = list(values)
    for i, old, new in zip(positions, tensors, joined, strict=True):
        new._follow(old)
        replaced[i] = new
    return type(values)(*replaced) if hasattr(values, "_fields") else tuple(replaced), positions, node


def _spread(grads, positions: list[int], count: int) -> tuple:
    """Gradients of tensors at their positions among all values, None elsewhere."""
    spread: list = [None] * count
    for i, grad in zip(positions, grads, strict=True):
        spread[i] = grad
    return tuple(spread)


def _check_count(who: str, what: str, changed, expected: int) -> None:
    if len(changed) != expected:
        raise RuntimeError(
            f"{who} returned an invalid number of {what}, got {len(changed)}, but expected {expected}"
        )
