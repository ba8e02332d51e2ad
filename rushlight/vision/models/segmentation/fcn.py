"""FCN: Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", 2014,
https://arxiv.org/abs/1411.4038."""

from functools import partial

from rushlight import nn
from rushlight.vision.models.resnet import ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from rushlight.vision.models.segmentation._utils import (
    _SimpleSegmentationModel,
    features_of,
    segmentation_builder,
    segmentation_weights,
)

__all__ = ["FCN", "FCN_ResNet50_Weights", "FCN_ResNet101_Weights", "fcn_resnet50", "fcn_resnet101"]


class FCN(_SimpleSegmentationModel):
    """A network without linear layers, so that every place of a picture gets its own result.

    Args:
        backbone: gives a dictionary with "out" and, for the auxiliary classifier, "aux".
        classifier: makes the result of "out".
        aux_classifier: makes that of "aux", whose loss helps training.
    """


class FCNHead(nn.Sequential):
    """A 3x3 convolution to a quarter of the channels, and a classifier for each place.

    Args:
        in_channels: channels of the features.
        channels: classes.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        middle = in_channels // 4
        super().__init__(
            nn.Conv2d(in_channels, middle, 3, padding=1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(middle, channels, 1),
        )


def _fcn_resnet(backbone: nn.Module, num_classes: int, aux: bool | None) -> FCN:
    # The auxiliary head is made first, as in torchvision: the same seed gives the same weights.
    features = features_of(backbone, "layer4", "layer3" if aux else None)
    aux_classifier = FCNHead(1024, num_classes) if aux else None
    return FCN(features, FCNHead(2048, num_classes), aux_classifier)


FCN_ResNet50_Weights = segmentation_weights(
    "FCN_ResNet50_Weights", __name__, "fcn_resnet50_coco-1167a1af", 35322218, "fcn_resnet50",
    (60.5, 91.4), 152.717, 135.009,
)  # fmt: skip
FCN_ResNet101_Weights = segmentation_weights(
    "FCN_ResNet101_Weights", __name__, "fcn_resnet101_coco-7ecb50ca", 54314346, "deeplabv3_resnet101",
    (63.7, 91.9), 232.738, 207.711,
)  # fmt: skip

_DILATED = {"replace_stride_with_dilation": [False, True, True]}
_DOC = "FCN with features of a ResNet (Long et al., Fully Convolutional Networks for Semantic Segmentation, 2014)."
fcn_resnet50 = segmentation_builder(
    "fcn_resnet50", FCN_ResNet50_Weights, partial(resnet50, **_DILATED), ResNet50_Weights, _fcn_resnet, _DOC
)
fcn_resnet101 = segmentation_builder(
    "fcn_resnet101",
    FCN_ResNet101_Weights,
    partial(resnet101, **_DILATED),
    ResNet101_Weights,
    _fcn_resnet,
    _DOC,
)
