"""MLP 784-200-200-10, batch 200, Adam."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    return training_step(torch, model, optimizer, torch.randn(200, 784), torch.randint(0, 10, (200,)))
