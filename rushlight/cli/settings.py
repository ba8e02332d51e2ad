"""The settings of training: their flags, their names in config files, and what they may be."""

import argparse
import ast
import json
import math
from dataclasses import dataclass

from rushlight.cli.errors import CommandError, told
from rushlight.cli.files import write_json


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: as in config files; the flag has dashes for its underscores.
        kind: str, int, float, bool, list (texts with commas between), "ints", or dict (flags KEY=VALUE, again and again).
        default: its value if nobody says anything.
        help: what it does.
        choices: all that it may be.
        low, high: the bounds of a number, included; `above` is one that is not.
        group: the heading that it is under.
    """

    name: str
    kind: object
    default: object
    help: str
    choices: tuple = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    group: str = ""

    @property
    def flag(self) -> str:
        """How it is spelt on the command line."""
        return "--" + self.name.replace("_", "-")


def _group(title: str, *rows) -> list[Setting]:
    settings = []
    for row in rows:
        name, kind, default, help, *rest = row
        settings.append(Setting(name, kind, default, help, **(rest[0] if rest else {}), group=title))
    return settings


AUGMENTATIONS = ("none", "flip", "shift", "crop", "zoom", "auto")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "nadam", "adagrad")
_POSITIVE, _COUNT, _SHARE = {"above": 0}, {"low": 0}, {"low": 0, "high": 0.9}

SETTINGS = [
    *_group(
        "data",
        ("format", str, "auto", "what the data are", {"choices": ("auto", "folder", "mnist", "cifar", "csv")}),
        ("val_data", str, None, "folder or CSV file to validate on"),
        ("val_split", float, 0.2, "share of the training data to validate on where there is no such part", _SHARE),
        ("limit_train", int, None, "train on so many samples only", {"low": 1}),
        ("limit_val", int, None, "validate on so many samples only", {"low": 1}),
        ("balance", str, "none", "make up for rare classes, in the loss or by drawing them more often",
         {"choices": ("none", "weights", "sampling")}),
        ("batch_size", int, 64, "samples in a step", {"low": 1}),
        ("workers", int, 0, "processes that load data", _COUNT),
    ),
    *_group(
        "pictures",
        ("image_size", int, None, "height and width of the pictures for the model", {"low": 1}),
        ("channels", int, None, "1 for grey, 3 for colour", {"choices": (1, 3)}),
        ("augment", str, "none", "how training pictures are varied: mirrored, turned and moved a little, cut out, or all of it",
         {"choices": AUGMENTATIONS}),
    ),
    *_group(
        "tables",
        ("target", str, None, "column to predict"),
        ("task", str, "auto", "classes or numbers", {"choices": ("auto", "classification", "regression")}),
        ("features", list, None, "columns to predict it from; all by default"),
        ("ignore", list, [], "columns to leave out"),
        ("categorical", list, [], "columns whose numbers are names"),
        ("missing", str, "error", "what becomes of rows with missing values", {"choices": ("error", "drop", "mean")}),
        ("delimiter", str, "auto", "between the columns; what the first line has most of, by default"),
        ("columns", list, None, "names of the columns, where the first line doesn't give them"),
    ),
    *_group(
        "model",
        ("model", str, "auto", "a name of rushlight.vision.models, mlp, or linear"),
        ("model_arg", dict, {}, "an argument of the model"),
        ("hidden", "ints", [64, 64], "units of the hidden layers of mlp", {"low": 1}),
        ("dropout", float, None, "share of units that mlp leaves out while it learns", _SHARE),
        ("weights", str, None, "file of weights to begin with (.pt, .pth, .ckpt, .safetensors); layers of other shapes are new"),
        ("freeze", list, [], "parts of the model that don't learn, such as features"),
    ),
    *_group(
        "training",
        ("normalize", str, "auto", "shift and scale inputs: by the training data, as for ImageNet's weights, or not",
         {"choices": ("auto", "imagenet", "none")}),
        ("optimizer", str, "adam", "the optimizer", {"choices": OPTIMIZERS}),
        ("lr", float, 1e-3, "learning rate", _POSITIVE),
        ("momentum", float, 0.9, "momentum of sgd and rmsprop", {"low": 0, "high": 1}),
        ("weight_decay", float, 0.0, "weight decay", _COUNT),
        ("schedule", str, "none", "how the learning rate changes",
         {"choices": ("none", "cosine", "step", "plateau", "onecycle")}),
        ("schedule_epochs", int, 10, "epochs between two falls (step), or without progress before one (plateau)", {"low": 1}),
        ("schedule_factor", float, 0.1, "by which it falls", {"above": 0, "high": 1}),
        ("label_smoothing", float, 0.0, "share of certainty that is spread over all classes", {"low": 0, "high": 1}),
        ("loss", str, "mse", "loss of predicted numbers", {"choices": ("mse", "mae", "huber")}),
        ("clip", float, None, "largest norm of the gradient", _POSITIVE),
        ("accumulate", int, 1, "batches in one step of the optimizer", {"low": 1}),
        ("precision", str, "32-true", "of the computation", {"choices": ("32-true", "64-true", "bf16-mixed")}),
        ("epochs", int, 10, "how long", {"low": 1}),
        ("patience", int, 0, "stop after so many epochs without progress; 0 for never", _COUNT),
        ("monitor", str, "auto", "what progress is: val_loss, val_accuracy, val_mae, ...; a validation loss by default"),
        ("seed", int, 0, "of all random numbers", {"low": 0, "high": 2**32 - 1}),
        ("threads", int, None, "threads of operations", {"low": 1}),
    ),
    *_group(
        "output",
        ("progress", str, "auto", "what is shown", {"choices": ("auto", "bar", "plain", "none")}),
        ("plots", bool, True, "draw curves, where matplotlib is installed"),
    ),
]  # fmt: skip
BY_NAME = {setting.name: setting for setting in SETTINGS}
#: What may be another when a run goes on.
CHANGEABLE = ("epochs", "patience", "workers", "threads", "progress", "plots")
_NOUNS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    "ints": "whole numbers",
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each setting."""
    groups: dict = {}
    for setting in SETTINGS:
        group = groups.setdefault(setting.group, None) or parser.add_argument_group(setting.group)
        groups[setting.group] = group
        text = setting.help.replace("%", "%%")
        if setting.default not in (None, [], {}):
            text += f" (default: {_shown(setting.default)})"
        common = {"dest": setting.name, "default": argparse.SUPPRESS, "help": text}
        if setting.kind is bool:
            group.add_argument(setting.flag, action=argparse.BooleanOptionalAction, **common)
        elif setting.kind is dict:
            group.add_argument(setting.flag, action="append", metavar="KEY=VALUE", **common)
        else:
            group.add_argument(setting.flag, metavar=_metavar(setting), **common)


