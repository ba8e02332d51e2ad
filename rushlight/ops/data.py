"""Tensors from data: numbers, sequences, NumPy arrays, buffers; and the constructors of old."""

import warnings

import numpy as np

from rushlight import dtypes, phantom
from rushlight.devices import Size, check_device, cpu, is_meta
from rushlight.dtypes import dtype as dtype_class
from rushlight.dtypes import from_numpy_dtype, promote_types
from rushlight.ops.common import Tensor, unset, wrap
from rushlight.ops.registry import op

_PYTHON_TYPES = {float: dtypes.float64, int: dtypes.int64, bool: dtypes.bool_, complex: dtypes.complex128}
_PLAIN = frozenset(_PYTHON_TYPES)


def dtype_of(dtype, op_name: str) -> dtype_class:
    """The dtype that an argument names: a dtype or one of Python's number types."""
    if type(dtype) is dtype_class:
        return dtype
    if dtype in _PLAIN:
        return _PYTHON_TYPES[dtype]
    if isinstance(dtype, dtype_class):  # complex32
        return dtype
    raise TypeError(f"{op_name}(): argument 'dtype' must be torch.dtype, not {type(dtype).__name__}")


def require_grad(t: Tensor, requires_grad: bool, device=None) -> Tensor:
    """Let gradients flow to a new tensor where that is asked for; without its data on the device "meta"."""
    if device is not None and is_meta(device) and not t.is_meta:
        t = wrap(phantom.like(t._strided()))
    if requires_grad:
        if t.dtype.category < 2:
            raise RuntimeError(
                f"Only Tensors of floating point and complex dtype can require gradients, got {t.dtype}. Write the "
                "numbers with a decimal point, or give dtype=torch.float32"
            )
        t._rg = True
    return t


# -- type inference ---------------------------------------------------------------------------------


def _leaf_types(data) -> set:
    """The types of all numbers in nested lists."""
    types = set(map(type, data))
    if types <= _PLAIN:
        return types
    found = types - {list, tuple}
    if len(found) != len(types):
        for item in data:
            if type(item) is list or type(item) is tuple:
                found |= _leaf_types(item)
    return found


def _plain_dtype(types) -> dtype_class:
    if complex in types:
        return dtypes.get_default_dtype().to_complex()
    if float in types or not types:
        return dtypes.get_default_dtype()
    return dtypes.int64 if int in types else dtypes.bool_


def _infer(value) -> dtype_class | None:
    """The type that PyTorch would give to this number or these nested ones; None for an empty list."""
    if isinstance(value, (list, tuple)):
        found = None
        for item in value:
            kind = _infer(item)
            found = kind if found is None else found if kind is None else promote_types(found, kind)
        return found
    if isinstance(value, Tensor):
        return value.dtype
    if isinstance(value, (np.ndarray, np.generic)):
        return from_numpy_dtype(value.dtype)
    if isinstance(value, (bool, int, float, complex)):
        return dtypes.scalar_dtype(value)
    if isinstance(value, str):
        raise ValueError("too many dimensions 'str'")
    raise RuntimeError(f"Could not infer dtype of {type(value).__name__}")


# -- conversion -------------------------------------------------------------------------------------


def to_array(data, kind: dtype_class | None) -> np.ndarray:
    """A new array with this data, of the given type or that which PyTorch infers."""
    kind_of_data = type(data)
    if kind_of_data is list or kind_of_data is tuple:
        return _from_list(data, kind)
    if kind_of_data in _PLAIN:
        return _convert(data, kind or _plain_dtype((kind_of_data,)))
    if isinstance(data, Tensor):
        data = data._strided()
    if isinstance(data, (np.ndarray, np.generic)):
        return _from_ndarray(np.asarray(data), kind)
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{kind_of_data.__name__}'")
    if isinstance(data, (int, float, complex)):  # of a type of their own
        return _convert(data, kind or dtypes.scalar_dtype(data))
    if hasattr(data, "__array__") and not isinstance(data, dict):
        return _from_ndarray(np.asarray(data), kind)
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, dict):
        return _from_list(list(data), kind)
    if hasattr(data, "__index__") or hasattr(data, "__float__"):
        return _convert(
            data, kind or (dtypes.int64 if hasattr(data, "__index__") else dtypes.get_default_dtype())
        )
    raise RuntimeError(f"Could not infer dtype of {kind_of_data.__name__}")


