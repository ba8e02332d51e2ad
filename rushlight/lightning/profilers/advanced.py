"""The profiler of functions."""

import cProfile
import io
import os
import pstats
from collections import defaultdict

from rushlight.lightning.profilers.profiler import Profiler


class AdvancedProfiler(Profiler):
    """The functions that every hook and step spends its time in, by `cProfile`.

    Args:
        dirpath, filename: where the report goes, as for `Profiler`.
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
        tables = {}
        for name, profile in self.profiled_actions.items():
            if self.dump_stats:
                self._dump(name, profile)
            text = io.StringIO()
            stats = pstats.Stats(profile, stream=text).strip_dirs().sort_stats("cumulative")
            stats.print_stats(self.line_count_restriction)
            tables[name] = text.getvalue()
        return self._stats_to_str(tables)

    def _dump(self, name: str, profile: cProfile.Profile) -> None:
        folder = self.dirpath or "."
        os.makedirs(folder, exist_ok=True)
        profile.dump_stats(os.path.join(folder, self._prepare_filename(name, ".prof")))

    def teardown(self, stage: str | None) -> None:
        """A run is over: the next one is measured anew."""
        self.profiled_actions.clear()
