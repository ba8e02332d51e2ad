"""MNIST and its relatives: grey pictures of 28x28 pixels in idx files."""

import bz2
import gzip
import lzma
import os
import shutil
import string
import warnings
import zlib

import numpy as np

from rushlight.ops.creation import from_numpy
from rushlight.serialization import load
from rushlight.vision.datasets.utils import (
    check_integrity,
    check_labels,
    download_and_extract_archive,
    extract_archive,
    missing,
    verify_str_arg,
)
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.utils import _to_pil

_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_COMPRESSED = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


def _present(path: str) -> str | None:
    """`path`, or the same with the suffix of a compression, whichever is there."""
    return next((path + end for end in ("", *_COMPRESSED) if check_integrity(path + end)), None)


def read_sn3_pascalvincent_tensor(path, strict: bool = True):
    """The tensor in an idx file, which may be compressed.

    Args:
        path: the file; one ending in .gz, .xz or .bz2 is decompressed.
        strict: refuse data behind the end as well.

    Raises:
        RuntimeError: the file is no idx file, or truncated.

    Source: the format is described with Y. LeCun, C. Cortes and C. Burges, "The MNIST database" (1998).
    """
    opened = _COMPRESSED.get(os.path.splitext(path)[1], open)
    try:
        with opened(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise RuntimeError(
            f"{path}: cannot be decompressed: {error}. Delete it and download it again"
        ) from error
    head = content[:4]
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES or not 1 <= head[3] <= 3:
        raise RuntimeError(f"{path}: no idx file, its first bytes are {head.hex(' ')}")
    start = 4 + 4 * head[3]
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    dtype = np.dtype(_IDX_TYPES[head[2]])
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(content) - start < size or (strict and len(content) - start > size):
        raise RuntimeError(
            f"{path}: truncated or damaged, {max(len(content) - start, 0)} bytes of data where its header "
            f"{tuple(shape)} asks for {size}"
        )
    data = np.frombuffer(content, dtype, size // dtype.itemsize, start)
    return from_numpy(data.astype(dtype.newbyteorder("=")).reshape(shape))


def _read(path, what: str, ndim: int):
    found = read_sn3_pascalvincent_tensor(path, strict=False)
    if found._array.dtype != np.uint8:
        raise TypeError(f"x should be of dtype torch.uint8 instead of {found.dtype}: {path}")
    if found.ndim != ndim:
        plural = "s" if ndim > 1 else ""
        raise ValueError(
            f"x should have {ndim} dimension{plural} instead of {found.ndim}: {path} holds no {what}"
        )
    return found


def read_label_file(path):
    """The labels in an idx file, an int64 tensor of shape (N,)."""
    return _read(path, "labels", 1).long()


def read_image_file(path):
    """The pictures in an idx file, a uint8 tensor of shape (N, height, width)."""
    return _read(path, "pictures", 3)


def _renamed(old: str, new: str) -> property:
    def get(self):
        warnings.warn(f"{old} has been renamed {new}", stacklevel=2)
        return getattr(self, new)

    return property(get, doc=f"Old name of `{new}`.")


class MNIST(VisionDataset):
    """Handwritten digits, 60,000 to train on and 10,000 to test with.

    Args:
        root: folder with `MNIST/raw/train-images-idx3-ubyte` and so on, plain or with .gz behind.
        train: which part.
        transform: applied to each picture, a PIL image of mode L.
        target_transform: applied to each label, an int.
        download: fetch the files that are absent.

    Attributes: `data`, a uint8 tensor of shape (N, 28, 28), `targets`, an int64 tensor of shape (N,), `classes` and
    `class_to_idx`.

    Raises:
        RuntimeError: files are absent or damaged; the message names them.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition"
    (1998).
    """

    mirrors = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ]
    training_file = "training.pt"
    test_file = "test.pt"
    classes = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four",
        "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

    train_labels = _renamed("train_labels", "targets")
    test_labels = _renamed("test_labels", "targets")
    train_data = _renamed("train_data", "data")
    test_data = _renamed("test_data", "data")

    def __init__(
        self, root, train: bool = True, transform=None, target_transform=None, download: bool = False
    ):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if self._check_legacy_exist():
            self.data, self.targets = self._load_legacy_data()
            return
        if download:
            self.download()
        if not self._check_exists():
            absent = [f"{path} (or with .gz behind)" for path in self._files() if not _present(path)]
            raise missing(absent, "Dataset not found")
        self.data, self.targets = self._load_data()
        if len(self.data) != len(self.targets):
            raise RuntimeError(
                f"{self.raw_folder}: {len(self.data)} pictures, but {len(self.targets)} labels"
            )
        labels = self.targets.numpy()
        check_labels(labels if labels.ndim == 1 else labels[:, 0], len(self.classes), self.raw_folder)

    def _check_legacy_exist(self) -> bool:
        files = (self.training_file, self.test_file)
        return all(check_integrity(os.path.join(self.processed_folder, file)) for file in files)

    def _load_legacy_data(self):
        """What versions of torchvision before 0.9 wrote."""
        file = self.training_file if self.train else self.test_file
        return load(os.path.join(self.processed_folder, file), weights_only=True)

    def _files(self) -> list[str]:
        """All files that are needed, without the suffix of a compression."""
        names = (os.path.splitext(os.path.basename(url))[0] for url, _ in self.resources)
        return [os.path.join(self.raw_folder, name) for name in names]

    def _load_data(self):
        part = os.path.join(self.raw_folder, "train" if self.train else "t10k")
        images = read_image_file(_present(f"{part}-images-idx3-ubyte"))
        return images, read_label_file(_present(f"{part}-labels-idx1-ubyte"))

    def __getitem__(self, index: int):
        return self._transformed(_to_pil(self.data[index].numpy()), int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    @property
    def raw_folder(self) -> str:
        """Where the idx files are."""
        return os.path.join(self.root, type(self).__name__, "raw")

    @property
    def processed_folder(self) -> str:
        """Where old versions of torchvision wrote their .pt files."""
        return os.path.join(self.root, type(self).__name__, "processed")

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return {name: i for i, name in enumerate(self.classes)}

    def _check_exists(self) -> bool:
        return all(_present(path) for path in self._files())

    def download(self) -> None:
        """Fetch the files that are absent."""
        if self._check_exists():
            return
        for name, md5 in self.resources:
            urls = [mirror + name for mirror in self.mirrors]
            download_and_extract_archive(urls, self.raw_folder, filename=name, md5=md5)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"


class FashionMNIST(MNIST):
    """Pieces of clothing, in the format of `MNIST`, in `FashionMNIST/raw`.

    Source: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST" (2017).
    """

    mirrors = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ]
    classes = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]


