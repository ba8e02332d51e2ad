"""Saving checkpoints: the best, the last, every so often."""

import copy
import glob
import os
import re
import shutil
import time
from datetime import timedelta

import rushlight as torch
from rushlight.lightning.callbacks.callback import only_if
from rushlight.lightning.callbacks.checkpoint import Checkpoint
from rushlight.lightning.core.saving import remove_leftovers
from rushlight.lightning.utilities.exceptions import MisconfigurationException, SIGTERMException
from rushlight.lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn


class ModelCheckpoint(Checkpoint):
    """Save checkpoints, and remove those that are no longer among the best.

    Args:
        dirpath: the folder; by default "checkpoints" in the folder of the first logger.
        filename: its template, such as "{epoch}-{val_loss:.2f}"; "{epoch}-{step}" by default.
        monitor: the metric that says which are the best; without one, the last is kept.
        verbose: say what is saved.
        save_last: keep a copy of the newest as "last.ckpt"; "link" makes it a link.
        save_top_k: how many of the best to keep; -1 for all, 0 for none.
        save_on_exception: save when the run fails.
        save_weights_only: leave out what a run needs to go on.
        mode: "min" or "max".
        auto_insert_metric_name: write "epoch=2" for "{epoch}", instead of "2".
        every_n_train_steps: save every so many optimizer steps.
        train_time_interval: save every so often.
        every_n_epochs: save every so many epochs.
        save_on_train_epoch_end: save after training epochs; by default after validations, where there is a `monitor` to
            wait for.
        enable_version_counter: give a file whose name is taken another one, instead of replacing it.
    Raises:
        MisconfigurationException: arguments that don't go together.

    Attributes:
        best_model_path, best_model_score: the best checkpoint and its metric.
        last_model_path: the file of `save_last`.
        best_k_models: paths and metrics of those that are kept.
    """

    CHECKPOINT_JOIN_CHAR = "-"
    CHECKPOINT_EQUALS_CHAR = "="
    CHECKPOINT_NAME_LAST = "last"
    FILE_EXTENSION = ".ckpt"
    STARTING_VERSION = 1

    def __init__(
        self, dirpath=None, filename: str | None = None, monitor: str | None = None, verbose: bool = False,
        save_last=None, save_top_k: int = 1, save_on_exception: bool = False, save_weights_only: bool = False,
        mode: str = "min", auto_insert_metric_name: bool = True, every_n_train_steps: int | None = None,
        train_time_interval: timedelta | None = None, every_n_epochs: int | None = None,
        save_on_train_epoch_end: bool | None = None, enable_version_counter: bool = True,
    ):  # fmt: skip
        triggers = (every_n_train_steps, every_n_epochs, train_time_interval)
        _check(mode, monitor, save_top_k, triggers)
        if all(trigger is None for trigger in triggers):
            every_n_epochs = 1
        self.monitor, self.mode, self.verbose = monitor, mode, verbose
        self.save_last, self.save_top_k, self.save_weights_only = save_last, save_top_k, save_weights_only
        self.save_on_exception = save_on_exception
        self.auto_insert_metric_name = auto_insert_metric_name
        self._save_on_train_epoch_end = save_on_train_epoch_end
        self._enable_version_counter = enable_version_counter
        self._every_n_train_steps, self._every_n_epochs = every_n_train_steps or 0, every_n_epochs or 0
        self._train_time_interval = train_time_interval
        self.dirpath = None if dirpath is None else os.path.realpath(os.path.expanduser(os.fspath(dirpath)))
        self.filename = filename
        self.kth_value = torch.tensor(float("inf") if mode == "min" else -float("inf"))
        self.current_score = self.best_model_score = None
        self.best_k_models: dict = {}
        self.kth_best_model_path = self.best_model_path = self.last_model_path = ""
        self._last_step_saved = 0
        self._last_saved = ""
        self._last_time = time.monotonic()
        self._given_dirpath = self.dirpath
        self._resumed_at = 0
        self._replaceable: set[str] = set()  # files that a run which was killed wrote after the checkpoint

    @property
    def state_key(self) -> str:
        """Its name in checkpoints."""
        return self._generate_state_key(
            monitor=self.monitor, mode=self.mode, every_n_train_steps=self._every_n_train_steps,
            every_n_epochs=self._every_n_epochs, train_time_interval=self._train_time_interval,
        )  # fmt: skip

    _by_batches = property(lambda self: self._every_n_train_steps or self._train_time_interval is not None)
    every_n_epochs = property(lambda self: self._every_n_epochs, doc="Saves every so many epochs.")

    # -- when -------------------------------------------------------------------------------------------

    def setup(self, trainer, pl_module, stage: str) -> None:
        """Find the folder."""
        self.dirpath = self._folder(trainer)
        if stage == "fit":
            remove_leftovers(self.dirpath)
            if (
                self.save_top_k != 0
                and not trainer.ckpt_path
                and os.path.isdir(self.dirpath)
                and os.listdir(self.dirpath)
            ):
                rank_zero_warn(f"Checkpoint directory {self.dirpath} exists and is not empty.")

    def on_train_start(self, trainer, pl_module) -> None:
        """The clock starts."""
        self._last_time = time.monotonic()

    @only_if("_by_batches")
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        """Save, where it is time."""
        by_steps = self._every_n_train_steps and trainer.global_step % self._every_n_train_steps == 0
        interval = self._train_time_interval
        by_time = interval is not None and time.monotonic() - self._last_time >= interval.total_seconds()
        if not (by_steps or by_time) or self._skips(trainer):
            return
        self._last_time = time.monotonic()
        candidates = self._candidates(trainer)
        self._save_top_k(trainer, candidates)
        self._save_last(trainer, candidates)

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        """Save, where it is time."""
        if self._after_training(trainer):
            self._epoch_ended(trainer)

    def on_validation_end(self, trainer, pl_module) -> None:
        """Save, where it is time."""
        if not self._after_training(trainer):
            self._epoch_ended(trainer)

    def _epoch_ended(self, trainer) -> None:
        if self._skips(trainer):
            return
        candidates = self._candidates(trainer)
        if self._every_n_epochs and (trainer.current_epoch + 1) % self._every_n_epochs == 0:
            self._save_top_k(trainer, candidates)
            self._save_last(trainer, candidates)

    def on_exception(self, trainer, pl_module, exception: BaseException) -> None:
        """Save, where it was asked for; when somebody stopped the run, always."""
        asked = isinstance(exception, KeyboardInterrupt | SIGTERMException) and trainer.fit_loop.whole
        if (
            trainer.state.fn != "fit"
            or trainer.sanity_checking
            or trainer.fast_dev_run
            or not trainer.global_step
        ):
            return
        if not (asked or self.save_on_exception):
            return
        candidates = self._candidates(trainer)
        if self.save_on_exception:
            self._save(trainer, self.format_checkpoint_name(candidates))
        if asked and self is not trainer.checkpoint_callback:
            return
        before, self.save_last = self.save_last, True
        self._save_last(trainer, candidates)
        self.save_last = before
        rank_zero_info(
            f"{type(exception).__name__}: saved {self.last_model_path}. Go on with `ckpt_path='last'`."
        )

    def _skips(self, trainer) -> bool:
        fitting = trainer.state.fn == "fit" and not trainer.sanity_checking and not trainer.fast_dev_run
        return not fitting or self._last_step_saved == trainer.global_step

    def _after_training(self, trainer) -> bool:
        """Whether it saves at the end of training epochs, and not of validations."""
        if self._save_on_train_epoch_end is not None:
            return self._save_on_train_epoch_end
        if not trainer.enable_validation:
            return True
        return trainer.val_check_interval == 1.0 and trainer.check_val_every_n_epoch == 1

    # -- what -------------------------------------------------------------------------------------------

    def _candidates(self, trainer) -> dict:
        """The metrics that names and decisions are made of."""
        found = {name: copy.copy(value) for name, value in trainer.callback_metrics.items()}
        for name, value in (("epoch", trainer.current_epoch), ("step", trainer.global_step)):
            found[name] = (
                found[name].int() if isinstance(found.get(name), torch.Tensor) else torch.tensor(value)
            )
        return found

    def _save_top_k(self, trainer, candidates: dict) -> None:
        if self.save_top_k == 0:
            return
        if self.monitor is None:
            path = self._free_name(candidates, self.best_model_path)
            previous, self.best_model_path = self.best_model_path, path
            self._save(trainer, path)
            if self.save_top_k == 1:
                self._remove(trainer, previous, path)
            return
        if self.monitor not in candidates:
            message = (
                f"`ModelCheckpoint(monitor={self.monitor!r})` could not find the monitored key in the returned metrics: "
                f"{list(candidates)}. HINT: Did you call `log({self.monitor!r}, value)` in the `LightningModule`?"
            )
            if trainer.fit_loop.val_loop.has_run or not trainer.enable_validation:
                raise MisconfigurationException(message)
            rank_zero_warn(message)
            return
        current = candidates[self.monitor]
        if self.check_monitor_top_k(trainer, current):
            self._save_better(trainer, current, candidates)
        elif self.verbose:
            rank_zero_info(
                f"Epoch {trainer.current_epoch}, global step {trainer.global_step}: {self.monitor!r} was not in top "
                f"{self.save_top_k}"
            )

    def check_monitor_top_k(self, trainer, current=None) -> bool:
        """Whether a value of the metric is among the best so far."""
        if current is None:
            return False
        if self.save_top_k == -1 or len(self.best_k_models) < self.save_top_k:
            return True
        worst = self.best_k_models[self.kth_best_model_path]
        return bool(current < worst if self.mode == "min" else current > worst)

    def _save_better(self, trainer, current, candidates: dict) -> None:
        k = len(self.best_k_models) + 1 if self.save_top_k == -1 else self.save_top_k
        outdated = ""
        if len(self.best_k_models) == k:
            outdated = self.kth_best_model_path
            self.best_k_models.pop(outdated)
        if torch.isnan(current):
            current = torch.tensor(float("inf") if self.mode == "min" else -float("inf"))
        path = self._free_name(candidates, outdated)
        self.current_score = self.best_k_models[path] = current
        best, worst = (min, max) if self.mode == "min" else (max, min)
        if len(self.best_k_models) == k:
            self.kth_best_model_path = worst(self.best_k_models, key=self.best_k_models.get)
            self.kth_value = self.best_k_models[self.kth_best_model_path]
        self.best_model_path = best(self.best_k_models, key=self.best_k_models.get)
        self.best_model_score = self.best_k_models[self.best_model_path]
        if self.verbose:
            rank_zero_info(
                f"Epoch {trainer.current_epoch}, global step {trainer.global_step}: {self.monitor!r} reached "
                f"{current:0.5f} (best {self.best_model_score:0.5f}), saving model to {path!r} as top {k}"
            )
        self._save(trainer, path)
        self._remove(trainer, outdated, path)

    def _save_last(self, trainer, candidates: dict) -> None:
        if not self.save_last:
            return
        path = self._free_name(candidates, self.last_model_path, self.CHECKPOINT_NAME_LAST)
        previous, self.last_model_path = self.last_model_path, path
        if self.save_last == "link" and self._last_saved and self.save_top_k != 0:
            _link(self._last_saved, path)
        else:
            self._save(trainer, path)
        self._remove(trainer, previous, path)

    def _save(self, trainer, path: str) -> None:
        step, self._last_step_saved = self._last_step_saved, trainer.global_step
        try:
            trainer.save_checkpoint(path, self.save_weights_only)
        except BaseException:
            self._last_step_saved = step
            raise
        self._last_saved = path
        for logger in trainer.loggers:
            logger.after_save_checkpoint(self)

    def _remove(self, trainer, previous: str, current: str) -> None:
        """Remove a checkpoint that another one replaces, unless it is not ours or the run went on from it."""
        resumed = trainer.ckpt_path and os.path.abspath(trainer.ckpt_path)
        if not previous or previous == current or os.path.abspath(previous) == resumed:
            return
        inside = os.path.abspath(previous).startswith(os.path.abspath(self.dirpath) + os.sep)
        if inside:
            trainer.checkpoint_io.remove_checkpoint(previous)

    # -- where ------------------------------------------------------------------------------------------

    def _folder(self, trainer) -> str:
        if self._given_dirpath is not None:
            return self._given_dirpath
        if not trainer.loggers:
            return os.path.join(trainer.default_root_dir, "checkpoints")
        logger = trainer.loggers[0]
        version = logger.version if isinstance(logger.version, str) else f"version_{logger.version}"
        return os.path.join(
            logger.save_dir or trainer.default_root_dir, str(logger.name), version, "checkpoints"
        )

    def _find_last_checkpoints(self, trainer) -> list[str]:
        """The files that `ckpt_path="last"` may mean: those in its folder, else in those of earlier versions."""
        folder = self._folder(trainer)
        pattern = f"{self.CHECKPOINT_NAME_LAST}*{self.FILE_EXTENSION}"
        found = glob.glob(os.path.join(glob.escape(folder), pattern))
        if not found and self._given_dirpath is None and trainer.loggers:
            versions = glob.escape(os.path.dirname(os.path.dirname(folder)))
            found = glob.glob(os.path.join(versions, "*", "checkpoints", pattern))
        name = rf"{re.escape(self.CHECKPOINT_NAME_LAST)}(-v\d+|-\d+)?{re.escape(self.FILE_EXTENSION)}"
        return [
            path
            for path in found
            if re.fullmatch(name, os.path.basename(path)) or self.CHECKPOINT_NAME_LAST != "last"
        ]

    def _free_name(self, candidates: dict, own: str, template: str | None = None) -> str:
        """A path that no other file has."""
        path = self.format_checkpoint_name(candidates, template)
        version = self.STARTING_VERSION
        while self._enable_version_counter and path != own and self._taken(path):
            path = self.format_checkpoint_name(candidates, template, ver=version)
            version += 1
        return path

    def _taken(self, path: str) -> bool:
        return os.path.lexists(path) and path not in self._replaceable

    def format_checkpoint_name(
        self, metrics: dict, filename: str | None = None, ver: int | None = None, prefix: str | None = None
    ) -> str:
        """The path of a checkpoint with these metrics.

        Args:
            metrics: values for the template's names; 0 for those that are missing.
            filename: the template, that of the callback by default.
            ver: a version number to add.
            prefix: something to begin with.

        >>> ModelCheckpoint(filename="{epoch}-{val_loss:.2f}").format_checkpoint_name({"epoch": 2, "val_loss": 0.1234})
        'epoch=2-val_loss=0.12.ckpt'
        """
        name = self._filled(filename or self.filename, metrics)
        if prefix is not None:
            name = self.CHECKPOINT_JOIN_CHAR.join((prefix, name))
        if ver is not None:
            name = self.CHECKPOINT_JOIN_CHAR.join((name, f"v{ver}"))
        name += self.FILE_EXTENSION
        return os.path.join(self.dirpath, name) if self.dirpath else name

    def _filled(self, template: str | None, metrics: dict) -> str:
        template = template or "{epoch}" + self.CHECKPOINT_JOIN_CHAR + "{step}"

        def fill(match) -> str:
            name, form = match.group(1), match.group(2) or ""
            value = metrics.get(name, torch.tensor(0))
            value = value.item() if isinstance(value, torch.Tensor) else value
            before = name + self.CHECKPOINT_EQUALS_CHAR if self.auto_insert_metric_name else ""
            return before + format(value, form)

        return re.sub(r"\{([^:}]+)(?::([^}]*))?\}", fill, template)

    def file_exists(self, filepath, trainer) -> bool:
        """Whether there is such a file."""
        return os.path.exists(filepath)

    def to_yaml(self, filepath=None) -> None:
        """Write `best_k_models` to a .yaml file.

        Args:
            filepath: "best_k_models.yaml" in the folder by default.
        """
        filepath = filepath or os.path.join(self.dirpath, "best_k_models.yaml")
        with open(filepath, "w", encoding="utf-8") as file:
            file.writelines(f"{path}: {score.item()}\n" for path, score in self.best_k_models.items())

    # -- its own state ----------------------------------------------------------------------------------

    def state_dict(self) -> dict:
        """Its state."""
        names = (
            "monitor", "best_model_score", "best_model_path", "current_score", "dirpath", "best_k_models",
            "kth_best_model_path", "kth_value", "last_model_path",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names} | {"_last_step_saved": self._last_step_saved}

    def on_load_checkpoint(self, trainer, pl_module, checkpoint: dict) -> None:
        """Note how old the file is: newer ones are those of a run that was killed."""
        self._resumed_at = os.stat(trainer.ckpt_path).st_mtime_ns

    def load_state_dict(self, state_dict: dict) -> None:
        """Take it back; of another folder, only which one was the best."""
        self.best_model_path = state_dict["best_model_path"]
        if state_dict.get("dirpath", self.dirpath) != self.dirpath:
            rank_zero_warn(
                f"The dirpath has changed from {state_dict['dirpath']!r} to {self.dirpath!r}, therefore "
                "`best_model_score`, `kth_best_model_path`, `kth_value`, `last_model_path` and `best_k_models` won't be "
                "reloaded. Only `best_model_path` will be reloaded."
            )
            return
        names = ("best_model_score", "kth_best_model_path", "kth_value", "best_k_models", "last_model_path")
        for name in (*names, "current_score", "_last_step_saved"):
            if name in state_dict:
                setattr(self, name, state_dict[name])
        kept = {*self.best_k_models, self.best_model_path, self.last_model_path}
        files = glob.glob(os.path.join(glob.escape(self.dirpath), "*" + self.FILE_EXTENSION))
        self._replaceable = {p for p in files if p not in kept and os.stat(p).st_mtime_ns > self._resumed_at}


