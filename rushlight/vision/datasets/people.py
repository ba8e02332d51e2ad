"""Faces: of celebrities with attributes, of people in the news, in crowds, and with expressions."""

import csv
import os
import pathlib

import numpy as np

import rushlight as rl
from rushlight.vision.datasets._listed import class_of, number, rows
from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.folder import default_loader
from rushlight.vision.datasets.utils import check_integrity, check_labels, missing, verify_str_arg
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.utils import _to_pil


class CelebA(VisionDataset):
    """202,599 photographs of celebrities with 40 attributes, identities, boxes and five landmarks.

    Args:
        root: folder with `celeba/img_align_celeba` and the lists (`celeba/list_attr_celeba.txt` and so on).
        split: "train", "valid", "test" or "all".
        target_type: "attr" (40 numbers 0 or 1), "identity", "bbox" (x, y, width, height), "landmarks" (10 numbers), or
            a list of them for a tuple; an empty list for None.
        transform: applied to each picture, a PIL image as it is in the file.
        target_transform: applied to each target.
        download: not possible: the files are behind a page that asks before it gives them.

    Source: Z. Liu and others, "Deep Learning Face Attributes in the Wild" (2015).
    """

    base_folder = "celeba"
    _LISTS = {
        "list_attr_celeba.txt": "75e246fa4810816ffd6ee81facbd244c",
        "identity_CelebA.txt": "32bd1bd63d3c78cd57e08160ec5ed1e2",
        "list_bbox_celeba.txt": "00566efa6fedff7a56946cd1c10f1c16",
        "list_landmarks_align_celeba.txt": "cc24ecafdb5b50baae59b03474781f8c",
        "list_eval_partition.txt": "d32c9cbf5e040fd4025c592c306e6668",
    }
    _SPLITS = {"train": 0, "valid": 1, "test": 2, "all": None}

    def __init__(
        self, root, split="train", target_type="attr", transform=None, target_transform=None, download=False
    ):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = split
        self.target_type = target_type if isinstance(target_type, list) else [target_type]
        if not self.target_type and target_transform is not None:
            raise RuntimeError("target_transform is specified but target_type is empty")
        for kind in self.target_type:
            if kind not in ("attr", "identity", "bbox", "landmarks"):
                raise ValueError(f'Target type "{kind}" is not recognized.')
        self._folder = os.path.join(self.root, self.base_folder)
        files = [(os.path.join(self._folder, name), md5) for name, md5 in self._LISTS.items()]
        pictures = os.path.join(self._folder, "img_align_celeba")
        if not (os.path.isdir(pictures) and all(check_integrity(path, md5) for path, md5 in files)):
            if download:
                raise NotImplementedError(
                    "CelebA: its files cannot be fetched by a program; get them from "
                    f"https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and put them into {self._folder}"
                )
            raise missing([*files, pictures])
        part = self._SPLITS[verify_str_arg(split.lower(), "split", tuple(self._SPLITS))]
        names, parts, _ = self._table("list_eval_partition.txt", 0)
        chosen = np.arange(len(names)) if part is None else np.flatnonzero(parts[:, 0] == part)
        self.filename = [names[i] for i in chosen]

        def column(name, header):
            others, values, head = self._table(name, header)
            if others != names:
                raise ValueError(f"{os.path.join(self._folder, name)}: not the pictures of the other lists")
            return rl.from_numpy(values[chosen]), head

        self.identity, _ = column("identity_CelebA.txt", 0)
        self.bbox, _ = column("list_bbox_celeba.txt", 2)
        self.landmarks_align, _ = column("list_landmarks_align_celeba.txt", 2)
        attributes, self.attr_names = column("list_attr_celeba.txt", 2)
        self.attr = (attributes + 1) // 2  # from -1 and 1

    def _table(self, name: str, header: int) -> tuple:
        """Names of the pictures, their numbers, and the names of the columns where there are some."""
        path = os.path.join(self._folder, name)
        lines = rows(path)
        head = lines[header - 1] if header else []
        try:
            values = np.array([[int(part) for part in line[1:]] for line in lines[header:]], np.int64)
        except ValueError as error:
            raise ValueError(f"{path}: damaged, a table of whole numbers expected: {error}") from error
        return [line[0] for line in lines[header:]], values, head

    def __getitem__(self, index: int):
        name = os.path.join(self._folder, "img_align_celeba", self.filename[index])
        image = open_picture(name)
        values = {
            "attr": self.attr,
            "identity": self.identity[:, 0],
            "bbox": self.bbox,
            "landmarks": self.landmarks_align,
        }
        targets = tuple(values[kind][index] for kind in self.target_type)
        if not targets:
            return (image if self.transform is None else self.transform(image)), None
        return self._transformed(image, targets if len(targets) > 1 else targets[0])

    def __len__(self) -> int:
        return len(self.attr)

    def extra_repr(self) -> str:
        return f"Target type: {self.target_type}\nSplit: {self.split}"


