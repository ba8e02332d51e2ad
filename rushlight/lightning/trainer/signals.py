"""Ctrl-C and SIGTERM: the batch that runs is finished first, so that what is saved is whole."""

import signal
import threading

from rushlight.lightning.utilities.rank_zero import rank_zero_info


class StopSignals:
    """While it is installed, the first signal only asks to stop, and the second stops at once.

    Args:
        trainer: whose `_stop_signal` is set.
    """

    def __init__(self, trainer):
        self.trainer = trainer
        self.before: dict = {}

    def install(self) -> None:
        """Take the signals, in the main thread; other handlers than Python's own for Ctrl-C are left alone."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            if signal.getsignal(number) is usual:
                self.before[number] = signal.signal(number, self._handle)

    def remove(self) -> None:
        """Give them back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def _handle(self, number: int, frame) -> None:
        if self.trainer._stop_signal == number or not self.trainer._in_fit_loop:
            self.trainer._stop_signal = number
            self.trainer._stop_now()
        self.trainer._stop_signal = number
        name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        rank_zero_info(f"\n{name}: stopping after this batch. Once more stops at once, without a checkpoint.")
