"""VGG."""

from functools import partial
from math import nan

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.vision.models._builders import (
    RECIPES,
    build_model,
    entry,
    fan_out,
    imagenet_weights,
    init_layers,
    model_builder,
)

__all__ = [
    "VGG", "VGG11_BN_Weights", "VGG11_Weights", "VGG13_BN_Weights", "VGG13_Weights", "VGG16_BN_Weights",
    "VGG16_Weights", "VGG19_BN_Weights", "VGG19_Weights", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16",
    "vgg16_bn", "vgg19", "vgg19_bn",
]  # fmt: skip


class VGG(nn.Module):
    """3x3 convolutions and max pooling, then three linear layers.

    Source: Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2015.

    Args:
        features: the convolutions; 512 channels come out.
        num_classes: outputs.
        init_weights: draw the weights anew, else they are those of the layers.
        dropout: probability of zero after the first two linear layers.
    """

    def __init__(
        self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ):
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            init_layers(self, fan_out, partial(nn.init.normal_, mean=0, std=0.01))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def make_layers(cfg: list[str | int], batch_norm: bool = False) -> nn.Sequential:
    """The convolutions of a VGG.

    Args:
        cfg: output channels of each convolution; "M" for max pooling.
        batch_norm: normalise after each convolution.
    """
    layers: list[nn.Module] = []
    channels = 3
    for item in cfg:
        if item == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(channels, item, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(item))
        layers.append(nn.ReLU(inplace=True))
        channels = item
    return nn.Sequential(*layers)


def _stages(*repeats: int) -> list[str | int]:
    """So many convolutions for each number of channels, with max pooling after them."""
    widths = (64, 128, 256, 512, 512)
    return [item for width, n in zip(widths, repeats, strict=True) for item in [width] * n + ["M"]]


cfgs: dict[str, list[str | int]] = {
    "A": _stages(1, 1, 2, 2, 2),
    "B": _stages(2, 2, 2, 2, 2),
    "D": _stages(2, 2, 3, 3, 3),
    "E": _stages(2, 2, 4, 4, 4),
}


def _build(kind, weights, progress, cfg: str, batch_norm: bool, **kwargs) -> VGG:
    if weights is not None:
        kwargs["init_weights"] = False
    return build_model(kind, weights, progress, make_layers(cfgs[cfg], batch_norm), **kwargs)


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=RECIPES + "alexnet-and-vgg", min_size=(32, 32))
VGG11_Weights = _weights("VGG11", 132863336, V1=entry("vgg11-8a719046", 69.02, 88.628, 7.609, 506.84))
VGG11_BN_Weights = _weights("VGG11_BN", 132868840,
    V1=entry("vgg11_bn-6002323d", 70.37, 89.81, 7.609, 506.881))
VGG13_Weights = _weights("VGG13", 133047848, V1=entry("vgg13-19584684", 69.928, 89.246, 11.308, 507.545))
VGG13_BN_Weights = _weights("VGG13_BN", 133053736,
    V1=entry("vgg13_bn-abd245e5", 71.586, 90.374, 11.308, 507.59))
VGG16_Weights = _weights("VGG16", 138357544,
    V1=entry("vgg16-397923af", 71.592, 90.382, 15.47, 527.796),
    FEATURES=entry("vgg16_features-amdegroot-88682ab5", nan, nan, 15.47, 527.802, mean=(0.48235, 0.45882, 0.40784),
        std=(1 / 255, 1 / 255, 1 / 255), categories=None,
        recipe="https://github.com/amdegroot/ssd.pytorch#training-ssd"))
VGG16_BN_Weights = _weights("VGG16_BN", 138365992,
    V1=entry("vgg16_bn-6c64b313", 73.36, 91.516, 15.47, 527.866))
VGG19_Weights = _weights("VGG19", 143667240, V1=entry("vgg19-dcbb9e9d", 72.376, 90.876, 19.632, 548.051))
VGG19_BN_Weights = _weights("VGG19_BN", 143678248,
    V1=entry("vgg19_bn-c79401a0", 74.218, 91.842, 19.632, 548.143))
# fmt: on

_model = partial(
    model_builder,
    kind=VGG,
    build=_build,
    doc="A VGG (Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2015).",
)
vgg11 = _model("vgg11", VGG11_Weights, "A", False)
vgg11_bn = _model("vgg11_bn", VGG11_BN_Weights, "A", True)
vgg13 = _model("vgg13", VGG13_Weights, "B", False)
vgg13_bn = _model("vgg13_bn", VGG13_BN_Weights, "B", True)
vgg16 = _model("vgg16", VGG16_Weights, "D", False)
vgg16_bn = _model("vgg16_bn", VGG16_BN_Weights, "D", True)
vgg19 = _model("vgg19", VGG19_Weights, "E", False)
vgg19_bn = _model("vgg19_bn", VGG19_BN_Weights, "E", True)
