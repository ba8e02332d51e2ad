"""What the op tables cannot say about layers: memory layout, running statistics, messages, half precision."""

import numpy as np
import pytest

import rushlight
from rushlight.ops import activation, conv, dropout, normalization, pooling, resize
from tests.ops.functional import F

torch = pytest.importorskip("torch")


def channels_last(t) -> bool:
    """Whether dimension 1 of the tensor lies last in memory."""
    return np.moveaxis(t._array, 1, -1).flags.c_contiguous


def tensor(*shape, seed=0, kind="float32"):
    """Normal numbers as one of our tensors."""
    return rushlight.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(kind))


def chain(x, w, v):
    """A small convolutional network: every activation on the way."""
    statistics = tensor(6) * 0, tensor(6) * 0 + 1
    first = conv.conv2d(x, w, None, 1, 1)
    normal = normalization.batch_norm(first, *statistics, training=True)
    gate = activation.hardswish(normal.relu())
    pooled = pooling.max_pool2d(gate, 2)
    mean = pooling.avg_pool2d(resize.interpolate(pooled, scale_factor=2, mode="bilinear"), 2)
    return first, normal, gate, pooled, mean, conv.conv2d(mean, v), conv.conv_transpose2d(mean, v, stride=2)


def test_activations_stay_channels_last():
    shapes = (2, 3, 8, 8), (6, 3, 3, 3), (6, 6, 2, 2)
    outputs = chain(*(tensor(*shape).requires_grad_() for shape in shapes))
    assert [channels_last(t) for t in outputs] == [True] * 7
    last = outputs[5]
    grads = rushlight.autograd.grad((last * last).sum(), outputs[:5])
    assert [channels_last(t) for t in grads] == [True] * 5
    assert all(t.stride() == tuple(np.empty(t.shape, "i1").strides) for t in outputs)  # as PyTorch shows it


@pytest.mark.parametrize("which", ["input", "weight"])
def test_layout_that_the_user_asked_for_is_kept(which):
    def strides(module, from_numpy):
        rng = np.random.default_rng(0)
        x, w, v = (from_numpy(rng.normal(size=s)) for s in ((2, 3, 8, 8), (6, 3, 3, 3), (6, 6, 2, 2)))
        if which == "input":
            x = x.contiguous(memory_format=module.channels_last)
        else:
            w = w.contiguous(memory_format=module.channels_last)
        f = F(module)
        first = f.conv2d(x, w, None, 1, 1)
        normal = f.batch_norm(first, None, None, training=True)
        pooled = f.max_pool2d(normal, 2)
        more = f.avg_pool2d(pooled, 2), f.adaptive_avg_pool2d(pooled, 3), f.interpolate(pooled, size=(5, 6))
        return [t.stride() for t in (first, normal, pooled, *more, f.conv_transpose2d(pooled, v))]

    assert strides(rushlight, rushlight.from_numpy) == strides(torch, torch.from_numpy)


def test_running_statistics_are_written_in_place():
    x, mean, var = tensor(4, 3, 5), tensor(3) * 0, tensor(3) * 0 + 1
    arrays = mean._array, var._array
    normalization.batch_norm(x, mean, var, training=True, momentum=0.3)
    assert mean._array is arrays[0] and var._array is arrays[1] and mean._version == var._version == 1
    expected = torch.zeros(3), torch.ones(3)
    torch.nn.functional.batch_norm(torch.from_numpy(x.numpy()), *expected, training=True, momentum=0.3)
    for ours, theirs in zip((mean, var), expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)


HALF = {
    "conv2d": lambda f, x, w, p: f.conv2d(x, w, p, 1, 1),
    "conv_transpose2d": lambda f, x, w, p: f.conv_transpose2d(x, w),
    "max_pool2d": lambda f, x, w, p: f.max_pool2d(x, 2),
    "avg_pool2d": lambda f, x, w, p: f.avg_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda f, x, w, p: f.adaptive_avg_pool2d(x, 3),
    "batch_norm": lambda f, x, w, p: f.batch_norm(x, None, None, p, p, True),
    "layer_norm": lambda f, x, w, p: f.layer_norm(x, (8,)),
    "group_norm": lambda f, x, w, p: f.group_norm(x, 2, p, p),
    "interpolate": lambda f, x, w, p: f.interpolate(x, scale_factor=2, mode="bilinear"),
    "gelu": lambda f, x, w, p: f.gelu(x),
    "silu": lambda f, x, w, p: f.silu(x),
    "softplus": lambda f, x, w, p: f.softplus(x),
    "elu": lambda f, x, w, p: f.elu(x),
    "rms_norm": lambda f, x, w, p: f.rms_norm(x, (8,)),
}


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", HALF)
def test_half_precision(name, kind):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s).astype("float32") for s in ((2, 4, 8, 8), (4, 4, 3, 3), (4,))]
    results = []
    for module in (rushlight, torch):
        made = [module.from_numpy(a).to(getattr(module, kind)).requires_grad_() for a in arrays]
        out = HALF[name](F(module), *made)
        out.float().sum().backward()
        results.append((out.detach(), made[0].grad))
    for ours, theirs in zip(*results, strict=True):
        assert str(ours.dtype) == str(theirs.dtype)
        tol = 4e-3 if kind == "float16" else 3e-2
        np.testing.assert_allclose(ours.float().numpy(), theirs.float().numpy(), rtol=tol, atol=tol)


def test_no_gradient_is_computed_for_an_input_that_needs_none():
    x, w = tensor(1, 2, 4, 4), tensor(3, 2, 3, 3).requires_grad_()
    out = conv.conv2d(x, w)
    assert out.grad_fn.next_functions[0] == (None, 0)
    gx, gw, gb = out.grad_fn.backward(out.detach())
    assert gx is None and gw is not None and gb is None


W = (8, 3, 3, 3)
MESSAGES = [
    (lambda: conv.conv2d(tensor(1, 5, 5, 3), tensor(*W)), "input[1, 5, 5, 3] to have 3 channels", "permute"),
    (lambda: conv.conv2d(tensor(1, 4, 5, 5), tensor(*W)), "but got 4 channels instead", "in_channels=4"),
    (lambda: conv.conv2d(tensor(1, 3, 2, 2), tensor(*W)), "Kernel size can't be greater than", "padding"),
    (
        lambda: conv.conv2d(tensor(1, 3, 5, 5, kind="float64"), tensor(*W)),
        "Input type (double) and weight type (float) should be the same",
        "x.to(weight.dtype)",
    ),
    (
        lambda: normalization.batch_norm(tensor(1, 3), None, None, training=True),
        "Expected more than 1 value per channel when training, got input size torch.Size([1, 3])",
        "drop_last",
    ),
    (
        lambda: normalization.batch_norm(tensor(2, 3), tensor(4), tensor(4)),
        "running_mean should contain 3 elements not 4",
        "num_features=3",
    ),
    (lambda: normalization.layer_norm(tensor(2, 3), (4,)), "Given normalized_shape=[4]", "shape=[3]"),
    (lambda: pooling.max_pool2d(tensor(1, 1, 2, 2), 3), "Output size is too small", "smaller kernel"),
    (lambda: dropout.dropout(tensor(2), 2.0), "dropout probability has to be between 0 and 1", "2.0"),
]


@pytest.mark.parametrize("wrong", MESSAGES, ids=lambda case: case[1])
def test_messages_say_what_was_got_and_what_to_do(wrong):
    call, *parts = wrong
    with pytest.raises((RuntimeError, ValueError)) as error:
        call()
    for part in parts:
        assert part in str(error.value)
