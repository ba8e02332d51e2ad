"""Tables, key points, pairs of pictures and labels, and data sets in memory."""

import copy
import pickle

import numpy as np
import pytest

import rushlight
from rushlight.vision.datasets import (
    CSVDataset,
    FacialKeypoints,
    FakeData,
    ImageFolder,
    InMemory,
    SegmentationPairs,
)

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(3)
HOUSES = """id,area,street,rooms,constant,price
1,50,oak,2,5,100
2,70,elm,NA,5,150
3,90,oak,4,5,210
4,120,"fir, long",5,5,270
"""


@pytest.fixture
def houses(tmp_path):
    path = tmp_path / "houses.csv"
    path.write_text(HOUSES)
    return path


def test_csv(houses):
    data = CSVDataset(houses, target="price", features=["area", "id"])
    assert data.data.shape == (4, 2)
    assert data.targets.tolist() == [100, 150, 210, 270]
    area = np.array([50, 70, 90, 120])
    np.testing.assert_allclose(data.data[:, 0].numpy(), (area - area.mean()) / area.std(), rtol=1e-6)
    row, price = data[1]
    assert (row.shape, price.item(), row.dtype) == ((2,), 150, rushlight.float32)
    assert CSVDataset(houses, "price", ["area"], normalize=False).data[:, 0].tolist() == area.tolist()
    assert CSVDataset(houses, "price", ["area"], target_transform=float)[0][1] == 100.0
    assert CSVDataset(houses, features=["area"])[0].shape == (1,)
    batch, prices = next(iter(rushlight.utils.data.DataLoader(data, batch_size=3)))
    assert (batch.shape, prices.shape) == ((3, 2), (3,))


def test_csv_missing_values_and_selection(houses):
    with pytest.raises(ValueError, match=r"houses\.csv: rooms is missing in row 2"):
        CSVDataset(houses, "price")
    dropped = CSVDataset(houses, "price", missing="drop")
    assert dropped.features == ["id", "area", "rooms", "constant"]
    assert len(dropped) == 3
    assert dropped.data[:, 3].tolist() == [0, 0, 0], "a constant column stays finite"
    filled = CSVDataset(houses, "price", ["rooms"], missing="mean")
    assert filled.data[1].tolist() == [0]
    assert CSVDataset(houses, "price", ["rooms"], normalize=False, missing="mean").data[
        1, 0
    ].item() == pytest.approx(11 / 3)
    assert CSVDataset(houses, "price", 2, missing="mean").features == ["id", "area"]
    best = CSVDataset(houses, "price", 1, missing="drop")
    strength = np.abs(np.corrcoef(np.c_[dropped.data[:, :3].numpy(), dropped.targets.numpy()].T)[3, :3])
    assert best.features == [dropped.features[int(strength.argmax())]]


def test_csv_like_the_training_data(houses, tmp_path):
    train = CSVDataset(houses, "price", ["area", "rooms"], missing="mean")
    (tmp_path / "test.csv").write_text("rooms,area\n,82.5\n")
    test = CSVDataset(tmp_path / "test.csv", like=train, missing="mean")
    assert test.features == ["area", "rooms"]
    np.testing.assert_allclose(test.data.numpy(), [[0, 0]], atol=1e-7)


@pytest.mark.parametrize(
    "content, options, message",
    [
        (HOUSES, {"target": "cost"}, "there is no column 'cost'; it has id, area"),
        (HOUSES, {"features": ["street"]}, r"column 'street' holds 'oak' \(row 1\)"),
        (HOUSES, {"features": 3, "missing": "drop"}, "needs a target"),
        (HOUSES, {"target": "price", "features": 9, "missing": "drop"}, "a number from 1 to 4"),
        (HOUSES, {"missing": "zero"}, "missing: 'error', 'drop' or 'mean' expected"),
        ("a,b\n1,2\n3\n", {}, r"houses\.csv, line 3: 1 values, where the first line names 2"),
        ("a,a\n1,2\n", {}, "must name each column once"),
        ("", {}, "must name each column once"),
        ("a,b\n", {}, "no complete rows"),
        ("a,b\n1,inf\n", {"features": ["b"]}, r"column 'b' holds 'inf' \(row 1\)"),
    ],
)
def test_csv_errors(houses, content, options, message):
    houses.write_text(content)
    with pytest.raises(ValueError, match=message):
        CSVDataset(houses, **options)


NAMES = [f"point{i}" for i in range(15)]


def write_faces(path, rows):
    head = [f"{name}_{axis}" for name in NAMES for axis in "xy"]
    lines = [",".join([*map(str, points), " ".join(map(str, pixels))]) for points, pixels in rows]
    path.write_text("\n".join([",".join([*head, "Image"]), *lines]))


