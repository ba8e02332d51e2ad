"""From LeNet to ResNet: five architectures, trained alike.

    python examples/architectures.py --data DATA        MNIST; without, the bundled digits

Reports parameters, seconds and test accuracy of each. Pictures and epochs are few, so that all of them take minutes.
"""

import time

from common import accuracy, digits, options, source

import rushlight as torch
from rushlight import nn


def convolution(inside: int, outside: int, size: int = 3, **more):
    """Convolution, batch normalisation, ReLU."""
    more.setdefault("padding", size // 2)
    layer = nn.Conv2d(inside, outside, size, bias=False, **more)
    return nn.Sequential(layer, nn.BatchNorm2d(outside), nn.ReLU(inplace=True))


class Inception(nn.Module):
    """Windows of several sizes side by side."""

    def __init__(self, inside: int, each: int):
        super().__init__()
        self.branches = nn.ModuleList([
            convolution(inside, each, 1),
            nn.Sequential(convolution(inside, each, 1), convolution(each, each, 3)),
            nn.Sequential(convolution(inside, each, 1), convolution(each, each, 5)),
            nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), convolution(inside, each, 1)),
        ])  # fmt: skip

    def forward(self, x):
        """The channels of all branches."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class Residual(nn.Module):
    """What two convolutions add to their input."""

    def __init__(self, inside: int, outside: int, stride: int = 1):
        super().__init__()
        self.first = convolution(inside, outside, stride=stride)
        self.second = nn.Sequential(
            nn.Conv2d(outside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside)
        )
        self.short = nn.Identity() if stride == 1 else nn.Conv2d(inside, outside, 1, stride=stride)

    def forward(self, x):
        """The sum, after ReLU."""
        return torch.relu(self.short(x) + self.second(self.first(x)))


def end(width: int):
    """The mean of each channel, and scores."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]


NETWORKS = {
    "LeNet-5": lambda: nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    ),
    "AlexNet, small": lambda: nn.Sequential(
        nn.Conv2d(1, 24, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(24, 48, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(48 * 36, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    ),
    "VGG, small": lambda: nn.Sequential(
        convolution(1, 16), convolution(16, 16), nn.MaxPool2d(2), convolution(16, 32), convolution(32, 32), nn.MaxPool2d(2),
        convolution(32, 64), *end(64),
    ),
    "GoogLeNet, small": lambda: nn.Sequential(
        convolution(1, 16), nn.MaxPool2d(2), Inception(16, 8), Inception(32, 12), nn.MaxPool2d(2), Inception(48, 16), *end(64)
    ),
    "ResNet, small": lambda: nn.Sequential(
        convolution(1, 16), nn.MaxPool2d(2), Residual(16, 16), Residual(16, 32, 2), Residual(32, 64, 2), *end(64)
    ),
}  # fmt: skip


def main() -> None:
    """Train and test each."""
    args = options(__doc__, {"pictures": 100, "epochs": 1}, pictures=3000, epochs=3)
    x, y = digits(args.data, train=True, limit=args.pictures)
    held_out = digits(args.data, train=False, limit=100 if args.quick else None)
    report = []
    for name, make in NETWORKS.items():
        model, start = make(), time.perf_counter()
        optimizer = torch.optim.Adam(model.parameters(), 2e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
        for _ in range(args.epochs):
            for chosen in torch.randperm(len(x)).split(50):
                loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
        seconds = time.perf_counter() - start
        share = accuracy(model, *held_out)
        print(
            f"{name:17} {sum(p.numel() for p in model.parameters()):7} parameters {seconds:5.1f} s  {share:.2%}"
        )
        report.append(f"{name} {share:.2%}")
    print(f"{len(held_out[1])} test pictures of {source(args.data)}: {'; '.join(report)}")


if __name__ == "__main__":
    main()
