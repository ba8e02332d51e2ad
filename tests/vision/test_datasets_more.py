"""Further data sets on small files that the tests write, against torchvision; and their wrapping for v2."""

import bz2
import copy
import json
import pickle
import tarfile

import numpy as np
import pytest

import rushlight
from rushlight.vision import datasets, tv_tensors
from rushlight.vision.transforms import v2

from .datasets_oracle import picture, plain, same, theirs

Image = pytest.importorskip("PIL.Image")
# torchvision leaves files open
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)
RNG = np.random.default_rng(0)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def dtd(root):
    for kind, name in (("banded", "b_1"), ("woven", "w_1"), ("banded", "b_2")):
        picture(root / "dtd/dtd/images" / kind / f"{name}.jpg")
    write(root / "dtd/dtd/labels/train2.txt", "banded/b_1.jpg\nwoven/w_1.jpg\n")
    return [("DTD", {"partition": 2})]


def food(root):
    for name in ("pizza/1", "apple_pie/2", "pizza/3"):
        picture(root / "food-101/images" / f"{name}.jpg")
    write(
        root / "food-101/meta/test.json",
        json.dumps({"pizza": ["pizza/1", "pizza/3"], "apple_pie": ["apple_pie/2"]}),
    )
    return [("Food101", {"split": "test"})]


def aircraft(root):
    data = root / "fgvc-aircraft-2013b/data"
    for name in ("0001", "0002"):
        picture(data / "images" / f"{name}.jpg")
    write(data / "variants.txt", "707-320\nA 300\n")
    write(data / "manufacturers.txt", "Airbus\nBoeing\n")
    write(data / "images_variant_trainval.txt", "0001 A 300\n0002 707-320\n")
    write(data / "images_manufacturer_val.txt", "0001 Airbus\n")
    return [("FGVCAircraft", {}), ("FGVCAircraft", {"split": "val", "annotation_level": "manufacturer"})]


def signs(root):
    for name in ("Training/00000/a.ppm", "Training/00001/b.ppm", "Final_Test/Images/00000.ppm"):
        picture(root / "gtsrb/GTSRB" / name)
    write(root / "gtsrb/GT-final_test.csv", "Filename;Width;ClassId\n00000.ppm;5;41\n")
    return [("GTSRB", {}), ("GTSRB", {"split": "test"})]


def sun(root):
    picture(root / "SUN397/a/abbey/sun_1.jpg")
    picture(root / "SUN397/b/bar/outdoor/sun_2.jpg")
    write(root / "SUN397/ClassName.txt", "/a/abbey\n/b/bar/outdoor\n")
    return [("SUN397", {})]


def sst2(root):
    for name in ("valid/negative/0.png", "valid/positive/1.png", "valid/positive/2.png"):
        picture(root / "rendered-sst2" / name)
    return [("RenderedSST2", {"split": "val"})]


def imagenette(root):
    for name in ("n01440764/a.JPEG", "n03888257/b.JPEG", "n03888257/c.JPEG"):
        picture(root / "imagenette2-160/train" / name)
    return [("Imagenette", {"size": "160px"})]


def folders(root):
    picture(root / "country211/valid/AT/1.jpg")
    picture(root / "country211/valid/BE/2.jpg")
    picture(root / "eurosat/2750/River/1.jpg")
    return [("Country211", {"split": "valid"}), ("EuroSAT", {})]


def caltech(root):
    scipy = pytest.importorskip("scipy.io")
    for name in ("Faces/image_0001", "Faces/image_0002", "ant/image_0001", "BACKGROUND_Google/image_0001"):
        picture(root / "caltech101/101_ObjectCategories" / f"{name}.jpg")
    for name in ("Faces_2/annotation_0001", "Faces_2/annotation_0002", "ant/annotation_0001"):
        (root / "caltech101/Annotations" / name).parent.mkdir(parents=True, exist_ok=True)
        scipy.savemat(root / "caltech101/Annotations" / f"{name}.mat", {"obj_contour": RNG.random((2, 4))})
    for name in ("001.ak47/001_0001", "001.ak47/001_0002", "002.flag/002_0001"):
        picture(root / "caltech256/256_ObjectCategories" / f"{name}.jpg")
    both = {"target_type": ["category", "annotation"]}
    return [("Caltech101", {}), ("Caltech101", both), ("Caltech256", {})]


