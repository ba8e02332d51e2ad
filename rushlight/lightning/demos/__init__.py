"""Small models and data to try the trainer with, under Lightning's names."""

from rushlight.lightning.demos.boring_classes import BoringDataModule, BoringModel, DemoModel
from rushlight.lightning.demos.lstm import LightningLSTM, SequenceSampler, SimpleLSTM
from rushlight.lightning.demos.transformer import LightningTransformer, Transformer, WikiText2

__all__ = [
    "BoringDataModule", "BoringModel", "DemoModel", "LightningLSTM", "LightningTransformer", "SequenceSampler", "SimpleLSTM",
    "Transformer", "WikiText2",
]  # fmt: skip
