"""The base of callbacks: a hook for every moment of a run."""

LOOK_EVERY = 0.1  # seconds between two calls of what is marked `seldom`


def seldom(method):
    """Marks an `on_train_batch_end` that is enough to be called every `LOOK_EVERY` seconds and after an epoch's last batch."""
    method.seldom = True
    return method


def only_if(attribute: str):
    """Marks a hook that has nothing to do unless that attribute of its callback is true."""

    def mark(method):
        method.only_if = attribute
        return method

    return mark


class Callback:
    """Does something at moments of a run, besides the model. A subclass defines the hooks that it needs."""

    saves = False  # whether it saves checkpoints, and so comes after all others

    @property
    def state_key(self) -> str:
        """Under which name its state is in checkpoints."""
        return type(self).__qualname__

    def _generate_state_key(self, **kwargs) -> str:
        """A name with the arguments that tell several of a kind apart."""
        return f"{type(self).__qualname__}{kwargs!r}"

    def state_dict(self) -> dict:
        """What goes into checkpoints."""
        return {}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take back what `state_dict` gave."""

    def on_save_checkpoint(self, trainer, pl_module, checkpoint: dict) -> None:
        """Put something into a checkpoint."""

    def on_load_checkpoint(self, trainer, pl_module, checkpoint: dict) -> None:
        """Take something from a checkpoint."""

    def setup(self, trainer, pl_module, stage: str) -> None:
        """A run begins: "fit", "validate", "test" or "predict"."""

    def teardown(self, trainer, pl_module, stage: str) -> None:
        """It has ended."""

    def on_exception(self, trainer, pl_module, exception: BaseException) -> None:
        """It ended with an exception."""

    def on_fit_start(self, trainer, pl_module) -> None:
        """Fitting begins."""

    def on_fit_end(self, trainer, pl_module) -> None:
        """Fitting has ended."""

    def on_sanity_check_start(self, trainer, pl_module) -> None:
        """Some batches of validation, before training."""

    def on_sanity_check_end(self, trainer, pl_module) -> None:
        """They are done."""

    def on_train_start(self, trainer, pl_module) -> None:
        """Training begins."""

    def on_train_end(self, trainer, pl_module) -> None:
        """Training has ended."""

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        """An epoch begins."""

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        """An epoch has ended."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx: int) -> None:
        """Before a batch."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        """After a batch."""

    def on_validation_start(self, trainer, pl_module) -> None:
        """Validation begins."""

    def on_validation_end(self, trainer, pl_module) -> None:
        """Validation has ended."""

    def on_validation_epoch_start(self, trainer, pl_module) -> None:
        """Validation begins."""

    def on_validation_epoch_end(self, trainer, pl_module) -> None:
        """All batches of a validation are done."""

    def on_validation_batch_start(
        self, trainer, pl_module, batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Before a batch."""

    def on_validation_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """After a batch."""

    def on_test_start(self, trainer, pl_module) -> None:
        """Testing begins."""

    def on_test_end(self, trainer, pl_module) -> None:
        """Testing has ended."""

    def on_test_epoch_start(self, trainer, pl_module) -> None:
        """Testing begins."""

    def on_test_epoch_end(self, trainer, pl_module) -> None:
        """All batches of a test are done."""

    def on_test_batch_start(self, trainer, pl_module, batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Before a batch."""

    def on_test_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """After a batch."""

    def on_predict_start(self, trainer, pl_module) -> None:
        """Prediction begins."""

    def on_predict_end(self, trainer, pl_module) -> None:
        """Prediction has ended."""

    def on_predict_epoch_start(self, trainer, pl_module) -> None:
        """Prediction begins."""

    def on_predict_epoch_end(self, trainer, pl_module) -> None:
        """All batches of a prediction are done."""

    def on_predict_batch_start(
        self, trainer, pl_module, batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Before a batch."""

    def on_predict_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """After a batch."""

    def on_before_zero_grad(self, trainer, pl_module, optimizer) -> None:
        """Before gradients are cleared."""

    def on_before_backward(self, trainer, pl_module, loss) -> None:
        """Before the gradients of a loss are computed."""

    def on_after_backward(self, trainer, pl_module) -> None:
        """Gradients are there."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        """Gradients are there and have not been clipped yet."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_") or name in ("setup", "teardown"))
