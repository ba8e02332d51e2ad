"""Finding the largest batch size that fits into memory."""

import os

from rushlight.lightning.trainer.data import length
from rushlight.lightning.tuner.trial import copied, short_trainer, untouched
from rushlight.lightning.utilities.combined_loader import CombinedLoader
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.parsing import lightning_getattr, lightning_hasattr, lightning_setattr
from rushlight.lightning.utilities.rank_zero import rank_zero_info


def check_arguments(mode: str) -> None:
    """Check the mode.

    Raises:
        ValueError: an unknown one.
    """
    if mode not in ("power", "binsearch"):
        raise ValueError(f"`mode` should be either 'power' or 'binsearch' but got {mode}")


def scale_batch_size(
    trainer, model, given: dict, mode: str = "power", steps_per_trial: int = 3, init_val: int = 2, max_trials: int = 25,
    batch_arg_name: str = "batch_size", margin: float = 0.05, max_val: int = 8192,
) -> int:  # fmt: skip
    """Find the largest batch size that fits, on copies, and set it; arguments as for `Tuner.scale_batch_size`.

    Raises:
        MisconfigurationException: there is no such attribute, or loaders were given that can't be made anew.
    """
    check_arguments(mode)
    if not lightning_hasattr(model, batch_arg_name):
        raise MisconfigurationException(
            f"Field {batch_arg_name} not found in `model`, `datamodule`, nor their `hparams`."
        )
    if given.get("train") is not None:
        raise MisconfigurationException(
            "The batch scaling feature cannot be used with dataloaders passed directly to `.fit()`. Please disable the "
            "feature or incorporate the dataloader into the model."
        )
    before = lightning_getattr(model, batch_arg_name)
    size, works, fails = init_val, None, None
    for _ in range(max_trials):
        batches = _fits(trainer, model, batch_arg_name, size, steps_per_trial)
        if batches:
            works = size
            rank_zero_info(f"Batch size {size} succeeded")
            if batches == 1 or size >= max_val:  # the whole data set is one batch
                break
            size = size * 2 if fails is None else (works + fails) // 2
        else:
            fails = size
            rank_zero_info(f"Batch size {size} failed")
            if mode == "power":
                break
            size = ((works or 0) + fails) // 2
        size = min(size, max_val)
        if size == works or size < 1:
            break
    if works is None:
        raise MemoryError(
            f"scale_batch_size: not even a batch of {init_val} fits (tried down to {max(size, 1)})"
        )
    if mode == "binsearch":
        works = max(1, int(works * (1 - margin)))
    lightning_setattr(model, batch_arg_name, works)
    rank_zero_info(
        f"Finished batch size finder, will continue with full run using batch size {works} (was {before})"
    )
    return works


def _fits(trainer, model, name: str, size: int, steps: int) -> float:
    """Batches in an epoch with that size, if some of them fit into memory; else 0."""
    datamodule = copied(trainer.datamodule)
    twin = copied(model)
    twin._trainer = _Holder(datamodule)
    lightning_setattr(twin, name, size)
    twin._trainer = None
    short = short_trainer(trainer, steps, [])
    free = _available()
    try:
        with untouched({}):
            short.fit(twin, datamodule=datamodule)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        return 0
    used = max(0, free - _available())
    if used * 4 > _available():  # the next one, twice as large, might have the system end the process
        return 1
    loader = short.fit_loop.loader
    return length(loader if isinstance(loader, CombinedLoader) else CombinedLoader(loader))


class _Holder:
    def __init__(self, datamodule):
        self.datamodule = datamodule


def _available() -> int:
    """Bytes of memory that are free."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 2**62
