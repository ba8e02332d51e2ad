"""Reductions, softmax and classification losses against PyTorch."""

import itertools
import math

import numpy as np
import pytest

from rushlight import kernels as K

torch = pytest.importorskip("torch")
F = torch.nn.functional

NATIVE = K.NAME == "native"


def rand(*shape, dtype=np.float32, seed=0):
    return np.asarray(np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(dtype)


def agree(mine, theirs, rtol=None, atol=None):
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else theirs
    assert type(mine) is np.ndarray
    assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
    wide = mine.dtype in (np.float64, np.complex128)
    np.testing.assert_allclose(
        mine, theirs, rtol or (1e-12 if wide else 2e-6), atol or (1e-13 if wide else 1e-6)
    )


def nhwc(*shape, dtype=np.float32):
    n, c, *spatial = shape
    return np.moveaxis(rand(n, *spatial, c, dtype=dtype), -1, 1)


CASES = {
    "0-d": (lambda d: rand(dtype=d), [None]),
    "one": (lambda d: rand(1, dtype=d), [None, (0,)]),
    "vector": (lambda d: rand(1000, dtype=d), [None, (0,)]),
    "long vector": (lambda d: rand(100_003, dtype=d), [None]),
    "matrix": (lambda d: rand(70, 65, dtype=d), [None, (0,), (1,), (-1,), (0, 1)]),
    "tall": (lambda d: rand(5000, 10, dtype=d), [(0,), (1,)]),
    "odd tall": (lambda d: rand(2111, 7, dtype=d), [None, (0,), (1,)]),
    "wide": (lambda d: rand(3, 20_000, dtype=d), [None, (0,), (1,)]),
    "images": (
        lambda d: rand(4, 6, 9, 11, dtype=d),
        [(0, 2, 3), (2, 3), (1,), (0,), (1, 3), (0, 1), (0, 1, 2, 3)],
    ),
    "channels last": (lambda d: nhwc(4, 6, 9, 11, dtype=d), [(0, 2, 3), (2, 3), (1,), (0,), (3,), None]),
    "many channels": (lambda d: nhwc(2, 80, 9, 11, dtype=d), [(0, 2, 3), (2, 3), (1,)]),
    "transposed": (lambda d: rand(70, 65, dtype=d).T, [None, (0,), (1,)]),
    "permuted": (lambda d: rand(5, 6, 7, dtype=d).transpose(2, 0, 1), [(0,), (1,), (2,), (0, 2)]),
    "sliced": (lambda d: rand(70, 65, dtype=d)[::2, 1::3], [None, (0,), (1,)]),
    "reversed": (lambda d: rand(70, 65, dtype=d)[::-1, ::-1].copy()[::-1], [(0,), (1,)]),
    "expanded": (lambda d: np.broadcast_to(rand(70, 1, dtype=d), (70, 65)), [None, (0,), (1,)]),
    "ones": (lambda d: rand(1, 8, 1, dtype=d), [None, (0,), (0, 2), (1,)]),
}


def theirs_of(x):
    return torch.from_numpy(np.ascontiguousarray(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:var")
def test_reductions(case, dtype):
    make, axes_list = CASES[case]
    x = make(dtype)
    t = theirs_of(x)
    for axes, keepdims in itertools.product(axes_list, (False, True)):
        dims = list(range(x.ndim)) if axes is None else list(axes)
        if x.ndim == 0:
            agree(K.sum(x), t.sum())
            continue
        loose = 2e-5 if dtype == np.float32 else 1e-11
        agree(K.sum(x, axes, keepdims), t.double().sum(dims, keepdim=keepdims).to(t.dtype), atol=loose)
        agree(K.mean(x, axes, keepdims), t.double().mean(dims, keepdim=keepdims).to(t.dtype))
        agree(K.norm(x, axes, keepdims), torch.linalg.vector_norm(t, 2, dims, keepdim=keepdims))
        near = np.asarray(1 + x * dtype(1e-3), dtype)
        agree(
            K.prod(near, axes, keepdims),
            np.prod(near.astype(np.float64), axes, keepdims=keepdims).astype(dtype),
            2e-4,
        )
        agree(K.amax(x, axes, keepdims), t.amax(dims, keepdim=keepdims))
        agree(K.amin(x, axes, keepdims), t.amin(dims, keepdim=keepdims))
        agree(K.logsumexp(x, axes or tuple(dims), keepdims), t.logsumexp(dims, keepdim=keepdims))
        for correction in (0, 1):
            agree(K.var(x, axes, correction, keepdims), t.var(dims, correction=correction, keepdim=keepdims))
        if len(dims) == 1:
            for name, function in (("max_with_index", torch.max), ("min_with_index", torch.min)):
                values, index = getattr(K, name)(x, dims[0])
                agree(values, function(t, dims[0])[0])
                agree(index, function(t, dims[0])[1])
            agree(K.argmax(x, dims[0], keepdims), t.argmax(dims[0], keepdim=keepdims))
            agree(K.argmin(x, dims[0], keepdims), t.argmin(dims[0], keepdim=keepdims))
    if x.ndim:
        agree(K.argmax(x), t.argmax())
        agree(K.argmin(x), t.argmin())


@pytest.mark.parametrize("where", [0, 5, 37, 999])
def test_nan_and_infinity(where):
    x = rand(2, 1000)
    x[0, where] = math.nan
    x[1, where] = math.inf
    t = torch.from_numpy(x)
    for axes in ((1,), (0,), None):
        dims = list(axes) if axes else [0, 1]
        agree(K.amax(x, axes), t.amax(dims))
        agree(K.amin(x, axes), t.amin(dims))
        agree(K.sum(x, axes), t.sum(dims), atol=1e-4)
        agree(K.var(x, axes), t.var(dims))
    for axis in (0, 1):
        agree(K.argmax(x, axis), t.argmax(axis))
        agree(K.argmin(x, axis), t.argmin(axis))
    agree(K.argmax(x[:, :20].copy(), 1), t[:, :20].argmax(1))
    ties = np.float32([[1, 3, 3, 0], [-math.inf] * 4])
    agree(K.argmax(ties, 1), np.array([1, 0]))


def test_sums_are_exact():
    """Many equal numbers, and numbers of very different size: as good as pairwise summation."""
    assert K.sum(np.full(10_000_000, 0.1, np.float32)) == pytest.approx(1_000_000.0149, rel=1e-7)
    rows = np.full((100_000, 3), 0.1, np.float32)
    np.testing.assert_allclose(K.sum(rows, (0,)), 10_000.000149, rtol=1e-7)
    x = np.float32(1e4) + rand(100_000) * np.float32(0.01)
    np.testing.assert_allclose(K.var(x), np.var(x.astype(np.float64), ddof=1), rtol=1e-5)


def test_integers_and_booleans():
    for dtype in (np.int32, np.int64, np.uint8, np.bool_):
        x = np.random.default_rng(0).integers(0, 2, (30, 40)).astype(dtype)
        for axes in (None, (0,), (1,)):
            mine = K.sum(x, axes)
            assert mine.dtype == np.int64
            np.testing.assert_array_equal(mine, x.astype(np.int64).sum(axes))
        np.testing.assert_array_equal(K.argmax(x.astype(np.int64), 1), x.astype(np.int64).argmax(1))
    z = rand(20, 30).astype(np.complex64)
    agree(K.sum(z, (0,)), z.sum(0), atol=1e-5)
    h = rand(20, 30).astype(np.float16)
    assert K.sum(h).dtype == np.float16
    assert K.softmax(h, 1).dtype == np.float16


@pytest.mark.filterwarnings("ignore:var")
def test_nothing_to_reduce():
    for shape, axes in (((4, 0), (1,)), ((0, 4), (1,)), ((0,), None)):
        x = np.zeros(shape, np.float32)
        dims = list(axes) if axes else [0]
        t = torch.from_numpy(x)
        agree(K.sum(x, axes), t.sum(dims))
        agree(K.mean(x, axes), t.mean(dims))
        agree(K.var(x, axes), t.var(dims))
    for shape in ((0, 4), (4, 0)):
        assert K.softmax(np.zeros(shape, np.float32), 1).shape == shape
        assert K.log_softmax(np.zeros(shape, np.float32), 1).shape == shape


SOFT = {
    "rows": (lambda d: rand(64, 10, dtype=d), 1),
    "one": (lambda d: rand(5, 1, dtype=d), 1),
    "vector": (lambda d: rand(100, dtype=d), 0),
    "long rows": (lambda d: rand(5, 3001, dtype=d), -1),
    "medium rows": (lambda d: rand(50, 77, dtype=d), 1),
    "many rows": (lambda d: rand(9000, 10, dtype=d), 1),
    "columns": (lambda d: rand(10, 64, dtype=d), 0),
    "channels": (lambda d: rand(2, 6, 9, 9, dtype=d), 1),
    "channels last": (lambda d: nhwc(2, 6, 9, 9, dtype=d), 1),
    "wide columns": (lambda d: rand(19, 1100, dtype=d), 0),
    "between": (lambda d: rand(3, 21, 33, dtype=d), 1),
    "short rows": (lambda d: rand(70, 17, dtype=d), 1),
    "rows of 64": (lambda d: rand(33, 64, dtype=d), 1),
    "transposed": (lambda d: rand(30, 20, dtype=d).T, 1),
    "permuted": (lambda d: rand(7, 20, 30, dtype=d).transpose(2, 0, 1), 2),
    "sliced": (lambda d: rand(30, 20, dtype=d)[::2, ::2], 1),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", SOFT)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, case, dtype):
    make, axis = SOFT[case]
    x = make(dtype) * dtype(5)
    t = theirs_of(x).requires_grad_()
    y = getattr(torch, name)(t, axis)
    g = rand(*x.shape, dtype=dtype, seed=1)
    (grad,) = torch.autograd.grad(y, t, torch.from_numpy(g))
    mine = getattr(K, name)(x, axis)
    agree(mine, y)
    if case == "channels last":
        assert np.moveaxis(mine, 1, -1).flags.c_contiguous
    for out in (y.detach().numpy(), mine):
        agree(getattr(K, name + "_backward")(g, out, axis), grad, atol=1e-5 if dtype == np.float32 else None)


def test_softmax_of_extremes():
    for n in (4, 40, 200):
        x = np.zeros((4, n), np.float32)
        x[0, 0], x[1, 0], x[2], x[3, 1] = 1000, -math.inf, -math.inf, math.nan
        t = torch.from_numpy(x)
        agree(K.softmax(x, 1), torch.softmax(t, 1))
        agree(K.log_softmax(x, 1), torch.log_softmax(t, 1))
        columns = np.repeat(x.T, 20, axis=1)
        t = torch.from_numpy(columns)
        agree(K.softmax(columns, 0), torch.softmax(t, 0))
        agree(K.log_softmax(columns, 0), torch.log_softmax(t, 0))


LOSS = list(itertools.product([(5, 4), (64, 10), (1, 1), (3000, 10), (7, 300)], (False, True), (0.0, 0.1)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape,weighted,smoothing", LOSS)
def test_cross_entropy(shape, weighted, smoothing, dtype):
    n, classes = shape
    x = rand(n, classes, dtype=dtype) * dtype(3)
    target = np.random.default_rng(1).integers(0, classes, n)
    target[n // 2 :: 4] = -100
    weight = np.random.default_rng(2).random(classes).astype(dtype) + dtype(0.1) if weighted else None
    scale = np.random.default_rng(3).random(n).astype(dtype)
    t, tt = torch.from_numpy(x).requires_grad_(), torch.from_numpy(target)
    tw = torch.from_numpy(weight) if weighted else None
    expected = F.cross_entropy(t, tt, tw, reduction="none", label_smoothing=smoothing)
    loss, saved, total = K.cross_entropy(x, target, weight, -100, smoothing)
    agree(loss, expected)
    agree(saved, torch.softmax(t, 1))
    used = target[target != -100]
    assert type(total) is float
    assert total == pytest.approx(weight[used].sum() if weighted else len(used), rel=1e-6)
    for by in (scale, 0.5, np.array(0.25, dtype)):
        (grad,) = torch.autograd.grad(
            expected, t, torch.ones(n, dtype=t.dtype) * torch.as_tensor(by), retain_graph=True
        )
        agree(K.cross_entropy_backward(saved, target, weight, -100, smoothing, by), grad)


@pytest.mark.parametrize("weighted", [False, True])
def test_nll_loss(weighted):
    x = torch.log_softmax(torch.from_numpy(rand(50, 7)), 1).requires_grad_()
    target = np.random.default_rng(1).integers(0, 7, 50)
    target[::5] = 3
    weight = np.random.default_rng(2).random(7).astype(np.float32) if weighted else None
    scale = rand(50)
    expected = F.nll_loss(x, torch.from_numpy(target), weight if weight is None else torch.from_numpy(weight),
                          ignore_index=3, reduction="none")  # fmt: skip
    loss, total = K.nll_loss(x.detach().numpy(), target, weight, 3)
    agree(loss, expected)
    used = target[target != 3]
    assert total == pytest.approx(weight[used].sum() if weighted else len(used), rel=1e-6)
    (grad,) = torch.autograd.grad(expected, x, torch.from_numpy(scale))
    agree(K.nll_loss_backward(x.detach().numpy(), target, weight, 3, scale), grad)


@pytest.mark.parametrize("bad", [-1, 4, 10**12])
def test_targets_out_of_range(bad):
    x, target = rand(3, 4), np.array([0, bad, 1])
    with pytest.raises(IndexError, match=f"Target {bad} is out of bounds"):
        K.cross_entropy(x, target, None, -100, 0.0)
    with pytest.raises(IndexError):
        K.cross_entropy_backward(x, target, None, -100, 0.0, 1.0)
    with pytest.raises(IndexError):
        K.nll_loss(x, target, None, -100)


def test_no_rows():
    x, target = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    loss, saved, total = K.cross_entropy(x, target, None, -100, 0.1)
    assert loss.shape == (0,) and saved.shape == (0, 4) and total == 0
    assert K.cross_entropy_backward(saved, target, None, -100, 0.1, 1.0).shape == (0, 4)


@pytest.mark.skipif(not NATIVE, reason="the reference kernels have no threads")
def test_threads_do_not_change_results():
    from rushlight import _native

    x = rand(3000, 111)
    images, last = rand(16, 30, 17, 17), nhwc(16, 30, 17, 17)
    target = np.random.default_rng(0).integers(0, 111, 3000)
    weight = np.random.default_rng(0).random(111).astype(np.float32)
    cases = [lambda f=f, a=a: f(x, a) for f in (K.sum, K.mean, K.var, K.amax) for a in (None, (0,), (1,))]
    cases += [lambda f=f, v=v: f(v, (0, 2, 3)) for f in (K.sum, K.var) for v in (images, last)]
    cases += [lambda: K.softmax(x, 1), lambda: K.log_softmax(x, 1), lambda: K.argmax(x, 1)]
    cases += [lambda i=i: K.cross_entropy(x, target, weight, -100, 0.1)[i] for i in range(3)]
    threads = _native.get_num_threads()
    try:
        _native.set_num_threads(1)
        alone = [case() for case in cases]
        _native.set_num_threads(2)
        for case, expected in zip(cases, alone, strict=True):
            np.testing.assert_array_equal(case(), expected)
    finally:
        _native.set_num_threads(threads)
