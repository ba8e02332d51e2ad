"""Sparse attention: sparsemax, entmax 1.5, the bisecting forms, budgets, losses, gradients."""

import torch
from entmax import (
    EntmaxBisectLoss,
    budget_bisect,
    entmax15,
    entmax15_loss,
    entmax_bisect,
    normmax_bisect,
    sparsemax,
    sparsemax_loss,
)  # fmt: skip

torch.manual_seed(0)
x = torch.randn(4, 6, requires_grad=True)
print(sparsemax(x, dim=0), entmax15(x, dim=-1), entmax_bisect(x, alpha=1.3), normmax_bisect(x, alpha=2))
alpha = torch.tensor(1.33, requires_grad=True)
p = entmax_bisect(x, alpha)
g = torch.autograd.grad(p[0, :].square().sum(), (x, alpha))
print(g)
print(budget_bisect(x, budget=2))
target = torch.tensor([0, 3, 2, 5])
for loss in (sparsemax_loss(x, target), entmax15_loss(x, target), EntmaxBisectLoss(1.2)(x, target)):
    x.grad = None
    loss.sum().backward()
    print(loss, x.grad[0])
