"""Figures of filters and activations."""

import pytest

import rushlight as torch
from rushlight import nn
from rushlight.vision.figures import activation_figure, activations, filter_figure

pytest.importorskip("matplotlib")


def test_filters(tmp_path):
    colour = filter_figure(nn.Sequential(nn.Conv2d(3, 16, 5), nn.Conv2d(16, 4, 3)))
    assert colour.axes[0].get_title() == "16 filters of 3 x 5 x 5"
    image = colour.axes[0].images[0].get_array()
    assert image.shape == (2 * 6 + 1, 8 * 6 + 1, 3) and image.min() == 0.0 and image.max() == 1.0
    grey = filter_figure(nn.Conv2d(2, 5, 3), columns=4, limit=6, title="mine")
    assert (
        grey.axes[0].images[0].get_array().shape == (2 * 4 + 1, 4 * 4 + 1, 3)
        and grey.axes[0].get_title() == "mine"
    )
    colour.savefig(tmp_path / "filters.png")
    assert (tmp_path / "filters.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="Linear has no filters"):
        filter_figure(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"got shape \[3\]"):
        filter_figure(torch.zeros(3))


def test_activations_are_copies_and_leave_no_hooks():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(32, 2))
    x = torch.randn(3, 1, 6, 6)
    found = activations(net, x, ["0", "3"])
    torch.testing.assert_close(found["0"], net[0](x).detach())
    assert found["0"].min() < 0 and not found["3"].requires_grad
    assert list(activations(net, x)) == ["0"]
    assert not any(m._forward_hooks for m in net.modules())
    with pytest.raises(ValueError, match="no layer 'conv1'"):
        activations(net, x, ["conv1"])


def test_activation_figure():
    net = nn.Sequential(nn.Conv2d(1, 20, 3), nn.ReLU(), nn.Flatten(), nn.Linear(320, 2))
    figure = activation_figure(net, torch.rand(2, 1, 6, 6), ["0", "1", "3"], columns=4, limit=6)
    assert [axes.get_title() for axes in figure.axes] == ["0: 20 maps of 4 x 4", "1: 20 maps of 4 x 4"]
    assert figure.axes[0].images[0].get_array().shape[:2] == (11, 21)
    with pytest.raises(ValueError, match="none of the layers makes maps"):
        activation_figure(net, torch.rand(1, 6, 6), ["3"])
