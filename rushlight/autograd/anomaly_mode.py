"""Finding where a nan gradient comes from: `detect_anomaly`, `set_detect_anomaly`."""

import traceback

from rushlight.autograd.engine import ANOMALY
from rushlight.autograd.node import Node


def _init_with_traceback(self):
    self.traceback = "".join(traceback.format_stack()[:-3])


def _set(enabled: bool, check_nan: bool) -> None:
    ANOMALY["enabled"], ANOMALY["check_nan"] = enabled, check_nan
    # Nodes have no constructor, so that recording is quick; anomaly mode gives them one.
    if enabled:
        Node.__init__ = _init_with_traceback
    elif "__init__" in Node.__dict__:
        del Node.__init__


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Switch anomaly detection on or off.

    Args:
        mode, check_nan: as for `set_detect_anomaly`.

    >>> import rushlight as torch
    >>> torch.set_anomaly_enabled(True)
    >>> torch.is_anomaly_enabled()
    True
    >>> torch.set_anomaly_enabled(False)
    """
    _set(mode, check_nan)


class set_detect_anomaly:
    """Switch anomaly detection on or off, at once; as a context manager, back again at its end.

    Args:
        mode: whether a backward pass that yields nan raises RuntimeError, with the stack of the forward call.
        check_nan: whether gradients are checked for nan.
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        self._before = ANOMALY["enabled"], ANOMALY["check_nan"]
        _set(mode, check_nan)

    def __enter__(self):
        return None

    def __exit__(self, *exception):
        _set(*self._before)


class detect_anomaly(set_detect_anomaly):
    """Anomaly detection in a `with` block.

    >>> import rushlight as torch
    >>> x = torch.tensor(-1.0, requires_grad=True)
    >>> with torch.autograd.detect_anomaly():
    ...     x.sqrt().backward()
    Traceback (most recent call last):
    RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output....
    """

    def __init__(self, check_nan: bool = True):
        self._before = ANOMALY["enabled"], ANOMALY["check_nan"]
        self._check_nan = check_nan

    def __enter__(self):
        self._before = ANOMALY["enabled"], ANOMALY["check_nan"]
        _set(True, self._check_nan)


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on."""
    return ANOMALY["enabled"]


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly detection looks for nan."""
    return ANOMALY["check_nan"]
