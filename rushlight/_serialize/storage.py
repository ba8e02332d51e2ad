"""The names that files have for storages, and tensors that look at storages."""

import math

import numpy as np

from rushlight import dtypes
from rushlight.devices import channels_last, channels_last_3d, preserve_format
from rushlight.dtypes import dtype
from rushlight.storage import TypedStorage
from rushlight.tensor import Tensor, wrap


class StorageType:
    """What PyTorch calls `torch.FloatStorage` and the like: here only the element type that it stands for."""

    def __init__(self, name: str, kind: dtype | None):
        self.name, self.dtype = name, kind  # None: bytes of no particular type

    def __repr__(self) -> str:
        return f"<storage type {self.name}>"


UNTYPED = StorageType("UntypedStorage", None)
# PyTorch saves tensors of these types as bytes, with the type beside them.
_UNTYPED_KINDS = {
    dtypes.uint16, dtypes.uint32, dtypes.uint64, dtypes.float8_e4m3fn, dtypes.float8_e4m3fnuz,
    dtypes.float8_e5m2, dtypes.float8_e5m2fnuz, dtypes.float8_e8m0fnu,
}  # fmt: skip
STORAGE_TYPES = {
    kind: UNTYPED if kind in _UNTYPED_KINDS else StorageType(f"{name}Storage", kind)
    for kind, name in dtypes.SCALAR_NAMES.items()
}


def _integers(name: str, values) -> tuple:
    if not isinstance(values, tuple | list) or not all(type(v) is int for v in values):
        raise RuntimeError(f"rebuild_tensor: expected {name} to be a tuple of ints")
    return tuple(values)


def tensor_of(storage: TypedStorage, offset: int, size, stride, kind: dtype | None = None) -> Tensor:
    """A tensor that looks at part of a storage; nothing that reaches beyond it is accepted.

    Args:
        storage: the memory.
        offset, size, stride: in elements.
        kind: its element type; the storage's by default.
    Raises:
        RuntimeError: it would reach beyond the storage.
    """
    if not isinstance(storage, TypedStorage):
        raise RuntimeError(f"rebuild_tensor: expected a storage, got {type(storage).__name__}")
    kind = kind or storage.dtype
    size, stride = _integers("the size", size), _integers("the stride", stride)
    if not isinstance(kind, dtype) or type(offset) is not int:
        raise RuntimeError("rebuild_tensor: expected a dtype and an int storage offset")
    if len(size) != len(stride) or len(size) > 64:
        raise RuntimeError(
            f"unequal size length ({len(size)}) and stride length ({len(stride)}), or more than 64"
        )
    if offset < 0 or min(size, default=0) < 0 or min(stride, default=0) < 0:
        raise RuntimeError(
            f"Tensor: invalid storage offset {offset}, size {list(size)} or stride {list(stride)}: none may "
            "be negative"
        )
    if 0 in size:
        return wrap(_make(size, kind, np.empty(0, np.uint8), 0, None))
    needed = offset + 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if needed * kind.itemsize > storage.nbytes():
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and itemsize "
            f"{kind.itemsize} requiring a storage size of {needed * kind.itemsize} are out of bounds for "
            f"storage of size {storage.nbytes()}"
        )
    array = _make(
        size, kind, storage.untyped()._data, offset * kind.itemsize, [s * kind.itemsize for s in stride]
    )
    if array.ctypes.data % kind.itemsize and not array.flags.aligned:
        array = array.copy(order="K")
    tensor = wrap(array)
    if array.ndim > 2 and not array.flags.c_contiguous:
        formats = {4: channels_last, 5: channels_last_3d}
        tensor._format = formats.get(array.ndim, preserve_format)  # as saved, not ours to change
    return tensor


def _make(size, kind: dtype, data: np.ndarray, offset: int, strides) -> np.ndarray:
    if math.prod(n for n in size if n) * kind.itemsize >= 2**63:
        raise RuntimeError(f"rebuild_tensor: a tensor of size {list(size)} is too large")
    return np.ndarray(size, kind.numpy, data, offset, strides)
