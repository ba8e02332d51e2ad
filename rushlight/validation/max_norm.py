"""Weights that may not grow too large."""

import rushlight as torch
from rushlight.autograd.grad_mode import no_grad
from rushlight.nn import Module

__all__ = ["max_norm_"]


@no_grad()
def max_norm_(parameters, limit: float = 3.0, dim: int = 0) -> None:
    """Shorten, in place, the incoming weights of each unit whose norm is above a limit; call it after each step.

    Args:
        parameters: a module (all its parameters of 2 dimensions or more), a tensor, or several.
        limit: the largest norm.
        dim: the dimension of units: 0 for weights of `Linear` and convolutions.

    Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting" (2014), which uses it with dropout.

    >>> from rushlight.validation import max_norm_
    >>> weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0], [0.3, 0.4]]))
    >>> max_norm_(weight, limit=1.0)
    >>> weight.detach()
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if isinstance(parameters, Module):
        parameters = [p for p in parameters.parameters() if p.dim() > 1]
    for weight in [parameters] if isinstance(parameters, torch.Tensor) else parameters:
        others = [d for d in range(weight.dim()) if d != dim % weight.dim()]
        norms = torch.linalg.vector_norm(weight, dim=others, keepdim=True)
        weight.mul_((limit / norms.clamp(min=1e-12)).clamp(max=1.0))