def places(root):
    picture(root / "val_256/1.jpg")
    picture(root / "data_large_standard/a/x/2.jpg")
    write(root / "categories_places365.txt", "/a/x 0\n/b 1\n")
    write(root / "places365_val.txt", "1.jpg 1\n")
    write(root / "places365_train_standard.txt", "/a/x/2.jpg 0\n")
    return [("Places365", {"split": "val", "small": True}), ("Places365", {})]


def celeba(root):
    base, names = root / "celeba", [f"{i:06d}.jpg" for i in range(1, 7)]
    for name in names:
        picture(base / "img_align_celeba" / name)
    table = {name: RNG.integers(0, 100, 10) for name in names}

    def lines(values, head=""):
        return head + "".join(f"{name}  {' '.join(map(str, values(name)))}\n" for name in names)

    write(base / "list_eval_partition.txt", lines(lambda n: [int(n[5]) % 3]))
    write(base / "identity_CelebA.txt", lines(lambda n: [table[n][0]]))
    write(base / "list_bbox_celeba.txt", lines(lambda n: table[n][:4], "4\nimage_id x_1 y_1 width height\n"))
    write(base / "list_landmarks_align_celeba.txt", lines(lambda n: table[n], "4\na b c d e f g h i j\n"))
    write(base / "list_attr_celeba.txt", lines(lambda n: table[n][:3] % 2 * 2 - 1, "4\nBald Smiling Young\n"))
    every = {"target_type": ["attr", "identity", "bbox", "landmarks"]}
    return [
        ("CelebA", {"split": "all", **every}),
        ("CelebA", {}),
        ("CelebA", {"split": "valid", "target_type": "bbox"}),
    ]


def wider(root):
    base = root / "widerface"
    for split in ("train", "val", "test"):
        picture(base / f"WIDER_{split}/images/0--Parade/a.jpg")
    boxes = "449 330 122 149 0 0 0 0 0 0\n1 2 3 4 5 6 7 8 9 1\n"
    write(
        base / "wider_face_split/wider_face_train_bbx_gt.txt",
        f"0--Parade/a.jpg\n2\n{boxes}0--Parade/a.jpg\n0\n{'0 ' * 10}\n",
    )
    write(base / "wider_face_split/wider_face_test_filelist.txt", "0--Parade/a.jpg\n")
    return [("WIDERFace", {}), ("WIDERFace", {"split": "test"})]


def expressions(root):
    rows = "".join(
        f"{i},{' '.join(map(str, RNG.integers(0, 256, 48 * 48)))},{use}\n"
        for i, use in enumerate(("Training", "PublicTest", "PrivateTest"))
    )
    write(root / "fer2013/fer2013.csv", "emotion,pixels,Usage\n" + rows)
    return [("FER2013", {}), ("FER2013", {"split": "test"})]


def digits(root):
    lines = [
        f"{i} " + " ".join(f"{j + 1}:{v:.4f}" for j, v in enumerate(RNG.uniform(-1, 1, 256))) for i in (1, 10)
    ]
    (root / "usps.t.bz2").write_bytes(bz2.compress("\n".join(lines).encode()))
    marks = np.eye(10, dtype=int)[[3, 7]]
    np.savetxt(root / "semeion.data", np.concatenate([RNG.integers(0, 2, (2, 256)), marks], 1), fmt="%.4f")
    (root / "MovingMNIST").mkdir()
    np.save(root / "MovingMNIST/mnist_test_seq.npy", RNG.integers(0, 256, (20, 2, 64, 64)).astype(np.uint8))
    for name in ("Greek/character01/1_1.png", "Greek/character02/2_1.png", "Latin/character01/3_1.png"):
        picture(root / "omniglot-py/images_background" / name, "L")
    (root / "omniglot-py/images_background.zip").touch()
    return [
        ("USPS", {"train": False}), ("SEMEION", {"download": False}), ("MovingMNIST", {}),
        ("MovingMNIST", {"split": "test", "split_ratio": 15}), ("Omniglot", {}),
    ]  # fmt: skip


