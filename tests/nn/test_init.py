"""First values of parameters against PyTorch, number by number after the same seed."""

import numpy as np
import pytest

import rushlight
import rushlight.nn

torch = pytest.importorskip("torch")

FILLS = [
    ("uniform_", (3, 4), {}), ("uniform_", (3, 4), {"a": -2.0, "b": 3.0}), ("normal_", (3, 4), {}),
    ("normal_", (40,), {"mean": 1.0, "std": 0.1}), ("constant_", (2, 2), {"val": 0.3}), ("ones_", (3,), {}),
    ("zeros_", (3,), {}), ("eye_", (3, 4), {}), ("dirac_", (4, 2, 3), {}),
    ("dirac_", (4, 2, 3, 3), {"groups": 2}), ("dirac_", (2, 3, 3, 2, 3), {}), ("xavier_uniform_", (3, 5), {}),
    ("xavier_uniform_", (3, 5, 2), {"gain": 2.0}), ("xavier_normal_", (3, 5), {}),
    ("kaiming_uniform_", (3, 5), {}), ("kaiming_uniform_", (3, 5, 3, 3), {"a": 0.2, "mode": "fan_out"}),
    ("kaiming_normal_", (3, 5), {}),
    ("kaiming_normal_", (3, 5, 2), {"mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_uniform_", (3, 5), {"nonlinearity": "tanh"}), ("trunc_normal_", (50,), {}),
    ("trunc_normal_", (5, 20), {"mean": 0.1, "std": 0.02}), ("trunc_normal_", (50,), {"a": -0.5, "b": 0.5}),
    ("trunc_normal_", (50,), {"a": 1.5, "b": 2.0}), ("orthogonal_", (3, 5), {}),
    ("orthogonal_", (5, 3), {"gain": 2.0}), ("orthogonal_", (4, 2, 3), {}),
    ("sparse_", (6, 4), {"sparsity": 0.3}), ("sparse_", (5, 2), {"sparsity": 0.5, "std": 2.0}),
]  # fmt: skip


def filled(module, name: str, shape, options: dict):
    """A tensor as one framework fills it, float64 where decompositions would show rounding."""
    module.manual_seed(0)
    t = module.zeros(
        *shape, dtype=module.float64 if name == "orthogonal_" else module.float32, requires_grad=True
    )
    result = getattr(module.nn.init, name)(t, **options)
    assert result is t
    assert t.requires_grad
    assert t.is_leaf
    return t.detach().numpy()


@pytest.mark.parametrize(("name", "shape", "options"), FILLS)
def test_fills_as_pytorch(name, shape, options):
    ours, theirs = filled(rushlight, name, shape, options), filled(torch, name, shape, options)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7, strict=True)


GAINS = [("linear",), ("conv2d",), ("conv_transpose3d",), ("sigmoid",), ("tanh",), ("relu",), ("leaky_relu",),
         ("leaky_relu", 0.2), ("leaky_relu", 1), ("selu",)]  # fmt: skip


@pytest.mark.parametrize("args", GAINS)
def test_gains(args):
    assert rushlight.nn.init.calculate_gain(*args) == torch.nn.init.calculate_gain(*args)


WRONG = [
    lambda t, i: i.eye_(t.ones(3)), lambda t, i: i.dirac_(t.ones(3, 3)),
    lambda t, i: i.dirac_(t.ones(3, 3, 3), 2), lambda t, i: i.xavier_uniform_(t.ones(3)),
    lambda t, i: i.kaiming_normal_(t.ones(3, 3), mode="other"), lambda t, i: i.kaiming_normal_(t.ones(3)),
    lambda t, i: i.orthogonal_(t.ones(3)), lambda t, i: i.sparse_(t.ones(3), 0.1),
    lambda t, i: i.calculate_gain("other"), lambda t, i: i.calculate_gain("leaky_relu", True),
    lambda t, i: i.calculate_gain("leaky_relu", "x"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_refuses_as_pytorch(wrong):
    messages = []
    for t in (rushlight, torch):
        with pytest.raises(ValueError) as caught:
            wrong(t, t.nn.init)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("t", [rushlight, torch], ids=["ours", "theirs"])
def test_warnings(t):
    with pytest.warns(UserWarning, match="zero-element"):
        t.nn.init.kaiming_uniform_(t.ones(0, 3))
    with pytest.warns(UserWarning, match="more than 2 std"):
        t.nn.init.trunc_normal_(t.ones(3), mean=5.0, std=0.5)
    for name in ("xavier_normal", "constant", "normal", "eye", "kaiming_uniform"):
        old = getattr(t.nn.init, name)
        args = {"constant": (1.0,)}.get(name, ())
        with pytest.warns(
            FutureWarning, match=f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`"
        ):
            old(t.ones(2, 2), *args)
        assert old.__name__ == name


def test_zero_elements():
    assert rushlight.nn.init.orthogonal_(rushlight.ones(0, 3)).shape == (0, 3)
    assert rushlight.nn.init.normal_(rushlight.ones(0)).shape == (0,)
