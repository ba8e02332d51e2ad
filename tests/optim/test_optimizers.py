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
]


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


def quadratic_losses(lib, name, options, steps=20):
    rng = np.random.default_rng(1)
    x, y = lib.tensor(rng.standard_normal((8, 5))), lib.tensor(rng.standard_normal((8, 3)))
    w = lib.tensor(rng.standard_normal((5, 3)), requires_grad=True)
    b = lib.tensor(np.zeros(3), requires_grad=True)
    opt = getattr(lib.optim, name)([w, b], **options)
    losses = []
    for _ in range(steps):
        opt.zero_grad()
        loss = (((x @ w + b) - y) ** 2).mean()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("name", "options"), CASES)
def test_losses(name, options):
    options = {**options, "lr": 0.01}
    ours, theirs = quadratic_losses(rl, name, options), quadratic_losses(torch, name, options)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


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
    for name in ("SGD", "Adam", "AdamW"):
        ours = getattr(rl.optim, name)([rl.zeros(1)])
        theirs = getattr(torch.optim, name)([torch.zeros(1)])
        assert repr(ours) == repr(theirs)
        assert ours.defaults == theirs.defaults


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
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
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
    [(n, o) for n, o in CASES if "decoupled_weight_decay" not in o and not o.get("amsgrad")],
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
            opt.step()
        p.grad = None
        return lib.autograd.grad((p**2).sum(), [start, scale])

    assert_same(gradient(rl), gradient(torch), 1e-5)  # PyTorch counts steps in float32 here
