"""The hooks of a LightningModule: methods that do nothing until a model defines them."""

from rushlight.lightning.utilities.memory import move_data_to_device


class ModelHooks:
    """Moments of a run. A model defines those that it needs; the others cost nothing."""

    def on_fit_start(self) -> None:
        """Fitting begins."""

    def on_fit_end(self) -> None:
        """Fitting has ended."""

    def on_train_start(self) -> None:
        """Training begins, after the sanity check."""

    def on_train_end(self) -> None:
        """Training has ended."""

    def on_validation_start(self) -> None:
        """Validation begins."""

    def on_validation_end(self) -> None:
        """Validation has ended."""

    def on_test_start(self) -> None:
        """Testing begins."""

    def on_test_end(self) -> None:
        """Testing has ended."""

    def on_predict_start(self) -> None:
        """Prediction begins."""

    def on_predict_end(self) -> None:
        """Prediction has ended."""

    def on_train_batch_start(self, batch, batch_idx: int):
        """Before a batch; -1 skips the rest of the epoch."""

    def on_train_batch_end(self, outputs, batch, batch_idx: int) -> None:
        """After a batch; `outputs` holds the loss and what else `training_step` returned."""

    def on_validation_batch_start(self, batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Before a batch."""

    def on_validation_batch_end(self, outputs, batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """After a batch."""

    def on_test_batch_start(self, batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Before a batch."""

    def on_test_batch_end(self, outputs, batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """After a batch."""

    def on_predict_batch_start(self, batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Before a batch."""

    def on_predict_batch_end(self, outputs, batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """After a batch."""

    def on_validation_model_zero_grad(self) -> None:
        """Gradients are cleared before a validation within an epoch."""
        self.zero_grad()

    def on_validation_model_eval(self) -> None:
        """The model goes into evaluation mode."""
        self.eval()

    def on_validation_model_train(self) -> None:
        """The model goes back; by default every layer into the mode that it was in."""
        self.trainer._restore_modes()

    def on_test_model_eval(self) -> None:
        """The model goes into evaluation mode."""
        self.eval()

    def on_test_model_train(self) -> None:
        """The model goes back; by default every layer into the mode that it was in."""
        self.trainer._restore_modes()

    def on_predict_model_eval(self) -> None:
        """The model goes into evaluation mode."""
        self.eval()

    def on_train_epoch_start(self) -> None:
        """An epoch begins."""

    def on_train_epoch_end(self) -> None:
        """An epoch has ended; what is logged here belongs to the whole epoch."""

    def on_validation_epoch_start(self) -> None:
        """A validation begins."""

    def on_validation_epoch_end(self) -> None:
        """All batches of a validation are done."""

    def on_test_epoch_start(self) -> None:
        """A test begins."""

    def on_test_epoch_end(self) -> None:
        """All batches of a test are done."""

    def on_predict_epoch_start(self) -> None:
        """Prediction begins."""

    def on_predict_epoch_end(self) -> None:
        """All batches of a prediction are done."""

    def on_before_zero_grad(self, optimizer) -> None:
        """Before gradients are cleared."""

    def on_before_backward(self, loss) -> None:
        """Before the gradients of a loss are computed."""

    def on_after_backward(self) -> None:
        """Gradients are there."""

    def on_before_optimizer_step(self, optimizer) -> None:
        """Gradients are there and have not been clipped yet."""

    def configure_model(self) -> None:
        """Make layers late; called at the start of every run, so it should do it once."""


class DataHooks:
    """Where batches come from and what happens to them on the way."""

    def prepare_data(self) -> None:
        """Download and prepare, once; keep nothing on `self`."""

    def setup(self, stage: str) -> None:
        """Called before fit, validate, test and predict, with that word."""

    def teardown(self, stage: str) -> None:
        """Called after fit, validate, test and predict."""

    def train_dataloader(self):
        """The loader, or loaders in lists and dictionaries, of training."""
        raise _missing("train_dataloader", "fit")

    def val_dataloader(self):
        """The loader or loaders of validation."""
        raise _missing("val_dataloader", "validate")

    def test_dataloader(self):
        """The loader or loaders of testing."""
        raise _missing("test_dataloader", "test")

    def predict_dataloader(self):
        """The loader or loaders of prediction."""
        raise _missing("predict_dataloader", "predict")

    def transfer_batch_to_device(self, batch, device, dataloader_idx: int):
        """A batch on the device."""
        return move_data_to_device(batch, device)

    def on_before_batch_transfer(self, batch, dataloader_idx: int):
        """Change a batch before it goes to the device."""
        return batch

    def on_after_batch_transfer(self, batch, dataloader_idx: int):
        """Change a batch on the device."""
        return batch


class CheckpointHooks:
    """What else goes into a checkpoint."""

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Take from a checkpoint what `on_save_checkpoint` put there, before the weights are loaded."""

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        """Put something into a checkpoint."""


def _missing(name: str, method: str) -> Exception:
    from rushlight.lightning.utilities.exceptions import MisconfigurationException

    return MisconfigurationException(
        f"`{name}` must be implemented to be used with the Lightning Trainer: define it in the model or its "
        f"datamodule, or give loaders to `Trainer.{method}`"
    )
