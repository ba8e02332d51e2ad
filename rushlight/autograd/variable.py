"""`Variable`, which tensors replaced: kept for old scripts."""

from rushlight.tensor import Tensor


class _VariableMeta(type):
    def __instancecheck__(cls, other) -> bool:
        return isinstance(other, Tensor)


class Variable(metaclass=_VariableMeta):
    """The tensor itself, as every tensor records gradients since PyTorch 0.4.

    Args:
        data: a tensor.
        requires_grad: whether gradients flow to it.
        volatile: True, in old scripts, for what `torch.no_grad()` does now: without effect, with a warning.

    >>> import rushlight as torch
    >>> torch.autograd.Variable(torch.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data=None, requires_grad: bool = False, volatile=None):
        if volatile is not None:
            import warnings

            warnings.warn(
                "volatile was removed (Variable.volatile is always False); use 'with torch.no_grad():' instead.",
                stacklevel=2,
            )
        if data is None:
            from rushlight.ops.creation import empty

            data = empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        variable = data.detach()
        return variable.requires_grad_() if requires_grad else variable
