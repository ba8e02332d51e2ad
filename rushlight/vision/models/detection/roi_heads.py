"""What R-CNNs do with proposed regions: classes and boxes, and if wanted masks and keypoints."""

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.nn import functional as F
from rushlight.vision.models.detection import _utils as det_utils
from rushlight.vision.models.detection._keypoints import (
    heatmaps_to_keypoints,
    keypointrcnn_inference,
    keypointrcnn_loss,
    keypoints_to_heatmap,
)
from rushlight.vision.models.detection._masks import (
    expand_boxes,
    expand_masks,
    maskrcnn_inference,
    maskrcnn_loss,
    paste_mask_in_image,
    paste_masks_in_image,
    project_masks_on_boxes,
)
from rushlight.vision.ops import boxes as box_ops

__all__ = [
    "RoIHeads",
    "expand_boxes",
    "expand_masks",
    "fastrcnn_loss",
    "heatmaps_to_keypoints",
    "keypointrcnn_inference",
    "keypointrcnn_loss",
    "keypoints_to_heatmap",
    "maskrcnn_inference",
    "maskrcnn_loss",
    "paste_mask_in_image",
    "paste_masks_in_image",
    "project_masks_on_boxes",
]


def fastrcnn_loss(
    class_logits: Tensor, box_regression: Tensor, labels: list[Tensor], regression_targets: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """The losses of classes and of boxes.

    Source: Girshick, Fast R-CNN, ICCV 2015.

    Args:
        class_logits: (all K, classes).
        box_regression: codes (all K, classes * 4).
        labels: for each picture the true class of each region (K,), 0 for none.
        regression_targets: for each picture the true codes (K, 4).
    """
    truth, targets = torch.cat(labels), torch.cat(list(regression_targets))
    class_loss = F.cross_entropy(class_logits, truth)
    at = torch.where(truth > 0)[0]
    codes = box_regression.reshape(len(class_logits), -1, 4)[at, truth[at]]
    box_loss = F.smooth_l1_loss(codes, targets[at], beta=1 / 9, reduction="sum")
    return class_loss, box_loss / truth.numel()


class RoIHeads(nn.Module):
    """Classes and boxes of proposed regions, and if wanted masks and keypoints.

    Args:
        box_roi_pool: makes parts of one size from the feature maps, as `MultiScaleRoIAlign`.
        box_head: makes features of those.
        box_predictor: makes logits and codes of these.
        fg_iou_thresh: overlap with a true box from which on a region has its class in training.
        bg_iou_thresh: overlap below which it has none.
        batch_size_per_image: regions drawn for the loss.
        positive_fraction: share of those that have a class.
        bbox_reg_weights: of the `BoxCoder`; (10, 10, 5, 5) where None.
        score_thresh: probability that detections need.
        nms_thresh: overlap from which on the worse of one class goes.
        detections_per_img: most detections of a picture.
        mask_roi_pool, mask_head, mask_predictor: the same for masks, all or none.
        keypoint_roi_pool, keypoint_head, keypoint_predictor: the same for keypoints, all or none.
    """

    def __init__(
        self,
        box_roi_pool,
        box_head,
        box_predictor,
        fg_iou_thresh,
        bg_iou_thresh,
        batch_size_per_image,
        positive_fraction,
        bbox_reg_weights,
        score_thresh,
        nms_thresh,
        detections_per_img,
        mask_roi_pool=None,
        mask_head=None,
        mask_predictor=None,
        keypoint_roi_pool=None,
        keypoint_head=None,
        keypoint_predictor=None,
    ):
        super().__init__()
        self.box_similarity = box_ops.box_iou
        self.proposal_matcher = det_utils.Matcher(fg_iou_thresh, bg_iou_thresh)
        self.fg_bg_sampler = det_utils.BalancedPositiveNegativeSampler(
            batch_size_per_image, positive_fraction
        )
        self.box_coder = det_utils.BoxCoder(bbox_reg_weights or (10.0, 10.0, 5.0, 5.0))
        self.box_roi_pool = box_roi_pool
        self.box_head = box_head
        self.box_predictor = box_predictor
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.mask_roi_pool = mask_roi_pool
        self.mask_head = mask_head
        self.mask_predictor = mask_predictor
        self.keypoint_roi_pool = keypoint_roi_pool
        self.keypoint_head = keypoint_head
        self.keypoint_predictor = keypoint_predictor

    def has_mask(self) -> bool:
        """Whether there are masks."""
        return None not in (self.mask_roi_pool, self.mask_head, self.mask_predictor)

    def has_keypoint(self) -> bool:
        """Whether there are keypoints."""
        return None not in (self.keypoint_roi_pool, self.keypoint_head, self.keypoint_predictor)

    def assign_targets_to_proposals(
        self, proposals: list[Tensor], gt_boxes: list[Tensor], gt_labels: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """For each picture: the true box of each region, and its class; 0 for none, -1 for regions to be ignored."""
        matched, labels = [], []
        for own, boxes, kinds in zip(proposals, gt_boxes, gt_labels, strict=True):
            if boxes.numel() == 0:
                matched.append(torch.zeros((len(own),), dtype=torch.int64))
                labels.append(torch.zeros((len(own),), dtype=torch.int64))
                continue
            at = self.proposal_matcher(self.box_similarity(boxes, own))
            nearest = at.clamp(min=0)
            label = kinds[nearest].to(dtype=torch.int64)
            label[at == self.proposal_matcher.BELOW_LOW_THRESHOLD] = 0
            label[at == self.proposal_matcher.BETWEEN_THRESHOLDS] = -1
            matched.append(nearest)
            labels.append(label)
        return matched, labels

    def subsample(self, labels: list[Tensor]) -> list[Tensor]:
        """For each picture the positions of the regions that are drawn."""
        drawn = zip(*self.fg_bg_sampler(labels), strict=True)
        return [torch.where(positive | negative)[0] for positive, negative in drawn]

    def check_targets(self, targets) -> None:
        """ValueError where something is missing."""
        if targets is None:
            raise ValueError("targets should not be None")
        for key in ("boxes", "labels") + ("masks",) * self.has_mask():
            if not all(key in target for target in targets):
                raise ValueError(f"Every element of targets should have a {key} key")

    def select_training_samples(self, proposals: list[Tensor], targets: list[dict]):
        """For each picture the regions that are drawn, their true boxes, classes and codes."""
        self.check_targets(targets)
        kind = proposals[0].dtype
        boxes = [target["boxes"].to(kind) for target in targets]
        proposals = [torch.cat(pair) for pair in zip(proposals, boxes, strict=True)]
        matched, labels = self.assign_targets_to_proposals(proposals, boxes, [t["labels"] for t in targets])
        drawn = self.subsample(labels)
        proposals, matched, labels = (
            [own[at] for own, at in zip(part, drawn, strict=True)] for part in (proposals, matched, labels)
        )
        truth = [
            (own if own.numel() else torch.zeros((1, 4), dtype=kind))[at]
            for own, at in zip(boxes, matched, strict=True)
        ]
        return proposals, matched, labels, self.box_coder.encode(truth, proposals)

    def postprocess_detections(
        self,
        class_logits: Tensor,
        box_regression: Tensor,
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """For each picture the detected boxes (D, 4), their scores and classes (D,)."""
        classes, counts = class_logits.shape[-1], [len(own) for own in proposals]
        decoded = self.box_coder.decode(box_regression, proposals).split(counts, 0)
        probabilities = F.softmax(class_logits, -1).split(counts, 0)
        found: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
        for boxes, scores, shape in zip(decoded, probabilities, image_shapes, strict=True):
            boxes = box_ops.clip_boxes_to_image(boxes, shape)[:, 1:].reshape(-1, 4)
            labels = torch.arange(1, classes).expand(len(scores), -1).reshape(-1)
            scores = scores[:, 1:].reshape(-1)
            at = torch.where(scores > self.score_thresh)[0]
            at = at[box_ops.remove_small_boxes(boxes[at], min_size=1e-2)]
            at = at[box_ops.batched_nms(boxes[at], scores[at], labels[at], self.nms_thresh)]
            at = at[: self.detections_per_img]
            for part, whole in zip(found, (boxes, scores, labels), strict=True):
                part.append(whole[at])
        return found

    def _check_types(self, targets: list[dict]) -> None:
        for target in targets:
            if target["boxes"].dtype not in (torch.float, torch.double, torch.half):
                raise TypeError(f"target boxes must of float type, instead got {target['boxes'].dtype}")
            if target["labels"].dtype != torch.int64:
                raise TypeError(f"target labels must of int64 type, instead got {target['labels'].dtype}")
            if self.has_keypoint() and target["keypoints"].dtype != torch.float32:
                raise TypeError(
                    f"target keypoints must of float type, instead got {target['keypoints'].dtype}"
                )

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict] | None = None,
    ) -> tuple[list[dict], dict[str, Tensor]]:
        """Detections of each picture, or none and the losses in training.

        Args:
            features: feature maps by name.
            proposals: for each picture boxes (K, 4).
            image_shapes: (height, width) of each picture.
            targets: for each picture the true "boxes", "labels" and so on; needed in training.
        """
        if targets is not None:
            self._check_types(targets)
        matched = labels = truth = None
        if self.training:
            proposals, matched, labels, truth = self.select_training_samples(proposals, targets)
        pooled = self.box_head(self.box_roi_pool(features, proposals, image_shapes))
        logits, codes = self.box_predictor(pooled)
        result: list[dict] = []
        if self.training:
            parts = fastrcnn_loss(logits, codes, labels, truth)
            losses = dict(zip(("loss_classifier", "loss_box_reg"), parts, strict=True))
            # Masks and keypoints are learnt from the regions that have a class.
            with_class = [torch.where(own > 0)[0] for own in labels]
            regions = [own[at] for own, at in zip(proposals, with_class, strict=True)]
            matched = [own[at] for own, at in zip(matched, with_class, strict=True)]
        else:
            losses = {}
            found = self.postprocess_detections(logits, codes, proposals, image_shapes)
            result = [
                {"boxes": boxes, "labels": kinds, "scores": scores}
                for boxes, scores, kinds in zip(*found, strict=True)
            ]
            regions = [own["boxes"] for own in result]
        if self.has_mask():
            self._masks(features, regions, image_shapes, targets, matched, result, losses)
        if self.has_keypoint():
            self._keypoints(features, regions, image_shapes, targets, matched, result, losses)
        return result, losses

    def _masks(self, features, regions, image_shapes, targets, matched, result, losses) -> None:
        """Adds masks to the results, or in training their loss to the losses."""
        pooled = self.mask_roi_pool(features, regions, image_shapes)
        logits = self.mask_predictor(self.mask_head(pooled))
        if self.training:
            masks, labels = ([target[key] for target in targets] for key in ("masks", "labels"))
            losses["loss_mask"] = maskrcnn_loss(logits, regions, masks, labels, matched)
            return
        masks = maskrcnn_inference(logits, [own["labels"] for own in result])
        for own, mask in zip(result, masks, strict=True):
            own["masks"] = mask

    def _keypoints(self, features, regions, image_shapes, targets, matched, result, losses) -> None:
        """Adds keypoints to the results, or in training their loss to the losses."""
        pooled = self.keypoint_roi_pool(features, regions, image_shapes)
        logits = self.keypoint_predictor(self.keypoint_head(pooled))
        if self.training:
            truth = [target["keypoints"] for target in targets]
            losses["loss_keypoint"] = keypointrcnn_loss(logits, regions, truth, matched)
            return
        for own, places, scores in zip(result, *keypointrcnn_inference(logits, regions), strict=True):
            own["keypoints"], own["keypoints_scores"] = places, scores
