"""COCO: photographs with boxes, outlines or captions in one JSON file."""

import json
import math
import os

from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.vision import VisionDataset


class CocoIndex:
    """The content of a COCO annotation file, with the names of `pycocotools.coco.COCO` for what needs no masks.

    Args:
        path: the JSON file.

    Attributes: `dataset`, `imgs`, `anns` and `cats` by id, `imgToAnns` and `catToImgs`.

    Raises:
        ValueError: no JSON, or not with these entries, an image id that repeats, a box that isn't 4 finite numbers with
            a width and a height of at least 0; names the file.
    """

    def __init__(self, path):
        self.path = path
        try:
            with open(path, encoding="utf-8") as file:
                self.dataset = json.load(file)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: damaged, no JSON: {error}") from error
        try:
            self._make_index()
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path}: no COCO annotations, an entry is missing or wrong: {error!r}"
            ) from error

    def _make_index(self) -> None:
        self.imgs = {image["id"]: image for image in self.dataset["images"]}
        if len(self.imgs) < len(self.dataset["images"]):
            raise ValueError(f"{self.path}: two images have the same id")
        for key, image in self.imgs.items():
            if not isinstance(image["file_name"], str):
                raise ValueError(f"{self.path}: image {key}: no file_name, but {image['file_name']!r}")
        annotations = self.dataset.get("annotations", [])
        self.anns = {ann["id"]: ann for ann in annotations}
        self.cats = {cat["id"]: cat for cat in self.dataset.get("categories", [])}
        self.imgToAnns: dict = {}
        self.catToImgs: dict = {}
        for ann in annotations:
            if ann["image_id"] not in self.imgs:
                raise ValueError(
                    f"{self.path}: annotations of the image id {ann['image_id']}, which is not among the images"
                )
            if "bbox" in ann and not _is_box(ann["bbox"]):
                raise ValueError(
                    f"{self.path}: annotation {ann['id']}: a box of x, y, width and height expected, got {ann['bbox']}"
                )
            self.imgToAnns.setdefault(ann["image_id"], []).append(ann)
            if "category_id" in ann:
                self.catToImgs.setdefault(ann["category_id"], []).append(ann["image_id"])

    def getAnnIds(self, imgIds=(), catIds=()) -> list:
        """Ids of the annotations, of all or of some images and categories."""
        images, cats = _as_list(imgIds), _as_list(catIds)
        anns = [ann for i in images for ann in self.imgToAnns.get(i, [])] if images else self.anns.values()
        return [ann["id"] for ann in anns if not cats or ann["category_id"] in cats]

    def getCatIds(self, catNms=()) -> list:
        """Ids of the categories, of all or of those with some names."""
        names = _as_list(catNms)
        return [cat["id"] for cat in self.cats.values() if not names or cat["name"] in names]

    def getImgIds(self, imgIds=(), catIds=()) -> list:
        """Ids of the images, of all, or of those among `imgIds` on which there is something of each category."""
        chosen = set(_as_list(imgIds) or self.imgs)
        for cat in _as_list(catIds):
            chosen &= set(self.catToImgs.get(cat, []))
        return list(chosen)

    def loadImgs(self, ids=()) -> list[dict]:
        """The entries of images."""
        return [self.imgs[i] for i in _as_list(ids)]

    def loadAnns(self, ids=()) -> list[dict]:
        """The entries of annotations."""
        return [self.anns[i] for i in _as_list(ids)]

    def loadCats(self, ids=()) -> list[dict]:
        """The entries of categories."""
        return [self.cats[i] for i in _as_list(ids)]


def _is_box(box) -> bool:
    if not isinstance(box, list) or len(box) != 4:
        return False
    return all(isinstance(v, int | float) and math.isfinite(v) for v in box) and min(box[2:]) >= 0


def _as_list(ids) -> list:
    return [ids] if isinstance(ids, (int, str)) else list(ids)


class CocoDetection(VisionDataset):
    """Pictures and the list of their annotations. It does without pycocotools.

    Args:
        root: folder of the pictures.
        annFile: JSON file of the annotations.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each list of annotations.
        transforms: applied to both; instead of the other two.

    Attributes: `coco`, a `CocoIndex`, and `ids`, those of the pictures in ascending order.

    Source: T.-Y. Lin and others, "Microsoft COCO: Common Objects in Context" (2014).
    """

    def __init__(self, root, annFile, transform=None, target_transform=None, transforms=None):
        super().__init__(root, transforms, transform, target_transform)
        self.coco = CocoIndex(annFile)
        self.ids = sorted(self.coco.imgs)

    def _load_image(self, id):
        return open_picture(os.path.join(self.root, self.coco.imgs[id]["file_name"]), "RGB")

    def _load_target(self, id) -> list:
        return list(self.coco.imgToAnns.get(id, []))

    def __getitem__(self, index: int):
        if not isinstance(index, int):
            raise ValueError(f"Index must be of type integer, got {type(index)} instead.")
        id = self.ids[index]
        image, target = self._load_image(id), self._load_target(id)
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self) -> int:
        return len(self.ids)


class CocoCaptions(CocoDetection):
    """As `CocoDetection`, with the list of captions of each picture."""

    def _load_target(self, id) -> list[str]:
        return [ann["caption"] for ann in super()._load_target(id)]
