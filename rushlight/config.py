"""Settings of the process, and the limits of number types."""

import ml_dtypes
import numpy as np

from rushlight import kernels as K
from rushlight.dtypes import dtype, get_default_dtype

if K.NAME == "native":
    from rushlight import _native


def get_num_threads() -> int:
    """The number of threads that operations use.

    By default that of the CPUs that the process may run on, within the limit of its container.
    """
    return _native.get_num_threads() if K.NAME == "native" else 1


def set_num_threads(n: int) -> None:
    """Set the number of threads that operations use.

    Args:
        n: at least 1. The reference kernels always use NumPy's own threads.
    Raises:
        RuntimeError: `n` is not positive.

    >>> import rushlight as torch
    >>> torch.set_num_threads(torch.get_num_threads())
    """
    if not isinstance(n, int) or isinstance(n, bool):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n <= 0:
        raise RuntimeError(f"set_num_threads expects a positive integer, got {n}")
    if K.NAME == "native":
        _native.set_num_threads(n)


class finfo:
    """The limits of a floating-point type.

    Attributes: `bits`, `eps`, `max`, `min`, `tiny`, `smallest_normal`, `resolution`, `dtype`.

    >>> import rushlight as torch
    >>> torch.finfo(torch.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: dtype | None = None):
        kind = get_default_dtype() if type is None else type
        if not (kind.is_floating_point or kind.is_complex):
            raise TypeError(
                f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{kind!r}'"
            )
        real = kind.to_real()
        info = ml_dtypes.finfo(real.numpy)
        self.dtype = real.name
        self.bits = real.itemsize * 8
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = float(info.resolution)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """The limits of an integer type.

    Attributes: `bits`, `max`, `min`, `dtype`.

    >>> import rushlight as torch
    >>> torch.iinfo(torch.int8).max
    127
    """

    def __init__(self, type: dtype):
        if type.category != 1:
            raise TypeError(
                f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type!r}'"
            )
        info = np.iinfo(type.numpy)
        self.dtype = type.name
        self.bits, self.max, self.min = info.bits, int(info.max), int(info.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for repeatable results; they always are, so that there is nothing to switch.

    Args:
        mode: accepted.
        warn_only: accepted.
    """


def are_deterministic_algorithms_enabled() -> bool:
    """Whether results are repeatable: always."""
    return True


def typename(obj) -> str:
    """The name of an object's type: a tensor's as in `Tensor.type()`.

    >>> import rushlight as torch
    >>> torch.typename(torch.zeros(1))
    'torch.FloatTensor'
    """
    from rushlight.tensor import Tensor

    if isinstance(obj, Tensor):
        return obj.type()
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
