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
