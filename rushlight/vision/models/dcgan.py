"""DCGAN: Radford, Metz and Chintala, 2015, https://arxiv.org/abs/1511.06434; adversarial training: Goodfellow et al., 2014."""

import math

from rushlight import nn
from rushlight.vision.models.registry import register_model

__all__ = ["DCGANDiscriminator", "DCGANGenerator", "dcgan_discriminator", "dcgan_generator"]


def _halvings(image_size: int) -> int:
    """How often a picture is halved until it has 4 x 4 pixels."""
    steps = int(math.log2(image_size)) - 2
    if image_size < 8 or 4 * 2**steps != image_size:
        raise ValueError(f"DCGAN: image_size must be a power of 2 of at least 8, got {image_size}")
    return steps


def _initialize(module: nn.Module) -> None:
    """As in the paper: weights normal with deviation 0.02, those of batch norms about 1."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(m.weight, 0.0, 0.02)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.weight, 1.0, 0.02)
            nn.init.zeros_(m.bias)


class DCGANGenerator(nn.Module):
    """Noise to pictures with values in -1…1.

    Args:
        latent_size: values of the noise, whose shape is (N, latent_size) or (N, latent_size, 1, 1).
        width: channels of the largest hidden map.
        out_channels: channels of the pictures.
        image_size: their height and width, a power of 2.

    >>> from rushlight.vision.models import dcgan_generator
    >>> dcgan_generator(image_size=32, width=8)(torch.randn(2, 100)).shape
    torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self, latent_size: int = 100, width: int = 64, out_channels: int = 3, image_size: int = 64
    ) -> None:
        super().__init__()
        steps = _halvings(image_size)
        channels = width * 2 ** (steps - 1)
        layers: list = [nn.ConvTranspose2d(latent_size, channels, 4, 1, 0, bias=False)]
        for _ in range(steps - 1):
            layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            layers.append(nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=False))
            channels //= 2
        layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(channels, out_channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)
        _initialize(self)

    def forward(self, noise):
        return self.main(noise.reshape(noise.shape[0], -1, 1, 1))


class DCGANDiscriminator(nn.Module):
    """Pictures to one value each: positive for real ones (before the sigmoid: use BCEWithLogitsLoss).

    Args:
        in_channels: channels of the pictures.
        width: channels of the largest hidden map.
        image_size: their height and width, a power of 2.
    """

    def __init__(self, in_channels: int = 3, width: int = 64, image_size: int = 64) -> None:
        super().__init__()
        steps = _halvings(image_size)
        layers: list = [nn.Conv2d(in_channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for _ in range(steps - 1):
            layers.append(nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False))
            layers += [nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2, inplace=True)]
            width *= 2
        layers.append(nn.Conv2d(width, 1, 4, 1, 0, bias=False))
        self.main = nn.Sequential(*layers)
        _initialize(self)

    def forward(self, x):
        return self.main(x).flatten(1).squeeze(1)


@register_model()
def dcgan_generator(**kwargs) -> DCGANGenerator:
    """The generator for 64x64 pictures: 3,576,704 parameters; keywords are those of `DCGANGenerator`."""
    return DCGANGenerator(**kwargs)


@register_model()
def dcgan_discriminator(**kwargs) -> DCGANDiscriminator:
    """The discriminator for 64x64 pictures: 2,765,568 parameters; keywords are those of `DCGANDiscriminator`."""
    return DCGANDiscriminator(**kwargs)
