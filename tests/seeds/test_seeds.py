"""Programs from course notes print the same under PyTorch and here."""

import json
import pathlib
import re
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from tests.seeds import programs_lightning, programs_networks, programs_numpy, programs_tensors

ROOT = pathlib.Path(__file__).parents[2]
RUNNER = ROOT / "tests/seeds/runner.py"
PROGRAMS = (
    programs_tensors.PROGRAMS
    | programs_networks.PROGRAMS
    | programs_numpy.PROGRAMS
    | programs_lightning.PROGRAMS
)
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\bnan\b|\binf\b)", re.IGNORECASE)


def run(arguments: list[str], programs: dict[str, str]) -> dict:
    """What the programs print under one framework."""
    process = subprocess.run(
        [sys.executable, *arguments, str(RUNNER)],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def ours():
    return run(["-m", "rushlight"], PROGRAMS)


@pytest.fixture(scope="module")
def theirs():
    if not (find_spec("torch") and find_spec("torchvision")):
        pytest.skip("PyTorch and torchvision are not installed")
    return run([], PROGRAMS | programs_lightning.PLAIN)


def difference(here: str, there: str) -> str:
    """Where two outputs differ by more than 2e-3 of a number; empty where they agree."""
    for a, b in zip(here.splitlines(), there.splitlines(), strict=False):
        words = [re.sub(r"\s+", "", NUMBER.sub("#", line)) for line in (a, b)]
        numbers = [np.array([float(n) for n in NUMBER.findall(line)]) for line in (a, b)]
        if words[0] != words[1] or not np.allclose(*numbers, rtol=2e-3, atol=1e-5, equal_nan=True):
            return f"{a}\ninstead of\n{b}"
    lengths = len(here.splitlines()), len(there.splitlines())
    return "" if lengths[0] == lengths[1] else f"{lengths[0]} lines instead of {lengths[1]}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_runs_here(ours, name):
    assert ours[name]["error"] is None, ours[name]["error"]
    assert ours[name]["printed"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_prints_what_it_prints_under_pytorch(ours, theirs, name):
    assert theirs[name]["error"] is None, "the program itself is wrong: " + theirs[name]["error"]
    assert not difference(ours[name]["printed"], theirs[name]["printed"])
    assert ours[name]["random"] == theirs[name]["random"]
