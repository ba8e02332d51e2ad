"""Autoencoder 784-256-20-256-784 with a sigmoid output and mean squared error, batch 128, Adam."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 20),
        nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 784), nn.Sigmoid(),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    x = torch.rand(128, 784)
    return training_step(torch, model, optimizer, x, x, criterion=nn.MSELoss())
