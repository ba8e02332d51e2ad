"""Finding learning rates and batch sizes."""

from rushlight.lightning.tuner.tuning import Tuner

__all__ = ["Tuner"]
