"""What `self.log` collects: the values of the last step, and sums over the epoch."""

import numbers

import numpy as np

import rushlight as torch
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.memory import extract_batch_size

# Hook -> (on_step, on_epoch) by default, and whether each may be chosen.
_STEP, _EPOCH, _EPOCH_ONLY = (True, False, True), (False, True, True), (False, True, False)
_LEVELS = {
    **dict.fromkeys(
        (
            "training_step", "training_step_end", "on_train_batch_start", "on_train_batch_end", "on_before_backward",
            "on_after_backward", "on_before_optimizer_step", "on_before_zero_grad", "optimizer_step",
            "optimizer_zero_grad", "backward", "configure_gradient_clipping", "lr_scheduler_step", "on_batch_start",
            "on_batch_end",
        ),
        _STEP,
    ),
    **dict.fromkeys(
        (
            "validation_step", "validation_step_end", "test_step", "test_step_end", "on_validation_batch_start",
            "on_validation_batch_end", "on_test_batch_start", "on_test_batch_end",
        ),
        _EPOCH,
    ),
    **dict.fromkeys(
        (
            "on_train_start", "on_train_epoch_start", "on_train_epoch_end", "training_epoch_end",
            "on_validation_start", "on_validation_epoch_start", "on_validation_epoch_end", "validation_epoch_end",
            "validation_end", "on_test_start", "on_test_epoch_start", "on_test_epoch_end", "test_epoch_end", "test_end",
            "on_epoch_start", "on_epoch_end",
        ),
        _EPOCH_ONLY,
    ),
}  # fmt: skip
_REDUCTIONS = ("mean", "sum", "min", "max")


class Entry:
    """One name that is logged from one hook: its options, its last value and what the epoch has summed up."""

    __slots__ = ("asked", "count", "last", "loader", "metric", "options", "total", "touched")

    def __init__(self, options: tuple):
        self.asked: tuple | None = None  # how the last call asked for these options
        self.options = options  # (name, loader, prog_bar, logger, on_step, on_epoch, reduction, suffixed)
        self.metric = self.loader = None  # the loader that it was last logged for
        self.reset()

    def reset(self) -> None:
        """Forget the values."""
        self.total = {"min": np.float32("inf"), "max": np.float32("-inf")}.get(self.options[6], np.float32(0))
        self.count, self.last, self.touched = 0, None, False

    def update(self, value, batch_size: int) -> None:
        """Take a value; sums are in float32, or float64 for such values, in the order of the steps."""
        _, _, _, _, on_step, on_epoch, reduction, _ = self.options
        self.touched = True
        if on_step:
            self.last = value
        if not on_epoch:
            return
        if reduction == "mean":
            self.total = self.total + value * batch_size
            self.count += batch_size
        elif reduction == "sum":
            self.total = self.total + value
        else:
            self.total = (np.minimum if reduction == "min" else np.maximum)(self.total, value)

    def value(self, on_step: bool):
        """The last value, or that of the epoch; None where it isn't logged so."""
        if on_step:
            if self.metric is not None and self.options[4]:
                value = getattr(self.metric, "_forward_cache", None)
                return None if value is None else _number(self.options[0], value)
            return _number(self.options[0], self.last) if isinstance(self.last, torch.Tensor) else self.last
        if not self.options[5]:
            return None
        if self.metric is not None:
            return _number(self.options[0], self.metric.compute())
        if self.options[6] != "mean":
            return self.total
        with np.errstate(invalid="ignore"):
            return self.total / type(self.total)(self.count)

    def key(self, on_step: bool) -> tuple[str, str]:
        """Its name, and that with "_step" or "_epoch" where it is logged both ways."""
        name, loader, _, _, step, epoch, _, suffixed = self.options
        suffix = f"/dataloader_idx_{loader}" if suffixed and loader is not None else ""
        forked = name + ("_step" if on_step else "_epoch") if step and epoch else name
        return name + suffix, forked + suffix


def _number(name: str, value):
    """A logged value as a NumPy float: float64 tensors stay so, all else becomes float32."""
    if isinstance(value, torch.Tensor):
        try:
            number = value.item()
        except RuntimeError:
            raise ValueError(
                f"`self.log({name}, {value})` was called, but the tensor must have a single element. You can try doing "
                f"`self.log({name}, {value}.mean())`"
            ) from None
        return (np.float64 if value.dtype is torch.float64 else np.float32)(number)
    if isinstance(value, numbers.Number | np.generic):
        return np.float32(value)
    if isinstance(value, np.ndarray) and value.size == 1:
        return _number(name, value.reshape(())[()])
    raise ValueError(
        f"`self.log({name}, {value})` was called, but `{type(value).__name__}` values cannot be logged"
    )


