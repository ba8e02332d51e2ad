"""Himmelblau's function has four minima: which one do optimizers find, and by which way?

    python examples/himmelblau.py

Reports what every optimizer reaches from four starts, and draws the ways in out/himmelblau.png.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from common import options

import rushlight as torch

MINIMA = torch.tensor([[3.0, 2.0], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848126]])
STARTS = [[0.0, 0.0], [4.0, 0.0], [-4.0, 0.0], [0.5, -4.5]]
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.005),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.002, momentum=0.9),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.02),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1),
}


def himmelblau(x):
    """(x² + y - 11)² + (x + y² - 7)²."""
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def descend(make, start: list[float], steps: int):
    """The way [steps + 1, 2] of an optimizer."""
    x = torch.tensor(start, requires_grad=True)
    optimizer, way = make([x]), [x.detach().clone()]
    for _ in range(steps):
        loss = himmelblau(x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        way.append(x.detach().clone())
    return torch.stack(way)


def draw(ways: dict, path) -> None:
    """The function from above with the ways, and as a surface."""
    x, y = np.meshgrid(np.arange(-6, 6, 0.1), np.arange(-6, 6, 0.1))
    z = himmelblau([x, y])
    figure = plt.figure(figsize=(11, 5), layout="constrained")
    flat, deep = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2, projection="3d")
    flat.contour(x, y, z, np.logspace(-1, 3, 20), cmap="gray", linewidths=0.5)
    for (name, found), colour in zip(ways.items(), ("C0", "C1", "C2", "C3"), strict=True):
        for i, way in enumerate(found):
            flat.plot(*way.T.numpy(), color=colour, linewidth=1, label=name if i == 0 else None)
    flat.plot(*MINIMA.T.numpy(), "k*")
    flat.legend()
    deep.plot_surface(x, y, z, cmap="viridis")
    deep.view_init(60, -30)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    """Descend, report, draw."""
    args = options(__doc__, {"steps": 30}, steps=500)
    ways = {}
    for name, make in OPTIMIZERS.items():
        ways[name] = [descend(make, start, args.steps) for start in STARTS]
        ends = torch.stack([way[-1] for way in ways[name]])
        distance, nearest = torch.cdist(ends, MINIMA).min(1)
        print(f"{name:8} minima {nearest.tolist()}, distances {[f'{d:.0e}' for d in distance.tolist()]}")
    draw(ways, args.out / "himmelblau.png")
    values = torch.stack([himmelblau(way[-1]) for found in ways.values() for way in found])
    print(f"{(values < 1e-3).sum()} of {len(values)} ways end in a minimum; {args.out / 'himmelblau.png'}")


if __name__ == "__main__":
    main()