class _LFW(VisionDataset):
    """Labelled Faces in the Wild."""

    base_folder = "lfw-py"
    file_dict = {
        "original": ("lfw", "lfw.tgz", "a17d05bd522c52d84eca14327a23d494"),
        "funneled": ("lfw_funneled", "lfw-funneled.tgz", "1b42dfed7d15c9b2dd63d5e5840c86ad"),
        "deepfunneled": ("lfw-deepfunneled", "lfw-deepfunneled.tgz", "68331da3eb755a505a502b5aacb3c201"),
    }
    annot_file = {"10fold": "", "train": "DevTrain", "test": "DevTest"}
    names = "lfw-names.txt"

    def __init__(self, root, split, image_set, view, transform, target_transform, download, loader):
        super().__init__(
            os.path.join(os.path.expanduser(root), self.base_folder),
            transform=transform,
            target_transform=target_transform,
        )
        self.image_set = verify_str_arg(image_set.lower(), "image_set", tuple(self.file_dict))
        self.split = verify_str_arg(split.lower(), "split", tuple(self.annot_file))
        self.view = view
        self.images_dir = os.path.join(self.root, self.file_dict[self.image_set][0])
        self.labels_file = os.path.join(self.root, f"{view}{self.annot_file[self.split]}.txt")
        if download:
            raise ValueError(
                "LFW dataset is no longer available for automatic download. Please download the dataset manually and "
                f"place it in {self.root}"
            )
        files = [self.images_dir, self.labels_file]
        if view == "people":
            files.append(os.path.join(self.root, self.names))
        if not all(os.path.exists(path) for path in files):
            raise missing(files)
        self._loader = loader

    def _path(self, identity: str, place: str) -> str:
        name = f"{identity}_{number(place, self.labels_file):04d}.jpg"
        return os.path.join(self.images_dir, identity, name)

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Alignment: {self.image_set}\nSplit: {self.split}"


class LFWPeople(_LFW):
    """13,233 photographs of 5,749 people.

    Args:
        root: folder with `lfw-py`, in which are the pictures (`lfw_funneled`), `people.txt` and `lfw-names.txt`.
        split: "10fold", "train" or "test".
        image_set: "original", "funneled" or "deepfunneled".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        download: not possible any more.
        loader: called with a path, gives the picture.

    Source: G. B. Huang and others, "Labeled Faces in the Wild" (2007).
    """

    def __init__(
        self,
        root,
        split="10fold",
        image_set="funneled",
        transform=None,
        target_transform=None,
        download=False,
        loader=default_loader,
    ):
        super().__init__(root, split, image_set, "people", transform, target_transform, download, loader)
        path = os.path.join(self.root, self.names)
        self.class_to_idx = {name: i for i, (name, *_) in enumerate(rows(path))}
        self.data, self.targets = [], []
        for identity, count in (line for line in rows(self.labels_file) if len(line) == 2):
            label = class_of(identity, self.class_to_idx, self.labels_file)
            for place in range(1, number(count, self.labels_file) + 1):
                self.data.append(self._path(identity, str(place)))
                self.targets.append(label)

    def __getitem__(self, index: int):
        return self._transformed(self._loader(self.data[index]), self.targets[index])

    def extra_repr(self) -> str:
        return super().extra_repr() + f"\nClasses (identities): {len(self.class_to_idx)}"


