"""The report on a model's layers."""

import os

import pytest

import rushlight as torch
from rushlight import nn
from rushlight.utils.summary import summary
from rushlight.vision import models


def count(model, *size, **options):
    return summary(model, size, verbose=0, **options)


def test_a_table():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4, 10)
    )
    text = str(count(net, 2, 1, 6, 6))
    assert text.splitlines()[1:10] == [
        "Layer (class)    Input         Output        Params  Mult-adds  Forward  Backward",
        "=================================================================================",
        "Sequential       [2, 1, 6, 6]  [2, 10]           --         --       --        --",
        "  0 (Conv2d)     [2, 1, 6, 6]  [2, 4, 4, 4]      40      1,152    512 B     672 B",
        "  1 (ReLU)       [2, 4, 4, 4]  [2, 4, 4, 4]      --         --       --        --",
        "  2 (AvgPool2d)  [2, 4, 4, 4]  [2, 4, 1, 1]      --         --     32 B      32 B",
        "  3 (Flatten)    [2, 4, 1, 1]  [2, 4]            --         --       --        --",
        "  4 (Linear)     [2, 4]        [2, 10]           50         80     80 B     280 B",
        "=================================================================================",
    ]
    assert "Parameters: 90, of which 90 learn" in text and "Mult-adds: 1.23 K" in text


# The multiply-adds of one layer: a model, shapes of its inputs, the number.
OPERATIONS = [
    (nn.Conv1d(4, 6, 3, padding=1, groups=2), [(2, 4, 10)], 2 * 6 * 10 * 2 * 3),
    (nn.Conv3d(1, 2, 2), [(1, 1, 3, 3, 3)], 2 * 8 * 8),
    (nn.ConvTranspose2d(4, 6, 2, 2), [(1, 4, 5, 5)], 4 * 25 * 6 * 4),
    (nn.Linear(5, 3), [(2, 7, 5)], 14 * 15),
    (nn.Bilinear(2, 3, 4), [(5, 2), (5, 3)], 5 * 4 * 2 * 3),
    (nn.LSTM(3, 5, 2), [(7, 2, 3)], 14 * (20 * (3 + 5) + 20 * (5 + 5))),
    (nn.GRUCell(3, 5), [(2, 3)], 2 * 15 * (3 + 5)),
    (nn.MultiheadAttention(8, 2, batch_first=True), [(2, 3, 8)] * 3, 2 * 3 * 8 * 8 * 4 + 2 * 2 * 3 * 3 * 8),
    (nn.BatchNorm2d(3), [(2, 3, 4, 4)], 0),
]


@pytest.mark.parametrize(
    "layer, sizes, expected", OPERATIONS, ids=[type(row[0]).__name__ for row in OPERATIONS]
)
def test_multiply_adds(layer, sizes, expected):
    assert summary(layer, sizes, verbose=0).total_mult_adds == expected


# The networks' multiply-adds as torchvision states them, in 10^9.
STATED = ["squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x0_5"]
if os.environ.get("RUSHLIGHT_SLOW"):
    STATED += [
        "resnet18",
        "resnext50_32x4d",
        "densenet121",
        "efficientnet_b0",
        "convnext_tiny",
        "vit_b_16",
        "swin_t",
    ]


@pytest.mark.parametrize("name", STATED)
def test_multiply_adds_of_networks(name):
    stated = models.get_model_weights(name).IMAGENET1K_V1.meta["_ops"]
    found = count(models.get_model(name), 1, 3, 224, 224).total_mult_adds
    assert abs(found / 1e9 - stated) < 0.002 * stated + 0.001


class Products(nn.Module):
    """Products outside of layers, with PyTorch's several ways to write them."""

    def forward(self, x, y):
        a = x @ y
        b = torch.bmm(x, y)
        c = torch.baddbmm(a, x, batch2=y)
        d = torch.matmul(x, other=y)
        e = nn.functional.linear(x, y[0].T)
        f = nn.functional.scaled_dot_product_attention(x, x, x)
        return a + b + c + d + e, f


def test_products_outside_of_layers():
    report = summary(Products(), [(2, 3, 4), (2, 4, 5)], verbose=0)
    assert report.total_mult_adds == 5 * (2 * 3 * 5 * 4) + 2 * 3 * 3 * 8


def test_operations_are_ordinary_again_afterwards():
    code = nn.functional.conv2d.__code__
    count(nn.Conv2d(1, 1, 1), 1, 1, 2, 2)
    with pytest.raises(RuntimeError):
        nn.Conv2d(1, 1, 1)(torch.zeros(1, 2, 2, 2))
    assert nn.functional.conv2d.__code__ is code


def test_under_autocast():
    net = nn.Linear(4, 4)
    with torch.autocast("cpu"):
        assert count(net, 2, 4).total_mult_adds == 32
    assert net(torch.zeros(2, 4)).dtype is torch.float32


