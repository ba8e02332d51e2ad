"""What memory a tensor shows, whether two are the same, and old ways to change that."""

import math
import warnings

from rushlight.kernels.reference.layout import empty_by
from rushlight.ops.common import Tensor, check_tensor, wrap
from rushlight.ops.registry import op


@op()
def is_same_size(input, other) -> bool:
    """Whether two tensors have the same shape.

    >>> import rushlight as torch
    >>> torch.is_same_size(torch.ones(2), torch.ones(3))
    False
    """
    return check_tensor("is_same_size", input).shape == check_tensor("is_same_size", other, "other", 2).shape


@op()
def is_nonzero(input) -> bool:
    """Whether the only element of a tensor differs from zero.

    Raises:
        RuntimeError: there is none, or more than one.

    >>> import rushlight as torch
    >>> torch.is_nonzero(torch.tensor([0.5]))
    True
    """
    return bool(check_tensor("is_nonzero", input))


@op()
def is_inference(input) -> bool:
    """Whether the tensor is one of inference mode: never, as it keeps no such mark.

    >>> import rushlight as torch
    >>> torch.ones(1).is_inference()
    False
    """
    return False


def is_set_to(self, tensor) -> bool:
    """Whether two tensors show the same memory with the same shape and strides.

    >>> import rushlight as torch
    >>> x = torch.ones(2)
    >>> x.is_set_to(x.detach())
    True
    """
    a, b = self._strided(), tensor._strided()
    return a.__array_interface__["data"] == b.__array_interface__["data"] and (a.shape, a.strides) == (
        b.shape,
        b.strides,
    )


def is_pinned(self, device=None) -> bool:
    """Whether the memory is locked for an accelerator: never, as there is none."""
    return False


def pin_memory(self, device=None) -> Tensor:
    """Lock the memory for an accelerator.

    Raises:
        RuntimeError: there is no accelerator.
    """
    raise RuntimeError(
        "pin_memory: Cannot access accelerator device when none is available. Leave it out: Rushlight runs on the CPU."
    )


def as_subclass(self, cls) -> Tensor:
    """The same memory as a tensor of a subclass.

    >>> import rushlight as torch
    >>> class Named(torch.Tensor):
    ...     pass
    >>> type(torch.ones(1).as_subclass(Named)).__name__
    'Named'
    """
    from rushlight.ops.shape import view_as

    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"as_subclass: expected a subclass of torch.Tensor, got {cls!r}")
    made = view_as(self, self)
    made.__class__ = cls
    return made


def make_subclass(cls, data, require_grad=False) -> Tensor:
    """A leaf of a subclass on the memory of `data`: `Tensor._make_subclass`, which subclasses call in `__new__`."""
    made = as_subclass(data.detach(), cls)
    return made.requires_grad_(require_grad)


def resize(self, *sizes) -> Tensor:
    """The tensor in another shape, of as many elements: the old name of `reshape`.

    >>> import rushlight as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.ones(4).resize(2, 2).shape
    torch.Size([2, 2])
    """
    warnings.warn("non-inplace resize is deprecated", stacklevel=2)
    from rushlight.ops import shape as shapes

    shape = tuple(shapes.sizes("resize", sizes))
    if math.prod(shape) != self.numel():
        raise RuntimeError(
            f"requested resize to {'x'.join(map(str, shape))} ({math.prod(shape)} elements in total), but the given "
            f"tensor has a size of {'x'.join(map(str, self.shape))} ({self.numel()} elements). autograd's resize can "
            "only change the shape of a given tensor, while preserving the number of elements. "
        )
    return shapes.reshape(self, shape)


def resize_as(self, tensor) -> Tensor:
    """The tensor in the shape of another, of as many elements: the old name of `reshape_as`."""
    warnings.warn("non-inplace resize_as is deprecated", stacklevel=2)
    return self.reshape(tensor.shape)


def set_(self, source=None, storage_offset=0, size=None, stride=None) -> Tensor:
    """Look at other memory from now on, in place.

    Args:
        source: a tensor, or a storage; nothing for no elements at all.
        storage_offset, size, stride: which part of a storage, in elements; all by default.
    Raises:
        RuntimeError: the types differ, or it would reach beyond the storage.

    >>> import rushlight as torch
    >>> x, y = torch.zeros(2), torch.ones(3)
    >>> x.set_(y).shape
    torch.Size([3])
    """
    if source is None:
        self._array = empty_by(self._array, 0)
    elif isinstance(source, Tensor) and size is None:
        if source._array.dtype != self._array.dtype:
            raise RuntimeError(
                f"Could not set tensor of type {source.type()} to a tensor of type {self.type()}"
            )
        self._array = source._strided()
    else:
        memory = wrap(
            source._array.reshape(-1) if isinstance(source, Tensor) else source._data.view(self._array.dtype)
        )
        size = (
            (memory.numel() - storage_offset,)
            if size is None
            else (size,)
            if isinstance(size, int)
            else tuple(size)
        )
        steps = [math.prod(size[i + 1 :]) for i in range(len(size))] if stride is None else stride
        self._array = memory.as_strided(size, tuple(steps), storage_offset)._array
    self._bump()
    return self


Tensor._make_subclass = staticmethod(make_subclass)
Tensor.resize, Tensor.resize_as, Tensor.set_ = resize, resize_as, set_
Tensor.is_set_to, Tensor.is_pinned, Tensor.pin_memory, Tensor.as_subclass = (
    is_set_to,
    is_pinned,
    pin_memory,
    as_subclass,
)
