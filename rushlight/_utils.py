"""Exceptions on their way from one process or thread to another, and what plain pickles of PyTorch's tensors name."""

import sys
import traceback

from rushlight._serialize.globals import (  # noqa: F401
    _rebuild_parameter,
    _rebuild_parameter_with_state,
    _rebuild_sparse_tensor,
    _rebuild_tensor,
    _rebuild_tensor_v2,
    _rebuild_tensor_v3,
)


class KeyErrorMessage(str):
    """Text that `KeyError` shows as it is, line breaks included."""

    __slots__ = ()

    def __repr__(self):
        return self


class ExceptionWrapper:
    """The exception being handled, as its type and the text of its traceback.

    Args:
        exc_info: what `sys.exc_info()` gave; by default what it gives now.
        where: for the message, such as "in DataLoader worker process 0".
    """

    def __init__(self, exc_info=None, where: str = "in background"):
        exc_info = exc_info or sys.exc_info()
        self.exc_type = exc_info[0]
        self.exc_msg = "".join(traceback.format_exception(*exc_info))
        self.where = where

    def reraise(self):
        """Raise an exception of the same type, with the traceback in its message.

        Raises:
            RuntimeError: the type cannot be made from a message.
        """
        message = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            message = KeyErrorMessage(message)
        elif getattr(self.exc_type, "message", None):
            raise self.exc_type(message=message)
        try:
            error = self.exc_type(message)
        except Exception:
            raise RuntimeError(message) from None
        raise error


__all__ = ["ExceptionWrapper", "KeyErrorMessage"]
