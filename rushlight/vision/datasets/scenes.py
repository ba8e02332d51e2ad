"""Streets and scenes with boxes, regions or captions: Kitti, Cityscapes, Berkeley's boundaries, Flickr."""

import glob
import json
import os
import shutil
from collections import namedtuple
from html.parser import HTMLParser

import numpy as np

from rushlight.vision.datasets._listed import rows
from rushlight.vision.datasets._mat import read_mat
from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.folder import default_loader
from rushlight.vision.datasets.utils import (
    download_and_extract_archive,
    download_url,
    extract_archive,
    missing,
    verify_str_arg,
)
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.utils import _to_pil


class _Pairs(VisionDataset):
    """Pictures with a target each, transformed together."""

    def _together(self, image, target):
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self) -> int:
        return len(self.images)


class Kitti(_Pairs):
    """14,999 photographs of streets with boxes of cars, people and others.

    Args:
        root: folder with `Kitti/raw/training` and `Kitti/raw/testing`, in which are `image_2` and `label_2`.
        train: the part with labels, or the one without.
        transform: applied to each picture, a PIL image as it is in the file.
        target_transform: applied to each target, a list of dicts: `type`, `truncated`, `occluded`, `alpha`, `bbox`
            (x1, y1, x2, y2), `dimensions`, `location`, `rotation_y`; None in the testing part.
        transforms: applied to both; instead of the other two.
        download: fetch and unpack the archives if they are absent.

    Source: A. Geiger, P. Lenz and R. Urtasun, "Are We Ready for Autonomous Driving?" (2012).
    """

    data_url = "https://s3.eu-central-1.amazonaws.com/avg-kitti/"
    resources = ("data_object_image_2.zip", "data_object_label_2.zip")
    image_dir_name, labels_dir_name = "image_2", "label_2"

    def __init__(
        self, root, train=True, transform=None, target_transform=None, transforms=None, download=False
    ):
        super().__init__(root, transforms, transform, target_transform)
        self.train = train
        raw = os.path.join(self.root, type(self).__name__, "raw")
        part = os.path.join(raw, "training" if train else "testing")
        folders = [
            os.path.join(part, name) for name in (self.image_dir_name, self.labels_dir_name)[: 1 + train]
        ]
        if download and not all(map(os.path.isdir, folders)):
            for name in self.resources:
                download_and_extract_archive(self.data_url + name, raw, filename=name)
        if not all(map(os.path.isdir, folders)):
            raise missing(folders, "Dataset not found")
        names = os.listdir(folders[0])
        self.images = [os.path.join(folders[0], name) for name in names]
        self.targets = (
            [os.path.join(folders[1], f"{name.split('.')[0]}.txt") for name in names] if train else []
        )

    def _target(self, path: str) -> list[dict]:
        found = []
        for line in rows(path):
            try:
                values = [float(part) for part in line[1:15]]
                found.append(
                    {
                        "type": line[0],
                        "truncated": values[0],
                        "occluded": int(line[2]),
                        "alpha": values[2],
                        "bbox": values[3:7],
                        "dimensions": values[7:10],
                        "location": values[10:13],
                        "rotation_y": values[13],
                    }
                )
            except (ValueError, IndexError):
                raise ValueError(f"{path}: a name and 14 numbers expected, got {' '.join(line)!r}") from None
        return found

    def __getitem__(self, index: int):
        image = open_picture(self.images[index])
        return self._together(image, self._target(self.targets[index]) if self.train else None)


