"""Progress bars: with tqdm, and as plain lines."""

import importlib.util
import sys
import time

from rushlight.lightning.callbacks.callback import LOOK_EVERY, seldom
from rushlight.lightning.callbacks.progress.progress_bar import ProgressBar


class TQDMProgressBar(ProgressBar):
    """A bar for the epoch and one for validation, by tqdm.

    Args:
        refresh_rate: show every so many batches, though not more than ten times a second; 0 for never.
        process_position: how many lines further down.
        leave: keep the bars of finished epochs.
    Raises:
        ImportError: tqdm is not installed.
    """

    def __init__(self, refresh_rate: int = 1, process_position: int = 0, leave: bool = False):
        super().__init__()
        if importlib.util.find_spec("tqdm") is None:
            raise ImportError("TQDMProgressBar needs tqdm: pip install tqdm, or use PlainProgressBar")
        self._refresh_rate, self._position, self._leave = refresh_rate, process_position, leave
        self._bars: dict = {}
        self._shown = 0.0

    refresh_rate = property(lambda self: self._refresh_rate, doc="It shows every so many batches.")
    process_position = property(lambda self: self._position, doc="How many lines further down it is.")
    is_enabled = property(
        lambda self: self._enabled and self._refresh_rate > 0, doc="Whether it shows anything."
    )
    is_disabled = property(lambda self: not self.is_enabled, doc="Whether it shows nothing.")
    train_progress_bar = property(lambda self: self._bars.get("train"), doc="tqdm's bar of training.")
    val_progress_bar = property(lambda self: self._bars.get("val"), doc="tqdm's bar of validation.")

    def _open(self, kind: str, text: str, total: float, leave: bool) -> None:
        from tqdm.auto import tqdm

        self._close(kind)
        if not self.is_enabled:
            return
        total = None if total == float("inf") else total
        lower = kind == "val" and "train" in self._bars
        self._bars[kind] = tqdm(
            desc=text, total=total, position=self._position + lower, leave=leave, dynamic_ncols=True, file=sys.stdout,
            smoothing=0,
        )  # fmt: skip

    def _close(self, kind: str) -> None:
        bar = self._bars.pop(kind, None)
        if bar is not None:
            bar.close()

    def _advance(self, kind: str, done: int, trainer, module) -> None:
        bar = self._bars.get(kind)
        if bar is None:
            return
        now = time.monotonic()
        last = bar.total is not None and done >= bar.total
        soon = done - bar.n < self._refresh_rate or (kind != "train" and now - self._shown < LOOK_EVERY)
        if not last and soon:
            return
        self._shown = now
        if kind == "train":
            shown = self.get_metrics(trainer, module)
            bar.set_postfix(
                {k: v if isinstance(v, str) else f"{v:.3g}" for k, v in shown.items()}, refresh=False
            )
        bar.n = done
        bar.refresh()

    def print(self, *args, sep: str = " ", **kwargs) -> None:
        """Print above the bars."""
        if not self._bars:
            print(*args, sep=sep, **kwargs)
            return
        next(iter(self._bars.values())).write(sep.join(map(str, args)), **kwargs)

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        """A bar for the epoch."""
        self._open("train", f"Epoch {trainer.current_epoch}", trainer.num_training_batches, True)

    @seldom
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        """Further."""
        self._advance("train", batch_idx + 1, trainer, pl_module)

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        """The epoch's values, and the bar is done."""
        bar = self._bars.get("train")
        if bar is not None:
            shown = self.get_metrics(trainer, pl_module)
            bar.set_postfix({k: v if isinstance(v, str) else f"{v:.3g}" for k, v in shown.items()})
            bar.leave = self._leave or trainer._last_epoch
        self._close("train")

    def on_validation_start(self, trainer, pl_module) -> None:
        """A bar for the validation."""
        text = "Sanity Checking" if trainer.sanity_checking else "Validation"
        self._open("val", text, trainer._evaluation_batches, trainer.state.fn != "fit")

    def on_validation_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx: int, dataloader_idx=0
    ) -> None:
        """Further."""
        self._advance("val", batch_idx + 1, trainer, pl_module)

    def on_validation_end(self, trainer, pl_module) -> None:
        """The bar is done."""
        self._close("val")

    def on_test_start(self, trainer, pl_module) -> None:
        """A bar for the test."""
        self._open("test", "Testing", trainer._evaluation_batches, True)

    def on_test_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int, dataloader_idx=0) -> None:
        """Further."""
        self._advance("test", batch_idx + 1, trainer, pl_module)

    def on_test_end(self, trainer, pl_module) -> None:
        """The bar is done."""
        self._close("test")

    def on_predict_start(self, trainer, pl_module) -> None:
        """A bar for the prediction."""
        self._open("predict", "Predicting", trainer._evaluation_batches, True)

    def on_predict_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx: int, dataloader_idx=0
    ) -> None:
        """Further."""
        self._advance("predict", batch_idx + 1, trainer, pl_module)

    def on_predict_end(self, trainer, pl_module) -> None:
        """The bar is done."""
        self._close("predict")

    def on_exception(self, trainer, pl_module, exception: BaseException) -> None:
        """All bars are done."""
        for kind in list(self._bars):
            self._close(kind)


class PlainProgressBar(ProgressBar):
    """A line for every epoch, for logs and where tqdm isn't installed.

    Args:
        seconds: also a line every so many seconds within an epoch.
    """

    def __init__(self, seconds: float = 10.0):
        super().__init__()
        self._seconds = seconds
        self._shown = self._began = time.monotonic()

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        """The clock starts."""
        self._shown = self._began = time.monotonic()

    @seldom
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        """A line, where it is time."""
        if self._enabled and time.monotonic() - self._shown >= self._seconds:
            self._shown = time.monotonic()
            self._line(trainer, pl_module, f"{batch_idx + 1}/{trainer.num_training_batches}")

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        """The line of the epoch."""
        if self._enabled:
            self._line(trainer, pl_module, f"{time.monotonic() - self._began:.1f} s")

    def _line(self, trainer, module, text: str) -> None:
        shown = (
            f"{k}={v}" if isinstance(v, str | int) else f"{k}={v:.4g}"
            for k, v in self.get_metrics(trainer, module).items()
        )
        print(f"Epoch {trainer.current_epoch}: {text}", *shown, flush=True)
