"""AdamW: Adam with decoupled weight decay."""

from rushlight.optim.adam import Adam


class AdamW(Adam):
    """Adam in which weight decay shrinks the parameter directly, apart from the running means.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: learning rate.
        betas: how much of the two running means stays at each step.
        eps: added to the denominator.
        weight_decay: the parameter shrinks by lr * weight_decay at each step.
        amsgrad: divide by the largest mean square so far.
        maximize, foreach, capturable, differentiable, fused: as for `Adam`.

    Source: Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019).

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.AdamW([w], lr=0.1)
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.8990], requires_grad=True)
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps: float = 1e-8, weight_decay: float = 1e-2,
        amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
