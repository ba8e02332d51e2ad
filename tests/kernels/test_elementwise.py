"""Elementwise kernels: the chosen set against the reference one, and both against PyTorch."""

import math

import numpy as np
import pytest

from rushlight import kernels as K
from rushlight.kernels.reference import elementwise as R

torch = pytest.importorskip("torch")
F = torch.nn.functional

NATIVE = K.NAME == "native"
RNG = np.random.default_rng(0)
SPECIAL = [
    0.0, -0.0, 1, -1, 0.5, -0.5, 2.5, -2.5, 3, -3, 6, 7, 1e-30, -1e-30, 1e-42, 20.1, 88.7, -88.9, 100, -104,
    1e4, 1e30, -1e30, math.inf, -math.inf, math.nan,
]  # fmt: skip
VALUES = np.concatenate([SPECIAL, RNG.standard_normal(300) * 3, RNG.uniform(-1, 1, 100)])

UNARY = [
    "neg", "abs", "sign", "sgn", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt",
    "reciprocal", "square", "sin", "cos", "tan", "asin", "acos", "atan", "asinh", "acosh", "atanh", "tanh",
    "sigmoid", "relu", "erf", "erfc", "erfinv", "lgamma", "digamma", "floor", "ceil", "round", "trunc",
    "frac", "isnan", "isinf", "isfinite",
]  # fmt: skip
BINARY = [
    "add", "sub", "mul", "div", "maximum", "minimum", "fmax", "fmin", "atan2", "hypot", "pow", "eq", "ne",
    "lt", "le", "gt", "ge", "floor_divide", "remainder", "fmod",
]  # fmt: skip
# name, parameters after x, PyTorch's function, name of the gradient's kernel and how many parameters it takes
ACTIVATIONS = [
    ("gelu", ("none",), lambda x: F.gelu(x), "gelu_backward", 1),
    ("gelu", ("tanh",), lambda x: F.gelu(x, approximate="tanh"), "gelu_backward", 1),
    ("silu", (), F.silu, "silu_backward", 0),
    ("mish", (), F.mish, "mish_backward", 0),
    ("softplus", (2.0, 3.0), lambda x: F.softplus(x, 2, 3), "softplus_backward", 2),
    ("elu", (0.7,), lambda x: F.elu(x, 0.7), "elu_backward", 1),
    ("celu", (0.7,), lambda x: F.celu(x, 0.7), None, 0),
    ("selu", (), F.selu, None, 0),
    ("leaky_relu", (0.2,), lambda x: F.leaky_relu(x, 0.2), "leaky_relu_backward", 1),
    ("hardtanh", (-1.0, 2.0), lambda x: F.hardtanh(x, -1, 2), "hardtanh_backward", 2),
    ("clamp", (-1.0, 2.0), lambda x: x.clamp(-1, 2), "clamp_backward", 2),
    ("clamp", (None, 2.0), lambda x: x.clamp(max=2), "clamp_backward", 2),
    ("clamp", (0.5, None), lambda x: x.clamp(min=0.5), "clamp_backward", 2),
    ("relu6", (), F.relu6, None, 0),
    ("hardsigmoid", (), F.hardsigmoid, "hardsigmoid_backward", 0),
    ("hardswish", (), F.hardswish, "hardswish_backward", 0),
    ("softsign", (), F.softsign, None, 0),
    ("tanhshrink", (), F.tanhshrink, None, 0),
    ("softshrink", (0.4,), lambda x: F.softshrink(x, 0.4), "hardshrink_backward", 1),
    ("hardshrink", (0.4,), lambda x: F.hardshrink(x, 0.4), "hardshrink_backward", 1),
    ("threshold", (0.1, 20.0), lambda x: F.threshold(x, 0.1, 20.0), "threshold_backward", 1),
    ("logsigmoid", (), F.logsigmoid, "logsigmoid_backward", 0),
]


