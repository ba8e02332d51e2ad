"""How sure is a network, and may one believe it? Dropout at test time, a temperature, and networks that vote.

    python examples/uncertainty.py --data DATA      MNIST; without, the bundled digits

A network learns from few digits, and is too sure of itself. Reports accuracy and calibration error (how far confidence and
accuracy lie apart) of its softmax, of the mean over draws of dropout, of both with a temperature that was fitted on digits
it did not learn from, and of a bagging ensemble; draws the network and the best of them in out/calibration_*.png. Of the
digits that dropout is surest of, and least sure of, it says how many are right.
"""

from common import digits, options, source

import rushlight as torch
from rushlight import nn, plot
from rushlight.utils.data import DataLoader, TensorDataset
from rushlight.validation import TemperatureScaling, bagging, expected_calibration_error, mc_dropout


def network():
    """Two hidden layers with dropout."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Dropout(), nn.Linear(256, 256), nn.ReLU(), nn.Dropout(),
        nn.Linear(256, 10),
    )  # fmt: skip


def fit(model, train, epochs: int) -> None:
    """Adam on the cross-entropy."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    model.train()
    for _ in range(epochs):
        for x, y in DataLoader(train, 32, shuffle=True):
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()


def main() -> None:
    """Train, calibrate, compare."""
    quick = {"epochs": 3, "models": 2, "draws": 5}
    args = options(__doc__, quick, pictures=300, epochs=80, models=5, draws=30)
    x, y = digits(args.data, train=True, limit=2 * args.pictures)
    train = TensorDataset(x[: args.pictures], y[: args.pictures])
    val_x, val_y = x[args.pictures :], y[args.pictures :]
    test_x, test_y = digits(args.data, train=False)

    model = network()
    fit(model, train, args.epochs)
    votes = bagging(
        network, train, lambda m, part: fit(m, part, args.epochs), count=args.models, seed=args.seed
    )
    drawn = mc_dropout(model, test_x, draws=args.draws)
    scores = {
        "softmax": (model(val_x), model(test_x)),
        "dropout": (mc_dropout(model, val_x, draws=args.draws).mean.log(), drawn.mean.log()),
        "bagging": (votes(val_x).log(), votes(test_x).log()),
    }
    found, report = {}, []
    for name, (val, test) in scores.items():
        scaling = TemperatureScaling().fit(val, val_y)
        found[name] = test.detach().softmax(1)
        found[f"{name} at temperature {scaling.temperature:.2f}"] = scaling(test).detach().softmax(1)
    for name, chances in found.items():
        error = expected_calibration_error(chances, test_y)
        right = (chances.argmax(1) == test_y).float().mean()
        print(f"{name:32} {right:.1%} right, calibration error {error:.3f}")
        report.append((error.item(), name))
    surest = drawn.entropy.argsort().split(len(test_y) // 10)
    shares = [
        (drawn.mean[part].argmax(1) == test_y[part]).float().mean().item() for part in (surest[0], surest[9])
    ]
    print(f"by entropy, {shares[0]:.1%} of the surest tenth are right, and {shares[1]:.1%} of the least sure")
    best = min(report)
    for name, chances in (("softmax", found["softmax"]), ("best", found[best[1]])):
        plot.calibration(chances, test_y).savefig(args.out / f"calibration_{name}.png", dpi=100)
    print(
        f"calibration error on {len(test_y)} test pictures of {source(args.data)}: softmax {report[0][0]:.3f}, "
        f"{best[1]} {best[0]:.3f}"
    )


if __name__ == "__main__":
    main()
