"""One 5x5 convolution of 30 filters and two linear layers on 28x28 images, batch 100, SGD."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 30, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(30 * 12 * 12, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return training_step(torch, model, optimizer, torch.randn(100, 1, 28, 28), torch.randint(0, 10, (100,)))
