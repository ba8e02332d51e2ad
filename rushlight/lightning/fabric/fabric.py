"""Fabric itself: what a training loop of one's own asks for."""

import contextlib
import inspect

import rushlight as torch
from rushlight import nn
from rushlight.lightning.accelerators import CPUAccelerator
from rushlight.lightning.core.saving import write_checkpoint
from rushlight.lightning.fabric.wrappers import (
    _FabricDataLoader,
    _FabricModule,
    _FabricOptimizer,
    seed_workers,
    unwrapped,
)
from rushlight.lightning.plugins import Precision
from rushlight.lightning.strategies import strategy_of
from rushlight.lightning.trainer.arguments import check_devices
from rushlight.lightning.utilities.memory import mapped, move_data_to_device
from rushlight.lightning.utilities.rank_zero import rank_zero_warn
from rushlight.lightning.utilities.seed import seed_everything
from rushlight.utils.data import DataLoader

__all__ = ["Fabric"]


class Fabric:
    """Sets up models, optimizers and loaders for a training loop of one's own.

    Args:
        accelerator, strategy, devices, num_nodes: as for the Trainer; there is one process on the CPU.
        precision: "32-true", "64-true", "bf16-mixed", "bf16-true" or "16-true".
        plugins: a `Precision`, or a list; those for several processes are accepted.
        callbacks: objects whose methods `call` calls.
        loggers: a logger or several.

    >>> import rushlight as torch
    >>> from rushlight.lightning.fabric import Fabric
    >>> fabric = Fabric()
    >>> model = torch.nn.Linear(2, 1)
    >>> model, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), lr=0.1))
    >>> loss = model(torch.ones(3, 2)).square().mean()
    >>> fabric.backward(loss)
    >>> _ = optimizer.step()
    >>> bool(model(torch.ones(3, 2)).square().mean() < loss)
    True
    """

    def __init__(
        self, *, accelerator="auto", strategy="auto", devices="auto", num_nodes: int = 1, precision=None, plugins=None,
        callbacks=None, loggers=None,
    ):  # fmt: skip
        self._strategy = strategy_of(check_devices(accelerator, strategy, devices, num_nodes, "Fabric"))
        found = [plugin for plugin in _listed(plugins) if isinstance(plugin, Precision)]
        self._precision = found[0] if found else Precision(precision, "Fabric")
        self._callbacks, self._loggers = _listed(callbacks), _listed(loggers)
        self._models_setup, self._launched = 0, False
        run = type(self).run
        if run is not Fabric.run:  # a subclass's `run` begins by launching
            self.run = lambda *args, **kwargs: self.launch(lambda fabric: run(self, *args, **kwargs))

    device = property(lambda self: torch.device("cpu"), doc="Where the run computes: the CPU.")
    strategy = property(lambda self: self._strategy, doc="How processes work together.")
    accelerator = property(lambda self: CPUAccelerator(), doc="What the run computes on.")
    loggers = property(lambda self: self._loggers, doc="The loggers.")
    logger = property(lambda self: self._loggers[0], doc="The first logger.")
    global_rank = local_rank = node_rank = property(
        lambda self: 0, doc="Number of this process: the only one."
    )
    world_size = property(lambda self: 1, doc="How many processes: one.")
    is_global_zero = property(lambda self: True, doc="Whether this is the main process.")

    def launch(self, function=None, *args, **kwargs):
        """Start the processes: the only one runs already.

        Args:
            function: called with this Fabric, `*args` and `**kwargs`.
        Returns:
            What it returns.
        """
        self._launched = True
        if function is None:
            return None
        if not inspect.signature(function).parameters:
            raise TypeError(
                f"`Fabric.launch(function={function})` needs to take at least one argument. The launcher will pass in the "
                "`Fabric` object so you can use it inside the function."
            )
        return function(self, *args, **kwargs)

    def run(self, *args, **kwargs):
        """The loop, in a subclass that has it here."""

    # -- setting up -------------------------------------------------------------------------------------

    def setup(
        self,
        module: nn.Module,
        *optimizers,
        scheduler=None,
        move_to_device: bool = True,
        _reapply_compile=True,
    ):
        """Set up a model with its optimizers.

        Args:
            module: the model. *optimizers: those of its parameters. scheduler: returned as it is.
            move_to_device: accepted.
        Returns:
            The model; with optimizers a tuple of the model, the optimizers and the scheduler, if given.
        Raises:
            ValueError: it was set up before.
        """
        if any(isinstance(optimizer, _FabricOptimizer) for optimizer in optimizers):
            raise ValueError("An optimizer should be passed only once to the `setup` method.")
        wrapped = self._set_up(module, "setup")
        found = [_FabricOptimizer(optimizer, self) for optimizer in optimizers]
        if hasattr(module, "_fabric"):  # a LightningModule
            module._fabric_optimizers = found
        self.call("on_after_setup", fabric=self, module=wrapped)
        if not found:
            return wrapped
        return (wrapped, *found) if scheduler is None else (wrapped, *found, scheduler)

    def setup_module(self, module: nn.Module, move_to_device: bool = True, _reapply_compile=True):
        """Set up a model without optimizers."""
        return self._set_up(module, "setup_module")

    def _set_up(self, module: nn.Module, method: str) -> _FabricModule:
        if isinstance(module, _FabricModule):
            raise ValueError(f"A model should be passed only once to the `{method}` method.")
        self._precision.prepare(module)
        if hasattr(module, "_fabric"):
            module._fabric = self
            if module not in self._callbacks:
                self._callbacks.append(module)
        self._models_setup += 1
        return _FabricModule(module, self._precision)

    def setup_optimizers(self, *optimizers):
        """Set up optimizers.

        Returns:
            The optimizer, or the tuple of them.
        Raises:
            ValueError: none, or one was set up before.
        """
        if not optimizers:
            raise ValueError("`setup_optimizers` requires at least one optimizer as input.")
        if any(isinstance(optimizer, _FabricOptimizer) for optimizer in optimizers):
            raise ValueError("An optimizer should be passed only once to the `setup_optimizers` method.")
        found = tuple(_FabricOptimizer(optimizer, self) for optimizer in optimizers)
        return found[0] if len(found) == 1 else found

    def setup_dataloaders(
        self, *dataloaders, use_distributed_sampler: bool = True, move_to_device: bool = True
    ):
        """Set up loaders.

        Args:
            *dataloaders: the loaders. use_distributed_sampler: accepted. move_to_device: have batches on the device.
        Returns:
            The loader, or the list of them.
        Raises:
            ValueError: none, or one was set up before. TypeError: another kind of loader.
        """
        if not dataloaders:
            raise ValueError("`setup_dataloaders` requires at least one dataloader as input.")
        for loader in dataloaders:
            if isinstance(loader, _FabricDataLoader):
                raise ValueError("A dataloader should be passed only once to the `setup_dataloaders` method.")
            if not isinstance(loader, DataLoader):
                raise TypeError("Only PyTorch DataLoader are currently supported in `setup_dataloaders`.")
            seed_workers(loader)
        found = [_FabricDataLoader(loader, self.device if move_to_device else None) for loader in dataloaders]
        return found[0] if len(found) == 1 else found

    # -- computing --------------------------------------------------------------------------------------

    def backward(self, tensor, *args, model=None, **kwargs) -> None:
        """Compute gradients: `tensor.backward(*args, **kwargs)`."""
        tensor.backward(*args, **kwargs)

    def clip_gradients(
        self, module, optimizer, clip_val: float | None = None, max_norm: float | None = None, norm_type: float = 2.0,
        error_if_nonfinite: bool = True,
    ):  # fmt: skip
        """Clip the gradients of an optimizer's parameters.

        Args:
            module, optimizer: whose. clip_val: the largest value; or max_norm: the largest norm, of type `norm_type`.
            error_if_nonfinite: stop at a norm that is no number.
        Returns:
            The norm before; None for values.
        Raises:
            ValueError: both limits, or neither.
        """
        if clip_val is not None and max_norm is not None:
            raise ValueError(
                "Only one of `clip_val` or `max_norm` can be set as this specifies the underlying clipping algorithm!"
            )
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if clip_val is not None:
            return nn.utils.clip_grad_value_(parameters, clip_val)
        if max_norm is None:
            raise ValueError("You have to specify either `clip_val` or `max_norm` to do gradient clipping!")
        return nn.utils.clip_grad_norm_(
            parameters, max_norm, norm_type=norm_type, error_if_nonfinite=error_if_nonfinite
        )

    def autocast(self):
        """A block that computes in the precision of the run, outside of a model's `forward`."""
        return self._precision.forward_context()

    def init_module(self, empty_init: bool | None = None):
        """A block in which models are made in the precision of the run."""
        return self._precision.default_type()

    def init_tensor(self):
        """A block in which tensors are made in the precision of the run."""
        return self._precision.default_type()

    sharded_model = contextlib.nullcontext

    def no_backward_sync(self, module, enabled: bool = True):
        """A block that doesn't exchange gradients; there is nobody to exchange them with.

        Raises:
            TypeError: the model was not set up.
        """
        if not isinstance(module, _FabricModule):
            raise TypeError(
                "You need to set up the model first before you can call `fabric.no_backward_sync()`: "
                "`model = fabric.setup(model, ...)`"
            )
        return contextlib.nullcontext()

    def to_device(self, obj):
        """A model, tensor or structure of tensors on the device."""
        return obj if isinstance(obj, nn.Module) else move_data_to_device(obj, self.device)

    # -- between processes ------------------------------------------------------------------------------

    def print(self, *args, **kwargs) -> None:
        """Print, in the main process."""
        print(*args, **kwargs)

    def barrier(self, name: str | None = None) -> None:
        """Wait for nobody."""

    def broadcast(self, obj, src: int = 0):
        """The object of one process."""
        return obj

    def all_gather(self, data, group=None, sync_grads: bool = False):
        """Numbers and tensors of all processes, as tensors: of the only one, with no dimension added."""
        return _tensors(data)

    def all_reduce(self, data, group=None, reduce_op="mean"):
        """Numbers and tensors reduced over all processes, as tensors."""
        return _tensors(data)

    @contextlib.contextmanager
    def rank_zero_first(self, local: bool = False):
        """A block that the main process runs first."""
        yield

    # -- saving, logging, callbacks ---------------------------------------------------------------------

    def save(self, path, state: dict, filter: dict | None = None) -> None:
        """Save a state.

        Args:
            path: the file. state: models, optimizers, whatever has a `state_dict`, and data, by names.
            filter: by the names of the state, functions of a key and its value: whether to save it.
        """
        filter = filter or {}
        if not isinstance(filter, dict):
            raise TypeError(f"Filter should be a dictionary, given {filter!r}")
        if not set(filter) <= set(state):
            raise ValueError(
                f"The filter keys {filter.keys() - state} are not present in the state keys {set(state)}."
            )
        for key, function in filter.items():
            if not callable(function):
                raise TypeError(
                    f"Expected `fabric.save(filter=...)` for key {key!r} to be a callable, given {function!r}"
                )
        saved = {}
        for name, value in unwrapped(state).items():
            value = value.state_dict() if _has_state(value) else value
            if name in filter:
                value = {key: item for key, item in value.items() if filter[name](key, item)}
            saved[name] = value
        write_checkpoint(saved, path)

    def load(self, path, state=None, strict: bool = True, *, weights_only: bool | None = None) -> dict:
        """Load what `save` saved.

        Args:
            path: the file. state: models and so on by names, which take what is theirs; data is replaced.
            strict: whether all its names, and those of weights, must be there.
            weights_only: True refuses files that hold more than data.
        Returns:
            What else the file holds.
        Raises:
            KeyError: a name is missing.
        """
        found = torch.load(path, map_location="cpu", weights_only=bool(weights_only))
        if not state:
            return found
        if isinstance(state, nn.Module):
            state.load_state_dict(found, strict=strict)
            return {}
        if not isinstance(state, dict):
            unwrapped(state).load_state_dict(found)
            return {}
        missing = [name for name in state if name not in found]
        if strict and missing:
            raise KeyError(
                f"The requested state contains a key '{missing[0]}' that does not exist in the loaded checkpoint. To disable "
                "strict loading, set `strict=False`."
            )
        for name in [name for name in state if name in found]:
            value, target = found.pop(name), unwrapped(state[name])
            if isinstance(target, nn.Module):
                target.load_state_dict(value, strict=strict)
            elif _has_state(target):
                target.load_state_dict(value)
            else:
                state[name] = value
        return found

    def load_raw(self, path, obj, strict: bool = True, *, weights_only: bool | None = None) -> None:
        """Load a file of `torch.save(obj.state_dict(), path)` into a model or an optimizer."""
        self.load(path, unwrapped(obj), strict, weights_only=weights_only)

    def call(self, hook_name: str, *args, **kwargs) -> None:
        """Call a method of all callbacks that have it.

        Args:
            hook_name: its name. *args: its arguments. **kwargs: those that the method doesn't take are left out.
        """
        for callback in self._callbacks:
            method = getattr(callback, hook_name, None)
            if method is None:
                continue
            if not callable(method):
                rank_zero_warn(
                    f"Skipping the callback `{type(callback).__name__}.{hook_name}` because it is not callable."
                )
                continue
            taken = inspect.signature(method).parameters
            anything = any(p.kind is p.VAR_KEYWORD for p in taken.values())
            method(*args, **(kwargs if anything else {k: v for k, v in kwargs.items() if k in taken}))

    def log(self, name: str, value, step: int | None = None) -> None:
        """Give a value to the loggers."""
        self.log_dict({name: value}, step)

    def log_dict(self, metrics: dict, step: int | None = None) -> None:
        """Give values to the loggers.

        Args:
            metrics: numbers and tensors with one element by names. step: the number of the step.
        """
        metrics = {k: v.item() if isinstance(v, torch.Tensor) else v for k, v in metrics.items()}
        for logger in self._loggers:
            logger.log_metrics(metrics=metrics, step=step)

    seed_everything = staticmethod(seed_everything)


def _listed(things) -> list:
    if things is None:
        return []
    return list(things) if isinstance(things, list | tuple) else [things]


def _has_state(value) -> bool:
    return hasattr(value, "state_dict") and hasattr(value, "load_state_dict")


def _tensors(data):
    if isinstance(data, bool | int | float):
        return torch.tensor(data)
    return mapped(data, _tensors)
