"""The mistakes of users: one line each."""

import contextlib
import os
import pickle


class CommandError(ValueError):
    """Wrong arguments or data; its text is one line, and the command ends with status 2."""


def one_line(error: BaseException) -> str:
    """The text of an exception in one line; of one that a worker process passed on, the last.

    >>> from rushlight.cli.errors import one_line
    >>> one_line(FileNotFoundError(2, "No such file or directory", "a.csv"))
    'a.csv: no such file or directory'
    """
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror[0].lower() + error.strerror[1:]
        text = f"{os.fspath(error.filename)}: {reason}" if isinstance(error.filename, str) else reason
    if "Original Traceback" in text:
        text = text.strip().splitlines()[-1].split(": ", 1)[-1]
    return " ".join(text.split())


@contextlib.contextmanager
def told(*kinds: type[Exception], before: str = ""):
    """A block whose exceptions of these kinds are mistakes of the user.

    Args:
        kinds: by default those that reading and checking raise.
        before: what the message begins with.
    Raises:
        CommandError: instead of them.

    >>> from rushlight.cli.errors import told
    >>> with told(ZeroDivisionError, before="sums: "):
    ...     1 / 0
    Traceback (most recent call last):
    rushlight.cli.errors.CommandError: sums: division by zero
    """
    kinds = kinds or (
        OSError,
        ValueError,
        RuntimeError,
        TypeError,
        ImportError,
        EOFError,
        pickle.UnpicklingError,
    )
    try:
        yield
    except CommandError:
        raise
    except kinds as error:
        text = one_line(error)
        path = before.removesuffix(": ")
        if isinstance(error, OSError) and error.strerror and path:  # the path that the user gave is enough
            text = text.rpartition(": ")[2]
        raise CommandError(before + text) from error
