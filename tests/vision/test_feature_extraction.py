"""Results from inside of models, by the names of operations that torchvision gives them."""

import copy
import importlib
import io
import os
import pickle
import warnings

import pytest

import rushlight as torch
from rushlight.vision import models
from rushlight.vision.models.feature_extraction import create_feature_extractor, get_graph_node_names
from tests.vision.datasets_oracle import torchvision


def theirs():
    torchvision()
    return importlib.import_module("torchvision.models.feature_extraction")


def names_and_warnings(function, model, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = function(model, **options)
    return found, [str(w.message) for w in caught]


NETWORKS = ["resnet18", "densenet121", "shufflenet_v2_x0_5"]
if os.environ.get("RUSHLIGHT_SLOW"):
    NETWORKS += [
        "alexnet", "vgg11_bn", "squeezenet1_1", "googlenet", "inception_v3", "mobilenet_v2", "mobilenet_v3_small",
        "mnasnet0_5", "efficientnet_b0", "efficientnet_v2_s", "regnet_y_400mf", "convnext_tiny", "vit_b_32", "swin_t",
        "swin_v2_t", "r3d_18",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_names_are_torchvisions(name):
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    theirs_ = torchvision().models.get_model(name, **options)
    expected = names_and_warnings(theirs().get_graph_node_names, theirs_)
    assert names_and_warnings(get_graph_node_names, models.get_model(name, **options)) == expected


@pytest.mark.parametrize("name", [*NETWORKS, "vit_b_32"] if len(NETWORKS) == 3 else NETWORKS)
def test_graphs_are_torchvisions(name):
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    oracle = pytest.importorskip("torch")

    def graphs(t, collection):
        model = collection.get_model(name, **options)
        made = [t.fx.symbolic_trace(model.train(mode)) for mode in (True, False)]
        return [(str(m.graph), m.code) for m in made]

    assert graphs(torch, models) == graphs(oracle, torchvision().models)


def custom(torch):
    """Modules with what a traced forward can do, on either framework."""
    nn, F = torch.nn, torch.nn.functional

    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.full((3, 1, 1), 2.0))
            self.register_buffer("shift", torch.ones(1))

        def forward(self, x, flip=False):
            x = x * self.scale + self.shift
            return torch.flip(x, [0]) if flip else -x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(Inner(), Inner())
            self.conv_1 = nn.Conv2d(3, 4, 3)
            self.conv_2 = nn.Conv2d(4, 4, 1)
            self.weights = nn.ParameterList([nn.Parameter(torch.ones(4, 4))])
            self.unused = nn.Linear(2, 2)
            self.position = nn.Parameter(torch.zeros(1, 4))

        def forward(self, input, other=None, *, factor=2.0):
            n, _, h, _ = input.shape
            x = self.inner(input)
            y = F.relu(self.conv_1(x), inplace=True)
            y = self.conv_2(y) + self.conv_2(y)
            y += 1
            if self.training:
                y = F.dropout(y, 0.5, self.training)
            z = F.adaptive_avg_pool2d(y, (1, 1)).flatten(1)
            z = torch.cat([z, self.position.expand(n, -1)], dim=0)
            z = z.view(n * 2, -1)[:, 1:] * factor
            a, b = z.chunk(2, 0)
            a = torch.nn.functional.linear(z, self.weights[0][:, 1:]).relu().sum() / h
            return {"sum": a + 1.0, "mean": [b.mean(dim=0), 1 - x.shape[2]], "abs": abs(z) @ z.T}

    return Net()


def test_names_of_everything_that_a_forward_can_do():
    oracle = pytest.importorskip("torch")
    expected = names_and_warnings(theirs().get_graph_node_names, custom(oracle))
    assert names_and_warnings(get_graph_node_names, custom(torch)) == expected
    assert "NOTE: The nodes obtained by tracing the model in eval mode are a subsequence" in expected[1][0]


NODES = [
    "inner.0.mul",
    "inner.1",
    "conv_1",
    "relu",
    "add",
    "add_1",
    "cat",
    "getitem_6",
    "matmul",
    "sub",
    "position",
]


def test_results_are_pytorchs():
    oracle = pytest.importorskip("torch")
    theirs_, ours = custom(oracle).eval(), custom(torch).eval()
    available = theirs().get_graph_node_names(theirs_, suppress_diff_warning=True)[1]
    wanted = [n for n in NODES if any(a == n or a.startswith(n + ".") for a in available)]
    assert len(wanted) >= 8
    wanted = {name: name.upper() for name in wanted}
    theirs_ = theirs().create_feature_extractor(theirs_, wanted, suppress_diff_warning=True)
    ours = create_feature_extractor(ours, wanted, suppress_diff_warning=True)
    assert list(ours.state_dict()) == list(theirs_.state_dict())
    theirs_.load_state_dict({k: oracle.from_numpy(v.numpy()) for k, v in ours.state_dict().items()})
    x = torch.randn(2, 3, 6, 6)
    expected = theirs_(oracle.from_numpy(x.numpy()))
    found = ours(x)
    assert list(found) == list(expected)
    for key, value in expected.items():
        value = torch.from_numpy(value.detach().numpy()) if hasattr(value, "detach") else value
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5, check_device=False)


