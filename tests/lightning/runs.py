"""Starting `program.py` and comparing what it left."""

import os
import subprocess
import sys
from pathlib import Path

import rushlight as torch

PROGRAM = Path(__file__).with_name("program.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[2]), "OMP_NUM_THREADS": "1"}


def start(folder, workers=0):
    arguments = [sys.executable, str(PROGRAM), str(folder), str(workers)]
    return subprocess.Popen(arguments, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


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
