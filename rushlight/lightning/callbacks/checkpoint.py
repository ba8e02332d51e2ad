"""The base of callbacks that save checkpoints."""

from rushlight.lightning.callbacks.callback import Callback


class Checkpoint(Callback):
    """A callback that saves checkpoints; it comes after all others."""

    saves = True
