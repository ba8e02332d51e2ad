"""Tensors on the device "meta": a shape and a type, and no memory.

Models are made there to be looked at, or to get their memory later: `to_empty`, or `load_state_dict(..., assign=True)`.
Nothing is computed there: asking for the array, as every op does, raises. So they cost ops nothing.
"""

import functools
import math
from types import FunctionType

import numpy as np

from rushlight import devices, dtypes
from rushlight.dtypes import from_numpy_dtype
from rushlight.handle import TensorBase
from rushlight.ops.detour import Detour, own_code
from rushlight.tensor import Tensor, check_dim, disabled_torch_function

_NO_DATA = "Cannot copy out of meta tensor; no data!"
_META = devices.device("meta")


class MetaTensor(Tensor):
    """A tensor of which only the shape and the type are there."""

    __torch_function__ = disabled_torch_function
    is_meta, is_cpu = True, False
    _shape: tuple
    _kind: np.dtype
    _is_param = False

    @property
    def _array(self):
        raise NotImplementedError(
            "A tensor on the device meta has no data, and Rushlight computes nothing with it. Give the module memory: "
            "module.to_empty(device='cpu'), or load_state_dict(..., assign=True). rushlight.utils.summary(model, ...) "
            "shows the shapes that a model makes."
        )

    shape = property(lambda self: devices.Size(self._shape))
    dtype = property(lambda self: from_numpy_dtype(self._kind))
    device = property(lambda self: _META)
    ndim = property(lambda self: len(self._shape))
    itemsize = property(lambda self: self._kind.itemsize)
    nbytes = property(lambda self: self.numel() * self._kind.itemsize)

    def size(self, dim: int | None = None):
        """Its dimensions, or the one numbered `dim`."""
        return self.shape if dim is None else self._shape[check_dim(dim, self.ndim)]

    def dim(self) -> int:
        """The number of its dimensions."""
        return self.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of its elements."""
        return math.prod(self._shape)

    nelement = numel

    def element_size(self) -> int:
        """Bytes per element."""
        return self._kind.itemsize

    def is_floating_point(self) -> bool:
        """Whether its elements are floating-point numbers."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether its elements are complex numbers."""
        return self.dtype.is_complex

    def stride(self, dim: int | None = None):
        """The steps that it would have in memory."""
        steps = tuple(math.prod(max(n, 1) for n in self._shape[i + 1 :]) for i in range(self.ndim))
        return steps if dim is None else steps[check_dim(dim, self.ndim)]

    def is_contiguous(self, memory_format=None) -> bool:
        """Always."""
        return True

    def data_ptr(self) -> int:
        """0: it has no memory."""
        return 0

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of a 0-d tensor")
        return self._shape[0]

    def __repr__(self, *, tensor_contents=None) -> str:
        parts = [f"tensor(..., device='meta', size={self._shape}"]
        if self.dtype not in (dtypes.get_default_dtype(), dtypes.bool_):
            parts += [f"dtype={self.dtype}"]
        parts += ["requires_grad=True"] if self._rg else []
        return ("Parameter containing:\n" if self._is_param else "") + ", ".join(parts) + ")"

    def _share(self) -> "MetaTensor":
        return empty(self._shape, self._kind)

    detach = clone = contiguous = _share
    data = property(_share)

    def __getitem__(self, index) -> "MetaTensor":
        return empty(np.broadcast_to(np.zeros((), self._kind), self._shape)[index].shape, self._kind)

    def to(self, *args, **kwargs) -> "MetaTensor":
        """In another type. Raises NotImplementedError for another device, as there is nothing to copy."""
        from rushlight.ops.convert import _parse_to

        kind, _, copy, where = _parse_to(args, kwargs)
        if where is not None and not devices.is_meta(where):
            raise NotImplementedError(_NO_DATA)
        if kind in (None, self.dtype) and not copy:
            return self
        return empty(self._shape, self._kind if kind is None else kind.numpy)

    def tolist(self):
        """Raises NotImplementedError: there is nothing to read."""
        raise NotImplementedError(_NO_DATA)

    cpu = __reduce_ex__ = lambda self, *args, **kwargs: self.tolist()

    def numpy(self, *, force: bool = False):
        """Raises TypeError: there is nothing to read."""
        raise TypeError(
            "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
        )

    def item(self):
        """Raises RuntimeError: there is nothing to read."""
        raise RuntimeError("Tensor.item() cannot be called on meta tensors")

    __bool__ = __int__ = __float__ = item

    def __deepcopy__(self, memo):
        made = memo[id(self)] = empty(self._shape, self._kind, self._rg)
        made._is_param = self._is_param
        return made


def _unchanged(self, *args, **kwargs):
    """The tensor: it has no values that could change."""
    return self


for _name in (
    "add_", "bernoulli_", "clamp_", "copy_", "div_", "erfinv_", "exponential_", "fill_", "mul_", "normal_", "random_",
    "sub_", "uniform_", "zero_",
):  # fmt: skip
    setattr(MetaTensor, _name, _unchanged)


def empty(shape, kind: np.dtype, requires_grad: bool = False) -> MetaTensor:
    """A tensor without memory.

    Args:
        shape: its dimensions.
        kind: the type of its elements.
        requires_grad: whether gradients are to flow to it.
    """
    _leave_alone()
    made = TensorBase.__new__(MetaTensor)
    made._shape, made._kind, made._rg = tuple(map(int, shape)), np.dtype(kind), requires_grad
    return made


def without_data(t: Tensor) -> MetaTensor:
    """A tensor of the shape and type of another."""
    return empty(t.shape, t.dtype.numpy, t._rg)


@functools.cache
def _leave_alone() -> None:
    """Have the functions of nn.init leave these tensors as they are."""
    from rushlight.nn import init

    for name, function in vars(init).items():
        if isinstance(function, FunctionType) and name.endswith("_") and not name.startswith("_"):
            Detour(function, _unless_meta).on()


def _unless_meta(original, args, kwargs):
    tensor = args[0] if args else kwargs.get("tensor")
    return tensor if isinstance(tensor, MetaTensor) else original(*args, **kwargs)


def _takes_device(function: FunctionType) -> bool:
    code = own_code(function)
    return "device" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


@functools.cache
def _detours() -> list[Detour]:
    import rushlight

    makers = {
        f
        for n, f in vars(rushlight).items()
        if isinstance(f, FunctionType) and not n.startswith("_") and _takes_device(f)
    }
    return [Detour(f, _made_on_meta) for f in makers if f.__module__.startswith("rushlight.ops.")]


def _made_on_meta(original, args, kwargs):
    if kwargs.get("device") is not None:
        return original(*args, **kwargs)
    if original.__name__ in ("empty", "zeros", "ones", "full", "rand", "randn"):
        return original(*args, **{**kwargs, "device": _META})
    made = original(*args, **kwargs)
    return made if made.is_meta else without_data(made)


def enter() -> None:
    """Begin a block whose new tensors have no memory."""
    for detour in _detours():
        detour.on()


def leave() -> None:
    """End it."""
    for detour in _detours():
        detour.off()