def streets(root):
    raw = root / "Kitti/raw"
    for name in ("training/image_2/000000.png", "testing/image_2/000001.png"):
        picture(raw / name)
    line = "Car 0.50 1 -1.57 {} 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"
    write(
        raw / "training/label_2/000000.txt",
        line.format("0.5 1 3 4") + line.format("1 2 4 4").replace("Car", "Van"),
    )
    for kind in ("leftImg8bit/train/ulm/ulm_0_leftImg8bit.png", "gtFine/train/ulm/ulm_0_gtFine_color.png"):
        picture(root / kind)
    for kind in ("instanceIds", "labelIds"):
        values = np.array([[7, 7, 26001], [26002, 26001, 7]], np.uint16)
        values = values if kind == "instanceIds" else np.minimum(values, 26).astype(np.uint8)
        Image.fromarray(values).save(root / f"gtFine/train/ulm/ulm_0_gtFine_{kind}.png")
    write(root / "gtFine/train/ulm/ulm_0_gtFine_polygons.json", '{"objects": [1, 2]}')
    every = {"target_type": ["instance", "semantic", "polygon", "color"]}
    return [("Kitti", {}), ("Kitti", {"train": False}), ("Cityscapes", every), ("Cityscapes", {})]


def boundaries(root):
    scipy, sparse = pytest.importorskip("scipy.io"), pytest.importorskip("scipy.sparse")
    edges = np.empty((20, 1), object)
    for i in range(20):
        edges[i, 0] = sparse.csc_matrix(RNG.integers(0, 2, (4, 5)).astype(np.uint8))
    picture(root / "img/2008_1.jpg")
    (root / "cls").mkdir()
    content = {
        "Boundaries": edges,
        "Segmentation": RNG.integers(0, 21, (4, 5)).astype(np.uint8),
        "CategoriesPresent": [[1, 2]],
    }
    scipy.savemat(root / "cls/2008_1.mat", {"GTcls": content})
    write(root / "val.txt", "2008_1\n")
    return [("SBDataset", {"image_set": "val"}), ("SBDataset", {"image_set": "val", "mode": "segmentation"})]


def cars(root):
    scipy = pytest.importorskip("scipy.io")
    base = root / "stanford_cars"
    for name in ("00001.jpg", "00002.jpg"):
        picture(base / "cars_train" / name)
    (base / "devkit").mkdir()
    kinds = np.array(["Audi TT Coupé 2012", "BMW M3"], object)
    scipy.savemat(base / "devkit/cars_meta.mat", {"class_names": kinds})
    entries = np.array(
        [(3, 2, "00001.jpg"), (5, 1, "00002.jpg")], [("bbox_x1", "O"), ("class", "O"), ("fname", "O")]
    )
    scipy.savemat(base / "devkit/cars_train_annos.mat", {"annotations": entries})
    return [("StanfordCars", {})]


def captions(root):
    for name in ("11_aa.jpg", "22_bb.jpg"):
        picture(root / name)
    write(root / "30k.token", "11_aa.jpg#0\tA dog .\n22_bb.jpg#0\tTwo cats .\n11_aa.jpg#1\tDog .\n")
    page = "<table><tr><td><a href='x'>http://flickr.com/photos/x/11/</a></td><td><ul><li>A dog . </ul></td></tr></table>"
    write(root / "8k.html", page)
    return [
        ("Flickr30k", {"ann_file": str(root / "30k.token")}),
        ("Flickr8k", {"ann_file": str(root / "8k.html")}),
    ]


def clevr(root):
    base = root / "clevr/CLEVR_v1.0"
    for name in ("val/1.png", "val/2.png", "test/3.png"):
        picture(base / "images" / name)
    found = [{"image_filename": f"{i}.png", "objects": [{}] * i} for i in (2, 1)]
    write(base / "scenes/CLEVR_val_scenes.json", json.dumps({"scenes": found}))
    return [("CLEVRClassification", {"split": "val"}), ("CLEVRClassification", {"split": "test"})]


MAKERS = [
    dtd, food, aircraft, signs, sun, sst2, imagenette, folders, caltech, places, celeba, wider, expressions, digits, streets,
    boundaries, cars, captions, clevr,
]  # fmt: skip


