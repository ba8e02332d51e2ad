"""All names of torchvision's modules: what is there takes the same arguments, and what is absent is listed here."""

import importlib
import inspect

import pytest

from .datasets_oracle import torchvision

ABSENT = {  # need other libraries (h5py), or are for optical flow and stereo pictures
    "datasets": "KittiFlow Sintel FlyingChairs "
    "FlyingThings3D HD1K PCAM Kitti2012Stereo Kitti2015Stereo CarlaStereo Middlebury2014Stereo CREStereo "
    "FallingThingsStereo SceneFlowStereo SintelStereo InStereo2k ETH3DStereo",
    "datasets.folder": "accimage_loader",
    "datasets.utils": "download_file_from_google_drive iterable_to_str",
    "io": "decode_avif decode_heic",
}
MORE = {"batches", "sha256", "progress"}  # what ours take beyond
MODULES = [
    "models", "models.segmentation", "models.video", "models.optical_flow", "transforms", "transforms.functional", "transforms.autoaugment", "transforms.v2", "transforms.v2.functional",
    "datasets", "datasets.folder", "datasets.utils", "ops", "ops.misc", "ops.boxes", "tv_tensors", "utils", "io",
]  # fmt: skip


def public(module) -> list[str]:
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(module).items()
            if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__
        ]
    return [name for name in names if not name.startswith("_")]


def parameters(function) -> list:
    """(name, kind, default) of each, where the default is a plain value; None where there is no signature."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    simple = (int, float, str, bool, tuple, list, type(None))
    return [
        (p.name, p.kind, p.default if isinstance(p.default, simple) else p.default is p.empty)
        for p in found
        if p.name not in MORE
    ]


@pytest.mark.parametrize("name", MODULES)
def test_signatures(name):
    torchvision()
    theirs = importlib.import_module(f"torchvision.{name}")
    ours = importlib.import_module(f"rushlight.vision.{name}")
    absent = set(ABSENT.get(name, "").split())
    assert {key for key in public(theirs) if not hasattr(ours, key)} == absent
    different = {}
    for key in set(public(theirs)) - absent:
        mine, expected = parameters(getattr(ours, key)), parameters(getattr(theirs, key))
        if expected and mine != expected:
            different[key] = (mine, expected)
    assert not different


def test_backends():
    from rushlight import vision

    torchvision().disable_beta_transforms_warning()
    vision.disable_beta_transforms_warning()
    vision.set_image_backend(vision.get_image_backend())
    vision.set_video_backend(torchvision().get_video_backend())
    assert vision.get_video_backend() == "pyav" and vision.get_image_backend() == "PIL"
    with pytest.raises(ValueError, match="Invalid backend"):
        vision.set_image_backend("pencil")
    with pytest.raises(NotImplementedError, match="accimage"):
        vision.set_image_backend("accimage")
