"""All parameters as one vector, and back."""

from rushlight.config import typename
from rushlight.ops.joining import cat
from rushlight.tensor import Tensor


def parameters_to_vector(parameters) -> Tensor:
    """The parameters one after another, as one vector.

    Args:
        parameters: an iterable of tensors.

    >>> import rushlight as torch
    >>> torch.nn.utils.parameters_to_vector(torch.nn.Linear(2, 3).parameters()).shape
    torch.Size([9])
    """
    return cat([param.view(-1) for param in parameters])


def vector_to_parameters(vec: Tensor, parameters) -> None:
    """Put the elements of a vector into parameters, one after another; they share its memory from then on.

    Args:
        vec: as many elements as the parameters have.
        parameters: an iterable of tensors.
    Raises:
        TypeError: `vec` is not a tensor.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {typename(vec)}")
    start = 0
    for param in parameters:
        stop = start + param.numel()
        param.data = vec[start:stop].view_as(param).data
        start = stop
