"""DeepLabV3: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017,
https://arxiv.org/abs/1706.05587."""

from collections.abc import Sequence
from functools import partial

from rushlight import cat, nn
from rushlight.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from rushlight.vision.models.resnet import ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from rushlight.vision.models.segmentation._utils import (
    _SimpleSegmentationModel,
    features_of,
    resized,
    segmentation_builder,
    segmentation_weights,
)
from rushlight.vision.models.segmentation.fcn import _DILATED, FCNHead

__all__ = [
    "DeepLabV3",
    "DeepLabV3_MobileNet_V3_Large_Weights",
    "DeepLabV3_ResNet50_Weights",
    "DeepLabV3_ResNet101_Weights",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
]


class DeepLabV3(_SimpleSegmentationModel):
    """Features seen through windows of several widths, which keep their size.

    Args:
        backbone: gives a dictionary with "out" and, for the auxiliary classifier, "aux".
        classifier: makes the result of "out".
        aux_classifier: makes that of "aux", whose loss helps training.
    """


class DeepLabHead(nn.Sequential):
    """Windows of several widths, a convolution, and a classifier for each place.

    Args:
        in_channels: channels of the features.
        num_classes: classes.
        atrous_rates: dilations of the windows.
    """

    def __init__(
        self, in_channels: int, num_classes: int, atrous_rates: Sequence[int] = (12, 24, 36)
    ) -> None:
        super().__init__(
            ASPP(in_channels, atrous_rates),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            nn.Conv2d(256, num_classes, 1),
        )


class ASPPConv(nn.Sequential):
    """A dilated 3x3 convolution with its norm.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the result.
        dilation: places from one value of the window to the next.
    """

    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


class ASPPPooling(nn.Sequential):
    """The mean of the whole picture, at each of its places.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the result.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, x):
        size = x.shape[-2:]
        for layer in self:
            x = layer(x)
        return resized(x, size)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: windows of several widths side by side, then a convolution of them all.

    Args:
        in_channels: channels of the input.
        atrous_rates: dilations of the windows.
        out_channels: channels of the result.
    """

    def __init__(self, in_channels: int, atrous_rates: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        point = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.convs = nn.ModuleList(
            [
                nn.Sequential(point, nn.BatchNorm2d(out_channels), nn.ReLU()),
                *(ASPPConv(in_channels, out_channels, rate) for rate in atrous_rates),
                ASPPPooling(in_channels, out_channels),
            ]
        )
        self.project = nn.Sequential(
            nn.Conv2d(len(self.convs) * out_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Dropout(0.5),
        )

    def forward(self, x):
        return self.project(cat([conv(x) for conv in self.convs], dim=1))


def _deeplabv3_resnet(backbone: nn.Module, num_classes: int, aux: bool | None) -> DeepLabV3:
    features = features_of(backbone, "layer4", "layer3" if aux else None)
    aux_classifier = FCNHead(1024, num_classes) if aux else None
    return DeepLabV3(features, DeepLabHead(2048, num_classes), aux_classifier)


def stages(features: nn.Sequential) -> list[int]:
    """Where in a MobileNetV3 the maps have become smaller, with the first and the last place."""
    return [0, *(i for i, b in enumerate(features) if getattr(b, "_is_cn", False)), len(features) - 1]


def _deeplabv3_mobilenetv3(backbone: nn.Module, num_classes: int, aux: bool | None) -> DeepLabV3:
    features = backbone.features
    places = stages(features)
    out, side = places[-1], places[-4]
    getter = features_of(features, str(out), str(side) if aux else None)
    aux_classifier = FCNHead(features[side].out_channels, num_classes) if aux else None
    return DeepLabV3(getter, DeepLabHead(features[out].out_channels, num_classes), aux_classifier)


DeepLabV3_ResNet50_Weights = segmentation_weights(
    "DeepLabV3_ResNet50_Weights", __name__, "deeplabv3_resnet50_coco-cd0a2569", 42004074, "deeplabv3_resnet50",
    (66.4, 92.4), 178.722, 160.515,
)  # fmt: skip
DeepLabV3_ResNet101_Weights = segmentation_weights(
    "DeepLabV3_ResNet101_Weights", __name__, "deeplabv3_resnet101_coco-586e9e4e", 60996202, "fcn_resnet101",
    (67.4, 92.4), 258.743, 233.217,
)  # fmt: skip
DeepLabV3_MobileNet_V3_Large_Weights = segmentation_weights(
    "DeepLabV3_MobileNet_V3_Large_Weights", __name__, "deeplabv3_mobilenet_v3_large-fc3c493d", 11029328,
    "deeplabv3_mobilenet_v3_large", (60.3, 91.2), 10.452, 42.301,
)  # fmt: skip

_DOC = "DeepLabV3 with features of a {} (Chen et al., Rethinking Atrous Convolution, 2017)."
deeplabv3_resnet50 = segmentation_builder(
    "deeplabv3_resnet50", DeepLabV3_ResNet50_Weights, partial(resnet50, **_DILATED), ResNet50_Weights,
    _deeplabv3_resnet, _DOC.format("ResNet-50"),
)  # fmt: skip
deeplabv3_resnet101 = segmentation_builder(
    "deeplabv3_resnet101", DeepLabV3_ResNet101_Weights, partial(resnet101, **_DILATED), ResNet101_Weights,
    _deeplabv3_resnet, _DOC.format("ResNet-101"),
)  # fmt: skip
deeplabv3_mobilenet_v3_large = segmentation_builder(
    "deeplabv3_mobilenet_v3_large", DeepLabV3_MobileNet_V3_Large_Weights, partial(mobilenet_v3_large, dilated=True),
    MobileNet_V3_Large_Weights, _deeplabv3_mobilenetv3, _DOC.format("MobileNetV3"),
)  # fmt: skip
