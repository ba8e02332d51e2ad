"""Losses: names of gradient functions, warnings, messages, and what stays in memory."""

import numpy as np
import pytest

import rushlight
from tests.ops.functional import F

torch = pytest.importorskip("torch")

NODES = {
    "F.cross_entropy(x, t)": "NllLossBackward0",
    "F.cross_entropy(c, u)": "NllLoss2DBackward0",
    "F.nll_loss(x, t)": "NllLossBackward0",
    "F.nll_loss(c, u)": "NllLoss2DBackward0",
    "F.mse_loss(x, y)": "MseLossBackward0",
    "F.l1_loss(x, y)": "MeanBackward0",
    "F.smooth_l1_loss(x, y)": "SmoothL1LossBackward0",
    "F.huber_loss(x, y)": "HuberLossBackward0",
    "F.binary_cross_entropy(x, y)": "BinaryCrossEntropyBackward0",
    "F.binary_cross_entropy(x, y, y)": "BinaryCrossEntropyBackward0",
    "F.binary_cross_entropy_with_logits(x, y)": "BinaryCrossEntropyWithLogitsBackward0",
    "F.kl_div(x, y, reduction='sum')": "SumBackward0",
    "F.soft_margin_loss(x, y)": "SoftMarginLossBackward0",
}


def scope(module):
    """The tensors of the calls above."""
    return {
        "F": F(module),
        "x": module.full((3, 4), 0.5, requires_grad=True),
        "y": module.full((3, 4), 0.5),
        "t": module.tensor([1, 0, 3]),
        "c": module.ones(2, 4, 3, requires_grad=True),
        "u": module.zeros(2, 3).long(),
    }


@pytest.mark.parametrize("code", NODES)
def test_gradient_functions_have_pytorchs_names(code):
    for module in (rushlight, torch):
        assert type(eval(code, scope(module)).grad_fn).__name__ == NODES[code]


WARNINGS = [
    ("F.mse_loss(x, y[:, :1])", "Using a target size .* that is different to the input size"),
    ("F.l1_loss(x, y[0])", "Using a target size .* that is different to the input size"),
    ("F.smooth_l1_loss(x, y[0])", "Using a target size .* that is different to the input size"),
    (
        "F.cross_entropy(x, t, size_average=False)",
        "size_average and reduce args will be deprecated.*reduction='sum'",
    ),
    ("F.mse_loss(x, y, reduce=False)", "size_average and reduce args will be deprecated.*reduction='none'"),
    (
        "F.binary_cross_entropy(x, y, size_average=True)",
        "size_average and reduce args will be deprecated.*'mean'",
    ),
    (
        "F.kl_div(x, y)",
        "reduction: 'mean' divides the total loss by both the batch size and the support size",
    ),
]


@pytest.mark.parametrize(("code", "message"), WARNINGS)
def test_warnings(code, message):
    results = []
    for module in (rushlight, torch):
        with pytest.warns(UserWarning, match=message):
            results.append(eval(code, scope(module)).tolist())
    np.testing.assert_allclose(*results, rtol=1e-5)


MESSAGES = [
    ("F.cross_entropy(x, t[:2])", "Expected input batch_size (3) to match target batch_size (2)."),
    ("F.cross_entropy(x, t + 9)", "Target 10 is out of bounds."),
    ("F.cross_entropy(x, t.float())", "expected target dtype to be Long or Byte, but got Float"),
    ("F.cross_entropy(c, u[:, :2])", "Expected target size [2, 3], got [2, 2]"),
    (
        "F.cross_entropy(x, y.long())",
        "Expected floating point type for target with class probabilities, got Long",
    ),
    ("F.cross_entropy(x, t, reduction='most')", "most is not a valid value for reduction"),
    ("F.nll_loss(x, t.unsqueeze(1))", "0D or 1D target tensor expected, multi-target not supported"),
    (
        "F.mse_loss(x, y[:2])",
        "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 0",
    ),
    ("F.binary_cross_entropy(x + 1, y)", "all elements of input should be between 0 and 1"),
    (
        "F.binary_cross_entropy_with_logits(x, y[0])",
        "Target size (torch.Size([4])) must be the same as input size",
    ),
    ("F.smooth_l1_loss(x, y, beta=-1)", "smooth_l1_loss does not support negative values for beta."),
    ("F.huber_loss(x, y, delta=0)", "huber_loss does not support non-positive values for delta."),
]


@pytest.mark.parametrize(("code", "message"), MESSAGES)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_messages_begin_as_pytorchs(code, message):
    kinds = []
    for module in (rushlight, torch):
        with pytest.raises(Exception) as error:
            eval(code, scope(module))
        assert str(error.value).startswith(message)
        kinds.append(type(error.value))
    assert kinds[0] is kinds[1]


def test_cross_entropy_without_samples_is_nan():
    for module in (rushlight, torch):
        x, target = module.zeros(2, 3, requires_grad=True), module.tensor([1, 1])
        loss = F(module).cross_entropy(x, target, ignore_index=1)
        loss.backward()
        assert np.isnan(loss.item())
        assert x.grad.tolist() == [[0] * 3] * 2


def test_cross_entropy_frees_what_it_saved():
    x = rushlight.zeros(2, 3, requires_grad=True)
    loss = F(rushlight).cross_entropy(x, rushlight.tensor([1, 2]))
    loss.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


def test_stable_where_the_formula_overflows():
    x = rushlight.tensor([-2000.0, 2000.0], requires_grad=True)
    loss = F(rushlight).soft_margin_loss(x, rushlight.tensor([1.0, 1.0]), reduction="none")
    loss.sum().backward()
    assert loss.tolist() == [2000.0, 0.0]
    assert x.grad.tolist() == [-1.0, 0.0]
