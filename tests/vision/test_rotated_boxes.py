"""Rotated boxes through transforms of v2 against torchvision's: cut to the picture, and moved with it."""

import importlib

import numpy as np
import pytest

import rushlight
from rushlight.vision import tv_tensors
from rushlight.vision.transforms import v2
from tests.vision.datasets_oracle import torchvision

torch = pytest.importorskip("torch")
FORMATS = ("XYWHR", "CXCYWHR", "XYXYXYXY")
CODES = (
    "T.ClampBoundingBoxes()", "T.RandomHorizontalFlip(1)", "T.RandomVerticalFlip(1)", "T.Resize((20, 41))", "T.Pad([3, 1, 2, 5])",
    "T.CenterCrop((14, 60))", "T.RandomRotation((-50, 70))", "T.RandomRotation((20, 70), expand=True)",
    "T.RandomAffine(40, (0.2, 0.3), (0.5, 1.5), [-20, 20])", "T.RandomPerspective(0.5, p=1)", "T.ElasticTransform(30.0, 3.0)",
    "T.RandomZoomOut(p=1)", "T.RandomResizedCrop((17, 19))", "T.RandomIoUCrop(sampler_options=[2.0])",
)  # fmt: skip


def boxes(format, count=12, height=31, width=37):
    """Random ones of which many reach out of the picture; one lies outside of it, one is upright."""
    rng = np.random.default_rng(FORMATS.index(format))
    made = rng.uniform([-5, -5, 1, 1, -200], [width, height, 25, 25, 200], (count, 5)).astype(np.float32)
    made[0], made[1] = (-40, 3, 5, 6, 10), (3, 4, 10, 8, 0)
    if format != "XYXYXYXY":
        return made
    plain = rushlight.from_numpy(made)
    return v2.functional.convert_bounding_box_format(plain, "CXCYWHR", "XYXYXYXY").numpy()


def moved(code, lib, space, kinds, format, mode):
    lib.manual_seed(4)
    array = boxes(format)
    made = kinds.BoundingBoxes(
        lib.from_numpy(array.copy()), format=format, canvas_size=(31, 37), clamping_mode=mode
    )
    _, out = eval(code, {"T": space})(lib.zeros(3, 31, 37), made)
    return out.numpy(), tuple(out.canvas_size), out.clamping_mode


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("mode", ["soft", "hard", None])
def test_as_torchvision(format, mode):
    torchvision()
    theirs = [importlib.import_module(f"torchvision.{name}") for name in ("transforms.v2", "tv_tensors")]
    for code in CODES:
        expected, *more = moved(code, torch, *theirs, format, mode)
        found, *same = moved(code, rushlight, v2, tv_tensors, format, mode)
        assert same == more
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-2, err_msg=code)


def test_soft_and_hard():
    corners = rushlight.tensor([[-4.0, 5.0, 4.0, -3.0, 12.0, 5.0, 4.0, 13.0]])
    soft, hard = (
        v2.functional.clamp_bounding_boxes(corners, "XYXYXYXY", (10, 10), mode) for mode in ("soft", "hard")
    )
    assert (hard >= -1e-4).all() and (hard <= 10 + 1e-4).all()
    assert soft[:, 0::2].min() >= corners[:, 0::2].min()
