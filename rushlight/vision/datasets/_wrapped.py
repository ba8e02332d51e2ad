"""Data sets whose boxes and masks say what they are, as the transforms of v2 want them."""

import contextlib
import copy
from collections.abc import Collection

import numpy as np

import rushlight as torch
from rushlight.vision import tv_tensors
from rushlight.vision.datasets import (
    characters,
    cifar,
    classified,
    coco,
    folder,
    imagenet,
    mnist,
    people,
    scenes,
)
from rushlight.vision.datasets.oxford_iiit_pet import OxfordIIITPet
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.datasets.voc import VOCDetection, VOCSegmentation
from rushlight.vision.transforms.v2 import functional as F

_VOC = [
    "__background__",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]
_KITTI = "Car Van Truck Pedestrian Person_sitting Cyclist Tram Misc DontCare".split()  # noqa: SIM905


def wrap_dataset_for_transforms_v2(dataset, target_keys=None):
    """A data set whose items are fit for `transforms.v2`: boxes, masks and labels in a dict, of the right kinds.

    - CocoDetection, VOCDetection, Kitti: the target is a dict with `boxes`, `labels` and so on.
    - WIDERFace, CelebA: boxes become `BoundingBoxes` in the format XYXY.
    - VOCSegmentation, SBDataset, OxfordIIITPet, Cityscapes: regions become masks.
    - Data sets of pictures with labels are left as they are.

    Args:
        dataset: one of this package, with its transforms, which are then applied to the wrapped items.
        target_keys: of a target that is a dict: a collection of keys, "all", or None for the usual ones.

    Raises:
        TypeError: nothing is known about data sets of this kind.
        ValueError: `target_keys` are no keys of its targets.
    """
    named = isinstance(target_keys, Collection) and all(isinstance(key, str) for key in target_keys)
    if target_keys is not None and target_keys != "all" and (isinstance(target_keys, str) or not named):
        raise ValueError(
            "`target_keys` can be None, 'all', or a collection of strings denoting the keys to be returned, but got "
            f"{target_keys}"
        )
    kind = type(dataset)
    return type(f"Wrapped{kind.__name__}", (_Wrapped, kind), {})(dataset, target_keys)


class _Wrapped:
    """Before the class of the data set among the bases of a wrapped one."""

    def __init__(self, dataset, target_keys):
        name = type(dataset).__name__
        if not isinstance(dataset, VisionDataset):
            raise TypeError(
                "This wrapper is meant for subclasses of `torchvision.datasets.VisionDataset`, but got a "
                f"'{name}' instead."
            )
        found = [cls for cls in type(dataset).__mro__ if cls in _WRAPPERS]
        if not found:
            raise TypeError(f"No wrapper exists for dataset class {name}. Please wrap the output yourself.")
        if target_keys is not None and found[0] not in _KEYED:
            raise ValueError(
                "`target_keys` is currently only supported for `CocoDetection`, `VOCDetection`, `Kitti`, and "
                f"`WIDERFace`, but got {found[0].__name__}."
            )
        self._dataset, self._target_keys = dataset, target_keys
        if found[0] in _KEYED:
            target_keys = _keys(target_keys, *_KEYED[found[0]])
        self._wrapper = _WRAPPERS[found[0]](dataset, target_keys)
        for attribute in ("transform", "target_transform", "transforms"):  # applied after wrapping
            setattr(self, attribute, getattr(dataset, attribute))
            setattr(dataset, attribute, None)

    def __getattr__(self, name):
        if name == "_dataset":  # while it is unpickled or copied
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def __getitem__(self, idx):
        sample = self._wrapper(idx, self._dataset[idx])
        return sample if self.transforms is None else self.transforms(*sample)

    def __len__(self) -> int:
        return len(self._dataset)

    def __reduce__(self):
        dataset = copy.copy(self._dataset)
        for attribute in ("transform", "target_transform", "transforms"):
            setattr(dataset, attribute, getattr(self, attribute))
        return wrap_dataset_for_transforms_v2, (dataset, self._target_keys)


def _keys(wanted, available: set, usual: set) -> set:
    wanted = usual if wanted is None else available if wanted == "all" else set(wanted)
    if wanted - available:
        raise ValueError(f"Target keys {sorted(wanted - available)} are not available")
    return wanted


def _refuse(what: str):
    raise RuntimeError(f"{what} is currently not supported by this wrapper.")


def _boxes(numbers, format: str, image):
    numbers = torch.as_tensor(numbers).reshape(-1, 4) if not len(numbers) else numbers
    boxes = tv_tensors.BoundingBoxes(numbers, format=format, canvas_size=tuple(F.get_size(image)))
    return F.convert_bounding_box_format(boxes, new_format="XYXY")


def _unchanged(dataset, keys):
    return lambda idx, sample: sample


def _region(dataset, keys):
    return lambda idx, sample: (sample[0], tv_tensors.Mask(sample[1]))


