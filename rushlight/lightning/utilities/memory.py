"""Batches on their way to the device, and what is in them."""

import collections
import dataclasses

import rushlight as torch
from rushlight.lightning.utilities.rank_zero import rank_zero_warn


def move_data_to_device(batch, device):
    """Everything in a structure that has `to` (tensors, batches of the user's) on the device.

    Args:
        batch: tensors in lists, tuples, named tuples and dictionaries.
        device: where to.
    """
    if isinstance(batch, torch.Tensor) or callable(getattr(batch, "to", None)):
        moved = batch.to(device)
        return batch if moved is None else moved
    return mapped(batch, lambda item: move_data_to_device(item, device))


def convert_floats(batch, dtype):
    """The floating-point tensors in a structure in another type."""
    if isinstance(batch, torch.Tensor):
        return batch.to(dtype) if batch.is_floating_point() else batch
    return mapped(batch, lambda item: convert_floats(item, dtype))


def detached(value):
    """A structure with its tensors detached."""
    return value.detach() if isinstance(value, torch.Tensor) else mapped(value, detached)


def mapped(value, function):
    """A structure (lists, tuples, named tuples, dictionaries) of what a function makes of its parts."""
    if isinstance(value, dict):
        mapped = {key: function(item) for key, item in value.items()}
        return mapped if type(value) is dict else _like(value, mapped)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(function, value))
    if isinstance(value, list | tuple):
        return type(value)(map(function, value))
    return value


def _like(original: dict, items: dict):
    if isinstance(original, collections.defaultdict):
        return collections.defaultdict(original.default_factory, items)
    return type(original)(items)


def extract_batch_size(batch) -> int:
    """The length of the first dimension of what is in a batch.

    Raises:
        MisconfigurationException: there is nothing with a length in it.
    """
    sizes = list(_sizes(batch))
    if not sizes:
        from rushlight.lightning.utilities.exceptions import MisconfigurationException

        raise MisconfigurationException(
            "We could not infer the batch_size from the batch. Either simplify its structure or provide the "
            "batch_size as `self.log(..., batch_size=batch_size)`."
        )
    if len(set(sizes)) > 1:
        rank_zero_warn(
            f"Trying to infer the `batch_size` from an ambiguous collection. The batch size we found is {sizes[0]}. "
            "To avoid any miscalculations, use `self.log(..., batch_size=batch_size)`."
        )
    return sizes[0]


def _sizes(batch):
    if isinstance(batch, torch.Tensor):
        yield batch.shape[0] if batch.ndim else 1
    elif isinstance(batch, dict):
        for item in batch.values():
            yield from _sizes(item)
    elif dataclasses.is_dataclass(batch):
        for field in dataclasses.fields(batch):
            yield from _sizes(getattr(batch, field.name))
    elif isinstance(batch, list | tuple):
        for item in batch:
            yield from _sizes(item)