@pytest.fixture
def trusting(monkeypatch):
    """Checksums are those of the real files, not of ours."""

    def check(path, md5=None):
        return __import__("os").path.isfile(path)

    import importlib

    for package in ("rushlight.vision.datasets", "torchvision.datasets"):
        theirs()
        for name in [
            "celeba",
            "people",
            "fer2013",
            "characters",
            "classified",
            "semeion",
            "omniglot",
            "places365",
        ]:
            try:
                module = importlib.import_module(f"{package}.{name}")
            except ImportError:
                continue
            if hasattr(module, "check_integrity"):
                monkeypatch.setattr(module, "check_integrity", check)
    oracle = theirs()
    monkeypatch.setattr(oracle.WIDERFace, "_check_integrity", lambda self: True)


@pytest.mark.parametrize("make", MAKERS)
def test_same_as_torchvision(make, tmp_path, trusting):
    for name, settings in make(tmp_path):
        if name == "Places365":
            settings = {**settings, "download": False}
        ours, oracle = (
            getattr(datasets, name)(str(tmp_path), **settings),
            getattr(theirs(), name)(str(tmp_path), **settings),
        )
        if name == "MovingMNIST":
            assert len(ours) == len(oracle) and repr(ours) == repr(oracle)
            assert all((ours[i].numpy() == oracle[i].numpy()).all() for i in range(2))
            continue
        if name == "WIDERFace" and ours.split != "test":
            assert len(ours) == len(oracle) == 2
            for i in range(2):
                assert {k: v.tolist() for k, v in ours[i][1].items()} == {
                    k: v.tolist() for k, v in oracle[i][1].items()
                }
            continue
        same(ours, oracle)
        for field in ("classes", "class_to_idx", "attr_names", "categories"):
            assert str(getattr(ours, field, None)) == str(getattr(oracle, field, None))


@pytest.mark.parametrize("make", MAKERS)
def test_absent_files_are_named(make, tmp_path):
    for name, settings in make(tmp_path):
        if name.startswith("Flickr"):
            continue
        settings = {key: value for key, value in settings.items() if key != "download"}
        if name == "SEMEION":
            settings["download"] = False
        with pytest.raises(RuntimeError, match=r"not found|does not exist") as caught:
            getattr(datasets, name)(str(tmp_path / "elsewhere"), **settings)
        assert "elsewhere" in str(caught.value)


def test_faces_in_the_wild(tmp_path, monkeypatch):
    base = tmp_path / "lfw-py"
    for name in ("Ann/Ann_0001", "Ann/Ann_0002", "Bob/Bob_0001"):
        picture(base / "lfw_funneled" / f"{name}.jpg")
    write(base / "lfw-names.txt", "Ann\t2\nBob\t1\n")
    write(base / "people.txt", "2\n1\nAnn\t2\n1\nBob\t1\n")
    write(base / "peopleDevTrain.txt", "1\nBob\t1\n")
    write(base / "pairs.txt", "1\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\n")
    monkeypatch.setattr(theirs().LFWPeople, "_check_integrity", lambda self: True)
    monkeypatch.setattr(theirs().LFWPairs, "_check_integrity", lambda self: True)
    for name, split in (("LFWPeople", "10fold"), ("LFWPeople", "train"), ("LFWPairs", "10fold")):
        same(getattr(datasets, name)(str(tmp_path), split), getattr(theirs(), name)(str(tmp_path), split))


