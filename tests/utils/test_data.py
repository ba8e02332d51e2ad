"""Datasets, samplers, collation and the DataLoader against PyTorch's: the same batches after the same
seed."""

import collections
import itertools
import tracemalloc

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")

Point = collections.namedtuple("Point", "x y")


def plain(value):
    """Tensors of either library as something comparable, with their types."""
    if isinstance(value, rl.Tensor | torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.tolist()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return type(value).__name__, {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [plain(v) for v in value]
    return value


def data(lib):
    return lib.utils.data


def both(program):
    """What a program gives with each library, its exception included."""
    results = []
    for lib in (rl, torch):
        lib.manual_seed(7)
        try:
            results.append(plain(program(lib)))
        except Exception as error:
            results.append((type(error), str(error)))
    return results


def check(program):
    ours, theirs = both(program)
    if isinstance(theirs, tuple) and isinstance(theirs[0], type):
        assert ours[0] is theirs[0], ours
    else:
        assert ours == theirs


def pairs(lib, n=10):
    return data(lib).TensorDataset(lib.arange(n), lib.arange(2.0 * n).reshape(n, 2))


def squares(lib, n=10):
    class Squares(data(lib).Dataset):
        def __len__(self):
            return n

        def __getitem__(self, i):
            return {"i": i, "square": lib.tensor(i * i), "name": f"n{i}", "pair": (i, float(i))}

    return Squares()


def stream(lib, n=10, length=None):
    class Stream(data(lib).IterableDataset):
        def __iter__(self):
            return iter(range(n))

        if length is not None:

            def __len__(self):
                return length

    return Stream()


LOADERS = {
    "one by one": lambda lib: data(lib).DataLoader(pairs(lib)),
    "batches": lambda lib: data(lib).DataLoader(pairs(lib), batch_size=3),
    "drop last": lambda lib: data(lib).DataLoader(pairs(lib), batch_size=3, drop_last=True),
    "larger than all": lambda lib: data(lib).DataLoader(pairs(lib), batch_size=30),
    "shuffled": lambda lib: data(lib).DataLoader(pairs(lib), batch_size=3, shuffle=True),
    "shuffled drop": lambda lib: data(lib).DataLoader(pairs(lib), batch_size=4, shuffle=True, drop_last=True),
    "generator": lambda lib: data(lib).DataLoader(
        pairs(lib), batch_size=3, shuffle=True, generator=lib.Generator().manual_seed(3)
    ),
    "no batches": lambda lib: data(lib).DataLoader(pairs(lib), batch_size=None, shuffle=True),
    "dicts": lambda lib: data(lib).DataLoader(squares(lib), batch_size=4, shuffle=True),
    "dicts one by one": lambda lib: data(lib).DataLoader(squares(lib), batch_size=None),
    "own collate": lambda lib: data(lib).DataLoader(pairs(lib), batch_size=4, collate_fn=len),
    "range": lambda lib: data(lib).DataLoader(range(7), batch_size=2, shuffle=True),
    "list": lambda lib: data(lib).DataLoader([1.5, 2.5, 3.5], batch_size=2),
    "arrays": lambda lib: data(lib).DataLoader([np.arange(3), np.arange(3) * 2], batch_size=2),
    "sampler": lambda lib: data(lib).DataLoader(pairs(lib), batch_size=2, sampler=[5, 1, 1, 9]),
    "batch sampler": lambda lib: data(lib).DataLoader(pairs(lib), batch_sampler=[[1, 2], [3], [4, 5, 6]]),
    "batch sampler of random": lambda lib: data(lib).DataLoader(
        pairs(lib), batch_sampler=data(lib).BatchSampler(data(lib).RandomSampler(range(10)), 3, False)
    ),
    "subset": lambda lib: data(lib).DataLoader(
        data(lib).Subset(pairs(lib), [9, 3, 4]), batch_size=2, shuffle=True
    ),
    "subset of subset": lambda lib: data(lib).DataLoader(
        data(lib).Subset(data(lib).Subset(squares(lib), [9, 3, 4, 5]), [3, 0]), batch_size=2
    ),
    "split": lambda lib: data(lib).DataLoader(
        data(lib).random_split(pairs(lib), [0.5, 0.5])[1], batch_size=2
    ),
    "concat": lambda lib: data(lib).DataLoader(pairs(lib) + pairs(lib, 3), batch_size=4, shuffle=True),
    "stack": lambda lib: data(lib).DataLoader(data(lib).StackDataset(range(10), pairs(lib)), batch_size=4),
    "stack by name": lambda lib: data(lib).DataLoader(
        data(lib).StackDataset(a=range(10), b=data(lib).Subset(pairs(lib), range(10))), batch_size=4
    ),
    "stream": lambda lib: data(lib).DataLoader(stream(lib), batch_size=3),
    "stream drop": lambda lib: data(lib).DataLoader(stream(lib), batch_size=3, drop_last=True),
    "stream even": lambda lib: data(lib).DataLoader(stream(lib, 9), batch_size=3, drop_last=True),
    "stream one by one": lambda lib: data(lib).DataLoader(stream(lib), batch_size=None),
    "chain": lambda lib: data(lib).DataLoader(stream(lib, 3) + stream(lib, 4), batch_size=3),
    "replacement": lambda lib: data(lib).DataLoader(
        pairs(lib), batch_size=8, sampler=data(lib).RandomSampler(range(10), replacement=True, num_samples=75)
    ),
    "weights": lambda lib: data(lib).DataLoader(
        pairs(lib), batch_size=8, sampler=data(lib).WeightedRandomSampler([1.0, 2, 3, 0, 5], 20)
    ),
}


@pytest.mark.parametrize("case", LOADERS)
def test_batches(case):
    """Two epochs of batches, with what is drawn afterwards."""
    check(lambda lib: [*(list(LOADERS[case](lib)) for _ in range(2)), lib.rand(2)])


@pytest.mark.parametrize("case", [c for c in LOADERS if "stream" not in c and c != "chain"])
def test_lengths_and_two_epochs_of_one_loader(case):
    def program(lib):
        loader = LOADERS[case](lib)
        return [len(loader), list(loader), list(loader), len(iter(loader))]

    check(program)


def test_interleaved_epochs():
    def program(lib):
        loader = data(lib).DataLoader(pairs(lib), batch_size=4, shuffle=True)
        first, second = iter(loader), iter(loader)
        return [next(first), lib.rand(1), next(second), next(first), next(second)]

    check(program)


def test_stream_lengths():
    check(lambda lib: [len(data(lib).DataLoader(stream(lib, 10, 10), batch_size=b)) for b in (1, 3, None)])
    check(lambda lib: len(data(lib).DataLoader(stream(lib, 10, 10), batch_size=3, drop_last=True)))
    check(lambda lib: len(data(lib).DataLoader(stream(lib), batch_size=3)))
    loader = rl.utils.data.DataLoader(stream(rl, 5, 3), batch_size=None)
    assert len(loader) == 3
    with pytest.warns(UserWarning, match="was reported to be 3"):
        list(loader)


def test_training_order_over_epochs():
    """Three epochs beside other draws, as a training loop makes them."""

    def program(lib):
        loader = data(lib).DataLoader(pairs(lib, 23), batch_size=5, shuffle=True)
        seen = []
        for _ in range(3):
            for x, _ in loader:
                seen.append((x, lib.rand(1)))
        return seen

    check(program)


SAMPLERS = {
    "sequential": lambda s, lib: s.SequentialSampler(range(4)),
    "random": lambda s, lib: s.RandomSampler(range(9)),
    "fewer": lambda s, lib: s.RandomSampler(range(9), num_samples=4),
    "more": lambda s, lib: s.RandomSampler(range(9), num_samples=21),
    "replacement": lambda s, lib: s.RandomSampler(range(9), replacement=True),
    "many": lambda s, lib: s.RandomSampler(range(9), replacement=True, num_samples=100),
    "generator": lambda s, lib: s.RandomSampler(
        range(9), num_samples=12, generator=lib.Generator().manual_seed(1)
    ),
    "subset": lambda s, lib: s.SubsetRandomSampler([4, 7, 1, 0]),
    "weights": lambda s, lib: s.WeightedRandomSampler([0.1, 0.9, 0.4], 10),
    "weights without": lambda s, lib: s.WeightedRandomSampler([0.1, 0.9, 0.4], 3, replacement=False),
    "batches": lambda s, lib: s.BatchSampler(range(10), 3, False),
    "whole batches": lambda s, lib: s.BatchSampler(s.RandomSampler(range(10)), 3, True),
}


@pytest.mark.parametrize("case", SAMPLERS)
def test_samplers(case):
    def program(lib):
        sampler = SAMPLERS[case](data(lib), lib)
        return [len(sampler), list(sampler), list(sampler), lib.rand(1)]

    check(program)


COLLATE = {
    "tensors": lambda lib: [lib.ones(2, 3), lib.zeros(2, 3)],
    "0-d tensors": lambda lib: [lib.tensor(1), lib.tensor(2)],
    "strided": lambda lib: [lib.arange(6.0).reshape(2, 3).t(), lib.ones(3, 2)],
    "ints": lambda lib: [1, 2],
    "bools": lambda lib: [True, False],
    "floats": lambda lib: [1.5, 2.5],
    "text": lambda lib: ["a", "b"],
    "bytes": lambda lib: [b"a", b"b"],
    "numpy": lambda lib: [np.ones(2), np.zeros(2)],
    "float32": lambda lib: [np.float32(1), np.float32(2)],
    "float64": lambda lib: [np.float64(1), np.float64(2)],
    "int32": lambda lib: [np.int32(1), np.int32(2)],
    "numpy bool": lambda lib: [np.bool_(True), np.bool_(False)],
    "0-d arrays": lambda lib: [np.array(1.0), np.array(2.0)],
    "numpy text": lambda lib: [np.array(["a"]), np.array(["b"])],
    "tuples": lambda lib: [(1, lib.ones(1)), (2, lib.zeros(1))],
    "lists": lambda lib: [[1, 2.0, "x"], [3, 4.0, "y"]],
    "dicts": lambda lib: [{"a": 1, "b": [2]}, {"a": 3, "b": [4]}],
    "ordered": lambda lib: [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
    "default dict": lambda lib: [collections.defaultdict(int, a=1), collections.defaultdict(int, a=2)],
    "named": lambda lib: [Point(1, 2.0), Point(3, 4.0)],
    "ranges": lambda lib: [range(2), range(2)],
    "nested": lambda lib: [{"a": (1, {"b": lib.ones(1)})}] * 2,
    "uneven": lambda lib: [[1, 2], [3]],
    "shapes": lambda lib: [lib.ones(2), lib.ones(3)],
    "none": lambda lib: [None, None],
    "object": lambda lib: [object()],
    "mixed dtypes": lambda lib: [lib.ones(2), lib.ones(2, dtype=lib.float64)],
    "empty tensors": lambda lib: [lib.zeros(0), lib.zeros(0)],
    "missing key": lambda lib: [{"a": 1}, {"b": 1}],
}


@pytest.mark.parametrize("case", COLLATE)
def test_collate(case):
    check(lambda lib: data(lib).default_collate(COLLATE[case](lib)))


@pytest.mark.parametrize("case", COLLATE)
def test_convert(case):
    if case != "object":
        check(lambda lib: data(lib).default_convert(COLLATE[case](lib)))


def test_collate_of_recorded_tensors():
    x = rl.ones(2, requires_grad=True)
    batch = rl.utils.data.default_collate([x, x * 2])
    batch.sum().backward()
    assert x.grad.tolist() == [3, 3]
    dataset = rl.utils.data.TensorDataset(rl.ones(4, 2, requires_grad=True))
    assert next(iter(rl.utils.data.DataLoader(dataset, batch_size=2)))[0].requires_grad


def test_collated_batches_are_copies():
    x = rl.arange(6.0)
    for (batch,) in rl.utils.data.DataLoader(rl.utils.data.TensorDataset(x), batch_size=3):
        batch.zero_()
    assert x.tolist() == [0, 1, 2, 3, 4, 5]


def test_custom_collate_map():
    def program(lib):
        collate = lib.utils.data._utils.collate
        functions = {**collate.default_collate_fn_map, complex: lambda batch, collate_fn_map=None: len(batch)}
        return collate.collate([(1j, 2), (3j, 4)], collate_fn_map=functions)

    check(program)


def test_overridden_getitem_is_used():
    """The shortcut for TensorDataset must not pass by what a subclass does."""

    def program(lib):
        class Negative(data(lib).TensorDataset):
            def __getitem__(self, i):
                return -self.tensors[0][i]

        class Many(data(lib).TensorDataset):
            def __getitems__(self, indices):
                return [(lib.tensor(len(indices)),) for _ in indices]

        class Part(data(lib).Subset):
            def __getitem__(self, i):
                return 0

            def __getitems__(self, indices):
                return [0 for _ in indices]

        x = lib.arange(4)
        sets = [Negative(x), Many(x), Part(pairs(lib), [1, 2]), data(lib).Subset(Negative(x), [2, 3])]
        return [list(data(lib).DataLoader(s, batch_size=2)) for s in sets]

    check(program)


SPLITS = [
    [3, 7],
    [0.3, 0.7],
    [1 / 3, 1 / 3, 1 / 3],
    [0.5, 0.25, 0.25],
    [10],
    [3, 3],
    [0.5, 0.2],
    [-0.5, 1.5],
    [5, 5, 0],
]


@pytest.mark.parametrize("lengths", SPLITS)
def test_random_split(lengths):
    check(lambda lib: [s.indices for s in data(lib).random_split(range(10), lengths)])
    generator = lambda lib: lib.Generator().manual_seed(42)
    check(lambda lib: [list(s) for s in data(lib).random_split(range(10), lengths, generator=generator(lib))])


def test_empty_split_warns():
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        rl.utils.data.random_split(range(2), [0.9, 0.1])


def test_datasets():
    def program(lib):
        d = data(lib)
        both_ = d.ConcatDataset([range(3), range(10, 14)])
        stacked = d.StackDataset(range(3), "abc")
        subset = d.Subset(both_, [6, 0, 3])
        return [
            [both_[i] for i in range(-7, 7)], len(both_), both_.cumulative_sizes,
            [stacked[i] for i in range(3)],
            stacked.__getitems__([2, 0]), len(stacked), [subset[i] for i in range(3)],
            subset.__getitems__([2, 1]),
            list(d.ChainDataset([stream(lib, 2), stream(lib, 3)])), pairs(lib)[2], pairs(lib)[1:3],
            len(pairs(lib)),
            d.get_worker_info(),
        ]  # fmt: skip

    check(program)


def test_generic_annotations():
    class Typed(rl.utils.data.Dataset[int]):
        pass

    assert (
        rl.utils.data.DataLoader[int]
        and rl.utils.data.Sampler[int]
        and issubclass(Typed, rl.utils.data.Dataset)
    )


def wrong(lib):
    d = data(lib)
    load = d.DataLoader
    samples = range(4)
    return {
        "no getitem": lambda: d.Dataset()[0],
        "sizes": lambda: d.TensorDataset(lib.ones(2), lib.ones(3)),
        "no datasets": lambda: d.ConcatDataset([]),
        "stream in concat": lambda: d.ConcatDataset([stream(lib)]),
        "far index": lambda: d.ConcatDataset([range(3)])[-4],
        "beyond": lambda: d.ConcatDataset([range(3)])[3],
        "chain of lists": lambda: list(d.ChainDataset([[1]])),
        "stack nothing": lambda: d.StackDataset(),
        "stack both": lambda: d.StackDataset([1], a=[1]),
        "stack lengths": lambda: d.StackDataset([1], [1, 2]),
        "subset": lambda: type("S", (d.Subset,), {"__getitem__": lambda s, i: 0})(samples, [0]),
        "workers": lambda: load(samples, num_workers=-1),
        "timeout": lambda: load(samples, timeout=-1),
        "prefetch": lambda: load(samples, prefetch_factor=2),
        "persistent": lambda: load(samples, persistent_workers=True),
        "context": lambda: load(samples, multiprocessing_context="fork"),
        "sampler and shuffle": lambda: load(samples, sampler=[0], shuffle=True),
        "batch sampler and size": lambda: load(samples, batch_sampler=[[0]], batch_size=2),
        "batch sampler and drop": lambda: load(samples, batch_sampler=[[0]], drop_last=True),
        "none and drop": lambda: load(samples, batch_size=None, drop_last=True),
        "shuffled stream": lambda: load(stream(lib), shuffle=True),
        "sampled stream": lambda: load(stream(lib), sampler=[0]),
        "batched stream": lambda: load(stream(lib), batch_sampler=[[0]]),
        "batch size": lambda: load(samples, batch_size=0),
        "batch size type": lambda: load(samples, batch_size=2.0),
        "empty shuffled": lambda: load([], shuffle=True),
        "set later": lambda: setattr(load(samples), "batch_size", 3),
        "pickled iterator": lambda: iter(load(samples)).__getstate__(),
        "replacement": lambda: d.RandomSampler(samples, replacement=1),
        "samples": lambda: d.RandomSampler(samples, num_samples=0),
        "weights": lambda: d.WeightedRandomSampler([[1.0]], 2),
        "number of weights": lambda: d.WeightedRandomSampler([1.0], True),
        "weights replacement": lambda: d.WeightedRandomSampler([1.0], 1, replacement=1),
        "too many": lambda: list(d.WeightedRandomSampler([1.0], 2, replacement=False)),
        "drop": lambda: d.BatchSampler(samples, 2, 1),
        "abstract": lambda: iter(d.Sampler()),
        "lengths": lambda: d.random_split(samples, [1, 2]),
    }


@pytest.mark.parametrize("case", wrong(rl))
def test_errors(case):
    with pytest.raises(Exception) as theirs:
        wrong(torch)[case]()
    with pytest.raises(type(theirs.value)) as ours:
        wrong(rl)[case]()
    assert str(ours.value)


def test_pin_memory_warns():
    with pytest.warns(UserWarning, match="no accelerator is found"):
        assert len(list(rl.utils.data.DataLoader(range(3), pin_memory=True))) == 3


def test_endless_stream():
    class Endless(rl.utils.data.IterableDataset):
        def __iter__(self):
            return itertools.count()

    batches = iter(rl.utils.data.DataLoader(Endless(), batch_size=2))
    assert [next(batches).tolist() for _ in range(2)] == [[0, 1], [2, 3]]


def test_random_sampler_without_end():
    """A sampler of 1e10 samples, as loops without end make them, needs memory for a few only."""
    data = rl.utils.data
    sampler = data.RandomSampler(range(7), replacement=True, num_samples=10**10)
    tracemalloc.start()
    first = list(itertools.islice(iter(sampler), 70))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(first) == set(range(7)) and peak < 1e7
    few = list(data.RandomSampler(range(7), replacement=True, num_samples=70))
    assert len(few) == 70
