"""Optimizers against PyTorch's: the same parameters after the same gradients, and the same manners."""

import copy
import importlib
import io
import pickle

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")

SHAPES = [(3, 4), (4,), (), (2, 3, 2, 2)]

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.5, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-6}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "maximize": True}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.2, "amsgrad": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.5, "centered": True, "eps": 1e-4}),
    ("RMSprop", {"lr": 0.02, "centered": True, "maximize": True}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.3, "momentum": 0.9}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.05}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-3, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.05, "betas": (0.4, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.05, "lambd": 0.1, "alpha": 0.5, "t0": 3, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.05, "etas": (0.3, 1.5), "step_sizes": (0.01, 0.1), "maximize": True}),
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-3, 1e-2), "d": 1.5, "weight_decay": 0.1}),
    ("Adafactor", {"lr": 0.1, "maximize": True}),
]
NAMES = sorted({name for name, _ in CASES})


def values(rng, dtype, shapes=SHAPES):
    return [np.asarray(rng.standard_normal(s)).astype(dtype) for s in shapes]


def base(lib):
    """The module of the base class, which torch hides behind its package."""
    return importlib.import_module(f"{lib.__name__}.optim.optimizer")


def parameters(lib, arrays):
    return [lib.tensor(a, requires_grad=True) for a in arrays]


def assert_same(ours, theirs, tolerance=1e-6):
    for a, b in zip(ours, theirs, strict=True):
        a, b = a.detach().numpy(), b.detach().numpy()
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def run(optimizer, params, grads, lib):
    for p, g in zip(params, grads, strict=True):
        p.grad = None if g is None else lib.tensor(g)
    optimizer.step()


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_steps(name, options, dtype):
    if name == "Adafactor" and dtype == "complex64":
        pytest.skip("only real parameters")
    rng = np.random.default_rng(0)

    def draw():
        arrays = values(rng, "float64")
        if dtype == "complex64":
            arrays = [a + 1j * b for a, b in zip(arrays, values(rng, "float64"), strict=True)]
        return [np.asarray(a).astype(dtype) for a in arrays]

    start = draw()
    ours, theirs = parameters(rl, start), parameters(torch, start)
    opt, ref = getattr(rl.optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for step in range(20):
        grads = draw()
        if step % 3 == 1:
            grads[1] = None  # its step count falls behind
        run(opt, ours, grads, rl)
        run(ref, theirs, grads, torch)
    assert_same(ours, theirs)
    for p, q in zip(ours, theirs, strict=True):
        state, expected = opt.state[p], ref.state[q]
        assert list(state) == list(expected)
        assert_same(state.values(), expected.values())


def train(lib, name, options, steps=20, dtype="float32"):
    """Losses and final parameters of a small network, from one seed."""
    lib.manual_seed(0)
    net = lib.nn.Sequential(lib.nn.Linear(6, 8), lib.nn.Tanh(), lib.nn.Linear(8, 3)).to(getattr(lib, dtype))
    x, y = lib.randn(16, 6).to(getattr(lib, dtype)), lib.randint(3, (16,))
    matrices = [p for p in net.parameters() if p.ndim == 2]
    opt = getattr(lib.optim, name)(matrices if name == "Muon" else net.parameters(), **options)
    losses = []

    def closure():
        opt.zero_grad()
        loss = lib.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        return loss.detach()  # PyTorch's LBFGS warns of a recorded one

    for _ in range(steps):
        losses.append(opt.step(closure).item())
    return losses, list(net.parameters())


TRAINED = [
    *CASES,
    ("SGD", {"lr": 0.1, "foreach": True}),
    ("Adam", {"fused": True}),
    ("Muon", {"lr": 0.02}),
    ("Muon", {"nesterov": False, "momentum": 0.8, "weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}),
]


@pytest.mark.parametrize(("name", "options"), TRAINED)
def test_training(name, options):
    ours, theirs = train(rl, name, options), train(torch, name, options)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-4)
    # Rprop's steps jump where a gradient changes its sign; Muon rounds to bfloat16.
    assert_same(ours[1], theirs[1], {"Rprop": 1e-3, "Muon": 3e-3}.get(name, 1e-4))


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.5, "max_iter": 4},
        {"max_iter": 5, "history_size": 2, "line_search_fn": "strong_wolfe"},
        {"lr": 0.1, "max_iter": 10, "max_eval": 6, "line_search_fn": "strong_wolfe"},
    ],
)
def test_lbfgs(options):
    (ours, mine), (theirs, expected) = (train(lib, "LBFGS", options, 5, "float64") for lib in (rl, torch))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert_same(mine, expected, 1e-5)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_on_rosenbrock(search):
    def run_search(lib):
        x = lib.tensor([-1.5, 2.0], dtype=lib.float64, requires_grad=True)
        scale = lib.tensor(1 + 1j, dtype=lib.complex128, requires_grad=True)  # counts as two numbers
        opt = lib.optim.LBFGS([x, scale], lr=1 if search else 1e-3, max_iter=7, line_search_fn=search)

        def closure():
            opt.zero_grad()
            loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2 + (scale - 2).abs() ** 2
            loss.backward()
            return loss.detach()

        found = [float(opt.step(closure)) for _ in range(6)]
        state = opt.state[x]
        return found, x, state["func_evals"], state["n_iter"], set(state), opt.state_dict()

    ours, theirs = run_search(rl), run_search(torch)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-7)
    assert_same([ours[1]], [theirs[1]], 1e-8)
    assert ours[2:5] == theirs[2:5]
    assert ours[5]["param_groups"] == theirs[5]["param_groups"]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_state_dict_goes_both_ways(name, options):
    rng = np.random.default_rng(2)
    start, first, second = (values(rng, "float32") for _ in range(3))
    ours, theirs = parameters(rl, start), parameters(torch, start)
    opt, ref = getattr(rl.optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    run(opt, ours, first, rl)
    run(ref, theirs, first, torch)
    mine, other = opt.state_dict(), ref.state_dict()
    assert mine["param_groups"] == other["param_groups"]
    assert {k: list(v) for k, v in mine["state"].items()} == {k: list(v) for k, v in other["state"].items()}
    # Through files: each loads what the other saved, then both take the same step.
    to_torch, to_us = io.BytesIO(), io.BytesIO()
    rl.save(mine, to_torch)
    torch.save(other, to_us)
    to_torch.seek(0)
    to_us.seek(0)
    ref.load_state_dict(torch.load(to_torch))
    opt.load_state_dict(rl.load(to_us))
    run(opt, ours, second, rl)
    run(ref, theirs, second, torch)
    assert_same(ours, theirs)


def test_repr_and_defaults():
    for name in (*NAMES, "LBFGS"):
        ours = getattr(rl.optim, name)([rl.zeros(1)])
        theirs = getattr(torch.optim, name)([torch.zeros(1)])
        assert repr(ours) == repr(theirs)
        assert ours.defaults == theirs.defaults


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # PyTorch's Adagrad warns once
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SparseAdam", {"lr": 0.1}),
        ("SparseAdam", {"lr": 0.1, "betas": (0.5, 0.6), "eps": 1e-3, "maximize": True}),
        ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}),
        ("SGD", {"lr": 0.1}),
    ],
)
def test_sparse_gradients(name, options):
    def weights(lib):
        table = lib.nn.Embedding(6, 3, sparse=True)
        with lib.no_grad():
            table.weight.copy_(lib.arange(18.0).reshape(6, 3) / 9 - 1)
        opt = getattr(lib.optim, name)(table.parameters(), **options)
        for words in ([1, 4, 1], [4, 5, 0], [1, 1, 1]):
            opt.zero_grad()
            (table(lib.tensor(words)) ** 2).sum().backward()
            assert table.weight.grad.is_sparse
            opt.step()
        return [table.weight, *(v for v in opt.state[table.weight].values() if not isinstance(v, int))]

    assert_same(weights(rl), weights(torch))


