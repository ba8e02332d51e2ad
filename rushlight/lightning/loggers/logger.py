"""The base of loggers."""

import os
from argparse import Namespace


def rank_zero_experiment(fn):
    """Marks the method that makes the object of a logging library; there is one process, so it is as it is."""
    return fn


class Logger:
    """Base class: takes hyperparameters and metrics. A subclass defines `name`, `version`, `log_metrics` and
    `log_hyperparams`."""

    @property
    def name(self) -> str | None:
        """Of the experiment."""
        raise NotImplementedError(f"{type(self).__name__} needs a property `name`")

    @property
    def version(self) -> int | str | None:
        """Of the run."""
        raise NotImplementedError(f"{type(self).__name__} needs a property `version`")

    def log_metrics(self, metrics: dict, step: int | None = None) -> None:
        """Take values.

        Args:
            metrics: floats by name.
            step: the number of the step.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method log_metrics(metrics, step)")

    def log_hyperparams(self, params, *args, **kwargs) -> None:
        """Take hyperparameters."""
        raise NotImplementedError(f"{type(self).__name__} needs a method log_hyperparams(params)")

    @property
    def save_dir(self) -> str | None:
        """The folder of all experiments."""
        return None

    root_dir = property(lambda self: None, doc="The folder of this experiment.")
    log_dir = property(lambda self: None, doc="The folder of this run.")
    group_separator = property(lambda self: "/", doc="Between the parts of a name.")

    def log_graph(self, model, input_array=None) -> None:
        """Take the model's graph."""

    def save(self) -> None:
        """Write what was taken."""

    def finalize(self, status: str) -> None:
        """The run has ended: "success" or "failed"."""
        self.save()

    def after_save_checkpoint(self, checkpoint_callback) -> None:
        """A checkpoint was saved."""

    def state_dict(self) -> dict:
        """Where it is, for checkpoints: everything taken so far must be on the disk."""
        self.save()
        return {}

    def load_state_dict(self, state_dict: dict, adopt: bool = False) -> None:
        """Go on where `state_dict` was called.

        Args:
            state_dict: what it gave.
            adopt: go on in that run's folder, where none was asked for.
        """


class DummyLogger(Logger):
    """Takes everything and keeps nothing; what loggers become in a `fast_dev_run`."""

    name = property(lambda self: "", doc="None.")
    version = property(lambda self: "", doc="None.")

    @property
    def experiment(self):
        """Something that takes every call."""
        return _Anything()

    def log_metrics(self, metrics: dict, step: int | None = None) -> None:
        """Nothing."""

    def log_hyperparams(self, params, *args, **kwargs) -> None:
        """Nothing."""


class _Anything:
    def __getattr__(self, name):
        return lambda *args, **kwargs: None

    def __getitem__(self, index):
        return self


class FolderLogger(Logger):
    """A logger with a folder for each run: save_dir/name/version_0, version_1, ...

    Args:
        save_dir: the folder of all experiments.
        name: of the experiment.
        version: a number, the name of a folder, or None for the next number.
    """

    def __init__(self, save_dir, name: str | None, version):
        self._save_dir = os.path.expanduser(os.fspath(save_dir))
        self._name = name or ""
        self._version = version
        self._version_given = version is not None

    name = property(lambda self: self._name, doc="Of the experiment.")
    save_dir = property(lambda self: self._save_dir, doc="The folder of all experiments.")
    root_dir = property(
        lambda self: os.path.join(self._save_dir, self._name), doc="The folder of this experiment."
    )

    @property
    def version(self):
        """Of the run: a number, or a name."""
        if self._version is None:
            taken = [-1]
            if os.path.isdir(self.root_dir):
                for folder in os.listdir(self.root_dir):
                    number = folder.removeprefix("version_")
                    if folder.startswith("version_") and number.isdigit():
                        taken.append(int(number))
            self._version = max(taken) + 1
        return self._version

    @property
    def log_dir(self) -> str:
        """The folder of this run."""
        version = self.version if isinstance(self.version, str) else f"version_{self.version}"
        return os.path.join(self.root_dir, version)

    def _adopt(self, state: dict) -> None:
        """Take the version of the run that goes on, unless another one was asked for."""
        if not self._version_given and state.get("root_dir") == os.path.abspath(self.root_dir):
            self._version = state["version"]

    def _place(self) -> dict:
        return {
            "root_dir": os.path.abspath(self.root_dir),
            "version": self.version,
            "log_dir": os.path.abspath(self.log_dir),
        }


def plain(params) -> dict:
    """Hyperparameters as a dictionary."""
    if params is None:
        return {}
    return dict(vars(params) if isinstance(params, Namespace) else params)


def flattened(params: dict, prefix: str = "") -> dict:
    """Hyperparameters without dictionaries in dictionaries: {"a/b": 1}."""
    result = {}
    for key, value in params.items():
        name = f"{prefix}{key}"
        value = vars(value) if isinstance(value, Namespace) else value
        if isinstance(value, dict) and value:
            result.update(flattened(value, name + "/"))
        else:
            result[name] = value
    return result
