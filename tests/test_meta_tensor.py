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


RESULTS = [
    "torch.nn.Conv2d(3, 8, 3, stride=2, device='meta')(torch.empty(1, 3, 224, 224, device='meta'))",
    "torch.nn.LSTM(4, 5, 2, device='meta')(torch.empty(7, 3, 4, device='meta'))[0]",
    "torch.nn.MultiheadAttention(8, 2, device='meta')(*[torch.empty(5, 3, 8, device='meta')] * 3)[0]",
    "torch.nn.Embedding(9, 4, device='meta')(torch.zeros(2, 3, dtype=torch.int64, device='meta'))",
    "torch.nn.functional.scaled_dot_product_attention(*[torch.empty(2, 4, 6, 8, device='meta')] * 3, is_causal=True)",
    "torch.nn.functional.interpolate(torch.empty(1, 2, 4, 4, device='meta'), scale_factor=2, mode='bilinear')",
    "torch.nn.functional.max_pool2d(torch.empty(1, 2, 9, 9, device='meta'), 3)",
    "torch.nn.functional.cross_entropy(torch.empty(4, 3, device='meta'), torch.zeros(4, dtype=torch.int64, device='meta'))",
    "torch.empty(2, 3, device='meta').t() @ torch.empty(2, 5, device='meta')",
    "torch.empty(2, 3, 4, device='meta').transpose(0, 2) + 1",
    "torch.empty(2, 3, 4, 5, device='meta').to(memory_format=torch.channels_last) * 2.0",
    "torch.empty(2, 3, dtype=torch.int32, device='meta') / 2",
    "torch.empty(2, 3, device='meta') > torch.tensor(1.0)",
    "torch.empty(4, 6, device='meta')[1:, torch.tensor([0, 1, 5], device='meta')]",
    "torch.empty(4, 6, device='meta')[:, None, ::2]",
    "torch.empty(4, 6, device='meta').view(2, 12).expand(3, 2, 12)",
    "torch.empty(4, 6, device='meta').sort(0)[1]",
    "torch.empty(4, 6, device='meta').add_(torch.empty(6, device='meta')).requires_grad_()",
    "torch.add(torch.empty(2, device='meta'), 1, out=torch.empty(2, device='meta'))",
    "torch.empty(2, 3, device='meta').copy_(torch.ones(3))",
    "torch.empty(2, 3, device='meta').new_zeros(4)",
    "torch.ones_like(torch.empty(2, 3, device='meta').t())",
    "torch.zeros_like(torch.empty(2, 3, device='meta'), device='cpu')",
    "torch.arange(3, device='meta').float()",
    "torch.empty_strided((2, 3), (1, 2), device='meta').double()",
    "torch.empty(2, 3, device='meta').half().detach().clone()",
    "torch.nn.functional.dropout(torch.empty(2, 3, device='meta'))",
    "torch.linalg.inv(torch.empty(3, 3, device='meta')).sum()",
    "torch.nn.init.orthogonal_(torch.empty(3, 3, device='meta'))",
    "torch.nn.init.trunc_normal_(torch.empty(3, 3, device='meta'))",
    "torch.empty(10**6, 10**6, device='meta').mean(1)",
]  # fmt: skip


@pytest.mark.parametrize("expression", RESULTS)
def test_results_are_described(expression):
    def described(t):
        made = eval(expression, {"torch": t})
        return str(made.shape), str(made.dtype), made.stride(), str(made.device), made.requires_grad

    assert described(rushlight) == described(torch)


REFUSED = [
    "torch.empty(2, device='meta') + torch.ones(2)",
    "torch.nn.Linear(2, 3, device='meta')(torch.ones(1, 2))",
    "torch.cat([torch.empty(2, device='meta'), torch.ones(2)])",
    "torch.empty(2, device='meta') + torch.empty(3, device='meta')",
    "torch.empty(2, 3, device='meta') @ torch.empty(2, 3, device='meta')",
    "torch.empty(2, 3, device='meta').view(7)",
    "torch.empty(2, 3, device='meta').t().view(6)",
    "torch.empty(2, device='meta').nonzero()",
    "torch.empty(2, device='meta')[torch.empty(2, dtype=torch.bool, device='meta')]",
    "torch.empty(2, device='meta').masked_select(torch.empty(2, dtype=torch.bool, device='meta'))",
    "torch.empty(2, device='meta').unique()",
    "bool(torch.empty((), device='meta'))",
    "float(torch.empty((), device='meta'))",
]  # fmt: skip


@pytest.mark.parametrize("expression", REFUSED)
def test_refusals(expression):
    ours, theirs = outcome(rushlight, expression), outcome(torch, expression)
    assert isinstance(theirs, tuple) and ours[0] == theirs[0]


def test_gradients_are_described():
    model = network(rushlight)[:5].to("meta")
    x = rushlight.empty(2, 3, 4, 3, device="meta", requires_grad=True)
    model[3:](model[:3](x).mean((2, 3), keepdim=True)).sum().backward()
    assert x.grad.is_meta and x.grad.shape == x.shape
    assert all(p.grad.is_meta and p.grad.shape == p.shape for p in model.parameters())


def test_large_models_take_neither_memory_nor_random_numbers():
    state = rushlight.get_rng_state()
    with rushlight.device("meta"):
        layer = rushlight.nn.TransformerEncoderLayer(16384, 128, 65536, batch_first=True)
    assert layer(rushlight.empty(8, 4096, 16384, device="meta")).shape == (8, 4096, 16384)
    assert rushlight.equal(rushlight.get_rng_state(), state)


def test_larger_than_any_memory():
    """As PyTorch's tutorial on shapes has it."""
    x = rushlight.rand(2**10, 3, 2**16, 2**16, device="meta", requires_grad=True)
    model = rushlight.nn.Conv2d(3, 5, 2, device="meta")
    y = model(x)
    assert y.shape == (2**10, 5, 2**16 - 1, 2**16 - 1) and y.stride() == (
        5 * y.stride(1),
        (2**16 - 1) ** 2,
        2**16 - 1,
        1,
    )
    y.sum().backward()
    assert (
        x.grad.shape == x.shape and model.weight.grad.shape == (5, 3, 2, 2) and model.bias.grad.shape == (5,)
    )
    assert (y.flatten(1) * 2).sum(1).shape == (2**10,)
