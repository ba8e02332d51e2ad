"""The DataLoader: batches of a dataset's samples, in this process."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from rushlight.utils.data._utils.collate import default_collate, default_convert
from rushlight.utils.data.dataset import Dataset, IterableDataset, direct_collation
from rushlight.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, draw_seed

T_co = TypeVar("T_co", covariant=True)


def get_worker_info():
    """What a loader's worker process is; None in the main process, which loads everything so far."""
    return None


class _InfiniteConstantSampler(Sampler):
    """The sampler of a stream, which has no indices."""

    def __iter__(self):
        while True:
            yield None


class DataLoader(Generic[T_co]):
    """Batches of a dataset.

    Args:
        dataset: the samples, by index or as a stream.
        batch_size: samples in a batch; None for samples as they are.
        shuffle: a new random order every epoch.
        sampler: gives the indices; in place of `shuffle`.
        batch_sampler: gives lists of indices; in place of `batch_size`, `shuffle`, `sampler` and `drop_last`.
        num_workers: 0; worker processes are not supported in this version.
        collate_fn: makes a batch of a list of samples; `default_collate` by default.
        pin_memory: accepted, with a warning: there is no accelerator.
        drop_last: leave out a last batch that is shorter.
        timeout, worker_init_fn, multiprocessing_context, prefetch_factor, persistent_workers, in_order: for
            workers.
        generator: where the order is drawn from.
        pin_memory_device: accepted, without effect.
    Raises:
        ValueError: arguments that exclude one another. NotImplementedError: `num_workers` is not 0.

    After `torch.manual_seed`, the order is PyTorch's.

    >>> import rushlight as torch
    >>> from rushlight.utils.data import DataLoader
    >>> list(DataLoader(range(5), batch_size=2))
    [tensor([0, 1]), tensor([2, 3]), tensor([4])]
    """

    _initialized = False

    def __init__(
        self, dataset: Dataset[T_co], batch_size: int | None = 1, shuffle: bool | None = None,
        sampler: Sampler | Iterable | None = None,
        batch_sampler: Sampler[list] | Iterable[list] | None = None, num_workers: int = 0,
        collate_fn: Callable | None = None, pin_memory: bool = False, drop_last: bool = False,
        timeout: float = 0, worker_init_fn: Callable | None = None, multiprocessing_context=None,
        generator=None, *, prefetch_factor: int | None = None, persistent_workers: bool = False,
        pin_memory_device: str = "", in_order: bool = True,
    ):  # fmt: skip
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers, multiprocessing_context)
        streamed = isinstance(dataset, IterableDataset)
        _check_order(streamed, batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self.persistent_workers = persistent_workers
        if batch_sampler is not None:
            batch_size = None
        if sampler is None:
            if streamed:
                sampler = _InfiniteConstantSampler()
            else:
                sampler = (
                    RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
                )
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last = batch_size, drop_last
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.generator = generator
        self.collate_fn = collate_fn or (default_collate if self._auto_collation else default_convert)
        self._IterableDataset_len_called = None
        self._initialized = True

    def __setattr__(self, name: str, value) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self._initialized and name in fixed:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self):
        return self.batch_sampler if self._auto_collation else self.sampler

    def __iter__(self) -> Iterator:
        return _LoaderIterator(self)

    def __len__(self) -> int:
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        length = self._IterableDataset_len_called = len(self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else math.ceil(length / self.batch_size)


def _check_workers(
    num_workers, timeout, prefetch_factor, persistent_workers, multiprocessing_context
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
        )
    if num_workers > 0:
        raise NotImplementedError(
            f"DataLoader: expected num_workers=0, got num_workers={num_workers}; worker processes are not "
            "supported yet, samples are loaded in the main process. Use num_workers=0 for now."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing. "
            "Let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if persistent_workers:
        raise ValueError("persistent_workers option needs num_workers > 0")
    if multiprocessing_context is not None:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
            f"num_workers={num_workers}"
        )


def _check_order(streamed: bool, batch_size, shuffle, sampler, batch_sampler, drop_last) -> None:
    if streamed:
        given = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                    f"{name}={value}"
                )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
            )
    elif batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )


class _LoaderIterator:
    """One epoch."""

    def __init__(self, loader: DataLoader):
        if loader.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory "
                "won't be used.",
                stacklevel=3,
            )
        self._loader = loader
        self._indices = iter(loader._index_sampler)
        self._base_seed = draw_seed(
            loader.generator
        )  # of the workers, in PyTorch; drawn to keep to its order
        self._yielded = 0
        streamed = isinstance(loader.dataset, IterableDataset)
        self._fetch = _stream_fetcher(loader) if streamed else _fetcher(loader)
        self._expected = loader._IterableDataset_len_called if streamed else None

    def __iter__(self):
        return self

    def __next__(self):
        data = self._fetch(next(self._indices))
        self._yielded += 1
        if self._expected is not None and self._yielded > self._expected:
            warnings.warn(
                f"Length of IterableDataset {self._loader.dataset} was reported to be {self._expected} (when "
                f"accessing len(dataloader)), but {self._yielded} samples have been fetched. ",
                stacklevel=2,
            )
        return data

    def __len__(self) -> int:
        return len(self._loader._index_sampler)

    def __getstate__(self):
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


def _fetcher(loader: DataLoader):
    """The function from an index, or a list of indices, to what the loader gives."""
    dataset, collate_fn = loader.dataset, loader.collate_fn
    if not loader._auto_collation:
        return lambda index: collate_fn(dataset[index])
    if collate_fn is default_collate:
        direct = direct_collation(dataset)
        if direct is not None:
            return direct
    many = getattr(dataset, "__getitems__", None)
    if many:
        return lambda indices: collate_fn(many(indices))
    return lambda indices: collate_fn([dataset[i] for i in indices])


def _stream_fetcher(loader: DataLoader):
    samples, collate_fn, drop_last = iter(loader.dataset), loader.collate_fn, loader.drop_last
    if not loader._auto_collation:
        return lambda _: collate_fn(next(samples))
    ended = False

    def fetch(places: list):
        nonlocal ended
        if ended:
            raise StopIteration
        batch = [sample for _, sample in zip(places, samples, strict=False)]
        ended = len(batch) < len(places)
        if not batch or (drop_last and ended):
            raise StopIteration
        return collate_fn(batch)

    return fetch


__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]
