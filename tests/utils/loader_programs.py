"""Datasets and functions for tests of worker processes, which import this module when they are spawned."""

import os
import random
import signal
import sys
import time

import numpy as np

import rushlight as rl
from rushlight.utils.data import Dataset, IterableDataset, get_worker_info


class Rows(Dataset):
    """Samples of several kinds, recognisable by their index."""

    def __init__(self, n=20, shape=(3, 16, 16)):
        self.n, self.shape = n, shape

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return {"x": rl.full(self.shape, float(i)), "i": i, "array": np.full(3, i), "name": f"n{i}"}


class Failing(Rows):
    """Sample 5 cannot be read."""

    def __init__(self, error, *args):
        super().__init__()
        self.error, self.args = error, args

    def __getitem__(self, i):
        if i == 5:
            raise self.error(*self.args)
        return i


class Killed(Rows):
    """A worker that reads sample 9 ends at once."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def __getitem__(self, i):
        if i == 9:
            if isinstance(self.how, str):
                os._exit(int(self.how))
            os.kill(os.getpid(), self.how)
            time.sleep(600)
        return i


class Slow(Rows):
    """Sample 3 takes for ever."""

    def __getitem__(self, i):
        if i == 3:
            time.sleep(600)
        return i


class Seeds(Rows):
    """What a worker draws."""

    def __getitem__(self, i):
        info = get_worker_info()
        return [info.id, info.num_workers, info.seed, rl.rand(1).item(), random.random(), np.random.rand()]


class Stream(IterableDataset):
    """Numbers, divided among the workers."""

    def __init__(self, n=17, length=None):
        self.n = n
        if length is not None:
            self.length = length

    def __len__(self):
        return self.length

    def __iter__(self):
        info = get_worker_info()
        return iter(range(self.n) if info is None else range(info.id, self.n, info.num_workers))


class TwoArguments(Exception):
    """Cannot be made from a message."""

    def __init__(self, a, b):
        super().__init__(a, b)


class WorkerId:
    """Remembers in `random` that it was called."""

    def __call__(self, worker_id):
        random.seed(1000 + worker_id)


def fail_to_start(worker_id):
    raise ValueError(f"no start of worker {worker_id}")


def main_is_killed(method: str) -> None:
    """A program with workers that is killed; prints the ids of the workers."""
    loader = rl.utils.data.DataLoader(Rows(1000), num_workers=2, multiprocessing_context=method)
    batches = iter(loader)
    next(batches)
    print(*[w.pid for w in batches._workers], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def interrupted() -> None:
    """A program with workers that waits for ever, and ends on Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    loader = rl.utils.data.DataLoader(Slow(), num_workers=2)
    batches = iter(loader)
    print(*[w.pid for w in batches._workers], flush=True)
    try:
        list(batches)
    except KeyboardInterrupt:
        print("interrupted", flush=True)


def left_open() -> None:
    """A program that ends in the middle of an epoch."""
    keep = globals()
    keep["batches"] = iter(rl.utils.data.DataLoader(Rows(1000), num_workers=2, persistent_workers=True))
    next(keep["batches"])
    print(*[w.pid for w in keep["batches"]._workers], flush=True)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
