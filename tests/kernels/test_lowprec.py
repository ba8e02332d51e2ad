"""float16 and bfloat16: conversions, and kernels that compute them in float32 and round once."""

import inspect

import ml_dtypes
import numpy as np
import pytest

import rushlight
from rushlight import kernels as K
from rushlight.kernels.reference import dnn, elementwise, reduce

BFLOAT16, HALF, SINGLE = np.dtype(ml_dtypes.bfloat16), np.dtype(np.float16), np.dtype(np.float32)
LOW = pytest.mark.parametrize("low", [BFLOAT16, HALF], ids=["bfloat16", "float16"])


def drawn(shape, low, seed=0):
    """Numbers near 0, and a few special ones, of 16 bits."""
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return x.astype(low)


def same_bits(a, b):
    """Whether two arrays are the same, all kinds of nan taken as one."""
    nan = np.isnan(a.astype(np.float32)) & np.isnan(b.astype(np.float32))
    return (
        a.dtype == b.dtype and a.shape == b.shape and ((a.view(np.uint16) == b.view(np.uint16)) | nan).all()
    )


# -- conversions ----------------------------------------------------------------------------------------


@LOW
def test_every_number_of_16_bits_widens_exactly(low):
    x = np.arange(2**16, dtype=np.uint16).view(low)
    wide = K.cast(x, SINGLE)
    assert np.array_equal(wide, x.astype(np.float32), equal_nan=True)
    assert np.array_equal(np.signbit(wide), np.signbit(x.astype(np.float32)))
    assert same_bits(K.cast(wide, low), x)


@LOW
def test_rounds_to_the_nearest_and_ties_to_even(low):
    exact = np.arange(2**16, dtype=np.uint16).view(low).astype(np.float32)
    with np.errstate(all="ignore"):
        halves = (exact[:-1] + exact[1:]) / 2
        bits = np.random.default_rng(0).integers(0, 2**32, 300_001, dtype=np.uint32).view(np.float32)
        x = np.concatenate(
            [halves, np.nextafter(halves, np.float32(np.inf)), np.nextafter(halves, -halves), bits]
        )
        expected = x.astype(low)
    assert same_bits(K.cast(x, low), expected)
    assert all(same_bits(K.cast(x[:n], low), expected[:n]) for n in range(70))  # shorter than a register


LAYOUTS = {
    "scalar": lambda a: a[0, 0, 0, 0],
    "empty": lambda a: a[:0],
    "channels last": lambda a: a.transpose(0, 3, 1, 2),
    "rows of a slice": lambda a: a[1:, ::2, 1:3],
    "every other element": lambda a: a[..., ::2],
    "backwards": lambda a: a[::-1],
    "transposed slice": lambda a: a[:, 1:].transpose(2, 1, 0, 3),
    "broadcast": lambda a: np.broadcast_to(a[:, :1], a.shape),
}


