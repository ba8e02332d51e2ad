"""RMSprop."""

from rushlight.optim._stepped import SteppedOptimizer, check_common, check_not_negative


class RMSprop(SteppedOptimizer):
    """RMSprop: steps divided by the root of a running mean of the squared gradient.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: learning rate.
        alpha: how much of the running mean stays at each step.
        eps: added to the denominator.
        weight_decay: L2 penalty.
        momentum: how much of the last move is added to the next; 0 for none.
        centered: divide by the standard deviation instead, with a running mean of the gradient.
        foreach: accepted; every step is one call over all parameters of a group.
        maximize: go up the gradient.
        capturable: accepted, without effect on the CPU.
        differentiable: record the step itself, for gradients through it.
    Raises:
        ValueError: an option is out of range.

    Source: Hinton, "Neural Networks for Machine Learning", lecture 6 (2012); centered: Graves, "Generating
    Sequences With Recurrent Neural Networks" (2013).

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.RMSprop([w], lr=0.01)
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    _kernel = "rmsprop_step"
    _old_defaults = {**SteppedOptimizer._old_defaults, "momentum": 0, "centered": False}

    def __init__(
        self, params, lr=1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        check_common(lr, eps)
        check_not_negative("momentum value", momentum)
        check_not_negative("weight_decay value", weight_decay)
        check_not_negative("alpha value", alpha)
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _state_names(self, group: dict) -> tuple:
        momentum, centered = group["momentum"] > 0, group["centered"]
        return "square_avg", "momentum_buffer" if momentum else None, "grad_avg" if centered else None

    def _numbers(self, states: list, steps: list, group: dict) -> list:
        return [
            float(group["lr"]), group["alpha"], group["eps"], group["weight_decay"], group["momentum"],
            group["maximize"],
        ]  # fmt: skip
