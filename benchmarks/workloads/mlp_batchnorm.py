"""MLP 784-300-100-10 with BatchNorm, batch 64, SGD."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(784, 300), nn.BatchNorm1d(300), nn.ReLU(True),
        nn.Linear(300, 100), nn.BatchNorm1d(100), nn.ReLU(True),
        nn.Linear(100, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return training_step(torch, model, optimizer, torch.randn(64, 784), torch.randint(0, 10, (64,)))
