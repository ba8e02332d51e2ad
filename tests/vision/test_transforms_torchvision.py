"""Every transform and function of images against torchvision: values, draws, printed form and errors."""

import importlib
import random
import warnings

import numpy as np
import pytest

import rushlight
from rushlight.vision import transforms as ours

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")
from .datasets_oracle import torchvision  # noqa: E402


@pytest.fixture(scope="module")
def theirs():
    torchvision()
    return importlib.import_module("torchvision.transforms")


def pixels(height=17, width=23, channels=3):
    """A smooth picture with noise, so that neither sampling nor counting is trivial."""
    y, x, c = np.mgrid[:height, :width, :channels]
    wave = 120 + 70 * np.sin(y / 3 + c) + 50 * np.cos(x / 4 - c)
    return np.clip(wave + np.random.default_rng(0).normal(0, 12, wave.shape), 0, 255).astype(np.uint8)


ARRAY = pixels()
PIL = {
    "rgb": Image.fromarray(ARRAY),
    "grey": Image.fromarray(ARRAY[:, :, 0]),
    "small": Image.fromarray(pixels(4, 5)),
    "rgba": Image.fromarray(pixels(channels=4)),
}
PLANES = ARRAY.transpose(2, 0, 1).copy()
ARRAYS = {
    "bytes": PLANES,
    "floats": (PLANES / 255).astype(np.float32),
    "doubles": PLANES / 255,
    "batch": np.stack([PLANES, PLANES[::-1]]).astype(np.float32) / 255,
    "byte batch": np.stack([PLANES, PLANES[::-1]]),
    "one channel": PLANES[:1].astype(np.float32) / 255,
    "int32": PLANES.astype(np.int32) * 8_000_000,
}
ANY = ("rgb", "grey", "bytes", "floats", "batch", "doubles")
TENSORS = ("bytes", "floats", "batch", "one channel", "doubles")
COLOURS = ("rgb", "grey", "bytes", "floats", "one channel", "byte batch")
BYTES = ("rgb", "grey", "bytes", "byte batch")
SIDES = ("edge", "reflect", "symmetric")
NEAR, LINEAR, CUBIC = 0, 2, 3


def mode(T, number):
    return T.functional._interpolation_modes_from_int(number)


