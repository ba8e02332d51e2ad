"""LR-ASPP: Howard et al., "Searching for MobileNetV3", 2019, https://arxiv.org/abs/1905.02244."""

from collections import OrderedDict
from typing import Any

from rushlight import nn
from rushlight.vision.models._utils import (
    IntermediateLayerGetter,
    _ovewrite_value_param,
    handle_legacy_interface,
)
from rushlight.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from rushlight.vision.models.registry import register_model
from rushlight.vision.models.segmentation._utils import resized, segmentation_weights
from rushlight.vision.models.segmentation.deeplabv3 import stages

__all__ = ["LRASPP", "LRASPP_MobileNet_V3_Large_Weights", "lraspp_mobilenet_v3_large"]


class LRASPP(nn.Module):
    """A light network: a classifier on coarse features, weighed by the mean of the picture, and one on finer ones.

    Args:
        backbone: gives a dictionary with "high", the coarse features, and "low", the finer ones.
        low_channels: channels of "low".
        high_channels: channels of "high".
        num_classes: classes.
        inter_channels: channels between the convolutions.
    """

    def __init__(
        self,
        backbone: nn.Module,
        low_channels: int,
        high_channels: int,
        num_classes: int,
        inter_channels: int = 128,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = LRASPPHead(low_channels, high_channels, num_classes, inter_channels)

    def forward(self, input):
        out = self.classifier(self.backbone(input))
        return OrderedDict(out=resized(out, input.shape[-2:]))


class LRASPPHead(nn.Module):
    """The classifier of `LRASPP`; its arguments are explained there."""

    def __init__(self, low_channels: int, high_channels: int, num_classes: int, inter_channels: int) -> None:
        super().__init__()
        self.cbr = nn.Sequential(
            nn.Conv2d(high_channels, inter_channels, 1, bias=False),
            nn.BatchNorm2d(inter_channels),
            nn.ReLU(inplace=True),
        )
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(high_channels, inter_channels, 1, bias=False),
            nn.Sigmoid(),
        )
        self.low_classifier = nn.Conv2d(low_channels, num_classes, 1)
        self.high_classifier = nn.Conv2d(inter_channels, num_classes, 1)

    def forward(self, input):
        low, high = input["low"], input["high"]
        x = resized(self.cbr(high) * self.scale(high), low.shape[-2:])
        return self.low_classifier(low) + self.high_classifier(x)


def _lraspp_mobilenetv3(backbone: nn.Module, num_classes: int) -> LRASPP:
    features = backbone.features
    places = stages(features)
    low, high = places[-4], places[-1]  # an eighth and a sixteenth of the picture
    getter = IntermediateLayerGetter(features, {str(low): "low", str(high): "high"})
    return LRASPP(getter, features[low].out_channels, features[high].out_channels, num_classes)


LRASPP_MobileNet_V3_Large_Weights = segmentation_weights(
    "LRASPP_MobileNet_V3_Large_Weights", __name__, "lraspp_mobilenet_v3_large-d234d4ea", 3221538,
    "lraspp_mobilenet_v3_large", (57.9, 91.2), 2.086, 12.49,
)  # fmt: skip


@register_model()
@handle_legacy_interface(
    weights=("pretrained", LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1),
    weights_backbone=("pretrained_backbone", MobileNet_V3_Large_Weights.IMAGENET1K_V1),
)
def lraspp_mobilenet_v3_large(
    *,
    weights: LRASPP_MobileNet_V3_Large_Weights | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: MobileNet_V3_Large_Weights | None = MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    **kwargs: Any,
) -> LRASPP:
    """LR-ASPP with features of a MobileNetV3 (Howard et al., Searching for MobileNetV3, 2019).

    Args:
        weights: pretrained weights, a member of `LRASPP_MobileNet_V3_Large_Weights` or its name; random by default.
        progress: show a bar while downloading them.
        num_classes: maps of the result, 21 by default.
        weights_backbone: pretrained weights of the network for the features; None for random ones.
        **kwargs: `aux_loss`, which must not be set, as there is no auxiliary classifier.
    Raises:
        NotImplementedError: `aux_loss` is set. TypeError: there are others.
    """
    if kwargs.pop("aux_loss", False):
        raise NotImplementedError("This model does not use auxiliary loss")
    if kwargs:
        raise TypeError(
            f"lraspp_mobilenet_v3_large() got an unexpected keyword argument '{next(iter(kwargs))}'"
        )
    weights = LRASPP_MobileNet_V3_Large_Weights.verify(weights)
    weights_backbone = MobileNet_V3_Large_Weights.verify(weights_backbone)
    if weights is not None:
        weights_backbone = None
        num_classes = _ovewrite_value_param("num_classes", num_classes, len(weights.meta["categories"]))
    backbone = mobilenet_v3_large(weights=weights_backbone, dilated=True)
    model = _lraspp_mobilenetv3(backbone, 21 if num_classes is None else num_classes)
    if weights is not None:
        model.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))
    return model
