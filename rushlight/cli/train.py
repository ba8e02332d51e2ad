"""`rushlight train`."""

import logging
import os
import sys
import time

import rushlight as torch
from rushlight.cli import data as datasets
from rushlight.cli import models
from rushlight.cli.errors import CommandError
from rushlight.cli.files import has_matplotlib, save_figure, write_json
from rushlight.cli.report import figures_of, save_confusion, scores
from rushlight.cli.runs import METRICS, RESULTS, WEIGHTS, Run, build_net, free_folder, restore
from rushlight.cli.settings import BY_NAME, CHANGEABLE, checked, resolve
from rushlight.cli.task import Task, mode_of
from rushlight.lightning import Trainer, seed_everything
from rushlight.lightning.callbacks import (
    EarlyStopping,
    ModelCheckpoint,
    PlainProgressBar,
    TQDMProgressBar,
)
from rushlight.lightning.loggers import CSVLogger
from rushlight.validation import class_weights


class _Plain(PlainProgressBar):
    """A line for every epoch."""

    def get_metrics(self, trainer, pl_module) -> dict:
        """What to show."""
        return trainer.progress_bar_metrics


class _Bar(TQDMProgressBar):
    """A bar for every epoch."""

    get_metrics = _Plain.get_metrics


def train(flags) -> int:
    """Train as the flags say; returns the exit status."""
    settings = _resumed(flags) if flags.resume is not None else resolve(flags)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    data, task = prepare(settings)
    run = Run(settings.out or free_folder(settings))
    if run.exists and flags.resume is None:
        raise CommandError(
            f"{run.folder}: there is a run already; `rushlight train --resume {run.folder}` goes on with it"
        )
    checkpoint = run.checkpoint("last") if flags.resume is not None else None
    if checkpoint:
        restore(task, checkpoint)  # so that mistakes show; the trainer restores all of it
    epochs = len(run.history()) if checkpoint else 0
    if checkpoint is None and os.path.exists(run.path(METRICS)):
        os.unlink(run.path(METRICS))  # of a run that was killed in its first epoch
    run.begin(settings, data.described)
    _introduce(run, data, task, settings, checkpoint)
    trainer = make_trainer(settings, run, task)
    began = time.monotonic()
    try:
        trainer.fit(task, *datasets.loaders(data, settings), ckpt_path=checkpoint)
    except SystemExit as error:
        print(f"Stopped. `rushlight train --resume {run.folder}` goes on.", file=sys.stderr)
        return 130 if error.code == 1 else error.code
    if epochs and len(run.history()) == epochs and settings.progress != "none":
        print(f"The run had ended, after {epochs} epochs; --epochs and --patience let it go on.")
    _finish(run, trainer, task, data, settings, time.monotonic() - began)
    return 0


