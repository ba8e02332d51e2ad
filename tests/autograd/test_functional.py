"""Jacobians, Hessians and products with them, as PyTorch's in value, structure, flags and errors."""

import itertools

import pytest

from tests.autograd.compare import agree


def t(lib, *values):
    """A float tensor."""
    return lib.tensor([float(v) for v in values])


def two(lib):
    """Two arguments."""
    return t(lib, 1, 2), t(lib, 3, 4)


SQUARE, CUBES = lambda x: x * x, lambda x: (x**3).sum()
JACOBIANS = {
    "one": lambda L, f, **k: f(SQUARE, t(L, 1, 2), **k),
    "several": lambda L, f, **k: f(lambda x, y: (x * y, x.sum()), two(L), **k),
    "unused": lambda L, f, **k: f(lambda x, y: x * 2, two(L), **k),
    "constant": lambda L, f, **k: f(lambda x: L.ones(2), t(L, 1, 2), **k),
    "flat": lambda L, f, **k: f(lambda x: x * 0 + x.detach(), t(L, 1, 2), **k),
    "no tensor": lambda L, f, **k: f(SQUARE, 3.0, **k),
    "no tensor out": lambda L, f, **k: f(lambda x: 3.0, t(L, 1), **k),
}
HESSIANS = {
    "one": lambda L, f, **k: f(CUBES, t(L, 1, 2), **k),
    "several": lambda L, f, **k: f(lambda x, y: (x**3 * y).sum(), two(L), **k),
    "unused": lambda L, f, **k: f(lambda x, y: CUBES(x), two(L), **k),
    "linear": lambda L, f, **k: f(lambda x: x.sum(), t(L, 1, 2), **k),
    "no number": lambda L, f, **k: f(lambda x: x * 2, t(L, 1, 2), **k),
}
VJPS = {
    "one": lambda L, f, **k: f(SQUARE, t(L, 1, 2), t(L, 1, 1), **k),
    "several": lambda L, f, **k: f(lambda x, y: x * y, two(L), t(L, 1, 1), **k),
    "no v": lambda L, f, **k: f(lambda x: x.sum(), t(L, 1, 2), **k),
    "short v": lambda L, f, **k: f(SQUARE, t(L, 1, 2), t(L, 1), **k),
    "unused": lambda L, f, **k: f(lambda x, y: x * 1, two(L), t(L, 1, 1), **k),
    "constant": lambda L, f, **k: f(lambda x: L.ones(2), t(L, 1, 2), t(L, 1, 1), **k),
}
JVPS = VJPS | {
    "several": lambda L, f, **k: f(lambda x, y: x * y, two(L), (t(L, 1, 1), t(L, 2, 1)), **k),
    "unused": lambda L, f, **k: f(lambda x, y: x * 1, two(L), (t(L, 1, 1), t(L, 2, 1)), **k),
}
HVPS = {
    "one": lambda L, f, **k: f(CUBES, t(L, 1, 2), t(L, 1, 1), **k),
    "several": lambda L, f, **k: f(lambda x, y: (x**3 * y).sum(), two(L), (t(L, 1, 1), t(L, 2, 1)), **k),
    "no number": lambda L, f, **k: f(lambda x: x * 2, t(L, 1, 2), t(L, 1, 1), **k),
    "linear": lambda L, f, **k: f(lambda x: x.sum(), t(L, 1, 2), t(L, 1, 1), **k),
    "unused": lambda L, f, **k: f(lambda x, y: CUBES(x), two(L), (t(L, 1, 1), t(L, 1, 1)), **k),
}
TABLE = [
    (name, case, function)
    for name, cases in (
        ("jacobian", JACOBIANS), ("hessian", HESSIANS), ("vjp", VJPS), ("jvp", JVPS), ("vhp", HVPS), ("hvp", HVPS),
    )
    for case, function in cases.items()
]  # fmt: skip


@pytest.mark.parametrize(("create_graph", "strict"), list(itertools.product((False, True), repeat=2)))
@pytest.mark.parametrize(("name", "case", "function"), TABLE, ids=[f"{n}-{c}" for n, c, _ in TABLE])
def test_like_pytorch(name, case, function, create_graph, strict):
    agree(
        lambda L: function(L, getattr(L.autograd.functional, name), create_graph=create_graph, strict=strict)
    )


@pytest.mark.parametrize("options", [
    {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}, {"strategy": "forward-mode"},
    {"strategy": "x"}, {"vectorize": True, "strategy": "forward-mode", "create_graph": True},
], ids=str)  # fmt: skip
def test_strategies(options):
    agree(lambda L: L.autograd.functional.jacobian(SQUARE, t(L, 1, 2), **options))
