"""SqueezeNet."""

from functools import partial

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.vision.models._builders import PULL, entry, imagenet_weights, model_builder

__all__ = ["SqueezeNet", "SqueezeNet1_0_Weights", "SqueezeNet1_1_Weights", "squeezenet1_0", "squeezenet1_1"]


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 convolutions side by side.

    Args:
        inplanes: channels of the input.
        squeeze_planes: channels in between.
        expand1x1_planes, expand3x3_planes: channels of the two parts of the output.
    """

    def __init__(self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int):
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.squeeze_activation(self.squeeze(x))
        return torch.cat(
            [self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))], 1
        )


# Channels and size of the first convolution, and after how many Fire modules there is pooling.
_VERSIONS = {"1_0": (96, 7, (0, 3, 7)), "1_1": (64, 3, (0, 2, 4))}
_WIDTHS = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))


class SqueezeNet(nn.Module):
    """AlexNet's accuracy with a fiftieth of its parameters: Fire modules, and no linear layer.

    Source: Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size, 2016.

    Args:
        version: "1_0", or "1_1" with less than half of the operations.
        num_classes: outputs.
        dropout: probability of zero before the last convolution.
    """

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        self.num_classes = num_classes
        if version not in _VERSIONS:
            raise ValueError(f"Unsupported SqueezeNet version {version}: 1_0 or 1_1 expected")
        channels, kernel_size, pooled = _VERSIONS[version]
        layers = [nn.Conv2d(3, channels, kernel_size=kernel_size, stride=2), nn.ReLU(inplace=True)]
        for i, (squeeze, expand) in enumerate(_WIDTHS):
            if i in pooled:
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
            layers.append(Fire(channels, squeeze, expand, expand))
            channels = 2 * expand
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(512, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                if m is last:
                    nn.init.normal_(m.weight, mean=0.0, std=0.01)
                else:
                    nn.init.kaiming_uniform_(m.weight)
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=PULL + "49#issuecomment-277560717")
SqueezeNet1_0_Weights = _weights("SqueezeNet1_0", 1248424, (21, 21),
    V1=entry("squeezenet1_0-b66bff10", 58.092, 80.42, 0.819, 4.778))
SqueezeNet1_1_Weights = _weights("SqueezeNet1_1", 1235496, (17, 17),
    V1=entry("squeezenet1_1-b8a52dc0", 58.178, 80.624, 0.349, 4.729))
# fmt: on

_model = partial(
    model_builder,
    kind=SqueezeNet,
    doc="A SqueezeNet (Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, 2016).",
)
squeezenet1_0 = _model("squeezenet1_0", SqueezeNet1_0_Weights, "1_0")
squeezenet1_1 = _model("squeezenet1_1", SqueezeNet1_1_Weights, "1_1")
