"""From the settings to training and validation data."""

import os
from dataclasses import dataclass, field

import numpy as np

import rushlight as torch
from rushlight.cli import pictures, tables
from rushlight.cli.errors import CommandError, told
from rushlight.utils.data import DataLoader, Dataset
from rushlight.validation import balanced_sampler, hold_out


@dataclass
class Data:
    """Data sets and what is known of them.

    Attributes:
        described: what a run keeps to treat new data alike: kind ("pictures" or "table"), task, classes, and so on.
        train, val: items (input, target); `val` is None where there is no such part.
        labels: classes of the training samples.
        shape: of one input.
    """

    described: dict
    train: Dataset
    val: Dataset | None
    shape: tuple
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    classes = property(lambda self: self.described.get("classes") or [], doc="The names of the classes.")
    task = property(lambda self: self.described["task"], doc='"classification" or "regression".')


def data_format(path: str, format: str) -> str:
    """What a path is: "folder", "mnist", "cifar" or "csv".

    Args:
        path: file or folder.
        format: one of these, or "auto".
    Raises:
        CommandError: there is no such path.
    """
    if not os.path.exists(path):
        raise CommandError(f"{path}: no such file or folder")
    if format != "auto":
        return format
    if os.path.isfile(path):
        return "csv"
    if pictures.find_idx(path):
        return "mnist"
    return "cifar" if pictures.find_cifar(path) else "folder"


def open_data(settings, image_size: int | None = None, channels: int | None = None) -> Data:
    """The data of a run.

    Args:
        settings: all settings.
        image_size, channels: what the model takes, where that isn't left to the data.
    Raises:
        CommandError: something is wrong with them; one line says what.
    """
    settings_format = data_format(settings.data, settings.format)
    if settings_format == "csv":
        return _open_table(settings)
    if settings.target or settings.features or settings.categorical:
        raise CommandError("--target, --features and --categorical are for tables, not for pictures")
    return _open_pictures(settings, settings_format, image_size, channels)


