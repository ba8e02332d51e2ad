"""The backward pass: order, accumulation, retention, hooks, partial graphs; compared with PyTorch where it speaks."""

import gc
import weakref

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")
BOTH = pytest.mark.parametrize("lib", [rushlight, torch], ids=["rushlight", "torch"])


def close(a, b):
    np.testing.assert_allclose(a.detach().numpy(), np.asarray(b), rtol=1e-6)


@BOTH
def test_shared_inputs_accumulate(lib):
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    y = x * x + x
    (y * x).sum().backward()
    close(x.grad, 3 * np.array([1, 4.0]) + 2 * np.array([1.0, 2.0]))
    (x * 1).sum().backward()
    close(x.grad, 3 * np.array([1, 4.0]) + 2 * np.array([1.0, 2.0]) + 1)


@BOTH
def test_leaves_do_not_share_gradient_memory(lib):
    a, b = (lib.ones(3, requires_grad=True) for _ in range(2))
    (a + b).sum().backward()
    a.grad.zero_()
    close(b.grad, np.ones(3))
    g = lib.ones(3)
    c = lib.ones(3, requires_grad=True)
    (c + 0).backward(g)
    g.zero_()
    close(c.grad, np.ones(3))


def test_long_chains_neither_recurse_nor_leak():
    x = rushlight.ones(2, requires_grad=True)
    y = x
    for _ in range(10_000):
        y = y * 1.0
    y.sum().backward()
    close(x.grad, np.ones(2))
    middle = weakref.ref(y)
    del y
    assert middle() is None  # freed by reference counts alone


def test_graphs_are_freed_without_the_collector():
    gc.disable()
    try:
        x = rushlight.ones(3, requires_grad=True)
        y = (x.exp().sigmoid().relu() * x).sum()
        node = weakref.ref(y.grad_fn)
        y.backward()
        del y
        assert node() is None
    finally:
        gc.enable()


@BOTH
def test_second_pass_needs_retain_graph(lib):
    x = lib.ones(2, requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    close(x.grad, 4 * np.ones(2))
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


@BOTH
def test_saved_tensor_changed_in_place(lib):
    x = lib.ones(2, requires_grad=True)
    y = x.exp()
    z = y * 2
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


@BOTH
def test_change_through_a_view_is_seen(lib):
    x = lib.ones(4, requires_grad=True)
    y = x * 2
    z = (y * y).sum()
    y[1:].mul_(3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


@BOTH
def test_change_of_detached_memory_is_seen_and_of_data_is_not(lib):
    x = lib.ones(2, requires_grad=True)
    z = x.exp()
    z.detach().add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()
    z = x.exp()
    z.data.add_(1)
    z.sum().backward()


@BOTH
@pytest.mark.parametrize("inputs", ["leaf", "middle", "both"])
def test_grad_of_inputs(lib, inputs):
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    z = (y * y).sum()
    wanted = {"leaf": [x], "middle": [y], "both": [x, y]}[inputs]
    found = lib.autograd.grad(z, wanted)
    expected = {"leaf": [18 * x], "middle": [2 * y], "both": [18 * x, 2 * y]}[inputs]
    for a, b in zip(found, expected, strict=True):
        close(a, b.detach().numpy())
    assert x.grad is None


@BOTH
def test_unused_inputs(lib):
    x, y = (lib.ones(2, requires_grad=True) for _ in range(2))
    z = (x * 2).sum()
    with pytest.raises(RuntimeError, match="not have been used"):
        lib.autograd.grad(z, [x, y], retain_graph=True)
    assert lib.autograd.grad(z, [x, y], retain_graph=True, allow_unused=True)[1] is None
    close(lib.autograd.grad(z, [x, y], materialize_grads=True)[1], np.zeros(2))


@BOTH
def test_backward_into_chosen_inputs(lib):
    x, y = (lib.ones(2, requires_grad=True) for _ in range(2))
    (x * y * 2).sum().backward(inputs=[y])
    assert x.grad is None
    close(y.grad, 2 * np.ones(2))


@BOTH
def test_wrong_roots(lib):
    x = lib.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="scalar outputs"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        lib.ones(1).backward()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        (x * 2).backward(lib.ones(3))
    with pytest.raises(RuntimeError, match="does not require grad"):
        lib.autograd.grad((x * 2).sum(), [lib.ones(1)])


@BOTH
def test_tensor_hooks(lib):
    seen = []
    x = lib.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: seen.append("y") or g * 10)
    handle = x.register_hook(lambda g: seen.append("x"))
    removed = x.register_hook(lambda g: g * 1000)
    removed.remove()
    y.sum().backward()
    assert seen == ["y", "x"]
    close(x.grad, 20 * np.ones(2))
    handle.remove()
    (x * 1).sum().backward()
    assert seen == ["y", "x"]
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        lib.ones(1).register_hook(print)


@BOTH
def test_post_accumulate_hook(lib):
    x = lib.ones(2, requires_grad=True)
    seen = []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    (x * 3).sum().backward()
    close(seen[0], 3 * np.ones(2))


@BOTH
def test_node_hooks(lib):
    x = lib.ones(2, requires_grad=True)
    y = x * 2
    seen = []
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append((len(inputs), outputs[0].sum().item())))
    y.grad_fn.register_prehook(lambda outputs: (outputs[0] * 5,))
    y.sum().backward()
    assert seen[0][0] >= 1
    close(x.grad, 10 * np.ones(2))


