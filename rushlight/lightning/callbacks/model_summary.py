"""Printing the table of layers before training."""

from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.utilities.model_summary import summarize
from rushlight.lightning.utilities.rank_zero import rank_zero_info


class ModelSummary(Callback):
    """Print the table of a model's layers when fitting begins.

    Args:
        max_depth: how deep to look; 0 for nothing, -1 for everything.
    """

    def __init__(self, max_depth: int = 1):
        self._max_depth = max_depth

    def on_fit_start(self, trainer, pl_module) -> None:
        """Print it."""
        if self._max_depth:
            rank_zero_info("\n" + str(summarize(pl_module, self._max_depth)))
