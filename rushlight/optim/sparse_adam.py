"""Adam for sparse gradients."""

import math

import numpy as np

from rushlight.optim._stepped import sparse_entries, zeros_like
from rushlight.optim.optimizer import Optimizer, bump, check_one_element, run_closure
from rushlight.tensor import Tensor


class SparseAdam(Optimizer):
    """Adam that changes only the entries that a sparse gradient names, in the parameter and in both means.

    Args:
        params: dense parameters whose gradients are sparse, such as those of `nn.Embedding(..., sparse=True)`.
        lr: learning rate.
        betas: how much of the two running means stays at each step.
        eps: added to the denominator.
        maximize: go up the gradient.
    Raises:
        ValueError: an option is out of range, or a parameter is sparse or complex.

    Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2014).

    >>> import rushlight as torch
    >>> table = torch.nn.Embedding(3, 2, sparse=True)
    >>> before = table.weight.detach().clone()
    >>> table(torch.tensor([1])).sum().backward()
    >>> torch.optim.SparseAdam(table.parameters(), lr=0.1).step()
    >>> (table.weight != before).any(1)
    tensor([False,  True, False])
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps: float = 1e-8, maximize: bool = False):
        check_one_element("lr", lr)
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        for what, refuses, wanted in (
            ("Sparse", lambda p: p.is_sparse, "requires dense parameter tensors"),
            ("Complex", lambda p: p.is_complex(), "does not support complex parameters"),
        ):
            found = [
                [i, j]
                for i, group in enumerate(self.param_groups)
                for j, p in enumerate(group["params"])
                if refuses(p)
            ]
            if found:
                raise ValueError(f"{what} params at indices {found}: SparseAdam {wanted}")

    def step(self, closure=None):
        """Update the parameters once; returns what `closure` (which recomputes the loss) gave."""
        loss = run_closure(closure)
        for group in self.param_groups:
            for p in group["params"]:
                if p._grad is not None:
                    self._update(p, group)
        return loss

    def _update(self, p: Tensor, group: dict) -> None:
        if not p._grad.is_sparse:
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
        state = self.state[p]
        if not state:
            state.update(step=0, exp_avg=zeros_like(p), exp_avg_sq=zeros_like(p))
        state["step"] += 1
        at, grad = sparse_entries(p, group.get("maximize", False))
        if not grad.size:
            return
        (beta1, beta2), step = group["betas"], state["step"]
        mean, square = state["exp_avg"]._array, state["exp_avg_sq"]._array
        new_mean = mean[at] + (grad - mean[at]) * (1 - beta1)
        new_square = square[at] + (grad * grad - square[at]) * (1 - beta2)
        mean[at], square[at] = new_mean, new_square
        rate = float(group["lr"]) * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        p._array[at] -= rate * new_mean / (np.sqrt(new_square) + group["eps"])
        bump([p])
