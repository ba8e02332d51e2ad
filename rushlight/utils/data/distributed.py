"""The sampler that gives each process of a distributed training its part of a dataset."""

import math
from collections.abc import Iterator, Sized
from typing import TypeVar

import rushlight as torch
from rushlight.utils.data.sampler import Sampler

T_co = TypeVar("T_co", covariant=True)


class DistributedSampler(Sampler[T_co]):
    """Every `num_replicas`-th sample of one common order, beginning with the sample at place `rank`.

    Args:
        dataset: the samples, the same in every process.
        num_replicas, rank: how many processes there are, and which one this is; by default those of
            `torch.distributed`.
        shuffle: a random order, which `set_epoch` changes.
        seed: of that order, the same in every process.
        drop_last: leave out the samples that do not go round; otherwise the first ones come again.
    Raises:
        ValueError: there is no such rank.

    >>> from rushlight.utils.data.distributed import DistributedSampler
    >>> [list(DistributedSampler(range(5), 2, rank, shuffle=False)) for rank in (0, 1)]
    [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(
        self, dataset: Sized, num_replicas: int | None = None, rank: int | None = None, shuffle: bool = True,
        seed: int = 0, drop_last: bool = False,
    ):  # fmt: skip
        from rushlight import distributed as dist

        self.num_replicas = dist.get_world_size() if num_replicas is None else num_replicas
        self.rank = dist.get_rank() if rank is None else rank
        if not 0 <= self.rank < self.num_replicas:
            raise ValueError(
                f"Invalid rank {self.rank}, rank should be in the interval [0, {self.num_replicas - 1}]"
            )
        self.dataset, self.shuffle, self.seed, self.drop_last = dataset, shuffle, seed, drop_last
        self.epoch = 0
        n = len(dataset)
        self.num_samples = n // self.num_replicas if drop_last else math.ceil(n / self.num_replicas)
        self.total_size = self.num_samples * self.num_replicas

    def __iter__(self) -> Iterator:
        n = len(self.dataset)
        order = list(range(n))
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            order = torch.randperm(n, generator=generator).tolist()
        if not self.drop_last and n:
            order *= math.ceil(self.total_size / n)
        return iter(order[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the random order; call it before each epoch, or every epoch has the same one."""
        self.epoch = epoch


__all__ = ["DistributedSampler"]
