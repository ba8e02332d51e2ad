"""The Trainer: its arguments, what was asked of it, and what it says about itself. The loops are in `loops.py`."""

import contextlib
import copy
import importlib.util
import os
import signal
from collections.abc import Iterable

import rushlight as torch
from rushlight.lightning.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    ModelSummary,
    PlainProgressBar,
    ProgressBar,
    StochasticWeightAveraging,
    Timer,
    TQDMProgressBar,
)
from rushlight.lightning.core.hooks import DataHooks
from rushlight.lightning.core.module import LightningModule, is_overridden
from rushlight.lightning.core.optimizer import LightningOptimizer, understand
from rushlight.lightning.core.saving import write_checkpoint
from rushlight.lightning.loggers import CSVLogger, DummyLogger, TensorBoardLogger
from rushlight.lightning.loggers.tensorboard import can_be_shown
from rushlight.lightning.profilers import PassThroughProfiler, Profiler, SimpleProfiler
from rushlight.lightning.trainer import arguments, checkpoint, data
from rushlight.lightning.trainer.calls import HookCaller, fitted
from rushlight.lightning.trainer.logging import MetricConnector
from rushlight.lightning.trainer.loops import EvaluationLoop, FitLoop, runs_validation
from rushlight.lightning.trainer.precision import Anomalies, Precision
from rushlight.lightning.trainer.signals import StopSignals
from rushlight.lightning.trainer.states import RunningStage, TrainerFn, TrainerState, TrainerStatus
from rushlight.lightning.utilities.exceptions import (
    MisconfigurationException,
    SIGTERMException,
    _TunerExitException,
)
from rushlight.lightning.utilities.parsing import accepts
from rushlight.lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from rushlight.lightning.utilities.seed import isolate_rng

__all__ = ["Trainer"]

_STAGES = {"val": RunningStage.VALIDATING, "test": RunningStage.TESTING, "predict": RunningStage.PREDICTING}


