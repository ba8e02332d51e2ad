"""Collectives, messages, stores, groups, data-parallel training and the launcher, in processes of this machine."""

import datetime
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import rushlight as torch
import rushlight.distributed as dist
import rushlight.multiprocessing as mp
from tests import process_programs as programs

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def run(tmp_path, size, name, *args, method="fork"):
    """A function of `process_programs` in several processes."""
    url = f"file://{tmp_path}/meet"
    started = mp.start_processes(
        programs.member, (url, size, name, *args), nprocs=size, join=False, start_method=method
    )
    end = time.monotonic() + 100
    try:
        while not started.join(max(0.1, end - time.monotonic())):
            assert time.monotonic() < end, "the processes hang"
    finally:
        for process in started.processes:
            if process.is_alive():
                process.kill()
    assert not os.path.exists(f"{tmp_path}/meet")


@pytest.mark.parametrize("size", (2, 3))
def test_collectives(tmp_path, size):
    run(tmp_path, size, "collectives")


def test_collectives_spawned(tmp_path):
    run(tmp_path, 2, "collectives", method="spawn")


@pytest.mark.parametrize("size", (2, 3))
def test_collectives_with_gradients(tmp_path, size):
    run(tmp_path, size, "collectives_with_gradients")


def test_messages(tmp_path):
    run(tmp_path, 3, "messages")


def test_groups(tmp_path):
    run(tmp_path, 3, "groups")


def test_mistakes(tmp_path):
    run(tmp_path, 2, "mistakes")


def test_nobody_is_waited_for_for_ever(tmp_path):
    run(tmp_path, 2, "too_late")


@pytest.mark.parametrize("size", (2, 3))
def test_data_parallel(tmp_path, size):
    run(tmp_path, size, "data_parallel")


@pytest.fixture
def alone():
    dist.init_process_group(store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_one_process(alone):
    x = torch.ones(2)
    dist.all_reduce(x)
    dist.broadcast(x, 0)
    dist.barrier()
    assert x.tolist() == [1, 1] and dist.get_rank() == 0 and dist.get_world_size() == 1
    assert dist.group.WORLD is dist.GroupMember.WORLD and dist.get_backend() == dist.Backend.GLOO
    objects = [None]
    dist.all_gather_object(objects, "a")
    assert objects == ["a"]
    group, groups = dist.new_subgroups(1)
    assert groups == [group]


def test_without_a_group():
    torch_ = pytest.importorskip("torch.distributed")
    for program in (
        lambda d: d.get_rank(),
        lambda d: d.get_world_size(),
        lambda d: d.barrier(),
        lambda d: d.get_backend(),
        lambda d: d.destroy_process_group(),
    ):
        with pytest.raises(Exception) as theirs:
            program(torch_)
        with pytest.raises(theirs.type):
            program(dist)
    assert dist.is_available() and not dist.is_initialized() and not dist.is_nccl_available()


def test_wrong_starts(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    start = dist.init_process_group
    with pytest.raises(RuntimeError, match=r"doesn't have NCCL built in.*gloo"):
        start("nccl")
    with pytest.raises(ValueError, match="Invalid backend"):
        start("pigeons")
    with pytest.raises(ValueError, match="environment variable RANK expected"):
        start("gloo")
    with pytest.raises(ValueError, match="rank parameter missing"):
        start("gloo", "tcp://127.0.0.1:2000")
    with pytest.raises(RuntimeError, match="No rendezvous handler"):
        start("gloo", "pigeon://loft")
    with pytest.raises(TypeError, match="timedelta"):
        start("gloo", "tcp://127.0.0.1:2000", timeout=3, rank=0, world_size=1)
    short = datetime.timedelta(seconds=0.3)
    with pytest.raises(RuntimeError, match=r"timed out waiting for the ranks \[1\]"):
        start("gloo", store=dist.HashStore(), rank=0, world_size=2, timeout=short)
    assert not dist.is_initialized()


def test_environment(monkeypatch):
    with __import__("socket").socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    values = {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_RANK": 0}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    dist.init_process_group("cpu:gloo,cuda:nccl")
    assert dist.get_world_size() == 1 and dist.get_node_local_rank() == 0
    dist.destroy_process_group()


def stores(tmp_path):
    master = dist.TCPStore("127.0.0.1", 0, None, True)
    yield master, dist.TCPStore("127.0.0.1", master.port, None, False)
    yield dist.FileStore(f"{tmp_path}/store", 2), dist.FileStore(f"{tmp_path}/store", 2)
    table = dist.HashStore()
    yield table, table
    yield dist.PrefixStore("a", table), dist.PrefixStore("a", table)
    master.close()


def test_stores(tmp_path):
    for a, b in stores(tmp_path):
        a.set("key", "value\n\x00")
        assert b.get("key") == b"value\n\x00"
        assert a.add("count", 2) == 2 and b.add("count", 3) == 5 and a.get("count") == b"5"
        assert b.compare_set("key", "other", "new") == b"value\n\x00"
        assert b.compare_set("key", "value\n\x00", "new") == b"new"
        assert b.compare_set("fresh", "", "first") == b"first"
        assert a.check(["key", "count"]) and not a.check(["key", "nothing"])
        a.append("key", "er")
        assert b.get("key") == b"newer"
        assert a.delete_key("key") and not a.delete_key("key") and a.num_keys() >= 2
        later = threading.Timer(0.1, lambda a=a: a.set("late", b"\xff"))
        later.start()
        b.wait(["late"], datetime.timedelta(seconds=5))
        assert b.get("late") == b"\xff"
        later.join()
        with pytest.raises(RuntimeError, match="wait timeout after 50ms"):
            b.wait(["never"], datetime.timedelta(milliseconds=50))
        a.set_timeout(datetime.timedelta(milliseconds=50))
        with pytest.raises(RuntimeError, match="wait timeout"):
            a.get("never")
    with pytest.raises(RuntimeError, match="timed out"):
        dist.TCPStore("127.0.0.1", 9, None, False, datetime.timedelta(seconds=0.2))
    with pytest.raises(RuntimeError, match="waiting for clients: 1 of 2"):
        dist.TCPStore("127.0.0.1", 0, 2, True, datetime.timedelta(seconds=0.2))


SCRIPT = """
    import os, sys
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    assert dist.is_torchelastic_launched() and torch.__spec__.name == "rushlight"
    rank = dist.get_rank()
    x = torch.tensor([float(rank + 1)])
    dist.all_reduce(x)
    if "fail" in sys.argv and rank == 1:
        sys.exit(3)
    dist.barrier()
    if rank == 0:
        print(x.item(), os.environ["LOCAL_WORLD_SIZE"], sys.argv[1:])
    dist.destroy_process_group()
"""


def test_launcher(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, "-m", "rushlight.distributed.run", "--nproc_per_node=2", str(script)]
    done = subprocess.run([*command, "--epochs", "3"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == "3.0 2 ['--epochs', '3']\n", done.stderr
    done = subprocess.run([*command, "fail"], capture_output=True, text=True, timeout=60)
    assert done.returncode and "failed with exit code" in done.stderr


def test_same_names_as_pytorch():
    torch_ = pytest.importorskip("torch.distributed")
    own = {"collectives", "objects"}
    assert not [name for name in dist.__all__ if name not in own and not hasattr(torch_, name)]


def test_backends_are_plain_strings():
    assert type(dist.Backend("GLOO")) is str and dist.Backend("GLOO") == "gloo"
