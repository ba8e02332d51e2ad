"""Autoencoders: Hinton and Salakhutdinov, 2006; variational: Kingma and Welling, 2013, https://arxiv.org/abs/1312.6114."""

from itertools import pairwise

import rushlight as torch
from rushlight import nn
from rushlight.vision.models.registry import register_model

__all__ = ["Autoencoder", "VariationalAutoencoder", "autoencoder", "variational_autoencoder"]


def _stack(widths: list) -> list:
    """Linear layers with rectifiers between them."""
    layers: list = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
    return layers[:-1]


class Autoencoder(nn.Module):
    """Pictures to short codes and back.

    Args:
        image_shape: (channels, height, width) of the pictures, whose values are in 0…1.
        widths: values between the layers of the encoder; the decoder has the same the other way round.
        latent_size: values of a code.

    >>> from rushlight.vision.models import autoencoder
    >>> model = autoencoder(latent_size=8)
    >>> pictures = torch.rand(4, 1, 28, 28)
    >>> model.encoder(pictures).shape, model(pictures).shape
    (torch.Size([4, 8]), torch.Size([4, 1, 28, 28]))
    """

    codes_per_value = 1

    def __init__(
        self, image_shape: tuple = (1, 28, 28), widths: tuple = (512, 256), latent_size: int = 20
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        sizes = [channels * height * width, *widths]
        self.encoder = nn.Sequential(nn.Flatten(), *_stack([*sizes, self.codes_per_value * latent_size]))
        self.decoder = nn.Sequential(
            *_stack([latent_size, *sizes[::-1]]), nn.Sigmoid(), nn.Unflatten(1, tuple(image_shape))
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


class VariationalAutoencoder(Autoencoder):
    """An autoencoder whose codes are drawn from a normal distribution, so that new pictures can be made from noise.

    Args: as of `Autoencoder`.

    `model(x)` returns (pictures, mean, log of the variance) of the codes, as `loss` takes them.

    >>> from rushlight.vision.models import variational_autoencoder
    >>> model = variational_autoencoder()
    >>> x = torch.rand(4, 1, 28, 28)
    >>> model.loss(x, *model(x)).shape
    torch.Size([])
    >>> model.sample(2).shape
    torch.Size([2, 1, 28, 28])
    """

    codes_per_value = 2  # a mean and a variance

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, 1)
        code = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance) if self.training else mean
        return self.decoder(code), mean, log_variance

    def sample(self, count: int):
        """Pictures of `count` codes drawn from the standard normal distribution."""
        layer = self.decoder[0]
        return self.decoder(torch.randn(count, layer.in_features, dtype=layer.weight.dtype))

    @staticmethod
    def loss(target, output, mean, log_variance):
        """The negative lower bound per picture: cross entropy of the pixels plus divergence from the normal.

        Args:
            target: the pictures, values in 0…1.
            output, mean, log_variance: what the model made of them.
        """
        pixels = nn.functional.binary_cross_entropy(output, target, reduction="sum")
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
        return (pixels + divergence) / len(target)


@register_model()
def autoencoder(**kwargs) -> Autoencoder:
    """An autoencoder for MNIST; keywords are those of `Autoencoder`."""
    return Autoencoder(**kwargs)


@register_model()
def variational_autoencoder(**kwargs) -> VariationalAutoencoder:
    """A variational autoencoder for MNIST; keywords are those of `VariationalAutoencoder`."""
    return VariationalAutoencoder(**kwargs)
