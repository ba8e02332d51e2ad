"""What transforms must do, whether or not torchvision is there to compare with."""

import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

import rushlight as torch
from rushlight.vision import transforms as T

F = T.functional
GRID = torch.arange(24.0).reshape(1, 4, 6)


def test_flips_and_crops():
    assert torch.equal(F.hflip(GRID)[0, 0], torch.arange(5.0, -1, -1))
    assert torch.equal(F.vflip(GRID)[0, :, 0], torch.tensor([18.0, 12, 6, 0]))
    assert torch.equal(T.CenterCrop(2)(GRID), torch.tensor([[[8.0, 9], [14, 15]]]))
    corners = T.FiveCrop(1)(GRID)
    assert [c.item() for c in corners[:4]] == [0, 5, 18, 23]
    assert len(T.TenCrop(2)(GRID)) == 10
    assert T.CenterCrop((6, 8))(GRID).sum() == GRID.sum()
    for top, left, height, width in ((-1, -2, 3, 4), (3, 5, 4, 4), (8, 8, 2, 2), (-9, 0, 2, 2)):
        assert F.crop(GRID, top, left, height, width).shape == (1, height, width)


def test_sizes():
    for size, shape in ((2, (1, 2, 3)), ((3, 5), (1, 3, 5)), ((9, 2), (1, 9, 2))):
        for mode in (T.InterpolationMode.NEAREST, T.InterpolationMode.BILINEAR, T.InterpolationMode.BICUBIC):
            assert T.Resize(size, mode)(GRID).shape == shape
    assert T.Resize(8, max_size=9)(GRID).shape == (1, 6, 9)
    constant = torch.full((3, 9, 11), 0.25)
    assert torch.allclose(T.Resize((4, 5))(constant), torch.full((3, 4, 5), 0.25))
    assert T.RandomResizedCrop(5)(constant).shape == (3, 5, 5)
    assert T.RandomRotation((90, 90), expand=True)(GRID).shape == (1, 6, 4)


def test_padding():
    row = torch.tensor([[[1.0, 2.0, 3.0]]]).expand(1, 3, 3)
    wanted = {"constant": [0, 0, 1, 2, 3, 0], "edge": [1, 1, 1, 2, 3, 3], "reflect": [3, 2, 1, 2, 3, 2],
              "symmetric": [2, 1, 1, 2, 3, 3]}  # fmt: skip
    for mode, values in wanted.items():
        assert F.pad(row, [2, 0, 1, 0], padding_mode=mode)[0, 0].tolist() == values


def test_rotation_turns_counter_clockwise():
    square = torch.arange(9.0).reshape(1, 3, 3)
    assert torch.equal(F.rotate(square, 90), square.rot90(1, (1, 2)))
    moved = F.affine(square, 0, [1, 0], 1.0, 0, fill=[7.0])
    assert moved[0].tolist() == [[7, 0, 1], [7, 3, 4], [7, 6, 7]]


def test_colours():
    picture = torch.rand(3, 8, 9)
    assert torch.allclose(F.adjust_hue(picture, 0.0), picture, atol=1e-6)
    assert torch.allclose(F.adjust_hue(F.adjust_hue(picture, 0.3), -0.3), picture, atol=1e-5)
    assert torch.equal(F.invert(F.invert(picture.mul(255).byte())), picture.mul(255).byte())
    grey = F.rgb_to_grayscale(picture, 3)
    assert torch.allclose(F.adjust_saturation(picture, 0.0), grey, atol=1e-6)
    assert torch.equal(grey[0], grey[1])
    assert F.adjust_brightness(picture, 0.0).abs().max() == 0
    assert F.adjust_contrast(picture, 0.0).std() < 1e-6
    stretched = F.autocontrast(picture)
    assert (stretched.amin(dim=(1, 2)) == 0).all()
    assert torch.allclose(stretched.amax(dim=(1, 2)), torch.ones(3))
    assert torch.equal(
        F.posterize(torch.tensor([[[200, 31]]], dtype=torch.uint8), 3), torch.tensor([[[192, 0]]])
    )
    blurred = F.gaussian_blur(picture, 5)
    assert blurred.std() < picture.std()


def test_to_tensor_and_normalize():
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    out = T.ToTensor()(array)
    assert out.shape == (3, 2, 4)
    assert out.is_contiguous()
    assert torch.equal(out, torch.from_numpy(array).permute(2, 0, 1) / 255)
    normal = T.Normalize([0.1, 0.2, 0.3], [0.5, 0.6, 0.7])
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (normal.mean, normal.std))
    assert torch.equal(normal(out), (out - mean) / std)
    wanted = out.clone()
    assert normal(out) is not out and torch.equal(out, wanted)
    other = T.Normalize(normal.mean, normal.std, inplace=True)
    assert other(out) is out and not torch.equal(out, wanted)