class Results:
    """Everything logged in one loop.

    Attributes:
        fx: the hook that runs.
        batch: the batch that runs, from which its size is read when it is needed.
        loader: number of the loader, where there are several.
        in_batches: whether values are those of steps, or of the epoch.
    """

    def __init__(self, trainer, training: bool):
        self.trainer, self.training = trainer, training
        self.entries: dict[tuple, Entry] = {}
        self.steps: dict[tuple, Entry] = {}  # those logged per step only, by hook and name
        self.fx: str | None = None
        self.batch = None
        self.batch_size: int | None = None
        self.loader: int | None = None
        self.in_batches = False

    def start_batch(self, batch, loader: int | None = None) -> None:
        """A batch begins."""
        self.batch, self.batch_size, self.loader, self.in_batches = batch, None, loader, True

    def log(self, name, value, prog_bar, logger, on_step, on_epoch, reduce_fx, suffixed, batch_size) -> None:
        """Take a value; the arguments are those of `LightningModule.log`."""
        key = (self.fx, name, self.loader if suffixed else None)
        entry = self.entries.get(key)
        asked = (prog_bar, logger, on_step, on_epoch, reduce_fx)
        if entry is None or entry.asked != asked:
            entry = self._entry(key, *asked, suffixed)
            entry.asked = asked
            if entry.options[4:6] == (True, False) and self.loader is None:
                self.steps[key[:2]] = entry
        entry.loader = self.loader
        if type(value) is not torch.Tensor and hasattr(value, "compute") and hasattr(value, "reset"):
            if entry.metric is not value:
                self._check_metric(name, value)
            entry.metric, entry.touched = value, True
            return
        if batch_size is None and entry.options[5] and entry.options[6] == "mean":
            batch_size = self._size()
        entry.update(_number(name, value), batch_size or 1)

    def _size(self) -> int:
        if self.batch_size is None:
            self.batch_size = 1 if self.batch is None else extract_batch_size(self.batch)
        return self.batch_size

    def _check_metric(self, name: str, metric) -> None:
        """Only what is part of the model gets into checkpoints."""
        known = self.trainer.lightning_module.modules()
        if isinstance(metric, torch.nn.Module) and all(metric is not module for module in known):
            raise MisconfigurationException(
                f"`self.log({name!r}, ...)`: could not find the metric among the model's modules. Make it an attribute of "
                "the LightningModule"
            )

    def _entry(self, key, prog_bar, logger, on_step, on_epoch, reduce_fx, suffixed) -> Entry:
        """The entry for these arguments, made on the first call; checks them."""
        fx, name, loader = key
        levels = _LEVELS.get(fx)
        if levels is None:
            where = f"inside `{fx}`" if fx else "here: it is not managed by the `Trainer` control flow"
            raise MisconfigurationException(
                f"You can't `self.log()` {where}. HINT: log in a step or an epoch-end hook"
            )
        step, epoch, choice = levels
        if on_step and not choice:
            raise MisconfigurationException(
                f"You can't `self.log({name!r}, on_step=True)` inside `{fx}`, must be one of (False, None)."
            )
        on_step = step if on_step is None else on_step
        on_epoch = epoch if on_epoch is None else on_epoch
        if not on_step and not on_epoch:
            raise MisconfigurationException("`self.log(on_step=False, on_epoch=False)` is not useful.")
        if suffixed and "/dataloader_idx_" in name:
            raise MisconfigurationException(
                f"You called `self.log` with the key `{name}` but it should not contain information about "
                "`dataloader_idx` when `add_dataloader_idx=True`"
            )
        reduction = reduce_fx if isinstance(reduce_fx, str) else getattr(reduce_fx, "__name__", "")
        reduction = {"avg": "mean", "amin": "min", "amax": "max"}.get(reduction.lower(), reduction.lower())
        if reduction not in _REDUCTIONS:
            raise MisconfigurationException(
                "Only `self.log(..., reduce_fx={min,max,mean,sum})` are supported. If you need a custom reduction, "
                f"please log a metric with `compute` and `reset` instead. Found: {reduce_fx}"
            )
        options = (name, loader, prog_bar, logger, on_step, on_epoch, reduction, suffixed)
        entry = self.entries.setdefault(key, Entry(options))
        if entry.options != options:
            raise MisconfigurationException(
                f"You called `self.log({name}, ...)` twice in `{fx}` with different arguments. This is not allowed"
            )
        return entry

    def values(self, on_step: bool):
        """The entries that have a value now, each with that value: a NumPy float."""
        for entry in self.entries.values():
            if entry.touched and entry.loader == self.loader:
                value = entry.value(on_step)
                if value is not None:
                    yield entry, value

    def metrics(self, on_step: bool) -> tuple[dict, dict, dict]:
        """What callbacks, loggers and the progress bar get to see now."""
        callback, log, bar = {}, {}, {}
        for entry, value in self.values(on_step):
            name, forked = entry.key(on_step)
            if entry.options[3]:
                log[forked] = value
            if self.training or (entry.options[5] and not on_step):
                callback[name] = callback[forked] = value
            if entry.options[2]:
                bar[forked] = value
        return callback, log, bar

    def reset(self) -> None:
        """A new epoch begins."""
        for entry in self.entries.values():
            if entry.metric is not None:
                entry.metric.reset()
            entry.reset()
        self.in_batches, self.batch, self.loader = False, None, None

    def state_dict(self) -> dict:
        """What an epoch that isn't over has collected."""
        names = {id(part): name for name, part in self.trainer.lightning_module.named_modules()}
        entries = [
            {"fx": key[0], "options": list(e.options), "count": e.count, "touched": e.touched, "total": _saved(e.total),
             "last": _saved(e.value(True)), "metric": names.get(id(e.metric))}
            for key, e in self.entries.items()
        ]  # fmt: skip
        return {"entries": entries, "in_batches": self.in_batches}

    def load_state_dict(self, state: dict) -> None:
        """Take back what `state_dict` gave."""
        self.entries, self.steps = {}, {}
        parts = dict(self.trainer.lightning_module.named_modules())
        for item in state["entries"]:
            options = tuple(item["options"])
            entry = self.entries[(item["fx"], options[0], options[1])] = Entry(options)
            entry.count, entry.touched = item["count"], item["touched"]
            entry.total, entry.last = _loaded(item["total"]), _loaded(item["last"])
            entry.metric = parts.get(item.get("metric"))
            if entry.metric is not None:  # its sums are restored with the model; this is its last batch
                entry.metric._forward_cache = item["last"]
        self.in_batches = state["in_batches"]


