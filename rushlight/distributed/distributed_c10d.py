"""Starting and ending the default process group, making further ones, and asking about them."""

import itertools
import os
from collections.abc import Callable
from datetime import timedelta

from rushlight.distributed.group import ProcessGroup
from rushlight.distributed.mesh import Mesh
from rushlight.distributed.rendezvous import rendezvous
from rushlight.distributed.store import FileStore, PrefixStore, Store

default_pg_timeout = timedelta(minutes=30)


class DistError(RuntimeError):
    """Something is wrong in `torch.distributed`."""


class DistBackendError(DistError):
    """Something is wrong in a backend."""


class Backend(str):
    """`Backend(name)` is the name of a backend in lower case: a plain string, as in PyTorch."""

    UNDEFINED, GLOO, NCCL, MPI = "undefined", "gloo", "nccl", "mpi"

    def __new__(cls, name: str):
        if not isinstance(name, str):
            raise ValueError("Backend constructor parameter must be string-ish")
        return name.lower()


class GroupMember:
    """`WORLD` is the default group; `NON_GROUP_MEMBER` is what `new_group` returns to who is not in it."""

    WORLD: ProcessGroup | None = None
    NON_GROUP_MEMBER = -100


class _GroupType(type):
    @property
    def WORLD(cls) -> ProcessGroup | None:
        """The default group."""
        return GroupMember.WORLD


class group(metaclass=_GroupType):
    """`group.WORLD` is the default group."""


_group_numbers = itertools.count(1)
_groups: list[ProcessGroup] = []


def is_available() -> bool:
    """Whether there is `torch.distributed`: there is."""
    return True


def is_gloo_available() -> bool:
    """Whether processes can talk over TCP: they can."""
    return True


def is_nccl_available() -> bool:
    """False: NCCL is for GPUs."""
    return False


def is_ucc_available() -> bool:
    """False: there is no such backend."""
    return False


def is_mpi_available() -> bool:
    """Whether mpi4py is installed."""
    from importlib.util import find_spec

    return find_spec("mpi4py") is not None


def is_backend_available(backend: str) -> bool:
    """Whether there is a backend of this name."""
    return backend.lower() == "gloo" or (backend.lower() == "mpi" and is_mpi_available())


def is_torchelastic_launched() -> bool:
    """Whether a launcher started this process (see `rushlight.distributed.run`)."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_initialized() -> bool:
    """Whether there is a default group."""
    return GroupMember.WORLD is not None


def _get_default_group() -> ProcessGroup:
    if GroupMember.WORLD is None:
        raise ValueError(
            "Default process group has not been initialized, please make sure to call init_process_group."
        )
    return GroupMember.WORLD


def _cpu_backend(backend: str | None) -> str:
    """The backend for the CPU that a user's argument names."""
    name = (backend or "gloo").lower()
    if ":" in name:
        name = dict(part.split(":", 1) for part in name.split(",")).get("cpu", name)
    if name == "undefined":
        name = "gloo"
    if name == "nccl":
        raise RuntimeError(
            "Distributed package doesn't have NCCL built in: it is for GPUs, and this version runs on the CPU. "
            "Use backend='gloo'."
        )
    if name == "mpi" and not is_mpi_available():
        raise RuntimeError(
            "Distributed package doesn't have MPI built in: install mpi4py, or use backend='gloo'."
        )
    if name not in ("gloo", "mpi"):
        raise ValueError(f"Invalid backend: '{backend}'; expected gloo, or mpi with mpi4py installed")
    return name


def init_process_group(
    backend: str | None = None, init_method: str | None = None, timeout: timedelta | None = None,
    world_size: int = -1, rank: int = -1, store: Store | None = None, group_name: str = "", pg_options=None,
    device_id=None,
) -> None:  # fmt: skip
    """Connect this process with the others, as the default group.

    Args:
        backend: "gloo": TCP connections between all processes. "mpi": the same, but mpi4py says who they are.
        init_method: how they find one another: "env://" (by default), "tcp://host:port", "file:///path".
        timeout: how long an operation may take until it is an error; 30 minutes by default.
        world_size, rank: how many processes there are, and which one this is, where nothing else says so.
        store: in place of `init_method`.
        group_name, pg_options, device_id: accepted, without effect.
    Raises:
        ValueError: there is a default group already, or something is missing.
        RuntimeError: there is no such backend, or the others do not come.

    >>> import rushlight.distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> dist.get_world_size()
    1
    >>> dist.destroy_process_group()
    """
    if is_initialized():
        raise ValueError("trying to initialize the default process group twice!")
    if store is not None and init_method is not None:
        raise AssertionError("Cannot specify both init_method and store.")
    name = _cpu_backend(backend)
    wait = default_pg_timeout if timeout is None else timeout
    if not isinstance(wait, timedelta):
        raise TypeError(f"Expected timeout argument to be of type datetime.timedelta, got {wait}")
    used: Store | None = store
    if name == "mpi":
        used, rank, world_size = _mpi_store()
    elif used is None:
        used, rank, world_size = rendezvous(init_method or "env://", rank, world_size, wait)
    elif rank < 0 or world_size < 1:
        raise ValueError("init_process_group: rank and world_size are required with store")
    if not 0 <= rank < world_size:
        raise ValueError(f"init_process_group: expected a rank from 0 to {world_size - 1}, got {rank}")
    mesh = Mesh(PrefixStore("default_pg", used), rank, world_size, wait.total_seconds())
    made = ProcessGroup(mesh, list(range(world_size)), 0, wait, name)
    made.store = used
    GroupMember.WORLD = made
    _groups.append(made)
    made.run(made.all_gather, False, _nothing())  # all are connected
    if isinstance(used, FileStore) and rank == 0 and store is None:
        os.unlink(used.path)  # or another run with the same path would find this one's addresses


