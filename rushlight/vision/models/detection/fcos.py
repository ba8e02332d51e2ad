"""FCOS."""

from collections.abc import Callable
from functools import partial

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.nn import functional as F
from rushlight.vision.models.detection import _utils as det_utils
from rushlight.vision.models.detection._builders import RECIPES, coco_entry, coco_weights, detector_builder
from rushlight.vision.models.detection._single_shot import SingleShot, by_level, means
from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
from rushlight.vision.models.detection.faster_rcnn import check_backbone, check_kind, resnet50_p7
from rushlight.vision.models.detection.retinanet import prior_bias
from rushlight.vision.models.detection.rpn import by_anchor
from rushlight.vision.models.detection.transform import GeneralizedRCNNTransform
from rushlight.vision.models.resnet import ResNet50_Weights
from rushlight.vision.ops import generalized_box_iou_loss, sigmoid_focal_loss

__all__ = ["FCOS", "FCOS_ResNet50_FPN_Weights", "fcos_resnet50_fpn"]


class FCOSHead(nn.Module):
    """The classes, the boxes and the centredness of all places.

    Args:
        in_channels: channels of the feature maps.
        num_anchors: boxes per place.
        num_classes: classes.
        num_convs: convolutions before.
    """

    def __init__(self, in_channels: int, num_anchors: int, num_classes: int, num_convs: int | None = 4):
        super().__init__()
        self.box_coder = det_utils.BoxLinearCoder(normalize_by_size=True)
        self.classification_head = FCOSClassificationHead(in_channels, num_anchors, num_classes, num_convs)
        self.regression_head = FCOSRegressionHead(in_channels, num_anchors, num_convs)

    def _truth(self, targets, matched_idxs) -> tuple[Tensor, Tensor]:
        """The true class of each place of each picture, -1 for none, and its true box."""
        labels, boxes = [], []
        for target, at in zip(targets, matched_idxs, strict=True):
            if len(target["labels"]) == 0:
                label = target["labels"].new_zeros((len(at),))
                boxes.append(target["boxes"].new_zeros((len(at), 4)))
            else:
                label = target["labels"][at.clip(min=0)]
                boxes.append(target["boxes"][at.clip(min=0)])
            label[at < 0] = -1
            labels.append(label)
        return torch.stack(labels), torch.stack(boxes)

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        """The three losses by name."""
        labels, boxes = self._truth(targets, matched_idxs)
        all_anchors, positive = torch.stack(anchors), labels >= 0
        logits = head_outputs["cls_logits"]
        truth = torch.zeros_like(logits)
        truth[positive, labels[positive]] = 1.0
        predicted = self.box_coder.decode(head_outputs["bbox_regression"], all_anchors)
        # The distances of the sides: the more they differ, the further is the place from the centre.
        sides = self.box_coder.encode(all_anchors, boxes)[positive]
        ratios = [sides[:, pair].min(dim=-1)[0] / sides[:, pair].max(dim=-1)[0] for pair in ([0, 2], [1, 3])]
        centred = head_outputs["bbox_ctrness"].squeeze(dim=2)[positive]
        losses = {
            "classification": sigmoid_focal_loss(logits, truth, reduction="sum"),
            "bbox_regression": generalized_box_iou_loss(
                predicted[positive], boxes[positive], reduction="sum"
            ),
            "bbox_ctrness": F.binary_cross_entropy_with_logits(
                centred, torch.sqrt(ratios[0] * ratios[1]), reduction="sum"
            ),
        }
        count = max(1, int(positive.sum()))
        return {name: loss / count for name, loss in losses.items()}

    def forward(self, x: list[Tensor]) -> dict[str, Tensor]:
        """Logits (N, places, classes), distances (N, places, 4) and centredness (N, places, 1) by name."""
        distances, centredness = self.regression_head(x)
        return {
            "cls_logits": self.classification_head(x),
            "bbox_regression": distances,
            "bbox_ctrness": centredness,
        }


