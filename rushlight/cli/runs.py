"""The folder of a run: its settings, what it learnt about the data, checkpoints, figures."""

import csv
import os

import rushlight as torch
from rushlight.cli import models, tables
from rushlight.cli.errors import CommandError, told
from rushlight.cli.files import read_json, write_json
from rushlight.cli.settings import SETTINGS, read_config, save_config
from rushlight.cli.task import Task

CONFIG, DATA, METRICS, RESULTS, WEIGHTS = (
    "config.json",
    "data.json",
    "metrics.csv",
    "results.json",
    "weights.pt",
)


class Run:
    """A folder with a run.

    Args:
        folder: the folder.

    Files: `config.json`, the settings; `data.json`, classes and normalisation; `metrics.csv`; `checkpoints/best.ckpt` and
    `last.ckpt`; at the end `weights.pt` (the best), `results.json`, `curves.png`, `confusion.png`.
    """

    def __init__(self, folder: str):
        self.folder = os.path.abspath(folder)

    def path(self, *names: str) -> str:
        """A file in it."""
        return os.path.join(self.folder, *names)

    @property
    def checkpoints(self) -> str:
        """Where the checkpoints are."""
        return self.path("checkpoints")

    @property
    def exists(self) -> bool:
        """Whether there is a run."""
        return os.path.isfile(self.path(CONFIG))

    def begin(self, settings, described: dict) -> None:
        """Make the folder and write what is known before training.

        Raises:
            CommandError: that isn't possible.
        """
        with told(OSError, before=f"{self.folder}: "):
            os.makedirs(self.folder, exist_ok=True)
            write_json(described, self.path(DATA))
            save_config(settings, self.path(CONFIG))

    def settings(self):
        """The settings that it was begun with.

        Raises:
            CommandError: there is no run.
        """
        import argparse

        if not self.exists:
            raise CommandError(f"{self.folder}: there is no run (no {CONFIG})")
        values = {s.name: s.default for s in SETTINGS} | read_config(self.path(CONFIG))
        return argparse.Namespace(**{"out": self.folder, **values})

    def described(self) -> dict:
        """What is known of the data."""
        path = self.path(DATA)
        with told(before=f"{path}: "):
            found = read_json(path)
        if not isinstance(found, dict) or not {"kind", "task"} <= set(found):
            raise CommandError(f"{path}: this does not describe data; the run is damaged")
        return found

    def checkpoint(self, which: str) -> str | None:
        """The path of a checkpoint, "best" or "last"; None if there is none."""
        path = os.path.join(self.checkpoints, which + ".ckpt")
        return path if os.path.isfile(path) else None

    def load(self, which: str = "best") -> tuple[Task, object, dict]:
        """The trained model in evaluation mode, the settings, and the description of the data.

        Args:
            which: "best" or "last".
        Raises:
            CommandError: there is no such checkpoint.
        """
        settings, described = self.settings(), self.described()
        path = self.checkpoint(which)
        if path is None:
            raise CommandError(f"{self.folder}: there is no checkpoint {which!r} yet")
        task = Task(build_net(settings, described), described, settings)
        restore(task, path)
        return task.eval(), settings, described

    def history(self) -> list[dict]:
        """The figures of each epoch: dictionaries with "epoch" and numbers by name."""
        epochs: dict[int, dict] = {}
        if os.path.isfile(self.path(METRICS)):
            with open(self.path(METRICS), newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    if row.get("epoch"):
                        found = epochs.setdefault(int(float(row["epoch"])), {})
                        found |= {
                            k: float(v)
                            for k, v in row.items()
                            if v not in ("", None) and k not in ("epoch", "step")
                        }
        return [{"epoch": epoch, **epochs[epoch]} for epoch in sorted(epochs)]


def restore(task: Task, path: str) -> None:
    """Give a task the weights of a checkpoint.

    Raises:
        CommandError: it is damaged, or of another model.
    """
    with told(
        Exception, before=f"{path}: the checkpoint cannot be read: "
    ):  # a damaged file raises nearly anything
        found = torch.load(path, weights_only=False)
    if not isinstance(found, dict) or not isinstance(found.get("state_dict"), dict):
        raise CommandError(f"{path}: this is no checkpoint of a run")
    with told(before=f"{path}: "):
        missing = task.load_state_dict(found["state_dict"], strict=False).missing_keys
    if missing:
        raise CommandError(
            f"{path}: {missing[0]} and {len(missing) - 1} other weights of the model are not in it"
        )


def build_net(settings, described: dict):
    """The model of a run."""
    if described["kind"] == "table":
        shape: tuple = (tables.width(described),)
    else:
        shape = (described["channels"], described["size"], described["size"])
    outputs = len(described["classes"]) if described["task"] == "classification" else 1
    return models.build(settings.model, shape, outputs, settings)


def free_folder(settings) -> str:
    """A folder for a run that has none: runs/DATA-MODEL, with a number behind if it is taken."""
    stem = os.path.splitext(os.path.basename(os.path.abspath(settings.data)))[0]
    base, number = os.path.join("runs", f"{stem}-{settings.model}"), 1
    folder = base
    while os.path.exists(folder):
        number += 1
        folder = f"{base}-{number}"
    return folder
