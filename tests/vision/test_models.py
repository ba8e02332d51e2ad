"""The networks for classification against torchvision's."""

import importlib
import inspect
import json
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.vision import models
from rushlight.vision.models import registry, weights
from tests.vision.datasets_oracle import torchvision
from tests.vision.models_oracle import compare, pair

FAMILIES = (
    "alexnet", "convnext", "densenet", "efficientnet", "googlenet", "inception", "maxvit", "mnasnet", "mobilenetv2",
    "mobilenetv3", "regnet", "resnet", "shufflenetv2", "squeezenet", "swin_transformer", "vgg", "vision_transformer",
)  # fmt: skip
NAMES = [
    name
    for name in models.list_models(module=models)
    if models.get_model_builder(name).__module__.rsplit(".", 1)[1] in FAMILIES
]
INIT = [name for name, value in vars(nn.init).items() if name.endswith("_") and callable(value)]


def module_of(library, family):
    return importlib.import_module(f"{library.__name__}.{family}")


def quick(name):
    """Constructor arguments that avoid the warning and the slow draws of the Inceptions."""
    return {"init_weights": False} if name in ("googlenet", "inception_v3") else {}


def swin(version):
    def make(models):
        module = module_of(models, "swin_transformer")
        more = {}
        if version == 2:
            more = {"block": module.SwinTransformerBlockV2, "downsample_layer": module.PatchMergingV2}
        return models.SwinTransformer([2, 2], 8, [2, 2], [2, 4], [3, 4], num_classes=5, **more)

    return make


def convnext(models):
    module = module_of(models, "convnext")
    config = [module.CNBlockConfig(8, 12, 2), module.CNBlockConfig(12, None, 1)]
    return models.ConvNeXt(config, 0.1, layer_scale=0.5, num_classes=5)


def fused(models):
    module = module_of(models, "efficientnet")
    config = [
        module.FusedMBConvConfig(1, 3, 1, 8, 8, 2),
        module.FusedMBConvConfig(4, 3, 2, 8, 16, 2),
        module.MBConvConfig(4, 3, 2, 16, 24, 2),
    ]
    return models.EfficientNet(config, 0.1, num_classes=5, last_channel=32)


def vit(**more):
    def make(models):
        options = dict(more)
        if "conv_stem_configs" in options:
            stem = module_of(models, "vision_transformer").ConvStemConfig
            options["conv_stem_configs"] = [stem(*row) for row in options["conv_stem_configs"]]
        return models.VisionTransformer(16, 4, 2, 2, 8, 12, num_classes=5, **options)

    return make


def maxvit(models):
    return models.MaxVit((32, 32), 8, 2, [8, 16], [2, 1], 4, 0.2, num_classes=5)


def resnet(models, kind="Bottleneck", **options):
    return models.ResNet(getattr(module_of(models, "resnet"), kind), [1, 2, 1, 1], num_classes=5, **options)


# What is made, and the size of the pictures: the smallest that leaves normalisations something to normalise.
LIGHT = {
    "convnext": (convnext, 32),
    "efficientnet_b0": ("efficientnet_b0", 48),
    "efficientnet_v2": (fused, 32),
    "densenet": (lambda models: models.DenseNet(8, (2, 3), 16, num_classes=5), 32),
    "densenet_efficient": (lambda models: models.DenseNet(8, (2, 3), 16, memory_efficient=True), 32),
    "maxvit": (maxvit, 32),
    "mnasnet0_5": ("mnasnet0_5", 64),
    "mobilenet_v2": (lambda models: models.mobilenet_v2(width_mult=0.5, num_classes=5), 64),
    "mobilenet_v3_small": ("mobilenet_v3_small", 64),
    "mobilenet_v3_dilated": (lambda models: models.mobilenet_v3_small(dilated=True, reduced_tail=True), 48),
    "regnet_x": ("regnet_x_400mf", 64),
    "regnet_y": ("regnet_y_400mf", 64),
    "resnet18": ("resnet18", 48),
    "resnext": (lambda models: resnet(models, groups=4, width_per_group=8), 48),
    "resnet_dilated": (
        lambda models: resnet(
            models, replace_stride_with_dilation=[False, True, True], zero_init_residual=True
        ),
        48,
    ),
    "shufflenet_v2_x0_5": ("shufflenet_v2_x0_5", 64),
    "squeezenet1_0": ("squeezenet1_0", 32),
    "squeezenet1_1": ("squeezenet1_1", 32),
    "swin": (swin(1), 15),
    "swin_v2": (swin(2), 15),
    "vgg": (lambda models: module_of(models, "vgg").make_layers([8, "M", 16, "M"], batch_norm=True), 32),
    "vit": (vit(representation_size=6), 16),
    "vit_stem": (vit(conv_stem_configs=[(8, 3, 2), (8, 3, 2)]), 16),
}  # fmt: skip


