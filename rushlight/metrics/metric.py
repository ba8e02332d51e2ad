"""What every metric is: counts or sums that batches add to, and a value that is computed from them."""

import copy
from typing import Any

from rushlight import no_grad
from rushlight.nn import Module
from rushlight.tensor import Tensor

__all__ = ["MeanMetric", "Metric", "MetricCollection"]


class Metric(Module):
    """A figure over all batches since the last `reset`, with the names of torchmetrics.

    A subclass names its state with `add_state` and writes `update(*batch)` and `compute()`. Batches of any size count by
    their samples, so that an uneven last one changes nothing. The state is left out of `state_dict`, as a new epoch
    begins with a fresh one; `state()` and `load_state()` are for checkpoints in the middle of an epoch.

    >>> import rushlight as torch
    >>> from rushlight.metrics import MeanAbsoluteError
    >>> metric = MeanAbsoluteError()
    >>> metric(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))  # of this batch
    tensor(1.)
    >>> metric.update(torch.tensor([3.0]), torch.tensor([7.0]))
    >>> metric.compute()  # of all
    tensor(2.)
    """

    higher_is_better: bool | None = None

    def __init__(self):
        super().__init__()
        self._defaults: dict[str, Any] = {}
        self.update_count = 0
        self._forward_cache = None  # the value of the last batch

    def add_state(self, name: str, default) -> None:
        """Name a part of the state: a tensor that batches add to, or an empty list that they append tensors to.

        Raises:
            ValueError: it is neither.
        """
        if not isinstance(default, Tensor) and default != []:
            raise ValueError(f"add_state: state {name!r} must be a tensor or an empty list, got {default!r}")
        self._defaults[name] = default
        setattr(self, name, default.clone() if isinstance(default, Tensor) else [])

    def update(self, *batch) -> None:
        """Take a batch into account."""
        raise NotImplementedError(f"{type(self).__name__} has no update")

    def compute(self):
        """The value over everything since the last `reset`."""
        raise NotImplementedError(f"{type(self).__name__} has no compute")

    def forward(self, *batch):
        """Take a batch into account; returns the value of that batch alone."""
        with no_grad():
            before, count = self.state(), self.update_count
            self.reset()
            try:
                self.update(*batch)
                value = self.compute()
            except Exception:
                self.load_state(before)
                self.update_count = count
                raise
            for name, default in self._defaults.items():
                here = getattr(self, name)
                setattr(
                    self, name, before[name] + here if isinstance(default, Tensor) else [*before[name], *here]
                )
            self.update_count = count + 1
        self._forward_cache = value
        return value

    def reset(self) -> None:
        """Forget all batches."""
        for name, default in self._defaults.items():
            setattr(self, name, default.clone() if isinstance(default, Tensor) else [])
        self.update_count, self._forward_cache = 0, None

    def state(self) -> dict:
        """The state by name, as it is now."""
        return {name: getattr(self, name) for name in self._defaults}

    metric_state = property(lambda self: self.state(), doc="The state, under torchmetrics' name.")

    def load_state(self, state: dict) -> None:
        """Go on from a state."""
        for name in self._defaults:
            setattr(self, name, state[name])

    def clone(self) -> "Metric":
        """A copy with a state of its own."""
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class MeanMetric(Metric):
    """The mean of values, weighted where weights are given.

    >>> import rushlight as torch
    >>> from rushlight.metrics import MeanMetric
    >>> mean = MeanMetric()
    >>> mean.update(2.0, 1)
    >>> mean.update(5.0, 2)
    >>> mean.compute()
    tensor(4.)
    """

    def __init__(self):
        super().__init__()
        import rushlight as torch

        self.add_state("total", torch.zeros((), dtype=torch.float64))
        self.add_state("weight", torch.zeros((), dtype=torch.float64))

    def update(self, value, weight=1.0) -> None:
        """Add a number or a tensor, with the weight of each of its elements."""
        import rushlight as torch

        value = torch.as_tensor(value).detach().double()
        weight = torch.as_tensor(weight).double().broadcast_to(value.shape)
        self.total = self.total + (value * weight).sum()
        self.weight = self.weight + weight.sum()

    def compute(self):
        """The mean; nan before there is a value."""
        return (self.total / self.weight).float()


class MetricCollection(Module):
    """Several metrics of the same batches, as a dictionary of values.

    Args:
        metrics: a dictionary by name, or a list: then the names are those of the classes.
        prefix, postfix: put before and after each name.

    >>> import rushlight as torch
    >>> from rushlight.metrics import MeanAbsoluteError, MeanSquaredError, MetricCollection
    >>> both = MetricCollection([MeanAbsoluteError(), MeanSquaredError()], prefix="val_")
    >>> both.update(torch.tensor([1.0]), torch.tensor([3.0]))
    >>> both.compute()
    {'val_MeanAbsoluteError': tensor(2.), 'val_MeanSquaredError': tensor(4.)}
    """

    def __init__(self, metrics, prefix: str = "", postfix: str = ""):
        super().__init__()
        named = metrics if isinstance(metrics, dict) else {type(m).__name__: m for m in metrics}
        if len(named) != len(metrics):
            raise ValueError("MetricCollection: two metrics have the same name; give a dictionary of names")
        for name, metric in named.items():
            self.add_module(name, metric)
        self.prefix, self.postfix = prefix, postfix

    def _each(self, method: str, *batch) -> dict:
        each = ((name, getattr(metric, method)(*batch)) for name, metric in self.items())
        return {f"{self.prefix}{name}{self.postfix}": value for name, value in each}

    def clone(self, prefix: str | None = None, postfix: str | None = None) -> "MetricCollection":
        """A copy with states of its own, under other names if a prefix or postfix is given.

        >>> from rushlight.metrics import MeanAbsoluteError, MetricCollection
        >>> MetricCollection([MeanAbsoluteError()]).clone(prefix="test_").prefix
        'test_'
        """
        found = copy.deepcopy(self)
        found.prefix = self.prefix if prefix is None else prefix
        found.postfix = self.postfix if postfix is None else postfix
        return found

    def items(self):
        """The metrics by name."""
        return self._modules.items()

    def __getitem__(self, name: str) -> Metric:
        return self._modules[name]

    def __len__(self) -> int:
        return len(self._modules)

    def update(self, *batch) -> None:
        """Take a batch into account."""
        self._each("update", *batch)

    def forward(self, *batch) -> dict:
        """Take a batch into account; returns the values of that batch alone."""
        return self._each("forward", *batch)

    def compute(self) -> dict:
        """The values over everything since the last `reset`."""
        return self._each("compute")

    def reset(self) -> None:
        """Forget all batches."""
        self._each("reset")
