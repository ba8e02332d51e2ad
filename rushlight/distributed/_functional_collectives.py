"""Collectives that return their results."""

from rushlight import distributed as dist
from rushlight.ops.creation import empty
from rushlight.tensor import Tensor

__all__ = ["all_gather_tensor", "all_reduce", "wait_tensor"]


def wait_tensor(tensor: Tensor) -> Tensor:
    """The tensor: what these functions return is complete."""
    return tensor


def all_reduce(self: Tensor, reduceOp: str, group=None, tag: str = "") -> Tensor:
    """What a reduction makes of the processes' tensors.

    Args:
        self: the tensor of this process.
        reduceOp: "sum", "avg", "min", "max", "product" and so on.
        group: which processes; all by default.
        tag: accepted.
    """
    result = self.detach().clone()
    dist.all_reduce(result, getattr(dist.ReduceOp, reduceOp.upper()), group=group)
    return result


def all_gather_tensor(self: Tensor, gather_dim: int, group=None, tag: str = "") -> Tensor:
    """The processes' tensors, one behind another.

    Args:
        self: the tensor of this process, of the same shape in all.
        gather_dim: the dimension along which they are joined.
        group: which processes; all by default.
        tag: accepted.
    """
    count = dist.get_world_size(group)
    every = empty((count * self.shape[0], *self.shape[1:]), dtype=self.dtype)
    dist.all_gather_into_tensor(every, self.detach().contiguous(), group=group)
    if gather_dim == 0:
        return every
    return every.reshape(count, *self.shape).movedim(0, gather_dim).flatten(gather_dim, gather_dim + 1)
