"""From what a sampler gives, an index or a list of them, to what the loader gives."""

from rushlight.utils.data._utils.collate import default_collate
from rushlight.utils.data.dataset import direct_collation


class _DatasetKind:
    Map = 0
    Iterable = 1

    @staticmethod
    def create_fetcher(kind, dataset, auto_collation, collate_fn, drop_last):
        fetcher = _MapDatasetFetcher if kind == _DatasetKind.Map else _IterableDatasetFetcher
        return fetcher(dataset, auto_collation, collate_fn, drop_last)


class _BaseDatasetFetcher:
    def __init__(self, dataset, auto_collation, collate_fn, drop_last):
        self.dataset = dataset
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn
        self.drop_last = drop_last


class _MapDatasetFetcher(_BaseDatasetFetcher):
    def __init__(self, dataset, auto_collation, collate_fn, drop_last):
        super().__init__(dataset, auto_collation, collate_fn, drop_last)
        self.direct = direct_collation(dataset) if collate_fn is default_collate else None

    def fetch(self, possibly_batched_index):
        dataset = self.dataset
        if not self.auto_collation:
            return self.collate_fn(dataset[possibly_batched_index])
        if self.direct:
            return self.direct(possibly_batched_index)
        many = getattr(dataset, "__getitems__", None)
        samples = many(possibly_batched_index) if many else [dataset[i] for i in possibly_batched_index]
        return self.collate_fn(samples)


class _IterableDatasetFetcher(_BaseDatasetFetcher):
    def __init__(self, dataset, auto_collation, collate_fn, drop_last):
        super().__init__(dataset, auto_collation, collate_fn, drop_last)
        self.dataset_iter = iter(dataset)
        self.ended = False

    def fetch(self, possibly_batched_index):
        if self.ended:
            raise StopIteration
        if not self.auto_collation:
            return self.collate_fn(next(self.dataset_iter))
        size = len(possibly_batched_index)
        samples = [sample for _, sample in zip(range(size), self.dataset_iter, strict=False)]
        self.ended = len(samples) < size
        if not samples or (self.drop_last and self.ended):
            raise StopIteration
        return self.collate_fn(samples)
