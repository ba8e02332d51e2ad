"""`save_hyperparameters` and `hparams`, for models and datamodules."""

import contextvars
import copy
import inspect
from argparse import Namespace
from collections.abc import MutableMapping

from rushlight import nn
from rushlight.lightning.utilities.parsing import AttributeDict, init_arguments
from rushlight.lightning.utilities.rank_zero import rank_zero_warn

#: What LightningCLI has parsed for the object that it is making; it is kept instead of the arguments of `__init__`.
given_hyperparameters: contextvars.ContextVar = contextvars.ContextVar("given_hyperparameters", default=None)


class HyperparametersMixin:
    """Keeps what an object was made with."""

    def save_hyperparameters(self, *args, ignore=None, frame=None, logger: bool = True) -> None:
        """Keep arguments of `__init__` in `hparams`, and so in checkpoints and logs.

        Args:
            *args: names of arguments; or one dictionary or Namespace that holds the hyperparameters. Without any, all
                arguments are kept.
            ignore: a name or names to leave out.
            frame: where to look for the arguments; the caller by default.
            logger: whether they go to the logger.
        Raises:
            ValueError: what was given holds no names, such as a number.

        >>> from rushlight.lightning import LightningModule
        >>> class Net(LightningModule):
        ...     def __init__(self, width, rate=0.1):
        ...         super().__init__()
        ...         self.save_hyperparameters()
        >>> Net(8).hparams
        "rate":  0.1
        "width": 8
        """
        self._log_hyperparams = logger
        given = given_hyperparameters.get()
        arguments = (
            init_arguments(frame or inspect.currentframe().f_back, self) if given is None else dict(given)
        )
        ignored = [ignore] if isinstance(ignore, str) else list(ignore or ())
        ignored += [name for name in ("self", "frame") if name in arguments]
        names = [arg for arg in args if isinstance(arg, str)]
        if args and not names:
            hparams = args[0]
            self._hparams_name = next((n for n, v in arguments.items() if v is hparams), None) or "hparams"
        else:
            hparams = {name: arguments[name] for name in names if name in arguments} if names else arguments
            self._hparams_name = "kwargs"
        if isinstance(hparams, Namespace):
            hparams = vars(hparams)
        if not isinstance(hparams, MutableMapping):
            raise ValueError(
                f"save_hyperparameters: expected a dict, a Namespace or names of arguments, got {type(hparams).__name__}"
            )
        self._set_hparams(hparams)
        self.remove_ignored_hparams(ignored)
        for name, value in self.hparams.items():
            if isinstance(value, nn.Module):
                rank_zero_warn(
                    f"Attribute {name!r} is an instance of `nn.Module` and is already saved during checkpointing. It is "
                    f"recommended to ignore them using `self.save_hyperparameters(ignore=[{name!r}])`."
                )
        self._hparams_initial = _copied(self.hparams)

    def remove_ignored_hparams(self, ignore_list: list[str]) -> None:
        """Leave out hyperparameters, also those that a base class has saved.

        Args:
            ignore_list: their names.
        """
        for name in ignore_list:
            self.hparams.pop(name, None)

    def _set_hparams(self, values) -> None:
        values = vars(values) if isinstance(values, Namespace) else values
        self.hparams.update(values)

    @property
    def hparams(self) -> AttributeDict:
        """The hyperparameters; they can be changed."""
        if "_hparams" not in self.__dict__:
            self._hparams = AttributeDict()
        return self._hparams

    @hparams.setter
    def hparams(self, values) -> None:
        self._set_hparams(values)

    @property
    def hparams_initial(self) -> AttributeDict:
        """A copy of the hyperparameters as they were saved."""
        return _copied(self.__dict__.get("_hparams_initial", AttributeDict()))


def _copied(hparams: dict) -> AttributeDict:
    """A deep copy, of what can be copied."""
    result = AttributeDict()
    for key, value in hparams.items():
        try:
            result[key] = copy.deepcopy(value)
        except Exception:  # a lock, an open file: whatever the user keeps there
            result[key] = value
    return result
