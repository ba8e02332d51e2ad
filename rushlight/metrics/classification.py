"""How well classes are told apart, from counts: accuracy, precision, recall, F1, overlap, confusion matrix.

Predictions may be classes (whole numbers), probabilities or scores before a softmax or sigmoid: the largest of several
counts, and a single one is compared with the threshold, after a sigmoid where any score of all batches is not between 0
and 1. Targets are whole numbers. Further dimensions, such as those of pixels, count as samples.
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


def _flat(name: str, preds, target, num_classes: int):
    """Predicted classes and true ones, flat."""
    if preds.ndim == target.ndim + 1:
        if preds.shape[1] != num_classes:
            raise ValueError(f"{name}: expected scores of {num_classes} classes, got {tuple(preds.shape)}")
        preds = preds.argmax(1)
    elif preds.is_floating_point():
        raise ValueError(
            f"{name}: expected scores (N, {num_classes}, ...) or whole numbers, got {preds.dtype} {tuple(preds.shape)}"
        )
    preds, target = preds.reshape(-1), target.reshape(-1)
    if preds.shape != target.shape:
        raise ValueError(f"{name}: {len(preds)} predictions for {len(target)} targets")
    return preds, target


def check_task(name: str, task: str, num_classes, num_labels) -> None:
    """Whether a task and its number of classes or labels go together.

    Raises:
        ValueError: they don't.
    """
    if task not in ("binary", "multiclass", "multilabel"):
        raise ValueError(f"{name}: task must be 'binary', 'multiclass' or 'multilabel', got {task!r}")
    if task == "multiclass" and (not isinstance(num_classes, int) or num_classes < 2):
        raise ValueError(f"{name}: num_classes must be a whole number above 1, got {num_classes!r}")
    if task == "multilabel" and (not isinstance(num_labels, int) or num_labels < 1):
        raise ValueError(f"{name}: num_labels must be a whole number above 0, got {num_labels!r}")


class _Counted(Metric):
    """A metric of the confusion matrix.

    Args: as of `Recall`.
    """

    higher_is_better = True

    def __init__(
        self,
        task: str = "multiclass",
        num_classes: int | None = None,
        average: str | None = "macro",
        threshold: float = 0.5,
        ignore_index: int | None = None,
        num_labels: int | None = None,
    ):
        super().__init__()
        name = type(self).__name__
        check_task(name, task, num_classes, num_labels)
        if average not in _AVERAGES:
            raise ValueError(f"{name}: average must be one of {_AVERAGES}, got {average!r}")
        self.task, self.average, self.threshold, self.ignore_index = task, average, threshold, ignore_index
        self.num_classes, self.num_labels = num_classes if task == "multiclass" else 2, num_labels
        self._shape = (self.num_classes,) * 2 if task != "multilabel" else (num_labels, 2, 2)
        self.add_state("matrix", torch.zeros(self._shape, dtype=torch.int64))
        if task != "multiclass":
            # Whether scores are probabilities shows only when all are known, so both are counted.
            self.add_state("after_sigmoid", torch.zeros(self._shape, dtype=torch.int64))
            self.add_state("no_probabilities", torch.zeros((), dtype=torch.int64))

    def update(self, preds, target) -> None:
        """Add predictions, as classes (N, ...) or scores (N, classes, ...), and true classes (N, ...).

        Of two classes scores have the targets' shape, of labels both are (N, labels, ...).

        Raises:
            ValueError: their shapes don't go together, or a class is out of range.
        """
        name, preds, target = type(self).__name__, preds.detach(), target.detach()
        if self.task == "multiclass":
            self.matrix = self.matrix + self._counted(*_flat(name, preds, target, self.num_classes))
            return
        if preds.shape != target.shape:
            raise ValueError(
                f"{name}: predictions {tuple(preds.shape)} and targets {tuple(target.shape)} must have the same shape"
            )
        if self.task == "multilabel" and (target.ndim < 2 or target.shape[1] != self.num_labels):
            raise ValueError(
                f"{name}: expected targets (N, {self.num_labels}, ...), got {tuple(target.shape)}"
            )
        if not preds.is_floating_point():
            both = self._counted(preds, target), self._counted(preds, target)
        else:
            both = [self._counted(p > self.threshold, target) for p in (preds, preds.sigmoid())]
            self.no_probabilities = self.no_probabilities + ((preds < 0) | (preds > 1)).sum()
        self.matrix, self.after_sigmoid = self.matrix + both[0], self.after_sigmoid + both[1]

    def _counted(self, preds, target):
        """How often each true class, and each predicted one, come together: of the shape of the state."""
        n = self.num_classes
        place = target.long() * n + preds.long()
        counts = torch.ones_like(place, dtype=torch.bool)
        if self.ignore_index is not None:
            counts = target != self.ignore_index
        for what, values in (("prediction", preds[counts].long()), ("target", target[counts].long())):
            if values.numel() and not 0 <= values.min() <= values.max() < n:
                wrong = values[(values < 0) | (values >= n)][0].item()
                raise ValueError(
                    f"{type(self).__name__}: {what} {wrong} is not one of the {n} classes; ignore_index leaves targets out"
                )
        if self.task == "multilabel":
            label = torch.arange(self.num_labels).view(-1, *[1] * (target.ndim - 2))
            place = place + label * n * n
        size = self.matrix.numel()
        return torch.bincount(place[counts], minlength=size).view(self._shape)

    def _matrix(self):
        """The counts: [true, predicted], after labels if there are some."""
        if self.task != "multiclass" and self.no_probabilities > 0:
            return self.after_sigmoid
        return self.matrix

    def _counts(self):
        """True positives, predicted and actual ones of each class or label."""
        matrix = self._matrix().double()
        if self.task == "multilabel":
            return matrix[:, 1, 1], matrix[:, :, 1].sum(1), matrix[:, 1].sum(1)
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
        return self._averaged(self._ratio(right, predicted, actual), predicted, actual)

    def _averaged(self, ratio, predicted, actual):
        if self.average == "weighted":
            return _divided((ratio * actual).sum(), actual.sum()).float()
        if self.average == "macro" and self.task == "multiclass":
            seen = (predicted + actual) > 0  # classes that nobody mentions have no value
            return _divided(ratio[seen].sum(), seen.sum().double()).float()
        return (ratio.mean() if self.average == "macro" else ratio).float()


def _divided(a, b):
    return torch.where(b == 0, torch.zeros_like(a), a / torch.where(b == 0, torch.ones_like(b), b))


class Precision(_Counted):
    """The share of what was called a class that is one.

    Args: as of `Recall`.

    >>> import rushlight as torch
    >>> from rushlight.metrics import Precision
    >>> Precision("binary")(torch.tensor([0.9, 0.8, 0.3]), torch.tensor([1, 0, 1]))
    tensor(0.5000)
    """

    def _ratio(self, right, predicted, actual):
        return _divided(right, predicted)


class Recall(_Counted):
    """The share of a class that was called so.

    Args:
        task: "binary"; "multiclass", one class of several; "multilabel", each of several labels or not.
        num_classes: of "multiclass".
        average: "micro" counts all samples alike, "macro" all classes, "weighted" classes by their samples; "none" or
            None gives a value for each class. It is "macro" by default, as torchmetrics' MulticlassF1Score has it (and
            its F1Score has not); of two classes the value is that of class 1.
        threshold: above which a single score means yes.
        ignore_index: a target that does not count.
        num_labels: of "multilabel".

    >>> import rushlight as torch
    >>> from rushlight.metrics import Recall
    >>> Recall("multiclass", 3, average=None)(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]))
    tensor([1.0000, 1.0000, 0.5000])
    """

    def _ratio(self, right, predicted, actual):
        return _divided(right, actual)


class F1Score(_Counted):
    """The harmonic mean of precision and recall.

    Args: as of `Recall`.

    >>> import rushlight as torch
    >>> from rushlight.metrics import F1Score
    >>> F1Score("multiclass", 3)(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]))
    tensor(0.7778)
    """

    def _ratio(self, right, predicted, actual):
        return _divided(2 * right, predicted + actual)


class Dice(F1Score):
    """Overlap of what was marked and what should be, of pixels mostly: the same figure as F1.

    Args: as of `Recall`.
    """


class JaccardIndex(_Counted):
    """Intersection over union.

    Args: as of `Recall`. A class that is `ignore_index` has no value, and isn't counted where it is predicted either.

    >>> import rushlight as torch
    >>> from rushlight.metrics import JaccardIndex
    >>> JaccardIndex("binary")(torch.tensor([[1, 1], [0, 0]]), torch.tensor([[1, 0], [1, 0]]))
    tensor(0.3333)
    """

    def _counts(self):
        right, predicted, actual = super()._counts()
        if (
            self.task == "multiclass"
            and self.ignore_index is not None
            and 0 <= self.ignore_index < self.num_classes
        ):
            predicted[self.ignore_index] = 0
        return right, predicted, actual

    def _ratio(self, right, predicted, actual):
        return _divided(right, predicted + actual - right)


class ConfusionMatrix(_Counted):
    """How often each class (row) was taken for each (column).

    Args:
        normalize: None for counts; "true" for shares of each row, "pred" of each column, "all" of everything.
        task, num_classes, threshold, ignore_index, num_labels: as of `Recall`; of labels there is a matrix for each.

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
        num_labels: int | None = None,
    ):
        super().__init__(task, num_classes, None, threshold, ignore_index, num_labels)
        if normalize not in (None, "true", "pred", "all"):
            raise ValueError(
                f"ConfusionMatrix: normalize must be 'true', 'pred', 'all' or None, got {normalize!r}"
            )
        self.normalize = normalize

    def compute(self):
        """The matrix, [classes, classes] or [labels, 2, 2]: whole numbers, or shares."""
        if self.normalize is None:
            return self._matrix()
        matrix = self._matrix().double()
        total = matrix.sum({"true": -1, "pred": -2, "all": (-2, -1)}[self.normalize], keepdim=True)
        return _divided(matrix, total.broadcast_to(matrix.shape)).float()


class Accuracy(_Counted):
    """The share of right answers, or of samples whose class is among the `top_k` highest scores.

    Args:
        average: "micro" by default: all samples count alike. Else the shares of each class, or of right answers about
            each label, as of `Recall`.
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
        num_labels: int | None = None,
    ):
        super().__init__(task, num_classes, average, threshold, ignore_index, num_labels)
        if top_k > 1 and task != "multiclass":
            raise ValueError(f"Accuracy: top_k={top_k} is for several classes, not for {task!r}")
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

    def _averaged(self, ratio, predicted, actual):
        if self.top_k > 1:  # what else was among the highest says nothing of a class
            predicted = torch.zeros_like(predicted)
        return super()._averaged(ratio, predicted, actual)

    def compute(self):
        """The share of right answers."""
        if self.task == "multiclass":
            return super().compute()
        matrix = self._matrix().double()
        right, total = matrix.diagonal(dim1=-2, dim2=-1).sum(-1), matrix.sum((-2, -1))
        if self.task == "binary" or self.average == "micro":
            return _divided(right.sum(), total.sum()).float()
        _, predicted, actual = self._counts()
        return self._averaged(_divided(right, total), predicted, actual)
