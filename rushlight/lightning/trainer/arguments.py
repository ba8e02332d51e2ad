"""The Trainer's arguments: those of Lightning 1.x in today's words, checks, and what the devices come to."""

from datetime import timedelta

from rushlight.lightning.callbacks.timer import to_seconds
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_deprecation

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
_ACCELERATORS = ("auto", "cpu", None)
_STRATEGIES = ("auto", "single_device", None, "ddp", "ddp_spawn", "ddp_notebook", "ddp_fork", "ddp_find_unused_parameters_true",
               "ddp_find_unused_parameters_false", "dp")  # fmt: skip


def translated(old: dict) -> dict:
    """Arguments of Lightning 1.x in today's words.

    Args:
        old: those that the Trainer doesn't know.
    Raises:
        TypeError: nobody knows them. MisconfigurationException: they ask for a GPU or a TPU.
    """
    new = {}
    for name, value in old.items():
        if name in ("gpus", "tpu_cores", "ipus"):
            if value in (None, 0, "0", []):
                continue
            raise MisconfigurationException(
                f"Trainer({name}={value!r}): there is only the CPU here. Leave the argument out"
            )
        if name in _RENAMED:
            target, convert = _RENAMED[name]
            new[target] = convert(value)
        elif name not in _IGNORED:
            raise TypeError(f"Trainer.__init__() got an unexpected keyword argument {name!r}")
        rank_zero_deprecation(f"Trainer({name}=...) is of Lightning 1.x; it is accepted here")
    return new


def check_devices(accelerator, strategy, devices, num_nodes: int) -> None:
    """Check that one process on the CPU is what is asked for.

    Raises:
        MisconfigurationException: it isn't. ValueError: there is no such strategy.
    """
    if accelerator not in _ACCELERATORS and type(accelerator).__name__ != "CPUAccelerator":
        raise MisconfigurationException(
            f"No supported {accelerator} backend found! There is only the CPU here: use Trainer(accelerator='cpu') or 'auto'"
        )
    name = strategy if isinstance(strategy, str) or strategy is None else type(strategy).__name__
    if name not in _STRATEGIES and name != "SingleDeviceStrategy":
        raise ValueError(
            f"You selected an invalid strategy name: `strategy={strategy!r}`. There is one process here: use strategy='auto'"
        )
    count = len(devices) if isinstance(devices, list | tuple) else devices
    count = 1 if count in ("auto", None, -1, "-1") else int(str(count))
    if count < 1:
        raise MisconfigurationException(
            f"Trainer(devices={devices!r}): the number of devices must be an int > 0 or 'auto'"
        )
    if count > 1 or num_nodes != 1:
        raise MisconfigurationException(
            f"Trainer(devices={devices!r}, num_nodes={num_nodes}): there is one process here, which uses all cores by its "
            "threads (torch.set_num_threads). Use devices=1"
        )


def check_share(name: str, value) -> None:
    """Check a number or share of batches.

    Raises:
        MisconfigurationException: it is neither.
    """
    if value is None:
        return
    fine = isinstance(value, int | float) and not isinstance(value, bool)
    if not fine or (isinstance(value, float) and not 0 <= value <= 1) or value < 0:
        raise MisconfigurationException(
            f"You have passed invalid value {value} for {name}, it has to be in [0.0, 1.0] or an int."
        )


def check_count(name: str, value, least: int) -> None:
    """Check an integer, or None.

    Raises:
        MisconfigurationException: it is something else.
    """
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise MisconfigurationException(f"`{name}` should be an int >= {least} or None, got {value!r}.")


def check_clipping(value, algorithm) -> None:
    """Check the arguments of gradient clipping.

    Raises:
        TypeError: no number. MisconfigurationException: an unknown algorithm.
    """
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"`gradient_clip_val` should be an int or a float. Got {value}.")
    if algorithm is not None and str(getattr(algorithm, "value", algorithm)).lower() not in ("norm", "value"):
        raise MisconfigurationException(
            f"`gradient_clip_algorithm` {algorithm} is invalid. Allowed algorithms: ['value', 'norm']."
        )


def interval_seconds(interval) -> float | None:
    """Seconds between validations, where `val_check_interval` is a time; else None."""
    return to_seconds(interval) if isinstance(interval, str | timedelta | dict) else None


def epoch_limits(min_epochs, max_epochs, max_steps: int, timed: bool) -> tuple:
    """The least and the most epochs, where they aren't given: at most 1000, unless steps or time end the run."""
    if max_epochs is None:
        max_epochs = -1 if max_steps != -1 or timed else 1000
    return min_epochs, max_epochs
