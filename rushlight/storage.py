"""Storages: the memory under tensors, as bytes or as elements of one type."""

import numpy as np

from rushlight import dtypes
from rushlight._serialize.storage import Memory
from rushlight.devices import cpu, device
from rushlight.dtypes import SCALAR_NAMES, dtype
from rushlight.tensor import Tensor, wrap


class _Storage:
    """Some memory, as a vector of elements."""

    device = cpu
    is_cuda = is_sparse = False

    def __init__(self, array: np.ndarray):
        self._data = array

    def __len__(self) -> int:
        return self._data.size

    def __getitem__(self, index):
        picked = self._data[index]
        return type(self)(picked) if isinstance(picked, np.ndarray) else picked.item()

    def __setitem__(self, index, value) -> None:
        self._data[index] = value

    def __iter__(self):
        return iter(self._data.tolist())

    def __repr__(self) -> str:
        lines = "\n".join(f" {v}" for v in self._data.tolist())
        return f"{lines}\n[{self._name()} of size {len(self)}]"

    def _name(self) -> str:
        return f"torch.storage.UntypedStorage(device={self.device})"

    def size(self) -> int:
        """The number of elements."""
        return self._data.size

    def nbytes(self) -> int:
        """The size in bytes."""
        return self._data.nbytes

    def element_size(self) -> int:
        """The size of one element in bytes."""
        return self._data.itemsize

    def data_ptr(self) -> int:
        """The address of the memory."""
        return self._data.__array_interface__["data"][0]

    def tolist(self) -> list:
        """The elements as a list."""
        return self._data.tolist()

    def fill_(self, value):
        """Set all elements to one value."""
        self._data[...] = value
        return self

    def copy_(self, source, non_blocking: bool = False):
        """Copy the elements of another storage, of as many."""
        self._data[...] = source._data
        return self

    def clone(self):
        """The same elements in memory of their own."""
        return type(self)(self._data.copy())

    def cpu(self):
        """Itself."""
        return self

    def is_shared(self) -> bool:
        """Whether other processes see the memory."""
        return wrap(self._data).is_shared()

    def share_memory_(self):
        """Move the memory, under its tensors too, to where processes share it; returns itself."""
        self._data = wrap(self._data).share_memory_()._array
        return self


class UntypedStorage(_Storage):
    """Memory as bytes.

    >>> import rushlight as torch
    >>> torch.ones(3).untyped_storage().nbytes()
    12
    """

    dtype = None

    def __init__(self, size=0, *, device: device | None = None):
        super().__init__(size if isinstance(size, np.ndarray) else np.zeros(size, np.uint8))


class TypedStorage(_Storage):
    """Memory as elements of one type.

    >>> import rushlight as torch
    >>> torch.arange(4).view(2, 2).storage().tolist()
    [0, 1, 2, 3]
    """

    @property
    def dtype(self) -> dtype:
        """The elements' type."""
        return wrap(self._data).dtype

    def _name(self) -> str:
        return f"torch.storage.TypedStorage(dtype={self.dtype}, device={self.device})"

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return UntypedStorage(self._data.view(np.uint8))

    def pickle_storage_type(self) -> str:
        """PyTorch's name of such storages, "FloatStorage" for float32."""
        return f"{SCALAR_NAMES[self.dtype]}Storage"


def _typed(kind: dtype) -> type:
    """A constructor of old: `torch.FloatStorage(3)`, or `torch.FloatStorage([1, 2])`."""
    name = f"{SCALAR_NAMES[kind]}Storage"

    def init(self, data=0):
        if not isinstance(data, np.ndarray):
            data = np.zeros(data, kind.numpy) if isinstance(data, int) else np.array(data, kind.numpy)
        TypedStorage.__init__(self, data)

    return type(name, (TypedStorage,), {"__init__": init, "__doc__": f"Memory as elements of {kind.name}."})


FloatStorage, DoubleStorage, HalfStorage = (
    _typed(dtypes.float32),
    _typed(dtypes.float64),
    _typed(dtypes.float16),
)
BFloat16Storage, BoolStorage, ByteStorage = (
    _typed(dtypes.bfloat16),
    _typed(dtypes.bool_),
    _typed(dtypes.uint8),
)
CharStorage, ShortStorage, IntStorage = _typed(dtypes.int8), _typed(dtypes.int16), _typed(dtypes.int32)
LongStorage = _typed(dtypes.int64)


def storage_type(self) -> type:
    """The class of storages that hold elements of this tensor's type.

    >>> import rushlight as torch
    >>> torch.ones(1).storage_type().__name__
    'FloatStorage'
    """
    return globals().get(f"{SCALAR_NAMES[self.dtype]}Storage", TypedStorage)


Tensor.storage_type = storage_type


def is_storage(obj, /) -> bool:
    """Whether an object is a storage.

    >>> import rushlight as torch
    >>> torch.is_storage(torch.ones(1).storage())
    True
    """
    return isinstance(obj, _Storage)


def _bytes(t: Tensor) -> np.ndarray:
    return Memory(t._strided()).bytes()


def untyped_storage(self) -> UntypedStorage:
    """The memory under this tensor and its views, as bytes.

    >>> import rushlight as torch
    >>> x = torch.zeros(4)
    >>> x[2:].untyped_storage().data_ptr() == x.data_ptr()
    True
    """
    return UntypedStorage(_bytes(self))


def storage(self) -> TypedStorage:
    """The memory under this tensor and its views, as elements of its type.

    >>> import rushlight as torch
    >>> len(torch.zeros(4)[2:].storage())
    4
    """
    return TypedStorage(_bytes(self).view(self._array.dtype))


Tensor.untyped_storage, Tensor.storage = untyped_storage, storage
