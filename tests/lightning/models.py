"""Small models and loaders of the tests."""

import rushlight as torch
from rushlight import lightning as pl
from rushlight import nn
from rushlight.utils.data import DataLoader, TensorDataset

QUIET = {
    "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
    "log_every_n_steps": 1,
}  # fmt: skip


class Line(pl.LightningModule):
    """A straight line."""

    def __init__(self, lr=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.layer = nn.Linear(1, 1)

    def forward(self, x):
        return self.layer(x)

    def training_step(self, batch, batch_idx):
        loss = nn.functional.mse_loss(self(batch[0]), batch[1])
        self.log("loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


class Checked(Line):
    """With validation, testing and prediction."""

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        self.log("val_loss", nn.functional.mse_loss(self(batch[0]), batch[1]))

    def test_step(self, batch, batch_idx, dataloader_idx=0):
        self.log("sum", batch[0].sum(), reduce_fx="sum")

    def predict_step(self, batch, batch_idx):
        return self(batch[0])


def loader(n=20, batch_size=4, **kwargs):
    """Points of y = 3 x + 1."""
    x = torch.linspace(-1, 1, n)[:, None]
    return DataLoader(TensorDataset(x, 3 * x + 1), batch_size, **kwargs)
