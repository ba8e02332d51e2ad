"""How far numbers are from what they should be, and how surprised a language model is."""

import rushlight as torch
from rushlight.metrics.metric import Metric

__all__ = ["MeanAbsoluteError", "MeanSquaredError", "Perplexity", "R2Score"]


def _pair(name: str, preds, target):
    if preds.shape != target.shape:
        raise RuntimeError(
            f"{name}: predictions {tuple(preds.shape)} and targets {tuple(target.shape)} must have the same shape; "
            "a trailing dimension of 1 goes with squeeze(-1)"
        )
    return preds.detach().double(), target.detach().double()


class _MeanError(Metric):
    higher_is_better = False

    def __init__(self):
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64))
        self.add_state("count", torch.zeros((), dtype=torch.int64))

    def update(self, preds, target) -> None:
        """Add predictions and targets of the same shape."""
        preds, target = _pair(type(self).__name__, preds, target)
        self.total = self.total + self._error(preds - target).sum()
        self.count = self.count + target.numel()

    def compute(self):
        """The mean over all elements; nan before there are any."""
        return (self.total / self.count).float()


class MeanAbsoluteError(_MeanError):
    """The mean of |prediction - target|.

    >>> import rushlight as torch
    >>> from rushlight.metrics import MeanAbsoluteError
    >>> MeanAbsoluteError()(torch.tensor([1.0, 5.0]), torch.tensor([2.0, 2.0]))
    tensor(2.)
    """

    def _error(self, difference):
        return difference.abs()


class MeanSquaredError(_MeanError):
    """The mean of (prediction - target)², or its root.

    Args:
        squared: False for the root.

    >>> import rushlight as torch
    >>> from rushlight.metrics import MeanSquaredError
    >>> MeanSquaredError(squared=False)(torch.tensor([1.0, 5.0]), torch.tensor([1.0, 1.0]))
    tensor(2.8284)
    """

    def __init__(self, squared: bool = True):
        super().__init__()
        self.squared = squared

    def _error(self, difference):
        return difference * difference

    def compute(self):
        """The mean over all elements, or its root."""
        mean = self.total / self.count
        return (mean if self.squared else mean.sqrt()).float()


class R2Score(Metric):
    """The share of the targets' variance that the predictions explain: 1 is perfect, 0 no better than their mean.

    Args:
        multioutput: of targets (N, outputs): "uniform_average" of the outputs' values, "variance_weighted" by their
            variance, or "raw_values" for each.

    >>> import rushlight as torch
    >>> from rushlight.metrics import R2Score
    >>> R2Score()(torch.tensor([1.0, 2.0, 2.5]), torch.tensor([1.0, 2.0, 3.0]))
    tensor(0.8750)
    """

    higher_is_better = True

    def __init__(self, multioutput: str = "uniform_average"):
        super().__init__()
        if multioutput not in ("uniform_average", "variance_weighted", "raw_values"):
            raise ValueError("R2Score: multioutput must be 'uniform_average', 'variance_weighted' or 'raw_values', got "
                             f"{multioutput!r}")  # fmt: skip
        self.multioutput = multioutput
        for name in ("residual", "total", "squares"):
            self.add_state(name, torch.zeros((), dtype=torch.float64))
        self.add_state("count", torch.zeros((), dtype=torch.int64))

    def update(self, preds, target) -> None:
        """Add predictions and targets of the same shape, (N,) or (N, outputs)."""
        preds, target = _pair("R2Score", preds, target)
        if target.ndim not in (1, 2):
            raise RuntimeError(f"R2Score: (N,) or (N, outputs) expected, got {tuple(target.shape)}")
        self.residual = self.residual + ((preds - target) ** 2).sum(0)
        self.total = self.total + target.sum(0)
        self.squares = self.squares + (target**2).sum(0)
        self.count = self.count + len(target)

    def compute(self):
        """1 - (sum of squared errors) / (sum of squares about the mean); nan of fewer than two samples.

        Where all targets are equal, 1 of perfect predictions, else 0.
        """
        if self.count < 2:
            return torch.tensor(float("nan"))
        spread = self.squares - self.total**2 / self.count
        equal = spread <= 1e-14 * self.squares
        found = torch.where(
            equal, (self.residual == 0).double(), 1 - self.residual / torch.where(equal, 1.0, spread)
        )
        if self.multioutput == "variance_weighted":
            found = found.mean() if equal.all() else (found * spread).sum() / spread.sum()
        return (found.mean() if self.multioutput == "uniform_average" else found).float()


class Perplexity(Metric):
    """e to the mean cross-entropy of the right tokens: among how many a model wavers.

    Args:
        ignore_index: a target that does not count, such as that of padding.

    >>> import rushlight as torch
    >>> from rushlight.metrics import Perplexity
    >>> Perplexity()(torch.zeros(1, 3, 5), torch.tensor([[0, 4, 2]]))
    tensor(5.)
    """

    higher_is_better = False

    def __init__(self, ignore_index: int | None = None):
        super().__init__()
        self.ignore_index = -100 if ignore_index is None else ignore_index
        self.add_state("total", torch.zeros((), dtype=torch.float64))
        self.add_state("count", torch.zeros((), dtype=torch.int64))

    def update(self, preds, target) -> None:
        """Add scores before the softmax (N, T, tokens) and the right tokens (N, T).

        Raises:
            ValueError: their shapes don't go together.
        """
        if preds.shape[:-1] != target.shape or not preds.ndim:
            raise ValueError(f"Perplexity: expected scores {(*target.shape, 'tokens')} for targets {tuple(target.shape)}, "
                             f"got {tuple(preds.shape)}")  # fmt: skip
        flat = target.reshape(-1)
        loss = torch.nn.functional.cross_entropy(
            preds.detach().double().reshape(-1, preds.shape[-1]),
            flat,
            ignore_index=self.ignore_index,
            reduction="sum",
        )
        self.total = self.total + loss
        self.count = self.count + (flat != self.ignore_index).sum()

    def compute(self):
        """The perplexity of all tokens."""
        return (self.total / self.count).exp().float()