def _from_ndarray(array: np.ndarray, kind: dtype_class | None) -> np.ndarray:
    _check_ndarray(array)
    if kind is None or array.dtype == kind.numpy:
        return array.copy(order="K")
    from rushlight.ops.convert import cast

    return cast(wrap(array), kind)._array


def _from_list(data, kind: dtype_class | None) -> np.ndarray:
    types = _leaf_types(data)
    if not types <= _PLAIN:
        data = _plain(data)
        if kind is None:
            kind = _infer(data) or dtypes.get_default_dtype()
        data = _numbers(data)
    elif kind is None:
        kind = _plain_dtype(types)
    return _convert(data, kind)


def _plain(data):
    """Nested sequences of any kind as nested lists."""
    if isinstance(data, (str, bytes, dict, Tensor, np.ndarray, np.generic)):
        if isinstance(data, Tensor) and data._array.size != 1:
            raise ValueError(
                "only one element tensors can be converted to Python scalars. Use torch.stack(list) instead."
            )
        return data
    if isinstance(data, (list, tuple)) or (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        return [_plain(item) for item in data]
    return data


def _numbers(data):
    """Nested lists in which tensors and arrays have become numbers and lists."""
    if isinstance(data, list):
        return [_numbers(item) for item in data]
    if isinstance(data, np.ndarray) and data.ndim:
        warnings.warn(
            "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please consider converting "
            "the list to a "
            "single numpy.ndarray with numpy.array() before converting to a tensor.",
            stacklevel=6,
        )
        return data.tolist()
    return data._array.item() if isinstance(data, Tensor) else data


def _convert(data, kind: dtype_class) -> np.ndarray:
    """Numbers as an array of this type, with PyTorch's errors where they don't fit."""
    with np.errstate(all="ignore"):
        try:
            return np.array(data, kind.numpy)
        except OverflowError:
            return _wrap_around(data, kind)
        except (ValueError, TypeError) as error:
            raise _conversion_error(data, kind, error) from None


def _wrap_around(data, kind: dtype_class) -> np.ndarray:
    """Negative numbers may become unsigned ones; what is too large either way is an error."""
    if kind.itemsize == 8:
        raise ValueError("Overflow when unpacking long long: expected numbers that fit int64")
    wide = np.array(data, np.float64)
    limits = np.iinfo(kind.numpy)
    if wide.size and (wide.max() > limits.max or wide.min() < (limits.min or -limits.max)):
        raise RuntimeError(f"value cannot be converted to type {kind.name} without overflow")
    return wide.astype(np.int64).astype(kind.numpy)


def _conversion_error(data, kind: dtype_class, error: Exception) -> Exception:
    text = str(error)
    if "NaN" in text or "infinity" in text:
        return RuntimeError(f"value cannot be converted to type {kind.name} without overflow")
    if isinstance(data, list | tuple):
        try:
            _check_lengths(data)
        except (ValueError, TypeError) as found:
            return found
    if not kind.is_complex and complex in _leaf_types(data if isinstance(data, list | tuple) else [data]):
        return TypeError("must be real number, not complex")
    return TypeError(f"tensor: expected numbers for {kind}, got {text}")


def _check_lengths(data) -> None:
    """Raise PyTorch's error where nested sequences are not rectangular."""
    shape, level = [], data
    while isinstance(level, (list, tuple)):
        shape.append(len(level))
        if not level:
            break
        level = level[0]

    def check(item, depth):
        if depth == len(shape):
            if isinstance(item, (list, tuple)):
                raise TypeError(
                    f"'{type(item).__name__}' object cannot be interpreted as a number at dim {depth}"
                )
            return
        if not isinstance(item, (list, tuple)):
            raise TypeError(
                f"not a sequence: expected one of length {shape[depth]} at dim {depth} (got {item!r})"
            )
        if len(item) != shape[depth]:
            raise ValueError(f"expected sequence of length {shape[depth]} at dim {depth} (got {len(item)})")
        for inner in item:
            check(inner, depth + 1)

    check(data, 0)


def _check_ndarray(array: np.ndarray) -> None:
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte "
            "orders is "
            "currently not supported. Use array.astype(array.dtype.newbyteorder('='))."
        )
    from_numpy_dtype(array.dtype)
    if any(s < 0 for s in array.strides) and array.size:
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are "
            "not "
            "currently supported. (You can probably work around this by making a copy of your array  with "
            "array.copy().) "
        )


