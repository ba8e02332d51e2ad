"""The learning-rate range test (Smith, 2017): train a copy while the rate grows, and look where the loss falls."""

import numpy as np

from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.tuner.trial import copied, short_trainer, untouched
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.parsing import lightning_hasattr, lightning_setattr
from rushlight.lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn

_SMOOTHING = 0.98


class LRFinder:
    """What a learning-rate test found.

    Attributes:
        results: {"lr": rates, "loss": smoothed losses}.
        mode, lr_min, lr_max, num_training: how it was made.
    """

    def __init__(self, mode: str, lr_min: float, lr_max: float, num_training: int):
        self.mode, self.lr_min, self.lr_max, self.num_training = mode, lr_min, lr_max, num_training
        self.results: dict[str, list[float]] = {"lr": [], "loss": []}

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        share = (step + 1) / self.num_training if step else 0.0
        if self.mode == "exponential":
            return self.lr_min * (self.lr_max / self.lr_min) ** share
        return self.lr_min + share * (self.lr_max - self.lr_min)

    def suggestion(self, skip_begin: int = 10, skip_end: int = 1) -> float | None:
        """The rate at which the loss falls most steeply.

        Args:
            skip_begin, skip_end: how many steps to leave out at the ends.
        Returns:
            The rate; None where there are too few steps.
        """
        return self.suggestions(skip_begin, skip_end)["steepest"]

    def suggestions(self, skip_begin: int = 10, skip_end: int = 1) -> dict[str, float | None]:
        """Three rates: "steepest", where the loss falls most steeply; "valley", two thirds down its longest fall
        (fastai); "minimum/10", a tenth of that with the least loss.

        Args:
            skip_begin, skip_end: how many steps to leave out at the ends.
        """
        rates, losses = np.array(self.results["lr"]), np.array(self.results["loss"])
        stop = len(losses) - skip_end
        finite = np.isfinite(losses)
        rates, losses = (
            rates[skip_begin:stop][finite[skip_begin:stop]],
            losses[skip_begin:stop][finite[skip_begin:stop]],
        )
        if len(losses) < 2:
            rank_zero_warn(
                "Failed to compute suggestion for learning rate because there are not enough points. Increase the loop "
                "iteration limits or the size of your dataset/dataloader."
            )
            return dict.fromkeys(("steepest", "valley", "minimum/10"))
        return {
            "steepest": float(rates[np.gradient(losses).argmin()]),
            "valley": float(rates[_valley(losses)]),
            "minimum/10": float(rates[losses.argmin()] / 10),
        }

    def plot(self, suggest: bool = False, show: bool = False, ax=None):
        """Draw the loss over the rate.

        Args:
            suggest: mark the three suggestions.
            show: show it.
            ax: matplotlib axes to draw on.
        Returns:
            A matplotlib figure; None if `ax` is given.
        Raises:
            ImportError: matplotlib is not installed.
        """
        try:
            from matplotlib import pyplot
        except ImportError:
            raise ImportError("LRFinder.plot needs matplotlib: pip install matplotlib") from None
        figure = None
        if ax is None:
            figure, ax = pyplot.subplots()
        ax.plot(self.results["lr"], self.results["loss"])
        if self.mode == "exponential":
            ax.set_xscale("log")
        ax.set_xlabel("Learning rate")
        ax.set_ylabel("Loss")
        if suggest:
            for name, rate in self.suggestions().items():
                if rate is not None:
                    at = int(np.abs(np.array(self.results["lr"]) - rate).argmin())
                    ax.plot(
                        rate, self.results["loss"][at], marker="o", linestyle="", label=f"{name}: {rate:.2e}"
                    )
            ax.legend()
        if show:
            pyplot.show()
        return figure


