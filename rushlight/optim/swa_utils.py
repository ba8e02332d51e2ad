"""Averages of a model's weights over training: stochastic weight averaging and exponential moving averages."""

import itertools
import math
from copy import deepcopy

import numpy as np

from rushlight.autograd.grad_mode import no_grad
from rushlight.nn.batchnorm import _BatchNorm
from rushlight.nn.module import Module
from rushlight.optim._scheduler import LRScheduler, per_group
from rushlight.optim.optimizer import Optimizer
from rushlight.tensor import Tensor, wrap

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
    "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


def get_ema_avg_fn(decay: float = 0.999):
    """The function that gives decay * average + (1 - decay) * value: an exponential moving average.

    Args:
        decay: how much of the average stays at each update, from 0 to 1.
    Returns:
        A function of (average, value, number of values before), for `AveragedModel(avg_fn=...)`.
    Raises:
        ValueError: `decay` is out of range.
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_ema_multi_avg_fn(decay: float = 0.999):
    """As `get_ema_avg_fn`, for lists of tensors, in place: for `AveragedModel(multi_avg_fn=...)`."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param_list, current_param_list, _) -> None:
        for average, value in zip(ema_param_list, current_param_list, strict=True):
            if _can_lerp(average):
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(average * decay + value * (1 - decay))

    return ema_update


def get_swa_avg_fn():
    """The function that gives the mean of all values: for `AveragedModel(avg_fn=...)`.

    Returns:
        A function of (average, value, number of values before).
    """

    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_swa_multi_avg_fn():
    """As `get_swa_avg_fn`, for lists of tensors, in place: for `AveragedModel(multi_avg_fn=...)`."""

    @no_grad()
    def swa_update(averaged_param_list, current_param_list, num_averaged) -> None:
        share = 1.0 / (float(num_averaged) + 1)
        for average, value in zip(averaged_param_list, current_param_list, strict=True):
            if _can_lerp(average):
                average.lerp_(value, share)
            else:
                average.copy_(average + (value - average) * share)

    return swa_update


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _can_lerp(t: Tensor) -> bool:
    return t.is_floating_point() or t.is_complex()


class AveragedModel(Module):
    """A model whose parameters are averages of another's; `update_parameters` adds the other's present ones.

    The model with batch normalisation needs `update_bn` afterwards, or `use_buffers=True`.

    Args:
        model: whose parameters to average; this one starts as a copy.
        device: where to put the copy.
        avg_fn: from (average, value, number of values before) to the new average; the mean of all by default.
        multi_avg_fn: the same for lists, in place.
        use_buffers: average buffers as well, instead of copying them.
    Raises:
        AssertionError: both functions are given.

    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization" (2018).

    >>> import rushlight as torch
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> averaged = torch.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 3.0):
    ...     _ = torch.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.item()
    2.0
    """

    n_averaged: Tensor

    def __init__(self, model: Module, device=None, avg_fn=None, multi_avg_fn=None, use_buffers: bool = False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", wrap(np.zeros((), np.int64)))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        """What the averaged model computes."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Add a model's present parameters to the average; the first ones are copied."""
        averages, values = (
            [
                t.detach()
                for t in (
                    itertools.chain(m.parameters(), m.buffers()) if self.use_buffers else m.parameters()
                )
            ]
            for m in (self.module, model)
        )
        if self.n_averaged == 0:
            for average, value in zip(averages, values, strict=False):
                average.copy_(value)
        elif self.avg_fn is not None:
            for average, value in zip(averages, values, strict=True):
                average.copy_(self.avg_fn(average, value, self.n_averaged))
        else:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            for alike in _by_type(averages, values):
                update(*alike, self.n_averaged)
        if not self.use_buffers:
            for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                mine.detach().copy_(theirs.detach())
        self.n_averaged += 1


def _by_type(averages: list, values: list):
    """Both lists in parts of one dtype."""
    groups: dict = {}
    for average, value in zip(averages, values, strict=True):
        part = groups.setdefault(average.dtype, ([], []))
        part[0].append(average)
        part[1].append(value)
    return groups.values()


@no_grad()
def update_bn(loader, model: Module, device=None) -> None:
    """Compute the running statistics of all batch normalisation layers anew, in one pass over the data.

    Args:
        loader: batches: tensors, or sequences whose first element is the input.
        model: whose layers to update.
        device: where to put the batches.
    """
    momenta = {}
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.momentum = None  # the mean of all batches
    for batch in loader:
        if isinstance(batch, list | tuple):
            batch = batch[0]
        model(batch if device is None else batch.to(device))
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From each group's learning rate to `swa_lr` in `anneal_epochs` epochs, and no further.

    Args:
        optimizer: whose learning rates to set.
        swa_lr: the last rate, or a list with one for each group.
        anneal_epochs: how many epochs it takes.
        anneal_strategy: "cos" or "linear".
        last_epoch: the number of the last epoch done.
    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, optimizer: Optimizer, swa_lr, anneal_epochs: int = 10, anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ):  # fmt: skip
        rates = per_group("swa_lr", optimizer, swa_lr)
        for rate, group in zip(rates, optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, share: float) -> float:
        """How far between the two rates it is after a share of the epochs."""
        return share if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * share)) / 2

    def get_lr(self) -> list:
        """The next learning rates."""
        self._present()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = (
            self.anneal_func(max(0, min(1, t / max(1, self.anneal_epochs)))) for t in (step - 1, step)
        )
        rates = []
        for group in self.optimizer.param_groups:
            last = group["swa_lr"]
            start = last if before == 1 else (group["lr"] - before * last) / (1 - before)
            rates.append(last * now + start * (1 - now))
        return rates
