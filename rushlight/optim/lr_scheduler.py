"""Learning-rate schedules: PyTorch's, step for step, in the recursive forms that follow changes made by
hand."""

import math
import types
from bisect import bisect_right
from collections import Counter

from rushlight.optim._cycles import CyclicLR, OneCycleLR
from rushlight.optim._scheduler import LRScheduler, check_optimizer, set_value, values
from rushlight.optim._scheduler import _enable_get_lr_call as _enable_get_lr_call
from rushlight.optim._scheduler import _warn_get_lr_called_within_step as _warn_get_lr_called_within_step
from rushlight.optim._schedules import ChainedScheduler, ReduceLROnPlateau, SequentialLR
from rushlight.optim.optimizer import Optimizer

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR",
    "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip


class _LambdaScheduler(LRScheduler):
    """What the schedules made of the user's functions share; the functions themselves are not saved."""

    def __init__(self, optimizer: Optimizer, lr_lambda, last_epoch: int = -1):
        groups = len(check_optimizer(optimizer).param_groups)
        functions = list(lr_lambda) if isinstance(lr_lambda, list | tuple) else [lr_lambda] * groups
        if len(functions) != groups:
            raise ValueError(f"Expected {groups} lr_lambdas, but got {len(functions)}")
        for function in functions:
            if not callable(function):
                raise TypeError(f"lr_lambda should be a function, but got {type(function).__name__}")
        self.lr_lambdas = functions
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict:
        """Everything but the optimizer; of the functions, the attributes of callable objects."""
        state = super().state_dict()
        state["lr_lambdas"] = [
            None if isinstance(f, types.FunctionType) else f.__dict__.copy() for f in self.lr_lambdas
        ]
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over what `state_dict` gave; the functions stay this object's own."""
        state = dict(state_dict)
        for function, saved in zip(self.lr_lambdas, state.pop("lr_lambdas"), strict=True):
            if saved is not None:
                function.__dict__.update(saved)
        self.__dict__.update(state)


class LambdaLR(_LambdaScheduler):
    """The initial learning rate times `lr_lambda(epoch)`.

    Args:
        optimizer: whose learning rates to set.
        lr_lambda: a function of the epoch, or a list with one for each group.
        last_epoch: the number of the last epoch done.
    """

    def get_lr(self) -> list:
        """The next learning rates."""
        self._present()
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(_LambdaScheduler):
    """The present learning rate times `lr_lambda(epoch)`.

    Args:
        optimizer: whose learning rates to set.
        lr_lambda: a function of the epoch, or a list with one for each group.
        last_epoch: the number of the last epoch done.
    """

    def get_lr(self) -> list:
        """The next learning rates."""
        present = self._present()
        if self._is_initial:
            return present
        return [lr * f(self.last_epoch) for lr, f in zip(present, self.lr_lambdas, strict=True)]


class StepLR(LRScheduler):
    """Times `gamma` every `step_size` epochs.

    Args:
        optimizer: whose learning rates to set.
        step_size: epochs between two changes.
        gamma: the factor.
        last_epoch: the number of the last epoch done.

    >>> import rushlight as torch
    >>> opt = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    >>> sched = torch.optim.lr_scheduler.StepLR(opt, step_size=1, gamma=0.5)
    >>> opt.step(); sched.step()
    >>> sched.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """The next learning rates."""
        present = self._present()
        if self.last_epoch == 0 or self.last_epoch % self.step_size != 0:
            return present
        return [lr * self.gamma for lr in present]

    def _get_closed_form_lr(self) -> list:
        return [base * self.gamma ** (self.last_epoch // self.step_size) for base in self.base_lrs]


class MultiStepLR(LRScheduler):
    """Times `gamma` at each of some epochs.

    Args:
        optimizer: whose learning rates to set.
        milestones: the epochs.
        gamma: the factor.
        last_epoch: the number of the last epoch done.
    """

    def __init__(self, optimizer: Optimizer, milestones, gamma: float = 0.1, last_epoch: int = -1):
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """The next learning rates."""
        present = self._present()
        if self.last_epoch not in self.milestones:
            return present
        return [lr * self.gamma ** self.milestones[self.last_epoch] for lr in present]

    def _get_closed_form_lr(self) -> list:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [base * self.gamma**passed for base in self.base_lrs]


class ConstantLR(LRScheduler):
    """Times `factor` until epoch `total_iters`, then the full rate.

    Args:
        optimizer: whose learning rates to set.
        factor: between 0 and 1.
        total_iters: when the factor ends.
        last_epoch: the number of the last epoch done.
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ):
        if factor > 1.0 or factor < 0:
            raise ValueError(f"Constant multiplicative factor expected to be between 0 and 1, got {factor}.")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """The next learning rates."""
        present = self._present()
        if self.last_epoch == 0:
            return [lr * self.factor for lr in present]
        if self.last_epoch != self.total_iters:
            return present
        return [lr * (1.0 / self.factor) for lr in present]

    def _get_closed_form_lr(self) -> list:
        factor = self.factor + (self.last_epoch >= self.total_iters) * (1 - self.factor)
        return [base * factor for base in self.base_lrs]


