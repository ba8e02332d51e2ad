"""LSUN, PhotoTour and SBU on small files against torchvision; data sets of videos, which say what to do instead."""

import contextlib
import io
import sys
import types

import numpy as np
import pytest

import rushlight
from rushlight.vision import datasets
from rushlight.vision.datasets import utils

from .datasets_oracle import picture, plain, same, theirs

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::ResourceWarning",
    "ignore:Image.Image.getdata:DeprecationWarning",  # torchvision's
)
RNG = np.random.default_rng(0)


@pytest.fixture
def lmdb(monkeypatch):
    """A module in lmdb's place: databases in memory, by path."""
    stored = {}

    def database(path, **options):
        content = stored[str(path)]
        transaction = types.SimpleNamespace(
            stat=lambda: {"entries": len(content)},
            get=content.get,
            cursor=lambda: types.SimpleNamespace(iternext=lambda keys, values: iter(content)),
        )
        return types.SimpleNamespace(begin=lambda write: contextlib.nullcontext(transaction))

    monkeypatch.setitem(sys.modules, "lmdb", types.SimpleNamespace(open=database))
    return stored


def encoded() -> bytes:
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)).save(file, "png")
    return file.getvalue()


def test_lsun(lmdb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # torchvision leaves a list of keys there
    lmdb[f"{tmp_path}/tower_val_lmdb"] = {b"a": encoded(), b"b": encoded()}
    lmdb[f"{tmp_path}/bridge_val_lmdb"] = {b"c": encoded()}
    names, five_more = ["tower_val", "bridge_val"], (5).__add__
    ours = datasets.LSUN(str(tmp_path), names, target_transform=five_more)
    assert [target for _, target in ours] == [5, 5, 6]
    if theirs():
        same(ours, theirs().LSUN(str(tmp_path), names, target_transform=five_more))
        single = theirs().LSUNClass(f"{tmp_path}/tower_val_lmdb")
        same(datasets.LSUNClass(f"{tmp_path}/tower_val_lmdb"), single)


@pytest.mark.parametrize("classes", ["dev", ["attic_train"], ["tower_dev"], [3], 7])
def test_lsun_classes(lmdb, classes):
    with pytest.raises(ValueError) as found:
        datasets.LSUN("x", classes)
    if theirs() and isinstance(classes, list):
        with pytest.raises(ValueError) as expected:
            theirs().LSUN("x", classes)
        assert str(found.value) == str(expected.value)


def test_lsun_needs_lmdb(monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(ImportError, match="pip install lmdb"):
        datasets.LSUN("x", ["tower_val"])


@pytest.mark.parametrize("train", [True, False])
def test_photo_tour(tmp_path, train):
    for name in ("patches0000.bmp", "patches0001.bmp"):
        (tmp_path / "liberty").mkdir(exist_ok=True)
        sheet = RNG.integers(0, 256, (128, 192), dtype=np.uint8)
        Image.fromarray(sheet).save(tmp_path / "liberty" / name)
    (tmp_path / "liberty/info.txt").write_text("".join(f"{i // 2} 0\n" for i in range(12)))
    (tmp_path / "liberty/m50_100000_100000_0.txt").write_text("0 0 0 1 0 0 0\n2 1 0 5 2 0 0\n")
    ours = datasets.PhotoTour(str(tmp_path), "liberty", train)
    assert len(ours) == (12 if train else 2)
    if theirs():
        (tmp_path / "liberty.pt").unlink()  # what ours has kept
        same(ours, theirs().PhotoTour(str(tmp_path), "liberty", train))
        for table in ("urls", "means", "stds", "lens"):
            assert getattr(ours, table) == getattr(theirs().PhotoTour, table)
    first = ours[0] if train else ours[0][0]
    assert first.shape == (64, 64)
    assert first.dtype == rushlight.uint8


def test_photo_tour_absent(tmp_path):
    with pytest.raises(RuntimeError, match=r"info\.txt"):
        datasets.PhotoTour(str(tmp_path), "liberty")


def test_sbu(tmp_path, monkeypatch):
    archive = tmp_path / "SBUCaptionedPhotoDataset.tar.gz"
    archive.write_bytes(b"x")
    picture(tmp_path / "dataset/b.jpg")
    for what, lines in (("urls", "http://x/a.jpg\nhttp://x/b.jpg\n"), ("captions", "one\ntwo \n")):
        (tmp_path / f"dataset/SBU_captioned_photo_dataset_{what}.txt").write_text(lines)
    with pytest.raises(RuntimeError, match="damaged"):
        datasets.SBU(str(tmp_path), download=False)
    monkeypatch.setattr(datasets.SBU, "md5_checksum", utils.calculate_md5(archive))
    ours = datasets.SBU(str(tmp_path))
    assert [caption for _, caption in ours] == ["two"]
    if theirs():
        monkeypatch.setattr(theirs().SBU, "md5_checksum", utils.calculate_md5(archive))
        same(ours, theirs().SBU(str(tmp_path)))
        assert plain(ours[0]) == plain(theirs().SBU(str(tmp_path))[0])


@pytest.mark.parametrize(
    "name, arguments", [("HMDB51", ("x", "y", 4)), ("UCF101", ("x", "y", 4)), ("Kinetics", ("x", 4))]
)
def test_videos_are_refused(name, arguments):
    with pytest.raises(NotImplementedError, match=f"{name}: videos are not decoded here.*ffmpeg"):
        getattr(datasets, name)(*arguments)
