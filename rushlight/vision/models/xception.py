"""Xception: Chollet, "Deep Learning with Depthwise Separable Convolutions", 2016, https://arxiv.org/abs/1610.02357."""

from itertools import pairwise

from rushlight import nn
from rushlight.vision.models.registry import register_model

__all__ = ["SeparableConv2d", "Xception", "xception"]


class SeparableConv2d(nn.Module):
    """A filter for each channel by itself, then a convolution of size 1 that mixes the channels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the result.
        kernel_size: size of the filters.
        stride: their steps.
        padding: zeros around the picture.
        bias: whether both have biases.

    >>> from rushlight.vision.models.xception import SeparableConv2d
    >>> sum(p.numel() for p in SeparableConv2d(8, 16, 3).parameters())  # 8 * 9 + 8 * 16
    200
    """

    def __init__(
        self, in_channels, out_channels, kernel_size=1, stride=1, padding=0, bias: bool = False
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, in_channels, kernel_size, stride, padding, groups=in_channels, bias=bias
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=bias)

    def forward(self, x):
        return self.pointwise(self.conv1(x))


class Block(nn.Module):
    """Separable convolutions beside a shortcut.

    Args:
        widths: channels before the first convolution and after each.
        stride: of the pooling at the end, for which 1 means none.
        start_with_relu: whether the first convolution has a rectifier before it.
    """

    def __init__(self, widths: tuple, stride: int = 1, start_with_relu: bool = True) -> None:
        super().__init__()
        first, last = widths[0], widths[-1]
        self.skip = self.skipbn = None
        if stride != 1 or first != last:
            self.skip = nn.Conv2d(first, last, 1, stride, bias=False)
            self.skipbn = nn.BatchNorm2d(last)
        layers: list = []
        for before, after in pairwise(widths):
            # The input is also the shortcut's: the first rectifier may not overwrite it.
            layers += [
                nn.ReLU(inplace=bool(layers)),
                SeparableConv2d(before, after, 3, padding=1),
                nn.BatchNorm2d(after),
            ]
        if stride != 1:
            layers.append(nn.MaxPool2d(3, stride, 1))
        self.rep = nn.Sequential(*layers[0 if start_with_relu else 1 :])

    def forward(self, x):
        shortcut = x if self.skip is None else self.skipbn(self.skip(x))
        return self.rep(x) + shortcut


class Xception(nn.Module):
    """36 convolutions, nearly all separable, in 14 modules with shortcuts. Pictures of 299x299.

    Keys are those of the weights for PyTorch that are in use (`block1.rep.0.conv1.weight`).

    Args:
        num_classes: outputs.
        in_channels: channels of the pictures.
        dropout: before the last layer; the paper has 0.5.
    """

    def __init__(self, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 32, 3, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(32, 64, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.relu2 = nn.ReLU(inplace=True)
        self.block1 = Block((64, 128, 128), 2, start_with_relu=False)
        self.block2 = Block((128, 256, 256), 2)
        self.block3 = Block((256, 728, 728), 2)
        for i in range(4, 12):
            self.add_module(f"block{i}", Block((728, 728, 728, 728)))
        self.block12 = Block((728, 728, 1024), 2)
        self.conv3 = SeparableConv2d(1024, 1536, 3, 1, 1)
        self.bn3 = nn.BatchNorm2d(1536)
        self.relu3 = nn.ReLU(inplace=True)
        self.conv4 = SeparableConv2d(1536, 2048, 3, 1, 1)
        self.bn4 = nn.BatchNorm2d(2048)
        self.relu4 = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2048, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        for i in range(1, 13):
            x = getattr(self, f"block{i}")(x)
        x = self.relu3(self.bn3(self.conv3(x)))
        x = self.relu4(self.bn4(self.conv4(x)))
        return self.fc(self.dropout(self.avgpool(x).flatten(1)))


@register_model()
def xception(**kwargs) -> Xception:
    """Xception with 22,855,952 parameters, as in table 3 of the paper; keywords are those of `Xception`."""
    return Xception(**kwargs)
