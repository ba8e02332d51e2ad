"""LightningCLI, where jsonargparse is installed; what is said where it isn't."""

import sys

import pytest

import rushlight as torch
from rushlight import lightning as pl
from rushlight.lightning import cli
from rushlight.lightning.demos.boring_classes import BoringDataModule, BoringModel


class Model(BoringModel):
    def __init__(self, width: int = 3, rate: float = 0.1):
        super().__init__()
        self.save_hyperparameters()

    def training_step(self, batch, batch_idx):
        loss = self.step(batch)
        self.log("loss", loss)
        return loss


QUIET = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false", "--trainer.limit_train_batches=2",
         "--trainer.limit_val_batches=1", "--trainer.max_epochs=1", "--trainer.log_every_n_steps=1"]  # fmt: skip


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Makes a CLI of arguments, in a folder of its own."""
    pytest.importorskip("jsonargparse")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["script.py"])
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # methods that older releases need

    def make(*arguments, **options):
        return cli.LightningCLI(Model, BoringDataModule, args=[*arguments, *QUIET], **options)

    return make


@pytest.mark.filterwarnings("ignore:.*will be overridden by")
def test_fit(made, tmp_path):
    done = made(
        "fit", "--model.rate=0.5", "--seed_everything=3", "--trainer.logger=CSVLogger", "--trainer.logger.save_dir=.",
        "--trainer.callbacks+=LearningRateMonitor", "--optimizer=Adam", "--optimizer.lr=0.01", "--lr_scheduler=StepLR",
        "--lr_scheduler.step_size=1",
    )  # fmt: skip
    assert done.trainer.global_step == 2 and done.config.fit.seed_everything == 3
    assert isinstance(done.trainer.optimizers[0], torch.optim.Adam)
    assert done.model.hparams.rate == 0.5 and "lr-Adam" in done.trainer.callback_metrics
    folder = tmp_path / "lightning_logs" / "version_0"
    assert (folder / "config.yaml").read_text().startswith("# lightning.pytorch==2.")
    loaded = Model.load_from_checkpoint(done.trainer.checkpoint_callback.best_model_path)
    assert loaded.hparams.rate == 0.5


def test_without_running(made):
    done = made(
        run=False,
        trainer_defaults={"max_epochs": 7, "callbacks": pl.callbacks.Timer()},
        seed_everything_default=5,
    )
    assert done.trainer.max_epochs == 1  # asked for
    assert any(isinstance(c, pl.callbacks.Timer) for c in done.trainer.callbacks)
    assert any(isinstance(c, cli.SaveConfigCallback) for c in done.trainer.callbacks)
    assert done.model.hparams.width == 3 and isinstance(done.datamodule, BoringDataModule)


def test_old_arguments_are_no_options(made, capsys):
    with pytest.raises(SystemExit):
        made("fit", "--trainer.gpus=1")
    assert "gpus" in capsys.readouterr().err


def test_absent(monkeypatch):
    monkeypatch.setattr(cli, "jsonargparse", None)
    with pytest.raises(ModuleNotFoundError, match="pip install 'jsonargparse"):
        cli.LightningArgumentParser()
