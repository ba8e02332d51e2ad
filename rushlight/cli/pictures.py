"""Pictures for the commands: folders of classes, idx files, CIFAR's files."""

import os
from dataclasses import dataclass

import numpy as np

from rushlight.cli.errors import CommandError, told
from rushlight.utils.data import Dataset
from rushlight.vision import transforms
from rushlight.vision.datasets import CIFAR10, CIFAR100, ImageFolder
from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.folder import IMG_EXTENSIONS
from rushlight.vision.datasets.mnist import (
    KMNIST,
    MNIST,
    FashionMNIST,
    _present,
    read_image_file,
    read_label_file,
)
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.utils import _pillow, _to_pil

_PARTS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_IDX = {"train": "train", "test": "t10k"}
_NAMES = {kind.__name__: kind.classes for kind in (MNIST, FashionMNIST, KMNIST)}
_CIFAR = {
    "cifar-10-batches-py": CIFAR10,
    "cifar-10-batches-bin": CIFAR10,
    "cifar-100-python": CIFAR100,
    "cifar-100-binary": CIFAR100,
}
_IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@dataclass
class Part:
    """Pictures (PIL images) with the numbers of their classes.

    Attributes: `data`, items (picture, class); `labels`, an array of all classes; `classes`, their names.
    """

    data: Dataset
    labels: np.ndarray
    classes: list


class Idx(VisionDataset):
    """The pictures in a folder of idx files, as MNIST's are called.

    Args:
        root: the folder.
        stem: "train" or "t10k".
    """

    def __init__(self, root: str, stem: str):
        super().__init__(root)
        names = [os.path.join(root, f"{stem}-{what}") for what in ("images-idx3-ubyte", "labels-idx1-ubyte")]
        for name in names:
            if not _present(name):
                raise CommandError(f"{name}: there is no such file, nor one with .gz behind")
        self.data = read_image_file(_present(names[0])).numpy()
        self.targets = read_label_file(_present(names[1])).numpy()
        if len(self.data) != len(self.targets) or not len(self.data):
            raise CommandError(f"{names[0]}: {len(self.data)} pictures for {len(self.targets)} labels")
        folder = os.path.basename(os.path.dirname(os.path.abspath(root)))
        classes = _NAMES.get(folder, [])
        count = int(self.targets.max()) + 1
        self.classes = classes if len(classes) >= count else [str(i) for i in range(count)]

    def __getitem__(self, index: int):
        return _to_pil(self.data[index]), int(self.targets[index])

    def __len__(self) -> int:
        return len(self.data)


def find_idx(path: str) -> str | None:
    """The folder of idx files that is meant by `path`: itself, or one below it; None if there is none.

    Raises:
        CommandError: there are several.
    """
    found = [
        f
        for f in ("", "raw", "MNIST/raw", *(f"{n}/raw" for n in _listed(path)))
        if _has_idx(os.path.join(path, f))
    ]
    found = list(dict.fromkeys(found))
    if len(found) > 1:
        choices = ", ".join(os.path.join(path, f) for f in found)
        raise CommandError(f"{path}: several data sets are there; give one of {choices}")
    return os.path.join(path, found[0]) if found else None


def _has_idx(folder: str) -> bool:
    return _present(os.path.join(folder, "train-images-idx3-ubyte")) is not None


def find_cifar(path: str) -> str | None:
    """The folder of CIFAR's files that is meant by `path`; None if there is none."""
    if os.path.basename(os.path.abspath(path)) in _CIFAR:
        return os.path.abspath(path)
    return next((os.path.join(path, f) for f in _CIFAR if os.path.isdir(os.path.join(path, f))), None)


def _listed(path: str) -> list[str]:
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def read_parts(path: str, format: str, wanted=("train", "val", "test")) -> dict[str, Part]:
    """The parts of a data set that are there.

    Args:
        path: the folder.
        format: "folder", "mnist" or "cifar".
        wanted: which parts to look for.
    Raises:
        CommandError: something is wrong with the files; names it.
    """
    with told():
        if format == "mnist":
            return _idx_parts(path, wanted)
        if format == "cifar":
            return _cifar_parts(path, wanted)
        return _folder_parts(path, wanted)


def _idx_parts(path: str, wanted) -> dict[str, Part]:
    folder = find_idx(path)
    if folder is None:
        raise CommandError(f"{path}: there are no idx files, such as train-images-idx3-ubyte.gz")
    parts = {}
    for name, stem in _IDX.items():
        if name in wanted and (
            name == "train" or _present(os.path.join(folder, f"{stem}-images-idx3-ubyte"))
        ):
            data = Idx(folder, stem)
            parts[name] = Part(data, data.targets, data.classes)
    return parts


def _cifar_parts(path: str, wanted) -> dict[str, Part]:
    folder = find_cifar(path)
    if folder is None:
        raise CommandError(f"{path}: there is no folder such as cifar-10-batches-py or cifar-10-batches-bin")
    root, base = os.path.split(folder)
    kind = (
        type(_CIFAR[base].__name__, (_CIFAR[base],), {"base_folder": base}) if "py" in base else _CIFAR[base]
    )
    end = ".bin" if base.endswith(("bin", "binary")) else ""
    there = lambda rows: [
        i for i, (name, _) in enumerate(rows, 1) if os.path.isfile(os.path.join(folder, name + end))
    ]
    parts = {}
    for name, rows in (("train", kind.train_list), ("test", kind.test_list)):
        present = there(rows)
        if name in wanted and (present or name == "train"):
            batches = present if name == "train" and present else None
            data = kind(root, train=name == "train", batches=batches)
            parts[name] = Part(data, np.array(data.targets), data.classes)
    return parts


