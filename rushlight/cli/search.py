"""`rushlight lr-find` and `rushlight tune`."""

import argparse
import copy
import logging
import os
import re
import warnings

from rushlight.cli import data as datasets
from rushlight.cli.errors import CommandError, one_line, told
from rushlight.cli.files import has_matplotlib, save_figure, write_csv
from rushlight.cli.settings import BY_NAME, checked, resolve, save_config
from rushlight.cli.task import mode_of
from rushlight.cli.train import make_trainer, prepare
from rushlight.lightning import Callback
from rushlight.lightning.tuner import Tuner
from rushlight.tune import Choice, Float, Int, Pruned, search

_FAILURES = (CommandError, RuntimeError, ValueError, MemoryError)  # of one trial, not of the search


def lr_find(flags) -> int:
    """Train a copy while the learning rate grows, and print three suggestions; returns the exit status."""
    if not 0 < flags.min_lr < flags.max_lr:
        raise CommandError(
            f"--min-lr: less than --max-lr expected, got {flags.min_lr:g} and {flags.max_lr:g}"
        )
    settings = resolve(flags)
    settings.progress = "none"
    _silence()
    data, task = prepare(settings)
    train, _ = datasets.loaders(data, settings)
    finder = Tuner(make_trainer(settings, None, task)).lr_find(
        task, train, min_lr=flags.min_lr, max_lr=flags.max_lr, num_training=flags.steps, update_attr=False
    )
    skip = min(10, len(finder.results["lr"]) // 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of too few steps: said below
        suggestions = finder.suggestions(skip_begin=skip)
    if all(rate is None for rate in suggestions.values()):
        raise CommandError(
            "the loss was never a number, or there were too few steps: --steps, --min-lr and --max-lr"
        )
    for name, rate in suggestions.items():
        print(f"{name:<12}{rate:.2e}")
    if settings.out:
        with told(OSError, before=f"{settings.out}: "):
            os.makedirs(settings.out, exist_ok=True)
            rows = zip(finder.results["lr"], finder.results["loss"], strict=True)
            write_csv([["lr", "loss"], *map(list, rows)], os.path.join(settings.out, "lr-find.csv"))
            if settings.plots and has_matplotlib():
                save_figure(finder.plot(suggest=True), os.path.join(settings.out, "lr-find.png"))
    return 0


def tune(flags) -> int:
    """Try sets of settings, and keep the best as a config file; returns the exit status."""
    settings = resolve(flags)
    _silence()
    spaces: dict = {}
    for name, space in map(_space, flags.space):
        if name in spaces:
            raise CommandError(f"--space: {name} is given twice")
        if flags.method == "grid" and isinstance(space, Float):
            raise CommandError(f"--space {name}: a grid needs a list of values, such as {name}=A,B,C")
        spaces[name] = space
    out = settings.out or "tuning"
    storage = os.path.join(out, "study.journal")
    if os.path.exists(storage) and not flags.resume:
        raise CommandError(
            f"{out}: there is a search already; --resume goes on with it, --out names another folder"
        )
    shown, settings.progress = settings.progress, "none"
    _, task = prepare(copy.copy(settings))  # mistakes show before the first trial
    mode = mode_of(task.watched)
    with told(OSError, before=f"{out}: "):
        os.makedirs(out, exist_ok=True)
    done = _finished(storage)
    trials = flags.trials - done if flags.trials else None
    found = None
    if trials is None or trials > 0:
        with told(ValueError, ModuleNotFoundError):
            found = search(
                lambda trial: _try(settings, trial, shown != "none"), spaces, method=flags.method, trials=trials,
                direction="minimize" if mode == "min" else "maximize", pruning=flags.pruning, seed=settings.seed + done,
                storage=storage, processes=flags.processes, timeout=flags.timeout, catch=_FAILURES,
            )  # fmt: skip
    if found is None:
        print(f"All {flags.trials} trials were made already; more --trials make more.")
        return 0
    found.save(os.path.join(out, "trials.csv"))
    if settings.plots and has_matplotlib():
        save_figure(found.figure(), os.path.join(out, "trials.png"))
    rows = found.table()
    if not any(row["state"] == "complete" for row in rows):
        errors = [row["error"] for row in rows if row.get("error")]
        raise CommandError(f"no trial was completed{f': {errors[0]}' if errors else ''}")
    best = _with(settings, found.best_params)
    best.progress = shown
    save_config(best, os.path.join(out, "best.json"))
    given = ", ".join(f"{k}={_text(v)}" for k, v in found.best_params.items())
    print(f"Best {task.watched} {found.best_value:.6g} with {given}")
    print(f"`rushlight train --config {os.path.join(out, 'best.json')}` trains it")
    return 0


def _silence() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


def _text(value) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _finished(storage: str) -> int:
    if not os.path.exists(storage):
        return 0
    from rushlight.tune.search import _opened, _optuna, _quiet

    with told(ModuleNotFoundError):
        optuna = _optuna()
    with _quiet(optuna):
        study = optuna.create_study(storage=_opened(storage), study_name="search", load_if_exists=True)
    return sum(trial.state.is_finished() for trial in study.trials)


def _space(text: str) -> tuple:
    """A setting and what it may be, from "lr=1e-4..1e-1:log", "epochs=2..8" or "optimizer=sgd,adam".

    Raises:
        CommandError: it is none of these.
    """
    name, equals, values = text.partition("=")
    name = name.strip().removeprefix("--").replace("-", "_")
    if not equals or not values:
        raise CommandError(
            f"--space: NAME=LOW..HIGH, NAME=LOW..HIGH:log or NAME=A,B,C expected, got {text!r}"
        )
    if name not in BY_NAME or BY_NAME[name].kind is dict:
        raise CommandError(f"--space: there is no setting {name!r}")
    where, kind = f"--space {name}", BY_NAME[name].kind
    bounds = re.fullmatch(r"(.+?)\.\.(.+?)(:log)?", values)
    if bounds is None:
        parts = values.split("/") if kind in (list, "ints") else values.split(",")
        return name, Choice([_choice(name, part, where) for part in parts])
    if kind not in (int, float):
        raise CommandError(f"{where}: a list of values expected, such as {name}=A,B")
    low, high = (checked(name, part, where) for part in bounds.groups()[:2])
    with told(ValueError, before=f"{where}: "):
        return name, (Int if kind is int else Float)(low, high, log=bool(bounds[3]))


def _choice(name: str, text: str, where: str):
    if BY_NAME[name].kind is bool:
        if text not in ("true", "false"):
            raise CommandError(f"{where}: true or false expected, got {text!r}")
        return text == "true"
    return checked(name, text, where)


def _with(settings, values) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(settings), **values})


