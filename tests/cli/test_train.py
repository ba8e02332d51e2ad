"""`rushlight train`, `predict`, `evaluate`: on all kinds of data, resumed, and with mistakes."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import rushlight as torch
from rushlight import cli
from tests.cli import data

ROOT = Path(__file__).parents[2]
pytest.importorskip("PIL")


def run(*arguments, status=0):
    assert cli.main([str(a) for a in arguments]) == status


def train_briefly(given, out, *options):
    """One epoch, which says and draws nothing."""
    run("train", given, *options, "--epochs", 1, "--no-plots", "--progress", "none", "--out", out)


def read(path):
    return list(csv.reader(Path(path).read_text().splitlines()))


def line_of(capsys, *arguments, status=2):
    """The one line that a mistake gives."""
    run(*arguments, status=status)
    captured = capsys.readouterr()
    assert captured.err.startswith("rushlight: ") and captured.err.count("\n") == 1, captured.err
    return captured.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli")
    data.flowers(path / "flowers.csv")
    data.houses(path / "houses.csv")
    data.pictures(path / "pictures")
    data.idx(path / "idx")
    return path


def test_classes_of_a_table(folder, tmp_path, capsys):
    out = tmp_path / "run"
    run("train", folder / "flowers.csv", "--target", "kind", "--epochs", 12, "--lr", 0.02, "--batch-size", 16,
        "--balance", "weights", "--schedule", "cosine", "--out", out)  # fmt: skip
    said = capsys.readouterr().out
    assert "3 classes" in said and "columns length, width, colour." in said  # not the notes
    results = json.loads((out / "results.json").read_text())
    assert results["best"]["val_accuracy"] > 0.9 and results["epochs"] == 12
    config = json.loads((out / "config.json").read_text())
    assert config["lr"] == 0.02 and config["model"] == "mlp" and config["seed"] == 0
    names = {
        "config.json",
        "data.json",
        "metrics.csv",
        "results.json",
        "weights.pt",
        "curves.png",
        "confusion.png",
    }
    assert names <= set(os.listdir(out)) and {"best.ckpt", "last.ckpt"} <= set(
        os.listdir(out / "checkpoints")
    )

    run("evaluate", out, "--out", tmp_path / "figures")
    said = capsys.readouterr().out
    assert "accuracy" in said and "1 lily" in said
    figures = json.loads((tmp_path / "figures/evaluation.json").read_text())
    assert figures["accuracy"] == pytest.approx(results["validation"]["accuracy"])

    run("predict", out, folder / "flowers.csv", "--top", 2, "--out", tmp_path / "said.csv")
    rows = read(tmp_path / "said.csv")
    assert rows[0] == ["row", "class", "probability", "class2", "probability2"] and len(rows) == 91
    expected = [row[-1] for row in read(folder / "flowers.csv")[1:]]
    assert sum(a[1] == b for a, b in zip(rows[1:], expected, strict=True)) > 85

    run("train", "--config", out / "config.json", "--out", tmp_path / "again", "--progress", "none")
    a, b = torch.load(out / "weights.pt"), torch.load(tmp_path / "again/weights.pt")
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_numbers_of_a_table(folder, tmp_path, capsys):
    (tmp_path / "c.json").write_text(
        json.dumps({"data": str(folder / "houses.csv"), "target": "price", "lr": 5})
    )
    out = tmp_path / "run"
    run("train", "--config", tmp_path / "c.json", "--lr", 0.02, "--epochs", 25, "--batch-size", 16, "--hidden", "32",
        "--optimizer", "adamw", "--loss", "huber", "--out", out, "--progress", "none")  # fmt: skip
    results = json.loads((out / "results.json").read_text())
    assert results["validation"]["r2"] > 0.9
    rows = read(folder / "houses.csv")
    data.write_rows(
        tmp_path / "new.csv", [["town", "rooms", "area"], *[[r[2], r[1], r[0]] for r in rows[1:4]]]
    )
    capsys.readouterr()
    run("predict", out, tmp_path / "new.csv")
    found = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert found[0] == ["row", "price"]
    assert all(abs(float(f[1]) - float(r[3])) < 50000 for f, r in zip(found[1:], rows[1:4], strict=True))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML needs tomli there")
def test_toml(folder, tmp_path):
    (tmp_path / "c.toml").write_text(
        f'data = "{folder}/flowers.csv"\ntarget = "kind"\nfeatures = ["length"]\nhidden = [8]\nepochs = 1\nplots = false\n'
    )
    run("train", "--config", tmp_path / "c.toml", "--out", tmp_path / "run")
    described = json.loads((tmp_path / "run/data.json").read_text())
    assert [column["name"] for column in described["columns"]] == ["length"]
    assert not (tmp_path / "run/curves.png").exists()


def test_idx_files_and_old_weights(folder, tmp_path, capsys):
    common = ["--batch-size", 16, "--seed", 3, "--no-plots", "--progress", "plain"]
    run(
        "train",
        folder / "idx",
        "--epochs",
        3,
        "--lr",
        0.01,
        "--augment",
        "shift",
        *common,
        "--out",
        tmp_path / "a",
    )
    assert "lenet5" in capsys.readouterr().out
    results = json.loads((tmp_path / "a/results.json").read_text())
    assert results["best"]["val_accuracy"] == 1.0
    run("evaluate", tmp_path / "a", "--split", "test")
    assert "samples   20" in capsys.readouterr().out
    run("train", folder / "idx", "--epochs", 1, "--weights", tmp_path / "a/weights.pt", "--freeze", "features", *common,
        "--out", tmp_path / "b")  # fmt: skip
    a, b = torch.load(tmp_path / "a/weights.pt"), torch.load(tmp_path / "b/weights.pt")
    assert torch.equal(a["features.0.weight"], b["features.0.weight"])
    assert not torch.equal(a["classifier.1.weight"], b["classifier.1.weight"])
    assert "10 of 10 entries loaded" in capsys.readouterr().out


@pytest.mark.parametrize("augment", ["flip", "crop", "zoom", "auto"])
def test_folders_of_pictures(folder, tmp_path, augment, capsys):
    out = tmp_path / "run"
    run("train", folder / "pictures", "--model", "lenet5", "--image-size", 28, "--epochs", 2, "--batch-size", 8, "--balance",
        "sampling", "--augment", augment, "--no-plots", "--progress", "none", "--out", out)  # fmt: skip
    run("predict", out, folder / "pictures/dark", folder / "pictures/light/3.png")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "file,class,probability" and len(lines) == 14


def test_parts_in_folders(tmp_path, capsys):
    for part, count in (("train", 6), ("val", 3), ("test", 2)):
        data.pictures(tmp_path / "data" / part, count)
    out = tmp_path / "run"
    run(
        "train",
        tmp_path / "data",
        "--model",
        "mlp",
        "--channels",
        1,
        "--epochs",
        1,
        "--no-plots",
        "--out",
        out,
    )
    assert "12 samples, validating on 6" in capsys.readouterr().out
    run("evaluate", out, "--split", "test")
    assert "samples   4" in capsys.readouterr().out
    run("evaluate", out, tmp_path / "data/val")
    assert "samples   6" in capsys.readouterr().out


@pytest.mark.parametrize(
    "delimiter, given", [(",", "auto"), (";", "auto"), ("\t", "auto"), ("\t", "\\t"), ("|", "|")]
)
def test_kinds_of_csv(folder, tmp_path, delimiter, given):
    """Other delimiters, a byte order mark, quotes, names with spaces around."""
    rows = read(folder / "flowers.csv")
    rows[0] = [f" {name} " for name in rows[0]]
    with open(tmp_path / "a.csv", "w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    train_briefly(tmp_path / "a.csv", tmp_path / "run", "--target", "kind", "--delimiter", given)
    described = json.loads((tmp_path / "run/data.json").read_text())
    assert [c["name"] for c in described["columns"]] == ["length", "width", "colour"]
    assert described["left_out"] == ["note"]


def test_no_names_of_columns(folder, tmp_path, capsys):
    rows = read(folder / "houses.csv")
    data.write_rows(tmp_path / "all.csv", rows[1:])
    data.write_rows(tmp_path / "new.csv", [row[:-1] for row in rows[1:]])
    out = tmp_path / "run"
    assert "--columns names them" in line_of(capsys, "train", tmp_path / "all.csv", "--target", "price")
    train_briefly(tmp_path / "all.csv", out, "--columns", "area,rooms,town,price", "--target", "price")
    run("predict", out, tmp_path / "all.csv")
    said = capsys.readouterr().out
    run("predict", out, tmp_path / "new.csv")
    assert capsys.readouterr().out == said and said.count("\n") == len(rows)


def test_gaps_in_new_rows_are_told(folder, tmp_path, capsys):
    out = tmp_path / "run"
    train_briefly(folder / "houses.csv", out, "--target", "price")
    data.write_rows(tmp_path / "new.csv", [["area", "rooms", "town"], ["", 2, "A"], [50, 2, "A"]])
    assert "1 of 2 rows lack values" in line_of(capsys, "predict", out, tmp_path / "new.csv", status=0)


def test_pictures_of_other_sizes(folder, tmp_path, capsys):
    """A model of 28 x 28 digits takes other pictures too."""
    out = tmp_path / "run"
    train_briefly(folder / "idx", out, "--limit-train", 20)
    run("predict", out, folder / "pictures/dark", "--top", 2)
    assert capsys.readouterr().out.count("\n") == 13
    data.pictures(tmp_path / "new", 2, ("0", "1"), size=40)
    run("evaluate", out, tmp_path / "new")
    assert "samples   4" in capsys.readouterr().out


def test_wrong_data(folder, tmp_path, capsys):
    assert "nowhere: no such file or folder" in line_of(capsys, "train", tmp_path / "nowhere")
    flowers, houses = folder / "flowers.csv", folder / "houses.csv"
    assert "--target, one of area, rooms" in line_of(capsys, "train", houses)
    assert "there is no column 'prise'; it has area" in line_of(capsys, "train", houses, "--target", "prise")
    assert "no column 'x'" in line_of(capsys, "train", houses, "--target", "price", "--features", "area,x")
    rows = read(houses)
    rows[3][0] = "big"
    bad = data.write_rows(tmp_path / "bad.csv", rows)
    assert "bad.csv: column 'area' holds 'big' (row 3)" in line_of(capsys, "train", bad, "--target", "price")
    rows[3][0] = ""
    gap = data.write_rows(tmp_path / "gap.csv", rows)
    assert "column 'area' has no value in row 3" in line_of(capsys, "train", gap, "--target", "price")
    for missing in ("mean", "drop"):
        train_briefly(gap, tmp_path / missing, "--target", "price", "--missing", missing)
    capsys.readouterr()
    texts = {
        "one": ["a,price", "1,7", "2,7", "3,7"],
        "twice": ["a,a,price", "1,2,3"],
        "commas": ["a,price", '"1,5",2', '"2,25",3', '"3,0",4'],
        "ids": ["id,price", "p,1.5", "q,2", "r,3", "s,4", "t,5"],
        "none": [],
    }
    for name, lines in texts.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    (tmp_path / "latin.csv").write_text("Höhe,price\n1,2\n", encoding="latin-1")
    for name, expected in (("one", "'price' has one value only"), ("twice", "two are 'a'"), ("commas", "write 1.5"),
                           ("ids", "the texts of id differ from row to row"), ("none", "it is empty"),
                           ("latin", "no text in UTF-8")):  # fmt: skip
        assert expected in line_of(capsys, "train", tmp_path / f"{name}.csv", "--target", "price")
    assert "for pictures; tables have mlp" in line_of(
        capsys, "train", flowers, "--target", "kind", "--model", "resnet18"
    )
    pictures = tmp_path / "pictures"
    data.pictures(pictures, 4)
    (pictures / "nothing").mkdir()
    assert "Found no valid file for the classes nothing" in line_of(capsys, "train", pictures)
    (pictures / "nothing").rmdir()
    (pictures / "dark/bad.png").write_bytes(b"no picture")
    assert "bad.png: this picture cannot be read" in line_of(capsys, "train", pictures)
    whole = (pictures / "dark/0.png").read_bytes()
    (pictures / "dark/bad.png").write_bytes(whole[: len(whole) // 2])
    for workers in (0, 1):
        said = line_of(capsys, "train", pictures, "--model", "mlp", "--image-size", 20, "--workers", workers, "--no-plots",
                       "--progress", "none", "--out", tmp_path / f"w{workers}")  # fmt: skip
        assert "bad.png: this picture is damaged" in said


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["--lr", "0"], "--lr: more than 0 expected, got 0"),
        (["--lr", "inf"], "--lr: a number expected, got inf"),
        (["--lr", "much"], "--lr: a number expected, got 'much'"),
        (["--epochs", "1.5"], "--epochs: a whole number expected, got '1.5'"),
        (["--optimizer", "best"], "--optimizer: one of sgd, adam"),
        (["--val-split", "2"], "--val-split: at most 0.9 expected"),
        (["--model", "mlpp"], "there is no classifier 'mlpp'; is mlp"),
        (["--monitor", "val_beauty"], "--monitor: one of val_loss, val_accuracy"),
        (["--freeze", "head"], "--freeze: freeze: no parameter is named 'head'"),
        (["--weights", "none.pt"], "--weights"),
        (["--unknown", "1"], "unknown argument --unknown (rushlight train --help)"),
        (["--modle", "mlp"], "unknown argument --modle; is --model meant?"),
        (["--weights", __file__], "--weights"),
        (["--delimiter", "ab"], "--delimiter: one character expected, got 'ab'"),
        (["--augment", "flip"], "are for pictures"),
        (["--resume", "none"], "there is no run"),
    ],
)
def test_wrong_flags(folder, tmp_path, capsys, arguments, text):
    said = line_of(
        capsys, "train", folder / "flowers.csv", "--target", "kind", "--out", tmp_path / "o", *arguments
    )
    assert text in said


def test_wrong_configs_and_commands(folder, tmp_path, capsys):
    for text, expected in (
        ('{"epoch": 3}', "there is no setting 'epoch'; is 'epochs' meant?"),
        ('{"epochs": "many"}', "epochs: a whole number expected, got 'many'"),
        ('{"plots": 1}', "plots: true or false expected, got 1"),
        ("{", "c.json: "),
        ('{"training": {"lr": 1}}', "under no heading"),
    ):
        (tmp_path / "c.json").write_text(text)
        assert expected in line_of(capsys, "train", "--config", tmp_path / "c.json")
    assert "DATA is missing" in line_of(capsys, "train")
    assert "there is no run" in line_of(capsys, "evaluate", tmp_path)
    assert "there is no run" in line_of(capsys, "predict", tmp_path, "x.csv")


PROGRAM = """
import os, signal, sys
from rushlight import cli
from rushlight.cli.task import Task

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
epoch, batch, number = map(int, sys.argv[1].split(","))
step = Task.training_step