def _laid_out(array: np.ndarray) -> Tensor:
    """A tensor on an array whose layout is the user's and stays."""
    t = wrap(array)
    if not t._array.flags.c_contiguous:
        t._format = "fixed"
    return t


# -- constructors -----------------------------------------------------------------------------------


@op(method=False)
def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new tensor with a copy of the data.

    Args:
        data: a number, nested sequences of numbers, a NumPy array or a tensor.
        dtype: the type of its elements; inferred from the data where None.
        device: where it lies: the CPU.
        requires_grad: whether gradients are to flow to it.
        pin_memory: accepted, without effect on the CPU.
    Raises:
        ValueError: sequences have different lengths. TypeError, RuntimeError: not numbers, or they don't fit.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if device is not None:
        if not is_meta(device):
            check_device(device)
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            stacklevel=2,
        )
    array = to_array(data, None if dtype is None else dtype_of(dtype, "tensor"))
    return require_grad(_laid_out(array), requires_grad, device)


@op(method=False)
def as_tensor(data, dtype=None, device=None):
    """The data as a tensor, without a copy where that is possible.

    Args:
        data: a tensor (returned as it is where it fits), a NumPy array (whose memory is shared), or numbers.
        dtype: the type of the elements; that of the data where None.
        device: where it lies: the CPU.

    >>> import rushlight as torch
    >>> torch.as_tensor([1.5, 2.5])
    tensor([1.5000, 2.5000])
    """
    if isinstance(data, np.ndarray):
        data = from_numpy(data)
    if isinstance(data, Tensor):
        data = data if dtype is None else data.to(dtype_of(dtype, "as_tensor"))
        return data if device is None else data.to(device)
    return tensor(data, dtype=dtype, device=device)


@op(method=False)
def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """The object as a tensor; shares its memory where possible.

    Args:
        obj: a tensor, a NumPy array, an object with the DLPack or buffer protocol, or numbers.
        dtype: the type of the elements.
        device: where it lies: the CPU.
        copy: True to copy always, False to raise where a copy is needed.
        requires_grad: whether gradients are to flow to it.
    Raises:
        ValueError: a copy is needed and forbidden.

    >>> import rushlight as torch
    >>> torch.asarray([1, 2])
    tensor([1, 2])
    """
    check_device(device)
    kind = None if dtype is None else dtype_of(dtype, "asarray")
    shared = _shared(obj, kind)
    if shared is None or (kind is not None and shared.dtype is not kind):
        if copy is False:
            raise ValueError(
                "can't alias arbitrary sequence into a tensor: asarray needs a copy, got copy=False"
            )
        result = tensor(obj, dtype=kind) if shared is None else shared.to(kind)
    else:
        result = shared.clone() if copy else shared
    if isinstance(obj, Tensor) and result._rg and not requires_grad:
        return result.detach()
    return result if result._rg else require_grad(result, requires_grad)


