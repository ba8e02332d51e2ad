"""Train LeNet-5 on real handwritten digits, save it, load it again, and draw what it learned.

    python examples/digits.py --out out

Reaches 99.7 % on the 359 held-out digits, after about three seconds of training.
"""

import argparse
import pathlib
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from tqdm import tqdm

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import nn
from rushlight.utils.data import DataLoader, TensorDataset
from rushlight.vision.datasets import Digits


class LeNet5(nn.Module):
    """LeCun et al., "Gradient-based learning applied to document recognition" (1998), with ReLU and max pooling."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
        )

    def forward(self, x):
        """Scores of shape (N, 10) for pictures of shape (N, 1, 32, 32)."""
        return self.classifier(self.features(x))


def pictures(train: bool):
    """One part of the digits: pictures enlarged to 32x32, with mean 0, and labels."""
    digits = Digits(train=train)
    images = F.interpolate(
        digits.data.float().unsqueeze(1) / 16, size=(32, 32), mode="bilinear", align_corners=False
    )
    return (images - 0.3) / 0.35, digits.targets


def shifted(images):
    """The batch moved by up to two pixels in each direction, so that the network learns shape, not place."""
    dx, dy = torch.randint(-2, 3, (2,)).tolist()
    return torch.roll(images, (dy, dx), (2, 3))


def train(model, loader, optimizer, scheduler, epochs: int) -> list[float]:
    """Train, with a progress bar; returns the loss of every step."""
    losses = []
    with tqdm(total=epochs * len(loader), unit="batch") as bar:
        for epoch in range(epochs):
            for images, labels in loader:
                loss = F.cross_entropy(model(shifted(images)), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                bar.set_postfix(epoch=epoch + 1, loss=f"{losses[-1]:.4f}", refresh=False)
                bar.update()
            scheduler.step()
    return losses


@torch.no_grad()
def accuracy(model, images, labels) -> float:
    """The share of pictures whose highest score is their label's."""
    return (model(images).argmax(1) == labels).float().mean().item()


@torch.no_grad()
def picture(model, losses, images, labels, path: pathlib.Path) -> None:
    """Draw the loss curve and some predictions; wrong ones in red."""
    figure = plt.figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.3))
    axes = left.subplots()
    axes.semilogy(losses, linewidth=0.8)
    axes.set(xlabel="step", ylabel="cross-entropy", title="Training loss")
    guesses = model(images).argmax(1)
    wrong = (guesses != labels).nonzero().flatten().tolist()
    chosen = (wrong + [i for i in range(len(labels)) if i not in wrong])[:24]
    right.suptitle("Held-out digits: prediction (wrong ones first, in red: prediction / truth)")
    for axes, i in zip(right.subplots(3, 8).flat, chosen, strict=True):
        guess, truth = guesses[i].item(), labels[i].item()
        axes.imshow(images[i, 0].numpy(), cmap="gray_r")
        axes.set_title(
            str(guess) if guess == truth else f"{guess} / {truth}", color="k" if guess == truth else "r"
        )
        axes.axis("off")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train, save, load, evaluate, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("out"), help="folder for what it makes"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    weights, drawing = args.out / "lenet5_digits.pt", args.out / "digits.png"

    torch.manual_seed(args.seed)
    images, labels = pictures(train=True)
    loader = DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True)
    model = LeNet5()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    start = time.perf_counter()
    losses = train(model, loader, optimizer, scheduler, args.epochs)
    seconds = time.perf_counter() - start
    torch.save(model.state_dict(), weights)

    loaded = LeNet5()
    loaded.load_state_dict(torch.load(weights))
    held_out, truth = pictures(train=False)
    share = accuracy(loaded.eval(), held_out, truth)
    picture(loaded, losses, held_out, truth, drawing)
    print(f"{len(truth)} held-out digits: {share:.2%} right after {seconds:.1f} s of training")
    print(f"weights: {weights}\npicture: {drawing}")


if __name__ == "__main__":
    main()
