"""Averaging the weights of the last epochs (Izmailov et al., 2018)."""

import copy

import rushlight as torch
from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_info
from rushlight.lightning.utilities.types import LRSchedulerConfig
from rushlight.nn.modules.batchnorm import _BatchNorm
from rushlight.optim.swa_utils import SWALR


class StochasticWeightAveraging(Callback):
    """Average the weights over the last epochs, at a constant learning rate; in the end the model has the average.

    Args:
        swa_lrs: the learning rate, or one for each parameter group.
        swa_epoch_start: the first epoch, from 1, or the share of epochs before it.
        annealing_epochs: epochs from the present learning rate to that one.
        annealing_strategy: "cos" or "linear".
        avg_fn: (average, weight, number averaged) -> new average; the mean by default.
        device: accepted.
    Raises:
        MisconfigurationException: arguments of the wrong kind.

    Afterwards statistics of batch normalization are measured again on a pass through the training data.
    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018.
    """

    def __init__(
        self, swa_lrs, swa_epoch_start=0.8, annealing_epochs: int = 10, annealing_strategy: str = "cos", avg_fn=None,
        device="cpu",
    ):  # fmt: skip
        whole = isinstance(swa_epoch_start, int) and swa_epoch_start >= 1
        if not whole and not (isinstance(swa_epoch_start, float) and 0 <= swa_epoch_start <= 1):
            raise MisconfigurationException(
                "swa_epoch_start should be a >0 integer or a float between 0 and 1."
            )
        rates = swa_lrs if isinstance(swa_lrs, list) else [swa_lrs]
        if not rates or not all(isinstance(rate, float) and rate > 0 for rate in rates):
            raise MisconfigurationException(
                "The `swa_lrs` should a positive float, or a list of positive floats"
            )
        if avg_fn is not None and not callable(avg_fn):
            raise MisconfigurationException("The `avg_fn` should be callable.")
        self._swa_lrs, self._start = swa_lrs, swa_epoch_start
        self._annealing_epochs, self._annealing_strategy = annealing_epochs, annealing_strategy
        self._avg_fn = avg_fn or self.avg_fn
        self.n_averaged = 0
        self._average: dict | None = None

    @staticmethod
    def avg_fn(averaged_model_parameter, model_parameter, num_averaged: int):
        """The mean of `num_averaged` weights and one more."""
        return averaged_model_parameter + (model_parameter - averaged_model_parameter) / (num_averaged + 1)

    def setup(self, trainer, pl_module, stage: str) -> None:
        """Find the first epoch."""
        if stage == "fit":
            if len(getattr(trainer, "optimizers", [])) > 1:
                raise MisconfigurationException("SWA currently works with 1 `optimizer`.")
            if isinstance(self._start, float):
                if trainer.max_epochs in (None, -1):
                    raise MisconfigurationException("swa_epoch_start as a share needs `max_epochs`")
                self._start = int(trainer.max_epochs * self._start)

    @property
    def swa_start(self) -> int:
        """The first epoch of averaging, from 0."""
        return max(self._start - 1, 0)

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        """Begin to average, or take another sample."""
        if trainer.current_epoch == self.swa_start or (
            trainer.current_epoch > self.swa_start and self._average is None
        ):
            self._begin(trainer, pl_module)
        if trainer.current_epoch >= self.swa_start:
            self._update(pl_module)

    def _begin(self, trainer, module) -> None:
        if self._average is None:
            self._average = {name: p.detach().clone() for name, p in module.named_parameters()}
        optimizer = trainer.optimizers[0]
        rates = (
            self._swa_lrs
            if isinstance(self._swa_lrs, list)
            else [self._swa_lrs] * len(optimizer.param_groups)
        )
        for group, rate in zip(optimizer.param_groups, rates, strict=False):
            group["initial_lr"] = rate
        scheduler = SWALR(optimizer, rates, self._annealing_epochs, self._annealing_strategy)
        if trainer.lr_scheduler_configs:
            kind = type(trainer.lr_scheduler_configs[0].scheduler).__name__
            rank_zero_info(f"Swapping scheduler `{kind}` for `SWALR`")
        trainer.lr_scheduler_configs[:] = [LRSchedulerConfig(scheduler)]

    def _update(self, module) -> None:
        with torch.no_grad():
            for name, p in module.named_parameters():
                new = p if self.n_averaged == 0 else self._avg_fn(self._average[name], p, self.n_averaged)
                self._average[name].copy_(new)
        self.n_averaged += 1

    def on_train_end(self, trainer, pl_module) -> None:
        """The model takes the average over."""
        if self._average is None:
            return
        with torch.no_grad():
            for name, p in pl_module.named_parameters():
                p.copy_(self._average[name])
        if any(isinstance(m, _BatchNorm) for m in pl_module.modules()):
            self._measure(trainer, pl_module)

    def _measure(self, trainer, module) -> None:
        """Statistics of batch normalization for the averaged weights: a pass through the training data."""
        norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
        momenta = [m.momentum for m in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all batches
        module.train()
        with torch.no_grad():
            for index, (batch, _, _) in enumerate(trainer.fit_loop.loader):
                if index >= trainer.fit_loop.max_batches:
                    break
                trainer._results.fx = "training_step"
                trainer._steps["training_step", 2](trainer.transfer(batch, 0), index)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def state_dict(self) -> dict:
        """The average so far."""
        return {"n_averaged": self.n_averaged, "average_model_state": copy.copy(self._average)}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take it back."""
        self.n_averaged, self._average = state_dict["n_averaged"], state_dict["average_model_state"]

    def on_fit_start(self, trainer, pl_module) -> None:
        """Go on averaging, in a run that goes on from within."""
        if self._average is not None and self.n_averaged:
            self._begin(trainer, pl_module)