def _try(settings, trial, shown: bool) -> float:
    """Train with the settings of a trial; returns the best value of what is watched."""
    given = ", ".join(f"{name}={_text(value)}" for name, value in trial.items())
    say = lambda text: print(f"Trial {trial.number}: {given}: {text}", flush=True) if shown else None
    try:
        watch = _trained(_with(settings, dict(trial)), trial)
    except Pruned:
        say("given up")
        raise
    except _FAILURES as error:
        say(f"failed: {one_line(error)}")
        raise
    say(f"{watch.name} {watch.best:.6g}")
    return watch.best


def _trained(chosen, trial) -> "_Watch":
    data, task = prepare(chosen)
    watch = _Watch(task.watched, trial)
    make_trainer(chosen, None, task, [watch]).fit(task, *datasets.loaders(data, chosen))
    return watch


class _Watch(Callback):
    """Reports a figure after each epoch, and keeps the best."""

    def __init__(self, name: str, trial):
        self.name, self.trial = name, trial
        self.better = min if mode_of(name) == "min" else max
        self.best = float("inf") if self.better is min else -float("inf")

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        """After validation."""
        value = trainer.callback_metrics[self.name].item()
        if value == value:
            self.best = self.better(self.best, value)
        self.trial.report(value, trainer.current_epoch)