@LOW
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(low, layout):
    x = np.asarray(layout(drawn((4, 6, 5, 8), SINGLE)))
    narrow = K.cast(x, low)
    assert same_bits(narrow.copy("C"), x.astype(low).copy("C"))
    source = np.asarray(layout(drawn((4, 6, 5, 8), low)))
    wide = K.cast(source, SINGLE)
    assert np.array_equal(wide, source.astype(np.float32))
    if layout is LAYOUTS["channels last"]:
        assert narrow.strides == tuple(s // 2 for s in x.strides) and wide.strides == x.strides
    target = np.zeros(x.shape, low)
    assert K.copy(target, x) is target and same_bits(target, narrow.copy("C"))


def test_other_casts():
    x = drawn((3, 4), HALF)
    assert K.cast(x, BFLOAT16).dtype == BFLOAT16 and K.cast(x, np.dtype(np.float64)).dtype == np.float64
    assert K.cast(np.arange(3), HALF).dtype == HALF


# -- kernels --------------------------------------------------------------------------------------------

UNARY = [
    "neg", "abs", "exp", "expm1", "log", "sqrt", "square", "sin", "tanh", "sigmoid", "relu", "gelu", "silu", "mish",
    "softplus", "elu", "selu", "celu", "leaky_relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "softsign",
    "softshrink", "floor", "ceil", "trunc", "round", "frac", "sign", "erf", "erfc", "lgamma", "exp2", "log2", "asinh",
    "isnan", "isfinite", "logical_not", "reciprocal", "rsqrt",
]  # fmt: skip
BINARY = [
    "add", "sub", "mul", "div", "maximum", "minimum", "fmax", "fmin", "atan2", "hypot", "eq", "ne", "lt", "le", "gt", "ge",
    "remainder", "fmod", "floor_divide", "pow", "relu_backward", "sigmoid_backward", "tanh_backward", "gelu_backward",
    "silu_backward", "logical_and",
]  # fmt: skip


def one_rounding(kernel, low, *operands):
    """What a kernel gives in float32, rounded; truth values stay."""
    with np.errstate(all="ignore"):
        wide = kernel(
            *[a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == low else a for a in operands]
        )
        return wide.astype(low) if wide.dtype == np.float32 else wide


def close(found, expected, low):
    """Equal but for a last digit, where NumPy's function and the native one differ in float32's last."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if found.dtype != low:
        assert np.array_equal(found, expected)
        return
    tolerance = 2.0**-7 if low == BFLOAT16 else 2.0**-10
    a, b = found.astype(np.float32), expected.astype(np.float32)
    np.testing.assert_allclose(a, b, tolerance, 1e-7)
    assert np.count_nonzero((a != b) & ~np.isnan(a)) <= 0.01 * a.size


@LOW
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one(name, low):
    kernel, x = getattr(K, name), drawn((3, 40, 29), low)
    for operand in (x, x.transpose(2, 0, 1), x[:, ::3], x[0, 0, :1].reshape(()), x[:0]):
        found, expected = kernel(operand), one_rounding(getattr(elementwise, name), low, operand)
        close(found, expected, low)
    if found.dtype == low:
        inside = x.copy()
        assert kernel(inside, out=inside) is inside
        close(inside, kernel(x), low)


@LOW
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two(name, low):
    kernel, reference = getattr(K, name), getattr(elementwise, name)
    x, y = np.abs(drawn((3, 40, 29), low)), drawn((3, 40, 29), low, 1)
    pairs = [
        (x, y),
        (x.T, y.T),
        (x, y.transpose(2, 1, 0).copy().transpose(2, 1, 0)),
        (x, y[0, 0, :1].reshape(())),
        (x[0, 0, :1].reshape(()), y),
    ]
    if not name.endswith("backward"):
        pairs += [(x, y[0, 0]), (x[:, :1], y), (x[:, :, ::2], y[0, :, ::2])]
    for operands in pairs:
        close(kernel(*operands), one_rounding(reference, low, *operands), low)
    if name in ("add", "mul", "relu_backward"):
        for inside, operands in (
            (a, (a, b)) for a, b in [(x.copy(), y), (x.copy(), y[:1])] if b.shape == y.shape
        ):
            expected = kernel(*operands)
            assert kernel(*operands, out=inside) is inside and same_bits(inside, expected)


@LOW
def test_numbers_and_masks(low):
    x, mask = drawn((50, 31), low), drawn((50, 31), SINGLE) > 0
    close(K.clamp(x, -0.5, 0.25), one_rounding(elementwise.clamp, low, x, -0.5, 0.25), low)
    close(K.leaky_relu(x, 0.2), one_rounding(elementwise.leaky_relu, low, x, 0.2), low)
    close(K.gelu(x, "tanh"), one_rounding(elementwise.gelu, low, x, "tanh"), low)
    close(K.mask_scale(x, mask, 1 / 0.9), one_rounding(elementwise.mask_scale, low, x, mask, 1 / 0.9), low)
    close(K.mul_add(x, x, 0.3), one_rounding(elementwise.mul_add, low, x, x, 0.3), low)
    assert same_bits(K.where(mask, x, x[0, 0]), np.where(mask, x, x[0, 0]))
    assert same_bits(K.where(mask, x, 0.1), np.where(mask, x, low.type(0.1)))


@LOW
@pytest.mark.parametrize("axes", [None, (1,), (0, 2)])
def test_reductions(low, axes):
    x = drawn((6, 40, 9), low)
    for name in ("sum", "mean", "amax", "amin", "var"):
        for operand in (x, x.transpose(1, 2, 0), x[:, ::2]):
            close(
                getattr(K, name)(operand, axes), one_rounding(getattr(reduce, name), low, operand, axes), low
            )


@LOW
def test_along_an_axis(low):
    x, g = drawn((6, 40), low), drawn((6, 40), low, 1)
    for name in ("softmax", "log_softmax", "logsumexp"):
        close(getattr(K, name)(x, 1), one_rounding(getattr(reduce, name), low, x, 1), low)
    close(
        K.softmax_backward(g, np.abs(x), 1), one_rounding(reduce.softmax_backward, low, g, np.abs(x), 1), low
    )
    values, index = K.max_with_index(x, 1)
    assert same_bits(values, x.max(1)) and np.array_equal(index, x.astype(np.float32).argmax(1))
    target = np.arange(6)
    loss, probabilities, total = K.cross_entropy(x, target, None, -100, 0.1)
    expected = reduce.cross_entropy(x.astype(np.float32), target, None, -100, 0.1)
    close(loss, expected[0].astype(low), low)
    close(probabilities, expected[1].astype(low), low)
    assert total == 6.0
    with pytest.raises(IndexError, match="out of bounds"):
        K.cross_entropy(x, target + 40, None, -100, 0.0)


@LOW
def test_mixed_types_are_left_to_numpy(low):
    x, y = drawn((4, 5), low), drawn((4, 5), SINGLE)
    assert K.add(x, y).dtype == SINGLE and K.lt(x, y).dtype == bool


@LOW
def test_numbers_are_not_rounded_to_16_bits(low):
    x, number = drawn((40, 31), low), np.array(2.1, np.float32)
    for name in ("mul", "div"):
        for kernel in (getattr(K, name), getattr(elementwise, name)):
            wide = getattr(np, {"mul": "multiply", "div": "divide"}[name])(x.astype(np.float32), number)
            for operands in ((x, number), (x, 2.1), (x.T, number)):
                expected = wide.T if operands[0] is not x else wide
                assert same_bits(kernel(*operands).copy("C"), expected.astype(low).copy("C"))
    assert same_bits(K.mul(number, x), K.mul(x, number))


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_products_with_numbers_equal_pytorch(name):
    torch = pytest.importorskip("torch")
    data = drawn((300,), SINGLE)

    def results(t):
        x = t.tensor(data).to(getattr(t, name)).requires_grad_()
        found = [
            x * 2.1,
            x / 2.1,
            0.3 * x,
            x.detach().clone().mul_(1e-5),
            x.detach().clone().div_(0.7),
            x + 0.1,
        ]
        (found[0].sum() + (x / 0.3).sum()).backward()
        return [f.detach().float().numpy() for f in (*found, x * t.tensor(2.1), x.grad)]

    for ours, theirs in zip(results(rushlight), results(torch), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@LOW
@pytest.mark.parametrize("own", [False, True], ids=["float32 weights", "weights of 16 bits"])
def test_normalisation(low, own):
    kind = low if own else SINGLE
    w, b = drawn(8, kind) + kind.type(1), drawn(8, kind, 1)
    x, g = (drawn((4, 5, 6, 8), low, s).transpose(0, 3, 1, 2) for s in (2, 3))
    y, mean, rstd, var = K.batch_norm_train(x, w, b, 1e-5)
    assert (y.dtype, mean.dtype, rstd.dtype, var.dtype) == (
        low,
        SINGLE,
        SINGLE,
        SINGLE,
    ) and y.strides == x.strides
    wide = dnn.batch_norm_train(x, w, b, 1e-5)
    close(y, wide[0], low)
    np.testing.assert_allclose(mean, wide[1], 1e-5, 1e-6)
    for found, expected in zip(
        K.batch_norm_backward(g, x, mean, rstd, w, True),
        dnn.batch_norm_backward(g, x, mean, rstd, w, True),
        strict=True,
    ):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.astype(np.float32), expected.astype(np.float32), 1e-2, 1e-3)
    rows, slopes = (np.ascontiguousarray(np.moveaxis(a, 1, -1)).reshape(-1, 8) for a in (x, g))
    y, mean, rstd = K.layer_norm(rows, w, b, 1e-5)
    assert (y.dtype, mean.dtype, rstd.dtype) == (low, SINGLE, SINGLE)
    close(y, dnn.layer_norm(rows, w, b, 1e-5)[0], low)
    for found, expected in zip(
        K.layer_norm_backward(slopes, rows, mean, rstd, w),
        dnn.layer_norm_backward(slopes, rows, mean, rstd, w),
        strict=True,
    ):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.astype(np.float32), expected.astype(np.float32), 1e-2, 1e-3)


@LOW
def test_linear_gradients(low):
    g, x = drawn((33, 20), low), drawn((33, 17), low, 1)
    gw, gb = K.linear_backward_weight(g, x, True)
    wide = [a.astype(np.float32) for a in (g, x)]
    assert gw.dtype == gb.dtype == low
    np.testing.assert_allclose(gw.astype(np.float32), wide[0].T @ wide[1], 1e-2, 2e-2)
    np.testing.assert_allclose(gb.astype(np.float32), wide[0].sum(0), 1e-2, 1e-2)


@LOW
def test_optimizer_steps(low):
    def run(adam, sgd, kind):
        p, g, m, v, buffer = (drawn(2500, low, s).astype(kind) for s in range(5))
        v = np.abs(v)
        adam([p], [g], [m], [v], None, 3, 0.01, 0.9, 0.999, 1e-8, 0.1, True, False)
        sgd([p], [g], [buffer], 0.01, 0.1, 0.9, 0.0, True, False, False)
        return p, m, v, buffer

    from rushlight.kernels.reference import optim

    for found, expected in zip(
        run(K.adam_step, K.sgd_step, low), run(optim.adam_step, optim.sgd_step, low), strict=True
    ):
        close(found, expected, low)


# -- training -------------------------------------------------------------------------------------------


def _trained(torch, low, autocast):
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(128, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 4),
    )  # fmt: skip
    x, y = torch.randn(16, 3, 8, 8), torch.randint(0, 4, (16,))
    if not autocast:
        model, x = model.to(low), x.to(low)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        with torch.autocast("cpu", low if low is not torch.float64 else None, enabled=autocast):
            loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    kinds = {str(p.dtype).split(".")[1] for p in model.parameters()} | {
        str(p.grad.dtype).split(".")[1] for p in model.parameters()
    }
    return losses, kinds


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
@pytest.mark.parametrize("autocast", [True, False], ids=["autocast", "model.to"])
def test_training_follows_pytorch(name, autocast):
    torch = pytest.importorskip("torch")
    (ours, kinds), (theirs, _) = (_trained(t, getattr(t, name), autocast) for t in (rushlight, torch))
    assert kinds == ({"float32"} if autocast else {name})
    np.testing.assert_allclose(
        ours, theirs, 0.06 if name == "bfloat16" else 0.01, 0.03 if name == "bfloat16" else 4e-3
    )
    assert ours[-1] < ours[0] / 2


def test_kernels_keep_their_parameters():
    """A kernel without native code takes what its reference takes, by position and by name."""
    x = drawn((3, 4), BFLOAT16)
    assert "axes" in inspect.signature(reduce.logsumexp).parameters
    assert K.logsumexp(x, axes=(1,), keepdims=True).shape == (3, 1)
    assert K.logsumexp(x.astype(np.float32), (1,)).dtype == SINGLE
