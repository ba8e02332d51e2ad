"""Written characters and digits beside the MNIST family: USPS, Semeion, Omniglot, and digits that move."""

import bz2
import os

import numpy as np

import rushlight as rl
from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.utils import (
    check_integrity,
    check_labels,
    download_and_extract_archive,
    download_url,
    list_dir,
    list_files,
    missing,
    verify_str_arg,
)
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.utils import _to_pil


class _Digits16(VisionDataset):
    """Grey pictures of 16x16 pixels in one text file."""

    def __getitem__(self, index: int):
        return self._transformed(_to_pil(self.data[index]), int(self._labels[index]))

    def __len__(self) -> int:
        return len(self.data)


class USPS(_Digits16):
    """9,298 digits from letters, grey, 16x16 pixels.

    Args:
        root: folder with `usps.bz2` and `usps.t.bz2`.
        train: the 7,291 to train on, or the 2,007 to test with.
        transform: applied to each picture, a PIL image of mode L.
        target_transform: applied to each label, an int.
        download: fetch the file if it is absent.

    Attributes: `data`, a uint8 array of shape (N, 16, 16), and `targets`.

    Source: J. J. Hull, "A Database for Handwritten Text Recognition Research" (1994).
    """

    _URL = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"
    split_list = {
        "train": [_URL + "usps.bz2", "usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"],
        "test": [_URL + "usps.t.bz2", "usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"],
    }

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        super().__init__(root, transform=transform, target_transform=target_transform)
        url, name, md5 = self.split_list["train" if train else "test"]
        path = os.path.join(self.root, name)
        if download:
            download_url(url, self.root, name, md5)
        if not os.path.isfile(path):
            raise missing([path], "Dataset not found")
        try:
            with bz2.open(path, "rt") as file:
                entries = [line.split() for line in file]
            values = [[float(part.split(":")[1]) for part in entry[1:]] for entry in entries]
            pixels = (np.array(values, np.float32).reshape(-1, 16, 16) + 1) / 2 * 255
            self.targets = [int(entry[0]) - 1 for entry in entries]
        except (ValueError, IndexError, OSError, EOFError) as error:
            raise RuntimeError(f"{path}: damaged, no pictures of 256 numbers: {error}") from error
        self.data = pixels.astype(np.uint8)
        check_labels(self.targets, 10, path)
        self._labels = self.targets


class SEMEION(_Digits16):
    """1,593 digits, black on white, 16x16 pixels.

    Args:
        root: folder with `semeion.data`.
        transform: applied to each picture, a PIL image of mode L.
        target_transform: applied to each label, an int.
        download: fetch the file if it is absent.

    Attributes: `data`, a uint8 array of shape (N, 16, 16), and `labels`.

    Source: Semeion, Research Center of Sciences of Communication, Rome (1994).
    """

    url = "http://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data"
    filename = "semeion.data"
    md5_checksum = "cb545d371d2ce14ec121470795a77432"

    def __init__(self, root, transform=None, target_transform=None, download=True):
        super().__init__(root, transform=transform, target_transform=target_transform)
        path = os.path.join(self.root, self.filename)
        if download:
            download_url(self.url, self.root, self.filename, self.md5_checksum)
        if not check_integrity(path, self.md5_checksum):
            raise missing([(path, self.md5_checksum)])
        table = np.loadtxt(path, ndmin=2)
        if table.shape[1] != 266 or (table[:, 256:].sum(1) != 1).any():
            raise RuntimeError(f"{path}: damaged, lines of 256 pixels and 10 marks expected")
        self.data = (table[:, :256] * 255).astype(np.uint8).reshape(-1, 16, 16)
        self.labels = self._labels = np.nonzero(table[:, 256:])[1]