class LFWPairs(_LFW):
    """Pairs of photographs, of one person (1) or of two (0).

    Args:
        root: folder with `lfw-py`, in which are the pictures (`lfw_funneled`) and `pairs.txt`.
        split: "10fold", "train" or "test".
        image_set: "original", "funneled" or "deepfunneled".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each target.
        download: not possible any more.
        loader: called with a path, gives the picture.

    Source: G. B. Huang and others, "Labeled Faces in the Wild" (2007).
    """

    def __init__(
        self,
        root,
        split="10fold",
        image_set="funneled",
        transform=None,
        target_transform=None,
        download=False,
        loader=default_loader,
    ):
        super().__init__(root, split, image_set, "pairs", transform, target_transform, download, loader)
        self.pair_names, self.data, self.targets = [], [], []
        for line in rows(self.labels_file)[1:]:  # the first tells how many there are
            if len(line) not in (3, 4):
                raise ValueError(f"{self.labels_file}: 3 or 4 entries expected, got {line}")
            first, second = line[0], line[0] if len(line) == 3 else line[2]
            self.pair_names.append((first, second))
            self.data.append((self._path(first, line[1]), self._path(second, line[-1])))
            self.targets.append(int(len(line) == 3))

    def __getitem__(self, index: int):
        images = [self._loader(path) for path in self.data[index]]
        if self.transform is not None:
            images = [self.transform(image) for image in images]
        target = self.targets[index]
        return (*images, target if self.target_transform is None else self.target_transform(target))


class WIDERFace(VisionDataset):
    """32,203 photographs of 393,703 faces.

    Args:
        root: folder with `widerface`, in which are `WIDER_train`, `WIDER_val`, `WIDER_test` and `wider_face_split`.
        split: "train", "val" or "test".
        transform: applied to each picture, a PIL image as it is in the file.
        target_transform: applied to each target, a dict of tensors: `bbox` (N, 4: x, y, width, height), `blur`,
            `expression`, `illumination`, `occlusion`, `pose` and `invalid` (N); None in the test split.
        download: not possible: the files are behind a page that asks before it gives them.

    Source: S. Yang and others, "WIDER FACE: A Face Detection Benchmark" (2016).
    """

    BASE_FOLDER = "widerface"
    _COLUMNS = ("blur", "expression", "illumination", "occlusion", "pose", "invalid")

    def __init__(self, root, split="train", transform=None, target_transform=None, download=False):
        super().__init__(
            os.path.join(os.path.expanduser(root), self.BASE_FOLDER),
            transform=transform,
            target_transform=target_transform,
        )
        self.split = verify_str_arg(split, "split", ("train", "val", "test"))
        name = "wider_face_test_filelist.txt" if split == "test" else f"wider_face_{split}_bbx_gt.txt"
        path = os.path.join(self.root, "wider_face_split", name)
        self._pictures = os.path.join(self.root, f"WIDER_{split}", "images")
        if not (os.path.isfile(path) and os.path.isdir(self._pictures)):
            if download:
                raise NotImplementedError(
                    "WIDERFace: its files cannot be fetched by a program; get them from "
                    f"http://shuoyang1213.me/WIDERFACE and unpack them into {self.root}"
                )
            raise missing([path, self._pictures])
        lines = [" ".join(parts) for parts in rows(path)]
        if split == "test":
            self.img_info = [{"img_path": self._picture(line)} for line in lines]
        else:
            self.img_info = self._annotated(lines, path)

    def _picture(self, name: str) -> str:
        return os.path.abspath(os.path.join(self._pictures, name))

    def _annotated(self, lines: list[str], path) -> list[dict]:
        """A name, the number of faces, and a line of numbers for each (one of zeros where there is none)."""
        found, at = [], 0
        while at < len(lines):
            count = max(number(lines[at + 1], path), 1) if at + 1 < len(lines) else 0
            values = [
                [number(part, path) for part in line.split()] for line in lines[at + 2 : at + 2 + count]
            ]
            if len(values) != count or count == 0 or any(len(row) != 10 for row in values):
                raise ValueError(f"{path}: damaged, no boxes of 10 numbers for {lines[at]!r}")
            table = rl.tensor(values)
            annotations = {"bbox": table[:, :4].clone()}
            annotations |= {name: table[:, 4 + i].clone() for i, name in enumerate(self._COLUMNS)}
            found.append({"img_path": self._picture(lines[at]), "annotations": annotations})
            at += 2 + count
        return found

    def __getitem__(self, index: int):
        info = self.img_info[index]
        return self._transformed(open_picture(info["img_path"]), info.get("annotations"))

    def __len__(self) -> int:
        return len(self.img_info)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"


