"""Wrong tables, annotations and archives: an error that names the file, never a hang or a silent skip."""

import bz2
import gzip
import io
import json
import os
import tarfile
import zipfile

import numpy as np
import pytest

from rushlight.utils.data import DataLoader
from rushlight.vision import datasets, transforms
from rushlight.vision import io as vision_io
from rushlight.vision.datasets import utils, wrap_dataset_for_transforms_v2

Image = pytest.importorskip("PIL.Image")
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


# ----------------------------------------------------------------------------------------------- tables

TABLES = {
    "no UTF-8": (b"a,b\n\xff\xfe,1\n", {}, r"t\.csv: no text in UTF-8"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), {}, r"t\.csv: no text in UTF-8"),
    "a word among numbers": (b"a,b\n1,2\n3,oops\n4,5\n", {"target": "a"}, r"column 'b' holds 'oops' \(row 2\)"),
    "words alone": (b"a,b\nx,y\nz,w\n", {}, r"t\.csv: there are no columns of numbers; it has a, b"),
    "words beside the target": (b"a,b\n1,y\n2,w\n", {"target": "a"}, "there are no columns of numbers"),
    "target of words": (b"a,b\n1,x\n", {"target": "b"}, r"column 'b' holds 'x' \(row 1\)"),
    "NaN": (b"a,b\n1,nan\n2,3\n", {}, r"t\.csv: b is missing in row 1"),
    "no rows": (b"a,b\n", {"normalize": False}, r"t\.csv: there are no complete rows"),
    "no rows left": (b"a,b\n,1\n,2\n", {"missing": "drop"}, r"t\.csv: there are no complete rows"),
    "an empty column": (b"a,b\n,1\n,2\n", {"missing": "mean"}, r"t\.csv: there is a column without any value"),
    "other delimiter": (b"a;b\n1;2\n", {"target": "b"}, r"t\.csv: there is no column 'b'; it has a;b"),
    "open quotes": (b'a,b\n"1,2\n', {}, r"t\.csv, line 2: 1 values"),
    "a feature twice": (b"a,b\n1,2\n", {"features": ["a", "a"]}, r"t\.csv: features: each column once"),
    "target as feature": (b"a,b\n1,2\n", {"target": "b", "features": ["a", "b"]}, "without the target"),
    "negative count": (b"a,b\n1,2\n", {"target": "b", "features": -1}, r"t\.csv: features=-1"),
    "name instead of a list": (b"a,b\n1,2\n", {"features": "a"}, "a list of names or a number expected"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_tables(tmp_path, case):
    content, options, message = TABLES[case]
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises((ValueError, TypeError), match=message):
        datasets.CSVDataset(tmp_path / "t.csv", **options)


# ------------------------------------------------------------------------------------------ annotations


def annotation(**changes):
    usual = {"id": 5, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}
    usual["segmentation"] = [[1, 1, 5, 1, 5, 5]]
    return {"annotations": [{k: v for k, v in {**usual, **changes}.items() if v is not ...}]}


def run_lengths(*counts):
    return annotation(segmentation={"size": [40, 60], "counts": list(counts)})


# At once: found when the file is read; else when the item is wrapped.
COCO = {
    "negative width": (annotation(bbox=[1, 2, -3, 4]), True, "annotation 5: a box of x, y, width and height"),
    "three numbers": (annotation(bbox=[1, 2, 3]), True, "annotation 5: a box"),
    "NaN": (annotation(bbox=[1, 2, float("nan"), 3]), True, "annotation 5: a box"),
    "text": (annotation(bbox="abcd"), True, "annotation 5: a box"),
    "texts": (annotation(bbox=["1", "2", "3", "4"]), True, "annotation 5: a box"),
    "unknown image": (annotation(image_id=7), True, "annotations of the image id 7, which is not among the images"),
    "image twice": ({"images": [{"id": 1, "file_name": "a.jpg"}] * 2}, True, "two images have the same id"),
    "no file name": ({"images": [{"id": 1, "file_name": 3}]}, True, "image 1: no file_name, but 3"),
    "no images": ({"images": None}, True, "no COCO annotations, an entry is missing or wrong"),
    "no category": (annotation(category_id=...), False, "image 1: an annotation lacks 'category_id'"),
    "no box": (annotation(bbox=...), False, "image 1: an annotation lacks 'bbox'"),
    "odd polygon": (annotation(segmentation=[[1, 1, 5]]), False, "image 1: an annotation is damaged: wrong number"),
    "short run lengths": (run_lengths(1, 2), False, "image 1: .* run lengths of 3 pixels for a picture of 40 x 60"),
    "negative run length": (run_lengths(-1, 2401), False, "image 1: an annotation is damaged: .*negative"),
    "no segmentation": (annotation(segmentation=None), False, "image 1: .*segmentation expected"),
}  # fmt: skip


@pytest.mark.parametrize("case", COCO)
def test_coco(tmp_path, case):
    changes, at_once, message = COCO[case]
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg")
    content = {"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 2, "name": "cat"}]}
    file = tmp_path / "ann.json"
    file.write_text(json.dumps(content | annotation() | changes))
    if at_once:
        with pytest.raises(ValueError, match=rf"ann\.json: {message}"):
            datasets.CocoDetection(tmp_path, file)
        return
    plain = datasets.CocoDetection(tmp_path, file)
    assert len(plain[0][1]) == 1
    with pytest.raises(ValueError, match=rf"ann\.json, {message}"):
        wrap_dataset_for_transforms_v2(plain, ("boxes", "labels", "masks"))[0]


BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
CAT = f"<object><name>cat</name>{BOX}</object>"
VOC = {
    "another tree": ("<foo><bar>1</bar></foo>", "no annotation, but foo"),
    "nothing": ("<annotation/>", "no annotation, but nothing"),
    "no XML": ("", "damaged annotation"),
    "no box": ("<annotation><object><name>cat</name></object></annotation>", "an annotation lacks 'bndbox'"),
    "no name": (f"<annotation><object>{BOX}</object></annotation>", "an annotation lacks 'name'"),
    "no name of the second": (f"<annotation>{CAT}<object>{BOX}</object></annotation>", "lacks 'name'"),
    "no side": (f"<annotation>{CAT.replace('<xmin>1</xmin>', '')}</annotation>", "lacks 'xmin'"),
    "a word as side": (f"<annotation>{CAT.replace('>1<', '>x<')}</annotation>", "is damaged: .*'x'"),
    "unknown class": (f"<annotation>{CAT.replace('cat', 'unicorn')}</annotation>", "is damaged: 'unicorn'"),
    "inverted box": (f"<annotation>{CAT.replace('<xmax>5', '<xmax>0')}</annotation>", r"a box from \[1, 1\] to \[0, 5\]"),
}  # fmt: skip


def voc(root, xml):
    folder = root / "VOCdevkit" / "VOC2012"
    for name in ("ImageSets/Main", "JPEGImages", "Annotations"):
        (folder / name).mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    Image.fromarray(PIXELS).save(folder / "JPEGImages" / "a.jpg")
    (folder / "Annotations" / "a.xml").write_text(xml)
    return wrap_dataset_for_transforms_v2(datasets.VOCDetection(root))


@pytest.mark.parametrize("case", VOC)
def test_voc(tmp_path, case):
    xml, message = VOC[case]
    with pytest.raises(ValueError, match=rf"a\.xml: .*{message}"):
        voc(tmp_path, xml)[0]


def test_voc_without_objects(tmp_path):
    target = voc(tmp_path, "<annotation><folder>VOC</folder></annotation>")[0][1]
    assert (target["boxes"].shape, target["labels"].shape) == ((0, 4), (0,))


# ------------------------------------------------------------------------------------- archives, files


def zipped(member=b"content", flag=None, method=None):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("a", member)
    content = bytearray(memory.getvalue())
    second = content.find(b"PK\1\2")
    for first, other, value in ((6, 8, flag), (8, 10, method)):
        if value is not None:
            content[first] = content[second + other] = value
    return bytes(content)


ARCHIVES = {
    "x.zip": b"nothing", "y.zip": b"", "encrypted.zip": zipped(flag=1), "method.zip": zipped(method=99),
    "half.zip": zipped()[:60], "checksum.zip": zipped().replace(b"content", b"kontent"),
    "x.tar": b"nothing", "y.tar": b"", "x.tar.gz": gzip.compress(bytes(20_000))[:-5], "x.gz": b"nothing", "y.gz": b"",
    "half.gz": gzip.compress(b"x" * 100)[:-9], "x.xz": b"nothing", "x.bz2": b"nothing",
    "half.bz2": bz2.compress(b"x" * 100)[:-9],
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_damaged_archives(tmp_path, name):
    (tmp_path / name).write_bytes(ARCHIVES[name])
    with pytest.raises(RuntimeError, match=f"{name}: the archive cannot be unpacked: "):
        utils.extract_archive(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists() or not any(
        path.is_file() for path in (tmp_path / "out").rglob("*")
    )


def bomb(path):
    zeros = bytes(1 << 20)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for i in range(3):
                archive.writestr(f"{i}", zeros)
    elif path.name.endswith(".tar.gz"):
        with tarfile.open(path, "w:gz") as archive:
            member = tarfile.TarInfo("zeros")
            member.size = len(zeros) * 3
            archive.addfile(member, io.BytesIO(zeros * 3))
    else:
        path.write_bytes(gzip.compress(zeros * 3))
    return path


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz", "bomb.gz"])
def test_bombs(tmp_path, monkeypatch, name):
    path = bomb(tmp_path / name)
    utils.extract_archive(path, tmp_path / "small")  # what little there is may be anything
    monkeypatch.setattr(utils, "_FREE_SIZE", 1000)
    with pytest.raises(
        RuntimeError, match=f"{name}: refused, it unpacks to more than 200 times its own size"
    ):
        utils.extract_archive(path, tmp_path / "out")
    assert sum(file.stat().st_size for file in (tmp_path / "out").rglob("*")) <= 200 * path.stat().st_size


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "x.zip").write_bytes(zipped())
    with pytest.raises(RuntimeError, match=r"x\.zip: the archive cannot be unpacked: .*file"):
        utils.extract_archive(tmp_path / "x.zip", tmp_path / "file" / "deep")
    with pytest.raises(OSError, match="file"):
        utils.download_url("http://127.0.0.1:9/x", tmp_path / "file")
    if os.getuid():  # nothing is forbidden to root
        (tmp_path / "locked").mkdir(mode=0o555)
        with pytest.raises(RuntimeError, match=r"x\.zip: .*Permission denied.*locked"):
            utils.extract_archive(tmp_path / "x.zip", tmp_path / "locked")
        with pytest.raises(OSError, match="locked"):
            utils.download_url("http://127.0.0.1:9/x", tmp_path / "locked" / "deep")


def test_addresses_that_are_none_are_passed_over(tmp_path):
    (tmp_path / "source").write_text("content")
    utils.download_url(["nonsense", (tmp_path / "source").as_uri()], tmp_path, "x", progress=False)
    assert (tmp_path / "x").read_text() == "content"


def write_folder(root, count=5, damaged=3):
    (root / "cat").mkdir(parents=True)
    for i in range(count):
        Image.fromarray(PIXELS).save(root / "cat" / f"{i}.jpg")
    path = root / "cat" / f"{damaged}.jpg"
    path.write_bytes(path.read_bytes()[:300])
    return path


@pytest.mark.parametrize("workers", [0, 1])
def test_loader_names_the_picture(tmp_path, workers):
    """Which a worker met, too; the batches before it arrive, and the loader goes on when it was repaired."""
    path = write_folder(tmp_path)
    data = datasets.ImageFolder(tmp_path, transforms.ToTensor())
    loader = DataLoader(data, batch_size=2, num_workers=workers, timeout=60 * (workers > 0))
    batches = iter(loader)
    assert len(next(batches)[0]) == 2
    with pytest.raises(OSError, match=r"3\.jpg: this picture is damaged"):
        next(batches)
    del batches
    Image.fromarray(PIXELS).save(path)
    assert [len(x) for x, _ in loader] == [2, 2, 1]


def test_pipe_among_the_pictures(tmp_path):
    path = write_folder(tmp_path)
    path.unlink()
    os.mkfifo(path)
    data = datasets.ImageFolder(tmp_path)
    with pytest.raises(OSError, match=r"3\.jpg: no regular file"):
        data[3]
    with open(tmp_path / "cat" / "1.jpg", "rb") as file:
        assert datasets.folder.pil_loader(file).size == (60, 40)


@pytest.mark.parametrize(
    "name, mode, dtype", [("x.tif", "F", "float32"), ("x.tif", "I", "int32"), ("x.png", "I;16", "uint16")]
)
def test_wide_grey_pictures(tmp_path, name, mode, dtype):
    """Nothing is cut off unless a conversion is asked for."""
    values = np.array([[0, 300, 65535], [1, 2, 3]])
    values = values * 1000 if mode == "I" else values
    Image.fromarray(values.astype(dtype)).save(tmp_path / name)
    found = vision_io.read_image(tmp_path / name)
    assert (found.tolist(), str(found.dtype)) == ([values.tolist()], f"torch.{dtype}")
    assert vision_io.read_image(tmp_path / name, "RGB").shape == (3, 2, 3)


@pytest.mark.parametrize("end", ["png", "webp", "tif", "gif"])
def test_animations(tmp_path, end):
    """Folders give the first picture, `read_image` that or all of a GIF."""
    frames = [Image.fromarray(np.roll(PIXELS, i, 0)) for i in range(3)]
    options = {"lossless": True} if end == "webp" else {}
    path = tmp_path / f"x.{end}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    image = datasets.folder.pil_loader(path)
    assert image.size == (60, 40)
    if end != "gif":
        assert np.array_equal(np.asarray(image), PIXELS)
    assert vision_io.read_image(path).shape == ((3, 3, 40, 60) if end == "gif" else (3, 40, 60))
