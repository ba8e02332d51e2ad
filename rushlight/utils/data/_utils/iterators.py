"""One epoch of a DataLoader, in this process or from workers."""

import collections
import itertools
import multiprocessing
import os
import selectors
import signal
import socket
import sys
import time
import warnings
from pickle import PicklingError

from rushlight._utils import ExceptionWrapper
from rushlight.utils.data._utils.channel import LoaderEnd
from rushlight.utils.data._utils.fetch import _DatasetKind
from rushlight.utils.data._utils.worker import (
    MP_STATUS_CHECK_INTERVAL,
    _IterableDatasetStopIteration,
    _loader_ends,
    _ResumeIteration,
    _worker_loop,
)
from rushlight.utils.data.sampler import draw_seed


class _BaseDataLoaderIter:
    """What both kinds of epochs share."""

    def __init__(self, loader):
        self._dataset = loader.dataset
        self._dataset_kind = loader._dataset_kind
        self._IterableDataset_len_called = loader._IterableDataset_len_called
        self._auto_collation = loader._auto_collation
        self._drop_last = loader.drop_last
        self._index_sampler = loader._index_sampler
        self._num_workers = loader.num_workers
        self._timeout = loader.timeout
        self._collate_fn = loader.collate_fn
        self._persistent_workers = loader.persistent_workers
        self._pin_memory = False  # there is no accelerator
        if loader.pin_memory:
            _warn_about_pinning(loader.pin_memory_device)
        self._sampler_iter = iter(self._index_sampler)
        self._base_seed = draw_seed(loader.generator)
        self._num_yielded = 0

    def _reset(self, loader, first_iter: bool = False) -> None:
        """Begin another epoch."""
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._IterableDataset_len_called = loader._IterableDataset_len_called

    def _next_index(self):
        return next(self._sampler_iter)

    def _next_data(self):
        raise NotImplementedError(f"{type(self).__name__} has no _next_data")

    def __iter__(self):
        return self

    def __next__(self):
        data = self._next_data()
        self._num_yielded += 1
        expected = self._IterableDataset_len_called
        if (
            expected is not None
            and self._num_yielded > expected
            and self._dataset_kind == _DatasetKind.Iterable
        ):
            self._warn_about_length(expected)
        return data

    def _warn_about_length(self, expected: int) -> None:
        message = (
            f"Length of IterableDataset {self._dataset} was reported to be {expected}(when accessing "
            f"len(dataloader)), but {self._num_yielded} samples have been fetched. "
        )
        if self._num_workers > 0:
            message += (
                "For multiprocessing data-loading, this could be caused by not properly configuring the "
                "IterableDataset replica at each worker. Please see "
                "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for examples."
            )
        warnings.warn(message, stacklevel=3)

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __getstate__(self):
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


