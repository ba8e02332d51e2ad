"""The profiler of operations."""

import inspect
from collections import Counter
from functools import partial

from rushlight.lightning.profilers.profiler import Profiler
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_warn
from rushlight.profiler import ProfilerAction, profile, record_function, schedule, tensorboard_trace_handler
from rushlight.profiler.events import EventList


class RegisterRecordFunction:
    """Names the layers of a model in what a profiler records, for the length of a block.

    Args:
        model: the model.

    >>> import rushlight as torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    >>> with torch.profiler.profile() as prof, RegisterRecordFunction(model):
    ...     y = model(torch.ones(1, 2))
    >>> [event.key for event in prof.key_averages() if "[pl]" in event.key]
    ['[pl][module]rushlight.nn.linear.Linear: 0']
    """

    def __init__(self, model):
        self._model = model
        self._open: dict[str, list[record_function]] = {}
        self._handles: list = []

    def __enter__(self) -> "RegisterRecordFunction":
        for path, module in self._model.named_modules():
            if path:
                kind = type(module)
                name = f"[pl][module]{kind.__module__}.{kind.__name__}: {path}"
                self._handles += [
                    module.register_forward_pre_hook(partial(self._begin, name)),
                    module.register_forward_hook(partial(self._end, name)),
                ]
        return self

    def __exit__(self, *exc) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _begin(self, name: str, *_) -> None:
        block = record_function(name)
        block.__enter__()
        self._open.setdefault(name, []).append(block)  # a layer may be inside itself

    def _end(self, name: str, *_) -> None:
        self._open[name].pop().__exit__(None, None, None)


