"""Tensors that say what they are, and the errors of transforms of whole samples."""

import copy
import importlib
import pickle
import re

import numpy as np
import pytest

import rushlight
from rushlight.utils.data import DataLoader
from rushlight.vision import tv_tensors
from rushlight.vision.transforms import v2

from .datasets_oracle import torchvision

torch = pytest.importorskip("torch")

MADE = {
    "Image": ("Image", [[[0.0, 1.0], [2.0, 3.0]]], {}),
    "flat image": ("Image", [[0, 1], [2, 3]], {}),
    "Mask": ("Mask", [[1, 0], [0, 1]], {}),
    "BoundingBoxes": (
        "BoundingBoxes",
        [[1, 2, 3, 4], [3, 4, 5, 6]],
        {"format": "xywh", "canvas_size": (8, 9)},
    ),
    "one box": (
        "BoundingBoxes",
        [1, 2, 3, 4],
        {"format": "CXCYWH", "canvas_size": (8, 9), "clamping_mode": None},
    ),
    "KeyPoints": ("KeyPoints", [[1.0, 2.5]], {"canvas_size": (8, 9)}),
}
# What users do, with `x` the tensor and `l` the framework.
USES = [
    "x", "x + 1", "1 - x", "x.clone()", "x.to(l.float64)", "x.float()", "x[0]", "x.detach()", "l.ones(1) * x", "x.max(0)[0]",
    "x.unbind(0)", "x == x", "x.reshape(-1)", "x.sum()", "x.add_(1)", "-x", "x.numpy().tolist()", "x.tolist()", "list(x)",
    "x.shape", "x.dtype", "x.clone().requires_grad_(False)", "x.chunk(2)",
]  # fmt: skip


# In the other mode functions aren't followed here, and lists of numbers are an error there.
OF_THE_DEFAULT = ("list(x)", "x.tolist()", "x.add_(1)", "l.ones(1) * x", "x.max(0)[0]")


@pytest.fixture(scope="module")
def kinds():
    torchvision()
    return importlib.import_module("torchvision.tv_tensors")


@pytest.mark.parametrize("name", MADE)
def test_uses(kinds, name):
    kind, data, settings = MADE[name]
    for chosen in ("Tensor", "TVTensor"):
        for code in USES:
            if chosen == "TVTensor" and code in OF_THE_DEFAULT:
                continue
            out = []
            for module, lib in ((tv_tensors, rushlight), (kinds, torch)):
                x = getattr(module, kind)(data, **settings)
                with module.set_return_type(chosen):
                    out.append(repr(eval(code, {"x": x, "l": lib})))
            assert out[0] == out[1], (chosen, code)


@pytest.mark.parametrize("name", MADE)
def test_copies(name):
    kind, data, settings = MADE[name]
    x = getattr(tv_tensors, kind)(data, **settings)
    for other in (
        copy.copy(x),
        copy.deepcopy(x),
        pickle.loads(pickle.dumps(x)),
        tv_tensors.wrap(x + 0, like=x),
    ):
        assert repr(other) == repr(x)
    leaf = rushlight.tensor(data, dtype=rushlight.float32, requires_grad=True)
    (getattr(tv_tensors, kind)(leaf, **settings) * 2).sum().backward()
    assert leaf.grad.unique().tolist() == [2.0]
    assert copy.deepcopy(getattr(tv_tensors, kind)(leaf, **settings)).requires_grad