def _warn_about_pinning(device: str) -> None:
    if device:
        warnings.warn(
            "pin_memory_device is deprecated, the current accelerator will be used as the device,"
            f"ignore pin_memory_device='{device}'.",
            stacklevel=5,
        )
    warnings.warn(
        "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be used.",
        stacklevel=5,
    )


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """An epoch that is loaded in this process."""

    def __init__(self, loader):
        super().__init__(loader)
        if self._timeout != 0:
            raise AssertionError(
                f"DataLoader: expected timeout=0 with num_workers=0, got timeout={self._timeout}; only workers can "
                "be waited for"
            )
        self._dataset_fetcher = _DatasetKind.create_fetcher(
            self._dataset_kind, self._dataset, self._auto_collation, self._collate_fn, self._drop_last
        )

    def _next_data(self):
        return self._dataset_fetcher.fetch(next(self._sampler_iter))


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """An epoch that workers load, several batches ahead.

    Tasks have numbers, and go to the workers in turn. `_task_info` has what is under way: by number, the worker and, as
    soon as it is there, the batch.
    """

    def __init__(self, loader):
        # Process.join imports it, and `__del__` joins: it may be called in the midst of that import.
        from multiprocessing import connection  # noqa: F401

        super().__init__(loader)
        self._prefetch_factor, self._in_order = loader.prefetch_factor, loader.in_order
        if self._prefetch_factor <= 0:
            raise AssertionError("prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter")
        self._worker_init_fn = loader.worker_init_fn
        self._owner = os.getpid()
        self._shutdown = False
        self._workers: list = []
        self._worker_streams: list = [
            None
        ] * self._num_workers  # when the epoch began, where workers are persistent
        self._streams_to_set: list | None = None  # when the next epoch begins
        self._ends: list[LoaderEnd] = []
        self._selector = selectors.PollSelector()
        self._arrived: collections.deque = collections.deque()
        context = loader.multiprocessing_context or multiprocessing
        try:
            for i in range(self._num_workers):
                self._start_worker(context, i)
        except BaseException:
            self._shutdown_workers()
            raise
        self._reset(loader, first_iter=True)

    def _start_worker(self, context, i: int) -> None:
        ours, theirs = socket.socketpair()
        end = LoaderEnd(ours)
        _loader_ends.add(end)
        self._ends.append(end)
        worker = context.Process(
            target=_worker_loop,
            args=(
                theirs, self._dataset_kind, self._dataset, self._auto_collation, self._collate_fn,
                self._drop_last, self._base_seed, self._worker_init_fn, i, self._num_workers,
            ),
            daemon=True,
        )  # fmt: skip
        try:
            worker.start()
        except (TypeError, AttributeError, PicklingError):
            warnings.warn(
                "Got pickle error when attempting to start a worker Process. This might be because the worker "
                "Process arguments are not picklable. Python 3.14+ changed the multiprocessing start method in "
                "non-Mac POSIX platforms to 'forkserver', which requires the worker Process arguments to be "
                "picklable. You can also try multiprocessing.set_start_method('fork').",
                stacklevel=6,
            )
            raise
        finally:
            theirs.close()
        self._workers.append(worker)
        self._selector.register(end, selectors.EVENT_READ, i)

    def _reset(self, loader, first_iter: bool = False) -> None:
        super()._reset(loader, first_iter)
        if not first_iter:
            self._resume(self._streams_to_set)
            self._streams_to_set = None
        self._send_idx = self._rcvd_idx = 0  # the next number to send, and to return
        self._task_info: dict[int, tuple] = {}
        self._workers_status = [True] * self._num_workers
        self._workers_num_tasks = [0] * self._num_workers
        self._worker_queue_idx_cycle = itertools.cycle(range(self._num_workers))
        for _ in range(self._prefetch_factor * self._num_workers):
            self._try_put_index()

    def _resume(self, streams: list | None = None) -> None:
        """Have all workers begin anew, and throw away what is left of the last epoch.

        Args:
            streams: the states that the workers' random streams shall have.
        """
        for i, end in enumerate(self._ends):
            end.send(_ResumeIteration(streams[i] if streams else None))
        missing = self._num_workers
        self._workers_status = [True] * self._num_workers
        while missing:
            answer = self._get_data()[0]
            if isinstance(answer, _ResumeIteration):
                self._worker_streams[answer.worker_id] = answer.streams
                missing -= 1

    # -- tasks ----------------------------------------------------------------------------------------

    def _try_put_index(self) -> None:
        limit = self._prefetch_factor * self._num_workers
        try:
            index = self._next_index()
        except StopIteration:
            return
        for worker in itertools.islice(self._worker_queue_idx_cycle, self._num_workers):
            if self._workers_status[worker] and (
                self._in_order or self._workers_num_tasks[worker] < limit // sum(self._workers_status)
            ):
                break
        else:
            return
        self._ends[worker].send((self._send_idx, index))
        self._task_info[self._send_idx] = (worker,)
        self._workers_num_tasks[worker] += 1
        self._send_idx += 1

    def _next_data(self):
        while True:
            self._skip_ended_workers()
            if self._rcvd_idx == self._send_idx:
                if not self._persistent_workers:
                    self._shutdown_workers()
                raise StopIteration
            if len(self._task_info[self._rcvd_idx]) == 2:
                worker, data = self._task_info.pop(self._rcvd_idx)
                self._rcvd_idx += 1
                return self._process_data(data, worker)
            number, data = self._get_data()
            if isinstance(data, _IterableDatasetStopIteration):
                self._end_worker(data.worker_id)
                self._try_put_index()
            elif number == self._rcvd_idx or not self._in_order:
                self._rcvd_idx += number == self._rcvd_idx
                return self._process_data(data, self._task_info.pop(number)[0])
            else:
                self._task_info[number] += (data,)

    def _skip_ended_workers(self) -> None:
        """Pass over the numbers of tasks that will get no answer."""
        while self._rcvd_idx < self._send_idx:
            info = self._task_info.get(self._rcvd_idx)
            if info is not None:
                if len(info) == 2 or self._workers_status[info[0]]:
                    return
                del self._task_info[self._rcvd_idx]
            self._rcvd_idx += 1

    def _process_data(self, data, worker: int):
        self._workers_num_tasks[worker] -= 1
        self._try_put_index()
        if isinstance(data, ExceptionWrapper):
            data.reraise()
        return data

    def _end_worker(self, worker: int) -> None:
        """A worker's stream has ended."""
        self._workers_status[worker] = False
        if not self._persistent_workers:
            self._selector.unregister(self._ends[worker])
            self._ends[worker].close()

    # -- messages -------------------------------------------------------------------------------------

    def _get_data(self):
        """The next message from any worker.

        Raises:
            RuntimeError: a worker was killed, or nothing came in time.
        """
        if self._shutdown:
            raise RuntimeError(
                "DataLoader: this iterator's workers have ended; make a new one with iter(loader)"
            )
        deadline = time.monotonic() + self._timeout if self._timeout > 0 else None
        while not self._arrived:
            wait = MP_STATUS_CHECK_INTERVAL
            if deadline is not None:
                wait = min(wait, deadline - time.monotonic())
                if wait <= 0:
                    raise RuntimeError(
                        f"DataLoader timed out after {self._timeout} seconds. Its workers are alive, but none has "
                        "finished a batch: raise timeout=, or see where a worker waits with num_workers=0."
                    )
            if not self._exchange(wait):
                self._check_workers()
        return self._arrived.popleft()

    def _exchange(self, wait: float) -> bool:
        """Receive what has arrived and send what was waiting; False where nothing happened."""
        for end in self._ends:
            if end.waiting:
                self._selector.modify(
                    end, selectors.EVENT_READ | selectors.EVENT_WRITE, self._ends.index(end)
                )
        ready = self._selector.select(wait)
        for key, events in ready:
            end, worker = key.fileobj, key.data
            if events & selectors.EVENT_WRITE:
                end.flush()
                self._selector.modify(end, selectors.EVENT_READ, worker)
            if events & selectors.EVENT_READ:
                try:
                    self._arrived.append(end.receive())
                except EOFError:
                    self._fail(worker)
        return bool(ready)

    def _check_workers(self) -> None:
        for i, worker in enumerate(self._workers):
            if self._workers_status[i] and not worker.is_alive():
                self._fail(i)

    def _fail(self, worker: int) -> None:
        """Say how a worker ended, and end the others."""
        process = self._workers[worker]
        process.join(MP_STATUS_CHECK_INTERVAL)
        error = RuntimeError(_obituary(process.pid, process.exitcode))
        self._shutdown_workers()
        raise error

    # -- the end --------------------------------------------------------------------------------------

    def _shutdown_workers(self) -> None:
        """End the workers; one that is busy for long is terminated."""
        if self._shutdown or self._owner != os.getpid():
            return
        self._shutdown = True
        for end in self._ends:
            end.close()
        end = time.monotonic() + MP_STATUS_CHECK_INTERVAL
        for worker in self._workers:
            worker.join(max(0, end - time.monotonic()))
            if worker.is_alive():
                worker.terminate()
                worker.join(MP_STATUS_CHECK_INTERVAL)
            if worker.is_alive():
                worker.kill()
                worker.join()
        self._selector.close()
        self._arrived.clear()
        self._task_info = {}

    def __del__(self):
        # When Python ends, multiprocessing has ended them already.
        if not sys.is_finalizing() and hasattr(self, "_selector"):
            self._shutdown_workers()


