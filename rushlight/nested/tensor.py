"""What nested tensors of both layouts have in common: a handle on one packed tensor, and how functions find them.

The gradient graph is that of the packed values, `_values`: a nested tensor is no node of its own. Functions come here
through `__torch_function__` (`rushlight/overrides.py`), which is switched on when the first nested tensor is made; so
other programs pay nothing. A function is looked up in this order: `ops` of the class; attributes of the class; functions
of single elements, which work on the packed values (`pointwise.py`). Any other does what it does, and whatever it calls
comes here in turn; where one wants the memory of a nested tensor, it is refused.
"""

import numpy as np

from rushlight import overrides
from rushlight.devices import layout
from rushlight.handle import TensorBase
from rushlight.tensor import Tensor


class Nested(Tensor, asked_at_once=False):
    """A batch of tensors of different sizes, packed in one."""

    is_nested, is_meta, is_cpu = True, False, True
    ops: dict = {}  # name of a function -> what it does with nested tensors of this layout
    _values: Tensor
    _layout: layout

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """What a function does with nested tensors."""
        from rushlight.nested import pointwise

        name, args, kwargs = overrides.call_of(func, args, kwargs)
        if "axis" in kwargs:
            kwargs["dim"] = kwargs.pop("axis")
        handler = cls.ops.get(name)
        if handler is not None:
            return handler(func, *args, **kwargs)
        own = overrides.own_method(cls, name)
        if own is not None:
            return own(*args, **kwargs)
        if pointwise.covers(name):
            return pointwise.call(func, args, kwargs)
        try:
            return overrides.own_way(func, args, kwargs)
        except overrides.NoMemory:
            raise cls._unsupported(name) from None

    @classmethod
    def _unsupported(cls, name: str) -> NotImplementedError:
        return NotImplementedError(
            f"aten::{name}: the operator is not implemented for nested tensors of layout {cls._layout}. Call it on each "
            "tensor of nt.unbind(), or on nt.to_padded_tensor(0.0)."
        )

    # -- for each layout ----------------------------------------------------------------------------

    def _with(self, values: Tensor) -> "Nested":
        """Other packed values in the same structure."""
        raise NotImplementedError

    def _matching(self, other: Tensor, name: str) -> Tensor:
        """The packed values of another operand, of which each is beside its own of this one."""
        raise NotImplementedError

    def _pieces(self) -> tuple:
        """The tensors that it consists of."""
        raise NotImplementedError

    def unbind(self, dim: int = 0) -> tuple:
        """The tensors that it consists of."""
        raise NotImplementedError

    # -- the handle ---------------------------------------------------------------------------------

    @property
    def _array(self):
        raise overrides.NoMemory(
            "a nested tensor has no array of its own; use its nt.unbind() or nt.to_padded_tensor(0.0)"
        )

    _rg = property(lambda self: self._values._rg)
    _node = property(lambda self: self._values._node)
    _nr = property(lambda self: self._values._nr)
    _vc = property(lambda self: self._values._vc)
    layout = property(lambda self: self._layout)
    dtype = property(lambda self: self._values.dtype)
    is_meta = property(lambda self: self._values.is_meta)
    itemsize = property(lambda self: self._values.itemsize)
    nbytes = property(lambda self: self.numel() * self.itemsize)
    requires_grad = property(lambda self: self._values._rg, lambda self, value: self.requires_grad_(value))
    is_leaf = property(lambda self: self._values._node is None)
    grad_fn = property(lambda self: self._values.grad_fn)
    retains_grad = property(lambda self: self._values.retains_grad)

    def requires_grad_(self, requires_grad: bool = True) -> "Nested":
        """Set whether gradients flow to it; returns itself."""
        self._values.requires_grad_(requires_grad)
        return self

    @property
    def grad(self):
        """Its gradient, nested likewise, once `backward` has run; None before."""
        found = self._values.grad
        return None if found is None else self._with(found)

    @grad.setter
    def grad(self, value) -> None:
        self._values.grad = None if value is None else self._matching(value, "grad")

    def retain_grad(self) -> None:
        """Have `backward` fill `.grad` of this non-leaf too."""
        self._values.retain_grad()

    def register_hook(self, hook):
        """Call `hook(grad)` whenever its gradient, nested likewise, is computed; returns a handle."""

        def of_values(grad):
            changed = hook(self._with(grad))
            return None if changed is None else self._matching(changed, "hook")

        return self._values.register_hook(of_values)

    def detach(self) -> "Nested":
        """A nested tensor on the same memory through which no gradient flows."""
        return self._with(self._values.detach())

    _share = detach

    @property
    def data(self) -> "Nested":
        """A nested tensor on the same memory, outside the graph."""
        return self._with(self._values.data)

    def dim(self) -> int:
        """The number of its dimensions, that of the batch included."""
        raise NotImplementedError

    ndim = property(lambda self: self.dim())

    def ndimension(self) -> int:
        """The number of its dimensions."""
        return self.dim()

    def numel(self) -> int:
        """The number of its elements."""
        return self._values.numel()

    def nelement(self) -> int:
        """The number of its elements."""
        return self.numel()

    def element_size(self) -> int:
        """Bytes per element."""
        return self._values.element_size()

    def storage_offset(self) -> int:
        """0: where its packed values begin."""
        return 0

    def data_ptr(self) -> int:
        """The address of its packed values."""
        return self._values.data_ptr()

    def _one(self) -> Tensor:
        n = self.numel()
        if n != 1:
            raise RuntimeError(f"a Tensor with {n} elements cannot be converted to Scalar")
        return self._values

    def item(self):
        """Its only element as a Python number."""
        return self._one().item()

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self._values)

    def __int__(self) -> int:
        return int(self._one())

    def __float__(self) -> float:
        return float(self._one())

    def __iter__(self):
        return iter(self.unbind())

    def numpy(self, *, force: bool = False):
        """Raises RuntimeError: NumPy has no nested arrays."""
        raise RuntimeError(".numpy() is not supported for nested tensors. Use nt.unbind(), or nt.values().")

    def tolist(self):
        """Raises RuntimeError, as PyTorch."""
        raise RuntimeError(
            ".tolist() is not supported for nested tensors. Use [t.tolist() for t in nt.unbind()]."
        )

    def __array__(self, *args, **kwargs):
        return self.numpy()

    def to_padded_tensor(self, padding: float, output_size=None) -> Tensor:
        """A dense tensor of its pieces, each padded at its end.

        Args:
            padding: the value of added elements.
            output_size: the size of the result; by default the largest sizes.
        Returns:
            (pieces, *largest sizes).

        >>> import rushlight as torch
        >>> torch.nested.nested_tensor([torch.ones(1), torch.ones(3)]).to_padded_tensor(0.0)
        tensor([[1., 0., 0.],
                [1., 1., 1.]])
        """
        raise NotImplementedError

    def share_memory_(self) -> "Nested":
        """Move its parts to memory that processes share."""
        for part in self._parts():
            part.share_memory_()
        return self

    def is_shared(self) -> bool:
        """Whether processes share its memory."""
        return all(part.is_shared() for part in self._parts())

    def _parts(self) -> list:
        return [self._values]

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            made = self._with(self._values.__deepcopy__(memo))
            if self._values._grad is not None:
                made._values._grad = self._values._grad.__deepcopy__(memo)
            memo[id(self)] = made
        return memo[id(self)]


