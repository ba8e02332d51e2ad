"""LeNet-5 on 28x28 images, batch 64, Adam."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    return training_step(torch, model, optimizer, torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,)))
