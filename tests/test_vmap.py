"""vmap: what it computes for all samples at once, and what it refuses, as in PyTorch."""

import numpy as np
import pytest

import rushlight
from rushlight.func import batched
from tests.autograd.compare import agree

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(0)
A, B = (RNG.standard_normal(s).astype("f4") for s in ((4, 5), (4, 5)))
IMAGES, INDEX = RNG.standard_normal((3, 2, 4, 6, 6)).astype("f4"), np.array([2, 0, 1, 2])


def inputs(L):
    """Two matrices, images of several samples, indices."""
    return L.tensor(A), L.tensor(B), L.tensor(IMAGES), L.tensor(INDEX)


def trained_norm(L, a, b, images, index):
    layer = L.nn.BatchNorm2d(4, track_running_stats=False)
    return L.vmap(layer)(images)


def norm_with_statistics(L, a, b, images, index):
    mean, var = L.zeros(3, 4), L.ones(3, 4)
    out = L.vmap(lambda x, m, v: L.nn.functional.batch_norm(x, m, v, training=True))(images, mean, var)
    return out, mean, var


def own_weights(L, a, b, images, index):
    w = L.linspace(-1, 1, 3 * 5 * 4 * 9).reshape(3, 5, 4, 3, 3)
    return L.vmap(L.func.grad(lambda w, x: L.nn.functional.conv2d(x, w, L.ones(5)).tanh().sum()))(
        w / 50, images
    )


def shared_weights(L, a, b, images, index):
    def loss(w, x):
        return L.nn.functional.max_pool2d(L.nn.functional.conv2d(x, w), 2).square().sum()

    w = L.linspace(-1, 1, 5 * 4 * 9).reshape(5, 4, 3, 3)
    return L.vmap(L.func.grad(loss), (None, 0))(w, images)


def in_place(L, a, b, images, index):
    def function(x, y):
        z = x.clone()
        z[1:3] = y[:2]
        z[0] += 1
        return z.mul_(2)

    return L.vmap(function)(a, b)


