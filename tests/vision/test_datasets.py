"""Data sets of arrays on small files that the tests write, against torchvision where it is there."""

import gzip
import importlib
import pickle
import struct
import sys

import numpy as np
import pytest

import rushlight
from rushlight.vision import datasets
from rushlight.vision.datasets import mnist
from rushlight.vision.datasets.vision import StandardTransform

from .datasets_oracle import double, same, text, theirs

pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)


def idx(array, big_endian="u1", code=8):
    array = np.asarray(array)
    return (
        struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
        + array.astype(big_endian).tobytes()
    )


# ------------------------------------------------------------------------------------------------- base


def test_transforms():
    with pytest.raises(ValueError, match="Only transforms or transform/target_transform"):
        datasets.VisionDataset("x", transforms=len, transform=len)
    base = datasets.VisionDataset("~/x", transform=double)
    assert "~" not in base.root
    assert isinstance(base.transforms, StandardTransform)
    with pytest.raises(NotImplementedError):
        base[0]
    with pytest.raises(NotImplementedError):
        len(base)


def test_fake_data():
    pytest.importorskip("torch")
    state = rushlight.get_rng_state()
    for shape in ((3, 7, 5), (1, 4, 4)):
        options = {"size": 4, "image_size": shape, "num_classes": 7, "random_offset": 3}
        same(datasets.FakeData(**options), theirs().FakeData(**options))
    options = {"size": 2, "transform": double, "target_transform": abs}
    same(datasets.FakeData(**options), theirs().FakeData(**options))
    assert rushlight.equal(state, rushlight.get_rng_state())
    with pytest.raises(IndexError, match="FakeData index out of range"):
        datasets.FakeData(size=2)[2]


# -------------------------------------------------------------------------------------------------- idx


def write_mnist(folder, compressed=(), prefix=("train", "t10k"), count=6):
    folder.mkdir(parents=True)
    for part in prefix:
        for kind, array in (
            ("images-idx3-ubyte", RNG.integers(0, 256, (count, 28, 28))),
            ("labels-idx1-ubyte", np.arange(count) % 10),
        ):
            name, content = f"{part}-{kind}", idx(array)
            if kind[:6] in compressed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_mnist(tmp_path, name):
    write_mnist(tmp_path / name / "raw")
    for train in (True, False):
        same(getattr(datasets, name)(tmp_path, train), getattr(theirs(), name)(tmp_path, train))
    ours = getattr(datasets, name)(str(tmp_path), transform=double, target_transform=text)
    oracle = getattr(theirs(), name)(str(tmp_path), transform=double, target_transform=text)
    same(ours, oracle)
    assert ours.classes == oracle.classes
    assert ours.class_to_idx == oracle.class_to_idx
    assert ours.data.dtype is rushlight.uint8
    assert ours.targets.dtype is rushlight.int64
    assert (ours.resources, ours.mirrors) == (oracle.resources, oracle.mirrors)
    with pytest.warns(UserWarning, match="train_data has been renamed data"):
        assert ours.train_data is ours.data


def test_pictures_can_be_written_to(tmp_path):
    write_mnist(tmp_path / "MNIST" / "raw")
    data = datasets.MNIST(tmp_path)
    image, before = data[0][0], int(data.data[0, 2, 3])
    image.putpixel((3, 2), 255 - before)
    assert image.getpixel((3, 2)) == 255 - before
    assert int(data.data[0, 2, 3]) == before


def test_mnist_compressed(tmp_path):
    write_mnist(tmp_path / "MNIST" / "raw", compressed=("images", "labels"))
    ours = datasets.MNIST(tmp_path, train=False)
    assert (len(ours), ours[3][1], ours[3][0].size) == (6, 3, (28, 28))


def test_mnist_errors(tmp_path):
    with pytest.raises(
        RuntimeError, match=r"Dataset not found. You can use download=True to download it"
    ) as caught:
        datasets.MNIST(tmp_path)
    assert str(tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte") in str(caught.value)
    raw = tmp_path / "MNIST" / "raw"
    write_mnist(raw)
    good = (raw / "train-images-idx3-ubyte").read_bytes()
    labels = (raw / "train-labels-idx1-ubyte").read_bytes()
    for bad, message in ((good[:-1], "truncated"), (b"", "no idx file"), (b"<html>", "no idx file")):
        (raw / "train-images-idx3-ubyte").write_bytes(bad)
        with pytest.raises(RuntimeError, match=f"train-images-idx3-ubyte.*{message}"):
            datasets.MNIST(tmp_path)
    (raw / "train-images-idx3-ubyte").write_bytes(labels)
    with pytest.raises(ValueError, match="x should have 3 dimensions instead of 1"):
        datasets.MNIST(tmp_path)
    (raw / "train-images-idx3-ubyte").write_bytes(good)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(5)))
    with pytest.raises(RuntimeError, match="6 pictures, but 5 labels"):
        datasets.MNIST(tmp_path)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(np.array([0, 1, 10, 0, 0, 0])))
    with pytest.raises(RuntimeError, match="label 10 of picture 2 is none of the 10 classes"):
        datasets.MNIST(tmp_path)
    (raw / "train-labels-idx1-ubyte").unlink()
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels)[:-9])
    with pytest.raises(RuntimeError, match=r"train-labels-idx1-ubyte\.gz: cannot be decompressed"):
        datasets.MNIST(tmp_path)


