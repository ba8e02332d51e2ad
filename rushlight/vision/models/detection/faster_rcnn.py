"""Faster R-CNN, and Fast R-CNN's heads."""

from collections.abc import Callable
from typing import Any

from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.detection._builders import (
    PULLS,
    RECIPES,
    coco_entry,
    coco_weights,
    detector_builder,
)
from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
from rushlight.vision.models.detection.backbone_utils import _mobilenet_extractor, _resnet_fpn_extractor
from rushlight.vision.models.detection.generalized_rcnn import GeneralizedRCNN
from rushlight.vision.models.detection.roi_heads import RoIHeads
from rushlight.vision.models.detection.rpn import RegionProposalNetwork, RPNHead
from rushlight.vision.models.detection.transform import GeneralizedRCNNTransform
from rushlight.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from rushlight.vision.models.resnet import ResNet50_Weights, resnet50
from rushlight.vision.ops import Conv2dNormActivation, FrozenBatchNorm2d, MultiScaleRoIAlign
from rushlight.vision.ops.feature_pyramid_network import LastLevelP6P7

__all__ = [
    "FasterRCNN",
    "FasterRCNN_MobileNet_V3_Large_320_FPN_Weights",
    "FasterRCNN_MobileNet_V3_Large_FPN_Weights",
    "FasterRCNN_ResNet50_FPN_V2_Weights",
    "FasterRCNN_ResNet50_FPN_Weights",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
]


def _default_anchorgen() -> AnchorGenerator:
    sizes = ((32,), (64,), (128,), (256,), (512,))
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))


def check_backbone(backbone: nn.Module) -> None:
    """ValueError unless it says how many channels its maps have."""
    if not hasattr(backbone, "out_channels"):
        raise ValueError(
            "backbone should contain an attribute out_channels specifying the number of output channels (assumed to be "
            "the same for all the levels)"
        )


def check_kind(name: str, value, kind: type) -> None:
    """TypeError unless an argument is None or of this class."""
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} should be of type {kind.__name__} or None instead of {type(value)}")