# Code of a transform with `T` for the module of transforms and `torch`, and the images that it takes.
TRANSFORMS = {
    "T.Compose([T.CenterCrop(10), T.ToTensor(), T.Normalize([0.5] * 3, [0.2] * 3)])": ("rgb",),
    "T.ToTensor()": ("rgb", "grey", "rgba"),
    "T.PILToTensor()": ("rgb", "grey", "rgba"),
    "T.ConvertImageDtype(torch.float32)": ("bytes", "int32", "doubles", "floats"),
    "T.ConvertImageDtype(torch.uint8)": ("int32", "doubles", "floats", "bytes"),
    "T.ConvertImageDtype(torch.int16)": ("bytes", "int32", "floats"),
    "T.ConvertImageDtype(torch.int64)": ("bytes", "int32"),
    "T.ToPILImage()": ("bytes", "floats", "one channel"),
    "T.ToPILImage('HSV')": ("bytes", "floats"),
    "T.ToPILImage(mode='YCbCr')": ("bytes",),
    "T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))": ("floats", "doubles", "batch"),
    "T.Normalize(0.5, 0.25)": ("floats",),
    "T.Normalize([0.5], [0.25], inplace=True)": ("floats",),
    "T.Resize(8)": ANY, "T.Resize((30, 11))": ANY, "T.Resize([9])": ANY, "T.Resize(17)": ANY,
    "T.Resize(12, max_size=14)": ANY, "T.Resize((8, 9), interpolation=NEAR)": ANY,
    "T.Resize((8, 9), interpolation=CUBIC)": ANY, "T.Resize((25, 9), antialias=False)": TENSORS,
    "T.Resize((8, 9), antialias=None)": TENSORS,
    "T.Resize((9, 30), interpolation=CUBIC, antialias=False)": TENSORS,
    "T.Resize((9, 30), interpolation=T.InterpolationMode.NEAREST_EXACT)": ANY,
    "T.Resize((9, 30), interpolation=T.InterpolationMode.LANCZOS)": ("rgb",),
    "T.Resize((9, 30), interpolation=4)": ("rgb",), "T.Resize((9, 30), interpolation=5)": ("rgb",),
    "T.CenterCrop(9)": ANY, "T.CenterCrop((8, 40))": ANY, "T.CenterCrop((40, 41))": ANY, "T.CenterCrop([6])": ANY,
    "T.Pad(3)": ANY, "T.Pad((1, 4))": ANY, "T.Pad([1, 2, 3, 4], fill=7)": ANY, "T.Pad([2], fill=(5, 6, 7))": ("rgb",),
    **{f"T.Pad((1, 2, 3, 4), padding_mode='{side}')": (*ANY, "rgba") for side in SIDES},
    "T.Pad((-1, 2, -3, 4))": ("floats",), "T.Pad((-1, 2, -3, 4), padding_mode='symmetric')": ANY,
    "T.Pad((-1, 2, -3, 4), padding_mode='edge')": ("rgb",),
    "T.Lambda(lambda x: x)": ("rgb",),
    "T.RandomApply([T.RandomCrop(9), T.RandomHorizontalFlip()], p=0.4)": ANY,
    "T.RandomChoice([T.CenterCrop(9), T.Pad(1), T.RandomVerticalFlip(1.0)])": ANY,
    "T.RandomChoice([T.CenterCrop(9), T.Pad(1)], p=[0.1, 0.9])": ANY,
    "T.RandomOrder([T.CenterCrop(9), T.Pad(1), T.RandomCrop(8)])": ANY,
    "T.RandomCrop(9)": ANY, "T.RandomCrop((17, 23))": ANY, "T.RandomCrop(20, padding=4)": ANY,
    "T.RandomCrop((30, 12), pad_if_needed=True, fill=3)": ANY,
    "T.RandomCrop((12, 30), (1, 2), True, padding_mode='reflect')": ANY,
    "T.FiveCrop(8)": ANY, "T.FiveCrop((8, 9))": ANY, "T.TenCrop(8)": ANY, "T.TenCrop((8, 9), vertical_flip=True)": ANY,
    "T.RandomHorizontalFlip()": ANY, "T.RandomVerticalFlip(p=0.3)": ANY,
    "T.RandomPerspective(p=0.8)": ANY, "T.RandomPerspective(0.3, 1.0, NEAR, fill=9)": ANY,
    "T.RandomPerspective(0.6, 1.0, LINEAR, fill=(1, 2, 3))": ("rgb", "bytes", "floats"),
    "T.RandomPerspective(0.6, 1.0, CUBIC)": ("rgb", "grey"),
    "T.RandomResizedCrop(12)": ANY, "T.RandomResizedCrop((9, 14), (0.2, 0.5), (0.5, 2.0), CUBIC)": ANY,
    "T.RandomResizedCrop(9, (1.0, 1.0), (5.0, 6.0))": ANY, "T.RandomResizedCrop(9, (1.0, 1.0), (0.1, 0.2))": ANY,
    "T.LinearTransformation(torch.eye(3 * 17 * 23) * 2, torch.full((3 * 17 * 23,), 0.5))": ("floats",),
    "T.ColorJitter(0.4, 0.4, 0.4, 0.2)": ("rgb", "grey", "floats", "one channel"),
    "T.ColorJitter(brightness=(0.5, 3.0))": COLOURS, "T.ColorJitter(contrast=0.7)": ("rgb", "grey", "floats"),
    "T.ColorJitter(saturation=2)": ("rgb", "grey", "floats"), "T.ColorJitter(hue=0.5)": COLOURS, "T.ColorJitter()": COLOURS,
    "T.RandomRotation(40)": ANY, "T.RandomRotation((10, 80), LINEAR, fill=5)": ANY,
    "T.RandomRotation(40, expand=True)": ANY, "T.RandomRotation(40, LINEAR, center=(3, 5))": ANY,
    "T.RandomRotation([30, 31], CUBIC, fill=(1, 2, 3))": ("rgb",), "T.RandomRotation(0, fill=None)": ANY,
    "T.RandomAffine(30)": ANY, "T.RandomAffine(0, translate=(0.2, 0.3))": ANY,
    "T.RandomAffine((-5, 20), (0.1, 0.2), (0.7, 1.4), 10, LINEAR, fill=6)": ANY,
    "T.RandomAffine(10, scale=(0.5, 0.9), shear=(1, 5, -9, 9), center=(2, 3))": ANY,
    "T.RandomAffine(15, shear=[3, 7], interpolation=CUBIC, fill=(9, 8, 7))": ("rgb",),
    "T.Grayscale()": COLOURS, "T.Grayscale(3)": ("rgb", "grey", "bytes", "floats"), "T.RandomGrayscale(0.5)": COLOURS,
    "T.RandomErasing(p=0.8)": TENSORS, "T.RandomErasing(1, (0.1, 0.2), (0.5, 1.0), 'random')": ("floats", "batch"),
    "T.RandomErasing(1.0, value=(1, 2, 3))": ("floats", "bytes"), "T.RandomErasing(1.0, value=0.5, inplace=True)": ("floats",),
    "T.RandomErasing(1.0, (0.9, 1.0), (3.0, 4.0))": ("floats",),
    "T.GaussianBlur(5)": ("rgb", "grey", "bytes", "floats", "doubles", "batch"), "T.GaussianBlur((3, 7), 1.5)": ("bytes", "floats"),
    "T.RandomInvert()": COLOURS, "T.RandomPosterize(3)": BYTES, "T.RandomPosterize(8, 1.0)": BYTES,
    "T.RandomPosterize(0, 1.0)": ("bytes", "byte batch"), "T.RandomSolarize(128, 0.7)": BYTES, "T.RandomSolarize(0.4, 0.7)": ("floats",),
    "T.RandomAdjustSharpness(2.5)": COLOURS, "T.RandomAdjustSharpness(0.0, 1.0)": (*COLOURS, "small"),
    "T.RandomAutocontrast(0.9)": COLOURS, "T.RandomEqualize(0.9)": BYTES,
    "T.ElasticTransform(alpha=30.0, sigma=2.0)": ("rgb", "grey", "floats", "doubles", "batch"),
    "T.ElasticTransform([20.0, 40.0], [1.0, 3.0], NEAR, fill=3)": ("floats",),
    "T.AutoAugment()": ("rgb", "bytes"), "T.AutoAugment(T.AutoAugmentPolicy.CIFAR10, fill=9)": ("rgb", "grey", "bytes"),
    "T.AutoAugment(T.AutoAugmentPolicy.SVHN, mode(T, LINEAR))": ("rgb",),
    "T.RandAugment()": ("rgb", "grey", "bytes"), "T.RandAugment(3, 20, 31, mode(T, LINEAR), [1, 2, 3])": ("rgb",),
    "T.TrivialAugmentWide()": ("rgb", "grey", "bytes"), "T.TrivialAugmentWide(11, fill=128)": ("rgb",),
    "T.AugMix()": ("rgb", "bytes"), "T.AugMix(5, 2, 2, 0.5, all_ops=False)": ("rgb",),
}  # fmt: skip

