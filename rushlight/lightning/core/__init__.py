"""LightningModule and LightningDataModule."""

from rushlight.lightning.core.datamodule import LightningDataModule
from rushlight.lightning.core.module import LightningModule

__all__ = ["LightningDataModule", "LightningModule"]
