"""Progress bars."""

from rushlight.lightning.callbacks.progress.progress_bar import ProgressBar
from rushlight.lightning.callbacks.progress.tqdm_progress import PlainProgressBar, TQDMProgressBar

__all__ = ["PlainProgressBar", "ProgressBar", "TQDMProgressBar"]
