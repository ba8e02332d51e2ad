"""Adagrad."""

import numpy as np

from rushlight.optim._stepped import (
    SteppedOptimizer,
    check_common,
    check_not_negative,
    each,
    full_like,
    sparse_entries,
)  # fmt: skip
from rushlight.optim.optimizer import bump, check_modes
from rushlight.tensor import Tensor


class Adagrad(SteppedOptimizer):
    """Adagrad: steps divided by the root of the sum of all squared gradients so far.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: learning rate; step t uses lr / (1 + (t - 1) * lr_decay).
        lr_decay: how fast the learning rate falls.
        weight_decay: L2 penalty.
        initial_accumulator_value: where the sums of squares start.
        eps: added to the denominator.
        foreach, fused: accepted; every step is one call over all parameters of a group.
        maximize: go up the gradient.
        differentiable: record the step itself, for gradients through it.
    Raises:
        ValueError: an option is out of range.

    Source: Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization" (2011).

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.Adagrad([w], lr=0.1)
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    _kernel = "adagrad_step"
    _takes_sparse = True
    _old_defaults = {"foreach": None, "maximize": False, "differentiable": False, "fused": None}

    def __init__(
        self, params, lr=1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        check_common(lr)
        check_not_negative("lr_decay value", lr_decay)
        check_not_negative("weight_decay value", weight_decay)
        check_not_negative("initial_accumulator_value value", initial_accumulator_value)
        check_not_negative("epsilon value", eps)
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_modes(foreach, fused, differentiable)
        for group in self.param_groups:
            for p in group["params"]:
                self._start(p, group)

    def share_memory(self) -> None:
        """Put the sums of squares into memory that other processes see too."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["sum"].share_memory_()

    def _state_names(self, group: dict) -> tuple:
        return ("sum",)

    def _new_state(self, state: dict, p: Tensor, group: dict) -> None:
        state["sum"] = full_like(p, self.defaults["initial_accumulator_value"])

    def _numbers(self, states: list, steps: list, group: dict) -> list:
        lr, decay = float(group["lr"]), group["lr_decay"]
        rate = each(steps, lambda step: lr / (1 + (step - 1) * decay))
        return [rate, group["eps"], group["weight_decay"], group["maximize"]]

    def _run(self, params: list, states: list, names: tuple, numbers: list) -> None:
        sparse = [p._grad.is_sparse for p in params]
        if not any(sparse):
            super()._run(params, states, names, numbers)
            return
        for i, (p, state) in enumerate(zip(params, states, strict=True)):
            own = [n[i] if isinstance(n, list) else n for n in numbers]
            if sparse[i]:
                self._run_sparse(p, state["sum"]._array, *own)
            else:
                super()._run([p], [state], names, own)

    def _run_sparse(self, p: Tensor, total, rate, eps, weight_decay, maximize) -> None:
        """The step of a parameter whose gradient is sparse: it changes only the entries that this names."""
        if weight_decay:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        at, grad = sparse_entries(p, maximize)
        total[at] += grad * grad
        p._array[at] -= rate * grad / (np.sqrt(total[at]) + eps)
        bump([p])
