"""Data sets of picture files that the tests write, against torchvision where it is there."""

import importlib
import json

import numpy as np
import pytest

from rushlight.vision import datasets

from .datasets_oracle import double, picture, same, text, theirs

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)


def test_flowers(tmp_path, monkeypatch):
    scipy = pytest.importorskip("scipy.io")
    folder = tmp_path / "flowers-102"
    for i in range(1, 7):
        picture(folder / "jpg" / f"image_{i:05d}.jpg")
    scipy.savemat(folder / "imagelabels.mat", {"labels": np.array([[5, 1, 102, 7, 7, 2]], np.uint8)})
    ids = {"trnid": [[1, 3]], "valid": [[2, 6]], "tstid": [[5, 4]]}
    scipy.savemat(folder / "setid.mat", {key: np.array(value, np.uint16) for key, value in ids.items()})
    with pytest.raises(RuntimeError, match=r"Dataset not found or corrupted"):
        datasets.Flowers102(tmp_path)
    assert datasets.Flowers102._file_dict == theirs().Flowers102._file_dict
    files = {"label": ("imagelabels.mat", None), "setid": ("setid.mat", None)}
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", files)
    monkeypatch.setattr(theirs().Flowers102, "_file_dict", files)
    for split in ("train", "val", "test"):
        same(datasets.Flowers102(tmp_path, split), theirs().Flowers102(tmp_path, split))


# ---------------------------------------------------------------------------------------------- folders


def test_image_folder(tmp_path):
    for name in ("cat/2.png", "cat/1.PNG", "dog/deep/er/3.jpg", "dog/a.bmp"):
        picture(tmp_path / name)
    (tmp_path / "dog" / "notes.txt").write_text("no picture")
    (tmp_path / "file.png").write_text("beside the classes")
    same(datasets.ImageFolder(tmp_path), theirs().ImageFolder(tmp_path))
    ours = datasets.ImageFolder(str(tmp_path), transform=double, target_transform=text)
    oracle = theirs().ImageFolder(str(tmp_path), transform=double, target_transform=text)
    same(ours, oracle)
    for field in ("classes", "class_to_idx", "samples", "imgs", "targets", "extensions"):
        assert getattr(ours, field) == getattr(oracle, field)
    picked = {"loader": str, "is_valid_file": lambda path: path.endswith("txt"), "allow_empty": True}
    same(datasets.DatasetFolder(tmp_path, **picked), theirs().DatasetFolder(tmp_path, **picked))


def test_image_folder_errors(tmp_path):
    for module in (datasets, theirs()):
        with pytest.raises(FileNotFoundError, match="Couldn't find any class folder in"):
            module.ImageFolder(tmp_path)
    picture(tmp_path / "a" / "1.png")
    (tmp_path / "b").mkdir()
    for module in (datasets, theirs()):
        with pytest.raises(
            FileNotFoundError, match=r"Found no valid file for the classes b. Supported .*: \.jpg, "
        ):
            module.ImageFolder(tmp_path)
        with pytest.raises(ValueError, match="Both extensions and is_valid_file cannot be None or not None"):
            module.DatasetFolder(tmp_path, str)
        with pytest.raises(ValueError, match="class_to_idx parameter cannot be None"):
            module.DatasetFolder.make_dataset(tmp_path, None)
    assert len(datasets.ImageFolder(tmp_path, allow_empty=True)) == 1


@pytest.mark.parametrize(
    "mode, end", [("L", "png"), ("RGBA", "png"), ("CMYK", "jpg"), ("16", "png"), ("P", "png"), ("1", "png")]
)
def test_modes_become_rgb(tmp_path, mode, end):
    path = tmp_path / "a" / f"x.{end}"
    if mode in ("P", "1"):
        picture(path)
        image = Image.open(path)
        image.convert(mode).save(path)
    elif mode == "16":
        path.parent.mkdir()
        Image.fromarray(RNG.integers(0, 65536, (4, 5)).astype(np.uint16)).save(path)
    else:
        picture(path, mode)
    same(datasets.ImageFolder(tmp_path), theirs().ImageFolder(tmp_path))
    assert datasets.ImageFolder(tmp_path)[0][0].mode == "RGB"