def prepare(settings) -> tuple:
    """The data and the task of a run; the random streams begin at the seed.

    Args:
        settings: all settings; `model` and the paths are completed.
    Raises:
        CommandError: something doesn't fit.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    for name in ("data", "val_data", "weights"):
        if getattr(settings, name):
            setattr(settings, name, os.path.abspath(os.path.expanduser(getattr(settings, name))))
    format = datasets.data_format(settings.data, settings.format)
    settings.model = models.choose(settings.model, format)
    data = datasets.open_data(settings, *models.wanted_input(settings.model, format))
    seed_everything(settings.seed, workers=True, verbose=False)
    net = build_net(settings, data.described)
    if settings.weights:
        report = models.load_weights(net, settings.weights)
        if settings.progress != "none":
            print(f"Weights: {report}")
    weights = None
    if settings.balance == "weights" and data.task == "classification":
        weights = class_weights(data.labels, len(data.classes))
    task = Task(net, data.described, settings, "val_loss" if data.val is not None else "train_loss", weights)
    if settings.precision == "64-true":
        task = task.double()
    if settings.monitor != "auto":
        known = [n for n in task.figures if data.val is not None or n.startswith("train_")]
        if settings.monitor not in known:
            raise CommandError(f"--monitor: one of {', '.join(known)} expected, got {settings.monitor!r}")
        task.watched = settings.monitor
    task.hold()
    if not any(p.requires_grad for p in task.parameters()):
        raise CommandError("--freeze: no parameter is left to learn")
    return data, task


def _resumed(flags):
    """The settings of the run that goes on, with those that may be others."""
    folder = flags.resume or getattr(flags, "out", None)
    if not folder:
        raise CommandError("--resume: which run? Give its folder, or the one of --out")
    run = Run(folder)
    given = {
        name: checked(name, value, BY_NAME[name].flag)
        for name, value in vars(flags).items()
        if name in BY_NAME
    }
    if not run.exists and not flags.resume:
        return resolve(flags)  # --out DIR --resume: begin if there is nothing to go on with
    settings = run.settings()
    changed = [n for n, v in given.items() if n not in CHANGEABLE and v != getattr(settings, n)]
    if flags.data and os.path.abspath(flags.data) != os.path.abspath(settings.data):
        changed.append("data")
    if (
        "epochs" in given
        and given["epochs"] != settings.epochs
        and settings.schedule in ("cosine", "onecycle")
    ):
        changed.append("epochs")
    if changed:
        raise CommandError(f"--resume: {', '.join(changed)} must be as in {run.path('config.json')}")
    vars(settings).update({n: v for n, v in given.items() if n in CHANGEABLE})
    settings.out = run.folder
    return settings


def make_trainer(settings, run: Run | None, task: Task, callbacks=()) -> Trainer:
    """The trainer of a run; without a run it writes nothing."""
    callbacks = list(callbacks)
    if settings.patience:
        callbacks.append(EarlyStopping(task.watched, patience=settings.patience, mode=mode_of(task.watched)))
    if run is not None:
        callbacks.append(
            ModelCheckpoint(
                run.checkpoints, "best", monitor=task.watched, mode=mode_of(task.watched), save_last=True,
                save_on_train_epoch_end=True, enable_version_counter=False,
            )
        )  # fmt: skip
    shown = settings.progress
    if shown == "auto":
        shown = "bar" if sys.stdout.isatty() and _has_tqdm() else "plain"
    if shown != "none":
        callbacks.append(_Bar(leave=True) if shown == "bar" else _Plain())
    return Trainer(
        max_epochs=settings.epochs, callbacks=callbacks, precision=settings.precision,
        logger=CSVLogger(run.folder, "", "") if run is not None else False, enable_checkpointing=run is not None,
        enable_progress_bar=shown != "none", enable_model_summary=False, num_sanity_val_steps=0, log_every_n_steps=0,
        gradient_clip_val=settings.clip, accumulate_grad_batches=settings.accumulate,
        default_root_dir=run.folder if run is not None else None,
    )  # fmt: skip


def _has_tqdm() -> bool:
    import importlib.util

    return importlib.util.find_spec("tqdm") is not None


def _introduce(run: Run, data, task: Task, settings, checkpoint: str | None) -> None:
    if settings.progress == "none":
        return
    held = f", validating on {len(data.val):,}" if data.val is not None else ""
    what = f"{len(data.classes)} classes" if task.classifies else f"values of {data.described['target']!r}"
    count = sum(p.numel() for p in task.parameters() if p.requires_grad)
    print(f"{settings.model} ({count:,} parameters) learns {what} from {len(data.train):,} samples{held}.")
    if data.described["kind"] == "table":
        used = [column["name"] for column in data.described["columns"]]
        print(f"From the columns {', '.join(used)}.")
        if data.described["left_out"]:
            names = ", ".join(data.described["left_out"])
            print(
                f"Left out, as their texts differ from row to row: {names}. --categorical takes them all the same."
            )
    print(f"{'Going on in' if checkpoint else 'Run folder:'} {run.folder}", flush=True)


def _finish(run: Run, trainer: Trainer, task: Task, data, settings, seconds: float) -> None:
    """Write the best weights, figures and pictures; say how it went."""
    history = run.history()
    best = run.checkpoint("best")
    if best is None:
        raise CommandError(f"{run.folder}: {task.watched} was never a number; a smaller --lr may help")
    task.load_state_dict(torch.load(best, weights_only=False)["state_dict"], strict=False)
    torch.save(task.net.state_dict(), run.path(WEIGHTS))
    sign = 1 if mode_of(task.watched) == "min" else -1
    rows = [row for row in history if row.get(task.watched) == row.get(task.watched) and task.watched in row]
    top = min(rows, key=lambda row: sign * row[task.watched], default={})
    results = {
        "model": settings.model, "epochs": len(history), "best_epoch": top.get("epoch"), "monitor": task.watched,
        "best": {k: v for k, v in top.items() if k != "epoch"}, "seconds": round(seconds, 2),
    }  # fmt: skip
    if data.val is not None:
        found = scores(task.eval(), datasets.plain_loader(data.val, settings))
        results["validation"] = figures_of(data.described, *found)
        if settings.plots and task.classifies and has_matplotlib():
            save_confusion(results["validation"], run.path("confusion.png"))
    if settings.plots and has_matplotlib():
        save_figure(_curves(history), run.path("curves.png"))
    write_json(results, run.path(RESULTS))
    if settings.progress != "none":
        shown = ", ".join(f"{name} {value:.4g}" for name, value in results["best"].items() if name != "lr")
        print(f"Best epoch {results['best_epoch']}: {shown}")
        print(f"Results: {run.folder}")


def _curves(history: list[dict]):
    """A figure of losses, metrics and learning rate over epochs."""
    from rushlight import plot

    names = dict.fromkeys(name for row in history for name in row)
    return plot.curves({name: [row.get(name, float("nan")) for row in history] for name in names})