def own_function(L, a, b, images, index):
    class Double(L.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

        @staticmethod
        def vmap(info, in_dims, x):
            return Double.apply(x) + info.batch_size * 0, in_dims[0]

    return L.vmap(Double.apply, 1)(a)


def both_ways(L, a, b, images, index):
    w = L.ones(5, requires_grad=True)
    out = L.vmap(lambda x: L.func.grad(lambda y: (y * w).square().sum())(x))(a)
    out.sum().backward()
    return out, w.grad


def ignored_class(L, a, b, images, index):
    F = L.nn.functional
    return L.vmap(lambda x, t: F.cross_entropy(x, t, L.arange(1.0, 6.0), ignore_index=2))(
        L.stack([a, b]), L.stack([index, index.flip(0)])
    )


CASES = {
    "types": lambda L, a, b, i, k: L.vmap(lambda x, y: x + y)(a[:, 0].double(), b),
    "ranks": lambda L, a, b, i, k: L.vmap(lambda x, y: x * y, (1, 0))(i, a[:2, 0]),
    "all": lambda L, a, b, i, k: L.vmap(lambda x: (x.sum(), x.mean(-1), x.amax((0, 2), True), x.std()))(i),
    "numbers": lambda L, a, b, i, k: L.vmap(L.vmap(lambda x: (x.sum(0), x.softmax(-1), x.sort()[0])))(a),
    "median": lambda L, a, b, i, k: L.vmap(lambda x: (x.median(), x.max(), x.argmin()))(a),
    "views": lambda L, a, b, i, k: L.vmap(
        lambda x: (x.T, x[1], x[..., None], x.flatten(), x.view(-1), x.mT.unsqueeze(0), x.expand(2, *x.shape))
    )(i[0]),
    "products": lambda L, a, b, i, k: L.vmap(
        lambda x, y: (x @ y, L.outer(x, y), L.einsum("i,j->ji", x, y), L.addmv(x, L.ones(5, 5), y))
    )(a, b),
    "stacked products": lambda L, a, b, i, k: L.vmap(lambda x, y: x @ y[0, 0], (0, None))(i, i[0]),
    "indices": lambda L, a, b, i, k: L.vmap(lambda x, j: (x[j], x[j, None], x.gather(0, j.unsqueeze(0)), b[j]))(
        a, k
    ),
    "rows": lambda L, a, b, i, k: L.vmap(lambda x: (x[:, k[:2]], x.index_select(0, k[:2] // 2)))(i[0]),
    "scatter": lambda L, a, b, i, k: L.vmap(lambda x, j: x.scatter(0, j.reshape(1), 7.0))(a, k),
    "joined": lambda L, a, b, i, k: L.vmap(lambda x: (L.cat([x, b[0]]), L.stack([x, x], -1)))(a),
    "norms": lambda L, a, b, i, k: L.vmap(
        lambda x, w: (L.nn.functional.layer_norm(x, (6,), w), L.nn.functional.group_norm(x, 2, w[:4]))
    )(i, i[:, 0, 0, 0]),
    "attention": lambda L, a, b, i, k: L.vmap(L.nn.functional.scaled_dot_product_attention)(i, i, i),
    "losses": lambda L, a, b, i, k: L.vmap(lambda x, y: L.nn.functional.mse_loss(x, y))(a, b),
    "no rule": lambda L, a, b, i, k: L.vmap(lambda x: L.cov(x) * 2)(i[0]),
    "conversion": lambda L, a, b, i, k: L.vmap(lambda x: x.double().to(L.float16) + L.zeros_like(x))(a),
    "nested": lambda L, a, b, i, k: L.vmap(L.vmap(L.vmap(L.dot), (0, None)), (None, 0))(a[:, None], b),
    "per row": lambda L, a, b, i, k: L.vmap(L.func.jacfwd(lambda x: x.sin() * x.sum()))(a),
    "second": lambda L, a, b, i, k: L.vmap(L.func.hessian(lambda x: (x.sin() * x.sum()).sum()))(a),
    "pulled": lambda L, a, b, i, k: L.vmap(L.func.vjp(lambda x: (a @ x).tanh(), b[0])[1])(L.eye(4)),
    "chunks": lambda L, a, b, i, k: L.vmap(lambda x: x * 2, chunk_size=3, out_dims=1)(a),
    "numpy": lambda L, a, b, i, k: L.vmap(lambda x: x.cos())(a),
    "dropped": lambda L, a, b, i, k: L.vmap(lambda x: L.nn.functional.dropout(x, 0.5), randomness="same")(i),
    "factory": lambda L, a, b, i, k: L.vmap(lambda x: x * L.rand(5), randomness="different")(a),
    "batched gradients": lambda L, a, b, i, k: L.autograd.grad(
        (a.requires_grad_() @ b.T).relu().sum(1).tanh(), a, L.eye(4), is_grads_batched=True
    ),
} | {
    f.__name__: f
    for f in (
        trained_norm, norm_with_statistics, own_weights, shared_weights, in_place, own_function, both_ways, ignored_class,
    )
}  # fmt: skip

REFUSED = {
    "item": lambda L, a, b, i, k: L.vmap(lambda x: x[0].item())(a),
    "branch": lambda L, a, b, i, k: L.vmap(lambda x: x if x.sum() > 0 else -x)(a),
    "unbatched target": lambda L, a, b, i, k: L.vmap(lambda x: L.zeros(5).add_(x))(a),
    "random": lambda L, a, b, i, k: L.vmap(lambda x: L.nn.functional.dropout(x))(a),
    "random in place": lambda L, a, b, i, k: L.vmap(lambda x: b.normal_() + x, randomness="different")(a),
    "statistics": lambda L, a, b, i, k: L.vmap(L.nn.BatchNorm2d(4))(i),
    "out_dims": lambda L, a, b, i, k: L.vmap(lambda x: x, out_dims=None)(a),
    "backward": lambda L, a, b, i, k: L.vmap(lambda x: x.sum().backward())(a.requires_grad_()),
    "dimension": lambda L, a, b, i, k: L.vmap(lambda x: x.sum(1))(a),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    agree(lambda L: (L.manual_seed(0), CASES[name](L, *inputs(L)))[1])


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    found = []
    for L in (rushlight, torch):
        with pytest.raises((RuntimeError, ValueError, IndexError)) as error:
            REFUSED[name](L, *inputs(L))
        found.append(error)
    ours, theirs = found
    assert issubclass(ours.type, theirs.type)
    if name != "unbatched target":  # PyTorch's text speaks of shapes that the function does not see
        assert str(ours.value)[:60] == str(theirs.value)[:60]


def test_each_sample_where_memory_is_read():
    x = rushlight.tensor(A)
    found = rushlight.vmap(lambda row: rushlight.from_numpy(row.numpy() * 2))(x)
    assert rushlight.equal(found, x * 2)


def test_functions_are_as_before_once_it_ended():
    before = rushlight.add.__code__
    with pytest.raises(ZeroDivisionError):
        rushlight.vmap(lambda x: 1 // 0)(rushlight.tensor(A))
    assert rushlight.add.__code__ is before and not batched.STATE.levels


def test_shown():
    seen = []
    rushlight.vmap(lambda x: seen.append(repr(x)) or x)(rushlight.ones(2))
    assert seen == ["BatchedTensor(lvl=1, bdim=0, value=\n    tensor([1., 1.])\n)"]
