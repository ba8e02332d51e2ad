"""Networks that torchvision lacks: sizes as published, shapes, gradients, and what is particular to each."""

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.vision import models


def parameters(model):
    return sum(p.numel() for p in model.parameters())


# name, arguments, parameters, where the number is from, shape of an input, shape of the output
TABLE = [
    ("lenet5", {}, 61_706, "LeCun 1998 with a full second convolution: 60,000 - 1,516 + 2,416 + …", (2, 1, 32, 32), (2, 10)),
    ("lenet5", {"image_size": 28}, 61_706, "the same", (2, 1, 28, 28), (2, 10)),
    ("nin", {}, 966_986, "the authors' cifar-10 definition for Caffe", (2, 3, 32, 32), (2, 10)),
    ("nin_imagenet", {}, 7_595_176, "Caffe's model zoo: 30.4 MB of float32", (1, 3, 224, 224), (1, 1000)),
    ("highway", {}, 80_560, "784*50+50 + 8*2*(50*50+50) + 50*10+10", (2, 1, 28, 28), (2, 10)),
    ("xception", {}, 22_855_952, "table 3 of the paper", (1, 3, 96, 96), (1, 1000)),
    ("unet", {}, 31_037_698, "milesial/Pytorch-UNet, 3 channels, 2 classes", (1, 3, 32, 32), (1, 2, 32, 32)),
    ("unet", {"bilinear": True, "num_classes": 1}, 17_262_977, "the same with bilinear=True", (1, 3, 32, 32), (1, 1, 32, 32)),
    ("unet", {"in_channels": 1, "norm": False, "padding": 0}, 31_030_658, "figure 1 of the paper", (1, 1, 188, 188), (1, 2, 4, 4)),
    ("autoencoder", {}, 1_077_540, "784-512-256-20-256-512-784", (2, 1, 28, 28), (2, 1, 28, 28)),
    ("dcgan_generator", {}, 3_576_704, "PyTorch's DCGAN tutorial", (1, 100), (1, 3, 64, 64)),
    ("dcgan_discriminator", {}, 2_765_568, "PyTorch's DCGAN tutorial", (2, 3, 64, 64), (2,)),
]  # fmt: skip


@pytest.mark.parametrize(
    "name, arguments, count, source, size, result",
    TABLE,
    ids=[f"{row[0]}-{i}" for i, row in enumerate(TABLE)],
)
def test_size_and_shape(name, arguments, count, source, size, result):
    model = models.get_model(name, **arguments).eval()
    assert parameters(model) == count, source
    with torch.no_grad():
        assert tuple(model(torch.randn(*size)).shape) == result


SMALL = [
    ("lenet5", {"num_classes": 3, "in_channels": 3, "activation": nn.ReLU}, (2, 3, 32, 32)),
    ("nin", {"num_classes": 3}, (2, 3, 16, 16)),
    ("highway", {"in_features": 12, "width": 8, "num_classes": 3}, (2, 12)),
    ("unet", {"width": 4, "depth": 2, "num_classes": 3}, (1, 3, 8, 8)),
    ("unet", {"width": 4, "depth": 1, "num_classes": 3, "bilinear": True}, (1, 3, 8, 8)),
    ("autoencoder", {"image_shape": (1, 4, 4), "widths": (8,), "latent_size": 2}, (2, 1, 4, 4)),
    ("dcgan_generator", {"width": 2, "image_size": 8}, (2, 100, 1, 1)),
    ("dcgan_discriminator", {"width": 2, "image_size": 8}, (2, 3, 8, 8)),
]


@pytest.mark.parametrize("name, arguments, size", SMALL, ids=[f"{row[0]}-{i}" for i, row in enumerate(SMALL)])
def test_every_parameter_learns(name, arguments, size):
    torch.manual_seed(0)
    model = models.get_model(name, **arguments)
    x = torch.rand(*size, requires_grad=True)
    (model(x) ** 2).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_all_are_listed():
    assert {row[0] for row in TABLE} <= set(models.list_models())


def test_lenet_refuses_other_sizes():
    with pytest.raises(ValueError, match="image_size must be 28 or 32"):
        models.lenet5(image_size=64)