def fill_zeros(ours, theirs):
    """Weights where a network starts with zeros, so that something comes out."""
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        if not b.detach().any():
            value = np.random.default_rng(1).standard_normal(b.shape).astype("float32") * 0.1
            a.data.copy_(torch.from_numpy(value))
            b.data.copy_(b.data.new_tensor(value))


@pytest.mark.parametrize("name", LIGHT)
def test_same_as_torchvision(name):
    if os.environ.get("RUSHLIGHT_KERNELS") == "reference" and name.startswith("regnet"):
        pytest.skip("NumPy's kernels take minutes for convolutions of many groups")
    make, size = LIGHT[name]
    ours, theirs = pair(make)
    assert repr(ours) == repr(theirs)
    fill_zeros(ours, theirs)
    # NumPy's kernels are 2e-4 off in the gradient of RegNetX in training
    modes = (False,) if os.environ.get("RUSHLIGHT_KERNELS") == "reference" else (False, True)
    compare(ours, theirs, (3, 3, size, size), modes=modes, kinds=("float64", "float64"))


@pytest.mark.parametrize("name,size", [("googlenet", 33), ("inception_v3", 75)])
def test_inceptions(name, size):
    ours, theirs = pair(name, init_weights=False, transform_input=True, num_classes=5)
    assert repr(ours) == repr(theirs)
    compare(ours, theirs, (1, 3, size, size), modes=(False,), kinds=("float64", "float64"))


def test_auxiliary_classifiers():
    model = models.googlenet(init_weights=False, num_classes=5)
    out = model(torch.zeros(2, 3, 33, 33))
    assert type(out) is models.GoogLeNetOutputs
    assert [field.shape for field in out] == [(2, 5)] * 3 and out._fields == (
        "logits",
        "aux_logits2",
        "aux_logits1",
    )
    assert model.eval()(torch.zeros(2, 3, 33, 33)).shape == (2, 5)
    plain = models.googlenet(init_weights=False, aux_logits=False)
    assert plain(torch.zeros(2, 3, 33, 33)).shape == (2, 1000) and not any(
        "aux" in k for k in plain.state_dict()
    )
    assert models.InceptionOutputs._fields == ("logits", "aux_logits")


def test_first_weights_of_inceptions():
    ours, _ = pair("googlenet", aux_logits=False, init_weights=True, num_classes=5)
    assert ours.fc.weight.abs().max() < 0.06
    aux = models.inception.InceptionAux(8, 3)
    assert (aux.conv1.stddev, aux.fc.stddev) == (0.01, 0.001)
    with pytest.warns(FutureWarning, match="set init_weights=True"):
        models.GoogLeNet(aux_logits=False, blocks=[lambda *a, **k: nn.Identity()] * 3)


@pytest.fixture
def undrawn(monkeypatch):
    """Models of both libraries that are made without drawing their weights: memory that is never touched."""
    import torch as reference

    for name in INIT:
        for init in (nn.init, reference.nn.init):
            monkeypatch.setattr(init, name, lambda tensor, *args, **kwargs: tensor, raising=False)