class LinearLR(LRScheduler):
    """Times a factor that goes from `start_factor` to `end_factor` in `total_iters` equal steps.

    Args:
        optimizer: whose learning rates to set.
        start_factor, end_factor: the factor at the beginning and at the end.
        total_iters: epochs between them.
        last_epoch: the number of the last epoch done.
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0,
        total_iters: int = 5, last_epoch: int = -1,
    ):  # fmt: skip
        if start_factor > 1.0 or start_factor <= 0:
            raise ValueError(
                "Starting multiplicative factor expected to be greater than 0 and less or equal to 1, got "
                f"{start_factor}."
            )
        if end_factor > 1.0 or end_factor < 0:
            raise ValueError(
                f"Ending multiplicative factor expected to be between 0 and 1, got {end_factor}."
            )
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """The next learning rates."""
        present = self._present()
        if self.last_epoch == 0:
            return [lr * self.start_factor for lr in present]
        if self._is_initial or self.last_epoch > self.total_iters:
            return present
        rise = self.end_factor - self.start_factor
        factor = 1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)
        return [lr * factor for lr in present]

    def _get_closed_form_lr(self) -> list:
        rise = (
            (self.end_factor - self.start_factor) * min(self.total_iters, self.last_epoch) / self.total_iters
        )
        return [base * (self.start_factor + rise) for base in self.base_lrs]


class ExponentialLR(LRScheduler):
    """Times `gamma` every epoch.

    Args:
        optimizer: whose learning rates to set.
        gamma: the factor.
        last_epoch: the number of the last epoch done.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """The next learning rates."""
        present = self._present()
        return present if self._is_initial else [lr * self.gamma for lr in present]

    def _get_closed_form_lr(self) -> list:
        return [base * self.gamma**self.last_epoch for base in self.base_lrs]


class PolynomialLR(LRScheduler):
    """Down to 0 in `total_iters` epochs along a power of what is left of them.

    Args:
        optimizer: whose learning rates to set.
        total_iters: epochs until 0.
        power: 1 for a straight line.
        last_epoch: the number of the last epoch done.
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """The next learning rates."""
        present = self._present()
        if self._is_initial or self.last_epoch > self.total_iters:
            return present
        left = (1.0 - self.last_epoch / self.total_iters) / (1.0 - (self.last_epoch - 1) / self.total_iters)
        return [lr * left**self.power for lr in present]

    def _get_closed_form_lr(self) -> list:
        left = 1.0 - min(self.total_iters, self.last_epoch) / self.total_iters
        return [base * left**self.power for base in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """Along a half cosine from the initial rate down to `eta_min` in `T_max` epochs (and up again after
    them).

    Args:
        optimizer: whose learning rates to set.
        T_max: epochs to the bottom.
        eta_min: the lowest rate.
        last_epoch: the number of the last epoch done.

    Source: Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), without
    restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """The next learning rates."""
        present = self._present()
        if self._is_initial:
            return present
        if self._step_count == 1 and self.last_epoch > 0:
            return self._get_closed_form_lr()
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [
                lr + (base - self.eta_min) * rise for lr, base in zip(present, self.base_lrs, strict=True)
            ]
        now, before = (1 + math.cos(math.pi * e / self.T_max) for e in (self.last_epoch, self.last_epoch - 1))
        return [now / before * (lr - self.eta_min) + self.eta_min for lr in present]

    def _get_closed_form_lr(self) -> list:
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half cosines down to `eta_min`, one after another, each `T_mult` times as long as the last.

    Args:
        optimizer: whose learning rates to set.
        T_0: epochs of the first.
        T_mult: an integer, at least 1.
        eta_min: the lowest rate.
        last_epoch: the number of the last epoch done.

    Source: Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017).
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ):
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, float | int):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0 = self.T_i = T_0
        self.T_mult, self.eta_min, self.T_cur = T_mult, eta_min, last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list:
        """The next learning rates."""
        self._present()
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Move on by one epoch, or to `epoch`, which may be a fraction."""
        if epoch is None and self.last_epoch >= 0:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            epoch = 0 if epoch is None else epoch
            if epoch < 0:
                raise ValueError(f"Expected non-negative epoch, but got {epoch}")
            self._go_to(epoch)
        self.last_epoch = math.floor(epoch)
        self._get_lr_called_within_step = True
        rates = self.get_lr()
        self._get_lr_called_within_step = False
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_value(group, "lr", lr)
        self._last_lr = values(self.optimizer)

    def _go_to(self, epoch: float) -> None:
        if epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**n


class _LRScheduler(LRScheduler):
    """The base class under its name in old scripts."""
