"""Collective operations and messages on tensors."""

from datetime import timedelta

import numpy as np

from rushlight.distributed.distributed_c10d import member_of
from rushlight.distributed.group import ProcessGroup, ReduceOp, Work, check_reduction
from rushlight.tensor import Tensor


def _check(value, name: str) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor\n             but got "
            f"{type(value)} instead."
        )


def _check_list(value, name: str) -> None:
    if not isinstance(value, list | tuple) or not all(isinstance(t, Tensor) for t in value):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type List[torch.Tensor]\n             but got "
            f"{type(value)} instead."
        )


def _same_types(*tensors: Tensor) -> None:
    kinds = {t.dtype for t in tensors}
    if len(kinds) > 1:
        raise ValueError(f"Invalid usage of tensors with different dtypes: found {sorted(map(str, kinds))}")


def _same_sizes(name: str, tensors, size: int) -> None:
    for i, t in enumerate(tensors):
        if t.numel() != size:
            raise RuntimeError(
                f"{name}: invalid tensor size at index {i} (expected {size} elements, got shape {tuple(t.shape)})"
            )


def _flat(t: Tensor) -> np.ndarray:
    return np.ascontiguousarray(t._strided()).reshape(-1)


def _put(t: Tensor, flat) -> None:
    """Write elements, or their bytes, into a tensor."""
    array = np.frombuffer(flat, np.uint8).view(t._array.dtype) if isinstance(flat, bytearray) else flat
    if array.size != t._array.size:
        raise RuntimeError(
            f"expected a message of {t._array.size} elements for a tensor of shape {tuple(t.shape)}, got {array.size}; "
            "the shapes must be the same in all ranks"
        )
    np.copyto(t._array, array.reshape(t._array.shape))
    t._bump()


def _rank_in(group: ProcessGroup, rank: int | None, group_rank: int | None, name: str) -> int:
    """The rank in the group that an argument and its `group_` form give together."""
    if (rank is None) == (group_rank is None):
        raise ValueError(f"Must specify either {name} or group_{name}, and not both")
    if group_rank is None:
        if rank not in group.ranks:
            raise ValueError(f"{name}: rank {rank} is not part of the group, whose ranks are {group.ranks}")
        return group.ranks.index(rank)
    if not 0 <= group_rank < group.size():
        raise ValueError(f"group_{name}: expected a rank from 0 to {group.size() - 1}, got {group_rank}")
    return group_rank


def _start(group: ProcessGroup, function, async_op: bool) -> Work | None:
    work = group.run(function, async_op)
    return work if async_op else None


# -- collectives ------------------------------------------------------------------------------------------


def all_reduce(tensor, op=ReduceOp.SUM, group=None, async_op: bool = False) -> Work | None:
    """Replace a tensor by the sum (or other reduction) of those of all ranks.

    Args:
        tensor: of the same shape and type in all ranks.
        op: the reduction.
        group: which processes; all by default.
        async_op: return at once, with a `Work` to wait for.
    Raises:
        RuntimeError: the others do not take part in time, or have ended.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> dist.init_process_group(store=dist.HashStore(), rank=0, world_size=1)
    >>> x = torch.ones(2)
    >>> dist.all_reduce(x)
    >>> x
    tensor([1., 1.])
    >>> dist.destroy_process_group()
    """
    _check(tensor, "tensor")
    check_reduction(op, tensor._array.dtype)
    members = member_of(group)
    if members is None:
        return None
    return _start(members, lambda n: _put(tensor, members.all_reduce(n, _flat(tensor), op)), async_op)


