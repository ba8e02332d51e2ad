"""Street View House Numbers: coloured pictures of 32x32 pixels."""

import os

import numpy as np

from rushlight.vision.datasets._mat import read_mat
from rushlight.vision.datasets.utils import (
    check_integrity,
    check_labels,
    download_url,
    missing,
    verify_str_arg,
)
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.utils import _to_pil


class SVHN(VisionDataset):
    """Digits cut from house numbers: 73,257 to train on, 26,032 to test with, 531,131 extra.

    Args:
        root: folder with `train_32x32.mat` and so on.
        split: "train", "test" or "extra".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int; 0 is the digit 0.
        download: fetch the file if it is absent.

    Attributes: `data`, a uint8 array of shape (N, 3, 32, 32), and `labels`, an int64 array.

    Source: Y. Netzer and others, "Reading Digits in Natural Images with Unsupervised Feature Learning" (2011).
    """

    split_list = {
        split: [f"http://ufldl.stanford.edu/housenumbers/{split}_32x32.mat", f"{split}_32x32.mat", md5]
        for split, md5 in (
            ("train", "e26dedcc434d2e4c54c9b2d4a06d8373"),
            ("test", "eb5a983be6a315427106f1b164d9cef3"),
            ("extra", "a93ce644f1a588dc4d68dda5feec44a7"),
        )
    }

    def __init__(
        self, root, split: str = "train", transform=None, target_transform=None, download: bool = False
    ):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", tuple(self.split_list))
        self.url, self.filename, self.file_md5 = self.split_list[split]
        if download:
            self.download()
        path = os.path.join(self.root, self.filename)
        if not self._check_integrity():
            raise missing([(path, self.file_md5)])
        content = read_mat(path)
        if not {"X", "y"} <= content.keys() or content["X"].ndim != 4:
            raise RuntimeError(f"{path}: damaged, no pictures X and labels y in it")
        self.data = content["X"].transpose(3, 2, 0, 1)
        labels = content["y"].astype(np.int64).ravel()
        self.labels = np.where(labels == 10, 0, labels)  # 10 stands for the digit 0
        if len(self.data) != len(self.labels):
            raise RuntimeError(f"{path}: {len(self.data)} pictures, but {len(self.labels)} labels")
        check_labels(self.labels, 10, path)

    def __getitem__(self, index: int):
        return self._transformed(_to_pil(self.data[index].transpose(1, 2, 0)), int(self.labels[index]))

    def __len__(self) -> int:
        return len(self.data)

    def _check_integrity(self) -> bool:
        return check_integrity(os.path.join(self.root, self.filename), self.file_md5)

    def download(self) -> None:
        """Fetch the file if it is absent."""
        download_url(self.url, self.root, self.filename, self.file_md5)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