def _valley(losses: np.ndarray) -> int:
    """Two thirds down the longest stretch over which the losses, picked in order, fall."""
    longest = np.ones(len(losses), int)
    for i in range(1, len(losses)):
        falling = longest[:i][losses[:i] > losses[i]]
        longest[i] = 1 + (falling.max() if falling.size else 0)
    end = int(longest.argmax())
    section = (longest[end] - 1) / 3
    start = end - int(longest[end]) + 1
    return int(np.clip(start + int(section) + int(section / 2), 0, len(losses) - 1))


class _Recorder(Callback):
    """Sets the rate before each step and keeps the smoothed loss after it."""

    def __init__(self, finder: LRFinder, threshold: float | None):
        self.finder, self.threshold = finder, threshold
        self.average, self.best = 0.0, 0.0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx: int) -> None:
        """Set the rate."""
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.finder.rate(trainer.global_step)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        """Keep the loss; stop when it is far above the best."""
        if trainer.fit_loop.accumulating or "loss" not in outputs:
            return
        step = trainer.global_step
        self.average = _SMOOTHING * self.average + (1 - _SMOOTHING) * outputs["loss"].item()
        loss = self.average / (1 - _SMOOTHING ** (step + 1))
        if self.threshold is not None and step > 1 and loss > self.threshold * self.best:
            trainer.should_stop = True
        if step == 1 or loss < self.best:
            self.best = loss
        self.finder.results["lr"].append(self.finder.rate(step - 1))
        self.finder.results["loss"].append(loss)


def lr_find(
    trainer, model, given: dict, datamodule=None, min_lr: float = 1e-8, max_lr: float = 1, num_training: int = 100,
    mode: str = "exponential", early_stop_threshold: float | None = 4.0,
) -> LRFinder:  # fmt: skip
    """Run the test on a copy; arguments and result as for `Tuner.lr_find`.

    Raises:
        ValueError: an unknown mode. MisconfigurationException: several optimizers.
    """
    if mode not in ("exponential", "linear"):
        raise ValueError(f"`lr_find` should be either 'exponential' or 'linear', got {mode!r}")
    finder = LRFinder(mode, min_lr, max_lr, num_training)
    short = short_trainer(trainer, num_training, [_Recorder(finder, early_stop_threshold)])
    with untouched(given) as loaders:
        twin = copied(model)
        wrapped = _without_schedulers(twin)
        short.fit(wrapped, loaders.get("train"), datamodule=copied(datamodule))
    return finder


def _without_schedulers(model):
    """Have the copy's own schedulers leave the rate alone."""
    configure = model.configure_optimizers

    def configure_optimizers():
        from rushlight.lightning.core.optimizer import understand

        optimizers, _ = understand(configure(), model.automatic_optimization)
        if len(optimizers) != 1:
            raise MisconfigurationException(f"`model.configure_optimizers()` returned {len(optimizers)} optimizers, but "
                                            "learning rate finder only works with single optimizer")  # fmt: skip
        return optimizers

    object.__setattr__(model, "configure_optimizers", configure_optimizers)
    return model


def attribute_name(model, attr_name: str = "") -> str:
    """The attribute that holds the learning rate.

    Raises:
        AttributeError, MisconfigurationException: there is none.
    """
    if attr_name:
        if not lightning_hasattr(model, attr_name):
            raise AttributeError(f"The attribute name for the learning rate was set to {attr_name}, but could not find this as "
                                 "a field in `model` or `model.hparams`.")  # fmt: skip
        return attr_name
    for name in ("lr", "learning_rate"):
        if lightning_hasattr(model, name):
            return name
    raise AttributeError(
        "When using the learning rate finder, either `model` or `model.hparams` should have one of these fields: ('lr', "
        "'learning_rate'). If your model has a different name for the learning rate, set it with the `attr_name` argument."
    )


def apply_suggestion(model, finder: LRFinder, attr_name: str = "") -> float | None:
    """Set the model's learning rate to the steepest point; returns it."""
    name = attribute_name(model, attr_name)
    rate = finder.suggestion()
    if rate is not None:
        lightning_setattr(model, name, rate)
        rank_zero_info(f"Learning rate set to {rate}")
    return rate


_LRFinder = LRFinder
