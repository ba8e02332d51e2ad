"""Muon."""

import math

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.grad_mode import no_grad
from rushlight.dtypes import bfloat16
from rushlight.optim._stepped import with_gradients, zeros_like
from rushlight.optim.optimizer import Optimizer, check_one_element, run_closure
from rushlight.tensor import Tensor, wrap


class Muon(Optimizer):
    """Muon: momentum whose matrix is made orthogonal, for the weights of hidden layers.

    Args:
        params: matrices; other parameters are for another optimizer, such as AdamW.
        lr: learning rate.
        weight_decay: the parameter shrinks by lr * weight_decay at each step.
        momentum: how much of the running mean of the gradient stays at each step.
        nesterov: mix the gradient into that mean once more.
        ns_coefficients: of the quintic polynomial of the Newton-Schulz iteration.
        eps: the smallest norm to divide by.
        ns_steps: iterations, fewer than 100.
        adjust_lr_fn: "original" (the default) for lr * sqrt(max(1, rows / columns)), "match_rms_adamw" for
            lr * 0.2 * sqrt(max(rows, columns)).
    Raises:
        ValueError: an option is out of range, or a parameter is not a matrix.

    Source: Jordan, "Muon: An optimizer for hidden layers in neural networks" (2024); Liu et al., "Muon is
    Scalable for LLM Training" (2025).

    >>> import rushlight as torch
    >>> w = torch.zeros(2, 2, requires_grad=True)
    >>> opt = torch.optim.Muon([w], lr=0.1)
    >>> (w * torch.eye(2)).sum().backward()
    >>> opt.step()
    >>> bool((w.diagonal() < -0.05).all())
    True
    """

    def __init__(
        self, params, lr=1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients=(3.4445, -4.7750, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):  # fmt: skip
        check_one_element("lr", lr)
        for name, value in (("Learning rate", lr), ("momentum", momentum), ("weight decay", weight_decay)):
            if not value >= 0.0:
                raise ValueError(f"{name} should be >= 0 but is: {value}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

    def step(self, closure=None):
        """Update the parameters once; returns what `closure` (which recomputes the loss) gave."""
        loss = run_closure(closure)
        with no_grad():
            for group in self.param_groups:
                for p in with_gradients(self, group):
                    self._update(p, group)
        return loss

    def _update(self, p: Tensor, group: dict) -> None:
        if p.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        lr, momentum, grad = float(group["lr"]), group["momentum"], p.grad
        if "momentum_buffer" not in self.state[p]:
            self.state[p]["momentum_buffer"] = zeros_like(grad)
        buffer = self.state[p]["momentum_buffer"]
        buffer.lerp_(grad, 1 - momentum)
        update = grad.lerp(buffer, momentum) if group["nesterov"] else buffer
        update = _orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        p.mul_(1 - lr * group["weight_decay"])
        p.add_(update, alpha=-lr * _rate(group["adjust_lr_fn"], *p.shape))


def _orthogonal(grad: Tensor, coefficients, steps: int, eps: float) -> Tensor:
    """About U @ V.T of a matrix U @ S @ V.T, by a Newton-Schulz iteration rounded to bfloat16."""
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    x = _rounded(grad._array)
    tall = x.shape[0] > x.shape[1]
    x = np.ascontiguousarray(x.T) if tall else x
    x = _rounded(x / np.maximum(_rounded(np.linalg.norm(x)), eps))
    for _ in range(steps):
        gram = _rounded(K.matmul(x, np.ascontiguousarray(x.T)))
        x = _rounded(a * x + K.matmul(_rounded(b * gram + c * K.matmul(gram, gram)), x))
    return wrap(x.T if tall else x)


def _rounded(x: np.ndarray) -> np.ndarray:
    """Numbers as bfloat16 has them, in float32, so that each formula is rounded once."""
    return np.asarray(x).astype(bfloat16.numpy).astype(np.float32)


def _rate(adjust: str | None, rows: int, columns: int) -> float:
    """What the learning rate is multiplied by for a matrix of this shape."""
    if adjust == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / columns))
