"""The Trainer: its arguments, what was asked of it, and what it says about itself. The loops are in `loops.py`."""

import importlib.util
import os
from collections.abc import Iterable
from datetime import timedelta

import rushlight as torch
from rushlight.lightning.accelerators import Accelerator, CPUAccelerator
from rushlight.lightning.callbacks import (
    Callback,
    Checkpoint,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    ModelSummary,
    PlainProgressBar,
    ProgressBar,
    StochasticWeightAveraging,
    Timer,
    TQDMProgressBar,
)
from rushlight.lightning.core.checkpoint_io import CheckpointIO, TorchCheckpointIO
from rushlight.lightning.core.module import LightningModule, is_overridden
from rushlight.lightning.loggers import CSVLogger, DummyLogger, Logger, TensorBoardLogger
from rushlight.lightning.loggers.tensorboard import can_be_shown
from rushlight.lightning.profilers import (
    AdvancedProfiler,
    PassThroughProfiler,
    Profiler,
    PyTorchProfiler,
    SimpleProfiler,
)
from rushlight.lightning.strategies import Strategy, strategy_of
from rushlight.lightning.trainer import arguments, checkpoint, data
from rushlight.lightning.trainer.facts import Facts
from rushlight.lightning.trainer.logging import MetricConnector
from rushlight.lightning.trainer.loops import EvaluationLoop, FitLoop
from rushlight.lightning.trainer.precision import Precision
from rushlight.lightning.trainer.runs import Runs, listed
from rushlight.lightning.trainer.states import TrainerFn, TrainerState, TrainerStatus
from rushlight.lightning.utilities.exceptions import (
    MisconfigurationException,
    _TunerExitException,
)
from rushlight.lightning.utilities.rank_zero import rank_zero_info
from rushlight.lightning.utilities.types import GradClipAlgorithmType

__all__ = ["Trainer"]


