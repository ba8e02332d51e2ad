"""The names of Lightning's bars that are drawn with the package rich; here they are drawn by tqdm."""

from dataclasses import dataclass

from rushlight.lightning.callbacks.model_summary import ModelSummary
from rushlight.lightning.callbacks.progress.tqdm_progress import TQDMProgressBar


@dataclass
class RichProgressBarTheme:
    """Colours; accepted, as tqdm's bars have none."""

    description: str = ""
    progress_bar: str = ""
    progress_bar_finished: str = ""
    progress_bar_pulse: str = ""
    batch_progress: str = ""
    time: str = ""
    processing_speed: str = ""
    metrics: str = ""
    metrics_text_delimiter: str = " "
    metrics_format: str = ".3f"


class RichProgressBar(TQDMProgressBar):
    """A progress bar, drawn as TQDMProgressBar draws it.

    Args:
        refresh_rate: show every so many batches; 0 for never.
        leave: keep the bars of finished epochs.
        theme, console_kwargs: accepted.
    """

    def __init__(
        self, refresh_rate: int = 1, leave: bool = False, theme=None, console_kwargs: dict | None = None
    ):
        super().__init__(refresh_rate, leave=leave)


class RichModelSummary(ModelSummary):
    """The table of layers, as ModelSummary prints it.

    Args:
        max_depth: how deep to look; 0 for nothing, -1 for everything.
        **summarize_kwargs: accepted.
    """

    def __init__(self, max_depth: int = 1, **summarize_kwargs):
        super().__init__(max_depth)
