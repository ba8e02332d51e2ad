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
