"""A run that is killed goes on from its last checkpoint and ends as if it had not been."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import rushlight as torch

PROGRAM = Path(__file__).with_name("program.py")
KILLS = 50 if os.environ.get("RUSHLIGHT_SLOW") else 3


def start(folder, workers=0):
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[2]), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, str(PROGRAM), str(folder), str(workers)]
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process):
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output.decode()


def result(folder):
    end = torch.load(folder / "end.pt")
    return end, (folder / "logs/version_0/metrics.csv").read_text()


def assert_same(a, b):
    (end_a, log_a), (end_b, log_b) = a, b
    for key, value in end_a[0].items():
        assert torch.equal(value, end_b[0][key]), key
    assert torch.equal(end_a[1], end_b[1]) and end_a[2:] == end_b[2:]
    assert log_a == log_b


def killed_at_random(folder, duration, kills, rng, workers=0):
    """Run it, killing it that many times; returns how often it really was killed."""
    done = 0
    while done < kills:
        process = start(folder, workers)
        try:
            process.wait(rng.uniform(0.3, 1.0) * duration)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            done += 1
        if (folder / "end.pt").exists():  # it was quicker: begin another one
            assert_same(result(folder), result(folder.parent / "whole"))
            for path in sorted(folder.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
    finish(start(folder, workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_kill(tmp_path, workers):
    whole = tmp_path / "whole"
    whole.mkdir()
    began = time.monotonic()
    finish(start(whole, workers))
    duration = time.monotonic() - began
    killed = tmp_path / "killed"
    killed.mkdir()
    killed_at_random(
        killed, duration, KILLS if workers == 0 else max(1, KILLS // 5), random.Random(1), workers
    )
    assert_same(result(killed), result(whole))
    leftovers = {p.name for p in killed.iterdir()} ^ {p.name for p in whole.iterdir()}
    assert not [name for name in leftovers if name.endswith(".ckpt")], leftovers
