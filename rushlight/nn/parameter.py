"""Parameters and buffers: the tensors that a module owns."""

from rushlight import dtypes
from rushlight.devices import check_device
from rushlight.ops.creation import empty
from rushlight.tensor import Tensor, disabled_torch_function, wrap


class _ParameterType(type(Tensor)):
    def __instancecheck__(cls, instance) -> bool:
        return super().__instancecheck__(instance) or (
            cls is Parameter and isinstance(instance, Tensor) and getattr(instance, "_is_param", False)
        )


class Parameter(Tensor, metaclass=_ParameterType):
    """A tensor that a module learns: assigned to an attribute of a module, it is one of its `parameters()`.

    Args:
        data: its values, whose memory it shares; none gives an empty tensor.
        requires_grad: whether gradients flow to it.
    Raises:
        AttributeError: `data` is not a tensor.
        RuntimeError: it requires gradients, and its elements are neither floating-point nor complex.

    >>> import rushlight as torch
    >>> torch.nn.Parameter(torch.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    __torch_function__ = disabled_torch_function

    def __new__(cls, data=None, requires_grad=True):
        if data is None:
            data = empty(0)
        elif not isinstance(data, Tensor):
            raise AttributeError(
                f"Parameter: expected a Tensor, got '{type(data).__name__}', which has no attribute "
                "'detach'. Wrap it: Parameter(torch.tensor(data))"
            )
        own_class = type(data) is not Tensor and type(data).__torch_function__ is not disabled_torch_function
        if cls is Parameter and own_class:  # it stays what it is
            made = data.detach().requires_grad_(requires_grad)
            made._is_param = True
            return made
        return _sharing(cls, data, requires_grad)

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = type(self)(wrap(self._copy_of_memory(memo)), self._rg)
        return memo[id(self)]

    def __repr__(self, *, tensor_contents=None) -> str:
        return "Parameter containing:\n" + super().__repr__()


def _sharing(cls, data: Tensor, requires_grad: bool) -> Tensor:
    """A leaf of type `cls` on the memory of `data`."""
    made = wrap(data._strided(), cls)
    made._vc = data._counter()
    if data._format is not None:
        made._format = data._format
    if requires_grad:
        made.requires_grad_()
    return made


class _BufferType(type(Tensor)):
    def __instancecheck__(cls, instance) -> bool:
        return isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(Tensor, metaclass=_BufferType):
    """A tensor that belongs to a module's state but is not learned; assigning it to an attribute registers
    it.

    Args:
        data: its values, whose memory it shares; none gives an empty tensor.
        persistent: whether it is part of the module's `state_dict`.
    """

    __torch_function__ = disabled_torch_function

    def __new__(cls, data=None, *, persistent=True):
        data = empty(0) if data is None else data
        made = _sharing(Tensor, data, data._rg)
        made.persistent, made._is_buffer = persistent, True
        return made


def _without_shape(name: str):
    def method(self, *args, **kwargs):
        raise ValueError(
            f"Attempted to use an uninitialized parameter in Tensor.{name}. This error happens when you are using a "
            "`LazyModule` or explicitly manipulating `torch.nn.parameter.UninitializedParameter` objects. When using "
            "LazyModules Call `forward` with a dummy batch to initialize the parameters before calling torch functions"
        )

    method.__name__ = method.__qualname__ = name
    method.__doc__ = "It has no shape yet: raises ValueError."
    return method


class UninitializedTensorMixin:
    """What a parameter or buffer is until its shape is known: see the lazy layers."""

    __torch_function__ = disabled_torch_function
    cls_to_become: type[Tensor]
    numel, nelement, dim, ndimension, stride = map(
        _without_shape, ("numel", "nelement", "dim", "ndimension", "stride")
    )

    @property
    def shape(self):
        """It has none yet: raises RuntimeError."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call "
            "`forward` to initialize the parameters before accessing their attributes."
        )

    def materialize(self, shape, device=None, dtype=None) -> None:
        """Give it a shape, and become an ordinary parameter or buffer with unset values.

        Args:
            shape: its dimensions.
            device, dtype: where and what they are to be, if not as it was made.
        """
        made = empty(tuple(shape), device=device, dtype=self.dtype if dtype is None else dtype)
        self._array = made._array
        self.__class__ = self.cls_to_become

    def __repr__(self, *, tensor_contents=None) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol):
        return type(self), (self._rg, None, self.dtype)

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = type(self)(self._rg, None, self.dtype)
        return memo[id(self)]


def _unshaped(cls, requires_grad: bool, device, dtype) -> Tensor:
    check_device(device)
    made = wrap(empty(0, dtype=dtype or dtypes.get_default_dtype())._array, cls)
    return made.requires_grad_() if requires_grad else made


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is not known yet; `materialize(shape)` makes it an ordinary one."""

    cls_to_become = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        return _unshaped(cls, requires_grad, device, dtype)


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer whose shape is not known yet; `materialize(shape)` makes it an ordinary one."""

    cls_to_become = Tensor

    def __new__(cls, requires_grad=False, device=None, dtype=None, persistent=True):
        made = _unshaped(cls, requires_grad, device, dtype)
        made.persistent, made._is_buffer = persistent, True
        return made


def is_lazy(param) -> bool:
    """Whether this is a parameter or buffer whose shape is not known yet."""
    return isinstance(param, UninitializedTensorMixin)


__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "UninitializedTensorMixin",
    "is_lazy",
]


def factory_kwargs(kwargs: dict | None) -> dict:
    """The arguments of a layer that say how to make its tensors, checked.

    Args:
        kwargs: may have `device`, `dtype`, `memory_format`, and `factory_kwargs`, a dictionary of these.
    Returns:
        A new dictionary for functions such as `torch.empty`.
    Raises:
        TypeError: there is another argument, or one is given twice.

    >>> import rushlight as torch
    >>> torch.nn.factory_kwargs({"dtype": torch.float64})
    {'dtype': torch.float64}
    """
    if kwargs is None:
        return {}
    simple = {"device", "dtype", "memory_format"}
    if not kwargs.keys() <= simple | {"factory_kwargs"}:
        raise TypeError(f"unexpected kwargs {kwargs.keys() - simple - {'factory_kwargs'}}")
    found = dict(kwargs.get("factory_kwargs", {}))
    for name in simple & kwargs.keys():
        if name in found:
            raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
        found[name] = kwargs[name]
    return found
