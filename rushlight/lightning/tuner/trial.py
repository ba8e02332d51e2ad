"""Short runs on a copy of a model, after which everything is as before."""

import contextlib
import copy

from rushlight.lightning.trainer.data import Position
from rushlight.lightning.utilities.combined_loader import CombinedLoader
from rushlight.lightning.utilities.seed import isolate_rng
from rushlight.utils.data import DataLoader, Dataset, Sampler


def copied(owner):
    """A copy of a model or datamodule, with the same data: only what changes in training is doubled."""
    if owner is None:
        return None
    memo: dict = {}

    def keep(value, depth: int = 0) -> None:
        if isinstance(value, DataLoader | Dataset | Sampler):
            memo[id(value)] = value
        elif isinstance(value, dict | list | tuple) and depth < 2 and len(value) < 100:
            for item in value.values() if isinstance(value, dict) else value:
                keep(item, depth + 1)

    keep(dict(vars(owner)))
    trainer = vars(owner).get("trainer")
    if trainer is not None:
        memo[id(trainer)] = None
    return copy.deepcopy(owner, memo)


@contextlib.contextmanager
def untouched(given: dict):
    """A block after which random streams and the loaders' generators are as before; gives copies of the loaders."""
    combined = {
        k: v if isinstance(v, CombinedLoader) else CombinedLoader(v, "sequential") for k, v in given.items()
    }
    positions = [Position(loader) for loader in combined.values()]
    states = [position.streams() for position in positions]
    copies = {}
    for kind, loader in combined.items():
        twin = CombinedLoader(loader.iterables, loader.mode)
        twin.flattened = [
            copy.copy(item) if isinstance(item, DataLoader) else item for item in loader.flattened
        ]
        copies[kind] = twin if isinstance(given[kind], CombinedLoader) else twin.iterables
    try:
        with isolate_rng():
            yield copies
    finally:
        for position, state in zip(positions, states, strict=True):
            position.set_streams(state)


def short_trainer(trainer, steps: int, callbacks: list):
    """A trainer with the same settings, that only takes some steps.

    Args:
        trainer: whose settings.
        steps: how many.
        callbacks: the only ones.
    """
    short = type(trainer)(
        max_steps=steps, max_epochs=-1, logger=False, callbacks=callbacks, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, precision=trainer.precision, num_sanity_val_steps=0,
        limit_train_batches=trainer.limit_train_batches, limit_val_batches=0,
        accumulate_grad_batches=trainer.accumulate_grad_batches, gradient_clip_val=trainer.gradient_clip_val,
        gradient_clip_algorithm=trainer.gradient_clip_algorithm, default_root_dir=trainer.default_root_dir,
    )  # fmt: skip
    short._tuning = True
    return short
