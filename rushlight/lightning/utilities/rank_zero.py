"""Messages of the main process, of which there is only one here."""

import functools
import logging
import warnings

log = logging.getLogger("pytorch_lightning")  # the name that scripts silence
log.setLevel(logging.INFO)
if not logging.getLogger().hasHandlers() and not log.handlers:
    log.addHandler(logging.StreamHandler())
    log.propagate = False


class LightningDeprecationWarning(DeprecationWarning):
    """An argument or hook of an older release."""


class PossibleUserWarning(UserWarning):
    """Something that may be meant, or may be a mistake."""


def disable_possible_user_warnings(module: str = "") -> None:
    """Keep quiet about what may be a mistake.

    Args:
        module: only about what this module does.
    """
    warnings.simplefilter("ignore", PossibleUserWarning)
    warnings.filterwarnings("ignore", module=module, category=PossibleUserWarning)


def rank_zero_only(fn=None, default=None):
    """Run a function in the main process only: here, always.

    Args:
        fn: the function; `default` is what other processes would return.
    """

    @functools.wraps(fn)
    def wrapped(*args, **kwargs):
        return fn(*args, **kwargs)

    return wrapped


rank_zero_only.rank = 0


def rank_zero_info(*args, stacklevel: int = 4, **kwargs) -> None:
    """Write a line to the log: a message and its arguments, as `logging` takes them."""
    log.info(*args, **kwargs)


def rank_zero_debug(*args, stacklevel: int = 4, **kwargs) -> None:
    """Write a line to the log, for those who look for mistakes."""
    log.debug(*args, **kwargs)


def rank_zero_warn(message, stacklevel: int = 4, **kwargs) -> None:
    """Warn; `category` is UserWarning by default."""
    warnings.warn(str(message), stacklevel=stacklevel, **kwargs)


def rank_zero_deprecation(message, stacklevel: int = 5, **kwargs) -> None:
    """Warn of something old."""
    rank_zero_warn(message, stacklevel=stacklevel, **{"category": LightningDeprecationWarning, **kwargs})


class WarningCache(set):
    """Says everything once."""

    def _new(self, message) -> bool:
        new = message not in self
        self.add(message)
        return new

    def warn(self, message, stacklevel: int = 5, **kwargs) -> None:
        """Warn, the first time."""
        if self._new(message):
            rank_zero_warn(message, stacklevel=stacklevel, **kwargs)

    def deprecation(self, message, stacklevel: int = 6, **kwargs) -> None:
        """Warn of something old, the first time."""
        if self._new(message):
            rank_zero_deprecation(message, stacklevel=stacklevel, **kwargs)

    def info(self, message, stacklevel: int = 5, **kwargs) -> None:
        """Write a line to the log, the first time."""
        if self._new(message):
            rank_zero_info(message, **kwargs)


def rank_prefixed_message(message: str, rank: int | None) -> str:
    """The message with the number of the process before it; as it is for None."""
    return message if rank is None else f"[rank: {rank}] {message}"
