"""Tensors that processes share: through queues, pipes and arguments, forked and spawned."""

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import rushlight as torch
import rushlight.multiprocessing as mp
from rushlight import nn
from tests import process_programs as programs
from tests import shared_memory

METHODS = ("fork", "spawn")
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def finish(*processes):
    """All end, in time, without an error."""
    for process in processes:
        process.join(60)
        if process.exitcode is None:
            process.kill()
        assert process.exitcode == 0


def test_share_memory_moves_all_that_look_at_it():
    x = torch.arange(12.0).reshape(3, 4)
    row, handle, transposed = x[1], x.detach(), x.t()
    assert not x.is_shared()
    assert row.share_memory_() is row  # the whole memory moves, as in PyTorch
    assert all(t.is_shared() for t in (x, row, handle, transposed))
    x[1, 0] = 42
    assert row[0] == handle[1, 0] == transposed[0, 1] == 42
    assert transposed.stride() == (1, 4)
    place = x.data_ptr()
    assert x.share_memory_().data_ptr() == place
    assert torch.zeros(0).share_memory_().shape == (0,)
    assert not (x + 1).is_shared() and not x.clone().is_shared()
    large = torch.ones(700, 800).share_memory_()
    assert large.is_shared() and large.sum() == 560_000


def test_shared_parameters_stay_shared():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    model(torch.ones(5, 3)).sum().backward()
    assert model.share_memory() is model
    tensors = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters())]
    assert all(t.is_shared() for t in tensors)
    assert all(isinstance(p, nn.Parameter) and p.is_leaf and p.requires_grad for p in model.parameters())
    places = [p.data_ptr() for p in model.parameters()]
    for kind in (torch.optim.SGD, torch.optim.Adam):
        optimizer = kind(model.parameters(), lr=0.1)
        model(torch.ones(5, 3)).sum().backward()
        optimizer.step()
    model.load_state_dict(model.state_dict())
    assert [p.data_ptr() for p in model.parameters()] == places and model[0].weight.is_shared()


@pytest.mark.parametrize("method", METHODS)
def test_arguments_are_shared(method):
    before = shared_memory.names()
    context = mp.get_context(method)
    x = torch.zeros(3).share_memory_()
    parameter = nn.Parameter(torch.zeros(2)).share_memory_()
    large = torch.zeros(600, 600).share_memory_()
    processes = [
        context.Process(target=programs.write, args=(t, 5)) for t in (x, parameter.data, large[100:200])
    ]
    for process in processes:
        process.start()
    finish(*processes)
    assert x.tolist() == [5] * 3 and parameter.tolist() == [5] * 2 and large.sum() == 5 * 60_000
    assert not shared_memory.left_since(before)


@pytest.mark.parametrize("method", METHODS)
def test_queues(method):
    context = mp.get_context(method)
    requests, answers = context.Queue(), context.Queue()
    process = context.Process(target=programs.answer, args=(requests, answers))
    process.start()
    x = torch.zeros(2, 3)
    requests.put(x[1])
    base, part, empty, half = answers.get(timeout=60)
    requests.put(None)
    finish(process)
    assert x.tolist() == [[0, 0, 0], [42, 0, 0]] and x.is_shared()
    assert part.tolist() == [2, 3, 4, 5] and empty.shape == (0, 3) and half.dtype == torch.bfloat16
    part[0] = 9
    assert base[2] == 9  # still one memory


def test_storages():
    x = torch.arange(4.0)
    storage = x.untyped_storage()
    assert storage.share_memory_() is storage and x.is_shared() and storage.data_ptr() == x.data_ptr()
    context = mp.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=programs.through_pipe_storage, args=(there,))
    process.start()
    here.send(x.storage())
    assert here.recv() == "done" and x.tolist() == [7] * 4
    finish(process)


def test_pipe_and_pool():
    context = mp.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=programs.through_pipe, args=(there,))
    process.start()
    x = torch.zeros(3)
    here.send(x)
    assert here.recv() == "done" and x.tolist() == [1, 1, 1]
    finish(process)
    with context.Pool(2) as pool:
        results = pool.map_async(programs.square, [torch.full((2,), float(i)) for i in range(4)]).get(20)
        assert [r[0].item() for r in results] == [0, 1, 4, 9]


