"""CIFAR-10 and CIFAR-100: coloured pictures of 32x32 pixels, in Python's or in the binary format."""

import os
import pickle

import numpy as np

from rushlight.vision.datasets.utils import (
    check_integrity,
    check_labels,
    download_and_extract_archive,
    missing,
)
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.utils import _to_pil


class CIFAR10(VisionDataset):
    """Photographs of 10 kinds of things, 50,000 to train on and 10,000 to test with.

    The folder `cifar-10-batches-py` is read; where it is absent, `cifar-10-batches-bin`, the binary version.

    Args:
        root: folder with one of them.
        train: which part.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        download: fetch the Python version if files are absent.
        batches: numbers of the training batches to read, 1 to 5; all by default. A batch is 10,000 pictures.

    Attributes: `data`, a uint8 array of shape (N, 32, 32, 3), `targets`, a list of labels, `classes`, `class_to_idx`.

    Raises:
        RuntimeError: files are absent or damaged; the message names them.

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009).
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list = [
        ["data_batch_1", "c99cafc152244af753f735de768cd75f"],
        ["data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"],
        ["data_batch_3", "54ebc095f3ab1f0389bbae665268c751"],
        ["data_batch_4", "634d18415352ddfa80567beed471001a"],
        ["data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"],
    ]
    test_list = [["test_batch", "40351d587109b95175f43aff81a1287e"]]
    meta = {"filename": "batches.meta", "key": "label_names", "md5": "5ff9c542aee3614f3951f8cda6e48888"}
    _binary_folder, _binary_meta, _binary_labels = "cifar-10-batches-bin", "batches.meta.txt", 1

    def __init__(
        self,
        root,
        train: bool = True,
        transform=None,
        target_transform=None,
        download: bool = False,
        batches=None,
    ):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        self._chosen = self._choose(batches)
        if download:
            self.download()
        folder = os.path.join(self.root, self._binary_folder)
        if not os.path.isdir(os.path.join(self.root, self.base_folder)) and os.path.isdir(folder):
            images, self.targets, self.classes = self._read_binary(folder)
        else:
            images, self.targets, self.classes = self._read_python()
        planes = np.concatenate(images).reshape(-1, 3, 32, 32)
        self.data = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))  # items are made faster from it
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        check_labels(self.targets, len(self.classes), self.root)

    def _choose(self, batches) -> list[list]:
        if not self.train:
            return self.test_list
        if batches is None:
            return self.train_list
        numbers = list(batches)
        if not numbers or any(number not in range(1, len(self.train_list) + 1) for number in numbers):
            raise ValueError(f"batches: numbers from 1 to {len(self.train_list)} expected, got {batches}")
        return [self.train_list[number - 1] for number in numbers]

    def _read_python(self):
        if not self._check_integrity():
            raise missing(self._files())
        path = self._path(self.meta["filename"])
        if not check_integrity(path, self.meta["md5"]):
            raise missing([(path, self.meta["md5"])], "Dataset metadata file not found or corrupted")
        classes = _entry(_read_pickle(path), path, self.meta["key"])
        images, targets = [], []
        for name, _ in self._chosen:
            path = self._path(name)
            content = _read_pickle(path)
            data, labels = (
                _pixels(_entry(content, path, "data"), path),
                _entry(content, path, "labels", "fine_labels"),
            )
            if data.shape != (len(labels), 3072):
                raise RuntimeError(f"{path}: damaged, data of shape {data.shape} for {len(labels)} labels")
            images.append(data)
            targets.extend(labels)
        return images, targets, classes

    def _read_binary(self, folder: str):
        paths = [os.path.join(folder, name + ".bin") for name, _ in self._chosen]
        names = os.path.join(folder, self._binary_meta)
        if not all(os.path.isfile(path) for path in [*paths, names]):
            raise missing([*paths, names])
        images, targets = [], []
        for path in paths:
            content = np.fromfile(path, np.uint8)
            width = self._binary_labels + 3072
            if not content.size or content.size % width:
                raise RuntimeError(
                    f"{path}: truncated or damaged, {content.size} bytes are no whole records of {width}"
                )
            records = content.reshape(-1, width)
            images.append(records[:, self._binary_labels :])
            targets.extend(records[:, self._binary_labels - 1].tolist())
        with open(names) as file:
            return images, targets, file.read().split()

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _files(self) -> list[tuple[str, str]]:
        return [(self._path(name), md5) for name, md5 in self._chosen]

    def _check_integrity(self) -> bool:
        return all(check_integrity(path, md5) for path, md5 in self._files())

    def __getitem__(self, index: int):
        return self._transformed(_to_pil(self.data[index]), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def download(self) -> None:
        """Fetch and unpack the Python version, if its files are absent."""
        if not self._check_integrity():
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.tgz_md5)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"


class CIFAR100(CIFAR10):
    """As `CIFAR10`, of 100 kinds of things; folder `cifar-100-python`, or `cifar-100-binary`."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = [["train", "16019d7e3df5f24257cddd939b257f8d"]]
    test_list = [["test", "f0ef6b0ae62326f3e7ffdfab6717acfc"]]
    meta = {"filename": "meta", "key": "fine_label_names", "md5": "7973b15100ade9c7d40fb424638fde48"}
    _binary_folder, _binary_meta, _binary_labels = "cifar-100-binary", "fine_label_names.txt", 2


def _entry(content, path: str, *keys: str):
    """The first of `keys` that a pickled dict has."""
    for key in keys:
        if isinstance(content, dict) and key in content:
            return content[key]
    raise RuntimeError(f"{path}: damaged, there is no {' or '.join(map(repr, keys))} in it")


class _Type:
    """Stands for a NumPy type in a pickle."""

    def __init__(self, name, align=False, copy=False):
        self.name = name

    def __setstate__(self, state):
        pass  # byte order and the like, which single bytes don't have


class _Array:
    """Stands for a NumPy array in a pickle."""

    shape = type = fortran = content = None

    def __setstate__(self, state):
        _, self.shape, self.type, self.fortran, self.content = state


def _pixels(value, path: str) -> np.ndarray:
    """The array of bytes that a pickle holds."""
    if not isinstance(value, _Array) or getattr(value.type, "name", None) != "u1":
        raise RuntimeError(f"{path}: damaged, its data is no array of bytes")
    content = value.content.encode("latin1") if isinstance(value.content, str) else value.content
    try:
        return np.frombuffer(content, np.uint8).reshape(value.shape, order="F" if value.fortran else "C")
    except (TypeError, ValueError) as error:
        raise RuntimeError(f"{path}: damaged, {error}") from error


def _encode(text: str, encoding: str) -> bytes:
    return text.encode(encoding)


class _Reader(pickle.Unpickler):
    """Reads dicts, lists, strings, numbers and arrays of bytes. Nothing that a pickle names is imported or called."""

    _known = {
        ("numpy", "ndarray"): None,
        ("numpy", "dtype"): _Type,
        ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
        ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Array(),
        ("_codecs", "encode"): _encode,
    }

    def find_class(self, module: str, name: str):
        try:
            return self._known[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no such data needs") from None


def _read_pickle(path: str):
    try:
        with open(path, "rb") as file:
            return _Reader(file, encoding="latin1").load()
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise RuntimeError(f"{path}: damaged, or no such pickle: {error}") from error