def agree(mine, theirs, rtol=None, atol=None):
    if isinstance(theirs, torch.Tensor):
        theirs = theirs.detach().numpy()
    assert type(mine) is np.ndarray
    assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
    wide = mine.dtype == np.float64
    rtol = (1e-9 if wide else 1e-5) if rtol is None else rtol
    atol = (1e-12 if wide else 2e-7) if atol is None else atol
    np.testing.assert_allclose(mine, theirs, rtol, atol)


def values(dtype):
    return VALUES.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", UNARY)
def test_unary_is_pytorchs(name, dtype):
    x = values(dtype)
    agree(getattr(K, name)(x), getattr(torch, name)(torch.from_numpy(x)))


@pytest.mark.parametrize("name", ["sinh", "cosh"])
def test_hyperbolic(name):
    x = np.linspace(-80, 80, 500).astype(np.float32)  # PyTorch's overflow too early
    agree(getattr(K, name)(x), getattr(torch, name)(torch.from_numpy(x)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BINARY)
def test_binary_is_pytorchs(name, dtype):
    x = values(dtype)
    y = np.random.default_rng(1).permutation(x)
    if name in ("remainder", "fmod", "floor_divide"):  # PyTorch's are wrong where the quotient overflows
        x, y = np.clip(x, -1e4, 1e4), np.where(np.abs(y) < 1e-3, 0, np.clip(y, -1e4, 1e4)).astype(dtype)
    agree(getattr(K, name)(x, y), getattr(torch, name)(torch.from_numpy(x), torch.from_numpy(y)), rtol=2e-5)


def test_rests_of_integers():
    low = np.iinfo(np.int64).min
    x = np.array([7, -7, 0, 6, -6, low, low, low + 1, 2**62, -1])
    for name, theirs in (("fmod", np.fmod), ("remainder", np.remainder), ("floor_divide", np.floor_divide)):
        for divisor in (3, -3, 1, -1, 7, low, 2**40):
            with np.errstate(all="ignore"):
                expected = theirs(x, np.int64(divisor))
            np.testing.assert_array_equal(getattr(K, name)(x, divisor), expected)
            np.testing.assert_array_equal(getattr(K, name)(x, np.full_like(x, divisor)), expected)
        np.testing.assert_array_equal(getattr(K, name)(20, x[:2]), theirs(20, x[:2]))
        for zero in (0, np.array([1, 0]), np.array(0)):
            with pytest.raises(RuntimeError, match="ZeroDivision"):
                getattr(K, name)(x[:2], zero)


def test_rests_of_large_quotients():
    """Beyond 2^28 the rest of a division in double would not be exact."""
    x = np.float32([1e30, -1e30, 3e38, 1e9, -1e9, 7, -7, 0, -0.0, np.inf, 5, 1e-40, 2**28 + 32, 16777216])
    for divisor in (3.0, -3.0, 1e-3, 0.7, np.inf, -np.inf, 0.0, np.nan, 1e-42):
        y = np.full_like(x, divisor)
        rest = K.fmod(x, y)
        with np.errstate(all="ignore"):
            expected = np.fmod(x, y)
        np.testing.assert_array_equal(rest, expected)
        np.testing.assert_array_equal(np.signbit(rest)[expected == 0], np.signbit(expected)[expected == 0])
        np.testing.assert_array_equal(K.fmod(x, float(y[0])), rest)
        theirs = torch.remainder(torch.from_numpy(x[5:9]), torch.from_numpy(y[5:9])).numpy()
        np.testing.assert_array_equal(K.remainder(x[5:9], y[5:9]), theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("row", ACTIVATIONS, ids=lambda r: f"{r[0]}{list(r[1])}")
def test_activation_is_pytorchs(row, dtype):
    name, args, theirs, backward, taken = row
    x = values(dtype)
    if name == "gelu":
        x = x[np.isfinite(x)]  # PyTorch's vectorised gelu(inf) is nan
    t = torch.from_numpy(x.copy()).requires_grad_()
    y = theirs(t)
    agree(getattr(K, name)(x, *args), y, atol=1e-6 if dtype == np.float32 else 1e-12)
    if backward:
        g = RNG.standard_normal(x.shape).astype(dtype)
        y.backward(torch.from_numpy(g))
        sixth = name == "hardsigmoid"  # PyTorch multiplies by a float32 sixth
        mine = getattr(K, backward)(g, x, *args[:taken])
        agree(mine, t.grad, rtol=1e-7 if sixth else None, atol=2e-6 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_gradient_from_the_output(name):
    t = torch.from_numpy(values(np.float32)).requires_grad_()
    y = getattr(torch, name)(t)
    g = RNG.standard_normal(len(VALUES)).astype(np.float32)
    y.backward(torch.from_numpy(g))
    agree(getattr(K, name + "_backward")(g, y.detach().numpy()), t.grad)


def spread(shape, dtype, seed=0):
    x = np.asarray(np.random.default_rng(seed).standard_normal(shape) * 2)
    return (
        np.asarray(x * 2 > 1)
        if dtype == np.bool_
        else x.astype(dtype)
        if dtype != np.int64
        else np.asarray(x * 5).astype(dtype)
    )


PAIRS = {
    "0-d": (lambda d: (spread((), d), spread((), d, 1))),
    "0-d and 2-d": (lambda d: (spread((), d), spread((3, 4), d, 1))),
    "2-d and 0-d": (lambda d: (spread((3, 4), d), spread((), d, 1))),
    "zero-size": (lambda d: (spread((3, 0), d), spread((1, 1), d, 1))),
    "zero-size rows": (lambda d: (spread((0, 3), d), spread((3,), d, 1))),
    "same": (lambda d: (spread((5, 7), d), spread((5, 7), d, 1))),
    "large": (lambda d: (spread((300, 301), d), spread((300, 301), d, 1))),
    "row": (lambda d: (spread((70, 300), d), spread((300,), d, 1))),
    "short row": (lambda d: (spread((9000, 10), d), spread((10,), d, 1))),
    "short row first": (lambda d: (spread((10,), d), spread((9000, 10), d, 1))),
    "column": (lambda d: (spread((70, 300), d), spread((70, 1), d, 1))),
    "short column": (lambda d: (spread((9000, 10), d), spread((9000, 1), d, 1))),
    "outer": (lambda d: (spread((40, 1), d), spread((1, 50), d, 1))),
    "outer of vectors": (lambda d: (spread((40, 1), d), spread((50,), d, 1))),
    "channels": (lambda d: (spread((2, 6, 9, 9), d), spread((6, 1, 1), d, 1))),
    "channels last": (lambda d: (np.moveaxis(spread((2, 9, 9, 6), d), -1, 1), spread((6, 1, 1), d, 1))),
    "both channels last": (
        lambda d: (
            np.moveaxis(spread((2, 9, 9, 6), d), -1, 1),
            np.moveaxis(spread((2, 9, 9, 6), d, 1), -1, 1),
        )
    ),
    "mixed layouts": (lambda d: (np.moveaxis(spread((2, 9, 9, 6), d), -1, 1), spread((2, 6, 9, 9), d, 1))),
    "transposed": (lambda d: (spread((40, 60), d).T, spread((60, 40), d, 1))),
    "both transposed": (lambda d: (spread((40, 60), d).T, spread((40, 60), d, 1).T)),
    "sliced": (lambda d: (spread((40, 60), d)[:, ::2], spread((40, 30), d, 1))),
    "cut rows": (lambda d: (spread((40, 60), d)[:, 5:35], spread((40, 30), d, 1))),
    "reversed": (lambda d: (spread((40, 60), d)[::-1, ::-1], spread((40, 60), d, 1))),
    "expanded": (lambda d: (np.broadcast_to(spread((1, 60), d), (40, 60)), spread((40, 60), d, 1))),
    "middle axis": (lambda d: (spread((4, 5, 6), d), spread((4, 1, 6), d, 1))),
    "ends": (lambda d: (spread((4, 5, 6), d), spread((1, 5, 1), d, 1))),
}


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.int64, np.int32, np.bool_, np.complex64, np.float16]
)
@pytest.mark.parametrize("shape", PAIRS)
def test_shapes_layouts_and_types(shape, dtype):
    x, y = PAIRS[shape](dtype)
    before = x.copy(), y.copy()
    for name in ("add", "mul", "maximum", "eq", "lt"):
        if dtype == np.complex64 and name in ("maximum", "lt"):
            continue
        mine, theirs = getattr(K, name)(x, y), getattr(R, name)(x, y)
        assert type(mine) is np.ndarray
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])
    if dtype in (np.float32, np.float64):
        agree(K.gelu_backward(*np.broadcast_arrays(x, y)), R.gelu_backward(*np.broadcast_arrays(x, y)))
        agree(K.mul_add(x, y, 0.3), R.mul_add(x, y, 0.3))


