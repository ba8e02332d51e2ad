"""The commands and their arguments."""

import argparse
import difflib
import importlib
import os
import sys
import warnings

from rushlight.cli import COMMANDS
from rushlight.cli.errors import CommandError, one_line, told
from rushlight.cli.settings import add_flags

_EXAMPLES = {
    "train": """examples:
  rushlight train flowers --model resnet18 --augment crop --epochs 30 --patience 5
  rushlight train houses.csv --target price --schedule cosine --out runs/houses
  rushlight train --config run.toml --lr 0.01
  rushlight train --resume runs/houses""",
    "predict": """examples:
  rushlight predict runs/flowers new-pictures --top 3 --out said.csv
  rushlight predict runs/houses new-houses.csv""",
    "tune": """example:
  rushlight tune houses.csv --target price --space lr=1e-4..1e-1:log --space hidden=32/64,64 \\
      --trials 30 --pruning --processes 2""",
    "summary": """examples:
  rushlight summary resnet18 --input-size 3 224 224
  rushlight summary runs/flowers --depth 1""",
}
_HANDLERS = {
    "train": "train:train", "predict": "evaluate:predict", "evaluate": "evaluate:evaluate", "lr-find": "search:lr_find",
    "tune": "search:tune", "summary": "inspect:summarize", "check": "check:check", "info": "inspect:info",
}  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """Mistakes are exceptions here, and flags that nobody knows those of the command."""

    def error(self, message: str):
        raise CommandError(f"{message} ({self.prog} --help)")

    def parse_known_args(self, args=None, namespace=None):
        """Every argument is to be known."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flag = unknown[0].partition("=")[0]
            near = difflib.get_close_matches(flag, self._option_string_actions, 1) if flag[0] == "-" else []
            self.error(f"unknown argument {unknown[0]}{f'; is {near[0]} meant?' if near else ''}")
        return found, []


def _number(kind, low, text: str):
    """A number of a flag that is no setting."""
    value = kind(text)
    if not value >= low:
        raise argparse.ArgumentTypeError(f"at least {low} expected, got {text}")
    return value


def _count(text: str) -> int:
    return _number(int, 1, text)


_count.__name__ = "whole number"  # what argparse says


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"more than 0 expected, got {text}")
    return value


_positive.__name__ = "number"


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = _Parser("rushlight", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    made = {
        name: commands.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=_EXAMPLES.get(name), allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name, text in COMMANDS.items()
    }  # fmt: skip
    _training(made["train"])
    made["train"].add_argument("--resume", nargs="?", const="", metavar="RUN",
                               help="go on with the run in this folder, or in that of --out")  # fmt: skip
    _reading(made["predict"])
    made["predict"].add_argument(
        "paths", nargs="+", metavar="PATH", help="pictures, folders of pictures, or a CSV file"
    )
    made["predict"].add_argument(
        "--top", type=_count, default=1, metavar="N", help="the N most probable classes"
    )
    made["predict"].add_argument("--out", metavar="FILE", help="write a CSV file instead of printing it")
    _reading(made["evaluate"])
    made["evaluate"].add_argument("data", nargs="?", metavar="DATA", help="other data than those of the run")
    made["evaluate"].add_argument(
        "--split", choices=("train", "val", "test"), default="val", help="part of the run's data"
    )
    made["evaluate"].add_argument("--out", metavar="DIR", help="write evaluation.json and confusion.png")
    _training(made["lr-find"])
    made["lr-find"].add_argument(
        "--min-lr", type=_positive, default=1e-6, metavar="LR", help="the first rate"
    )
    made["lr-find"].add_argument("--max-lr", type=_positive, default=1.0, metavar="LR", help="the last rate")
    made["lr-find"].add_argument("--steps", type=_count, default=100, metavar="N", help="in how many steps")
    _tuning(made["tune"])
    _summary(made["summary"])
    made["check"].add_argument("paths", nargs="+", metavar="PATH", help="scripts, or folders of scripts")
    return top


def _training(command) -> None:
    command.usage = f"{command.prog} DATA [settings]"
    command.add_argument(
        "data", nargs="?", metavar="DATA", help="folder of pictures, of idx or CIFAR files, or a CSV file"
    )
    command.add_argument(
        "--config", metavar="FILE", help="settings in a .toml or .json file; flags go before them"
    )
    command.add_argument("--out", default=argparse.SUPPRESS, metavar="DIR", help="folder for the results")
    add_flags(command)


def _reading(command) -> None:
    command.add_argument("run", metavar="RUN", help="the folder of a trained run")
    command.add_argument("--checkpoint", choices=("best", "last"), default="best", help="which weights")


def _tuning(command) -> None:
    _training(command)
    command.add_argument("--space", action="append", required=True, metavar="NAME=VALUES",
                         help="a setting to search: lr=1e-4..1e-1:log, epochs=2..8, optimizer=sgd,adam")  # fmt: skip
    command.add_argument(
        "--trials", type=_count, metavar="N", help="how many sets to try (20, or all of a grid)"
    )
    command.add_argument(
        "--method", choices=("tpe", "random", "grid"), default="tpe", help="how they are chosen"
    )
    command.add_argument("--pruning", action="store_true", help="give up on those that do badly")
    command.add_argument("--processes", type=_count, default=1, metavar="N", help="how many at the same time")
    command.add_argument("--timeout", type=_positive, metavar="S", help="begin none after so many seconds")
    command.add_argument("--resume", action="store_true", help="go on with the search in the folder")


def _summary(command) -> None:
    command.add_argument("model", nargs="?", metavar="MODEL", help="name of a model, or folder of a run")
    command.add_argument(
        "--input-size", nargs="+", type=_count, metavar="N", help="shape of one input, such as 3 224 224"
    )
    command.add_argument("--classes", type=_count, default=10, metavar="N", help="outputs")
    command.add_argument("--batch", type=_count, default=1, metavar="N", help="samples")
    command.add_argument("--depth", type=_count, metavar="N", help="layers down to this depth")
    command.add_argument(
        "--hidden", nargs="*", type=_count, default=[64, 64], metavar="N", help="units of the layers of mlp"
    )
    command.add_argument("--list", action="store_true", help="the names of all models")


def run(arguments: list[str]) -> int:
    """Run a command; mistakes give one line and status 2, Ctrl-C gives 130."""
    with warnings.catch_warnings():
        warnings.showwarning = _warned
        return _run(arguments)


def _warned(message, *place) -> None:
    print(f"rushlight: warning: {one_line(message)}", file=sys.stderr)


def _run(arguments: list[str]) -> int:
    try:
        flags = parser().parse_args(arguments)
        module, _, name = _HANDLERS[flags.command].partition(":")
        with told(ImportError):
            handler = getattr(importlib.import_module(f"rushlight.cli.{module}"), name)
        try:
            return handler(flags)
        except SystemExit as stopped:  # by the trainer, after Ctrl-C or SIGTERM
            return _failed(RuntimeError("stopped"), 130 if stopped.code == 1 else stopped.code)
    except CommandError as error:
        return _failed(error, 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on
        return 1
    except OSError as error:  # a full disk, say
        return _failed(error, 1)
    except KeyboardInterrupt:
        return _failed(RuntimeError("interrupted"), 130)


def _failed(error: BaseException, status: int) -> int:
    print(f"rushlight: {one_line(error)}", file=sys.stderr)
    return status
