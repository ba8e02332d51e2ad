"""Saving a checkpoint when a run fails."""

import os

from rushlight.lightning.callbacks.checkpoint import Checkpoint


class OnExceptionCheckpoint(Checkpoint):
    """Save a checkpoint when a run fails.

    Args:
        dirpath: the folder.
        filename: the name, without ".ckpt".
    Raises:
        ValueError: no name.
    """

    FILE_EXTENSION = ".ckpt"

    def __init__(self, dirpath, filename: str = "on_exception"):
        if not filename:
            raise ValueError("The filename cannot be empty")
        self.dirpath, self.filename = dirpath, filename

    @property
    def ckpt_path(self) -> str:
        """The file."""
        return os.path.join(self.dirpath, self.filename + self.FILE_EXTENSION)

    def on_exception(self, trainer, pl_module, exception: BaseException) -> None:
        """Save."""
        trainer.save_checkpoint(self.ckpt_path)
