"""The network that proposes regions."""

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.nn import functional as F
from rushlight.vision.models.detection import _utils as det_utils
from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
from rushlight.vision.models.detection.image_list import ImageList
from rushlight.vision.ops import Conv2dNormActivation
from rushlight.vision.ops import boxes as box_ops
from rushlight.vision.ops.feature_pyramid_network import rename


class RPNHead(nn.Module):
    """Convolutions that say for each anchor whether there is an object, and how the box must change.

    Args:
        in_channels: channels of the feature maps.
        num_anchors: boxes per place.
        conv_depth: number of 3x3 convolutions before.
    """

    _version = 2

    def __init__(self, in_channels: int, num_anchors: int, conv_depth=1):
        super().__init__()
        self.conv = nn.Sequential(
            *(Conv2dNormActivation(in_channels, in_channels, 3, norm_layer=None) for _ in range(conv_depth))
        )
        self.cls_logits = nn.Conv2d(in_channels, num_anchors, kernel_size=1, stride=1)
        self.bbox_pred = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=1, stride=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.constant_(layer.bias, 0)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args) -> None:
        if (local_metadata.get("version") or 1) < 2:  # there was one convolution then, and no block
            rename(state_dict, f"{prefix}conv", f"{prefix}conv.0.0")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """For each map the logits (N, anchors, H, W) and the codes (N, anchors * 4, H, W)."""
        hidden = [self.conv(feature) for feature in x]
        return [self.cls_logits(t) for t in hidden], [self.bbox_pred(t) for t in hidden]


def by_anchor(x: Tensor, columns: int) -> Tensor:
    """(N, anchors * columns, H, W) as (N, H * W * anchors, columns), in the order of the anchors."""
    n, _, height, width = x.shape
    return x.reshape(n, -1, columns, height, width).permute(0, 3, 4, 1, 2).reshape(n, -1, columns)


