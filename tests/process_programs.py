"""Functions that tests run in other processes, which import this module when they are spawned."""

import datetime
import os
import signal
import sys
import time

import rushlight as torch
import rushlight.distributed as dist
from rushlight import nn

# -- multiprocessing --------------------------------------------------------------------------------------


def write(tensor, value):
    tensor.fill_(value)


def answer(requests, answers):
    """Change what comes and send back something new."""
    tensor = requests.get(timeout=60)
    tensor[0] = 42
    base = torch.arange(6.0)
    answers.put((base, base[2:], torch.zeros(0, 3), torch.ones(2, dtype=torch.bfloat16)))
    requests.get(timeout=60)  # until they have arrived


def through_pipe(connection):
    tensor = connection.recv()
    tensor.add_(1)
    connection.send("done")


def through_pipe_storage(connection):
    connection.recv().fill_(7)
    connection.send("done")


def put_and_end(queue):
    queue.put(torch.ones(3))


def train(model, steps):
    """Hogwild: steps on a model that other processes train too."""
    torch.set_num_threads(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.5)
    x = torch.linspace(-1, 1, 32).reshape(-1, 1)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), 2 * x + 1).backward()
        optimizer.step()


def number(i, results, offset):
    results[i] = i + offset


def fail(i, how):
    if i == 1:
        if how == "raise":
            raise ValueError("oh dear")
        if how == "exit":
            sys.exit(7)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(30)


def square(x):
    return x * x


# -- distributed ------------------------------------------------------------------------------------------


