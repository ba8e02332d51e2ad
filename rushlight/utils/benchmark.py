"""How long statements take: the names of `torch.utils.benchmark`.

>>> from rushlight.utils.benchmark import Timer
>>> timer = Timer("x + x", globals={"x": 1})
>>> timer.timeit(10).number_per_run
10
"""

import enum
import itertools
import statistics
import textwrap
import timeit
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter as timer

import rushlight as torch

__all__ = ["Compare", "Language", "Measurement", "TaskSpec", "Timer", "select_unit", "set_torch_threads", "timer",
           "unit_to_english"]  # fmt: skip

_UNITS = (
    ("s", 1.0, "second"),
    ("ms", 1e-3, "millisecond"),
    ("us", 1e-6, "microsecond"),
    ("ns", 1e-9, "nanosecond"),
)


class Language(enum.Enum):
    """What statements are written in. Only Python is run here."""

    PYTHON = 0
    CPP = 1


def select_unit(t: float) -> tuple[str, float]:
    """The unit that suits a time in seconds, and its length in seconds.

    >>> from rushlight.utils.benchmark import select_unit
    >>> select_unit(0.0025)
    ('ms', 0.001)
    """
    name, length, _ = next((unit for unit in _UNITS if t >= unit[1]), _UNITS[-1])
    return name, length


def unit_to_english(u: str) -> str:
    """A unit in words: "us" is "microsecond"."""
    return next(words for name, _, words in _UNITS if name == u)


@contextmanager
def set_torch_threads(n: int):
    """A block in which operations use `n` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class TaskSpec:
    """What is measured.

    Attributes:
        stmt, setup: code.
        label, sub_label, description, env: what tells measurements apart in tables.
        num_threads: that operations use.
    """

    stmt: str
    setup: str = "pass"
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The labels, or the code."""
        if self.label is not None:
            return self.label + (f": {self.sub_label}" if self.sub_label else "")
        return self.stmt if "\n" not in self.stmt else f"stmt:\n{textwrap.indent(self.stmt, '  ')}"

    def summarize(self) -> str:
        """The title, the description and the setup, by lines."""
        parts = [self.title, self.description or ""]
        if self.setup != "pass":
            inner = "\n" in self.setup
            parts.append(f"setup:\n{textwrap.indent(self.setup, '  ')}" if inner else f"setup: {self.setup}")
        return "\n".join(part for part in parts if part)


