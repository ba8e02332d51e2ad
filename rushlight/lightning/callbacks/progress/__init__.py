"""Progress bars."""

from rushlight.lightning.callbacks.progress.progress_bar import ProgressBar
from rushlight.lightning.callbacks.progress.rich_progress import RichModelSummary, RichProgressBar
from rushlight.lightning.callbacks.progress.tqdm_progress import PlainProgressBar, TQDMProgressBar

__all__ = ["PlainProgressBar", "ProgressBar", "RichModelSummary", "RichProgressBar", "TQDMProgressBar"]
