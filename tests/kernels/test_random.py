"""The random streams, reference and native, against PyTorch's CPU generator."""

import functools

import ml_dtypes
import numpy as np
import pytest

from rushlight.kernels.reference import random as reference

try:
    from rushlight.kernels.cpu import random as cpu
except ImportError:
    cpu = None

torch = pytest.importorskip("torch")

KERNELS = [pytest.param(reference, id="reference")]
if cpu is not None:
    KERNELS.append(pytest.param(cpu, id="cpu"))
kernels = pytest.mark.parametrize("K", KERNELS)


@functools.cache
def to_the_last_bit(K):
    """Whether these kernels round as PyTorch's do: natively, with fused operations."""
    if K is reference:
        return False
    from rushlight import _native

    return _native.cpu_level() != "sse2"


BF16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = {"f16": np.float16, "bf16": BF16, "f32": np.float32, "f64": np.float64}
INTEGERS = {"u8": np.uint8, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64}
NUMBERS = FLOATS | INTEGERS
TYPES = NUMBERS | {"bool": np.bool_}
SIZES = [*range(20), 31, 32, 33, 47, 48, 49, 623, 624, 625, 1000, 4096, 5003, 70001]


def torch_dtype(kind):
    return torch.bfloat16 if kind == BF16 else torch.from_numpy(np.empty(0, kind)).dtype


def as_numpy(t):
    return t.float().numpy().astype(BF16) if t.dtype == torch.bfloat16 else t.numpy()


def agree(ours, theirs, exact=True):
    """Equal to the last bit, or nearly: elementary functions differ in the last places."""
    theirs = as_numpy(theirs)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    if exact:
        return np.testing.assert_array_equal(ours, theirs)
    eps = float(ml_dtypes.finfo(ours.dtype).eps)
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    np.testing.assert_allclose(ours, theirs, rtol=max(4 * eps, 1e-13), atol=max(4 * eps, 1e-13))


def spaced(t):
    """A tensor of as many elements that is not contiguous, which PyTorch fills in pairs."""
    return torch.stack([t, t], -1)[..., 0]


INT64 = {"i64": np.int64}
# name, fill of an array, the same in PyTorch, types, whether the reference too is equal to the last bit
# fmt: off
ROWS = [
    ("uniform", lambda g, x: g.uniform(x, 0, 1), lambda t: t.uniform_(), FLOATS, True),
    ("uniform_range", lambda g, x: g.uniform(x, -0.3, 1.7), lambda t: t.uniform_(-0.3, 1.7), FLOATS, False),
    ("uniform_short", lambda g, x: g.uniform(x, 1, 1.5), lambda t: t.uniform_(1, 1.5), FLOATS, False),
    ("normal", lambda g, x: g.normal(x, 0, 1, x.size >= 16), lambda t: t.normal_(), FLOATS, False),
    ("normal_scaled", lambda g, x: g.normal(x, 2, 3, x.size >= 16), lambda t: t.normal_(2, 3), FLOATS, False),
    ("normal_pairs", lambda g, x: g.normal(x, 2, 3, False), lambda t: spaced(t).normal_(2, 3), FLOATS, False),
    ("exponential", lambda g, x: g.exponential(x, 1.7), lambda t: t.exponential_(1.7), FLOATS, False),
    ("log_normal", lambda g, x: g.log_normal(x, 1, 0.5), lambda t: t.log_normal_(1, 0.5), FLOATS, False),
    ("cauchy", lambda g, x: g.cauchy(x, 1, 2), lambda t: t.cauchy_(1, 2), FLOATS, False),
    ("geometric", lambda g, x: g.geometric(x, 0.3), lambda t: t.geometric_(0.3), NUMBERS, True),
    ("bernoulli", lambda g, x: g.bernoulli(x, 0.3), lambda t: t.bernoulli_(0.3), TYPES, True),
    ("bernoulli_0", lambda g, x: g.bernoulli(x, 0.0), lambda t: t.bernoulli_(0.0), TYPES, True),
    ("bernoulli_1", lambda g, x: g.bernoulli(x, 1.0), lambda t: t.bernoulli_(1.0), TYPES, True),
    ("integers", lambda g, x: g.integers(x, 0, 2, False), lambda t: t.random_(0, 2), TYPES, True),
    ("integers_97", lambda g, x: g.integers(x, 3, 97, False), lambda t: t.random_(3, 100), NUMBERS, True),
    ("narrow", lambda g, x: g.integers(x, 1, 2**28 - 1, False), lambda t: t.random_(1, 2**28), INT64, True),
    ("wide", lambda g, x: g.integers(x, 7, 2**28, True), lambda t: t.random_(7, 7 + 2**28), INT64, True),
    ("wider", lambda g, x: g.integers(x, -9, 2**62 + 9, True), lambda t: t.random_(-9, 2**62), INT64, True),
    ("whole", lambda g, x: g.integers(x, 0, 2**64, True), lambda t: t.random_(-(2**63), None), INT64, True),
    ("poisson", lambda g, x: g.poisson(x, rates(x.size)), lambda t: torch.poisson(like(t)), FLOATS, True),
    ("permutation", lambda g, x: g.permutation(x), lambda t: torch.randperm(t.numel()), INT64, True),
]
# fmt: on


