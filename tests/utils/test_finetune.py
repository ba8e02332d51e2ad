"""Taking over weights, freezing, and groups of parameters."""

import pytest

import rushlight as torch
from rushlight import nn
from rushlight.utils.finetune import freeze, load_matching, parameter_groups, unfreeze


class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(4, classes)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def test_load_what_fits():
    source, target = Net(10), Net(3)
    before = target.fc.weight.clone()
    report = load_matching(target, source)
    assert torch.equal(target.features[0].weight, source.features[0].weight) and torch.equal(
        target.fc.weight, before
    )
    assert report.mismatched == [("fc.weight", [3, 4], [10, 4]), ("fc.bias", [3], [10])]
    assert len(report.loaded) == 7 and report.missing == report.unexpected == []
    assert str(report).startswith(
        "7 of 9 entries loaded\n  fc.weight: the model has [3, 4], the weights [10, 4]"
    )


def test_load_parts_and_wrapped_files():
    source = Net()
    state = {"epoch": 3, "state_dict": {f"module.backbone.{k}": v for k, v in source.state_dict().items()}}
    state["state_dict"]["module.head.weight"] = torch.zeros(1)
    target = Net()
    report = load_matching(target, state, prefix="backbone.")
    assert len(report.loaded) == 9 and report.unexpected == []
    features = Net().features
    assert len(load_matching(features, source, prefix="features.").loaded) == 7
    report = load_matching(
        target, source, rename=lambda n: None if n.startswith("fc") else n.replace("features.1", "norm")
    )
    assert report.unexpected[0] == "norm.weight" and "not in the model: norm.weight" in str(report)
    assert "fc.weight" in report.missing


def test_load_nothing_is_an_error():
    with pytest.raises(ValueError, match=r"0 of 9 entries loaded[^$]*expected at least 1"):
        load_matching(Net(), {"a": torch.zeros(1)})
    with pytest.raises(TypeError, match="expected a state_dict, a model or the path of a file, got int"):
        load_matching(Net(), 3)


def test_freeze_and_unfreeze():
    net = Net()
    assert freeze(net, "features") == [
        "features.0.weight",
        "features.0.bias",
        "features.1.weight",
        "features.1.bias",
    ]
    assert [p.requires_grad for p in net.parameters()] == [False] * 4 + [True] * 2
    assert not net.features[1].training and net.features[0].training
    mean = net.features[1].running_mean.clone()
    net(torch.randn(4, 1, 5, 5)).sum().backward()
    assert net.features[0].weight.grad is None and net.fc.weight.grad is not None
    assert torch.equal(net.features[1].running_mean, mean)
    assert unfreeze(net, "features.0.*", "*.1") == [
        "features.0.weight",
        "features.0.bias",
        "features.1.weight",
        "features.1.bias",
    ]
    assert net.features[1].training
    assert len(freeze(net, norms=False)) == 6 and net.features[1].training
    with pytest.raises(
        ValueError, match=r"no parameter is named 'layer9'.* The model's parts are features, fc"
    ):
        freeze(net, "layer9")


def test_parameter_groups():
    net = Net()
    groups = parameter_groups(net, 0.1, parts={"features": 0.01}, weight_decay=0.5)
    assert [(g["name"], g["lr"], g["weight_decay"], len(g["params"])) for g in groups] == [
        ("features", 0.01, 0.5, 1), ("features, no decay", 0.01, 0.0, 3), ("rest", 0.1, 0.5, 1), ("rest, no decay", 0.1, 0.0, 1),
    ]  # fmt: skip
    assert sum(len(g["params"]) for g in groups) == len(list(net.parameters()))
    optimizer = torch.optim.SGD(groups)
    net(torch.randn(2, 1, 5, 5)).sum().backward()
    optimizer.step()
    assert [list(g) for g in parameter_groups(net)] == [["params", "name"]]


def test_parameter_groups_leave_out_what_is_frozen():
    net = Net()
    freeze(net, "features")
    assert [g["name"] for g in parameter_groups(net, 0.1)] == ["rest"]
    with pytest.raises(ValueError, match="no parameter that learns is in 'features'"):
        parameter_groups(net, parts={"features": 0.1})


def test_weights_from_a_file_and_wrong_arguments(tmp_path):
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    torch.save({"state_dict": source.state_dict()}, tmp_path / "x.pth")
    assert load_matching(target, tmp_path / "x.pth").loaded == ["weight", "bias"]
    assert torch.equal(target.weight, source.weight)
    with pytest.raises(TypeError, match=r"names as arguments of their own expected, freeze\(model"):
        freeze(target, ["weight"])
