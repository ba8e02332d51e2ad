"""Calls in an order that PyTorch has deprecated and still takes: numbers before the tensors that they weigh."""

import functools
import warnings

from rushlight.ops.common import Number, Tensor

_told: list[str] = []  # PyTorch tells once per process


def in_todays_order(op: str, arguments: tuple, tensors: int, names: tuple) -> tuple[list, dict]:
    """The tensors and the named numbers of an old call such as `add(input, alpha, other)`.

    Args:
        op: the op's name.
        arguments: what was given by position.
        tensors: how many tensors the op takes.
        names: the names of its numbers, in the old order.
    Raises:
        TypeError: this is no such call.
    """
    found = [a for a in arguments if isinstance(a, Tensor)]
    numbers = [a for a in arguments if isinstance(a, Number)]
    behind = not isinstance(arguments[-1], Tensor)
    if (
        behind
        or len(found) != tensors
        or len(found) + len(numbers) != len(arguments)
        or len(numbers) > len(names)
    ):
        given = ", ".join(type(a).__name__ for a in arguments)
        raise TypeError(
            f"{op}() takes {tensors} positional arguments but {len(arguments)} were given: ({given}). "
            f"Give {' and '.join(names)} by name."
        )
    named = dict(zip(names, numbers, strict=False))
    if not _told:
        _told.append(op)
        warnings.warn(
            f"This overload of {op} is deprecated: numbers go behind the tensors, by name. Write "
            f"{op}(..., {', '.join(f'{n}={v}' for n, v in named.items())}) instead.",
            stacklevel=4,
        )
    return found, named


def also_in_old_order(tensors: int, *names: str):
    """Let an op of so many tensors take the numbers of these names in the old order too."""

    def decorate(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            if len(args) > tensors:
                args, numbers = in_todays_order(function.__name__, args, tensors, names)
                kwargs = {**numbers, **kwargs}
            return function(*args, **kwargs)

        return call

    return decorate
