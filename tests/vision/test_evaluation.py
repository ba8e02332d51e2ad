"""Average precision against a count by hand and a plain definition."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.vision.evaluation import average_precision, mean_average_precision
from rushlight.vision.ops import box_iou


def made(boxes, labels, scores=None):
    found = {
        "boxes": torch.tensor(boxes).float().reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }
    return found if scores is None else {**found, "scores": torch.tensor(scores).float()}


A, B, C = [0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 6]


@pytest.mark.parametrize(
    "found,expected",
    [
        (([A, B], [1, 1], [0.9, 0.8]), 1.0),
        (([A], [1], [0.9]), 0.5),
        (([], [], []), 0.0),
        (([A, A, B], [1, 1, 1], [0.9, 0.8, 0.7]), (1 + 2 / 3) / 2),  # found twice counts once
        (([[50, 50, 60, 60], A, B], [1, 1, 1], [0.9, 0.8, 0.7]), 2 / 3),  # precision 1/2, then 2/3
        (([C, B], [1, 1], [0.9, 0.8]), 1.0),
        (([A, B], [2, 1], [0.9, 0.8]), 0.5),  # a wrong class
    ],
)
def test_by_hand(found, expected):
    assert average_precision([made(*found)], [made([A, B], [1, 1])]) == {1: pytest.approx(expected)}


def test_thresholds_and_pictures():
    found, truth = [made([C], [1], [0.9]), made([B], [3], [0.1])], [made([A], [1]), made([B, A], [3, 3])]
    assert average_precision(found, truth) == {1: 1.0, 3: 0.5}
    assert average_precision(found, truth, 0.7) == {1: 0.0, 3: 0.5}
    assert mean_average_precision(found, truth) == 0.75
    with pytest.raises(ValueError, match="2 predictions for 1"):
        average_precision(found, truth[:1])
    with pytest.raises(ValueError, match="no objects"):
        mean_average_precision([made([], [], [])], [made([], [])])


def test_definition():
    """Precision and recall after every detection, from the whole list sorted by score."""
    rng = np.random.default_rng(0)
    truth, found = [], []
    for _ in range(12):
        corners = rng.uniform(0, 60, (5, 4)).astype("float32")
        corners[:, 2:] = corners[:, :2] + rng.uniform(8, 20, (5, 2))
        noisy = np.concatenate(
            [corners + rng.normal(0, 2, corners.shape), corners[:3] + rng.normal(0, 4, (3, 4))]
        )
        labels = rng.integers(1, 3, 5)
        truth.append(made(corners.tolist(), labels.tolist()))
        guesses = np.concatenate([labels, labels[:3]])
        guesses[rng.random(8) < 0.2] = 1
        found.append(made(noisy.tolist(), guesses.tolist(), rng.random(8).tolist()))
    expected = {}
    for label in (1, 2):
        detections = sorted(
            ((s, i, b) for i, p in enumerate(found) for s, b, k in zip(p["scores"].tolist(), p["boxes"], p["labels"].tolist(), strict=True) if k == label),
            key=lambda d: -d[0],
        )  # fmt: skip
        left = [t["boxes"][t["labels"] == label] for t in truth]
        total, right, points = sum(map(len, left)), 0, []
        for number, (_, i, box) in enumerate(detections, 1):
            if len(left[i]):
                iou = box_iou(box[None], left[i])[0]
                at = int(iou.argmax())
                if iou[at] >= 0.5:
                    left[i] = torch.cat([left[i][:at], left[i][at + 1 :]])
                    right += 1
            points.append((right / total, right / number))
        area, last = 0.0, 0.0
        for recall, _ in points:
            area += (recall - last) * max(p for r, p in points if r >= recall)
            last = recall
        expected[label] = pytest.approx(area)
    assert average_precision(found, truth) == expected
