"""Number types, the default among them, and PyTorch's rules for combining them.

A `dtype` prints as PyTorch's (`torch.float32`) and knows the NumPy dtype that holds its values;
bfloat16 and the 8-bit floats come from ml_dtypes.
"""

import ml_dtypes
import numpy as np


class dtype:
    """A number type, such as `torch.float32`.

    Attributes: `numpy` (its NumPy dtype), `is_floating_point`, `is_complex`, `is_signed`, `itemsize` (bytes).

    >>> import rushlight as torch
    >>> torch.float16.itemsize, torch.int8.is_signed
    (2, True)
    """

    __slots__ = ("category", "is_complex", "is_floating_point", "is_signed", "itemsize", "name", "numpy")

    def __init__(self, name: str, numpy_type, category: int):
        self.name = name
        self.numpy = np.dtype(numpy_type)
        self.category = category  # 0 bool, 1 integer, 2 floating point, 3 complex
        self.is_floating_point = category == 2
        self.is_complex = category == 3
        self.is_signed = not name.startswith(("uint", "bool"))
        self.itemsize = self.numpy.itemsize

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self):
        return _by_name, (self.name,)

    def to_complex(self) -> "dtype":
        """The complex type whose parts are of this type."""
        return complex128 if self.numpy in (float64.numpy, complex128.numpy) else complex64

    def to_real(self) -> "dtype":
        """The type of the real part of this type."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)


class _Unavailable(dtype):
    """A type that programs may compare with, and of which there are no tensors."""

    __slots__ = ()

    def __init__(self, name: str, category: int, itemsize: int):
        self.name, self.category, self.itemsize = name, category, itemsize
        self.is_floating_point, self.is_complex, self.is_signed = category == 2, category == 3, True

    @property
    def numpy(self):
        """Raises NotImplementedError: NumPy has no such numbers."""
        raise NotImplementedError(
            f"{self.name}: there are no such tensors, as NumPy has no such numbers; use complex64"
        )


def _by_name(name: str) -> dtype:
    return _NAMES[name]


bool_ = dtype("bool", np.bool_, 0)
uint8 = dtype("uint8", np.uint8, 1)
int8 = dtype("int8", np.int8, 1)
int16 = dtype("int16", np.int16, 1)
int32 = dtype("int32", np.int32, 1)
int64 = dtype("int64", np.int64, 1)
uint16 = dtype("uint16", np.uint16, 1)
uint32 = dtype("uint32", np.uint32, 1)
uint64 = dtype("uint64", np.uint64, 1)
float16 = dtype("float16", np.float16, 2)
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, 2)
float32 = dtype("float32", np.float32, 2)
float64 = dtype("float64", np.float64, 2)
float8_e4m3fn = dtype("float8_e4m3fn", ml_dtypes.float8_e4m3fn, 2)
float8_e4m3fnuz = dtype("float8_e4m3fnuz", ml_dtypes.float8_e4m3fnuz, 2)
float8_e5m2 = dtype("float8_e5m2", ml_dtypes.float8_e5m2, 2)
float8_e5m2fnuz = dtype("float8_e5m2fnuz", ml_dtypes.float8_e5m2fnuz, 2)
float8_e8m0fnu = dtype("float8_e8m0fnu", ml_dtypes.float8_e8m0fnu, 2)
complex64 = dtype("complex64", np.complex64, 3)
complex128 = dtype("complex128", np.complex128, 3)

ALL = tuple(value for value in list(globals().values()) if isinstance(value, dtype))
_NAMES = {d.name: d for d in ALL}
_FROM_NUMPY = {d.numpy: d for d in ALL}

# PyTorch's other names for the same types.
half, float_, double = float16, float32, float64
short, int_, long = int16, int32, int64
cfloat, cdouble = complex64, complex128

# What PyTorch calls each type where it speaks of scalar types, in error messages for instance.
SCALAR_NAMES = {
    bool_: "Bool", uint8: "Byte", int8: "Char", int16: "Short", int32: "Int", int64: "Long",
    uint16: "UInt16", uint32: "UInt32", uint64: "UInt64",
    float16: "Half", bfloat16: "BFloat16", float32: "Float", float64: "Double",
    float8_e4m3fn: "Float8_e4m3fn", float8_e4m3fnuz: "Float8_e4m3fnuz", float8_e5m2: "Float8_e5m2",
    float8_e5m2fnuz: "Float8_e5m2fnuz", float8_e8m0fnu: "Float8_e8m0fnu",
    complex64: "ComplexFloat", complex128: "ComplexDouble",
}  # fmt: skip


def from_numpy_dtype(numpy_dtype: np.dtype) -> dtype:
    """The rushlight dtype of a NumPy dtype; TypeError where there is none."""
    try:
        return _FROM_NUMPY[numpy_dtype]
    except KeyError:
        raise TypeError(
            f"can't convert np.ndarray of type {numpy_dtype}. The only supported types are: float64, float32, "
            "float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool."
        ) from None


_default = float32


def get_default_dtype() -> dtype:
    """The floating-point type that new tensors get where none is given.

    >>> import rushlight as torch
    >>> torch.get_default_dtype()
    torch.float32
    """
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the floating-point type that new tensors get where none is given.

    Args:
        d: a floating-point dtype.
    Raises:
        TypeError: `d` is not a floating-point dtype.
    """
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d!r}")
    _default = d


