"""Networks for segmentation against torchvision's."""

import os
from collections import OrderedDict

import pytest

import rushlight as torch
from rushlight.vision import models
from rushlight.vision.models import segmentation
from tests.vision.datasets_oracle import torchvision
from tests.vision.models_oracle import compare, pair

pytest.importorskip("torch")

slow = pytest.mark.skipif(not os.environ.get("RUSHLIGHT_SLOW"), reason="takes minutes; set RUSHLIGHT_SLOW=1")
MOBILE = ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"]
RESNETS = ["fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101"]


def test_they_are_listed():
    assert models.list_models(module=segmentation) == torchvision().models.list_models(
        module=torchvision().models.segmentation
    )


@pytest.mark.parametrize("name", MOBILE + RESNETS)
def test_weights_are_torchvisions(name):
    mine, theirs = models.get_model_weights(name), torchvision().models.get_model_weights(name)
    assert mine.__name__ == theirs.__name__ and list(mine.__members__) == list(theirs.__members__)
    mine, other = mine.DEFAULT, theirs.DEFAULT
    assert mine.url == other.url and mine.meta == {k: v for k, v in other.meta.items() if k != "_docs"}
    assert repr(mine.transforms()) == repr(other.transforms())
    assert repr(models.get_weight(repr(mine))) == repr(other)


@pytest.mark.parametrize(
    "name, options",
    [("lraspp_mobilenet_v3_large", {}), ("deeplabv3_mobilenet_v3_large", {"aux_loss": True})],
)
def test_mobile_networks(name, options):
    ours, theirs = pair(name, space="models.segmentation", weights_backbone=None, num_classes=4, **options)
    compare(ours, theirs, (2, 3, 33, 40))


@slow
@pytest.mark.parametrize("aux_loss", [False, True])
@pytest.mark.parametrize("name", RESNETS)
def test_residual_networks(name, aux_loss):
    ours, theirs = pair(
        name, space="models.segmentation", weights_backbone=None, num_classes=4, aux_loss=aux_loss
    )
    compare(ours, theirs, (2, 3, 33, 40))


@pytest.mark.parametrize("head", ["FCNHead", "DeepLabHead"])
def test_heads(head):
    import torch as oracle

    from rushlight.vision.models.segmentation import deeplabv3 as mine

    torchvision()
    from torchvision.models.segmentation import deeplabv3 as theirs

    made = []
    for torch_, space in ((torch, mine), (oracle, theirs)):
        torch_.manual_seed(0)
        made.append(getattr(space, head)(16, 3))
    assert list(made[0].state_dict()) == list(made[1].state_dict())
    compare(*made, (2, 16, 9, 7))


@pytest.mark.parametrize("name", MOBILE)
def test_sizes(name):
    options = {} if name.startswith("lraspp") else {"aux_loss": True}
    model = models.get_model(name, weights_backbone=None, **options).eval()
    assert (
        sum(p.numel() for p in model.parameters())
        == models.get_model_weights(name).DEFAULT.meta["num_params"]
    )
    out = model(torch.zeros(1, 3, 32, 48))
    assert type(out) is OrderedDict and list(out) == ["out", "aux"][: 1 + bool(options)]
    assert all(v.shape == (1, 21, 32, 48) for v in out.values())


def test_arguments():
    with pytest.raises(NotImplementedError, match="does not use auxiliary loss"):
        segmentation.lraspp_mobilenet_v3_large(aux_loss=True, weights_backbone=None)
    with pytest.raises(ValueError, match="'num_classes' expected value 21 but got 3"):
        segmentation.fcn_resnet50(weights="DEFAULT", num_classes=3)
    with pytest.raises(TypeError, match="expected FCN_ResNet50_Weights"):
        segmentation.fcn_resnet50(weights=segmentation.FCN_ResNet101_Weights.DEFAULT)
    with pytest.raises(TypeError):
        segmentation.fcn_resnet50(weights_backbone=None, num_clases=3)


def test_local_weights_are_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "other"))
    enum = segmentation.LRASPP_MobileNet_V3_Large_Weights
    source = segmentation.lraspp_mobilenet_v3_large(weights_backbone=None)
    (tmp_path / "checkpoints").mkdir()
    torch.save(source.state_dict(), tmp_path / "checkpoints" / enum.DEFAULT.url.rpartition("/")[2])
    model = segmentation.lraspp_mobilenet_v3_large(weights="COCO_WITH_VOC_LABELS_V1")
    assert all(torch.equal(v, source.state_dict()[k]) for k, v in model.state_dict().items())
