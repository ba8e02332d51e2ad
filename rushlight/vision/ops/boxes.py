"""Boxes: forms, areas, overlaps, and suppression of those that overlap a better one.

Unless it is said otherwise a box is (x1, y1, x2, y2), with 0 <= x1 < x2 and 0 <= y1 < y2, in pixels.
"""

import math

import rushlight as torch
from rushlight import kernels as K
from rushlight.ops.common import check_tensor, wrap
from rushlight.vision.ops import _rotated

_UPRIGHT = ("xyxy", "xywh", "cxcywh")
_TURNED = ("cxcywhr", "xywhr", "xyxyxyxy")


def nms(boxes, scores, iou_threshold: float):
    """Keep the boxes that no better one overlaps by more than a threshold (non-maximum suppression).

    Args:
        boxes: (N, 4).
        scores: (N,), of the type of `boxes`; of equal ones the first box is better.
        iou_threshold: intersection over union from which on a box goes.

    Returns:
        Their positions (int64), best first.

    Raises:
        RuntimeError: shapes or types do not fit.

    >>> from rushlight.vision.ops import nms
    >>> boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 5], [8, 8, 9, 9]])
    >>> nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5)
    tensor([1, 2])
    """
    check_tensor("nms", boxes, "boxes", 1)
    check_tensor("nms", scores, "scores", 2)
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise RuntimeError(f"nms(): boxes should be [N, 4], got {list(boxes.shape)}")
    if scores.shape != boxes.shape[:1]:
        raise RuntimeError(
            f"nms(): boxes and scores should have same number of elements in dimension 0, got "
            f"{boxes.shape[0]} and {list(scores.shape)}"
        )
    if boxes.dtype != scores.dtype:
        raise RuntimeError(
            f"nms(): dets should have the same type as scores, got {boxes.dtype} and {scores.dtype}"
        )
    return wrap(K.nms(boxes._array, scores._array, float(iou_threshold)))


def batched_nms(boxes, scores, idxs, iou_threshold: float):
    """`nms` among the boxes of each category.

    Args:
        boxes: (N, 4).
        scores: (N,).
        idxs: (N,), the category of each box.
        iou_threshold: intersection over union from which on a box goes.

    Returns:
        The positions (int64) of the boxes that stay, best first.
    """
    if boxes.numel() > 4000:
        return _nms_by_category(boxes, scores, idxs, iou_threshold)
    if boxes.numel() == 0:
        return torch.empty((0,), dtype=torch.int64)
    # Boxes are moved so that those of different categories do not meet.
    shift = idxs.to(boxes) * (boxes.max() + torch.tensor(1).to(boxes))
    return nms(boxes + shift[:, None], scores, iou_threshold)


def _nms_by_category(boxes, scores, idxs, iou_threshold: float):
    """`batched_nms`, one category after the other."""
    stays = torch.zeros_like(scores, dtype=torch.bool)
    for category in torch.unique(idxs):
        own = torch.where(idxs == category)[0]
        stays[own[nms(boxes[own], scores[own], iou_threshold)]] = True
    kept = torch.where(stays)[0]
    return kept[scores[kept].sort(descending=True)[1]]