class FasterRCNN(GeneralizedRCNN):
    """Faster R-CNN: regions are proposed, and from the features of each its class and box are told.

    Source: Ren et al., Faster R-CNN, NeurIPS 2015.

    In training it returns the losses by name, else for each picture the detected "boxes" (D, 4), "labels" and "scores" (D,).

    Args:
        backbone: makes feature maps, a tensor or several by name, all with `backbone.out_channels` channels.
        num_classes: classes including the background; None where there is a `box_predictor`.
        min_size: the shorter side of pictures after resizing.
        max_size: and the longest that the longer one becomes.
        image_mean: of the channels; ImageNet's by default.
        image_std: of the channels; ImageNet's by default.
        rpn_anchor_generator: makes the boxes that proposals start from.
        rpn_head: makes their logits and codes.
        rpn_pre_nms_top_n_train: proposals of each map before suppression.
        rpn_pre_nms_top_n_test: the same outside training.
        rpn_post_nms_top_n_train: proposals of each picture after it.
        rpn_post_nms_top_n_test: the same outside training.
        rpn_nms_thresh: overlap from which on the worse proposal goes.
        rpn_fg_iou_thresh: overlap from which on an anchor is positive.
        rpn_bg_iou_thresh: overlap below which it is negative.
        rpn_batch_size_per_image: anchors drawn for the loss.
        rpn_positive_fraction: share of positive ones.
        rpn_score_thresh: probability that proposals need.
        box_roi_pool: makes parts of one size of the maps "0" to "3".
        box_head: makes features of those.
        box_predictor: makes logits and codes of these.
        box_score_thresh: probability that detections need.
        box_nms_thresh: overlap from which on the worse of one class goes.
        box_detections_per_img: most detections of a picture.
        box_fg_iou_thresh: overlap from which on a region has a class in training.
        box_bg_iou_thresh: overlap below which it has none.
        box_batch_size_per_image: regions drawn for the loss.
        box_positive_fraction: share of those that have a class.
        bbox_reg_weights: what codes are multiplied by.
        **kwargs: arguments of `GeneralizedRCNNTransform`.

    Raises:
        ValueError, TypeError: arguments do not fit together, or are of a wrong class.

    >>> from rushlight.vision.models.detection import FasterRCNN
    >>> backbone = torch.nn.Conv2d(3, 4, 16, stride=16)
    >>> backbone.out_channels = 4
    >>> from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
    >>> from rushlight.vision.ops import MultiScaleRoIAlign
    >>> pool, anchors = MultiScaleRoIAlign(["0"], 2, 2), AnchorGenerator(((32,),), ((1.0,),))
    >>> model = FasterRCNN(backbone, 3, 64, 64, rpn_anchor_generator=anchors, box_roi_pool=pool)
    >>> sorted(model.eval()([torch.zeros(3, 64, 64)])[0])
    ['boxes', 'labels', 'scores']
    """

    def __init__(
        self,
        backbone,
        num_classes=None,
        min_size=800,
        max_size=1333,
        image_mean=None,
        image_std=None,
        rpn_anchor_generator=None,
        rpn_head=None,
        rpn_pre_nms_top_n_train=2000,
        rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_train=2000,
        rpn_post_nms_top_n_test=1000,
        rpn_nms_thresh=0.7,
        rpn_fg_iou_thresh=0.7,
        rpn_bg_iou_thresh=0.3,
        rpn_batch_size_per_image=256,
        rpn_positive_fraction=0.5,
        rpn_score_thresh=0.0,
        box_roi_pool=None,
        box_head=None,
        box_predictor=None,
        box_score_thresh=0.05,
        box_nms_thresh=0.5,
        box_detections_per_img=100,
        box_fg_iou_thresh=0.5,
        box_bg_iou_thresh=0.5,
        box_batch_size_per_image=512,
        box_positive_fraction=0.25,
        bbox_reg_weights=None,
        **kwargs,
    ):
        check_backbone(backbone)
        check_kind("rpn_anchor_generator", rpn_anchor_generator, AnchorGenerator)
        check_kind("box_roi_pool", box_roi_pool, MultiScaleRoIAlign)
        if num_classes is not None and box_predictor is not None:
            raise ValueError("num_classes should be None when box_predictor is specified")
        if num_classes is None and box_predictor is None:
            raise ValueError("num_classes should not be None when box_predictor is not specified")
        channels = backbone.out_channels
        anchors = rpn_anchor_generator or _default_anchorgen()
        rpn = RegionProposalNetwork(
            anchors,
            rpn_head or RPNHead(channels, anchors.num_anchors_per_location()[0]),
            rpn_fg_iou_thresh,
            rpn_bg_iou_thresh,
            rpn_batch_size_per_image,
            rpn_positive_fraction,
            {"training": rpn_pre_nms_top_n_train, "testing": rpn_pre_nms_top_n_test},
            {"training": rpn_post_nms_top_n_train, "testing": rpn_post_nms_top_n_test},
            rpn_nms_thresh,
            score_thresh=rpn_score_thresh,
        )
        if box_roi_pool is None:
            box_roi_pool = MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=7, sampling_ratio=2)
        roi_heads = RoIHeads(
            box_roi_pool,
            box_head or TwoMLPHead(channels * box_roi_pool.output_size[0] ** 2, 1024),
            box_predictor or FastRCNNPredictor(1024, num_classes),
            box_fg_iou_thresh,
            box_bg_iou_thresh,
            box_batch_size_per_image,
            box_positive_fraction,
            bbox_reg_weights,
            box_score_thresh,
            box_nms_thresh,
            box_detections_per_img,
        )
        transform = GeneralizedRCNNTransform(
            min_size,
            max_size,
            image_mean or [0.485, 0.456, 0.406],
            image_std or [0.229, 0.224, 0.225],
            **kwargs,
        )
        super().__init__(backbone, rpn, roi_heads, transform)


class TwoMLPHead(nn.Module):
    """Two linear layers.

    Args:
        in_channels: elements of a pooled region.
        representation_size: features.
    """

    def __init__(self, in_channels, representation_size):
        super().__init__()
        self.fc6 = nn.Linear(in_channels, representation_size)
        self.fc7 = nn.Linear(representation_size, representation_size)

    def forward(self, x):
        return F.relu(self.fc7(F.relu(self.fc6(x.flatten(start_dim=1)))))


