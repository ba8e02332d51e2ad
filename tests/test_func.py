"""torch.func and vmap: values, structures, flags and errors, as in PyTorch."""

import numpy as np
import pytest

import rushlight
from rushlight.utils import _pytree as pytree
from tests.autograd.compare import agree

torch = pytest.importorskip("torch")
CASES = {}
RNG = np.random.default_rng(0)
X, A = RNG.standard_normal(5).astype("f4"), RNG.standard_normal((4, 5)).astype("f4")


def case(name, function):
    """List a case of the framework, its `func`, a vector and a matrix."""
    CASES[name] = lambda L: function(L, L.func, L.tensor(X), L.tensor(A))


def sines(x):
    """A function of a vector to a number."""
    return (x.sin() ** 2).sum()


case("grad", lambda L, F, x, A: F.grad(sines)(x))
case("grad of grad", lambda L, F, x, A: F.grad(F.grad(L.sin))(x[0]))
case("grad of a leaf", lambda L, F, x, A: F.grad(sines)(x.requires_grad_()))
case("grad twice", lambda L, F, x, A: F.grad(lambda a, b: (a * b).sum(), argnums=(0, 1))(x, x + 1))
case("grad last", lambda L, F, x, A: F.grad(lambda a, b: (a * b).sum(), argnums=-1)(x, x + 1))
case("grad of dict", lambda L, F, x, A: F.grad(lambda d: (d["a"] * d["b"][0]).sum())({"a": x, "b": [x + 1]}))
case("grad and value", lambda L, F, x, A: F.grad_and_value(lambda x: (sines(x), x * 2), has_aux=True)(x))
case("grad with aux", lambda L, F, x, A: F.grad(lambda x: (sines(x), {"k": x * 2}), has_aux=True)(x))
case("vmap of grad", lambda L, F, x, A: F.vmap(F.grad(sines))(A))
case("jacrev", lambda L, F, x, A: F.jacrev(lambda x: A @ x.sin())(x))
case("jacfwd", lambda L, F, x, A: F.jacfwd(lambda x: A @ x.sin())(x))
case("jacrev chunks", lambda L, F, x, A: F.jacrev(lambda x: A @ x.sin(), chunk_size=2)(x))
for outer in ("jacrev", "jacfwd"):
    for inner in ("jacrev", "jacfwd"):
        case(
            f"{outer} of {inner}",
            lambda L, F, x, A, o=outer, i=inner: getattr(F, o)(getattr(F, i)(lambda x: (A @ x.sin()).exp()))(
                x
            ),
        )
    for name, function in (
        ("structures", lambda x: {"a": x * 2, "b": (x.sum(),)}),
        ("constant", lambda x: x.detach() * 2),
    ):
        case(f"{outer} {name}", lambda L, F, x, A, o=outer, f=function: getattr(F, o)(f)(x))
    case(
        f"{outer} argnums",
        lambda L, F, x, A, o=outer: getattr(F, o)(lambda x, y: x * y, argnums=(0, 1))(x, x + 1),
    )
    case(f"{outer} aux", lambda L, F, x, A, o=outer: getattr(F, o)(lambda x: (x * 2, x), has_aux=True)(x))
