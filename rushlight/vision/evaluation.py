"""How good detections are."""

import numpy as np

from rushlight.vision.ops import box_iou

__all__ = ["average_precision", "mean_average_precision"]


def _hits(prediction: dict, target: dict, label: int, iou_threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The scores of a class's detections in a picture, best first, and which of them find an object not yet found."""
    own, truth = prediction["labels"] == label, target["labels"] == label
    scores = prediction["scores"][own].detach().numpy()
    order = np.argsort(-scores, kind="stable")
    iou = box_iou(prediction["boxes"][own], target["boxes"][truth]).detach().numpy()[order]
    hits = np.zeros(len(order), bool)
    for i in range(len(order) if iou.shape[1] else 0):
        best = iou[i].argmax()
        if iou[i, best] >= iou_threshold:
            hits[i] = True
            iou[:, best] = -1  # found
    return scores[order], hits


def _area(scores: np.ndarray, hits: np.ndarray, objects: int) -> float:
    """The area below precision over recall, where precision is the best at this recall or a higher one."""
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(hits[order])
    precision = found / np.arange(1, len(found) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best * hits[order]).sum() / objects)


def average_precision(
    predictions: list[dict], targets: list[dict], iou_threshold: float = 0.5
) -> dict[int, float]:
    """The average precision of each class that has objects: 1 where all are found before anything else, 0 where none is.

    A detection is right if no better one has found the same object, and its box overlaps that one's enough; among several
    objects it is the one that it overlaps most.

    Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2015 (the version from 2010 on).

    Args:
        predictions: for each picture the detected "boxes" (D, 4), "scores" (D,) and "labels" (D,), as detectors return them.
        targets: for each picture the true "boxes" (N, 4) and "labels" (N,).
        iou_threshold: intersection over union that is enough.

    Raises:
        ValueError: there are predictions for another number of pictures.

    >>> from rushlight.vision.evaluation import average_precision
    >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [5.0, 5.0, 9.0, 9.0]])
    >>> found = {"boxes": boxes[:1], "scores": torch.tensor([0.9]), "labels": torch.tensor([1])}
    >>> average_precision([found], [{"boxes": boxes, "labels": torch.tensor([1, 1])}])
    {1: 0.5}
    """
    if len(predictions) != len(targets):
        raise ValueError(f"average_precision: {len(predictions)} predictions for {len(targets)} targets")
    labels = sorted({label for target in targets for label in target["labels"].tolist()})
    result = {}
    for label in labels:
        parts = [_hits(*both, label, iou_threshold) for both in zip(predictions, targets, strict=True)]
        scores, hits = (np.concatenate(part) for part in zip(*parts, strict=True))
        objects = sum(int((target["labels"] == label).sum()) for target in targets)
        result[label] = _area(scores, hits, objects)
    return result


def mean_average_precision(predictions: list[dict], targets: list[dict], iou_threshold: float = 0.5) -> float:
    """The mean of `average_precision` over the classes: mAP50 by default.

    Raises:
        ValueError: there are no objects, or predictions for another number of pictures.
    """
    found = average_precision(predictions, targets, iou_threshold)
    if not found:
        raise ValueError("mean_average_precision: the targets have no objects")
    return sum(found.values()) / len(found)
