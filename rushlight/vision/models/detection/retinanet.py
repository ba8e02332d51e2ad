"""RetinaNet."""

import math
from collections.abc import Callable
from functools import partial

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.vision.models.detection import _utils as det_utils
from rushlight.vision.models.detection._builders import (
    PULLS,
    RECIPES,
    coco_entry,
    coco_weights,
    detector_builder,
)
from rushlight.vision.models.detection._single_shot import (
    SingleShot,
    by_level,
    flattened,
    match_anchors,
    means,
)
from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
from rushlight.vision.models.detection.backbone_utils import _resnet_fpn_extractor
from rushlight.vision.models.detection.faster_rcnn import ENHANCED, check_backbone, check_kind, resnet50_p7
from rushlight.vision.models.detection.transform import GeneralizedRCNNTransform
from rushlight.vision.models.resnet import ResNet50_Weights, resnet50
from rushlight.vision.ops import Conv2dNormActivation, sigmoid_focal_loss
from rushlight.vision.ops.feature_pyramid_network import LastLevelP6P7, rename

__all__ = [
    "RetinaNet",
    "RetinaNet_ResNet50_FPN_V2_Weights",
    "RetinaNet_ResNet50_FPN_Weights",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
]


def _default_anchorgen() -> AnchorGenerator:
    sizes = tuple((x, int(x * 2 ** (1.0 / 3)), int(x * 2 ** (2.0 / 3))) for x in (32, 64, 128, 256, 512))
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))


class RetinaNetHead(nn.Module):
    """The classes and the boxes of all anchors.

    Args:
        in_channels: channels of the feature maps.
        num_anchors: boxes per place.
        num_classes: classes.
        norm_layer: normalisation.
    """

    def __init__(
        self, in_channels, num_anchors, num_classes, norm_layer: Callable[..., nn.Module] | None = None
    ):
        super().__init__()
        self.classification_head = RetinaNetClassificationHead(
            in_channels, num_anchors, num_classes, norm_layer=norm_layer
        )
        self.regression_head = RetinaNetRegressionHead(in_channels, num_anchors, norm_layer=norm_layer)

    def compute_loss(self, targets, head_outputs, anchors, matched_idxs) -> dict[str, Tensor]:
        """Both losses by name."""
        return {
            "classification": self.classification_head.compute_loss(targets, head_outputs, matched_idxs),
            "bbox_regression": self.regression_head.compute_loss(
                targets, head_outputs, anchors, matched_idxs
            ),
        }

    def forward(self, x: list[Tensor]) -> dict[str, Tensor]:
        """Logits (N, anchors, classes) and codes (N, anchors, 4) by name."""
        return {"cls_logits": self.classification_head(x), "bbox_regression": self.regression_head(x)}


def _set_normal(layer: nn.Module) -> None:
    for module in layer.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.constant_(module.bias, 0)


class _Tower(nn.Module):
    """Four convolutions, which the two heads have each on its own."""

    _version = 2

    def __init__(self, in_channels: int, norm_layer: Callable[..., nn.Module] | None):
        super().__init__()
        self.conv = nn.Sequential(
            *(Conv2dNormActivation(in_channels, in_channels, norm_layer=norm_layer) for _ in range(4))
        )

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args) -> None:
        if (local_metadata.get("version") or 1) < 2:  # the convolutions were no blocks then
            for i in range(4):
                rename(state_dict, f"{prefix}conv.{2 * i}", f"{prefix}conv.{i}.0")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def prior_bias(probability: float) -> float:
    """The logit of a probability: a bias that makes rare classes rare from the start."""
    return -math.log((1 - probability) / probability)


