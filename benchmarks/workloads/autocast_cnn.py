"""A CNN with batch norm on 32x32 images, batch 32, trained in bfloat16 under autocast, SGD."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn

    def block(channels, out):
        return [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)]

    model = nn.Sequential(
        *block(3, 32),
        *block(32, 64),
        *block(64, 64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, y = torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,))
    return training_step(torch, model, optimizer, x, y, low=torch.bfloat16)