def test_keypoints(tmp_path):
    path = tmp_path / "training.csv"
    pixels = RNG.integers(0, 256, (3, 9216))
    points = RNG.random((3, 30)) * 96
    incomplete = [*points[1, :-1], ""]
    write_faces(path, [(points[0], pixels[0]), (incomplete, pixels[1]), (points[2], pixels[2])])
    data = FacialKeypoints(path)
    assert (len(data), data.names) == (2, NAMES)
    image, target = data[1]
    assert (image.mode, image.size, target.shape) == ("L", (96, 96), (15, 2))
    assert np.asarray(image).ravel().tolist() == pixels[2].tolist()
    assert data.targets.abs().max() <= 1
    np.testing.assert_allclose(data.to_pixels(target).numpy().ravel(), points[2], rtol=1e-5)
    np.testing.assert_allclose(target[0].numpy(), points[2, :2] / 48 - 1, rtol=1e-5)
    assert FacialKeypoints(path, transforms=lambda image, target: (1, 2))[0] == (1, 2)
    (tmp_path / "test.csv").write_text("ImageId,Image\n1," + " ".join(map(str, pixels[0])))
    assert FacialKeypoints(tmp_path / "test.csv")[0].size == (96, 96)


@pytest.mark.parametrize("pixels", [[1] * 9215, [256] * 9216, ["x"] * 9216, []])
def test_keypoints_damaged(tmp_path, pixels):
    write_faces(tmp_path / "x.csv", [([1] * 30, pixels)])
    with pytest.raises(ValueError, match=r"x\.csv: the picture in row 1 is damaged"):
        FacialKeypoints(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="there is no column 'Image'"):
        FacialKeypoints(tmp_path / "x.csv")


PALETTE = {"sky": (128, 128, 128), "void": (0, 0, 0), "road": (128, 64, 128), "car": (64, 0, 128)}


def write_pairs(folder, label):
    for name in ("images", "labels"):
        (folder / name).mkdir(exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (2, 3, 3), np.uint8)).save(folder / "images" / "a.jpg")
    Image.fromarray(np.array(label, np.uint8)).save(folder / "labels" / "a_L.png")
    return folder / "images", folder / "labels", PALETTE, "_L"


def test_segmentation_pairs(tmp_path):
    numbers = np.array([[0, 1, -1], [2, 2, 0]])
    colors = [c for name, c in PALETTE.items() if name != "void"]
    label = [[PALETTE["void"] if n < 0 else colors[n] for n in row] for row in numbers.tolist()]
    args = write_pairs(tmp_path, label)
    data = SegmentationPairs(*args)
    image, found = data[0]
    assert (image.mode, image.size) == ("RGB", (3, 2))
    assert found.dtype is rushlight.int64
    assert found.tolist() == numbers.tolist()
    assert data.classes == ["sky", "road", "car"]
    label[1][2] = (1, 2, 3)
    write_pairs(tmp_path, label)
    with pytest.raises(
        ValueError, match=r"a_L\.png: the colour \(1, 2, 3\) in row 1, column 2 is not in the palette"
    ):
        data[0]
    write_pairs(tmp_path, np.zeros((4, 3, 3)))
    with pytest.raises(ValueError, match=r"a_L\.png: it has \(4, 3\) pixels, its picture \(2, 3\)"):
        data[0]
    with pytest.raises(FileNotFoundError, match=r"a\.jpg: there is no label picture"):
        SegmentationPairs(*args[:3])
    with pytest.raises(ValueError, match="two classes have the same colour"):
        SegmentationPairs(*args[:2], {"a": (1, 1, 1), "b": (1, 1, 1)})
    with pytest.raises(ValueError, match="three numbers from 0 to 255"):
        SegmentationPairs(*args[:2], {"a": (1, 1, 256)})
    (tmp_path / "images" / "a.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="Couldn't find any picture"):
        SegmentationPairs(*args)


def test_in_memory(tmp_path):
    (tmp_path / "cat").mkdir()
    path = tmp_path / "cat" / "1.png"
    Image.new("RGB", (4, 3), "red").save(path)
    data = InMemory(ImageFolder(tmp_path), transform=lambda image: image.size)
    path.unlink()
    assert data[0] == ((4, 3), 0)
    assert (data.classes, len(data)) == (["cat"], 1)
    assert "Items of: ImageFolder" in repr(data)
    plain = InMemory(FakeData(3, (3, 4, 4)))
    for copied in (copy.deepcopy(plain), pickle.loads(pickle.dumps(plain))):
        assert copied[2][0].tobytes() == plain[2][0].tobytes()
    with pytest.raises(AttributeError):
        _ = data.nothing
