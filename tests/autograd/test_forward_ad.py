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


def functions(lib):
    """Operations of the user's own, with rules for tangents."""

    class Exp(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.result = lib.exp(x)
            return ctx.result

        @staticmethod
        def jvp(ctx, tangent):
            out = tangent * ctx.result
            del ctx.result  # it is called once
            return out

    class Scaled(lib.autograd.Function):
        """Two outputs, a number among the arguments, and a backward that can't be differentiated."""

        @staticmethod
        def forward(ctx, x, factor, y):
            ctx.factor = factor
            ctx.save_for_forward(x, y)
            ctx.save_for_backward(x, y)
            return x * y * factor, x.sin()

        @staticmethod
        def backward(ctx, a, b):
            raise AssertionError("not in forward mode")

        @staticmethod
        def jvp(ctx, dx, none, dy):
            assert none is None
            x, y = ctx.saved_tensors
            return (dx * y + x * dy) * ctx.factor, dx * x.cos()

    class Cube(lib.autograd.Function):
        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(*inputs)

        @staticmethod
        def jvp(ctx, tangent):
            (x,) = ctx.saved_tensors
            return 3 * tangent * x**2

    return Exp, Scaled, Cube


def own_functions(lib):
    fw = importlib.import_module(f"{lib.__name__}.autograd.forward_ad")
    lib.manual_seed(0)
    x, t, plain = lib.randn(3), lib.randn(3), lib.randn(3)
    one, two, cube = functions(lib)
    found = []
    with fw.dual_level():
        dual = fw.make_dual(x, t)
        result = one.apply(dual * 2)
        found += [*fw.unpack_dual(result), *fw.unpack_dual(result)]
        for outputs in (
            two.apply(dual, 2.0, plain),
            two.apply(plain, 3.0, dual),
            two.apply(dual, 1.0, one.apply(dual)),
        ):
            found += [value for out in outputs for value in fw.unpack_dual(out)]
    found += lib.func.jvp(lambda v: cube.apply(v.sin()).sum(), (x,), (t,))
    return [None if part is None else part.detach() for part in found]


def test_functions_with_jvp():
    agree(own_functions)


def without_rules(lib):
    one, *_ = functions(lib)
    one.apply(lib.ones(2, requires_grad=True)).sum().backward()


def test_a_jvp_is_no_backward():
    agree(without_rules)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_gradcheck(fast_mode):
    import rushlight as lib

    class Wrong(lib.autograd.Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(*inputs)

        @staticmethod
        def jvp(ctx, tangent):
            return 3 * ctx.saved_tensors[0] * tangent

    x = lib.rand(3, 2, dtype=lib.float64, requires_grad=True)
    y = lib.rand(2, dtype=lib.complex128, requires_grad=True)
    check = lib.autograd.gradcheck
    assert check(lambda x, y: ((x * y).sin(), x.sum()), (x, y), check_forward_ad=True, fast_mode=fast_mode)
    with pytest.raises(RuntimeError, match="forward mode"):
        check(Wrong.apply, (x,), check_forward_ad=True, check_backward_ad=False, fast_mode=fast_mode)
