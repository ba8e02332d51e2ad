"""Storages, the memory under tensors: what is saved once, however many tensors look at it."""

import math

import numpy as np

from rushlight import dtypes
from rushlight.devices import channels_last, channels_last_3d, check_device, cpu, preserve_format
from rushlight.dtypes import dtype
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


class Storage:
    """Some memory: an array of bytes, and the type of what it holds."""

    device = cpu

    def __init__(self, data: np.ndarray, kind: dtype | None):
        self.data, self.dtype = data, kind

    def nbytes(self) -> int:
        """Its size in bytes."""
        return self.data.size

    def cpu(self) -> "Storage":
        """Itself."""
        return self

    def cuda(self, device=None, non_blocking: bool = False) -> "Storage":
        """Raises RuntimeError: there is no CUDA device in this version."""
        check_device("cuda" if device is None else device)
        return self

    def byteswap(self) -> None:
        """Turn the bytes of every number around."""
        kind = self.dtype or dtypes.uint8
        width = kind.itemsize // (2 if kind.is_complex else 1)
        self.data.view(f"u{width}").byteswap(inplace=True)


def _owner(array: np.ndarray) -> np.ndarray:
    """The array that an array is a view of, or a view of a view of, and so on."""
    while True:
        base = array.base
        if base is not None and not isinstance(base, np.ndarray):
            base = getattr(base, "base", None)  # as_strided puts a stand-in between
        if not isinstance(base, np.ndarray):
            return array
        array = base


class Memory:
    """The whole memory that an array looks at, as bytes, and where in it the array begins.

    Args:
        array: its owner's memory counts, as PyTorch's storages do.
    """

    def __init__(self, array: np.ndarray):
        root = _owner(array)
        low, high = np.lib.array_utils.byte_bounds(root)
        first, last = np.lib.array_utils.byte_bounds(array)
        if not array.size or not (low <= first and last <= high) or (first - low) % array.itemsize:
            root, low, high = array, first, last
        self.root = root  # keeps the memory alive
        self.offset = array.__array_interface__["data"][0] - low
        self.nbytes = high - low if array.size else 0
        # Empty memory has no place of its own.
        self.key = (low, self.nbytes) if self.nbytes else ("empty", id(array))

    def bytes(self) -> np.ndarray:
        """All of it, without a copy."""
        root = self.root
        if not self.nbytes:
            return np.empty(0, np.uint8)
        if root.flags.c_contiguous:
            return root.reshape(-1).view(np.uint8)
        lowest = root[tuple(slice(-1, None) if s < 0 else slice(0, 1) for s in root.strides)]
        return np.lib.stride_tricks.as_strided(lowest.reshape(1).view(np.uint8), (self.nbytes,), (1,))


def _integers(name: str, values) -> tuple:
    if not isinstance(values, tuple | list) or not all(type(v) is int for v in values):
        raise RuntimeError(f"rebuild_tensor: expected {name} to be a tuple of ints")
    return tuple(values)


def tensor_of(storage: Storage, offset: int, size, stride, kind: dtype | None = None) -> Tensor:
    """A tensor that looks at part of a storage; nothing that reaches beyond it is accepted.

    Args:
        storage: the memory.
        offset, size, stride: in elements.
        kind: its element type; the storage's by default.
    Raises:
        RuntimeError: it would reach beyond the storage.
    """
    if not isinstance(storage, Storage):
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
    array = _make(size, kind, storage.data, offset * kind.itemsize, [s * kind.itemsize for s in stride])
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
