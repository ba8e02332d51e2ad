"""In-place operations on tensors and on views, differentiated; every program runs under both libraries."""

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")


def on_row(lib, x, w):
    y = x * 2
    y[0] = y[1].clone() * w
    return y


def on_view(lib, x, w):
    y = x * 2
    y[1:, :2].mul_(w[:2])
    return y


def on_view_of_view(lib, x, w):
    y = x * 2
    y.t()[1:].t()[0].add_(w[1:])
    return y * y


def view_made_before(lib, x, w):
    y = x * 2
    v = y[0]
    y.mul_(w)
    return v * v


def view_made_before_and_changed(lib, x, w):
    y = x * 2
    v = y.view(-1)
    v[1:3] = 0
    y.add_(w)
    v.mul_(3)
    return y.exp() + v.sum()


def constant_becomes_history(lib, x, w):
    y = lib.zeros(2, 3)
    y[0] = w
    y[1] += x[0]
    y[:, 1] *= w[0]
    return y


def with_mask(lib, x, w):
    y = x * 2
    y[x > 0] = 0
    y[:, [0, 2]] = w[0]
    return y


def accumulate(lib, x, w):
    y = x.clone()
    for i in range(3):
        y[:, i] = y[:, i - 1].clone() * w[i]
    return y


def copied(lib, x, w):
    y = lib.empty(2, 3)
    y.copy_(x)
    y[0].copy_(w)
    return y * x


def chain(lib, x, w):
    y = x.clone()
    y.mul_(2).add_(w).sigmoid_()
    return y


def filled(lib, x, w):
    y = x * w
    y[0].fill_(2.0)
    y[1, 1:].zero_()
    return y * y


PROGRAMS = [
    on_row, on_view, on_view_of_view, view_made_before, view_made_before_and_changed, constant_becomes_history,
    with_mask, accumulate, copied, chain, filled,
]  # fmt: skip
X = np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]])
W = np.array([1.2, -0.4, 0.9])


def run(lib, program):
    x = lib.tensor(X.tolist(), requires_grad=True)
    w = lib.tensor(W.tolist(), requires_grad=True)
    y = program(lib, x, w)
    gx, gw = lib.autograd.grad((y * y).sum(), [x, w], create_graph=True, allow_unused=True)
    total = sum((g * g).sum() for g in (gx, gw) if g is not None and g.requires_grad)
    second = (
        lib.autograd.grad(total, [x, w], allow_unused=True) if not isinstance(total, int) else (None, None)
    )
    return [None if t is None else t.detach().numpy() for t in (y, gx, gw, *second)]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_program(program):
    for ours, theirs in zip(run(rushlight, program), run(torch, program), strict=True):
        if ours is None or theirs is None:
            assert ours is None or not ours.any()
            assert theirs is None or not theirs.any()
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lib", [rushlight, torch], ids=["rushlight", "torch"])
def test_overwriting_a_saved_output(lib):
    x = lib.ones(3, requires_grad=True)
    y = x.sigmoid()
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("lib", [rushlight, torch], ids=["rushlight", "torch"])
def test_version_counters(lib):
    x = lib.zeros(4)
    assert x._version == 0
    x.add_(1)
    x[0] = 5
    v = x.view(2, 2)
    v.mul_(2)
    assert x._version == v._version == 3
    assert x.detach()._version == 3
    assert x.data._version == 0


PLACED = {
    "x[mask]": lambda t, x, m, i: x[m],
    "x[index]": lambda t, x, m, i: x[i],
    "x[mask] = v": lambda t, x, m, i: _set(x * 1, m),
    "x[index] = v": lambda t, x, m, i: _set(x * 1, i),
    "where": lambda t, x, m, i: t.where(m, x, 2 * x),
    "embedding": lambda t, x, m, i: t.nn.functional.embedding(i, x.reshape(3, 1)),
    "gather": lambda t, x, m, i: x.gather(0, i),
    "scatter": lambda t, x, m, i: x.scatter(0, i, 0.0),
    "scatter_add": lambda t, x, m, i: x.scatter_add(0, i, x[:2]),
    "scatter_reduce": lambda t, x, m, i: x.scatter_reduce(0, i, x[:2], "sum"),
    "index_select": lambda t, x, m, i: x.index_select(0, i),
    "index_add": lambda t, x, m, i: x.index_add(0, i, x[:2]),
    "index_copy": lambda t, x, m, i: x.index_copy(0, i, x[:2]),
    "index_fill": lambda t, x, m, i: x.index_fill(0, i, 0.0),
    "index_put": lambda t, x, m, i: x.index_put((i,), x[:2]),
    "take": lambda t, x, m, i: x.take(i),
    "put": lambda t, x, m, i: x.put(i, x[:2]),
    "masked_fill": lambda t, x, m, i: x.masked_fill(m, 0.0),
    "masked_fill_": lambda t, x, m, i: (x * 1).masked_fill_(m, 0.0),
    "masked_select": lambda t, x, m, i: x.masked_select(m),
    "masked_scatter": lambda t, x, m, i: x.masked_scatter(m, x[:2]),
}


def _set(x, where):
    x[where] = 5.0
    return x


@pytest.mark.parametrize("name", PLACED)
def test_an_index_or_mask_changed_since_is_refused(name):
    for framework in (torch, rushlight):
        x = framework.ones(3, requires_grad=True)
        m, i = framework.tensor([True, False, True]), framework.tensor([0, 1])
        y = PLACED[name](framework, x, m, i)
        m.zero_()
        i.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()
