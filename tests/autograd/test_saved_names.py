"""What nodes keep, under PyTorch's names."""

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")

OPS = {
    "mul": lambda t, x, y: x * y,
    "div": lambda t, x, y: x / y,
    "mm": lambda t, x, y: x @ y.T,
    "pow": lambda t, x, y: x**2,
    "pow of a tensor": lambda t, x, y: x**y,
    "exp": lambda t, x, y: x.exp(),
    "sin": lambda t, x, y: x.sin(),
    "relu": lambda t, x, y: x.relu(),
    "softmax": lambda t, x, y: x.softmax(1),
    "logsumexp": lambda t, x, y: x.logsumexp(0),
    "std": lambda t, x, y: x.std(1),
    "max": lambda t, x, y: x.max(),
    "mse_loss": lambda t, x, y: t.nn.functional.mse_loss(x, y),
    "nll_loss": lambda t, x, y: t.nn.functional.nll_loss(x, t.tensor([0, 2])),
    "addmm": lambda t, x, y: t.addmm(x[:, :2], x, y.T),
    "conv1d": lambda t, x, y: t.nn.functional.conv1d(x[None], y[None]),
    "layer_norm": lambda t, x, y: t.nn.functional.layer_norm(x, (3,), y[0], y[1]),
    "embedding": lambda t, x, y: t.nn.functional.embedding(t.tensor([1, 0, 1]), x),
    "gather": lambda t, x, y: x.gather(0, t.tensor([[1, 0, 1]])),
    "masked_fill": lambda t, x, y: x.masked_fill(y > 0.5, 0.0),
    "where": lambda t, x, y: t.where(y > 0.5, x, y),
    "inv": lambda t, x, y: t.linalg.inv(x[:, :2]),
    "det": lambda t, x, y: t.linalg.det(x[:, :2]),
}


def kept(t, op, pack=None) -> dict:
    """The tensors under `_saved_` names of the last node of an op, as lists."""
    draws = np.random.default_rng(0).uniform(0.2, 0.9, (2, 2, 3))
    x, y = (t.tensor(values, requires_grad=True) for values in draws)
    if pack is None:
        node = OPS[op](t, x, y).grad_fn
    else:
        with t.autograd.graph.saved_tensors_hooks(*pack):
            node = OPS[op](t, x, y).grad_fn
    found = {name: getattr(node, name) for name in dir(node) if name.startswith("_saved_")}
    return {name: np.array(v.tolist(), float) for name, v in found.items() if isinstance(v, t.Tensor)}


@pytest.mark.parametrize("op", OPS)
def test_tensors_have_pytorchs_names(op):
    ours, theirs = kept(rushlight, op), kept(torch, op)
    assert ours
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], err_msg=name)
    left = {"total_weight", "result1", "result2", "result", "LU", "pivots", "self"}  # kept by PyTorch only
    assert {name[7:] for name in theirs} - {name[7:] for name in ours} <= left


def test_inputs_are_the_same_objects_and_outputs_are_not():
    a, b = rushlight.ones(3, requires_grad=True), rushlight.ones(3, requires_grad=True)
    product, exp = a * b, a.exp()
    assert product.grad_fn._saved_self is a and product.grad_fn._saved_other is b
    assert exp.grad_fn._saved_result.equal(exp) and exp.grad_fn._saved_result is not exp
    assert exp.grad_fn._saved_result.grad_fn is exp.grad_fn


def test_what_has_no_gradient_is_not_kept():
    node = (rushlight.ones(3, requires_grad=True) * rushlight.ones(3)).grad_fn
    assert node._saved_self is None and node._saved_other is not None
    assert not hasattr((rushlight.ones(3, requires_grad=True) + 1).grad_fn, "_saved_self")


def test_hooks_unpack_what_is_looked_at():
    double = (lambda x: x * 2, lambda x: x * 3)
    np.testing.assert_equal(kept(rushlight, "mul", double), kept(torch, "mul", double))


ORDERS = {
    "mul": lambda t, x, y: x * y,
    "mm": lambda t, x, y: x @ y.T,
    "mv": lambda t, x, y: t.mv(x, y[0]),
    "atan2": lambda t, x, y: t.atan2(x, y),
    "mse_loss": lambda t, x, y: t.nn.functional.mse_loss(x, y),
    "conv1d": lambda t, x, y: t.nn.functional.conv1d(x[None], y[None]),
}


@pytest.mark.parametrize("op", ["std", "prod", "cumprod", "logsumexp", "logcumsumexp", "amax", "norm"])
def test_outputs_are_unpacked_once(op):
    arguments = {"cumprod": (0,), "logsumexp": (0,), "logcumsumexp": (0,), "amax": (0,)}.get(op, ())

    def unpacked(t):
        shapes = []
        hooks = (lambda tensor: tensor, lambda tensor: shapes.append(tuple(tensor.shape)) or tensor)
        with t.autograd.graph.saved_tensors_hooks(*hooks):
            result = getattr(t.ones(2, 3, requires_grad=True) * t.full((2, 3), 2.0), op)(*arguments)
        result.sum().backward()
        return shapes

    assert unpacked(rushlight) == unpacked(torch)


@pytest.mark.parametrize("op", ORDERS)
def test_hooks_see_the_tensors_themselves_in_pytorchs_order(op):
    def seen(t):
        x, y = t.ones(2, 3, requires_grad=True), t.full((2, 3), 2.0, requires_grad=True) * 1.5
        log = []

        def note(kind):
            def hook(tensor):
                what = "x" if tensor is x else "y" if tensor is y else tuple(tensor.shape)
                log.append(
                    (kind, what, tensor.requires_grad, t.is_grad_enabled() if kind == "pack" else None)
                )
                return tensor

            return hook

        with t.autograd.graph.saved_tensors_hooks(note("pack"), note("unpack")):
            result = ORDERS[op](t, x, y)
        result.sum().backward()
        return log

    assert seen(rushlight) == seen(torch)


def test_leaves_that_hooks_give_back_look_like_leaves():
    x = rushlight.ones(3, requires_grad=True)
    hooks = (lambda t: t.detach().numpy(), rushlight.from_numpy)
    with rushlight.autograd.graph.saved_tensors_hooks(*hooks):
        y = x.pow(2)
        z = y * y
    assert repr(y.grad_fn._saved_self) == "tensor([1., 1., 1.], requires_grad=True)"
    assert z.grad_fn._saved_self.grad_fn is y.grad_fn
    (slope,) = rushlight.autograd.grad(z.sum(), x, create_graph=True)
    slope.sum().backward()
    assert x.grad.tolist() == [12.0, 12.0, 12.0]


def test_what_was_freed_is_not_there():
    a = rushlight.ones(3, requires_grad=True)
    product = a * a
    product.sum().backward()
    with pytest.raises(
        RuntimeError, match="directly access saved tensors after they have already been freed"
    ):
        product.grad_fn._saved_self  # noqa: B018


def test_dropout_keeps_only_its_mask():
    node = rushlight.nn.functional.dropout(rushlight.ones(9, requires_grad=True), 0.5).grad_fn
    with pytest.raises(AttributeError, match="MulBackward0 keeps no 'self' here"):
        node._saved_self  # noqa: B018