CityscapesClass = namedtuple(
    "CityscapesClass",
    ["name", "id", "train_id", "category", "category_id", "has_instances", "ignore_in_eval", "color"],
)
# Name, number, number to train with, category and its number, whether it has instances, whether it is left out when
# results are judged, colour.
_CLASSES = """
    unlabeled, 0, 255, void, 0, 0, 1, 0.0.0; ego vehicle, 1, 255, void, 0, 0, 1, 0.0.0;
    rectification border, 2, 255, void, 0, 0, 1, 0.0.0; out of roi, 3, 255, void, 0, 0, 1, 0.0.0;
    static, 4, 255, void, 0, 0, 1, 0.0.0; dynamic, 5, 255, void, 0, 0, 1, 111.74.0;
    ground, 6, 255, void, 0, 0, 1, 81.0.81; road, 7, 0, flat, 1, 0, 0, 128.64.128;
    sidewalk, 8, 1, flat, 1, 0, 0, 244.35.232; parking, 9, 255, flat, 1, 0, 1, 250.170.160;
    rail track, 10, 255, flat, 1, 0, 1, 230.150.140; building, 11, 2, construction, 2, 0, 0, 70.70.70;
    wall, 12, 3, construction, 2, 0, 0, 102.102.156; fence, 13, 4, construction, 2, 0, 0, 190.153.153;
    guard rail, 14, 255, construction, 2, 0, 1, 180.165.180;
    bridge, 15, 255, construction, 2, 0, 1, 150.100.100; tunnel, 16, 255, construction, 2, 0, 1, 150.120.90;
    pole, 17, 5, object, 3, 0, 0, 153.153.153; polegroup, 18, 255, object, 3, 0, 1, 153.153.153;
    traffic light, 19, 6, object, 3, 0, 0, 250.170.30; traffic sign, 20, 7, object, 3, 0, 0, 220.220.0;
    vegetation, 21, 8, nature, 4, 0, 0, 107.142.35; terrain, 22, 9, nature, 4, 0, 0, 152.251.152;
    sky, 23, 10, sky, 5, 0, 0, 70.130.180; person, 24, 11, human, 6, 1, 0, 220.20.60;
    rider, 25, 12, human, 6, 1, 0, 255.0.0; car, 26, 13, vehicle, 7, 1, 0, 0.0.142;
    truck, 27, 14, vehicle, 7, 1, 0, 0.0.70; bus, 28, 15, vehicle, 7, 1, 0, 0.60.100;
    caravan, 29, 255, vehicle, 7, 1, 1, 0.0.90; trailer, 30, 255, vehicle, 7, 1, 1, 0.0.110;
    train, 31, 16, vehicle, 7, 1, 0, 0.80.100; motorcycle, 32, 17, vehicle, 7, 1, 0, 0.0.230;
    bicycle, 33, 18, vehicle, 7, 1, 0, 119.11.32; license plate, -1, -1, vehicle, 7, 0, 1, 0.0.142"""


def _city_classes(table: str) -> list[CityscapesClass]:
    found = []
    for entry in table.split(";"):
        name, number, train, category, group, instances, ignored, colour = (
            part.strip() for part in entry.split(",")
        )
        numbers = (int(number), int(train), category, int(group), instances == "1", ignored == "1")
        found.append(CityscapesClass(name, *numbers, tuple(int(c) for c in colour.split("."))))
    return found