def graded(t):
    t.grad = t.detach() + 1
    return (t * t).sum().detach()


def sparse_step(lib, name, **options):
    table = lib.nn.Embedding(3, 2, sparse=True)
    opt = getattr(lib.optim, name)(table.parameters(), **options)
    table(lib.tensor([1])).sum().backward()
    opt.step()


def dense_step(lib):
    w = lib.zeros(2, requires_grad=True)
    graded(w)
    lib.optim.SparseAdam([w]).step()


def wrong(lib):
    t = lib.zeros(2, requires_grad=True)
    sgd, adam = lib.optim.SGD, lib.optim.Adam
    return {
        "tensor": lambda: sgd(t, lr=1),
        "empty": lambda: sgd([], lr=1),
        "lr": lambda: sgd([t], lr=-1),
        "momentum": lambda: sgd([t], momentum=-1),
        "decay": lambda: sgd([t], weight_decay=-1),
        "nesterov": lambda: sgd([t], nesterov=True),
        "not a tensor": lambda: sgd([1]),
        "non-leaf": lambda: sgd([t * 2]),
        "set": lambda: sgd([{"params": {t}}]),
        "twice": lambda: sgd([{"params": [t]}, {"params": [t]}]),
        "names": lambda: sgd([("a", t), lib.zeros(1)]),
        "group": lambda: sgd([t]).add_param_group([t]),
        "mixed names": lambda: sgd([("a", t)]).add_param_group({"params": [lib.zeros(1)]}),
        "betas": lambda: adam([t], betas=(1.0, 0.9)),
        "beta2": lambda: adam([t], betas=(0.9, -0.1)),
        "mixed betas": lambda: adam([t], betas=(0.9, lib.tensor(0.9))),
        "eps": lambda: adam([t], eps=-1),
        "adam lr": lambda: adam([t], lr=-1),
        "tensor lr": lambda: adam([t], lr=lib.zeros(2)),
        "fused": lambda: adam([t], fused=True, foreach=True),
        "groups": lambda: sgd([t]).load_state_dict({"state": {}, "param_groups": []}),
        "sizes": lambda: sgd([t]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
        "step": lambda: lib.optim.Optimizer([t], {}).step(),
        "alpha": lambda: lib.optim.RMSprop([t], alpha=-1),
        "rmsprop momentum": lambda: lib.optim.RMSprop([t], momentum=-1),
        "lr_decay": lambda: lib.optim.Adagrad([t], lr_decay=-1),
        "accumulator": lambda: lib.optim.Adagrad([t], initial_accumulator_value=-1),
        "fused adagrad": lambda: lib.optim.Adagrad([t], fused=True, differentiable=True),
        "rho": lambda: lib.optim.Adadelta([t], rho=2),
        "adadelta eps": lambda: lib.optim.Adadelta([t], eps=-1),
        "adamax betas": lambda: lib.optim.Adamax([t], betas=(1.0, 0.9)),
        "momentum_decay": lambda: lib.optim.NAdam([t], momentum_decay=-1),
        "radam decay": lambda: lib.optim.RAdam([t], weight_decay=-1),
        "asgd lr": lambda: lib.optim.ASGD([t], lr=-1),
        "etas": lambda: lib.optim.Rprop([t], etas=(1.2, 0.5)),
        "vector": lambda: lib.optim.Muon([t]),
        "muon lr": lambda: lib.optim.Muon([t], lr=-1),
        "muon rate": lambda: lib.optim.Muon([t], adjust_lr_fn="x"),
        "adafactor d": lambda: lib.optim.Adafactor([t], d=0.5),
        "adafactor eps": lambda: lib.optim.Adafactor([t], eps=(-1, 0)),
        "adafactor decay": lambda: lib.optim.Adafactor([t], beta2_decay=1),
        "lbfgs groups": lambda: lib.optim.LBFGS([{"params": [t]}, {"params": [lib.zeros(1)]}]),
        "line search": lambda: lib.optim.LBFGS([t], line_search_fn="x").step(lambda: graded(t)),
        "sparse": lambda: sparse_step(lib, "Adam"),
        "sparse rmsprop": lambda: sparse_step(lib, "RMSprop"),
        "sparse decay": lambda: sparse_step(lib, "Adagrad", weight_decay=0.1),
        "dense": lambda: dense_step(lib),
        "sparse eps": lambda: lib.optim.SparseAdam([t], eps=0),
        "sparse lr": lambda: lib.optim.SparseAdam([t], lr=0),
        "sparse complex": lambda: lib.optim.SparseAdam([lib.zeros(1, dtype=lib.complex64)]),
        "required": lambda: lib.optim.Optimizer([t], {"lr": base(lib).required}),
    }


@pytest.mark.parametrize("case", wrong(rl))
def test_errors(case):
    with pytest.raises(Exception) as theirs:
        wrong(torch)[case]()
    with pytest.raises(type(theirs.value)) as ours:
        wrong(rl)[case]()
    expected = str(theirs.value).rstrip(".")
    assert expected.split("tensor(")[0] in str(ours.value) or not expected


def test_duplicates_warn():
    t = rl.zeros(1)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        rl.optim.SGD([t, t])


def test_groups_and_names():
    def build(lib):
        a, b, c = (lib.ones(2, requires_grad=True) for _ in range(3))
        opt = lib.optim.SGD([{"params": [("a", a)]}, {"params": [("b", b)], "lr": 0.5}], lr=0.1, momentum=0.9)
        opt.add_param_group({"params": [("c", c)], "weight_decay": 0.1})
        for p in (a, b, c):
            p.grad = lib.ones(2)
        opt.step()
        return opt, (a, b, c)

    (ours, params), (theirs, expected) = build(rl), build(torch)
    assert_same(params, expected)
    assert ours.state_dict()["param_groups"] == theirs.state_dict()["param_groups"]


def test_zero_grad():
    p = rl.ones(2, requires_grad=True)
    opt = rl.optim.SGD([p])
    (p * 3).sum().backward()
    kept = p.grad
    opt.zero_grad(set_to_none=False)
    assert p.grad is kept and p.grad.tolist() == [0, 0]
    opt.zero_grad()
    assert p.grad is None


def test_closure_is_recorded_and_returned():
    p = rl.ones(2, requires_grad=True)
    opt = rl.optim.SGD([p], lr=0.5)

    def closure():
        opt.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with rl.no_grad():
        assert opt.step(closure).item() == 2
    assert p.tolist() == [0, 0]


def test_step_is_seen_by_version_checks():
    p = rl.ones(2, requires_grad=True)
    opt = rl.optim.SGD([p], lr=0.5)
    loss = (p * p).sum()
    p.grad = rl.ones(2)
    opt.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_hooks():
    def run_hooks(lib):
        seen = []
        p = lib.ones(1, requires_grad=True)
        opt = lib.optim.SGD([p], lr=0.5)
        g = base(lib).register_optimizer_step_pre_hook(lambda o, a, k: seen.append("global pre"))
        h = base(lib).register_optimizer_step_post_hook(lambda o, a, k: seen.append("global post"))
        opt.register_step_pre_hook(lambda o, a, k: seen.append(("pre", o is opt, len(a), sorted(k))))
        post = opt.register_step_post_hook(lambda o, a, k: seen.append("post"))
        opt.register_state_dict_pre_hook(lambda o: seen.append("state pre"))
        opt.register_state_dict_post_hook(lambda o, d: {**d, "extra": 1})
        opt.register_load_state_dict_pre_hook(lambda o, d: seen.append(sorted(d)))
        opt.register_load_state_dict_post_hook(lambda o: seen.append("loaded"), prepend=True)
        opt.step()
        post.remove()
        opt.step(closure=lambda: seen.append("closure"))
        g.remove()
        h.remove()
        opt.load_state_dict(opt.state_dict())
        opt.step()
        return seen

    assert run_hooks(rl) == run_hooks(torch)


def test_pre_hook_changes_arguments():
    p = rl.ones(1, requires_grad=True)
    opt = rl.optim.SGD([p])
    opt.register_step_pre_hook(lambda o, args, kwargs: (args, {"closure": lambda: 42}))
    assert opt.step() == 42


def test_subclass_of_the_user():
    class Plain(rl.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    with rl.no_grad():
                        p.sub_(group["lr"] * p.grad)

    p = rl.ones(2, requires_grad=True)
    seen = []
    opt = Plain([p], 0.5)
    opt.register_step_post_hook(lambda *_: seen.append(1))
    p.grad = rl.ones(2)
    opt.step()
    assert p.tolist() == [0.5, 0.5] and seen == [1]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
@pytest.mark.parametrize("name", NAMES)
def test_copies(name, duplicate):
    p = rl.ones(2, requires_grad=True)
    opt = getattr(rl.optim, name)([p], lr=0.5)
    p.grad = rl.ones(2)
    opt.step()
    before = p.tolist()
    other = duplicate(opt)
    q = other.param_groups[0]["params"][0]
    assert q is not p and set(other.state) <= {q}
    q.grad = rl.ones(2)
    other.step()
    assert p.tolist() == before != q.tolist()
    p.grad = rl.ones(2)
    opt.step()
    assert p.tolist() == q.tolist()


def test_old_state_without_newer_options():
    p = rl.ones(1, requires_grad=True)
    opt = rl.optim.Adam([p])
    p.grad = rl.ones(1)
    opt.step()
    saved = opt.state_dict()
    saved["state"][0]["step"] = 1  # a plain number before PyTorch 1.12
    for name in ("amsgrad", "maximize", "foreach", "capturable", "differentiable", "fused"):
        del saved["param_groups"][0][name]
    opt.load_state_dict(saved)
    opt.step()
    assert opt.state[p]["step"].item() == 2


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (n, o)
        for n, o in CASES
        if n != "Adafactor" and "decoupled_weight_decay" not in o and not o.get("amsgrad")
    ],
)
def test_differentiable(name, options):
    def gradient(lib):
        rng = np.random.default_rng(3)
        start = lib.tensor(rng.standard_normal(3), requires_grad=True)
        scale = lib.tensor(0.7, dtype=lib.float64, requires_grad=True)
        p = start.clone()
        p.retain_grad()
        opt = getattr(lib.optim, name)([p], **options, differentiable=True)
        for _ in range(2):
            p.grad = scale * p.detach() ** 2 + scale
            with lib.no_grad():  # a differentiable step is recorded all the same
                opt.step()
        p.grad = None
        return lib.autograd.grad((p**2).sum(), [start, scale])

    ours = gradient(rl)
    try:
        theirs = gradient(torch)
    except RuntimeError as error:  # some of PyTorch's steps change in place what their gradient needs
        assert "modified by an inplace operation" in str(error)
        return
    assert_same(ours, theirs, 1e-5)  # PyTorch counts steps in float32 here
