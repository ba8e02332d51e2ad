"""Adding up gradients over a number of batches that changes with the epoch."""

from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.utilities.exceptions import MisconfigurationException


class GradientAccumulationScheduler(Callback):
    """Change how many batches are accumulated.

    Args:
        scheduling: {epoch: number of batches}, from that epoch on.
    Raises:
        TypeError: an empty dictionary. MisconfigurationException: keys or values that are no such integers.

    >>> GradientAccumulationScheduler({0: 8, 4: 4}).get_accumulate_grad_batches(5)
    4
    """

    def __init__(self, scheduling: dict[int, int]):
        if not scheduling:
            raise TypeError("Empty dict cannot be interpreted correct")
        for epoch, factor in scheduling.items():
            if not isinstance(epoch, int) or epoch < 0:
                raise MisconfigurationException(
                    f"Epoch should be an int greater than or equal to 0. Got {epoch}."
                )
            if not isinstance(factor, int) or factor < 1:
                raise MisconfigurationException(
                    f"Accumulation factor should be an int greater than 0. Got {factor}."
                )
        self.scheduling = {0: 1, **scheduling}
        self.epochs = sorted(self.scheduling)

    def get_accumulate_grad_batches(self, epoch: int) -> int:
        """The number of batches in an epoch."""
        return self.scheduling[max(start for start in self.epochs if start <= epoch)]

    def on_train_start(self, trainer, pl_module) -> None:
        """Check that it can work.

        Raises:
            RuntimeError: optimization is manual. ValueError: the Trainer has a number of its own.
        """
        if not pl_module.automatic_optimization:
            raise RuntimeError(
                "Automatic gradient accumulation and the `GradientAccumulationScheduler` is not supported for manual "
                "optimization. Please remove the callback or switch to automatic optimization."
            )
        if trainer._given_accumulation != 1:
            raise ValueError(
                "You have set `accumulate_grad_batches` and are using the `GradientAccumulationScheduler` callback. Either "
                "remove `accumulate_grad_batches` from the Trainer or the callback."
            )

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        """Set it."""
        trainer.accumulate_grad_batches = self.get_accumulate_grad_batches(trainer.current_epoch)

    def on_load_checkpoint(self, trainer, pl_module, checkpoint: dict) -> None:
        """Set it, for a run that goes on within an epoch."""
        trainer.accumulate_grad_batches = self.get_accumulate_grad_batches(checkpoint["epoch"])