class Cityscapes(_Pairs):
    """Photographs of streets in 50 cities with classes, instances, polygons or colours of all pixels.

    Args:
        root: folder with `leftImg8bit` and `gtFine` or `gtCoarse`, or with their archives.
        split: "train", "test" or "val", and "train_extra" in the coarse mode.
        mode: "fine" or "coarse".
        target_type: "instance", "semantic", "polygon" or "color", or a list of them for a tuple.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each target, a PIL image, or a dict for polygons.
        transforms: applied to both; instead of the other two.

    Attributes: `classes`, a list of `CityscapesClass`.

    Source: M. Cordts and others, "The Cityscapes Dataset for Semantic Urban Scene Understanding" (2016).
    """

    CityscapesClass = CityscapesClass
    classes = _city_classes(_CLASSES)
    _SUFFIXES = {
        "instance": "instanceIds.png",
        "semantic": "labelIds.png",
        "color": "color.png",
        "polygon": "polygons.json",
    }

    def __init__(
        self,
        root,
        split="train",
        mode="fine",
        target_type="instance",
        transform=None,
        target_transform=None,
        transforms=None,
    ):
        super().__init__(root, transforms, transform, target_transform)
        verify_str_arg(mode, "mode", ("fine", "coarse"))
        splits = ("train", "test", "val") if mode == "fine" else ("train", "train_extra", "val")
        valid = "', '".join(splits)
        self.split = verify_str_arg(
            split,
            "split",
            splits,
            f"Unknown value '{split}' for argument split if mode is '{mode}'. Valid values are {{'{valid}'}}.",
        )
        self.mode = "gtFine" if mode == "fine" else "gtCoarse"
        self.target_type = target_type if isinstance(target_type, list) else [target_type]
        for kind in self.target_type:
            verify_str_arg(kind, "target_type", tuple(self._SUFFIXES))
        self.images_dir = os.path.join(self.root, "leftImg8bit", split)
        self.targets_dir = os.path.join(self.root, self.mode, split)
        self._find()
        self.images, self.targets = [], []
        for city in os.listdir(self.images_dir):
            for name in os.listdir(os.path.join(self.images_dir, city)):
                stem = name.split("_leftImg8bit")[0]
                self.images.append(os.path.join(self.images_dir, city, name))
                self.targets.append(
                    [
                        os.path.join(self.targets_dir, city, f"{stem}_{self.mode}_{self._SUFFIXES[kind]}")
                        for kind in self.target_type
                    ]
                )

    def _find(self) -> None:
        """Unpack the archives where the folders are absent."""
        folders = [self.images_dir, self.targets_dir]
        if all(map(os.path.isdir, folders)):
            return
        extra = "extra" if self.split == "train_extra" else "valtest"
        names = (
            f"leftImg8bit_train{extra}.zip",
            "gtFine_trainvaltest.zip" if self.mode == "gtFine" else "gtCoarse.zip",
        )
        archives = [os.path.join(self.root, name) for name in names]
        if not all(map(os.path.isfile, archives)):
            raise RuntimeError(
                'Dataset not found or incomplete. Please make sure all required folders for the specified "split" and '
                f'"mode" are inside the "root" directory: {folders}, or the archives {archives}'
            )
        for archive in archives:
            extract_archive(archive, self.root)

    @staticmethod
    def _target(path: str, kind: str):
        if kind != "polygon":
            return open_picture(path)
        try:
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        except ValueError as error:
            raise ValueError(f"{path}: damaged, no JSON: {error}") from error

    def __getitem__(self, index: int):
        paths = zip(self.targets[index], self.target_type, strict=True)
        targets = tuple(self._target(path, kind) for path, kind in paths)
        image = open_picture(self.images[index], "RGB")
        return self._together(image, targets if len(targets) > 1 else targets[0])

    def extra_repr(self) -> str:
        return f"Split: {self.split}\nMode: {self.mode}\nType: {self.target_type}"


class SBDataset(_Pairs):
    """11,355 photographs of VOC with the boundaries or the regions of 20 classes.

    Args:
        root: folder with `img`, `cls`, and `train.txt`, `val.txt` or `train_noval.txt`.
        image_set: "train", "val" or "train_noval".
        mode: "boundaries" for an array of shape (20, H, W), "segmentation" for a PIL image.
        download: fetch and unpack the archive if it is absent.
        transforms: applied to picture and target.

    Source: B. Hariharan and others, "Semantic Contours from Inverse Detectors" (2011).
    """

    url = (
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz"
    )
    md5 = "82b4d87ceb2ed10f6038a1cba92111cb"
    filename = "benchmark.tgz"
    voc_train_url = "https://www.cs.cornell.edu/~bharathh/train_noval.txt"
    voc_split_filename = "train_noval.txt"
    voc_split_md5 = "79bff800c5f0b1ec6b21080a3c066722"

    def __init__(self, root, image_set="train", mode="boundaries", download=False, transforms=None):
        super().__init__(root, transforms)
        self.image_set = verify_str_arg(image_set, "image_set", ("train", "val", "train_noval"))
        self.mode = verify_str_arg(mode, "mode", ("segmentation", "boundaries"))
        self.num_classes = 20
        needed = [os.path.join(self.root, name) for name in ("img", "cls", f"{image_set}.txt")]
        if download and not all(map(os.path.exists, needed)):
            self._download()
        if not all(map(os.path.exists, needed)):
            raise missing(needed)
        names = [name for (name,) in rows(needed[2], 1)]
        self.images = [os.path.join(needed[0], f"{name}.jpg") for name in names]
        self.masks = [os.path.join(needed[1], f"{name}.mat") for name in names]

    def _download(self) -> None:
        download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.md5)
        for name in ("cls", "img", "inst", "train.txt", "val.txt"):
            shutil.move(os.path.join(self.root, "benchmark_RELEASE", "dataset", name), self.root)
        if self.image_set == "train_noval":
            download_url(self.voc_train_url, self.root, self.voc_split_filename, self.voc_split_md5)

    def _target(self, path: str):
        try:
            content = read_mat(path)["GTcls"][0]
            if self.mode == "segmentation":
                return _to_pil(content["Segmentation"].astype(np.uint8))
            return np.stack(content["Boundaries"][: self.num_classes])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise RuntimeError(f"{path}: damaged, there are no {self.mode} in it: {error!r}") from error

    def __getitem__(self, index: int):
        return self._together(open_picture(self.images[index], "RGB"), self._target(self.masks[index]))

    def extra_repr(self) -> str:
        return f"Image set: {self.image_set}\nMode: {self.mode}"


