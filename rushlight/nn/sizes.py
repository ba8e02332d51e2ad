"""Sizes given as one number for all dimensions, or as one number for each."""

from collections.abc import Iterable


def _ntuple(n: int, name: str = "parse"):
    def parse(value) -> tuple:
        return tuple(value) if isinstance(value, Iterable) else (value,) * n

    parse.__name__ = name
    parse.__doc__ = f"A number as a tuple of {n} times itself; a sequence as a tuple."
    return parse


_single, _pair, _triple = _ntuple(1, "_single"), _ntuple(2, "_pair"), _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(values, n: int) -> tuple:
    """The values from last to first, each `n` times: a padding for each dimension as `pad` takes it."""
    return tuple(value for value in reversed(values) for _ in range(n))


def _list_with_default(sizes, defaults):
    """Sizes in which None stands for the default, the last of which belongs to the last size."""
    if hasattr(sizes, "__index__"):
        return sizes
    if len(defaults) <= len(sizes):
        raise ValueError(f"Input dimension should be at least {len(sizes) + 1}")
    return [
        default if size is None else size
        for size, default in zip(sizes, defaults[-len(sizes) :], strict=True)
    ]
