"""What the examples share: their options, pictures of digits, a share of right answers."""

import argparse
import pathlib

import rushlight as torch
from rushlight.nn import functional as F
from rushlight.vision import datasets


def options(description: str, quick: dict, **defaults) -> argparse.Namespace:
    """The command line's options; sets the seed.

    Args:
        description: the example's docstring.
        quick: what `--quick` sets, to see in a second that the example runs.
        defaults: an option for each, of its type.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--data", type=pathlib.Path, help="folder of real data, as torchvision lays it out")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out"), help="folder for pictures")
    parser.add_argument("--seed", type=int, default=0)
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=type(value), help=f"default {value}")
    args = parser.parse_args()
    for name, value in (defaults | quick if args.quick else defaults).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    return args


def digits(data: pathlib.Path | None, train: bool, limit: int | None = None):
    """Pictures of handwritten digits [N, 1, 28, 28] from 0 to 1 and labels [N].

    Args:
        data: a folder with MNIST; None takes the digits that Rushlight brings, 1,438 for training and 359 for testing,
            enlarged from 8x8.
        train: the training or the test set.
        limit: so many at most.
    """
    if data is not None:
        found = datasets.MNIST(data, train=train)
        return found.data[:limit].unsqueeze(1).float() / 255, found.targets[:limit]
    found = datasets.Digits(train=train)
    images = F.interpolate(found.data[:limit].unsqueeze(1).float() / 16, size=(28, 28), mode="bilinear")
    return images, found.targets[:limit]


def source(data: pathlib.Path | None) -> str:
    """What `digits` reads, for the report."""
    return "the bundled digits" if data is None else "MNIST"


@torch.no_grad()
def accuracy(model, x, y) -> float:
    """The share of samples whose highest score is their label's; leaves the model in evaluation mode."""
    model.eval()
    right = sum(
        (model(a).argmax(1) == b).sum().item() for a, b in zip(x.split(500), y.split(500), strict=True)
    )
    return right / len(y)
