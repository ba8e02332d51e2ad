"""`profile`: record a block, or the steps of a loop that a schedule picks."""

import enum
import os
import time

from rushlight.profiler.events import EventList
from rushlight.profiler.recorder import Recorder, record_function


class ProfilerActivity(enum.Enum):
    """What may be recorded; here the CPU alone."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4


class ProfilerAction(enum.Enum):
    """What a schedule says of a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def supported_activities() -> set[ProfilerActivity]:
    """What can be recorded: the CPU.

    >>> import rushlight as torch
    >>> torch.profiler.supported_activities()
    {<ProfilerActivity.CPU: 0>}
    """
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
):
    """Which steps to record: after `skip_first`, cycles of `wait` idle, `warmup` and `active` recorded steps.

    Args:
        wait, warmup, active: numbers of steps.
        repeat: the number of cycles; 0 for no end.
        skip_first: steps before the first cycle.
        skip_first_wait: not 0: the first cycle does not wait.
    Returns:
        A function from the number of a step to a `ProfilerAction`.

    >>> import rushlight as torch
    >>> plan = torch.profiler.schedule(wait=1, warmup=1, active=2)
    >>> [plan(step).name for step in range(4)]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE']
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments: expected active > 0 and the others >= 0, got wait={wait}, "
            f"warmup={warmup}, active={active}, repeat={repeat}, skip_first={skip_first}"
        )

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait:
            step += wait
        cycle = wait + warmup + active
        if repeat and step // cycle >= repeat:
            return ProfilerAction.NONE
        place = step % cycle
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(dir_name: str, worker_name: str | None = None, use_gzip: bool = False):
    """An `on_trace_ready` that writes each trace as a file into a folder, for TensorBoard's profiler.

    Args:
        dir_name: the folder, made where it is missing.
        worker_name: the first part of the files' names; host and process by default.
        use_gzip: compress them.
    """
    import socket

    def handler(prof: "profile") -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        ending = ".pt.trace.json" + (".gz" if use_gzip else "")
        prof.export_chrome_trace(os.path.join(dir_name, f"{worker}.{time.time_ns()}{ending}"))

    return handler


class profile:
    """Record which operations ran, how long they took and what they allocated.

    Args:
        activities: accepted; the CPU is recorded.
        schedule: which steps to record, as `schedule` makes it; all without.
        on_trace_ready: called with the profile when a cycle's recording is complete.
        record_shapes: keep the shapes of tensor arguments.
        profile_memory: keep the bytes that were allocated.
        with_stack, with_flops, with_modules: accepted, without effect.
        acc_events: keep the events of all cycles.

    >>> import rushlight as torch
    >>> with torch.profiler.profile(record_shapes=True) as prof:
    ...     y = torch.ones(2, 3) @ torch.ones(3, 4)
    >>> "aten::matmul" in prof.key_averages().table(sort_by="cpu_time_total", row_limit=10)
    True
    """

    def __init__(
        self, *, activities=None, schedule=None, on_trace_ready=None, record_shapes=False, profile_memory=False,
        with_stack=False, with_flops=False, with_modules=False, experimental_config=None,
        execution_trace_observer=None, acc_events=False, use_cuda=None, **_,
    ):  # fmt: skip
        self.activities = set(activities) if activities else supported_activities()
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.on_trace_ready = on_trace_ready
        self.record_shapes, self.profile_memory, self.acc_events = record_shapes, profile_memory, acc_events
        self.step_num = 0
        self._stepping = schedule is not None
        self._recorder: Recorder | None = None
        self._events = EventList()
        self._step_block: record_function | None = None

    def __enter__(self) -> "profile":
        self.start()
        return self

    def __exit__(self, *exc) -> None:
        self.stop()

    def start(self) -> None:
        """Begin, as the block does."""
        self._enter_step()

    def stop(self) -> None:
        """End, as the block does; a recording that is not complete counts as complete."""
        self._leave_step(complete=True)

    def step(self) -> None:
        """Say that a step of the loop is over."""
        action = self.schedule(self.step_num)
        self._leave_step(complete=action is ProfilerAction.RECORD_AND_SAVE)
        self.step_num += 1
        self._enter_step()

    def _enter_step(self) -> None:
        wanted = self.schedule(self.step_num) in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if wanted and self._recorder is None:
            self._recorder = Recorder(self.record_shapes, self.profile_memory)
            self._recorder.start()
        if self._recorder is not None and self._stepping:
            self._step_block = record_function(f"ProfilerStep#{self.step_num}")
            self._step_block.__enter__()

    def _leave_step(self, complete: bool) -> None:
        if self._step_block is not None:
            self._step_block.__exit__(None, None, None)
            self._step_block = None
        if self._recorder is None or not complete:
            return
        self._recorder.stop()
        kept = self._events if self.acc_events else []
        self._events = EventList([*kept, *self._recorder.events])
        self._events.profile_memory = self.profile_memory
        self._recorder = None
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def events(self) -> EventList:
        """What was recorded, call by call."""
        return self._events

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> EventList:
        """What was recorded, summed by name.

        Args:
            group_by_input_shape: apart by shapes; needs `record_shapes`.
            group_by_stack_n: accepted, without effect.
        """
        return self._events.key_averages(group_by_input_shape)

    def export_chrome_trace(self, path: str) -> None:
        """Write the recording for chrome://tracing or Perfetto.

        Args:
            path: the file; compressed where it ends in ".gz".
        """
        self._events.export_chrome_trace(path)

    def table(self, **options) -> str:
        """The table of every call; see `EventList.table`."""
        return self._events.table(**options)

    @property
    def self_cpu_time_total(self) -> float:
        """The time recorded, in microseconds."""
        return self._events.self_cpu_time_total

    def __str__(self) -> str:
        return self.table()
