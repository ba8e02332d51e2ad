"""How well classes are told apart, from counts: accuracy, precision, recall, F1, overlap, confusion matrix.

Scores may be classes (whole numbers), probabilities or any scores: the largest counts, and of a single score whether it
is above the threshold. Targets are whole numbers. Further dimensions, such as those of pixels, count as samples.
"""

import rushlight as torch
from rushlight.metrics.metric import Metric

__all__ = [
    "Accuracy",
    "ConfusionMatrix",
    "Dice",
    "F1Score",
    "JaccardIndex",
    "Precision",
    "Recall",
]

_AVERAGES = ("micro", "macro", "weighted", "none", None)


def _classes(name: str, preds, target, task: str, num_classes: int, threshold: float):
    """Predicted classes and true ones, flat."""
    preds, target = preds.detach(), target.detach()
    if task == "binary":
        if preds.shape != target.shape:
            raise ValueError(
                f"{name}: predictions {tuple(preds.shape)} and targets {tuple(target.shape)} must have the same shape"
            )
        if preds.is_floating_point():
            preds = _probabilities(preds) > threshold
    elif preds.ndim == target.ndim + 1:
        if preds.shape[1] != num_classes:
            raise ValueError(f"{name}: expected scores of {num_classes} classes, got {tuple(preds.shape)}")
        preds = preds.argmax(1)
    elif preds.is_floating_point():
        raise ValueError(
            f"{name}: expected scores (N, {num_classes}, ...) or whole numbers, got {preds.dtype} {tuple(preds.shape)}"
        )
    preds, target = preds.reshape(-1).long(), target.reshape(-1).long()
    if preds.shape != target.shape:
        raise ValueError(f"{name}: {len(preds)} predictions for {len(target)} targets")
    return preds, target


def _probabilities(scores):
    """Scores as probabilities: the sigmoid of those that are not between 0 and 1."""
    return scores.sigmoid() if scores.numel() and (scores.min() < 0 or scores.max() > 1) else scores


class _Counted(Metric):
    """A metric of the confusion matrix.

    Args:
        task: "binary" or "multiclass".
        num_classes: of the latter.
        average: "micro" counts all samples alike, "macro" all classes, "weighted" classes by their samples; "none" or
            None gives a value for each class. Of two classes the value is that of class 1.
        threshold: above which a single score means class 1.
        ignore_index: a target that does not count.
    """

    higher_is_better = True

    def __init__(
        self,
        task: str = "multiclass",
        num_classes: int | None = None,
        average: str | None = "macro",
        threshold: float = 0.5,
        ignore_index: int | None = None,
    ):
        super().__init__()
        name = type(self).__name__
        if task not in ("binary", "multiclass"):
            raise ValueError(f"{name}: task must be 'binary' or 'multiclass', got {task!r}")
        if task == "multiclass" and (not isinstance(num_classes, int) or num_classes < 2):
            raise ValueError(f"{name}: num_classes must be a whole number above 1, got {num_classes!r}")
        if average not in _AVERAGES:
            raise ValueError(f"{name}: average must be one of {_AVERAGES}, got {average!r}")
        self.task, self.average, self.threshold, self.ignore_index = task, average, threshold, ignore_index
        self.num_classes = 2 if task == "binary" else num_classes
        self.add_state("matrix", torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64))

    def update(self, preds, target) -> None:
        """Add predictions, as classes or scores (N, classes, ...), and true classes (N, ...).

        Raises:
            ValueError: their shapes don't go together, or a class is out of range.
        """
        name, n = type(self).__name__, self.num_classes
        preds, target = _classes(name, preds, target, self.task, n, self.threshold)
        if self.ignore_index is not None:
            counted = target != self.ignore_index
            preds, target = preds[counted], target[counted]
        for what, values in (("prediction", preds), ("target", target)):
            if values.numel() and not 0 <= values.min() <= values.max() < n:
                wrong = values[(values < 0) | (values >= n)][0].item()
                raise ValueError(
                    f"{name}: {what} {wrong} is not one of the {n} classes; ignore_index leaves targets out"
                )
        self.matrix = self.matrix + torch.bincount(target * n + preds, minlength=n * n).view(n, n)

    def _counts(self):
        """True positives, predicted and actual ones of each class."""
        matrix = self.matrix.double()
        return matrix.diagonal(), matrix.sum(0), matrix.sum(1)

    def _ratio(self, right, predicted, actual):
        raise NotImplementedError

    def compute(self):
        """The value over all batches; 0 where nothing was there to divide by."""
        right, predicted, actual = self._counts()
        if self.task == "binary":
            return self._ratio(right, predicted, actual)[1].float()
        if self.average == "micro":
            return self._ratio(right.sum(), predicted.sum(), actual.sum()).float()
        ratio = self._ratio(right, predicted, actual)
        if self.average == "weighted":
            return _divided((ratio * actual).sum(), actual.sum()).float()
        if self.average == "macro":
            seen = (predicted + actual) > 0  # classes that nobody mentions have no value
            return _divided(ratio[seen].sum(), seen.sum().double()).float()
        return ratio.float()


