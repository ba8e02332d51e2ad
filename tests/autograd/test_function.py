"""Custom functions, checkpoints, gradcheck and the functional forms."""

import numpy as np
import pytest

import rushlight
from rushlight.utils.checkpoint import checkpoint, checkpoint_sequential

torch = pytest.importorskip("torch")
BOTH = pytest.mark.parametrize("lib", [rushlight, torch], ids=["rushlight", "torch"])


def cube(lib):
    class Cube(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            ctx.save_for_backward(x)
            ctx.scale = scale
            return x**3 * scale

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 3 * x**2 * ctx.scale, None

    return Cube


@BOTH
def test_custom_function(lib):
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    y = cube(lib).apply(x, 2.0)
    assert type(y.grad_fn).__name__ == "CubeBackward"
    (g,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), [6, 24])
    (g2,) = lib.autograd.grad(g.sum(), x)
    np.testing.assert_allclose(g2.numpy(), [12, 24])
    assert not cube(lib).apply(lib.ones(2), 1.0).requires_grad


@BOTH
def test_setup_context_and_saved_output(lib):
    class Exp(lib.autograd.Function):
        @staticmethod
        def forward(x):
            return x.exp()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(output)

        @staticmethod
        def backward(ctx, grad):
            (y,) = ctx.saved_tensors
            return grad * y

    x = lib.tensor([0.5, 1.0], dtype=lib.float64, requires_grad=True)
    assert lib.autograd.gradcheck(Exp.apply, (x,))
    assert lib.autograd.gradgradcheck(Exp.apply, (x,))


@BOTH
def test_several_outputs(lib):
    class Split(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            signs = x.sign()
            ctx.mark_non_differentiable(signs)
            return x * 2, signs, x * 3

        @staticmethod
        def backward(ctx, a, signs, b):
            assert a is not None and b is not None
            return 2 * a + 3 * b

    x = lib.ones(2, requires_grad=True)
    _, signs, b = Split.apply(x)
    assert not signs.requires_grad
    b.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [3, 3])


@BOTH
def test_dirty_inputs(lib):
    class Double(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = lib.ones(2, requires_grad=True)
    y = x * 1
    z = Double.apply(y)
    assert z is y
    z.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [2, 2])


@BOTH
def test_wrong_functions(lib):
    class Wrong(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return grad, grad

    class Shape(Wrong):
        @staticmethod
        def backward(ctx, grad):
            return lib.ones(7)

    class Once(Wrong):
        @staticmethod
        @lib.autograd.function.once_differentiable
        def backward(ctx, grad):
            return grad * 2

    x = lib.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        Wrong.apply(x).sum().backward()
    with pytest.raises(RuntimeError, match="invalid gradient"):
        Shape.apply(x).sum().backward()
    (g,) = lib.autograd.grad((Once.apply(x) ** 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_functions_are_not_instantiated():
    with pytest.warns(DeprecationWarning, match="instantiated"):
        made = cube(rushlight)()
    with pytest.raises(RuntimeError, match="apply"):
        made(rushlight.ones(1))


@BOTH
def test_gradcheck_finds_wrong_gradients(lib):
    class Wrong(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 3

    x = lib.ones(2, dtype=lib.float64, requires_grad=True)
    assert not lib.autograd.gradcheck(Wrong.apply, (x,), raise_exception=False)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        lib.autograd.gradcheck(Wrong.apply, (x,))
    with pytest.raises(ValueError, match="requires_grad=True"):
        lib.autograd.gradcheck(lambda t: t, (lib.ones(1, dtype=lib.float64),))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoint(reentrant):
    model = rushlight.nn.Sequential(
        rushlight.nn.Linear(4, 8), rushlight.nn.Dropout(0.5), rushlight.nn.ReLU(), rushlight.nn.Linear(8, 2)
    )
    x = rushlight.randn(3, 4, requires_grad=True)
    results = []
    for run in (
        lambda: model(x),
        lambda: checkpoint(model, x, use_reentrant=reentrant),
        lambda: checkpoint_sequential(model, 2, x, use_reentrant=reentrant),
    ):
        rushlight.manual_seed(3)
        model.zero_grad()
        x.grad = None
        run().sum().backward()
        results.append([x.grad.numpy(), *(p.grad.numpy() for p in model.parameters())])
    for plain, saved in zip(results[0], results[1], strict=True):
        np.testing.assert_allclose(plain, saved)
    for plain, saved in zip(results[0], results[2], strict=True):
        np.testing.assert_allclose(plain, saved)


def test_checkpoint_of_parameters_alone():
    layer = rushlight.nn.Linear(4, 2)
    checkpoint(layer, rushlight.randn(3, 4), use_reentrant=False).sum().backward()
    assert layer.weight.grad is not None


FUNCTIONS = {
    "square": (lambda x: x * x, 1),
    "mixed": (lambda x, y: (x.exp() * y.sum(), y**2), 2),
    "number": (lambda x, y: (x**3).sum() * (y**2).sum(), 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functional(name):
    function, count = FUNCTIONS[name]

    def run(lib):
        inputs = [lib.tensor(v, dtype=lib.float64) for v in ([0.5, -1.0, 2.0], [1.5, 0.2, 0.7])][:count]
        arguments = tuple(inputs) if count > 1 else inputs[0]
        f = lib.autograd.functional
        found = [f.jacobian(function, arguments)]
        outputs = function(*inputs)
        ones = (
            tuple(lib.ones_like(o) for o in outputs) if isinstance(outputs, tuple) else lib.ones_like(outputs)
        )
        found += [f.vjp(function, arguments, ones), f.jvp(function, arguments, arguments)]
        if name == "number":
            found += [f.hessian(function, arguments), f.vhp(function, arguments, arguments)]
            found += [f.hvp(function, arguments, arguments)]
        return found

    def flat(value):
        return [leaf for item in value for leaf in flat(item)] if isinstance(value, list | tuple) else [value]

    for ours, theirs in zip(flat(run(rushlight)), flat(run(torch)), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-9)


@BOTH
def test_variable(lib):
    x = lib.autograd.Variable(lib.ones(2), requires_grad=True)
    (x * 2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [2, 2])
    assert isinstance(lib.ones(1), lib.autograd.Variable)