@dataclass
class Measurement:
    """Times of a statement.

    Attributes:
        number_per_run: how often it ran for each of `raw_times`.
        raw_times: in seconds.
        task_spec: what was measured.
    """

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict | None = None
    _names: tuple = field(
        default=("title", "env", "num_threads", "stmt", "setup", "label", "sub_label", "description"),
        repr=False,
    )

    def __getattr__(self, name: str):
        if name.startswith("_") or name not in self._names:
            raise AttributeError(f"'Measurement' object has no attribute {name!r}")
        return getattr(self.task_spec, name)

    @property
    def times(self) -> list[float]:
        """Seconds per run."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self) -> float:
        """The mean of the times."""
        return statistics.fmean(self.times)

    @property
    def median(self) -> float:
        """The median of the times."""
        return statistics.median(self.times)

    @property
    def iqr(self) -> float:
        """The distance of the quartiles of the times."""
        low, high = self._quartiles()
        return high - low

    def _quartiles(self) -> tuple[float, float]:
        if len(self.raw_times) < 2:
            return self.median, self.median
        low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
        return low, high

    @property
    def has_warnings(self) -> bool:
        """Whether the times vary by more than a tenth."""
        return self.iqr > 0.1 * self.median

    @staticmethod
    def merge(measurements) -> list["Measurement"]:
        """Measurements of the same thing as one."""
        groups: dict = {}
        for m in measurements:
            groups.setdefault(m.task_spec, []).append(m)
        return [Measurement(1, [t for m in group for t in m.times], spec) for spec, group in groups.items()]

    def __repr__(self) -> str:
        unit, length = select_unit(self.median)
        name = f"<torch.utils.benchmark.utils.common.Measurement object at {hex(id(self))}>"
        several = len(self.raw_times) > 1
        lines = [
            name,
            self.task_spec.summarize(),
            f"  {'Median: ' if several else ''}{self.median / length:.2f} {unit}",
        ]
        if len(self.raw_times) > 3:
            low, high = self._quartiles()
            lines.append(
                f"  IQR:    {self.iqr / length:.2f} {unit} ({low / length:.2f} to {high / length:.2f})"
            )
        runs = f"{self.number_per_run} run{'s' if self.number_per_run > 1 else ''} "
        threads = f"{self.task_spec.num_threads} thread{'s' if self.task_spec.num_threads > 1 else ''}"
        per = "per measurement" if several else ""
        lines.append(f"  {len(self.raw_times)} measurement{'s' if several else ''}, {runs}{per}, {threads}")
        return "\n".join(lines)


class Timer:
    """Measures how long a statement takes, with one thread unless told otherwise.

    Args:
        stmt: code.
        setup: code that runs once before.
        timer: a clock, in seconds.
        globals: names that the code has.
        label, sub_label, description, env: what tells measurements apart in tables.
        num_threads: that operations use.
        language: `Language.PYTHON`.
    Raises:
        NotImplementedError: the statement is C++.
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer=timer,
        globals: dict | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language=Language.PYTHON,
    ):
        if language not in (Language.PYTHON, "py", "python"):
            raise NotImplementedError(
                "benchmark.Timer: Rushlight has no C++ statements; write stmt in Python"
            )
        stmt, setup = textwrap.dedent(stmt).strip(), textwrap.dedent(setup).strip()
        names = dict(globals or {})
        names.setdefault("torch", torch)
        self._spec = TaskSpec(stmt, setup, global_setup, label, sub_label, description, env, num_threads)
        self._timer = timeit.Timer(stmt, setup, timer, names)

    def _run(self, number: int) -> float:
        with set_torch_threads(self._spec.num_threads):
            return max(self._timer.timeit(number), 1e-9)

    def timeit(self, number: int = 1000000) -> Measurement:
        """Run the statement `number` times, after some runs that do not count."""
        self._run(max(number // 100, 2))
        return Measurement(number, [self._run(number)], self._spec)

    def _block(self, least: float) -> int:
        """How many runs take long enough for the clock."""
        number = 1
        while (taken := self._run(number)) < least:
            number *= 10 if taken < least / 10 else 2
        return number

    def blocked_autorange(self, callback=None, min_run_time: float = 0.2) -> Measurement:
        """Run the statement in blocks until they have taken `min_run_time` seconds."""
        number = self._block(min(min_run_time / 100, 1e-3))
        times: list[float] = []
        while sum(times) < min_run_time:
            times.append(self._run(number))
            if callback is not None:
                callback(number, times[-1])
        return Measurement(number, times, self._spec)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0, callback=None
    ) -> Measurement:
        """Run the statement in blocks until the times vary by less than `threshold` of the median."""
        number = self._block(min(min_run_time / 10, 1e-3))
        times: list[float] = []
        while True:
            times.append(self._run(number))
            if callback is not None:
                callback(number, times[-1])
            found = Measurement(number, times, self._spec)
            steady = len(times) > 3 and found.iqr < threshold * found.median
            if sum(times) > max_run_time or (steady and sum(times) >= min_run_time):
                return found

    def collect_callgrind(self, *args, **kwargs):
        """Counting instructions is not supported.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "Timer.collect_callgrind: Rushlight does not count instructions; use blocked_autorange()"
        )


class Compare:
    """A table of measurements: a row per sub-label and environment, a column per description.

    Args:
        results: measurements.
    """

    def __init__(self, results):
        self._results: list[Measurement] = []
        self._digits = 1
        self._coloured: str | None = None
        self.extend_results(results)

    def extend_results(self, results) -> None:
        """Add measurements."""
        for result in results:
            if not isinstance(result, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(result)} instead.")
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Show whole units."""
        self._digits = 0

    def colorize(self, rowwise: bool = False) -> None:
        """Show the best times in green and those of twice that in red.

        Args:
            rowwise: the best of each row, not of each column.
        """
        self._coloured = "row" if rowwise else "column"

    def _colour(self, text: str, key: tuple, times: dict) -> str:
        """A cell's text in its colour."""
        if self._coloured is None or key not in times:
            return text
        same = slice(0, 3) if self._coloured == "row" else slice(3, 4)
        ratio = times[key] / min(t for k, t in times.items() if k[same] == key[same])
        code = "92" if ratio < 1.05 else "31" if ratio >= 2 else None
        return text if code is None else f"\033[{code}m{text}\033[0m"

    def __str__(self) -> str:
        merged = Measurement.merge(self._results)
        labels = dict.fromkeys(m.task_spec.label for m in merged)
        return "\n".join(
            self._table(label, [m for m in merged if m.task_spec.label == label]) for label in labels
        )

    def print(self) -> None:
        """Print the table."""
        print(str(self))

    def _table(self, label: str | None, results: list[Measurement]) -> str:
        unit, length = select_unit(min(m.median for m in results))
        columns = list(dict.fromkeys(m.task_spec.description or "" for m in results))
        times = {
            (t.num_threads, t.env, t.sub_label or t.stmt, t.description or ""): m.median
            for m, t in ((m, m.task_spec) for m in results)
        }
        cells = {key: f"{time / length:.{self._digits}f}" for key, time in times.items()}
        widths = [max(len(c), *(len(v) for k, v in cells.items() if k[3] == c)) for c in columns]
        names = list(dict.fromkeys(key[:3] for key in cells))
        titles = {key: f"({key[1]}) {key[2]}" if key[1] else key[2] for key in names}
        first = max(map(len, titles.values())) + 6
        lines = [" " * first + "".join(f"  |  {c:^{w}}" for c, w in zip(columns, widths, strict=True))]
        for threads, keys in itertools.groupby(sorted(names, key=lambda key: key[0]), key=lambda key: key[0]):
            lines.append(f"{threads} threads: ".ljust(len(lines[0]), "-"))
            for key in keys:
                shown = [f"{cells.get((*key, c), ''):>{w}}" for c, w in zip(columns, widths, strict=True)]
                row = "".join(
                    f"  |  {self._colour(v, (*key, c), times)}" for v, c in zip(shown, columns, strict=True)
                )
                lines.append(f"      {titles[key]}".ljust(first) + row)
        head = f" {label} " if label else ""
        lines.insert(0, f"[{head:-^{max(len(lines[0]) - 2, len(head))}}]")
        return "\n".join([*lines, "", f"Times are in {unit_to_english(unit)}s ({unit}).", ""])
