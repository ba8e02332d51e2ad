"""The other commands, and how they are found."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rushlight import cli
from rushlight.cli.check import findings
from tests.cli import data

ROOT = Path(__file__).parents[2]


def run(*arguments, status=0):
    assert cli.main([str(a) for a in arguments]) == status


def process(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "rushlight", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_which_is_run(tmp_path):
    (tmp_path / "info").write_text("import torch, sys\nprint(torch.__spec__.name, sys.argv)")
    told = process(tmp_path, "info").stdout
    assert "kernels" in told
    assert process(tmp_path, "run", "-m", "torch.utils.collect_env").stdout.startswith(
        told.partition("memory")[0]
    )
    for arguments in (["./info", "a"], ["run", "info", "a"]):
        assert process(tmp_path, *arguments).stdout == f"rushlight {[arguments[-2], 'a']}\n"
    said = process(tmp_path, "--help").stdout
    assert "python -m rushlight train DATA" in said and all(f"    {name}" in said for name in cli.COMMANDS)
    assert "is the command 'train' meant?" in process(tmp_path, "trian", "x").stderr
    done = process(tmp_path, "--nonsense")
    assert (
        done.returncode == 2 and done.stderr == "rushlight: unknown argument --nonsense (rushlight --help)\n"
    )
    done = process(tmp_path, "train", "none.csv")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout
    (tmp_path / "s.py").write_text("import torch\ntorch.nope")
    done = process(tmp_path, "--check", "s.py")
    assert done.returncode == 1 and done.stdout == "s.py:2: torch.nope is not in Rushlight\n"


def test_summary(capsys):
    run("summary", "lenet5", "--classes", 10, "--depth", 1)
    assert "61,706" in capsys.readouterr().out
    run("summary", "mlp", "--input-size", 4, "--hidden", 8, "--classes", 3)
    assert "67" in capsys.readouterr().out
    run("summary", "--list")
    assert "resnet18" in capsys.readouterr().out.split()
    run("summary", "lenet", status=2)
    assert "is lenet5" in capsys.readouterr().err


def test_lr_find(tmp_path, capsys):
    flowers = data.flowers(tmp_path / "flowers.csv")
    common = ["--target", "kind", "--batch-size", 16]
    run("lr-find", flowers, *common, "--steps", 40, "--out", tmp_path / "out")
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()] == ["steepest", "valley", "minimum/10"]
    assert sorted(os.listdir(tmp_path / "out")) == ["lr-find.csv", "lr-find.png"]
    run("lr-find", flowers, *common, "--min-lr", 1, "--max-lr", 0.1, status=2)
    assert "--min-lr: less than" in capsys.readouterr().err


def test_tune(tmp_path, capsys):
    pytest.importorskip("optuna")
    flowers, out = data.flowers(tmp_path / "flowers.csv"), tmp_path / "out"
    common = [
        "tune",
        flowers,
        "--target",
        "kind",
        "--epochs",
        2,
        "--batch-size",
        16,
        "--monitor",
        "val_accuracy",
    ]
    space = ["--space", "lr=1e-3..1e-1:log", "--space", "hidden=8/16,8", "--space", "optimizer=sgd,adam"]
    run(*common, *space, "--trials", 2, "--out", out, "--no-plots")
    assert "Best val_accuracy" in capsys.readouterr().out
    run(*common, *space, "--trials", 3, "--out", out, status=2)
    assert "--resume goes on" in capsys.readouterr().err
    run(*common, *space, "--trials", 3, "--out", out, "--resume")
    with open(out / "trials.csv") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["number"] for row in rows) == ["0", "1", "2"] and "hidden" in rows[0]
    assert len({row["lr"] for row in rows}) == 3
    run("train", "--config", out / "best.json", "--out", tmp_path / "run", "--no-plots", "--progress", "none")
    capsys.readouterr()
    run(*common, "--space", "hidden=8", "--space", "features=length/width,colour/none", "--method", "grid", "--out",
        tmp_path / "failed", "--no-plots")  # fmt: skip
    assert "failed: " in capsys.readouterr().out  # one trial, not the search
    with open(tmp_path / "failed/trials.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["complete", "complete", "fail"] and "no column 'none'" in rows[
        2
    ]["error"]
    run(*common, "--space", "features=none", "--method", "grid", "--out", tmp_path / "all", status=2)
    assert "no trial was completed: " in capsys.readouterr().err
    run(*common, "--space", "lr=1,2", "--space", "lr=3", status=2)
    assert "lr is given twice" in capsys.readouterr().err
    run(*common, "--space", "lr=1..2", "--method", "grid", status=2)
    assert "--space lr: a grid needs a list" in capsys.readouterr().err
    for wrong, text in (("rate=1..2", "no setting 'rate'"), ("lr=2..1", "low must not be above"), ("lr", "NAME=LOW..HIGH"),
                        ("lr=0..1", "--space lr: more than 0"), ("model=a..b", "a list of values")):  # fmt: skip
        run(*common, "--space", wrong, "--out", tmp_path / "wrong", status=2)
        assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    "source, expected",
    [
        ("import torch\ntorch.nope(1)", ["torch.nope"]),
        ("import torch as t\nt.nn.Nope; t.ones(1).nope()", ["torch.nn.Nope"]),
        ("import torch.nn as nn\nclass A(nn.Module):\n    x = nn.Nope", ["torch.nn.Nope"]),
        ("from torch import nn as n, nope\nn.Linear.nope", ["torch.nope", "torch.nn.Linear.nope"]),
        ("from torch.nn.functional import relu, nope as r\nr(1)", ["torch.nn.functional.nope"]),
        ("import torch.nope.deep", ["torch.nope.deep"]),
        ("import torch\nF = torch.nn.functional\nF.nope(F.relu)", ["torch.nn.functional.nope"]),
        ("import torch.nn.functional as F\ndef f(F):\n    F.nope\nF.nope", ["torch.nn.functional.nope"]),
        ("import torch\ngetattr(torch, 'nope'); getattr(torch, 'nope', None)", ["torch.nope"]),
        ("import torch\nx = [torch.nope for torch in ()]\nfor torch in (): torch.nope", []),
        ("import torchvision.transforms as T\nT.Compose([T.Nope])", ["torchvision.transforms.Nope"]),
        ("import pytorch_lightning as pl\npl.Trainer, pl.Nope", ["pytorch_lightning.Nope"]),
        ("from lightning.pytorch.callbacks import EarlyStopping, Nope", ["lightning.pytorch.callbacks.Nope"]),
        ("from torch.nn import *\nLinear(1, 2)", []),
        ("def f(x: 'int', y: int) -> int: return x\nimport numpy as torch\ntorch.nope", []),
        ("import torchaudio", ["torchaudio"]),
        ("import torch\nlib = torch.library.Library('mine', 'DEF')\ntorch.ops.mine.sin, torch.ops.others.sin", ["torch.ops.others.sin"]),
        ("from torch import library, ops\n@library.custom_op('mine::sin', mutates_args=())\ndef f(): ops.mine.sin", []),
        ("def f():\n    import torch\n    return torch.nope\ntorch.other", ["torch.nope"]),
    ],
)  # fmt: skip
def test_check_finds(source, expected):
    assert [f.name for f in findings(source)] == expected


def test_check_knows_what_is_caught(tmp_path, capsys):
    source = (
        "import torch\ntry:\n    from torch import nope\nexcept ImportError:\n    nope = None\n"
        "if hasattr(torch, 'other'):\n    torch.other()\n"
    )
    assert [(f.line, f.optional) for f in findings(source)] == [(3, True), (7, True)]
    (tmp_path / "a.py").write_text(source)
    run("check", tmp_path)
    captured = capsys.readouterr()
    assert "the script may do without" in captured.out and captured.err == "1 file: 0 names missing\n"
    (tmp_path / "b.py").write_text("def f(:")
    run("check", tmp_path / "b.py", status=2)
    assert "b.py:1: invalid syntax" in capsys.readouterr().err
    run("check", tmp_path / "c.py", status=2)
    assert "c.py: no such file" in capsys.readouterr().err