def _caltech101(dataset, keys):
    if "annotation" in dataset.target_type:
        _refuse("Caltech101 dataset with `target_type=['annotation', ...]`")
    return _unchanged(dataset, keys)


def _sbd(dataset, keys):
    if dataset.mode == "boundaries":
        _refuse("SBDataset with mode='boundaries'")
    return _region(dataset, keys)


def _by_type(types, changes: dict):
    """A function of a target, or of a tuple of them, that changes those of some types."""

    def change(target):
        targets = target if isinstance(target, (tuple, list)) else [target]
        out = tuple(changes.get(kind, lambda x: x)(item) for kind, item in zip(types, targets, strict=True))
        return out if len(out) > 1 else out[0]

    return change


def _pets(dataset, keys):
    change = _by_type(dataset._target_types, {"segmentation": tv_tensors.Mask})
    return lambda idx, sample: (sample[0], None if sample[1] is None else change(sample[1]))


def _celeba(dataset, keys):
    if {"attr", "landmarks"} & set(dataset.target_type):
        _refuse("`CelebA` dataset with `target_type=['attr', 'landmarks', ...]`")

    def wrapper(idx, sample):
        image, target = sample
        boxes = {"bbox": lambda item: _boxes(item, "XYWH", image)}
        return image, _by_type(dataset.target_type, boxes)(target)

    return wrapper


