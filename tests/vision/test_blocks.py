"""Building blocks of networks, and the transforms of pretrained weights, against torchvision's."""

from functools import partial

import numpy as np
import pytest

import rushlight as torch
from rushlight import vision
from tests.vision.datasets_oracle import torchvision
from tests.vision.models_oracle import compare, pair

pytest.importorskip("torch")


def blocks(space):
    """The blocks of a library, and its `nn`."""
    if space.__name__.startswith("rushlight"):
        return space, torch.nn
    import torch as oracle

    return space, oracle.nn


BLOCKS = {
    "conv2d": (lambda ops, nn: ops.Conv2dNormActivation(3, 4, kernel_size=(3, 5), dilation=2), (2, 3, 9, 12)),
    "conv2d plain": (
        lambda ops, nn: ops.Conv2dNormActivation(3, 4, norm_layer=None, activation_layer=None, stride=2),
        (2, 3, 7, 7),
    ),
    "conv2d, no inplace": (
        lambda ops, nn: ops.Conv2dNormActivation(3, 4, activation_layer=nn.GELU, inplace=None, padding=0),
        (2, 3, 7, 7),
    ),
    "conv3d": (
        lambda ops, nn: ops.Conv3dNormActivation(2, 4, kernel_size=3, dilation=(1, 2, 1)),
        (2, 2, 4, 6, 5),
    ),
    "squeeze": (lambda ops, nn: ops.SqueezeExcitation(6, 2, scale_activation=nn.Hardsigmoid), (2, 6, 4, 5)),
    "mlp": (
        lambda ops, nn: ops.MLP(5, [4, 3, 2], partial(nn.LayerNorm, eps=1e-3), inplace=True, dropout=0.2),
        (4, 5),
    ),
    "mlp of one": (lambda ops, nn: ops.MLP(5, [2], bias=False), (4, 5)),
    "permute": (lambda ops, nn: ops.Permute([1, 2, 0]), (2, 3, 4)),
    "frozen": (lambda ops, nn: ops.FrozenBatchNorm2d(3, eps=1e-3), (2, 3, 4, 4)),
    "depth": (lambda ops, nn: ops.StochasticDepth(0.3, "row"), (4, 3)),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name):
    make, size = BLOCKS[name]
    ours, theirs = pair(lambda space: make(*blocks(space)), space="ops")
    assert repr(ours) == repr(theirs)
    compare(ours, theirs, size, kinds=("float64", "float64"))


def test_frozen_batch_norm_takes_the_state_of_a_batch_norm():
    norm = torch.nn.BatchNorm2d(3)
    torch.nn.init.normal_(norm.weight)
    norm(torch.randn(2, 3, 4, 4))
    frozen = vision.ops.FrozenBatchNorm2d(3)
    frozen.load_state_dict(norm.state_dict())
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(frozen(x), norm.eval()(x).detach())
    assert not list(frozen.parameters())


@pytest.mark.parametrize("mode", ["row", "batch"])
@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_stochastic_depth(mode, p):
    import torch as oracle

    results = []
    for library, function in (
        (torch, vision.ops.stochastic_depth),
        (oracle, torchvision().ops.stochastic_depth),
    ):
        library.manual_seed(3)
        results.append(function(library.ones(6, 2, 3), p, mode).numpy())
        results.append(function(library.ones(6, 2), p, mode, training=False).numpy())
        with pytest.raises(ValueError, match="drop probability has to be between 0 and 1"):
            function(library.ones(1), 1.5, mode)
        with pytest.raises(ValueError, match="mode has to be either 'batch' or 'row'"):
            function(library.ones(1), 0.5, "column")
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_array_equal(results[1], results[3])


def test_base_block_warns():
    from rushlight.vision.ops.misc import ConvNormActivation

    with pytest.warns(UserWarning, match="Don't use ConvNormActivation directly"):
        ConvNormActivation(1, 1)


PRESETS = {
    "classification": lambda presets: presets.ImageClassification(crop_size=12, resize_size=16),
    "segmentation": lambda presets: presets.SemanticSegmentation(resize_size=16),
    "segmentation, same size": lambda presets: presets.SemanticSegmentation(resize_size=None, mean=(0, 0, 0)),
    "detection": lambda presets: presets.ObjectDetection(),
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name):
    import torch as oracle

    image = pytest.importorskip("PIL.Image")
    torchvision()
    from torchvision.transforms import _presets as other

    from rushlight.vision.transforms import _presets as mine

    ours, theirs = PRESETS[name](mine), PRESETS[name](other)
    assert repr(ours) == repr(theirs) and ours.describe() == theirs.describe()
    array = np.random.default_rng(0).integers(0, 256, (3, 20, 24), np.uint8)
    picture = image.fromarray(array.transpose(1, 2, 0))
    np.testing.assert_allclose(ours(picture).numpy(), theirs(picture).numpy(), atol=1e-6)
    values = array.astype("float32") / 255
    found, expected = ours(torch.from_numpy(values)), theirs(oracle.from_numpy(values))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)
