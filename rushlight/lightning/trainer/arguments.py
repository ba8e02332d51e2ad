"""The Trainer's arguments: those of Lightning 1.x in today's words, checks, and what the devices come to."""

from datetime import timedelta

from rushlight.lightning.accelerators import CPUAccelerator
from rushlight.lightning.callbacks.timer import to_seconds
from rushlight.lightning.strategies import Strategy
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_deprecation, rank_zero_info, rank_zero_warn

_RENAMED = {  # old name -> (new name, new value of an old value)
    "resume_from_checkpoint": ("resume_from_checkpoint", lambda v: v),
    "checkpoint_callback": ("enable_checkpointing", lambda v: v),
    "weights_summary": ("enable_model_summary", lambda v: v is not None),
    "progress_bar_refresh_rate": ("enable_progress_bar", lambda v: v != 0),
    "terminate_on_nan": ("detect_anomaly", bool),
    "distributed_backend": ("strategy", lambda v: v or "auto"),
    "reload_dataloaders_every_epoch": ("reload_dataloaders_every_n_epochs", int),
    "auto_lr_find": ("auto_lr_find", lambda v: v),
    "auto_scale_batch_size": ("auto_scale_batch_size", lambda v: v),
    "stochastic_weight_avg": ("stochastic_weight_avg", bool),
}
_IGNORED = (
    "flush_logs_every_n_steps", "weights_save_path", "process_position", "prepare_data_per_node", "log_gpu_memory",
    "auto_select_gpus", "amp_backend", "amp_level", "multiple_trainloader_mode", "replace_sampler_ddp",
    "move_metrics_to_cpu", "track_grad_norm", "num_processes", "log_save_interval", "row_log_interval", "num_sanity_val_batches",
)  # fmt: skip
_ABSENT = ("gpu", "cuda", "mps", "tpu", "xla", "hpu", "ipu")  # accelerators that there aren't
_STRATEGIES = ("auto", "single_device", None, "ddp", "ddp_spawn", "ddp_notebook", "ddp_fork", "ddp_find_unused_parameters_true",
               "ddp_find_unused_parameters_false", "dp")  # fmt: skip


def translated(old: dict) -> dict:
    """Arguments of Lightning 1.x in today's words.

    Args:
        old: those that the Trainer doesn't know.
    Raises:
        TypeError: nobody knows them.
    """
    new = {}
    for name, value in old.items():
        if name in ("gpus", "tpu_cores", "ipus"):
            if value not in (None, 0, "0", []):
                _warn_of_cpu(f"{name}={value!r}")
            continue
        if name in _RENAMED:
            target, convert = _RENAMED[name]
            new[target] = convert(value)
        elif name not in _IGNORED:
            raise TypeError(f"Trainer.__init__() got an unexpected keyword argument {name!r}")
        rank_zero_deprecation(f"Trainer({name}=...) is of Lightning 1.x; it is accepted here")
    return new


def only(old: dict, name: str, method: str, default):
    """The one argument that a method had another name for in Lightning 1.x.

    Args:
        old: arguments that the method doesn't know. name: the old name. method: for the message. default: without it.
    Raises:
        TypeError: there are others.
    """
    for other in old:
        if other != name:
            raise TypeError(f"Trainer.{method}() got an unexpected keyword argument {other!r}")
    return old.get(name, default)


def _warn_of_cpu(asked: str, owner: str = "Trainer") -> None:
    rank_zero_warn(
        f"{owner}({asked}): there is only the CPU here, so the run is on the CPU, in one process. Use accelerator='auto' "
        "to take what there is"
    )


