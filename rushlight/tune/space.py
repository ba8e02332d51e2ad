"""What a hyper-parameter may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from random import Random
from typing import Any

__all__ = ["Choice", "Float", "Int", "as_space"]


@dataclass(frozen=True)
class Float:
    """A number from `low` to `high`.

    Args:
        low, high: the bounds, both included.
        log: whether orders of magnitude count, as for a learning rate.
        step: take only low, low + step, ...

    >>> from rushlight.tune import Float
    >>> Float(1e-4, 1e-1, log=True)
    Float(low=0.0001, high=0.1, log=True, step=None)
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self):
        _check_bounds(self)

    def suggest(self, trial, name: str) -> float:
        """The value that an Optuna trial proposes."""
        return trial.suggest_float(name, self.low, self.high, log=self.log, step=self.step)

    def draw(self, random: Random) -> float:
        """A value by chance."""
        if self.log:
            return 10 ** random.uniform(log10(self.low), log10(self.high))
        if self.step:
            return self.low + self.step * random.randint(0, int((self.high - self.low) / self.step + 1e-9))
        return random.uniform(self.low, self.high)

    def values(self) -> list[float]:
        """All values, for a grid.

        Raises:
            ValueError: there is no step.
        """
        if not self.step:
            raise ValueError(f"a grid needs a list of values or a step, got {self}")
        return [self.low + i * self.step for i in range(int((self.high - self.low) / self.step + 1e-9) + 1)]


@dataclass(frozen=True)
class Int:
    """A whole number from `low` to `high`.

    Args:
        low, high: the bounds, both included.
        log: whether orders of magnitude count.
        step: take only low, low + step, ...
    """

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self):
        _check_bounds(self)

    def suggest(self, trial, name: str) -> int:
        """The value that an Optuna trial proposes."""
        return trial.suggest_int(name, self.low, self.high, log=self.log, step=self.step)

    def draw(self, random: Random) -> int:
        """A value by chance."""
        if self.log:
            return min(self.high, round(10 ** random.uniform(log10(self.low), log10(self.high))))
        return random.randrange(self.low, self.high + 1, self.step)

    def values(self) -> list[int]:
        """All values, for a grid."""
        return list(range(self.low, self.high + 1, self.step))


@dataclass(frozen=True)
class Choice:
    """One of some values, of any type."""

    options: Sequence[Any]

    def __post_init__(self):
        if not len(self.options):
            raise ValueError("Choice: there is nothing to choose from")

    @property
    def plain(self) -> bool:
        """Whether Optuna can keep the values; else it keeps their places."""
        return all(v is None or isinstance(v, (bool, int, float, str)) for v in self.options)

    def suggest(self, trial, name: str):
        """The value that an Optuna trial proposes."""
        if self.plain:
            return trial.suggest_categorical(name, list(self.options))
        return self.options[trial.suggest_categorical(name, list(range(len(self.options))))]

    def draw(self, random: Random):
        """A value by chance."""
        return random.choice(list(self.options))

    def values(self) -> list:
        """All values, for a grid."""
        return list(self.options)


def _check_bounds(space) -> None:
    name = type(space).__name__
    if not space.low <= space.high:
        raise ValueError(f"{name}: low must not be above high, got {space.low} and {space.high}")
    if space.log and space.low <= 0:
        raise ValueError(f"{name}: on a logarithmic scale low must be above 0, got {space.low}")
    if space.step is not None and space.step <= 0:
        raise ValueError(f"{name}: step must be above 0, got {space.step}")
    if space.log and space.step not in (None, 1):
        raise ValueError(f"{name}: a logarithmic scale has no steps")


_MODES = ("log", "float", "int", "item")


def as_space(name: str, given):
    """A `Float`, `Int` or `Choice` from what was given for a hyper-parameter.

    Args:
        name: its name, for messages.
        given: one of these three; a list of values; or (values, mode), where mode is "item", or "log", "float" or "int"
            with the bounds for values, in any order.
    Raises:
        ValueError: it is none of these.

    >>> from rushlight.tune.space import as_space
    >>> as_space("lr", ([1e-1, 1e-4], "log"))
    Float(low=0.0001, high=0.1, log=True, step=None)
    >>> as_space("width", [16, 32])
    Choice(options=[16, 32])
    """
    if isinstance(given, (Float, Int, Choice)):
        return given
    if (
        isinstance(given, tuple)
        and len(given) == 2
        and isinstance(given[1], str)
        and isinstance(given[0], (list, tuple))
    ):
        values, mode = given
        if mode not in _MODES:
            raise ValueError(f"{name}: the mode must be one of {', '.join(_MODES)}, got {mode!r}")
        if mode == "item":
            return Choice(values)
        low, high = min(values), max(values)
        return Int(low, high) if mode == "int" else Float(low, high, log=mode == "log")
    if isinstance(given, (list, tuple)):
        return Choice(given)
    raise ValueError(
        f"{name}: expected Float, Int, Choice, a list of values or (bounds, mode), got {type(given).__name__}"
    )