LAYOUTS = {
    "0-d": lambda: spread((), np.float32),
    "zero-size": lambda: spread((3, 0, 2), np.float32),
    "contiguous": lambda: spread((3, 4, 5), np.float32),
    "transposed": lambda: spread((30, 40), np.float32).T,
    "channels last": lambda: np.moveaxis(spread((2, 9, 9, 6), np.float32), -1, 1),
    "sliced": lambda: spread((30, 40), np.float32)[::3, 1::2],
    "reversed": lambda: spread((30, 40), np.float32)[::-1],
    "expanded": lambda: np.broadcast_to(spread((30, 1), np.float32), (30, 40)),
    "large": lambda: spread((400, 401), np.float32),
    "byte-swapped": lambda: spread((30,), ">f4"),
    "unaligned": lambda: np.frombuffer(b"\0" + spread((30,), np.float32).tobytes(), np.float32, 30, 1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["exp", "relu", "gelu", "neg", "isnan"])
def test_unary_layouts(name, layout):
    x = LAYOUTS[layout]()
    before = x.copy()
    mine, theirs = getattr(K, name)(x), getattr(R, name)(x)
    np.testing.assert_allclose(mine, theirs, 1e-5, 3e-7)
    assert mine.shape == theirs.shape and mine.dtype == theirs.dtype.newbyteorder("=")
    np.testing.assert_array_equal(x, before)
    if layout == "channels last":
        assert np.moveaxis(mine, 1, -1).flags.c_contiguous


def test_results_keep_channels_last():
    x, y = PAIRS["both channels last"](np.float32)
    bias = spread((6, 1, 1), np.float32)
    for result in (K.add(x, y), K.add(x, bias), K.add(bias, x), K.mul(x, 2.0), K.gt(x, y)):
        assert np.moveaxis(result, 1, -1).flags.c_contiguous


def test_out():
    x, y = spread((40, 50), np.float32), spread((40, 50), np.float32, 1)
    expected = x + y
    for out in (np.empty_like(x), np.empty((40, 100), np.float32)[:, ::2], np.empty((50, 40), np.float32).T):
        assert K.add(x, y, out=out) is out
        np.testing.assert_array_equal(out, expected)
    mine = x.copy()
    assert K.add(mine, y, out=mine) is mine
    np.testing.assert_array_equal(mine, expected)
    assert K.exp(mine, out=mine) is mine
    np.testing.assert_allclose(mine, np.exp(expected), 1e-6)
    mine = x.copy()
    K.add(mine, y[0], mine)
    np.testing.assert_array_equal(mine, x + y[0])
    with pytest.raises(ValueError):
        K.add(x[0], y, out=np.empty(50, np.float32))


def test_out_that_overlaps_an_operand():
    line = np.arange(100000, dtype=np.float32)
    expected = line[:-1] + line[1:]
    K.add(line[:-1], line[1:], out=line[1:])
    np.testing.assert_array_equal(line[1:], expected)
    square = spread((50, 50), np.float32)
    expected = square + square.T
    K.add(square, square.T, out=square)
    np.testing.assert_array_equal(square, expected)
    square = spread((50, 50), np.float32)
    expected = square + square[0]
    K.add(square, square[0], out=square)
    np.testing.assert_array_equal(square, expected)


def test_scalars_are_weak():
    x = np.float32([1, 2, 3])
    for number in (2, 2.5, True, np.float32(2), np.array(2, np.float32)):
        for result in (K.mul(x, number), K.mul(number, x), K.sub(number, x)):
            assert result.dtype == np.float32
    np.testing.assert_array_equal(K.sub(10, np.array([1, 2])), [9, 8])
    np.testing.assert_array_equal(K.sub(np.float64([1, 2]), 10.0), [-9, -8])
    assert K.gt(x, 2).tolist() == [False, False, True]
    assert K.add(np.array([1, 2]), 2**62).dtype == np.int64


def test_powers_that_are_products_and_roots():
    x = values(np.float32)
    for exponent in (2, 3, 0.5, -1, -0.5, -2, 1, 0, 2.5, -3):
        agree(K.pow(x, exponent), torch.pow(torch.from_numpy(x), exponent), rtol=2e-6)
        agree(K.pow(x, np.array(exponent, np.float32)), torch.pow(torch.from_numpy(x), exponent), rtol=2e-6)


def test_integers():
    x = RNG.integers(-5, 6, 300)
    y = RNG.integers(1, 6, 300) * RNG.choice([-1, 1], 300)
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    for name in ("add", "sub", "mul", "floor_divide", "remainder", "fmod", "pow", "eq", "lt"):
        agree(getattr(K, name)(x, y), getattr(torch, name)(tx, ty))
    agree(K.trunc_divide(x, y), torch.div(tx, ty, rounding_mode="trunc"))
    agree(K.clamp(x, -2, 3), tx.clamp(-2, 3))
    agree(K.clamp(x, -math.inf, 3), tx.clamp(max=3))
    for name in ("floor_divide", "trunc_divide", "remainder", "fmod"):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            getattr(K, name)(x, np.zeros_like(y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
def test_where(dtype):
    c = spread((30, 40), np.bool_)
    x, y = spread((30, 40), dtype, 1), spread((30, 40), dtype, 2)
    one = np.array(1, dtype)
    for a, b in (
        (x, y),
        (x, one),
        (one, y),
        (one, one),
        (x, dtype(1).item()),
        (dtype(1).item(), y),
        (x, y[0]),
        (x.T.copy().T, y),
    ):
        mine, theirs = K.where(c, a, b), np.where(c, a, b)
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype == dtype
    np.testing.assert_array_equal(K.where(c[0], x, y), np.where(c[0], x, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("kind", [np.bool_, np.uint8])
def test_mask_scale(dtype, kind):
    x, mask = spread((30, 40), dtype), spread((30, 40), np.bool_, 1).astype(kind)
    np.testing.assert_allclose(K.mask_scale(x, mask, 1.25), x * mask.astype(dtype) * dtype(1.25), 1e-3)


def test_copy():
    x = spread((2, 6, 9, 9), np.float32)
    for to in (
        np.empty_like(x),
        np.moveaxis(np.empty((2, 9, 9, 6), np.float32), -1, 1),
        np.empty(x.shape, int),
    ):
        assert K.copy(to, x) is to
        np.testing.assert_array_equal(to, x.astype(to.dtype))
    rows = np.empty((3, 9), np.float32)
    np.testing.assert_array_equal(K.copy(rows, x[0, 0, 0]), np.stack([x[0, 0, 0]] * 3))
    line = np.arange(10.0)
    np.testing.assert_array_equal(K.copy(line[1:], line[:-1]), np.arange(9.0))


@pytest.mark.skipif(not NATIVE, reason="the reference kernels have no threads")
def test_threads_do_not_change_results():
    from rushlight import _native

    x, y = spread((333, 1001), np.float32), spread((333, 1001), np.float32, 1)
    row, column = y[0].copy(), y[:, :1].copy()
    cases = [
        lambda: K.add(x, y),
        lambda: K.gelu(x),
        lambda: K.sin(x),
        lambda: K.mul(x, row),
        lambda: K.div(x, column),
        lambda: K.mul(x[:, :10].copy(), row[:10]),
        lambda: K.gelu_backward(x, y),
    ]
    threads = _native.get_num_threads()
    try:
        _native.set_num_threads(1)
        alone = [case() for case in cases]
        _native.set_num_threads(2)
        for case, expected in zip(cases, alone, strict=True):
            np.testing.assert_array_equal(case(), expected)
    finally:
        _native.set_num_threads(threads)


def test_large_results_written_past_the_caches():
    x = np.random.default_rng(0).random(5_000_011, np.float32)
    np.testing.assert_array_equal(K.add(x, x), x + x)
    np.testing.assert_array_equal(K.neg(x), -x)
    np.testing.assert_array_equal(K.copy(np.empty_like(x), x), x)


def _erf(x):
    return np.array([math.erf(v) for v in x])


ACCURATE = {
    "exp": (np.exp, -87, 88.7),
    "expm1": (np.expm1, -17, 88),
    "log": (np.log, 1e-38, 10),
    "log1p": (np.log1p, -0.99, 5),
    "sin": (np.sin, -1e7, 1e7),
    "cos": (np.cos, -500, 500),
    "tan": (np.tan, -50, 50),
    "tanh": (np.tanh, -10, 10),
    "erf": (_erf, -4.5, 4.5),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -80, 20),
    "sqrt": (np.sqrt, 0, 10),
}


@pytest.mark.parametrize("name", ACCURATE)
def test_accuracy(name):
    """float32 against float64: within 2 units in the last place (sigmoid, as PyTorch's, within 3)."""
    function, low, high = ACCURATE[name]
    x = np.linspace(low, high, 20001).astype(np.float32)
    near = (RNG.uniform(-1, 1, 20000) * 10.0 ** RNG.uniform(-10, 0, 20000)).astype(np.float32)
    x = np.concatenate([x, near[(near > low) & (near < high)]])
    exact = function(x.astype(np.float64))
    units = np.abs(getattr(K, name)(x) - exact) / np.spacing(np.abs(exact).astype(np.float32))
    assert units.max() <= ((3 if name == "sigmoid" else 2) if NATIVE else 4)


def test_narrow_types_are_computed_in_float32():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    for dtype in (np.float16, bfloat16):
        x = RNG.standard_normal(200).astype(dtype)
        for name in ("sigmoid", "gelu", "silu", "relu", "exp"):
            mine = getattr(K, name)(x)
            assert mine.dtype == dtype
            exact = getattr(R, name)(x.astype(np.float32)).astype(dtype)
            np.testing.assert_allclose(mine.astype(np.float32), exact.astype(np.float32), 1e-2, 1e-3)


def test_arguments_by_name():
    x = spread((4, 5), np.float32)
    np.testing.assert_array_equal(K.add(x=x, y=x), x + x)
    np.testing.assert_array_equal(K.leaky_relu(x, slope=0.5), K.leaky_relu(x, 0.5))
    np.testing.assert_array_equal(K.clamp(x, lo=-1.0, hi=1.0, out=np.empty_like(x)), np.clip(x, -1, 1))
    with pytest.raises(TypeError):
        K.add(x, x, wrong=1)
    with pytest.raises(TypeError):
        K.add(x)
    with pytest.raises(ValueError):
        K.add(x, x[:, :3])