def remove_small_boxes(boxes, min_size: float):
    """The positions of the boxes (N, 4) of which both sides are at least `min_size`."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return torch.where((width >= min_size) & (height >= min_size))[0]


def clip_boxes_to_image(boxes, size: tuple[int, int]):
    """Boxes (..., 4) cut at the borders of a picture of this (height, width).

    >>> from rushlight.vision.ops import clip_boxes_to_image
    >>> clip_boxes_to_image(torch.tensor([[-1, 2, 8, 9]]), (5, 6))
    tensor([[0, 2, 6, 5]])
    """
    height, width = size
    x, y = boxes[..., 0::2].clamp(min=0, max=width), boxes[..., 1::2].clamp(min=0, max=height)
    return torch.stack((x, y), dim=boxes.dim()).reshape(boxes.shape)


def _cxcywh_to_xyxy(boxes):
    cx, cy, w, h = boxes.unbind(-1)
    return torch.stack((cx - 0.5 * w, cy - 0.5 * h, cx + 0.5 * w, cy + 0.5 * h), dim=-1)


def _xyxy_to_cxcywh(boxes):
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), dim=-1)


def _xywh_to_xyxy(boxes):
    x, y, w, h = boxes.unbind(-1)
    return torch.stack((x, y, x + w, y + h), dim=-1)


def _xyxy_to_xywh(boxes):
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack((x1, y1, x2 - x1, y2 - y1), dim=-1)


_CONVERSIONS = {
    ("xywh", "xyxy"): (_xywh_to_xyxy,),
    ("cxcywh", "xyxy"): (_cxcywh_to_xyxy,),
    ("xyxy", "xywh"): (_xyxy_to_xywh,),
    ("xyxy", "cxcywh"): (_xyxy_to_cxcywh,),
    ("xywh", "cxcywh"): (_xywh_to_xyxy, _xyxy_to_cxcywh),
    ("cxcywh", "xywh"): (_cxcywh_to_xyxy, _xyxy_to_xywh),
    ("cxcywhr", "xywhr"): (_rotated.cxcywhr_to_xywhr,),
    ("xywhr", "cxcywhr"): (_rotated.xywhr_to_cxcywhr,),
    ("xywhr", "xyxyxyxy"): (_rotated.xywhr_to_xyxyxyxy,),
    ("xyxyxyxy", "xywhr"): (_rotated.xyxyxyxy_to_xywhr,),
    ("cxcywhr", "xyxyxyxy"): (_rotated.cxcywhr_to_xywhr, _rotated.xywhr_to_xyxyxyxy),
    ("xyxyxyxy", "cxcywhr"): (_rotated.xyxyxyxy_to_xywhr, _rotated.xywhr_to_cxcywhr),
}


def box_convert(boxes, in_fmt: str, out_fmt: str):
    """Boxes in another form.

    Args:
        boxes: (..., K).
        in_fmt: their form: "xyxy" (two corners), "xywh" (a corner, width, height), "cxcywh" (the centre, width, height),
            or for turned boxes "xywhr", "cxcywhr" (with the angle in degrees, counter-clockwise) and "xyxyxyxy".
        out_fmt: the form wanted.

    Raises:
        ValueError: there is no such form. NotImplementedError: only one of the two is for turned boxes.

    >>> from rushlight.vision.ops import box_convert
    >>> box_convert(torch.tensor([1.0, 2.0, 5.0, 4.0]), "xyxy", "cxcywh")
    tensor([3., 3., 4., 2.])
    """
    known = _UPRIGHT + _TURNED
    if in_fmt not in known or out_fmt not in known:
        raise ValueError(
            f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}; expected two of "
            f"{known}"
        )
    if in_fmt == out_fmt:
        return boxes.clone()
    if (in_fmt, out_fmt) not in _CONVERSIONS:
        raise NotImplementedError(
            f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}"
        )
    for step in _CONVERSIONS[in_fmt, out_fmt]:
        boxes = step(boxes)
    return boxes


def _upcast(t):
    """Wide enough for products of coordinates."""
    if t.is_floating_point():
        return t if t.dtype in (torch.float32, torch.float64) else t.float()
    return t if t.dtype in (torch.int32, torch.int64) else t.int()


def box_area(boxes, fmt: str = "xyxy"):
    """The areas of boxes (..., 4) of the form "xyxy", "xywh" or "cxcywh".

    Raises:
        ValueError: it is another form.
    """
    if fmt not in _UPRIGHT:
        raise ValueError(f"Unsupported Bounding Box area for given format {fmt}")
    boxes = _upcast(boxes)
    if fmt == "xyxy":
        return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return boxes[..., 2] * boxes[..., 3]


def _corners(boxes, fmt: str):
    """The first and the last corner."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if fmt == "xyxy":
        return first, second
    return (first, first + second) if fmt == "xywh" else (first - second / 2, first + second / 2)


def _sides(low, high):
    """Width and height of what lies between two corners; zero where they are the other way round."""
    return _upcast(high - low).clamp(min=0)


def _intersection_and_union(boxes1, boxes2, fmt: str = "xyxy"):
    """The areas of both for each pair, [..., N, M]."""
    area1, area2 = box_area(boxes1, fmt), box_area(boxes2, fmt)
    (low1, high1), (low2, high2) = _corners(boxes1[..., None, :], fmt), _corners(boxes2[..., None, :, :], fmt)
    sides = _sides(torch.max(low1, low2), torch.min(high1, high2))
    both = sides[..., 0] * sides[..., 1]
    return both, area1[..., None] + area2[..., None, :] - both


def box_iou(boxes1, boxes2, fmt: str = "xyxy"):
    """Intersection over union of each box with each other one.

    Args:
        boxes1: (..., N, K).
        boxes2: (..., M, K).
        fmt: their form, one of `box_convert`'s.

    Returns:
        (..., N, M), from 0 to 1.

    Raises:
        ValueError: there is no such form.

    >>> from rushlight.vision.ops import box_iou
    >>> box_iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 1], [1, 1, 3, 3]]))
    tensor([[0.5000, 0.1429]])
    """
    if fmt in _UPRIGHT:
        both, union = _intersection_and_union(boxes1, boxes2, fmt)
        return both / union
    if fmt not in _TURNED:
        raise ValueError(
            f"Unsupported format '{fmt}'. Supported axis-aligned formats: {_UPRIGHT}. Supported rotated formats: {_TURNED}."
        )
    return _rotated.box_iou_rotated(*[box_convert(boxes, fmt, "cxcywhr") for boxes in (boxes1, boxes2)])


