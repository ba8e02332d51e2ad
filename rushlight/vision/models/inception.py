"""Inception v3."""

import warnings
from collections import namedtuple
from collections.abc import Callable
from functools import partial

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import Tensor, nn
from rushlight.vision.models._builders import RECIPES, entry, imagenet_weights, model_builder
from rushlight.vision.models._inception import BasicConv2d, Branches, build_with_aux, chain, transform_input

__all__ = ["Inception3", "InceptionOutputs", "Inception_V3_Weights", "_InceptionOutputs", "inception_v3"]

InceptionOutputs = namedtuple("InceptionOutputs", ["logits", "aux_logits"])
_InceptionOutputs = InceptionOutputs


class Inception3(nn.Module):
    """Inception v3, with large convolutions taken apart; pictures are at least 75x75, usually 299x299.

    Source: Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016.

    Args:
        num_classes: outputs.
        aux_logits: another classifier on the way, used while training; the model then gives `InceptionOutputs`.
        transform_input: take pictures normalised as for other networks.
        inception_blocks: what is used in place of `BasicConv2d`, `InceptionA` to `InceptionE` and `InceptionAux`.
        init_weights: draw the weights anew; None does so with a warning.
        dropout: probability of zero before the last layer.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        inception_blocks: list[Callable[..., nn.Module]] | None = None,
        init_weights: bool | None = None,
        dropout: float = 0.5,
    ):
        super().__init__()
        default = [BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux]
        blocks = inception_blocks or default
        if init_weights is None:
            warnings.warn(
                "The default weight initialization of inception_v3 will be changed in future releases of torchvision. "
                "If you wish to keep the old behavior (which leads to long initialization times due to "
                "scipy/scipy#11299), please set init_weights=True.",
                FutureWarning,
                stacklevel=2,
            )
            init_weights = True
        if len(blocks) != 7:
            raise ValueError(f"length of inception_blocks should be 7 instead of {len(blocks)}")
        conv, a, b, c, d, e, aux = blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = a(192, pool_features=32)
        self.Mixed_5c = a(256, pool_features=64)
        self.Mixed_5d = a(288, pool_features=64)
        self.Mixed_6a = b(288)
        self.Mixed_6b = c(768, channels_7x7=128)
        self.Mixed_6c = c(768, channels_7x7=160)
        self.Mixed_6d = c(768, channels_7x7=160)
        self.Mixed_6e = c(768, channels_7x7=192)
        self.AuxLogits = aux(768, num_classes) if aux_logits else None
        self.Mixed_7a = d(768)
        self.Mixed_7b = e(1280)
        self.Mixed_7c = e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights:
            for m in self.modules():
                if isinstance(m, (nn.Conv2d, nn.Linear)):
                    std = float(getattr(m, "stddev", 0.1))
                    nn.init.trunc_normal_(m.weight, mean=0.0, std=std, a=-2, b=2)

    def forward(self, x: Tensor) -> InceptionOutputs:
        if self.transform_input:
            x = transform_input(x)
        x = chain(x, self.Conv2d_1a_3x3, self.Conv2d_2a_3x3, self.Conv2d_2b_3x3, self.maxpool1)
        x = chain(x, self.Conv2d_3b_1x1, self.Conv2d_4a_3x3, self.maxpool2)
        x = chain(x, self.Mixed_5b, self.Mixed_5c, self.Mixed_5d)
        x = chain(x, self.Mixed_6a, self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e)
        aux = self.AuxLogits(x) if self.AuxLogits is not None and self.training else None
        x = chain(x, self.Mixed_7a, self.Mixed_7b, self.Mixed_7c, self.avgpool, self.dropout)
        x = self.fc(torch.flatten(x, 1))
        return InceptionOutputs(x, aux) if self.training and self.aux_logits else x


class InceptionA(Branches):
    """1x1, 5x5, twice 3x3, and pooling.

    Args:
        in_channels: channels of the input.
        pool_features: channels after pooling.
        conv_block: makes the convolutions; `BasicConv2d` by default.
    """

    def __init__(
        self, in_channels: int, pool_features: int, conv_block: Callable[..., nn.Module] | None = None
    ):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = conv(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = conv(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, padding=1)
        self.branch_pool = conv(in_channels, pool_features, kernel_size=1)

    def _forward(self, x) -> list:
        return [
            self.branch1x1(x),
            chain(x, self.branch5x5_1, self.branch5x5_2),
            chain(x, self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3),
            self.branch_pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)),
        ]


class InceptionB(Branches):
    """3x3, twice 3x3, and pooling, to half the size.

    Args:
        in_channels: channels of the input.
        conv_block: makes the convolutions; `BasicConv2d` by default.
    """

    def __init__(self, in_channels: int, conv_block: Callable[..., nn.Module] | None = None):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3 = conv(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, stride=2)

    def _forward(self, x) -> list:
        return [
            self.branch3x3(x),
            chain(x, self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3),
            F.max_pool2d(x, kernel_size=3, stride=2),
        ]


class InceptionC(Branches):
    """1x1, 7x7 as 1x7 and 7x1, twice that, and pooling.

    Args:
        in_channels: channels of the input.
        channels_7x7: channels between the 1x7 and 7x1 convolutions.
        conv_block: makes the convolutions; `BasicConv2d` by default.
    """

    def __init__(
        self, in_channels: int, channels_7x7: int, conv_block: Callable[..., nn.Module] | None = None
    ):
        super().__init__()
        conv = conv_block or BasicConv2d
        c7 = channels_7x7
        row, column = {"kernel_size": (1, 7), "padding": (0, 3)}, {"kernel_size": (7, 1), "padding": (3, 0)}
        self.branch1x1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = conv(in_channels, c7, kernel_size=1)
        self.branch7x7_2 = conv(c7, c7, **row)
        self.branch7x7_3 = conv(c7, 192, **column)
        self.branch7x7dbl_1 = conv(in_channels, c7, kernel_size=1)
        self.branch7x7dbl_2 = conv(c7, c7, **column)
        self.branch7x7dbl_3 = conv(c7, c7, **row)
        self.branch7x7dbl_4 = conv(c7, c7, **column)
        self.branch7x7dbl_5 = conv(c7, 192, **row)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def _forward(self, x) -> list:
        single = self.branch1x1(x)
        once = chain(x, self.branch7x7_1, self.branch7x7_2, self.branch7x7_3)
        twice = chain(x, self.branch7x7dbl_1, self.branch7x7dbl_2, self.branch7x7dbl_3, self.branch7x7dbl_4)
        return [
            single,
            once,
            self.branch7x7dbl_5(twice),
            self.branch_pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)),
        ]


class InceptionD(Branches):
    """3x3, 7x7 as 1x7 and 7x1 then 3x3, and pooling, to half the size.

    Args:
        in_channels: channels of the input.
        conv_block: makes the convolutions; `BasicConv2d` by default.
    """

    def __init__(self, in_channels: int, conv_block: Callable[..., nn.Module] | None = None):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = conv(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = conv(192, 192, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = conv(192, 192, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = conv(192, 192, kernel_size=3, stride=2)

    def _forward(self, x) -> list:
        return [
            chain(x, self.branch3x3_1, self.branch3x3_2),
            chain(x, self.branch7x7x3_1, self.branch7x7x3_2, self.branch7x7x3_3, self.branch7x7x3_4),
            F.max_pool2d(x, kernel_size=3, stride=2),
        ]


class InceptionE(Branches):
    """1x1, 3x3 as 1x3 beside 3x1, 3x3 then that, and pooling.

    Args:
        in_channels: channels of the input.
        conv_block: makes the convolutions; `BasicConv2d` by default.
    """

    def __init__(self, in_channels: int, conv_block: Callable[..., nn.Module] | None = None):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = conv(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = conv(384, 384, kernel_size=(1, 3), padding=(0, 1))
        self.branch3x3_2b = conv(384, 384, kernel_size=(3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = conv(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = conv(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = conv(384, 384, kernel_size=(1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = conv(384, 384, kernel_size=(3, 1), padding=(1, 0))
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def _forward(self, x) -> list:
        single = self.branch1x1(x)
        once = self.branch3x3_1(x)
        once = torch.cat([self.branch3x3_2a(once), self.branch3x3_2b(once)], 1)
        twice = chain(x, self.branch3x3dbl_1, self.branch3x3dbl_2)
        return [
            single,
            once,
            torch.cat([self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)], 1),
            self.branch_pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)),
        ]


class InceptionAux(nn.Module):
    """A classifier on the way, which brings gradients to the first layers.

    Args:
        in_channels: channels of the input.
        num_classes: outputs.
        conv_block: makes the convolutions; `BasicConv2d` by default.
    """

    def __init__(
        self, in_channels: int, num_classes: int, conv_block: Callable[..., nn.Module] | None = None
    ):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.conv0 = conv(in_channels, 128, kernel_size=1)
        self.conv1 = conv(128, 768, kernel_size=5)
        self.conv1.stddev = 0.01
        self.fc = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001

    def forward(self, x):
        x = chain(F.avg_pool2d(x, kernel_size=5, stride=3), self.conv0, self.conv1)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=RECIPES + "inception-v3", min_size=(75, 75))
Inception_V3_Weights = _weights("Inception_V3", 27161264,
    V1=entry("inception_v3_google-0cc3c7bd", 77.294, 93.45, 5.713, 103.903, crop_size=299, resize_size=342))
# fmt: on

inception_v3 = model_builder(
    "inception_v3",
    Inception_V3_Weights,
    kind=Inception3,
    build=build_with_aux,
    keep_aux=True,
    heads=("AuxLogits",),
    doc="Inception v3 (Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016).",
)