class Trainer(HookCaller):
    """Trains, validates, tests a LightningModule and predicts with it.

    Args:
        accelerator, strategy, devices, num_nodes: "auto"; there is one process on the CPU.
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
        use_distributed_sampler, plugins, sync_batchnorm, model_registry: accepted.
        profiler: "simple" or a profiler.
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
        self, *, accelerator="auto", strategy="auto", devices="auto", num_nodes: int = 1, precision=None, logger=None,
        callbacks=None, fast_dev_run: int | bool = False, max_epochs: int | None = None, min_epochs: int | None = None,
        max_steps: int = -1, min_steps: int | None = None, max_time=None, limit_train_batches=None,
        limit_val_batches=None, limit_test_batches=None, limit_predict_batches=None, overfit_batches: int | float = 0.0,
        val_check_interval=None, check_val_every_n_epoch: int | None = 1, num_sanity_val_steps: int | None = None,
        log_every_n_steps: int | None = None, enable_checkpointing: bool | None = None,
        enable_progress_bar: bool | None = None, enable_model_summary: bool | None = None,
        accumulate_grad_batches: int = 1, gradient_clip_val=None, gradient_clip_algorithm: str | None = None,
        deterministic=None, benchmark: bool | None = None, inference_mode: bool = True,
        use_distributed_sampler: bool = True, profiler=None, detect_anomaly: bool = False, barebones: bool = False,
        plugins=None, sync_batchnorm: bool = False, reload_dataloaders_every_n_epochs: int = 0, default_root_dir=None,
        enable_autolog_hparams: bool = True, model_registry=None, **old,
    ):  # fmt: skip
        old = arguments.translated(old)
        enable_checkpointing = old.pop("enable_checkpointing", enable_checkpointing)
        if isinstance(enable_checkpointing, Callback):  # Lightning 1.0
            callbacks = [*_listed(callbacks), enable_checkpointing]
            enable_checkpointing = True
        enable_progress_bar = old.pop("enable_progress_bar", enable_progress_bar)
        enable_model_summary = old.pop("enable_model_summary", enable_model_summary)
        detect_anomaly = old.pop("detect_anomaly", detect_anomaly)
        self._old_resume = old.pop("resume_from_checkpoint", None)
        self._auto_lr_find, self._auto_scale = (
            old.pop("auto_lr_find", False),
            old.pop("auto_scale_batch_size", None),
        )
        arguments.check_devices(accelerator, old.pop("strategy", strategy), devices, num_nodes)
        for name, value in (
            ("limit_train_batches", limit_train_batches), ("limit_val_batches", limit_val_batches),
            ("limit_test_batches", limit_test_batches), ("limit_predict_batches", limit_predict_batches),
            ("overfit_batches", overfit_batches),
        ):  # fmt: skip
            arguments.check_share(name, value)
        arguments.check_clipping(gradient_clip_val, gradient_clip_algorithm)
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
        self.precision_plugin = Precision(precision)
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
        self.gradient_clip_val, self.gradient_clip_algorithm = gradient_clip_val, gradient_clip_algorithm
        self.check_val_every_n_epoch = check_val_every_n_epoch
        self.reload_dataloaders_every_n_epochs = old.pop(
            "reload_dataloaders_every_n_epochs", reload_dataloaders_every_n_epochs
        )
        self.limit_train_batches = 1.0 if limit_train_batches is None else limit_train_batches
        self.limit_val_batches = 1.0 if limit_val_batches is None else limit_val_batches
        self.limit_test_batches = 1.0 if limit_test_batches is None else limit_test_batches
        self.limit_predict_batches = 1.0 if limit_predict_batches is None else limit_predict_batches
        self.overfit_batches = overfit_batches
        if overfit_batches:
            self.limit_train_batches = self.limit_val_batches = overfit_batches
        sanity = 2 if num_sanity_val_steps is None else num_sanity_val_steps
        self.num_sanity_val_steps = data.INFINITE if sanity == -1 else sanity
        self.val_check_interval = 1.0 if val_check_interval is None else val_check_interval
        self._val_interval_seconds = arguments.interval_seconds(self.val_check_interval)
        self.log_every_n_steps = 50 if log_every_n_steps is None else log_every_n_steps
        self.fast_dev_run = fast_dev_run
        if barebones:
            self.num_sanity_val_steps = self.log_every_n_steps = 0
            logger, enable_checkpointing, enable_progress_bar, enable_model_summary = (
                False,
                False,
                False,
                False,
            )
        if fast_dev_run:
            count = 1 if fast_dev_run is True else fast_dev_run
            max_steps, max_epochs, self.num_sanity_val_steps = count, 1, 0
            self.limit_train_batches = self.limit_val_batches = self.limit_test_batches = count
            self.limit_predict_batches, self.val_check_interval, self.check_val_every_n_epoch = count, 1.0, 1
            rank_zero_info(
                f"Running in `fast_dev_run` mode: will run the requested loop using {count} batch(es)."
            )
        limits = arguments.epoch_limits(min_epochs, max_epochs, max_steps, max_time is not None)
        self.fit_loop = FitLoop(self, *limits, min_steps, max_steps)
        self.validate_loop, self.test_loop = EvaluationLoop(self, "val"), EvaluationLoop(self, "test")
        self.predict_loop = EvaluationLoop(self, "predict")
        self.profiler = _profiler(profiler)
        if deterministic is not None:
            torch.use_deterministic_algorithms(bool(deterministic), warn_only=deterministic == "warn")
        self.loggers = self._chosen_loggers(logger)
        self.callbacks = _listed(callbacks)
        if old.pop("stochastic_weight_avg", False):
            self.callbacks.append(StochasticWeightAveraging(1e-2))
        if max_time is not None:
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
        if not has(ModelSummary) and summary is not False and not self.fast_dev_run:
            self.callbacks.append(ModelSummary())
        if not has(Checkpoint) and checkpointing is not False and not self.fast_dev_run:
            self.callbacks.append(ModelCheckpoint())
        if not has(GradientAccumulationScheduler) and isinstance(self.accumulate_grad_batches, dict):
            self.callbacks.append(GradientAccumulationScheduler(self.accumulate_grad_batches))
        self._order_callbacks()

    def _order_callbacks(self) -> None:
        self.callbacks.sort(key=lambda c: c.saves)

    def _of(self, kind) -> list:
        return [c for c in self.callbacks if isinstance(c, kind)]

    checkpoint_callbacks = property(
        lambda self: self._of(ModelCheckpoint), doc="The ModelCheckpoint callbacks."
    )
    early_stopping_callbacks = property(
        lambda self: self._of(EarlyStopping), doc="The EarlyStopping callbacks."
    )

    @property
    def checkpoint_callback(self):
        """The first ModelCheckpoint callback; None without one."""
        return next(iter(self._of(ModelCheckpoint)), None)

    @property
    def early_stopping_callback(self):
        """The first EarlyStopping callback; None without one."""
        return next(iter(self._of(EarlyStopping)), None)

    @property
    def progress_bar_callback(self):
        """The progress bar; None without one."""
        return next(iter(self._of(ProgressBar)), None)

    @property
    def logger(self):
        """The first logger; None without one."""
        return self.loggers[0] if self.loggers else None

    @logger.setter
    def logger(self, logger) -> None:
        self.loggers = [] if not logger else [logger]

    @property
    def log_dir(self) -> str | None:
        """The folder of the first logger's run, else `default_root_dir`."""
        return (self.logger.log_dir or self.logger.save_dir) if self.loggers else self.default_root_dir

    # -- what can be asked of it ------------------------------------------------------------------------

    def fit(
        self, model, train_dataloaders=None, val_dataloaders=None, datamodule=None, ckpt_path=None,
        weights_only: bool | None = None, **old,
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
        train_dataloaders = old.pop("train_dataloader", train_dataloaders)
        if old:
            raise TypeError(f"Trainer.fit() got an unexpected keyword argument {next(iter(old))!r}")
        model = _checked(model, "fit")
        given = {"train": train_dataloaders, "val": val_dataloaders}
        self._entered(
            TrainerFn.FITTING, model, given, datamodule, ckpt_path or self._old_resume, True, weights_only
        )

    def validate(
        self, model=None, dataloaders=None, ckpt_path=None, verbose: bool = True, datamodule=None, **old
    ) -> list:
        """Go through the validation loaders once.

        Args:
            model: the LightningModule; by default that of the last `fit`, with its best weights.
            dataloaders: a loader or a list; or a LightningDataModule.
            ckpt_path: whose weights: a path, "best" or "last".
            verbose: print the metrics.
            datamodule: a LightningDataModule, in place of loaders.
        Returns:
            A dictionary of metrics for each loader.
        """
        return self._evaluate(
            TrainerFn.VALIDATING, "val", model, dataloaders, ckpt_path, verbose, datamodule, old
        )

    def test(
        self, model=None, dataloaders=None, ckpt_path=None, verbose: bool = True, datamodule=None, **old
    ) -> list:
        """Go through the test loaders once; arguments and result as for `validate`."""
        return self._evaluate(
            TrainerFn.TESTING, "test", model, dataloaders, ckpt_path, verbose, datamodule, old
        )

    def predict(
        self, model=None, dataloaders=None, datamodule=None, return_predictions: bool | None = None, ckpt_path=None,
        weights_only: bool | None = None,
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
        return result if keep else None

    def _evaluate(
        self, fn, kind, model, dataloaders, ckpt_path, verbose: bool, datamodule, old: dict
    ) -> list:
        dataloaders = old.pop(f"{kind}_dataloaders", dataloaders)
        weights_only = old.pop("weights_only", None)
        if old:
            raise TypeError(f"Trainer.{fn.value}() got an unexpected keyword argument {next(iter(old))!r}")
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
                f"You cannot pass `{first}_dataloader` or `dataloaders` to `trainer.{fn.value}(datamodule=...)`"
            )
        self.state = TrainerState(TrainerStatus.RUNNING, fn, None)
        self.lightning_module, self.datamodule = model, datamodule or self._kept_datamodule(given)
        self._source = data.DataSource(self, given)
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

    def _kept_datamodule(self, given: dict):
        """The datamodule of an earlier run, where no loaders are given."""
        return self.datamodule if not any(loaders is not None for loaders in given.values()) else None

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
        self.state.stage = None

    # -- a run ------------------------------------------------------------------------------------------

    def _run(self, fn: TrainerFn, ckpt_path, model_given: bool, weights_only):
        module, fitting = self.lightning_module, fn is TrainerFn.FITTING
        self._attach_callbacks(module)
        self._forget_hooks()
        self._check_methods(fn)
        self.enable_validation = fitting and runs_validation(self)
        for owner in (self.datamodule, module):
            if owner is not None:
                owner.prepare_data()
        wants_last = ckpt_path == "last"
        self.ckpt_path = checkpoint.select(self, ckpt_path, model_given)
        loaded = checkpoint.read(self, self.ckpt_path, weights_only) if self.ckpt_path else None
        if loaded and fitting:
            states = (loaded.get("rushlight") or {}).get("loggers", [])
            for logger, state in zip(self.loggers, states, strict=False):
                logger.load_state_dict(state, adopt=wants_last)
        self._call_stage("setup", fn.value)
        self._ask(module, "configure_model")
        if loaded:
            checkpoint.restore_model(self, loaded)
        self.metrics.clear()
        self.precision_plugin.prepare(module)
        self._forget_hooks()  # `setup` may have made layers and attributes
        restored = None
        if fitting:
            self._configure_optimizers()
            self.call("on_fit_start")
        self._log_hyperparameters()
        if loaded and fitting:
            restored = checkpoint.restore_training(self, loaded)
        result = self._run_stage(fn, restored)
        if fitting:
            self.call("on_fit_end")
        self._call_stage("teardown", fn.value)
        for logger in self.loggers:
            logger.finalize("success")
        if self.profiler.active:
            self.profiler.describe()
        self.state.status, self.state.stage = TrainerStatus.FINISHED, None
        return result

    def _run_stage(self, fn: TrainerFn, restored: dict | None):
        module = self.lightning_module
        module.zero_grad() if restored is None else None
        if fn is TrainerFn.VALIDATING:
            return self.validate_loop.run(verbose=self._verbose)
        if fn is TrainerFn.TESTING:
            return self.test_loop.run(verbose=self._verbose)
        if fn is TrainerFn.PREDICTING:
            return self.predict_loop.run(keep=self._keep)
        self.enable_validation = runs_validation(self)
        self.fit_loop.loader = self.fit_loop.val_loop.loader = None
        signals = StopSignals(self)
        self._in_fit_loop = False
        signals.install()
        try:
            if restored is None and self.enable_validation and self.num_sanity_val_steps:
                with isolate_rng():
                    self._check_sanity()
            self.state.stage = RunningStage.TRAINING
            if self._detect_anomaly:
                self._anomalies = Anomalies(module)
            self._in_fit_loop = True
            with (
                torch.autograd.set_detect_anomaly(self._detect_anomaly)
                if self._detect_anomaly
                else contextlib.nullcontext()
            ):
                self.fit_loop.run(restored)
            if self._stop_signal:
                self._stop_now()
        finally:
            self._in_fit_loop = False
            signals.remove()
            self._cleared()
        return None

    def _cleared(self) -> None:
        if self._anomalies is not None:
            self._anomalies.remove()
            self._anomalies = None

    def _check_sanity(self) -> None:
        """Some batches of validation, so that its mistakes show at once."""
        self.call("on_sanity_check_start")
        self.fit_loop.val_loop.run(self.num_sanity_val_steps)
        self.call("on_sanity_check_end")
        self.metrics.clear()

    def _check_methods(self, fn: TrainerFn) -> None:
        module = self.lightning_module
        if fn is TrainerFn.FITTING:
            for name in ("training_step", "configure_optimizers"):
                if not self.own[name]:
                    raise MisconfigurationException(
                        f"No `{name}()` method defined. Lightning `Trainer` expects as minimum a `training_step()`, "
                        "`train_dataloader()` and `configure_optimizers()` to be defined."
                    )
            if not module.automatic_optimization and (
                self.gradient_clip_val or self.accumulate_grad_batches != 1
            ):
                raise MisconfigurationException(
                    "Automatic gradient clipping and accumulation are not supported for manual optimization. Remove "
                    f"`Trainer(gradient_clip_val={self.gradient_clip_val}, accumulate_grad_batches="
                    f"{self.accumulate_grad_batches})` or switch to automatic optimization."
                )
            if self._source.defined("val") and not self.own["validation_step"]:
                rank_zero_warn(
                    "You passed in a `val_dataloader` but have no `validation_step`. Skipping val loop."
                )
        elif fn is TrainerFn.PREDICTING:
            if not self.own["predict_step"] and not self.own["forward"]:
                raise MisconfigurationException("`Trainer.predict` requires `forward` method to run.")
        elif not self.own["validation_step" if fn is TrainerFn.VALIDATING else "test_step"]:
            step = "validation_step" if fn is TrainerFn.VALIDATING else "test_step"
            raise MisconfigurationException(f"No `{step}()` method defined to run `Trainer.{fn.value}`.")

    def _attach_callbacks(self, module) -> None:
        """Add the model's own callbacks; they replace those of the same kind."""
        added = _listed(module.configure_callbacks())
        kinds = {type(callback) for callback in added}
        self.callbacks = [c for c in self.callbacks if type(c) not in kinds or c in added]
        self.callbacks += [c for c in added if c not in self.callbacks]
        self._order_callbacks()

    def _call_stage(self, name: str, stage: str) -> None:
        if self.datamodule is not None:
            self._ask_stage(self.datamodule, name, stage)
        for callback in self.callbacks:
            getattr(callback, name)(self, self.lightning_module, stage)
        self._ask_stage(self.lightning_module, name, stage)

    def _ask_stage(self, owner, name: str, stage: str) -> None:
        fitted(getattr(owner, name), 1)(stage)

    def _configure_optimizers(self) -> None:
        module = self.lightning_module
        configuration = self._ask(module, "configure_optimizers")
        self.optimizers, self.lr_scheduler_configs = understand(configuration, module.automatic_optimization)
        if len(self.optimizers) > 1 and module.automatic_optimization:
            if not accepts(module.training_step, "optimizer_idx"):
                raise RuntimeError(
                    "Training with multiple optimizers is only supported with manual optimization. Set "
                    "`self.automatic_optimization = False`, then call `self.optimizers()` in `training_step`, or, as in "
                    "Lightning 1.x, give `training_step` an argument `optimizer_idx`"
                )
        # Rushlight's own optimizers take one step for one computation, except for LBFGS; others are asked.
        self._plain_steps = all(
            type(o).__module__.startswith("rushlight.optim") and type(o) is not torch.optim.LBFGS
            for o in self.optimizers
        )
        self._wrapped_optimizers = [
            LightningOptimizer(optimizer, self.fit_loop) for optimizer in self.optimizers
        ]

    def _log_hyperparameters(self) -> None:
        if not self.loggers or not self.enable_autolog_hparams or self._tuning:
            return
        hparams: dict = {}
        for owner in (self.datamodule, self.lightning_module):
            if owner is not None and owner._log_hyperparams:
                hparams.update(owner.hparams_initial)
        for logger in self.loggers:
            if hparams:
                logger.log_hyperparams(copy.copy(hparams))
            logger.log_graph(self.lightning_module)
            logger.save()

    @contextlib.contextmanager
    def _stage(self, kind: str, limit: float):
        """The stage of an evaluation, for the time that it runs."""
        before = self.state.stage
        self.state.stage = RunningStage.SANITY_CHECKING if limit != data.INFINITE else _STAGES[kind]
        self._evaluating = kind
        try:
            yield
        finally:
            self.state.stage = before

    def _capture_modes(self) -> None:
        self._modes = [(m, m.training) for m in self.lightning_module.modules()]

    def _restore_modes(self) -> None:
        for module, training in self._modes:
            module.training = training

    def transfer(self, batch, loader: int):
        """A batch as the model gets it: in the right type, after the model's or datamodule's own changes."""
        if self._transfers is None:
            self._transfers = list(self._transfer_hooks())
        if self.precision_plugin.dtype is not None:
            batch = self.precision_plugin.batch(batch)
        for name, owner in self._transfers:
            device = (self.lightning_module.device,) if name == "transfer_batch_to_device" else ()
            batch = self._ask(owner, name, batch, *device, loader)
        return batch

    def _transfer_hooks(self):
        """Which of the hooks around a batch's way to the device are defined, and where; the batch is there already."""
        for name in ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer"):
            for owner in (self.datamodule, self.lightning_module):
                if is_overridden(name, owner, DataHooks):
                    yield name, owner
                    break

    def _stop_now(self) -> None:
        """Stop as somebody asked for."""
        if self._stop_signal == signal.SIGTERM:
            raise SIGTERMException(128 + signal.SIGTERM)
        raise KeyboardInterrupt

    # -- what it says about itself ----------------------------------------------------------------------

    def save_checkpoint(self, filepath, weights_only: bool | None = False, storage_options=None) -> None:
        """Save a checkpoint.

        Args:
            filepath: the file; it is whole or isn't there, whatever happens.
            weights_only: leave out what a run needs to go on.
            storage_options: accepted.
        Raises:
            AttributeError: there is no model yet. OSError: the disk is full, the folder is read-only and so on.
        """
        if self.lightning_module is None:
            raise AttributeError(
                "Saving a checkpoint is only possible if a model is attached to the Trainer. Did you call "
                "`Trainer.save_checkpoint()` before calling `Trainer.{fit,validate,test,predict}`?"
            )
        write_checkpoint(checkpoint.dump(self, bool(weights_only)), filepath)

    def print(self, *args, **kwargs) -> None:
        """Print without disturbing the progress bar."""
        self.lightning_module.print(*args, **kwargs)

    @contextlib.contextmanager
    def init_module(self, empty_init: bool | None = None):
        """A block in which models are made in the precision of the run."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.precision_plugin.dtype or before)
        try:
            yield
        finally:
            torch.set_default_dtype(before)

    @staticmethod
    def _scalar(value: float):
        return torch.tensor(float(value))

    def _collected(self, which: str) -> dict:
        self.metrics.collect()
        return getattr(self.metrics, which)

    model = property(lambda self: self.lightning_module, doc="The model.")
    callback_metrics = property(
        lambda self: self._collected("callback"), doc="What was logged, for callbacks: tensors."
    )
    logged_metrics = property(lambda self: self._collected("logged"), doc="What the loggers get: tensors.")
    progress_bar_metrics = property(
        lambda self: self._collected("bar"), doc="What the progress bar shows: floats."
    )
    current_epoch = property(lambda self: self.fit_loop.epoch, doc="Number of the epoch, from 0.")
    global_step = property(lambda self: self.fit_loop.steps, doc="How many optimizer steps were taken.")
    max_epochs = property(lambda self: self.fit_loop.max_epochs, doc="At most so many epochs.")
    min_epochs = property(lambda self: self.fit_loop.min_epochs, doc="At least so many epochs.")
    max_steps = property(lambda self: self.fit_loop.max_steps, doc="At most so many steps.")
    min_steps = property(lambda self: self.fit_loop.min_steps, doc="At least so many steps.")
    is_last_batch = property(
        lambda self: self.fit_loop.is_last_batch, doc="Whether this batch is the epoch's last."
    )
    precision = property(lambda self: self.precision_plugin.name, doc="The precision of the run.")
    interrupted = property(
        lambda self: self.state.status == TrainerStatus.INTERRUPTED, doc="Whether a run failed."
    )
    training = property(lambda self: self.state.stage == RunningStage.TRAINING, doc="Whether it trains.")
    validating = property(
        lambda self: self.state.stage == RunningStage.VALIDATING, doc="Whether it validates."
    )
    testing = property(lambda self: self.state.stage == RunningStage.TESTING, doc="Whether it tests.")
    predicting = property(
        lambda self: self.state.stage == RunningStage.PREDICTING, doc="Whether it predicts."
    )
    sanity_checking = property(
        lambda self: self.state.stage == RunningStage.SANITY_CHECKING,
        doc="Whether it is the check before training.",
    )
    is_global_zero = property(lambda self: True, doc="Whether this is the main process.")
    global_rank = local_rank = node_rank = property(
        lambda self: 0, doc="Number of this process: the only one."
    )
    world_size = num_devices = num_nodes = property(
        lambda self: 1, doc="How many processes, devices, machines: one."
    )
    device_ids = property(lambda self: [0], doc="Numbers of the devices.")
    received_sigterm = property(lambda self: self._stop_signal == signal.SIGTERM, doc="Whether SIGTERM came.")
    num_training_batches = property(lambda self: self.fit_loop.max_batches, doc="Batches in an epoch.")
    num_val_batches = property(
        lambda self: (
            (self.validate_loop if self.state.fn == "validate" else self.fit_loop.val_loop).max_batches
        ),
        doc="Batches of each validation loader.",
    )
    num_test_batches = property(lambda self: self.test_loop.max_batches, doc="Batches of each test loader.")
    num_predict_batches = property(
        lambda self: self.predict_loop.max_batches, doc="Batches of each prediction loader."
    )
    val_check_batch = property(
        lambda self: self.fit_loop.val_check_batch, doc="Validation comes after so many batches."
    )
    train_dataloader = property(lambda self: _given(self.fit_loop.loader), doc="The loader of training.")
    val_dataloaders = property(
        lambda self: _given(
            self.validate_loop.loader if self.state.fn == "validate" else self.fit_loop.val_loop.loader
        ),
        doc="The loaders of validation.",
    )
    test_dataloaders = property(lambda self: _given(self.test_loop.loader), doc="The loaders of testing.")
    predict_dataloaders = property(
        lambda self: _given(self.predict_loop.loader), doc="The loaders of prediction."
    )

    @property
    def evaluating(self) -> bool:
        """Whether it validates or tests, outside of fitting."""
        return self.state.fn in ("validate", "test")

    @property
    def estimated_stepping_batches(self) -> float:
        """How many optimizer steps a fit takes; loads the training loaders if need be."""
        self.fit_loop._load()
        return data.stepping_batches(
            self.num_training_batches, self.accumulate_grad_batches, self.max_epochs, self.max_steps
        )

    @property
    def _last_epoch(self) -> bool:
        return self.should_stop or self.fit_loop.epochs_done >= (
            self.max_epochs if self.max_epochs != -1 else data.INFINITE
        )

    @property
    def _evaluation_batches(self) -> float:
        loops = {"val": self.fit_loop.val_loop if self.state.fn == "fit" else self.validate_loop,
                 "test": self.test_loop, "predict": self.predict_loop}  # fmt: skip
        return sum(loops[self._evaluating].loader.limits)


def _listed(callbacks) -> list:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]


def _given(loader):
    return None if loader is None else loader.iterables


def _checked(model, name: str) -> LightningModule:
    if not isinstance(model, LightningModule):
        raise TypeError(f"`Trainer.{name}()` requires a `LightningModule`, got: {type(model).__qualname__}")
    return model


def _profiler(profiler) -> Profiler:
    if profiler is None:
        return PassThroughProfiler()
    if isinstance(profiler, Profiler):
        return profiler
    if profiler == "simple":
        return SimpleProfiler()
    raise MisconfigurationException(
        f"When passing string value for the `profiler` parameter of `Trainer`, it can only be one of ['simple'], got {profiler!r}"
    )
