"""torchvision's detectors as the oracle: its compiled functions in plain PyTorch."""

import sys

import numpy as np

import rushlight
from tests.vision.datasets_oracle import torchvision


def _nms(boxes, scores, iou_threshold):
    import torch

    box_iou = sys.modules["torchvision.ops.boxes"].box_iou
    order = scores.argsort(descending=True, stable=True)
    over = (box_iou(boxes, boxes).double() > iou_threshold).numpy()
    kept: list[int] = []
    gone = np.zeros(len(boxes), bool)
    for i in order.tolist():
        if not gone[i]:
            kept.append(i)
            gone |= over[i]
    return torch.tensor(kept, dtype=torch.int64)


def oracle():
    """(torch, torchvision), with functions in the place of those that are compiled."""
    vision = torchvision()
    import torch

    boxes, align = sys.modules["torchvision.ops.boxes"], sys.modules["torchvision.ops.roi_align"]
    boxes.nms = vision.ops.nms = _nms
    plain = getattr(align._roi_align, "__wrapped__", align._roi_align)
    align._roi_align = plain
    return torch, vision


def to_theirs(value):
    """Our tensors as PyTorch's."""
    import torch

    if isinstance(value, rushlight.Tensor):
        return torch.from_numpy(value.detach().numpy().copy())
    if isinstance(value, (list, tuple)):
        return type(value)(to_theirs(v) for v in value)
    return {k: to_theirs(v) for k, v in value.items()} if isinstance(value, dict) else value


def to_ours(value):
    """PyTorch's tensors as ours."""
    if hasattr(value, "detach"):
        return rushlight.from_numpy(value.detach().numpy().copy())
    if isinstance(value, (list, tuple)):
        return type(value)(to_ours(v) for v in value)
    return {k: to_ours(v) for k, v in value.items()} if isinstance(value, dict) else value


def same(ours, theirs, tol=1e-4):
    """The same structure, types, shapes and, relative to the largest, values."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            same(ours[key], theirs[key], tol)
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b, tol)
    else:
        assert str(ours.dtype).split(".")[-1] == str(theirs.dtype).split(".")[-1]
        assert tuple(ours.shape) == tuple(theirs.shape)
        b = theirs.detach().numpy()
        scale = float(np.abs(b[np.isfinite(b)]).max(initial=0)) if b.size else 0
        np.testing.assert_allclose(ours.detach().numpy(), b, rtol=tol, atol=tol * scale)