# Byte images are truncated or rounded after float32 arithmetic whose order differs: one step apart is allowed.
ROUNDED = (
    "Jitter",
    "Blur",
    "Elastic",
    "Mix",
    "Augment",
    "Perspective",
    "Rotation",
    "Affine",
    "Resize",
    "Sharpness",
    "Convert",
)
FUNCTIONS = {
    "F.get_dimensions(x)": ANY, "F.get_image_size(x)": ANY, "F.get_image_num_channels(x)": ANY,
    "F.to_pil_image(x)": ("bytes",), "F.crop(x, -2, 3, 10, 40)": ANY, "F.crop(x, 30, 30, 4, 4)": ("bytes", "rgb"),
    "F.crop(x, 2, 3, 4, 5)": ANY, "F.hflip(x)": ANY, "F.vflip(x)": ANY, "F.resized_crop(x, 1, 2, 9, 10, [5, 6])": ANY,
    "F.adjust_gamma(x, 2.2)": COLOURS, "F.adjust_gamma(x, 0.5, gain=0.8)": COLOURS, "F.adjust_hue(x, -0.3)": COLOURS,
    "F.to_grayscale(x, 3)": ("rgb", "grey"), "F.rotate(x, 90)": ANY, "F.rotate(x, 90, expand=True)": ANY,
    "F.rotate(x, 33.3, T.InterpolationMode.BILINEAR, True, fill=[0.5])": ANY, "F.rotate(x, -12, center=[0, 0])": ANY,
    "F.affine(x, 10, [1, 2], 1.2, [5.0])": ANY, "F.affine(x, 0, (3, 0), 1.0, 7)": ANY, "F.affine(x, 0, [0, 0], 1.0, [0, 0])": ANY,
    "F.gaussian_blur(x, 3)": ANY, "F.gaussian_blur(x, [3, 5], [0.5, 2.0])": ("rgb", "floats"),
    "F.solarize(x, 100)": BYTES, "F.equalize(x)": BYTES, "F.invert(x)": (*COLOURS, "int32"),
    "F.perspective(x, [[0, 0], [22, 0], [22, 16], [0, 16]], [[2, 1], [20, 3], [22, 15], [1, 13]])": ANY,
    "F.adjust_contrast(x, 0.0)": ("floats", "rgb"), "F.autocontrast(x * 0 + 1)": ("floats",), "F.five_crop(x, [4])": ANY,
}  # fmt: skip


