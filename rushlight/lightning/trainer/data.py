"""Loaders: where they come from, how many batches count, and going on in the middle of an epoch."""

import functools
import itertools
import math
import operator
import os

import rushlight as torch
from rushlight.lightning.core.module import is_overridden
from rushlight.lightning.utilities.combined_loader import CombinedLoader
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import PossibleUserWarning, rank_zero_warn
from rushlight.lightning.utilities.seed import (
    collect_rng_states,
    packed,
    pl_worker_init_function,
    set_rng_states,
    unpacked,
)
from rushlight.utils._pytree import tree_unflatten
from rushlight.utils.data import DataLoader, IterableDataset, SequentialSampler

INFINITE = float("inf")


class DataSource:
    """The loaders given to fit, validate, test or predict, and where to ask for those that weren't.

    Args:
        trainer: the trainer.
        given: {"train": loaders, "val": ..., "test": ..., "predict": ...}, as far as they were given.
        asks_datamodule: whether the trainer's datamodule gives the others; that of an earlier run does not.
    """

    def __init__(self, trainer, given: dict, asks_datamodule: bool = True):
        self.trainer, self.asks_datamodule = trainer, asks_datamodule
        self.given = {kind: loaders for kind, loaders in given.items() if loaders is not None}

    def defined(self, kind: str) -> bool:
        """Whether there are loaders of that kind."""
        return kind in self.given or self._owner(kind) is not None

    def _owner(self, kind: str):
        name = f"{kind}_dataloader"
        trainer = self.trainer
        for owner in (trainer.datamodule if self.asks_datamodule else None, trainer.lightning_module):
            if is_overridden(name, owner):
                return owner
        return None

    def request(self, kind: str, mode: str) -> CombinedLoader:
        """The loaders of that kind, ready to be used.

        Raises:
            MisconfigurationException: there are none. TypeError: what there is can't be iterated over.
        """
        loaders = self.given.get(kind)
        if loaders is None:
            owner = self._owner(kind)
            if owner is None:
                verb = {"train": "fit", "val": "validate"}.get(kind, kind)
                raise MisconfigurationException(
                    f"`Trainer.{verb}()` needs `{kind}_dataloaders`: give them to it, or define `{kind}_dataloader()` in "
                    "the model or its datamodule"
                )
            loaders = self.trainer._ask(owner, f"{kind}_dataloader")
        combined = loaders if isinstance(loaders, CombinedLoader) else CombinedLoader(loaders, mode)
        if kind == "train" and combined.mode == "sequential":
            raise ValueError("Training does not support the `CombinedLoader(mode='sequential')`: use 'max_size_cycle', "
                             "'max_size' or 'min_size'")  # fmt: skip
        combined.flattened = [self._prepared(loader, kind) for loader in combined.flattened]
        return combined

    def _prepared(self, loader, kind: str):
        try:
            iter_method = type(loader).__iter__
        except AttributeError:
            iter_method = None
        if iter_method is None and not hasattr(loader, "__getitem__"):
            raise TypeError(
                f"An invalid dataloader was returned for {kind}: expected something to iterate over, got {loader!r}"
            )
        if not isinstance(loader, DataLoader):
            return loader
        if int(os.environ.get("PL_SEED_WORKERS", "0")) and loader.worker_init_fn is None:
            loader.worker_init_fn = functools.partial(pl_worker_init_function, rank=0)
        if self.trainer.overfit_batches and kind in ("train", "val"):
            loader = _unshuffled(loader, kind)
        return loader


def _unshuffled(loader: DataLoader, kind: str) -> DataLoader:
    """A loader in order in place of one in random order."""
    if isinstance(loader.dataset, IterableDataset) or isinstance(loader.sampler, SequentialSampler):
        return loader
    rank_zero_warn(
        f"You requested to overfit but enabled {kind} dataloader shuffling. We are turning off the shuffling."
    )
    return DataLoader(
        loader.dataset, loader.batch_size, sampler=SequentialSampler(loader.dataset), num_workers=loader.num_workers,
        collate_fn=loader.collate_fn, drop_last=loader.drop_last, timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn, generator=loader.generator,
    )  # fmt: skip


