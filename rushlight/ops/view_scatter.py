"""A copy of a tensor with one of its parts replaced: `select_scatter` and its kin."""

from rushlight.ops.common import Tensor, check_tensor, write_out
from rushlight.ops.registry import numpy_names, op


def _replaced(name: str, input: Tensor, src: Tensor, view) -> Tensor:
    result = check_tensor(name, input).clone()
    part = view(result)
    if part.shape != check_tensor(name, src, "src", 2).shape:
        raise RuntimeError(
            f"expected src to have a size equal to the part of self that it replaces. src size = {list(src.shape)}, "
            f"part size = {list(part.shape)} ({name})"
        )
    part.copy_(src)
    return result


@op()
def select_scatter(input, src, dim, index):
    """A copy with `src` at one position of a dimension: what `select` would show.

    >>> import rushlight as torch
    >>> torch.zeros(2, 2).select_scatter(torch.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    return _replaced("select_scatter", input, src, lambda t: t.select(dim, index))


@op()
def slice_scatter(input, src, dim=0, start=None, end=None, step=1, *, out=None):
    """A copy with `src` in a slice of a dimension.

    >>> import rushlight as torch
    >>> torch.zeros(4).slice_scatter(torch.ones(2), start=1, end=3)
    tensor([0., 1., 1., 0.])
    """

    def view(t):
        axis = dim if dim >= 0 else dim + t.ndim
        return t[(*(slice(None),) * axis, slice(start, end, step))]

    return write_out(_replaced("slice_scatter", input, src, view), out, exact=True)


@op()
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """A copy with `src` on a diagonal.

    >>> import rushlight as torch
    >>> torch.zeros(2, 2).diagonal_scatter(torch.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return _replaced("diagonal_scatter", input, src, lambda t: t.diagonal(offset, dim1, dim2))


@op()
def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """A copy, laid out contiguously, with `src` where `as_strided` would look.

    >>> import rushlight as torch
    >>> torch.zeros(4).as_strided_scatter(torch.ones(2), (2,), (2,))
    tensor([1., 0., 1., 0.])
    """
    return _replaced("as_strided_scatter", input, src, lambda t: t.as_strided(size, stride, storage_offset))


@op()
@numpy_names
def narrow_copy(input, dim, start, length, *, out=None):
    """A copy of part of a dimension: `narrow`, in memory of its own.

    >>> import rushlight as torch
    >>> torch.arange(4).narrow_copy(0, 1, 2)
    tensor([1, 2])
    """
    return write_out(
        check_tensor("narrow_copy", input).narrow(dim, start, length).clone(), out, exact=True, warn=False
    )
