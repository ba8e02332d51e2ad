"""An autoencoder learns from pictures without labels; a classifier on top of its encoder then needs only few labels.

    python examples/autoencoder.py --data DATA      MNIST; without, the bundled digits

Reports the accuracy with 100 labels: on the pre-trained encoder, and of the same network trained from scratch.
"""

from common import accuracy, digits, options, source

import rushlight as torch
from rushlight import nn
from rushlight.utils.data import DataLoader, TensorDataset
from rushlight.vision.utils import make_grid, save_image


def encoder(latent: int):
    """Pictures to codes: two convolutions that halve the size, and a linear layer."""
    halve = lambda i, o: [nn.Conv2d(i, o, 3, stride=2, padding=1), nn.BatchNorm2d(o), nn.ReLU()]
    return nn.Sequential(*halve(1, 16), *halve(16, 32), nn.Flatten(), nn.Linear(32 * 49, latent))


def decoder(latent: int):
    """Codes to the logits of pictures."""
    return nn.Sequential(
        nn.ReLU(), nn.Linear(latent, 32 * 49), nn.ReLU(), nn.Unflatten(1, (32, 7, 7)),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
    )  # fmt: skip


def fit(model, loader, criterion, epochs: int, lr: float = 1e-3) -> None:
    """Adam on (inputs, targets)."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=1e-5)
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def main() -> None:
    """Pre-train, classify, compare."""
    quick = {"epochs": 1, "unlabelled": 500}
    args = options(__doc__, quick, unlabelled=10_000, labels=100, epochs=8, latent=32)
    x, y = digits(args.data, train=True, limit=args.unlabelled)
    coder = encoder(args.latent)
    autoencoder = nn.Sequential(coder, decoder(args.latent))
    unlabelled = DataLoader(TensorDataset(x, x), batch_size=64, shuffle=True)
    fit(autoencoder, unlabelled, nn.BCEWithLogitsLoss(), args.epochs, lr=2e-3)
    held_out = digits(args.data, train=False)
    with torch.no_grad():
        again = torch.sigmoid(autoencoder.eval()(held_out[0][:8]))
    save_image(make_grid(torch.cat([held_out[0][:8], again]), nrow=8), args.out / "autoencoder.png")

    few = DataLoader(TensorDataset(x[: args.labels], y[: args.labels]), batch_size=20, shuffle=True)
    shares = {}
    for name, part in (("pre-trained", coder), ("from scratch", encoder(args.latent))):
        classifier = nn.Sequential(part, nn.BatchNorm1d(args.latent), nn.Linear(args.latent, 10))
        fit(classifier, few, nn.CrossEntropyLoss(), 5 * args.epochs)
        shares[name] = accuracy(classifier, *held_out)
    report = ", ".join(f"{name} {share:.2%}" for name, share in shares.items())
    print(f"{args.labels} labels: {report} of {len(held_out[1])} test pictures of {source(args.data)}")


if __name__ == "__main__":
    main()