def _nothing():
    import numpy as np

    return np.empty(0, np.uint8)


def _mpi_store():
    """Addresses through MPI: the store is a table that all ranks share by turns of `allgather`."""
    from mpi4py import MPI

    from rushlight.distributed.store import TCPStore

    world = MPI.COMM_WORLD
    rank, size = world.Get_rank(), world.Get_size()
    host = MPI.Get_processor_name() if size > 1 else "127.0.0.1"
    hosts = world.allgather(host)
    host = "127.0.0.1" if len(set(hosts)) == 1 else hosts[0]
    master = TCPStore(host, 0, None, True) if rank == 0 else None
    port = world.bcast(master.port if master else None, root=0)
    return master or TCPStore(host, port, None, False), rank, size


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """End a group, or all of them with their connections.

    Args:
        group: by default all.
    """
    world = GroupMember.WORLD
    if world is None:
        raise AssertionError("Process group cannot be None: there is none; call init_process_group first")
    ended = _groups[:] if group is None or group is world else [group]
    for member in ended:
        member.close()
        if member not in _groups:
            raise ValueError("Invalid process group specified")
        _groups.remove(member)
    if world in ended:
        GroupMember.WORLD = None
        world.mesh.close()
        close: Callable | None = getattr(world.store, "close", None)
        if close is not None:
            close()


def new_group(
    ranks=None, timeout: timedelta | None = None, backend: str | None = None, pg_options=None,
    use_local_synchronization: bool = False, group_desc: str | None = None, device_id=None,
    sort_ranks: bool = True,
):  # fmt: skip
    """A group of some of the processes. All processes must make the same groups in the same order.

    Args:
        ranks: the members; all by default.
        timeout: as in `init_process_group`, whose is the default.
        backend: "gloo" or "mpi".
        pg_options, use_local_synchronization, group_desc, device_id: accepted, without effect.
        sort_ranks: number the members in the order of their ranks in the default group.
    Returns:
        The group, or `GroupMember.NON_GROUP_MEMBER` where this process is no member.
    """
    world = _get_default_group()
    members = list(world.ranks) if ranks is None else list(ranks)
    if sort_ranks:
        members.sort()
    if len(set(members)) != len(members) or any(not 0 <= r < world.size() for r in members):
        raise ValueError(f"new_group: expected different ranks from 0 to {world.size() - 1}, got {members}")
    number = next(_group_numbers)
    name = world.backend if backend is None else _cpu_backend(backend)
    if world.mesh.rank not in members:
        return GroupMember.NON_GROUP_MEMBER
    made = ProcessGroup(world.mesh, members, number, timeout or timedelta(seconds=world.seconds), name)
    _groups.append(made)
    return made


def new_subgroups(
    group_size: int | None = None, group: ProcessGroup | None = None, timeout=None, backend=None,
    pg_options=None, group_desc=None,
):  # fmt: skip
    """Divide all processes into groups of neighbours.

    Args:
        group_size: how many in each group.
    Returns:
        (the group of this process, all groups)
    """
    size = get_world_size()
    if group_size is None or size % group_size:
        raise ValueError(f"The world size ({size}) must be divisible by group_size={group_size}")
    groups = [
        new_group(range(first, first + group_size), timeout, backend) for first in range(0, size, group_size)
    ]
    return groups[get_rank() // group_size], groups


def member_of(group) -> ProcessGroup | None:
    """The group that an argument means; None where this process is no member."""
    if group is None:
        return _get_default_group()
    return None if group == GroupMember.NON_GROUP_MEMBER else group


def get_rank(group: ProcessGroup | None = None) -> int:
    """The rank of this process in a group; -1 where it is no member."""
    found = member_of(group)
    return -1 if found is None else found.rank()


def get_world_size(group: ProcessGroup | None = None) -> int:
    """How many processes a group has; -1 where this one is no member."""
    found = member_of(group)
    return -1 if found is None else found.size()


def get_backend(group: ProcessGroup | None = None) -> str:
    """The name of a group's backend."""
    found = member_of(group)
    if found is None:
        raise ValueError("Invalid process group specified")
    return Backend(found.backend)


def get_process_group_ranks(group: ProcessGroup | None) -> list[int]:
    """The members of a group, as ranks in the default one."""
    found = member_of(group)
    return [] if found is None else list(found.ranks)


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """From the rank in a group to that in the default group."""
    if not 0 <= group_rank < len(group.ranks):
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return group.ranks[group_rank]


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """From the rank in the default group to that in a group."""
    if global_rank not in group.ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return group.ranks.index(global_rank)


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """The number of this process on its machine, which the launcher sets."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is None:
        raise RuntimeError(
            "LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow "
            "`get_node_local_rank` to work, assuming you are not running in a multi-device context and want the "
            "code to run locally instead."
        )
    return int(fallback_rank)


def get_pg_count() -> int:
    """How many groups there are."""
    return len(_groups)