@pytest.mark.parametrize(
    "code, dtype", [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
def test_idx_types(tmp_path, code, dtype):
    array = np.arange(-3, 9).reshape(3, 4) if code != 8 else np.arange(12).reshape(3, 4)
    (tmp_path / "file").write_bytes(idx(array, dtype, code))
    ours = mnist.read_sn3_pascalvincent_tensor(tmp_path / "file")
    assert ours.tolist() == array.tolist()
    theirs()
    oracle = importlib.import_module("torchvision.datasets.mnist").read_sn3_pascalvincent_tensor(
        tmp_path / "file"
    )
    assert str(ours.dtype) == str(oracle.dtype)


def test_old_files_of_torchvision(tmp_path):
    torch = pytest.importorskip("torch")
    folder = tmp_path / "MNIST" / "processed"
    folder.mkdir(parents=True)
    for name in ("training", "test"):
        torch.save((torch.ones(3, 28, 28, dtype=torch.uint8), torch.arange(3)), folder / f"{name}.pt")
    same(datasets.MNIST(tmp_path), theirs().MNIST(tmp_path))


@pytest.mark.parametrize("split", datasets.EMNIST.splits)
def test_emnist(tmp_path, split):
    write_mnist(tmp_path / "EMNIST" / "raw", prefix=(f"emnist-{split}-train", f"emnist-{split}-test"))
    ours, oracle = datasets.EMNIST(tmp_path, split), theirs().EMNIST(tmp_path, split)
    same(ours, oracle)
    assert ours.classes == oracle.classes
    same(
        datasets.EMNIST(tmp_path, split=split, train=False),
        theirs().EMNIST(tmp_path, split=split, train=False),
    )
    with pytest.raises(ValueError, match="Unknown value 'x' for argument split"):
        datasets.EMNIST(tmp_path, "x")


def test_qmnist(tmp_path):
    raw = tmp_path / "QMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("qmnist-train", "qmnist-test", "xnist"):
        (raw / f"{name}-images-idx3-ubyte").write_bytes(idx(RNG.integers(0, 256, (5, 28, 28))))
        (raw / f"{name}-labels-idx2-int").write_bytes(idx(RNG.integers(0, 10, (5, 8)), ">i4", 12))
    for what in ("train", "test", "test10k", "nist"):
        same(datasets.QMNIST(tmp_path, what), theirs().QMNIST(tmp_path, what))
    same(
        datasets.QMNIST(tmp_path, compat=False, train=False),
        theirs().QMNIST(tmp_path, compat=False, train=False),
    )
    assert len(datasets.QMNIST(tmp_path, "test50k")) == 0


# ------------------------------------------------------------------------------------------------ CIFAR


def python2_pickle(content):
    """As Python 2 wrote it: strings and arrays in protocol 2."""
    stream = pickle.dumps(content, protocol=2)
    return stream.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def write_cifar(root, name, dump=python2_pickle, count=4, **changes):
    cls = getattr(datasets, name)
    folder = root / cls.base_folder
    folder.mkdir(parents=True)
    key, classes = ("labels", 10) if name == "CIFAR10" else ("fine_labels", 100)
    for file, _ in cls.train_list + cls.test_list:
        labels = [int(label) for label in RNG.integers(0, classes, count)]
        content = {
            "data": RNG.integers(0, 256, (count, 3072), np.uint8),
            key: labels,
            "filenames": ["a"] * count,
        }
        (folder / file).write_bytes(dump({**content, **changes}))
    meta = {cls.meta["key"]: [f"class {i}" for i in range(classes)]}
    (folder / cls.meta["filename"]).write_bytes(dump(meta))


def without_md5(monkeypatch, cls):
    for part in ("train_list", "test_list"):
        monkeypatch.setattr(cls, part, [[name, None] for name, *_ in getattr(cls, part)])
    if hasattr(cls, "meta"):
        monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": None})


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_cifar(tmp_path, monkeypatch, name, protocol):
    write_cifar(tmp_path, name, python2_pickle if protocol == 2 else pickle.dumps)
    without_md5(monkeypatch, getattr(datasets, name))
    without_md5(monkeypatch, getattr(theirs(), name))
    for train in (True, False):
        ours, oracle = getattr(datasets, name)(tmp_path, train), getattr(theirs(), name)(tmp_path, train)
        same(ours, oracle)
        assert np.array_equal(ours.data, oracle.data)
        assert (ours.targets, ours.classes, ours.class_to_idx) == (
            oracle.targets,
            oracle.classes,
            oracle.class_to_idx,
        )


def test_cifar_constants():
    for name in ("CIFAR10", "CIFAR100"):
        ours, oracle = getattr(datasets, name), getattr(theirs(), name)
        for field in ("base_folder", "url", "filename", "tgz_md5", "train_list", "test_list", "meta"):
            assert getattr(ours, field) == getattr(oracle, field)


def test_cifar_is_checked(tmp_path):
    with pytest.raises(
        RuntimeError, match=r"Dataset not found or corrupted. You can use download=True"
    ) as caught:
        datasets.CIFAR10(tmp_path)
    assert f"absent: {tmp_path / 'cifar-10-batches-py' / 'data_batch_5'}" in str(caught.value)
    write_cifar(tmp_path, "CIFAR10")
    with pytest.raises(RuntimeError, match=r"damaged: .*test_batch has MD5"):
        datasets.CIFAR10(tmp_path, train=False)


class Evil:
    def __reduce__(self):
        return print, ("code of the file ran",)


def test_cifar_runs_no_code(tmp_path, monkeypatch, capsys):
    without_md5(monkeypatch, datasets.CIFAR10)
    write_cifar(tmp_path, "CIFAR10", extra=Evil())
    with pytest.raises(RuntimeError, match=r"data_batch_1: damaged, .* names .*print"):
        datasets.CIFAR10(tmp_path)
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes",
    [
        {"data": np.zeros((4, 5), np.uint8)},
        {"data": np.zeros((4, 3072))},
        {"data": "no array"},
        {"labels": [1, 2]},
        {"labels": [1, 2, 3, 10]},
    ],
)
def test_cifar_damaged(tmp_path, monkeypatch, changes):
    without_md5(monkeypatch, datasets.CIFAR10)
    write_cifar(tmp_path, "CIFAR10", **changes)
    with pytest.raises(RuntimeError, match=str(tmp_path)):
        datasets.CIFAR10(tmp_path)


def test_cifar_truncated(tmp_path, monkeypatch):
    without_md5(monkeypatch, datasets.CIFAR10)
    write_cifar(tmp_path, "CIFAR10")
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    content = path.read_bytes()
    for size in (0, 5, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(RuntimeError, match="test_batch: damaged"):
            datasets.CIFAR10(tmp_path, train=False)


def test_cifar_binary(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("\n".join("abcdefghij") + "\n\n")
    records = RNG.integers(0, 10, (3, 3073), np.uint8)
    for name in ("data_batch_1", "data_batch_3", "test_batch"):
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    ours = datasets.CIFAR10(tmp_path, train=False)
    assert ours.targets == records[:, 0].tolist()
    assert np.array_equal(ours.data[2].transpose(2, 0, 1).ravel(), records[2, 1:])
    assert ours.classes == list("abcdefghij")
    assert len(datasets.CIFAR10(tmp_path, batches=(1, 3))) == 6
    with pytest.raises(RuntimeError, match=r"absent: .*data_batch_2\.bin"):
        datasets.CIFAR10(tmp_path)
    with pytest.raises(ValueError, match="numbers from 1 to 5"):
        datasets.CIFAR10(tmp_path, batches=(0,))
    (folder / "test_batch.bin").write_bytes(records.tobytes()[:-1])
    with pytest.raises(RuntimeError, match=r"test_batch\.bin: truncated"):
        datasets.CIFAR10(tmp_path, train=False)
    (folder / "test_batch.bin").write_bytes(np.full(3073, 77, np.uint8).tobytes())
    with pytest.raises(RuntimeError, match="label 77"):
        datasets.CIFAR10(tmp_path, train=False)


def test_cifar100_binary(tmp_path):
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    (folder / "fine_label_names.txt").write_text("\n".join(f"c{i}" for i in range(100)))
    records = RNG.integers(0, 100, (3, 3074), np.uint8)
    (folder / "train.bin").write_bytes(records.tobytes())
    ours = datasets.CIFAR100(tmp_path)
    assert ours.targets == records[:, 1].tolist()
    assert np.array_equal(ours.data[0].transpose(2, 0, 1).ravel(), records[0, 2:])


# ----------------------------------------------------------------------------------- SVHN, STL10


@pytest.mark.parametrize("compressed", [True, False])
def test_svhn(tmp_path, monkeypatch, compressed):
    scipy = pytest.importorskip("scipy.io")
    content = {
        "X": RNG.integers(0, 256, (32, 32, 3, 5), np.uint8),
        "y": np.array([[1], [10], [3], [9], [10]], np.uint8),
    }
    scipy.savemat(tmp_path / "train_32x32.mat", {"other": "text", **content}, do_compression=compressed)
    with pytest.raises(RuntimeError, match=r"Dataset not found or corrupted"):
        datasets.SVHN(tmp_path)
    assert datasets.SVHN.split_list == theirs().SVHN.split_list
    files = {"train": ["", "train_32x32.mat", None]}
    monkeypatch.setattr(datasets.SVHN, "split_list", files)
    monkeypatch.setattr(theirs().SVHN, "split_list", files)
    ours, oracle = datasets.SVHN(tmp_path), theirs().SVHN(tmp_path)
    same(ours, oracle)
    assert ours.labels.tolist() == [1, 0, 3, 9, 0]
    whole = (tmp_path / "train_32x32.mat").read_bytes()
    for size in (0, 100, 130, len(whole) // 2):
        (tmp_path / "train_32x32.mat").write_bytes(whole[:size])
        with pytest.raises(RuntimeError, match=r"train_32x32\.mat"):
            datasets.SVHN(tmp_path)


@pytest.mark.parametrize("split", datasets.STL10.splits)
def test_stl10(tmp_path, monkeypatch, split):
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for part in ("train", "test", "unlabeled"):
        (folder / f"{part}_X.bin").write_bytes(RNG.integers(0, 256, 4 * 27648, np.uint8).tobytes())
        (folder / f"{part}_y.bin").write_bytes(bytes([1, 10, 4, 2]))
    (folder / "class_names.txt").write_text("bird\ncar\n")
    (folder / "fold_indices.txt").write_text("0 1\n2 3\n" * 5)
    with pytest.raises(RuntimeError, match=r"Dataset not found or corrupted"):
        datasets.STL10(tmp_path)
    without_md5(monkeypatch, datasets.STL10)
    without_md5(monkeypatch, theirs().STL10)
    ours, oracle = datasets.STL10(tmp_path, split), theirs().STL10(tmp_path, split)
    same(ours, oracle)
    assert ours.classes == oracle.classes
    if split.startswith("train"):
        assert len(datasets.STL10(tmp_path, split, folds=3)) == len(ours) - 2
        assert datasets.STL10(tmp_path, split, folds=3)[0][1] == 3
    (folder / "test_y.bin").write_bytes(bytes([1, 11, 0, 2]))
    if split == "test":
        with pytest.raises(RuntimeError, match=r"test_y\.bin: label 10 of picture 1"):
            datasets.STL10(tmp_path, split)
    for folds in (10, "1"):
        with pytest.raises(ValueError, match="argument folds"):
            datasets.STL10(tmp_path, folds=folds)
    (folder / "unlabeled_X.bin").write_bytes(b"12")
    if "unlabeled" in split:
        with pytest.raises(RuntimeError, match=r"unlabeled_X\.bin: truncated"):
            datasets.STL10(tmp_path, split)


def test_loader(tmp_path):
    """Batches through worker processes."""
    write_mnist(tmp_path / "MNIST" / "raw")
    transform = lambda image: rushlight.from_numpy(np.array(image))[None].float()
    data = datasets.MNIST(tmp_path, transform=transform)
    for workers in (0, 1):
        images, labels = next(iter(rushlight.utils.data.DataLoader(data, batch_size=4, num_workers=workers)))
        assert rushlight.equal(images[:, 0], data.data[:4].float())
        assert labels.tolist() == [0, 1, 2, 3]


def test_without_pillow(tmp_path, monkeypatch):
    write_mnist(tmp_path / "MNIST" / "raw")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    data = datasets.MNIST(tmp_path)  # the tensors need no Pillow
    assert data.data.shape == (6, 28, 28)
    with pytest.raises(ImportError, match=r"pip install rushlight\[vision\]"):
        data[0]