def _shared(obj, kind):
    """A tensor on the memory of `obj`; None where it has none to share."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, np.ndarray):
        return from_numpy(obj)
    if isinstance(obj, np.generic):
        return None
    if hasattr(obj, "__dlpack__"):
        return from_dlpack(obj)
    try:
        memoryview(obj)
    except TypeError:
        return None
    return frombuffer(obj, dtype=kind or dtypes.get_default_dtype())


@op(method=False)
def from_numpy(ndarray):
    """A tensor on the memory of a NumPy array: what changes one changes the other.

    Raises:
        TypeError: it is no array, or of a type without an equivalent. ValueError: a stride is negative.

    >>> import numpy as np
    >>> import rushlight as torch
    >>> torch.from_numpy(np.ones(2))
    tensor([1., 1.], dtype=torch.float64)
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    _check_ndarray(ndarray)
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This "
            "means writing "
            "to this tensor will result in undefined behavior. You may want to copy the array to protect its "
            "data or make "
            "it writable before converting it to a tensor. This type of warning will be suppressed for the "
            "rest of this "
            "program.",
            stacklevel=2,
        )
    return _laid_out(ndarray if type(ndarray) is np.ndarray else ndarray.view(np.ndarray))


class _Capsule:
    """A capsule of the DLPack protocol behind the methods by which its first version was handed over."""

    def __init__(self, capsule):
        self.capsule = capsule

    def __dlpack__(self, **_):
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # the CPU