@pytest.mark.filterwarnings("ignore:.*orrupt EXIF data:UserWarning")  # Pillow says that as well
@pytest.mark.parametrize("end", ["png", "jpg", "bmp", "tif", "webp"])
def test_truncated_pictures_are_named(tmp_path, end):
    path = picture(tmp_path / "a" / f"x.{end}", size=(40, 40))
    content = path.read_bytes()
    for size in (0, 10, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(OSError, match=rf"x\.{end}"):
            datasets.ImageFolder(tmp_path)[0]
    path.write_text("no picture")
    with pytest.raises(OSError, match=rf"x\.{end}"):
        datasets.ImageFolder(tmp_path)[0]


XML = """<annotation><folder>VOC</folder><filename>{name}.jpg</filename>
  <size><width>5</width><height>4</height></size>{objects}</annotation>"""
OBJECT = "<object><name>cat</name><part>a</part><part>b</part><bndbox><xmin>1</xmin></bndbox></object>"


def write_voc(root, base="VOCdevkit/VOC2012"):
    folder = root / base
    for kind in ("Segmentation", "Main"):
        (folder / "ImageSets" / kind).mkdir(parents=True)
        (folder / "ImageSets" / kind / "train.txt").write_text("a_1\na_2\n")
    for i, name in enumerate(("a_1", "a_2")):
        picture(folder / "JPEGImages" / f"{name}.jpg")
        (folder / "SegmentationClass").mkdir(exist_ok=True)
        Image.fromarray(RNG.integers(0, 21, (4, 5), np.uint8)).convert("P").save(
            folder / "SegmentationClass" / f"{name}.png"
        )
        (folder / "Annotations").mkdir(exist_ok=True)
        (folder / "Annotations" / f"{name}.xml").write_text(XML.format(name=name, objects=OBJECT * (i + 1)))
    return folder


def test_voc(tmp_path):
    from rushlight.vision.datasets.voc import DATASET_YEAR_DICT

    folder = write_voc(tmp_path)
    both = lambda image, target: (image.size, target)
    for name in ("VOCSegmentation", "VOCDetection"):
        ours, oracle = getattr(datasets, name), getattr(theirs(), name)
        same(ours(tmp_path), oracle(tmp_path))
        same(ours(tmp_path, transforms=both), oracle(tmp_path, transforms=both))
        same(ours(tmp_path, transform=double), oracle(tmp_path, transform=double))
        for cls in (ours, oracle):
            with pytest.raises(RuntimeError, match=r"Dataset not found or corrupted"):
                cls(tmp_path, year="2007")
            with pytest.raises(ValueError, match="Unknown value 'test' for argument image_set"):
                cls(tmp_path, image_set="test")
    assert datasets.VOCDetection(tmp_path)[1][1]["annotation"]["object"][1]["part"] == ["a", "b"]
    years = importlib.import_module("torchvision.datasets.voc").DATASET_YEAR_DICT
    assert {key: value["md5"] for key, value in DATASET_YEAR_DICT.items()} == {
        k: v["md5"] for k, v in years.items()
    }
    assert {key: value["url"] for key, value in DATASET_YEAR_DICT.items()} == {
        k: v["url"] for k, v in years.items()
    }
    for bad in ("<annotation>", '<!DOCTYPE a [<!ENTITY b "c">]><annotation/>'):
        (folder / "Annotations" / "a_1.xml").write_text(bad)
        with pytest.raises(ValueError, match=r"a_1\.xml"):
            datasets.VOCDetection(tmp_path)[0]
    (folder / "SegmentationClass" / "a_2.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"a_2\.png"):
        datasets.VOCSegmentation(tmp_path)[1]


def coco(**changes):
    content = {
        "images": [{"id": 9, "file_name": "b.png"}, {"id": 4, "file_name": "a.png"}],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 2, "bbox": [0, 1, 2, 2], "caption": "two"},
            {"id": 7, "image_id": 9, "category_id": 3, "bbox": [1, 1, 2, 2], "caption": "three"},
        ],
        "categories": [{"id": 2, "name": "cat"}, {"id": 3, "name": "dog"}],
    }
    return {**content, **changes}


def test_coco(tmp_path):
    picture(tmp_path / "a.png", "L")
    picture(tmp_path / "b.png")
    file = tmp_path / "ann.json"
    file.write_text(json.dumps(coco()))
    ours = datasets.CocoDetection(tmp_path, file)
    assert ours.ids == [4, 9]
    assert (ours[0][0].mode, ours[0][1]) == ("RGB", [])
    assert [ann["id"] for ann in ours[1][1]] == [1, 7]
    assert repr(ours) == f"Dataset CocoDetection\n    Number of datapoints: 2\n    Root location: {tmp_path}"
    index = ours.coco
    assert index.getAnnIds(imgIds=9, catIds=[3]) == [7]
    assert index.getAnnIds() == [1, 7]
    assert index.loadCats(index.getCatIds(catNms="dog")) == [{"id": 3, "name": "dog"}]
    assert index.getImgIds(catIds=2) == [9]
    assert index.loadImgs(4)[0]["file_name"] == "a.png"
    assert index.loadAnns([7])[0]["caption"] == "three"
    assert datasets.CocoCaptions(tmp_path, file)[1][1] == ["two", "three"]
    assert datasets.CocoDetection(tmp_path, file, target_transform=len)[1][1] == 2
    with pytest.raises(ValueError, match="Index must be of type integer"):
        ours["a"]
    for bad in ("{", "[]", "{}", json.dumps(coco(images=[{"id": 1}]))):
        file.write_text(bad)
        with pytest.raises(ValueError, match=r"ann\.json"):
            datasets.CocoDetection(tmp_path, file)


def test_pets(tmp_path):
    folder = tmp_path / "oxford-iiit-pet"
    with pytest.raises(RuntimeError, match=r"Dataset not found. You can use download=True to download it"):
        datasets.OxfordIIITPet(tmp_path)
    for name in ("Abyssinian_1", "great_pyrenees_12"):
        picture(folder / "images" / f"{name}.jpg")
        picture(folder / "annotations" / "trimaps" / f"{name}.png", "L")
    listing = folder / "annotations" / "trainval.txt"
    listing.write_text("great_pyrenees_12 2 2 1\nAbyssinian_1 1 1 1\n")
    for types in ("category", "binary-category", ["category", "segmentation"], []):
        ours = datasets.OxfordIIITPet(tmp_path, target_types=types)
        oracle = theirs().OxfordIIITPet(tmp_path, target_types=types)
        same(ours, oracle)
    for field in ("classes", "class_to_idx", "bin_classes", "bin_class_to_idx"):
        assert getattr(ours, field) == getattr(oracle, field)
    assert ours._RESOURCES == oracle._RESOURCES
    listing.write_text("Abyssinian_1 1 1 1\nbroken\n")
    with pytest.raises(ValueError, match=r"trainval\.txt, line 2"):
        datasets.OxfordIIITPet(tmp_path)