def test_a_resnet_does_no_more_than_needed():
    torch.manual_seed(0)
    model = models.resnet18(num_classes=5).eval()
    extractor = create_feature_extractor(model, {"layer1": "a", "layer2.0.relu_1": "b"})
    assert not any(key.startswith(("layer2.1", "layer3", "fc")) for key in extractor.state_dict())
    assert extractor.layer1._modules["0"].conv1.weight is model.layer1[0].conv1.weight
    x = torch.randn(1, 3, 32, 32)
    out = extractor(x)
    assert [(k, tuple(v.shape)) for k, v in out.items()] == [("a", (1, 64, 8, 8)), ("b", (1, 128, 4, 4))]
    first = model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(x)))))
    torch.testing.assert_close(out["a"], first)
    torch.testing.assert_close(out["b"], model.layer2[0](first))
    out["b"].sum().backward()
    assert model.conv1.weight.grad is not None and model.fc.weight.grad is None


def test_modes():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(2, 2)
            self.aux = torch.nn.Linear(2, 3)

        def forward(self, x):
            return (self.aux(x), x) if self.training else self.fc(x)

    model = Net().eval()
    with pytest.warns(UserWarning, match="in train mode are different to those obtained in eval mode"):
        train, evaluation = get_graph_node_names(model)
    assert (train, evaluation) == (["x", "aux"], ["x", "fc"]) and not model.training
    extractor = create_feature_extractor(
        model, train_return_nodes=["aux"], eval_return_nodes={"fc": "out"}, suppress_diff_warning=True
    )
    x = torch.ones(1, 2)
    assert list(extractor(x)) == ["out"] and list(extractor.train()(x)) == ["aux"]
    assert list(copy.deepcopy(extractor)(x)) == ["aux"] and list(extractor.state_dict()) == [
        "aux.weight", "aux.bias", "fc.weight", "fc.bias",
    ]  # fmt: skip


def test_an_extractor_can_be_saved():
    extractor = create_feature_extractor(models.lenet5().eval(), ["features.3"])
    x = torch.randn(1, 1, 32, 32)
    again = pickle.loads(pickle.dumps(extractor))
    assert torch.equal(again(x)["features.3"], extractor(x)["features.3"])
    file = io.BytesIO()
    torch.save(extractor.state_dict(), file)
    assert repr(extractor).startswith("LeNet5(")


def test_mixed_modes_are_restored():
    model = models.resnet18(num_classes=2)
    model.bn1.eval()
    get_graph_node_names(model)
    assert model.training and not model.bn1.training and model.layer1.training
    assert isinstance(model.conv1.__dict__["weight"], torch.nn.Parameter)


WRONG = [
    ({}, "Either `return_nodes` or"),
    ({"train_return_nodes": ["0"]}, "both should be specified"),
    ({"return_nodes": ["0"], "train_return_nodes": ["0"], "eval_return_nodes": ["0"]}, "should"),
    (
        {"return_nodes": ["layer9"]},
        "node: 'layer9' is not present in model. Hint: use `get_graph_node_names`",
    ),
]


@pytest.mark.parametrize("arguments, message", WRONG)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        create_feature_extractor(torch.nn.Sequential(torch.nn.Linear(1, 1)), **arguments)
    oracle = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=message):
        theirs().create_feature_extractor(oracle.nn.Sequential(oracle.nn.Linear(1, 1)), **arguments)


class Branch(torch.nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x - 1


class Loop(torch.nn.Module):
    def forward(self, x):
        return sum(row for row in x)


class Length(torch.nn.Module):
    def forward(self, x):
        return x * len(x)


@pytest.mark.parametrize(
    "kind, message", [(Branch, "control flow. Make the module"), (Loop, "iterated"), (Length, "len")]
)
def test_what_cannot_be_traced(kind, message):
    model = torch.nn.Sequential(torch.nn.ReLU(), kind())
    plain = torch.nn.Module.__call__
    with pytest.raises((ValueError, RuntimeError), match=message):
        get_graph_node_names(model)
    assert torch.relu(torch.ones(1)).item() == 1 and torch.nn.Module.__call__ is plain
    names, _ = get_graph_node_names(model, tracer_kwargs={"leaf_modules": [kind]})
    assert names == ["input", "0", "1"]


def halve(x):
    return x / 2 if x.shape[0] else x


def test_functions_can_be_leaves():
    class Net(torch.nn.Module):
        def forward(self, x, twice=True):
            return halve(halve(x)) if twice else halve(x)

    options = {"tracer_kwargs": {"autowrap_functions": [halve]}, "concrete_args": {"twice": False}}
    names, _ = get_graph_node_names(Net(), **options)
    assert names == ["x", "halve"]
    assert create_feature_extractor(Net(), ["halve"], **options)(torch.ones(1))["halve"].item() == 0.5
    with pytest.raises(ValueError, match="control flow"):  # only for as long as it is asked for
        get_graph_node_names(Net())


def test_values_are_freed_when_nothing_needs_them():
    """Only the results are left, so that an extractor takes no more memory than the model."""
    extractor = create_feature_extractor(torch.nn.Sequential(*(torch.nn.ReLU() for _ in range(4))), ["1"])
    assert [node.target for node in extractor.graph.nodes] == ["input", "0", "1", "output"]
    assert list(extractor(torch.ones(2))) == ["1"]


def test_a_unet_can_be_traced():
    model = models.unet(width=2, depth=2).eval()
    names, _ = get_graph_node_names(model)
    assert names[-1] == "out" and "fit_1" in names
    x = torch.randn(1, 3, 9, 9)
    torch.testing.assert_close(create_feature_extractor(model, ["out"])(x)["out"], model(x))
