"""Several models that decide together."""

import copy
import math

import numpy as np

import rushlight as torch
from rushlight.autograd.grad_mode import no_grad
from rushlight.nn import Module, ModuleList, functional
from rushlight.tensor import Tensor
from rushlight.utils.data import DataLoader, Subset
from rushlight.validation.imbalance import labels_of
from rushlight.validation.splits import random_state

__all__ = ["Bagging", "Snapshots", "Voting", "bagging"]


class Voting(Module):
    """Models that vote: its output is a probability of each class, or the mean of values.

    Args:
        models: the models.
        method: "soft": the mean of their probabilities; "hard": the share that votes for each class; "mean": the mean of
            their outputs as they are, for regression.
        weights: of the models; all count alike by default.
        probabilities: their outputs are probabilities already, not logits.
    Raises:
        ValueError: there is no model, the method is unknown, or there are not as many weights.

    >>> from rushlight.validation import Voting
    >>> sure, unsure = (lambda x: torch.tensor([[3.0, 0.0]])), (lambda x: torch.tensor([[0.0, 1.0]]))
    >>> Voting([sure, unsure])(None).round(decimals=2)
    tensor([[0.6100, 0.3900]])
    >>> Voting([sure, unsure, unsure], method="hard")(None).argmax(1)
    tensor([1])
    """

    def __init__(self, models, method: str = "soft", weights=None, probabilities: bool = False):
        super().__init__()
        models = list(models)
        if not models:
            raise ValueError("Voting: there are no models")
        if method not in ("soft", "hard", "mean"):
            raise ValueError(f"Voting: method must be 'soft', 'hard' or 'mean', got {method!r}")
        weights = torch.ones(len(models)) if weights is None else torch.as_tensor(weights).float()
        if weights.shape != (len(models),):
            raise ValueError(f"Voting: expected {len(models)} weights, got shape {list(weights.shape)}")
        self.models = ModuleList(models) if all(isinstance(m, Module) for m in models) else models
        self.method, self.probabilities = method, probabilities
        self.register_buffer("weights", weights / weights.sum())

    def votes(self, *args, **kwargs) -> Tensor:
        """What each model says: (models, N, ...)."""
        return torch.stack([self._vote(model(*args, **kwargs)) for model in self.models])

    def _vote(self, output: Tensor) -> Tensor:
        if self.method == "hard":
            return functional.one_hot(output.argmax(1), output.shape[1]).float()
        if self.method == "soft" and not self.probabilities:
            return output.softmax(1)
        return output

    def forward(self, *args, **kwargs) -> Tensor:
        return torch.tensordot(self.weights, self.votes(*args, **kwargs), dims=1)


class Bagging(Voting):
    """The models of `bagging`, which vote.

    Attributes:
        samples: for each model, the places of the samples that it learned from.
    """

    def __init__(self, models, samples: list, method: str = "soft"):
        super().__init__(models, method)
        self.samples = samples

    @no_grad()
    def out_of_bag(self, dataset, batch_size: int = 256) -> Tensor:
        """What the models that did not see a sample say of it, on average.

        Args:
            dataset: the data set that was learned from.
            batch_size: how many samples at a time.
        Returns:
            (N, classes); NaN for samples that all models saw.
        """
        total, count = None, torch.zeros(len(dataset))
        for model, seen in zip(self.models, self.samples, strict=True):
            left = np.setdiff1d(np.arange(len(dataset)), seen)
            if not len(left):
                continue
            loader = DataLoader(Subset(dataset, left.tolist()), batch_size)
            said = torch.cat([self._vote(model(batch[0])) for batch in loader])
            total = torch.zeros(len(dataset), *said.shape[1:]) if total is None else total
            total[left] += said
            count[left] += 1
        if total is None:
            raise ValueError("Bagging: every model saw every sample")
        return total / torch.where(count > 0, count, math.nan).reshape(-1, *[1] * (total.dim() - 1))

    def out_of_bag_accuracy(self, dataset, labels=None, batch_size: int = 256) -> float:
        """The share of samples that the models which did not see them get right: an estimate that needs no test data.

        Args:
            dataset: the data set that was learned from.
            labels: its classes; its own by default.
            batch_size: how many samples at a time.
        """
        said = self.out_of_bag(dataset, batch_size)
        labels = labels_of(dataset if labels is None else labels)
        known = ~said[:, 0].isnan()
        return float((said[known].argmax(1) == labels[known]).float().mean())


def bagging(
    make_model, dataset, fit, count: int = 10, *, method: str = "soft", seed: int | None = None
) -> Bagging:
    """Train models on samples drawn with replacement, as many as there are, and let them vote.

    Args:
        make_model: returns a new model.
        dataset: a data set.
        fit: called as `fit(model, train)` with a `Subset`.
        count: how many models.
        method: how they vote, see `Voting`.
        seed: of the draws; by default `manual_seed` decides.
    Returns:
        A `Bagging`, in eval mode.

    Breiman, "Bagging Predictors" (1996).

    >>> from rushlight.validation import bagging
    >>> data = torch.utils.data.TensorDataset(torch.randn(20, 2), torch.randint(0, 2, (20,)))
    >>> models = bagging(lambda: torch.nn.Linear(2, 2), data, lambda model, train: None, count=3, seed=0)
    >>> models(torch.zeros(5, 2)).shape, models.out_of_bag(data).shape
    (torch.Size([5, 2]), torch.Size([20, 2]))
    """
    random = random_state(seed)
    models, samples = [], []
    for _ in range(count):
        places = random.randint(0, len(dataset), len(dataset))
        model = make_model()
        fit(model, Subset(dataset, places.tolist()))
        models.append(model)
        samples.append(places)
    return Bagging(models, samples, method).eval()


class Snapshots:
    """Several models from one training: the learning rate falls to 0 in each cycle, and the model there is kept.

    Args:
        model: the model.
        optimizer: its optimizer; the learning rates that it has are those that each cycle begins with.
        steps: how many steps the training takes.
        cycles: how many models are kept.

    Call `step` after each step of the optimizer.
    Huang et al., "Snapshot Ensembles: Train 1, Get M for Free" (2017).

    >>> from rushlight.validation import Snapshots
    >>> net = torch.nn.Linear(2, 2)
    >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    >>> snapshots = Snapshots(net, optimizer, steps=6, cycles=2)
    >>> for _ in range(6):
    ...     optimizer.step()
    ...     snapshots.step()
    >>> len(snapshots.models), snapshots.ensemble()(torch.zeros(1, 2)).shape
    (2, torch.Size([1, 2]))
    """

    def __init__(self, model: Module, optimizer, steps: int, cycles: int = 5):
        if not 0 < cycles <= steps:
            raise ValueError(f"Snapshots: {cycles} cycles do not fit into {steps} steps")
        self.model, self.optimizer = model, optimizer
        self.length = -(-steps // cycles)
        self.steps, self.done = steps, 0
        self.rates = [group["lr"] for group in optimizer.param_groups]
        self.models: list[Module] = []

    def step(self) -> None:
        """Set the learning rate of the next step; keep the model at the end of a cycle."""
        self.done += 1
        place = self.done % self.length
        if place == 0 or self.done == self.steps:
            self.models.append(copy.deepcopy(self.model))
        factor = (1 + math.cos(math.pi * place / self.length)) / 2
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def ensemble(self, last: int | None = None, method: str = "soft") -> Voting:
        """The last so many models (all by default), which vote, in eval mode."""
        return Voting(self.models[-last:] if last else self.models, method).eval()
