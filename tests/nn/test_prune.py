"""Pruning against PyTorch: masks, names, hooks and random streams."""

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")
pytest.importorskip("torch.nn.utils.prune")
BOTH = (rushlight, torch)


def state(model) -> dict:
    """Everything a pruned model holds, as arrays."""
    found = {name: t.detach().numpy() for name, t in model.state_dict().items()}
    for name, module in model.named_modules():
        for what in ("weight", "bias"):
            if isinstance(getattr(module, what, None), rushlight.Tensor | torch.Tensor):
                found[f"{name}:{what}"] = getattr(module, what).detach().numpy()
    return found


def model(t):
    """A small network."""
    t.manual_seed(0)
    return t.nn.Sequential(t.nn.Conv2d(2, 6, 3), t.nn.Linear(4, 5))


def by_size(t, name, m):
    """Scores that are not the parameter itself."""
    return (getattr(m, name) * 3).sin()


CASES = {
    "identity": lambda t, p, m: p.identity(m[0], "weight"),
    "random": lambda t, p, m: p.random_unstructured(m[1], "weight", 0.3),
    "random number": lambda t, p, m: p.random_unstructured(m[1], "bias", 2),
    "l1": lambda t, p, m: p.l1_unstructured(m[0], "weight", 0.4),
    "l1 by scores": lambda t, p, m: p.l1_unstructured(m[0], "weight", 7, by_size(t, "weight", m[0])),
    "channels": lambda t, p, m: p.random_structured(m[0], "weight", 2, dim=0),
    "channels of least norm": lambda t, p, m: p.ln_structured(m[0], "weight", 0.5, n=2, dim=0),
    "least infinite norm": lambda t, p, m: p.ln_structured(m[1], "weight", 2, n=float("inf"), dim=-1),
    "none": lambda t, p, m: p.ln_structured(m[1], "weight", 0, n=1, dim=1),
    "mask": lambda t, p, m: p.custom_from_mask(m[1], "bias", t.tensor([1, 0, 1, 1, 0])),
    "twice": lambda t, p, m: (p.l1_unstructured(m[0], "weight", 0.4), p.random_unstructured(m[0], "weight", 0.5)),
    "thrice": lambda t, p, m: (
        p.ln_structured(m[0], "weight", 0.4, 1, 0), p.l1_unstructured(m[0], "weight", 5),
        p.ln_structured(m[0], "weight", 1, 2, 0), p.custom_from_mask(m[0], "weight", t.ones(6, 2, 3, 3))),
    "global": lambda t, p, m: p.global_unstructured(
        [(m[0], "weight"), (m[1], "weight"), (m[1], "bias")], p.L1Unstructured, amount=0.3),
    "global random": lambda t, p, m: p.global_unstructured(
        [(m[0], "weight"), (m[1], "weight")], p.RandomUnstructured, amount=9),
    "global by scores": lambda t, p, m: p.global_unstructured(
        [(m[0], "weight"), (m[1], "weight")], p.L1Unstructured, {(m[0], "weight"): by_size(t, "weight", m[0])},
        amount=9),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_prunes_as_pytorch(case):
    models = [model(t) for t in BOTH]
    for t, m in zip(BOTH, models, strict=True):
        assert not t.nn.utils.prune.is_pruned(m)
        t.manual_seed(1)
        CASES[case](t, t.nn.utils.prune, m)
        assert t.nn.utils.prune.is_pruned(m)
    compare(*models)
    for t, m in zip(BOTH, models, strict=True):  # a step of training changes only what is not pruned
        optimizer = t.optim.SGD(m.parameters(), lr=0.5)
        x = t.ones(1, 2, 3, 3)
        (m[0](x).sum() + m[1](t.ones(1, 4)).sum()).backward()
        optimizer.step()
        m[0](x), m[1](t.ones(1, 4))
    compare(*models)
    for t, m in zip(BOTH, models, strict=True):
        for module in m:
            for name in [n[:-5] for n, _ in module.named_buffers() if n.endswith("_mask")]:
                t.nn.utils.prune.remove(module, name)
        assert not t.nn.utils.prune.is_pruned(m)
    compare(*models)


def compare(ours, theirs) -> None:
    """The same names and values."""
    a, b = state(ours), state(theirs)
    assert list(a) == list(b)
    for name in b:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-5, atol=1e-6, err_msg=name)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]


def test_containers():
    for t in BOTH:
        p, m = t.nn.utils.prune, model(t)
        p.l1_unstructured(m[0], "weight", 0.1)
        p.random_unstructured(m[0], "weight", 0.1)
        (hook,) = m[0]._forward_pre_hooks.values()
        assert isinstance(hook, p.PruningContainer) and len(hook) == 2
        assert [type(method).__name__ for method in hook] == ["L1Unstructured", "RandomUnstructured"]
        assert hook[1]._tensor_name == "weight"
        x = t.tensor([1.0, -5.0, 3.0])
        assert p.L1Unstructured(1).prune(x).tolist() == [0.0, -5.0, 3.0]


WRONG = (
    lambda t, p, m: p.l1_unstructured(m[0], "weight", -1),
    lambda t, p, m: p.l1_unstructured(m[0], "weight", 1.5),
    lambda t, p, m: p.l1_unstructured(m[0], "weight", "x"),
    lambda t, p, m: p.l1_unstructured(m[1], "bias", 6),
    lambda t, p, m: p.ln_structured(m[1], "bias", 1, 2, 0),
    lambda t, p, m: p.ln_structured(m[1], "weight", 1, 2, 5),
    lambda t, p, m: p.custom_from_mask(m[1], "bias", t.ones(3)),
    lambda t, p, m: p.remove(m[0], "weight"),
    lambda t, p, m: p.global_unstructured([(m[0], "weight")], p.LnStructured, amount=1, n=2),
    lambda t, p, m: p.l1_unstructured(m[1], "bias", 1, t.ones(2)),
)


@pytest.mark.parametrize("wrong", WRONG)
def test_refuses_the_same(wrong):
    errors = []
    for t in BOTH:
        m = model(t)
        with pytest.raises(Exception) as error:
            wrong(t, t.nn.utils.prune, m)
        errors.append(type(error.value))
        assert "weight" in m[1]._parameters and "bias" in m[1]._parameters
    assert errors[0] is errors[1]