def image(name, lib):
    return PIL[name] if name in PIL else lib.from_numpy(ARRAYS[name].copy())


def run(function, lib, seeds=(0,)):
    """Results for these seeds."""
    out = []
    for seed in seeds:
        lib.manual_seed(seed)
        random.seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out.append(function())
    return out


def same(got, want, rounded):
    if isinstance(want, (list, tuple)):
        assert type(got) is type(want) and len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            same(a, b, rounded)
    elif isinstance(want, torch.Tensor):
        assert isinstance(got, rushlight.Tensor) and str(got.dtype) == str(want.dtype)
        assert got.shape == tuple(want.shape)
        a, b = got.numpy(), want.numpy()
        if want.dtype is torch.uint8 and rounded:
            apart = np.abs(a.astype(int) - b)
            assert apart.max(initial=0) <= 1 and np.mean(apart) < 0.01
        else:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    elif isinstance(want, Image.Image):
        assert (got.mode, got.size) == (want.mode, want.size)
        apart = np.abs(np.asarray(got).astype(int) - np.asarray(want))
        assert apart.max(initial=0) <= (1 if rounded == "mixed" else 0)
    else:
        assert got == want


def build(code, T, lib):
    return eval(code, {"T": T, "torch": lib, "NEAR": NEAR, "LINEAR": LINEAR, "CUBIC": CUBIC, "mode": mode})


@pytest.mark.parametrize("code", TRANSFORMS)
def test_transform(theirs, code):
    a, b = build(code, ours, rushlight), build(code, theirs, torch)
    if "lambda" not in code:
        assert repr(a) == repr(b) or "rushlight" in repr(a)
    seeds = range(4 if "Mix" in code else 12 if "Aug" in code else 3)
    rounded = any(name in code for name in ROUNDED)
    if "Mix" in code:
        rounded = "mixed"  # also for Pillow images, which become tensors here
    for name in TRANSFORMS[code]:
        got = run(lambda a=a, name=name: a(image(name, rushlight)), rushlight, seeds)
        want = run(lambda b=b, name=name: b(image(name, torch)), torch, seeds)
        same(got, want, rounded)


@pytest.mark.parametrize("code", FUNCTIONS)
def test_function(theirs, code):
    def call(T, lib, name):
        return eval(code, {"F": T.functional, "T": T, "x": image(name, lib)})

    for name in FUNCTIONS[code]:
        same(call(ours, rushlight, name), call(theirs, torch, name), rounded=True)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "uint8", "bool"])
