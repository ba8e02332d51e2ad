"""Stochastic gradient descent."""

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.grad_mode import enable_grad, no_grad
from rushlight.optim.optimizer import Optimizer, bump, check_modes, check_one_element, run_closure
from rushlight.sparse_tensor import SparseError
from rushlight.tensor import Tensor, wrap


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    The gradient g (plus `weight_decay` times the parameter) goes into a buffer, which starts as the first g:
    b = momentum * b + (1 - dampening) * g. The parameter loses lr * b (Nesterov: lr * (g + momentum * b)).

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: learning rate.
        momentum: how much of the buffer stays; 0 for none.
        dampening: how much of the gradient the buffer does not take, from the second step on.
        weight_decay: L2 penalty.
        nesterov: Nesterov momentum.
        maximize: go up the gradient.
        foreach, fused: accepted; every step is one call over all parameters of a group.
        differentiable: record the step itself, for gradients through it.
    Raises:
        ValueError: an option is out of range.

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning" (2013), in
    PyTorch's form.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.SGD([w], lr=0.1)
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    def __init__(
        self, params, lr=1e-3, momentum: float = 0, dampening: float = 0, weight_decay: float = 0,
        nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        check_one_element("lr", lr)
        if lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_modes(foreach, fused, differentiable)
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach, "differentiable": differentiable,
            "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in _OLD_DEFAULTS.items():
                group.setdefault(name, value)

    def step(self, closure=None):
        """Update the parameters once; returns what `closure` (which recomputes the loss) gave."""
        loss = run_closure(closure)
        for group in self.param_groups:
            params = [p for p in group["params"] if p._grad is not None]
            if group["differentiable"]:
                with enable_grad():
                    for p in params:
                        _recorded_step(p, p._grad, self.state[p], group)
            elif params:
                self._step_group(params, group)
        return loss

    def _step_group(self, params: list[Tensor], group: dict) -> None:
        try:
            arrays = [p._array for p in params]
            grads = [p._grad._array for p in params]
        except SparseError:
            self._step_sparse(params, group)
            return
        momentum, buffers, first = group["momentum"], None, False
        if momentum:
            buffers, first = self._buffers(params)
        K.sgd_step(
            arrays, grads, buffers, float(group["lr"]), float(group["weight_decay"]), float(momentum),
            float(group["dampening"]), group["nesterov"], group["maximize"], first,
        )  # fmt: skip
        bump(params)

    def _step_sparse(self, params: list[Tensor], group: dict) -> None:
        """The step where some gradients are sparse: they change only the rows that they name."""
        with no_grad():
            for p in params:
                if p._grad.is_sparse:
                    _recorded_step(p, p._grad, self.state[p], group)
        dense = [p for p in params if not p._grad.is_sparse]
        if dense:
            self._step_group(dense, group)

    def _buffers(self, params: list[Tensor]) -> tuple[list[np.ndarray], bool | list[bool]]:
        """The momentum buffers, made where missing, and which of them are new."""
        states = [self.state[p] for p in params]
        first = [state.get("momentum_buffer") is None for state in states]
        fresh = any(first)
        if fresh:
            for p, state, new in zip(params, states, first, strict=True):
                if new:
                    state["momentum_buffer"] = wrap(np.empty_like(p._grad._array))
        return [state["momentum_buffer"]._array for state in states], first if fresh else False


_OLD_DEFAULTS = {
    "nesterov": False,
    "maximize": False,
    "foreach": None,
    "differentiable": False,
    "fused": False,
}


def _recorded_step(p: Tensor, grad: Tensor, state: dict, group: dict) -> None:
    """One parameter's step in Tensor operations, so that gradients flow through it."""
    grad = -grad if group["maximize"] else grad
    if group["weight_decay"]:
        grad = grad + group["weight_decay"] * p.clone()
    if group["momentum"]:
        buffer = state.get("momentum_buffer")
        if buffer is None:
            buffer = state["momentum_buffer"] = grad.detach().clone()
        else:
            buffer.mul_(group["momentum"]).add_((1 - group["dampening"]) * grad)
        grad = grad + group["momentum"] * buffer if group["nesterov"] else buffer
    p.sub_(group["lr"] * grad)
