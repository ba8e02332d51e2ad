"""Batches divided among devices and put together again; the one device here, the CPU, may be named several times."""

import rushlight as torch
from rushlight.devices import check_device
from rushlight.tensor import Tensor

__all__ = ["gather", "scatter", "scatter_kwargs"]


def scatter(inputs, target_gpus, dim: int = 0):
    """A batch in parts, one for each device.

    Args:
        inputs: tensors, also in tuples, lists and dictionaries; each is divided, and everything else repeated.
        target_gpus: the devices.
        dim: along which tensors are divided.
    Returns:
        The parts: a tuple for a tensor, else a list.

    >>> import rushlight as torch
    >>> torch.nn.parallel.scatter({"x": torch.arange(4), "name": "a"}, ["cpu", "cpu"])
    [{'x': tensor([0, 1]), 'name': 'a'}, {'x': tensor([2, 3]), 'name': 'a'}]
    """
    for target in target_gpus:
        check_device(target)
    return _parts(inputs, len(target_gpus), dim)


def _parts(value, count: int, dim: int):
    if isinstance(value, Tensor):
        return value.chunk(count, dim)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [type(value)(*fields) for fields in zip(*(_parts(v, count, dim) for v in value), strict=False)]
    if isinstance(value, tuple | list) and value:
        return [type(value)(items) for items in zip(*(_parts(v, count, dim) for v in value), strict=False)]
    if isinstance(value, dict) and value:
        columns = zip(*(_parts(v, count, dim) for v in value.values()), strict=False)
        return [type(value)(zip(value, items, strict=True)) for items in columns]
    return [value] * count


def scatter_kwargs(inputs: tuple, kwargs: dict | None, target_gpus, dim: int = 0) -> tuple:
    """Positional and named arguments in parts, one of each for each device; (inputs, kwargs)."""
    inputs = scatter(inputs, target_gpus, dim) if inputs else []
    kwargs = scatter(kwargs, target_gpus, dim) if kwargs else []
    inputs += [()] * (len(kwargs) - len(inputs))
    return tuple(inputs), tuple(kwargs + [{}] * (len(inputs) - len(kwargs)))


def gather(outputs, target_device, dim: int = 0):
    """What `scatter` divided, put together.

    Args:
        outputs: the parts: tensors, or tuples, lists and dictionaries of them.
        target_device: where the result is to lie.
        dim: along which they are joined; single numbers become a vector.
    Raises:
        ValueError: dictionaries have different keys.
    """
    check_device(target_device)
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.stack(list(outputs)) if first.dim() == 0 else torch.cat(list(outputs), dim)
    if first is None:
        return None
    if isinstance(first, dict):
        if any(out.keys() != first.keys() for out in outputs):
            raise ValueError(
                "All dicts must have the same number of keys: gather got dictionaries with different keys"
            )
        return type(first)((key, gather([out[key] for out in outputs], target_device, dim)) for key in first)
    joined = [gather(items, target_device, dim) for items in zip(*outputs, strict=True)]
    return type(first)(*joined) if hasattr(first, "_fields") else type(first)(joined)
