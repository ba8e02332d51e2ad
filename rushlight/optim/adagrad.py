"""Adagrad."""

from rushlight.optim._stepped import (
    SteppedOptimizer,
    check_common,
    check_not_negative,
    each,
    full_like,
)  # fmt: skip
from rushlight.optim.optimizer import check_modes
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
