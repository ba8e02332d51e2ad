"""ImageNet's classes of 2012, and CLEVR's pictures with the number of objects."""

import json
import os
import shutil
import tempfile

import rushlight as rl
from rushlight.vision.datasets._listed import ListedPictures, number, rows
from rushlight.vision.datasets._mat import read_mat
from rushlight.vision.datasets.folder import ImageFolder, default_loader
from rushlight.vision.datasets.utils import (
    check_integrity,
    download_and_extract_archive,
    extract_archive,
    verify_str_arg,
)

ARCHIVE_META = {
    "train": ("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e"),
    "val": ("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622"),
    "devkit": ("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf"),
}
META_FILE = "meta.bin"


class ImageNet(ImageFolder):
    """1,281,167 photographs to train on and 50,000 to validate with, of 1,000 kinds.

    The archives cannot be fetched without an account: get them from https://image-net.org and put them into `root`.
    They are unpacked the first time.

    Args:
        root: folder with the archives, or with `train`, `val` and `meta.bin`.
        split: "train" or "val".
        **kwargs: the other arguments of `ImageFolder`.

    Attributes: `wnids` and `wnid_to_idx`, the names of the folders; `classes`, a list of tuples of words, and
        `class_to_idx`.

    Source: O. Russakovsky and others, "ImageNet Large Scale Visual Recognition Challenge" (2015).
    """

    def __init__(self, root, split="train", **kwargs):
        root = os.path.expanduser(root)
        self.split = verify_str_arg(split, "split", ("train", "val"))
        meta = os.path.join(root, META_FILE)
        if not os.path.isfile(meta):
            _read_devkit(root)
        words, val_wnids = rl.load(meta, weights_only=True)
        self._folder = os.path.join(root, split)
        if not os.path.isdir(self._folder):
            _unpack_train(root) if split == "train" else _unpack_val(root, val_wnids)
        super().__init__(self._folder, **kwargs)
        self.root = root
        self.wnids, self.wnid_to_idx = self.classes, self.class_to_idx
        unknown = [wnid for wnid in self.wnids if wnid not in words]
        if unknown:
            raise RuntimeError(f"{self._folder}: {unknown[0]!r} is none of the classes of {meta}")
        self.classes = [words[wnid] for wnid in self.wnids]
        self.class_to_idx = {word: i for i, synonyms in enumerate(self.classes) for word in synonyms}

    @property
    def split_folder(self) -> str:
        """The folder of the pictures."""
        return self._folder

    def extra_repr(self) -> str:
        return f"Split: {self.split}"


def _archive(root, kind: str) -> str:
    name, md5 = ARCHIVE_META[kind]
    path = os.path.join(root, name)
    if not check_integrity(path, md5):
        raise RuntimeError(
            f"The archive {name} is not present in the root directory or is corrupted. You need to download it "
            f"externally and place it in {root}."
        )
    return path


def _read_devkit(root) -> None:
    """Write `meta.bin`: the words of each class, and the classes of the pictures to validate with."""
    archive = _archive(root, "devkit")
    with tempfile.TemporaryDirectory() as folder:
        extract_archive(archive, folder)
        data = os.path.join(folder, "ILSVRC2012_devkit_t12", "data")
        try:
            entries = read_mat(os.path.join(data, "meta.mat"))["synsets"]
            leaves = [entry for entry in entries if int(entry["num_children"].item()) == 0]
            words = {entry["WNID"]: tuple(entry["words"].split(", ")) for entry in leaves}
            wnids = {int(entry["ILSVRC2012_ID"].item()): entry["WNID"] for entry in leaves}
            path = os.path.join(data, "ILSVRC2012_validation_ground_truth.txt")
            truth = [wnids[number(text, path)] for (text,) in rows(path, 1)]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RuntimeError(f"{archive}: damaged, no classes in it: {error!r}") from error
    rl.save((words, truth), os.path.join(root, META_FILE))


def _unpack_train(root) -> None:
    folder = os.path.join(root, "train")
    extract_archive(_archive(root, "train"), folder)
    for name in os.listdir(folder):
        archive = os.path.join(folder, name)
        extract_archive(archive, os.path.splitext(archive)[0], remove_finished=True)


def _unpack_val(root, wnids: list[str]) -> None:
    folder = os.path.join(root, "val")
    extract_archive(_archive(root, "val"), folder)
    for wnid, name in zip(wnids, sorted(os.listdir(folder)), strict=True):
        os.makedirs(os.path.join(folder, wnid), exist_ok=True)
        shutil.move(os.path.join(folder, name), os.path.join(folder, wnid, name))


class CLEVRClassification(ListedPictures):
    """100,000 drawn scenes with the number of objects in each.

    Args:
        root: folder with `clevr/CLEVR_v1.0`.
        split: "train", "val" or "test".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int, or None in the test split.
        download: fetch and unpack the archive if it is absent.
        loader: called with a path, gives the picture.

    Source: J. Johnson and others, "CLEVR" (2017).
    """

    _NAME = "clevr"
    _URL = "https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip"
    _MD5 = "b11922020e72d0cd9154779b2d3d07d2"

    def __init__(
        self,
        root,
        split="train",
        transform=None,
        target_transform=None,
        download=False,
        loader=default_loader,
    ):
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        super().__init__(root, transform, target_transform, loader)
        self._find(download)
        folder = self._base_folder / "CLEVR_v1.0"
        self._image_files = sorted((folder / "images" / split).glob("*"))
        self._labels = [None] * len(self._image_files)
        if split == "test":
            return
        path = folder / "scenes" / f"CLEVR_{split}_scenes.json"
        try:
            scenes = json.loads(path.read_text(encoding="utf-8"))["scenes"]
            counts = {scene["image_filename"]: len(scene["objects"]) for scene in scenes}
            self._labels = [counts[file.name] for file in self._image_files]
        except (ValueError, KeyError, TypeError) as error:
            raise RuntimeError(f"{path}: damaged, not the objects of each picture: {error!r}") from error

    def _needed(self):
        return [self._base_folder / "CLEVR_v1.0"]

    def _download(self):
        download_and_extract_archive(self._URL, str(self._base_folder), md5=self._MD5)

    def extra_repr(self) -> str:
        return f"split={self._split}"
