"""Adam."""

from rushlight.optim._stepped import SteppedOptimizer, each
from rushlight.optim.optimizer import check_modes, check_one_element
from rushlight.tensor import Tensor


class Adam(SteppedOptimizer):
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

    _kernel = "adam_step"
    _sparse_hint = ", please consider SparseAdam instead"
    _old_defaults = {
        "amsgrad": False, "maximize": False, "foreach": None, "capturable": False, "differentiable": False,
        "fused": None, "decoupled_weight_decay": False,
    }  # fmt: skip

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

    def _state_names(self, group: dict) -> tuple:
        return "exp_avg", "exp_avg_sq", "max_exp_avg_sq" if group["amsgrad"] else None

    def _numbers(self, states: list, steps: list, group: dict) -> list:
        return [
            each(steps, float), group["lr"], *group["betas"], group["eps"], group["weight_decay"],
            group["decoupled_weight_decay"], group["maximize"],
        ]  # fmt: skip


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
