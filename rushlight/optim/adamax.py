"""Adamax."""

from rushlight.optim._stepped import SteppedOptimizer, check_common, each


class Adamax(SteppedOptimizer):
    """Adamax: Adam with the largest gradient, fading, in place of the root of the mean square.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: learning rate.
        betas: how much of the running mean and of the largest gradient stays at each step.
        eps: added to the absolute value of the gradient.
        weight_decay: L2 penalty.
        foreach: accepted; every step is one call over all parameters of a group.
        maximize: go up the gradient.
        capturable: accepted, without effect on the CPU.
        differentiable: record the step itself, for gradients through it.
    Raises:
        ValueError: an option is out of range.

    Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2014), section 7.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.Adamax([w], lr=0.1)
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    _kernel = "adamax_step"

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ):  # fmt: skip
        check_common(lr, eps, weight_decay, betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _state_names(self, group: dict) -> tuple:
        return "exp_avg", "exp_inf"

    def _numbers(self, states: list, steps: list, group: dict) -> list:
        lr, (beta1, beta2) = float(group["lr"]), group["betas"]
        rate = each(steps, lambda step: lr / (1 - beta1**step))
        return [rate, beta1, beta2, group["eps"], group["weight_decay"], group["maximize"]]
