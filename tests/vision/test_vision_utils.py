"""Grids and drawings, against torchvision."""

import importlib
import io

import numpy as np
import pytest

import rushlight
from rushlight.vision import utils

from .datasets_oracle import torchvision

Image = pytest.importorskip("PIL.Image")
torch = pytest.importorskip("torch")
RNG = np.random.default_rng(1)


def theirs():
    torchvision()
    return importlib.import_module("torchvision.utils")


def both(value):
    """The same tensors for both."""
    if isinstance(value, np.ndarray):
        return rushlight.from_numpy(value.copy()), torch.from_numpy(value.copy())
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return [rushlight.from_numpy(v.copy()) for v in value], [torch.from_numpy(v.copy()) for v in value]
    return value, value


def agree(name, *args, tolerance=0.0, **kwargs):
    pairs = [both(arg) for arg in args]
    named = {key: both(value) for key, value in kwargs.items()}
    ours = getattr(utils, name)(*[a for a, _ in pairs], **{k: a for k, (a, _) in named.items()})
    oracle = getattr(theirs(), name)(*[b for _, b in pairs], **{k: b for k, (_, b) in named.items()})
    assert str(ours.dtype) == str(oracle.dtype)
    assert tuple(ours.shape) == tuple(oracle.shape)
    np.testing.assert_allclose(ours.numpy(), oracle.numpy(), rtol=0, atol=tolerance)


def floats(*shape):
    return RNG.random(shape, np.float32)


BYTES = RNG.integers(0, 256, (3, 40, 50), np.uint8)
FLOATS = floats(3, 40, 50)
BOXES = np.array([[2, 3, 20, 30], [10, 5, 45, 35], [0, 0, 8, 8]], np.float32)
CORNERS = np.array([[10, 5, 40, 12, 35, 30, 6, 22], [3, 3, 20, 3, 20, 20, 3, 20]], np.float32)
MASKS = RNG.random((3, 40, 50)) > 0.5
POINTS = np.array([[[5, 5], [30, 10], [20, 35]], [[8, 30], [45, 20], [2, 2]]], np.float32)


@pytest.mark.parametrize(
    "value, options",
    [
        (floats(10, 3, 4, 5), {}),
        (floats(10, 3, 4, 5), {"nrow": 3, "padding": 1, "pad_value": 0.5}),
        (floats(5, 1, 4, 5), {"nrow": 2}),
        (floats(4, 2, 4, 5), {"padding": 0}),
        (floats(1, 3, 4, 5), {}),
        (floats(1, 4, 5), {}),
        (floats(3, 4, 5), {}),
        (floats(4, 5), {}),
        ([floats(3, 4, 5), floats(3, 4, 5)], {}),
        (RNG.integers(0, 256, (3, 3, 4, 5), np.uint8), {"pad_value": 7}),
        (floats(6, 3, 4, 5) * 9 - 2, {"normalize": True}),
        (floats(6, 3, 4, 5) * 9 - 2, {"normalize": True, "scale_each": True}),
        (floats(6, 3, 4, 5) * 9 - 2, {"normalize": True, "value_range": (0, 3)}),
        (np.zeros((3, 3, 2, 2), np.float32), {"normalize": True}),
    ],
)
def test_make_grid(value, options):
    agree("make_grid", value, tolerance=1e-6, **options)


def test_make_grid_errors():
    for module, new in ((utils, rushlight.zeros), (theirs(), torch.zeros)):
        with pytest.raises(
            TypeError, match="tensor or list of tensors expected, got a list containing <class 'int'>"
        ):
            module.make_grid([1])
        with pytest.raises(TypeError, match="tensor or list of tensors expected, got <class 'int'>"):
            module.make_grid(1)
        with pytest.raises(TypeError, match="value_range has to be a tuple"):
            module.make_grid(new(2, 3, 4, 4), normalize=True, value_range=[0, 1])
    kept = rushlight.rand(2, 3, 4, 4)
    before = kept.clone()
    utils.make_grid(kept, normalize=True)
    assert rushlight.equal(kept, before)


def test_save_image(tmp_path):
    batch = floats(5, 3, 6, 7) * 1.2 - 0.1
    utils.save_image(rushlight.from_numpy(batch), tmp_path / "ours.png", nrow=2)
    theirs().save_image(torch.from_numpy(batch), tmp_path / "theirs.png", nrow=2)
    ours, oracle = (np.array(Image.open(tmp_path / f"{name}.png")) for name in ("ours", "theirs"))
    assert np.array_equal(ours, oracle)
    memory = io.BytesIO()
    utils.save_image(rushlight.from_numpy(batch[0]), memory, format="png")
    assert Image.open(memory).size == (7, 6)


@pytest.mark.parametrize(
    "image, boxes, options",
    [
        (BYTES, BOXES, {}),
        (BYTES, BOXES, {"colors": "red", "width": 3}),
        (BYTES, BOXES, {"colors": ["red", (1, 2, 3), "#00FF00"], "fill": True}),
        (BYTES, BOXES, {"labels": ["a", None, "long"]}),
        (BYTES, BOXES, {"labels": ["a", "b", "c"], "label_colors": "blue"}),
        (
            BYTES,
            BOXES,
            {"labels": ["a", "b", "c"], "fill_labels": True, "label_background_colors": (9, 9, 200)},
        ),
        (BYTES, BOXES, {"labels": ["a", "b", "c"], "fill_labels": True}),
        (BYTES, CORNERS, {"width": 2}),
        (BYTES, CORNERS, {"fill": True, "colors": "green"}),
        (FLOATS, BOXES, {"colors": (200, 100, 0)}),
        (BYTES[:1], BOXES, {}),
        (FLOATS[:1], BOXES, {"fill": True}),
    ],
)
def test_boxes(image, boxes, options):
    agree("draw_bounding_boxes", image, boxes, tolerance=1e-7, **options)