def test_all_keys_and_shapes(undrawn):
    oracle = torchvision().models
    assert set(oracle.list_models(module=oracle)) == set(NAMES)
    for name in NAMES:
        theirs = oracle.get_model(name, **quick(name))
        ours = models.get_model(name, **quick(name))
        expected = [(key, tuple(value.shape)) for key, value in theirs.state_dict().items()]
        assert [(key, tuple(value.shape)) for key, value in ours.state_dict().items()] == expected, name
        count = sum(p.numel() for p in ours.parameters())
        if name != "googlenet":  # whose weights are counted without the auxiliary classifiers
            assert count in {w.meta["num_params"] for w in models.get_model_weights(name)}, name


def test_all_weights():
    oracle = torchvision().models
    for name in NAMES:
        mine, other = models.get_model_weights(name), oracle.get_model_weights(name)
        assert mine.__name__ == other.__name__ and list(mine.__members__) == list(other.__members__)
        assert getattr(models, mine.__name__) is mine
        for key, member in mine.__members__.items():
            theirs = other[key]
            assert (member.name, repr(member), member.url) == (theirs.name, repr(theirs), theirs.url)
            np.testing.assert_equal(member.meta, {k: v for k, v in theirs.meta.items() if k != "_docs"})
            assert repr(member.transforms()) == repr(theirs.transforms())
            assert pickle.loads(pickle.dumps(member)) is member
            assert models.get_weight(str(member)) is member


def parameters(function):
    """Names, kinds and defaults; functions and partials by their names and arguments."""

    def plain(value):
        if hasattr(value, "func"):
            return value.func.__name__, value.keywords.keys()
        return getattr(value, "__name__", value)

    signature = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, plain(p.default)) for p in signature if p.default is not inspect.Parameter.empty]


@pytest.mark.parametrize("family", FAMILIES)
def test_signatures(family):
    ours, theirs = module_of(models, family), module_of(torchvision().models, family)
    assert set(ours.__all__) == set(theirs.__all__)
    for name, value in vars(theirs).items():
        own = getattr(value, "__module__", None) == theirs.__name__
        if not own or name.startswith("_") or (inspect.isclass(value) and name.endswith("Weights")):
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            mine = getattr(ours, name)
            expected = list(inspect.signature(value).parameters)
            if expected:
                assert list(inspect.signature(mine).parameters) == expected, name
            if name in theirs.__all__:
                assert parameters(mine) == parameters(value), name
            assert inspect.getdoc(mine), name


def test_registry():
    oracle = torchvision().models
    for include, exclude in (("resnet*", None), (["vgg*", "*_t"], "*bn"), ((), ("[a-r]*",)), (None, [])):
        mine = models.list_models(module=models, include=include, exclude=exclude)
        theirs = oracle.list_models(module=oracle, include=include, exclude=exclude)
        assert [name for name in mine if name in NAMES] == theirs
    assert models.get_model_builder("ReSNet18") is models.resnet18
    assert models.get_model_weights(models.resnet18) is models.ResNet18_Weights
    assert models.get_weight("ResNet50_Weights.DEFAULT") is models.ResNet50_Weights.IMAGENET1K_V2
    with pytest.raises(ValueError, match="Unknown model resnet19"):
        models.get_model("ResNet19")
    with pytest.raises(ValueError, match="Invalid weight name provided: 'nothing'"):
        models.get_weight("nothing")
    with pytest.raises(ValueError, match="ResNet19_Weights"):
        models.get_weight("ResNet19_Weights.DEFAULT")
    with pytest.raises(ValueError, match="already registered"):
        registry.register_model("resnet18")(models.resnet18)
    with pytest.raises(ValueError, match="missing the 'weights' argument"):
        models.get_model_weights(lambda: None)


