"""Random tensors and generators: the same program under PyTorch and here draws the same numbers."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")

FLOATS = ["float16", "bfloat16", "float32", "float64"]
WHOLE = ["uint8", "int8", "int16", "int32", "int64"]
COMPLEX = ["complex64", "complex128"]
SIZES = [*range(41), 47, 48, 49, 100, 623, 1249, 5001]


def numpy(t):
    """The numbers of a tensor of either framework."""
    t = t.detach()
    return (t.float() if str(t.dtype) == "torch.bfloat16" else t).numpy()


def compare(ours, theirs, exact=False, strides=True):
    """The same type, shape, strides and numbers; a last place may differ where functions are evaluated."""
    assert str(ours.dtype) == str(theirs.dtype)
    assert tuple(ours.shape) == tuple(theirs.shape)
    if strides and ours.numel() > 1:
        assert ours.stride() == theirs.stride()
    if exact:
        return np.testing.assert_array_equal(numpy(ours), numpy(theirs))
    tight = {"torch.float16": 1e-3, "torch.bfloat16": 8e-3}.get(str(ours.dtype), 1e-6)
    np.testing.assert_allclose(numpy(ours), numpy(theirs), rtol=tight, atol=tight)


def both(program, exact=False, seed=0, strides=True):
    """Run a program under both, from the same seed: what it returns agrees, and so does the next draw."""
    results = []
    for framework in (rushlight, torch):
        framework.manual_seed(seed)
        found = program(framework)
        results.append((found if isinstance(found, (tuple, list)) else (found,), framework.rand(1)))
    (ours, next_ours), (theirs, next_theirs) = results
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        compare(a, b, exact, strides)
    compare(next_ours, next_theirs, exact=True)


# -- every dtype and size ---------------------------------------------------------------------------

# name, what fills a tensor, types, whether numbers are equal to the last bit
FILLS = [
    ("uniform_", lambda t: t.uniform_(), FLOATS + COMPLEX, True),
    ("uniform_range", lambda t: t.uniform_(-2, 5), FLOATS + COMPLEX, False),
    ("uniform_named", lambda t: t.uniform_(**{"from": -1, "to": 2}), FLOATS, False),
    ("normal_", lambda t: t.normal_(), FLOATS + COMPLEX, False),
    ("normal_scaled", lambda t: t.normal_(3, std=0.1), FLOATS + COMPLEX, False),
    ("exponential_", lambda t: t.exponential_(), FLOATS, False),
    ("exponential_rate", lambda t: t.exponential_(2.5), FLOATS, False),
    ("cauchy_", lambda t: t.cauchy_(), FLOATS, False),
    ("log_normal_", lambda t: t.log_normal_(0.3, 0.7), FLOATS, False),
    ("geometric_", lambda t: t.geometric_(0.2), FLOATS + WHOLE, True),
    ("bernoulli_", lambda t: t.bernoulli_(), [*FLOATS, *WHOLE, "bool"], True),
    ("bernoulli_p", lambda t: t.bernoulli_(0.9), [*FLOATS, *WHOLE, "bool"], True),
    ("random_", lambda t: t.random_(), [*FLOATS, *WHOLE, "bool"], True),
    ("random_to", lambda t: t.random_(2), [*FLOATS, *WHOLE, "bool"], True),
    ("random_from_to", lambda t: t.random_(5, 101), [*FLOATS, *WHOLE], True),
    ("random_from", lambda t: t.random_(1, None), [*FLOATS, *WHOLE, "bool"], True),
    ("random_named", lambda t: t.random_(**{"from": 2, "to": 9}), ["float32", "int64"], True),
    ("random_negative", lambda t: t.random_(-(2**40), 2**41), ["int64", "float64"], True),
    ("random_all", lambda t: t.random_(-(2**63), None), ["int64", "float64", "float32", "bfloat16"], True),
]


@pytest.mark.parametrize("fill", FILLS, ids=lambda row: row[0])
def test_fills(fill):
    _, fill, kinds, exact = fill
    sizes = SIZES if rushlight.kernels.NAME == "native" else SIZES[::3]
    for kind in kinds:
        both(lambda f, kind=kind: [fill(f.empty(n, dtype=getattr(f, kind))) for n in sizes], exact)


def spaced(f, kind):
    return f.zeros(7, 10, dtype=kind)[:, ::2]


TARGETS = {
    "transposed": lambda f, kind: f.zeros(5, 8, dtype=kind).t(),
    "permuted": lambda f, kind: f.zeros(3, 4, 5, dtype=kind).permute(1, 2, 0),
    "columns": spaced,
    "columns_transposed": lambda f, kind: spaced(f, kind).t(),
    "tail": lambda f, kind: f.zeros(40, dtype=kind)[3:],
    "channels_last": lambda f, kind: f.zeros(2, 3, 4, 5, dtype=kind).contiguous(
        memory_format=f.channels_last
    ),
    "scalar": lambda f, kind: f.zeros((), dtype=kind),
    "empty": lambda f, kind: f.zeros(3, 0, dtype=kind),
    "cube": lambda f, kind: f.zeros(3, 5, 7, dtype=kind),
}


@pytest.mark.parametrize("fill", FILLS, ids=lambda row: row[0])
@pytest.mark.parametrize("target", TARGETS)
def test_fills_of_other_layouts(target, fill):
    _, fill, kinds, exact = fill
    for kind in kinds:
        both(lambda f, kind=kind: fill(TARGETS[target](f, getattr(f, kind))), exact)


# -- functions --------------------------------------------------------------------------------------

PROGRAMS = {
    "rand": lambda f: [
        f.rand(3, 4),
        f.rand((5,)),
        f.rand([2, 2]),
        f.rand(size=(3,)),
        f.rand(0, 4),
        f.rand(()),
    ],
    "rand_types": lambda f: [f.rand(5, dtype=d) for d in (f.float16, f.bfloat16, f.float64, f.complex64)],
    "randn": lambda f: [f.randn(3, 4), f.randn(5), f.randn(17), f.randn(1), f.randn(33, dtype=f.float64)],
    "randn_types": lambda f: [f.randn(n, dtype=d) for n in (5, 16, 21) for d in (f.float16, f.complex64)],
    "rand_like": lambda f: [f.rand_like(f.zeros(3, 4)), f.rand_like(f.zeros(3), dtype=f.float64)],
    "randn_like": lambda f: [f.randn_like(f.zeros(5, 4).t()), f.randn_like(f.zeros(3, dtype=f.float16))],
    "like_channels_last": lambda f: f.rand_like(
        f.zeros(2, 3, 4, 5).contiguous(memory_format=f.channels_last)
    ),
    "like_contiguous": lambda f: f.rand_like(f.zeros(5, 4).t(), memory_format=f.contiguous_format),
    "randint": lambda f: [f.randint(10, (5,)), f.randint(-3, 7, (2, 3)), f.randint(high=4, size=(3,))],
    "randint_named": lambda f: [
        f.randint(0, 10, size=(3,)),
        f.randint(low=2, high=5, size=(3,)),
        f.randint(5, size=(2,)),
    ],
    "randint_edges": lambda f: [
        f.randint(m, (9,)) for m in (1, 2**27, 2**28 - 1, 2**28, 2**31, 2**32, 2**63 - 1)
    ],
    "randint_types": lambda f: [
        f.randint(100, (5,), dtype=d) for d in (f.uint8, f.int32, f.float32, f.float16)
    ],
    "randint_unsigned": lambda f: [
        f.randint(5, 60000, (9,), dtype=d) for d in (f.uint16, f.uint32, f.uint64)
    ],
    "random_unsigned": lambda f: [f.zeros(9, dtype=d).random_(3, None) for d in (f.uint16, f.uint32)],
    "randint_like": lambda f: [f.randint_like(f.zeros(4), 10), f.randint_like(f.zeros(4).int(), 3, 9)],
    "randint_like_high": lambda f: f.randint_like(f.zeros(4), high=10, dtype=f.int64),
    "randperm": lambda f: [f.randperm(n) for n in (*range(20), 100, 1000, 20000)],
    "randperm_types": lambda f: [f.randperm(50, dtype=d) for d in (f.int32, f.uint8, f.float32, f.float16)],
    "normal_size": lambda f: [
        f.normal(1.0, 2.0, (5,)),
        f.normal(1.0, 2.0, size=(4, 5)),
        f.normal(0, 1, (3,)),
    ],
    "normal_mean": lambda f: [
        f.normal(f.arange(20.0), 2.0),
        f.normal(f.arange(5.0)),
        f.normal(f.zeros(5, 4).t()),
    ],
    "normal_std": lambda f: [f.normal(1.0, f.arange(20.0)), f.normal(0.0, f.ones(3, dtype=f.float64))],
    "normal_both": lambda f: f.normal(f.arange(20.0), f.arange(20.0)),
    "normal_broadcast": lambda f: [
        f.normal(f.zeros(3, 1), f.ones(7)),
        f.normal(mean=f.zeros(2), std=f.ones(9, 1)),
    ],
    "normal_mixed": lambda f: f.normal(f.zeros(20), f.ones(20, dtype=f.float64)),
    "normal_complex": lambda f: f.normal(f.zeros(20, dtype=f.complex64), 1.0),
    "bernoulli": lambda f: [f.bernoulli(f.linspace(0, 1, 50)), f.bernoulli(f.linspace(0, 1, 50).double())],
    "bernoulli_half": lambda f: [f.bernoulli(f.linspace(0, 1, 50).to(d)) for d in (f.float16, f.bfloat16)],
    "bernoulli_layout": lambda f: [
        f.bernoulli(f.linspace(0, 1, 50).view(5, 10).t()),
        f.bernoulli(spaced(f, f.float32)),
    ],
    "bernoulli_p": lambda f: [
        f.bernoulli(f.zeros(30), 0.3),
        f.zeros(6, 5).t().bernoulli(0.3),
        f.ones(3).bernoulli(),
    ],
    "bernoulli_whole": lambda f: f.bernoulli(f.zeros(30, dtype=f.int64), p=0.3),
    "bernoulli_each": lambda f: f.zeros(9, 5).bernoulli_(f.linspace(0, 1, 45).view(9, 5)),
    "bernoulli_each_spread": lambda f: f.zeros(9, 5, dtype=f.bool).bernoulli_(f.linspace(0, 1, 5)),
    "bernoulli_each_turned": lambda f: f.zeros(9, 5).t().bernoulli_(f.linspace(0, 1, 45).view(5, 9)),
    "bernoulli_each_apart": lambda f: f.zeros(5, 18)[:, ::2].bernoulli_(
        f.linspace(0, 1, 45).view(9, 5).t().double()
    ),
    "poisson": lambda f: f.poisson(f.linspace(0, 50, 200)),
    "poisson_types": lambda f: [
        f.poisson(f.full((9,), 12.0, dtype=d)) for d in (f.float16, f.bfloat16, f.float64)
    ],
    "poisson_turned": lambda f: f.poisson(f.linspace(0, 50, 20).view(4, 5).t()),
    "multinomial_one": lambda f: [f.multinomial(f.linspace(0, 1, n), 1) for n in (2, 10, 1000)],
    "multinomial_rows": lambda f: [f.multinomial(f.linspace(0, 1, 60).view(6, 10), k) for k in (1, 2, 9)],
    "multinomial_turned": lambda f: f.multinomial(f.linspace(0.1, 1, 60).view(10, 6).t(), 4),
    "multinomial_many": lambda f: f.multinomial(f.linspace(0.1, 1, 1000), 500),
    "multinomial_types": lambda f: [
        f.multinomial(f.linspace(0.1, 1, 9).to(d), 3) for d in (f.float64, f.float16, f.bfloat16)
    ],
    "multinomial_again": lambda f: [
        f.multinomial(f.linspace(0, 1, 60).view(6, 10), k, True) for k in (1, 2, 50)
    ],
    "multinomial_again_types": lambda f: [
        f.multinomial(f.linspace(0, 1, 99).to(d), 40, replacement=True)
        for d in (f.float64, f.float16, f.bfloat16)
    ],
    "multinomial_none": lambda f: f.multinomial(f.zeros(0, 3), 2),
    "multinomial_method": lambda f: f.ones(9).multinomial(3),
    "out": lambda f: [
        f.rand(5, out=f.empty(5)),
        f.randn(20, out=f.empty(2, 20)[0]),
        f.randperm(6, out=f.empty(6).long()),
    ],
    "out_turned": lambda f: [
        f.randn(5, 4, out=f.zeros(4, 5).t()),
        f.randint(9, (5, 4), out=f.zeros(4, 5).long().t()),
    ],
    "out_resized": lambda f: [f.rand(5, out=f.empty(0)), f.randint(7, (3,), out=f.empty(0))],
    "out_other": lambda f: [
        f.normal(f.zeros(20), 1.0, out=f.empty(20)),
        f.bernoulli(f.full((9,), 0.5), out=f.zeros(9)),
        f.multinomial(f.ones(5), 2, out=f.zeros(2).long()),
        f.normal(0.0, 1.0, (3,), out=f.empty(3)),
    ],
    "interleaved": lambda f: [
        f.randn(3),
        f.rand(2),
        f.randn(20),
        f.randn(1),
        f.zeros(3).log_normal_(),
        f.randperm(7),
        f.randn(2, dtype=f.float64),
        f.randn(15),
        f.bernoulli(f.full((3,), 0.5)),
        f.randn(5),
        f.zeros(5, dtype=f.float16).normal_(),
        f.randn(2),
    ],
    "dropout": lambda f: [
        f.nn.functional.dropout(f.ones(n), p) for n in (1, 5, 16, 1000) for p in (0.1, 0.5)
    ],
    "dropout_turned": lambda f: [
        f.nn.functional.dropout(f.ones(9, 5).t(), 0.3),
        f.nn.functional.dropout(f.ones(2, 3, 4, 5).contiguous(memory_format=f.channels_last), 0.3),
    ],
    "dropout2d": lambda f: [
        f.nn.functional.dropout2d(f.ones(4, 8, 2, 2), 0.4),
        f.nn.functional.alpha_dropout(f.ones(9), 0.4, True),
    ],
    "big": lambda f: [
        f.rand(300_001),
        f.randn(300_001),
        f.randn(70_003, dtype=f.float64),
        f.randint(1000, (200_001,)),
    ],
}

EXACT = (
    "rand",
    "rand_types",
    "rand_like",
    "like",
    "randint",
    "randperm",
    "bernoulli",
    "poisson",
    "multinomial",
    "dropout",
)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name):
    both(PROGRAMS[name], exact=name.split("_")[0] in EXACT, strides=not name.startswith("dropout"))


@pytest.mark.parametrize("seed", [1, -1, 2**32, 2**63 + 5, -(2**63)])
def test_seeds(seed):
    both(lambda f: [f.rand(3), f.randn(3)], seed=seed)
    rushlight.manual_seed(seed)
    torch.manual_seed(seed)
    assert rushlight.initial_seed() == torch.initial_seed()


# -- what is refused --------------------------------------------------------------------------------

WRONG = {
    "uniform_order": lambda f: f.empty(2).uniform_(1, 0),
    "uniform_infinite": lambda f: f.empty(2).uniform_(0, float("inf")),
    "uniform_wide": lambda f: f.empty(2).uniform_(-1e38, 3e38),
    "uniform_half": lambda f: f.empty(2, dtype=f.float16).uniform_(0, 1e5),
    "uniform_integer": lambda f: f.empty(2, dtype=f.int64).uniform_(),
    "uniform_word": lambda f: f.empty(2).uniform_("a"),
    "uniform_unknown": lambda f: f.empty(2).uniform_(form=1),
    "normal_std": lambda f: f.empty(2).normal_(0, -1),
    "normal_integer": lambda f: f.empty(2, dtype=f.int64).normal_(),
    "exponential_rate": lambda f: f.empty(2).exponential_(0),
    "exponential_integer": lambda f: f.empty(2, dtype=f.int32).exponential_(),
    "geometric_0": lambda f: f.empty(2).geometric_(0),
    "geometric_1": lambda f: f.empty(2).geometric_(1),
    "geometric_bool": lambda f: f.empty(2, dtype=f.bool).geometric_(0.5),
    "cauchy_sigma": lambda f: f.empty(2).cauchy_(0, 0),
    "cauchy_integer": lambda f: f.empty(2, dtype=f.int64).cauchy_(),
    "log_normal_std": lambda f: f.empty(2).log_normal_(0, 0),
    "log_normal_integer": lambda f: f.empty(2, dtype=f.int64).log_normal_(),
    "bernoulli_p": lambda f: f.empty(2).bernoulli_(1.5),
    "bernoulli_each": lambda f: f.bernoulli(f.tensor([2.0])),
    "bernoulli_integer": lambda f: f.bernoulli(f.tensor([1])),
    "bernoulli_shape": lambda f: f.empty(2).bernoulli_(f.full((3,), 0.5)),
    "bernoulli_complex": lambda f: f.empty(2, dtype=f.complex64).bernoulli_(),
    "bernoulli_list": lambda f: f.bernoulli([0.5]),
    "random_range": lambda f: f.empty(2, dtype=f.int8).random_(0, 1000),
    "random_below": lambda f: f.empty(2, dtype=f.int8).random_(-1000, 5),
    "random_none": lambda f: f.empty(2).random_(5, 5),
    "random_bool": lambda f: f.empty(2, dtype=f.bool).random_(3),
    "random_unsigned": lambda f: f.empty(2, dtype=f.uint16).random_(),
    "random_uint64": lambda f: f.empty(2, dtype=f.uint64).random_(3, None),
    "random_complex": lambda f: f.empty(2, dtype=f.complex64).random_(3),
    "random_full_half": lambda f: f.empty(2, dtype=f.float16).random_(-(2**63), None),
    "random_names": lambda f: f.empty(2).random_(from_=2),
    "random_three": lambda f: f.empty(2).random_(1, 2, 3),
    "random_float": lambda f: f.empty(2).random_(1.5),
    "leaf": lambda f: f.zeros(3, requires_grad=True).uniform_(),
    "expanded": lambda f: f.zeros(1, 3).expand(2, 3).uniform_(),
    "rand_negative": lambda f: f.rand(-1),
    "rand_word": lambda f: f.rand("a"),
    "rand_nothing": lambda f: f.rand(),
    "rand_integer": lambda f: f.rand(2, dtype=f.int64),
    "rand_generator": lambda f: f.rand(2, generator=3),
    "rand_unknown": lambda f: f.rand(2, foo=3),
    "rand_out": lambda f: f.rand(2, out=f.empty(2), dtype=f.float64),
    "randint_none": lambda f: f.randint(5, 5, (2,)),
    "randint_float": lambda f: f.randint(1.5, (2,)),
    "randint_size": lambda f: f.randint(3, 3),
    "randint_missing": lambda f: f.randint((3,)),
    "randint_large": lambda f: f.randint(2**63, (2,)),
    "randint_grad": lambda f: f.randint(3, (2,), requires_grad=True),
    "randint_unknown": lambda f: f.randint(3, (2,), foo=1),
    "randperm_negative": lambda f: f.randperm(-1),
    "randperm_bytes": lambda f: f.randperm(300, dtype=f.uint8),
    "randperm_half": lambda f: f.randperm(4096, dtype=f.float16),
    "randperm_bool": lambda f: f.randperm(2, dtype=f.bool),
    "randperm_unsigned": lambda f: f.randperm(2, dtype=f.uint16),
    "randperm_float": lambda f: f.randperm(2.5),
    "poisson_negative": lambda f: f.poisson(f.tensor([-1.0])),
    "poisson_integer": lambda f: f.poisson(f.tensor([1])),
    "normal_numbers": lambda f: f.normal(0.0, 1.0),
    "normal_negative": lambda f: f.normal(f.zeros(2), -1.0),
    "normal_negatives": lambda f: f.normal(f.zeros(2), -f.ones(2)),
    "normal_size_negative": lambda f: f.normal(0.0, -1.0, (2,)),
    "normal_shapes": lambda f: f.normal(f.zeros(2), f.ones(3)),
    "normal_mean_integer": lambda f: f.normal(f.zeros(2, dtype=f.int64), 1.0),
    "multinomial_few": lambda f: f.multinomial(f.ones(2), 3),
    "multinomial_integer": lambda f: f.multinomial(f.tensor([1, 2]), 1),
    "multinomial_negative": lambda f: f.multinomial(f.tensor([1.0, -2.0]), 1),
    "multinomial_nan": lambda f: f.multinomial(f.tensor([1.0, float("nan")]), 1),
    "multinomial_zero": lambda f: f.multinomial(f.zeros(2), 1),
    "multinomial_again_negative": lambda f: f.multinomial(f.tensor([1.0, -2.0]), 2, True),
    "multinomial_again_zero": lambda f: f.multinomial(f.zeros(2), 2, True),
    "multinomial_again_infinite": lambda f: f.multinomial(f.tensor([1.0, float("inf")]), 2, True),
    "multinomial_scalar": lambda f: f.multinomial(f.tensor(1.0), 2, True),
    "multinomial_cube": lambda f: f.multinomial(f.ones(2, 2, 2), 1),
    "multinomial_no_samples": lambda f: f.multinomial(f.ones(2), 0),
    "multinomial_no_classes": lambda f: f.multinomial(f.zeros(2, 0), 1),
    "seed_float": lambda f: f.Generator().manual_seed(1.5),
    "seed_bool": lambda f: f.Generator().manual_seed(True),
    "seed_large": lambda f: f.manual_seed(2**64),
    "seed_word": lambda f: f.manual_seed("a"),
    "state_number": lambda f: f.set_rng_state(3),
    "state_floats": lambda f: f.set_rng_state(f.zeros(5056)),
    "state_short": lambda f: f.set_rng_state(f.zeros(10, dtype=f.uint8)),
    "state_zero": lambda f: f.set_rng_state(f.zeros(5056, dtype=f.uint8)),
    "offset": lambda f: f.Generator().get_offset(),
    "set_offset": lambda f: f.Generator().set_offset(3),
    "device": lambda f: f.Generator("cuda"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name):
    with pytest.raises(Exception) as theirs:
        WRONG[name](torch)
    with pytest.raises(Exception) as ours:
        WRONG[name](rushlight)
    assert issubclass(ours.type, theirs.type), (ours.value, theirs.value)
    assert str(ours.value).strip()


def test_nothing_is_drawn_by_a_wrong_call():
    rushlight.manual_seed(0)
    state = rushlight.get_rng_state()
    for name, call in WRONG.items():
        if not name.startswith("seed") and name != "randint_grad":
            with pytest.raises(Exception):  # noqa: B017
                call(rushlight)
    assert rushlight.equal(state, rushlight.get_rng_state())


@pytest.mark.parametrize(
    "kind, low, high", [("float32", 0, 2**25), ("float16", 0, 5000), ("bfloat16", -999, 999)]
)
def test_ranges_that_a_type_holds_only_in_part(kind, low, high):
    def program(f):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = f.empty(50, dtype=getattr(f, kind)).random_(low, high)
        if f is rushlight:
            assert any("is out of bounds [-(2^" in str(w.message) for w in caught)
        return found

    both(program, exact=True)


# -- gradients --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["uniform_", "normal_", "exponential_", "bernoulli_", "random_", "cauchy_", "log_normal_"]
)
def test_gradient_of_what_was_overwritten_is_zero(name):
    for view in (lambda y: y, lambda y: y[1:]):
        grads = []
        for f in (rushlight, torch):
            x = f.ones(4, requires_grad=True)
            y = x * 3
            part = getattr(view(y), name)()
            assert (
                type(part.grad_fn).__name__
                == type(getattr(view(f.ones(4, requires_grad=True) * 3), name)().grad_fn).__name__
            )
            y.sum().backward()
            grads.append(x.grad)
        compare(*grads, exact=True)


DIFFERENTIABLE = {
    "bernoulli": lambda f, x: f.bernoulli(x),
    "bernoulli_": lambda f, x: f.zeros(3).bernoulli_(x),
    "poisson": lambda f, x: f.poisson(x),
    "normal_mean": lambda f, x: f.normal(x, 1.0),
    "normal_std": lambda f, x: f.normal(1.0, x),
    "normal_both": lambda f, x: f.normal(x, x),
    "normal_broadcast": lambda f, x: f.normal(f.zeros(2, 1), x),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_parameters_have_a_gradient_of_zero(name):
    found = []
    for f in (rushlight, torch):
        x = f.full((3,), 0.5, requires_grad=True)
        y = DIFFERENTIABLE[name](f, x)
        y.sum().backward()
        found.append((type(y.grad_fn).__name__, x.grad))
    assert found[0][0] == found[1][0]
    compare(found[0][1], found[1][1], exact=True)


def test_indices_have_no_gradient():
    assert not rushlight.multinomial(rushlight.ones(3, requires_grad=True), 2).requires_grad


def test_fills_count_as_changes():
    x = rushlight.zeros(3)
    before = x._version
    x.uniform_()
    assert x._version == before + 1


# -- generators -------------------------------------------------------------------------------------


def test_generators_are_streams_of_their_own():
    for f in (rushlight, torch):
        a, b = f.Generator(), f.Generator()
        assert a.initial_seed() == 67280421310721
        assert f.equal(f.rand(5, generator=a), f.rand(5, generator=b))
        f.manual_seed(3)
        expected = f.rand(2)
        f.manual_seed(3)
        f.randn(7, generator=a)
        assert f.equal(f.rand(2), expected)
        assert a.device == f.device("cpu")
        assert a.manual_seed(5) is a
        assert f.manual_seed(5) is f.default_generator


def test_every_function_takes_a_generator():
    def program(f):
        g = f.Generator().manual_seed(9)
        x = f.full((5,), 0.5)
        return [
            f.rand(3, generator=g),
            f.randn(3, generator=g),
            f.randint(9, (3,), generator=g),
            f.randperm(5, generator=g),
            f.normal(x, 1.0, generator=g),
            f.normal(0.0, 1.0, (3,), generator=g),
            f.bernoulli(x, generator=g),
            f.poisson(x, generator=g),
            f.multinomial(x, 2, generator=g),
            f.multinomial(x, 2, True, generator=g),
            f.rand_like(x, generator=g),
            f.randn_like(x, generator=g),
            f.randint_like(x, 9, generator=g),
            x.clone().uniform_(generator=g),
            x.clone().normal_(generator=g),
            x.clone().exponential_(generator=g),
            x.clone().cauchy_(generator=g),
            x.clone().log_normal_(generator=g),
            x.clone().geometric_(0.5, generator=g),
            x.clone().bernoulli_(generator=g),
            x.clone().random_(generator=g),
            x.clone().bernoulli_(x, generator=g),
            f.bernoulli(x, 0.3, generator=g),
        ]

    both(program)


def test_states_are_exchanged_with_pytorch():
    rushlight.manual_seed(4)
    rushlight.randn(5)  # leaves the second number of a pair behind
    rushlight.rand(1000)
    torch.set_rng_state(torch.from_numpy(rushlight.get_rng_state().numpy()))
    compare(rushlight.randn(7), torch.randn(7))
    torch.randint(10, (99,))
    torch.randn(2)
    rushlight.set_rng_state(rushlight.from_numpy(torch.get_rng_state().numpy()))
    compare(rushlight.randn(7), torch.randn(7))
    assert rushlight.initial_seed() == torch.initial_seed()


def test_states_are_copies():
    g = rushlight.Generator().manual_seed(1)
    state = g.get_state()
    rushlight.rand(5, generator=g)
    clone, copied, unpickled = g.clone_state(), copy.deepcopy(g), pickle.loads(pickle.dumps(g))
    expected = rushlight.rand(5, generator=g)
    for other in (clone, copied, unpickled):
        assert rushlight.equal(rushlight.rand(5, generator=other), expected)
    g.set_state(state)
    assert g.initial_seed() == 1
    assert not rushlight.equal(rushlight.rand(5, generator=g), expected)


def test_seed_is_unforeseeable():
    first, second = rushlight.seed(), rushlight.seed()
    assert first != second
    assert rushlight.initial_seed() == second
    assert rushlight.random.initial_seed() == second
    g = rushlight.Generator()
    assert g.seed() == g.initial_seed() != 67280421310721


def test_fork_rng():
    rushlight.manual_seed(2)
    expected = rushlight.rand(1).item()
    rushlight.manual_seed(2)
    with pytest.raises(KeyError), rushlight.random.fork_rng():
        rushlight.rand(9)
        raise KeyError
    assert rushlight.rand(1).item() == expected
    with rushlight.random.fork_rng(enabled=False):
        rushlight.manual_seed(2)
    assert rushlight.rand(1).item() == expected
    with pytest.raises(RuntimeError, match="devices"), rushlight.random.fork_rng(devices=[0]):
        pass


@rushlight.random.fork_rng()
def draw():
    return rushlight.rand(1).item()


def test_fork_rng_as_a_decorator():
    rushlight.manual_seed(2)
    assert draw() == draw() == rushlight.rand(1).item()
