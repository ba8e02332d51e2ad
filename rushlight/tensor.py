"""The Tensor: a handle on a NumPy array, its place in the recorded graph, and PyTorch's manners.

The maths is in `rushlight.ops`, which adds its functions as methods. What stands here concerns the handle:
memory and layout, gradients, conversion to and from other things, and copies.

**Layout.** Convolutions and what follows them work fastest with channels last in memory, while `shape` stays
(N, C, H, W). That layout is ours, not the user's: as soon as somebody looks at the memory (`stride`, `view`,
`numpy`, a slice …), `_strided()` lays the tensor out as PyTorch would have. Layouts that the user asked for
(`memory_format=torch.channels_last`) are marked in `_format` and kept.
"""

import copy as _copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight import devices
from rushlight.autograd.grad_mode import MODE
from rushlight.autograd.node import Handle
from rushlight.devices import Size, channels_last, channels_last_3d, contiguous_format
from rushlight.dtypes import SCALAR_NAMES, dtype, from_numpy_dtype
from rushlight.handle import TensorBase, set_tensor_type, wrap
from rushlight.phantom import Phantom


def disabled_torch_function(func, types, args=(), kwargs=None):
    """As a class's `__torch_function__`: its tensors are ordinary ones, and what is computed from them is plain."""
    return func(*args, **(kwargs or {}))


