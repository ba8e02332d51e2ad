"""What `configure_optimizers` returned, understood; optimizers as manual optimization sees them."""

import contextlib

from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_warn
from rushlight.lightning.utilities.types import LRSchedulerConfig
from rushlight.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from rushlight.optim.optimizer import Optimizer

_UNKNOWN = (
    "Unknown configuration for model optimizers. Output from `model.configure_optimizers()` should be one of:\n"
    " * `Optimizer`\n * [`Optimizer`]\n * ([`Optimizer`], [`LRScheduler`])\n"
    ' * {"optimizer": `Optimizer`, (optional) "lr_scheduler": `LRScheduler`}\n'
)
_KEYS = ("scheduler", "name", "interval", "frequency", "reduce_on_plateau", "monitor", "strict")


class LightningOptimizer:
    """An optimizer whose steps are counted and which calls the hooks around them; all else is the optimizer's.

    Args:
        optimizer: the optimizer.
        loop: the loop that counts.
    """

    def __init__(self, optimizer, loop):
        self._optimizer, self._loop = optimizer, loop
        self.__class__ = type("Lightning" + type(optimizer).__name__, (type(self), type(optimizer)), {})

    @property
    def optimizer(self):
        """The optimizer itself."""
        return self._optimizer

    def step(self, closure=None, **kwargs):
        """Take a step.

        Args:
            closure: clears gradients and computes them, as for every optimizer.
            **kwargs: further arguments of the optimizer's `step`.
        Raises:
            MisconfigurationException: a closure that can't be called.
        """
        if closure is not None and not callable(closure):
            raise MisconfigurationException(
                "When `optimizer.step(closure)` is called, the closure should be callable"
            )
        return self._loop.step(self._optimizer, closure, **kwargs)

    @contextlib.contextmanager
    def toggle_model(self, sync_grad: bool = True):
        """`toggle_optimizer` for a `with` block."""
        with self._loop.trainer.lightning_module.toggled_optimizer(self):
            yield

    def __getattr__(self, name):
        return getattr(self.__dict__["_optimizer"], name)


def understand(configuration, automatic: bool) -> tuple[list, list[LRSchedulerConfig]]:
    """The optimizers and schedulers in what `configure_optimizers` returned.

    Args:
        configuration: what it returned.
        automatic: whether the trainer steps the schedulers.
    Raises:
        MisconfigurationException: it can't be understood, or a key is missing.
    """
    monitor, schedulers = None, []
    if configuration is None:
        rank_zero_warn(
            "`LightningModule.configure_optimizers` returned `None`, this fit will run with no optimizer"
        )
        optimizers = []
    elif _is_optimizer(configuration):
        optimizers = [configuration]
    elif isinstance(configuration, dict):
        optimizers = [_of(configuration)]
        monitor = configuration.get("monitor")
        schedulers = [configuration["lr_scheduler"]] if configuration.get("lr_scheduler") is not None else []
    elif not isinstance(configuration, list | tuple):
        raise MisconfigurationException(_UNKNOWN)
    elif len(configuration) == 2 and isinstance(configuration[0], list):
        optimizers, schedulers = list(configuration[0]), configuration[1]
        schedulers = list(schedulers) if isinstance(schedulers, list | tuple) else [schedulers]
    elif all(isinstance(item, dict) for item in configuration):
        optimizers = [_of(item) for item in configuration]
        schedulers = [_with_monitor(item) for item in configuration if item.get("lr_scheduler") is not None]
    else:
        optimizers = list(configuration)
    if not all(map(_is_optimizer, optimizers)):
        raise MisconfigurationException(_UNKNOWN)
    configs = [_config(scheduler, monitor, automatic) for scheduler in schedulers]
    _check_attached(configs, optimizers)
    return optimizers, configs


def _is_optimizer(value) -> bool:
    return isinstance(value, Optimizer) or all(
        hasattr(value, name) for name in ("step", "zero_grad", "state_dict", "param_groups")
    )


def _of(item: dict):
    if "optimizer" not in item:
        raise MisconfigurationException(_UNKNOWN)
    return item["optimizer"]


def _with_monitor(item: dict) -> dict:
    scheduler = item["lr_scheduler"]
    scheduler = dict(scheduler) if isinstance(scheduler, dict) else {"scheduler": scheduler}
    if "monitor" in item:
        scheduler.setdefault("monitor", item["monitor"])
    return scheduler


def _config(scheduler, monitor: str | None, automatic: bool) -> LRSchedulerConfig:
    options = dict(scheduler) if isinstance(scheduler, dict) else {"scheduler": scheduler}
    extra = sorted(set(options) - set(_KEYS))
    if extra:
        rank_zero_warn(
            f"Found unsupported keys in the lr scheduler dict: {extra}. HINT: remove them from the output of "
            "`configure_optimizers`.",
            category=RuntimeWarning,
        )
        options = {key: value for key, value in options.items() if key in _KEYS}
    if "scheduler" not in options:
        raise MisconfigurationException(
            'The lr scheduler dict must have the key "scheduler" with its item being an lr scheduler'
        )
    if options.get("interval", "epoch") not in ("step", "epoch"):
        raise MisconfigurationException(
            f'The "interval" key in lr scheduler dict must be "step" or "epoch" but is "{options["interval"]}"'
        )
    if automatic:
        options.setdefault("reduce_on_plateau", isinstance(options["scheduler"], ReduceLROnPlateau))
        if options["reduce_on_plateau"] and options.get("monitor", monitor) is None:
            raise MisconfigurationException(
                "`configure_optimizers` must include a monitor when a `ReduceLROnPlateau` scheduler is used. For "
                'example: {"optimizer": optimizer, "lr_scheduler": scheduler, "monitor": "metric_to_track"}'
            )
        if monitor is not None:
            options.setdefault("monitor", monitor)
    elif ignored := [key for key in options if key in ("reduce_on_plateau", "monitor", "strict")]:
        rank_zero_warn(
            f"The lr scheduler dict contains the key(s) {ignored}, but the keys will be ignored. You need to call "
            "`lr_scheduler.step()` manually in manual optimization.",
            category=RuntimeWarning,
        )
    return LRSchedulerConfig(**options)


def check_schedulers(configs: list[LRSchedulerConfig], stepped: bool) -> None:
    """See to it that the trainer can use schedulers.

    Args:
        configs: the schedulers.
        stepped: whether it steps them as PyTorch's, not by a hook of the model.
    Raises:
        TypeError: one has no state. MisconfigurationException: one isn't a scheduler of PyTorch's.
    """
    for scheduler in (config.scheduler for config in configs):
        kind = type(scheduler).__name__
        if not (hasattr(scheduler, "state_dict") and hasattr(scheduler, "load_state_dict")):
            raise TypeError(
                f"The provided lr scheduler `{kind}` is invalid. It should have `state_dict` and `load_state_dict` methods "
                "defined."
            )
        if stepped and not isinstance(scheduler, LRScheduler | ReduceLROnPlateau):
            raise MisconfigurationException(
                f"The provided lr scheduler `{kind}` doesn't follow PyTorch's LRScheduler API. You should override the "
                "`LightningModule.lr_scheduler_step` hook with your own logic if you are using a custom LR scheduler."
            )


def _check_attached(configs: list[LRSchedulerConfig], optimizers: list) -> None:
    for config in configs:
        optimizer = getattr(config.scheduler, "optimizer", None)
        if optimizer is not None and all(optimizer is not known for known in optimizers):
            raise MisconfigurationException(
                "Some schedulers are attached with an optimizer that wasn't returned from `configure_optimizers`."
            )