@BOTH
def test_retain_grad(lib):
    x = lib.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    assert y.retains_grad
    (y * 3).sum().backward()
    close(y.grad, 3 * np.ones(2))
    z = x * 2
    with pytest.warns(UserWarning, match="not a leaf"):
        assert z.grad is None


@BOTH
def test_grad_modes(lib):
    x = lib.ones(2, requires_grad=True)
    with lib.no_grad():
        assert not (x * 2).requires_grad
        with lib.enable_grad():
            assert (x * 2).requires_grad
        assert not lib.is_grad_enabled()

    @lib.no_grad()
    def plain():
        return x * 2

    @lib.inference_mode()
    def inference():
        return x * 2, lib.is_inference_mode_enabled()

    @lib.no_grad()
    def generator():
        yield lib.is_grad_enabled()
        yield lib.is_grad_enabled()

    assert not plain().requires_grad
    assert not inference()[0].requires_grad
    assert inference()[1]
    modes = []
    for mode in generator():
        modes += [mode, lib.is_grad_enabled()]
    assert modes == [False, True, False, True]
    lib.set_grad_enabled(False)
    assert not lib.is_grad_enabled()
    lib.set_grad_enabled(True)
    with lib.set_grad_enabled(False):
        assert not lib.is_grad_enabled()
    assert lib.is_grad_enabled()


@BOTH
def test_leaf_rules(lib):
    x = lib.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="view of a leaf"):
        x[0].add_(1)
    with pytest.raises(RuntimeError, match="floating point"):
        lib.ones(2, dtype=lib.int64).requires_grad_()
    with pytest.raises(RuntimeError, match="leaf"):
        (x * 2).requires_grad_(False)
    with lib.no_grad():
        x.add_(1)
    assert x.is_leaf
    assert not (x * 2).is_leaf


@BOTH
def test_double_backward_through_accumulated_grad(lib):
    x = lib.tensor(2.0, requires_grad=True)
    with pytest.warns(UserWarning, match="reference cycle"):
        (x**3).backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward()
    close(x.grad, 12.0)


@BOTH
def test_anomaly_mode(lib):
    x = lib.tensor(-1.0, requires_grad=True)
    with pytest.raises(RuntimeError, match="returned nan values"), lib.autograd.set_detect_anomaly(True):
        x.sqrt().backward()
    assert not rushlight.autograd.anomaly_mode.is_anomaly_enabled()


def test_anomaly_mode_shows_the_forward_call():
    x = rushlight.tensor(-1.0, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"x\.sqrt"), rushlight.autograd.detect_anomaly():
        x.sqrt().backward()


@BOTH
def test_grads_batched(lib):
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    (found,) = lib.autograd.grad(x * x, x, lib.eye(2), is_grads_batched=True)
    close(found, np.diag([2.0, 4.0]))


def test_graph_can_be_walked():
    x = rushlight.ones(2, requires_grad=True)
    y = (x * 2).exp()
    node = y.grad_fn
    assert node.name() == "ExpBackward0"
    product, number = node.next_functions[0]
    assert (product.name(), number) == ("MulBackward0", 0)
    leaf = product.next_functions[0][0]
    assert leaf.name() == "torch::autograd::AccumulateGrad"
    assert leaf.variable is x
    assert product.next_functions[1][0] is None
    node.metadata["note"] = 1
    assert y.grad_fn.metadata == {"note": 1}


def test_a_node_that_knows_no_op():
    """The engine runs any node: it needs the names of no ops."""
    from rushlight.autograd.node import Node, connect

    class Triple(Node):
        def backward(self, grad):
            return grad * 3

    x = rushlight.ones(2, requires_grad=True)
    out = rushlight.ones(2)
    out._node, out._rg = connect(Triple(), [x]), True
    out.sum().backward()
    close(x.grad, 3 * np.ones(2))
