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


def rank_zero_info(message, *args) -> None:
    """Write a line to the log."""
    log.info(message, *args)


def rank_zero_debug(message, *args) -> None:
    """Write a line to the log, for those who look for mistakes."""
    log.debug(message, *args)


def rank_zero_warn(message, category=UserWarning, stacklevel: int = 4) -> None:
    """Warn."""
    warnings.warn(str(message), category, stacklevel=stacklevel)


def rank_zero_deprecation(message, stacklevel: int = 5) -> None:
    """Warn of something old."""
    rank_zero_warn(message, LightningDeprecationWarning, stacklevel)