class RetinaNetClassificationHead(_Tower):
    """The classes of all anchors.

    Args:
        in_channels: channels of the feature maps.
        num_anchors: boxes per place.
        num_classes: classes.
        prior_probability: of each class at the start.
        norm_layer: normalisation.
    """

    def __init__(
        self,
        in_channels,
        num_anchors,
        num_classes,
        prior_probability=0.01,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__(in_channels, norm_layer)
        _set_normal(self.conv)
        self.cls_logits = nn.Conv2d(in_channels, num_anchors * num_classes, 3, stride=1, padding=1)
        nn.init.normal_(self.cls_logits.weight, std=0.01)
        nn.init.constant_(self.cls_logits.bias, prior_bias(prior_probability))
        self.num_classes = num_classes
        self.num_anchors = num_anchors

    def compute_loss(self, targets, head_outputs, matched_idxs) -> Tensor:
        """The focal loss beside the number of anchors that belong to objects, averaged over pictures."""
        losses = []
        for target, logits, at in zip(targets, head_outputs["cls_logits"], matched_idxs, strict=True):
            positive, known = at >= 0, at != det_utils.Matcher.BETWEEN_THRESHOLDS
            truth = torch.zeros_like(logits)
            truth[positive, target["labels"][at[positive]]] = 1.0
            loss = sigmoid_focal_loss(logits[known], truth[known], reduction="sum")
            losses.append(loss / max(1, int(positive.sum())))
        return sum(losses[1:], losses[0]) / len(targets)

    def forward(self, x: list[Tensor]) -> Tensor:
        """Logits (N, anchors, classes)."""
        return flattened(lambda t: self.cls_logits(self.conv(t)), x, self.num_classes)


class RetinaNetRegressionHead(_Tower):
    """The boxes of all anchors.

    Args:
        in_channels: channels of the feature maps.
        num_anchors: boxes per place.
        norm_layer: normalisation.
    """

    def __init__(self, in_channels, num_anchors, norm_layer: Callable[..., nn.Module] | None = None):
        super().__init__(in_channels, norm_layer)
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, 3, stride=1, padding=1)
        nn.init.normal_(self.bbox_reg.weight, std=0.01)
        nn.init.zeros_(self.bbox_reg.bias)
        _set_normal(self.conv)
        self.box_coder = det_utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self._loss_type = "l1"

    def compute_loss(self, targets, head_outputs, anchors, matched_idxs) -> Tensor:
        """The loss of boxes beside the number of anchors that belong to objects, averaged over pictures."""
        losses = []
        parts = zip(targets, head_outputs["bbox_regression"], anchors, matched_idxs, strict=True)
        for target, codes, own, at in parts:
            positive = torch.where(at >= 0)[0]
            loss = det_utils._box_loss(
                self._loss_type, self.box_coder, own[positive], target["boxes"][at[positive]], codes[positive]
            )
            losses.append(loss / max(1, positive.numel()))
        return sum(losses[1:], losses[0]) / max(1, len(targets))

    def forward(self, x: list[Tensor]) -> Tensor:
        """Codes (N, anchors, 4)."""
        return flattened(lambda t: self.bbox_reg(self.conv(t)), x, 4)


