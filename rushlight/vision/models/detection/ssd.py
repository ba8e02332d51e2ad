"""SSD."""

import warnings
from collections import OrderedDict
from typing import Any

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.nn import functional as F
from rushlight.vision.models.detection import _utils as det_utils
from rushlight.vision.models.detection._builders import RECIPES, coco_entry, coco_weights, detector_builder
from rushlight.vision.models.detection._single_shot import SingleShot, match_anchors, means
from rushlight.vision.models.detection.anchor_utils import DefaultBoxGenerator
from rushlight.vision.models.detection.backbone_utils import freeze_first
from rushlight.vision.models.detection.rpn import by_anchor
from rushlight.vision.models.detection.transform import GeneralizedRCNNTransform
from rushlight.vision.models.vgg import VGG16_Weights, vgg16
from rushlight.vision.ops import boxes as box_ops

__all__ = ["SSD300_VGG16_Weights", "ssd300_vgg16"]


def _xavier_init(conv: nn.Module) -> None:
    for layer in conv.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, 0.0)


class SSDScoringHead(nn.Module):
    """A layer for each feature map.

    Args:
        module_list: the layers.
        num_columns: numbers for each anchor.
    """

    def __init__(self, module_list: nn.ModuleList, num_columns: int):
        super().__init__()
        self.module_list = module_list
        self.num_columns = num_columns

    def forward(self, x: list[Tensor]) -> Tensor:
        """(N, anchors, columns)."""
        results = [layer(t) for layer, t in zip(self.module_list, x, strict=True)]
        return torch.cat([by_anchor(t, self.num_columns) for t in results], dim=1)


def _convolutions(in_channels: list[int], num_anchors: list[int], columns: int) -> nn.ModuleList:
    layers = nn.ModuleList(
        nn.Conv2d(channels, columns * anchors, kernel_size=3, padding=1)
        for channels, anchors in zip(in_channels, num_anchors, strict=True)
    )
    _xavier_init(layers)
    return layers


class SSDClassificationHead(SSDScoringHead):
    """The classes of all anchors.

    Args:
        in_channels: channels of each feature map.
        num_anchors: boxes per place of each.
        num_classes: classes including the background.
    """

    def __init__(self, in_channels: list[int], num_anchors: list[int], num_classes: int):
        super().__init__(_convolutions(in_channels, num_anchors, num_classes), num_classes)


class SSDRegressionHead(SSDScoringHead):
    """The boxes of all anchors.

    Args:
        in_channels: channels of each feature map.
        num_anchors: boxes per place of each.
    """

    def __init__(self, in_channels: list[int], num_anchors: list[int]):
        super().__init__(_convolutions(in_channels, num_anchors, 4), 4)


class TwoHeads(nn.Module):
    """The classes and the boxes of all anchors.

    Args:
        classification_head: makes logits.
        regression_head: makes codes.
    """

    def __init__(self, classification_head: nn.Module, regression_head: nn.Module):
        super().__init__()
        self.classification_head = classification_head
        self.regression_head = regression_head

    def forward(self, x: list[Tensor]) -> dict[str, Tensor]:
        """Codes (N, anchors, 4) and logits (N, anchors, classes) by name."""
        return {"bbox_regression": self.regression_head(x), "cls_logits": self.classification_head(x)}


class SSDHead(TwoHeads):
    """The classes and the boxes of all anchors.

    Args:
        in_channels: channels of each feature map.
        num_anchors: boxes per place of each.
        num_classes: classes including the background.
    """

    def __init__(self, in_channels: list[int], num_anchors: list[int], num_classes: int):
        classification = SSDClassificationHead(in_channels, num_anchors, num_classes)
        super().__init__(classification, SSDRegressionHead(in_channels, num_anchors))


