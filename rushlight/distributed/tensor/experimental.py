"""What PyTorch tries out with tensors whose parts lie in several processes; not supported."""

from rushlight.distributed.device_mesh import refused

__all__ = ["context_parallel", "implicit_replication", "local_map", "register_sharding"]

context_parallel = refused("context_parallel")
implicit_replication = refused("implicit_replication")
local_map = refused("local_map")
register_sharding = refused("register_sharding")
