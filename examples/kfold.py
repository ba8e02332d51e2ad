"""K-fold cross-validation chooses how wide a network should be; the test set is used once.

    python examples/kfold.py --data DATA        MNIST; without, the bundled digits

Reports mean and deviation of the accuracy over the folds for each width, and the test accuracy of the chosen one.
"""

from common import accuracy, digits, options, source

import rushlight as torch
from rushlight import nn
from rushlight.validation import KFold


def fit(width: int, x, y, epochs: int):
    """A network with one hidden layer, trained."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(32):
            loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def main() -> None:
    """Choose, train on everything, test."""
    args = options(__doc__, {"pictures": 200, "folds": 3, "epochs": 1}, pictures=1200, folds=10, epochs=8)
    x, y = digits(args.data, train=True, limit=args.pictures)
    splits = list(KFold(args.folds, shuffle=True).split(x))
    means = {}
    for width in (4, 16, 64, 256):
        shares = torch.tensor([accuracy(fit(width, x[a], y[a], args.epochs), x[b], y[b]) for a, b in splits])
        means[width] = shares.mean().item()
        print(f"width {width:3}: {means[width]:.2%} ± {shares.std():.2%}")
    best = max(means, key=means.get)
    share = accuracy(fit(best, x, y, args.epochs), *digits(args.data, train=False))
    print(
        f"width {best} is best of {len(means)} in {args.folds} folds ({means[best]:.2%}); "
        f"{share:.2%} of the test pictures of {source(args.data)}"
    )


if __name__ == "__main__":
    main()