class SSD(SingleShot):
    """SSD: a detector in one stage whose maps are those of a network that goes on after the usual ones.

    Source: Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016.

    In training it returns the losses by name, else for each picture the detected "boxes" (D, 4), "scores" and "labels" (D,).

    Args:
        backbone: makes feature maps by name.
        anchor_generator: makes the boxes to start from.
        size: (width, height) that pictures are resized to.
        num_classes: classes including the background.
        image_mean: of the channels; ImageNet's by default.
        image_std: of the channels; ImageNet's by default.
        head: makes logits and codes.
        score_thresh: probability that detections need.
        nms_thresh: overlap from which on the worse of one class goes.
        detections_per_img: most detections of a picture.
        iou_thresh: overlap from which on an anchor belongs to a true box in training.
        topk_candidates: detections of each class before suppression.
        positive_fraction: share of anchors with a class among those that the loss counts; of the others it counts the
            worst ones.
        **kwargs: arguments of `GeneralizedRCNNTransform`.

    Raises:
        ValueError: the backbone makes another number of maps than there are anchors for.
    """

    def __init__(
        self,
        backbone: nn.Module,
        anchor_generator: DefaultBoxGenerator,
        size: tuple[int, int],
        num_classes: int,
        image_mean: list[float] | None = None,
        image_std: list[float] | None = None,
        head: nn.Module | None = None,
        score_thresh: float = 0.01,
        nms_thresh: float = 0.45,
        detections_per_img: int = 200,
        iou_thresh: float = 0.5,
        topk_candidates: int = 400,
        positive_fraction: float = 0.25,
        **kwargs: Any,
    ):
        if head is None:
            channels = getattr(backbone, "out_channels", None) or det_utils.retrieve_out_channels(
                backbone, size
            )
            check_maps(channels, anchor_generator)
            head = SSDHead(channels, anchor_generator.num_anchors_per_location(), num_classes)
        transform = GeneralizedRCNNTransform(
            min(size), max(size), *means(image_mean, image_std), size_divisible=1, fixed_size=size, **kwargs
        )
        super().__init__(backbone, anchor_generator, head, transform)
        self.box_coder = det_utils.BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
        self.proposal_matcher = det_utils.SSDMatcher(iou_thresh)
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates
        self.neg_to_pos_ratio = (1.0 - positive_fraction) / positive_fraction

    def compute_loss(
        self, targets: list[dict], head_outputs: dict, anchors: list[Tensor], matched_idxs: list[Tensor]
    ) -> dict[str, Tensor]:
        """The losses by name."""
        count, box_losses, truth = 0, [], []
        parts = zip(targets, head_outputs["bbox_regression"], anchors, matched_idxs, strict=True)
        for target, codes, own, matched in parts:
            positive = torch.where(matched >= 0)[0]
            at = matched[positive]
            count += at.numel()
            wanted = self.box_coder.encode_single(target["boxes"][at], own[positive])
            box_losses.append(F.smooth_l1_loss(codes[positive], wanted, reduction="sum"))
            labels = torch.zeros((len(matched),), dtype=target["labels"].dtype)
            labels[positive] = target["labels"][at]
            truth.append(labels)
        labels, logits = torch.stack(truth), head_outputs["cls_logits"]
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").reshape(
            labels.shape
        )
        positive = labels > 0
        hard = self._hard(losses.detach(), positive)
        count = max(1, count)
        return {
            "bbox_regression": torch.stack(box_losses).sum() / count,
            "classification": (losses[positive].sum() + losses[hard].sum()) / count,
        }

    def _hard(self, losses: Tensor, positive: Tensor) -> Tensor:
        """The anchors (N, anchors) without a class whose losses are largest, some for each one that has a class."""
        wanted = self.neg_to_pos_ratio * positive.sum(1, keepdim=True)
        order = losses.masked_fill(positive, -float("inf")).sort(1, descending=True)[1]
        return order.sort(1)[1] < wanted

    def losses_of(self, targets, outputs, anchors, maps) -> dict[str, Tensor]:
        """The losses by name."""
        matched = match_anchors(self.proposal_matcher, anchors, targets)
        return self.compute_loss(targets, outputs, anchors, matched)

    def postprocess_detections(
        self, head_outputs: dict, image_anchors: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> list[dict]:
        """The detections of each picture."""
        probabilities = F.softmax(head_outputs["cls_logits"], dim=-1)
        detections = []
        parts = zip(head_outputs["bbox_regression"], probabilities, image_anchors, image_shapes, strict=True)
        for codes, scores, anchors, shape in parts:
            boxes = box_ops.clip_boxes_to_image(self.box_coder.decode_single(codes, anchors), shape)
            found: tuple[list, list, list] = ([], [], [])
            for label in range(1, scores.shape[-1]):
                best, at = self.best_of(scores[:, label], self.score_thresh)
                kinds = torch.full((len(at),), label, dtype=torch.int64)
                for part, values in zip(found, (boxes[at], best, kinds), strict=True):
                    part.append(values)
            detections.append(self.suppressed(*found))
        return detections

    def detections_of(self, outputs, anchors, image_shapes, maps) -> list[dict]:
        """The detections of each picture."""
        return self.postprocess_detections(outputs, anchors, image_shapes)


def check_maps(channels: list[int], anchor_generator: DefaultBoxGenerator) -> None:
    """ValueError unless there are anchors for each map."""
    if len(channels) != len(anchor_generator.aspect_ratios):
        raise ValueError(
            f"The length of the output channels from the backbone ({len(channels)}) do not match the length of the anchor "
            f"generator aspect ratios ({len(anchor_generator.aspect_ratios)})"
        )


def _narrowing(channels: int, out_channels: int, **how: Any) -> nn.Sequential:
    """A 1x1 convolution to half the channels, and one that makes the map smaller."""
    half = out_channels // 2
    return nn.Sequential(
        nn.Conv2d(channels, half, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(half, out_channels, **how),
        nn.ReLU(inplace=True),
    )


class SSDFeatureExtractorVGG(nn.Module):
    """The convolutions of a VGG, and further ones.

    Args:
        backbone: the convolutions of a VGG.
        highres: one map more, for larger pictures.
    """

    def __init__(self, backbone: nn.Module, highres: bool):
        super().__init__()
        pools = [i for i, layer in enumerate(backbone) if isinstance(layer, nn.MaxPool2d)]
        backbone[pools[2]].ceil_mode = True
        self.scale_weight = nn.Parameter(torch.ones(512) * 20)
        self.features = nn.Sequential(*backbone[: pools[3]])
        smaller = {"kernel_size": 3, "padding": 1, "stride": 2}
        extra = nn.ModuleList(
            [
                _narrowing(1024, 512, **smaller),
                _narrowing(512, 256, **smaller),
                _narrowing(256, 256, kernel_size=3),
                _narrowing(256, 256, kernel_size=3),
            ]
        )
        if highres:
            extra.append(_narrowing(256, 256, kernel_size=4))
        _xavier_init(extra)
        fc = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=False),
            nn.Conv2d(512, 1024, kernel_size=3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, kernel_size=1),
            nn.ReLU(inplace=True),
        )
        _xavier_init(fc)
        extra.insert(0, nn.Sequential(*backbone[pools[3] : -1], fc))
        self.extra = extra

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Feature maps by name, the first one with all places of one length."""
        x = self.features(x)
        maps = [self.scale_weight.reshape(1, -1, 1, 1) * F.normalize(x)]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return OrderedDict((str(i), value) for i, value in enumerate(maps))


def _vgg_extractor(backbone: nn.Module, highres: bool, trainable_layers: int) -> SSDFeatureExtractorVGG:
    """The feature maps of a VGG, of which the first parts do not learn."""
    features = backbone.features
    pools = [i for i, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d)]
    freeze_first(features, [0, *pools[:-1]], trainable_layers)
    return SSDFeatureExtractorVGG(features, highres)


SSD300_VGG16_Weights = coco_weights(
    "SSD300_VGG16_Weights", __name__, 35641826,
    COCO_V1=coco_entry("ssd300_vgg16_coco-b556d3b4", RECIPES + "ssd300-vgg16", 34.858, 135.988, box_map=25.1),
)  # fmt: skip


def without_size(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments without the size, which is fixed."""
    if "size" in kwargs:
        warnings.warn("The size of the model is already fixed; ignoring the parameter.", stacklevel=4)
    return {name: value for name, value in kwargs.items() if name != "size"}


@detector_builder(
    SSD300_VGG16_Weights,
    VGG16_Weights,
    kind=SSD,
    pretrained="IMAGENET1K_FEATURES",
    legacy="IMAGENET1K_FEATURES",
    layers=(5, 4),
)
def ssd300_vgg16(num_classes, weights_backbone, progress, trained, layers, **kwargs):
    """SSD with VGG-16, for pictures of 300 x 300 (Liu et al., 2016)."""
    backbone = _vgg_extractor(vgg16(weights=weights_backbone, progress=progress), False, layers)
    anchors = DefaultBoxGenerator(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        steps=[8, 16, 32, 64, 100, 300],
    )
    # The backbone was trained on pictures with values from 0 to 255.
    usual = {"image_mean": [0.48235, 0.45882, 0.40784], "image_std": [1.0 / 255.0] * 3}
    return SSD(backbone, anchors, (300, 300), num_classes, **{**usual, **without_size(kwargs)})
