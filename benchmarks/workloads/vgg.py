"""VGG-like network with dropout on 32x32 images, batch 32, SGD with momentum."""

from training import training_step


def build(torch):
    """The training step."""
    nn = torch.nn
    layers, inside = [], 3
    for outside, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3)):
        for _ in range(convolutions):
            layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.ReLU(inplace=True)]
            inside = outside
        layers.append(nn.MaxPool2d(2))
    layers += [
        nn.Flatten(),
        nn.Linear(512 * 2 * 2, 512), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.Linear(512, 512), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.Linear(512, 10),
    ]  # fmt: skip
    model = nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return training_step(torch, model, optimizer, torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,)))
