"""Storages: the memory under tensors, as bytes or as elements of one type."""

import io
import os
import sys

import numpy as np

from rushlight import dtypes
from rushlight.devices import check_device, cpu, device
from rushlight.dtypes import SCALAR_NAMES, dtype, get_default_dtype
from rushlight.tensor import Tensor, wrap


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


class _Storage:
    """Some memory, as a vector of elements."""

    device = cpu
    is_cuda = is_sparse = False

    filename = None

    def __init__(self, array: np.ndarray):
        self._data = array

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes()

    def __copy__(self):
        return self.clone()

    def __deepcopy__(self, memo: dict):
        return memo.setdefault(id(self), self.clone())

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

    def cuda(self, device=None, non_blocking: bool = False):
        """Raises RuntimeError: there is no CUDA device in this version."""
        check_device("cuda" if device is None else device)
        return self

    def to(self, *, device, non_blocking: bool = False):
        """Itself, on the device that there is.

        Raises:
            AssertionError: it is another device.
        """
        check_device(device)
        return self

    def is_pinned(self, device="cuda") -> bool:
        """Whether the memory is locked for a GPU: False."""
        return False

    def resizable(self) -> bool:
        """Whether the memory can be made larger or smaller in place: False."""
        return False

    def resize_(self, size: int):
        """Change nothing if it has that size.

        Args:
            size: in elements.
        Raises:
            RuntimeError: it is another size.
        """
        if size != self.size():
            raise RuntimeError(
                f"resize_: Trying to resize storage that is not resizable, from {self.size()} to {size}. Make a new "
                "tensor instead; memory is given back with the last tensor that uses it."
            )
        return self

    @classmethod
    def from_file(cls, filename: str, shared: bool = False, size: int = 0, *, dtype=None, device=None):
        """The memory of a file.

        Args:
            filename: its path.
            shared: writes go to the file, which is made or made longer where it is too short; else they stay here.
            size: the number of elements.
        Raises:
            RuntimeError: the file is absent or too short, and `shared` is off.

        >>> import rushlight as torch, tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = torch.FloatStorage.from_file(file.name, shared=True, size=2).fill_(3)
        ...     torch.FloatStorage.from_file(file.name, size=2).tolist()
        [3.0, 3.0]
        """
        kind = cls._numpy_type(dtype)
        made = cls(_mapped(os.fspath(filename), shared, size, kind))
        made.filename = os.fspath(filename) if shared else None
        return made

    @classmethod
    def from_buffer(
        cls, buffer, byte_order: str | None = None, count: int = -1, offset: int = 0, *, dtype=None
    ):
        """A copy of an object's bytes.

        Args:
            buffer: bytes, or what gives them.
            byte_order: "native", "little" or "big".
            count: the number of elements; -1 for all.
            offset: of the first one, in bytes.
        """
        kind = cls._numpy_type(dtype)
        if byte_order not in (None, "native", "little", "big"):
            raise ValueError(
                f"from_buffer: byte_order must be 'native', 'little' or 'big', got {byte_order!r}"
            )
        if byte_order is None and kind.itemsize > 1:
            raise TypeError("from_buffer: byte_order is needed: 'native', 'little' or 'big'")
        data = np.frombuffer(buffer, kind, count, offset).copy()
        return cls(data.byteswap(inplace=True) if byte_order not in (None, "native", sys.byteorder) else data)

    _from_buffer = from_buffer

    @classmethod
    def _numpy_type(cls, dtype) -> np.dtype:
        return np.dtype(np.uint8 if dtype is None else dtype.numpy)

    def _converted(self, kind: dtype):
        return TypedStorage(self._data.astype(kind.numpy))

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
        check_device(device)
        super().__init__(_array(size, np.uint8))

    def new(self):
        """An empty one."""
        return UntypedStorage()

    def untyped(self):
        """Itself."""
        return self

    def type(self) -> str:
        """Its name, "torch.storage.UntypedStorage"."""
        return "torch.storage.UntypedStorage"

    @classmethod
    def from_file(cls, filename: str, shared: bool = False, nbytes: int = 0):
        """The bytes of a file.

        Args:
            filename: its path.
            shared: writes go to the file, which is made or made longer where it is too short; else they stay here.
            nbytes: how many.
        Raises:
            RuntimeError: the file is absent or too short, and `shared` is off.
        """
        return super().from_file(filename, shared, nbytes)

    def byteswap(self, dtype: dtypes.dtype) -> None:
        """Reverse the bytes of every number, in place.

        Args:
            dtype: the elements' type.
        """
        width = dtype.itemsize // (2 if dtype.is_complex else 1)
        self._data.view(f"u{width}").byteswap(inplace=True)


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

    def __init__(self, data=0, *, dtype: dtypes.dtype | None = None, device: device | None = None):
        check_device(device)
        super().__init__(_array(data, (dtype or get_default_dtype()).numpy))

    _element = None

    @classmethod
    def _numpy_type(cls, dtype) -> np.dtype:
        return np.dtype((dtype or cls._element or get_default_dtype()).numpy)

    def type(self, dtype=None, non_blocking: bool = False):
        """The name of such storages, "torch.FloatStorage"; or the elements in another type.

        Args:
            dtype: the class of the storage to make, or its name.
        """
        if dtype is None:
            return f"torch.{self.pickle_storage_type()}"
        name = dtype if isinstance(dtype, str) else dtype.__name__
        return self._converted(globals()[name.rpartition(".")[2]]._element)

    def _name(self) -> str:
        return f"torch.storage.TypedStorage(dtype={self.dtype}, device={self.device})"

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return UntypedStorage(self._data.view(np.uint8))

    def pickle_storage_type(self) -> str:
        """PyTorch's name of such storages, "FloatStorage" for float32."""
        return f"{SCALAR_NAMES[self.dtype]}Storage"