class KMNIST(MNIST):
    """Cursive Japanese characters, in the format of `MNIST`, in `KMNIST/raw`.

    Source: T. Clanuwat and others, "Deep Learning for Classical Japanese Literature" (2018).
    """

    mirrors = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    ]
    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


class EMNIST(MNIST):
    """Handwritten letters and digits, in the format of `MNIST` but transposed, in `EMNIST/raw`.

    Args:
        root: folder with `EMNIST/raw/emnist-letters-train-images-idx3-ubyte` and so on.
        split: "byclass", "bymerge", "balanced", "letters", "digits" or "mnist".
        **kwargs: `train`, `transform`, `target_transform`, `download` as in `MNIST`.

    Source: G. Cohen, S. Afshar, J. Tapson and A. van Schaik, "EMNIST" (2017).
    """

    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    _merged_classes = set("cijklmopsuvwxyz")  # whose small and capital forms look alike
    _all_classes = set(string.digits + string.ascii_letters)
    classes_split_dict = {
        "byclass": sorted(_all_classes),
        "bymerge": sorted(_all_classes - _merged_classes),
        "balanced": sorted(_all_classes - _merged_classes),
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }

    def __init__(self, root, split: str, **kwargs):
        self.split = verify_str_arg(split, "split", self.splits)
        self.training_file, self.test_file = f"training_{split}.pt", f"test_{split}.pt"
        self.classes = self.classes_split_dict[self.split]
        super().__init__(root, **kwargs)

    @property
    def _file_prefix(self) -> str:
        return os.path.join(self.raw_folder, f"emnist-{self.split}-{'train' if self.train else 'test'}")

    @property
    def images_file(self) -> str:
        """The pictures, without .gz."""
        return f"{self._file_prefix}-images-idx3-ubyte"

    @property
    def labels_file(self) -> str:
        """The labels, without .gz."""
        return f"{self._file_prefix}-labels-idx1-ubyte"

    def _files(self) -> list[str]:
        return [self.images_file, self.labels_file]

    def _load_data(self):
        return read_image_file(_present(self.images_file)), read_label_file(_present(self.labels_file))

    def download(self) -> None:
        """Fetch and unpack all splits, if the files of this one are absent."""
        if self._check_exists():
            return
        download_and_extract_archive(self.url, self.raw_folder, md5=self.md5)
        folder = os.path.join(self.raw_folder, "gzip")
        for name in os.listdir(folder):
            if name.endswith(".gz"):
                extract_archive(os.path.join(folder, name), self.raw_folder)
        shutil.rmtree(folder)