class Trainer(Runs, Facts):
    """Trains, validates, tests a LightningModule and predicts with it.

    Args:
        accelerator, strategy, devices, num_nodes: "auto" or "cpu"; there is one process on the CPU. Who asks for a GPU gets a
            warning and the CPU, so that scripts written for one run as they are.
        precision: "32-true", "64-true", "bf16-mixed", "bf16-true" or "16-true".
        logger: a logger or several; True for TensorBoard's where it is installed, else CSVLogger; False for none.
        callbacks: a callback or a list.
        fast_dev_run: run one batch, or so many, of everything, without loggers and checkpoints.
        max_epochs, min_epochs, max_steps, min_steps: when to end; 1000 epochs by default, -1 for no end.
        max_time: when to end: a timedelta, its arguments, or "DD:HH:MM:SS".
        limit_train_batches, limit_val_batches, limit_test_batches, limit_predict_batches: how many batches (int), or
            which share of them (float).
        overfit_batches: train and validate on so many batches, in order.
        val_check_interval: validate after so many batches, such a share of an epoch, or so much time.
        check_val_every_n_epoch: validate in every such epoch; None to count batches across epochs.
        num_sanity_val_steps: batches of validation before training; 2 by default, -1 for all.
        log_every_n_steps: give metrics of steps to the loggers so often; 50 by default.
        enable_checkpointing, enable_progress_bar, enable_model_summary: whether there are these callbacks.
        accumulate_grad_batches: step after so many batches.
        gradient_clip_val, gradient_clip_algorithm: clip gradients by "norm" or "value".
        deterministic: use deterministic algorithms: True, or "warn".
        benchmark: accepted.
        inference_mode: evaluate under `torch.inference_mode`, else under `torch.no_grad`.
        use_distributed_sampler, sync_batchnorm, model_registry: accepted.
        plugins: a `Precision` or a `CheckpointIO`, or a list; those for several processes are accepted.
        profiler: "simple", "advanced", "pytorch" or a profiler.
        detect_anomaly: stop at the first NaN or infinity and name the layer where it appeared.
        barebones: nothing besides the loop.
        reload_dataloaders_every_n_epochs: ask for the loaders anew so often.
        default_root_dir: where logs and checkpoints go; the current folder by default.
        enable_autolog_hparams: give hyperparameters to the loggers.
        **old: arguments of Lightning 1.x.
    Raises:
        MisconfigurationException: arguments that make no sense here.

    >>> from rushlight import lightning as pl
    >>> pl.Trainer(max_epochs=1, logger=False, enable_checkpointing=False).max_epochs
    1
    """

    def __init__(
        self, *, accelerator: str | Accelerator = "auto", strategy: str | Strategy = "auto",
        devices: list[int] | str | int = "auto", num_nodes: int = 1, precision: str | int | None = None,
        logger: Logger | Iterable[Logger] | bool | None = None, callbacks: list[Callback] | Callback | None = None,
        fast_dev_run: int | bool = False, max_epochs: int | None = None, min_epochs: int | None = None,
        max_steps: int = -1, min_steps: int | None = None, max_time: str | timedelta | dict[str, int] | None = None,
        limit_train_batches: int | float | None = None, limit_val_batches: int | float | None = None,
        limit_test_batches: int | float | None = None, limit_predict_batches: int | float | None = None,
        overfit_batches: int | float = 0.0, val_check_interval: int | float | str | timedelta | dict[str, int] | None = None,
        check_val_every_n_epoch: int | None = 1, num_sanity_val_steps: int | None = None,
        log_every_n_steps: int | None = None, enable_checkpointing: bool | None = None,
        enable_progress_bar: bool | None = None, enable_model_summary: bool | None = None,
        accumulate_grad_batches: int = 1, gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None, deterministic: bool | str | None = None,
        benchmark: bool | None = None, inference_mode: bool = True, use_distributed_sampler: bool = True,
        profiler: Profiler | str | None = None, detect_anomaly: bool = False, barebones: bool = False,
        plugins: Precision | CheckpointIO | list[Precision | CheckpointIO] | None = None, sync_batchnorm: bool = False,
        reload_dataloaders_every_n_epochs: int = 0, default_root_dir: str | os.PathLike | None = None,
        enable_autolog_hparams: bool = True, model_registry: str | None = None, **old,
    ):  # fmt: skip
        renamed = arguments.translated(old)
        enable_checkpointing = renamed.pop("enable_checkpointing", enable_checkpointing)
        if isinstance(enable_checkpointing, Callback):  # Lightning 1.0
            callbacks = [*listed(callbacks), enable_checkpointing]
            enable_checkpointing = True
        enable_progress_bar = renamed.pop("enable_progress_bar", enable_progress_bar)
        enable_model_summary = renamed.pop("enable_model_summary", enable_model_summary)
        detect_anomaly = renamed.pop("detect_anomaly", detect_anomaly)
        self._old_resume = renamed.pop("resume_from_checkpoint", None)
        self._auto_lr_find, self._auto_scale = (
            renamed.pop("auto_lr_find", False),
            renamed.pop("auto_scale_batch_size", None),
        )
        strategy = arguments.check_devices(accelerator, renamed.pop("strategy", strategy), devices, num_nodes)
        self.accelerator, self.strategy = CPUAccelerator(), strategy_of(strategy)
        self.strategy.trainer = self
        arguments.check_clipping(gradient_clip_val)
        arguments.check_count("max_epochs", max_epochs, -1)
        arguments.check_count("max_steps", max_steps, -1)
        arguments.check_count("accumulate_grad_batches", accumulate_grad_batches, 1)
        arguments.check_count("log_every_n_steps", log_every_n_steps, 0)
        arguments.check_count("check_val_every_n_epoch", check_val_every_n_epoch, 1)
        arguments.check_count("reload_dataloaders_every_n_epochs", reload_dataloaders_every_n_epochs, 0)
        if check_val_every_n_epoch is None and isinstance(val_check_interval, float):
            raise MisconfigurationException(
                "`val_check_interval` should be an integer or a time-based duration when "
                f"`check_val_every_n_epoch=None`, found {val_check_interval}."
            )
        self.default_root_dir = os.fspath(default_root_dir or os.getcwd())
        self.state = TrainerState()
        self.precision_plugin, self.checkpoint_io = _chosen_plugins(plugins, precision)
        self.lightning_module: LightningModule | None = None
        self.datamodule = None
        self.metrics = MetricConnector(self)
        self.optimizers: list = []
        self.lr_scheduler_configs: list = []
        self._wrapped_optimizers: list = []
        self._results = None
        self._modes: list = []
        self._source = data.DataSource(self, {})
        self._anomalies = None
        self._detect_anomaly = detect_anomaly
        self._tuning = False
        self._stop_signal: int | None = None
        self.should_stop = self.enable_validation = False
        self.ckpt_path: str | None = None
        self.inference_mode, self.barebones = inference_mode, barebones
        self.enable_autolog_hparams = enable_autolog_hparams
        self.accumulate_grad_batches = self._given_accumulation = accumulate_grad_batches
        self.gradient_clip_val = gradient_clip_val
        self.gradient_clip_algorithm = GradClipAlgorithmType.of(gradient_clip_algorithm)
        self.check_val_every_n_epoch = check_val_every_n_epoch
        self.reload_dataloaders_every_n_epochs = renamed.pop(
            "reload_dataloaders_every_n_epochs", reload_dataloaders_every_n_epochs
        )
        self.limit_train_batches = arguments.share("limit_train_batches", limit_train_batches)
        self.limit_val_batches = arguments.share("limit_val_batches", limit_val_batches)
        self.limit_test_batches = arguments.share("limit_test_batches", limit_test_batches)
        self.limit_predict_batches = arguments.share("limit_predict_batches", limit_predict_batches)
        self.overfit_batches = arguments.share("overfit_batches", overfit_batches, 0.0)
        if overfit_batches:
            self.limit_train_batches = self.limit_val_batches = overfit_batches
        sanity = 2 if num_sanity_val_steps is None else num_sanity_val_steps
        self.num_sanity_val_steps = data.INFINITE if sanity == -1 else sanity
        self.val_check_interval = val_check_interval
        if not isinstance(val_check_interval, str | timedelta | dict):
            self.val_check_interval = arguments.share("val_check_interval", val_check_interval)
        self._val_interval_seconds = arguments.interval_seconds(self.val_check_interval)
        self.log_every_n_steps = 50 if log_every_n_steps is None else log_every_n_steps
        self.fast_dev_run = fast_dev_run
        if barebones:
            arguments.check_barebones({
                "enable_checkpointing": enable_checkpointing, "logger": logger, "enable_progress_bar": enable_progress_bar,
                "enable_model_summary": enable_model_summary, "log_every_n_steps": log_every_n_steps,
                "num_sanity_val_steps": num_sanity_val_steps, "fast_dev_run": fast_dev_run, "profiler": profiler,
                "detect_anomaly": detect_anomaly,
            })  # fmt: skip
            self.num_sanity_val_steps = self.log_every_n_steps = 0
            logger, enable_checkpointing, enable_progress_bar, enable_model_summary = (
                False,
                False,
                False,
                False,
            )
        if fast_dev_run < 0:
            raise MisconfigurationException(
                f"fast_dev_run={fast_dev_run} is not a valid configuration. It should be >= 0."
            )
        if fast_dev_run:
            count = 1 if fast_dev_run is True else fast_dev_run
            max_steps, max_epochs, self.num_sanity_val_steps = count, 1, 0
            self.limit_train_batches = self.limit_val_batches = self.limit_test_batches = count
            self.limit_predict_batches, self.val_check_interval, self.check_val_every_n_epoch = count, 1.0, 1
            rank_zero_info(
                f"Running in `fast_dev_run` mode: will run the requested loop using {count} batch(es)."
            )
        limits = arguments.epoch_limits(min_epochs, max_epochs, min_steps, max_steps, max_time is not None)
        self.fit_loop = FitLoop(self, *limits, min_steps, max_steps)
        self.validate_loop, self.test_loop = EvaluationLoop(self, "val"), EvaluationLoop(self, "test")
        self.predict_loop = EvaluationLoop(self, "predict")
        self.profiler = _profiler(profiler)
        if deterministic is not None:
            torch.use_deterministic_algorithms(bool(deterministic), warn_only=deterministic == "warn")
        self.loggers = self._chosen_loggers(logger)
        self.callbacks = listed(callbacks)
        if renamed.pop("stochastic_weight_avg", False):
            self.callbacks.append(StochasticWeightAveraging(1e-2))
        if max_time is not None and not any(isinstance(c, Timer) for c in self.callbacks):
            self.callbacks.append(Timer(max_time))
        self._add_callbacks(enable_checkpointing, enable_progress_bar, enable_model_summary)
        self._forget_hooks()

    # -- loggers and callbacks --------------------------------------------------------------------------

    def _chosen_loggers(self, logger) -> list:
        if logger is False:
            return []
        if self.fast_dev_run:
            return [DummyLogger()]
        if logger is None or logger is True:
            kind = TensorBoardLogger if can_be_shown() else CSVLogger
            return [kind(self.default_root_dir)]
        return list(logger) if isinstance(logger, Iterable) else [logger]

    def _add_callbacks(self, checkpointing, bar, summary) -> None:
        """The callbacks that a run has by itself."""
        has = lambda kind: any(isinstance(c, kind) for c in self.callbacks)
        if has(Checkpoint) and checkpointing is False:
            raise MisconfigurationException(
                "Trainer was configured with `enable_checkpointing=False` but found `ModelCheckpoint` in callbacks list."
            )
        if has(ProgressBar) and bar is False:
            raise MisconfigurationException(
                "Trainer was configured with `enable_progress_bar=False` but found a progress bar in callbacks list."
            )
        if not has(ProgressBar) and bar is not False:
            self.callbacks.append(
                TQDMProgressBar() if importlib.util.find_spec("tqdm") else PlainProgressBar()
            )
        if sum(isinstance(c, ProgressBar) for c in self.callbacks) > 1:
            raise MisconfigurationException(
                "You added multiple progress bar callbacks to the Trainer: keep one."
            )
        if not has(ModelSummary) and summary is not False:
            self.callbacks.append(ModelSummary())
        if not has(Checkpoint) and checkpointing is not False:
            self.callbacks.append(ModelCheckpoint())
        if not has(GradientAccumulationScheduler) and isinstance(self.accumulate_grad_batches, dict):
            self.callbacks.append(GradientAccumulationScheduler(self.accumulate_grad_batches))
        self._order_callbacks()

    def _order_callbacks(self) -> None:
        self.callbacks.sort(key=lambda c: c.saves)
        known = set()
        for callback in self.callbacks:
            if is_overridden("state_dict", callback, Callback) and callback.state_key in known:
                raise RuntimeError(
                    f"Found more than one stateful callback of type `{type(callback).__name__}` with the state_key "
                    f"{callback.state_key!r}: in checkpoints they couldn't be told apart. Give it a property `state_key` "
                    "of its own"
                )
            known.add(callback.state_key)

    # -- what can be asked of it ------------------------------------------------------------------------

    def fit(
        self, model, train_dataloaders=None, val_dataloaders=None, datamodule=None,
        ckpt_path: str | os.PathLike | None = None, weights_only: bool | None = None, **old,
    ) -> None:  # fmt: skip
        """Train.

        Args:
            model: the LightningModule.
            train_dataloaders: a loader, or several in a list or dictionary; or a LightningDataModule.
            val_dataloaders: a loader or a list.
            datamodule: a LightningDataModule, in place of loaders.
            ckpt_path: a checkpoint to go on from: a path, "last" or "best".
            weights_only: True refuses files that hold more than data.
        Raises:
            MisconfigurationException: something is missing, or doesn't fit.
            SystemExit: somebody pressed Ctrl-C; a checkpoint was saved.
        """
        train_dataloaders = arguments.only(old, "train_dataloader", "fit", train_dataloaders)
        model = _checked(model, "fit")
        given = {"train": train_dataloaders, "val": val_dataloaders}
        self._entered(
            TrainerFn.FITTING, model, given, datamodule, ckpt_path or self._old_resume, True, weights_only
        )

    def validate(
        self, model=None, dataloaders=None, ckpt_path: str | os.PathLike | None = None, verbose: bool = True,
        datamodule=None, weights_only: bool | None = None, **old,
    ) -> list:  # fmt: skip
        """Go through the validation loaders once.

        Args:
            model: the LightningModule; by default that of the last `fit`, with its best weights.
            dataloaders: a loader or a list; or a LightningDataModule.
            ckpt_path: whose weights: a path, "best" or "last".
            verbose: print the metrics.
            datamodule: a LightningDataModule, in place of loaders.
            weights_only: True refuses files that hold more than data.
        Returns:
            A dictionary of metrics for each loader.
        """
        return self._evaluate(
            TrainerFn.VALIDATING, "val", model, dataloaders, ckpt_path, verbose, datamodule, weights_only, old
        )

    def test(
        self, model=None, dataloaders=None, ckpt_path: str | os.PathLike | None = None, verbose: bool = True,
        datamodule=None, weights_only: bool | None = None, **old,
    ) -> list:  # fmt: skip
        """Go through the test loaders once; arguments and result as for `validate`."""
        return self._evaluate(
            TrainerFn.TESTING, "test", model, dataloaders, ckpt_path, verbose, datamodule, weights_only, old
        )

    def predict(
        self, model=None, dataloaders=None, datamodule=None, return_predictions: bool | None = None,
        ckpt_path: str | os.PathLike | None = None, weights_only: bool | None = None,
    ):  # fmt: skip
        """Predict.

        Args:
            model, dataloaders, datamodule, ckpt_path: as for `validate`.
            return_predictions: False doesn't keep them.
            weights_only: True refuses files that hold more than data.
        Returns:
            What `predict_step` returned for each batch; with several loaders, a list of such lists.
        """
        keep = return_predictions is None or return_predictions
        self._keep = keep
        result = self._entered(
            TrainerFn.PREDICTING,
            model,
            {"predict": dataloaders},
            datamodule,
            ckpt_path,
            model is not None,
            weights_only,
        )
        return result if keep and result else None

    def _evaluate(
        self, fn, kind, model, dataloaders, ckpt_path, verbose: bool, datamodule, weights_only, old: dict
    ) -> list:
        dataloaders = arguments.only(old, f"{kind}_dataloaders", fn.value, dataloaders)
        self._verbose = verbose
        given = model is not None
        return self._entered(fn, model, {kind: dataloaders}, datamodule, ckpt_path, given, weights_only)

    def _entered(self, fn, model, given: dict, datamodule, ckpt_path, model_given: bool, weights_only):
        """Take the arguments of fit, validate, test or predict, and run."""
        if model is None:
            model = self.lightning_module
            if model is None:
                raise TypeError(
                    f"`Trainer.{fn.value}()` requires a `LightningModule`: none was passed in a previous run"
                )
        model = _checked(model, fn.value)
        first = next(iter(given))
        if hasattr(given[first], "prepare_data") and hasattr(given[first], "setup"):
            datamodule, given = given[first], {}
        if datamodule is not None and any(loaders is not None for loaders in given.values()):
            raise MisconfigurationException(
                "You cannot pass `train_dataloader` or `val_dataloaders` to `trainer.fit(datamodule=...)`"
                if fn is TrainerFn.FITTING
                else f"You cannot pass both `trainer.{fn.value}(dataloaders=..., datamodule=...)`"
            )
        self.state = TrainerState(TrainerStatus.RUNNING, fn, None)
        self.lightning_module, self.datamodule = model, datamodule or self.datamodule
        alone = datamodule is None and any(loaders is not None for loaders in given.values())
        self._source = data.DataSource(self, given, asks_datamodule=not alone)
        model.trainer = self
        if self.datamodule is not None:
            self.datamodule.trainer = self
        self.should_stop, self._stop_signal, self._results = False, None, None
        try:
            return self._run(fn, ckpt_path, model_given, weights_only)
        except _TunerExitException:
            self.state.status = TrainerStatus.FINISHED
        except KeyboardInterrupt as error:
            rank_zero_info("\nDetected KeyboardInterrupt, attempting graceful shutdown ...")
            self._failed(error)
            raise SystemExit(1) from error
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            self._results = None

    def _failed(self, error: BaseException) -> None:
        self.state.status = TrainerStatus.INTERRUPTED
        self._results = None
        self._cleared()
        for callback in self.callbacks:
            callback.on_exception(self, self.lightning_module, error)
        if hasattr(self.datamodule, "on_exception"):
            self.datamodule.on_exception(error)
        for logger in self.loggers:
            logger.finalize("failed")
        self.profiler.teardown(self.state.fn.value)
        self.state.stage = None

    # -- what else it does -----------------------------------------------------------------------------

    def save_checkpoint(self, filepath, weights_only: bool | None = None, storage_options=None) -> None:
        """Save a checkpoint.

        Args:
            filepath: the file; it is whole or isn't there, whatever happens.
            weights_only: leave out what a run needs to go on.
            storage_options: for a `CheckpointIO` plugin that has a use for them.
        Raises:
            AttributeError: there is no model yet. OSError: the disk is full, the folder is read-only and so on.
        """
        if self.lightning_module is None:
            raise AttributeError(
                "Saving a checkpoint is only possible if a model is attached to the Trainer. Did you call "
                "`Trainer.save_checkpoint()` before calling `Trainer.{fit,validate,test,predict}`?"
            )
        self.checkpoint_io.save_checkpoint(
            checkpoint.dump(self, bool(weights_only)), filepath, storage_options
        )

    def print(self, *args, **kwargs) -> None:
        """Print without disturbing the progress bar."""
        self.lightning_module.print(*args, **kwargs)

    def init_module(self, empty_init: bool | None = None):
        """A block in which models are made in the precision of the run."""
        return self.precision_plugin.default_type()

    @staticmethod
    def _scalar(value: float):
        return torch.tensor(float(value))