def _folder_parts(path: str, wanted) -> dict[str, Part]:
    """DATA/class/picture, or DATA/train/class/picture and so on."""
    if not os.path.isdir(path):
        raise CommandError(f"{path}: a folder expected")
    found = {}
    for name, spellings in _PARTS.items():
        folder = next((f for f in spellings if os.path.isdir(os.path.join(path, f))), None)
        if folder:
            found[name] = os.path.join(path, folder)
    if "train" not in found:
        found = {"train": path}
    parts = {name: read_folder(folder) for name, folder in found.items() if name in wanted}
    for part in parts.values():
        if part.classes != next(iter(parts.values())).classes:
            raise CommandError(
                f"{path}: the classes of the parts differ: "
                + "; ".join(f"{name}: {', '.join(part.classes)}" for name, part in parts.items())
            )
    return parts


def read_folder(folder: str) -> Part:
    """The pictures below a folder with a subfolder for each class; their heads are looked at.

    Raises:
        CommandError: a class has none, or one of them is no picture.
    """
    with told(before="" if os.path.isdir(folder) else f"{folder}: "):
        try:
            data = ImageFolder(folder, loader=load_picture)
        except FileNotFoundError as error:
            raise CommandError(f"{folder}: {error}") from error
    for path, _ in data.samples:
        check_picture(path)
    return Part(data, np.array(data.targets), data.classes)


def check_picture(path: str) -> None:
    """Look at the head of a picture file.

    Raises:
        CommandError: it is no picture.
    """
    with told(OSError, ValueError, SyntaxError, ImportError, before=""):
        try:
            with _pillow().open(path):
                pass
        except ImportError:
            raise
        except Exception as error:  # a damaged file raises nearly anything
            raise CommandError(f"{path}: this picture cannot be read: {error}") from error


def load_picture(path: str):
    """The picture in a file, of mode RGB.

    Raises:
        CommandError: it cannot be read.
    """
    with told(before="" if os.path.isfile(path) else f"{path}: "):
        return open_picture(path, "RGB")


def list_pictures(paths: list[str]) -> list[str]:
    """The pictures among files, and below folders.

    Raises:
        CommandError: a path doesn't exist, or there are none.
    """
    found = []
    for path in paths:
        if not os.path.exists(path):
            raise CommandError(f"{path}: no such file or folder")
        if os.path.isfile(path):
            found.append(path)
        for folder, _, names in sorted(os.walk(path)):
            found += [os.path.join(folder, n) for n in sorted(names) if n.lower().endswith(IMG_EXTENSIONS)]
    if not found:
        raise CommandError(f"{', '.join(paths)}: there are no pictures")
    return found


class Pictures(Dataset):
    """Some of the items of a data set, after a transform.

    Args:
        data: items (picture, class).
        indices: which.
        transform: of the picture.
    """

    def __init__(self, data, indices, transform):
        self.data, self.indices, self.transform = data, indices, transform

    def __getitem__(self, index: int):
        picture, label = self.data[int(self.indices[index])]
        return self.transform(picture), label

    def __len__(self) -> int:
        return len(self.indices)


def transform(described: dict, augment: str = "none", any_size: bool = False):
    """What makes an input of the model from a picture.

    Args:
        any_size: whether pictures come from elsewhere than the training data, and may have other sizes.
        described: "size", "channels", "native" (the size that all pictures have, or None), "mean" and "std".
        augment: "none"; "flip" mirrors; "shift" turns, moves and scales a little; "crop" moves by an eighth and mirrors;
            "zoom" cuts out a part and mirrors; "auto" is TrivialAugment, mirroring and erasing.
    """
    size = described["size"]
    steps: list = []
    if augment == "zoom":
        steps.append(transforms.RandomResizedCrop(size, scale=(0.35, 1.0)))
    elif any_size or described["native"] != size:
        steps += [transforms.Resize(size), transforms.CenterCrop(size)]
    if augment == "crop":
        steps.append(transforms.RandomCrop(size, padding=max(1, size // 8)))
    if augment == "shift":
        steps.append(transforms.RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1)))
    if augment == "auto":
        steps.append(transforms.TrivialAugmentWide())
    if augment in ("flip", "crop", "zoom", "auto"):
        steps.append(transforms.RandomHorizontalFlip())
    steps += [_Mode("L" if described["channels"] == 1 else "RGB"), transforms.ToTensor()]
    if described["mean"] is not None:
        steps.append(transforms.Normalize(described["mean"], described["std"]))
    if augment == "auto":
        steps.append(transforms.RandomErasing(0.25))
    return transforms.Compose(steps)


class _Mode:
    """Converts a PIL image."""

    def __init__(self, mode: str):
        self.mode = mode

    def __call__(self, picture):
        return picture if picture.mode == self.mode else picture.convert(self.mode)


def statistics(part: Part, indices, described: dict, normalize: str) -> tuple:
    """The means and deviations of the channels, of up to 500 training pictures; (None, None) for no normalisation."""
    if normalize == "none":
        return None, None
    if normalize == "imagenet":
        return _IMAGENET if described["channels"] == 3 else ([0.449], [0.226])
    chosen = indices[np.linspace(0, len(indices) - 1, min(500, len(indices))).astype(int)]
    plain = transform({**described, "mean": None, "std": None})
    total, squares, count = 0.0, 0.0, 0
    for index in chosen:
        values = plain(part.data[int(index)][0]).numpy().astype(np.float64).reshape(described["channels"], -1)
        total, squares, count = total + values.sum(1), squares + (values**2).sum(1), count + values.shape[1]
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean.round(4).tolist(), np.where(std > 1e-4, std, 1).round(4).tolist()