def test_gradients_pass():
    picture = torch.rand(3, 8, 9, requires_grad=True)
    chain = T.Compose([
        T.Normalize([0.5] * 3, [0.25] * 3), T.RandomHorizontalFlip(1.0), T.RandomCrop(6), T.Resize(4),
        T.RandomRotation(20, T.InterpolationMode.BILINEAR), T.GaussianBlur(3),
    ])  # fmt: skip
    chain(picture).sum().backward()
    assert picture.grad.abs().sum() > 0


def test_means_that_require_gradients():
    mean = torch.tensor([0.5], requires_grad=True)
    F.normalize(torch.ones(1, 2, 2), mean, [0.5]).sum().backward()
    assert mean.grad.item() == -8


def test_draws():
    picture = torch.rand(3, 12, 12)
    chain = T.Compose(
        [
            T.RandomCrop(8, padding=2),
            T.RandomHorizontalFlip(),
            T.RandomErasing(),
            T.RandomAffine(20, (0.1, 0.2)),
        ]
    )
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(chain(picture))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    torch.manual_seed(0)
    kept = sum(torch.equal(T.RandomVerticalFlip(0.25)(picture), picture) for _ in range(200))
    assert 130 <= kept <= 170
    random.seed(0)
    chosen = {T.RandomChoice([T.CenterCrop(k) for k in (2, 3)])(picture).shape[-1] for _ in range(20)}
    assert chosen == {2, 3}


def test_policies_keep_type_and_size():
    picture = (torch.rand(3, 12, 14) * 255).byte()
    for policy in T.AutoAugmentPolicy:
        assert len(T.AutoAugment(policy).policies) == 25
        assert T.AutoAugment(policy)(picture).shape == picture.shape
    for transform in (T.RandAugment(4), T.TrivialAugmentWide(), T.AugMix()):
        for _ in range(5):
            out = transform(picture)
            assert out.dtype is torch.uint8
            assert out.shape == picture.shape


def test_transforms_are_pickled():
    for transform in (T.RandomCrop(3), T.ColorJitter(0.5), T.AutoAugment(), T.Compose([T.ToTensor()])):
        assert repr(pickle.loads(pickle.dumps(transform))) == repr(transform)


def test_pillow_images():
    image = pytest.importorskip("PIL.Image")
    array = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    picture = image.fromarray(array)
    assert np.array_equal(np.asarray(F.hflip(picture)), array[:, ::-1])
    assert np.array_equal(np.asarray(F.pad(picture, 1))[1:-1, 1:-1], array)
    assert T.Resize((4, 5))(picture).size == (5, 4)
    assert np.array_equal(np.asarray(T.ToPILImage()(T.ToTensor()(picture))), array)
    assert torch.equal(T.PILToTensor()(picture), torch.from_numpy(array.transpose(2, 0, 1).copy()))
    with pytest.raises(TypeError, match="Tensor Image"):
        F.normalize(picture, [0.5], [0.5])


def test_without_pillow():
    program = """
import sys
sys.modules["PIL"] = None
import rushlight as torch
from rushlight.vision import transforms as T
print(tuple(T.Compose([T.Resize(4), T.RandomCrop(3), T.ColorJitter(0.5)])(torch.rand(3, 8, 8)).shape))
try:
    T.ToPILImage()(torch.rand(3, 8, 8))
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.stdout.splitlines()[:1] == ["(3, 3, 3)"], run.stderr
    assert "pip install pillow" in run.stdout


def test_runner_finds_them_as_torchvision():
    program = (
        "import rushlight.as_torch, torchvision\nfrom torchvision import transforms\n"
        "import torchvision.transforms.functional as F\nfrom torchvision.transforms import InterpolationMode\n"
        "print(transforms.Compose([transforms.ToTensor()]), torchvision.transforms.functional is F)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.stdout.split() == ["Compose(", "ToTensor()", ")", "True"], run.stderr


def test_normalize_more_means_than_channels():
    from rushlight.vision.transforms import functional

    with pytest.raises(RuntimeError):
        functional.normalize(torch.zeros(1, 2, 2), [0.5] * 3, [0.5] * 3)
    assert functional.normalize(torch.zeros(3, 2, 2), [0.5], [0.5]).shape == (3, 2, 2)