def reduce(
    tensor: Tensor, dst: int | None = None, op=ReduceOp.SUM, group=None, async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:  # fmt: skip
    """Replace a tensor on rank `dst` by the reduction of those of all ranks.

    Args:
        tensor: of the same shape and type in all ranks.
        dst, group_dst: the rank, among all processes or in the group.
        op, group, async_op: as in `all_reduce`.
    """
    _check(tensor, "tensor")
    check_reduction(op, tensor._array.dtype)
    members = member_of(group)
    if members is None:
        return None
    to = _rank_in(members, dst, group_dst, "dst")

    def function(n):
        result = members.reduce(n, _flat(tensor), op, to)
        if result is not None:
            _put(tensor, result)

    return _start(members, function, async_op)


def broadcast(
    tensor: Tensor, src: int | None = None, group=None, async_op: bool = False, group_src: int | None = None
) -> Work | None:
    """Replace a tensor by that of rank `src`.

    Args:
        tensor: of the same shape and type in all ranks.
        src, group_src: the rank, among all processes or in the group.
        group, async_op: as in `all_reduce`.
    """
    _check(tensor, "tensor")
    members = member_of(group)
    if members is None:
        return None
    source = _rank_in(members, src, group_src, "src")

    def function(n):
        result = members.broadcast(n, _flat(tensor), source)
        if members.rank() != source:
            _put(tensor, result)

    return _start(members, function, async_op)


def all_gather(tensor_list, tensor, group=None, async_op: bool = False) -> Work | None:
    """Fill a list with the tensors of all ranks.

    Args:
        tensor_list: one tensor to fill for each rank.
        tensor: what this rank gives.
        group, async_op: as in `all_reduce`.
    """
    _check_list(tensor_list, "tensor_list")
    _check(tensor, "tensor")
    _same_types(tensor, *tensor_list)
    members = member_of(group)
    if members is None:
        return None
    _check_count("all_gather", tensor_list, members)
    _same_sizes("all_gather", tensor_list, tensor.numel())
    return _start(members, lambda n: _put_all(tensor_list, members.all_gather(n, _flat(tensor))), async_op)


def _check_count(name: str, tensors, members: ProcessGroup) -> None:
    if len(tensors) != members.size():
        raise ValueError(
            f"{name}: expected one tensor for each of {members.size()} ranks, got {len(tensors)}"
        )


def _put_all(tensors, arrays) -> None:
    for t, array in zip(tensors, arrays, strict=True):
        _put(t, array)


def all_gather_into_tensor(output_tensor, input_tensor, group=None, async_op: bool = False) -> Work | None:
    """Fill one tensor with those of all ranks, one after another.

    Args:
        output_tensor: as many elements as all the others together.
        input_tensor: what this rank gives.
        group, async_op: as in `all_reduce`.
    """
    _check(output_tensor, "output_tensor")
    _check(input_tensor, "input_tensor")
    _same_types(output_tensor, input_tensor)
    members = member_of(group)
    if members is None:
        return None
    _same_sizes("all_gather_into_tensor", [output_tensor], input_tensor.numel() * members.size())
    return _start(
        members,
        lambda n: _put(output_tensor, np.concatenate(members.all_gather(n, _flat(input_tensor)))),
        async_op,
    )


def _check_parts(name: str, tensor: Tensor, parts, members, at: int, role: str) -> None:
    """Refuse a list that is missing on the one rank that has it, doesn't fit the tensor, or is elsewhere."""
    if members.rank() != at:
        if parts:
            raise ValueError(f"Argument ``{name}_list`` must NOT be specified on non-{role} ranks.")
        return
    if not parts:
        raise ValueError(f"Argument ``{name}_list`` must be specified on {role} rank.")
    _check_list(parts, f"{name}_list")
    _same_types(tensor, *parts)
    _check_count(name, parts, members)
    _same_sizes(name, parts, tensor.numel())


def gather(
    tensor: Tensor, gather_list=None, dst: int | None = None, group=None, async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:  # fmt: skip
    """Fill a list on rank `dst` with the tensors of all ranks.

    Args:
        tensor: what this rank gives.
        gather_list: one tensor to fill for each rank, on rank `dst` only.
        dst, group_dst: the rank, 0 by default, among all processes or in the group.
        group, async_op: as in `all_reduce`.
    """
    _check(tensor, "tensor")
    members = member_of(group)
    if members is None:
        return None
    to = _rank_in(members, 0 if dst is None and group_dst is None else dst, group_dst, "dst")
    _check_parts("gather", tensor, gather_list, members, to, "destination")

    def function(n):
        arrays = members.gather(n, _flat(tensor), to)
        if arrays is not None:
            _put_all(gather_list, arrays)

    return _start(members, function, async_op)


def scatter(
    tensor: Tensor, scatter_list=None, src: int | None = None, group=None, async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:  # fmt: skip
    """Replace a tensor by the one that rank `src` has for this rank.

    Args:
        tensor: to be filled.
        scatter_list: one tensor for each rank, on rank `src` only.
        src, group_src: the rank, 0 by default, among all processes or in the group.
        group, async_op: as in `all_reduce`.
    """
    _check(tensor, "tensor")
    members = member_of(group)
    if members is None:
        return None
    source = _rank_in(members, 0 if src is None and group_src is None else src, group_src, "src")
    _check_parts("scatter", tensor, scatter_list, members, source, "source")

    def function(n):
        parts = [_flat(t) for t in scatter_list] if scatter_list else None
        _put(tensor, members.scatter(n, parts, source, tensor._array.dtype))

    return _start(members, function, async_op)


def reduce_scatter(output, input_list, op=ReduceOp.SUM, group=None, async_op: bool = False) -> Work | None:
    """Fill a tensor with the reduction of what all ranks have for this one.

    Args:
        output: to be filled.
        input_list: one tensor for each rank.
        op, group, async_op: as in `all_reduce`.
    """
    _check(output, "output")
    _check_list(input_list, "input_list")
    _same_types(output, *input_list)
    check_reduction(op, output._array.dtype)
    members = member_of(group)
    if members is None:
        return None
    _check_count("reduce_scatter", input_list, members)
    _same_sizes("reduce_scatter", input_list, output.numel())
    return _start(
        members,
        lambda n: _put(output, members.reduce_scatter(n, [_flat(t) for t in input_list], op)),
        async_op,
    )


def reduce_scatter_tensor(output, input, op=ReduceOp.SUM, group=None, async_op: bool = False) -> Work | None:
    """Fill a tensor with the reduction of this rank's part of one tensor.

    Args:
        output: to be filled.
        input: as many elements as all outputs together.
        op, group, async_op: as in `all_reduce`.
    """
    _check(output, "output")
    _check(input, "input")
    _same_types(output, input)
    check_reduction(op, output._array.dtype)
    members = member_of(group)
    if members is None:
        return None
    size = members.size()
    _same_sizes("reduce_scatter_tensor", [input], output.numel() * size)
    return _start(
        members,
        lambda n: _put(output, members.reduce_scatter(n, np.split(_flat(input), size), op)),
        async_op,
    )


def all_to_all(output_tensor_list, input_tensor_list, group=None, async_op: bool = False) -> Work | None:
    """Give tensor `i` to rank `i`, and fill a list with what all ranks gave to this one.

    Args:
        output_tensor_list: one tensor to fill for each rank; their sizes may differ.
        input_tensor_list: one tensor for each rank.
        group, async_op: as in `all_reduce`.
    """
    _check_list(output_tensor_list, "output_tensor_list")
    _check_list(input_tensor_list, "input_tensor_list")
    _same_types(*output_tensor_list, *input_tensor_list)
    members = member_of(group)
    if members is None:
        return None
    _check_count("all_to_all", input_tensor_list, members)
    _check_count("all_to_all", output_tensor_list, members)
    return _start(
        members,
        lambda n: _put_all(output_tensor_list, members.exchange(n, [_flat(t) for t in input_tensor_list])),
        async_op,
    )


def all_to_all_single(
    output, input, output_split_sizes=None, input_split_sizes=None, group=None, async_op: bool = False
) -> Work | None:
    """As `all_to_all`, with parts of one tensor.

    Args:
        output, input: divided along their first dimension.
        output_split_sizes, input_split_sizes: the sizes of the parts; equal ones by default.
        group, async_op: as in `all_reduce`.
    """
    _check(output, "output")
    _check(input, "input")
    members = member_of(group)
    if members is None:
        return None
    size = members.size()
    given = list(input.detach().split(input_split_sizes or input.size(0) // size))
    wanted = list(output.detach().split(output_split_sizes or output.size(0) // size))
    work = all_to_all(wanted, given, group, async_op)
    output._bump()
    return work


def barrier(
    group=None, async_op: bool = False, device_ids=None, timeout: timedelta | None = None
) -> Work | None:
    """Wait until all ranks are here.

    Args:
        group, async_op: as in `all_reduce`.
        device_ids: accepted, without effect.
        timeout: in place of the group's.
    """
    members = member_of(group)
    if members is None:
        return None
    work = members.run(
        lambda n: members.all_gather(n, np.empty(0, np.uint8)), async_op or timeout is not None
    )
    if not async_op:
        work.wait(timeout)
        return None
    return work


def monitored_barrier(group=None, timeout: timedelta | None = None, wait_all_ranks: bool = False) -> None:
    """A barrier that says which ranks are missing.

    Args:
        group: as in `all_reduce`.
        timeout: how long to wait; as long as the group by default.
        wait_all_ranks: look for all missing ranks, not only for the first.
    Raises:
        RuntimeError: on rank 0 of the group, naming the ranks that did not come; on the others, that rank 0 did not.
    """
    members = member_of(group)
    if members is None:
        return
    seconds = members.seconds if timeout is None else timeout.total_seconds()
    members.run(lambda n: _meet(members, n, seconds, wait_all_ranks), False)


def _meet(members: ProcessGroup, number: int, seconds: float, wait_all_ranks: bool) -> None:
    mesh, nothing = members.mesh, np.empty(0, np.uint8)
    if members.rank() != 0:
        members.post(0, number, nothing)
        mesh.receive([members.ranks[0]], members.id, number, seconds)
        return
    missing = []
    for rank in range(1, members.size()):
        try:
            mesh.receive([members.ranks[rank]], members.id, number, seconds)
        except RuntimeError:
            missing.append(members.ranks[rank])
            if not wait_all_ranks:
                break
    if missing:
        raise RuntimeError(
            f"[Rank 0]: Ranks {', '.join(map(str, missing))} failed to pass monitoredBarrier in "
            f"{int(seconds * 1000)} ms"
        )
    for rank in range(1, members.size()):
        members.post(rank, number, nothing)


# -- messages ---------------------------------------------------------------------------------------------


def isend(
    tensor: Tensor, dst: int | None = None, group=None, tag: int = 0, group_dst: int | None = None
) -> Work | None:
    """Send a tensor to a rank; returns a `Work`.

    Args:
        tensor: what to send.
        dst, group_dst: the rank, among all processes or in the group.
        group: which processes; all by default.
        tag: a number that the receiver asks for.
    Raises:
        ValueError: the rank is this one.
    """
    _check(tensor, "tensor")
    members = member_of(group)
    if members is None:
        return None
    to = _rank_in(members, dst, group_dst, "dst")
    if to == members.rank():
        raise ValueError(
            "Invalid destination rank: destination rank should not be the same as the rank of the current process."
        )
    members.send(_flat(tensor), to, tag)
    return Work()


def irecv(
    tensor: Tensor, src: int | None = None, group=None, tag: int = 0, group_src: int | None = None
) -> Work | None:
    """Expect a tensor, which is filled by the `wait()` of the `Work` that this returns.

    Args:
        tensor: to be filled.
        src, group_src: the rank that sends it, among all processes or in the group; any by default.
        group: which processes; all by default.
        tag: the number that it was sent with.
    """
    _check(tensor, "tensor")
    members = member_of(group)
    if members is None:
        return None
    if src is None and group_src is None:
        sources = members.others()
    else:
        sources = [_rank_in(members, src, group_src, "src")]
        if sources == [members.rank()]:
            raise ValueError(
                "Invalid source rank: source rank should not be the same as the rank of the current process."
            )
    return members.receiving(lambda message: _put(tensor, message), sources, tag)


def send(
    tensor: Tensor, dst: int | None = None, group=None, tag: int = 0, group_dst: int | None = None
) -> None:
    """Send a tensor to a rank. Takes the arguments of `isend`."""
    isend(tensor, dst, group, tag, group_dst)


def recv(
    tensor: Tensor, src: int | None = None, group=None, tag: int = 0, group_src: int | None = None
) -> int:
    """Receive a tensor; returns the rank that sent it, or -1 where this process is not in the group.

    Takes the arguments of `irecv`.
    """
    work = irecv(tensor, src, group, tag, group_src)
    if work is None:
        return -1
    work.wait()
    return work.source_rank()


class P2POp:
    """One message for `batch_isend_irecv`.

    Args:
        op: `isend` or `irecv`.
        tensor: what to send, or to fill.
        peer, group_peer: the other rank.
        group, tag: as in `isend`.
    """

    def __init__(
        self, op, tensor: Tensor, peer: int | None = None, group=None, tag: int = 0, group_peer: int | None = None
    ):  # fmt: skip
        if op not in (isend, irecv):
            raise ValueError(
                "Invalid ``op``. Expected ``op`` to be of type ``dist.isend`` or ``dist.irecv``."
            )
        _check(tensor, "tensor")
        self.op, self.tensor, self.peer, self.group, self.tag = op, tensor, peer, group, tag
        self.group_peer = group_peer


def batch_isend_irecv(p2p_op_list: list[P2POp]) -> list[Work]:
    """Start several messages; returns their `Work`s."""
    if not p2p_op_list or not all(isinstance(p, P2POp) for p in p2p_op_list):
        raise ValueError("Invalid ``p2p_op_list``. Each op is expected to to be of type ``dist.P2POp``.")
    works = [p.op(p.tensor, p.peer, p.group, p.tag, p.group_peer) for p in p2p_op_list]
    return [work for work in works if work is not None]
