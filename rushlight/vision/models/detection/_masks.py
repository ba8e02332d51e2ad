"""Masks of detected objects: targets, loss, and masks in the picture."""

import rushlight as torch
from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.vision.ops import roi_align


def maskrcnn_inference(x: Tensor, labels: list[Tensor]):
    """For each picture the probabilities (N, 1, M, M) of the masks of the predicted classes.

    Args:
        x: logits (all N, classes, M, M).
        labels: for each picture the classes (N,).
    """
    counts = [len(own) for own in labels]
    chosen = x.sigmoid()[torch.arange(x.shape[0]), torch.cat(labels)][:, None]
    return chosen.split(counts, dim=0)


def project_masks_on_boxes(gt_masks: Tensor, boxes: Tensor, matched_idxs: Tensor, M: int) -> Tensor:
    """The parts of masks inside boxes, resized: (K, M, M).

    Args:
        gt_masks: (N, H, W).
        boxes: (K, 4).
        matched_idxs: (K,), which mask belongs to each box.
        M: side of the result.
    """
    rois = torch.cat([matched_idxs.to(boxes)[:, None], boxes], dim=1)
    return roi_align(gt_masks[:, None].to(rois), rois, (M, M), 1.0)[:, 0]


def maskrcnn_loss(
    mask_logits: Tensor,
    proposals: list[Tensor],
    gt_masks: list[Tensor],
    gt_labels: list[Tensor],
    mask_matched_idxs: list[Tensor],
) -> Tensor:
    """The cross entropy of the masks of the true classes.

    Args:
        mask_logits: (all K, classes, M, M).
        proposals: for each picture boxes (K, 4).
        gt_masks: for each picture true masks (N, H, W).
        gt_labels: for each picture the classes of those (N,).
        mask_matched_idxs: for each picture, which true one belongs to each box (K,).
    """
    side = mask_logits.shape[-1]
    labels = torch.cat([own[at] for own, at in zip(gt_labels, mask_matched_idxs, strict=True)])
    parts = zip(gt_masks, proposals, mask_matched_idxs, strict=True)
    targets = torch.cat([project_masks_on_boxes(*part, side) for part in parts])
    if targets.numel() == 0:
        return mask_logits.sum() * 0
    return F.binary_cross_entropy_with_logits(mask_logits[torch.arange(len(labels)), labels], targets)


def expand_boxes(boxes: Tensor, scale: float) -> Tensor:
    """Boxes (N, 4) that are larger by this factor around the same centres."""
    centre, half = (boxes[:, 2:] + boxes[:, :2]) * 0.5, (boxes[:, 2:] - boxes[:, :2]) * 0.5 * scale
    return torch.cat((centre - half, centre + half), 1)


def expand_masks(mask: Tensor, padding: int) -> tuple[Tensor, float]:
    """Masks with zeros around them, and how much larger they are."""
    side = mask.shape[-1]
    return F.pad(mask, (padding,) * 4), float(side + 2 * padding) / side


def paste_mask_in_image(mask: Tensor, box: Tensor, im_h: int, im_w: int) -> Tensor:
    """A mask (M, M) at its box (whole numbers, the last ones inside) in a picture of zeros."""
    x1, y1, x2, y2 = (int(v) for v in box)
    size = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
    mask = F.interpolate(mask[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
    picture = torch.zeros((im_h, im_w), dtype=mask.dtype)
    left, right, top, bottom = max(x1, 0), min(x2 + 1, im_w), max(y1, 0), min(y2 + 1, im_h)
    if left < right and top < bottom:
        picture[top:bottom, left:right] = mask[top - y1 : bottom - y1, left - x1 : right - x1]
    return picture


def paste_masks_in_image(
    masks: Tensor, boxes: Tensor, img_shape: tuple[int, int], padding: int = 1
) -> Tensor:
    """Masks (N, 1, M, M) at their boxes (N, 4) in pictures of this (height, width): (N, 1, height, width)."""
    masks, scale = expand_masks(masks, padding)
    boxes = expand_boxes(boxes, scale).to(dtype=torch.int64)
    if len(masks) == 0:
        return masks.new_empty((0, 1, *img_shape))
    pasted = [paste_mask_in_image(m[0], box, *img_shape) for m, box in zip(masks, boxes, strict=True)]
    return torch.stack(pasted)[:, None]