def _around(boxes1, boxes2):
    """Width and height of the smallest box around each pair."""
    low = torch.min(boxes1[..., None, :2], boxes2[..., None, :, :2])
    return _sides(low, torch.max(boxes1[..., None, 2:], boxes2[..., None, :, 2:]))


def generalized_box_iou(boxes1, boxes2):
    """Intersection over union, less the share of the smallest box around both that is in neither: (..., N, M), -1 to 1.

    Source: Rezatofighi et al., Generalized Intersection over Union, CVPR 2019.

    Args:
        boxes1: (..., N, 4).
        boxes2: (..., M, 4).
    """
    both, union = _intersection_and_union(boxes1, boxes2)
    sides = _around(boxes1, boxes2)
    area = sides[..., 0] * sides[..., 1]
    return both / union - (area - union) / area


def _distance_iou(boxes1, boxes2, eps: float):
    """`distance_box_iou` and `box_iou`."""
    sides = _around(boxes1, boxes2)
    diagonal = sides[..., 0] ** 2 + sides[..., 1] ** 2 + eps
    centre1, centre2 = (boxes1[..., :2] + boxes1[..., 2:]) / 2, (boxes2[..., :2] + boxes2[..., 2:]) / 2
    apart = _upcast(centre1[..., None, :] - centre2[..., None, :, :]) ** 2
    iou = box_iou(boxes1, boxes2)
    return iou - (apart[..., 0] + apart[..., 1]) / diagonal, iou


def distance_box_iou(boxes1, boxes2, eps: float = 1e-7):
    """Intersection over union, less the squared distance of the centres beside the diagonal around both: (..., N, M).

    Source: Zheng et al., Distance-IoU Loss, AAAI 2020.

    Args:
        boxes1: (..., N, 4).
        boxes2: (..., M, 4).
        eps: added to the squared diagonal.
    """
    return _distance_iou(_upcast(boxes1), _upcast(boxes2), eps)[0]


def aspect_difference(width1, height1, width2, height2):
    """How much the shapes of boxes differ, from 0 to 1."""
    return 4 / math.pi**2 * torch.pow(torch.atan(width1 / height1) - torch.atan(width2 / height2), 2)


def complete_box_iou(boxes1, boxes2, eps: float = 1e-7):
    """`distance_box_iou`, less a term for boxes of different shapes: (..., N, M).

    Source: Zheng et al., Distance-IoU Loss, AAAI 2020.

    Args:
        boxes1: (..., N, 4).
        boxes2: (..., M, 4).
        eps: added to divisors.
    """
    boxes1, boxes2 = _upcast(boxes1), _upcast(boxes2)
    distance, iou = _distance_iou(boxes1, boxes2, eps)
    sides1, sides2 = (boxes[..., 2:] - boxes[..., :2] for boxes in (boxes1, boxes2))
    v = aspect_difference(
        sides1[..., None, 0], sides1[..., None, 1], sides2[..., None, :, 0], sides2[..., None, :, 1]
    )
    with torch.no_grad():
        alpha = v / (1 - iou + v + eps)
    return distance - alpha * v


def masks_to_boxes(masks):
    """The smallest boxes around the elements of masks that are not zero.

    Args:
        masks: (N, H, W).

    Returns:
        (N, 4) float32 as x1, y1, x2, y2, of which the last is still inside; zeros for an empty mask.

    >>> from rushlight.vision.ops import masks_to_boxes
    >>> masks_to_boxes(torch.tensor([[[0, 0, 0], [0, 1, 1]]]))
    tensor([[1., 1., 2., 1.]])
    """
    if masks.numel() == 0:
        return torch.zeros((0, 4), dtype=torch.float32)
    _, height, width = masks.shape
    rows, columns = (torch.any(masks.bool(), dim=dim).float() for dim in (2, 1))
    last_row, last_column = (hit.flip(dims=[1]).argmax(dim=1) for hit in (rows, columns))
    corners = columns.argmax(dim=1), rows.argmax(dim=1), width - 1 - last_column, height - 1 - last_row
    boxes = torch.stack(corners, dim=1).float()
    boxes[~torch.any(rows.bool(), dim=1)] = 0
    return boxes
