"""Checkpoint files; models and datamodules made from them; hyperparameters as .yaml files."""

import errno
import functools
import glob
import importlib.util
import inspect
import json
import os
from argparse import Namespace

import rushlight as torch
from rushlight.lightning.utilities.parsing import AttributeDict
from rushlight.lightning.utilities.rank_zero import rank_zero_warn


def write_checkpoint(checkpoint: dict, path) -> None:
    """Write a checkpoint: under another name, flushed to the disk, then renamed, so that a file is whole or isn't there.

    Args:
        checkpoint: what to write.
        path: the file; its folder is made.
    Raises:
        OSError: the disk is full, the folder is read-only and so on; a file of that name is as it was.
    """
    path = os.path.abspath(path)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        torch.save(checkpoint, path)
    except OSError as error:
        reason = {errno.ENOSPC: "the disk is full", errno.EROFS: "the file system is read-only",
                  errno.EACCES: "writing there is not permitted"}.get(error.errno, error.strerror)  # fmt: skip
        kept = "; the file that was there before is whole" if os.path.exists(path) else ""
        raise type(error)(
            error.errno,
            f"could not save the checkpoint: {reason}{kept}. Earlier checkpoints are untouched",
            path,
        ) from error


def remove_leftovers(folder) -> None:
    """Remove what a killed process left of a file that it was writing."""
    for path in glob.glob(os.path.join(glob.escape(str(folder)), ".rushlight-*.tmp")):
        os.unlink(path)


def read_checkpoint(path, map_location=None, weights_only: bool | None = None) -> dict:
    """What a checkpoint file holds.

    Args:
        path: the file.
        map_location: where tensors go; the CPU.
        weights_only: True refuses files that hold more than data. By default files are trusted, as in Lightning.
    Raises:
        FileNotFoundError: no such file. ValueError: it is no checkpoint.
    """
    checkpoint = torch.load(path, map_location=map_location or "cpu", weights_only=bool(weights_only))
    if not isinstance(checkpoint, dict):
        raise ValueError(
            f"{path} is no checkpoint of a Trainer: it holds a {type(checkpoint).__name__}, not a dict"
        )
    return checkpoint


class class_only:
    """A class method that can't be called on an instance, where its result would easily be overlooked."""

    def __init__(self, function):
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance, owner):
        @functools.wraps(self.function)
        def called(*args, **kwargs):
            if instance is not None:
                raise TypeError(
                    f"The classmethod `{owner.__name__}.{self.function.__name__}` cannot be called on an instance. Please "
                    "call it on the class type and make sure the return value is used."
                )
            return self.function(owner, *args, **kwargs)

        return called


def load_from_checkpoint(cls, path, map_location, hparams_file, strict, weights_only, kwargs: dict):
    """A model of class `cls` from a checkpoint."""
    checkpoint = read_checkpoint(path, map_location, weights_only)
    model = _made(cls, checkpoint, hparams_file, kwargs)
    if "state_dict" not in checkpoint:
        raise KeyError(f"{path} has no 'state_dict': it is no checkpoint of a Trainer")
    strict = model.strict_loading if strict is None else strict
    model.on_load_checkpoint(checkpoint)
    keys = model.load_state_dict(checkpoint["state_dict"], strict=strict)
    if not strict and (keys.missing_keys or keys.unexpected_keys):
        rank_zero_warn(
            f"load_from_checkpoint: missing {keys.missing_keys}, unexpected {keys.unexpected_keys}"
        )
    return model


def load_datamodule(cls, path, map_location, hparams_file, weights_only, kwargs: dict):
    """A datamodule of class `cls` from a checkpoint."""
    checkpoint = read_checkpoint(path, map_location, weights_only)
    module = _made(cls, checkpoint, hparams_file, kwargs)
    if cls.__qualname__ in checkpoint:
        module.load_state_dict(checkpoint[cls.__qualname__])
    return module


def _made(cls, checkpoint: dict, hparams_file, kwargs: dict):
    """An object made with the hyperparameters of the checkpoint and those given."""
    stored = dict(checkpoint.get(cls.CHECKPOINT_HYPER_PARAMS_KEY) or {})
    if hparams_file is not None:
        stored = load_hparams_from_yaml(hparams_file)
    name = checkpoint.get(cls.CHECKPOINT_HYPER_PARAMS_NAME)
    parameters = inspect.signature(cls.__init__).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if name not in (None, "kwargs") and name in parameters:  # one argument held them all
        given = kwargs.pop(name, {})
        given = vars(given) if isinstance(given, Namespace) else given
        others = {key: kwargs.pop(key) for key in list(kwargs) if key not in parameters and not takes_any}
        arguments = {name: AttributeDict({**stored, **given, **others}), **kwargs}
    else:
        arguments = {**stored, **kwargs}
    if arguments.pop("_instantiator", None):  # LightningCLI has kept what it had parsed
        from rushlight.lightning.cli import instantiate_module

        return instantiate_module(cls, arguments)
    if not takes_any:
        arguments = {key: value for key, value in arguments.items() if key in parameters}
    return cls(**arguments)


def save_hparams_to_yaml(path, hparams: dict) -> None:
    """Write hyperparameters to a .yaml file, a line each.

    Args:
        path: the file.
        hparams: the hyperparameters; what is no data is written as its text.
    """
    lines = [
        f"{key}: {json.dumps(value, default=str, ensure_ascii=False)}\n" for key, value in hparams.items()
    ]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(lines or ["{}\n"])


def load_hparams_from_yaml(path) -> dict:
    """Read what `save_hparams_to_yaml` wrote; other .yaml files too, where PyYAML is installed.

    Args:
        path: the file.
    """
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if importlib.util.find_spec("yaml"):
        import yaml

        return yaml.safe_load(text) or {}
    pairs = (line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return {key: json.loads(value) for key, value in pairs}