def _check(mode: str, monitor: str | None, save_top_k: int, triggers: tuple) -> None:
    if mode not in ("min", "max"):
        raise MisconfigurationException(f"`mode` can be min, max but got {mode}")
    if save_top_k < -1:
        raise MisconfigurationException(f"Invalid value for save_top_k={save_top_k}. Must be >= -1")
    for name, value in (("every_n_train_steps", triggers[0]), ("every_n_epochs", triggers[1])):
        if (value or 0) < 0:
            raise MisconfigurationException(f"Invalid value for {name}={value}. Must be >= 0")
    if sum(bool(trigger) for trigger in triggers) > 1:
        raise MisconfigurationException(
            f"Combination of parameters every_n_train_steps={triggers[0]}, every_n_epochs={triggers[1]} and "
            f"train_time_interval={triggers[2]} should be mutually exclusive."
        )
    if monitor is None and save_top_k not in (-1, 0, 1):
        raise MisconfigurationException(
            f"ModelCheckpoint(save_top_k={save_top_k}, monitor=None) is not a valid configuration. No quantity for top_k "
            "to track."
        )


def _link(target: str, path: str) -> None:
    """Make `path` a link to `target`, at once."""
    if os.path.abspath(target) == os.path.abspath(path):
        return
    temporary = os.path.join(os.path.dirname(path), f".rushlight-{os.urandom(4).hex()}.tmp")
    try:
        os.symlink(os.path.relpath(target, os.path.dirname(path)), temporary)
    except OSError:  # a file system without links
        shutil.copy(target, temporary)
    os.replace(temporary, path)
