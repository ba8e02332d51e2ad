"""The size of a ragged dimension, and where a packed dimension is cut into pieces."""

import weakref
from functools import cached_property
from itertools import count

import numpy as np

from rushlight.symbolic import SymInt
from rushlight.tensor import Tensor, wrap


class RaggedSize(SymInt):
    """The size of a dimension that differs from piece to piece: `j1`, or a multiple of it.

    It is equal to itself only, and at least 0; it cannot be turned into an int.

    Args:
        number: which ragged structure it is of.
        factor: what it is multiplied by.
    """

    __slots__ = ("factor", "number")

    def __init__(self, number: int, factor: int = 1):
        self.number, self.factor = number, factor

    def __repr__(self) -> str:
        return f"j{self.number}" if self.factor == 1 else f"{self.factor}*j{self.number}"

    def __eq__(self, other):
        if isinstance(other, RaggedSize):
            return (self.number, self.factor) == (other.number, other.factor)
        return False

    def __hash__(self):
        return hash((RaggedSize, self.number, self.factor))

    def __mul__(self, times):
        if isinstance(times, RaggedSize):
            raise ValueError(f"the product of two ragged sizes, {self} and {times}, is not defined")
        return RaggedSize(self.number, self.factor * times)

    __rmul__ = __mul__

    def __ge__(self, other):
        if isinstance(other, RaggedSize) and self.number == other.number:
            return self.factor >= other.factor
        if isinstance(other, int) and other <= 2:
            return True
        raise ValueError(f"ge: relation is indeterminate: {self} differs from piece to piece, got {other}")

    def __gt__(self, other):
        return self >= other + 1 if isinstance(other, int) else self >= other and self != other

    def __lt__(self, other):
        return not self >= other

    def __le__(self, other):
        return not self > other


_numbers = count(1)
_sizes: dict[int, tuple] = {}  # id of an offsets tensor -> (weak reference to it, its size)


def ragged_size(source: Tensor) -> RaggedSize:
    """The size that tensors have that are cut by this very tensor of offsets (or lengths)."""
    key = id(source)
    if key not in _sizes:
        _sizes[key] = weakref.ref(source, lambda _: _sizes.pop(key, None)), RaggedSize(next(_numbers))
    return _sizes[key][1]


class Cuts:
    """Where a packed dimension is cut into pieces.

    Args:
        offsets: (pieces + 1,), where each piece begins; the last is the end.
        lengths: (pieces,), how long each is, where there are holes between them.
    """

    def __init__(self, offsets: Tensor, lengths: Tensor | None = None):
        self.offsets, self.lengths = offsets, lengths
        self.size = ragged_size(offsets if lengths is None else lengths)

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    @cached_property
    def starts(self) -> list[int]:
        """Where each piece begins."""
        return self.offsets._array[:-1].tolist()

    @cached_property
    def counts(self) -> list[int]:
        """How long each piece is."""
        return (np.diff(self.offsets._array) if self.lengths is None else self.lengths._array).tolist()

    @cached_property
    def rows(self) -> Tensor:
        """For each packed position the number of its piece, int64."""
        return wrap(np.repeat(np.arange(len(self)), self.counts))

    @cached_property
    def within(self) -> Tensor:
        """For each packed position its place in its piece, int64."""
        total = sum(self.counts)
        return wrap(np.arange(total) - np.repeat(np.array(self.starts, np.int64), self.counts))

    @property
    def longest(self) -> int:
        """The length of the longest piece."""
        return max(self.counts, default=0)
