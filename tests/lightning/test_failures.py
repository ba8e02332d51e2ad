"""What goes wrong: full disks, folders that can't be written, interruptions, NaN, wrong use."""

import contextlib
import errno
import os
import signal
import subprocess
import sys

import pytest

import rushlight as torch
from rushlight import lightning as pl
from rushlight import nn, serialization
from rushlight.lightning.callbacks import EarlyStopping, ModelCheckpoint
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from tests.lightning.models import QUIET, Line, loader
from tests.lightning.runs import ENVIRONMENT, PROGRAM, assert_same, finish, result, start


def saving(folder, max_epochs=3, **kwargs):
    quiet = {key: value for key, value in QUIET.items() if key != "enable_checkpointing"}
    return pl.Trainer(
        max_epochs=max_epochs, callbacks=[ModelCheckpoint(folder, save_last=True, **kwargs)], **quiet
    )


class FullDisk:
    """A file that takes so many bytes."""

    def __init__(self, stream, room):
        self.stream, self.room = stream, room

    def write(self, data):
        self.room -= len(memoryview(data).cast("B"))
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.stream.write(data)

    def __getattr__(self, name):
        return getattr(self.stream, name)


@pytest.mark.parametrize("room", [0, 3000, 20000])
def test_full_disk(tmp_path, monkeypatch, room):
    saving(tmp_path, every_n_epochs=3).fit(Line(), loader())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    whole = serialization._replacing

    @contextlib.contextmanager
    def full(path):
        with whole(path) as stream:
            yield FullDisk(stream, room)

    monkeypatch.setattr(serialization, "_replacing", full)
    trainer = saving(tmp_path, 4, every_n_epochs=3)
    trainer.fit(Line(), loader(), ckpt_path=str(tmp_path / "last.ckpt"))
    with pytest.raises(OSError, match="disk is full; the file that was there before is whole") as caught:
        trainer.save_checkpoint(tmp_path / "last.ckpt")
    assert caught.value.errno == errno.ENOSPC and str(tmp_path) in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    monkeypatch.undo()
    trainer = saving(tmp_path, 4, every_n_epochs=3)
    trainer.fit(Line(), loader(), ckpt_path=str(tmp_path / "last.ckpt"))
    assert trainer.current_epoch == 4


def test_read_only_folder(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):  # root may write everywhere, so the refusal is played
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    trainer = pl.Trainer(max_epochs=1, **QUIET)
    trainer.fit(Line(), loader())
    monkeypatch.setattr(os, "makedirs", refuse)
    with pytest.raises(PermissionError, match="writing there is not permitted"):
        trainer.save_checkpoint(tmp_path / "folder" / "a.ckpt")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal(tmp_path, undisturbed, number):
    stopped = tmp_path / "stopped"
    code = (
        f"import os, runpy, signal, sys; sys.argv = [{str(PROGRAM)!r}, {str(stopped)!r}]\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "from rushlight import lightning as pl\n"
        "step = pl.Trainer.transfer\n"
        "count = [0]\n"
        "def transfer(self, batch, loader):\n"
        "    count[0] += not self.sanity_checking\n"
        f"    if count[0] == 23: os.kill(os.getpid(), {int(number)})\n"
        "    return step(self, batch, loader)\n"
        "pl.Trainer.transfer = transfer\n"
        f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == (1 if number == signal.SIGINT else 128 + number), done.stderr
    assert "Traceback" not in done.stderr.replace("KeyboardInterrupt", "") or number == signal.SIGTERM
    assert (stopped / "last.ckpt").exists() and not (stopped / "end.pt").exists()
    finish(start(stopped))
    assert_same(result(stopped), result(undisturbed()[0]))


def test_interruption_without_signal():
    class Stopping(pl.Callback):
        seen = None

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            raise KeyboardInterrupt

        def on_exception(self, trainer, pl_module, exception):
            self.seen = exception

    callback = Stopping()
    trainer = pl.Trainer(max_epochs=1, callbacks=[callback], **QUIET)
    with pytest.raises(SystemExit):
        trainer.fit(Line(), loader())
    assert trainer.interrupted and isinstance(callback.seen, KeyboardInterrupt)


def test_first_layer_with_nan():
    class Bad(Line):
        def __init__(self):
            super().__init__()
            self.deep = nn.Sequential(nn.Linear(1, 1), nn.Identity())

        def training_step(self, batch, batch_idx):
            x = self.deep(batch[0])
            if batch_idx == 2:
                with torch.no_grad():
                    self.deep[0].bias.fill_(float("nan"))
            return (self.layer(x) - batch[1]).square().mean()

    trainer = pl.Trainer(max_epochs=1, detect_anomaly=True, **QUIET)
    with pytest.raises(RuntimeError, match=r"layer 'deep.0' \(Linear\), epoch 0, batch 3. Its bias"):
        trainer.fit(Bad(), loader())

    class Loss(Line):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx) / 0

    with pytest.raises(RuntimeError, match="arose in the loss itself"):
        pl.Trainer(max_epochs=1, detect_anomaly=True, **QUIET).fit(Loss(), loader())


