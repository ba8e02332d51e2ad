"""A run that is killed goes on from its last checkpoint and ends as if it had not been."""

import csv
import os
import random
import signal
import subprocess

import numpy as np
import pytest

import rushlight as torch
from rushlight import lightning as pl
from rushlight.lightning.callbacks import LambdaCallback, ModelCheckpoint
from rushlight.metrics import MeanSquaredError
from rushlight.utils.data import DataLoader, Dataset
from tests.lightning.models import QUIET, Checked, loader
from tests.lightning.runs import assert_same, finish, result, start

SLOW = bool(os.environ.get("RUSHLIGHT_SLOW"))
KILLS = 50 if SLOW else 3


def killed_at_random(folder, whole, duration, kills, rng, workers=0):
    """Run it, killing it that many times; returns how often it really was killed."""
    done = 0
    while done < kills:
        process = start(folder, workers)
        try:
            process.communicate(timeout=rng.uniform(0.3, 1.0) * duration)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            done += 1
        if (folder / "end.pt").exists():  # it was quicker: begin another one
            assert_same(result(folder), result(whole))
            for path in sorted(folder.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
    finish(start(folder, workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_kill(tmp_path, undisturbed, workers):
    whole, duration = undisturbed(workers)
    kills = KILLS if workers == 0 else max(1, KILLS // 5)
    killed_at_random(tmp_path, whole, duration, kills, random.Random(1), workers)
    assert_same(result(tmp_path), result(whole))
    # One too many may be left: a kill can come between a new checkpoint and the removal of the one before.
    lost = {path.name for path in whole.glob("*.ckpt")} - {path.name for path in tmp_path.iterdir()}
    assert not lost


@pytest.mark.filterwarnings("ignore:.*last checkpoint available")
@pytest.mark.parametrize("kind", ["csv", "tensorboard"])
def test_going_on_in_the_same_folder(tmp_path, monkeypatch, kind):
    """Without any folder given, "last" means that of the newest version, and its log goes on."""
    monkeypatch.chdir(tmp_path)
    options = {key: value for key, value in QUIET.items() if key != "enable_checkpointing"}

    def run(stop=None):
        def fail(trainer, module, batch, batch_idx):
            if trainer.global_step == stop:
                raise RuntimeError("stopped")

        pl.seed_everything(1, verbose=False)
        logger = pl.loggers.CSVLogger(".") if kind == "csv" else pl.loggers.TensorBoardLogger(".")
        callbacks = [
            ModelCheckpoint(save_last=True, every_n_train_steps=2),
            LambdaCallback(on_train_batch_start=fail),
        ]
        trainer = pl.Trainer(max_epochs=4, callbacks=callbacks, **{**options, "logger": logger})
        trainer.fit(Checked(), loader(shuffle=True), loader(), ckpt_path="last")
        return trainer

    with pytest.raises(RuntimeError, match="stopped"):
        run(13)
    trainer = run()
    assert os.listdir("lightning_logs") == ["version_0"] and trainer.global_step == 20
    if kind == "csv":
        rows = (tmp_path / "lightning_logs/version_0/metrics.csv").read_text().splitlines()
        assert len(rows) == 1 + 20 + 4 + 4  # steps, validations, epochs
        return
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator("lightning_logs/version_0")
    events.Reload()
    assert [event.step for event in events.Scalars("loss_step")] == list(range(20))


class Augmented(Dataset):
    """Samples with noise from all three streams of the process that loads them."""

    def __len__(self):
        return 12

    def __getitem__(self, i):
        noise = torch.rand(1) + float(np.random.rand()) + random.random()
        return torch.tensor([i / 12]) + noise, torch.tensor([i / 4.0])


class Collecting(Checked):
    """Logs a metric object, and uses a hook of Lightning 1.x that gets the outputs of the whole epoch."""

    def __init__(self):
        super().__init__(lr=0.01)
        self.error = MeanSquaredError()
        self.sums = []

    def training_step(self, batch, batch_idx):
        self.error(self(batch[0]), batch[1])
        self.log("error", self.error, on_step=True, on_epoch=True)
        loss = super().training_step(batch, batch_idx)
        return {"loss": loss, "first": batch[0][0]}

    def training_epoch_end(self, outputs):
        assert len(outputs) == 4
        self.log("first", torch.stack([output["first"] for output in outputs]).sum())


def resumed_everywhere(tmp_path, model, loaders):
    """Train, then go on from every checkpoint that it left; all must end alike."""
    options = {key: value for key, value in QUIET.items() if key not in ("enable_checkpointing", "logger")}

    def run(name, path=None):
        pl.seed_everything(2, verbose=False)
        keep = ModelCheckpoint(tmp_path / name, save_top_k=-1, every_n_train_steps=1)
        at_end = ModelCheckpoint(tmp_path / name, "end-{epoch}", save_top_k=-1, every_n_epochs=1)
        logger = pl.loggers.CSVLogger(tmp_path / name, version=0, flush_logs_every_n_steps=1)
        trainer = pl.Trainer(max_epochs=3, callbacks=[keep, at_end], logger=logger, **options)
        trainer.fit(model(), *loaders(), ckpt_path=path)
        with open(tmp_path / name / "lightning_logs/version_0/metrics.csv", newline="") as file:
            rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
        return {key: p.clone() for key, p in trainer.model.state_dict().items()}, rows

    weights, rows = run("whole")
    files = sorted((tmp_path / "whole").glob("*.ckpt"))
    assert len(files) == 12 + 3
    for path in files[:: 1 if SLOW else 4]:
        own, own_rows = run(path.stem, path)
        assert all(torch.equal(own[key], value) for key, value in weights.items()), path
        assert own_rows and own_rows == rows[-len(own_rows) :], path


@pytest.mark.filterwarnings("ignore:The dirpath has changed", "ignore:.*exists and is not empty")
def test_metric_objects_and_outputs(tmp_path):
    resumed_everywhere(tmp_path, Collecting, lambda: (loader(16, 4, shuffle=True), loader(4)))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.filterwarnings("ignore:The dirpath has changed", "ignore:.*exists and is not empty")
def test_persistent_workers(tmp_path):
    """Their random streams go on over the epochs."""

    def loaders():
        options = {
            "batch_size": 3, "num_workers": 2, "persistent_workers": True, "multiprocessing_context": "fork"
        }  # fmt: skip
        return DataLoader(Augmented(), shuffle=True, **options), DataLoader(Augmented(), **options)

    resumed_everywhere(tmp_path, Checked, loaders)
