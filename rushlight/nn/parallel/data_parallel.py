"""`DataParallel`, as it is where there are no GPUs."""

from rushlight.nn.module import Module


class DataParallel(Module):
    """A module around another one, which it calls: without GPUs there is nothing to divide a batch among.

    Args:
        module: the model, an attribute of that name (which begins the names in `state_dict`).
        device_ids, output_device, dim: accepted, without effect on the CPU.

    >>> import rushlight as torch
    >>> list(torch.nn.DataParallel(torch.nn.Linear(2, 1)).state_dict())
    ['module.weight', 'module.bias']
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.module = module
        self.device_ids = []
        self.dim = dim

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)


def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """What `DataParallel(module)(*inputs)` computes.

    Args:
        module: the model.
        inputs: its argument, or a tuple of them.
        device_ids, output_device, dim: accepted, without effect on the CPU.
        module_kwargs: its keyword arguments.
    """
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*arguments, **(module_kwargs or {}))


__all__ = ["DataParallel", "data_parallel"]