def _saved(value):
    """A NumPy float as a tensor, which keeps its bits and its type."""
    return None if value is None else torch.tensor(value)


def _loaded(value):
    return None if value is None else value.numpy()[()]


class MetricConnector:
    """Hands the logged values on: to callbacks, the progress bar and the loggers.

    Args:
        trainer: the trainer.
    """

    def __init__(self, trainer):
        self.trainer = trainer
        self.callback: dict = {}
        self.logged: dict = {}
        self.bar: dict = {}

    def clear(self) -> None:
        """Forget all values."""
        self.callback, self.logged, self.bar = {}, {}, {}

    def collect(self) -> dict:
        """Take over what the loop has logged; returns what loggers get."""
        results = self.trainer._results
        if results is None:
            return {}
        callback, log, bar = results.metrics(results.in_batches)
        self.callback.update({name: torch.tensor(value) for name, value in callback.items()})
        self.logged.update({name: torch.tensor(value) for name, value in log.items()})
        self.bar.update({name: float(value) for name, value in bar.items()})
        return log

    def send_steps(self, step: int | None = None) -> None:
        """Give the values of this step to the loggers; `collect` takes them over when somebody asks, or at the end."""
        if self.trainer.loggers:
            values = self.trainer._results.values(on_step=True)
            self.send({entry.key(True)[1]: value for entry, value in values if entry.options[3]}, step)

    def send(self, metrics: dict, step: int | None = None) -> None:
        """Give collected values to the loggers, with the epoch and the number of the step unless `step` is given."""
        trainer = self.trainer
        if not trainer.loggers or not metrics:
            return
        scalars = {name: float(value) for name, value in metrics.items()}
        if step is None:
            step = scalars.pop("step", None)
            if step is None:
                scalars.setdefault("epoch", trainer.current_epoch)
                step = trainer.fit_loop.batches_that_stepped
        for logger in trainer.loggers:
            logger.log_metrics(metrics=scalars, step=int(step))
            logger.save()

    def state_dict(self) -> dict:
        """The values."""
        return {"callback": dict(self.callback), "logged": dict(self.logged), "bar": dict(self.bar)}

    def load_state_dict(self, state: dict) -> None:
        """Take back what `state_dict` gave."""
        self.callback, self.logged, self.bar = (
            dict(state["callback"]),
            dict(state["logged"]),
            dict(state["bar"]),
        )
