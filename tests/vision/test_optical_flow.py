"""RAFT against torchvision's: weights, outputs and gradients."""

import os

import numpy as np
import pytest

import rushlight as torch
from rushlight.vision import models
from rushlight.vision.models import optical_flow
from tests.vision.datasets_oracle import torchvision
from tests.vision.models_oracle import close, pair
from tests.vision.test_video_models import test_sizes_and_weights as same_weights

oracle = pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["raft_large", "raft_small"])
def test_sizes_and_weights(name, monkeypatch):
    monkeypatch.setattr(
        "tests.vision.test_video_models.COUNTS", {"raft_large": 5257536, "raft_small": 990162}
    )
    same_weights(name)


SLOW = pytest.mark.skipif(not os.environ.get("RUSHLIGHT_SLOW"), reason="ten seconds; set RUSHLIGHT_SLOW=1")


@pytest.mark.parametrize("name", [pytest.param("raft_large", marks=SLOW), "raft_small"])
def test_against_torchvision(name, monkeypatch):
    """In float64, for which the grid of places has to be of that type, as gradients jump where rectifiers bend."""
    their_raft = torchvision().models.optical_flow.raft

    from rushlight.vision.models.optical_flow import raft as our_raft

    for space in (our_raft, their_raft):
        grid = space.make_coords_grid
        monkeypatch.setattr(space, "make_coords_grid", lambda *args, grid=grid: grid(*args).double())
    ours, theirs = pair(name, space="models.optical_flow")
    pictures = np.random.default_rng(0).standard_normal((2, 1, 3, 128, 136))
    results = []
    for torch_, model in ((torch, ours), (oracle, theirs)):
        model.double().train()
        first, second = (torch_.from_numpy(picture.copy()).requires_grad_() for picture in pictures)
        flows = model(first, second, num_flow_updates=2)
        assert len(flows) == 2
        sum((flow * flow).mean() for flow in flows).backward()
        assert model.corr_block.corr_pyramid[1].shape[-1] == 8
        results.append([*flows, first.grad, second.grad])
    for mine, other in zip(*results, strict=True):
        close(mine.detach().numpy(), other.detach().numpy(), 1e-6)


def test_errors_and_transform():
    model = models.get_model("raft_small")
    picture = torch.zeros(1, 3, 128, 128)
    for second, message in ((torch.zeros(1, 3, 128, 136), "same shape"), (picture, "too small")):
        with pytest.raises(ValueError, match=message):
            model(picture, second) if message == "same shape" else model(picture[..., :64], second[..., :64])
    with pytest.raises(ValueError, match="divisible by 8"):
        model(picture[..., :100], picture[..., :100])
    transform = optical_flow.Raft_Small_Weights.DEFAULT.transforms()
    image = torch.randint(0, 256, (3, 8, 9), dtype=torch.uint8)
    theirs = torchvision().models.optical_flow.Raft_Small_Weights.DEFAULT.transforms()
    for mine, other in zip(
        transform(image, image / 255),
        theirs(*[oracle.from_numpy(a) for a in (image.numpy(), (image / 255).numpy())]),
        strict=True,
    ):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), atol=1e-6)