def _metavar(setting: Setting) -> str:
    if setting.choices:
        return "{" + ",".join(map(str, setting.choices)) + "}"
    if setting.name in ("val_data", "weights"):
        return "PATH"
    return {int: "N", float: "X", "ints": "N,N", list: "NAME,NAME"}.get(setting.kind, "NAME")


def _shown(value) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def checked(name: str, value, where: str):
    """A setting's value in its own type.

    Args:
        name: of the setting.
        value: from the command line or a config file.
        where: what the message begins with.
    Raises:
        CommandError: it is not allowed.

    >>> from rushlight.cli.settings import checked
    >>> checked("lr", "0.1", "--lr"), checked("hidden", "32,16", "--hidden")
    (0.1, [32, 16])
    >>> checked("epochs", "0", "--epochs")
    Traceback (most recent call last):
    rushlight.cli.errors.CommandError: --epochs: at least 1 expected, got 0
    """
    setting = BY_NAME[name]
    if value is None and setting.default is None:
        return None
    try:
        value = _converted(setting.kind, value)
    except (TypeError, ValueError):
        noun = _NOUNS.get(setting.kind, "a list" if setting.kind is list else "KEY=VALUE")
        raise CommandError(f"{where}: {noun} expected, got {value!r}") from None
    if setting.choices and value not in setting.choices:
        raise CommandError(f"{where}: one of {', '.join(map(str, setting.choices))} expected, got {value!r}")
    for number in value if setting.kind == "ints" else [value]:
        _check_bounds(setting, number, where)
    return value


