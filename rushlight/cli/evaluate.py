"""`rushlight evaluate` and `rushlight predict`: what a trained model is worth, and what it says."""

import csv
import os
import sys

import numpy as np

import rushlight as torch
from rushlight.cli import pictures, tables
from rushlight.cli.data import part_of, plain_loader
from rushlight.cli.errors import CommandError, told
from rushlight.cli.files import has_matplotlib, write_csv, write_json
from rushlight.cli.report import as_text, figures_of, save_confusion, scores
from rushlight.cli.runs import Run
from rushlight.utils.data import DataLoader, TensorDataset


def evaluate(flags) -> int:
    """Print the figures of a run on its own or on other data; returns the exit status."""
    task, settings, described = Run(flags.run).load(flags.checkpoint)
    part = part_of(settings, described, flags.data, flags.split)
    figures = figures_of(described, *scores(task, plain_loader(part, settings)))
    print(as_text(figures))
    if flags.out:
        with told(OSError, before=f"{flags.out}: "):
            os.makedirs(flags.out, exist_ok=True)
            write_json(figures, os.path.join(flags.out, "evaluation.json"))
            if "confusion" in figures and has_matplotlib():
                save_confusion(figures, os.path.join(flags.out, "confusion.png"))
    return 0


def predict(flags) -> int:
    """Print, or write, what a run says about pictures or rows; returns the exit status."""
    task, settings, described = Run(flags.run).load(flags.checkpoint)
    if described["kind"] == "table":
        if len(flags.paths) > 1:
            raise CommandError("one CSV file expected")
        names, loader = _rows(flags.paths[0], described, settings.batch_size)
        head = "row"
    else:
        names = pictures.list_pictures(flags.paths)
        loader = DataLoader(_Files(names, pictures.transform(described, any_size=True)), settings.batch_size)
        head = "file"
    with torch.inference_mode():
        found = torch.cat([task.predict_step(batch[0].to(task.dtype), 0) for batch in loader])
    if task.classifies:
        table = _classes(
            found.numpy(), names, described["classes"], head, min(flags.top, len(described["classes"]))
        )
    else:
        table = [
            [head, described["target"]],
            *([n, f"{v:.6g}"] for n, v in zip(names, found.tolist(), strict=True)),
        ]
    if flags.out:
        with told(OSError, before=f"{flags.out}: "):
            write_csv(table, flags.out)
    else:
        csv.writer(sys.stdout, lineterminator="\n").writerows(table)
    return 0


def _classes(found: np.ndarray, names: list, classes: list[str], head: str, top: int) -> list[list]:
    """Each sample's most probable classes, with their probabilities."""
    best = np.argsort(-found, 1, kind="stable")[:, :top]
    numbers = ["", *(str(i) for i in range(2, top + 1))]
    heads = [what + number for number in numbers for what in ("class", "probability")]
    rows = [
        [name, *(cell for c in chosen for cell in (classes[c], f"{values[c]:.4f}"))]
        for name, chosen, values in zip(names, best, found, strict=True)
    ]
    return [[head, *heads], *rows]


def _rows(path: str, described: dict, batch_size: int) -> tuple[list, DataLoader]:
    table = tables.new_cells(path, described)
    count = len(next(iter(table.values())))
    inputs = tables.inputs(path, table, described, range(count))
    gaps = tables.rows_with_gaps(table, described)
    if gaps:
        text = f"{gaps} of {count} rows lack values; those of numbers are taken to be the mean"
        print(f"rushlight: {path}: {text}", file=sys.stderr)
    return list(range(1, count + 1)), DataLoader(TensorDataset(torch.from_numpy(inputs)), batch_size)


class _Files(torch.utils.data.Dataset):
    """Picture files as inputs."""

    def __init__(self, paths: list[str], transform):
        self.paths, self.transform = paths, transform

    def __getitem__(self, index: int):
        return (self.transform(pictures.load_picture(self.paths[index])),)

    def __len__(self) -> int:
        return len(self.paths)