class Tensor(TensorBase):
    """A multi-dimensional array of numbers of one type, which can record how it was computed.

    Make one with `torch.tensor(data)`, `torch.zeros(...)` and their like; `torch.Tensor(...)` is the old
    constructor, which takes either sizes or a sequence of numbers and always gives the default dtype.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    # The other fields are in `rushlight.handle`.
    is_node = False
    _seen_node = None  # for a view: the base's node when this view's own was made
    _hooks = None
    _post_accumulate_hooks = None
    _retains_grad = False
    _backward_hooks = None
    _adds_itself = False  # whether gradients of this class are added by its own `+`, for want of an array

    __array_priority__ = 1000  # ndarray * Tensor is ours

    if TYPE_CHECKING:  # the ops add these

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> "Tensor": ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def _operator(self, other: Any) -> "Tensor": ...
        def _unary(self) -> "Tensor": ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __matmul__ = __rmatmul__ = _operator
        __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = (
            __rpow__
        ) = _operator
        __lt__ = __le__ = __gt__ = __ge__ = __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = (
            _operator
        )
        __neg__ = __pos__ = __abs__ = __invert__ = _unary

    def __new__(cls, *args, **kwargs):
        from rushlight.ops.creation import legacy_tensor

        return legacy_tensor(cls, *args, **kwargs)

    def __init_subclass__(cls, *, asked_at_once: bool = True, **kwargs):
        super().__init_subclass__(**kwargs)
        if asked_at_once and cls.__torch_function__ is not disabled_torch_function:
            from rushlight.overrides import enable

            enable()

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """What a function does with tensors of this class: the usual, with results of this class.

        Args:
            func: the function.
            types: the classes among its arguments that have `__torch_function__`.
            args, kwargs: its arguments.
        """
        from rushlight.overrides import default_torch_function

        return default_torch_function(cls, func, types, args, kwargs)

    # -- what it is ---------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """Its dimensions."""
        return Size(self._array.shape)

    def size(self, dim: int | None = None):
        """Its dimensions, or the one numbered `dim`.

        >>> import rushlight as torch
        >>> torch.zeros(2, 3).size(-1)
        3
        """
        if dim is None:
            return Size(self._array.shape)
        return self._array.shape[check_dim(dim, self._array.ndim)]

    @property
    def dtype(self) -> dtype:
        """The type of its elements."""
        return from_numpy_dtype(self._array.dtype)

    @property
    def device(self) -> devices.device:
        """Where it lies: the CPU, or "meta" where it has no data."""
        return devices.meta if self.is_meta else devices.cpu

    @property
    def is_meta(self) -> bool:
        """Whether it is on the device "meta": a shape and a type without data."""
        return type(self._array) is Phantom

    @property
    def is_cpu(self) -> bool:
        """Whether it is on the CPU."""
        return not self.is_meta

    @property
    def layout(self) -> devices.layout:
        """How it is stored: `torch.strided`."""
        return devices.strided

    @property
    def ndim(self) -> int:
        """The number of its dimensions."""
        return self._array.ndim

    def dim(self) -> int:
        """The number of its dimensions."""
        return self._array.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of its elements."""
        return self._array.size

    nelement = numel

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self._array.itemsize

    def element_size(self) -> int:
        """Bytes per element."""
        return self._array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all its elements."""
        return self._array.nbytes

    def is_floating_point(self) -> bool:
        """Whether its elements are floating-point numbers."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether its elements are complex numbers."""
        return self.dtype.is_complex

    def is_signed(self) -> bool:
        """Whether its elements can be negative."""
        return self.dtype.is_signed

    is_cuda = is_sparse = is_quantized = is_mps = is_nested = False

    def get_device(self) -> int:
        """The number of its device: -1 for the CPU."""
        return -1

    # -- memory -------------------------------------------------------------------------------------

    def _strided(self) -> np.ndarray:
        """Its array, laid out as PyTorch would show it."""
        array = self._array
        if array.ndim > 2 and self._format is None and self._base is None and not array.flags.c_contiguous:
            if _channels_last(array):
                array = self._array = array.copy()
        return array

    def stride(self, dim: int | None = None):
        """Steps between neighbours along each dimension (or along `dim`), in elements."""
        array = self._strided()
        strides = tuple(s // array.itemsize for s in array.strides)
        if array.size <= 1 or 1 in array.shape:
            fresh = self._base is None and array.flags.c_contiguous
            strides = _strides_with_ones(array.shape, strides, fresh)
        return strides if dim is None else strides[check_dim(dim, array.ndim)]

    def dim_order(self, *, ambiguity_check: bool | list = False) -> tuple:
        """Its dimensions from the one of the largest steps in memory to the one of the smallest.

        Args:
            ambiguity_check: refuse a tensor that has several such orders; a list of memory formats does the same.
        Raises:
            RuntimeError: it has several. TypeError: `ambiguity_check` is neither bool nor list.

        >>> import rushlight as torch
        >>> torch.empty(2, 3, 5, 7).to(memory_format=torch.channels_last).dim_order()
        (0, 2, 3, 1)
        """
        strides = self.stride()
        if not isinstance(ambiguity_check, bool | list):
            raise TypeError("The ambiguity_check argument must be a bool or a list of memory formats.")
        if ambiguity_check and (1 in self.shape or len(set(strides)) < len(strides)):
            raise RuntimeError("The tensor does not have unique dim order.")
        return tuple(sorted(range(len(strides)), key=lambda dim: -strides[dim]))

    def storage_offset(self) -> int:
        """Elements between the start of its memory and its first element."""
        if self._base is None:
            return 0
        return (self._array.ctypes.data - self._base._array.ctypes.data) // self._array.itemsize

    def data_ptr(self) -> int:
        """The address of its first element."""
        return self._strided().ctypes.data if self._array.size and not self.is_meta else 0

    @property
    def _cdata(self) -> int:
        """A number of this very tensor, by which programs tell two tensors apart."""
        return id(self)

    def is_contiguous(self, memory_format=contiguous_format) -> bool:
        """Whether its elements lie one after another in the order of its indices, or of `memory_format`."""
        if memory_format in (channels_last, channels_last_3d):
            wanted = 4 if memory_format is channels_last else 5
            array = self._strided()
            return array.ndim == wanted and np.moveaxis(array, 1, -1).flags.c_contiguous
        return self._strided().flags.c_contiguous

    def _is_view(self) -> bool:
        return self._base is not None

    @property
    def _version(self) -> int:
        return 0 if self._vc is None else self._vc[0]

    def _bump(self) -> None:
        """Note that its memory was written."""
        if self._vc is None:
            self._vc = [1]
        else:
            self._vc[0] += 1

    def _counter(self) -> list:
        if self._vc is None:
            self._vc = [0]
        return self._vc

    def _share(self) -> "Tensor":
        """Another handle on the same memory, outside the graph."""
        other = wrap(self._array)
        other._follow(self)
        return other

    def _follow(self, other: "Tensor") -> None:
        """Count changes and keep the layout with another handle on the same memory."""
        self._vc = other._counter() if other._vc is None else other._vc
        if other._format is not None:
            self._format = other._format
        elif other._base is not None:
            self._format = "fixed"  # a view's layout is its base's

    def _refresh(self) -> None:
        """Bring a view's place in the graph up to date after its base was changed in place."""
        if self._base._node is not self._seen_node:
            from rushlight.autograd.views import rejoin

            rejoin(self)

    # -- gradients ----------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to it."""
        return self._rg

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def volatile(self) -> bool:
        """Always False: PyTorch removed it in favour of `torch.no_grad()`."""
        warnings.warn("volatile was removed (Variable.volatile is always False)", stacklevel=2)
        return False

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Set whether gradients flow to it; returns itself.

        Raises:
            RuntimeError: it is not a leaf, or its elements are neither floating-point nor complex.
        """
        if self._node is not None:
            if not requires_grad:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed "
                    "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                )
            return self
        if requires_grad and self.dtype.category < 2:
            raise RuntimeError(
                "only Tensors of floating point and complex dtype can require gradients, got "
                f"{self.dtype}. Convert it first: x.float().requires_grad_()"
            )
        self._rg = bool(requires_grad)
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than computed from tensors that require gradients."""
        return self._node is None

    @property
    def grad_fn(self):
        """The gradient function that made it; None for a leaf."""
        if self._base is not None and self._rg:
            self._refresh()
        return self._node

    @property
    def output_nr(self) -> int:
        """Which output of its gradient function it is."""
        return self._nr

    @property
    def grad(self):
        """Its gradient, once `backward` has run; None before."""
        if self._grad is None and self._node is not None and not self._retains_grad:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute "
                "won't be populated during autograd.backward(). If you indeed want the .grad field to be populated "
                "for a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor.",
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
                )
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            if value.dtype != self.dtype:
                raise RuntimeError(
                    f"assigned grad has data of a different type: expected {self.dtype}, got {value.dtype}"
                )
            if value.shape != self.shape:
                raise RuntimeError(
                    f"assigned grad has data of a different size: expected {list(self.shape)}, got {list(value.shape)}"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
        """Add the gradient of this tensor with respect to every leaf to the leaf's `.grad`.

        Args:
            gradient: what the gradient of this tensor itself is; 1 where it is a single number.
            retain_graph: keep the graph for another pass (default: `create_graph`).
            create_graph: record this pass, for higher derivatives.
            inputs: only these tensors' gradients.
        Raises:
            RuntimeError: nothing requires gradients, or `gradient` is missing and this is not one number.

        >>> import rushlight as torch
        >>> w = torch.tensor(3.0, requires_grad=True)
        >>> (w * w).backward()
        >>> w.grad
        tensor(6.)
        """
        from rushlight.autograd import backward

        backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def detach(self) -> "Tensor":
        """A tensor on the same memory through which no gradient flows."""
        if self._array.ndim > 2:
            self._strided()
        return self._share()

    def detach_(self) -> "Tensor":
        """Cut it out of the graph, in place: it becomes a leaf that needs no gradient."""
        if self._base is not None:
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for "
                "training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets."
            )
        self._node, self._nr, self._rg = None, 0, False
        return self

    @property
    def data(self) -> "Tensor":
        """A tensor on the same memory, outside the graph and unseen by its checks of in-place changes."""
        self._strided()
        other = self._share()
        other._vc = None
        return other

    @data.setter
    def data(self, value: "Tensor") -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        self._array = value._strided()
        self._format = value._format

    def register_hook(self, hook):
        """Call `hook(grad)` whenever this tensor's gradient is computed; what it returns replaces the gradient.

        Returns:
            A handle whose `remove()` takes the hook off.
        Raises:
            RuntimeError: it does not require gradients.
        """
        if not self._rg:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return Handle(self._hook_table(), hook)

    def _hook_table(self) -> dict:
        if self._node is None:
            if self._hooks is None:
                self._hooks = {}
            return self._hooks
        node = self.grad_fn
        if node.hooks is None:
            node.hooks = {}
        return node.hooks.setdefault(self._nr, {})

    def register_post_accumulate_grad_hook(self, hook):
        """Call `hook(self)` after a backward pass has added to this leaf's `.grad`; returns a handle."""
        if not self._rg:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self._node is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        if self._post_accumulate_hooks is None:
            self._post_accumulate_hooks = {}
        return Handle(self._post_accumulate_hooks, hook)

    def retain_grad(self) -> None:
        """Have `backward` fill `.grad` of this non-leaf too."""
        if not self._rg:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self._node is None or self._retains_grad:
            return
        import weakref

        self._retains_grad = True
        me = weakref.ref(self)

        def keep(grad):
            tensor = me()
            if tensor is not None:
                tensor._grad = grad if tensor._grad is None else tensor._grad + grad

        Handle(self._hook_table(), keep)

    @property
    def retains_grad(self) -> bool:
        """Whether `.grad` of this non-leaf will be filled."""
        return self._retains_grad

    # -- to Python and NumPy ------------------------------------------------------------------------

    def item(self):
        """Its only element as a Python number.

        Raises:
            RuntimeError: it has not exactly one element.
        """
        if self._array.size != 1:
            raise RuntimeError(
                f"a Tensor with {self._array.size} elements cannot be converted to Scalar (shape "
                f"{list(self._array.shape)}): reduce it first, as with .mean(), or take .tolist()"
            )
        value = self._array.item()
        return value if isinstance(value, bool | int | float | complex) else float(value)

    def tolist(self):
        """Its elements as nested lists of Python numbers."""
        array = self._array
        return (array.astype(np.float32) if array.dtype.kind == "V" else array).tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Its memory as a NumPy array.

        Args:
            force: detach it first.
        Raises:
            RuntimeError: it requires gradients, and we are not under no_grad. TypeError: NumPy has no such element type.
        """
        if self._rg and not force and MODE.enabled:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
            )
        if self._array.dtype.kind == "V":
            raise TypeError(
                f"Got unsupported ScalarType {SCALAR_NAMES[self.dtype]}; convert it first: x.float().numpy()"
            )
        if self.is_meta:
            raise TypeError(
                "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
            )
        return self._strided()

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return wrap(array)

    def __dlpack__(self, *, stream=None, **kwargs):
        if self._rg:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return self._strided().__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()

    def __bool__(self) -> bool:
        if self._array.size != 1:
            many = "more than one value" if self._array.size else "no values"
            raise RuntimeError(
                f"Boolean value of Tensor with {many} is ambiguous. Say which is meant: .any() or .all()"
            )
        return bool(self._array.item())

    def _number(self, kind: type):
        if self._array.size != 1:
            raise ValueError(
                "only one element tensors can be converted to Python scalars, but this one has shape "
                f"{list(self._array.shape)}: reduce it first, as with .mean(), or take .tolist()"
            )
        try:
            return kind(self.item())
        except TypeError:
            raise RuntimeError(
                f"value cannot be converted to type {kind.__name__} without overflow"
            ) from None

    def __int__(self) -> int:
        return self._number(int)

    def __float__(self) -> float:
        return self._number(float)

    def __complex__(self) -> complex:
        return self._number(complex)

    def __index__(self) -> int:
        if self._array.size != 1 or self.dtype.category > 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self._array.item())

    def __len__(self) -> int:
        if self._array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._array.shape[0]

    def __iter__(self):
        if self._array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element) -> bool:
        if isinstance(element, Tensor | bool | int | float | complex):
            return bool(self.eq(element).any())
        raise RuntimeError(
            f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
        )

    __hash__ = object.__hash__

    def __repr__(self, *, tensor_contents=None) -> str:
        from rushlight.printing import tensor_repr

        return tensor_repr(self)

    def to_padded_tensor(self, padding: float, output_size=None):
        """Raises NotImplementedError: only nested tensors are padded."""
        raise NotImplementedError(
            "Could not run 'aten::to_padded_tensor' with arguments from the 'CPU' backend: it is for nested tensors, got "
            f"an ordinary one of shape {list(self.shape)}. Use torch.nn.functional.pad, or "
            "torch.nn.utils.rnn.pad_sequence for a list of tensors."
        )

    def __format__(self, spec: str) -> str:
        if self._array.ndim == 0:
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def __dir__(self):
        return [name for name in object.__dir__(self) if name != "is_node"]

    # -- copies -------------------------------------------------------------------------------------

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        if self._node is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment. If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm "
                "usage, see https://github.com/pytorch/pytorch/pull/103001"
            )
        other = memo[id(self)] = wrap(self._copy_of_memory(memo), type(self))
        other._rg = self._rg
        if self._grad is not None:
            other._grad = _copy.deepcopy(self._grad, memo)
        for name, value in self._user_attributes().items():
            setattr(other, name, _copy.deepcopy(value, memo))
        return other

    def _copy_of_memory(self, memo) -> np.ndarray:
        """Its array copied; views of one base stay views of one copy."""
        array = self._strided()
        owner = array.base if isinstance(array.base, np.ndarray) else array
        if owner.dtype != array.dtype:
            return array.copy(order="K")
        key = ("memory", id(owner))
        if key not in memo:
            memo[key] = owner.copy(order="K"), owner
        copied = memo[key][0]
        if owner is array:
            return copied
        offset = array.ctypes.data - owner.ctypes.data
        return np.ndarray(array.shape, array.dtype, copied, offset, array.strides)

    def _user_attributes(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if not hasattr(Tensor, k)}

    def __reduce_ex__(self, protocol):
        if self._node is not None:
            raise RuntimeError(
                "Cannot pickle a tensor that requires gradients and is not a leaf; use detach() on it first"
            )
        attributes = self._user_attributes()
        return _rebuild, (type(self), np.array(self._strided(), order="K"), self._rg, attributes)


def _rebuild(cls, array: np.ndarray, requires_grad: bool, attributes: dict) -> Tensor:
    tensor = wrap(array, cls)
    tensor._rg = requires_grad
    tensor.__dict__.update(attributes)
    return tensor


set_tensor_type(Tensor)


def _channels_last(array: np.ndarray) -> bool:
    return array.transpose(0, *range(2, array.ndim), 1).flags.c_contiguous


def _strides_with_ones(shape, strides, fresh: bool) -> tuple:
    """Strides that are what PyTorch would say where NumPy leaves them arbitrary.

    That is all of them in memory of its own in order (`fresh`), and those of new dimensions, which NumPy calls 0.
    """
    fixed = list(strides)
    expected = 1
    for i in reversed(range(len(shape))):
        if fresh or (shape[i] == 1 and strides[i] == 0):
            fixed[i] = expected
        expected = fixed[i] * max(shape[i], 1)
    return tuple(fixed)


def check_dim(dim: int, ndim: int) -> int:
    """The dimension counted from the front; IndexError where there is no such one."""
    try:
        limit = max(ndim, 1)
        if -limit <= dim < limit:
            return dim + limit if dim < 0 else dim
    except TypeError:
        raise TypeError(f"dim: expected an int, got {type(dim).__name__}") from None
    raise IndexError(
        f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})"
    )


def recording(*tensors) -> bool:
    """Whether an operation on these tensors is to be recorded."""
    if MODE.enabled:
        for t in tensors:
            if t is not None and t._rg:
                return True
    return False