@pytest.mark.parametrize(
    "image, masks, options",
    [
        (BYTES, MASKS, {}),
        (BYTES, MASKS[0], {"alpha": 0.3, "colors": "blue"}),
        (BYTES, MASKS, {"colors": ["red", (1, 2, 3), "#00FF00", "black"]}),
        (FLOATS, MASKS, {"alpha": 1.0}),
        (FLOATS, MASKS, {"colors": (10, 20, 30)}),
        (BYTES, np.zeros((2, 40, 50), bool), {}),
    ],
)
def test_masks(image, masks, options):
    agree("draw_segmentation_masks", image, masks, tolerance=1e-6, **options)


@pytest.mark.parametrize(
    "image, options",
    [
        (BYTES, {}),
        (BYTES, {"colors": "red", "radius": 4}),
        (BYTES, {"connectivity": [(0, 1), (1, 2)], "width": 2, "colors": (1, 200, 3)}),
        (BYTES, {"connectivity": [(0, 1), (1, 2)], "visibility": np.array([[1, 1, 0], [0, 1, 1]])}),
        (BYTES, {"visibility": np.array([[[1], [1], [0]], [[0], [1], [1]]])}),
        (FLOATS, {"colors": "#123456"}),
    ],
)
def test_keypoints(image, options):
    agree("draw_keypoints", image, POINTS, tolerance=1e-7, **options)


def refused():
    """(function, arguments, error, message) for wrong calls."""
    boxes, masks, points = "draw_bounding_boxes", "draw_segmentation_masks", "draw_keypoints"
    batch, integers, many = BYTES[None], BYTES.astype(np.int32), np.zeros((5, 40, 50), np.uint8)
    for name, last in ((boxes, BOXES), (masks, MASKS), (points, POINTS)):
        yield name, ("no tensor", last), TypeError, "ensor"
        yield name, (integers, last), ValueError, "The image dtype must be uint8 or float, got torch.int32"
        yield name, (batch, last), ValueError, "Pass individual images, not batches"
        yield name, (many, last), ValueError, "RGB image"
    yield boxes, (BYTES, BOXES[:, [2, 3, 0, 1]]), ValueError, "Boxes need to be in"
    yield boxes, (BYTES, BOXES, ["a"]), ValueError, r"Number of boxes \(3\) and labels \(1\) mismatch"
    yield boxes, (BYTES, BOXES, None, ["red"]), ValueError, "Number of colors must be equal or larger than"
    yield boxes, (BYTES, BOXES, None, 7), ValueError, "colors must be a tuple or a string, or a list thereof"
    yield boxes, (BYTES, BOXES, None, (1, 2)), ValueError, "colors should be an RGB triplet"
    yield masks, (BYTES, MASKS[None]), ValueError, "masks must be of shape"
    yield (
        masks,
        (BYTES, MASKS.astype(np.uint8)),
        ValueError,
        "The masks must be of dtype bool. Got torch.uint8",
    )
    yield masks, (BYTES, MASKS[:, 1:]), ValueError, "must have the same height and width"
    yield points, (BYTES, POINTS[0]), ValueError, "keypoints must be of shape"


@pytest.mark.parametrize("name, args, error, message", list(refused()))
def test_errors(name, args, error, message):
    pairs = [both(arg) for arg in args]
    for module, chosen in ((utils, 0), (theirs(), 1)):
        with pytest.raises(error, match=message):
            getattr(module, name)(*[pair[chosen] for pair in pairs])


def test_visibility_errors():
    for module, chosen in ((utils, 0), (theirs(), 1)):
        image, points = both(BYTES)[chosen], both(POINTS)[chosen]
        for wrong, message in (
            (np.ones(3), "Got ndim=1"),
            (np.ones((2, 2)), "must have the same dimensionality"),
        ):
            with pytest.raises(ValueError, match=message):
                module.draw_keypoints(image, points, visibility=both(wrong)[chosen])


def test_nothing_to_draw():
    image = rushlight.from_numpy(BYTES)
    with pytest.warns(UserWarning, match="boxes doesn't contain any box"):
        assert utils.draw_bounding_boxes(image, rushlight.zeros(0, 4)) is image
    with pytest.warns(UserWarning, match="masks doesn't contain any mask"):
        assert utils.draw_segmentation_masks(image, rushlight.zeros(0, 40, 50, dtype=rushlight.bool)) is image
    with pytest.warns(UserWarning, match="'font_size' will be ignored"):
        utils.draw_bounding_boxes(image, rushlight.from_numpy(BOXES), font_size=12)


@pytest.mark.parametrize("shape", [(2, 9, 11), (3, 2, 5, 4)])
def test_flow(shape):
    agree("flow_to_image", (floats(*shape) - 0.5) * 20, tolerance=1)


@pytest.mark.parametrize(
    "flow, message",
    [
        (np.zeros((2, 3, 3)), "dtype torch.float, got torch.float64"),
        (np.zeros((3, 3, 3), np.float32), "Input flow should have"),
    ],
)
def test_flow_errors(flow, message):
    with pytest.raises(ValueError, match=message):
        utils.flow_to_image(rushlight.from_numpy(flow))
