"""What detectors share: which boxes are matched with which, which are drawn for training, and how boxes are coded."""

import math
from collections import OrderedDict

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.nn import functional as F
from rushlight.vision.ops import (
    FrozenBatchNorm2d,
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
)


class BalancedPositiveNegativeSampler:
    """Draws positive and negative examples, so that the share of positive ones is at most a given one.

    Args:
        batch_size_per_image: how many to draw for each picture.
        positive_fraction: the share.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float):
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction

    def __call__(self, matched_idxs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Masks (uint8) of the positive and of the negative examples drawn, for each picture.

        Args:
            matched_idxs: for each picture a vector: positive where at least 1, negative where 0, ignored where below.
        """
        drawn: tuple[list[Tensor], list[Tensor]] = ([], [])
        for labels in matched_idxs:
            positive, negative = torch.where(labels >= 1)[0], torch.where(labels == 0)[0]
            most = min(positive.numel(), int(self.batch_size_per_image * self.positive_fraction))
            counts = most, min(negative.numel(), self.batch_size_per_image - most)
            orders = [torch.randperm(group.numel()) for group in (positive, negative)]
            for group, order, count, masks in zip((positive, negative), orders, counts, drawn, strict=True):
                mask = torch.zeros_like(labels, dtype=torch.uint8)
                mask[group[order[:count]]] = 1
                masks.append(mask)
        return drawn


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 2) each."""
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + 0.5 * size, size


def encode_boxes(reference_boxes: Tensor, proposals: Tensor, weights: Tensor) -> Tensor:
    """How proposals must move and grow to become the reference boxes: (N, 4).

    Source: Girshick et al., Rich Feature Hierarchies, CVPR 2014, appendix C.

    Args:
        reference_boxes: (N, 4).
        proposals: (N, 4).
        weights: (4,), what each of the four numbers is multiplied by.
    """
    (to, to_size), (at, size) = _centre_and_size(reference_boxes), _centre_and_size(proposals)
    return torch.cat((weights[:2] * (to - at) / size, weights[2:] * torch.log(to_size / size)), dim=1)


class BoxCoder:
    """Boxes as differences from others: the move of the centre beside the size, and the logarithm of the growth.

    Args:
        weights: what the four numbers (x, y, width, height) are multiplied by.
        bbox_xform_clip: largest logarithm of growth.
    """

    def __init__(
        self,
        weights: tuple[float, float, float, float],
        bbox_xform_clip: float = math.log(1000.0 / 16),
    ):
        self.weights = weights
        self.bbox_xform_clip = bbox_xform_clip

    def encode(self, reference_boxes: list[Tensor], proposals: list[Tensor]):
        """`encode_single` for each picture."""
        counts = [len(boxes) for boxes in reference_boxes]
        return self.encode_single(torch.cat(reference_boxes), torch.cat(proposals)).split(counts, 0)

    def encode_single(self, reference_boxes: Tensor, proposals: Tensor) -> Tensor:
        """Codes (N, 4) of the reference boxes (N, 4), as differences from the proposals (N, 4)."""
        weights = torch.as_tensor(self.weights, dtype=reference_boxes.dtype)
        return encode_boxes(reference_boxes, proposals, weights)

    def decode(self, rel_codes: Tensor, boxes: list[Tensor]) -> Tensor:
        """Boxes (N, classes, 4) of the codes (N, 4 * classes) from the boxes of all pictures, N together."""
        if not isinstance(boxes, (list, tuple)):
            raise AssertionError("This function expects boxes of type list or tuple.")
        total = sum(len(own) for own in boxes)
        if total > 0:
            rel_codes = rel_codes.reshape(total, -1)
        decoded = self.decode_single(rel_codes, torch.cat(list(boxes)))
        return decoded.reshape(total, -1, 4) if total > 0 else decoded

    def decode_single(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        """Boxes (N, 4 * classes) of the codes (N, 4 * classes), as differences from `boxes` (N, 4)."""
        boxes = boxes.to(rel_codes.dtype)
        centre, size = (part[:, None, :] for part in _centre_and_size(boxes))
        codes = rel_codes.reshape(len(rel_codes), rel_codes.shape[1] // 4, 4)
        wx, wy, ww, wh = self.weights
        move = torch.stack((codes[..., 0] / wx, codes[..., 1] / wy), -1)
        grow = torch.stack((codes[..., 2] / ww, codes[..., 3] / wh), -1).clamp(max=self.bbox_xform_clip)
        centre, half = move * size + centre, 0.5 * (torch.exp(grow) * size)
        return torch.cat((centre - half, centre + half), -1).flatten(1)


class BoxLinearCoder:
    """Boxes as the distances of their sides from the centres of others.

    Source: Tian et al., FCOS, ICCV 2019.

    Args:
        normalize_by_size: whether distances are divided by the sizes of the others.
    """

    def __init__(self, normalize_by_size: bool = True):
        self.normalize_by_size = normalize_by_size

    def _centre_and_size(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        size = boxes[..., 2:] - boxes[..., :2]
        return 0.5 * (boxes[..., :2] + boxes[..., 2:]), torch.cat((size, size), -1)

    def encode(self, reference_boxes: Tensor, proposals: Tensor) -> Tensor:
        """Distances left, up, right and down (..., 4) from the centres of reference boxes to the sides of proposals."""
        centre, size = self._centre_and_size(reference_boxes)
        codes = torch.cat((centre - proposals[..., :2], proposals[..., 2:] - centre), -1)
        return codes / size if self.normalize_by_size else codes

    def decode(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        """Boxes (..., 4) whose sides have these distances from the centres of `boxes` (..., 4)."""
        centre, size = self._centre_and_size(boxes.to(dtype=rel_codes.dtype))
        if self.normalize_by_size:
            rel_codes = rel_codes * size
        return torch.cat((centre - rel_codes[..., :2], centre + rel_codes[..., 2:]), -1)


class Matcher:
    """For each predicted box the true one that it belongs to, or none.

    Args:
        high_threshold: from this quality on they belong together.
        low_threshold: below it the box belongs to none; in between it is neither.
        allow_low_quality_matches: for each true box, also the boxes that match it best belong to one, however badly.
    """

    BELOW_LOW_THRESHOLD = -1
    BETWEEN_THRESHOLDS = -2

    def __init__(self, high_threshold: float, low_threshold: float, allow_low_quality_matches: bool = False):
        if low_threshold > high_threshold:
            raise AssertionError("low_threshold should be <= high_threshold")
        self.high_threshold = high_threshold
        self.low_threshold = low_threshold
        self.allow_low_quality_matches = allow_low_quality_matches

    def __call__(self, match_quality_matrix: Tensor) -> Tensor:
        """For each of N predicted boxes the number of the true one, -1 for none, -2 for neither.

        Args:
            match_quality_matrix: (true boxes, N).

        Raises:
            ValueError: there is nothing to match.
        """
        if match_quality_matrix.numel() == 0:
            kind = "ground-truth" if match_quality_matrix.shape[0] == 0 else "proposal"
            raise ValueError(f"No {kind} boxes available for one of the images during training")
        quality, best = match_quality_matrix.max(dim=0)
        matches = best.clone()
        matches[quality < self.low_threshold] = self.BELOW_LOW_THRESHOLD
        between = (quality >= self.low_threshold) & (quality < self.high_threshold)
        matches[between] = self.BETWEEN_THRESHOLDS
        if self.allow_low_quality_matches:
            highest = match_quality_matrix.max(dim=1, keepdim=True)[0]
            chosen = torch.where(match_quality_matrix == highest)[1]
            matches[chosen] = best[chosen]
        return matches


class SSDMatcher(Matcher):
    """A `Matcher` in which each true box also has the predicted one that matches it best.

    Args:
        threshold: from this quality on they belong together.
    """

    def __init__(self, threshold: float):
        super().__init__(threshold, threshold, allow_low_quality_matches=False)

    def __call__(self, match_quality_matrix: Tensor) -> Tensor:
        matches = super().__call__(match_quality_matrix)
        best = match_quality_matrix.max(dim=1)[1]
        matches[best] = torch.arange(best.shape[0], dtype=torch.int64)
        return matches


def overwrite_eps(model: nn.Module, eps: float) -> None:
    """Set `eps` of every `FrozenBatchNorm2d`: weights that were trained when it had none need zero."""
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = eps


def retrieve_out_channels(model: nn.Module, size: tuple[int, int]) -> list[int]:
    """The channels of each map that a network makes of a picture of this (width, height)."""
    training = model.training
    model.eval()
    with torch.no_grad():
        maps = named_maps(model(torch.zeros((1, 3, size[1], size[0]))))
    model.train(training)
    return [x.shape[1] for x in maps.values()]


def named_maps(features) -> dict[str, Tensor]:
    """A network's output as maps by name; a single one is called "0"."""
    return OrderedDict([("0", features)]) if isinstance(features, Tensor) else features