class RetinaNet(SingleShot):
    """RetinaNet: a detector in one stage that learns mostly from what is hard.

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.

    In training it returns the losses by name, else for each picture the detected "boxes" (D, 4), "scores" and "labels" (D,).

    Args:
        backbone: makes feature maps, a tensor or several by name, all with `backbone.out_channels` channels.
        num_classes: classes including the background.
        min_size: the shorter side of pictures after resizing.
        max_size: and the longest that the longer one becomes.
        image_mean: of the channels; ImageNet's by default.
        image_std: of the channels; ImageNet's by default.
        anchor_generator: makes the boxes to start from.
        head: makes logits and codes.
        proposal_matcher: says which anchors belong to which true box.
        score_thresh: probability that detections need.
        nms_thresh: overlap from which on the worse of one class goes.
        detections_per_img: most detections of a picture.
        fg_iou_thresh: overlap from which on an anchor belongs to a true box.
        bg_iou_thresh: overlap below which it belongs to none.
        topk_candidates: detections of each map before suppression.
        **kwargs: arguments of `GeneralizedRCNNTransform`.

    Raises:
        ValueError, TypeError: arguments are of a wrong class.
    """

    def __init__(
        self,
        backbone,
        num_classes,
        min_size=800,
        max_size=1333,
        image_mean=None,
        image_std=None,
        anchor_generator=None,
        head=None,
        proposal_matcher=None,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=300,
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.4,
        topk_candidates=1000,
        **kwargs,
    ):
        check_backbone(backbone)
        check_kind("anchor_generator", anchor_generator, AnchorGenerator)
        anchors = anchor_generator or _default_anchorgen()
        if head is None:
            head = RetinaNetHead(backbone.out_channels, anchors.num_anchors_per_location()[0], num_classes)
        transform = GeneralizedRCNNTransform(min_size, max_size, *means(image_mean, image_std), **kwargs)
        super().__init__(backbone, anchors, head, transform)
        self.proposal_matcher = proposal_matcher or det_utils.Matcher(
            fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True
        )
        self.box_coder = det_utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates

    def compute_loss(self, targets, head_outputs, anchors) -> dict[str, Tensor]:
        """The losses by name."""
        matched = match_anchors(self.proposal_matcher, anchors, targets)
        return self.head.compute_loss(targets, head_outputs, anchors, matched)

    def losses_of(self, targets, outputs, anchors, maps) -> dict[str, Tensor]:
        """The losses by name."""
        return self.compute_loss(targets, outputs, anchors)

    def postprocess_detections(self, head_outputs, anchors, image_shapes) -> list[dict]:
        """The detections of each picture, of outputs and anchors as lists over maps."""
        score = lambda here: torch.sigmoid(here["cls_logits"])
        return self.detections_by_level(
            head_outputs, anchors, image_shapes, self.box_coder.decode_single, score
        )

    def detections_of(self, outputs, anchors, image_shapes, maps) -> list[dict]:
        """The detections of each picture."""
        return self.postprocess_detections(*by_level(outputs, anchors, maps), image_shapes)


RetinaNet_ResNet50_FPN_Weights = coco_weights(
    "RetinaNet_ResNet50_FPN_Weights", __name__, 34014999,
    COCO_V1=coco_entry("retinanet_resnet50_fpn_coco-eeacb38b", RECIPES + "retinanet", 151.54, 130.267, box_map=36.4),
)  # fmt: skip
RetinaNet_ResNet50_FPN_V2_Weights = coco_weights(
    "RetinaNet_ResNet50_FPN_V2_Weights", __name__, 38198935,
    COCO_V1=coco_entry("retinanet_resnet50_fpn_v2_coco-5905b1c5", PULLS + "5756", 152.238, 146.037, ENHANCED, box_map=41.5),
)  # fmt: skip


@detector_builder(RetinaNet_ResNet50_FPN_Weights, ResNet50_Weights, kind=RetinaNet, no_eps=True)
def retinanet_resnet50_fpn(num_classes, weights_backbone, progress, trained, layers, **kwargs):
    """RetinaNet with ResNet-50 and a feature pyramid (Lin et al., 2017)."""
    backbone = resnet50_p7(weights_backbone, progress, trained, layers)
    return RetinaNet(backbone, num_classes, **kwargs)


@detector_builder(RetinaNet_ResNet50_FPN_V2_Weights, ResNet50_Weights, kind=RetinaNet, pretrained=None)
def retinanet_resnet50_fpn_v2(num_classes, weights_backbone, progress, trained, layers, **kwargs):
    """RetinaNet with ResNet-50 and a feature pyramid, improved (Zhang et al., Bridging the Gap, CVPR 2020)."""
    backbone = resnet50(weights=weights_backbone, progress=progress)
    extra = LastLevelP6P7(2048, 256)
    backbone = _resnet_fpn_extractor(backbone, layers, returned_layers=[2, 3, 4], extra_blocks=extra)
    anchors = _default_anchorgen()
    head = RetinaNetHead(
        backbone.out_channels,
        anchors.num_anchors_per_location()[0],
        num_classes,
        norm_layer=partial(nn.GroupNorm, 32),
    )
    head.regression_head._loss_type = "giou"
    return RetinaNet(backbone, num_classes, anchor_generator=anchors, head=head, **kwargs)