def length(loader) -> float:
    """How many batches a loader has; infinity where it doesn't say."""
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return INFINITE


def limited(kind: str, available: float, limit) -> float:
    """How many of the available batches count.

    Raises:
        MisconfigurationException: a share of an unknown number, or a share that comes to nothing.
    """
    if limit is None or (isinstance(limit, float) and limit == 1.0):
        return available
    if isinstance(limit, int) or limit == 0:
        return min(available, int(limit))
    if available == INFINITE:
        raise MisconfigurationException(
            f"When using an `IterableDataset`, `Trainer(limit_{kind}_batches)` must be `1.0` or an int. An int specifies "
            f"`num_{kind}_batches` to use."
        )
    count = int(available * limit)
    if count == 0 and available:
        raise MisconfigurationException(
            f"You requested to check {limit} of the `{kind}_dataloader` but {limit} * {int(available)} < 1. Please "
            f"increase the `limit_{kind}_batches` argument. Try at least `limit_{kind}_batches={1 / available}`"
        )
    return count


def check_length(count: float, every: int, loggers: list) -> None:
    """Warn where an epoch is shorter than the interval of logging."""
    if loggers and 0 < count < every:
        rank_zero_warn(
            f"The number of training batches ({int(count)}) is smaller than the logging interval "
            f"Trainer(log_every_n_steps={every}). Set a lower value for log_every_n_steps if you want to see logs for "
            "the training epoch.",
            category=PossibleUserWarning,
        )


def val_check_batch(interval, every_n_epoch, count: float) -> float:
    """After how many training batches to validate.

    Raises:
        MisconfigurationException: after more than there are, or a share of an unknown number.
    """
    if isinstance(interval, int):
        if interval > count and every_n_epoch is not None:
            raise ValueError(
                f"`val_check_interval` ({interval}) must be less than or equal to the number of the training batches "
                f"({int(count)}). If you want to disable validation set `limit_val_batches` to 0.0 instead. If you want to "
                "validate based on the total training batches, set `check_val_every_n_epoch=None`."
            )
        return interval
    if count == INFINITE:
        if interval == 1.0:
            return INFINITE
        raise MisconfigurationException(
            "When using an IterableDataset for `train_dataloader`, `Trainer(val_check_interval)` must be time based, "
            "`1.0` or an int. An int k specifies checking validation every k training batches."
        )
    return max(1, int(count * interval))


def set_epoch(loader: CombinedLoader, epoch: int) -> None:
    """Tell samplers that want to know (`set_epoch`) which epoch begins."""
    for item in loader.flattened:
        sampler = getattr(item, "sampler", None)
        inner = getattr(getattr(item, "batch_sampler", None), "sampler", None)
        for owner in (sampler, inner):
            if callable(getattr(owner, "set_epoch", None)):
                owner.set_epoch(epoch)
                break


def batches_of(loader: CombinedLoader):
    """The batches without their numbers."""
    return iter(loader.iterables) if loader.single else map(operator.itemgetter(0), iter(loader))


