"""NAdam."""

from rushlight.optim._stepped import (
    SteppedOptimizer,
    check_common,
    check_not_negative,
    each,
    scalar_tensor,
)  # fmt: skip
from rushlight.tensor import Tensor


class NAdam(SteppedOptimizer):
    """NAdam: Adam with Nesterov momentum, whose coefficient follows a schedule.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: learning rate.
        betas: how much of the two running means stays at each step.
        eps: added to the denominator.
        weight_decay: L2 penalty; with `decoupled_weight_decay`, the parameter shrinks by lr * weight_decay
            instead.
        momentum_decay: how fast the momentum's coefficient approaches the first beta.
        decoupled_weight_decay: weight decay as in AdamW.
        foreach: accepted; every step is one call over all parameters of a group.
        maximize: go up the gradient.
        capturable: accepted, without effect on the CPU.
        differentiable: record the step itself, for gradients through it.
    Raises:
        ValueError: an option is out of range.

    Source: Dozat, "Incorporating Nesterov Momentum into Adam" (2016).

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.NAdam([w], lr=0.1)
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.8944], requires_grad=True)
    """

    _kernel = "nadam_step"
    _old_defaults = {**SteppedOptimizer._old_defaults, "decoupled_weight_decay": False}
    _counted = ("step", "mu_product")

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        check_common(lr, eps, weight_decay, betas)
        check_not_negative("momentum_decay value", momentum_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _state_names(self, group: dict) -> tuple:
        return "exp_avg", "exp_avg_sq"

    def _new_state(self, state: dict, p: Tensor, group: dict) -> None:
        state["mu_product"] = scalar_tensor(1.0, group)
        super()._new_state(state, p, group)

    def _numbers(self, states: list, steps: list, group: dict) -> list:
        lr, decay = float(group["lr"]), group["weight_decay"]
        beta1, beta2 = group["betas"]
        grad_lr, mean_lr = [], []
        for state, step in zip(states, steps, strict=True):
            now, after = (
                beta1 * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1)
            )
            product = state["mu_product"]._array
            product *= now
            grad_lr.append(lr * (1.0 - now) / (1.0 - product.item()))
            mean_lr.append(lr * after / (1.0 - product.item() * after))
        decoupled = group["decoupled_weight_decay"]
        return [
            grad_lr, mean_lr, each(steps, lambda step: 1 - beta2**step),
            1 - lr * decay if decoupled else 1.0, beta1, beta2, group["eps"], 0 if decoupled else decay,
            group["maximize"],
        ]  # fmt: skip