def test_sender_that_has_ended():
    context = mp.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=programs.put_and_end, args=(queue,))
    process.start()
    finish(process)
    with pytest.raises(RuntimeError, match="the process that sent it has ended"):
        queue.get(timeout=60)


def test_what_cannot_be_sent():
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(
        RuntimeError, match="Cowardly refusing to serialize non-leaf tensor which requires_grad"
    ):
        mp.reductions.reduce_tensor(x * 2)
    from multiprocessing.reduction import ForkingPickler

    class Labelled(torch.Tensor):
        pass

    assert pickle.loads(ForkingPickler.dumps({"a": 1})) == {"a": 1}
    assert ForkingPickler.dumps(torch.zeros(0)) and Labelled


@pytest.mark.parametrize("method", METHODS)
def test_hogwild(method):
    """Two processes train one model without locks."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1).share_memory()
    context = mp.get_context(method)
    processes = [context.Process(target=programs.train, args=(model, 150)) for _ in range(2)]
    for process in processes:
        process.start()
    finish(*processes)
    assert abs(model.weight.item() - 2) < 0.2 and abs(model.bias.item() - 1) < 0.2


def test_spawn():
    results = torch.zeros(2)
    assert mp.spawn(programs.number, (results, 10), nprocs=2) is None
    assert results.tolist() == [10, 11]
    started = mp.start_processes(programs.number, (results, 20), nprocs=2, join=False, start_method="fork")
    assert len(started.pids()) == 2
    while not started.join(60):
        continue
    assert results.tolist() == [20, 21]


def test_failures():
    with pytest.raises(
        mp.ProcessRaisedException, match="Process 1 terminated with the following error"
    ) as caught:
        mp.start_processes(programs.fail, ("raise",), nprocs=2, start_method="fork")
    assert "ValueError: oh dear" in str(caught.value) and caught.value.error_index == 1
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.error_index, again.error_pid) == (1, caught.value.error_pid)
    with pytest.raises(mp.ProcessExitedException, match="process 1 terminated with exit code 7") as caught:
        mp.start_processes(programs.fail, ("exit",), nprocs=2, start_method="fork")
    with pytest.raises(mp.ProcessExitedException, match="process 1 terminated with signal SIGKILL") as caught:
        mp.start_processes(programs.fail, ("kill",), nprocs=2, start_method="fork")
    assert caught.value.exit_code == -9 and caught.value.signal_name == "SIGKILL"
    assert pickle.loads(pickle.dumps(caught.value)).signal_name == "SIGKILL"


def test_names():
    import multiprocessing

    assert set(multiprocessing.__all__) <= set(mp.__all__)
    assert all(hasattr(mp, name) for name in mp.__all__)
    before = mp.get_sharing_strategy()
    assert before in mp.get_all_sharing_strategies()
    mp.set_sharing_strategy("file_system")
    assert mp.get_sharing_strategy() == "file_system"
    mp.set_sharing_strategy(before)
    with pytest.raises(AssertionError, match="invalid sharing strategy"):
        mp.set_sharing_strategy("telepathy")


SCRIPT = """
    import torch
    import torch.multiprocessing as mp
    from torch.utils.data import DataLoader

    def place(i, queue):
        queue.put((i, torch.__spec__.name))

    class Squares(torch.utils.data.Dataset):
        def __len__(self):
            return 5

        def __getitem__(self, i):
            return torch.tensor(i * i)

    if __name__ == "__main__":
        for method in ("spawn", "forkserver"):
            context = mp.get_context(method)
            queue = context.Queue()
            process = context.Process(target=place, args=(1, queue))
            process.start()
            print(*queue.get(timeout=60))
            process.join()
        loader = DataLoader(Squares(), batch_size=5, num_workers=1, multiprocessing_context=method)
        print(*[b.tolist() for b in loader])
"""


def test_processes_of_a_script_see_the_same_torch(tmp_path):
    """`python -m rushlight script.py`, whose processes import the script anew."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, "-m", "rushlight", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:-1] == ["1 rushlight", "1 rushlight", "[0, 1, 4, 9, 16]"], done.stderr


def test_numpy_arrays_keep_their_memory():
    """What `numpy()` gave before belongs to the old memory, and stays valid."""
    x = torch.ones(3)
    array = x.numpy()
    x.share_memory_()
    x.zero_()
    assert array.tolist() == [1, 1, 1] and np.shares_memory(x.numpy(), x._array)
