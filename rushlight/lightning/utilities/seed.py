"""Random streams: seeding all of them, saving and restoring them."""

import contextlib
import os
import random

import numpy as np

import rushlight as torch
from rushlight.lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn

__all__ = [
    "collect_rng_states",
    "isolate_rng",
    "pl_worker_init_function",
    "seed_everything",
    "set_rng_states",
]

MAX_SEED = 2**32 - 1


def seed_everything(seed: int | None = None, workers: bool = False, verbose: bool = True) -> int:
    """Seed the streams of Rushlight, NumPy and Python.

    Args:
        seed: from 0 to 2^32 - 1; by default the environment's PL_GLOBAL_SEED, else 0.
        workers: have the workers of loaders seeded from it too, each differently, NumPy and Python included.
        verbose: say which seed it is.
    Returns:
        The seed.
    Raises:
        ValueError: it is out of range.

    >>> from rushlight.lightning import seed_everything
    >>> seed_everything(7, verbose=False)
    7
    """
    if seed is None:
        text = os.environ.get("PL_GLOBAL_SEED", "0")
        try:
            seed = int(text)
        except ValueError:
            seed = 0
            rank_zero_warn(f"Invalid seed found: {text!r}, seed set to 0")
    seed = int(seed)
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"{seed} is not in bounds, numpy accepts from 0 to {MAX_SEED}")
    if verbose:
        rank_zero_info(f"Seed set to {seed}")
    os.environ["PL_GLOBAL_SEED"] = str(seed)
    os.environ["PL_SEED_WORKERS"] = str(int(workers))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return seed


def reset_seed() -> None:
    """Seed again with what `seed_everything` was last called with, if it was."""
    if "PL_GLOBAL_SEED" in os.environ:
        seed_everything(workers=bool(int(os.environ.get("PL_SEED_WORKERS", "0"))), verbose=False)


def pl_worker_init_function(worker_id: int, rank: int | None = None) -> None:
    """Seed the three streams of a loader's worker, each with a number of its own.

    The numbers are Lightning's: a linear congruential generator with Knuth's constant (TAOCP 2, 3.3.4).
    """
    state = ((torch.initial_seed() - worker_id) << 32) | (worker_id << 16) | (rank or 0)
    seeds = []
    for _ in range(4):
        state = (state * 6364136223846793005 + 1) % 2**64
        seeds.append(state)
    torch.manual_seed(seeds[0])
    random.seed((seeds[1] << 32) | seeds[2])
    np.random.seed(seeds[3] & MAX_SEED)


def collect_rng_states(include_cuda: bool = True) -> dict:
    """The states of the three streams: tensors and numbers only, so that they can be saved."""
    return packed(torch.get_rng_state(), np.random.get_state(), random.getstate())


def packed(of_torch, of_numpy: tuple, of_python: tuple) -> dict:
    """Three states as tensors and numbers."""
    kind, keys, *rest = of_numpy
    version, numbers, gauss = of_python
    return {
        "torch": of_torch,
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), *rest],
        "python": [version, torch.tensor(numbers), gauss],
    }


def set_rng_states(states: dict) -> None:
    """Go on where `collect_rng_states` was called; Lightning's form of the states is understood too."""
    of_torch, of_numpy, of_python = unpacked(states)
    torch.set_rng_state(of_torch)
    np.random.set_state(of_numpy)
    random.setstate(of_python)


def unpacked(states: dict) -> tuple:
    """The three states that `packed` was given."""
    kind, keys, *rest = states["numpy"]
    version, numbers, gauss = states["python"]
    of_numpy = (kind, np.asarray(keys).astype(np.uint32), *rest)
    return states["torch"], of_numpy, (version, tuple(int(n) for n in numbers), gauss)


@contextlib.contextmanager
def isolate_rng(include_cuda: bool = True):
    """Leave the three streams as they were before the block."""
    states = collect_rng_states()
    try:
        yield
    finally:
        set_rng_states(states)