def _check_bounds(setting: Setting, value, where: str) -> None:
    if setting.kind is float and not math.isfinite(value):
        raise CommandError(f"{where}: a number expected, got {value}")
    for bound, wrong, text in (
        (setting.low, lambda b: value < b, "at least"),
        (setting.high, lambda b: value > b, "at most"),
        (setting.above, lambda b: value <= b, "more than"),
    ):
        if bound is not None and wrong(bound):
            raise CommandError(f"{where}: {text} {bound:g} expected, got {value:g}")


def _converted(kind, value):
    if kind is bool or kind is str:
        if not isinstance(value, kind):
            raise TypeError
        return value
    if kind is int or kind is float:
        if isinstance(value, bool) or (kind is int and isinstance(value, float) and value != int(value)):
            raise TypeError
        return kind(value)
    if kind is dict:
        return dict(value) if isinstance(value, dict) else dict(map(_pair, value))
    parts = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int) else list(value)
    if kind == "ints":
        return [_converted(int, part) for part in parts if part != ""]
    return [part.strip() for part in parts if part.strip()]


def _pair(text: str) -> tuple:
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise ValueError
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def read_config(path: str) -> dict:
    """The settings in a config file, with `data` and `out` among them; checked.

    Args:
        path: a .toml or .json file.
    Raises:
        CommandError: no such file, no such format, or settings that there aren't.
    """
    if not path.endswith((".toml", ".json")):
        raise CommandError(f"{path}: a config file ends in .toml or .json")
    with told(before=f"{path}: "), open(path, "rb") as file:
        found = json.load(file) if path.endswith(".json") else _toml().load(file)
    if not isinstance(found, dict):
        raise CommandError(f"{path}: settings expected, such as lr = 0.1")
    config = {}
    for key, value in found.items():
        name = key.replace("-", "_")
        if name in ("data", "out"):
            if not isinstance(value, str):
                raise CommandError(f"{path}: {key}: a path expected, got {value!r}")
            config[name] = value
        elif name in BY_NAME:
            config[name] = checked(name, value, f"{path}: {key}")
        else:
            hint = (
                "; settings stand by themselves, under no heading"
                if isinstance(value, dict)
                else _similar(name)
            )
            raise CommandError(f"{path}: there is no setting {key!r}{hint}")
    return config


def _toml():
    try:
        import tomllib
    except ImportError:  # Python 3.10
        try:
            import tomli as tomllib
        except ImportError:
            raise CommandError(
                "Python 3.10 reads TOML with tomli: pip install tomli, or use a .json file"
            ) from None
    return tomllib


def _similar(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, [*BY_NAME, "data", "out"], 1)
    return f"; is {near[0]!r} meant?" if near else ""


def resolve(flags: argparse.Namespace) -> argparse.Namespace:
    """All settings: flags before the config file before defaults.

    Args:
        flags: what the command line gave; `config` is the file.
    Raises:
        CommandError: something isn't allowed.
    """
    given = {k: v for k, v in vars(flags).items() if v is not None}
    values = {setting.name: setting.default for setting in SETTINGS}
    if given.get("config"):
        values |= read_config(given["config"])
    values |= {name: checked(name, given[name], BY_NAME[name].flag) for name in BY_NAME if name in given}
    values |= {name: given[name] for name in ("data", "out") if name in given}
    if not values.get("data"):
        raise CommandError("DATA is missing: a folder of pictures, of idx or CIFAR files, or a CSV file")
    values.setdefault("out", None)
    return argparse.Namespace(**values)


def save_config(settings: argparse.Namespace, path: str) -> None:
    """Write the settings as a config file that gives them again, whole or not at all."""
    write_json({"data": settings.data} | {s.name: getattr(settings, s.name) for s in SETTINGS}, path)
