"""Collective operations on Python objects, which are pickled: use them among processes that you trust."""

import pickle

import numpy as np

from rushlight.distributed.collectives import _rank_in
from rushlight.distributed.distributed_c10d import member_of
from rushlight.distributed.group import ProcessGroup


def _pack(value) -> np.ndarray:
    return np.frombuffer(pickle.dumps(value), np.uint8)


def _unpack(array: np.ndarray):
    return pickle.loads(array)


def all_gather_object(object_list: list, obj, group=None) -> None:
    """Fill a list with the objects of all ranks.

    Args:
        object_list: as long as there are ranks.
        obj: what this rank gives.
        group: which processes; all by default.
    """
    members = member_of(group)
    if members is None:
        return
    arrays = members.run(lambda n: members.all_gather(n, _pack(obj)), False).result()
    for i, array in enumerate(arrays):
        object_list[i] = _unpack(array)


def gather_object(
    obj,
    object_gather_list: list | None = None,
    dst: int | None = None,
    group=None,
    group_dst: int | None = None,
) -> None:
    """Fill a list on rank `dst` with the objects of all ranks.

    Args:
        obj: what this rank gives.
        object_gather_list: as long as there are ranks; on rank `dst` only.
        dst, group_dst: the rank, 0 by default, among all processes or in the group.
        group: which processes; all by default.
    """
    members = member_of(group)
    if members is None:
        return
    to = _rank_in(members, 0 if dst is None and group_dst is None else dst, group_dst, "dst")
    if members.rank() == to and object_gather_list is None:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    arrays = members.run(lambda n: members.gather(n, _pack(obj), to), False).result()
    for i, array in enumerate(arrays or ()):
        object_gather_list[i] = _unpack(array)


def broadcast_object_list(
    object_list: list, src: int | None = None, group=None, device=None, group_src: int | None = None
) -> None:
    """Replace the objects in a list by those of rank `src`.

    Args:
        object_list: as long in all ranks.
        src, group_src: the rank, 0 by default, among all processes or in the group.
        group: which processes; all by default.
        device: accepted, without effect.
    """
    members = member_of(group)
    if members is None:
        return
    source = _rank_in(members, 0 if src is None and group_src is None else src, group_src, "src")
    packed = _pack(list(object_list) if members.rank() == source else None)
    array = members.run(lambda n: members.broadcast(n, packed, source), False).result()
    if members.rank() != source:
        object_list[:] = _unpack(array)


def scatter_object_list(
    scatter_object_output_list: list, scatter_object_input_list: list | None = None, src: int | None = None,
    group=None, group_src: int | None = None,
) -> None:  # fmt: skip
    """Put the object that rank `src` has for this rank into the first place of a list.

    Args:
        scatter_object_output_list: not empty.
        scatter_object_input_list: one object for each rank, on rank `src`.
        src, group_src: the rank, 0 by default, among all processes or in the group.
        group: which processes; all by default.
    """
    members = member_of(group)
    if members is None:
        return
    if not isinstance(scatter_object_output_list, list) or not scatter_object_output_list:
        raise ValueError("Expected argument scatter_object_output_list to be a list of size at least 1.")
    source = _rank_in(members, 0 if src is None and group_src is None else src, group_src, "src")
    parts = None
    if members.rank() == source:
        if scatter_object_input_list is None or len(scatter_object_input_list) != members.size():
            raise ValueError(
                f"source rank must provide non-`None` objects for each of {members.size()} ranks"
            )
        parts = [_pack(value) for value in scatter_object_input_list]
    array = members.run(lambda n: members.scatter(n, parts, source, np.uint8), False).result()
    scatter_object_output_list[0] = _unpack(array)


def send_object_list(
    object_list: list, dst: int | None = None, group=None, device=None, group_dst: int | None = None,
    use_batch: bool = False,
) -> None:  # fmt: skip
    """Send the objects in a list to a rank.

    Args:
        object_list: what to send.
        dst, group_dst: the rank, among all processes or in the group.
        group: which processes; all by default.
        device, use_batch: accepted, without effect.
    """
    members = member_of(group)
    if members is not None:
        members.send(_pack(list(object_list)), _rank_in(members, dst, group_dst, "dst"), 0)


def recv_object_list(
    object_list: list, src: int | None = None, group=None, device=None, group_src: int | None = None,
    use_batch: bool = False,
) -> int:  # fmt: skip
    """Replace the objects in a list by those that a rank sends; returns that rank.

    Args:
        object_list: as long as the sender's.
        src, group_src: the rank, among all processes or in the group; any by default.
        group: which processes; all by default.
        device, use_batch: accepted, without effect.
    """
    members: ProcessGroup | None = member_of(group)
    if members is None:
        return -1
    anybody = src is None and group_src is None
    sources = members.others() if anybody else [_rank_in(members, src, group_src, "src")]

    def place(message: bytearray) -> None:
        object_list[:] = pickle.loads(message)

    work = members.receiving(place, sources, 0)
    work.wait()
    return work.source_rank()
