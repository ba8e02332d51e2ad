"""A run that draws random numbers everywhere, logs and saves often: what the tests of resuming start, kill and compare.

python program.py FOLDER [workers]
"""

import random
import sys
import warnings

import numpy as np

import rushlight as torch
from rushlight import lightning as pl
from rushlight import nn
from rushlight.lightning.callbacks import EarlyStopping, ModelCheckpoint
from rushlight.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    """Samples with noise from all three streams."""

    def __len__(self):
        return 40

    def __getitem__(self, i):
        noise = torch.rand(3) + float(np.random.rand()) + random.random()
        return torch.linspace(0, 1, 3) * i / 40 + 0.1 * noise, torch.tensor([i / 40])


class Model(pl.LightningModule):
    def __init__(self, hidden=8):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Linear(3, hidden), nn.BatchNorm1d(hidden), nn.Dropout(0.3), nn.Linear(hidden, 1)
        )
        self.register_buffer("seen", torch.zeros(()))

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = nn.functional.mse_loss(self.net(x), y) * (1 + 0.01 * random.random())
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.seen += 1  # in a hook that comes after the callbacks'

    def on_train_epoch_end(self):
        self.log("seen", self.seen.item())

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_loss", nn.functional.mse_loss(self.net(x), y))

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        steps = torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.9)
        return [optimizer], [
            {"scheduler": plateau, "monitor": "val_loss"},
            {"scheduler": steps, "interval": "step"},
        ]


def main(folder: str, workers: int = 0) -> None:
    warnings.simplefilter("ignore")
    pl.seed_everything(3, workers=True, verbose=False)
    options = {"num_workers": workers, "batch_size": 4}
    if workers:
        options["multiprocessing_context"] = "fork"
    train = DataLoader(Noisy(), shuffle=True, **options)
    val = DataLoader(Noisy(), **options)
    keep_last = ModelCheckpoint(folder, save_last=True, every_n_train_steps=1, monitor="loss", save_top_k=2)
    best = ModelCheckpoint(folder, filename="best-{epoch}-{val_loss:.4f}", monitor="val_loss")
    trainer = pl.Trainer(
        max_epochs=4, callbacks=[keep_last, best, EarlyStopping("val_loss", patience=50)], accumulate_grad_batches=2,
        logger=pl.loggers.CSVLogger(folder, name="logs", version=0, flush_logs_every_n_steps=3), log_every_n_steps=1,
        val_check_interval=0.5, enable_progress_bar=False, enable_model_summary=False, gradient_clip_val=0.5,
    )  # fmt: skip
    trainer.fit(Model(), train, val, ckpt_path="last")
    torch.save(
        [trainer.model.state_dict(), torch.rand(2), random.random(), trainer.global_step], f"{folder}/end.pt"
    )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