def member(rank, url, size, name, *args):
    """Join a group, run a function below, leave."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", url, rank=rank, world_size=size, timeout=datetime.timedelta(seconds=15))
    globals()[name](rank, size, *args)
    dist.destroy_process_group()
    assert not dist.is_initialized()


def same(a, b):
    assert a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b), (a, b)


def raises(kind, text, function):
    try:
        function()
    except kind as error:
        assert text in str(error), str(error)
    else:
        raise AssertionError(f"no {kind.__name__}")


def collectives(rank, size):
    ranks = torch.arange(float(size))
    assert (dist.get_rank(), dist.get_world_size(), dist.get_backend()) == (rank, size, "gloo")
    reductions = {
        "SUM": ranks.sum(), "AVG": ranks.mean(), "MAX": ranks.max(), "MIN": ranks.min(), "PRODUCT": ranks.prod(),
    }  # fmt: skip
    for op, expected in reductions.items():
        x = torch.full((2, 3), float(rank))
        assert dist.all_reduce(x, getattr(dist.ReduceOp, op)) is None
        same(x, torch.full((2, 3), expected.item()))
    for dtype in (torch.int64, torch.uint8, torch.float64, torch.bfloat16, torch.float16, torch.complex64):
        x = torch.full((3,), rank + 1).to(dtype)
        dist.all_reduce(x)
        same(x, torch.full((3,), sum(range(size + 1))).to(dtype))
    for op, function in (("BAND", int.__and__), ("BOR", int.__or__), ("BXOR", int.__xor__)):
        x = torch.tensor([6 + rank])
        dist.all_reduce(x, op=getattr(dist.ReduceOp, op))
        expected = 6
        for i in range(1, size):
            expected = function(expected, 6 + i)
        assert x.item() == expected
    x = torch.arange(200_000.0) * (rank + 1)
    dist.all_reduce(x)
    same(x, torch.arange(200_000.0) * sum(range(size + 1)))
    x = torch.ones(3, 2).t()
    dist.all_reduce(x)  # not contiguous
    same(x, torch.full((2, 3), float(size)))
    x = torch.full((2,), float(rank))
    dist.broadcast(x, src=1)
    same(x, torch.ones(2))
    x = torch.full((2,), float(rank))
    dist.reduce(x, dst=size - 1)
    same(x, torch.full((2,), ranks.sum().item() if rank == size - 1 else float(rank)))
    gathered = [torch.zeros(2) for _ in range(size)]
    dist.all_gather(gathered, torch.full((2,), float(rank)))
    same(torch.stack(gathered), ranks.reshape(-1, 1).expand(size, 2).clone())
    into = torch.zeros(size * 2)
    dist.all_gather_into_tensor(into, torch.full((2,), float(rank)))
    same(into, ranks.repeat_interleave(2))
    gathered = [torch.zeros(1) for _ in range(size)] if rank == 0 else None
    dist.gather(torch.tensor([float(rank)]), gathered, dst=0)
    assert rank or torch.cat(gathered).tolist() == ranks.tolist()
    x = torch.zeros(1)
    dist.scatter(x, [torch.tensor([i * 2.0]) for i in range(size)] if rank == 1 else None, src=1)
    assert x.item() == rank * 2
    x = torch.zeros(2)
    dist.reduce_scatter(x, [torch.full((2,), float(i + rank)) for i in range(size)])
    same(x, torch.full((2,), float(sum(rank + i for i in range(size)))))
    x = torch.zeros(1)
    dist.reduce_scatter_tensor(x, ranks + rank)
    assert x.item() == sum(rank + i for i in range(size))
    given = [torch.full((i + 1,), float(rank * 10 + i)) for i in range(size)]
    taken = [torch.zeros(rank + 1) for _ in range(size)]
    dist.all_to_all(taken, given)
    assert [t.tolist() for t in taken] == [[i * 10.0 + rank] * (rank + 1) for i in range(size)]
    out = torch.zeros(size)
    dist.all_to_all_single(out, ranks + 10 * rank)
    same(out, ranks * 10 + rank)


def messages(rank, size):
    before, after = (rank - 1) % size, (rank + 1) % size
    x, y = torch.tensor([float(rank)]), torch.zeros(1)
    waiting = [dist.irecv(y, before), dist.isend(x, after)]
    assert all(w.wait() for w in waiting) and y.item() == before
    works = dist.batch_isend_irecv([dist.P2POp(dist.irecv, y, after), dist.P2POp(dist.isend, x, before)])
    assert [w.wait() for w in works] and y.item() == after
    if rank == 0:
        dist.send(torch.tensor([1.0]), 1, tag=1)
        dist.send(torch.tensor([2.0]), 1, tag=2)
        assert dist.recv(y) == 1 and y.item() == 5  # from anybody
        dist.send_object_list([{"a": 1}, "b"], 1)
    elif rank == 1:
        dist.recv(y, 0, tag=2)
        assert y.item() == 2
        dist.recv(y, 0, tag=1)
        assert y.item() == 1
        dist.send(torch.tensor([5.0]), 0)
        objects = [None, None]
        dist.recv_object_list(objects, 0)
        assert objects == [{"a": 1}, "b"]
    works = [(i, torch.full((1000,), float(rank + i))) for i in range(5)]
    works = [(i, t, dist.all_reduce(t, async_op=True)) for i, t in works]
    dist.barrier()  # in between
    for i, t, work in works:
        assert work.wait() and work.is_completed() and work.is_success()
        same(t, torch.full((1000,), float(sum(r + i for r in range(size)))))
    objects = [None] * size
    dist.all_gather_object(objects, {"rank": rank})
    assert objects == [{"rank": i} for i in range(size)]
    objects = [rank, "x" * rank]
    dist.broadcast_object_list(objects, src=1)
    assert objects == [1, "x"]
    objects = [None] * size if rank == 0 else None
    dist.gather_object(rank, objects)
    assert rank or objects == list(range(size))
    objects = [None]
    dist.scatter_object_list(objects, [f"for {i}" for i in range(size)] if rank == 0 else None)
    assert objects == [f"for {rank}"]
    dist.monitored_barrier()


def groups(rank, size):
    pair = dist.new_group([1, 2])
    everybody = dist.new_group()
    if rank == 0:
        assert (
            pair == dist.GroupMember.NON_GROUP_MEMBER
            and dist.get_rank(pair) == dist.get_world_size(pair) == -1
        )
        assert dist.all_reduce(torch.ones(1), group=pair) is None
    else:
        x = torch.tensor([float(rank)])
        dist.all_reduce(x, group=pair)
        assert x.item() == 3 and dist.get_process_group_ranks(pair) == [1, 2]
        assert dist.get_rank(pair) == rank - 1 and dist.get_global_rank(pair, 0) == 1
        dist.broadcast(x, src=2, group=pair)
        dist.broadcast(x, group_src=0, group=pair)
        raises(ValueError, "not part of the group", lambda: dist.broadcast(x, src=0, group=pair))
    x = torch.ones(1)
    dist.all_reduce(x, group=everybody)
    assert x.item() == size and dist.get_pg_count() == (2 if rank == 0 else 3)


def mistakes(rank, size):
    ones = torch.ones(2)
    raises(TypeError, "Expected parameter `tensor` of type", lambda: dist.all_reduce([1]))
    raises(TypeError, "Expected parameter `tensor_list`", lambda: dist.all_gather(ones, ones))
    raises(ValueError, "one tensor for each", lambda: dist.all_gather([ones], ones))
    raises(RuntimeError, "invalid tensor size at index 1", lambda: dist.all_gather([ones, ones[:1]], ones))
    raises(ValueError, "different dtypes", lambda: dist.all_gather([ones, ones.int()], ones))
    raises(RuntimeError, "non-integral dtype", lambda: dist.all_reduce(ones, dist.ReduceOp.BOR))
    raises(RuntimeError, "Invalid scalar type", lambda: dist.all_reduce(ones.bool()))
    raises(ValueError, "same as the rank", lambda: dist.send(ones, rank))
    raises(ValueError, "Must specify", lambda: dist.broadcast(ones))
    raises(ValueError, "twice", lambda: dist.init_process_group("gloo"))
    raises(ValueError, "new_group", lambda: dist.new_group([0, 9]))
    if rank == 0:
        raises(ValueError, "gather_list", lambda: dist.gather(ones))
    dist.barrier()


def too_late(rank, size):
    """Rank 1 does not take part, then ends."""
    short = datetime.timedelta(seconds=0.3)
    slow = dist.new_group(timeout=short)
    if rank == 1:
        dist.barrier()
        os._exit(0)
    x = torch.ones(1)
    raises(RuntimeError, "Timed out waiting 300ms", lambda: dist.all_reduce(x, group=slow))
    raises(
        RuntimeError, "Timed out waiting 300ms", lambda: dist.all_reduce(x, group=slow, async_op=True).wait()
    )
    raises(
        RuntimeError, "is not done after 0.3 s", lambda: dist.barrier(timeout=short, group=dist.new_group())
    )
    raises(RuntimeError, "Ranks 1 failed to pass monitoredBarrier", lambda: dist.monitored_barrier(slow))
    dist.barrier()
    raises(RuntimeError, "rank 1 has ended", lambda: dist.recv(x, 1))
    raises(RuntimeError, "rank 1 has ended", lambda: [dist.all_reduce(torch.ones(100_000)) for _ in range(3)])


class Net(nn.Module):
    """Two heads, of which a pass uses one; a buffer; two types of parameters."""

    def __init__(self):
        super().__init__()
        self.body, self.norm = nn.Linear(4, 6), nn.BatchNorm1d(6)
        self.heads = nn.ModuleList([nn.Linear(6, 2, dtype=torch.float64) for _ in range(3)])

    def forward(self, x, head=0):
        return self.heads[head](self.norm(self.body(x)).relu().double())


def alike(tensors):
    values = [t.detach().double().tolist() for t in tensors]
    everybody = [None] * dist.get_world_size()
    dist.all_gather_object(everybody, values)
    assert all(other == everybody[0] for other in everybody)


def data_parallel(rank, size):
    from rushlight.nn.parallel import DistributedDataParallel

    x = torch.randn(8 * size, 4, generator=torch.Generator().manual_seed(1))
    mine = x[rank * 8 : rank * 8 + 8]
    torch.manual_seed(rank)
    net = Net()
    model = DistributedDataParallel(net, bucket_cap_mb=0.0001, find_unused_parameters=True)
    alike([*net.parameters(), *net.buffers()])  # those of rank 0 from now on
    local = Net()
    local.load_state_dict(net.state_dict())
    assert next(iter(model.state_dict())) == "module.body.weight"

    # The average of what each process would get alone.
    model(mine).pow(2).mean().backward()
    local(mine).pow(2).mean().backward()
    for p, q in zip(net.parameters(), local.parameters(), strict=True):
        if q.grad is None:
            assert p.grad is None  # used by nobody
            continue
        dist.all_reduce(q.grad, dist.ReduceOp.AVG)
        assert torch.allclose(p.grad, q.grad)
    alike([p.grad for p in net.parameters() if p.grad is not None])

    # Another head in each process.
    model.zero_grad()
    model(mine, head=rank).pow(2).mean().backward()
    assert all(net.heads[i].weight.grad is not None for i in range(size))
    assert size == 3 or net.heads[2].weight.grad is None
    alike([p.grad for p in net.parameters() if p.grad is not None])

    # Steps that are not synchronized, then one that is.
    model.zero_grad()
    with model.no_sync():
        model(mine).sum().backward()
    own = net.heads[0].weight.grad.clone()
    model(mine).sum().backward()
    expected = own * 2
    dist.all_reduce(expected, dist.ReduceOp.AVG)
    assert torch.allclose(net.heads[0].weight.grad, expected)

    # Training ends with the same model everywhere.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        model(mine).pow(2).mean().backward()
        optimizer.step()
    alike(net.parameters())
    with torch.no_grad():
        model.eval()
        model(mine)

    # Mistakes.
    forgetful = DistributedDataParallel(Net())
    forgetful(mine).sum().backward()
    raises(RuntimeError, "not used in producing loss: heads.1.weight", lambda: forgetful(mine))
    raises(RuntimeError, "doesn't have any parameters", lambda: DistributedDataParallel(nn.ReLU()))
    raises(ValueError, "device_ids", lambda: DistributedDataParallel(net, device_ids=[0]))
    raises(
        RuntimeError, "same model across all ranks", lambda: DistributedDataParallel(nn.Linear(2, 1 + rank))
    )


def collectives_with_gradients(rank, size):
    """Each collective of distributed.nn, and its gradient, by hand."""
    functions = dist.nn
    ranks = range(size)
    weight = torch.arange(1.0, size + 1)  # of this process's results: rank + 1

    def grad(function, *like, weights=None):
        made = [
            torch.full((2,), float(rank + 1 + i), requires_grad=True) for i in range(like[0] if like else 1)
        ]
        out = function(*made)
        parts = out if isinstance(out, tuple) else (out,)
        weights = [float(weight[rank])] * len(parts) if weights is None else weights
        sum((p * w).sum() for p, w in zip(parts, weights, strict=True)).backward()
        return [p[0].item() for p in parts], [m.grad[0].item() for m in made]

    total = float(sum(weight))
    assert grad(functions.all_reduce) == ([total], [total])
    assert grad(lambda x: functions.broadcast(x, 1)) == ([2.0], [total if rank == 1 else 0.0])
    value = total if rank == 0 else None
    out, given = grad(lambda x: functions.reduce(x, 0))
    assert given == [1.0] and (value is None or out == [value])
    assert grad(functions.all_gather) == ([r + 1.0 for r in ranks], [total])
    out, given = grad(lambda x: functions.gather(x, 1), weights=[float(r + 5) for r in ranks])
    assert out == ([r + 1.0 for r in ranks] if rank == 1 else [0.0] * size) and given == [rank + 5.0]
    out, given = grad(lambda *x: functions.scatter(x, 1), size)
    assert out == [2.0 + rank] and given == ([r + 1.0 for r in ranks] if rank == 1 else [0.0] * size)
    out, given = grad(lambda *x: functions.reduce_scatter(torch.empty(2), x), size)
    assert out == [sum(r + 1.0 + rank for r in ranks)] and given == [r + 1.0 for r in ranks]
    out, given = grad(lambda *x: functions.all_to_all([torch.empty(2) for _ in ranks], x), size)
    assert out == [r + 1.0 + rank for r in ranks] and given == [r + 1.0 for r in ranks]
    x = torch.full((size, 2), rank + 1.0, requires_grad=True)
    y = functions.all_to_all_single(torch.empty(size, 2), x)
    (y * (rank + 1)).sum().backward()
    assert y[:, 0].tolist() == x.grad[:, 0].tolist() == [r + 1.0 for r in ranks]