def new(cls: type) -> "Nested":
    """A nested tensor without content, and functions that look for such."""
    overrides.enable()
    return TensorBase.__new__(cls)


def is_nested(value) -> bool:
    """Whether a value is a nested tensor."""
    return isinstance(value, Nested)


def values_in(value):
    """The packed values of a nested tensor, or of those in a list or tuple; other things as they are."""
    if isinstance(value, Nested):
        return value._values
    if isinstance(value, list | tuple):
        return type(value)(map(values_in, value))
    return value


def differentiated(func, outputs, inputs, grad_outputs=None, *args, **kwargs) -> tuple:
    """`torch.autograd.grad` where some tensors are nested."""
    wanted = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    found = func(values_in(outputs), values_in(wanted), _gradients(outputs, grad_outputs), *args, **kwargs)
    return tuple(
        t._with(g) if isinstance(t, Nested) and g is not None else g
        for t, g in zip(wanted, found, strict=True)
    )


def backward(
    func, tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None, gradient=None
) -> None:
    """`torch.autograd.backward`, or the method `backward` with its `gradient`, where some tensors are nested."""
    from rushlight.autograd import backward as run

    grads = _gradients(tensors, grad_tensors if gradient is None else gradient)
    run(values_in(tensors), grads, retain_graph, create_graph, inputs=values_in(inputs))


def _gradients(tensors, gradients):
    """The packed gradients of tensors, each structured as its tensor."""
    if isinstance(tensors, Tensor):
        tensors, gradients = (tensors,), gradients if isinstance(gradients, list | tuple) else (gradients,)
    if gradients is None:
        return None
    return tuple(map(_gradient, tensors, gradients))


def _gradient(tensor, gradient):
    if gradient is None or not (isinstance(tensor, Nested) or isinstance(gradient, Nested)):
        return gradient
    if not (isinstance(tensor, Nested) and isinstance(gradient, Nested)):
        raise RuntimeError(
            "Expected both self and other to be nested tensors: the gradient of a nested tensor is nested, that of "
            "another is not."
        )
    return tensor._matching(gradient, "backward")


def shape_array(pieces) -> np.ndarray:
    """The sizes of tensors of one number of dimensions, (tensors, dimensions), int64."""
    return np.array([tuple(p.shape) for p in pieces], np.int64)


def type_as(func, self, other):
    """In the type of another tensor, whatever its structure."""
    return self.to(other.dtype)


#: The functions that are the same in both layouts.
SHARED = {"backward": backward, "grad": differentiated, "type_as": type_as}
