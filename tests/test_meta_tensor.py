"""The device "meta": models without memory, and the ways to give them some."""

import copy
import importlib
import warnings

import pytest

import rushlight

torch = pytest.importorskip("torch")
DESCRIPTIONS = [
    "torch.empty(2, 3, device='meta')",
    "torch.nn.Parameter(torch.empty(2, device='meta'))",
    "torch.zeros(2, dtype=torch.int64, device='meta')",
    "torch.ones((), dtype=torch.float64, device='meta')",
    "torch.randn(2, 3, device=torch.device('meta')).stride()",
    "torch.full((2,), 1.5, device='meta').size()",
    "torch.tensor([1, 2], device='meta')",
    "torch.ones(2, 3).to('meta')",
    "torch.ones(2, 3).to('meta').to(torch.float16).dtype",
    "torch.ones(2, 3).to('meta').device",
    "torch.ones(2, 3).to('meta').is_meta",
    "torch.ones(2, 3).is_meta",
    "torch.empty(2, 3, device='meta')[1]",
    "torch.empty(2, 3, device='meta').fill_(1)",
    "len(torch.empty(2, 3, device='meta'))",
    "torch.empty(2, 3, device='meta').element_size()",
    "torch.nn.Linear(2, 3, device='meta').weight",
    "torch.nn.BatchNorm1d(2).to('meta').running_mean",
    "torch.nn.Linear(2, 3, device='meta').to_empty(device='cpu').weight.shape",
    "list(torch.nn.Linear(2, 3, device='meta').state_dict().values())",
    "torch.empty(2, device='meta').to('cpu')",
    "torch.empty(2, device='meta').cpu()",
    "torch.empty(2, device='meta').numpy()",
    "torch.empty(2, device='meta').tolist()",
    "torch.empty(1, device='meta').item()",
    "torch.nn.Linear(2, 2, device='meta').to('cpu')",
    "torch.ones(2).copy_(torch.ones(2, device='meta'))",
]


def outcome(t, expression):
    try:
        return str(eval(expression, {"torch": t}))
    except Exception as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize("expression", DESCRIPTIONS)
def test_as_in_pytorch(expression):
    ours, theirs = outcome(rushlight, expression), outcome(torch, expression)
    if isinstance(theirs, tuple) and "copy_" in expression:  # ours says what to do instead
        ours, theirs = ours[0], theirs[0]
    assert ours == theirs


def network(t):
    nn = t.nn
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 5), nn.LSTM(5, 6),
        nn.Embedding(7, 5, padding_idx=0), nn.TransformerEncoderLayer(8, 2, 16), nn.LayerNorm(3), nn.PReLU(),
    )  # fmt: skip


def test_models_are_made_and_loaded():
    rushlight.manual_seed(0)
    real = network(rushlight)
    state = rushlight.get_rng_state()
    with rushlight.device("meta"):
        model = network(rushlight)
        assert rushlight.arange(3).is_meta
    assert rushlight.equal(rushlight.get_rng_state(), state)
    assert not rushlight.ones(2).is_meta and not rushlight.arange(3).is_meta
    assert all(t.is_meta for t in model.state_dict().values())
    assert all(isinstance(p, rushlight.nn.Parameter) and p.requires_grad for p in model.parameters())
    for key, value in model.state_dict().items():
        assert value.shape == real.state_dict()[key].shape
    again = copy.deepcopy(model)
    assert [n for n, _ in again.named_parameters()] == [n for n, _ in real.named_parameters()]
    with pytest.warns(UserWarning, match="which is a no-op"):
        again.load_state_dict(real.state_dict())
    model.load_state_dict(real.state_dict(), assign=True)
    assert all(p.requires_grad and not p.is_meta for p in model.parameters())
    x = rushlight.randn(2, 4)
    assert rushlight.equal(model[4](x), real[4](x))
    again.to_empty(device="cpu")
    assert not any(p.is_meta for p in again.parameters())
    rushlight.optim.SGD(again.parameters(), 0.1)
    again.load_state_dict(real.state_dict())
    assert rushlight.equal(again[4](x), real[4](x))
    assert all(p.is_meta for p in again.to("meta").parameters())


def test_zoo_models_take_no_memory():
    models = importlib.import_module("rushlight.vision.models")
    with rushlight.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("error")
        model = models.resnet18()
    assert sum(p.numel() for p in model.parameters()) == 11_689_512


def test_nothing_is_computed():
    with pytest.raises(NotImplementedError, match=r"rushlight\.utils\.summary"):
        rushlight.nn.Linear(2, 3, device="meta")(rushlight.ones(1, 2))
    with pytest.raises(NotImplementedError):
        rushlight.empty(2, device="meta") + 1
