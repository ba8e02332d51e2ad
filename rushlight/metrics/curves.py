"""How well scores rank two classes, at every threshold: ROC, the area under it, precision against recall.

All scores are kept until `compute`, sorted once there. Of several classes, each is ranked against the rest.
"""

import rushlight as torch
from rushlight.metrics.classification import check_task
from rushlight.metrics.metric import Metric

__all__ = ["AUROC", "ROC", "AveragePrecision", "PrecisionRecallCurve"]


class _Curve(Metric):
    """A metric of ranked scores.

    Args:
        task: "binary": scores of class 1; "multiclass": scores of each class, (N, classes, ...); "multilabel": scores of
            each label, (N, labels, ...).
        num_classes: of "multiclass".
        average: of several classes: "macro", "weighted" by their samples, "micro" of all together, or None for each.
        num_labels: of "multilabel".
        ignore_index: a target that does not count.
    """

    higher_is_better = True

    def __init__(
        self,
        task: str = "binary",
        num_classes: int | None = None,
        average: str | None = "macro",
        num_labels: int | None = None,
        ignore_index: int | None = None,
    ):
        super().__init__()
        name = type(self).__name__
        check_task(name, task, num_classes, num_labels)
        if average not in ("micro", "macro", "weighted", "none", None):
            raise ValueError(f"{name}: average must be 'micro', 'macro', 'weighted' or None, got {average!r}")
        self.task, self.average, self.ignore_index = task, average, ignore_index
        self.columns = {"binary": 1, "multiclass": num_classes, "multilabel": num_labels}[task]
        self.add_state("scores", [])
        self.add_state("targets", [])

    def update(self, preds, target) -> None:
        """Add scores, (N, ...) or (N, classes, ...), and true classes (N, ...), or labels of the scores' shape.

        Raises:
            ValueError: their shapes don't go together.
        """
        shape = tuple(target.shape)
        if self.task != "binary":
            rest = shape[1:] if self.task == "multiclass" else shape[2:]
            shape = (*shape[:1], self.columns, *rest)
        fits = self.task != "multilabel" or tuple(target.shape) == shape
        if target.ndim < 1 or tuple(preds.shape) != shape or not fits:
            raise ValueError(
                f"{type(self).__name__}: expected scores {shape} for targets {tuple(target.shape)}, "
                f"got {tuple(preds.shape)}"
            )
        preds, target = preds.detach(), target.detach()
        self.scores.append(preds.reshape(-1) if self.task == "binary" else _rows(preds))
        self.targets.append(_rows(target) if self.task == "multilabel" else target.reshape(-1))

    def _pairs(self) -> list:
        """The scores, and whether it is the class, of each class or label; of the one class if there are two."""
        if not self.scores:
            raise RuntimeError(f"{type(self).__name__}: there is nothing to compute from; call update first")
        scores, targets = torch.cat(self.scores), torch.cat(self.targets)
        counts = torch.ones_like(targets, dtype=torch.bool)
        if self.ignore_index is not None:
            counts = targets != self.ignore_index
        if self.task == "binary":
            return [(scores[counts], targets[counts] == 1)]
        if self.task == "multilabel":
            columns = range(self.columns)
            return [(scores[counts[:, c], c], targets[counts[:, c], c] == 1) for c in columns]
        scores, targets = scores[counts], targets[counts]
        if scores.numel() and (scores.min() < 0 or scores.max() > 1):
            scores = scores.softmax(
                1
            )  # of one class against the rest, the ranks of scores before it say little
        return [(scores[:, c], targets == c) for c in range(self.columns)]

    def _of_classes(self, value):
        """value(scores, is it the class) for the one class, or a list of it for each."""
        found = [value(*pair) for pair in self._pairs()]
        return found[0] if self.task == "binary" else found

    def _averaged(self, area):
        pairs = self._pairs()
        if self.task == "binary" or self.average == "micro":
            return area(*map(torch.cat, zip(*pairs, strict=True))).float()
        values = torch.stack([area(*pair) for pair in pairs])
        if self.average in (None, "none"):
            return values.float()
        weights = torch.ones(len(values), dtype=torch.float64)
        if self.average == "weighted":
            weights = torch.stack([positive.sum() for _, positive in pairs]).double()
        weights = weights.masked_fill(values.isnan(), 0)
        return ((values.nan_to_num() * weights).sum() / weights.sum()).float()


def _rows(x):
    """(N, columns, ...) as (N of all, columns)."""
    return x.movedim(1, -1).reshape(-1, x.shape[1])


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
