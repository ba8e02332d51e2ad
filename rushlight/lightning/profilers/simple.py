"""The profiler of durations."""

import time
from collections import defaultdict

from rushlight.lightning.profilers.profiler import Profiler


class SimpleProfiler(Profiler):
    """The time of every hook and step: mean and sum, and the number of calls and the share.

    Args:
        dirpath, filename: where the report goes, as for `Profiler`.
        extended: whether with calls and shares.

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
        self.extended = extended
        self.start_time = time.perf_counter()

    def start(self, action_name: str) -> None:
        """An action begins.

        Raises:
            ValueError: it has begun already.
        """
        if action_name in self.current_actions:
            raise ValueError(f"Attempted to start {action_name} which has already started.")
        self.current_actions[action_name] = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """It has ended.

        Raises:
            ValueError: it never began.
        """
        ended = time.perf_counter()
        if action_name not in self.current_actions:
            raise ValueError(
                f"Attempting to stop recording an action ({action_name}) which was never started."
            )
        self.recorded_durations[action_name].append(ended - self.current_actions.pop(action_name))

    def summary(self) -> str:
        """The table: longest first, or of the longest mean first where it is not `extended`."""
        if not self.recorded_durations:
            return self._title() + "\n"
        if self.extended:
            head, *rows = self._rows_extended()
        else:
            head, *rows = self._rows()
        width = max(map(len, self.recorded_durations))
        line = lambda row: (
            f"|  {row[0]:<{width}}\t|" + "\t|".join(f"  {cell:<15}" for cell in row[1:]) + "\t|"
        )
        rule = "-" * (len(line(head).expandtabs()) + 1)
        top = [rule, line(head), rule]
        if self.extended:
            top += [line(rows.pop(0)), rule]
        return "\n".join([self._title(), "", *top, *map(line, rows), rule, ""])

    def _rows_extended(self) -> list[tuple]:
        total = time.perf_counter() - self.start_time
        sums = sorted(self.recorded_durations.items(), key=lambda item: -sum(item[1]))
        calls = sum(len(durations) for _, durations in sums)
        rows = [
            ("Action", "Mean duration (s)", "Num calls", "Total time (s)", "Percentage %"),
            ("Total", "-", f"{calls}", f"{total:.5}", "100 %"),
        ]
        for action, d in sums:
            rows.append(
                (action, f"{sum(d) / len(d):.5}", f"{len(d)}", f"{sum(d):.5}", f"{100 * sum(d) / total:.5}")
            )
        return rows

    def _rows(self) -> list[tuple]:
        means = sorted(self.recorded_durations.items(), key=lambda item: -sum(item[1]) / len(item[1]))
        rows = [(action, f"{sum(d) / len(d):.5}", f"{sum(d):.5}") for action, d in means]
        return [("Action", "Mean duration (s)", "Total time (s)"), *rows]
