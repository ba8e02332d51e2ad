"""What the Trainer says about itself: where the run is, its metrics, its loaders."""

import signal

from rushlight.lightning.callbacks import EarlyStopping, ModelCheckpoint, ProgressBar
from rushlight.lightning.trainer import data
from rushlight.lightning.trainer.states import RunningStage, TrainerStatus
from rushlight.lightning.utilities.rank_zero import rank_zero_info


class Facts:
    """The part of the Trainer that only answers questions."""

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
    scaler = property(lambda self: None, doc="None: losses need no scaling in bfloat16.")
    distributed_sampler_kwargs = property(
        lambda self: getattr(self.strategy, "distributed_sampler_kwargs", None),
        doc="Arguments of a DistributedSampler; None without one.",
    )
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
    num_sanity_val_batches = property(
        lambda self: [min(self.num_sanity_val_steps, count) for count in self.fit_loop.val_loop.max_batches],
        doc="Batches of each validation loader in the check before training.",
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
        if self.max_epochs == -1:
            return data.INFINITE if self.max_steps == -1 else self.max_steps
        if self.fit_loop.loader is None:
            rank_zero_info("Loading `train_dataloader` to estimate number of stepping batches.")
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


def _given(loader):
    return None if loader is None else loader.iterables