REFUSED = [
    ("k.Image([1.0])", "Tensor must be 2D or higher"),
    ("k.BoundingBoxes([[[1, 2, 3, 4]]], format='XYXY', canvas_size=(3, 3))", "Expected a 1D or 2D tensor, got 3D"),
    ("k.BoundingBoxes([1, 2, 3, 4], format='XYXY', canvas_size=(3, 3), clamping_mode='x')", "clamping_mode must be None"),
    ("k.BoundingBoxes([1, 2, 3, 4, 5], format='XYWHR', canvas_size=(3, 3))", "should be floating point tensors, got"),
    ("k.KeyPoints([[1, 2, 3]], canvas_size=(3, 3))", "Expected a tensor of shape (..., 2)"),
    ("k.set_return_type('x')", "return_type must be 'TVTensor' or 'Tensor', got x"),
    ("k.is_rotated_bounding_format(3)", "format should be str or BoundingBoxFormat"),
    ("T.Resize(None)", "max_size must be an integer when size is None"),
    ("T.Resize((1, 2, 3))", "size can be an integer, a sequence of one or two integers"),
    ("T.Compose([])", "Pass at least one transform"), ("T.Compose(3)", "Argument transforms should be a sequence of callables"),
    ("T.RandomChoice([len], p=[1, 2])", "Length of p doesn't match the number of transforms: 2 != 1"),
    ("T.RandomHorizontalFlip(2)", "`p` should be a floating point value in the interval [0.0, 1.0]."),
    ("T.Pad('a')", "Padding must be an int or a 1, 2, or 4 element of tuple or list"),
    ("T.Pad(1, fill='a')", "Got inappropriate fill arg"), ("T.Pad(1, padding_mode='a')", "Padding mode should be either"),
    ("T.ColorJitter(-1)", "If brightness is a single number, it must be non negative."),
    ("T.ColorJitter(hue=1)", "hue values should be between (-0.5, 0.5)"), ("T.ToDtype(3)", "dtype must be a dict or a torch.dtype"),
    ("T.JPEG(0)", "quality must be an integer from 1 to 100"), ("T.JPEG(True)", "quality can't be bool"),
    ("T.SanitizeBoundingBoxes(0)", "min_size must be >= 1, got 0."), ("T.SetClampingMode('x')", "clamping_mode must be soft, hard or None"),
    ("T.RandomCrop(9)(l.ones(1, 4, 4))", "Required crop size (9, 9) is larger than input image size (4, 4)."),
    ("T.MixUp()(l.ones(2, 1, 4, 4), l.tensor([0, 1]))", "num_classes must be passed if the labels are index-based"),
    ("T.MixUp(num_classes=2)(l.ones(1, 4, 4), l.tensor([0, 1]))", "Expected a batched input with 4 dims, but got 3"),
    ("T.CutMix(num_classes=2)(l.ones(3, 1, 4, 4), l.tensor([0, 1]))", "does not match the batch size of the labels: 3 != 2."),
    ("T.MixUp(num_classes=2)(l.ones(3, 1, 4, 4), 'a')", "must be a dictionary or a two-tuple"),
    ("T.SanitizeBoundingBoxes()({'labels': l.ones(1)})", "No bounding boxes were found in the sample"),
    ("T.SanitizeBoundingBoxes()({'x': 1})", "Could not infer where the labels are in the sample."),
    ("T.RandomIoUCrop()(l.ones(1, 4, 4))", "requires input sample to contain tensor or PIL images and bounding boxes"),
    ("T.Normalize([0.5], [0.5])(l.ones(1, 2, 2, dtype=l.uint8))", "Input tensor should be a float tensor. Got torch.uint8."),
    ("T.RandomGrayscale(1.0)({'a': 3})", "No image or video was found in the sample"),
    ("T.AutoAugment()({'a': 3})", "Found no image in the sample."),
    ("T.FiveCrop(2)(k.Mask(l.ones(4, 4)))", "are not supported by FiveCrop()"),
    ("F.resize('a', 3)", "Functional F.resize supports inputs of type"),
    ("F.gaussian_noise(l.ones(1, 2, 2, dtype=l.int32))", "Input tensor is expected to be in uint8 or float dtype"),
    ("F.permute_channels(l.ones(2, 2, 2), [0])", "Length of permutation does not match number of channels: 1 != 2"),
    ("F.convert_bounding_box_format(l.ones(1, 4), new_format='XYXY')", "For pure tensor inputs, `old_format` has to be passed."),
    ("F.convert_bounding_box_format(l.ones(1, 4), 'XYXY', 'XYWHR')", "Cannot convert between rotated and unrotated"),
    ("F.clamp_bounding_boxes(l.ones(1, 4))", "For pure tensor inputs, `format`, `canvas_size` and `clamping_mode` have to be"),
    ("F.perspective(l.ones(1, 2, 2), None, None)", "Either the startpoints/endpoints or the coefficients must have"),
    ("F.pad(l.ones(1, 2, 2), (1, 2, 3))", "Padding must be an int or a 1, 2, or 4 element tuple or list. Found 3"),
    ("F.register_kernel('x', k.Image)", "Could not find functional with name 'x'"),
    ("F.register_kernel('resize', k.Image)", "Kernels cannot be registered for the builtin tv_tensor classes"),
]  # fmt: skip


@pytest.mark.parametrize("code, message", REFUSED)
def test_errors(kinds, code, message):
    theirs = importlib.import_module("torchvision.transforms.v2")
    caught = []
    for T, k, lib in ((v2, tv_tensors, rushlight), (theirs, kinds, torch)):
        with pytest.raises((ValueError, TypeError)) as error:
            eval(code, {"T": T, "F": T.functional, "k": k, "l": lib})
        caught.append(error)
    assert caught[0].type is caught[1].type
    for error in caught:
        assert message in re.sub(r"\s+", " ", str(error.value))


ROTATED = np.array([[4.0, 3.0, 6.0, 3.0, 30.0], [10.0, 8.0, 4.0, 5.0, -100.0]], np.float32)


