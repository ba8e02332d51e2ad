"""A run that is killed goes on from its last checkpoint and ends as if it had not been."""

import os
import random
import signal
import subprocess

import pytest

from rushlight import lightning as pl
from rushlight.lightning.callbacks import LambdaCallback, ModelCheckpoint
from tests.lightning.models import QUIET, Checked, loader
from tests.lightning.runs import assert_same, finish, result, start

KILLS = 50 if os.environ.get("RUSHLIGHT_SLOW") else 3


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
