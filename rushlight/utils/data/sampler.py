"""Samplers: the orders in which samples are taken. All random draws are PyTorch's, in PyTorch's order."""

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Generic, TypeVar

import rushlight as torch

T_co = TypeVar("T_co", covariant=True)


def _positive(name: str, value, error=ValueError) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise error(f"{name} should be a positive integer value, but got {name}={value}")
    return value


def _boolean(name: str, value, error) -> bool:
    if not isinstance(value, bool):
        raise error(f"{name} should be a boolean value, but got {name}={value}")
    return value


def draw_seed(generator=None) -> int:
    """A seed, drawn as PyTorch draws one."""
    return torch.empty((), dtype=torch.int64).random_(generator=generator).item()


class Sampler(Generic[T_co]):
    """Base class: a subclass gives `__iter__` over indices or lists of them, and maybe `__len__`."""

    def __iter__(self) -> Iterator:
        raise NotImplementedError(
            f"{type(self).__name__} has no __iter__; a subclass of Sampler must define it"
        )


class SequentialSampler(Sampler[int]):
    """All samples in order.

    Args:
        data_source: the dataset.
    """

    def __init__(self, data_source: Sized):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Samples in random order.

    Args:
        data_source: the dataset.
        replacement: draw each one from all, so that some come several times.
        num_samples: how many to draw; all by default.
        generator: where to draw from; by default a fresh one, seeded from the default generator at each
            epoch.
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, generator=None
    ):
        self.data_source = data_source
        self.replacement = _boolean("replacement", replacement, TypeError)
        self._num_samples = num_samples
        self.generator = generator
        _positive("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many samples an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n = len(self.data_source)
        generator = self.generator
        if generator is None:
            generator = torch.Generator()
            generator.manual_seed(draw_seed())
        whole, rest = divmod(self.num_samples, 32 if self.replacement else n)
        if self.replacement:
            for part in range(
                whole + 1
            ):  # not a list of them: num_samples may be 1e10, for a loop without end
                size = 32 if part < whole else rest
                yield from torch.randint(
                    high=n, size=(size,), dtype=torch.int64, generator=generator
                ).tolist()
        else:
            for _ in range(whole):
                yield from torch.randperm(n, generator=generator).tolist()
            yield from torch.randperm(n, generator=generator).tolist()[:rest]  # drawn even where rest is 0

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Some samples in random order.

    Args:
        indices: which samples.
        generator: where to draw from.
    """

    def __init__(self, indices: Sequence[int], generator=None):
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in torch.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Samples drawn with given weights.

    Args:
        weights: one for each sample; they need not sum to 1.
        num_samples: how many to draw.
        replacement: whether a sample may come several times.
        generator: where to draw from.
    """

    def __init__(self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator=None):
        self.num_samples = _positive("num_samples", num_samples)
        self.replacement = _boolean("replacement", replacement, ValueError)
        self.weights = torch.as_tensor(weights, dtype=torch.double)
        if self.weights.ndim != 1:
            raise ValueError(
                f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}"
            )
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        drawn = torch.multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator)
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices from another sampler.

    Args:
        sampler: gives the indices.
        batch_size: how many in a list.
        drop_last: leave out a last list that is shorter.
    """

    def __init__(self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool):
        self.batch_size = _positive("batch_size", batch_size)
        self.drop_last = _boolean("drop_last", drop_last, ValueError)
        self.sampler = sampler

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        if self.drop_last:
            return len(self.sampler) // self.batch_size
        return (len(self.sampler) + self.batch_size - 1) // self.batch_size
