"""Oxford's 102 flowers."""

import pathlib

from rushlight.vision.datasets._mat import read_mat
from rushlight.vision.datasets.folder import default_loader
from rushlight.vision.datasets.utils import (
    check_integrity,
    download_and_extract_archive,
    download_url,
    missing,
    verify_str_arg,
)
from rushlight.vision.datasets.vision import VisionDataset


class Flowers102(VisionDataset):
    """Photographs of 102 kinds of flowers, 40 to 258 of each.

    Args:
        root: folder with `flowers-102/jpg`, `flowers-102/imagelabels.mat` and `flowers-102/setid.mat`.
        split: "train", "val" or "test".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int from 0 to 101.
        download: fetch and unpack the files if they are absent.
        loader: called with a path, gives the picture.

    Source: M.-E. Nilsback and A. Zisserman, "Automated Flower Classification over a Large Number of Classes" (2008).
    """

    _download_url_prefix = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
    _file_dict = {
        "image": ("102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"),
        "label": ("imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
        "setid": ("setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
    }
    _splits_map = {"train": "trnid", "val": "valid", "test": "tstid"}

    def __init__(
        self,
        root,
        split: str = "train",
        transform=None,
        target_transform=None,
        download: bool = False,
        loader=default_loader,
    ):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        self._base_folder = pathlib.Path(self.root) / "flowers-102"
        self._images_folder = self._base_folder / "jpg"
        if download:
            self.download()
        if not self._check_integrity():
            raise missing([self._images_folder, *self._lists()])
        (label_file, _), (set_file, _) = self._lists()
        ids = _column(set_file, self._splits_map[self._split])
        labels = _column(label_file, "labels")
        if max(ids, default=0) > len(labels):
            raise RuntimeError(f"{label_file}: no label of picture {max(ids)}, which {set_file} names")
        self._labels = [labels[number - 1] - 1 for number in ids]
        self._image_files = [self._images_folder / f"image_{number:05d}.jpg" for number in ids]
        self.loader = loader

    def _lists(self) -> list[tuple]:
        return [(self._base_folder / name, md5) for name, md5 in map(self._file_dict.get, ("label", "setid"))]

    def __getitem__(self, idx: int):
        return self._transformed(self.loader(self._image_files[idx]), self._labels[idx])

    def __len__(self) -> int:
        return len(self._image_files)

    def _check_integrity(self) -> bool:
        return self._images_folder.is_dir() and all(check_integrity(path, md5) for path, md5 in self._lists())

    def download(self) -> None:
        """Fetch and unpack the files if they are absent."""
        if self._check_integrity():
            return
        name, md5 = self._file_dict["image"]
        download_and_extract_archive(self._download_url_prefix + name, str(self._base_folder), md5=md5)
        for path, md5 in self._lists():
            download_url(self._download_url_prefix + path.name, str(self._base_folder), md5=md5)

    def extra_repr(self) -> str:
        return f"split={self._split}"


def _column(path, name: str) -> list[int]:
    content = read_mat(path)
    if name not in content:
        raise RuntimeError(f"{path}: damaged, there is no {name} in it")
    return content[name].ravel().astype(int).tolist()
