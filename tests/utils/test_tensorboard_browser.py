"""TensorBoard shows a real run: opened in a browser without a screen, and looked at."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn, plot
from rushlight.utils.data import DataLoader
from rushlight.vision.datasets import Digits

pytestmark = pytest.mark.browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
    "--virtual-time-budget=20000",
]


def train(folder):
    """Three epochs of digits with the trainer, which logs to TensorBoard."""
    from rushlight import lightning

    class Classifier(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))

        def training_step(self, batch):
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("loss_of_training", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

        def on_train_end(self):
            images, labels = next(iter(DataLoader(Digits(train=False), 16)))
            figure = plot.predictions(images, self.net(images), labels)
            self.logger.experiment.add_figure("guesses", figure, self.global_step)

    torch.manual_seed(0)
    trainer = lightning.Trainer(
        max_epochs=3, logger=lightning.loggers.TensorBoardLogger(folder, name="digits"), log_every_n_steps=1,
        enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Classifier(), DataLoader(Digits(), 64, shuffle=True, drop_last=True))


def serve(folder):
    """TensorBoard on that folder: the process and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--load_fast=false"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}/"
    for _ in range(120):
        try:
            with urllib.request.urlopen(address + "data/runs", timeout=10) as answer:
                if b"digits" in answer.read():
                    return process, address
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.5)
    process.kill()
    raise TimeoutError("TensorBoard did not start")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
def test_tensorboard_shows_a_run(tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    pillow = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    train(tmp_path / "runs")
    process, address = serve(tmp_path / "runs")
    picture = tmp_path / "page.png"
    chromium = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path}/profile"]
    options = {"capture_output": True, "timeout": 120, "check": True}
    try:
        page = subprocess.run([*chromium, "--dump-dom", address + "#timeseries"], **options)
        subprocess.run([*chromium, f"--screenshot={picture}", address + "#scalars"], **options)
    finally:
        process.terminate()
        process.wait(30)
    text = page.stdout.decode()
    assert all(word in text for word in ("loss_of_training", "guesses", "digits/version_0")), text[-2000:]
    pixels = np.asarray(pillow.open(picture).convert("RGB")).astype(int)
    bar = (abs(pixels[:60] - [245, 124, 0]).max(2) < 12).mean()
    assert bar > 0.5, "that is not TensorBoard's page"
    line = (abs(pixels[100:, 320:] - [255, 112, 67]).max(2) < 12).any(0).sum()
    assert line > 100, "there is no curve"  # columns of pixels that the curves of the run pass through
