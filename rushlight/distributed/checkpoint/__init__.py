"""Checkpoints that several processes write in parts, which are not supported: `torch.save` in one of them does."""

from typing import NoReturn

__all__ = ["async_save", "load", "save"]

_INSTEAD = "not supported: every process holds the whole model. Use torch.save in process 0, and torch.load"


def save(state_dict: dict, **settings) -> NoReturn:
    """Raises NotImplementedError; use `torch.save` in process 0."""
    raise NotImplementedError(f"torch.distributed.checkpoint.save: {_INSTEAD}")


def async_save(state_dict: dict, **settings) -> NoReturn:
    """Raises NotImplementedError; use `torch.save` in process 0."""
    raise NotImplementedError(f"torch.distributed.checkpoint.async_save: {_INSTEAD}")


def load(state_dict: dict, **settings) -> NoReturn:
    """Raises NotImplementedError; use `torch.load`."""
    raise NotImplementedError(f"torch.distributed.checkpoint.load: {_INSTEAD}")
