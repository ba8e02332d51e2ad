"""How well scores rank two classes, at every threshold: ROC, the area under it, precision against recall.

All scores are kept until `compute`, sorted once there. Of several classes, each is ranked against the rest.
"""

import rushlight as torch
from rushlight.metrics.metric import Metric

__all__ = ["AUROC", "ROC", "AveragePrecision", "PrecisionRecallCurve"]


class _Curve(Metric):
    """A metric of ranked scores.

    Args:
        task: "binary": scores (N,) of class 1; "multiclass": scores (N, classes).
        num_classes: of the latter.
        average: of several classes: "macro", "weighted" by their samples, or None for each.
    """

    higher_is_better = True

    def __init__(self, task: str = "binary", num_classes: int | None = None, average: str | None = "macro"):
        super().__init__()
        name = type(self).__name__
        if task not in ("binary", "multiclass"):
            raise ValueError(f"{name}: task must be 'binary' or 'multiclass', got {task!r}")
        if task == "multiclass" and (not isinstance(num_classes, int) or num_classes < 2):
            raise ValueError(f"{name}: num_classes must be a whole number above 1, got {num_classes!r}")
        if average not in ("macro", "weighted", "none", None):
            raise ValueError(f"{name}: average must be 'macro', 'weighted' or None, got {average!r}")
        self.task, self.num_classes, self.average = task, num_classes, average
        self.add_state("scores", [])
        self.add_state("targets", [])

    def update(self, preds, target) -> None:
        """Add scores, (N,) or (N, classes), and true classes (N,).

        Raises:
            ValueError: their shapes don't go together.
        """
        expected = (len(target),) if self.task == "binary" else (len(target), self.num_classes)
        if target.ndim != 1 or tuple(preds.shape) != expected:
            raise ValueError(
                f"{type(self).__name__}: expected scores {expected} for targets {tuple(target.shape)}, "
                f"got {tuple(preds.shape)}"
            )
        self.scores.append(preds.detach())
        self.targets.append(target.detach())

    def _of_classes(self, value):
        """value(scores, is it the class) for the one class, or a list of it for each."""
        if not self.scores:
            raise RuntimeError(f"{type(self).__name__}: there is nothing to compute from; call update first")
        scores, targets = torch.cat(self.scores), torch.cat(self.targets)
        if self.task == "binary":
            return value(scores, targets == 1)
        return [value(scores[:, c], targets == c) for c in range(self.num_classes)]

    def _averaged(self, area):
        found = self._of_classes(area)
        if self.task == "binary":
            return found.float()
        values = torch.stack(found)
        if self.average in (None, "none"):
            return values.float()
        weights = torch.ones(len(values), dtype=torch.float64)
        if self.average == "weighted":
            weights = torch.bincount(torch.cat(self.targets), minlength=len(values)).double()
        weights = weights.masked_fill(values.isnan(), 0)
        return ((values.nan_to_num() * weights).sum() / weights.sum()).float()


def _ranked(scores, positive):
    """Counts of true and false positives at each distinct score from the highest down, and these scores."""
    order = scores.argsort(descending=True, stable=True)
    scores, positive = scores[order], positive[order].double()
    last = torch.cat([scores[1:] != scores[:-1], torch.ones(1, dtype=torch.bool)]).nonzero().flatten()
    right = positive.cumsum(0)[last]
    return right, last + 1 - right, scores[last]


def _roc(scores, positive):
    right, wrong, thresholds = _ranked(scores, positive)
    zero = torch.zeros(1, dtype=torch.float64)
    right, wrong = torch.cat([zero, right]), torch.cat([zero, wrong])
    return (
        wrong / wrong[-1],
        right / right[-1],
        torch.cat([thresholds[:1].new_tensor([float("inf")]), thresholds]),
    )


def _precision_recall(scores, positive):
    right, wrong, thresholds = _ranked(scores, positive)
    precision, recall = right / (right + wrong), right / right[-1]
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    return torch.cat([precision.flip(0), one]), torch.cat([recall.flip(0), zero]), thresholds.flip(0)


class ROC(_Curve):
    """False positive rate, true positive rate and threshold, from the strictest threshold on; a list per class of several.

    >>> import rushlight as torch
    >>> from rushlight.metrics import ROC
    >>> ROC()(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1]))[1]
    tensor([0.0000, 0.5000, 0.5000, 1.0000, 1.0000], dtype=torch.float64)
    """

    higher_is_better = None

    def compute(self):
        """(false positive rates, true positive rates, thresholds), or a list of these."""
        return self._of_classes(_roc)


class PrecisionRecallCurve(_Curve):
    """Precision, recall and threshold, from the lowest threshold on; a list per class of several.

    >>> import rushlight as torch
    >>> from rushlight.metrics import PrecisionRecallCurve
    >>> PrecisionRecallCurve()(torch.tensor([0.1, 0.8]), torch.tensor([0, 1]))[0]
    tensor([0.5000, 1.0000, 1.0000], dtype=torch.float64)
    """

    higher_is_better = None

    def compute(self):
        """(precisions, recalls, thresholds), or a list of these."""
        return self._of_classes(_precision_recall)


class AUROC(_Curve):
    """The area under the ROC curve: the chance that a positive sample has a higher score than a negative one.

    >>> import rushlight as torch
    >>> from rushlight.metrics import AUROC
    >>> AUROC()(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1]))
    tensor(0.7500)
    """

    def compute(self):
        """The area; nan for a class of which all samples are, or none is."""

        def area(scores, positive):
            wrong, right, _ = _roc(scores, positive)
            return torch.trapezoid(right, wrong)

        return self._averaged(area)


class AveragePrecision(_Curve):
    """The mean of precision over the steps of recall.

    >>> import rushlight as torch
    >>> from rushlight.metrics import AveragePrecision
    >>> AveragePrecision()(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1]))
    tensor(0.8333)
    """

    def compute(self):
        """The mean; nan for a class without samples."""

        def area(scores, positive):
            precision, recall, _ = _precision_recall(scores, positive)
            return (-recall.diff() * precision[:-1]).sum()

        return self._averaged(area)