class _Tower(nn.Module):
    """Convolutions with normalisation, which both heads have."""

    def __init__(self, in_channels: int, num_convs: int, norm_layer: Callable[..., nn.Module] | None):
        super().__init__()
        norm_layer = norm_layer or partial(nn.GroupNorm, 32)
        blocks: list[nn.Module] = []
        for _ in range(num_convs):
            blocks += [
                nn.Conv2d(in_channels, in_channels, 3, stride=1, padding=1),
                norm_layer(in_channels),
                nn.ReLU(),
            ]
        self.conv = nn.Sequential(*blocks)

    def _init_tower(self) -> None:
        for layer in self.conv.children():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)


class FCOSClassificationHead(_Tower):
    """The classes of all places.

    Args:
        in_channels: channels of the feature maps.
        num_anchors: boxes per place.
        num_classes: classes.
        num_convs: convolutions before.
        prior_probability: of each class at the start.
        norm_layer: normalisation; in groups of 32 channels by default.
    """

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_classes: int,
        num_convs: int = 4,
        prior_probability: float = 0.01,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__(in_channels, num_convs, norm_layer)
        self.num_classes = num_classes
        self.num_anchors = num_anchors
        self._init_tower()
        self.cls_logits = nn.Conv2d(in_channels, num_anchors * num_classes, 3, stride=1, padding=1)
        nn.init.normal_(self.cls_logits.weight, std=0.01)
        nn.init.constant_(self.cls_logits.bias, prior_bias(prior_probability))

    def forward(self, x: list[Tensor]) -> Tensor:
        """Logits (N, places, classes)."""
        return torch.cat([by_anchor(self.cls_logits(self.conv(t)), self.num_classes) for t in x], dim=1)


