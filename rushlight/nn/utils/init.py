"""Layers without PyTorch's draws for their first values."""

import inspect

from rushlight.nn.module import Module
from rushlight.random import fork_rng

__all__ = ["skip_init"]


def skip_init(module_cls, *args, **kwargs):
    """A layer whose first values are unspecified, and which leaves the random stream as it was.

    Args:
        module_cls: the layer's class, which must take `device`.
        args, kwargs: its arguments.
    Raises:
        RuntimeError: it is no module, or does not take `device`.

    >>> import rushlight as torch
    >>> torch.nn.utils.skip_init(torch.nn.Linear, 2, 1)
    Linear(in_features=2, out_features=1, bias=True)
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    device = kwargs.pop("device", "cpu")
    with fork_rng():
        return module_cls(*args, **kwargs, device=device)