def test_imagenet(tmp_path, monkeypatch):
    """Unpacked from archives like the real ones; then from the folders, as torchvision reads them."""
    scipy = pytest.importorskip("scipy.io")
    work, root = tmp_path / "work", tmp_path / "root"
    root.mkdir()
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    entries = [
        (1, "n01", "tench, Tinca", "a fish", 0),
        (2, "n02", "goldfish", "a fish", 0),
        (3, "n00", "fish", "it", 2),
    ]
    data = work / "ILSVRC2012_devkit_t12/data"
    data.mkdir(parents=True)
    scipy.savemat(data / "meta.mat", {"synsets": np.array(entries, kinds)})
    write(data / "ILSVRC2012_validation_ground_truth.txt", "2\n1\n2\n")
    for i in range(3):
        picture(work / "val" / f"ILSVRC2012_val_{i}.JPEG")
    for name in ("n01/n01_1.JPEG", "n02/n02_1.JPEG", "n02/n02_2.JPEG"):
        picture(work / "train" / name)

    def pack(path, folder):
        with tarfile.open(path, "w") as tar:
            for file in sorted(folder.iterdir()):
                tar.add(file, file.name)

    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        tar.add(work / "ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12")
    pack(root / "ILSVRC2012_img_val.tar", work / "val")
    for name in ("n01", "n02"):
        (work / "tars").mkdir(exist_ok=True)
        pack(work / "tars" / f"{name}.tar", work / "train" / name)
    pack(root / "ILSVRC2012_img_train.tar", work / "tars")
    with pytest.raises(RuntimeError, match=r"The archive ILSVRC2012_devkit_t12.tar.gz is not present"):
        datasets.ImageNet(root)
    names = {key: (name, None) for key, (name, _) in datasets.imagenet.ARCHIVE_META.items()}
    monkeypatch.setattr(datasets.imagenet, "ARCHIVE_META", names)
    for split in ("train", "val"):
        ours, oracle = datasets.ImageNet(root, split), theirs().ImageNet(root, split)
        same(ours, oracle)
        for field in ("wnids", "wnid_to_idx", "classes", "class_to_idx"):
            assert getattr(ours, field) == getattr(oracle, field)
    assert ours.targets == [0, 1, 1] and ours.classes[0] == ("tench", "Tinca")


DAMAGES = [
    (food, "food-101/meta/test.json", '{"pizza": 3}', "test.json: damaged"),
    (food, "food-101/meta/test.json", "{", "test.json: damaged"),
    (aircraft, "fgvc-aircraft-2013b/data/images_variant_trainval.txt", "0001 Zeppelin\n", "trainval.txt: 'Zeppelin' is none of the 2"),
    (aircraft, "fgvc-aircraft-2013b/data/images_variant_trainval.txt", "0001\n", "trainval.txt, line 1: 2 entries"),
    (places, "places365_val.txt", "1.jpg 700\n", "places365_val.txt: label 700"),
    (places, "places365_val.txt", "1.jpg x\n", "places365_val.txt: a whole number expected, got 'x'"),
    (wider, "widerface/wider_face_split/wider_face_train_bbx_gt.txt", "a.jpg\n2\n1 2 3\n", "gt.txt: damaged, no boxes"),
    (expressions, "fer2013/fer2013.csv", "emotion,pixels,Usage\n1,1 2 3,Training\n", "fer2013.csv: damaged, a picture has 3"),
    (expressions, "fer2013/fer2013.csv", f"emotion,pixels,Usage\n9,{'1 ' * 2304},Training\n", "fer2013.csv: label 9"),
    (streets, "Kitti/raw/training/label_2/000000.txt", "Car 1 2\n", "000000.txt: a name and 14 numbers"),
    (celeba, "celeba/identity_CelebA.txt", "000001.jpg x\n", "identity_CelebA.txt: damaged"),
]  # fmt: skip


@pytest.mark.parametrize("make, name, text, message", DAMAGES)
def test_damaged_lists_are_named(make, name, text, message, tmp_path, trusting):
    kind, settings = make(tmp_path)[0]
    (tmp_path / name).write_text(text)
    with pytest.raises((ValueError, RuntimeError), match=message):
        getattr(datasets, kind)(str(tmp_path), **settings)[0]


# -- wrapping for v2 ------------------------------------------------------------------------------------


def compared(value):
    if isinstance(value, dict):
        return {key: compared(item) for key, item in sorted(value.items())}
    if hasattr(value, "canvas_size"):
        return value.format.value, tuple(value.canvas_size), value.tolist()
    return [compared(item) for item in value] if isinstance(value, (tuple, list)) else plain(value)


def coco(root):
    names = [f"{i}.jpg" for i in range(2)]
    for name in names:
        picture(root / name)
    marks = [
        {"id": 1, "image_id": 0, "bbox": [0, 1, 3, 2], "category_id": 7, "area": 6, "iscrowd": 1,
         "segmentation": {"size": [4, 5], "counts": [3, 4, 13]}},
        {"id": 2, "image_id": 0, "bbox": [1.5, 0, 2, 2], "category_id": 3, "area": 4, "iscrowd": 0,
         "segmentation": {"size": [4, 5], "counts": "34="}},
    ]  # fmt: skip
    write(
        root / "a.json",
        json.dumps(
            {"images": [{"id": i, "file_name": n} for i, n in enumerate(names)], "annotations": marks}
        ),
    )
    return str(root), str(root / "a.json")


