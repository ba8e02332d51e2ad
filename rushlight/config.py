"""Settings of the process, and the limits of number types."""

import warnings

import ml_dtypes
import numpy as np

from rushlight import kernels as K
from rushlight.devices import check_device, cpu
from rushlight.dtypes import dtype, get_default_dtype, set_default_dtype

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


_settings = {
    "deterministic": 0,
    "fill_uninitialized_memory": True,
    "matmul_precision": "highest",
    "interop_threads": 1,
    "warn_always": False,
}


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for repeatable results. They always are; what changes is memory that nothing was written to.

    `torch.empty` and its like then give NaN, or the largest integer, unless
    `torch.utils.deterministic.fill_uninitialized_memory` is False.

    Args:
        mode: whether they are asked for.
        warn_only: whether PyTorch would warn only.

    >>> import rushlight as torch
    >>> torch.use_deterministic_algorithms(True)
    >>> torch.are_deterministic_algorithms_enabled()
    True
    >>> torch.use_deterministic_algorithms(False)
    """
    _settings["deterministic"] = (1 if warn_only else 2) if mode else 0


def are_deterministic_algorithms_enabled() -> bool:
    """Whether repeatable results were asked for; results always are repeatable."""
    return _settings["deterministic"] > 0


def fills_uninitialized_memory() -> bool:
    """Whether memory that nothing was written to is to be filled, so that results don't depend on it."""
    return _settings["deterministic"] > 0 and _settings["fill_uninitialized_memory"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether repeatable results were asked for with `warn_only`."""
    return _settings["deterministic"] == 1


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """Ask for repeatable results by number or name: 0 "default", 1 "warn" or 2 "error".

    Raises:
        RuntimeError: it is none of these.
    """
    modes = {"default": 0, "warn": 1, "error": 2, 0: 0, 1: 1, 2: 2}
    if debug_mode not in modes:
        raise RuntimeError(
            f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, 0, 1 or 2, but got {debug_mode}"
        )
    _settings["deterministic"] = modes[debug_mode]


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2, as in `set_deterministic_debug_mode`."""
    return _settings["deterministic"]


def set_float32_matmul_precision(precision: str) -> None:
    """Allow lower precision in products of float32 matrices: remembered only, the precision is always the highest.

    Args:
        precision: "highest", "high" or "medium"; anything else is ignored with a warning.

    >>> import rushlight as torch
    >>> torch.set_float32_matmul_precision("high")
    >>> torch.get_float32_matmul_precision()
    'high'
    >>> torch.set_float32_matmul_precision("highest")
    """
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current setattr call has no effect.",
            stacklevel=2,
        )
        return
    _settings["matmul_precision"] = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was last given; "highest" at first."""
    return _settings["matmul_precision"]


def set_num_interop_threads(n: int) -> None:
    """Set the number of operations that may run at once: remembered only, it is always one."""
    if n <= 0:
        raise RuntimeError(f"set_num_interop_threads expects a positive integer, got {n}")
    _settings["interop_threads"] = n


def get_num_interop_threads() -> int:
    """What `set_num_interop_threads` was last given; 1 at first."""
    return _settings["interop_threads"]


def set_warn_always(b: bool, /) -> None:
    """Ask for warnings that repeat: remembered only, Python's own filters decide."""
    _settings["warn_always"] = bool(b)


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was last given; False at first."""
    return _settings["warn_always"]


def set_flush_denormal(mode: bool) -> bool:
    """Treat numbers nearer to zero than the smallest normal one as zero.

    Returns:
        False: this is not supported, and nothing was changed.
    """
    return False


def set_default_tensor_type(t) -> None:
    """Set the type of new tensors by a constructor of old, such as `torch.DoubleTensor` or its name.

    Raises:
        TypeError: it is not a floating-point type of the CPU.
    """
    import rushlight

    kind = getattr(rushlight, t.removeprefix("torch."), None) if isinstance(t, str) else t
    made = kind(0).dtype if callable(kind) else None
    if made is None or not made.is_floating_point:
        raise TypeError(
            f"set_default_tensor_type: expected a floating-point type such as torch.FloatTensor, got {t}"
        )
    set_default_dtype(made)


def set_default_device(device) -> None:
    """Set the device of new tensors: "cpu", the only one.

    Raises:
        RuntimeError: it names another device.
    """
    check_device(device)


def get_default_device():
    """The device of new tensors: the CPU.

    >>> import rushlight as torch
    >>> torch.get_default_device()
    device(type='cpu')
    """
    return cpu


def get_device_module(device=None):
    """The module of a device's kind: `torch.cpu` for the CPU, the default.

    >>> import rushlight as torch
    >>> torch.get_device_module().is_available()
    True
    """
    import rushlight
    from rushlight.devices import device as device_class

    kind = "cpu" if device is None else device_class(device).type
    module = getattr(rushlight, kind, None)
    if module is None:
        raise RuntimeError(
            f"Device '{kind}' does not have a corresponding module registered as 'torch.{kind}'."
        )
    return module


def _assert(condition, message) -> None:
    """A condition that must hold, as a function, so that tracing a model can note it.

    Raises:
        AssertionError: it does not hold; with the message.
    """
    if not condition:
        raise AssertionError(message)


def _assert_async(
    condition, message: str = "Expected Tensor with single nonzero value, but got zero"
) -> None:
    """A condition that must hold.

    Raises:
        RuntimeError: it does not hold; with the message.
    """
    if not condition:
        raise RuntimeError(message)


def _check_with(error_type: type[Exception], cond: bool, message=None) -> None:
    """A condition that must hold.

    Args:
        error_type: the error that is raised where it does not.
        cond: the condition.
        message: a function that returns the message.
    """
    if not cond:
        raise error_type("Expected cond to be True, but got False" if message is None else str(message()))


def _check(cond: bool, message=None) -> None:
    """A condition without which there is a RuntimeError; `message` returns what it says."""
    _check_with(RuntimeError, cond, message)


def _check_index(cond: bool, message=None) -> None:
    """A condition without which there is an IndexError; `message` returns what it says."""
    _check_with(IndexError, cond, message)


def _check_value(cond: bool, message=None) -> None:
    """A condition without which there is a ValueError; `message` returns what it says."""
    _check_with(ValueError, cond, message)


def _check_type(cond: bool, message=None) -> None:
    """A condition without which there is a TypeError; `message` returns what it says."""
    _check_with(TypeError, cond, message)


def _check_not_implemented(cond: bool, message=None) -> None:
    """A condition without which there is a NotImplementedError; `message` returns what it says."""
    _check_with(NotImplementedError, cond, message)


def _check_tensor_all(cond, message=None) -> None:
    """A condition on all elements of a bool tensor, without which there is a RuntimeError."""
    if not hasattr(cond, "all"):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    _check_with(RuntimeError, bool(cond.all()), message)


def _check_is_size(i: int, message=None, *, max: int | None = None) -> None:
    """That a number may be a size: not below 0 nor above `max`; there is a RuntimeError where it isn't."""
    _check_with(RuntimeError, i >= 0 and (max is None or i <= max), message)


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