def test_a_failing_layer_is_shown():
    net = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), nn.Linear(5, 2)), nn.Linear(2, 1))
    report = count(net, 2, 4)
    assert report.failed_layer.name == "1.1" and isinstance(report.error, RuntimeError)
    assert [layer.name for layer in report.layers] == ["", "0", "1", "1.0", "1.1"]
    lines = str(report).splitlines()
    assert next(line for line in lines if "1 (Linear)" in line).split()[2:6] == ["[2,", "3]", "fails", "12"]
    assert "Failed in layer '1.1' (Linear):" in lines and "mat1 and mat2" in lines[-2]


def test_a_model_that_fails_itself():
    class Net(nn.Module):
        def forward(self, x):
            raise KeyError("missing")

    report = count(Net(), 1)
    assert report.failed_layer.name == "" and "Failed in the model itself (Net):" in str(report)


def test_nothing_is_changed():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), nn.LazyLinear(2))
    net[0].eval()
    net[1].train()
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    report = count(net, 4, 3, mode="train")
    assert torch.equal(torch.rand(2), expected)
    assert [m.training for m in net] == [False, True, True]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert report.total_params == 6 + 8


def test_inputs_of_several_kinds():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(10, 4)

        def forward(self, index, scale, flag=False):
            return {"out": self.embedding(index) * scale, "flag": flag}

    net = Net()
    report = summary(net, [(2, 3), (1, 4)], dtypes=[torch.long, torch.float64], verbose=0, flag=True)
    assert report.layers[0].input_shapes == [[2, 3], [1, 4]] and report.layers[0].output_shapes == [[2, 3, 4]]
    assert report.input_bytes == 6 * 8 + 4 * 8
    assert report.layers[0].forward_bytes == 24 * 8 and report.layers[1].forward_bytes == 24 * 4
    data = {"index": torch.zeros(1, dtype=torch.long), "scale": torch.ones(1)}
    assert summary(net, input_data=data, verbose=0).layers[0].output_shapes == [[1, 4]]
    assert summary(nn.Linear(2, 2), input_data=torch.ones(5, 2), verbose=0).layers[0].output_shapes == [
        [5, 2]
    ]


def test_wrong_arguments():
    net = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="not both"):
        summary(net, (1, 2), torch.ones(1, 2))
    with pytest.raises(ValueError, match="mode must be"):
        summary(net, (1, 2), mode="test")
    with pytest.raises(ValueError, match="1 dtypes for 2 inputs"):
        summary(net, [(1, 2), (1, 2)], dtypes=[torch.float32])


def test_without_input_it_counts_parameters(capsys):
    report = summary(nn.Sequential(nn.Linear(4, 3), nn.LazyLinear(2)))
    assert report.total_params == 15 and "0 (Linear)" in capsys.readouterr().out


def test_layers_used_twice_and_frozen_ones():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x):
            return self.fc(self.fc(x)) + x

    net = Twice()
    net.fc.bias.requires_grad_(False)
    report = count(net, 2, 3)
    fc = report.layers[1]
    assert (
        fc.calls == 2
        and fc.multiply_adds == 2 * 18
        and report.total_params == 12
        and report.trainable_params == 9
    )
    assert fc.forward_bytes == 2 * 24 and fc.backward_bytes == 2 * 24 + 9 * 4
    assert report.layers[0].forward_bytes == 24  # the sum
    assert "fc (Linear) x2" in str(report)


def test_depth_adds_up_what_it_hides():
    net = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), nn.Linear(2, 1))
    full, shallow = count(net, 1, 3), count(net, 1, 3, depth=1)
    assert full.total_params == shallow.total_params == 29
    row = next(line for line in str(shallow).splitlines() if "0 (Sequential)" in line)
    assert row.split()[-4:-2] == ["24", "B"] or " 26 " in row
    assert "0 (Linear)" not in str(shallow)
    top = next(line for line in str(count(net, 1, 3, depth=0)).splitlines() if line.startswith("Sequential"))
    assert " 29 " in top and " 22 " in top


def test_hints_for_inputs():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 3))
    report = summary(net, (1, 3, 3), verbose=0)
    assert report.failed_layer.name == "2" and "is it (1, 1, 3, 3)?" in str(report)
    report = summary(nn.Embedding(3, 2), (4,), verbose=0)
    assert "dtypes=[torch.int64]" in str(report)
    assert summary(nn.Linear(3, 2), torch.zeros(5, 3), verbose=0).layers[0].output_shapes == [[5, 2]]
    for wrong in (32, "large", [(1, 3), 4]):
        with pytest.raises(TypeError, match="input_size is a shape such as"):
            summary(net, wrong, verbose=0)
