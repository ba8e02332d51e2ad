"""RAdam."""

import math

from rushlight.optim._stepped import SteppedOptimizer, check_common, each


class RAdam(SteppedOptimizer):
    """RAdam: Adam that holds back while its running mean square is uncertain.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: learning rate.
        betas: how much of the two running means stays at each step.
        eps: added to the denominator.
        weight_decay: L2 penalty; with `decoupled_weight_decay`, the parameter shrinks by lr * weight_decay
            instead.
        decoupled_weight_decay: weight decay as in AdamW.
        foreach: accepted; every step is one call over all parameters of a group.
        maximize: go up the gradient.
        capturable: accepted, without effect on the CPU.
        differentiable: record the step itself, for gradients through it.
    Raises:
        ValueError: an option is out of range.

    Source: Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond" (2020).

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.RAdam([w], lr=0.1)
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    _kernel = "radam_step"
    _old_defaults = {**SteppedOptimizer._old_defaults, "decoupled_weight_decay": False}

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        decoupled_weight_decay: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        check_common(lr, eps, weight_decay, betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _state_names(self, group: dict) -> tuple:
        return "exp_avg", "exp_avg_sq"

    def _numbers(self, states: list, steps: list, group: dict) -> list:
        lr, decay = float(group["lr"]), group["weight_decay"]
        beta1, beta2 = group["betas"]
        decoupled = group["decoupled_weight_decay"]
        return [
            each(steps, lambda step: lr / (1 - beta1**step)), each(steps, lambda step: _rectified(step, beta2)),
            1 - lr * decay if decoupled else 1.0, beta1, beta2, group["eps"], 0 if decoupled else decay,
            group["maximize"],
        ]  # fmt: skip


def _rectified(step: float, beta2: float) -> float:
    """What the root of the mean square is corrected by, for its bias and its variance; 0 while that is too large."""
    correction = 1 - beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * beta2**step / correction
    if length <= 5.0:
        return 0.0
    ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return math.sqrt(correction) * math.sqrt(ratio)
