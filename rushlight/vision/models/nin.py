"""Network in Network: Lin, Chen and Yan, 2013, https://arxiv.org/abs/1312.4400."""

from rushlight import nn
from rushlight.vision.models.registry import register_model

__all__ = ["NiN", "nin", "nin_imagenet"]


def _mlpconv(in_channels: int, widths: tuple, kernel: int, stride: int = 1, padding: int = 0) -> list:
    """A convolution and two of size 1, each with a rectifier: a small network that slides over the picture."""
    first, second, third = widths
    return [
        nn.Conv2d(in_channels, first, kernel, stride, padding),
        nn.ReLU(inplace=True),
        nn.Conv2d(first, second, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(second, third, 1),
        nn.ReLU(inplace=True),
    ]


class NiN(nn.Module):
    """Small networks in the place of filters, and the mean of one map per class in the place of linear layers.

    Args:
        features: what comes before the mean; its last convolution has one map per class.
    """

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.avgpool(self.features(x)).flatten(1)


@register_model()
def nin(*, num_classes: int = 10, in_channels: int = 3, dropout: float = 0.5) -> NiN:
    """The network for CIFAR-10: 966,986 parameters, pictures of 32x32.

    Args:
        num_classes: outputs.
        in_channels: channels of the pictures.
        dropout: probability of a dropped value.

    >>> from rushlight.vision.models import nin
    >>> nin()(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """
    return NiN(
        nn.Sequential(
            *_mlpconv(in_channels, (192, 160, 96), 5, padding=2),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Dropout(dropout),
            *_mlpconv(96, (192, 192, 192), 5, padding=2),
            nn.AvgPool2d(3, 2, ceil_mode=True),
            nn.Dropout(dropout),
            *_mlpconv(192, (192, 192, num_classes), 3, padding=1),
        )
    )


@register_model()
def nin_imagenet(*, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> NiN:
    """The network for ImageNet: 7,595,176 parameters, pictures of 224x224 or 227x227.

    Args:
        num_classes: outputs.
        in_channels: channels of the pictures.
        dropout: probability of a dropped value.
    """
    return NiN(
        nn.Sequential(
            *_mlpconv(in_channels, (96, 96, 96), 11, stride=4),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            *_mlpconv(96, (256, 256, 256), 5, padding=2),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            *_mlpconv(256, (384, 384, 384), 3, padding=1),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Dropout(dropout),
            *_mlpconv(384, (1024, 1024, num_classes), 3, padding=1),
        )
    )
