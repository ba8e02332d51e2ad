"""DCGAN: two convolutional networks compete, and one of them learns to draw digits.

    python examples/dcgan.py --data DATA        MNIST; without, the bundled digits

A classifier trained on the real digits judges the drawn ones. Reports how many of 500 it is over 90 % sure of, and how many
of the ten digits are among them; draws out/dcgan.png.

Source: A. Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial networks", 2016.
"""

from common import digits, options, source
from tqdm import tqdm

import rushlight as torch
from rushlight import nn
from rushlight.vision.utils import make_grid, save_image


def generator(noise: int, width: int):
    """Noise (N, noise, 1, 1) to pictures (N, 1, 28, 28) from -1 to 1."""
    up = lambda i, o, *args: [nn.ConvTranspose2d(i, o, *args, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]
    return nn.Sequential(
        *up(noise, 4 * width, 7), *up(4 * width, 2 * width, 4, 2, 1),
        nn.ConvTranspose2d(2 * width, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


def discriminator(width: int, outputs: int = 1):
    """Pictures to scores: of being real, or of the classes."""
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2, True),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2, True),
        nn.Flatten(), nn.Linear(2 * width * 49, outputs),
    )  # fmt: skip


def initialise(module) -> None:
    """Small normal weights, as in the paper."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def compete(artist, critic, x, steps: int, batch: int, noise: int) -> None:
    """Both learn in turn."""
    adam = lambda model: torch.optim.Adam(model.parameters(), 5e-4, betas=(0.5, 0.999))
    of_artist, of_critic = adam(artist), adam(critic)
    real, false = torch.full((batch, 1), 0.9), torch.zeros(batch, 1)  # 0.9: a critic that is never quite sure
    criterion = nn.BCEWithLogitsLoss()
    for _ in (bar := tqdm(range(steps), unit="step", mininterval=1)):
        drawn = artist(torch.randn(batch, noise, 1, 1))
        loss = criterion(critic(x[torch.randint(len(x), (batch,))]), real) + criterion(
            critic(drawn.detach()), false
        )
        of_critic.zero_grad()
        loss.backward()
        of_critic.step()
        artists_loss = criterion(critic(drawn), real)
        of_artist.zero_grad()
        artists_loss.backward()
        of_artist.step()
        bar.set_postfix(critic=loss.item(), artist=artists_loss.item(), refresh=False)


def judge(x, y, steps: int):
    """A classifier of real digits."""
    model = discriminator(16, 10)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(steps):
        chosen = torch.randint(len(x), (64,))
        loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def main() -> None:
    """Compete, draw, judge."""
    args = options(__doc__, {"steps": 3, "width": 8}, steps=1500, width=20, batch=64, noise=32)
    x, y = digits(args.data, train=True, limit=20_000)
    x = x * 2 - 1
    artist, critic = (
        generator(args.noise, args.width).apply(initialise),
        discriminator(args.width).apply(initialise),
    )
    compete(artist, critic, x, args.steps, args.batch, args.noise)
    classifier = judge(x, y, min(args.steps, 400))
    with torch.no_grad():
        drawn = artist.eval()(torch.randn(500, args.noise, 1, 1))
        sureness, guess = torch.softmax(classifier(drawn), 1).max(1)
    save_image(make_grid((drawn[:64] + 1) / 2, nrow=8), args.out / "dcgan.png")
    sure = guess[sureness > 0.9]
    print(
        f"the classifier is sure of {len(sure)} of 500 drawn digits, {len(sure.unique())} different ones, "
        f"after {args.steps} steps on {source(args.data)}; {args.out / 'dcgan.png'}"
    )


if __name__ == "__main__":
    main()
