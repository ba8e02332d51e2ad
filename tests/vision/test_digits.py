"""The digits that come with the package, and the demo on them."""

import pathlib
import subprocess
import sys

import pytest

import rushlight
from rushlight.vision.datasets import Digits

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def test_digits():
    train, test = Digits(), Digits(train=False)
    assert (len(train), len(test)) == (1438, 359)
    assert train.data.dtype is rushlight.uint8
    assert train.targets.unique().tolist() == list(range(10))
    image, label = train[3]
    assert image.shape == (1, 8, 8)
    assert 0 <= image.min() <= image.max() <= 1
    assert label == train.targets[3]
    changed = Digits(transform=lambda x: x * 2, target_transform=lambda y: y + 10)
    assert rushlight.equal(changed[3][0], image * 2)
    assert changed[3][1] == label + 10


def test_demo(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("tqdm")
    command = [sys.executable, str(EXAMPLES / "digits.py"), "--out", str(tmp_path), "--epochs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "359 held-out digits" in done.stdout
    assert float(done.stdout.split("digits: ")[1].split("%")[0]) > 80
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")
    assert set(rushlight.load(tmp_path / "lenet5_digits.pt")) >= {"features.0.weight", "classifier.5.bias"}
