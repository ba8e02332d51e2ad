"""Boxes that are turned: conversion between their forms, and overlap.

Angles are in degrees, counter-clockwise as one sees the picture (whose y axis points down).
"""

import math

import numpy as np

import rushlight as torch


def _to_radians(angle):
    return angle * math.pi / 180.0


def _like(parts: tuple, boxes):
    """The parts as boxes, rounded where `boxes` are whole numbers."""
    stacked = torch.stack(parts, dim=-1)
    return stacked if boxes.is_floating_point() else stacked.round().to(boxes.dtype)


def cxcywhr_to_xywhr(boxes):
    """Centre to first corner."""
    cx, cy, w, h, r = boxes.unbind(-1)
    cos, sin = torch.cos(_to_radians(r)), torch.sin(_to_radians(r))
    return _like((cx - w / 2 * cos - h / 2 * sin, cy - h / 2 * cos + w / 2 * sin, w, h, r), boxes)


def xywhr_to_cxcywhr(boxes):
    """First corner to centre."""
    x, y, w, h, r = boxes.unbind(-1)
    cos, sin = torch.cos(_to_radians(r)), torch.sin(_to_radians(r))
    return _like((x + w / 2 * cos + h / 2 * sin, y - w / 2 * sin + h / 2 * cos, w, h, r), boxes)


def xywhr_to_xyxyxyxy(boxes):
    """First corner and sides to all corners."""
    x, y, w, h, r = boxes.unbind(-1)
    cos, sin = torch.cos(_to_radians(r)), torch.sin(_to_radians(r))
    x2, y2 = x + w * cos, y - w * sin
    return _like((x, y, x2, y2, x2 + h * sin, y2 + h * cos, x + h * sin, y + h * cos), boxes)


def xyxyxyxy_to_xywhr(boxes):
    """All corners to first corner and sides."""
    x1, y1, x2, y2, x3, y3, _, _ = boxes.unbind(-1)
    r = torch.atan2(y1 - y2, x2 - x1) * 180 / math.pi
    w = ((x2 - x1) ** 2 + (y1 - y2) ** 2).sqrt()
    h = ((x3 - x2) ** 2 + (y3 - y2) ** 2).sqrt()
    return _like((x1, y1, w, h, r), boxes)


def _corners(boxes: np.ndarray) -> np.ndarray:
    """The corners of boxes [..., (cx, cy, w, h, r)], one after the other around: [..., 4, 2]."""
    centre, half, angle = boxes[..., None, :2], boxes[..., None, 2:4] / 2, np.deg2rad(boxes[..., 4, None])
    x, y = np.moveaxis(np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half, -1, 0)
    cos, sin = np.cos(angle), np.sin(angle)
    return centre + np.stack([x * cos + y * sin, y * cos - x * sin], -1)


def _inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Which points [..., P, 2] lie in boxes [..., 5], edges included."""
    angle = np.deg2rad(boxes[..., 4, None])
    x, y = np.moveaxis(points - boxes[..., None, :2], -1, 0)
    cos, sin = np.cos(angle), np.sin(angle)
    across, down = x * cos - y * sin, y * cos + x * sin
    slack = 1e-9 * (boxes[..., 2, None] + boxes[..., 3, None])
    return (np.abs(across) <= boxes[..., 2, None] / 2 + slack) & (
        np.abs(down) <= boxes[..., 3, None] / 2 + slack
    )


def _crossings(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the edges of outlines [..., 4, 2] cross: points [..., 16, 2], and which of them are there."""
    starts, ends = (a[..., :, None, :], b[..., None, :, :]), [np.roll(c, -1, -2) for c in (a, b)]
    along = ends[0][..., :, None, :] - starts[0], ends[1][..., None, :, :] - starts[1]
    cross = lambda u, v: u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    between, slope = starts[1] - starts[0], cross(*along)
    with np.errstate(divide="ignore", invalid="ignore"):
        t, s = cross(between, along[1]) / slope, cross(between, along[0]) / slope
        there = (slope != 0) & (t >= 0) & (t <= 1) & (s >= 0) & (s <= 1)
        points = starts[0] + np.where(there, t, 0)[..., None] * along[0]
    return points.reshape(*points.shape[:-3], 16, 2), there.reshape(*there.shape[:-2], 16)


def _hull_area(points: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The area of the convex outline of those of the points [..., P, 2] that are there."""
    count = np.maximum(there.sum(-1), 1)[..., None, None]
    off = points - (points * there[..., None]).sum(-2, keepdims=True) / count
    angle = np.where(there, np.arctan2(off[..., 1], off[..., 0]), np.inf)  # those that aren't come last
    order = np.argsort(angle, -1)[..., None]
    around, known = np.take_along_axis(off, order, -2), np.take_along_axis(there[..., None], order, -2)
    around = np.where(known, around, around[..., :1, :])  # again the first: adds no area
    after = np.roll(around, -1, -2)
    area = (around[..., 0] * after[..., 1] - around[..., 1] * after[..., 0]).sum(-1) / 2
    return np.where(there.any(-1), np.abs(area), 0)


def box_iou_rotated(boxes1, boxes2):
    """Intersection over union of each of boxes1 [..., N, 5] with each of boxes2 [..., M, 5], as (cx, cy, w, h, r)."""
    dtype = boxes1.dtype if boxes1.is_floating_point() else torch.float32
    a, b = (boxes.detach().numpy().astype(np.float64) for boxes in (boxes1, boxes2))
    areas = a[..., :, None, 2] * a[..., :, None, 3], b[..., None, :, 2] * b[..., None, :, 3]
    a, b = np.broadcast_arrays(a[..., :, None, :], b[..., None, :, :])
    corners = _corners(a), _corners(b)
    points, there = _crossings(*corners)
    points = np.concatenate([points, *corners], -2)
    there = np.concatenate([there, _inside(corners[0], b), _inside(corners[1], a)], -1)
    both = _hull_area(points, there)
    union = areas[0] + areas[1] - both
    return torch.from_numpy(np.where(union > 0, both / np.where(union > 0, union, 1), 0)).to(dtype)
