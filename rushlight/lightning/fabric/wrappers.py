"""What `Fabric.setup` makes of models, optimizers and loaders: they look and act as before."""

import os

import rushlight as torch
from rushlight import nn
from rushlight.lightning.utilities.memory import mapped, move_data_to_device
from rushlight.lightning.utilities.seed import pl_worker_init_function
from rushlight.optim import Optimizer
from rushlight.utils.data import DataLoader

__all__ = ["is_wrapped"]


class _FabricModule(nn.Module):
    """A model in the precision of the run; names that it doesn't know are the model's.

    Args:
        module: the model. precision: how precisely it computes.
    """

    def __init__(self, module: nn.Module, precision):
        super().__init__()
        self._forward_module = self._original_module = module
        self._precision = precision
        self._made = True

    @property
    def module(self) -> nn.Module:
        """The model."""
        return self._forward_module

    @property
    def device(self):
        """Where the parameters are."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def forward(self, *args, **kwargs):
        """The model's output, from inputs of any precision, in float32 (the default type)."""
        precision = self._precision
        args, kwargs = precision.inputs((args, kwargs))
        with precision.forward_context():
            output = self._forward_module(*args, **kwargs)
        return precision.outputs(output)

    def mark_forward_method(self, method) -> None:
        """Say that another method of the model uses its layers; among several processes it would go through them all.

        Args:
            method: the method or its name.
        Raises:
            TypeError, ValueError, AttributeError: it is none, it is `forward`, or there is none of that name.
        """
        if not isinstance(method, str) and not callable(method):
            raise TypeError(f"Expected a method or a string, but got: {type(method).__name__}")
        name = method if isinstance(method, str) else method.__name__
        if name == "forward":
            raise ValueError("You cannot mark the forward method itself as a forward method.")
        if not callable(getattr(self.module, name, None)):
            raise AttributeError(
                f"You marked '{name}' as a forward method, but `{type(self.module).__name__}.{name}` does not exist or is "
                "not a method."
            )

    def state_dict(self, *args, **kwargs):
        """That of the model: its names have no prefix."""
        return self.module.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict, strict: bool = True, **kwargs):
        """Give the model its state."""
        return self.module.load_state_dict(state_dict, strict=strict, **kwargs)

    def __getattr__(self, name: str):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("_forward_module"), name)

    def __setattr__(self, name: str, value) -> None:
        if "_made" not in self.__dict__:
            super().__setattr__(name, value)
            return
        own, of_model = name in dir(self), hasattr(self._forward_module, name)
        if of_model or not own:
            setattr(self._forward_module, name, value)
        if own and not (of_model and name in self._forward_module._modules):
            super().__setattr__(name, value)


class _FabricOptimizer:
    """An optimizer whose steps the callbacks hear of; an instance of its class, with its names.

    Args:
        optimizer: the optimizer. fabric: the Fabric.
    """

    def __init__(self, optimizer: Optimizer, fabric):
        self.__dict__.update(_optimizer=optimizer, _fabric=fabric)
        self.__class__ = type(f"Fabric{type(optimizer).__name__}", (_FabricOptimizer, type(optimizer)), {})

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer itself."""
        return self._optimizer

    def state_dict(self) -> dict:
        """Its state."""
        return self._optimizer.state_dict()

    def load_state_dict(self, state_dict: dict) -> None:
        """Give it its state."""
        self._optimizer.load_state_dict(state_dict)

    def step(self, closure=None):
        """Take a step."""
        output = self._optimizer.step() if closure is None else self._optimizer.step(closure)
        fabric = self._fabric
        fabric.call("on_after_optimizer_step", strategy=fabric.strategy, optimizer=self._optimizer)
        return output

    def zero_grad(self, *args, **kwargs) -> None:
        """Clear the gradients."""
        self._optimizer.zero_grad(*args, **kwargs)

    def add_param_group(self, param_group: dict) -> None:
        """Take in more parameters."""
        self._optimizer.add_param_group(param_group)

    def __getattr__(self, name: str):
        return getattr(self.__dict__["_optimizer"], name)


class _FabricDataLoader:
    """A loader whose batches are on the device, and whose DistributedSampler hears of each epoch.

    Args:
        dataloader: the loader. device: where batches go; None leaves them where they are.
    """

    def __init__(self, dataloader: DataLoader, device=None):
        self.__dict__.update(dataloader.__dict__)
        self._dataloader, self._device, self._num_iter_calls = dataloader, device, 0

    device = property(lambda self: self._device, doc="Where batches go.")

    def __len__(self) -> int:
        return len(self._dataloader)

    def __iter__(self):
        for sampler in (self._dataloader.sampler, getattr(self._dataloader.batch_sampler, "sampler", None)):
            if callable(getattr(sampler, "set_epoch", None)):
                sampler.set_epoch(self._num_iter_calls)
        self._num_iter_calls += 1
        for batch in self._dataloader:
            yield batch if self._device is None else move_data_to_device(batch, self._device)


def seed_workers(dataloader: DataLoader) -> None:
    """Have a loader's workers seeded, if `seed_everything(workers=True)` was called."""
    if int(os.environ.get("PL_SEED_WORKERS", "0")) and dataloader.worker_init_fn is None:
        dataloader.worker_init_fn = pl_worker_init_function


def unwrapped(collection):
    """Models, optimizers and loaders in a structure as they were before `setup`."""
    if isinstance(collection, _FabricModule):
        return collection.module
    if isinstance(collection, _FabricOptimizer):
        return collection.optimizer
    if isinstance(collection, _FabricDataLoader):
        return collection._dataloader
    return mapped(collection, unwrapped)


_unwrap_objects = unwrapped


def is_wrapped(obj: object) -> bool:
    """Whether Fabric has set up a model, optimizer or loader.

    >>> is_wrapped(nn.Linear(1, 1))
    False
    """
    return isinstance(obj, _FabricModule | _FabricOptimizer | _FabricDataLoader)
