"""An autoencoder learns from pictures without labels; a classifier on top of its encoder then needs only few labels.

    python examples/autoencoder.py --data DATA      MNIST; without, the bundled digits

Reports the accuracy with 100 labels: on the pre-trained encoder, and of the same network trained from scratch.
"""

from common import accuracy, digits, options, source

import rushlight as torch
from rushlight import nn
from rushlight.utils.data import DataLoader, TensorDataset
from rushlight.vision.utils import make_grid, save_image


def encoder(hidden: int, latent: int):
    """Pictures to codes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.LeakyReLU(), nn.Linear(hidden, latent))


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
    args = options(__doc__, quick, unlabelled=20_000, labels=100, epochs=15, hidden=256, latent=20)
    x, y = digits(args.data, train=True, limit=args.unlabelled)
    coder = encoder(args.hidden, args.latent)
    decoder = nn.Sequential(
        nn.LeakyReLU(), nn.Linear(args.latent, args.hidden), nn.LeakyReLU(), nn.Linear(args.hidden, 784),
        nn.Unflatten(1, (1, 28, 28)),
    )  # fmt: skip
    autoencoder = nn.Sequential(coder, decoder)
    noisy = [(a + 0.3 * torch.randn_like(a), a) for a in x.split(64)]  # it learns to remove noise
    fit(autoencoder, noisy, nn.MSELoss(), args.epochs)

    few = DataLoader(TensorDataset(x[: args.labels], y[: args.labels]), batch_size=20, shuffle=True)
    held_out = digits(args.data, train=False)
    shares = {}
    for name, part in (("pre-trained", coder), ("from scratch", encoder(args.hidden, args.latent))):
        classifier = nn.Sequential(
            part, nn.LeakyReLU(), nn.Linear(args.latent, 64), nn.LeakyReLU(), nn.Linear(64, 10)
        )
        fit(classifier, few, nn.CrossEntropyLoss(), 4 * args.epochs)
        shares[name] = accuracy(classifier, *held_out)
        if name == "pre-trained":
            with torch.no_grad():
                again = autoencoder.eval()(held_out[0][:8]).clamp(0, 1)
    save_image(make_grid(torch.cat([held_out[0][:8], again]), nrow=8), args.out / "autoencoder.png")
    report = ", ".join(f"{name} {share:.2%}" for name, share in shares.items())
    print(f"{args.labels} labels: {report} of {len(held_out[1])} test pictures of {source(args.data)}")


if __name__ == "__main__":
    main()