def rates(n):
    return np.resize([0, 0.5, 3, 9.5, 10, 33, 400], n)


def like(t):
    return torch.from_numpy(rates(t.numel())).to(t.dtype)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
@kernels
def test_distribution_of_every_type_and_size(K, row):
    _, ours, theirs, types, exact = row
    for kind in map(np.dtype, types.values()):
        for size in SIZES:
            if size > 5003 and (K is reference or kind.itemsize < 4):
                continue
            stream, x = K.MT19937(size), np.zeros(size, kind)
            ours(stream, x)
            torch.manual_seed(size)
            y = theirs(torch.zeros(size, dtype=torch_dtype(kind)))
            agree(x, y, exact or to_the_last_bit(K))
            same_state(stream, torch.get_rng_state(), to_the_last_bit(K))


def same_state(stream, theirs, exact):
    """All of the state is equal; the number kept from a pair perhaps nearly."""
    ours, theirs = stream.get_state(), theirs.numpy()
    if not exact:
        a, b = (s.view(reference.STATE)[0] for s in (ours, theirs))
        if b["has_normal"]:
            np.testing.assert_allclose(a["normal"], b["normal"], rtol=1e-13)
        ours, theirs = (np.delete(s, slice(5024, 5032)) for s in (ours, theirs))
    np.testing.assert_array_equal(ours, theirs)


@kernels
def test_probabilities_of_each_element(K):
    p = np.random.default_rng(0).random((7, 9))
    for kind in map(np.dtype, FLOATS.values()):
        own = p.astype(kind)
        for out in map(np.dtype, (np.float32, np.bool_, np.int64, BF16)):
            stream, x = K.MT19937(3), np.empty(p.shape, out)
            stream.bernoulli_each(x, own)
            torch.manual_seed(3)
            given = torch.from_numpy(own.astype(np.float64)).to(torch_dtype(kind))
            agree(x, torch.empty(p.shape, dtype=torch_dtype(out)).bernoulli_(given))


@kernels
def test_interleaved_calls_and_state(K):
    rng = np.random.default_rng(1)
    stream = K.MT19937(11)
    torch.manual_seed(11)
    for step in range(300):
        _, ours, theirs, types, exact = ROWS[rng.integers(len(ROWS))]
        kind = np.dtype(list(types.values())[rng.integers(len(types))])
        x = np.zeros(rng.integers(0, 60), kind)
        ours(stream, x)
        agree(x, theirs(torch.zeros(x.size, dtype=torch_dtype(kind))), exact or to_the_last_bit(K))
        if step % 7 == 0:  # states go both ways
            state = stream.get_state()
            torch.set_rng_state(torch.from_numpy(state))
            stream = K.MT19937()
            stream.set_state(state)


@kernels
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32 + 5, 2**64 - 1])
def test_seeds(K, seed):
    stream = K.MT19937(seed)
    assert stream.initial_seed == seed
    np.testing.assert_array_equal(stream.get_state(), torch.Generator().manual_seed(seed).get_state().numpy())
    np.testing.assert_array_equal(
        stream.raw(5), np.random.RandomState(seed % 2**32).randint(0, 2**32, 5, dtype=np.uint32)
    )


@kernels
def test_wrong_states(K):
    stream = K.MT19937()
    good = stream.get_state()
    with pytest.raises(RuntimeError, match="size 5056"):
        stream.set_state(good[:10])
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        stream.set_state(np.zeros_like(good))
    beyond = good.copy().view(reference.STATE)
    beyond["left"], beyond["next"] = 100, 600
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        stream.set_state(beyond.view(np.uint8))
    np.testing.assert_array_equal(stream.get_state(), good)


@pytest.mark.skipif(cpu is None, reason="the native kernels are not built")
def test_native_results_do_not_depend_on_threads():
    from rushlight import _native

    before = _native.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            _native.set_num_threads(threads)
            stream, x = cpu.MT19937(5), np.empty(300_001, np.float64)
            stream.normal(x, 0, 1, True)
            y = np.empty(300_001, np.float32)
            stream.log_normal(y, 0, 1)
            results.append((x, y, stream.get_state()))
    finally:
        _native.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(cpu is None, reason="the native kernels are not built")
def test_native_loops_refuse_other_arrays():
    stream = cpu.MT19937()
    with pytest.raises(ValueError, match="contiguous"):
        stream._uniform(np.empty(10)[::2], 0.0, 1.0)
    with pytest.raises(ValueError, match="float32 or float64"):
        stream._uniform(np.empty(10, np.int32), 0.0, 1.0)
    with pytest.raises(ValueError, match="multiple of 16"):
        stream._normal_blocks(np.empty(10), 0.0, 1.0)
    with pytest.raises(ValueError, match="too wide"):
        stream._integers(np.empty(10, np.int64), 0, 2**32, False)
