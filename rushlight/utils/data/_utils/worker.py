"""What a loader's worker process does."""

import os
import pickle
import random
import signal
import socket
import weakref
from dataclasses import dataclass

import numpy as np

import rushlight as torch
from rushlight._utils import ExceptionWrapper
from rushlight.config import set_num_threads
from rushlight.random import manual_seed
from rushlight.utils.data._utils.channel import LoaderEnd, WorkerEnd
from rushlight.utils.data._utils.fetch import _DatasetKind

MP_STATUS_CHECK_INTERVAL = 5.0  # seconds between looks at whether the other process is alive


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker is: its number `id` of `num_workers`, its random `seed`, and its copy of the `dataset`."""

    id: int
    num_workers: int
    seed: int
    dataset: object
    rng: object = None
    worker_method: str | None = "multiprocessing"


_worker_info: WorkerInfo | None = None
_loader_ends: "weakref.WeakSet[LoaderEnd]" = (
    weakref.WeakSet()
)  # of this process; a forked worker closes its copies


def get_worker_info() -> WorkerInfo | None:
    """What the worker process is that this is called in; None in the main process.

    A stream that several workers read uses it to give each of them another part.

    >>> from rushlight.utils.data import get_worker_info
    >>> print(get_worker_info())
    None
    """
    return _worker_info


@dataclass(frozen=True)
class _IterableDatasetStopIteration:
    """A worker's stream has ended."""

    worker_id: int


@dataclass(frozen=True)
class _ResumeIteration:
    """A new epoch begins; the worker sends one back, with its random streams.

    Attributes:
        streams: those to go on with; None to leave them as they are.
        worker_id: who sent it.
    """

    streams: tuple | None = None
    worker_id: int | None = None


def _generate_state(base_seed: int, worker_id: int) -> list[int]:
    """The seed of `numpy.random` in a worker."""
    entropy = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return np.random.SeedSequence(entropy).generate_state(4).tolist()


def _seed(base_seed: int, worker_id: int) -> None:
    random.seed(base_seed + worker_id)
    manual_seed(base_seed + worker_id)
    np.random.seed(_generate_state(base_seed, worker_id))


def _streams() -> tuple:
    """The states of this process's random streams: Rushlight's, NumPy's, Python's."""
    return torch.get_rng_state().numpy(), np.random.get_state(), random.getstate()


def _set_streams(states: tuple) -> None:
    torch.set_rng_state(torch.from_numpy(states[0]))
    np.random.set_state(states[1])
    random.setstate(states[2])


def _worker_loop(
    sock: socket.socket, dataset_kind, dataset, auto_collation, collate_fn, drop_last, base_seed, init_fn,
    worker_id, num_workers,
) -> None:  # fmt: skip
    """Take tasks (number, index) and send back (number, batch) until the loader closes the channel."""
    global _worker_info
    for end in list(_loader_ends):
        end.socket.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a handler of the program's is not for its workers
    set_num_threads(1)
    _seed(base_seed, worker_id)
    _worker_info = WorkerInfo(worker_id, num_workers, base_seed + worker_id, dataset)
    worker = _Worker(worker_id, (dataset_kind, dataset, auto_collation, collate_fn, drop_last))
    try:
        worker.start(init_fn)
        _serve(WorkerEnd(sock), worker)
    except (KeyboardInterrupt, EOFError, OSError):
        return  # the loader has gone or hears of the interrupt itself
    finally:
        sock.close()


def _serve(end: WorkerEnd, worker: "_Worker") -> None:
    parent = os.getppid()
    while True:
        try:
            task = end.receive(MP_STATUS_CHECK_INTERVAL)
        except TimeoutError:
            if os.getppid() != parent:
                return
            continue
        if isinstance(task, _ResumeIteration):
            worker.restart()
            if task.streams is not None:
                _set_streams(task.streams)
            end.send((_ResumeIteration(_streams(), worker.id), None))
        elif not worker.ended:
            number, index = task
            _send(end, number, worker.fetch(index), worker.where)


def _send(end: WorkerEnd, number: int, data, where: str) -> None:
    try:
        end.send((number, data))
    except OSError:
        raise
    except Exception:
        end.send((number, _portable(ExceptionWrapper(where=where))))


def _portable(error: ExceptionWrapper) -> ExceptionWrapper:
    """With a type that can be sent."""
    try:
        pickle.dumps(error.exc_type)
    except Exception:
        error.exc_msg = f"{error.exc_msg}(of type {error.exc_type.__qualname__}, which cannot be pickled)\n"
        error.exc_type = RuntimeError
    return error


class _Worker:
    """What a worker knows between tasks."""

    def __init__(self, worker_id: int, fetcher_arguments: tuple):
        self.id, self.arguments = worker_id, fetcher_arguments
        self.where = f"in DataLoader worker process {worker_id}"
        self.failed: ExceptionWrapper | None = None
        self.fetcher = None
        self.ended = False

    def start(self, init_fn) -> None:
        """Call the user's `worker_init_fn`; what goes wrong is the answer to the tasks to come."""
        try:
            if init_fn is not None:
                init_fn(self.id)
            self.fetcher = _DatasetKind.create_fetcher(*self.arguments)
        except Exception:
            self.failed = _portable(ExceptionWrapper(where=self.where))

    def restart(self) -> None:
        """Begin a new epoch."""
        self.ended = False
        if self.failed is None:
            self.start(None)

    def fetch(self, index):
        """A batch, or what happened instead."""
        if self.failed is not None:
            return self.failed
        try:
            return self.fetcher.fetch(index)
        except Exception as error:
            if isinstance(error, StopIteration) and self.arguments[0] == _DatasetKind.Iterable:
                self.ended = True
                return _IterableDatasetStopIteration(self.id)
            return _portable(ExceptionWrapper(where=self.where))