class Omniglot(VisionDataset):
    """32,460 drawings of 1,623 characters from 50 alphabets, by 20 people each.

    Args:
        root: folder with `omniglot-py`, in which are `images_background` or `images_evaluation`, and their archives.
        background: the 30 alphabets to learn from, or the 20 to evaluate with.
        transform: applied to each picture, a PIL image of mode L.
        target_transform: applied to each label, an int.
        download: fetch and unpack the archive if it is absent.
        loader: called with a path, gives the picture.

    Source: B. M. Lake and others, "Human-level Concept Learning through Probabilistic Program Induction" (2015).
    """

    folder = "omniglot-py"
    download_url_prefix = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
    zips_md5 = {
        "images_background": "68d2efa1b9178cc56df9314c21c6e718",
        "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811",
    }

    def __init__(
        self, root, background=True, transform=None, target_transform=None, download=False, loader=None
    ):
        super().__init__(
            os.path.join(os.path.expanduser(root), self.folder),
            transform=transform,
            target_transform=target_transform,
        )
        self.background = background
        name = "images_background" if background else "images_evaluation"
        archive, md5 = os.path.join(self.root, f"{name}.zip"), self.zips_md5[name]
        if download and not check_integrity(archive, md5):
            url = f"{self.download_url_prefix}/{name}.zip"
            download_and_extract_archive(url, self.root, filename=f"{name}.zip", md5=md5)
        self.target_folder = os.path.join(self.root, name)
        if not os.path.isdir(self.target_folder):
            raise missing([self.target_folder])
        self._alphabets = list_dir(self.target_folder)
        self._characters = [
            os.path.join(alphabet, character)
            for alphabet in self._alphabets
            for character in list_dir(os.path.join(self.target_folder, alphabet))
        ]
        self._flat_character_images = [
            (image, i)
            for i, character in enumerate(self._characters)
            for image in list_files(os.path.join(self.target_folder, character), ".png")
        ]
        self.loader = loader

    def __getitem__(self, index: int):
        name, label = self._flat_character_images[index]
        path = os.path.join(self.target_folder, self._characters[label], name)
        return self._transformed(open_picture(path, "L") if self.loader is None else self.loader(path), label)

    def __len__(self) -> int:
        return len(self._flat_character_images)


class MovingMNIST(VisionDataset):
    """10,000 videos of 20 frames, 64x64 pixels, in which two digits move.

    Args:
        root: folder with `MovingMNIST/mnist_test_seq.npy`.
        split: "train" for the first frames, "test" for the others, None for all.
        split_ratio: how many frames are the first, 1 to 19.
        download: fetch the file if it is absent.
        transform: applied to each video, a uint8 tensor of shape (frames, 1, 64, 64).

    Source: N. Srivastava, E. Mansimov and R. Salakhutdinov, "Unsupervised Learning of Video Representations" (2015).
    """

    _URL = "http://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy"

    def __init__(self, root, split=None, split_ratio=10, download=False, transform=None):
        super().__init__(root, transform=transform)
        folder = os.path.join(self.root, type(self).__name__)
        path = os.path.join(folder, "mnist_test_seq.npy")
        self.split = split if split is None else verify_str_arg(split, "split", ("train", "test"))
        if not isinstance(split_ratio, int):
            raise TypeError(f"`split_ratio` should be an integer, but got {type(split_ratio)}")
        if not 1 <= split_ratio <= 19:
            raise ValueError(
                f"`split_ratio` should be `1 <= split_ratio <= 19`, but got {split_ratio} instead."
            )
        self.split_ratio = split_ratio
        if download and not os.path.isfile(path):
            download_url(self._URL, folder, md5="be083ec986bfe91a449d63653c411eb2")
        if not os.path.isfile(path):
            raise missing([path], "Dataset not found")
        try:
            frames = np.load(path)
        except (ValueError, EOFError, OSError) as error:
            raise RuntimeError(f"{path}: damaged, no array of NumPy: {error}") from error
        if frames.ndim != 4:
            raise RuntimeError(f"{path}: damaged, shape (20, N, 64, 64) expected, got {frames.shape}")
        parts = {"train": slice(split_ratio), "test": slice(split_ratio, None), None: slice(None)}
        frames = frames[parts[self.split]].swapaxes(0, 1)[:, :, None]
        self.data = rl.from_numpy(np.ascontiguousarray(frames))

    def __getitem__(self, idx: int):
        data = self.data[idx]
        return data if self.transform is None else self.transform(data)

    def __len__(self) -> int:
        return len(self.data)