@pytest.mark.parametrize("format", ["XYWHR", "CXCYWHR", "XYXYXYXY"])
@pytest.mark.parametrize(
    "code",
    [
        "F.horizontal_flip(x)", "F.vertical_flip(x)", "F.pad(x, [1, 2, 3, 4])", "F.crop(x, 1, 2, 9, 10)", "F.resize(x, (30, 17))",
        "F.rotate(x, 33.0, expand=True)", "F.affine(x, 10.0, [1, 2], 1.5, [3.0, 4.0])", "F.center_crop(x, 12)",
        "F.convert_bounding_box_format(x, new_format='XYXYXYXY')", "F.convert_bounding_box_format(x, new_format='CXCYWHR')",
        "F.convert_bounding_box_format(x, new_format='XYWHR')", "F.sanitize_bounding_boxes(x)[0]",
        "F.perspective(x, [[0, 0], [22, 0], [22, 16], [0, 16]], [[1, 2], [20, 1], [21, 15], [2, 14]])",
    ],
)  # fmt: skip
def test_rotated_boxes(kinds, format, code):
    """Where they aren't cut to the picture, they go where torchvision's go."""
    theirs = importlib.import_module("torchvision.transforms.v2.functional")
    out = []
    for F, k, lib in ((v2.functional, tv_tensors, rushlight), (theirs, kinds, torch)):
        numbers = F.convert_bounding_box_format(lib.from_numpy(ROTATED.copy()), "XYWHR", format)
        x = k.BoundingBoxes(numbers, format=format, canvas_size=(17, 23), clamping_mode=None)
        out.append(eval(code, {"F": F, "x": x}))
    assert out[0].format.value == out[1].format.value and tuple(out[0].canvas_size) == tuple(
        out[1].canvas_size
    )
    ours, oracle = (
        v2.functional.convert_bounding_box_format(rushlight.tensor(o.tolist()), o.format.value, "XYXYXYXY")
        for o in out
    )
    np.testing.assert_allclose(ours.numpy(), oracle.numpy(), atol=2e-3)


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
@pytest.mark.parametrize("labels", ["numbers", "parts"])
def test_mixing(kinds, name, labels):
    theirs = importlib.import_module("torchvision.transforms.v2")
    images = np.random.default_rng(0).random((4, 3, 8, 9), np.float32)
    for seed in range(3):
        out = []
        for T, lib in ((v2, rushlight), (theirs, torch)):
            lib.manual_seed(seed)
            y = lib.tensor([0, 3, 1, 2])
            y = y if labels == "numbers" else lib.nn.functional.one_hot(y, 5)
            out.append(
                getattr(T, name)(alpha=0.7, num_classes=5)(
                    {"image": lib.from_numpy(images), "labels": y, "other": 3}
                )
            )
        for key in ("image", "labels"):
            np.testing.assert_allclose(out[0][key].numpy(), out[1][key].numpy(), atol=1e-6)
        assert out[0]["other"] == 3


def test_samples_through_the_loader():
    """Dicts with images, boxes and labels go through transforms, workers' pickles and a `collate_fn` of one's own."""

    class Samples:
        def __len__(self):
            return 4

        def __getitem__(self, i):
            boxes = tv_tensors.BoundingBoxes([[i, 1, 6, 7]], format="XYXY", canvas_size=(8, 9))
            sample = {"image": tv_tensors.Image(rushlight.full((3, 8, 9), i)), "boxes": boxes}
            return v2.Compose([v2.RandomHorizontalFlip(1.0), v2.ToDtype(rushlight.float32, scale=True)])(
                sample
            )

    batch = next(iter(DataLoader(Samples(), batch_size=4, collate_fn=list)))
    assert [s["boxes"].tolist() for s in batch] == [[[3, 1, 9 - i, 7]] for i in range(4)]
    batch = next(iter(DataLoader(Samples(), batch_size=4)))
    assert type(batch["boxes"]) is rushlight.Tensor and batch["image"].shape == (4, 3, 8, 9)


def test_own_kinds_pass_or_have_kernels():
    class Labels(tv_tensors.TVTensor):
        pass

    labels = rushlight.tensor([1, 2, 3]).as_subclass(Labels)
    image = rushlight.zeros(1, 4, 4)
    assert v2.RandomVerticalFlip(1.0)(image, labels)[1] is labels
    with pytest.raises(TypeError, match=r"F\.vertical_flip supports inputs of type"):
        v2.functional.vertical_flip(labels)

    @v2.functional.register_kernel(v2.functional.vertical_flip, Labels)
    def flip(inpt):
        return tv_tensors.wrap(inpt.flip(0), like=inpt)

    flipped = v2.RandomVerticalFlip(1.0)(image, labels)[1]
    assert type(flipped) is Labels and flipped.tolist() == [3, 2, 1]
    with pytest.raises(ValueError, match="already has a kernel registered"):
        v2.functional.register_kernel("vflip", Labels)