case("jacrev of dict", lambda L, F, x, A: F.jacrev(lambda d: d["x"] * d["y"])({"x": x, "y": x + 1}))
case("vmap of jacrev", lambda L, F, x, A: F.vmap(F.jacrev(L.sin))(A))
case("hessian", lambda L, F, x, A: F.hessian(lambda x: (A @ x.sin()).exp())(x))
case("hessian blocks", lambda L, F, x, A: F.hessian(lambda x, A: (A @ x.sin()).sum(), argnums=(0, 1))(x, A))
case("jvp", lambda L, F, x, A: F.jvp(lambda x, A: A @ x.sin(), (x, A), (x, A)))
case("jvp aux", lambda L, F, x, A: F.jvp(lambda x: (x * 2, x), (x,), (x,), has_aux=True))
case("jvp constant", lambda L, F, x, A: F.jvp(lambda x: (x * 2, L.ones(2)), (x,), (x,)))
case("jvp of grad", lambda L, F, x, A: F.jvp(F.grad(sines), (x,), (x,)))
case("grad of jvp", lambda L, F, x, A: F.grad(lambda x: F.jvp(L.sin, (x,), (x,))[1].sum())(x))
case("vjp", lambda L, F, x, A: F.vjp(lambda x, A: A @ x.sin(), x, A)[1](L.ones(4)))
case("vjp value", lambda L, F, x, A: F.vjp(lambda x: (x * 2, {"k": x.sin()}), x)[0])
case("vjp structure", lambda L, F, x, A: F.vjp(lambda x: {"k": x.sin()}, x)[1]({"k": x}))
case("vmap of vjp", lambda L, F, x, A: F.vmap(F.vjp(L.sin, x)[1])(A))
case("reversed twice", lambda L, F, x, A: F.vjp(lambda c: F.vjp(L.sin, x)[1](c)[0], x)[1](x))


def outside(L, F, x, A):
    """Gradients reach what the function captured."""
    w = L.ones(5, requires_grad=True)
    g = F.grad(lambda x: (x**2 * w).sum())(x)
    g.sum().backward()
    return g, w.grad


def without_recording(L, F, x, A):
    with L.no_grad():
        return F.grad(sines)(x), F.grad(lambda x: F.grad(lambda y: (y**3).sum())(x).sum())(x)


def recording_inside(L, F, x, A):
    def function(x):
        with L.no_grad():
            c = x**2
        return (x - c).sum()

    return F.grad(function)(x)


def per_sample(L, F, x, A):
    nn = L.nn
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    params = {k: v.detach() for k, v in model.named_parameters()}

    def loss(params, x, y):
        return nn.functional.cross_entropy(
            F.functional_call(model, params, (x.unsqueeze(0),)), y.unsqueeze(0)
        )

    return F.vmap(F.grad(loss), in_dims=(None, 0, 0))(params, A, L.tensor([0, 1, 2, 1]))


def ensemble(L, F, x, A):
    models = [L.nn.Linear(5, 3) for _ in range(4)]
    params, buffers = F.stack_module_state(models)

    def call(params, buffers, x):
        return F.functional_call(models[0], (params, buffers), (x,))

    out = F.vmap(call, in_dims=(0, 0, None))(params, buffers, A)
    out.sum().backward()
    return out, params["weight"].grad, buffers


def linearized(L, F, x, A):
    value, push = rushlight.func.linearize(L.sin, x) if L is rushlight else (x.sin(), lambda t: x.cos() * t)
    return value, push(x), push(x * 2)


def buffers_written(L, F, x, A):
    layer = L.nn.BatchNorm1d(5)
    buffers = {k: v.clone() for k, v in layer.named_buffers()}
    F.functional_call(layer, buffers, A)
    return buffers, dict(layer.named_buffers())


