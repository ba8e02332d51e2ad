"""Adam."""

import math

import numpy as np

from rushlight import kernels as K
from rushlight.optim.optimizer import (
    Optimizer,
    bump,
    check_modes,
    check_one_element,
    real_parts,
    run_closure,
    step_dtype,
)
from rushlight.tensor import Tensor, wrap


class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: learning rate.
        betas: how much of the two running means stays at each step.
        eps: added to the denominator.
        weight_decay: L2 penalty; with `decoupled_weight_decay`, the parameter shrinks by lr * weight_decay
            instead.
        amsgrad: divide by the largest mean square so far.
        foreach, fused: accepted; every step is one call over all parameters of a group.
        maximize: go up the gradient.
        capturable: accepted, without effect on the CPU.
        differentiable: record the step itself, for gradients through it.
        decoupled_weight_decay: weight decay as in AdamW.
    Raises:
        ValueError: an option is out of range.

    Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2014);
    Reddi et al., "On the Convergence of Adam and Beyond" (2018).

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.Adam([w], lr=0.1)
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):  # fmt: skip
        _check_options(lr, betas, eps, weight_decay, foreach and not capturable)
        check_modes(foreach, fused, differentiable)
        betas = tuple(b.squeeze() if isinstance(b, Tensor) and b.ndim else b for b in betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in _OLD_DEFAULTS.items():
                group.setdefault(name, value)
            for p in group["params"]:
                saved = self.state.get(p)
                if saved and not isinstance(saved["step"], Tensor):
                    saved["step"] = wrap(np.array(float(saved["step"]), step_dtype(group["fused"]).numpy))

    def step(self, closure=None):
        """Update the parameters once; returns what `closure` (which recomputes the loss) gave."""
        loss = run_closure(closure)
        for group in self.param_groups:
            params = [p for p in group["params"] if p._grad is not None]
            if not params:
                continue
            states = [self.state[p] or self._new_state(p, group) for p in params]
            steps = _advance(states)
            if group["differentiable"]:
                for p, state, step in zip(params, states, steps, strict=True):
                    _recorded_step(p, p._grad, state, step, group)
            else:
                _step_group(params, states, steps, group)
        return loss

    def _new_state(self, p: Tensor, group: dict) -> dict:
        state = self.state[p]
        state["step"] = wrap(np.zeros((), step_dtype(group["fused"]).numpy))
        for name in _MOMENTS[: 3 if group["amsgrad"] else 2]:
            state[name] = wrap(np.zeros_like(p._array))
        return state


_MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
_OLD_DEFAULTS = {
    "amsgrad": False, "maximize": False, "foreach": None, "capturable": False, "differentiable": False,
    "fused": None, "decoupled_weight_decay": False,
}  # fmt: skip


def _check_options(lr, betas, eps, weight_decay, only_numbers) -> None:
    for name, value in (("lr", lr), ("betas[0]", betas[0]), ("betas[1]", betas[1])):
        if isinstance(value, Tensor) and only_numbers:
            raise ValueError(f"{name} as a Tensor is not supported for capturable=False and foreach=True")
        check_one_element(name, value)
    if not lr >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")
    if not eps >= 0.0:
        raise ValueError(f"Invalid epsilon value: {eps}")
    for i in (0, 1):
        if not 0.0 <= betas[i] < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
    if not weight_decay >= 0.0:
        raise ValueError(f"Invalid weight_decay value: {weight_decay}")
    kinds = {float if isinstance(b, float) else Tensor if isinstance(b, Tensor) else type(b) for b in betas}
    if kinds not in ({float}, {Tensor}):
        raise ValueError("betas must be either both floats or both Tensors")


def _advance(states: list[dict]) -> list[float]:
    """Count one step in each state; returns the counts."""
    steps = []
    for state in states:
        array = state["step"]._array
        step = array.item() + 1.0
        array.fill(step)
        steps.append(step)
    return steps


def _step_group(params: list[Tensor], states: list[dict], steps: list[float], group: dict) -> None:
    beta1, beta2 = group["betas"]
    moments = [[state[name]._array for state in states] for name in _MOMENTS[: 3 if group["amsgrad"] else 2]]
    lists = [[p._array for p in params], [p._grad._array for p in params], *moments]
    together = steps.count(steps[0]) == len(steps)
    if any(p._array.dtype.kind == "c" for p in params):
        if not together:
            steps = [
                s for s, p in zip(steps, params, strict=True) for _ in range(1 + (p._array.dtype.kind == "c"))
            ]
        lists = [real_parts(arrays) for arrays in lists]
    if len(lists) == 4:
        lists.append(None)
    K.adam_step(
        *lists, steps[0] if together else steps, float(group["lr"]), float(beta1), float(beta2),
        float(group["eps"]), float(group["weight_decay"]), group["decoupled_weight_decay"], group["maximize"],
    )  # fmt: skip
    bump(params)


def _recorded_step(p: Tensor, grad: Tensor, state: dict, step: float, group: dict) -> None:
    """One parameter's step in Tensor operations, so that gradients flow through it."""
    beta1, beta2 = group["betas"]
    lr, mean, square = group["lr"], state["exp_avg"], state["exp_avg_sq"]
    grad = -grad if group["maximize"] else grad
    if group["weight_decay"]:
        if group["decoupled_weight_decay"]:
            p.mul_(1 - lr * group["weight_decay"])
        else:
            grad = grad + group["weight_decay"] * p.clone()
    mean.mul_(beta1).add_((1 - beta1) * grad)
    square.mul_(beta2).add_((1 - beta2) * (grad * grad.conj()))
    if group["amsgrad"]:
        largest = state["max_exp_avg_sq"]
        square = largest.copy_(largest.clone().maximum(square))
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    root = correction2.sqrt() if isinstance(correction2, Tensor) else math.sqrt(correction2)
    p.sub_(lr / correction1 * mean.clone() / (square.clone().sqrt() / root + group["eps"]))