class FER2013(VisionDataset):
    """35,887 grey faces of 48x48 pixels with 7 expressions.

    Args:
        root: folder with `fer2013`, in which is `fer2013.csv`, `icml_face_data.csv`, or `train.csv` and `test.csv`.
        split: "train" or "test".
        transform: applied to each picture, a PIL image of mode L.
        target_transform: applied to each label, an int, or None where the file has none.

    Source: I. Goodfellow and others, "Challenges in Representation Learning" (2013).
    """

    _RESOURCES = {
        "train": ("train.csv", "3f0dfb3d3fd99c811a1299cb947e3131"),
        "test": ("test.csv", "b02c2298636a634e8c2faabbf3ea9a23"),
        "fer": ("fer2013.csv", "f8428a1edbd21e88f42c73edd2a14f95"),
        "icml": ("icml_face_data.csv", "b114b9e04e6949e5fe8b6a98b3892b1d"),
    }

    def __init__(self, root, split="train", transform=None, target_transform=None):
        self._split = verify_str_arg(split, "split", ("train", "test"))
        super().__init__(root, transform=transform, target_transform=target_transform)
        folder = pathlib.Path(self.root) / "fer2013"
        whole = [key for key in ("fer", "icml") if (folder / self._RESOURCES[key][0]).exists()]
        name, md5 = self._RESOURCES[whole[0] if whole else split]
        path = folder / name
        if not check_integrity(path, md5):
            raise missing([(path, md5)], f"{name} not found in {folder} or corrupted")
        usage = ("Training",) if split == "train" else ("PublicTest", "PrivateTest")
        with open(path, newline="", encoding="utf-8") as file:
            entries = [
                {key.strip(): value for key, value in row.items() if key} for row in csv.DictReader(file)
            ]
        if whole:
            entries = [entry for entry in entries if entry.get("Usage") in usage]
        self._samples = [(self._pixels(entry, path), self._label(entry, path)) for entry in entries]

    @staticmethod
    def _pixels(entry: dict, path) -> np.ndarray:
        values = [number(part, path) for part in (entry.get("pixels") or "").split()]
        if len(values) != 48 * 48 or not 0 <= min(values) <= max(values) <= 255:
            raise ValueError(f"{path}: damaged, a picture has {len(values)} values instead of 48 * 48 bytes")
        return np.array(values, np.uint8).reshape(48, 48)

    @staticmethod
    def _label(entry: dict, path) -> int | None:
        if "emotion" not in entry:
            return None
        label = number(entry["emotion"], path)
        check_labels([label], 7, path)
        return label

    def __getitem__(self, idx: int):
        pixels, label = self._samples[idx]
        return self._transformed(_to_pil(pixels), label)

    def __len__(self) -> int:
        return len(self._samples)

    def extra_repr(self) -> str:
        return f"split={self._split}"