class RegionProposalNetwork(nn.Module):
    """Proposes boxes that may hold objects.

    Source: Ren et al., Faster R-CNN, NeurIPS 2015.

    Args:
        anchor_generator: makes the boxes to start from.
        head: makes logits and codes, as `RPNHead`.
        fg_iou_thresh: overlap with a true box from which on an anchor is positive in training.
        bg_iou_thresh: overlap below which it is negative.
        batch_size_per_image: anchors drawn for the loss.
        positive_fraction: share of positive ones among them.
        pre_nms_top_n: proposals of each map that are kept before suppression, in "training" and in "testing".
        post_nms_top_n: proposals of each picture that are kept after it, the same.
        nms_thresh: overlap from which on the worse one goes.
        score_thresh: probability that proposals need.
    """

    def __init__(
        self,
        anchor_generator: AnchorGenerator,
        head: nn.Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        pre_nms_top_n: dict[str, int],
        post_nms_top_n: dict[str, int],
        nms_thresh: float,
        score_thresh: float = 0.0,
    ):
        super().__init__()
        self.anchor_generator = anchor_generator
        self.head = head
        self.box_coder = det_utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self.box_similarity = box_ops.box_iou
        self.proposal_matcher = det_utils.Matcher(
            fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True
        )
        self.fg_bg_sampler = det_utils.BalancedPositiveNegativeSampler(
            batch_size_per_image, positive_fraction
        )
        self._pre_nms_top_n = pre_nms_top_n
        self._post_nms_top_n = post_nms_top_n
        self.nms_thresh = nms_thresh
        self.score_thresh = score_thresh
        self.min_size = 1e-3

    def pre_nms_top_n(self) -> int:
        """Proposals of each map that are kept before suppression."""
        return self._pre_nms_top_n["training" if self.training else "testing"]

    def post_nms_top_n(self) -> int:
        """Proposals of each picture that are kept after suppression."""
        return self._post_nms_top_n["training" if self.training else "testing"]

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """For each picture: 1, 0 or -1 (ignored) for each anchor, and the true box of each."""
        labels, matched = [], []
        for own, target in zip(anchors, targets, strict=True):
            boxes = target["boxes"]
            if boxes.numel() == 0:
                labels.append(torch.zeros((len(own),), dtype=torch.float32))
                matched.append(torch.zeros(own.shape, dtype=torch.float32))
                continue
            at = self.proposal_matcher(self.box_similarity(boxes, own))
            label = (at >= 0).to(dtype=torch.float32)
            label[at == self.proposal_matcher.BETWEEN_THRESHOLDS] = -1.0
            labels.append(label)
            matched.append(boxes[at.clamp(min=0)])
        return labels, matched

    def _best(self, objectness: Tensor, counts: list[int]) -> tuple[Tensor, Tensor]:
        """Positions (N, kept) of the best anchors of each map, and the number of the map of each (kept,)."""
        places, levels, first = [], [], 0
        for level, own in enumerate(objectness.split(counts, 1)):
            kept = min(self.pre_nms_top_n(), own.shape[1])
            places.append(own.topk(kept, dim=1)[1] + first)
            levels.append(torch.full((kept,), level, dtype=torch.int64))
            first += own.shape[1]
        return torch.cat(places, dim=1), torch.cat(levels)

    def filter_proposals(
        self,
        proposals: Tensor,
        objectness: Tensor,
        image_shapes: list[tuple[int, int]],
        num_anchors_per_level: list[int],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """For each picture the best proposals (K, 4) and their probabilities (K,).

        Args:
            proposals: (N, anchors, 4).
            objectness: logits, N * anchors in all.
            image_shapes: (height, width) of each picture.
            num_anchors_per_level: how many of the anchors belong to each map.
        """
        objectness = objectness.detach().reshape(len(proposals), -1)
        places, all_levels = self._best(objectness, num_anchors_per_level)
        picture = torch.arange(len(proposals))[:, None]
        proposals, probability = proposals[picture, places], torch.sigmoid(objectness[picture, places])
        chosen = []
        for boxes, scores, shape in zip(proposals, probability, image_shapes, strict=True):
            boxes, levels = box_ops.clip_boxes_to_image(boxes, shape), all_levels
            for keep in (
                lambda b, s: box_ops.remove_small_boxes(b, self.min_size),
                lambda b, s: torch.where(s >= self.score_thresh)[0],
            ):
                at = keep(boxes, scores)
                boxes, scores, levels = boxes[at], scores[at], levels[at]
            at = box_ops.batched_nms(boxes, scores, levels, self.nms_thresh)[: self.post_nms_top_n()]
            chosen.append((boxes[at], scores[at]))
        return [boxes for boxes, _ in chosen], [scores for _, scores in chosen]

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: list[Tensor],
        regression_targets: list[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """The losses of logits and of codes, over the anchors that are drawn."""
        positive, negative = (torch.where(torch.cat(m))[0] for m in self.fg_bg_sampler(labels))
        drawn = torch.cat([positive, negative])
        targets = torch.cat(list(regression_targets))
        box_loss = F.smooth_l1_loss(
            pred_bbox_deltas[positive], targets[positive], beta=1 / 9, reduction="sum"
        )
        object_loss = F.binary_cross_entropy_with_logits(
            objectness.flatten()[drawn], torch.cat(labels)[drawn]
        )
        return object_loss, box_loss / drawn.numel()

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposals (K, 4) for each picture; in training also the losses.

        Args:
            images: the pictures.
            features: their feature maps by name.
            targets: for each picture the true "boxes"; needed in training.
        """
        maps = list(features.values())
        logits, codes = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        counts = [x[0].numel() for x in logits]
        objectness = torch.cat([by_anchor(x, 1) for x in logits], dim=1).flatten(0, -2)
        deltas = torch.cat([by_anchor(x, 4) for x in codes], dim=1).reshape(-1, 4)
        proposals = self.box_coder.decode(deltas.detach(), anchors).reshape(len(anchors), -1, 4)
        boxes, _ = self.filter_proposals(proposals, objectness, images.image_sizes, counts)
        if not self.training:
            return boxes, {}
        if targets is None:
            raise ValueError("targets should not be None")
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        losses = self.compute_loss(objectness, deltas, labels, self.box_coder.encode(matched, anchors))
        return boxes, dict(zip(("loss_objectness", "loss_rpn_box_reg"), losses, strict=True))
