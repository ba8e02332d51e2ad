"""Networks for films against torchvision's."""

import importlib
import os

import pytest

import rushlight as torch
from rushlight.vision import models
from tests.vision.datasets_oracle import torchvision
from tests.vision.models_oracle import compare, pair

pytest.importorskip("torch")

COUNTS = {"r3d_18": 33_371_472, "mc3_18": 11_695_440, "r2plus1d_18": 31_505_325}
COUNTS |= {"s3d": 8_320_048, "swin3d_t": 28_158_070, "mvit_v1_b": 36_610_672, "mvit_v2_s": 34_537_744}
SIZES = {"s3d": (1, 3, 16, 224, 224), "swin3d_t": (1, 3, 9, 64, 60), "mvit_v1_b": (1, 3, 16, 224, 224)}
SIZES["mvit_v2_s"] = SIZES["mvit_v1_b"]


@pytest.mark.parametrize("name", COUNTS)
def test_sizes_and_weights(name):
    model = models.get_model(name)
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name]
    enum = models.get_model_weights(name)
    theirs = torchvision().models.get_model_weights(name)
    assert [w.name for w in enum] == [w.name for w in theirs] and enum.__name__ == theirs.__name__
    for mine, other in zip(enum, theirs, strict=True):
        assert mine.url == other.url
        assert mine.meta == {k: v for k, v in other.meta.items() if k != "_docs"}
        assert repr(mine.transforms()) == repr(other.transforms())
        assert mine.transforms().describe().split() == other.transforms().describe().split()


@pytest.mark.skipif(not os.environ.get("RUSHLIGHT_SLOW"), reason="half a minute; set RUSHLIGHT_SLOW=1")
@pytest.mark.parametrize("name", COUNTS)
def test_against_torchvision(name):
    ours, theirs = pair(name, space="models.video", num_classes=7)
    if name in SIZES:  # in float64, as gradients in float32 jump where rectifiers bend
        compare(ours, theirs, SIZES[name], modes=(False,), kinds=("float64", "float64"))
    else:
        compare(ours, theirs, (2, 3, 4, 24, 24))


def _small_swin(space):
    return space.SwinTransformer3d([2, 4, 4], 12, [2, 2], [2, 3], [3, 4, 4], num_classes=5)


def _small_mvit(space, second: bool):
    config = space.mvit.MSBlockConfig
    wide = ([3, 3, 3], [1, 1, 1]) if second else ([], [])
    blocks = [
        config(1, 12, 12 if second else 24, wide[0], [3, 3, 3], wide[1], [1, 4, 4]),
        config(2, 12 if second else 24, 24, [3, 3, 3], [3, 3, 3], [1, 2, 2], [1, 2, 2]),
        config(2, 24, 24, wide[0], [3, 3, 3], wide[1], [1, 1, 1]),
    ]
    return space.MViT((36, 32), 6, blocks, second, not second, second, second, num_classes=5)


def _small_s3d(space):
    module = importlib.import_module(f"{space.__name__}.s3d")
    norm = importlib.import_module(
        space.__name__.partition(".")[0].replace("torchvision", "torch")
    ).nn.BatchNorm3d
    return module.SepInceptionBlock3D(6, 4, 3, 5, 2, 4, 3, norm_layer=norm)


SMALL = {
    "swin": (_small_swin, (2, 3, 7, 34, 30)),
    "swin, few frames": (_small_swin, (1, 3, 2, 34, 12)),
    "mvit": (lambda space: _small_mvit(space, False), (2, 3, 6, 36, 32)),
    "mvit v2": (lambda space: _small_mvit(space, True), (2, 3, 6, 36, 32)),
    "s3d": (_small_s3d, (2, 6, 4, 8, 8)),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_ones(name):
    build, size = SMALL[name]
    compare(*pair(build, space="models.video"), size)


@pytest.mark.parametrize("block", ["BasicBlock", "Bottleneck"])
@pytest.mark.parametrize("maker", ["Conv3DSimple", "Conv3DNoTemporal", "Conv2Plus1D"])
def test_blocks(block, maker):
    import torch as oracle

    from rushlight.vision.models.video import resnet as mine

    torchvision()
    from torchvision.models.video import resnet as other

    pairs = []
    for torch_, space in ((torch, mine), (oracle, other)):
        torch_.manual_seed(0)
        stages = [getattr(space, maker)] * 4
        kind = getattr(space, block)
        pairs.append(space.VideoResNet(kind, stages, [1, 1, 1, 1], space.BasicStem, num_classes=3).layer1)
    ours, theirs = pairs
    assert list(ours.state_dict()) == list(theirs.state_dict())
    compare(ours, theirs, (1, 64, 3, 6, 6))


@pytest.mark.parametrize("size", [(2, 5, 3, 20, 24), (5, 3, 20, 24)])
def test_transform(size):
    import torch as oracle

    film = torch.randint(0, 256, size, dtype=torch.uint8)
    mine = models.video.R3D_18_Weights.DEFAULT.transforms()(film)
    torchvision()
    from torchvision.models.video import R3D_18_Weights

    theirs = R3D_18_Weights.DEFAULT.transforms()(oracle.from_numpy(film.numpy()))
    assert tuple(mine.shape) == tuple(theirs.shape)
    step = (
        1 / 255 / 0.216989
    )  # PyTorch resizes bytes in fixed point: some values are one step of brightness off
    assert abs(mine.numpy() - theirs.numpy()).max() < step * 1.001
