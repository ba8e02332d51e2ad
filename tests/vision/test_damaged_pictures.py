"""Damaged, strange and hostile picture files: an error that names the file, or a known conversion; never a hang."""

import warnings

import numpy as np
import pytest

import rushlight
from rushlight.utils.data import DataLoader
from rushlight.vision import datasets, io, transforms
from rushlight.vision.transforms import v2

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 16, 3)).astype(np.uint8)
FORMATS = ("png", "jpg", "bmp", "gif", "webp", "ppm", "tif")


def saved(path, image=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.fromarray(PIXELS) if image is None else image).save(path, **options)
    return path


def read(path) -> str:
    """ "fine", or that an error named the file."""
    outcomes = set()
    for function, errors in ((datasets.folder.pil_loader, OSError), (io.read_image, RuntimeError)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on the metadata of damaged TIFF files
            try:
                function(path)
                outcomes.add("fine")
            except errors as error:
                assert str(path) in str(error)
                outcomes.add("named")
    assert len(outcomes) == 1
    return outcomes.pop()


@pytest.mark.parametrize("end", FORMATS)
def test_truncated(tmp_path, end):
    path = saved(tmp_path / f"x.{end}")
    content = path.read_bytes()
    for part in (0.0, 0.02, 0.2, 0.5, 0.8):
        path.write_bytes(content[: int(len(content) * part)])
        assert read(path) == "named"


@pytest.mark.parametrize("end", FORMATS)
def test_flipped_bytes(tmp_path, end):
    path = saved(tmp_path / f"x.{end}")
    content = path.read_bytes()
    for _ in range(40):
        damaged = bytearray(content)
        for place in RNG.integers(0, min(len(content), 200), 4):
            damaged[place] = RNG.integers(0, 256)
        path.write_bytes(damaged)
        assert read(path) in ("fine", "named")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x00" * 1000, b"GIF8", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"]
)
def test_no_picture(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    assert read(path) == "named"


def test_enormous(tmp_path, monkeypatch):
    path = saved(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert read(path) == "named"


def test_through_folder_and_loader(tmp_path):
    for name in ("cat/1.png", "cat/2.png", "dog/3.png"):
        saved(tmp_path / name)
    path = tmp_path / "cat" / "2.png"
    path.write_bytes(path.read_bytes()[:60])
    loader = DataLoader(datasets.ImageFolder(tmp_path, transforms.ToTensor()), batch_size=3)
    with pytest.raises(OSError, match=r"2\.png: this picture is damaged"):
        next(iter(loader))
    path.unlink()
    data = datasets.ImageFolder(tmp_path, transforms.ToTensor())
    (tmp_path / "dog" / "3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"3\.png"):
        data[1]
    with pytest.raises(FileNotFoundError, match="Found no valid file for the classes dog"):
        datasets.ImageFolder(tmp_path)


KINDS = {
    "L": Image.fromarray(PIXELS[:, :, 0]),
    "LA": Image.fromarray(PIXELS).convert("LA"),
    "RGBA": Image.fromarray(PIXELS).convert("RGBA"),
    "CMYK": Image.fromarray(PIXELS).convert("CMYK"),
    "P": Image.fromarray(PIXELS).convert("P"),
    "1": Image.fromarray(PIXELS).convert("1"),
    "I;16": Image.fromarray(PIXELS[:, :, 0].astype(np.uint16) * 257),
    "YCbCr": Image.fromarray(PIXELS).convert("YCbCr"),
}


@pytest.mark.parametrize("end", FORMATS)
def test_pictures_are_their_own(tmp_path, end):
    """Plain images that can be written to and copied, apart from their file."""
    path = saved(tmp_path / f"x.{end}", Image.fromarray(PIXELS).convert("RGB"))
    content = path.read_bytes()
    image = datasets.folder.pil_loader(path)
    assert type(image) is Image.Image
    image.putpixel((3, 2), (1, 2, 3))
    assert image.copy().getpixel((3, 2)) == (1, 2, 3)
    assert path.read_bytes() == content
    with Image.open(path) as opened:
        assert datasets.folder.pil_loader(path).tobytes() == opened.convert("RGB").tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_pictures(tmp_path, kind):
    """Folders give RGB; `read_image` gives what is there, and what it is asked for."""
    path = saved(tmp_path / ("x.png" if kind not in ("CMYK", "YCbCr") else "x.tif"), KINDS[kind])
    image = datasets.folder.pil_loader(path)
    assert (image.mode, image.size) == ("RGB", (16, 12))
    assert transforms.ToTensor()(image).shape == v2.ToImage()(image).shape == (3, 12, 16)
    channels = {"L": 1, "LA": 2, "RGBA": 4, "CMYK": 4, "P": 1, "1": 1, "I;16": 1, "YCbCr": 3}[kind]
    unchanged = io.read_image(path)
    assert unchanged.shape == (channels, 12, 16)
    assert unchanged.dtype == (rushlight.uint16 if kind == "I;16" else rushlight.uint8)
    for mode, count in (("RGB", 3), ("GRAY", 1), ("RGB_ALPHA", 4), ("GRAY_ALPHA", 2)):
        converted = io.read_image(path, mode)
        assert (converted.shape, converted.dtype) == ((count, 12, 16), rushlight.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_when_asked(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "x.png", exif=exif)
    turned = (16, 12) if orientation < 5 else (12, 16)
    assert datasets.folder.pil_loader(path).size == (16, 12)  # as torchvision's loader
    assert io.read_image(path).shape == (3, 12, 16)
    assert io.read_image(path, apply_exif_orientation=True).shape == (3, turned[1], turned[0])
