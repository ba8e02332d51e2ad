"""How tensors print, against PyTorch."""

import itertools
import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import rushlight as rl
from rushlight import printing
from rushlight.tensor import wrap

torch = pytest.importorskip("torch")

PLAIN = [
    "float32",
    "float64",
    "float16",
    "int64",
    "int32",
    "int8",
    "uint8",
    "bool",
    "complex64",
    "complex128",
]
BY_BITS = {"bfloat16": np.uint16, "float8_e4m3fn": np.uint8, "float8_e5m2": np.uint8,
"float8_e4m3fnuz": np.uint8,
           "float8_e5m2fnuz": np.uint8}  # fmt: skip


@pytest.fixture(autouse=True)
def default_options():
    yield
    for lib in (rl, torch):
        lib.set_printoptions(profile="default")


def check(array):
    ours, theirs = rl.from_numpy(array.copy()), torch.from_numpy(array.copy())
    assert repr(ours) == str(ours) == repr(theirs)


@st.composite
def arrays(draw):
    kind = draw(st.sampled_from(PLAIN))
    shape = draw(npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=8))
    array = draw(npst.arrays(kind, shape, fill=st.nothing()))
    if array.dtype.kind in "fc" and draw(st.booleans()):  # hypothesis's own numbers seldom look alike
        seed = draw(st.integers(0, 2**32 - 1))
        scale = 10.0 ** draw(st.integers(-6, 9))
        with np.errstate(all="ignore"):
            array = np.asarray(np.random.default_rng(seed).standard_normal(shape) * scale).astype(kind)
            array = np.round(array) if draw(st.booleans()) else array
    return np.asarray(array)


@settings(max_examples=300, deadline=None)
@given(arrays())
def test_like_torch(array):
    check(array)


@settings(max_examples=150, deadline=None)
@given(
    arrays(),
    st.integers(0, 8),
    st.integers(1, 40),
    st.integers(0, 4),
    st.integers(1, 120),
    st.sampled_from([None, True, False]),
)
def test_options(array, precision, threshold, edgeitems, linewidth, sci_mode):
    options = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    for lib in (rl, torch):
        lib.set_printoptions(**options, sci_mode=sci_mode)
    check(array)


@pytest.mark.parametrize("kind", BY_BITS)
def test_small_floats(kind):
    bits = (
        np.random.default_rng(0)
        .integers(0, np.iinfo(BY_BITS[kind]).max, 256, endpoint=True)
        .astype(BY_BITS[kind])
    )
    for part in (bits, bits[:1], bits[3:9], bits[:0]):
        ours = rl.tensor(rl.from_numpy(part.copy())._array.view(getattr(ml_dtypes, kind)))
        assert repr(ours) == repr(torch.from_numpy(part.copy()).view(getattr(torch, kind)))


@pytest.mark.parametrize(
    "shape", [(2000,), (30, 50), (7, 20, 9), (2, 3, 300), (1001, 1), (5, 0, 300), (3, 1, 1, 400)]
)
@pytest.mark.parametrize("kind", ["float32", "int64", "complex64", "bool"])
def test_summaries(shape, kind):
    with np.errstate(all="ignore"):
        check((np.random.default_rng(0).standard_normal(shape) * 50).astype(kind))


@pytest.mark.parametrize("profile", ["default", "short", "full"])
def test_profiles(profile):
    for lib in (rl, torch):
        lib.set_printoptions(profile=profile)
    check(np.random.default_rng(0).standard_normal((40, 30)).astype(np.float32))
    assert printing.get_printoptions() == torch._tensor_str.get_printoptions()


def test_special_values():
    special = [0.0, -0.0, 1.0, 0.5, -2.0, 1e-5, 1e9, math.inf, -math.inf, math.nan]
    for values in itertools.product(special, repeat=2):
        check(np.array(values, np.float32))
        check(np.array([complex(*values), 1 + 1j], np.complex64))


def programs(lib):
    x = lib.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    wide = lib.tensor([float(i) for i in range(12)], requires_grad=True)
    return {
        "leaf": x,
        "result": x * 2,
        "wide result": wide * 1.5,
        "wide double": wide.double() * 1.5,
        "parameter": lib.nn.Parameter(lib.ones(2)),
        "frozen parameter": lib.nn.Parameter(lib.ones(2), requires_grad=False),
        "detached": x.detach(),
        "transposed": x.t(),
        "empty": lib.zeros(0),
        "empty 2-d": lib.zeros(0, 3),
        "empty int": lib.zeros(0, dtype=lib.int64),
        "scalar": lib.tensor(2.5),
        "scalar int": lib.tensor(3),
        "scalar complex": lib.tensor(1 + 2j),
        "list": [lib.tensor(1), lib.tensor([2.0])],
    }


@pytest.mark.parametrize("case", programs(torch))
def test_programs(case):
    assert repr(programs(rl)[case]) == repr(programs(torch)[case])


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_default_dtype_is_not_shown(kind):
    for lib in (rl, torch):
        lib.set_default_dtype(getattr(lib, kind))
    try:
        for name in ("float32", "float64", "complex64", "complex128"):
            check(np.ones(2, name))
            check(np.ones((0, 2), name))
    finally:
        for lib in (rl, torch):
            lib.set_default_dtype(lib.float32)


def test_subclass_of_the_user():
    class Special(rl.Tensor):
        pass

    class Expected(torch.Tensor):
        pass

    Expected.__name__ = "Special"
    ours = repr(wrap(np.ones(1, np.float32), Special))
    assert ours == repr(torch.tensor([1.0]).as_subclass(Expected))


def test_formatting():
    for spec in ("", ".3f", ">10.2e"):
        assert format(rl.tensor(1.5), spec) == format(torch.tensor(1.5), spec)
    assert f"{rl.tensor([1.5])}" == f"{torch.tensor([1.5])}"


def test_printoptions_restores():
    with printing.printoptions(precision=1, sci_mode=True):
        assert repr(rl.tensor([0.25])) == "tensor([2.5e-01])"
    assert repr(rl.tensor([0.25])) == "tensor([0.2500])"