_WIDE_UNSIGNED = {uint16, uint32, uint64}
_FLOAT8 = {float8_e4m3fn, float8_e4m3fnuz, float8_e5m2, float8_e5m2fnuz, float8_e8m0fnu}
_promoted: dict[tuple[dtype, dtype], dtype] = {}


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type that both convert to without losing their kind.

    >>> import rushlight as torch
    >>> torch.promote_types(torch.int32, torch.float16)
    torch.float16
    """
    key = (type1, type2)
    found = _promoted.get(key)
    if found is None:
        found = _promoted[key] = _promote(type1, type2)
    return found


def _promote(a: dtype, b: dtype) -> dtype:
    if a is b:
        return a
    if a.category > b.category:
        a, b = b, a
    if a in _FLOAT8 or b in _FLOAT8:
        raise RuntimeError(
            f"Promotion for Float8 Types is not supported, attempted to promote {SCALAR_NAMES[a]} and "
            f"{SCALAR_NAMES[b]}. Convert them first, for instance with .float()."
        )
    if (a in _WIDE_UNSIGNED or b in _WIDE_UNSIGNED) and not b.is_floating_point:
        raise RuntimeError(
            "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
            f"{SCALAR_NAMES[a]} and {SCALAR_NAMES[b]}. Convert them first, for instance with .long()."
        )
    if {a, b} == {float16, bfloat16}:
        return float32
    if b.is_complex and a.is_floating_point:
        a = a.to_complex()
    return _FROM_NUMPY[np.promote_types(a.numpy, b.numpy)] if a.category == b.category else b


def scalar_dtype(value) -> dtype:
    """The type that a Python number stands for when it meets tensors."""
    if isinstance(value, bool | np.bool_):
        return bool_
    if isinstance(value, int | np.integer):
        return int64
    if isinstance(value, float | np.floating):
        return _default
    if isinstance(value, complex | np.complexfloating):
        return _default.to_complex()
    raise TypeError(f"expected a Tensor or a number, got {type(value).__name__}")


def combine(dims: dtype | None, zeros: dtype | None, numbers: dtype | None) -> dtype:
    """The type of an operation from those of its tensors with dimensions, 0-d tensors and Python numbers.

    A lower group counts only where it is of a higher kind (a float number beside integer tensors).
    """
    return _over(dims, _over(zeros, numbers))


def _over(higher: dtype | None, lower: dtype | None) -> dtype | None:
    if higher is None or lower is None:
        return lower if higher is None else higher
    if lower.category <= higher.category and higher is not bool_:
        return higher
    if higher.is_floating_point:  # and the lower one is complex: keep this one's precision
        return higher.to_complex()
    return promote_types(higher, lower)


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether values of one type may be written into the other under PyTorch's casting rules.

    >>> import rushlight as torch
    >>> torch.can_cast(torch.double, torch.int)
    False
    """
    return from_.category <= to.category


complex32 = chalf = _Unavailable("complex32", 3, 4)