def test_lenet_and_nin_against_pytorch():
    oracle = pytest.importorskip("torch")
    from rushlight.vision.models.nin import NiN

    torch.manual_seed(0)
    for model, size in ((models.lenet5(), (2, 1, 32, 32)), (models.nin(dropout=0.0), (1, 3, 32, 32))):
        layers = [
            *model.features,
            *([model.avgpool, nn.Flatten()] if isinstance(model, NiN) else model.classifier),
        ]
        theirs = oracle.nn.Sequential(*(eval(f"oracle.nn.{layer!r}", {"oracle": oracle}) for layer in layers))
        for mine, other in zip(layers, theirs, strict=True):
            if isinstance(mine, nn.AvgPool2d):
                other.ceil_mode = mine.ceil_mode  # is not printed
        weights = (oracle.from_numpy(p.detach().numpy()) for p in model.parameters())
        for parameter, weight in zip(theirs.parameters(), weights, strict=True):
            parameter.data.copy_(weight)
        x = np.random.default_rng(0).standard_normal(size).astype("float32")
        ours = model(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(ours, theirs(oracle.from_numpy(x)).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_highway_layer_mixes_by_its_gate():
    layer = models.HighwayLayer(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1), gate_bias=-1.0)
    x = torch.randn(2, 3, 5, 5)
    gate = layer.gate(x).sigmoid()
    expected = torch.relu(layer.transform(x)) * gate + x * (1 - gate)
    torch.testing.assert_close(layer(x), expected)
    assert layer.gate.bias.tolist() == [-1.0] * 3


def test_a_deep_highway_network_trains_from_the_start():
    torch.manual_seed(0)
    model = models.highway(in_features=8, width=16, depth=30, num_classes=2)
    x = torch.randn(64, 8)
    y = (x[:, 0] > 0).long()
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2


def test_xception_keys():
    keys = models.xception().state_dict().keys()
    assert {
        "conv1.weight", "bn2.running_var", "block1.skip.weight", "block1.skipbn.bias", "block1.rep.0.conv1.weight",
        "block1.rep.3.pointwise.weight", "block4.rep.1.conv1.weight", "block12.rep.5.weight", "conv3.pointwise.weight",
        "bn4.weight", "fc.bias",
    } <= keys  # fmt: skip
    assert not any("block4.skip" in key for key in keys)


def test_xception_leaves_its_blocks_inputs_alone():
    from rushlight.vision.models.xception import Block

    block = Block((4, 4, 4)).eval()
    x = torch.randn(1, 4, 5, 5)
    before = x.clone()
    block(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (31, 8)])
@pytest.mark.parametrize("bilinear", [False, True])
def test_unet_takes_any_size(size, bilinear):
    model = models.unet(width=2, depth=3, bilinear=bilinear, num_classes=5)
    assert tuple(model(torch.randn(2, 3, *size)).shape) == (2, 5, *size)


def test_unet_of_the_paper_is_smaller_than_its_input():
    model = models.unet(in_channels=1, width=1, norm=False, padding=0)
    assert tuple(model(torch.zeros(1, 1, 572, 572)).shape) == (1, 2, 388, 388)
    with pytest.raises(ValueError, match="depth"):
        models.unet(depth=0)


def test_variational_autoencoder():
    torch.manual_seed(0)
    model = models.variational_autoencoder(image_shape=(1, 4, 4), widths=(16,), latent_size=3)
    x = torch.rand(8, 1, 4, 4)
    output, mean, log_variance = model(x)
    assert output.shape == x.shape and mean.shape == log_variance.shape == (8, 3)
    divergence = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (0.5 * log_variance).exp()), torch.distributions.Normal(0.0, 1.0)
    )
    pixels = nn.functional.binary_cross_entropy(output, x, reduction="sum")
    torch.testing.assert_close(model.loss(x, output, mean, log_variance), (pixels + divergence.sum()) / 8)
    model.eval()
    assert torch.equal(model(x)[0], model(x)[0])  # the mean, not a draw
    assert model.sample(5).shape == (5, 1, 4, 4)


def test_dcgan_sizes_and_initialization():
    with pytest.raises(ValueError, match="power of 2"):
        models.dcgan_generator(image_size=48)
    torch.manual_seed(0)
    model = models.dcgan_discriminator()
    assert abs(model.main[2].weight.std().item() - 0.02) < 1e-3
    assert models.dcgan_generator(image_size=128, width=4)(torch.randn(1, 100)).shape == (1, 3, 128, 128)


def test_quantised_networks_are_refused():
    from rushlight.vision.models import quantization

    with pytest.raises(
        NotImplementedError, match=r"models.quantization.resnet18: networks with 8-bit weights"
    ):
        quantization.resnet18()
    assert not hasattr(quantization, "__path__")
