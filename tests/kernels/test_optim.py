"""Optimizer steps against torch.optim, over several steps."""

import itertools

import numpy as np
import pytest

from rushlight import kernels as K
from rushlight.kernels.reference import optim as R

torch = pytest.importorskip("torch")

SHAPES = [(3, 4), (50,), (), (130, 333), (0, 3)]
SGD = [
    {},
    {"weight_decay": 0.01},
    {"momentum": 0.9, "weight_decay": 0.01},
    {"momentum": 0.9, "dampening": 0.2},
    {"momentum": 0.9, "nesterov": True, "maximize": True},
]
ADAM = [
    ("Adam", {}),
    ("Adam", {"weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"betas": (0.3, 0.99), "maximize": True}),
    ("AdamW", {"weight_decay": 0.1}),
    ("AdamW", {"weight_decay": 0.1, "amsgrad": True, "eps": 1e-3}),
]


def arrays(dtype, seed=0):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(s)).astype(dtype) for s in SHAPES]


def sgd(kernel, ps, gs, bufs, first, lr=0.1, weight_decay=0.0, momentum=0.0, dampening=0.0, nesterov=False,
        maximize=False):  # fmt: skip
    bufs = bufs if momentum else None
    kernel(ps, gs, bufs, lr, weight_decay, momentum, dampening, nesterov, maximize, first)


def adam(kernel, name, ps, gs, m, v, top, step, lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0,
         amsgrad=False, maximize=False):  # fmt: skip
    top = top if amsgrad else None
    kernel(ps, gs, m, v, top, step, lr, *betas, eps, weight_decay, name == "AdamW", maximize)


def zeros(ps):
    return [np.zeros_like(p) for p in ps]


def check(ps, tensors, dtype):
    rtol, atol = (1e-6, 1e-6) if dtype == np.float32 else (1e-13, 1e-15)
    for p, t in zip(ps, tensors, strict=True):
        np.testing.assert_allclose(p, t.detach().numpy(), rtol, atol)


def run(optimizer, tensors, step, dtype, steps=5):
    for i in range(1, steps + 1):
        grads = arrays(dtype, i)
        for t, g in zip(tensors, grads, strict=True):
            t.grad = torch.from_numpy(g.copy())
        optimizer.step()
        step(i, grads)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", SGD, ids=str)
@pytest.mark.parametrize("kernel", [K.sgd_step, R.sgd_step], ids=["chosen", "reference"])
def test_sgd(kernel, options, dtype):
    ps = arrays(dtype)
    bufs = [np.full_like(p, np.nan) for p in ps]  # what they hold before the first step is not read
    tensors = [torch.from_numpy(p.copy()).requires_grad_() for p in ps]
    optimizer = torch.optim.SGD(tensors, lr=0.1, foreach=False, **options)
    run(optimizer, tensors, lambda i, gs: sgd(kernel, ps, gs, bufs, i == 1, **options), dtype)
    check(ps, tensors, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name,options", ADAM, ids=str)
@pytest.mark.parametrize("kernel", [K.adam_step, R.adam_step], ids=["chosen", "reference"])
def test_adam(kernel, name, options, dtype):
    ps = arrays(dtype)
    m, v, top = zeros(ps), zeros(ps), zeros(ps)
    tensors = [torch.from_numpy(p.copy()).requires_grad_() for p in ps]
    optimizer = getattr(torch.optim, name)(
        tensors, lr=0.01, foreach=False, **{"weight_decay": 0.0, **options}
    )
    run(optimizer, tensors, lambda i, gs: adam(kernel, name, ps, gs, m, v, top, i, **options), dtype)
    check(ps, tensors, dtype)


def test_steps_and_first_steps_by_parameter():
    a, b = arrays(np.float32), arrays(np.float32)
    gs = arrays(np.float32, 1)
    moments = [[np.ones_like(p) for p in a] for _ in range(4)]
    steps = [1, 2, 3, 4, 5]
    adam(K.adam_step, "Adam", a, gs, *moments[:2], None, steps)
    adam(R.adam_step, "Adam", b, gs, *moments[2:], None, steps)
    sgd(K.sgd_step, a, gs, moments[0], [True, False, True, False, True], momentum=0.9)
    sgd(R.sgd_step, b, gs, moments[2], [True, False, True, False, True], momentum=0.9)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, 1e-6, 1e-7)


def test_layouts_and_types():
    """Transposed, sliced and mixed-type parameters."""
    makers = [
        lambda: np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32).T,
        lambda: np.random.default_rng(1).standard_normal((20, 30)).astype(np.float32)[:, ::2],
        lambda: np.random.default_rng(2).standard_normal(10),
    ]
    for chosen in ([0], [1], [0, 2], [0, 1, 2]):
        a, b = ([makers[i]() for i in chosen] for _ in range(2))
        gs = [np.ones_like(p) for p in a]
        ma, va, mb, vb = zeros(a), zeros(a), zeros(a), zeros(a)
        for i in (1, 2):
            adam(K.adam_step, "Adam", a, gs, ma, va, None, i)
            adam(R.adam_step, "Adam", b, gs, mb, vb, None, i)
            sgd(K.sgd_step, a, gs, None, False)
            sgd(R.sgd_step, b, gs, None, False)
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, 1e-6, 1e-7)


def test_gradients_are_not_changed():
    ps, gs = arrays(np.float32), arrays(np.float32, 1)
    before = [g.copy() for g in gs]
    sgd(K.sgd_step, ps, gs, zeros(ps), True, momentum=0.9, nesterov=True, maximize=True, weight_decay=0.1)
    adam(K.adam_step, "Adam", ps, gs, zeros(ps), zeros(ps), None, 1, weight_decay=0.1, maximize=True)
    for g, b in zip(gs, before, strict=True):
        np.testing.assert_array_equal(g, b)


def test_no_parameters():
    sgd(K.sgd_step, [], [], None, True)
    adam(K.adam_step, "Adam", [], [], [], [], None, 1)


@pytest.mark.skipif(K.NAME != "native", reason="the reference kernels have no threads")
def test_threads_do_not_change_results():
    from rushlight import _native

    threads = _native.get_num_threads()
    results = []
    try:
        for n in (1, 2):
            _native.set_num_threads(n)
            ps = arrays(np.float32)
            m, v = zeros(ps), zeros(ps)
            for i in (1, 2, 3):
                adam(K.adam_step, "AdamW", ps, arrays(np.float32, i), m, v, None, i, weight_decay=0.1)
            results.append([*ps, *m, *v])
    finally:
        _native.set_num_threads(threads)
    for x, y in itertools.zip_longest(*results):
        np.testing.assert_array_equal(x, y)