def _divided(a, b):
    return torch.where(b == 0, torch.zeros_like(a), a / torch.where(b == 0, torch.ones_like(b), b))


class Precision(_Counted):
    """The share of what was called a class that is one.

    >>> import rushlight as torch
    >>> from rushlight.metrics import Precision
    >>> Precision("binary")(torch.tensor([0.9, 0.8, 0.3]), torch.tensor([1, 0, 1]))
    tensor(0.5000)
    """

    def _ratio(self, right, predicted, actual):
        return _divided(right, predicted)


class Recall(_Counted):
    """The share of a class that was called so.

    >>> import rushlight as torch
    >>> from rushlight.metrics import Recall
    >>> Recall("multiclass", 3, average=None)(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]))
    tensor([1.0000, 1.0000, 0.5000])
    """

    def _ratio(self, right, predicted, actual):
        return _divided(right, actual)


class F1Score(_Counted):
    """The harmonic mean of precision and recall.

    >>> import rushlight as torch
    >>> from rushlight.metrics import F1Score
    >>> F1Score("multiclass", 3)(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]))
    tensor(0.7778)
    """

    def _ratio(self, right, predicted, actual):
        return _divided(2 * right, predicted + actual)


class Dice(F1Score):
    """Overlap of what was marked and what should be, of pixels mostly: the same figure as F1."""


class JaccardIndex(_Counted):
    """Intersection over union.

    >>> import rushlight as torch
    >>> from rushlight.metrics import JaccardIndex
    >>> JaccardIndex("binary")(torch.tensor([[1, 1], [0, 0]]), torch.tensor([[1, 0], [1, 0]]))
    tensor(0.3333)
    """

    def _ratio(self, right, predicted, actual):
        return _divided(right, predicted + actual - right)


class ConfusionMatrix(_Counted):
    """How often each class (row) was taken for each (column).

    Args:
        normalize: None for counts; "true" for shares of each row, "pred" of each column, "all" of everything.

    >>> import rushlight as torch
    >>> from rushlight.metrics import ConfusionMatrix
    >>> ConfusionMatrix("binary")(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]))
    tensor([[1, 1],
            [0, 1]])
    """

    higher_is_better = None

    def __init__(
        self,
        task: str = "multiclass",
        num_classes: int | None = None,
        threshold: float = 0.5,
        normalize: str | None = None,
        ignore_index: int | None = None,
    ):
        super().__init__(task, num_classes, None, threshold, ignore_index)
        if normalize not in (None, "true", "pred", "all"):
            raise ValueError(
                f"ConfusionMatrix: normalize must be 'true', 'pred', 'all' or None, got {normalize!r}"
            )
        self.normalize = normalize

    def compute(self):
        """The matrix, [classes, classes]: whole numbers, or shares."""
        if self.normalize is None:
            return self.matrix
        matrix = self.matrix.double()
        total = {
            "true": matrix.sum(1, keepdim=True),
            "pred": matrix.sum(0, keepdim=True),
            "all": matrix.sum(),
        }
        return _divided(matrix, total[self.normalize].broadcast_to(matrix.shape)).float()


class Accuracy(_Counted):
    """The share of right answers, or of samples whose class is among the `top_k` highest scores.

    Args:
        average: "micro" by default: all samples count alike. Else as of `Recall`.
        top_k: how many of the highest scores may hold the right class; scores are needed then.

    >>> import rushlight as torch
    >>> from rushlight.metrics import Accuracy
    >>> scores = torch.tensor([[0.1, 0.5, 0.4], [0.6, 0.3, 0.1]])
    >>> Accuracy("multiclass", 3)(scores, torch.tensor([2, 0]))
    tensor(0.5000)
    >>> Accuracy("multiclass", 3, top_k=2)(scores, torch.tensor([2, 0]))
    tensor(1.)
    """

    def __init__(
        self,
        task: str = "multiclass",
        num_classes: int | None = None,
        average: str | None = "micro",
        threshold: float = 0.5,
        ignore_index: int | None = None,
        top_k: int = 1,
    ):
        super().__init__(task, num_classes, average, threshold, ignore_index)
        if not 1 <= top_k <= self.num_classes:
            raise ValueError(f"Accuracy: top_k must be from 1 to {self.num_classes}, got {top_k}")
        self.top_k = top_k

    def update(self, preds, target) -> None:
        """Add predictions, as classes or scores (N, classes, ...), and true classes (N, ...)."""
        if self.top_k > 1:
            if preds.ndim != target.ndim + 1:
                raise ValueError(
                    f"Accuracy: top_k={self.top_k} needs scores (N, classes, ...), got {tuple(preds.shape)}"
                )
            best = preds.detach().topk(self.top_k, 1).indices
            hit = (best == target.unsqueeze(1)).any(1)
            preds = torch.where(hit, target.clamp(0, self.num_classes - 1), best[:, 0])
        super().update(preds, target)

    def _ratio(self, right, predicted, actual):
        return _divided(right, actual)

    def compute(self):
        """The share of right answers."""
        if self.task == "binary":
            right, _, actual = self._counts()
            return _divided(right.sum(), actual.sum()).float()
        return super().compute()
