"""STL-10: coloured pictures of 96x96 pixels, most of them without labels."""

import os

import numpy as np

from rushlight.vision.datasets.utils import (
    check_integrity,
    check_labels,
    download_and_extract_archive,
    missing,
    verify_str_arg,
)
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.utils import _to_pil


class STL10(VisionDataset):
    """Photographs of 10 kinds of things: 5,000 to train on, 8,000 to test with, 100,000 without labels.

    Args:
        root: folder with `stl10_binary`.
        split: "train", "test", "unlabeled" or "train+unlabeled".
        folds: which of the 10 given folds of 1,000 training pictures to use; all pictures by default.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int; -1 where there is none.
        download: fetch the files if they are absent.

    Attributes: `data`, a uint8 array of shape (N, 3, 96, 96), `labels`, and `classes` where their names are there.

    Source: A. Coates, H. Lee and A. Y. Ng, "An Analysis of Single Layer Networks in Unsupervised Feature Learning"
    (2011).
    """

    base_folder = "stl10_binary"
    url = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    filename = "stl10_binary.tar.gz"
    tgz_md5 = "91f7769df0f17e558f3565bffb0c7dfb"
    class_names_file = "class_names.txt"
    folds_list_file = "fold_indices.txt"
    train_list = [
        ["train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"],
        ["train_y.bin", "5a34089d4802c674881badbb80307741"],
        ["unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4"],
    ]
    test_list = [
        ["test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"],
        ["test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"],
    ]
    splits = ("train", "train+unlabeled", "unlabeled", "test")

    def __init__(
        self,
        root,
        split: str = "train",
        folds: int | None = None,
        transform=None,
        target_transform=None,
        download: bool = False,
    ):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", self.splits)
        self.folds = self._verify_folds(folds)
        if download:
            self.download()
        if not self._check_integrity():
            raise missing([(self._path(name), md5) for name, md5 in self.train_list + self.test_list])
        parts = [self._labelled("test" if split == "test" else "train")] if split != "unlabeled" else []
        if "unlabeled" in split:
            images = self._images("unlabeled_X.bin")
            parts.append((images, np.full(len(images), -1)))
        self.data, self.labels = (np.concatenate(column) for column in zip(*parts, strict=True))
        if os.path.isfile(self._path(self.class_names_file)):
            with open(self._path(self.class_names_file)) as file:
                self.classes = file.read().splitlines()

    def _verify_folds(self, folds):
        if folds is None or (isinstance(folds, int) and folds in range(10)):
            return folds
        if isinstance(folds, int):
            raise ValueError(f"Value for argument folds should be in the range [0, 10), but got {folds}.")
        raise ValueError(f"Expected type None or int for argument folds, but got type {type(folds)}.")

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _images(self, name: str) -> np.ndarray:
        content = np.fromfile(self._path(name), np.uint8)
        if content.size % (3 * 96 * 96):
            raise RuntimeError(
                f"{self._path(name)}: truncated, {content.size} bytes are no whole pictures of 3x96x96"
            )
        return content.reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2)  # it is written column by column

    def _labelled(self, part: str):
        images, labels = self._images(f"{part}_X.bin"), np.fromfile(self._path(f"{part}_y.bin"), np.uint8) - 1
        if len(images) != len(labels):
            raise RuntimeError(
                f"{self._path(f'{part}_y.bin')}: {len(labels)} labels for {len(images)} pictures"
            )
        check_labels(labels, 10, self._path(f"{part}_y.bin"))
        if self.folds is None or part == "test":
            return images, labels
        with open(self._path(self.folds_list_file)) as file:
            lines = file.read().splitlines()
        if len(lines) <= self.folds:
            raise RuntimeError(f"{self._path(self.folds_list_file)}: there is no fold {self.folds} in it")
        chosen = np.array(lines[self.folds].split(), np.int64)
        return images[chosen], labels[chosen]

    def __getitem__(self, index: int):
        return self._transformed(_to_pil(self.data[index].transpose(1, 2, 0)), int(self.labels[index]))

    def __len__(self) -> int:
        return len(self.data)

    def _check_integrity(self) -> bool:
        return all(check_integrity(self._path(name), md5) for name, md5 in self.train_list + self.test_list)

    def download(self) -> None:
        """Fetch and unpack the files if they are absent."""
        if not self._check_integrity():
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.tgz_md5)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
