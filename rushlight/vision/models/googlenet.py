"""GoogLeNet."""

import warnings
from collections import namedtuple
from collections.abc import Callable
from functools import partial

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import Tensor, nn
from rushlight.vision.models._builders import (
    RECIPES,
    entry,
    imagenet_weights,
    init_layers,
    model_builder,
)
from rushlight.vision.models._inception import BasicConv2d, Branches, build_with_aux, chain, transform_input

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "GoogLeNet_Weights", "_GoogLeNetOutputs", "googlenet"]

GoogLeNetOutputs = namedtuple("GoogLeNetOutputs", ["logits", "aux_logits2", "aux_logits1"])
_GoogLeNetOutputs = GoogLeNetOutputs

# Input channels, then those of 1x1, 3x3 (before and in it), 5x5 (before and in it; 3x3 in fact) and after pooling.
_BLOCKS = {
    "inception3a": (192, 64, 96, 128, 16, 32, 32),
    "inception3b": (256, 128, 128, 192, 32, 96, 64),
    "maxpool3": 3,
    "inception4a": (480, 192, 96, 208, 16, 48, 64),
    "inception4b": (512, 160, 112, 224, 24, 64, 64),
    "inception4c": (512, 128, 128, 256, 24, 64, 64),
    "inception4d": (512, 112, 144, 288, 32, 64, 64),
    "inception4e": (528, 256, 160, 320, 32, 128, 128),
    "maxpool4": 2,
    "inception5a": (832, 256, 160, 320, 32, 128, 128),
    "inception5b": (832, 384, 192, 384, 48, 128, 128),
}


class GoogLeNet(nn.Module):
    """Inception v1: 1x1, 3x3 and larger convolutions side by side.

    Source: Szegedy et al., Going Deeper with Convolutions, 2015.

    Args:
        num_classes: outputs.
        aux_logits: two more classifiers on the way, used while training; the model then gives `GoogLeNetOutputs`.
        transform_input: take pictures normalised as for other networks.
        init_weights: draw the weights anew; None does so with a warning.
        blocks: what is used in place of `BasicConv2d`, `Inception` and `InceptionAux`.
        dropout: probability of zero before the last layer.
        dropout_aux: the same in the auxiliary classifiers.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        blocks: list[Callable[..., nn.Module]] | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ):
        super().__init__()
        blocks = blocks or [BasicConv2d, Inception, InceptionAux]
        if init_weights is None:
            warnings.warn(
                "The default weight initialization of GoogleNet will be changed in future releases of torchvision. "
                "If you wish to keep the old behavior (which leads to long initialization times due to "
                "scipy/scipy#11299), please set init_weights=True.",
                FutureWarning,
                stacklevel=2,
            )
            init_weights = True
        if len(blocks) != 3:
            raise ValueError(f"blocks length should be 3 instead of {len(blocks)}")
        conv, inception, aux = blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for name, size in _BLOCKS.items():
            pool = isinstance(size, int)
            setattr(self, name, nn.MaxPool2d(size, stride=2, ceil_mode=True) if pool else inception(*size))
        self.aux1 = aux(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = aux(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights:
            draw = partial(nn.init.trunc_normal_, mean=0.0, std=0.01, a=-2, b=2)
            init_layers(self, draw, draw, bias=False)

    def forward(self, x: Tensor) -> GoogLeNetOutputs:
        if self.transform_input:
            x = transform_input(x)
        x = chain(x, self.conv1, self.maxpool1, self.conv2, self.conv3, self.maxpool2)
        aux = {}
        for name in _BLOCKS:
            x = getattr(self, name)(x)
            head = {"inception4a": self.aux1, "inception4d": self.aux2}.get(name)
            if head is not None and self.training:
                aux[name] = head(x)
        x = self.fc(self.dropout(torch.flatten(self.avgpool(x), 1)))
        if self.training and self.aux_logits:
            return GoogLeNetOutputs(x, aux.get("inception4d"), aux.get("inception4a"))
        return x


class Inception(Branches):
    """1x1, 3x3 and 5x5 convolutions (the latter 3x3 too, as in the published weights) and pooling, side by side.

    Args:
        in_channels: channels of the input.
        ch1x1: channels of the 1x1 convolution.
        ch3x3red, ch3x3: channels before the 3x3 convolution, and its own.
        ch5x5red, ch5x5: channels before the 5x5 convolution, and its own.
        pool_proj: channels after pooling.
        conv_block: makes the convolutions; `BasicConv2d` by default.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        conv_block: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1 = conv(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            conv(in_channels, ch3x3red, kernel_size=1), conv(ch3x3red, ch3x3, kernel_size=3, padding=1)
        )
        self.branch3 = nn.Sequential(
            conv(in_channels, ch5x5red, kernel_size=1), conv(ch5x5red, ch5x5, kernel_size=3, padding=1)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            conv(in_channels, pool_proj, kernel_size=1),
        )

    def _forward(self, x) -> list:
        return [self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)]


class InceptionAux(nn.Module):
    """A classifier on the way, which brings gradients to the first layers.

    Args:
        in_channels: channels of the input.
        num_classes: outputs.
        conv_block: makes the convolution; `BasicConv2d` by default.
        dropout: probability of zero before the last layer.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        conv_block: Callable[..., nn.Module] | None = None,
        dropout: float = 0.7,
    ):
        super().__init__()
        self.conv = (conv_block or BasicConv2d)(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x):
        x = torch.flatten(self.conv(F.adaptive_avg_pool2d(x, (4, 4))), 1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


def _build(kind, weights, progress, **kwargs) -> GoogLeNet:
    model = build_with_aux(kind, weights, progress, keep_aux=False, heads=("aux1", "aux2"), **kwargs)
    if weights is not None and model.aux_logits:
        warnings.warn(
            "auxiliary heads in the pretrained googlenet model are NOT pretrained, so make sure to train them",
            stacklevel=5,
        )
    return model


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=RECIPES + "googlenet", min_size=(15, 15))
GoogLeNet_Weights = _weights("GoogLeNet", 6624904,
    V1=entry("googlenet-1378be20", 69.778, 89.53, 1.498, 49.731))
# fmt: on

googlenet = model_builder(
    "googlenet",
    GoogLeNet_Weights,
    kind=GoogLeNet,
    build=_build,
    doc="GoogLeNet, Inception v1 (Szegedy et al., Going Deeper with Convolutions, 2015).",
)
