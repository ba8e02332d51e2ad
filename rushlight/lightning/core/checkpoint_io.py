"""How checkpoints are written: plugins of the Trainer."""

import os

from rushlight.lightning.core.saving import read_checkpoint, write_checkpoint


class CheckpointIO:
    """How checkpoints are written, read and removed; a subclass defines the three methods."""

    def save_checkpoint(self, checkpoint: dict, path, storage_options=None) -> None:
        """Write a checkpoint."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method save_checkpoint(checkpoint, path, storage_options)"
        )

    def load_checkpoint(self, path, map_location=None, weights_only: bool | None = None) -> dict:
        """Read one."""
        raise NotImplementedError(f"{type(self).__name__} needs a method load_checkpoint(path, map_location)")

    def remove_checkpoint(self, path) -> None:
        """Remove one."""
        raise NotImplementedError(f"{type(self).__name__} needs a method remove_checkpoint(path)")

    def teardown(self) -> None:
        """The run has ended."""


class TorchCheckpointIO(CheckpointIO):
    """Checkpoints as `torch.save` writes them; a file is whole, or it isn't there."""

    def save_checkpoint(self, checkpoint: dict, path, storage_options=None) -> None:
        """Write a checkpoint."""
        write_checkpoint(checkpoint, path)

    def load_checkpoint(self, path, map_location=None, weights_only: bool | None = None) -> dict:
        """Read one."""
        return read_checkpoint(path, map_location, weights_only)

    def remove_checkpoint(self, path) -> None:
        """Remove one, if it is there."""
        if os.path.lexists(path):
            os.remove(path)
