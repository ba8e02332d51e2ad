"""The Trainer."""

from rushlight.lightning.trainer.trainer import Trainer
from rushlight.lightning.utilities.seed import seed_everything

__all__ = ["Trainer", "seed_everything"]
