"""Where LightningModule was in Lightning 1.x."""

from rushlight.lightning.core.module import LightningModule

__all__ = ["LightningModule"]
