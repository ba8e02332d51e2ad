"""MLP 784-512-512-10 with GELU and dropout, batch 200, trained in bfloat16 under autocast, Adam."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(784, 512), nn.GELU(), nn.Dropout(0.1),
        nn.Linear(512, 512), nn.GELU(), nn.Dropout(0.1), nn.Linear(512, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    x, y = torch.randn(200, 784), torch.randint(0, 10, (200,))
    return training_step(torch, model, optimizer, x, y, low=torch.bfloat16)