class _Captioned(VisionDataset):
    """Pictures with a list of captions each."""

    def _list(self, annotations: dict, loader) -> None:
        self.annotations = annotations
        self.ids = sorted(annotations)
        self.loader = loader

    def __getitem__(self, index: int):
        name = self.ids[index]
        return self._transformed(self.loader(os.path.join(self.root, name)), self.annotations[name])

    def __len__(self) -> int:
        return len(self.ids)


class _CaptionPage(HTMLParser):
    """The captions of Flickr8k: a table of links to pictures, each with a list."""

    def __init__(self, root):
        super().__init__()
        self.root, self.annotations = root, {}
        self._tag = self._picture = None

    def handle_starttag(self, tag, attrs):
        """Remember what is open."""
        self._tag = tag

    def handle_endtag(self, tag):
        """Remember that nothing is open."""
        self._tag = None

    def handle_data(self, data):
        """A link is a picture, an entry of a list a caption of it."""
        if data == "Image Not Found":
            self._picture = None
        elif self._tag == "a":
            key = data.split("/")[-2]
            found = glob.glob(os.path.join(glob.escape(str(self.root)), f"{glob.escape(key)}_*.jpg"))
            if not found:
                raise FileNotFoundError(f"{self.root}: there is no picture {key}_*.jpg")
            self._picture = found[0]
            self.annotations[self._picture] = []
        elif self._tag == "li" and self._picture:
            self.annotations[self._picture].append(data.strip())


class Flickr8k(_Captioned):
    """8,000 photographs with five captions each.

    Args:
        root: folder of the pictures.
        ann_file: the page of captions.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each list of captions.
        loader: called with a path, gives the picture.

    Source: M. Hodosh, P. Young and J. Hockenmaier, "Framing Image Description as a Ranking Task" (2013).
    """

    def __init__(self, root, ann_file, transform=None, target_transform=None, loader=default_loader):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.ann_file = os.path.expanduser(ann_file)
        page = _CaptionPage(self.root)
        with open(self.ann_file, encoding="utf-8") as file:
            page.feed(file.read())
        self._list(page.annotations, loader)


class Flickr30k(_Captioned):
    """31,783 photographs with five captions each.

    Args:
        root: folder of the pictures.
        ann_file: lines of NAME#NUMBER, a tabulator, and a caption.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each list of captions.
        loader: called with a path, gives the picture.

    Source: P. Young and others, "From Image Descriptions to Visual Denotations" (2014).
    """

    def __init__(self, root, ann_file, transform=None, target_transform=None, loader=default_loader):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.ann_file = os.path.expanduser(ann_file)
        annotations: dict = {}
        for name, caption in rows(self.ann_file, 2, "\t"):
            annotations.setdefault(name[:-2], []).append(caption)
        self._list(annotations, loader)
