"""Dual tensors: the same tangents as PyTorch's forward mode, and its errors."""

import contextlib
import importlib

import pytest

from .compare import agree


def programs(lib):
    """What the dual tensors of one framework give."""
    fw = importlib.import_module(f"{lib.__name__}.autograd.forward_ad")
    lib.manual_seed(0)
    x, t, plain = lib.randn(3, 3), lib.randn(3, 3), lib.randn(3, 3)
    found = []
    with fw.dual_level():
        dual = fw.make_dual(x, t)
        results = [
            dual,
            plain,
            dual * plain,
            (dual**2 + plain).sum(),
            lib.relu(dual),
            lib.linalg.det(dual),
            dual @ dual.T,
        ]
        found += [fw.unpack_dual(result) for result in results]
    found.append(fw.unpack_dual(results[2]))  # outside of the level

    model, batch = lib.nn.Linear(3, 2), lib.randn(4, 3)
    with fw.dual_level():
        duals = {name: fw.make_dual(p, lib.ones_like(p)) for name, p in model.named_parameters()}
        found.append(fw.unpack_dual(lib.func.functional_call(model, duals, batch).tanh()))

    w = lib.randn(3, requires_grad=True)
    with fw.dual_level():
        tangent = fw.unpack_dual(fw.make_dual(w, lib.ones(3)).sin()).tangent
    tangent.sum().backward()  # a second derivative
    found.append((tangent, w.grad))
    return [None if part is None else part.detach() for pair in found for part in pair]


def test_tangents():
    agree(programs)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda lib, fw: fw.make_dual(lib.ones(2), lib.ones(3)),
        lambda lib, fw: fw.make_dual(lib.arange(3), lib.arange(3)),
        lambda lib, fw: fw.enter_dual_level(),
        lambda lib, fw: fw.exit_dual_level() or fw.make_dual(lib.ones(2), lib.ones(2)),
    ],
)
def test_errors(wrong):
    def case(lib):
        fw = importlib.import_module(f"{lib.__name__}.autograd.forward_ad")
        fw.enter_dual_level()
        try:
            return wrong(lib, fw)
        finally:
            with contextlib.suppress(RuntimeError):  # the case ended it
                fw.exit_dual_level()

    agree(case)
