"""What functions of positions, as attention's masks are, need of PyTorch's compiler to index with tensors under `vmap`."""

from contextlib import nullcontext

__all__ = ["TransformGetItemToIndex"]


class TransformGetItemToIndex(nullcontext):
    """A block in which a scalar tensor may index another one under `vmap`; it may anywhere here.

    >>> import rushlight as torch
    >>> table = torch.tensor([5, 6, 7])
    >>> torch.vmap(lambda i: table[i])(torch.tensor([2, 0]))
    tensor([7, 5])
    """
