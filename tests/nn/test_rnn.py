"""Recurrent layers and cells against PyTorch's: outputs, gradients, random streams, training, errors, state."""

import copy
import io
import itertools
import pickle
import re
import warnings

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """On a busy machine PyTorch's threads wait for one another at each of thousands of small steps."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


KINDS = ("RNN", "LSTM", "GRU")
FRAMEWORKS = (rushlight, torch)


def made(module, layer: str, seed: int = 0):
    """A layer of one framework, or what else the text says, made after a seed."""
    module.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(f"nn.{layer}", {"nn": module.nn, "t": module, "R": module.nn.utils.rnn})


def flat(result) -> list:
    """The tensors in a result, in order."""
    return [t for part in result for t in flat(part)] if isinstance(result, tuple | list) else [result]


def same(ours, theirs, what="", tol: float = 2e-5) -> None:
    """Compare two results."""
    ours, theirs = ([t for t in flat(r) if t is not None] for r in (ours, theirs))
    assert len(ours) == len(theirs), what
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert str(a.dtype) == str(b.dtype), f"{what} {i}"
        a, b = (
            t.detach().float().numpy() if "bfloat16" in str(t.dtype) else t.detach().numpy() for t in (a, b)
        )
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol, err_msg=f"{what} {i}", strict=True)


def weighted(module, outputs, rng):
    """A number that depends on all elements of the outputs."""
    outputs = [t for t in flat(outputs) if t is not None and t.is_floating_point()]
    return sum((t * module.from_numpy(rng.normal(size=tuple(t.shape))).to(t.dtype)).sum() for t in outputs)


def trial(module, kind, settings, dtype="float32", packed=None, with_state=True, single=False):
    """Everything that one call gives: outputs, gradients, and the next random numbers."""
    layer = made(
        module, f"{kind}(4, 5, dtype=t.{dtype}{''.join(f', {k}={v!r}' for k, v in settings.items())})"
    )
    rng = np.random.default_rng(0)
    tensor = lambda *shape: (
        module.from_numpy(rng.normal(size=shape)).to(getattr(module, dtype)).requires_grad_()
    )
    batch = () if single else (3,)
    count = settings.get("num_layers", 1) * (2 if settings.get("bidirectional") else 1)
    x = tensor(*batch, 6, 4) if settings.get("batch_first") else tensor(6, *batch, 4)
    h, c = tensor(count, *batch, settings.get("proj_size") or 5), tensor(count, *batch, 5)
    states = (h, c) if kind == "LSTM" else (h,)
    given = x
    if packed:
        lengths = [6, 4, 1] if packed == "sorted" else [4, 6, 1]
        given = module.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=packed == "sorted")
    module.manual_seed(3)
    output = layer(given, (states if kind == "LSTM" else h) if with_state else None)
    weighted(module, output, rng).backward()
    gradients = [t.grad for t in (x, *(states if with_state else ()), *layer.parameters())]
    return [*flat(output), *gradients, module.rand(2)]


SETTINGS = [
    {"num_layers": layers, "bidirectional": both, "batch_first": first}
    for layers, both, first in itertools.product((1, 2), (False, True), (False, True))
]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("kind", KINDS)
def test_computes_the_same(kind):
    projected = [{"proj_size": 3, **s} for s in SETTINGS] if kind == "LSTM" else []
    relu = [{"nonlinearity": "relu", **s} for s in SETTINGS] if kind == "RNN" else []
    for settings in [*SETTINGS, *projected, *relu, {"bias": False}, {"bias": False, "num_layers": 2}]:
        for with_state in (True, False):
            results = [trial(module, kind, settings, with_state=with_state) for module in FRAMEWORKS]
            same(*results, f"{settings} {with_state}")


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("packed", ["sorted", "unsorted"])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences(kind, packed):
    projected = [{"proj_size": 3, "num_layers": 2, "bidirectional": True}] if kind == "LSTM" else []
    for settings in [*[s for s in SETTINGS if not s["batch_first"]], *projected]:
        for with_state in (True, False):
            results = [trial(module, kind, settings, "float32", packed, with_state) for module in FRAMEWORKS]
            same(*results, f"{settings} {with_state}")


@pytest.mark.parametrize("kind", KINDS)
def test_other_types_single_samples_and_dropout(kind):
    deep = {"num_layers": 3, "bidirectional": True, "dropout": 0.4}
    same(*[trial(module, kind, deep, "float64") for module in FRAMEWORKS], "float64", 1e-12)
    for settings in (deep, {**deep, "dropout": 1.0}, {**deep, "batch_first": True}):
        for packed in (None,) if settings.get("batch_first") else (None, "sorted"):
            same(*[trial(module, kind, settings, packed=packed) for module in FRAMEWORKS], "dropout")
    for settings in ({}, {"batch_first": True, "num_layers": 2}):
        for with_state in (True, False):
            results = [trial(m, kind, settings, with_state=with_state, single=True) for m in FRAMEWORKS]
            same(*results, "single")
    low = [trial(module, kind, {}, "bfloat16") for module in FRAMEWORKS]
    same(*low, "bfloat16", 0.1)


CELLS = [
    "RNNCell(4, 5)", "RNNCell(4, 5, nonlinearity='relu')", "LSTMCell(4, 5)", "GRUCell(4, 5)",
    "RNNCell(4, 5, False)", "LSTMCell(4, 5, bias=False)", "GRUCell(4, 5, bias=False)",
]  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
def test_cells_compute_the_same(cell):
    for batch, with_state, dtype in itertools.product(((3,), ()), (True, False), ("float32", "float64")):
        results = []
        for module in FRAMEWORKS:
            layer = made(module, cell).to(getattr(module, dtype))
            rng = np.random.default_rng(0)
            x, h, c = (
                module.from_numpy(rng.normal(size=(*batch, n)).astype(dtype)).requires_grad_()
                for n in (4, 5, 5)
            )
            states = (h, c) if cell.startswith("LSTM") else (h,)
            first = (states if len(states) > 1 else h) if with_state else None
            output = layer(x, layer(x, first))
            weighted(module, output, rng).backward()
            leaves = [x, *(states if with_state else ()), *layer.parameters()]
            results.append([*flat(output), *[leaf.grad for leaf in leaves]])
        same(*results, f"{batch} {with_state} {dtype}")


LAYERS = [
    "RNN(3, 4)", "RNN(3, 4, 2, 'relu', False, True)", "LSTM(3, 4)", "GRU(3, 4)", "GRU(3, 4, 2, bidirectional=True)",
    "LSTM(3, 4, 2, False, True, 0.5, True, 2)", "LSTM(3, 4, dropout=0.1)", "RNNBase('GRU', 3, 4)", *CELLS,
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS)
def test_prints_and_keeps_the_same(layer):
    ours, theirs = (made(module, layer) for module in FRAMEWORKS)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    same(list(ours.state_dict().values()), list(theirs.state_dict().values()), layer, 1e-6)
    for name, value in vars(theirs).items():
        if not name.startswith("_") and isinstance(value, int | float | str | tuple):
            assert getattr(ours, name) == value, name
    if "Cell" not in layer:
        assert [[tuple(w.shape) for w in ws] for ws in ours.all_weights] == [
            [tuple(w.shape) for w in ws] for ws in theirs.all_weights
        ]
        assert ours._flat_weights_names == theirs._flat_weights_names
        assert ours.flatten_parameters() is None


def test_graph_names():
    for layer, x in (
        ("LSTM(3, 4)", (2, 1, 3)), ("GRU(3, 4)", (2, 1, 3)), ("RNN(3, 4, bidirectional=True)", (2, 1, 3)),
        ("LSTM(3, 4).double()", (2, 1, 3)), ("RNNCell(3, 4)", (2, 3)), ("RNNCell(3, 4, nonlinearity='relu')", (2, 3)),
        ("GRUCell(3, 4)", (2, 3)), ("LSTMCell(3, 4)", (2, 3)),
    ):  # fmt: skip
        names = []
        for module in FRAMEWORKS:
            net = made(module, layer)
            output = net(module.zeros(x, dtype=next(net.parameters()).dtype))
            names.append(flat(output)[0].grad_fn.name())
        assert names[0] == names[1], layer


def train(module, layer: str) -> list:
    """The losses of 20 steps."""
    net = made(module, layer)
    head = module.nn.Linear(8, 2)
    optimizer = module.optim.SGD([*net.parameters(), *head.parameters()], lr=0.1, momentum=0.9)
    rng = np.random.default_rng(0)
    x = module.from_numpy(rng.normal(size=(7, 10, 3)).astype("float32"))
    y = module.from_numpy(rng.integers(0, 2, 10))
    losses = []
    for _ in range(20):
        state = None
        if "Cell" in layer:
            for step in x:
                state = net(step, state)
            last = flat(state)[0]
        else:
            last = net(x)[0][-1]
        loss = module.nn.functional.cross_entropy(head(last), y)
        optimizer.zero_grad()
        loss.backward()
        module.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    "layer",
    [
        "RNN(3, 8)", "RNN(3, 8, nonlinearity='relu')", "LSTM(3, 8)", "GRU(3, 8)", "LSTM(3, 12, 2, dropout=0.3, proj_size=8)",
        "GRU(3, 4, 2, bidirectional=True)", "RNNCell(3, 8)", "RNNCell(3, 8, nonlinearity='relu')", "LSTMCell(3, 8)",
        "GRUCell(3, 8)",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_trains_as_pytorch(layer):
    np.testing.assert_allclose(train(rushlight, layer), train(torch, layer), rtol=1e-4)


def test_second_derivatives():
    for kind in KINDS:
        results = []
        for module in FRAMEWORKS:
            net = made(module, f"{kind}(2, 3, 2, bidirectional=True)").double()
            rng = np.random.default_rng(0)
            x = module.from_numpy(rng.normal(size=(3, 2, 2))).requires_grad_()
            scaled = x * net.weight_ih_l0.sum()  # an input that depends on a weight
            packed = module.nn.utils.rnn.pack_padded_sequence(scaled, [3, 1])
            total = weighted(module, net(packed), rng)
            leaves = [x, *net.parameters()]
            first = module.autograd.grad(total, leaves, create_graph=True)
            penalty = sum((g * g).sum() for g in first)
            results.append([*first, *module.autograd.grad(penalty, leaves)])
        same(*results, kind, 1e-9)


@pytest.mark.parametrize("layer", ["LSTM(3, 4, 2)", "GRU(3, 4, batch_first=True)", "LSTMCell(3, 4)"])
def test_copies_and_files(layer):
    net = made(rushlight, layer)
    x = rushlight.ones(5, 3) if "Cell" in layer else rushlight.ones(5, 2, 3)
    file = io.BytesIO()
    rushlight.save(net, file)
    file.seek(0)
    for other in (
        copy.deepcopy(net),
        pickle.loads(pickle.dumps(net)),
        rushlight.load(file, weights_only=False),
    ):
        assert repr(other) == repr(net)
        same(flat(other(x)), flat(net(x)), "copy", 0)
        before = flat(net(x))[0].detach().clone()
        with rushlight.no_grad():
            for weight in other.parameters():
                weight.zero_()
        same(flat(net(x))[0], before, "a copy of its own", 0)
    theirs = made(torch, layer, seed=1)
    net.load_state_dict({k: rushlight.from_numpy(v.numpy()) for k, v in theirs.state_dict().items()})
    same(flat(net(x)), flat(theirs(torch.ones(tuple(x.shape)))), "PyTorch's weights")


def test_files_of_whole_layers_cross(tmp_path):
    for kind in ("LSTM(3, 4, 2, bidirectional=True)", "GRUCell(3, 4)"):
        for source, target in (FRAMEWORKS, FRAMEWORKS[::-1]):
            net = made(source, kind)
            source.save(net, tmp_path / "net.pt")
            other = target.load(tmp_path / "net.pt", weights_only=False)
            assert type(other) is getattr(target.nn, kind.split("(")[0])
            x = (5, 3) if "Cell" in kind else (5, 2, 3)
            ours, theirs = (net, other) if source is rushlight else (other, net)
            same(flat(ours(rushlight.ones(*x))), flat(theirs(torch.ones(*x))), kind)


def test_replaced_weights_are_used():
    net = rushlight.nn.GRU(3, 4)
    x = rushlight.ones(2, 1, 3)
    zeros = {name: rushlight.zeros_like(p) for name, p in net.named_parameters()}
    assert not rushlight.func.functional_call(net, zeros, (x,))[0].any()
    assert net(x)[0].any()
    net.weight_ih_l0 = rushlight.nn.Parameter(rushlight.zeros(12, 3))
    assert not net._flat_weights[0].any()
    del net.weight_hh_l0  # as weight-drop wrappers do
    net.weight_hh_l0 = net.weight_ih_l0 @ rushlight.ones(3, 4)
    net(x)[0].sum().backward()
    assert net.weight_ih_l0.grad is not None
    net = rushlight.nn.LSTM(3, 4).double()
    assert net(x.double())[0].dtype == rushlight.float64


def test_gradients_only_where_wanted():
    net = rushlight.nn.LSTM(3, 4, 2)
    for p in net.parameters():
        p.requires_grad_(False)
    x = rushlight.ones(2, 1, 3)
    assert not net(x)[0].requires_grad
    net.bias_hh_l1.requires_grad_()
    net(x)[0].sum().backward()
    assert net.bias_hh_l1.grad is not None
    assert net.weight_ih_l0.grad is None
    net.bias_ih_l1.requires_grad_()
    net.zero_grad()
    net(x)[0].sum().backward()
    assert rushlight.equal(net.bias_hh_l1.grad, net.bias_ih_l1.grad)
    net.bias_ih_l1.grad.zero_()
    assert net.bias_hh_l1.grad.any()


def test_graphs_that_are_kept_freed_and_changed():
    net = rushlight.nn.GRU(3, 4)
    total = net(rushlight.ones(2, 1, 3))[0].sum()
    total.backward(retain_graph=True)
    once = net.weight_hh_l0.grad.clone()
    total.backward()
    assert rushlight.allclose(net.weight_hh_l0.grad, 2 * once)
    with pytest.raises(RuntimeError, match="a second time"):
        total.backward()
    output = net(rushlight.ones(2, 1, 3))[0]
    output.mul_(2).sum().backward()  # outputs are not needed
    total = net(rushlight.ones(2, 1, 3))[0].sum()
    with rushlight.no_grad():
        net.weight_hh_l0.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_empty_batches():
    for kind in KINDS:
        results = []
        for module in FRAMEWORKS:
            net = made(module, f"{kind}(3, 4, 2)")
            x = module.zeros(5, 0, 3, requires_grad=True)
            output = net(x)
            output[0].sum().backward()
            results.append([*flat(output), x.grad, *[p.grad for p in net.parameters()]])
        same(*results, kind)


WRONG = [
    "LSTM(3, 4)(t.zeros(2, 1, 3).double())", "LSTM(3, 4)(t.zeros(2, 1, 5))", "LSTM(3, 4)(t.zeros(2, 1, 1, 3))",
    "LSTM(3, 4)(t.zeros(2, 1, 3), (t.zeros(1, 2, 4), t.zeros(1, 1, 4)))", "GRU(3, 4)(t.zeros(2, 3), t.zeros(1, 1, 4))",
    "LSTM(3, 4)(t.zeros(2, 1, 3), (t.zeros(1, 1, 4), t.zeros(1, 2, 4)))", "GRU(3, 4)(t.zeros(2, 1, 3), t.zeros(1, 4))",
    "LSTM(3, 4)(t.zeros(2, 1, 3), (t.zeros(1, 4), t.zeros(1, 4)))", "GRU(3, 4)(t.zeros(2, 1, 3), t.zeros(2, 1, 4))",
    "LSTM(3, 4)(t.zeros(2, 3), (t.zeros(1, 1, 4), t.zeros(1, 1, 4)))", "GRU(3, 4)(t.zeros(3))", "RNN(3, 4)(t.zeros(3))",
    "LSTM(3, 4)(t.zeros(0, 1, 3))", "LSTM(3, 4)(t.zeros(2, 1, 3, dtype=t.long))", "LSTM(3, 4)(5)",
    "LSTMCell(3, 4)(t.zeros(2, 2, 3))", "LSTMCell(3, 4)(t.zeros(2, 3), (t.zeros(2, 2, 4), t.zeros(2, 4)))",
    "LSTMCell(3, 4)(t.zeros(2, 5))", "LSTMCell(3, 4)(t.zeros(2, 3), (t.zeros(2, 5), t.zeros(2, 5)))",
    "GRUCell(3, 4)(t.zeros(2, 3), t.zeros(3, 4))", "GRUCell(3, 4)(t.zeros(2, 3), t.zeros(1, 1, 4))",
    "RNNCell(3, 4, nonlinearity='x')(t.zeros(2, 3))", "RNNCell(3, 4)(t.zeros(2, 2, 3))",
    "RNN(3, 4, nonlinearity='x')", "RNN(3, 4, proj_size=2)", "GRU(3, 4, proj_size=2)", "LSTM(3, 4, proj_size=4)",
    "LSTM(3, 4, proj_size=-1)", "LSTM(3, 0)", "LSTM(0, 3)", "LSTM(3.5, 3)", "LSTM(3, 'x')", "LSTM(3, 4, 0)",
    "LSTM(3, 4, bias=1)", "LSTM(3, 4, batch_first=1)", "LSTM(3, 4, dropout=2)", "LSTM(3, 4, dropout=True)", "LSTM(3)",
    "LSTM(3, 4, foo=1)", "RNNBase('X', 3, 4)", "RNNBase('GRU', 3, 4)(t.zeros(2, 1, 3))",
]  # fmt: skip
WRONG_TYPES = [
    "LSTM(3, 4)(t.zeros(2, 1, 3), t.zeros(1, 1, 4))",
    "LSTM(3, 4)(R.pack_sequence([t.zeros(2, 3)]), t.zeros(1, 1, 4))",
]


@pytest.mark.parametrize("wrong", [*WRONG, *WRONG_TYPES])
def test_refuses_the_same(wrong):
    errors = []
    for module in FRAMEWORKS:
        with pytest.raises(Exception) as caught:
            made(module, wrong)
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1]), f"{errors[0]!r}, PyTorch's {errors[1]!r}"
    if wrong in WRONG:  # ours says more
        plain = re.sub(r" \(in layer .*", "", str(errors[0]))
        assert plain.startswith(str(errors[1])[:60]), f"{errors[0]!r}, PyTorch's {errors[1]!r}"


def test_errors_name_the_layer():
    class Net(rushlight.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = rushlight.nn.Sequential(rushlight.nn.LSTM(3, 4))

        def forward(self, x):
            return self.encoder(x)

    with pytest.raises(RuntimeError, match=re.escape("Expected 3, got 5")) as caught:
        Net()(rushlight.ones(2, 1, 5))
    assert "in layer 'encoder.0': LSTM(3, 4)" in str(caught.value)
    assert "input_size=5" in str(caught.value)
    with pytest.raises(RuntimeError, match="transpose it first"):
        rushlight.nn.GRU(3, 4)(rushlight.ones(2, 3, 7))


def test_warns_of_dropout_without_effect():
    with pytest.warns(UserWarning, match="num_layers greater than 1") as caught:
        rushlight.nn.LSTM(3, 4, dropout=0.5)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("kind", KINDS)
def test_autocast(kind):
    results = []
    for module in FRAMEWORKS:
        net = made(module, f"{kind}(3, 4)")
        x = module.ones(2, 1, 3)
        with module.autocast("cpu", dtype=module.bfloat16):
            outputs = [flat(net(x)), flat(net(x.bfloat16()))]
        outputs[0][0].float().sum().backward()
        results.append([*outputs, net.weight_ih_l0.grad])
    same(*results, kind, 0.03)