def sizes_of(images: list[Tensor]) -> list[tuple[int, int]]:
    """(height, width) of each picture."""
    return [(image.shape[-2], image.shape[-1]) for image in images]


def check_targets(targets) -> None:
    """AssertionError unless there are targets with boxes (N, 4)."""
    if targets is None:
        raise AssertionError("targets should not be none when in training mode")
    for target in targets:
        boxes = target["boxes"]
        if not isinstance(boxes, Tensor):
            raise AssertionError(f"Expected target boxes to be of type Tensor, got {type(boxes)}.")
        if boxes.dim() != 2 or boxes.shape[-1] != 4:
            raise AssertionError(f"Expected target boxes to be a tensor of shape [N, 4], got {boxes.shape}.")


def check_boxes(targets) -> None:
    """AssertionError where a box has no width or height."""
    for number, target in enumerate(targets or ()):
        boxes = target["boxes"]
        wrong = (boxes[:, 2:] <= boxes[:, :2]).any(dim=1)
        if wrong.any():
            first = boxes[torch.where(wrong)[0][0]].tolist()
            raise AssertionError(
                f"All bounding boxes should have positive height and width. Found invalid box {first} for target at "
                f"index {number}."
            )


def _box_loss(
    type: str,
    box_coder: BoxCoder,
    anchors_per_image: Tensor,
    matched_gt_boxes_per_image: Tensor,
    bbox_regression_per_image: Tensor,
    cnf: dict[str, float] | None = None,
) -> Tensor:
    """The summed loss of predicted codes: of the codes themselves ("l1", "smooth_l1"), or of the boxes they stand for.

    Args:
        type: "l1", "smooth_l1", "ciou", "diou" or "giou".
        cnf: "beta" of smooth_l1 or "eps" of the others.
    """
    cnf = cnf or {}
    if type in ("l1", "smooth_l1"):
        target = box_coder.encode_single(matched_gt_boxes_per_image, anchors_per_image)
        if type == "l1":
            return F.l1_loss(bbox_regression_per_image, target, reduction="sum")
        beta = cnf.get("beta", 1.0)
        return F.smooth_l1_loss(bbox_regression_per_image, target, reduction="sum", beta=beta)
    losses = {
        "ciou": complete_box_iou_loss,
        "diou": distance_box_iou_loss,
        "giou": generalized_box_iou_loss,
    }
    if type not in losses:
        raise AssertionError(f"Unsupported loss: {type}")
    boxes = box_coder.decode_single(bbox_regression_per_image, anchors_per_image)
    return losses[type](boxes, matched_gt_boxes_per_image, reduction="sum", eps=cnf.get("eps", 1e-7))
