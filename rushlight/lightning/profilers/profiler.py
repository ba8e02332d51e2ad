"""The base of profilers, and one that measures nothing."""

import contextlib
import os
import re

from rushlight.lightning.utilities.rank_zero import rank_zero_info


class Profiler:
    """Base class: `start` and `stop` of actions by name.

    Args:
        dirpath: the folder of the reports; that of the run's logger by default.
        filename: without ending; the report goes to the log where there is none.
    """

    active = True

    def __init__(self, dirpath=None, filename: str | None = None):
        self.dirpath, self.filename = dirpath, filename
        self._stage: str | None = None
        self._lightning_module = None

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
        try:
            self.start(action_name)
            yield action_name
        finally:
            self.stop(action_name)

    def setup(self, stage: str, local_rank: int | None = None, log_dir=None) -> None:
        """A run begins.

        Args:
            stage: "fit", "validate", "test" or "predict"; reports and their files are named after it.
            local_rank: accepted; there is one process.
            log_dir: the folder of reports, unless another was given.
        """
        self._stage, self.dirpath = stage, self.dirpath or log_dir

    def teardown(self, stage: str | None) -> None:
        """A run is over."""

    def describe(self) -> None:
        """Write the report to the file, or to the log."""
        text = self.summary()
        if text and self.filename and self.dirpath:
            os.makedirs(self.dirpath, exist_ok=True)
            with open(os.path.join(self.dirpath, self._prepare_filename()), "a", encoding="utf-8") as file:
                file.write(text)
        elif text:
            rank_zero_info(text)
        self.teardown(self._stage)

    def _prepare_filename(self, action_name: str | None = None, extension: str = ".txt") -> str:
        """A file's name: stage, name and action, without what paths can't have."""
        name = "-".join(part for part in (self._stage, self.filename, action_name) if part)
        name = re.sub(r"_+", "_", re.sub(r'[\\/:*?"<>|\n\r\t]', "_", name)).strip()
        return (name or "profile") + extension

    def _title(self) -> str:
        return f"{self._stage.upper()} Profiler Report" if self._stage else "Profiler Report"

    def _stats_to_str(self, stats: dict[str, str]) -> str:
        parts = [f"Profile stats for: {action}\n{text}" for action, text in stats.items()]
        return "\n".join([self._title(), *parts])


class PassThroughProfiler(Profiler):
    """Measures nothing."""

    active = False

    def start(self, action_name: str) -> None:
        """Nothing."""

    def stop(self, action_name: str) -> None:
        """Nothing."""