def split(count: int, share: float, labels: np.ndarray | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the samples to train on and to validate on.

    Args:
        count: of the samples.
        share: of the latter.
        labels: their classes: each is split by itself then.
        seed: of the choice.

    >>> import numpy as np
    >>> from rushlight.cli.data import split
    >>> train, val = split(10, 0.2, np.array([0] * 5 + [1] * 5), 0)
    >>> len(train), [int(i) // 5 for i in val]
    (8, [0, 1])
    """
    with told(before="--val-split: "):
        parts = hold_out(range(count), share, stratify=labels, seed=seed)
    train, val = (np.sort(list(part)) for part in parts)
    return train, val


def _limited(indices: np.ndarray, limit: int | None, seed: int) -> np.ndarray:
    if limit is None or limit >= len(indices):
        return indices
    return np.sort(np.random.default_rng(seed).permutation(indices)[:limit])


def _open_pictures(settings, format: str, image_size, channels) -> Data:
    parts = pictures.read_parts(settings.data, format, ("train", "val"))
    train = parts["train"]
    if settings.val_data:
        val = pictures.read_folder(settings.val_data)
        if val.classes != train.classes:
            raise CommandError(
                f"{settings.val_data}: its classes {', '.join(val.classes)} are not those of the training data"
            )
    else:
        val = parts.get("val")
    if len(train.classes) < 2:
        raise CommandError(f"{settings.data}: at least 2 classes expected, got {', '.join(train.classes)}")
    chosen, held = np.arange(len(train.labels)), None
    if val is None and settings.val_split:
        chosen, held = split(len(train.labels), settings.val_split, train.labels, settings.seed)
        val = train
    elif val is not None:
        held = np.arange(len(val.labels))
    chosen = _limited(chosen, settings.limit_train, settings.seed)
    native = train.data[int(chosen[0])][0].size if format != "folder" else None
    described = {
        "kind": "pictures", "task": "classification", "classes": list(train.classes),
        "channels": settings.channels or channels or (1 if format == "mnist" else 3),
        "size": settings.image_size or image_size or (native[0] if native else 224),
        "native": native[0] if native and native[0] == native[1] else None,
    }  # fmt: skip
    described["mean"], described["std"] = pictures.statistics(train, chosen, described, settings.normalize)
    held_data = None
    if held is not None and len(held):
        held = _limited(held, settings.limit_val, settings.seed)
        held_data = pictures.Pictures(val.data, held, pictures.transform(described))
    return Data(
        described,
        pictures.Pictures(train.data, chosen, pictures.transform(described, settings.augment)),
        held_data,
        (described["channels"], described["size"], described["size"]),
        np.asarray(train.labels)[chosen],
    )


def _open_table(settings) -> Data:
    if settings.augment != "none" or settings.image_size or settings.channels:
        raise CommandError("--augment, --image-size and --channels are for pictures, not for tables")
    path = settings.data
    table, described = tables.read(path, settings)
    rows = tables.usable_rows(path, table, described)
    other = other_rows = None
    if settings.val_data:
        other = tables.read_cells(settings.val_data, settings.delimiter, settings.columns)
        tables._require(other, settings.val_data, [settings.target])
        other_rows = tables.usable_rows(settings.val_data, other, described)
    labels = None
    if described["task"] == "classification":
        described["classes"] = tables.class_names(table, settings.target, rows)
        if len(described["classes"]) < 2:
            raise CommandError(f"{path}: the target {settings.target!r} has one value only")
        labels = tables.targets(path, table, described, rows)
    chosen, held = np.arange(len(rows)), None
    if other is None and settings.val_split and len(rows) > 1:
        chosen, held = split(len(rows), settings.val_split, labels, settings.seed)
    chosen = _limited(chosen, settings.limit_train, settings.seed)
    tables.fit(path, table, described, rows[chosen], settings.normalize != "none")
    val = None
    if other is not None:
        val = tables.dataset(
            settings.val_data, other, described, _limited(other_rows, settings.limit_val, settings.seed)
        )
    elif held is not None and len(held):
        val = tables.dataset(path, table, described, rows[_limited(held, settings.limit_val, settings.seed)])
    train = tables.dataset(path, table, described, rows[chosen])
    labels = labels[chosen] if labels is not None else np.empty(0, np.int64)
    return Data(described, train, val, (tables.width(described),), labels)


def part_of(settings, described: dict, path: str | None, name: str) -> Dataset:
    """Data to evaluate a trained model on.

    Args:
        settings: those of the run.
        described: the description that the run kept.
        path: other data than those of the run; all of them are used.
        name: else, which part of the run's data: "train", "val" or "test".
    Raises:
        CommandError: there is no such part.
    """
    if described["kind"] == "table":
        if path is None and name != "test":
            data = open_data(settings)
            return _existing(data.train if name == "train" else data.val, name)
        if path is None:
            raise CommandError(f"{settings.data} has no part 'test'; give another file")
        table = tables.new_cells(path, described)
        tables._require(table, path, [described["target"], *(c["name"] for c in described["columns"])])
        return tables.dataset(path, table, described, tables.usable_rows(path, table, described))
    if path is None and name != "test":
        settings.augment = "none"
        data = open_data(settings, described["size"], described["channels"])
        return _existing(data.train if name == "train" else data.val, name)
    where = path or settings.data
    parts = pictures.read_parts(where, data_format(where, "auto" if path else settings.format))
    part = parts.get("test") or (parts.get("val") or parts["train"] if path else None)
    part = _existing(part, name)
    if part.classes != described["classes"]:
        raise CommandError(f"{where}: its classes {', '.join(part.classes)} are not those of the model, "
                           f"{', '.join(described['classes'])}")  # fmt: skip
    steps = pictures.transform(described, any_size=path is not None)
    return pictures.Pictures(part.data, np.arange(len(part.labels)), steps)


def _existing(part, name: str):
    if part is None:
        raise CommandError(f"the data have no part {name!r}; --split names another")
    return part


def loaders(data: Data, settings) -> tuple[DataLoader, DataLoader | None]:
    """Loaders of the training and of the validation data."""
    sampler = None
    if settings.balance == "sampling" and data.task == "classification":
        sampler = balanced_sampler(data.labels, generator=_generator(settings.seed + 1))
    train = DataLoader(
        data.train, settings.batch_size, shuffle=sampler is None, sampler=sampler, num_workers=settings.workers,
        drop_last=len(data.train) % settings.batch_size == 1 and len(data.train) > 1, generator=_generator(settings.seed),
        persistent_workers=settings.workers > 0,
    )  # fmt: skip
    return train, None if data.val is None else plain_loader(data.val, settings)


def plain_loader(part: Dataset, settings) -> DataLoader:
    """A loader of data in their order."""
    return DataLoader(part, settings.batch_size, num_workers=settings.workers)


def _generator(seed: int):
    return torch.Generator().manual_seed(seed)