def _instances(picture):
    """The masks and classes of Cityscapes' instances: numbers from 1000 are class * 1000 + instance."""
    data = tv_tensors.Mask(picture)
    ids = data.unique().tolist()
    labels = torch.tensor([i // 1000 if i >= 1000 else i for i in ids])
    return {"masks": tv_tensors.Mask(torch.stack([data == i for i in ids])), "labels": labels}


def _cityscapes(dataset, keys):
    if {"polygon", "color"} & set(dataset.target_type):
        _refuse("`Cityscapes` dataset with `target_type=['polygon', 'color', ...]`")
    change = _by_type(dataset.target_type, {"instance": _instances, "semantic": tv_tensors.Mask})
    return lambda idx, sample: (sample[0], change(sample[1]))


@contextlib.contextmanager
def _named(path):
    """Errors about an annotation name its file."""
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{path}: an annotation lacks {error}") from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: an annotation is damaged: {error}") from error


def _column(entries: list[dict], key: str) -> list:
    return [entry[key] for entry in entries]


def segmentation_mask(segmentation, size) -> np.ndarray:
    """The mask, 0 and 1, of a segmentation of COCO: polygons, or run lengths, also compressed ones.

    Args:
        segmentation: a list of polygons [x, y, x, y, ...], or a dict with `size` and `counts`.
        size: (height, width) of the picture.
    """
    if isinstance(segmentation, dict):
        height, width = segmentation["size"]
        counts = segmentation["counts"]
        runs = _runs(counts) if isinstance(counts, (str, bytes)) else counts
        values = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
        if len(values) != height * width:
            raise ValueError(f"COCO run lengths of {len(values)} pixels for a picture of {height} x {width}")
        return values.reshape(width, height).T
    if not isinstance(segmentation, list):
        raise ValueError(f"COCO segmentation expected to be a dict or a list, got {type(segmentation)}")
    odd = [len(polygon) for polygon in segmentation if len(polygon) % 2]
    if odd:
        raise ValueError(f"wrong number of coordinates of a polygon: {odd[0]}, which is odd")
    masks = [_polygon(np.asarray(polygon, np.float64).reshape(-1, 2), *size) for polygon in segmentation]
    return np.bitwise_or.reduce(masks) if masks else np.zeros(size, np.uint8)


def _polygon(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """The pixels of a polygon (N, 2), as COCO's own tool draws them.

    Its boundary is drawn on a grid of fifths of a pixel; where it crosses the middle of a column, what is below it in
    the column changes sides.
    """
    corners = np.trunc(5 * corners + 0.5).astype(np.int64)
    edges = [_line(*pair) for pair in zip(corners, np.roll(corners, -1, 0), strict=True)]
    x, y = np.concatenate(edges).T
    moved = x[1:] != x[:-1]
    column = (np.minimum(x[1:], x[:-1])[moved] + 0.5) / 5 - 0.5
    row = np.ceil(np.clip((np.minimum(y[1:], y[:-1])[moved] + 0.5) / 5 - 0.5, 0, height))
    kept = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    changes = (column[kept] * height + row[kept]).astype(np.int64)
    inside = np.bincount(changes, minlength=height * width + 1)[: height * width].cumsum() % 2
    return inside.astype(np.uint8).reshape(width, height).T


def _line(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The points (n, 2) of a line between points of a grid, both included, from the first to the second."""
    along = int(np.abs(end - start).argmax())
    a, b = (end, start) if start[along] > end[along] else (start, end)
    steps = np.arange(b[along] - a[along] + 1)
    slope = (b - a)[1 - along] / max(int((b - a)[along]), 1)
    points = np.empty((len(steps), 2), np.int64)
    points[:, along] = a[along] + steps
    points[:, 1 - along] = np.trunc(a[1 - along] + slope * steps + 0.5)
    return points if a is start else points[::-1]


def _runs(text) -> list[int]:
    """Run lengths from COCO's text: groups of five bits, and differences to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for byte in text.encode("ascii") if isinstance(text, str) else text:
        code = byte - 48
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs


def _coco(dataset, keys):
    def wrapper(idx, sample):
        image, entries = sample
        image_id = dataset.ids[idx]
        if not entries:
            return image, {"image_id": image_id}
        size = tuple(F.get_size(image))
        made = {
            "image_id": lambda: image_id,
            "boxes": lambda: _boxes(_column(entries, "bbox"), "XYWH", image),
            "masks": lambda: tv_tensors.Mask(
                np.stack([segmentation_mask(each, size) for each in _column(entries, "segmentation")])
            ),
            "labels": lambda: torch.tensor(_column(entries, "category_id")),
        }
        with _named(f"{dataset.coco.path}, image {image_id}"):
            target = {key: make() for key, make in made.items() if key in keys}
            return image, target | {key: _column(entries, key) for key in keys if key not in made}

    return wrapper


def _corners(box: dict) -> list[int]:
    corners = [int(box[side]) for side in ("xmin", "ymin", "xmax", "ymax")]
    if corners[0] > corners[2] or corners[1] > corners[3]:
        raise ValueError(f"a box from {corners[:2]} to {corners[2:]}")
    return corners


def _voc(dataset, keys):
    def wrapper(idx, sample):
        image, target = sample
        objects = target["annotation"].get("object", [])
        target = target if "annotation" in keys else {}
        with _named(dataset.targets[idx]):
            if "boxes" in keys:
                target["boxes"] = _boxes([_corners(box) for box in _column(objects, "bndbox")], "XYXY", image)
            if "labels" in keys:
                names = [_VOC.index(name) for name in _column(objects, "name")]
                target["labels"] = torch.tensor(names, dtype=torch.int64)
        return image, target

    return wrapper


def _kitti(dataset, keys):
    def wrapper(idx, sample):
        image, entries = sample
        if entries is None:
            return image, None
        target = {}
        with _named(dataset.targets[idx]):
            if "boxes" in keys:
                target["boxes"] = _boxes(_column(entries, "bbox"), "XYXY", image)
            if "labels" in keys:
                names = [_KITTI.index(name) for name in _column(entries, "type")]
                target["labels"] = torch.tensor(names, dtype=torch.int64)
        return image, target | {key: _column(entries, key) for key in keys - {"boxes", "labels"}}

    return wrapper


def _wider(dataset, keys):
    def wrapper(idx, sample):
        image, target = sample
        if target is None:
            return image, None
        target = {key: target[key] for key in keys}
        if "bbox" in keys:
            target["bbox"] = _boxes(target["bbox"], "XYWH", image)
        return image, target

    return wrapper


_COCO_KEYS = {
    "segmentation",
    "area",
    "iscrowd",
    "image_id",
    "bbox",
    "category_id",
    "boxes",
    "masks",
    "labels",
}
_KITTI_KEYS = {
    "type", "truncated", "occluded", "alpha", "bbox", "dimensions", "location", "rotation_y", "boxes", "labels",
}  # fmt: skip
_WIDER_KEYS = {"bbox", "blur", "expression", "illumination", "occlusion", "pose", "invalid"}
_KEYED = {
    coco.CocoDetection: (_COCO_KEYS, {"image_id", "boxes", "labels"}),
    VOCDetection: ({"annotation", "boxes", "labels"}, {"boxes", "labels"}),
    scenes.Kitti: (_KITTI_KEYS, {"boxes", "labels"}),
    people.WIDERFace: (_WIDER_KEYS, _WIDER_KEYS),
}
_WRAPPERS = {
    **dict.fromkeys(
        [
            classified.Caltech256, cifar.CIFAR10, cifar.CIFAR100, mnist.MNIST, mnist.FashionMNIST, classified.GTSRB,
            folder.DatasetFolder, folder.ImageFolder, classified.Imagenette, imagenet.ImageNet, coco.CocoCaptions,
            characters.USPS,
        ],
        _unchanged,
    ),
    classified.Caltech101: _caltech101,
    VOCSegmentation: _region,
    scenes.SBDataset: _sbd,
    people.CelebA: _celeba,
    OxfordIIITPet: _pets,
    scenes.Cityscapes: _cityscapes,
    coco.CocoDetection: _coco,
    VOCDetection: _voc,
    scenes.Kitti: _kitti,
    people.WIDERFace: _wider,
}  # fmt: skip
