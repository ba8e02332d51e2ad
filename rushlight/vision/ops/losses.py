"""Losses of detectors: of boxes by how they overlap, and of rare classes."""

import rushlight as torch
from rushlight.nn.functional import binary_cross_entropy_with_logits
from rushlight.vision.ops.boxes import aspect_difference


def _reduced(loss, reduction: str):
    """All elements, their mean or their sum."""
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean() if loss.numel() > 0 else 0.0 * loss.sum()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(
        f"Invalid Value for arg 'reduction': '{reduction} \n Supported reduction modes: 'none', 'mean', 'sum'"
    )


def sigmoid_focal_loss(inputs, targets, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"):
    """Binary cross entropy in which what is classified well counts little.

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.

    Args:
        inputs: logits, any shape.
        targets: 0 or 1 for each.
        alpha: weight of the class 1, that of 0 being 1 - alpha; -1 for no weights.
        gamma: how much less well classified examples count; 0 is plain cross entropy.
        reduction: "none", "mean" or "sum".

    Raises:
        ValueError: `alpha` or `reduction` is none of these.

    >>> from rushlight.vision.ops import sigmoid_focal_loss
    >>> sigmoid_focal_loss(torch.tensor([4.0, -4.0]), torch.ones(2))
    tensor([1.4679e-06, 9.6873e-01])
    """
    if not 0 <= alpha <= 1 and alpha != -1:
        raise ValueError(f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1 for ignore.")
    p = torch.sigmoid(inputs)
    entropy = binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    right = p * targets + (1 - p) * (1 - targets)
    loss = entropy * (1 - right) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return loss.mean() if reduction == "mean" else _reduced(loss, reduction)


def _wide(boxes):
    """As float32 or float64."""
    return boxes if boxes.dtype in (torch.float32, torch.float64) else boxes.float()


def _overlap(boxes1, boxes2, eps: float):
    """Of each pair: union, intersection over union, and both sides of the smallest box around."""
    x1, y1, x2, y2 = boxes1.unbind(dim=-1)
    u1, v1, u2, v2 = boxes2.unbind(dim=-1)
    left, top, right, bottom = torch.max(x1, u1), torch.max(y1, v1), torch.min(x2, u2), torch.min(y2, v2)
    meet = (bottom > top) & (right > left)
    both = torch.where(meet, (right - left) * (bottom - top), 0.0)
    union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - both
    sides = torch.max(x2, u2) - torch.min(x1, u1), torch.max(y2, v2) - torch.min(y1, v1)
    return union, both / (union + eps), sides


def generalized_box_iou_loss(boxes1, boxes2, reduction: str = "none", eps: float = 1e-7):
    """1 - `generalized_box_iou` of each pair of boxes.

    Source: Rezatofighi et al., Generalized Intersection over Union, CVPR 2019.

    Args:
        boxes1: (N, 4) or (4,).
        boxes2: the same shape.
        reduction: "none", "mean" or "sum".
        eps: added to divisors.

    Raises:
        ValueError: `reduction` is none of these.
    """
    union, iou, (width, height) = _overlap(_wide(boxes1), _wide(boxes2), eps)
    area = width * height
    return _reduced(1 - (iou - (area - union) / (area + eps)), reduction)


def _distance_loss(boxes1, boxes2, eps: float):
    """1 - `distance_box_iou` of each pair, and the intersection over union."""
    _, iou, (width, height) = _overlap(boxes1, boxes2, eps)
    apart = (boxes1[..., :2] + boxes1[..., 2:]) / 2 - (boxes2[..., :2] + boxes2[..., 2:]) / 2
    distance = apart[..., 0] ** 2 + apart[..., 1] ** 2
    return 1 - iou + distance / (width**2 + height**2 + eps), iou


def distance_box_iou_loss(boxes1, boxes2, reduction: str = "none", eps: float = 1e-7):
    """1 - `distance_box_iou` of each pair of boxes.

    Source: Zheng et al., Distance-IoU Loss, AAAI 2020.

    Args:
        boxes1: (N, 4) or (4,).
        boxes2: the same shape.
        reduction: "none", "mean" or "sum".
        eps: added to divisors.

    Raises:
        ValueError: `reduction` is none of these.
    """
    return _reduced(_distance_loss(_wide(boxes1), _wide(boxes2), eps)[0], reduction)


def complete_box_iou_loss(boxes1, boxes2, reduction: str = "none", eps: float = 1e-7):
    """1 - `complete_box_iou` of each pair of boxes.

    Source: Zheng et al., Distance-IoU Loss, AAAI 2020.

    Args:
        boxes1: (N, 4) or (4,).
        boxes2: the same shape.
        reduction: "none", "mean" or "sum".
        eps: added to the divisor of the term for shapes (the others have 1e-7, as in torchvision).

    Raises:
        ValueError: `reduction` is none of these.
    """
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    loss, iou = _distance_loss(boxes1, boxes2, 1e-7)
    sides1, sides2 = boxes1[..., 2:] - boxes1[..., :2], boxes2[..., 2:] - boxes2[..., :2]
    v = aspect_difference(sides2[..., 0], sides2[..., 1], sides1[..., 0], sides1[..., 1])
    with torch.no_grad():
        alpha = v / (1 - iou + v + eps)
    return _reduced(loss + alpha * v, reduction)
