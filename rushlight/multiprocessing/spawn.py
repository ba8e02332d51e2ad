"""Running one function in several processes, whose errors come back to the one that started them."""

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import time
import traceback
import warnings

ENV_VAR_PARALLEL_START = "TORCH_MP_PARALLEL_START"


class ProcessException(Exception):
    """A process failed: `error_index` says which one of those started, `error_pid` its id."""

    def __init__(self, msg: str, error_index: int, error_pid: int):
        super().__init__(msg)
        self.msg, self.error_index, self.error_pid = msg, error_index, error_pid

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.error_pid)


class ProcessRaisedException(ProcessException):
    """The function raised an exception, whose traceback is in the message."""


class ProcessExitedException(ProcessException):
    """A process was killed (`signal_name`), or ended with an `exit_code` that is not 0."""

    def __init__(
        self, msg: str, error_index: int, error_pid: int, exit_code: int, signal_name: str | None = None
    ):
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.error_pid, self.exit_code, self.signal_name)


def _prctl_pr_set_pdeathsig(number: int) -> None:
    """Have this process get a signal when the one that started it ends; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, int(number))


def _wrap(fn, i: int, args, error_file: str) -> None:
    """What a process runs."""
    _prctl_pr_set_pdeathsig(signal.SIGINT)
    try:
        fn(i, *args)
    except KeyboardInterrupt:
        return  # from the process that started this one
    except Exception:
        with open(error_file, "wb") as file:
            pickle.dump(traceback.format_exc(), file)
        sys.exit(1)


class ProcessContext:
    """Processes that were started together.

    Args:
        processes: them.
        error_files: for each, where it writes its traceback.
    """

    def __init__(self, processes, error_files):
        self.processes, self.error_files = processes, error_files
        self.sentinels = {process.sentinel: i for i, process in enumerate(processes)}

    def pids(self) -> list[int]:
        """Their ids."""
        return [int(process.pid) for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait until one of them ends; where it failed, end the others and raise.

        Args:
            timeout: seconds to wait.
            grace_period: seconds that the others have to end by themselves, and again after SIGTERM.
        Returns:
            Whether all have ended.
        Raises:
            ProcessRaisedException, ProcessExitedException: one failed.
        """
        from multiprocessing.connection import wait

        if not self.sentinels:
            return True
        for sentinel in wait(list(self.sentinels), timeout=timeout):
            failed = self.sentinels.pop(sentinel)
            self.processes[failed].join()
            if self.processes[failed].exitcode != 0:
                self._end_all(grace_period)
                raise self._error(failed)
        return not self.sentinels

    def _join_procs_with_timeout(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        for process in self.processes:
            process.join(max(0, end - time.monotonic()))

    def _end_all(self, grace_period: float | None) -> None:
        from logging import getLogger

        log = getLogger(__name__)
        if grace_period is not None:
            self._join_procs_with_timeout(grace_period)
        for process in self.processes:
            if process.is_alive():
                log.warning("Terminating process %s via signal SIGTERM", process.pid)
                process.terminate()
        self._join_procs_with_timeout(30 if grace_period is None else grace_period)
        for process in self.processes:
            if process.is_alive():
                log.warning(
                    "Unable to shutdown process %s via SIGTERM , forcefully exiting via SIGKILL", process.pid
                )
                process.kill()
            process.join()

    def _error(self, i: int) -> ProcessException:
        process = self.processes[i]
        if os.path.exists(self.error_files[i]):
            with open(self.error_files[i], "rb") as file:
                trace = pickle.load(file)
            os.unlink(self.error_files[i])
            return ProcessRaisedException(
                f"\n\n-- Process {i:d} terminated with the following error:\n{trace}", i, process.pid
            )
        code = process.exitcode
        if code >= 0:
            return ProcessExitedException(
                f"process {i:d} terminated with exit code {code:d}", i, process.pid, code
            )
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"<Unknown signal {-code}>"
        return ProcessExitedException(
            f"process {i:d} terminated with signal {name}", i, process.pid, code, name
        )


class SpawnContext(ProcessContext):
    """The former name of `ProcessContext`."""

    def __init__(self, processes, error_files):
        warnings.warn("SpawnContext is renamed to ProcessContext since 1.4 release.", stacklevel=2)
        super().__init__(processes, error_files)


def start_processes(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Run `fn(i, *args)` in processes numbered from 0.

    Args:
        fn: the function; with "spawn" it must be at the top level of a module.
        args: further arguments; tensors among them are shared.
        nprocs: how many processes.
        join: wait for them.
        daemon: end them when this process ends.
        start_method: "spawn", "fork" or "forkserver".
    Returns:
        None, or a `ProcessContext` where `join` is False.
    Raises:
        ProcessRaisedException, ProcessExitedException: one failed.
    """
    import tempfile

    context = multiprocessing.get_context(start_method)
    processes, error_files = [], []
    for i in range(nprocs):
        handle, path = tempfile.mkstemp(prefix="rushlight-error-", suffix=".pickle")
        os.close(handle)
        os.unlink(path)  # it is there again only where the process failed
        process = context.Process(target=_wrap, args=(fn, i, args, path), daemon=daemon)
        process.start()
        processes.append(process)
        error_files.append(path)
    started = ProcessContext(processes, error_files)
    if not join:
        return started
    while not started.join():
        continue
    return None


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Run `fn(i, *args)` in processes numbered from 0, which are spawned: each imports the program anew.

    Args:
        fn: the function, at the top level of a module.
        args: further arguments; tensors among them are shared.
        nprocs: how many processes.
        join: wait for them.
        daemon: end them when this process ends.
        start_method: always "spawn"; see `start_processes` for others.
    Returns:
        None, or a `ProcessContext` where `join` is False.
    Raises:
        ProcessRaisedException, ProcessExitedException: one failed.
    """
    if start_method != "spawn":
        warnings.warn(
            f"This method only supports start_method=spawn (got: {start_method}).\n"
            "To use a different start_method use:\n\t\t torch.multiprocessing.start_processes(...)",
            FutureWarning,
            stacklevel=2,
        )
    return start_processes(fn, args, nprocs, join, daemon, start_method="spawn")


__all__ = [
    "ENV_VAR_PARALLEL_START", "ProcessContext", "ProcessException", "ProcessExitedException",
    "ProcessRaisedException", "SpawnContext", "spawn", "start_processes",
]  # fmt: skip