class PyTorchProfiler(Profiler):
    """The operations of some steps, by `rushlight.profiler`: three steps of each kind, after two others, by default.

    Args:
        dirpath, filename: where the report goes, as for `Profiler`.
        group_by_input_shapes: rows apart by shapes; needs `record_shapes=True`.
        emit_nvtx: must be False: that is of NVIDIA's GPUs.
        export_to_chrome: write every recording into `dirpath`, for chrome://tracing, Perfetto or TensorBoard.
        row_limit: the most rows of the report; -1 for all.
        sort_by_key: one of `AVAILABLE_SORT_KEYS`; "cpu_time_total" by default.
        record_module_names: name the model's layers.
        table_kwargs: more arguments for the table.
        profiler_kwargs: arguments of `rushlight.profiler.profile`, such as `schedule` and `on_trace_ready`.
    Raises:
        MisconfigurationException: there is no such key, or `schedule` is not one.
        KeyError: the table has no such argument.
        NotImplementedError: `emit_nvtx`.

    >>> profiler = PyTorchProfiler(row_limit=5, sort_by_key="count")
    """

    STEP_FUNCTIONS = {"training_step", "validation_step", "test_step", "predict_step"}
    AVAILABLE_SORT_KEYS = {
        "cpu_time", "cpu_time_total", "cpu_memory_usage", "self_cpu_memory_usage", "count"
    }  # fmt: skip

    def __init__(
        self, dirpath=None, filename: str | None = None, group_by_input_shapes: bool = False, emit_nvtx: bool = False,
        export_to_chrome: bool = True, row_limit: int = 20, sort_by_key: str | None = None,
        record_module_names: bool = True, table_kwargs: dict | None = None, **profiler_kwargs,
    ):  # fmt: skip
        super().__init__(dirpath, filename)
        if emit_nvtx:
            raise NotImplementedError("PyTorchProfiler: emit_nvtx is for GPUs; leave it False on the CPU")
        self._group_by_input_shapes = group_by_input_shapes and profiler_kwargs.get("record_shapes", False)
        self._export_to_chrome, self._row_limit = export_to_chrome, row_limit
        self._sort_by_key, self._table_kwargs = sort_by_key or "cpu_time_total", table_kwargs or {}
        self._record_module_names, self._profiler_kwargs = record_module_names, profiler_kwargs
        self._check()
        self._given_schedule = profiler_kwargs.get("schedule")
        self.profiler: profile | None = None
        self.function_events: EventList | None = None
        self._forget()

    def _check(self) -> None:
        if self._sort_by_key not in self.AVAILABLE_SORT_KEYS:
            raise MisconfigurationException(
                f"Found sort_by_key: {self._sort_by_key}. Should be within {sorted(self.AVAILABLE_SORT_KEYS)}. "
            )
        allowed = set(inspect.signature(EventList.table).parameters) - {"self", "sort_by", "row_limit"}
        for key in self._table_kwargs:
            if key in ("sort_by", "row_limit"):
                raise KeyError(
                    f"Found invalid table_kwargs key: {key}. This is already a positional argument of the Profiler."
                )
            if key not in allowed:
                raise KeyError(f"Found invalid table_kwargs key: {key}. Should be within {sorted(allowed)}.")
        plan = self._profiler_kwargs.get("schedule")
        if plan is not None and not callable(plan):
            raise MisconfigurationException(f"Schedule should be a callable. Found: {plan}")
        if plan is not None and not isinstance(plan(0), ProfilerAction):
            raise MisconfigurationException(
                f"Schedule should return a `torch.profiler.ProfilerAction`. Found: {plan(0)}"
            )

    def _forget(self) -> None:
        self._schedule = self._given_schedule or schedule(wait=1, warmup=1, active=3)
        self._names: RegisterRecordFunction | None = None
        self._blocks: dict[str, record_function] = {}
        self._steps: Counter = Counter()  # of every kind
        self._done: set[str] = set()  # kinds that have been recorded
        self._action_of: dict[int, ProfilerAction] = {0: self._schedule(0)}  # by the number of the step
        self._latest = "step"

    def start(self, action_name: str) -> None:
        """An action begins."""
        if self.profiler is None:
            self._forget()
            options = {"on_trace_ready": self._export, **self._profiler_kwargs}
            options["schedule"] = lambda step: self._action_of.get(step, ProfilerAction.NONE)
            self.profiler = profile(**options)
            self.profiler.start()
        if self._names is None and self._record_module_names and self._lightning_module is not None:
            self._names = RegisterRecordFunction(self._lightning_module)
            self._names.__enter__()
        if action_name not in self._blocks:
            self._blocks[action_name] = record_function(f"[pl][profile]{action_name}")
            self._blocks[action_name].__enter__()

    def stop(self, action_name: str) -> None:
        """It has ended; after a step the schedule says whether the next one is recorded."""
        block = self._blocks.pop(action_name, None)
        if block is not None:
            block.__exit__(None, None, None)
        kind = action_name.rpartition(".")[2]
        if self.profiler is not None and kind in self.STEP_FUNCTIONS:
            self._latest = action_name
            self._action_of[self.profiler.step_num + 1] = self._next(kind)
            self.profiler.step()

    def _next(self, kind: str) -> ProfilerAction:
        trainer = getattr(self._lightning_module, "trainer", None)
        if trainer is not None and trainer.sanity_checking:
            return self._schedule(0)
        if trainer is not None and self._given_schedule is None and _batches(trainer, kind) < 5:
            if kind not in self._done:
                rank_zero_warn(
                    "The PyTorch Profiler default schedule will be overridden as there is not enough steps to properly "
                    "record traces."
                )
            self._done.add(kind)
            return ProfilerAction.RECORD
        if kind in self._done:
            return ProfilerAction.NONE
        self._steps[kind] += 1
        action = self._schedule(self._steps[kind])
        if action is ProfilerAction.RECORD_AND_SAVE:
            self._done.add(kind)
        return action

    def _export(self, recorded: profile) -> None:
        if self.dirpath is None:
            rank_zero_warn("The PyTorchProfiler failed to export trace as `dirpath` is None")
        elif self._export_to_chrome:
            tensorboard_trace_handler(str(self.dirpath), self._prepare_filename(self._latest, ""))(recorded)

    def summary(self) -> str:
        """The table of operations."""
        self._finish()
        if not self.function_events:
            return ""
        rows = self.function_events.key_averages(self._group_by_input_shapes)
        table = rows.table(sort_by=self._sort_by_key, row_limit=self._row_limit, **self._table_kwargs)
        return self._stats_to_str({"records": table})

    def teardown(self, stage: str | None) -> None:
        """A run is over, whether or not it came to its end."""
        self._finish()

    def _finish(self) -> None:
        if self._names is not None:
            self._names.__exit__()
            self._names = None
        if self.profiler is not None:
            for name in list(self._blocks):
                self._blocks.pop(name).__exit__(None, None, None)
            self.profiler.stop()
            self.function_events, self.profiler = self.profiler.events(), None


def _batches(trainer, kind: str) -> int:
    """How many batches there are of this kind in an epoch."""
    if kind == "training_step":
        return trainer.num_training_batches
    counts = getattr(trainer, f"num_{ {'validation_step': 'val'}.get(kind, kind[:-5]) }_batches")
    return sum(counts) if isinstance(counts, list) else counts