def _array(data, kind) -> np.ndarray:
    """Memory that was given, of as many zeros, or of these values."""
    if isinstance(data, np.ndarray):
        return data
    return np.array(data, kind) if np.ndim(data) else np.zeros(data, kind)


def _mapped(path: str, shared: bool, size: int, kind: np.dtype) -> np.ndarray:
    """A file as an array."""
    needed = size * kind.itemsize
    if shared:
        with open(path, "ab") as file:
            if file.tell() < needed:
                file.truncate(needed)
    try:
        present = os.path.getsize(path)
    except OSError as error:
        raise RuntimeError(
            f"unable to open file <{path}> in read-only mode: {error.strerror} ({error.errno})"
        ) from error
    if present < needed:
        raise RuntimeError(
            f"file <{path}> size <{present}> is smaller than the required mapping size <{needed}>"
        )
    if not needed:
        return np.zeros(0, kind)
    return np.asarray(np.memmap(path, kind, "r+" if shared else "c", shape=size))


def _typed(kind: dtype) -> type:
    """A constructor of old: `torch.FloatStorage(3)`, or `torch.FloatStorage([1, 2])`."""
    name = f"{SCALAR_NAMES[kind]}Storage"

    def init(self, data=0):
        TypedStorage.__init__(self, data, dtype=kind)

    return type(
        name,
        (TypedStorage,),
        {"__init__": init, "__doc__": f"Memory as elements of {kind.name}.", "_element": kind},
    )


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
ComplexFloatStorage, ComplexDoubleStorage = _typed(dtypes.complex64), _typed(dtypes.complex128)


def _add_conversions() -> None:
    """`storage.float()` and its like."""

    def conversion(kind: dtype):
        def convert(self):
            return self._converted(kind)

        convert.__doc__ = f"The elements as {kind.name}."
        return convert

    kinds = {n: getattr(dtypes, n) for n in ("double", "half", "bfloat16", "short", "long")}
    kinds |= {"float": dtypes.float32, "int": dtypes.int32, "bool": dtypes.bool_, "byte": dtypes.uint8}
    kinds |= {"char": dtypes.int8, "complex_float": dtypes.complex64, "complex_double": dtypes.complex128}
    for name, kind in kinds.items():
        convert = conversion(kind)
        convert.__name__ = name
        setattr(_Storage, name, convert)


_add_conversions()


def from_file(
    filename, shared=None, size: int = 0, *, dtype=None, device=None, pin_memory=False, requires_grad=False
):
    """A tensor whose memory is a file.

    Args:
        filename: its path.
        shared: writes go to the file, which is made or made longer where it is too short; else they stay here.
        size: the number of elements.
        dtype: their type, the default one where None.
    Returns:
        A tensor (size,).
    Raises:
        RuntimeError: the file is absent or too short, and `shared` is off.

    >>> import rushlight as torch, tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = torch.from_file(file.name, shared=True, size=2).fill_(3)
    ...     torch.from_file(file.name, size=2)
    tensor([3., 3.])
    """
    made = TypedStorage.from_file(
        filename, bool(shared), size, dtype=dtype or get_default_dtype(), device=device
    )
    return wrap(made._data).requires_grad_(requires_grad)


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


def _load_from_bytes(data: bytes):
    """The storage in a plain pickle of one of PyTorch's tensors."""
    from rushlight.serialization import load

    return load(io.BytesIO(data), weights_only=False)
