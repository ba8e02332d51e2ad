"""One call of fit, validate, test or predict, from beginning to end."""

import contextlib
import copy
import signal

import rushlight as torch
from rushlight.lightning.core.hooks import DataHooks
from rushlight.lightning.core.module import is_overridden
from rushlight.lightning.core.optimizer import LightningOptimizer, check_schedulers, understand
from rushlight.lightning.trainer import checkpoint
from rushlight.lightning.trainer.calls import HookCaller, fitted
from rushlight.lightning.trainer.precision import Anomalies
from rushlight.lightning.trainer.signals import StopSignals
from rushlight.lightning.trainer.states import RunningStage, TrainerFn, TrainerStatus
from rushlight.lightning.utilities.exceptions import MisconfigurationException, SIGTERMException
from rushlight.lightning.utilities.parsing import accepts
from rushlight.lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from rushlight.lightning.utilities.seed import isolate_rng

_STAGES = {"val": RunningStage.VALIDATING, "test": RunningStage.TESTING, "predict": RunningStage.PREDICTING}


class Runs(HookCaller):
    """The part of the Trainer that carries out what was asked for."""

    def _run(self, fn: TrainerFn, ckpt_path, model_given: bool, weights_only):
        module, fitting = self.lightning_module, fn is TrainerFn.FITTING
        self._attach_callbacks(module)
        self._forget_hooks()
        self._check_methods(fn)
        self.profiler._lightning_module = module
        self.profiler.setup(fn.value, log_dir=self.log_dir)
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
        for logger in self.loggers:
            getattr(
                logger, "experiment", None
            )  # made now: hooks may ask for its folder, and it is there if all fails
        self._call_stage("setup", fn)
        with self.precision_plugin.default_type():
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
        if loaded:
            what = "Restored all states" if fitting else "Loaded model weights"
            rank_zero_info(f"{what} from the checkpoint at {self.ckpt_path}")
        result = self._run_stage(fn, restored)
        if fitting:
            self.call("on_fit_end")
        self._results = None  # it is too late to log
        self._call_stage("teardown", fn)
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
            if not module.automatic_optimization:
                self._check_manual()
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

    def _check_manual(self) -> None:
        for what, option, unasked in (
            ("clipping", "gradient_clip_val", (None, 0)), ("accumulation", "accumulate_grad_batches", (1,))
        ):  # fmt: skip
            value = getattr(self, option)
            if value not in unasked:
                raise MisconfigurationException(
                    f"Automatic gradient {what} is not supported for manual optimization. Remove "
                    f"`Trainer({option}={value})` or switch to automatic optimization."
                )

    def _attach_callbacks(self, module) -> None:
        """Add the model's own callbacks; they replace those of the same kind."""
        added = listed(module.configure_callbacks())
        kinds = {type(callback) for callback in added}
        self.callbacks = [c for c in self.callbacks if type(c) not in kinds or c in added]
        self.callbacks += [c for c in added if c not in self.callbacks]
        for callback in self.callbacks:  # which may log like the model
            callback.log, callback.log_dict = module.log, module.log_dict
        self._order_callbacks()

    def _call_stage(self, name: str, stage: TrainerFn) -> None:
        if self.datamodule is not None:
            self._ask_stage(self.datamodule, name, stage)
        for callback in self.callbacks:
            getattr(callback, name)(self, self.lightning_module, stage)
        self._ask_stage(self.lightning_module, name, stage)

    def _ask_stage(self, owner, name: str, stage: TrainerFn) -> None:
        fitted(getattr(owner, name), 1)(stage)

    def _configure_optimizers(self) -> None:
        module = self.lightning_module
        configuration = self._ask(module, "configure_optimizers")
        self.optimizers, self.lr_scheduler_configs = understand(configuration, module.automatic_optimization)
        check_schedulers(
            self.lr_scheduler_configs, module.automatic_optimization and not self.own["lr_scheduler_step"]
        )
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
                own = owner.hparams_initial
                differ = [
                    key for key, value in own.items() if key in hparams and not _same(hparams[key], value)
                ]
                if differ:
                    raise RuntimeError(
                        f"Error while merging hparams: the keys {differ} are present in both the LightningModule's and "
                        "LightningDataModule's hparams but have different values."
                    )
                hparams.update(own)
        for logger in self.loggers:
            if hparams:
                logger.log_hyperparams(copy.copy(hparams))
            logger.log_graph(self.lightning_module)
            logger.save()

    @contextlib.contextmanager
    def _stage(self, kind: str, sanity: bool):
        """The stage of an evaluation, for the time that it runs."""
        before = self.state.stage
        self.state.stage = RunningStage.SANITY_CHECKING if sanity else _STAGES[kind]
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

    @property
    def changes_batches(self) -> bool:
        """Whether `transfer` has anything to do."""
        if self._transfers is None:
            self._transfers = list(self._transfer_hooks())
        return bool(self._transfers) or self.precision_plugin.dtype is not None

    def transfer(self, batch, loader: int):
        """A batch as the model gets it: in the right type, after the model's or datamodule's own changes."""
        if not self.changes_batches:
            return batch
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


def runs_validation(trainer) -> bool:
    """Whether there is something to validate with."""
    step = is_overridden("validation_step", trainer.lightning_module)
    return step and trainer._source.defined("val") and trainer.limit_val_batches != 0


def _same(a, b) -> bool:
    try:
        return a is b or bool(a == b)
    except (RuntimeError, ValueError):  # tensors, arrays
        return False


def listed(callbacks) -> list:
    """Callbacks as a list: None, one, or several."""
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
