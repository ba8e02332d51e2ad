"""What a tensor is, and whether two are the same: questions that change nothing."""

from rushlight.ops.common import Tensor, check_tensor
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


Tensor.is_set_to, Tensor.is_pinned, Tensor.pin_memory, Tensor.as_subclass = (
    is_set_to,
    is_pinned,
    pin_memory,
    as_subclass,
)
