"""Averaged stochastic gradient descent."""

from rushlight.optim._stepped import SteppedOptimizer, check_common, scalar_tensor
from rushlight.tensor import Tensor


class ASGD(SteppedOptimizer):
    """Averaged stochastic gradient descent: `state[p]["ax"]` is the mean of a parameter's values since step t0.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: learning rate at the first step; at step t it is lr / (1 + lambd * lr * t) ** alpha.
        lambd: decay of the parameters and of the learning rate.
        alpha: the power of that decay.
        t0: the step after which values are averaged.
        weight_decay: L2 penalty.
        foreach: accepted; every step is one call over all parameters of a group.
        maximize: go up the gradient.
        capturable: accepted, without effect on the CPU.
        differentiable: record the step itself, for gradients through it.
    Raises:
        ValueError: an option is out of range.

    Source: Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992).

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.ASGD([w], lr=0.1)
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    _kernel = "asgd_step"
    _counted = ("step", "eta", "mu")

    def __init__(
        self, params, lr=1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False, capturable: bool = False,
    ):  # fmt: skip
        check_common(lr, 0, weight_decay)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _state_names(self, group: dict) -> tuple:
        return ("ax",)

    def _new_state(self, state: dict, p: Tensor, group: dict) -> None:
        state["eta"] = scalar_tensor(float(group["lr"]), group)
        state["mu"] = scalar_tensor(1.0, group)
        super()._new_state(state, p, group)

    def _numbers(self, states: list, steps: list, group: dict) -> list:
        rates = [state["eta"].item() for state in states]
        weights = [state["mu"].item() for state in states]
        lr, lambd = float(group["lr"]), group["lambd"]
        for state, step in zip(states, steps, strict=True):  # for the next step
            state["eta"]._array.fill(lr / (1 + lambd * lr * step) ** group["alpha"])
            state["mu"]._array.fill(1 / max(1, step - group["t0"]))
        return [rates, lambd, weights, group["weight_decay"], group["maximize"]]
