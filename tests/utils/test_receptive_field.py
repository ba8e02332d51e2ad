"""Sizes of maps and receptive fields, against what networks do."""

import pytest

import rushlight as torch
from rushlight import nn
from rushlight.utils.receptive_field import output_size, receptive_field
from rushlight.vision import models

LAYERS = [
    (nn.Conv2d(1, 1, 3), 10),
    (nn.Conv2d(1, 1, 5, 2, 2), 11),
    (nn.Conv2d(1, 1, 3, dilation=3, padding=1), 12),
    (nn.Conv2d(1, 1, (3, 5), (1, 2), (0, 1), (2, 1)), (11, 9)),
    (nn.Conv2d(1, 1, 4, padding="same"), 9),
    (nn.Conv2d(1, 1, 4, padding="valid"), 9),
    (nn.MaxPool2d(3, 2, 1), 8),
    (nn.MaxPool2d(2), 7),
    (nn.MaxPool2d(3, 2, ceil_mode=True), 8),
    (nn.AvgPool2d(3, 3, 1, ceil_mode=True), 7),
    (nn.LPPool2d(2, 3, 2), 9),
]


@pytest.mark.parametrize("layer, size", LAYERS, ids=[repr(layer) for layer, _ in LAYERS])
def test_sizes_are_those_of_the_layers(layer, size):
    height, width = size if isinstance(size, tuple) else (size, size)
    stage = receptive_field([layer], size)[-1]
    found = stage.size if isinstance(stage.size, tuple) else (stage.size,) * 2
    assert tuple(layer(torch.zeros(1, 1, height, width)).shape[2:]) == found


STACKS = [
    nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Sequential(nn.Conv2d(2, 2, 5, 2), nn.LeakyReLU())
    ),
    nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2), nn.AvgPool2d(3, 2), nn.Conv2d(1, 1, (1, 3), (2, 1))),
]


@pytest.mark.parametrize("stack", STACKS)
def test_fields_are_where_the_gradient_goes(stack):
    """Ones as weights, so that no gradient vanishes; average in the place of the largest, so that all count."""
    stack = nn.Sequential(
        *(nn.AvgPool2d(m.kernel_size, m.stride) if isinstance(m, nn.MaxPool2d) else m for m in stack)
    )
    for parameter in stack.parameters():
        nn.init.ones_(parameter)
    x = torch.full((1, 1, 41, 41), 1e-3, requires_grad=True)
    stage = receptive_field(stack, (41, 41))[-1]
    stack(x)[0, 0, 1, 2].backward() if stack(x).shape[1] == 1 else stack(x)[0].sum(0)[1, 2].backward()
    rows, columns = (torch.nonzero(x.grad[0, 0].sum(d)).flatten() for d in (1, 0))
    pairs = [v if isinstance(v, tuple) else (v, v) for v in (stage.receptive_field, stage.jump, stage.start)]
    for indices, place, field, jump, start in zip((rows, columns), (1, 2), *pairs, strict=True):
        assert indices[-1] - indices[0] + 1 == field
        assert (indices[0].item() + indices[-1].item() + 1) / 2 == start + place * jump


def test_known_networks():
    assert receptive_field(models.AlexNet().features, 224)[-1].receptive_field == 195
    vgg16 = [
        n
        for block in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
        for n in [(3, 1, 1)] * block[0] + [(2, 2)]
    ]
    assert (receptive_field(vgg16, 224)[-1].receptive_field, receptive_field(vgg16, 224)[-1].size) == (212, 7)
    lenet = receptive_field(models.lenet5(), 32)
    assert [s.size for s in lenet] == [28, 14, 10, 5] and lenet[-1].receptive_field == 16


class Branches(nn.Module):
    """Its children are in another order than they run, one runs twice, and functions pool."""

    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(4, 1, 3, padding=1)
        self.wide = nn.Conv2d(2, 2, 5, 2, 2)
        self.narrow = nn.Sequential(nn.Conv2d(2, 2, 1, 2), nn.ReLU())
        self.first = nn.Conv2d(1, 2, 3, padding=1)
        self.again = nn.AvgPool2d(2)
        self.gate = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        x = self.again(self.first(x))
        x = x * self.gate(nn.functional.adaptive_avg_pool2d(x, 1)).sigmoid()
        x = torch.cat([self.narrow(x), self.wide(x)], 1)
        return nn.functional.avg_pool2d(self.again(self.last(x)), (1, 2))


def test_branches_are_followed():
    model = Branches()
    stages = receptive_field(model, (1, 1, 64, 64))
    names = ["first", "again", "narrow.0", "wide", "last", "again_1", "avg_pool2d"]
    assert [s.name for s in stages] == names and model.training
    assert [s.receptive_field for s in stages] == [3, 4, 4, 12, 20, 24, (24, 32)]
    assert tuple(model(torch.zeros(1, 1, 64, 64)).shape[2:]) == stages[-1].size
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    x = torch.rand(1, 1, 64, 64, requires_grad=True)
    model.gate.weight.data.zero_()  # what sees the whole picture isn't counted
    model(x)[0, 0, 2, 1].backward()
    for size, step, field, start, place in zip(
        (64, 64), (8, 16), (24, 32), stages[-1].start, (2, 1), strict=True
    ):
        found = torch.nonzero(x.grad[0, 0].sum(1 if field == 24 else 0)).flatten()
        assert found[-1] - found[0] + 1 == field < size
        assert (found[0].item() + found[-1].item() + 1) / 2 == start + place * step


def test_networks_with_branches():
    fields = {"resnet18": 435, "mobilenet_v2": 491, "squeezenet1_1": 207}
    for name, field in fields.items():
        assert receptive_field(models.get_model(name), 224)[-1].receptive_field == field


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else x


def test_models_that_cannot_be_followed():
    with pytest.raises(
        TypeError, match=r"operations of Deciding cannot be followed .* Give its layers as a list"
    ):
        receptive_field(Deciding())
    with pytest.raises(TypeError, match=r"there is receptive_field\(model, size\)"):
        output_size(Deciding(), 32)


def test_a_classifier_ends_it():
    stages = receptive_field(
        nn.Sequential(nn.Conv2d(1, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(1, 1, 1)), 8
    )
    assert [s.name for s in stages] == ["0"]


def test_output_size():
    assert output_size(10, 3, 2) == 4  # (10 - 3) / 2 + 1 = 4.5
    with pytest.raises(ValueError, match=r"= 4.5 is no whole number"):
        output_size(10, 3, 2, strict=True)
    with pytest.raises(ValueError, match="window of 7 is larger than the input of 4"):
        output_size(4, 4, dilation=2)
    assert output_size([32, 16], 3, (1, 2), 1) == (32, 8)


def test_transposed_convolutions_have_none():
    with pytest.raises(TypeError, match="layer '1' is ConvTranspose2d"):
        receptive_field(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ConvTranspose2d(1, 1, 2)))
