"""A classifier of CIFAR-10 on the trainer, with the names of PyTorch Lightning.

    python examples/lightning_cifar10.py --data DATA        CIFAR-10; without, noise in ten colours (synthetic)

Trains with early stopping, keeps the best checkpoint and reports its accuracy on the test set.
"""

from itertools import pairwise

import numpy as np
from common import options

import rushlight as torch
import rushlight.lightning as pl
from rushlight import nn
from rushlight.lightning.callbacks import EarlyStopping, ModelCheckpoint
from rushlight.lightning.loggers import CSVLogger
from rushlight.nn import functional as F
from rushlight.utils.data import DataLoader, TensorDataset, random_split
from rushlight.vision import datasets


class CIFAR10DataModule(pl.LightningDataModule):
    """Training, validation and test pictures."""

    def __init__(self, data, count: int, batch_size: int):
        super().__init__()
        self.data, self.count, self.batch_size = data, count, batch_size

    def read(self, train: bool) -> TensorDataset:
        """Normalised pictures and labels."""
        if self.data is None:
            labels = torch.arange(self.count) % 10
            colours = torch.linspace(0, 1, 30).view(10, 3)[:, :, None, None]
            return TensorDataset(colours[labels] + 0.3 * torch.randn(self.count, 3, 32, 32), labels)
        part = {"batches": (1,)} if train else {}
        found = datasets.CIFAR10(self.data, train=train, **part)
        x = torch.from_numpy(np.asarray(found.data)).permute(0, 3, 1, 2).float() / 255
        x = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
        limit = self.count if train else None
        return TensorDataset(x[:limit].contiguous(), torch.tensor(found.targets[:limit]))

    def setup(self, stage: str | None = None) -> None:
        """Split once."""
        whole = self.read(train=True)
        self.parts = random_split(whole, [0.8, 0.2])
        self.test = self.read(train=False)

    def train_dataloader(self):
        """Shuffled."""
        return DataLoader(self.parts[0], self.batch_size, shuffle=True)

    def val_dataloader(self):
        """A fifth of the training pictures."""
        return DataLoader(self.parts[1], 500)

    def test_dataloader(self):
        """The test set."""
        return DataLoader(self.test, 500)


class Classifier(pl.LightningModule):
    """Three convolutions and a linear layer."""

    def __init__(self, hparams: dict):
        super().__init__()
        self.save_hyperparameters(hparams)
        widths = [3, 16, 32, 64]
        layers = [
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
            for a, b in pairwise(widths)
        ]
        self.model = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(1024, 10))

    def forward(self, x):
        """Scores (N, 10)."""
        return self.model(x)

    def step(self, batch, name: str):
        """The loss; logs it, and the accuracy."""
        x, y = batch
        out = self(x)
        loss = F.cross_entropy(out, y)
        figures = {f"{name}_loss": loss, f"{name}_acc": (out.argmax(1) == y).float().mean()}
        self.log_dict(figures, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(y))
        return loss

    def training_step(self, batch, batch_idx):
        """One batch of training pictures."""
        return self.step(batch, "train")

    def validation_step(self, batch, batch_idx):
        """One batch of validation pictures."""
        self.step(batch, "val")

    def test_step(self, batch, batch_idx):
        """One batch of test pictures."""
        self.step(batch, "test")

    def configure_optimizers(self):
        """Adam, whose rate falls to nothing."""
        optimizer = torch.optim.Adam(self.parameters(), self.hparams["learning_rate"], weight_decay=1e-4)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.trainer.max_epochs)]


def main() -> None:
    """Fit, test the best."""
    quick = {"epochs": 1, "pictures": 200}
    args = options(__doc__, quick, epochs=8, pictures=10_000, learning_rate=2e-3, batch=64)
    data = CIFAR10DataModule(args.data, args.pictures, args.batch)
    best = ModelCheckpoint(dirpath=args.out / "cifar10", monitor="val_acc", mode="max")
    trainer = pl.Trainer(
        max_epochs=args.epochs, logger=CSVLogger(args.out, "cifar10_log"),
        callbacks=[best, EarlyStopping("val_loss", patience=4)],
        enable_model_summary=False, enable_progress_bar=not args.quick, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(Classifier({"learning_rate": args.learning_rate}), data)
    (figures,) = trainer.test(ckpt_path="best", datamodule=data, verbose=False)
    print(
        f"{figures['test_acc']:.2%} of {len(data.test)} test pictures of "
        f"{'CIFAR-10' if args.data else 'synthetic colours'}, {trainer.current_epoch} epochs on {args.pictures}"
    )


if __name__ == "__main__":
    main()
