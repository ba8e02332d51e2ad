"""A variational autoencoder: pictures of digits that nobody wrote.

    python examples/vae.py --data DATA      MNIST; without, the bundled digits

Reports the bound on the log-likelihood per picture on the test set (in nats, higher is better) and draws out/vae.png: digits
decoded from random codes.

Source: D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", 2014.
"""

from common import digits, options, source

import rushlight as torch
from rushlight import nn
from rushlight.vision.utils import make_grid, save_image


class VAE(nn.Module):
    """Encodes a picture as a normal distribution of codes."""

    def __init__(self, hidden: int, latent: int):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 784))

    def forward(self, x):
        """Logits of the pixels, mean and log-variance of the code."""
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return self.decoder(code), mean, log_variance


def negative_bound(model, x):
    """Error of reconstruction plus divergence of the codes from a standard normal distribution, per picture."""
    logits, mean, log_variance = model(x)
    error = nn.functional.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="sum")
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    return (error + divergence) / len(x)


def main() -> None:
    """Train, report, draw."""
    args = options(__doc__, {"epochs": 2, "pictures": 500}, pictures=20_000, epochs=12, hidden=400, latent=20)
    x, _ = digits(args.data, train=True, limit=args.pictures)
    model = VAE(args.hidden, args.latent)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for epoch in range(args.epochs):
        total = 0.0
        for chosen in torch.randperm(len(x)).split(100):
            loss = negative_bound(model, x[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(chosen)
        print(f"epoch {epoch + 1}: bound {-total / len(x):.2f}")
    held_out, _ = digits(args.data, train=False)
    with torch.no_grad():
        bound = -negative_bound(model, held_out).item()
        drawn = torch.sigmoid(model.decoder(torch.randn(64, args.latent))).view(-1, 1, 28, 28)
    save_image(make_grid(drawn, nrow=8), args.out / "vae.png")
    print(
        f"log-likelihood over {bound:.1f} nats per test picture of {source(args.data)}; {args.out / 'vae.png'}"
    )


if __name__ == "__main__":
    main()
