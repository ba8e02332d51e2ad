"""A network that is too large for its data: what dropout, weight decay and early stopping help.

    python examples/overfitting.py --data DATA      MNIST; without, the bundled digits

Trains the same network in five ways on 200 digits, of which a fifth have wrong labels. Reports the accuracy on the training
set and on the test set.
"""

import copy

from common import accuracy, digits, options, source

import rushlight as torch
from rushlight import nn


def network(dropout: float):
    """Two wide hidden layers."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(512, 512), nn.ReLU(), nn.Dropout(dropout), nn.Linear(512, 10),
    )  # fmt: skip


def train(model, x, y, val, epochs: int, decay: float = 0.0, patience: int | None = None) -> int:
    """Adam; with patience, until the validation loss has not fallen for so many epochs. Returns the epochs trained."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=decay)
    best, weights, waited, epoch = float("inf"), None, 0, 0
    while epoch < epochs:
        epoch += 1
        model.train()
        for chosen in torch.randperm(len(x)).split(32):
            loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if patience is None:
            continue
        with torch.no_grad():
            loss = nn.functional.cross_entropy(model.eval()(val[0]), val[1]).item()
        if loss < best:
            best, weights, waited = loss, copy.deepcopy(model.state_dict()), 0
        elif (waited := waited + 1) >= patience:
            break
    if weights:
        model.load_state_dict(weights)
    return epoch


def main() -> None:
    """Five ways, on the same data with wrong labels among them."""
    args = options(__doc__, {"epochs": 3}, pictures=200, epochs=60, wrong=0.2)
    x, y = digits(args.data, train=True)
    val = x[args.pictures : 2 * args.pictures], y[args.pictures : 2 * args.pictures]
    x, y = x[: args.pictures], y[: args.pictures].clone()
    wrong = torch.rand(len(y)) < args.wrong
    y[wrong] = torch.randint(10, (int(wrong.sum()),))  # labels as careless people give them
    held_out = digits(args.data, train=False)
    report = []
    for name, dropout, more in (
        ("nothing", 0.0, {}),
        ("dropout", 0.5, {}),
        ("weight decay", 0.0, {"decay": 3.0}),
        ("early stopping", 0.0, {"patience": 5}),
        ("all three", 0.5, {"decay": 3.0, "patience": 5}),
    ):
        model = network(dropout)
        epochs = train(model, x, y, val, args.epochs, **more)
        shares = accuracy(model, x, y), accuracy(model, *held_out)
        print(f"{name:15} {epochs:3} epochs: training {shares[0]:.1%}, test {shares[1]:.1%}")
        report.append(f"{name} {shares[1]:.1%}")
    print(
        f"test pictures of {source(args.data)}, {args.wrong:.0%} wrong training labels: {', '.join(report)}"
    )


if __name__ == "__main__":
    main()
