"""Random layers drop what PyTorch drops after the same seed."""

import numpy as np
import pytest

import rushlight
from tests.ops.functional import F

torch = pytest.importorskip("torch")

CASES = {
    "dropout": lambda f, x: f.dropout(x),
    "dropout-0.3": lambda f, x: f.dropout(x, 0.3),
    "dropout-strided": lambda f, x: f.dropout(x[:, ::2], 0.4),
    "dropout-transposed": lambda f, x: f.dropout(x.transpose(1, 3), 0.4),
    "dropout1d": lambda f, x: f.dropout1d(x[0]),
    "dropout1d-unbatched": lambda f, x: f.dropout1d(x[0, 0]),
    "dropout2d": lambda f, x: f.dropout2d(x, 0.4),
    "dropout3d": lambda f, x: f.dropout3d(x, 0.4),
    "alpha_dropout": lambda f, x: f.alpha_dropout(x, 0.3, True),
    "feature_alpha_dropout": lambda f, x: f.feature_alpha_dropout(x, 0.3, True),
    "rrelu": lambda f, x: f.rrelu(x, training=True),
    "gumbel_softmax": lambda f, x: f.gumbel_softmax(x),
    "gumbel_softmax-hard": lambda f, x: f.gumbel_softmax(x, 0.5, True, dim=1),
}


def run(module, case, array, channels_last: bool):
    """The result, its gradient and the state in which the generator is left."""
    module.manual_seed(5)
    x = module.from_numpy(array)
    if channels_last:
        x = x.contiguous(memory_format=module.channels_last)
    x.requires_grad_()
    out = CASES[case](F(module), x)
    (out * out).sum().backward()
    return out.detach().numpy(), x.grad.numpy(), module.rand(3).numpy()


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_drops_what_pytorch_drops(case, channels_last):
    array = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype("float32")
    results = [run(module, case, array, channels_last) for module in (rushlight, torch)]
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_activations_in_our_own_layout_are_dropped_as_if_contiguous():
    def run(module):
        rng = np.random.default_rng(0)
        module.manual_seed(3)
        x, w = (module.from_numpy(rng.normal(size=s).astype("float32")) for s in ((2, 3, 6, 6), (4, 3, 3, 3)))
        return F(module).dropout(F(module).conv2d(x, w), 0.4).numpy()

    np.testing.assert_allclose(run(rushlight), run(torch), rtol=1e-4, atol=1e-5)


def test_in_place():
    def run(module):
        module.manual_seed(3)
        x = module.ones(20)
        assert F(module).dropout(x, 0.4, inplace=True) is x
        return x.numpy()

    np.testing.assert_allclose(run(rushlight), run(torch), rtol=1e-6)
