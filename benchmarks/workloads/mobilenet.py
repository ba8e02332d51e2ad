"""Depthwise-separable network in MobileNet's way on 32x32 images, batch 32, SGD with momentum."""

from training import training_step

STAGES = (
    (32, 64, 1),
    (64, 128, 2),
    (128, 128, 1),
    (128, 256, 2),
    (256, 256, 1),
    (256, 512, 2),
    (512, 512, 1),
)


def build(torch):
    """The training step."""
    nn = torch.nn

    def separable(inside, outside, stride):
        return [
            nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False),
            nn.BatchNorm2d(inside), nn.ReLU6(inplace=True),
            nn.Conv2d(inside, outside, 1, bias=False),
            nn.BatchNorm2d(outside), nn.ReLU6(inplace=True),
        ]  # fmt: skip

    layers = [nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6(inplace=True)]
    for stage in STAGES:
        layers += separable(*stage)
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    return training_step(torch, model, optimizer, torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,)))
