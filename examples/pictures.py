"""Train a convolutional network on MNIST, Fashion-MNIST or CIFAR-10, and say how well it does on the test set.

    python examples/pictures.py mnist --data DATA
    python examples/pictures.py fashion
    python examples/pictures.py cifar10 --framework torch      the same under PyTorch, to compare

DATA is a folder as torchvision lays it out (MNIST/raw, FashionMNIST/raw, cifar-10-batches-py or -bin). Of CIFAR-10 the first
10,000 training pictures are enough.
"""

import argparse
import importlib
import pathlib
import time

import numpy as np
from tqdm import tqdm

from rushlight.vision import datasets

# Widths of the network's stages, epochs, highest learning rate, largest shift in pixels, whether mirrored pictures mean the same.
SETTINGS = {
    "mnist": {"widths": (32, 64), "epochs": 8, "lr": 0.05, "shift": 3, "mirror": False},
    "fashion": {"widths": (32, 64, 128), "epochs": 10, "lr": 0.05, "shift": 2, "mirror": True},
    "cifar10": {"widths": (32, 64, 128, 256), "epochs": 30, "lr": 0.06, "shift": 3, "mirror": True},
}
BATCH = 100


def read(name: str, folder: pathlib.Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [N, C, H, W] from 0 to 1 and labels [N]."""
    if name == "cifar10":
        found = (
            datasets.CIFAR10(folder, train=train, batches=(1,))
            if train
            else datasets.CIFAR10(folder, train=False)
        )
        images, labels = np.asarray(found.data).transpose(0, 3, 1, 2), np.array(found.targets)
    else:
        cls = {"mnist": datasets.MNIST, "fashion": datasets.FashionMNIST}[name]
        found = cls(folder, train=train)
        images, labels = found.data.numpy()[:, None], found.targets.numpy()
    return np.ascontiguousarray(images, np.float32) / 255, labels


def network(torch, channels: int, widths, classes: int = 10):
    """Stages that halve the picture: a 3x3 convolution to more channels, and two with a shortcut around them."""
    nn = torch.nn

    def convolution(inside, outside):
        return nn.Sequential(
            nn.Conv2d(inside, outside, 3, padding=1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
        )

    class Stage(nn.Module):
        """Half the size, a wider layer, and a residual pair."""

        def __init__(self, inside, outside):
            super().__init__()
            self.wider = nn.Sequential(nn.MaxPool2d(2), convolution(inside, outside))
            self.residual = nn.Sequential(convolution(outside, outside), convolution(outside, outside))

        def forward(self, x):
            x = self.wider(x)
            return x + self.residual(x)

    stem, rest = widths[0], widths[1:]
    stages = [Stage(inside, outside) for inside, outside in zip(widths, rest, strict=False)]
    return nn.Sequential(
        convolution(channels, stem), *stages, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(widths[-1], classes),
    )  # fmt: skip


def varied(torch, images, mirror: bool, shift: int):
    """The batch moved by up to `shift` pixels, each picture by its own, and half of them mirrored."""
    n, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (shift,) * 4)
    down, right = torch.randint(0, 2 * shift + 1, (2, n))
    columns = torch.arange(width)
    if mirror:
        columns = torch.where(torch.rand(n, 1) < 0.5, columns, columns.flip(0))
    rows = (torch.arange(height) + down[:, None])[:, None, :, None]
    columns = (columns + right[:, None])[:, None, None, :]
    picture, channel = (
        torch.arange(n)[:, None, None, None],
        torch.arange(images.shape[1])[None, :, None, None],
    )
    return padded[picture, channel, rows, columns]


def train(torch, model, images, labels, epochs: int, lr: float, shift: int, mirror: bool) -> None:
    """SGD with Nesterov momentum, one cycle of the learning rate, smoothed labels."""
    data = torch.utils.data.TensorDataset(images, labels)
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH, shuffle=True, drop_last=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, epochs=epochs, steps_per_epoch=len(loader), pct_start=0.25
    )
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.05)
    with tqdm(total=epochs * len(loader), unit="batch", mininterval=1) as bar:
        for epoch in range(epochs):
            total = 0.0
            for x, y in loader:
                loss = criterion(model(varied(torch, x, mirror, shift)), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item()
                bar.update()
            bar.set_postfix(epoch=epoch + 1, loss=f"{total / len(loader):.4f}")


def accuracy(torch, model, images, labels) -> float:
    """The share of pictures whose highest score is their label's."""
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in zip(images.split(500), labels.split(500), strict=True):
            right += (model(x).argmax(1) == y).sum().item()
    return right / len(labels)


def main() -> None:
    """Read, train, evaluate, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=SETTINGS)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data"))
    parser.add_argument("--framework", choices=("rushlight", "torch"), default="rushlight")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--limit", type=int, help="train on this many pictures only")
    parser.add_argument("--test", type=int, help="test on this many pictures only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out"))
    args = parser.parse_args()
    torch = importlib.import_module(args.framework)
    settings = SETTINGS[args.name]
    epochs = args.epochs or settings["epochs"]

    torch.manual_seed(args.seed)
    images, labels = read(args.name, args.data, train=True)
    images, labels = images[: args.limit], labels[: args.limit]
    mean, deviation = images.mean((0, 2, 3), keepdims=True), images.std((0, 2, 3), keepdims=True)
    normal = lambda x: torch.from_numpy((x - mean) / deviation)
    model = network(torch, images.shape[1], settings["widths"])
    start = time.perf_counter()
    varying = {name: settings[name] for name in ("lr", "shift", "mirror")}
    train(torch, model, normal(images), torch.from_numpy(labels), epochs, **varying)
    seconds = time.perf_counter() - start
    held_out, truth = (part[: args.test] for part in read(args.name, args.data, train=False))
    share = accuracy(torch, model, normal(held_out), torch.from_numpy(truth))
    args.out.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), args.out / f"{args.name}.pt")
    print(f"{args.name}: {share:.2%} of {len(truth)} test pictures, after {epochs} epochs in {seconds:.0f} s")


if __name__ == "__main__":
    main()
