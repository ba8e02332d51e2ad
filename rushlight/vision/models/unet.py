"""U-Net: Ronneberger, Fischer and Brox, 2015, https://arxiv.org/abs/1505.04597."""

from rushlight import cat, fx, nn
from rushlight.nn import functional as F
from rushlight.vision.models.registry import register_model

__all__ = ["UNet", "unet"]


def _double_conv(in_channels: int, out_channels: int, middle: int, norm: bool, padding: int) -> nn.Sequential:
    layers: list = []
    for before, after in ((in_channels, middle), (middle, out_channels)):
        layers.append(nn.Conv2d(before, after, 3, padding=padding, bias=not norm))
        if norm:
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


@fx.wrap
def fit(x, size):
    """Maps cropped about their middle, or padded with zeros around it, to the size of others."""
    (height, width), (new_height, new_width) = x.shape[-2:], size
    if (height, width) == (new_height, new_width):
        return x
    dy, dx = new_height - height, new_width - width
    return F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])


class UNet(nn.Module):
    """Halving the picture step by step, then doubling it again, with what was there at each size carried across.

    Args:
        in_channels: channels of the pictures.
        num_classes: maps of the result: values before the softmax (or the sigmoid, where it is 1).
        width: channels at full size; they double with each halving.
        depth: how often the picture is halved.
        bilinear: double it by bilinear interpolation rather than by transposed convolution.
        norm: a batch norm after each convolution (the paper has none).
        padding: 1 keeps the size. 0 as in the paper: the result is smaller, 388 for 572.

    Pictures may have any size of at least 2**depth pixels: odd ones are fitted where both halves meet.
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 2,
        width: int = 64,
        depth: int = 4,
        bilinear: bool = False,
        norm: bool = True,
        padding: int = 1,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"UNet: depth is the number of halvings, at least 1, got {depth}")
        self.keeps_size = padding > 0
        widths = [width * 2**i for i in range(depth + 1)]
        if bilinear:
            widths[-1] //= 2  # interpolation leaves the channels as they are
        self.pool = nn.MaxPool2d(2)
        self.encoders = nn.ModuleList()
        for before, after in zip([in_channels, *widths], widths, strict=False):
            self.encoders.append(_double_conv(before, after, after, norm, padding))
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        for i in reversed(range(depth)):
            full = width * 2**i  # channels carried across
            if bilinear:
                self.ups.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True))
                after = full // 2 if i else full
                self.decoders.append(_double_conv(2 * full, after, full, norm, padding))
            else:
                self.ups.append(nn.ConvTranspose2d(2 * full, full, 2, 2))
                self.decoders.append(_double_conv(2 * full, full, full, norm, padding))
        self.out = nn.Conv2d(width, num_classes, 1)

    def forward(self, x):
        carried = []
        for encoder in self.encoders:
            x = encoder(self.pool(x) if carried else x)
            carried.append(x)
        carried.pop()
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x, across = up(x), carried.pop()
            if self.keeps_size:
                x = fit(x, across.shape[-2:])
            else:
                across = fit(across, x.shape[-2:])
            x = decoder(cat([across, x], 1))
        return self.out(x)


@register_model()
def unet(**kwargs) -> UNet:
    """U-Net; keywords are those of `UNet`. `unet(in_channels=1, norm=False, padding=0)` is the paper's.

    >>> from rushlight.vision.models import unet
    >>> unet(width=4, depth=2, num_classes=3)(torch.zeros(1, 3, 25, 37)).shape
    torch.Size([1, 3, 25, 37])
    """
    return UNet(**kwargs)