class FCOSRegressionHead(_Tower):
    """The boxes and the centredness of all places.

    Args:
        in_channels: channels of the feature maps.
        num_anchors: boxes per place.
        num_convs: convolutions before.
        norm_layer: normalisation; in groups of 32 channels by default.
    """

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_convs: int = 4,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__(in_channels, num_convs, norm_layer)
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, 3, stride=1, padding=1)
        self.bbox_ctrness = nn.Conv2d(in_channels, num_anchors * 1, 3, stride=1, padding=1)
        for layer in (self.bbox_reg, self.bbox_ctrness):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        self._init_tower()

    def forward(self, x: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Distances of the sides (N, places, 4), and logits of the centredness (N, places, 1)."""
        hidden = [self.conv(t) for t in x]
        distances = [by_anchor(F.relu(self.bbox_reg(t)), 4) for t in hidden]
        centredness = [by_anchor(self.bbox_ctrness(t), 1) for t in hidden]
        return torch.cat(distances, dim=1), torch.cat(centredness, dim=1)


class FCOS(SingleShot):
    """FCOS: for every place the distances to the sides of the object around it, and how near it is to the centre.

    Source: Tian et al., FCOS: Fully Convolutional One-Stage Object Detection, ICCV 2019.

    In training it returns the losses by name, else for each picture the detected "boxes" (D, 4), "scores" and "labels" (D,).

    Args:
        backbone: makes feature maps, a tensor or several by name, all with `backbone.out_channels` channels.
        num_classes: classes including the background.
        min_size: the shorter side of pictures after resizing.
        max_size: and the longest that the longer one becomes.
        image_mean: of the channels; ImageNet's by default.
        image_std: of the channels; ImageNet's by default.
        anchor_generator: makes one square for each place, as large as places are apart.
        head: makes logits, distances and centredness.
        center_sampling_radius: how far from an object's centre its places are, beside the distance of places.
        score_thresh: score that detections need.
        nms_thresh: overlap from which on the worse of one class goes.
        detections_per_img: most detections of a picture.
        topk_candidates: detections of each map before suppression.
        **kwargs: arguments of `GeneralizedRCNNTransform`.

    Raises:
        ValueError, TypeError: arguments do not fit, or are of a wrong class.
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int,
        min_size: int = 800,
        max_size: int = 1333,
        image_mean: list[float] | None = None,
        image_std: list[float] | None = None,
        anchor_generator: AnchorGenerator | None = None,
        head: nn.Module | None = None,
        center_sampling_radius: float = 1.5,
        score_thresh: float = 0.2,
        nms_thresh: float = 0.6,
        detections_per_img: int = 100,
        topk_candidates: int = 1000,
        **kwargs,
    ):
        check_backbone(backbone)
        check_kind("anchor_generator", anchor_generator, AnchorGenerator)
        anchors = anchor_generator or AnchorGenerator(((8,), (16,), (32,), (64,), (128,)), ((1.0,),) * 5)
        count = anchors.num_anchors_per_location()[0]
        if count != 1:
            raise ValueError(f"anchor_generator.num_anchors_per_location()[0] should be 1 instead of {count}")
        if head is None:
            head = FCOSHead(backbone.out_channels, count, num_classes)
        transform = GeneralizedRCNNTransform(min_size, max_size, *means(image_mean, image_std), **kwargs)
        super().__init__(backbone, anchors, head, transform)
        self.box_coder = det_utils.BoxLinearCoder(normalize_by_size=True)
        self.center_sampling_radius = center_sampling_radius
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates

    def _match(self, anchors: Tensor, boxes: Tensor, counts: list[int]) -> Tensor:
        """For each place of a picture the number of its true box, -1 for none.

        It is the smallest box of those that the place lies in and near whose centre it lies, and whose size suits the map.
        """
        if boxes.numel() == 0:
            return torch.full((len(anchors),), -1, dtype=torch.int64)
        centres, sizes = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2] - anchors[:, 0]
        off = (centres[:, None] - ((boxes[:, :2] + boxes[:, 2:]) / 2)[None]).abs().max(dim=2).values
        distances = torch.cat(
            (centres[:, None] - boxes[None, :, :2], boxes[None, :, 2:] - centres[:, None]), dim=2
        )
        furthest = distances.max(dim=2).values
        low, high = sizes * 4, sizes * 8
        low[: counts[0]] = 0
        high[-counts[-1] :] = float("inf")
        fits = (
            (off < self.center_sampling_radius * sizes[:, None])
            & (distances.min(dim=2).values > 0)
            & (furthest > low[:, None])
            & (furthest < high[:, None])
        )
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        best, at = (fits.to(torch.float32) * (1e8 - areas[None])).max(dim=1)
        at[best < 1e-5] = -1
        return at

    def compute_loss(
        self, targets: list[dict], head_outputs: dict, anchors: list[Tensor], num_anchors_per_level: list[int]
    ) -> dict[str, Tensor]:
        """The losses by name."""
        matched = [
            self._match(own, target["boxes"], num_anchors_per_level)
            for own, target in zip(anchors, targets, strict=True)
        ]
        return self.head.compute_loss(targets, head_outputs, anchors, matched)

    def losses_of(self, targets, outputs, anchors, maps) -> dict[str, Tensor]:
        """The losses by name."""
        return self.compute_loss(targets, outputs, anchors, [x.shape[-2] * x.shape[-1] for x in maps])

    def postprocess_detections(self, head_outputs, anchors, image_shapes) -> list[dict]:
        """The detections of each picture, of outputs and anchors as lists over maps."""
        score = lambda here: torch.sqrt(
            torch.sigmoid(here["cls_logits"]) * torch.sigmoid(here["bbox_ctrness"])
        )
        return self.detections_by_level(head_outputs, anchors, image_shapes, self.box_coder.decode, score)

    def detections_of(self, outputs, anchors, image_shapes, maps) -> list[dict]:
        """The detections of each picture."""
        return self.postprocess_detections(*by_level(outputs, anchors, maps), image_shapes)


FCOS_ResNet50_FPN_Weights = coco_weights(
    "FCOS_ResNet50_FPN_Weights", __name__, 32269600,
    COCO_V1=coco_entry("fcos_resnet50_fpn_coco-99b0c9b7", RECIPES + "fcos-resnet-50-fpn", 128.207, 123.608, box_map=39.2),
)  # fmt: skip


@detector_builder(FCOS_ResNet50_FPN_Weights, ResNet50_Weights, kind=FCOS)
def fcos_resnet50_fpn(num_classes, weights_backbone, progress, trained, layers, **kwargs):
    """FCOS with ResNet-50 and a feature pyramid (Tian et al., 2019)."""
    backbone = resnet50_p7(weights_backbone, progress, trained, layers)
    return FCOS(backbone, num_classes, **kwargs)