class QMNIST(MNIST):
    """The digits of `MNIST` with all that is known of them, and the 50,000 test digits that MNIST lacks.

    Args:
        root: folder with `QMNIST/raw/qmnist-train-images-idx3-ubyte` and so on.
        what: "train", "test", "test10k" (those of MNIST), "test50k" (the others) or "nist" (all); by `train` if None.
        compat: targets are the label only; else an int64 tensor of 8 values.
        train: "train" or "test", where `what` is None.
        **kwargs: `transform`, `target_transform`, `download` as in `MNIST`.

    Source: C. Yadav and L. Bottou, "Cold Case: The Lost MNIST Digits" (2019).
    """

    subsets = {"train": "train", "test": "test", "test10k": "test", "test50k": "test", "nist": "nist"}
    mirrors = ["https://raw.githubusercontent.com/facebookresearch/qmnist/master/"]
    resources = {
        "train": [
            ("qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
            ("qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
        ],
        "test": [
            ("qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
            ("qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
        ],
        "nist": [
            ("xnist-images-idx3-ubyte.xz", "7f124b3b8ab81486c9d8c2749c17f834"),
            ("xnist-labels-idx2-int.xz", "5ed0e788978e45d4a8bd4b7caec3d79d"),
        ],
    }

    def __init__(self, root, what: str | None = None, compat: bool = True, train: bool = True, **kwargs):
        what = ("train" if train else "test") if what is None else what
        self.what = verify_str_arg(what, "what", tuple(self.subsets))
        self.compat = compat
        self.resources = type(self).resources[self.subsets[self.what]]
        self.data_file = self.training_file = self.test_file = what + ".pt"
        super().__init__(root, train, **kwargs)

    @property
    def images_file(self) -> str:
        """The pictures, without the suffix of the compression."""
        return self._files()[0]

    @property
    def labels_file(self) -> str:
        """The labels, without the suffix of the compression."""
        return self._files()[1]

    def _load_data(self):
        data = read_image_file(_present(self.images_file))
        targets = read_sn3_pascalvincent_tensor(_present(self.labels_file)).long()
        if targets.ndim != 2:
            raise ValueError(
                f"targets should have 2 dimensions instead of {targets.ndim}: {self.labels_file}"
            )
        part = {"test10k": slice(0, 10000), "test50k": slice(10000, None)}.get(self.what, slice(None))
        return data[part].clone(), targets[part].clone()

    def __getitem__(self, index: int):
        target = self.targets[index]
        return self._transformed(_to_pil(self.data[index].numpy()), int(target[0]) if self.compat else target)

    def extra_repr(self) -> str:
        return f"Split: {self.what}"