def tied(L, F, x, A):
    model = L.nn.Sequential(L.nn.Linear(2, 2, bias=False), L.nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    return F.functional_call(model, {"0.weight": L.ones(2, 2)}, L.ones(2))


def tied_apart(L, F, x, A):
    model = L.nn.Sequential(L.nn.Linear(2, 2, bias=False), L.nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    return F.functional_call(model, {"0.weight": L.ones(2, 2), "1.weight": L.zeros(2, 2)}, L.ones(2))


def no_running_statistics(L, F, x, A):
    model = L.nn.Sequential(L.nn.BatchNorm1d(5))
    F.replace_all_batch_norm_modules_(model)
    return model.eval()(A), model[0].running_mean


for function in (
    outside, without_recording, recording_inside, per_sample, ensemble, linearized, buffers_written, tied, tied_apart,
    no_running_statistics,
):  # fmt: skip
    case(function.__name__, function)

# -- what vmap accepts -----------------------------------------------------------------------------------

case("vmap nested", lambda L, F, x, A: L.vmap(L.vmap(L.mul, in_dims=(None, 0)), in_dims=(0, None))(x, A))
case(
    "vmap trees",
    lambda L, F, x, A: L.vmap(
        lambda d: {"o": d["a"] * 2, "p": d["b"]}, in_dims=({"a": 0, "b": 1},), out_dims={"o": 1, "p": 0}
    )({"a": A, "b": A.t()}),
)
case("vmap last", lambda L, F, x, A: L.vmap(lambda x: x * 2, in_dims=-1, out_dims=-1)(A))
case("vmap chunks", lambda L, F, x, A: L.vmap(sines, chunk_size=3)(A))
case("vmap keywords", lambda L, F, x, A: L.vmap(lambda x, k: x * k)(x, k=x))
case("vmap constant", lambda L, F, x, A: L.vmap(lambda x: L.ones(3))(x))
case("vmap shared", lambda L, F, x, A: L.vmap(lambda x: (x, 5), out_dims=(0, None))(x))
case("vmap prefix", lambda L, F, x, A: L.vmap(lambda x: (x, [x * 2, {"a": x}]), out_dims=(0, 0))(x))
case("vmap empty", lambda L, F, x, A: L.vmap(lambda x: x.sum())(L.zeros(0, 3)))
case("vmap gradient", lambda L, F, x, A: F.vmap(sines)(A.requires_grad_()))
case("same numbers", lambda L, F, x, A: L.vmap(lambda x: x + L.randn(3), randomness="same")(L.zeros(4, 3)))
case(
    "different numbers",
    lambda L, F, x, A: L.vmap(lambda x: x + L.randn(3), randomness="different")(L.zeros(4, 3)),
)

# -- what they refuse ------------------------------------------------------------------------------------

WRONG = {
    "vector": lambda L, F, x: F.grad(lambda x: x)(x),
    "number": lambda L, F, x: F.grad(lambda x: 3.0)(x),
    "integers": lambda L, F, x: F.grad(lambda x: x.sum())(L.tensor([1, 2])),
    "argnum": lambda L, F, x: F.grad(sines, argnums=3)(x),
    "no argnums": lambda L, F, x: F.grad(sines, argnums=())(x),
    "argnum twice": lambda L, F, x: F.grad(sines, argnums=(0, 0))(x),
    "argnum name": lambda L, F, x: F.grad(sines, argnums="a")(x),
    "no aux": lambda L, F, x: F.grad(sines, has_aux=True)(x),
    "no tensor": lambda L, F, x: F.grad(lambda x: x)(3.0),
    "vjp number": lambda L, F, x: F.vjp(lambda x: 3.0, x),
    "vjp structure": lambda L, F, x: F.vjp(lambda x: x, x)[1]((x, x)),
    "vjp integers": lambda L, F, x: F.vjp(lambda x: x.long(), x),
    "jvp list": lambda L, F, x: F.jvp(lambda x: x, [x], [x]),
    "jvp structure": lambda L, F, x: F.jvp(lambda x: x, (x,), (x, x)),
    "jvp nothing": lambda L, F, x: F.jvp(lambda x: x, (), ()),
    "jvp shape": lambda L, F, x: F.jvp(lambda x: x, (x,), (x[:2],)),
    "jvp strict": lambda L, F, x: F.jvp(lambda x: L.ones(2), (x,), (x,), strict=True),
    "complex": lambda L, F, x: F.jacrev(lambda x: x * 1j)(x),
    "chunk": lambda L, F, x: F.jacrev(lambda x: x, chunk_size=0)(x),
    "in_dim": lambda L, F, x: L.vmap(sines, in_dims=1)(x),
    "no inputs": lambda L, F, x: L.vmap(sines)(),
    "vmap number": lambda L, F, x: L.vmap(sines)(3.0),
    "sizes": lambda L, F, x: L.vmap(L.mul)(x, x[:2]),
    "in_dims name": lambda L, F, x: L.vmap(sines, in_dims="a")(x),
    "in_dims count": lambda L, F, x: L.vmap(sines, in_dims=(0, 0))(x),
    "no in_dims": lambda L, F, x: L.vmap(sines, in_dims=(None,))(x),
    "half in_dims": lambda L, F, x: L.vmap(sines, in_dims=(0.5,))(x),
    "returned number": lambda L, F, x: L.vmap(lambda x: 3.0)(x),
    "out_dims count": lambda L, F, x: L.vmap(lambda x: (x, x), out_dims=(0, 0, 0))(x),
    "out_dims name": lambda L, F, x: L.vmap(sines, out_dims="a")(x),
    "random": lambda L, F, x: L.vmap(lambda x: L.rand(2))(x),
    "randomness": lambda L, F, x: L.vmap(sines, randomness="b")(x),
    "chunk_size": lambda L, F, x: L.vmap(sines, chunk_size=0)(x),
    "strict": lambda L, F, x: F.functional_call(L.nn.Linear(2, 2), {"weight": L.ones(2, 2)}, x, strict=True),
    "twice given": lambda L, F, x: F.functional_call(L.nn.Linear(2, 2), ({"weight": x}, {"weight": x}), x),
    "no dict": lambda L, F, x: F.functional_call(L.nn.Linear(2, 2), 3, x),
    "no models": lambda L, F, x: F.stack_module_state([]),
    "mixed models": lambda L, F, x: F.stack_module_state([L.nn.Linear(1, 1), L.nn.ReLU()]),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    agree(CASES[name])


@pytest.mark.parametrize("name", WRONG)
def test_refused(name):
    agree(lambda L: WRONG[name](L, L.func, L.tensor(X)))
    with pytest.raises((RuntimeError, ValueError)):
        WRONG[name](rushlight, rushlight.func, rushlight.tensor(X))


def test_a_refused_random_number_is_not_drawn():
    rushlight.manual_seed(0)
    expected = rushlight.rand(1)
    rushlight.manual_seed(0)
    with pytest.raises(RuntimeError, match="randomness"):
        rushlight.vmap(lambda x: rushlight.rand(1))(rushlight.ones(2))
    assert rushlight.equal(rushlight.rand(1), expected)


def test_pytrees():
    import collections

    import torch.utils._pytree as theirs

    pair = collections.namedtuple("pair", "a b")
    tree = [1, {"a": 2, "b": (3, None)}, pair(4, [5]), collections.OrderedDict(x=6), collections.deque([7])]
    leaves, spec = pytree.tree_flatten(tree)
    assert leaves == theirs.tree_flatten(tree)[0]
    assert spec.num_leaves == 8 and pytree.tree_unflatten(leaves, spec) == tree
    assert pytree.tree_map(str, tree) == theirs.tree_map(str, tree)
    assert pytree.tree_map(lambda a, b: (a, b), {"k": 1}, {"k": [2]}) == {"k": (1, [2])}
    assert pytree.tree_map_only(int, lambda x: -x, [1, "a"]) == [-1, "a"]
    assert pytree.tree_all(bool, [1, [2]]) and not pytree.tree_any(lambda x: x is None, [1])
    assert repr(spec.children_specs[0]) == "*"
    with pytest.raises(ValueError, match="leaves"):
        pytree.tree_unflatten([1], spec)
    with pytest.raises(ValueError, match="mismatch"):
        pytree.tree_map(str, [1, 2], [1])
    result = rushlight.max(rushlight.tensor([[1.0, 2.0]]), 1)
    assert type(pytree.tree_map(lambda t: t, result)) is type(result)


@pytest.mark.parametrize("t", [rushlight, torch], ids=["rushlight", "torch"])
def test_samples_may_go_through_the_same_graph(t):
    x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x**2
    jacobian = t.vmap(lambda v: t.autograd.grad(y, x, v)[0])(t.eye(3))
    assert jacobian.tolist() == [[2.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 6.0]]
    with pytest.raises(RuntimeError, match="second time"):  # the last sample freed it
        t.autograd.grad(y.sum(), x)
