"""How optimizers sort tensors before they call `torch._foreach_*`."""

from rushlight.devices import cpu

__all__: list[str] = []


def _get_foreach_kernels_supported_devices() -> list[str]:
    return ["cpu"]


def _get_fused_kernels_supported_devices() -> list[str]:
    return ["cpu"]


def _device_has_foreach_support(device) -> bool:
    return device.type == "cpu"


def _has_foreach_support(tensors, device) -> bool:
    return _device_has_foreach_support(device)


def _group_tensors_by_device_and_dtype(tensorlistlist, with_indices: bool = False) -> dict:
    """Parallel lists of tensors, divided by the type of the first list's.

    Args:
        tensorlistlist: lists of tensors, as long as each other, or empty.
        with_indices: return the places in the lists too.
    Returns:
        For each (device, dtype): the lists of what has it, and its places.
    """
    found: dict = {}
    for i, first in enumerate(tensorlistlist[0]):
        key = (cpu, None if first is None else first.dtype)
        lists, places = found.setdefault(key, ([[] for _ in tensorlistlist], []))
        for own, given in zip(lists, tensorlistlist, strict=True):
            if given:
                own.append(given[i])
        if with_indices:
            places.append(i)
    return found
