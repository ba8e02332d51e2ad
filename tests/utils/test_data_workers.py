"""Loading in worker processes: PyTorch's order and seeds, errors, killed workers, shared memory."""

import gc
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import rushlight as rl
from rushlight.utils.data import DataLoader
from rushlight.utils.data._utils import iterators
from tests import shared_memory
from tests.utils import loader_programs as programs

METHODS = ("fork", "spawn")
pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]


@pytest.fixture(autouse=True)
def watchdog():
    """No test may hang."""

    def bark(*_):
        raise TimeoutError("the test hangs")

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(100)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def gone(pids, seconds=30.0) -> bool:
    """Whether all these processes end in time."""
    end = time.monotonic() + seconds
    while any(os.path.exists(f"/proc/{pid}") and not zombie(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def zombie(pid) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("method", METHODS)
def test_batches_are_those_of_one_process(method):
    before = shared_memory.names()
    alone = list(DataLoader(programs.Rows(), batch_size=3))
    loaded = list(DataLoader(programs.Rows(), batch_size=3, num_workers=2, multiprocessing_context=method))
    assert len(alone) == len(loaded)
    for a, b in zip(alone, loaded, strict=True):
        assert rl.equal(a["x"], b["x"]) and rl.equal(a["i"], b["i"]) and rl.equal(a["array"], b["array"])
        assert a["name"] == b["name"] and b["x"].is_shared()
    assert not shared_memory.left_since(before)


def orders(lib, rows, workers, **options):
    """Two epochs and what is drawn next."""
    lib.manual_seed(5)
    loader = lib.utils.data.DataLoader(rows, batch_size=4, shuffle=True, num_workers=workers, **options)
    epochs = [[b.tolist() for b in loader] for _ in range(2)]
    return epochs, lib.rand(1).item()


@pytest.mark.parametrize("persistent", (False, True))
def test_order_and_stream_are_pytorchs(persistent):
    torch = pytest.importorskip("torch")
    ours = orders(rl, range(18), 2, persistent_workers=persistent)
    assert ours == orders(torch, range(18), 2, persistent_workers=persistent)
    if not persistent:
        assert ours == orders(rl, range(18), 0)


def test_generator_gives_order_and_seeds():
    torch = pytest.importorskip("torch")
    results = []
    for lib in (rl, torch):
        generator = lib.Generator().manual_seed(3)
        loader = lib.utils.data.DataLoader(
            range(8), batch_size=3, shuffle=True, num_workers=1, generator=generator
        )
        results.append(([b.tolist() for b in loader], lib.rand(1, generator=generator).item()))
    assert results[0] == results[1]


def torch_seeds(torch):
    import random

    class Seeds(torch.utils.data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, i):
            info = torch.utils.data.get_worker_info()
            return [
                info.id, info.num_workers, info.seed, torch.rand(1).item(), random.random(), np.random.rand(),
            ]  # fmt: skip

    torch.manual_seed(11)
    return list(torch.utils.data.DataLoader(Seeds(), batch_size=None, num_workers=2))


@pytest.mark.parametrize("method", METHODS)
def test_seeds_of_workers_are_pytorchs(method):
    torch = pytest.importorskip("torch")
    rl.manual_seed(11)
    loader = DataLoader(programs.Seeds(6), batch_size=None, num_workers=2, multiprocessing_context=method)
    assert list(loader) == torch_seeds(torch)
    assert rl.utils.data.get_worker_info() is None


def test_worker_init_fn():
    import random

    loader = DataLoader(programs.Seeds(4), batch_size=None, num_workers=2, worker_init_fn=programs.WorkerId())
    for row in loader:
        if row is not None and row[0] == 0:
            assert row[4] == random.Random(1000).random()
            break
    failing = DataLoader(programs.Rows(), num_workers=1, worker_init_fn=programs.fail_to_start)
    with pytest.raises(ValueError, match="no start of worker 0"):
        list(failing)


def test_streams():
    assert sorted(b.item() for b in DataLoader(programs.Stream(), num_workers=2)) == list(range(17))
    batches = [b.tolist() for b in DataLoader(programs.Stream(), batch_size=4, num_workers=2)]
    assert batches == [[0, 2, 4, 6], [1, 3, 5, 7], [8, 10, 12, 14], [9, 11, 13, 15], [16]]
    loader = DataLoader(
        programs.Stream(), batch_size=4, num_workers=2, persistent_workers=True, drop_last=True
    )
    for _ in range(3):
        assert [b.tolist() for b in loader] == batches[:4]
    short = DataLoader(programs.Stream(6, length=3), num_workers=1)
    assert len(short) == 3
    with pytest.warns(UserWarning, match=r"reported to be 3\(when accessing .*replica at each worker"):
        list(short)


def test_out_of_order():
    loader = DataLoader(programs.Rows(12), batch_size=None, num_workers=2, in_order=False)
    assert sorted(row["i"] for row in loader) == list(range(12))


@pytest.mark.parametrize("method", METHODS)
def test_exception_in_worker(method):
    loader = DataLoader(programs.Failing(KeyError, "colour"), num_workers=2, multiprocessing_context=method)
    batches = iter(loader)
    for _ in range(5):
        next(batches)
    with pytest.raises(KeyError) as caught:
        next(batches)
    text = str(caught.value)
    assert text.startswith("Caught KeyError in DataLoader worker process 1.\nOriginal Traceback (most recent")
    assert "loader_programs.py" in text and text.endswith("KeyError: 'colour'\n")
    assert [b.item() for b in batches] == list(range(6, 20))  # the others are there


def test_exceptions_that_cannot_travel():
    for error, arguments in ((programs.TwoArguments, (1, 2)), (type("Local", (Exception,), {}), ())):
        with pytest.raises(RuntimeError, match=error.__name__):
            list(DataLoader(programs.Failing(error, *arguments), num_workers=1))
    with pytest.raises(Exception, match=r"Caught .* in DataLoader worker process 0"):
        list(DataLoader([1], batch_size=None, num_workers=1, collate_fn=lambda x: lambda: x))


def test_recorded_tensors_are_refused():
    recorded = [rl.ones(2, requires_grad=True) * 2]
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor"):
        list(DataLoader(recorded, num_workers=1))


KILLED = {
    "kill": (signal.SIGKILL, r"worker \(pid \d+\) is killed by signal: Killed.*out of memory"),
    "crash": (signal.SIGSEGV, r"worker \(pid \d+\) is killed by signal: Segmentation fault"),
    "bus": (signal.SIGBUS, r"shared memory"),
    "exit": ("3", r"worker \(pid\(s\) \d+\) exited unexpectedly with exit code 3"),
}


@pytest.mark.parametrize("case", KILLED)
def test_killed_worker(case):
    how, message = KILLED[case]
    before = shared_memory.names()
    batches = iter(DataLoader(programs.Killed(how), num_workers=2))
    with pytest.raises(RuntimeError, match=message):
        list(batches)
    assert gone([w.pid for w in batches._workers])
    assert not shared_memory.left_since(before)


def test_persistent_workers_start_again_after_one_was_killed():
    loader = DataLoader(programs.Rows(8), num_workers=2, persistent_workers=True)
    first = iter(loader)
    pids = [w.pid for w in first._workers]
    assert len(list(first)) == 8 and [w.pid for w in iter(loader)._workers] == pids
    os.kill(pids[0], signal.SIGKILL)
    with pytest.raises(RuntimeError, match=f"pid {pids[0]}"):
        list(loader)
    assert len(list(loader)) == 8


def test_timeout(monkeypatch):
    monkeypatch.setattr(iterators, "MP_STATUS_CHECK_INTERVAL", 0.2)
    loader = DataLoader(programs.Slow(), num_workers=1, timeout=0.5)
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.5 seconds"):
        list(loader)


def test_iterator_deleted_in_the_middle():
    batches = iter(DataLoader(programs.Rows(1000), num_workers=2))
    next(batches)
    pids = [w.pid for w in batches._workers]
    del batches
    gc.collect()
    assert gone(pids)


def run(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.utils.loader_programs", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("program", (("main_is_killed", "fork"), ("main_is_killed", "spawn"), ("left_open",)))
def test_workers_end_with_the_program(program):
    process = run(*program)
    output, _ = process.communicate(timeout=60)
    pids = output.split()
    assert len(pids) == 2 and gone(pids)


def test_interrupt():
    process = run("interrupted", start_new_session=True)
    pids = process.stdout.readline().split()
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert output == "interrupted\n" and "Traceback" not in errors, errors
    assert gone(pids)


def test_memory_is_used_again():
    """Blocks that nothing looks at are filled anew, those in use are left alone."""
    loader = DataLoader(programs.Rows(60, (50, 50)), num_workers=1)
    kept, places = [], set()
    for i, batch in enumerate(loader):
        places.add(batch["x"].data_ptr())
        if i % 10 == 0:
            kept.append(batch["x"][0, 0, :3])  # part of it is enough
    assert len(places) < 20
    assert [x.tolist() for x in kept] == [[i * 10.0] * 3 for i in range(6)]


def test_large_and_odd_batches():
    """Long lists, arrays of all kinds, structures with shared parts."""
    x = rl.arange(24.0).reshape(2, 3, 4)
    samples = [
        ["text"] * 20000,
        {"t": x.transpose(0, 2), "half": rl.ones(3000, dtype=rl.bfloat16), "empty": rl.zeros(0, 3)},
        (np.asfortranarray(np.arange(10000.0).reshape(100, 100)), np.array(["a", "b"]), None),
        [x, x],
        rl.nn.Parameter(rl.ones(2)),
        rl.zeros(2, 3, 20, 20).to(memory_format=rl.channels_last),
        rl.ones(1).expand(4000),
    ]
    loaded = list(DataLoader(samples, batch_size=None, num_workers=1, collate_fn=_itself))
    assert loaded[0] == samples[0]
    assert loaded[1]["t"].tolist() == samples[1]["t"].tolist() and loaded[1]["half"].dtype == rl.bfloat16
    assert loaded[1]["empty"].shape == (0, 3)
    assert (loaded[2][0] == samples[2][0]).all() and loaded[2][1].tolist() == ["a", "b"]
    assert loaded[3][0] is loaded[3][1]
    assert isinstance(loaded[4], rl.nn.Parameter) and loaded[4].requires_grad
    assert loaded[5].is_contiguous(memory_format=rl.channels_last)
    assert loaded[6].tolist() == [1.0] * 4000
    for value in loaded[2][0], loaded[1]["half"]:
        value[0] = 0  # they can be written to


def _itself(sample):
    return sample


def test_long_lists_of_indices():
    """More than a socket holds, in both directions."""
    sampler = [list(range(i, i + 100_000)) for i in range(6)]
    loader = DataLoader(range(200_000), batch_sampler=sampler, num_workers=1, collate_fn=_itself)
    assert [batch[0] for batch in loader] == list(range(6))


def test_two_loaders_at_once():
    first, second = (DataLoader(range(6), num_workers=1) for _ in range(2))
    assert [(a.item(), b.item()) for a, b in zip(first, second, strict=True)] == [(i, i) for i in range(6)]


def test_arguments():
    torch = pytest.importorskip("torch")
    wrong = {
        "context": lambda d: d.DataLoader([1], num_workers=1, multiprocessing_context="thread"),
        "kind of context": lambda d: d.DataLoader([1], num_workers=1, multiprocessing_context=3),
        "prefetch": lambda d: d.DataLoader([1], num_workers=1, prefetch_factor=-1),
        "timeout": lambda d: list(d.DataLoader([1], timeout=3)),
    }
    for name, program in wrong.items():
        with pytest.raises(Exception) as theirs:
            program(torch.utils.data)
        with pytest.raises(Exception) as ours:
            program(rl.utils.data)
        assert ours.type is theirs.type, name
    with pytest.raises(AssertionError, match="prefetch_factor must be greater than 0"):
        list(DataLoader([1], num_workers=1, prefetch_factor=0))
    assert DataLoader([1], num_workers=1).prefetch_factor == 2
    with pytest.warns(UserWarning, match="This DataLoader will create 1000 worker processes in total"):
        DataLoader([1], num_workers=1000)


@pytest.mark.parametrize("drop_last", (False, True))
@pytest.mark.parametrize("shuffle", (False, True))
def test_distributed_sampler(shuffle, drop_last):
    torch = pytest.importorskip("torch")

    def program(lib, n, replicas, rank):
        sampler = lib.utils.data.distributed.DistributedSampler(
            range(n), replicas, rank, shuffle=shuffle, seed=4, drop_last=drop_last
        )
        sampler.set_epoch(2)
        return list(sampler), len(sampler), sampler.total_size

    for case in ((10, 2, 0), (10, 3, 2), (2, 5, 4), (7, 1, 0), (1, 3, 1)):
        assert program(rl, *case) == program(torch, *case), case
    with pytest.raises(ValueError, match="Invalid rank 3"):
        program(rl, 5, 3, 3)


def test_paths_that_scripts_import_from():
    import importlib

    for path, names in {
        "dataloader": "DataLoader default_collate _BaseDataLoaderIter _MultiProcessingDataLoaderIter "
        "_SingleProcessDataLoaderIter _InfiniteConstantSampler get_worker_info",
        "dataset": "Dataset random_split ConcatDataset StackDataset ChainDataset Subset",
        "sampler": "Sampler BatchSampler SubsetRandomSampler WeightedRandomSampler",
        "distributed": "DistributedSampler",
        "_utils.collate": "default_collate_fn_map collate",
        "_utils.worker": "get_worker_info WorkerInfo",
    }.items():
        module = importlib.import_module(f"rushlight.utils.data.{path}")
        assert all(hasattr(module, name) for name in names.split()), path
