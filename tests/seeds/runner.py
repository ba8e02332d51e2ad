"""Run the programs and print, as JSON, what each printed: under PyTorch (`python runner.py`) or under Rushlight
(`python -m rushlight runner.py`). Imported names say which one it is: the programs import torch."""

import contextlib
import io
import json
import os
import pathlib
import random
import sys
import tempfile
import time
import traceback
import warnings

import matplotlib

matplotlib.use("Agg")
sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import numpy as np
from PIL import Image

COMMON = """
import os, sys, math, pickle, time
from collections import OrderedDict
from itertools import product
import numpy as np
from PIL import Image
import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.autograd import Variable
from torch.utils.data import DataLoader, Dataset, random_split
import torchvision
from torchvision import datasets, transforms
"""


def write_digits(folder: pathlib.Path, train: int = 320, test: int = 100) -> None:
    """Files like those of MNIST: each class a bright square in a place of its own, with noise."""
    rng = np.random.default_rng(0)
    (folder / "MNIST/raw").mkdir(parents=True)
    for part, count in (("train", train), ("t10k", test)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = rng.integers(0, 120, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            row, column = 2 + 13 * (label // 5), 1 + 5 * (label % 5)
            image[row : row + 10, column : column + 5] += 100
        head = np.array([2051, count, 28, 28], ">i4").tobytes()
        (folder / f"MNIST/raw/{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = np.array([2049, count], ">i4").tobytes()
        (folder / f"MNIST/raw/{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())


def write_pictures(folder: pathlib.Path, each: int = 12) -> None:
    """A folder of small coloured PNG pictures for each of ten classes."""
    rng = np.random.default_rng(1)
    names = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    for name in names:
        (folder / name).mkdir(parents=True)
        colour = rng.integers(0, 200, 3)
        for i in range(each):
            pixels = (colour + rng.integers(0, 56, (32, 32, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i + 1:04}.png")


def stub_torchvision() -> None:
    """torchvision's Python part imports although its compiled part cannot be loaded."""
    import torch

    if torch.__spec__.name == "torch":
        from tests.vision.datasets_oracle import torchvision

        torchvision()


def run(source: str, folder: pathlib.Path) -> dict:
    """What the program printed, whether it drew random numbers, how long it took, and its error if any."""
    import matplotlib.pyplot as plt
    import torch

    os.chdir(folder)
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    torch.set_printoptions(precision=7)
    before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    printed, error, start = io.StringIO(), None, time.perf_counter()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(compile(COMMON + source, "program", "exec"), {"__name__": "__main__"})
        except Exception:
            error = traceback.format_exc(limit=-3)
    after = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    drew = not torch.equal(before[0], after[0]) or before[1:] != after[1:]
    plt.close("all")
    return {
        "printed": printed.getvalue(),
        "error": error,
        "random": drew,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    """Run what the standard input names: a JSON object of programs by name."""
    warnings.simplefilter("ignore")
    programs = json.load(sys.stdin)
    stub_torchvision()
    here = pathlib.Path.cwd()
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_digits(folder / "data")
        write_pictures(folder / "cifar10")
        for key, source in programs.items():
            results[key] = run(source, folder)
        os.chdir(here)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