@op(method=False)
def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A tensor on the memory of any object with the DLPack protocol.

    Args:
        ext_tensor: the object, or a capsule that it gave.
        device: the CPU, where it must lie.
        copy: whether to copy the memory; None where it cannot be shared, which is never.

    >>> import numpy as np
    >>> import rushlight as torch
    >>> torch.from_dlpack(np.ones(2))
    tensor([1., 1.], dtype=torch.float64)
    """
    check_device(device)
    if isinstance(ext_tensor, Tensor):
        shared = ext_tensor.detach()
    else:
        if type(ext_tensor).__name__ == "PyCapsule":
            ext_tensor = _Capsule(ext_tensor)
        shared = _laid_out(np.from_dlpack(ext_tensor))
    return shared.clone() if copy else shared


@op(method=False)
def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """A vector on the memory of an object with the buffer protocol.

    Args:
        buffer: a bytearray, for instance.
        dtype: the type of the elements.
        count: how many elements; all where negative.
        offset: bytes to skip at the start.
        requires_grad: whether gradients are to flow to it.
    Raises:
        ValueError: the buffer is empty, or its length doesn't fit.

    >>> import rushlight as torch
    >>> torch.frombuffer(bytearray([1, 2]), dtype=torch.uint8)
    tensor([1, 2], dtype=torch.uint8)
    """
    kind = dtype_of(dtype, "frombuffer")
    memory = memoryview(buffer)
    length = memory.nbytes
    if length == 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} "
            "bytes) minus 1"
        )
    if count < 0:
        if (length - offset) % kind.itemsize:
            raise ValueError(
                f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a multiple "
                "of element "
                f"size ({kind.itemsize})"
            )
        count = (length - offset) // kind.itemsize
    if offset + count * kind.itemsize > length:
        raise ValueError(
            f"requested buffer length ({count} * {kind.itemsize} bytes) after offset ({offset} bytes) must "
            "not be greater "
            f"than actual buffer length ({length} bytes)"
        )
    if memory.readonly:
        warnings.warn(
            "The given buffer is not writable, and PyTorch does not support non-writable tensors. You may "
            "want to copy "
            "the buffer to protect its data or make it writable before converting it to a tensor.",
            stacklevel=2,
        )
    raw = np.frombuffer(memory, np.uint8, count * kind.itemsize, offset)
    return require_grad(wrap(raw.view(kind.numpy)), requires_grad)


# -- constructors of old ----------------------------------------------------------------------------


def legacy_tensor(cls, *args, dtype=None, device=None, **kwargs) -> Tensor:
    """`torch.Tensor(...)`: from sizes (not initialised), or from a sequence of numbers.

    Args:
        cls: the class of the result.
        args: sizes, a `torch.Size`, a sequence, an array or a tensor; nothing for an empty tensor.
        dtype: the type of the elements; the default one where None.
    """
    check_device(device)
    kind = dtype or dtypes.get_default_dtype()
    if kwargs.keys() - {"size", "data", "requires_grad"}:
        raise TypeError(f"new() received an invalid keyword argument {next(iter(kwargs))!r}")
    args = args or tuple(kwargs[name] for name in ("size", "data") if name in kwargs)
    if not args:
        return wrap(np.empty(0, kind.numpy), cls)
    only = args[0]
    if (
        len(args) == 1
        and not isinstance(only, Size)
        and not (isinstance(only, int) and not isinstance(only, bool))
    ):
        return _legacy_from_data(cls, only, kind, dtype is not None)
    shape = only if isinstance(only, Size) else args
    try:
        return wrap(unset(tuple(shape), kind.numpy), cls)
    except (TypeError, ValueError):
        raise TypeError(f"new(): expected sizes or one sequence of numbers, got {args}") from None


def _legacy_from_data(cls, data, kind, explicit: bool) -> Tensor:
    if isinstance(data, Tensor):
        if explicit and data.dtype is not kind:
            raise TypeError(
                f"expected a tensor of type {kind}, got {data.dtype}. Convert it with .to({kind})."
            )
        alias = wrap(data._strided(), cls)
        alias._vc, alias._format = data._counter(), data._format
        return alias
    if isinstance(data, (float, complex, bool)) or data is None:
        raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
    return wrap(to_array(data, kind), cls)


class _TensorType(type):
    """The type of `torch.FloatTensor` and its like: constructors that also answer `isinstance`."""

    def __call__(cls, *args, **kwargs):
        return legacy_tensor(Tensor, *args, dtype=cls.dtype, **kwargs)

    def __instancecheck__(cls, value) -> bool:
        return isinstance(value, Tensor) and value.dtype is cls.dtype


def _tensor_type(kind: dtype_class) -> _TensorType:
    name = f"{dtypes.SCALAR_NAMES[kind]}Tensor"
    doc = f"The old constructor of tensors of {kind}: from sizes, or from a sequence of numbers."
    return _TensorType(name, (), {"dtype": kind, "device": cpu, "__doc__": doc, "__module__": "torch"})


FloatTensor = _tensor_type(dtypes.float32)
DoubleTensor = _tensor_type(dtypes.float64)
HalfTensor = _tensor_type(dtypes.float16)
BFloat16Tensor = _tensor_type(dtypes.bfloat16)
ByteTensor = _tensor_type(dtypes.uint8)
CharTensor = _tensor_type(dtypes.int8)
ShortTensor = _tensor_type(dtypes.int16)
IntTensor = _tensor_type(dtypes.int32)
LongTensor = _tensor_type(dtypes.int64)
BoolTensor = _tensor_type(dtypes.bool_)


def new(self, *args, **kwargs):
    """The old constructor, of this tensor's type: from sizes, or from a sequence of numbers."""
    return legacy_tensor(Tensor, *args, dtype=self.dtype, **kwargs)


def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """`torch.tensor(data)` of this tensor's type.

    >>> import rushlight as torch
    >>> torch.zeros(1).new_tensor([1, 2])
    tensor([1., 2.])
    """
    device = self.device if device is None else device
    return tensor(data, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


Tensor.new, Tensor.new_tensor = new, new_tensor


@op(method=False)
def is_tensor(obj) -> bool:
    """Whether the object is a tensor.

    >>> import rushlight as torch
    >>> torch.is_tensor(torch.zeros(1)), torch.is_tensor(1)
    (True, False)
    """
    return isinstance(obj, Tensor)


@op(method=False)
def numel(input) -> int:
    """The number of elements.

    >>> import rushlight as torch
    >>> torch.numel(torch.zeros(2, 3))
    6
    """
    return input._array.size
