"""The kernels of neural-network layers: reference and native, each against PyTorch."""

import contextlib
import itertools
import os
import time

import numpy as np
import pytest

from rushlight.kernels.reference import dnn as reference

try:
    from rushlight.kernels.cpu import dnn as cpu
except ModuleNotFoundError as error:
    if error.name != "rushlight._native":
        raise
    cpu = None

torch = pytest.importorskip("torch")
F = torch.nn.functional

KERNELS = [pytest.param(reference, id="reference")]
if cpu is not None:
    KERNELS.append(pytest.param(cpu, id="cpu"))
kernels = pytest.mark.parametrize("K", KERNELS)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])

LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "channels_last": lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
}
layouts = pytest.mark.parametrize("layout", LAYOUTS)


def rand(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def close(ours, theirs, scale=1.0):
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else theirs
    assert isinstance(ours, np.ndarray)
    assert ours.shape == tuple(theirs.shape)
    assert ours.dtype == theirs.dtype
    if ours.dtype.kind == "i":
        return np.testing.assert_array_equal(ours, theirs)
    tight = (1e-2 if ours.dtype.itemsize == 2 else 16 * np.finfo(ours.dtype).eps) * scale
    size = float(np.max(np.abs(theirs), initial=1.0)) if np.isfinite(theirs).all() else 1.0
    np.testing.assert_allclose(ours, theirs, rtol=tight, atol=tight * size)


def leaf(x):
    return torch.from_numpy(np.ascontiguousarray(x)).requires_grad_()


def is_channels_last(x):
    return np.moveaxis(x, 1, -1).flags.c_contiguous


# -- matrices ---------------------------------------------------------------------------------------

MATMUL = [
    ((2, 3), (3, 4)),
    ((64, 784), (784, 300)),
    ((1, 5), (5, 1)),
    ((130, 65), (65, 33)),
    ((0, 3), (3, 4)),
    ((3, 0), (0, 4)),
    ((2, 3, 4), (2, 4, 5)),
    ((5, 1, 3, 4), (2, 4, 5)),
    ((8, 40, 64), (64, 48)),
    ((40, 64), (3, 64, 32)),
    ((2, 3, 64, 32), (2, 3, 32, 64)),
    ((0, 3, 4), (0, 4, 5)),
    ((1100, 300), (300, 1030)),
    ((1, 300), (300, 517)),
    ((517, 300), (300, 1)),
    ((1, 37), (37, 1)),
]


@kernels
@dtypes
@pytest.mark.parametrize("a, b", MATMUL, ids=str)
def test_matmul(K, a, b, dtype):
    x, y = rand(*a, dtype=dtype), rand(*b, dtype=dtype)
    expected = torch.from_numpy(x) @ torch.from_numpy(y)
    close(K.matmul(x, y), expected, 4)
    turned = np.ascontiguousarray(np.swapaxes(x, -1, -2)), np.ascontiguousarray(np.swapaxes(y, -1, -2))
    xt, yt = (np.swapaxes(z, -1, -2) for z in turned)
    for u, v in (
        (xt, y),
        (x, yt),
        (xt, yt),
        (np.repeat(x, 2, -1)[..., ::2], y),
        (x[..., ::-1], y[..., ::-1, :]),
    ):
        close(K.matmul(u, v), expected, 4)
    out = np.empty(expected.shape, dtype)
    assert K.matmul(x, y, out=out) is out
    close(out, expected, 4)


@kernels
@pytest.mark.parametrize("kind", [np.int64, np.complex64, np.float16])
def test_matmul_other_dtypes(K, kind):
    x, y = (rand(5, 6) * 4).astype(kind), (rand(6, 3) * 4).astype(kind)
    close(K.matmul(x, y), torch.from_numpy(x) @ torch.from_numpy(y))


LINEAR = [
    (64, 784, 300),
    (200, 784, 200),
    (1, 3, 2),
    (4, 4, 4),
    (7, 129, 65),
    (0, 3, 2),
    (3, 5, 1),
    (256, 300, 10),
    (1, 300, 270),
]


@kernels
@dtypes
@pytest.mark.parametrize("size", LINEAR, ids=str)
def test_linear(K, size, dtype):
    m, k, n = size
    x, w, b, g = (rand(*s, dtype=dtype, seed=5) for s in ((m, k), (n, k), (n,), (m, n)))
    tx, tw, tb = leaf(x), leaf(w), leaf(b)
    y = F.linear(tx, tw, tb)
    close(K.linear(x, w, b), y, 4)
    close(K.linear(x, w, None), F.linear(tx, tw), 4)
    close(K.linear(x, w, b, relu=True), y.relu(), 4)
    close(K.linear(x, w, None, True), F.linear(tx, tw).relu(), 4)
    close(K.linear(x[:, ::-1], np.asfortranarray(w[:, ::-1]), b), y, 4)
    y.backward(torch.from_numpy(g))
    gw, gb = K.linear_backward_weight(g, x, True)
    close(gw, tw.grad, 4)
    close(gb, tb.grad, 4)
    assert gw.flags.c_contiguous
    assert K.linear_backward_weight(g, x, False)[1] is None
    close(K.linear_backward_input(g, w), tx.grad, 4)


# -- convolution ------------------------------------------------------------------------------------

# x shape, w shape, stride, padding, dilation, groups
CONV = [
    ((2, 3, 8, 8), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((1, 1, 28, 28), (6, 1, 5, 5), (1, 1), (2, 2), (1, 1), 1),
    ((4, 6, 14, 14), (16, 6, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    ((2, 64, 8, 8), (64, 64, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((2, 16, 9, 7), (33, 16, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    ((2, 16, 8, 8), (32, 16, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((2, 16, 8, 8), (32, 16, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    ((2, 5, 11, 10), (7, 5, 3, 2), (2, 1), (0, 1), (2, 3), 1),
    ((2, 8, 9, 9), (12, 4, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    ((2, 8, 9, 9), (8, 1, 3, 3), (1, 1), (1, 1), (1, 1), 8),
    ((2, 32, 9, 9), (32, 1, 3, 3), (2, 2), (1, 1), (1, 1), 32),
    ((2, 6, 9, 9), (12, 1, 3, 3), (1, 1), (1, 1), (1, 1), 6),
    ((9, 64, 15, 13), (80, 64, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((16, 80, 12, 9), (64, 80, 3, 3), (1, 1), (0, 2), (1, 1), 1),
    ((3, 1, 17, 15), (21, 1, 3, 4), (2, 1), (1, 3), (1, 1), 1),
    ((2, 3, 10, 10), (4, 3, 3, 3), (3, 3), (1, 1), (1, 1), 1),
    ((1, 256, 8, 8), (256, 256, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((2, 64, 5, 7), (100, 64, 3, 5), (2, 1), (1, 2), (1, 1), 1),
    ((1, 40, 1, 1), (65, 40, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    ((2, 3, 40, 30), (5, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((1, 7, 19, 70), (8, 7, 4, 7), (1, 1), (0, 2), (1, 1), 1),
    ((3, 1, 28, 28), (1, 1, 5, 5), (1, 1), (2, 2), (1, 1), 1),
    ((1, 4, 5, 5), (4, 4, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    ((1, 4, 1, 1), (3, 4, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((0, 3, 8, 8), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((3, 4, 12), (5, 4, 3), (1,), (1,), (1,), 1),
    ((3, 4, 12), (6, 2, 3), (2,), (2,), (2,), 2),
    ((3, 1, 20), (6, 1, 7), (1,), (3,), (1,), 1),
    ((2, 3, 5, 6, 7), (4, 3, 3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
    ((2, 4, 5, 6, 7), (4, 2, 2, 3, 1), (2, 1, 2), (1, 0, 0), (1, 2, 1), 2),
]


def torch_conv(x, w, b, stride, padding, dilation, groups):
    return getattr(F, f"conv{x.ndim - 2}d")(x, w, b, stride, padding, dilation, groups)


@kernels
@dtypes
@layouts
@pytest.mark.parametrize("case", CONV, ids=str)
def test_conv(K, case, layout, dtype):
    x_shape, w_shape, *how = case
    x, w, b = rand(*x_shape, dtype=dtype), rand(*w_shape, dtype=dtype, seed=1), rand(w_shape[0], dtype=dtype)
    tx, tw, tb = leaf(x), leaf(w), leaf(b)
    expected = torch_conv(tx, tw, tb, *how)
    x = LAYOUTS[layout](x)
    y = K.conv(x, w, b, *how)
    close(y, expected, 4)
    assert is_channels_last(y)
    close(K.conv(x, w, None, *how), torch_conv(tx, tw, None, *how), 4)
    close(K.conv(x, w, b, *how, relu=True), expected.relu(), 4)
    close(K.conv(x, LAYOUTS[layout](w), b, *how, True), expected.relu(), 4)

    g = rand(*expected.shape, dtype=dtype, seed=2)
    expected.backward(torch.from_numpy(g))
    g = LAYOUTS[layout](g)
    gx = K.conv_backward_input(g, w, x_shape, *how)
    close(gx, tx.grad, 4)
    assert is_channels_last(gx)
    gw, gb = K.conv_backward_weight(g, x, w_shape, *how, True)
    close(gw, tw.grad, 8)
    close(gb, tb.grad, 8)
    assert gw.flags.c_contiguous
    gw, gb = K.conv_backward_weight(g, x, w_shape, *how, False)
    close(gw, tw.grad, 8)
    assert gb is None


@kernels
@pytest.mark.parametrize("output_padding", [0, 1])
def test_conv_backward_input_is_transposed_convolution(K, output_padding):
    x, w = rand(2, 6, 5, 5), rand(6, 4, 3, 3)
    expected = F.conv_transpose2d(
        torch.from_numpy(x), torch.from_numpy(w), None, stride=2, padding=1, output_padding=output_padding
    )
    close(K.conv_backward_input(x, w, tuple(expected.shape), (2, 2), (1, 1), (1, 1), 1), expected, 4)


@kernels
def test_low_precision(K):
    x, w = rand(2, 4, 8, 8).astype(np.float16), rand(6, 4, 3, 3).astype(np.float16)
    how = ((1, 1), (1, 1), (1, 1), 1)
    expected = torch_conv(torch.from_numpy(x), torch.from_numpy(w), None, *how)
    close(K.conv(x, w, None, *how), expected)
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    y = K.conv(x.astype(bfloat16), w.astype(bfloat16), None, *how)
    assert y.dtype == bfloat16
    np.testing.assert_allclose(y.astype(np.float32), expected.float().numpy(), rtol=0.1, atol=0.2)
    a = rand(33, 65).astype(bfloat16)
    product = K.matmul(a, a.T)
    assert product.dtype == bfloat16
    wide = a.astype(np.float32)
    np.testing.assert_allclose(product.astype(np.float32), wide @ wide.T, rtol=0.01, atol=0.01)
    y, *_ = K.batch_norm_train(x, None, None, 1e-5)
    close(y, F.batch_norm(torch.from_numpy(x), None, None, training=True))


# -- pooling ----------------------------------------------------------------------------------------

# x shape, kernel, stride, padding, dilation, ceil_mode
MAX_POOL = [
    ((2, 3, 8, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((2, 64, 8, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((2, 33, 9, 7), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((2, 3, 9, 7), (3, 2), (2, 3), (1, 0), (1, 1), True),
    ((1, 5, 10, 11), (3, 3), (1, 1), (1, 1), (2, 2), False),
    ((1, 5, 10, 11), (3, 3), (3, 3), (0, 0), (2, 1), True),
    ((2, 3, 12), (3,), (2,), (1,), (1,), False),
    ((2, 3, 5, 6, 7), (2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1), False),
    ((2, 3, 5, 6, 7), (3, 2, 3), (2, 1, 2), (1, 1, 1), (1, 1, 1), True),
    ((2, 3, 4, 4), (2, 2), (5, 5), (0, 0), (1, 1), False),
    ((0, 3, 4, 4), (2, 2), (2, 2), (0, 0), (1, 1), False),
]


@kernels
@dtypes
@layouts
@pytest.mark.parametrize("case", MAX_POOL, ids=str)
def test_max_pool(K, case, layout, dtype):
    x_shape, *how, ceil_mode = case
    x = rand(*x_shape, dtype=dtype)
    tx = leaf(x)
    pool = getattr(F, f"max_pool{x.ndim - 2}d")
    expected, where = pool(tx, *how, ceil_mode=ceil_mode, return_indices=True)
    x = LAYOUTS[layout](x)
    y, index = K.max_pool(x, *how, ceil_mode)
    close(y, expected)
    assert index.dtype == np.int32
    np.testing.assert_array_equal(index, where.numpy())
    if layout == "channels_last":
        assert is_channels_last(y)
    g = rand(*expected.shape, dtype=dtype, seed=1)
    expected.backward(torch.from_numpy(g))
    close(K.max_pool_backward(LAYOUTS[layout](g), index, x_shape), tx.grad)


@kernels
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_max_pool_propagates_nan_and_minus_infinity(K, layout):
    x = rand(2, 20, 6, 6)
    x[0, 0, 1, 1] = x[0, 0, 0, 1] = x[1, 2, 4, 4] = np.nan
    x[1, 1] = -np.inf
    expected, where = F.max_pool2d(torch.from_numpy(x), 3, 2, 1, return_indices=True)
    y, index = K.max_pool(LAYOUTS[layout](x), (3, 3), (2, 2), (1, 1), (1, 1), False)
    np.testing.assert_array_equal(y, expected.numpy())
    np.testing.assert_array_equal(index, where.numpy())


# x shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
@kernels
@layouts
@pytest.mark.parametrize(
    "shape", [(3, 6, 7, 9), (2, 1, 8, 8), (2, 15, 5, 300), (1, 3, 2, 2), (1, 7, 4, 74), (1, 3, 4, 172)]
)
def test_max_pool_of_few_channels(K, layout, shape, dtype=np.float32):
    random = np.random.default_rng(0)
    x = random.integers(0, 4, shape).astype(dtype)  # with ties
    x[random.random(shape) < 0.2] = np.nan
    expected, where = F.max_pool2d(torch.from_numpy(x), 2, return_indices=True)
    y, index = K.max_pool(LAYOUTS[layout](x), (2, 2), (2, 2), (0, 0), (1, 1), False)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(index, where)


AVG_POOL = [
    ((2, 3, 8, 8), (2, 2), (2, 2), (0, 0), False, True, None),
    ((2, 40, 9, 7), (3, 3), (2, 2), (1, 1), False, True, None),
    ((2, 3, 9, 7), (3, 3), (2, 2), (1, 1), True, False, None),
    ((2, 3, 9, 7), (3, 2), (2, 1), (1, 1), True, True, None),
    ((2, 3, 9, 7), (3, 2), (2, 1), (1, 0), False, True, 5),
    ((2, 3, 12), (3,), (2,), (1,), False, True, None),
    ((2, 3, 5, 6, 7), (2, 3, 2), (2, 2, 1), (1, 1, 0), True, False, None),
    ((0, 3, 4, 4), (2, 2), (2, 2), (0, 0), False, True, None),
]


@kernels
@dtypes
@layouts
@pytest.mark.parametrize("case", AVG_POOL, ids=str)
def test_avg_pool(K, case, layout, dtype):
    x_shape, *how, divisor = case
    x = rand(*x_shape, dtype=dtype)
    tx = leaf(x)
    extra = () if x.ndim == 3 else (divisor,)
    expected = getattr(F, f"avg_pool{x.ndim - 2}d")(tx, *how, *extra)
    y = K.avg_pool(LAYOUTS[layout](x), *how, divisor)
    close(y, expected)
    if layout == "channels_last":
        assert is_channels_last(y)
    g = rand(*expected.shape, dtype=dtype, seed=1)
    expected.backward(torch.from_numpy(g))
    close(K.avg_pool_backward(LAYOUTS[layout](g), x_shape, *how, divisor), tx.grad)


ADAPTIVE = [
    ((2, 3, 8, 8), (1, 1)),
    ((2, 37, 7, 9), (3, 4)),
    ((2, 3, 5, 4), (7, 7)),
    ((2, 3, 10), (4,)),
    ((2, 3, 5, 6, 7), (2, 3, 4)),
    ((0, 3, 4, 4), (2, 2)),
]


@kernels
@dtypes
@layouts
@pytest.mark.parametrize("x_shape, size", ADAPTIVE, ids=str)
def test_adaptive_pools(K, x_shape, size, layout, dtype):
    x = rand(*x_shape, dtype=dtype)
    tx = leaf(x)
    expected = getattr(F, f"adaptive_avg_pool{x.ndim - 2}d")(tx, size)
    ours = LAYOUTS[layout](x)
    close(K.adaptive_avg_pool(ours, size), expected)
    g = rand(*expected.shape, dtype=dtype, seed=1)
    expected.backward(torch.from_numpy(g))
    close(K.adaptive_avg_pool_backward(LAYOUTS[layout](g), x_shape), tx.grad)

    tx = leaf(x)
    pool = getattr(F, f"adaptive_max_pool{x.ndim - 2}d")
    expected, where = pool(tx, size, return_indices=True)
    y, index = K.adaptive_max_pool(ours, size)
    close(y, expected)
    np.testing.assert_array_equal(index, where.numpy())
    expected.backward(torch.from_numpy(g))
    close(K.max_pool_backward(LAYOUTS[layout](g), index, x_shape), tx.grad)


# -- normalisation ----------------------------------------------------------------------------------

NORM = [
    (4, 3),
    (64, 300),
    (2, 3, 5),
    (2, 5, 4, 3),
    (3, 64, 8, 8),
    (2, 1, 4, 4),
    (2, 3, 2, 3, 4),
    (32, 16, 12, 12),
]


@kernels
@dtypes
@layouts
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("shape", NORM, ids=str)
def test_batch_norm(K, shape, affine, layout, dtype):
    x = rand(*shape, dtype=dtype) * dtype(2) + dtype(3)
    w, b = (rand(shape[1], dtype=dtype, seed=s) if affine else None for s in (1, 2))
    g = rand(*shape, dtype=dtype, seed=3)
    ours, gradient = LAYOUTS[layout](x), LAYOUTS[layout](g)
    axes = (0, *range(2, x.ndim))
    running_mean, running_var = rand(shape[1], dtype=dtype), rand(shape[1], dtype=dtype) ** 2 + dtype(0.5)
    for train in (True, False):
        tx, tw, tb = leaf(x), (leaf(w) if affine else None), (leaf(b) if affine else None)
        stats = torch.from_numpy(running_mean.copy()), torch.from_numpy(running_var.copy())
        expected = F.batch_norm(tx, *stats, tw, tb, train, 1.0, 1e-5)
        if train:
            y, mean, rstd, var = K.batch_norm_train(ours, w, b, 1e-5)
            wide = x.astype(np.float64)
            close(mean, wide.mean(axes).astype(dtype), 8)
            close(var, wide.var(axes).astype(dtype), 8)
            close(rstd, (1 / np.sqrt(wide.var(axes) + 1e-5)).astype(dtype), 8)
        else:
            y = K.batch_norm_eval(ours, running_mean, running_var, w, b, 1e-5)
            mean, rstd = running_mean, 1 / np.sqrt(running_var + dtype(1e-5))
        close(y, expected, 4)
        if layout == "channels_last":
            assert is_channels_last(y)
        expected.backward(torch.from_numpy(g))
        gx, gw, gb = K.batch_norm_backward(gradient, ours, mean, rstd, w, train)
        close(gx, tx.grad, 4)
        if affine:
            close(gw, tw.grad, 8)
            close(gb, tb.grad, 8)


@kernels
def test_batch_norm_is_accurate_far_from_zero(K):
    x = rand(64, 5, 16, 16) + np.float32(1000)
    for layout in ("contiguous", "channels_last"):
        _, mean, _, var = K.batch_norm_train(LAYOUTS[layout](x), None, None, 1e-5)
        wide = x.astype(np.float64)
        np.testing.assert_allclose(mean, wide.mean((0, 2, 3)), rtol=1e-7)
        np.testing.assert_allclose(var, wide.var((0, 2, 3)), rtol=1e-6)


@kernels
@dtypes
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("shape", [(4, 3), (1, 1), (37, 300), (128, 64), (0, 4), (5, 1024)], ids=str)
def test_layer_norm(K, shape, affine, dtype):
    x = rand(*shape, dtype=dtype) + dtype(2)
    w, b = (rand(shape[1], dtype=dtype, seed=s) if affine else None for s in (1, 2))
    tx, tw, tb = leaf(x), (leaf(w) if affine else None), (leaf(b) if affine else None)
    expected = F.layer_norm(tx, shape[1:], tw, tb, 1e-5)
    g = rand(*shape, dtype=dtype, seed=3)
    expected.backward(torch.from_numpy(g))
    for turn in (np.ascontiguousarray, np.asfortranarray):
        y, mean, rstd = K.layer_norm(turn(x), w, b, 1e-5)
        close(y, expected, 4)
        gx, gw, gb = K.layer_norm_backward(turn(g), turn(x), mean, rstd, w)
        close(gx, tx.grad, 8)
        if affine:
            close(gw, tw.grad, 8)
            close(gb, tb.grad, 8)


GROUPS = [
    ((2, 6, 5, 7), 3),
    ((3, 64, 9), 4),
    ((4, 8), 2),
    ((2, 4, 3, 2, 3), 4),
    ((1, 20, 33, 40), 1),
    ((0, 4, 3), 2),
]


@kernels
@dtypes
@layouts
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("shape, groups", GROUPS, ids=str)
def test_group_norm(K, shape, groups, affine, layout, dtype):
    x, g = rand(*shape, dtype=dtype) + dtype(2), rand(*shape, dtype=dtype, seed=3)
    w, b = (rand(shape[1], dtype=dtype, seed=s) if affine else None for s in (1, 2))
    tx, tw, tb = leaf(x), (leaf(w) if affine else None), (leaf(b) if affine else None)
    expected = F.group_norm(tx, groups, tw, tb, 1e-5)
    expected.backward(torch.from_numpy(g))
    x, g = LAYOUTS[layout](x), LAYOUTS[layout](g)
    y, mean, rstd = K.group_norm(x, w, b, groups, 1e-5)
    close(y, expected, 8)
    if x.size:
        gx, gw, gb = K.group_norm_backward(g, x, mean, rstd, w, groups)
        close(gx, tx.grad, 16)
        if affine:
            close(gw, tw.grad, 16)
            close(gb, tb.grad, 16)


@kernels
def test_group_norm_is_accurate_far_from_zero(K):
    x = np.float32(300) + rand(2, 8, 40, 41)
    y, mean, _ = K.group_norm(x, None, None, 2, 1e-5)
    wide = x.astype(np.float64).reshape(4, -1)
    np.testing.assert_allclose(mean, wide.mean(1), rtol=1e-6)
    normal = (wide - wide.mean(1, keepdims=True)) / wide.std(1, keepdims=True)
    np.testing.assert_allclose(y.reshape(4, -1), normal, atol=1e-4)


# -- resampling and embedding -----------------------------------------------------------------------

UPSAMPLE = [
    ((2, 3, 4, 5), (8, 10), None),
    ((2, 3, 4, 5), (7, 3), None),
    ((2, 32, 6, 6), (4, 13), None),
    ((2, 3, 4, 5), (6, 7), (1.7, 1.5)),
    ((1, 3, 1, 1), (4, 4), None),
    ((2, 3, 7), (12,), None),
    ((2, 3, 3, 4, 5), (5, 8, 3), None),
]
MODES = [("nearest", None), ("nearest-exact", None), ("linear", False), ("linear", True), ("bicubic", False)]


@kernels
@dtypes
@layouts
@pytest.mark.parametrize("mode, align", MODES)
@pytest.mark.parametrize("x_shape, size, scales", UPSAMPLE, ids=str)
def test_upsample(K, x_shape, size, scales, mode, align, layout, dtype):
    dims = len(size)
    if mode == "bicubic" and dims != 2:
        pytest.skip("bicubic is for images")
    name = {1: "linear", 2: "bilinear", 3: "trilinear"}[dims] if mode == "linear" else mode
    x = rand(*x_shape, dtype=dtype)
    tx = leaf(x)
    target = {"size": size} if scales is None else {"scale_factor": scales}
    expected = F.interpolate(tx, **target, mode=name, align_corners=align)
    y = K.upsample(LAYOUTS[layout](x), size, name, bool(align), scales)
    close(y, expected, 4)
    if layout == "channels_last" and x_shape[2:] != (1, 1):  # where one position is both layouts
        assert is_channels_last(y)
    g = rand(*expected.shape, dtype=dtype, seed=1)
    expected.backward(torch.from_numpy(g))
    close(K.upsample_backward(LAYOUTS[layout](g), x_shape, name, bool(align), scales), tx.grad, 4)


@kernels
@dtypes
@pytest.mark.parametrize("n, rows, d", [(5, 3, 4), (1000, 50, 32), (0, 3, 4), (7, 1000, 1)])
def test_embedding_backward(K, n, rows, d, dtype):
    g, index = rand(n, d, dtype=dtype), np.random.default_rng(0).integers(0, rows, n)
    expected = torch.zeros(rows, d, dtype=torch.from_numpy(g).dtype)
    expected.index_add_(0, torch.from_numpy(index), torch.from_numpy(g))
    close(K.embedding_backward(g, index, rows), expected, 4)
    close(K.embedding_backward(np.asfortranarray(g), index.astype(np.int32), rows), expected, 4)


# -- the native set alone ---------------------------------------------------------------------------


@pytest.mark.skipif(cpu is None, reason="needs the native kernels")
def test_same_functions_as_the_reference():
    assert set(reference.__all__) == set(cpu.__all__)


def valid_calls():
    """Each native function with arguments that it takes."""
    from rushlight.kernels.reference import pooling, resample

    x, w, v, rows, g = rand(2, 3, 8, 8), rand(4, 3, 3, 3), rand(3), rand(5, 3), rand(2, 4, 6, 6)
    how = ((1, 1), (0, 0), (1, 1), 1)
    most = pooling.max_tables((8, 8), (2, 2), (2, 2), (0, 0), (1, 1), False)
    mean = pooling.avg_tables((8, 8), (2, 2), (2, 2), (0, 0), False, True)
    taps = resample.tables((8, 8), (5, 4), "bilinear", False, None, x.dtype)
    y, where = reference.max_pool(x, (2, 2), (2, 2), (0, 0), (1, 1), False)
    return {
        "matmul": (rand(3, 4), rand(4, 5), None),
        "linear": (rand(5, 4), rand(3, 4), v, True),
        "linear_backward_input": (rows, rand(3, 4)),
        "linear_backward_weight": (rows, rand(5, 4), True),
        "conv": (x, w, rand(4), *how, True),
        "conv_backward_input": (g, w, x.shape, *how),
        "conv_backward_weight": (g, x, w.shape, *how, True),
        "max_over": (x, most),
        "mean_over": (x, mean, None),
        "mean_over_backward": (y, x.shape, mean, 3),
        "max_pool_backward": (y, where, x.shape),
        "batch_norm_train": (x, v, v, 1e-5),
        "batch_norm_eval": (x, v, v, v, v, 1e-5),
        "batch_norm_backward": (x, x, v, v, v, True),
        "layer_norm": (rows, v, v, 1e-5),
        "layer_norm_backward": (rows, rows, rand(5), rand(5), v),
        "group_norm": (x, v, v, 3, 1e-5),
        "group_norm_backward": (x, x, rand(6), rand(6), v, 3),
        "scan": (rows, 1, True, True),
        "gather": (rows, np.arange(6).reshape(3, 2) % 3, 1),
        "topk": (rows, 2, True),
        "scatter_add": (rand(5, 3), np.arange(6).reshape(3, 2) % 3, rand(3, 2), 1),
        "resample": (x, taps),
        "resample_backward": (rand(2, 3, 5, 4), x.shape, taps),
        "embedding_backward": (rows, np.arange(5), 7),
    }


def nonsense():
    wild = np.array([0, 2, 90], np.int32), np.array([2, 4, 99], np.int32), 1
    shapes = [
        (),
        (1, 1),
        (0, 0),
        (-1, 2),
        (1, 2, 3),
        (2**40, 2**40),
        (2, 3, 2**40, 2**40),
        (2, 3, 9, 7),
        (2, 3, 0, 4),
    ]
    others = [
        None,
        3,
        -1,
        0,
        2**40,
        1.5,
        "x",
        True,
        [1, 2],
        ("a", 1),
        (wild,) * 2,
        (wild[:2],) * 2,
        ((None,) * 3,) * 2,
    ]
    arrays = [
        *(
            rand(*s)
            for s in ((4,), (0, 3), (3, 4), (1, 1, 1), (2, 3, 9, 7), (5, 5, 5, 5, 5, 5), (64, 64, 4, 4))
        ),
        *(rand(2, 3, 8, 8)[:, :, ::-2], rand(6, 3)[:, ::-1], np.broadcast_to(rand(1, 3, 1, 1), (2, 3, 8, 8))),
        *(
            np.zeros((2, 3, 4, 4), np.int32) - 7,
            np.full((2, 3, 4, 4), 2**30, np.int32),
            np.full(5, 90),
            rand(3).astype(">f4"),
        ),
        *(
            np.array(["a", "b"]),
            np.empty((2, 2), object),
            rand(3, 3, dtype=np.float64),
            np.array(1.0, np.float32),
        ),
    ]
    return [*shapes, *others, *arrays]


@pytest.mark.skipif(cpu is None, reason="needs the native kernels")
def test_native_functions_survive_nonsense():
    """One argument after the other is replaced: the extension answers, says None or raises; never a crash."""
    from rushlight import _native

    for name, valid in valid_calls().items():
        function = getattr(_native, name)
        assert function(*valid) is not None, name
        for i, value in itertools.product(range(len(valid)), nonsense()):
            with contextlib.suppress(
                TypeError, ValueError, IndexError, OverflowError, RuntimeError, MemoryError
            ):
                function(*valid[:i], value, *valid[i + 1 :])
        assert function(*valid) is not None, name


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@kernels
def test_forked_child_computes(K):
    x = rand(300, 300)
    K.matmul(x, x)
    child = os.fork()
    if child == 0:
        K.matmul(x, x)
        os._exit(0)
    for _ in range(200):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child does not come back")
    assert status == 0


@pytest.mark.skipif(cpu is None, reason="needs the native kernels")
def test_primitives_are_cached():
    x, w = rand(30, 50), rand(40, 50)
    cpu.linear(x, w)
    before = cpu.dnn_stats()
    cpu.linear(x, w)
    assert cpu.dnn_stats() == before


@pytest.mark.skipif(cpu is None, reason="needs the native kernels")
def test_results_do_not_depend_on_threads():
    from rushlight import _native

    x, g, index = rand(33, 40, 9, 9), rand(33, 40, 9, 9, seed=1), np.arange(2000) % 37
    results = []
    threads = _native.get_num_threads()
    try:
        for n in (1, 2, 3):
            _native.set_num_threads(n)
            found = [cpu.embedding_backward(rand(2000, 64), index, 40)]
            for layout in ("contiguous", "channels_last"):
                u, v = LAYOUTS[layout](x), LAYOUTS[layout](g)
                y, mean, rstd, _ = cpu.batch_norm_train(u, None, None, 1e-5)
                found += [y, mean, *cpu.batch_norm_backward(v, u, mean, rstd, None, True)]
                y, mean, rstd = cpu.group_norm(u, None, None, 4, 1e-5)
                found += [y, mean, *cpu.group_norm_backward(v, u, mean, rstd, None, 4)]
            found += cpu.layer_norm_backward(
                g.reshape(-1, 81), x.reshape(-1, 81), *np.ones((2, 1320), "f"), None
            )
            found += [cpu.matmul(rand(1, 300), rand(300, 900)), cpu.matmul(rand(900, 300), rand(300, 1))]
            one = rand(40, 1, 20, 20)
            how = ((1, 1), (1, 1), (1, 1), 1)
            found += cpu.conv_backward_weight(
                cpu.conv(one, rand(12, 1, 3, 3), None, *how), one, (12, 1, 3, 3), *how
            )
            found.append(cpu.conv(rand(1, 64, 9, 9), rand(200, 64, 3, 3), None, *how))
            found.append(cpu.conv(rand(1, 3, 50, 60), rand(6, 3, 3, 3), None, *how))
            for size, c, o, k, stride in (
                (16, 32, 64, 3, 2),
                (20, 16, 16, 3, 1),
                (8, 48, 64, 1, 1),
                (4, 128, 128, 3, 1),
            ):
                u, w = rand(9, c, size, size), rand(o, c, k, k)
                how = ((stride, stride), (k // 2, k // 2), (1, 1), 1)
                v = cpu.conv(u, w, None, *how)
                found += [v, cpu.conv_backward_input(v, w, u.shape, *how)]
                found += cpu.conv_backward_weight(v, u, w.shape, *how)
            results.append(found)
    finally:
        _native.set_num_threads(threads)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
