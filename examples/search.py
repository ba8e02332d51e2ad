"""A network of N layers whose hyper-parameters are searched, on a grid and by chance.

    python examples/search.py --data DATA       CIFAR-10; without, the bundled digits

Reports the best configuration of each search and its accuracy on the test set.
"""

from itertools import pairwise

import numpy as np
from common import accuracy, digits, options

import rushlight as torch
from rushlight import nn
from rushlight.tune import grid_search, random_search
from rushlight.utils.data import DataLoader, TensorDataset
from rushlight.vision import datasets


class LayersNet(nn.Sequential):
    """`num_layer` linear layers with an activation between them."""

    def __init__(self, inputs: int, hidden_size: int = 100, num_layer: int = 2, activation=nn.ReLU):
        sizes = [inputs] + [hidden_size] * (num_layer - 1)
        hidden = [nn.Sequential(nn.Linear(*pair), activation()) for pair in pairwise(sizes)]
        super().__init__(nn.Flatten(), *hidden, nn.Linear(sizes[-1], 10))


def pictures(data, train: bool, limit: int):
    """Normalised pictures and labels: CIFAR-10 of the folder, or the bundled digits."""
    if data is None:
        x, y = digits(None, train, limit)
        return (x - 0.3) / 0.35, y
    found = (
        datasets.CIFAR10(data, train=train, batches=(1,)) if train else datasets.CIFAR10(data, train=False)
    )
    x = torch.from_numpy(np.asarray(found.data[:limit])).permute(0, 3, 1, 2).float() / 255
    mean, deviation = torch.tensor([0.492, 0.482, 0.447]), torch.tensor([0.247, 0.243, 0.261])
    x = (x - mean[:, None, None]) / deviation[:, None, None]
    return x.contiguous(), torch.tensor(found.targets[:limit])


def main() -> None:
    """Search both ways; the best of each is tested."""
    quick = {"pictures": 300, "tries": 2, "epochs": 2}
    args = options(__doc__, quick, pictures=5000, tries=8, epochs=15)
    x, y = pictures(args.data, True, args.pictures)
    cut = len(x) * 4 // 5
    train = DataLoader(TensorDataset(x[:cut], y[:cut]), batch_size=64, shuffle=True)
    val = DataLoader(TensorDataset(x[cut:], y[cut:]), batch_size=500)
    net = lambda hidden_size=100, num_layer=2, activation=nn.ReLU: LayersNet(
        x[0].numel(), hidden_size, num_layer, activation
    )
    grid = {"learning_rate": [1e-2, 1e-3, 1e-4], "reg": [1e-4, 1e-6]}
    chance = {
        "learning_rate": ([1e-4, 3e-3], "log"),
        "reg": ([1e-6, 1e-3], "log"),
        "hidden_size": ([50, 200], "int"),
        "num_layer": ([2, 4], "int"),
        "activation": ([nn.ReLU, nn.Sigmoid, nn.LeakyReLU], "item"),
    }
    found = {
        "grid": grid_search(train, val, grid, net, epochs=args.epochs, patience=3),
        "chance": random_search(train, val, chance, net, args.tries, args.epochs, patience=3, seed=args.seed),
    }
    held_out = pictures(args.data, False, 10_000)
    reports = []
    for name, (model, results) in found.items():
        config, figures = min(results, key=lambda result: result[1]["val_loss"])
        shown = {
            k: f"{v:.1e}" if isinstance(v, float) else getattr(v, "__name__", v) for k, v in config.items()
        }
        print(f"{name}: best of {len(results)}: {shown}, validation loss {figures['val_loss']:.3f}")
        reports.append(f"{name} {accuracy(model, *held_out):.2%}")
    print(
        f"{', '.join(reports)} of {len(held_out[1])} test pictures of {'CIFAR-10' if args.data else 'digits'}"
    )


if __name__ == "__main__":
    main()