class FastRCNNConvFCHead(nn.Sequential):
    """3x3 convolutions and linear layers.

    Args:
        input_size: (channels, height, width) of a pooled region.
        conv_layers: channels after each convolution.
        fc_layers: features after each linear layer.
        norm_layer: normalisation of the convolutions.
    """

    def __init__(
        self,
        input_size: tuple[int, int, int],
        conv_layers: list[int],
        fc_layers: list[int],
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        last, height, width = input_size
        blocks: list[nn.Module] = []
        for channels in conv_layers:
            blocks.append(Conv2dNormActivation(last, channels, norm_layer=norm_layer))
            last = channels
        blocks.append(nn.Flatten())
        last *= height * width
        for features in fc_layers:
            blocks += [nn.Linear(last, features), nn.ReLU(inplace=True)]
            last = features
        super().__init__(*blocks)
        init_convolutions(self)


def init_convolutions(module: nn.Module) -> None:
    """Kaiming's weights, and biases of zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class FastRCNNPredictor(nn.Module):
    """Two linear layers beside one another, for classes and for boxes.

    Args:
        in_channels: features.
        num_classes: classes including the background.
    """

    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.cls_score = nn.Linear(in_channels, num_classes)
        self.bbox_pred = nn.Linear(in_channels, num_classes * 4)

    def forward(self, x):
        """Logits (K, classes) and codes (K, classes * 4)."""
        if x.dim() == 4 and tuple(x.shape[2:]) != (1, 1):
            raise AssertionError(
                f"x has the wrong shape, expecting the last two dimensions to be [1,1] instead of {list(x.shape[2:])}"
            )
        x = x.flatten(start_dim=1)
        return self.cls_score(x), self.bbox_pred(x)


FasterRCNN_ResNet50_FPN_Weights = coco_weights(
    "FasterRCNN_ResNet50_FPN_Weights", __name__, 41755286,
    COCO_V1=coco_entry("fasterrcnn_resnet50_fpn_coco-258fb6c6", RECIPES + "faster-r-cnn-resnet-50-fpn", 134.38, 159.743,
                       box_map=37.0),
)  # fmt: skip
ENHANCED = "These weights were produced using an enhanced training recipe to boost the model accuracy."
FasterRCNN_ResNet50_FPN_V2_Weights = coco_weights(
    "FasterRCNN_ResNet50_FPN_V2_Weights", __name__, 43712278,
    COCO_V1=coco_entry("fasterrcnn_resnet50_fpn_v2_coco-dd69338a", PULLS + "5763", 280.371, 167.104, ENHANCED, box_map=46.7),
)  # fmt: skip
FasterRCNN_MobileNet_V3_Large_FPN_Weights = coco_weights(
    "FasterRCNN_MobileNet_V3_Large_FPN_Weights", __name__, 19386354,
    COCO_V1=coco_entry("fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7", RECIPES + "faster-r-cnn-mobilenetv3-large-fpn", 4.494,
                       74.239, box_map=32.8),
)  # fmt: skip
FasterRCNN_MobileNet_V3_Large_320_FPN_Weights = coco_weights(
    "FasterRCNN_MobileNet_V3_Large_320_FPN_Weights", __name__, 19386354,
    COCO_V1=coco_entry("fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9", RECIPES + "faster-r-cnn-mobilenetv3-large-320-fpn",
                       0.719, 74.239, box_map=22.8),
)  # fmt: skip


def _resnet50(weights_backbone, progress, trained) -> nn.Module:
    norm_layer = FrozenBatchNorm2d if trained else nn.BatchNorm2d
    return resnet50(weights=weights_backbone, progress=progress, norm_layer=norm_layer)


def resnet50_fpn(weights_backbone, progress, trained, layers) -> nn.Module:
    """ResNet-50 with a pyramid; its normalisation is frozen where it is pretrained."""
    return _resnet_fpn_extractor(_resnet50(weights_backbone, progress, trained), layers)


def resnet50_p7(weights_backbone, progress, trained, layers) -> nn.Module:
    """`resnet50_fpn` with maps from the second layer on, and two more that are made of the last one."""
    backbone = _resnet50(weights_backbone, progress, trained)
    return _resnet_fpn_extractor(backbone, layers, [2, 3, 4], LastLevelP6P7(256, 256))


@detector_builder(FasterRCNN_ResNet50_FPN_Weights, ResNet50_Weights, kind=FasterRCNN, no_eps=True)
def fasterrcnn_resnet50_fpn(num_classes, weights_backbone, progress, trained, layers, **kwargs):
    """Faster R-CNN with ResNet-50 and a feature pyramid (Ren et al., 2015)."""
    return FasterRCNN(resnet50_fpn(weights_backbone, progress, trained, layers), num_classes, **kwargs)


def second_version(weights_backbone, progress, layers) -> dict[str, Any]:
    """Backbone, proposals and box head of the versions of 2022.

    Source: Li et al., Benchmarking Detection Transfer Learning with Vision Transformers, 2021.
    """
    backbone = resnet50(weights=weights_backbone, progress=progress)
    backbone = _resnet_fpn_extractor(backbone, layers, norm_layer=nn.BatchNorm2d)
    anchors, channels = _default_anchorgen(), backbone.out_channels
    return {
        "backbone": backbone,
        "rpn_anchor_generator": anchors,
        "rpn_head": RPNHead(channels, anchors.num_anchors_per_location()[0], conv_depth=2),
        "box_head": FastRCNNConvFCHead((channels, 7, 7), [256] * 4, [1024], norm_layer=nn.BatchNorm2d),
    }


@detector_builder(FasterRCNN_ResNet50_FPN_V2_Weights, ResNet50_Weights, kind=FasterRCNN, pretrained=None)
def fasterrcnn_resnet50_fpn_v2(num_classes, weights_backbone, progress, trained, layers, **kwargs):
    """Faster R-CNN with ResNet-50 and a feature pyramid, improved (Li et al., Benchmarking Detection Transfer, 2021)."""
    return FasterRCNN(**second_version(weights_backbone, progress, layers), num_classes=num_classes, **kwargs)


def _with_mobilenet(num_classes, weights_backbone, progress, trained, layers, **kwargs) -> FasterRCNN:
    norm_layer = FrozenBatchNorm2d if trained else nn.BatchNorm2d
    backbone = mobilenet_v3_large(weights=weights_backbone, progress=progress, norm_layer=norm_layer)
    backbone = _mobilenet_extractor(backbone, True, layers)
    anchors = AnchorGenerator(((32, 64, 128, 256, 512),) * 3, ((0.5, 1.0, 2.0),) * 3)
    return FasterRCNN(backbone, num_classes, rpn_anchor_generator=anchors, **kwargs)


@detector_builder(
    FasterRCNN_MobileNet_V3_Large_320_FPN_Weights, MobileNet_V3_Large_Weights, kind=FasterRCNN, layers=(6, 3)
)
def fasterrcnn_mobilenet_v3_large_320_fpn(num_classes, weights_backbone, progress, trained, layers, **kwargs):
    """Faster R-CNN with MobileNetV3-Large and a feature pyramid, for small pictures (Ren et al., 2015)."""
    small = {"min_size": 320, "max_size": 640, "rpn_pre_nms_top_n_test": 150, "rpn_post_nms_top_n_test": 150}
    kwargs = {**small, "rpn_score_thresh": 0.05, **kwargs}
    return _with_mobilenet(num_classes, weights_backbone, progress, trained, layers, **kwargs)


@detector_builder(
    FasterRCNN_MobileNet_V3_Large_FPN_Weights, MobileNet_V3_Large_Weights, kind=FasterRCNN, layers=(6, 3)
)
def fasterrcnn_mobilenet_v3_large_fpn(num_classes, weights_backbone, progress, trained, layers, **kwargs):
    """Faster R-CNN with MobileNetV3-Large and a feature pyramid (Ren et al., 2015)."""
    kwargs = {"rpn_score_thresh": 0.05, **kwargs}
    return _with_mobilenet(num_classes, weights_backbone, progress, trained, layers, **kwargs)
