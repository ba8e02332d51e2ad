"""Writing predictions while they are made."""

from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.utils.data import DataLoader, SequentialSampler

_INTERVALS = ("batch", "epoch", "batch_and_epoch")


class BasePredictionWriter(Callback):
    """Base class: a subclass writes predictions in `write_on_batch_end`, `write_on_epoch_end`, or both.

    Args:
        write_interval: "batch", "epoch" or "batch_and_epoch": which of them are called.
    Raises:
        MisconfigurationException: another interval.
    """

    def __init__(self, write_interval: str = "batch"):
        if write_interval not in _INTERVALS:
            raise MisconfigurationException(
                f"`write_interval` should be one of {list(_INTERVALS)}, got {write_interval!r}"
            )
        self.interval = write_interval

    def write_on_batch_end(
        self, trainer, pl_module, prediction, batch_indices, batch, batch_idx: int, dataloader_idx: int
    ) -> None:
        """Write what was predicted for a batch.

        Args:
            prediction: what `predict_step` returned.
            batch_indices: the numbers of its samples, where the loader's sampler is known to be in order; else None.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method write_on_batch_end")

    def write_on_epoch_end(self, trainer, pl_module, predictions, batch_indices) -> None:
        """Write everything: `predictions` is what `Trainer.predict` returns."""
        raise NotImplementedError(f"{type(self).__name__} needs a method write_on_epoch_end")

    def on_predict_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Write, if it is asked for."""
        if self.interval != "epoch":
            indices = batch_indices(trainer.predict_loop.loader.flattened[dataloader_idx], batch_idx)
            self.write_on_batch_end(trainer, pl_module, outputs, indices, batch, batch_idx, dataloader_idx)

    def on_predict_epoch_end(self, trainer, pl_module) -> None:
        """Write, if it is asked for."""
        if self.interval != "batch":
            loop = trainer.predict_loop
            indices = [
                [batch_indices(loader, number) for number in range(len(made))]
                for loader, made in zip(loop.loader.flattened, loop.predictions, strict=True)
            ]
            self.write_on_epoch_end(trainer, pl_module, loop.predictions, indices)


def batch_indices(loader, number: int) -> list | None:
    """The numbers of the samples in a batch of a loader that goes through its data in order; None for others."""
    if (
        not isinstance(loader, DataLoader)
        or not isinstance(loader.sampler, SequentialSampler)
        or not loader.batch_size
    ):
        return None
    first = number * loader.batch_size
    return list(range(first, min(first + loader.batch_size, len(loader.dataset))))