def test_wrapped_coco(tmp_path):
    arguments = coco(tmp_path)
    ours = datasets.wrap_dataset_for_transforms_v2(datasets.CocoDetection(*arguments), target_keys="all")
    target = ours[0][1]
    assert compared(target["boxes"]) == ("XYXY", (4, 5), [[0.0, 1.0, 3.0, 3.0], [1.5, 0.0, 3.5, 2.0]])
    assert target["labels"].tolist() == [7, 3] and target["image_id"] == 0 and target["area"] == [6, 4]
    first = np.zeros(20, int)
    first[3:7] = 1
    assert isinstance(target["masks"], tv_tensors.Mask)
    assert target["masks"][0].tolist() == first.reshape(5, 4).T.tolist()
    assert ours[1][1] == {"image_id": 1}
    flip = v2.RandomHorizontalFlip(1.0)
    ours = datasets.wrap_dataset_for_transforms_v2(datasets.CocoDetection(*arguments, transforms=flip))
    assert sorted(ours[0][1]) == ["boxes", "image_id", "labels"]
    assert ours[0][1]["boxes"].tolist() == [[2.0, 1.0, 5.0, 3.0], [1.5, 0.0, 3.5, 2.0]]
    for other in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        assert compared(other[0]) == compared(ours[0]) and len(other) == 2
    with pytest.raises(ValueError, match="Target keys \\['x'\\] are not available"):
        datasets.wrap_dataset_for_transforms_v2(datasets.CocoDetection(*arguments), target_keys={"x"})


def test_polygons_of_coco():
    polygons = [[1.2, 0.4, 7.9, 2.5, 5.0, 6.8, 0.6, 4.1], [6.0, 5.0, 9.5, 5.0, 9.5, 7.2]]
    drawn = datasets._wrapped.segmentation_mask(polygons, (8, 10))
    expected = "0100000000 0111100000 0111111100 0111111000 0111111000 0001110111 0000000001 0000000000"
    assert ["".join(map(str, row)) for row in drawn.tolist()] == expected.split()  # as pycocotools 2.0 has it
    mask = datasets._wrapped.segmentation_mask([[1, 1, 4, 1, 4, 3, 1, 3]], (5, 6))
    assert mask.sum() == 12 or mask.sum() == 6
    with pytest.raises(ValueError, match="run lengths of 3 pixels"):
        datasets._wrapped.segmentation_mask({"size": [2, 2], "counts": [3]}, (2, 2))


@pytest.mark.parametrize("make", [streets, celeba, wider, boundaries, signs, imagenette, caltech])
def test_wrapped_as_in_torchvision(make, tmp_path, trusting):
    oracle = theirs()
    for name, settings in make(tmp_path):
        out = []
        for module in (datasets, oracle):
            made = getattr(module, name)(str(tmp_path), **settings)
            try:
                wrapped = module.wrap_dataset_for_transforms_v2(made)
                out.append([type(wrapped).__name__, [compared(wrapped[i][1]) for i in range(len(wrapped))]])
            except (RuntimeError, TypeError) as error:
                out.append(type(error))
        if out[1] is not NotImplementedError:  # PyTorch has no `unique` of uint16
            assert out[0] == out[1], name


def test_what_cannot_be_wrapped():
    with pytest.raises(TypeError, match="No wrapper exists for dataset class FakeData"):
        datasets.wrap_dataset_for_transforms_v2(datasets.FakeData(size=1))
    with pytest.raises(TypeError, match="meant for subclasses of"):
        datasets.wrap_dataset_for_transforms_v2(rushlight.utils.data.TensorDataset(rushlight.ones(2)))
    with pytest.raises(ValueError, match="`target_keys` can be None"):
        datasets.wrap_dataset_for_transforms_v2(datasets.FakeData(size=1), target_keys="boxes")
