"""What programs import for tensors that lie in several processes: the names are there and say what to use instead."""

import importlib

import pytest

from rushlight._subclasses.fake_tensor import unset_fake_temporarily

NAMES = {
    "tensor": "DTensor DeviceMesh distribute_module distribute_tensor empty full init_device_mesh ones rand randn zeros",
    "_tensor": "DTensor DeviceMesh distribute_module distribute_tensor empty full init_device_mesh ones rand randn zeros",
    "tensor.experimental": "context_parallel implicit_replication local_map register_sharding",
    "_tensor.experimental": "context_parallel implicit_replication local_map register_sharding",
}


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    ours = importlib.import_module(f"rushlight.distributed.{name}")
    for each in NAMES[name].split():
        with pytest.raises(NotImplementedError, match=f"{each}: not supported.*DistributedDataParallel"):
            getattr(ours, each)(None, None)
    oracle = pytest.importorskip(f"torch.distributed.{name}")
    assert all(hasattr(oracle, each) for each in NAMES[name].split())


def test_former_name():
    new, former = (importlib.import_module(f"rushlight.distributed.{name}") for name in ("tensor", "_tensor"))
    assert former.DTensor is new.DTensor


def test_no_fake_mode():
    with unset_fake_temporarily() as mode:
        assert mode is None
