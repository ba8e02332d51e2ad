"""Profilers of the trainer: where a run spends its time."""

import contextlib
import cProfile
import io
import os
import pstats
import sys
import time
from collections import defaultdict

from rushlight.lightning.utilities.absent import absent

__all__ = ["AdvancedProfiler", "PassThroughProfiler", "Profiler", "SimpleProfiler"]


class Profiler:
    """Base class: `start` and `stop` of actions by name.

    Args:
        dirpath, filename: where the report goes; printed by default.
    """

    active = True

    def __init__(self, dirpath=None, filename: str | None = None):
        self.dirpath, self.filename = dirpath, filename

    def start(self, action_name: str) -> None:
        """An action begins."""
        raise NotImplementedError(f"{type(self).__name__} needs a method start(action_name)")

    def stop(self, action_name: str) -> None:
        """It has ended."""
        raise NotImplementedError(f"{type(self).__name__} needs a method stop(action_name)")

    def summary(self) -> str:
        """The report."""
        return ""

    @contextlib.contextmanager
    def profile(self, action_name: str):
        """`start` and `stop` around a block."""
        self.start(action_name)
        try:
            yield action_name
        finally:
            self.stop(action_name)

    def describe(self) -> None:
        """Print the report, or write it to the file."""
        text = self.summary()
        if text and self.filename:
            os.makedirs(self.dirpath or ".", exist_ok=True)
            with open(
                os.path.join(self.dirpath or ".", f"{self.filename}.txt"), "w", encoding="utf-8"
            ) as file:
                file.write(text)
        elif text:
            print(text)


class PassThroughProfiler(Profiler):
    """Measures nothing."""

    active = False

    def start(self, action_name: str) -> None:
        """Nothing."""

    def stop(self, action_name: str) -> None:
        """Nothing."""


class SimpleProfiler(Profiler):
    """The time of every hook and step: calls, mean, sum and share.

    Args:
        dirpath, filename: where the report goes; printed by default.
        extended: accepted.

    >>> profiler = SimpleProfiler()
    >>> with profiler.profile("work"):
    ...     pass
    >>> "work" in profiler.summary()
    True
    """

    def __init__(self, dirpath=None, filename: str | None = None, extended: bool = True):
        super().__init__(dirpath, filename)
        self.current_actions: dict[str, float] = {}
        self.recorded_durations: dict[str, list[float]] = defaultdict(list)
        self.start_time = time.monotonic()

    def start(self, action_name: str) -> None:
        """An action begins.

        Raises:
            ValueError: it has begun already.
        """
        if action_name in self.current_actions:
            raise ValueError(f"Attempted to start {action_name} which has already started.")
        self.current_actions[action_name] = time.monotonic()

    def stop(self, action_name: str) -> None:
        """It has ended.

        Raises:
            ValueError: it never began.
        """
        if action_name not in self.current_actions:
            raise ValueError(
                f"Attempting to stop recording an action ({action_name}) which was never started."
            )
        began = self.current_actions.pop(action_name)
        self.recorded_durations[action_name].append(time.monotonic() - began)

    def summary(self) -> str:
        """The table, longest first."""
        total = time.monotonic() - self.start_time
        rows = [(name, len(d), sum(d)) for name, d in self.recorded_durations.items()]
        width = max([len(name) for name, _, _ in rows] + [6])
        lines = [
            "FIT Profiler Report",
            "",
            f"{'Action':<{width}}  {'Mean (s)':>12}  {'Calls':>8}  {'Total (s)':>12}  {'%':>7}",
        ]
        lines.append(
            f"{'Total':<{width}}  {'-':>12}  {sum(r[1] for r in rows):>8}  {total:>12.5g}  {100:>7.4g}"
        )
        for name, count, spent in sorted(rows, key=lambda row: -row[2]):
            lines.append(
                f"{name:<{width}}  {spent / count:>12.5g}  {count:>8}  {spent:>12.5g}  {100 * spent / total:>7.4g}"
            )
        return "\n".join(lines) + "\n"


class AdvancedProfiler(Profiler):
    """The functions that every hook and step spends its time in, by `cProfile`.

    Args:
        dirpath, filename: where the report goes; printed by default.
        line_count_restriction: so many lines for each action, or such a share of them.
        dump_stats: write a file for each action too, which `pstats` reads, into `dirpath`.

    >>> profiler = AdvancedProfiler()
    >>> with profiler.profile("work"):
    ...     _ = sorted([2, 1])
    >>> "cumulative" in profiler.summary()
    True
    """

    def __init__(
        self, dirpath=None, filename: str | None = None, line_count_restriction: float = 1.0, dump_stats: bool = False
    ):  # fmt: skip
        super().__init__(dirpath, filename)
        self.profiled_actions: dict[str, cProfile.Profile] = defaultdict(cProfile.Profile)
        self.line_count_restriction, self.dump_stats = line_count_restriction, dump_stats

    def start(self, action_name: str) -> None:
        """An action begins; there is one at a time, so the one around it is not measured meanwhile."""
        for profile in self.profiled_actions.values():
            profile.disable()
        self.profiled_actions[action_name].enable()

    def stop(self, action_name: str) -> None:
        """It has ended.

        Raises:
            ValueError: it never began.
        """
        if action_name not in self.profiled_actions:
            raise ValueError(
                f"Attempting to stop recording an action ({action_name}) which was never started."
            )
        self.profiled_actions[action_name].disable()

    def summary(self) -> str:
        """A table for each action, its slowest functions first."""
        parts = ["FIT Profiler Report"]
        for name, profile in self.profiled_actions.items():
            if self.dump_stats:
                os.makedirs(self.dirpath or ".", exist_ok=True)
                profile.dump_stats(os.path.join(self.dirpath or ".", f"{name.replace(os.sep, '_')}.prof"))
            text = io.StringIO()
            stats = pstats.Stats(profile, stream=text).strip_dirs().sort_stats("cumulative")
            stats.print_stats(self.line_count_restriction)
            parts.append(f"Profile stats for: {name}\n{text.getvalue()}")
        return "\n".join(parts)


PyTorchProfiler = absent(
    "PyTorchProfiler", "use torch.profiler.profile around the fit, or profiler='advanced'", Profiler
)
advanced = base = profiler = pytorch = simple = sys.modules[
    __name__
]  # modules of Lightning: everything is in this one