def _checked(model, name: str) -> LightningModule:
    if not isinstance(model, LightningModule):
        raise TypeError(f"`Trainer.{name}()` requires a `LightningModule`, got: {type(model).__qualname__}")
    return model


def _chosen_plugins(plugins, precision) -> tuple:
    """The plugins for numbers and for checkpoints."""
    chosen = {Precision: None, CheckpointIO: None}
    for plugin in listed(plugins):
        if isinstance(plugin, str):
            precision = plugin
        for kind in chosen:
            if isinstance(plugin, kind):
                if chosen[kind] is not None:
                    raise MisconfigurationException(
                        f"Received multiple values for {kind.__name__} in `plugins`. Expected one value at most."
                    )
                chosen[kind] = plugin
    if chosen[Precision] is not None and precision is not None:
        raise ValueError(
            f"Received both `precision={precision}` and `plugins={chosen[Precision]}`. Choose one."
        )
    return chosen[Precision] or Precision(precision), chosen[CheckpointIO] or TorchCheckpointIO()


def _profiler(profiler) -> Profiler:
    if profiler is None:
        return PassThroughProfiler()
    if isinstance(profiler, Profiler):
        return profiler
    known = {"simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler}
    if isinstance(profiler, str) and profiler.lower() in known:
        return known[profiler.lower()]()
    raise MisconfigurationException(
        f"When passing string value for the `profiler` parameter of `Trainer`, it can only be one of {list(known)}, got "
        f"{profiler!r}"
    )