def test_arrays_to_tensors_and_images(theirs, dtype):
    for shape in ((4, 5), (4, 5, 1), (4, 5, 3)):
        x = (np.arange(np.prod(shape)).reshape(shape) % 7).astype(dtype)
        same(ours.ToTensor()(x), theirs.ToTensor()(x), False)
    x = np.arange(20).reshape(4, 5).astype("float32" if dtype == "bool" else dtype) / 1
    x = x.astype("float32" if dtype == "bool" else dtype)
    a, b = (T.functional.to_pil_image(x) for T in (ours, theirs))
    same(a, b, False)
    same(ours.ToTensor()(a), theirs.ToTensor()(b), False)
    same(ours.PILToTensor()(a), theirs.PILToTensor()(b), False)


def test_pillow_modes_to_tensors(theirs):
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LA", "I", "F", "I;16"):
        picture = PIL["rgb"].convert("L").convert(mode) if mode == "I;16" else PIL["rgb"].convert(mode)
        for name in ("ToTensor", "PILToTensor"):
            same(getattr(ours, name)()(picture), getattr(theirs, name)()(picture), False)
    for mode in ("P", "1"):
        picture = PIL["rgb"].convert(mode)
        for name in ("constant", "edge"):
            same(ours.Pad(2, padding_mode=name)(picture), theirs.Pad(2, padding_mode=name)(picture), False)