def _obituary(pid: int, exitcode: int | None) -> str:
    """What to tell about a worker that has ended too early."""
    if exitcode is None or exitcode >= 0:
        code = "" if exitcode is None else f" with exit code {exitcode}"
        return (
            f"DataLoader worker (pid(s) {pid}) exited unexpectedly{code}. Details are lost due to multiprocessing. "
            "Rerunning with num_workers=0 may give better error trace."
        )
    causes = {
        signal.SIGKILL: "Probably the system ran out of memory and ended it (see dmesg): use fewer workers, smaller "
        "batches or a smaller prefetch_factor. Or somebody killed it.",
        signal.SIGBUS: "It is possible that dataloader's workers are out of shared memory. Please try to raise your "
        "shared memory limit.",
        signal.SIGSEGV: "A library that the dataset uses crashed; one that is not safe to fork may work with "
        "multiprocessing_context='spawn'.",
    }
    name = signal.strsignal(-exitcode) or f"signal {-exitcode}"
    cause = causes.get(-exitcode, "Rerunning with num_workers=0 may show the cause.")
    return f"DataLoader worker (pid {pid}) is killed by signal: {name}. {cause}"


__all__ = ["_BaseDataLoaderIter", "_MultiProcessingDataLoaderIter", "_SingleProcessDataLoaderIter"]
