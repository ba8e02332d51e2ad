"""Helpers for layers, under PyTorch's path."""

from rushlight.nn.sizes import (  # noqa: F401
    _list_with_default,
    _ntuple,
    _pair,
    _quadruple,
    _reverse_repeat_tuple,
    _single,
    _triple,
)

__all__ = ["consume_prefix_in_state_dict_if_present"]


def consume_prefix_in_state_dict_if_present(state_dict: dict, prefix: str) -> None:
    """Take a prefix off the names in a `state_dict`, in place; names without it stay.

    Args:
        state_dict: what `Module.state_dict()` gave.
        prefix: such as "module.", which `DataParallel` puts before the names.

    >>> import rushlight as torch
    >>> state = {"module.weight": torch.ones(1)}
    >>> torch.nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
    >>> list(state)
    ['weight']
    """
    for name in list(state_dict):
        if name.startswith(prefix):
            state_dict[name[len(prefix) :]] = state_dict.pop(name)
    metadata = getattr(state_dict, "_metadata", {})
    for name in list(metadata):
        if name and (name == prefix.replace(".", "") or name.startswith(prefix)):
            metadata[name[len(prefix) :]] = metadata.pop(name)
