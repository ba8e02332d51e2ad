"""Gradients through the steps of optimizers, as in MAML, and copies of networks without state."""

import higher
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(1, 4, 3),
    nn.BatchNorm2d(4, momentum=1, affine=True),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(36, 5),
)
meta = torch.optim.Adam(net.parameters(), lr=1e-3)
kinds = {
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-1, momentum=0.9), "Adam": lambda p: torch.optim.Adam(p, lr=1e-2),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-2), "Adagrad": lambda p: torch.optim.Adagrad(p, lr=1e-2),
    "Adadelta": lambda p: torch.optim.Adadelta(p), "Adamax": lambda p: torch.optim.Adamax(p),
}  # fmt: skip
for name, make in kinds.items():
    torch.manual_seed(1)
    x, y = torch.randn(10, 1, 8, 8), torch.randint(5, (10,))
    meta.zero_grad()
    with higher.innerloop_ctx(net, make(net.parameters()), copy_initial_weights=False) as (fnet, diffopt):
        for _ in range(3):
            diffopt.step(F.cross_entropy(fnet(x), y))
        loss = F.cross_entropy(fnet(x), y)
        loss.backward()
    print(name, f"{loss.item():.5f}", [f"{p.grad.norm().item():.5f}" for p in net.parameters()])
    meta.step()
functional = higher.patch.monkeypatch(net, copy_initial_weights=True)
print(functional(x, params=[p * 0.9 for p in net.parameters()])[0])
rate = torch.tensor(0.1, requires_grad=True)
with higher.innerloop_ctx(net, torch.optim.SGD(net.parameters(), lr=0.1), override={"lr": [rate]}) as (
    fnet,
    diffopt,
):
    diffopt.step(F.cross_entropy(fnet(x), y))
    print(torch.autograd.grad(F.cross_entropy(fnet(x), y), rate))
