"""Training in several processes: PyTorch's `torch.distributed` over TCP, for the CPU."""

from rushlight.distributed import collectives, device_mesh, distributed_c10d, objects
from rushlight.distributed.collectives import (
    P2POp,
    all_gather,
    all_gather_into_tensor,
    all_reduce,
    all_to_all,
    all_to_all_single,
    barrier,
    batch_isend_irecv,
    broadcast,
    gather,
    irecv,
    isend,
    monitored_barrier,
    recv,
    reduce,
    reduce_scatter,
    reduce_scatter_tensor,
    scatter,
    send,
)
from rushlight.distributed.device_mesh import DeviceMesh, init_device_mesh
from rushlight.distributed.distributed_c10d import (
    Backend,
    DistBackendError,
    DistError,
    GroupMember,
    default_pg_timeout,
    destroy_process_group,
    get_backend,
    get_global_rank,
    get_group_rank,
    get_node_local_rank,
    get_pg_count,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    init_process_group,
    is_available,
    is_backend_available,
    is_gloo_available,
    is_initialized,
    is_mpi_available,
    is_nccl_available,
    is_torchelastic_launched,
    is_ucc_available,
    new_group,
    new_subgroups,
)
from rushlight.distributed.group import ProcessGroup, ReduceOp, Work
from rushlight.distributed.objects import (
    all_gather_object,
    broadcast_object_list,
    gather_object,
    recv_object_list,
    scatter_object_list,
    send_object_list,
)
from rushlight.distributed.rendezvous import rendezvous
from rushlight.distributed.store import FileStore, HashStore, PrefixStore, Store, TCPStore

from rushlight.distributed import nn as nn  # isort: skip  of the collectives above

reduce_op = ReduceOp
_all_gather_base, _reduce_scatter_base = all_gather_into_tensor, reduce_scatter_tensor

__all__ = [
    "Backend", "DeviceMesh", "DistBackendError", "DistError", "FileStore", "GroupMember", "HashStore", "P2POp",
    "PrefixStore", "ProcessGroup", "ReduceOp", "Store", "TCPStore", "Work", "all_gather",
    "all_gather_into_tensor", "all_gather_object", "all_reduce", "all_to_all", "all_to_all_single", "barrier",
    "batch_isend_irecv", "broadcast", "broadcast_object_list", "collectives", "default_pg_timeout",
    "destroy_process_group", "device_mesh", "distributed_c10d", "gather", "gather_object", "get_backend",
    "get_global_rank", "get_group_rank", "get_node_local_rank", "get_pg_count", "get_process_group_ranks",
    "get_rank", "get_world_size", "group", "init_device_mesh", "init_process_group", "irecv", "is_available",
    "is_backend_available", "is_gloo_available", "is_initialized", "is_mpi_available", "is_nccl_available",
    "is_torchelastic_launched", "is_ucc_available", "isend", "monitored_barrier", "new_group", "new_subgroups",
    "objects", "recv", "recv_object_list", "reduce", "reduce_op", "reduce_scatter", "reduce_scatter_tensor",
    "rendezvous", "scatter", "scatter_object_list", "send", "send_object_list",
]  # fmt: skip