def returning(value):
    model = Line()
    model.training_step = lambda batch, batch_idx: value
    return model


def logging(*args, **kwargs):
    class Logging(Line):
        def training_step(self, batch, batch_idx):
            self.log(*args, **kwargs)
            return super().training_step(batch, batch_idx)

    return Logging()


def fit(model, *data, **kwargs):
    return pl.Trainer(max_epochs=1, **{**QUIET, **kwargs}).fit(model, *data)


WRONG = [
    (lambda: pl.Trainer(accelerator="nope"), ValueError, "Available names are: auto, cpu"),
    (lambda: pl.Trainer(devices=2), MisconfigurationException, "one process"),
    (lambda: pl.Trainer(strategy="nope"), ValueError, "strategy"),
    (lambda: pl.Trainer(val_check_interval=1.5), MisconfigurationException, "val_check_interval"),
    (lambda: pl.Trainer(fast_dev_run=-1), MisconfigurationException, "fast_dev_run=-1"),
    (lambda: pl.Trainer(barebones=True, logger=True), ValueError, "barebones mode"),
    (lambda: pl.Trainer(callbacks=[EarlyStopping("a"), EarlyStopping("a")]), RuntimeError, "more than one stateful callback"),
    (lambda: pl.Trainer(limit_train_batches=1.5), MisconfigurationException, "limit_train_batches"),
    (lambda: pl.Trainer(max_epochs=-2), MisconfigurationException, "max_epochs"),
    (lambda: pl.Trainer(gradient_clip_algorithm="x"), MisconfigurationException, "gradient_clip_algorithm"),
    (lambda: pl.Trainer(gradient_clip_val="x"), TypeError, "gradient_clip_val"),
    (lambda: pl.Trainer(precision="8"), ValueError, "Precision"),
    (lambda: pl.Trainer(max_time="x"), MisconfigurationException, "DD:HH:MM:SS"),
    (lambda: pl.Trainer(nonsense=1), TypeError, "nonsense"),
    (lambda: pl.Trainer(enable_checkpointing=False, callbacks=[ModelCheckpoint()]), MisconfigurationException, "ModelCheckpoint"),
    (lambda: pl.Trainer(**QUIET).save_checkpoint("x"), AttributeError, "model is attached"),
    (lambda: ModelCheckpoint(save_top_k=3), MisconfigurationException, "save_top_k=3"),
    (lambda: ModelCheckpoint(every_n_epochs=1, every_n_train_steps=1), MisconfigurationException, "mutually exclusive"),
    (lambda: EarlyStopping("x", mode="y"), MisconfigurationException, "mode"),
    (lambda: Line().trainer, RuntimeError, "not attached"),
    (lambda: fit(nn.Linear(1, 1), loader()), TypeError, "LightningModule"),
    (lambda: fit(pl.LightningModule(), loader()), MisconfigurationException, "training_step"),
    (lambda: fit(Line()), MisconfigurationException, "train_dataloader"),
    (lambda: fit(Line(), 3), TypeError, "iterate"),
    (lambda: pl.Trainer(**QUIET).test(Line(), loader()), MisconfigurationException, "test_step"),
    (lambda: pl.Trainer(**QUIET).fit(Line(), loader(), ckpt_path="nope.ckpt"), FileNotFoundError, "nope.ckpt"),
    (lambda: fit(returning("x"), loader()), MisconfigurationException, "must return a Tensor"),
    (lambda: fit(returning({"a": 1}), loader()), MisconfigurationException, "'loss' key"),
    (lambda: fit(logging("x", torch.ones(3)), loader()), ValueError, "single element"),
    (lambda: fit(logging("x", None), loader()), ValueError, "cannot be logged"),
    (lambda: fit(logging("x", "y"), loader()), ValueError, "cannot be logged"),
    (lambda: fit(logging("x", 1.0, on_step=False, on_epoch=False), loader()), MisconfigurationException, "not useful"),
    (lambda: fit(logging("x", 1.0, reduce_fx="median"), loader()), MisconfigurationException, "min,max,mean,sum"),
    (lambda: fit(Line(), loader(), callbacks=[EarlyStopping("nope")]), RuntimeError, "`nope` which is not available"),
]  # fmt: skip


@pytest.mark.parametrize(
    "asked", [{"accelerator": "gpu", "devices": 2}, {"accelerator": "cuda"}, {"gpus": 1}]
)
def test_without_a_gpu(asked):
    """Scripts that ask for a GPU run on the CPU, and say so."""
    model = Line()
    with pytest.warns(UserWarning, match="there is only the CPU here"):
        trainer = pl.Trainer(max_epochs=1, **QUIET, **asked)
    trainer.fit(model, loader())
    assert trainer.global_step == 5 and model.device.type == "cpu" and trainer.num_devices == 1


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_wrong_use(number):
    wrong, error, text = WRONG[number]
    with pytest.raises(error, match=text):
        wrong()
