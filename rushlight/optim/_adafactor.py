"""Adafactor."""

import math

import numpy as np

from rushlight.optim._stepped import scalar_tensor, with_gradients
from rushlight.optim.optimizer import Optimizer, bump, check_one_element, run_closure
from rushlight.tensor import Tensor, wrap


class Adafactor(Optimizer):
    """Adafactor: Adam that keeps only row and column means of the squared gradients of matrices.

    Args:
        params: parameters, (name, parameter) pairs, or dicts with "params" and options of their own.
        lr: the largest relative step size; step t uses min(lr, 1 / sqrt(t)).
        beta2_decay: the running mean takes t ** beta2_decay of the squared gradient of step t.
        eps: the smallest root mean square to divide by (None: the type's own), and the smallest parameter scale.
        d: updates with a larger root mean square are scaled down to it.
        weight_decay: the parameter shrinks by lr * weight_decay at each step.
        foreach: accepted.
        maximize: go up the gradient.
    Raises:
        ValueError: an option is out of range.

    Source: Shazeer & Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost" (2018), with the
    learning rate as PyTorch uses it.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> opt = torch.optim.Adafactor([w], lr=0.1)
    >>> (w * 2).sum().backward()
    >>> opt.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self, params, lr=1e-2, beta2_decay: float = -0.8, eps=(None, 1e-3), d: float = 1.0,
        weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ):  # fmt: skip
        check_one_element("lr", lr)
        if not lr >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0.0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0.0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
            for p in group["params"]:
                saved = self.state.get(p)
                if saved and not isinstance(saved["step"], Tensor):
                    saved["step"] = scalar_tensor(float(saved["step"]), group)

    def step(self, closure=None):
        """Update the parameters once; returns what `closure` (which recomputes the loss) gave."""
        loss = run_closure(closure)
        for group in self.param_groups:
            params = with_gradients(self, group)
            for p in params:
                if p.is_complex():
                    raise RuntimeError("Adafactor does not support complex parameters")
                _update(p._array, p._grad._array, self.state[p] or self._start(p, group), group)
            bump(params)
        return loss

    def _start(self, p: Tensor, group: dict) -> dict:
        state, grad = self.state[p], p._grad._array
        state["step"] = scalar_tensor(0.0, group)
        if grad.ndim > 1:
            state["row_var"] = wrap(np.zeros((*grad.shape[:-1], 1), grad.dtype))
            state["col_var"] = wrap(np.zeros((*grad.shape[:-2], 1, grad.shape[-1]), grad.dtype))
        else:
            state["variance"] = wrap(np.zeros_like(grad))
        return state


def _update(p: np.ndarray, grad: np.ndarray, state: dict, group: dict) -> None:
    eps1, eps2 = group["eps"]
    eps1 = float(np.finfo(p.dtype).eps) if eps1 is None else eps1
    lr = float(group["lr"])
    grad = -grad if group["maximize"] else grad
    count = state["step"]._array
    count += 1
    step = count.item()
    fresh = step ** group["beta2_decay"]
    size = max(eps2, _root_mean_square(p)) * min(lr, 1 / math.sqrt(step))
    if group["weight_decay"]:
        p *= 1 - lr * group["weight_decay"]
    square = grad * grad
    if grad.ndim > 1:
        rows = _towards(state["row_var"]._array, square.mean(-1, keepdims=True), fresh)
        columns = _towards(state["col_var"]._array, square.mean(-2, keepdims=True), fresh)
        variance = rows * columns
        variance /= np.maximum(rows.mean(-2, keepdims=True), eps1)
    else:
        variance = _towards(state["variance"]._array, square, fresh)
    update = grad / np.sqrt(np.maximum(variance, eps1 * eps1))
    p -= size / max(1.0, _root_mean_square(update) / group["d"]) * update


def _towards(mean: np.ndarray, value: np.ndarray, share: float) -> np.ndarray:
    """Move a running mean, in place."""
    mean += share * (value - mean)
    return mean


def _root_mean_square(x: np.ndarray) -> float:
    return math.sqrt(float(np.vdot(x, x)) / max(x.size, 1))
