"""Collectives that return their results."""

from rushlight import distributed as dist
from rushlight.ops.creation import empty
from rushlight.tensor import Tensor

__all__ = [
    "all_gather_tensor",
    "all_reduce",
    "all_to_all_single",
    "all_to_all_single_autograd",
    "broadcast",
    "wait_tensor",
]


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


def broadcast(self: Tensor, src: int, group=None, tag: str = "") -> Tensor:
    """The tensor of one process.

    Args:
        self: the tensor of this process, of the same shape in all.
        src: the rank whose tensor counts.
        group: which processes; all by default.
        tag: accepted.
    """
    result = self.detach().clone()
    dist.broadcast(result, src, group=group)
    return result


def all_to_all_single(
    self: Tensor,
    output_split_sizes: list[int] | None,
    input_split_sizes: list[int] | None,
    group=None,
    tag: str = "",
) -> Tensor:
    """What each process has for this one, by parts along the first dimension.

    Args:
        self: the parts for each process.
        output_split_sizes: sizes of the parts that come; None: equal ones.
        input_split_sizes: sizes of the parts of `self`; None: equal ones.
        group: which processes; all by default.
        tag: accepted.
    """
    return all_to_all_single_autograd(self.detach(), output_split_sizes, input_split_sizes, group, tag)


def all_to_all_single_autograd(
    self: Tensor,
    output_split_sizes: list[int] | None,
    input_split_sizes: list[int] | None,
    group=None,
    tag: str = "",
) -> Tensor:
    """`all_to_all_single` with gradients."""
    length = self.shape[0] if output_split_sizes is None else sum(output_split_sizes)
    output = empty((length, *self.shape[1:]), dtype=self.dtype)
    return dist.nn.functional.all_to_all_single(output, self, output_split_sizes, input_split_sizes, group)
