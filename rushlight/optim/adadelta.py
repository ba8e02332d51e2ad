"""Adadelta."""

from rushlight.optim._stepped import SteppedOptimizer, check_common


class Adadelta(SteppedOptimizer):
    """Adadelta: the gradient divided by the root of its mean square, times that of the moves so far.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: what the moves are multiplied by.
        rho: how much of the two running means stays at each step.
        eps: added to both mean squares.
        weight_decay: L2 penalty.
        foreach: accepted; every step is one call over all parameters of a group.
        maximize: go up the gradient.
        capturable: accepted, without effect on the CPU.
        differentiable: record the step itself, for gradients through it.
    Raises:
        ValueError: an option is out of range.

    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method" (2012).

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.Adadelta([w])
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.9968], requires_grad=True)
    """

    _kernel = "adadelta_step"

    def __init__(
        self, params, lr=1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False,
        differentiable: bool = False,
    ):  # fmt: skip
        check_common(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_common(lr, eps, weight_decay)
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _state_names(self, group: dict) -> tuple:
        return "square_avg", "acc_delta"

    def _numbers(self, states: list, steps: list, group: dict) -> list:
        return [
            float(group["lr"]), group["rho"], group["eps"], group["weight_decay"], group["maximize"],
        ]  # fmt: skip
