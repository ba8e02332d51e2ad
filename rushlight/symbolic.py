"""Types of numbers that compilers leave open; there are none here, which programs can ask by `isinstance`."""

__all__ = ["SymBool", "SymFloat", "SymInt"]


class _Symbolic:
    def __init__(self, *args):
        raise NotImplementedError(
            f"{type(self).__name__}: all numbers are known here; use int, float or bool"
        )


class SymInt(_Symbolic):
    """An int that is left open."""


class SymFloat(_Symbolic):
    """A float that is left open."""


class SymBool(_Symbolic):
    """A bool that is left open."""