def check_devices(accelerator, strategy, devices, num_nodes: int, owner: str = "Trainer"):
    """Check that one process on the CPU is what is asked for.

    Who asks for a GPU gets a warning and the CPU: scripts written for a GPU run on a laptop as they are.

    Args:
        accelerator, strategy, devices, num_nodes: the arguments. owner: "Trainer" or "Fabric", for messages.
    Returns:
        The strategy.
    Raises:
        MisconfigurationException: several processes. ValueError: there is no such accelerator or strategy.
    """
    if accelerator in _ABSENT:
        asked = f"accelerator={accelerator!r}" + ("" if devices == "auto" else f", devices={devices!r}")
        _warn_of_cpu(asked, owner)
        devices = "auto"
    elif accelerator not in ("auto", "cpu", None) and not isinstance(accelerator, CPUAccelerator):
        if accelerator in _STRATEGIES:  # Lightning 1.x: accelerator="dp"
            strategy = accelerator
        else:
            raise ValueError(
                f"You selected an invalid accelerator name: `accelerator={accelerator!r}`. Available names are: auto, cpu"
            )
    if not isinstance(strategy, Strategy) and strategy not in _STRATEGIES:
        raise ValueError(
            f"You selected an invalid strategy name: `strategy={strategy!r}`. There is one process here: use strategy='auto'"
        )
    count = len(devices) if isinstance(devices, list | tuple) else devices
    count = 1 if count in ("auto", None, -1, "-1") else int(str(count))
    if count < 1:
        raise MisconfigurationException(
            f"{owner}(devices={devices!r}): the number of devices must be an int > 0 or 'auto'"
        )
    if count > 1 or num_nodes != 1:
        raise MisconfigurationException(
            f"{owner}(devices={devices!r}, num_nodes={num_nodes}): there is one process here, which uses all cores by its "
            "threads (torch.set_num_threads). Use devices=1"
        )
    return strategy


_ONE = {  # what 1 and 1.0 mean, which are easily mistaken for each other
    "limit_train_batches": {
        "int": "1 batch per epoch will be used.", "float": "100% of the batches per epoch will be used.",
    },
    "val_check_interval": {
        "int": "validation will run after every batch.",
        "float": "validation will run at the end of the training epoch.",
    },
}  # fmt: skip


def share(name: str, value, default=1.0):
    """A number or share of batches, checked; `default` for None.

    Raises:
        MisconfigurationException: it is neither.
    """
    if value is None:
        return default
    if not isinstance(value, bool) and value == 1:
        kind = "int" if isinstance(value, int) else "float"
        meaning = _ONE.get(
            name, {"int": "1 batch will be used.", "float": "100% of the batches will be used."}
        )[kind]
        rank_zero_info(f"`Trainer({name}={value})` was configured so {meaning}" + "." * (kind == "float"))
    if isinstance(value, float) and value > 1 and value.is_integer():
        return int(value)
    if not isinstance(value, int | float) or value < 0 or (isinstance(value, float) and value > 1):
        raise MisconfigurationException(
            f"You have passed invalid value {value} for {name}, it has to be in [0.0, 1.0] or an int."
        )
    return value


def check_count(name: str, value, least: int) -> None:
    """Check an integer, or None.

    Raises:
        MisconfigurationException: it is something else.
    """
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise MisconfigurationException(f"`{name}` should be an int >= {least} or None, got {value!r}.")


def check_barebones(given: dict) -> None:
    """Check that nothing is asked for that takes time besides the loop.

    Args:
        given: arguments by name.
    Raises:
        ValueError: something is.
    """
    for name, value in given.items():
        if value:
            raise ValueError(
                f"`Trainer(barebones=True, {name}={value!r})` was passed. It takes time, so it is disabled in barebones mode."
            )


def check_clipping(value) -> None:
    """Check the limit of gradients.

    Raises:
        TypeError: no number.
    """
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"`gradient_clip_val` should be an int or a float. Got {value}.")


def interval_seconds(interval) -> float | None:
    """Seconds between validations, where `val_check_interval` is a time; else None."""
    return to_seconds(interval) if isinstance(interval, str | timedelta | dict) else None


def epoch_limits(min_epochs, max_epochs, min_steps, max_steps: int, timed: bool) -> tuple:
    """The least and the most epochs, where they aren't given: at most 1000, unless steps or time end the run; whole ones."""
    if max_epochs is None:
        max_epochs = -1 if max_steps != -1 or timed else 1000
    if min_epochs is None:
        min_epochs = 0 if min_steps is None else 1
    return min_epochs, max_epochs
