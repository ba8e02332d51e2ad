"""Himmelblau's function has four minima: which one do optimizers find, and by which way?

    python examples/himmelblau.py

Reports what every optimizer reaches from four starts, and draws the ways from the first of them in out/himmelblau.png.
"""

from common import options

import rushlight as torch
from rushlight import plot

MINIMA = torch.tensor([[3.0, 2.0], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848126]])
STARTS = [(0.0, 0.0), (4.0, 0.0), (-4.0, 0.0), (0.5, -4.5)]
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.005),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.002, momentum=0.9),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.02),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1),
}


def main() -> None:
    """Descend, report, draw."""
    args = options(__doc__, {"steps": 30}, steps=500)
    values = []
    for name, make in OPTIMIZERS.items():
        ends = torch.stack([plot.descend(plot.himmelblau, start, make, args.steps)[-1] for start in STARTS])
        distance, nearest = torch.cdist(ends, MINIMA.double()).min(1)
        values += plot.himmelblau(*ends.T).tolist()
        print(f"{name:8} minima {nearest.tolist()}, distances {[f'{d:.0e}' for d in distance.tolist()]}")
    figure = plot.optimizer_paths(plot.himmelblau, STARTS[0], OPTIMIZERS, steps=args.steps)
    figure.savefig(args.out / "himmelblau.png", dpi=100)
    reached = sum(value < 1e-3 for value in values)
    print(f"{reached} of {len(values)} ways end in a minimum; {args.out / 'himmelblau.png'}")


if __name__ == "__main__":
    main()
