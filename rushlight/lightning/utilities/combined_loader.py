"""Several loaders as one."""

import itertools
from collections.abc import Iterable
from typing import Any

from rushlight.utils._pytree import tree_flatten, tree_unflatten

MODES = ("min_size", "max_size_cycle", "max_size", "sequential")


class CombinedLoader(Iterable):
    """Iterates over several loaders at once, or over one after the other.

    Args:
        iterables: loaders, in lists, tuples or dictionaries; batches come in the same structure.
        mode: "min_size" ends with the shortest; "max_size_cycle" ends with the longest and starts the others again;
            "max_size" gives None for those that have ended; "sequential" takes one after the other.
    Raises:
        ValueError: an unknown mode.

    Each item is (batch, its number, number of the loader).

    >>> from rushlight.lightning.utilities import CombinedLoader
    >>> [batch for batch, _, _ in CombinedLoader({"a": range(1, 3), "b": range(3, 4)}, "max_size_cycle")]
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    >>> list(CombinedLoader([range(1, 3), range(3, 4)], "sequential"))
    [(1, 0, 0), (2, 1, 0), (3, 0, 1)]
    """

    def __init__(self, iterables: Any, mode: str = "min_size"):
        if mode not in MODES:
            raise ValueError(f"Unsupported mode {mode!r}, please select one of: {list(MODES)}.")
        self._iterables = iterables
        self._mode = mode
        self._flat, self._spec = tree_flatten(iterables)
        self.limits: list | None = None

    @property
    def iterables(self) -> Any:
        """The loaders as they were given."""
        return self._iterables

    @property
    def mode(self) -> str:
        """How they are combined."""
        return self._mode

    @property
    def flattened(self) -> list:
        """The loaders in a list."""
        return self._flat

    @flattened.setter
    def flattened(self, loaders: list) -> None:
        if len(loaders) != len(self._flat):
            raise ValueError(
                f"Mismatch in flattened length ({len(loaders)}) and existing length ({len(self._flat)})"
            )
        self._flat = list(loaders)
        self._iterables = tree_unflatten(self._flat, self._spec)

    @property
    def single(self) -> bool:
        """Whether it is one loader and nothing is to be combined."""
        return len(self._flat) == 1 and self._flat[0] is self._iterables

    def __len__(self) -> int:
        lengths = [len(loader) for loader in self._flat]
        if self.limits is not None:
            lengths = [min(n, limit) for n, limit in zip(lengths, self.limits, strict=True)]
        return {"min_size": min, "sequential": sum}.get(self._mode, max)(lengths)

    def __iter__(self):
        limits = self.limits or [None] * len(self._flat)
        limits = [None if limit == float("inf") else limit for limit in limits]
        if self.single:
            return ((batch, i, 0) for i, batch in enumerate(itertools.islice(iter(self._flat[0]), limits[0])))
        if self._mode == "sequential":
            return self._sequential(limits)
        iterators = [iter(loader) for loader in self._flat]  # now, as a loader draws its seed when it starts
        return self._parallel([itertools.islice(it, n) for it, n in zip(iterators, limits, strict=True)])

    def _sequential(self, limits):
        for number, (loader, limit) in enumerate(zip(self._flat, limits, strict=True)):
            if limit == 0:
                continue
            for index, batch in enumerate(itertools.islice(iter(loader), limit)):
                yield batch, index, number

    def _parallel(self, iterators):
        ended = [False] * len(iterators)
        for index in itertools.count():
            values: list = [None] * len(iterators)
            for i, loader in enumerate(self._flat):
                try:
                    values[i] = next(iterators[i])
                    continue
                except StopIteration:
                    ended[i] = True
                if self._mode == "min_size" or all(ended):
                    return
                if self._mode == "max_size_cycle":
                    iterators[i] = iter(loader)
                    values[i] = next(iterators[i])
            yield tree_unflatten(values, self._spec), index, 0