WRONG = [
    "T.Resize(1.5)", "T.Resize((1, 2, 3))", "T.CenterCrop((1, 2, 3))", "T.Pad('a')", "T.Pad(1, fill='a')",
    "T.Pad(1, padding_mode='circular')", "T.Pad((1, 2, 3))", "T.Lambda(3)", "T.RandomChoice(3)", "T.RandomOrder(3)",
    "T.RandomChoice([], p=0.5)", "T.RandomCrop((1, 2, 3))", "T.RandomCrop(50)(rgb)", "T.RandomCrop(50)(x)",
    "T.RandomPerspective(fill='a'.encode)", "T.RandomResizedCrop(3, scale=1)", "T.RandomResizedCrop(3, ratio=1)",
    "T.LinearTransformation(torch.zeros(2, 3), torch.zeros(2))", "T.LinearTransformation(torch.eye(2), torch.zeros(3))",
    "T.LinearTransformation(torch.eye(2), torch.zeros(2).double())", "T.LinearTransformation(torch.eye(2), torch.zeros(2))(x)",
    "T.ColorJitter(-1)", "T.ColorJitter((3, 1))", "T.ColorJitter(hue=0.6)", "T.ColorJitter('a')", "T.RandomRotation(-3)",
    "T.RandomRotation((1, 2, 3))", "T.RandomRotation(3, center=3)", "T.RandomRotation(3, fill=len)",
    "T.RandomAffine(3, translate=(2, 1))", "T.RandomAffine(3, translate=1)", "T.RandomAffine(3, scale=(0, 1))",
    "T.RandomAffine(3, shear=(1, 2, 3))", "T.RandomErasing(value=None)", "T.RandomErasing(value='a')",
    "T.RandomErasing(scale=(-1, 1))", "T.RandomErasing(p=2)", "T.RandomErasing(scale=1)", "T.RandomErasing(1, value=(1, 2))(x)",
    "T.GaussianBlur(4)", "T.GaussianBlur(3, -1)", "T.GaussianBlur(3, (2, 1))", "T.GaussianBlur(3, 'a')",
    "T.ElasticTransform(1)", "T.ElasticTransform([1.0])", "T.ElasticTransform(sigma=[1, 2])", "T.ElasticTransform(fill='a')",
    "T.AutoAugment('x')", "T.AugMix(11)", "T.Normalize([0.5], [0.0])(x)", "T.Normalize([0.5], [1.0])(x[0])",
    "T.Normalize([0.5], [1.0])(x.long())", "T.Normalize([0.5], [1.0])(rgb)", "T.ToTensor()(x)", "T.ToTensor()(np.zeros(3))",
    "T.PILToTensor()(x)", "T.ToPILImage()(rgb)", "T.ToPILImage()(x[None])", "T.ToPILImage('L')(x)", "T.ToPILImage()(x[0, 0])",
    "T.ToPILImage()(torch.zeros(5, 3, 3))", "T.ToPILImage('RGB')(x[:1])", "T.ToPILImage()(x.long())",
    "T.ConvertImageDtype(torch.int32)(x)", "T.ConvertImageDtype(torch.int64)(x)", "F.convert_image_dtype(3)",
    "F.resize(x, [1, 2, 3])", "F.resize(x, [3, 4], max_size=5)", "F.resize(x, 5, max_size=4)", "F.resize(x, 5, 'bilinear')",
    "F.resize(3, 5)", "F.hflip(3)", "F.hflip(x[0, 0])", "F.pad(x, 'a')", "F.pad(x, 1, fill='a')", "F.pad(x, (1, 2, 3))",
    "F.pad(x, 1, padding_mode=3)", "F.pad(x, 1, padding_mode='a')", "F.pad(rgb, 1, fill=(1, 2))", "F.five_crop(x, 90)",
    "F.five_crop(x, (1, 2, 3))", "F.adjust_brightness(x, -1)", "F.adjust_contrast(x, -1)", "F.adjust_saturation(x, -1)",
    "F.adjust_hue(x, 1)", "F.adjust_hue(rgb, 1)", "F.adjust_gamma(x, -1)", "F.adjust_gamma(rgb, -1)", "F.adjust_sharpness(x, -1)",
    "F.adjust_brightness(x[:2], 1)", "F.rgb_to_grayscale(x, 2)", "F.rgb_to_grayscale(rgb, 2)", "F.rgb_to_grayscale(x[0])",
    "F.to_grayscale(x)", "F.erase(rgb, 0, 0, 1, 1, 0)", "F.gaussian_blur(x, 2)", "F.gaussian_blur(x, 'a')",
    "F.gaussian_blur(x, [3, 3, 3])", "F.gaussian_blur(x, 3, 'a')", "F.gaussian_blur(x, 3, [1.0] * 3)", "F.gaussian_blur(x, 3, 0.0)",
    "F.gaussian_blur(4, 3)", "F.posterize(x, 9)", "F.posterize(x, 3)", "F.solarize(x, 3)", "F.equalize(x)", "F.equalize(x[0])",
    "F.invert(x[0])", "F.rotate(x, 'a')", "F.rotate(x, 3, center=3)", "F.rotate(x, 3, 'a')", "F.rotate(x, 3, T.InterpolationMode.BICUBIC)",
    "F.rotate(x, 3, fill=[1, 2])", "F.affine(x, 'a', [0, 0], 1, 0)", "F.affine(x, 1, 0, 1, 0)", "F.affine(x, 1, [0], 1, 0)",
    "F.affine(x, 1, [0, 0], 0, 0)", "F.affine(x, 1, [0, 0], 1, 'a')", "F.affine(x, 1, [0, 0], 1, [1, 2, 3])",
    "F.affine(x, 1, [0, 0], 1, 0, center=3)", "F.perspective(x, [[0, 0]], [[0, 0]])", "F.elastic_transform(x, 3)",
    "F.elastic_transform(x, torch.zeros(1, 2, 3, 2))", "F.get_dimensions(3)", "F.get_image_size(3)", "F.autocontrast(x[0])",
]  # fmt: skip


@pytest.mark.parametrize("code", WRONG)
def test_errors(theirs, code):
    raised = []
    for T, lib in ((ours, rushlight), (theirs, torch)):
        names = {
            "T": T,
            "F": T.functional,
            "torch": lib,
            "np": np,
            "rgb": PIL["rgb"],
            "x": image("floats", lib),
        }
        with pytest.raises(Exception) as info:
            eval(code, names)
        raised.append(info)
    got, want = raised
    assert got.type is want.type
    message = str(got.value).split(" (in layer")[0]
    if want.type in (ValueError, TypeError) and not any(
        word in message for word in ("rushlight", "supplied for")
    ):
        assert message == str(want.value)


def test_names(theirs):
    for module in ("functional", "transforms", "autoaugment"):
        a, b = getattr(ours, module), getattr(theirs, module)
        public = getattr(
            b, "__all__", [n for n in vars(b) if getattr(vars(b)[n], "__module__", "") == b.__name__]
        )
        assert not [name for name in public if not hasattr(a, name) and not name.startswith("_")]
    assert not [name for name in theirs.transforms.__all__ if not hasattr(ours, name)]