def training_step(self, data, batch_idx):
    if (self.trainer.current_epoch, batch_idx) == (epoch, batch):
        os.kill(os.getpid(), number)
    return step(self, data, batch_idx)

Task.training_step = training_step
sys.exit(cli.main(sys.argv[2:]))
"""


def test_interrupted(folder, tmp_path, capsys):
    """Killed, stopped with Ctrl-C and asked to end, a run ends as one that wasn't."""

    def interrupted(where, number, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        place = f"{where[0]},{where[1]},{int(number)}"
        command = [sys.executable, "-c", PROGRAM, place, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    arguments = ["train", folder / "flowers.csv", "--target", "kind", "--batch-size", 16, "--epochs", 5, "--dropout", 0.2,
                 "--patience", 4, "--no-plots", "--progress", "none", "--out"]  # fmt: skip
    whole, out = tmp_path / "whole", tmp_path / "run"
    run(*arguments, whole)
    assert interrupted((0, 1), signal.SIGKILL, *arguments, out).returncode == -signal.SIGKILL
    done = interrupted((1, 2), signal.SIGKILL, "train", "--resume", out)  # from the beginning
    assert done.returncode == -signal.SIGKILL, done.stderr
    done = interrupted((2, 1), signal.SIGINT, "train", "--resume", out)
    assert done.returncode == 130 and "--resume" in done.stderr, done.stderr
    done = interrupted((3, 0), signal.SIGTERM, *arguments, out, "--resume")
    assert done.returncode == 143, done.stderr
    run("train", "--resume", out)
    assert (out / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    a, b = torch.load(whole / "weights.pt"), torch.load(out / "weights.pt")
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert "there is a run already" in line_of(capsys, *arguments, out)
    assert "lr must be as in" in line_of(capsys, "train", "--resume", out, "--lr", 1)
    run("train", "--resume", out, "--epochs", 6)
    assert json.loads((out / "results.json").read_text())["epochs"] == 6
    capsys.readouterr()
    run("train", "--resume", out, "--progress", "plain")
    assert "The run had ended, after 6 epochs" in capsys.readouterr().out
    (out / "checkpoints/last.ckpt").write_bytes((out / "checkpoints/best.ckpt").read_bytes()[:2000])
    assert "last.ckpt: the checkpoint cannot be read" in line_of(capsys, "train", "--resume", out)
    (out / "checkpoints/best.ckpt").write_text("garbage")
    assert "best.ckpt: the checkpoint cannot be read" in line_of(capsys, "evaluate", out)
    torch.save({"state_dict": {"net.1.weight": a["1.weight"]}}, out / "checkpoints/best.ckpt")
    assert "other weights of the model are not in it" in line_of(capsys, "evaluate", out)
    (out / "data.json").write_text("{}")
    assert "data.json: this does not describe data" in line_of(capsys, "evaluate", out)
