"""Solutions of differential equations by every method, gradients by both ways, events, a small neural ODE."""

import torch
from torch import nn
from torchdiffeq import odeint, odeint_adjoint, odeint_event

torch.manual_seed(0)
true_A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
y0, t = torch.tensor([[2.0, 0.0]]), torch.linspace(0.0, 2.0, 9)


class Lambda(nn.Module):
    def forward(self, t, y):
        return torch.mm(y**3, true_A)


for method in (
    "dopri5",
    "dopri8",
    "bosh3",
    "fehlberg2",
    "adaptive_heun",
    "euler",
    "midpoint",
    "rk4",
    "explicit_adams",
    "implicit_adams",
):
    with torch.no_grad():
        print(method, odeint(Lambda(), y0, t, method=method)[-1])


class ODEFunc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 2))

    def forward(self, t, y):
        return self.net(y**3)


truth = odeint(Lambda(), y0, t)
for solve in (odeint, odeint_adjoint):
    torch.manual_seed(1)
    func = ODEFunc()
    optimizer = torch.optim.RMSprop(func.parameters(), lr=1e-3)
    for _ in range(5):
        optimizer.zero_grad()
        loss = (solve(func, y0, t, rtol=1e-5, atol=1e-7) - truth).abs().mean()
        loss.backward()
        optimizer.step()
        print(f"{loss.item():.5f}")
event_t, state = odeint_event(
    lambda t, y: torch.stack([y[1], torch.tensor(-9.8)]), torch.tensor([10.0, 0.0]), torch.tensor(0.0), event_fn=lambda t, y: y[0],
    reverse_time=False, odeint_interface=odeint, atol=1e-8, rtol=1e-8,
)  # fmt: skip
print(event_t, state.shape)