WRONG = {
    "classes": lambda models: models.resnet18(weights="DEFAULT", num_classes=10),
    "no such weights": lambda models: models.resnet18(weights="IMAGENET1K_V7"),
    "weights of another model": lambda models: models.resnet18(weights=models.ResNet34_Weights.DEFAULT),
    "wrong type of weights": lambda models: models.ResNet18_Weights.verify(3),
    "groups of a basic block": lambda models: resnet(models, "BasicBlock", groups=2),
    "dilated basic block": lambda models: resnet(models, "BasicBlock", replace_stride_with_dilation=[False, True, True]),
    "dilations": lambda models: resnet(models, replace_stride_with_dilation=[True]),
    "other groups": lambda models: models.resnext50_32x4d(groups=2),
    "squeezenet": lambda models: models.SqueezeNet("2_0"),
    "googlenet": lambda models: models.GoogLeNet(init_weights=False, blocks=[nn.Module]),
    "inception": lambda models: models.Inception3(init_weights=False, inception_blocks=[nn.Module]),
    "mobilenet_v2": lambda models: models.MobileNetV2(inverted_residual_setting=[[1, 2]]),
    "mobilenet_v2 stride": lambda models: module_of(models, "mobilenetv2").InvertedResidual(8, 8, 3, 1),
    "mobilenet_v3": lambda models: models.MobileNetV3([], 8),
    "mobilenet_v3 types": lambda models: models.MobileNetV3([1], 8),
    "efficientnet": lambda models: models.EfficientNet([], 0.1),
    "efficientnet types": lambda models: models.EfficientNet([1], 0.1),
    "efficientnet norm": lambda models: models.efficientnet_b5(norm_layer=None),
    "convnext": lambda models: models.ConvNeXt([]),
    "convnext types": lambda models: models.ConvNeXt([1]),
    "shufflenet": lambda models: models.ShuffleNetV2([1], [1]),
    "shufflenet channels": lambda models: models.ShuffleNetV2([1, 1, 1], [1]),
    "shufflenet stride": lambda models: module_of(models, "shufflenetv2").InvertedResidual(8, 8, 4),
    "shufflenet block": lambda models: module_of(models, "shufflenetv2").InvertedResidual(8, 16, 1),
    "mnasnet": lambda models: models.MNASNet(0.0),
    "mnasnet version": lambda models: models.MNASNet(0.1).load_state_dict({}),
    "regnet": lambda models: module_of(models, "regnet").BlockParams.from_init_params(3, 7, 1.0, 2.0, 8),
    "swin": lambda models: module_of(models, "swin_transformer").ShiftedWindowAttention(8, [2], [1], 2),
    "swin twice": lambda models: models.swin_t(embed_dim=96),
    "vit": lambda models: models.VisionTransformer(15, 4, 1, 1, 4, 4),
    "maxvit": lambda models: models.MaxVit((30, 30), 8, 7, [8], [1], 4, 0.2),
    "maxvit layers": lambda models: module_of(models, "maxvit").RelativePositionalMultiHeadAttention(7, 2, 4),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_errors(what):
    with pytest.raises(Exception) as theirs:
        WRONG[what](torchvision().models)
    with pytest.raises(type(theirs.value)) as ours:
        WRONG[what](models)
    if not isinstance(theirs.value, TypeError):
        assert str(ours.value) == str(theirs.value)


def test_wrong_size_of_pictures():
    model = models.VisionTransformer(8, 4, 1, 1, 4, 4)
    with pytest.raises(AssertionError, match="Wrong image width! Expected 8 but got 9!"):
        model(torch.zeros(1, 3, 8, 9))


CALLS = {
    "keyword": lambda models: models.squeezenet1_1(pretrained=False),
    "position": lambda models: models.squeezenet1_1(False),
    "positions": lambda models: models.squeezenet1_1(None, False),
    "no weights": lambda models: models.vit_h_14(pretrained=True),
}


@pytest.mark.parametrize("what", CALLS)
def test_old_interface(what):
    seen = []
    for library in (torchvision().models, models):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                CALLS[what](library)
            except ValueError as error:
                seen.append(str(error))
        seen.append([(w.category, str(w.message)) for w in caught])
    half = len(seen) // 2
    assert seen[:half] == seen[half:]


def save_safetensors(path, tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        array = tensor.numpy()
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
@pytest.mark.parametrize("home", ["TORCH_HOME", "RUSHLIGHT_HOME", "XDG_CACHE_HOME"])
def test_local_weights(kind, home, tmp_path, monkeypatch):
    for name in ("TORCH_HOME", "RUSHLIGHT_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(home, str(tmp_path))
    folder = {
        "TORCH_HOME": "hub/checkpoints",
        "RUSHLIGHT_HOME": "checkpoints",
        "XDG_CACHE_HOME": "torch/hub/checkpoints",
    }
    folder = tmp_path / folder[home]
    folder.mkdir(parents=True)
    state = models.mnasnet0_5().state_dict() if kind == "pth" else models.squeezenet1_1().state_dict()
    enum = models.MNASNet0_5_Weights if kind == "pth" else models.SqueezeNet1_1_Weights
    path = folder / enum.DEFAULT.url.rsplit("/", 1)[1].replace(".pth", f".{kind}")
    torch.save(state, path) if kind == "pth" else save_safetensors(path, state)
    model = (
        models.mnasnet0_5(weights="DEFAULT") if kind == "pth" else models.squeezenet1_1(weights=enum.DEFAULT)
    )
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key])


def test_missing_and_damaged_weights(tmp_path, monkeypatch):
    url = "http://127.0.0.1:9/resnet18-f37072fd.pth"
    with pytest.raises(RuntimeError, match=r"put it at .*resnet18-f37072fd\.pth \(SHA256 f37072fd\)"):
        weights.load_state_dict_from_url(url, str(tmp_path), check_hash=True, progress=False)
    source = tmp_path / "source"
    source.mkdir()
    torch.save({"a": torch.ones(2)}, source / "net-00000000.pth")
    url = (source / "net-00000000.pth").as_uri()
    with pytest.raises(RuntimeError, match=r"its SHA256 is .*, expected 00000000"):
        weights.load_state_dict_from_url(url, str(tmp_path / "to"), check_hash=True)
    assert not list((tmp_path / "to").iterdir())
    found = weights.load_state_dict_from_url(url, str(tmp_path / "to"), progress=False)
    assert torch.equal(found["a"], torch.ones(2)) and (tmp_path / "to" / "net-00000000.pth").exists()
    for i, content in enumerate(
        (b"", b"\xff" * 30, b"\x02" + b"\0" * 7 + b"[]", b"\x03" + b"\0" * 7 + b"{}}")
    ):
        bad = tmp_path / f"bad{i}.safetensors"
        bad.write_bytes(content)
        with pytest.raises(RuntimeError, match=r"bad\d\.safetensors: not a .safetensors file"):
            weights.load_safetensors(bad)


def test_old_names_of_parameters():
    """Of DenseNets and of vision transformers."""
    rename = models.densenet._OLD_KEY.sub
    old = "features.denseblock1.denselayer12.norm.1.running_mean"
    assert rename(r"\1\2", old) == "features.denseblock1.denselayer12.norm1.running_mean"
    assert rename(r"\1\2", "features.norm5.weight") == "features.norm5.weight"
    block = models.vision_transformer.MLPBlock(4, 8, 0.0)
    state = {
        f"linear_{i // 3 + 1}.{kind}": getattr(block[i], kind) * 2
        for i in (0, 3)
        for kind in ("weight", "bias")
    }
    double = block[3].weight.detach() * 2
    block.load_state_dict(state)
    assert torch.equal(block[3].weight, double)


def test_first_version_of_mnasnet():
    model, old = models.mnasnet0_5(), models.mnasnet1_0()
    state = old.state_dict()
    state._metadata[""]["version"] = 1
    with (
        pytest.warns(UserWarning, match="A new version of MNASNet"),
        pytest.raises(RuntimeError, match="size"),
    ):
        model.load_state_dict(state)  # the first layers of all versions, but not the others
    assert model.layers[0].weight.shape[0] == 32 and model._version == 1


@pytest.mark.parametrize("reset_heads", [False, True])
def test_positions_of_another_size(reset_heads):
    import torch as reference

    theirs = module_of(torchvision().models, "vision_transformer").interpolate_embeddings
    ours = module_of(models, "vision_transformer").interpolate_embeddings
    array = np.random.default_rng(0).standard_normal((1, 10, 4)).astype("float32")
    results = []
    for library, function in ((reference, theirs), (torch, ours)):
        state = {"encoder.pos_embedding": library.from_numpy(array), "heads.x": library.zeros(1)}
        results.append(function(20, 4, state, reset_heads=reset_heads))
        with pytest.raises(ValueError, match="not a perfect square"):
            function(20, 4, {"encoder.pos_embedding": library.zeros(1, 4, 2)})
        with pytest.raises(ValueError, match="Unexpected position embedding shape"):
            function(20, 4, {"encoder.pos_embedding": library.zeros(2, 4, 2)})
    assert list(results[0]) == list(results[1])
    key = "encoder.pos_embedding"
    np.testing.assert_allclose(results[1][key].numpy(), results[0][key].numpy(), atol=1e-6)


def test_intermediate_layers():
    getter = models._utils.IntermediateLayerGetter(models.resnet18(), {"layer1": "a", "layer3": 1})
    assert list(getter) == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3"]
    out = getter.eval()(torch.zeros(1, 3, 32, 32))
    assert {key: tuple(value.shape) for key, value in out.items()} == {"a": (1, 64, 8, 8), 1: (1, 256, 2, 2)}
    with pytest.raises(ValueError, match="return_layers are not present in model"):
        models._utils.IntermediateLayerGetter(getter, {"layer9": "x"})


def test_under_the_name_of_torchvision():
    program = """
import rushlight.as_torch
import torch, torchvision, torchvision.models as models
from torchvision.models import resnet18, ResNet18_Weights
from torchvision.models._api import WeightsEnum, register_model
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.ops.misc import Conv2dNormActivation, FrozenBatchNorm2d
assert issubclass(ResNet18_Weights, WeightsEnum) and torchvision.models.resnet18 is resnet18
assert ResNet(BasicBlock, [1, 1, 1, 1])(torch.zeros(2, 3, 32, 32)).shape == (2, 1000)
assert torchvision.__version__.startswith("0.28")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@pytest.mark.skipif(not os.environ.get("RUSHLIGHT_SLOW"), reason="minutes; set RUSHLIGHT_SLOW=1")
@pytest.mark.parametrize("name", NAMES)
def test_all_against_torchvision(name):
    """Weights from the same seed, printed form, outputs and gradients of the input."""
    count = models.get_model_weights(name).DEFAULT.meta["num_params"]
    size = max(models.get_model_weights(name).DEFAULT.meta["min_size"][0], 32)
    options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    if name == "vit_h_14":
        options, size = {"image_size": 56}, 56
    ours, theirs = pair(name, **options)
    assert repr(ours) == repr(theirs)
    fill_zeros(ours, theirs)
    for model in (ours, theirs):
        model.requires_grad_(False)
    kind = "float64" if count < 1.5e8 else "float32"
    training = count < 1.5e8 and name != "inception_v3"
    modes = (False, True) if training else (False,)
    # in float32 single rectifiers flip, and the gradient of a pixel with them
    relative = 1e-4 if kind == "float64" else 1e-2
    compare(ours, theirs, (2, 3, size, size), relative, modes[:1], (kind, kind))
    if training and size < 200:
        size = max(size, 64)
        compare(ours, theirs, (2, 3, size, size), 1e-4, (True,), (kind, kind))
