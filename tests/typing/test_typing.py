"""The public surface is typed: a program on it passes mypy, and runs."""

import pathlib
import subprocess
import sys

import pytest

import rushlight
from tests.typing import program

ROOT = pathlib.Path(__file__).parents[2]


def test_program_runs() -> None:
    x = rushlight.eye(2)
    assert rushlight.equal(program.arithmetic(x, x), 2 * x)
    assert program.train(3) < program.train(1)


def test_program_passes_mypy() -> None:
    pytest.importorskip("mypy")
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
