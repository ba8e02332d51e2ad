"""What data sets of picture files with one label each share."""

import os
import pathlib

from rushlight.vision.datasets.folder import default_loader
from rushlight.vision.datasets.utils import download_and_extract_archive, missing
from rushlight.vision.datasets.vision import VisionDataset


class ListedPictures(VisionDataset):
    """Base of data sets that know the file and the label of each picture: `_image_files` and `_labels`."""

    _NAME = ""  # the folder below root
    _URL = _MD5 = None

    loader = staticmethod(default_loader)

    def __init__(self, root, transform, target_transform, loader=default_loader):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self._base_folder = pathlib.Path(self.root) / self._NAME

    def _needed(self) -> list:
        """The files and folders without which there is nothing to read."""
        return [self._base_folder]

    def _find(self, download: bool) -> None:
        """Fetch the archive if that is wanted and needed; raise where anything is absent."""
        if download and not self._check_exists():
            self._download()
        if not self._check_exists():
            raise missing(self._needed(), "Dataset not found")

    def _check_exists(self) -> bool:
        return all(os.path.exists(path) for path in self._needed())

    def _download(self) -> None:
        download_and_extract_archive(self._URL, str(self.root), md5=self._MD5)

    def _name_classes(self, names) -> None:
        self.classes = list(names)
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, idx: int):
        return self._transformed(self.loader(self._image_files[idx]), self._labels[idx])

    def __len__(self) -> int:
        return len(self._image_files)


def rows(path, count: int | None = None, separator: str | None = None) -> list[list[str]]:
    """The lines of a text file in parts; empty ones are left out.

    Args:
        path: the file.
        count: how many parts each line must have.
        separator: between them; white space by default. `count` - 1 of them are looked for.

    Raises:
        ValueError: it is no text, or a line has too few parts; names file and line.
    """
    found = []
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                line = line.strip()
                if not line:
                    continue
                parts = line.split(separator, -1 if count is None else count - 1)
                if count is not None and len(parts) != count:
                    raise ValueError(f"{path}, line {number}: {count} entries expected, got {line!r}")
                found.append(parts)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: damaged, no text: {error}") from error
    return found


def number(text: str, path) -> int:
    """An int in a text file.

    Raises:
        ValueError: it is none; names the file.
    """
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{path}: a whole number expected, got {text!r}") from None


def class_of(name, class_to_idx: dict, path) -> int:
    """The number of a class that a list names.

    Raises:
        ValueError: there is no such class; names the list.
    """
    if name not in class_to_idx:
        raise ValueError(f"{path}: {name!r} is none of the {len(class_to_idx)} classes")
    return class_to_idx[name]
