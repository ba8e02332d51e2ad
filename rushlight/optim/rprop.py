"""Resilient backpropagation."""

from rushlight.optim._stepped import SteppedOptimizer, check_common, full_like, zeros_like
from rushlight.tensor import Tensor


class Rprop(SteppedOptimizer):
    """Rprop: each element has a step size of its own, which follows the sign of the gradient; for full batches.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: the step size at the start.
        etas: what a step size is multiplied by where the sign has changed, and where it has not.
        step_sizes: the smallest and the largest step size.
        foreach: accepted; every step is one call over all parameters of a group.
        maximize: go up the gradient.
        capturable: accepted, without effect on the CPU.
        differentiable: record the step itself, for gradients through it.
    Raises:
        ValueError: an option is out of range.

    Source: Riedmiller & Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP
    Algorithm" (1993).

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.Rprop([w], lr=0.1)
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    _kernel = "rprop_step"

    def __init__(
        self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, capturable: bool = False,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        check_common(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _state_names(self, group: dict) -> tuple:
        return "prev", "step_size"

    def _new_state(self, state: dict, p: Tensor, group: dict) -> None:
        state["prev"] = zeros_like(p)
        state["step_size"] = full_like(p, float(group["lr"]))

    def _numbers(self, states: list, steps: list, group: dict) -> list:
        return [*group["etas"], *group["step_sizes"], group["maximize"]]