class Position:
    """Where a loader is: the random streams when it started, and how many batches it gave since.

    Starting it anew with the same streams gives the same order; what was used is passed over. Loaders in this process
    pass over it without loading anything, as the streams are set afterwards. Workers have streams of their own that only
    go on with every sample, so they load it again; persistent ones are given the streams that they had when the epoch
    began.

    Args:
        loader: the loaders.
    """

    def __init__(self, loader: CombinedLoader):
        self.loader = loader
        self.start: dict = {}
        self.given = 0

    def open(self, state: dict | None = None):
        """Start the loaders, where `state` says if it is given; returns an iterator over batches, without numbers."""
        if state is None:
            self.start, self.given = self.streams(), 0
            return batches_of(self.loader)
        restart_workers(self.loader, state.get("workers"), at_once=False)
        self.set_streams(state["start"])
        self.start, self.given = state["start"], state["given"]
        return self._advanced(state["given"])

    def _advanced(self, count: int):
        """An iterator over what comes after that many batches."""
        if count and len(self.loader.flattened) == 1 and _skips_cheaply(self.loader.flattened[0]):
            opened = iter(self.loader.flattened[0])
            for _ in itertools.islice(
                iter(opened._next_index, object()), count
            ):  # takes the indices, loads nothing
                continue
            spec = self.loader._spec
            return opened if self.loader.single else (tree_unflatten([batch], spec) for batch in opened)
        batches = batches_of(self.loader)
        for _ in range(count):
            next(batches, None)
        return batches

    def state_dict(self, used: int) -> dict:
        """Where it is, after that many batches."""
        return {"start": self.start, "given": used, "workers": worker_streams(self.loader, now=False)}

    def _generators(self) -> list:
        found: list = []
        for item in self.loader.flattened:
            sampler, batches = getattr(item, "sampler", None), getattr(item, "batch_sampler", None)
            for owner in (item, sampler, batches, getattr(batches, "sampler", None)):
                generator = getattr(owner, "generator", None)
                if generator is not None and all(generator is not known for known in found):
                    found.append(generator)
        return found

    def streams(self) -> dict:
        """The random streams as they are now, with those of the loaders' own generators."""
        return {**collect_rng_states(), "loaders": [g.get_state() for g in self._generators()]}

    def set_streams(self, states: dict) -> None:
        """Set the random streams, and those of the loaders' own generators."""
        set_rng_states(states)
        for generator, state in zip(self._generators(), states["loaders"], strict=False):
            generator.set_state(state)


def _persistent(loader) -> bool:
    return isinstance(loader, DataLoader) and loader.persistent_workers


def worker_streams(loader: CombinedLoader | None, now: bool) -> list:
    """The random streams of persistent workers, by loader; None for loaders without them.

    Args:
        loader: the loaders.
        now: those that they have now, between two epochs; else those that they had when the epoch began.
    """
    found: list = []
    for item in loader.flattened if loader is not None else ():
        iterator = item._iterator if _persistent(item) else None
        if iterator is not None and now:
            iterator._resume()
        streams = [] if iterator is None else iterator._worker_streams
        states = [packed(torch.from_numpy(own[0]), *own[1:]) for own in streams if own is not None]
        found.append(states or None)
    return found


def restart_workers(loader: CombinedLoader | None, streams: list | None, at_once: bool) -> None:
    """Start persistent workers with the random streams that `worker_streams` gave.

    Args:
        loader: the loaders.
        streams: the streams by loader.
        at_once: give them the streams now; else when the next epoch begins.
    """
    for item, states in zip(loader.flattened if loader is not None else (), streams or (), strict=False):
        if states is None or not _persistent(item) or len(states) != item.num_workers:
            continue
        iter(item)
        own = [(of_torch.numpy(), *others) for of_torch, *others in map(unpacked, states)]
        if at_once:
            item._iterator._resume(own)
        else:
            item._iterator._streams_to_set = own


def _skips_cheaply(loader) -> bool:
    streamed = isinstance(getattr(loader, "dataset", None), IterableDataset)
    return type(loader) is DataLoader and loader.num_workers == 0 and not streamed


def stepping_batches(count: float, accumulate: int, epochs, steps: int) -> float:
    """How many optimizer steps a run takes, at most."""
    if count == INFINITE:
        return steps
    if epochs in (-1, None):
        return INFINITE if steps == -1 else steps
    total = math.ceil(count / accumulate) * max(epochs, 1)
    return total if steps == -1 else min(total, steps)
