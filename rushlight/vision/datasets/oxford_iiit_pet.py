"""The Oxford-IIIT pets: cats and dogs of 37 breeds."""

import pathlib

from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.utils import download_and_extract_archive, missing, verify_str_arg
from rushlight.vision.datasets.vision import VisionDataset


class OxfordIIITPet(VisionDataset):
    """Photographs of 37 breeds of cats and dogs, with breeds, species or segmentations.

    Args:
        root: folder with `oxford-iiit-pet/images` and `oxford-iiit-pet/annotations`.
        split: "trainval" or "test".
        target_types: "category" (0 to 36), "binary-category" (0 cat, 1 dog), "segmentation" (PIL image of 1 for the
            pet, 2 for background and 3 for the border), or a sequence of them for a tuple; empty for None.
        transforms: applied to picture and target; instead of the other two.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each target.
        download: fetch and unpack the archives if the folders are absent.

    Attributes: `classes`, `class_to_idx`, `bin_classes`, `bin_class_to_idx`.

    Source: O. M. Parkhi, A. Vedaldi, A. Zisserman and C. V. Jawahar, "Cats and Dogs" (2012).
    """

    _RESOURCES = (
        ("https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
        (
            "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",
            "95a8c909bbe2e81eed6a22bccdf3f68f",
        ),
    )
    _VALID_TARGET_TYPES = ("category", "binary-category", "segmentation")

    def __init__(
        self,
        root,
        split: str = "trainval",
        target_types="category",
        transforms=None,
        transform=None,
        target_transform=None,
        download: bool = False,
    ):
        self._split = verify_str_arg(split, "split", ("trainval", "test"))
        target_types = [target_types] if isinstance(target_types, str) else target_types
        self._target_types = [
            verify_str_arg(t, "target_types", self._VALID_TARGET_TYPES) for t in target_types
        ]
        super().__init__(root, transforms=transforms, transform=transform, target_transform=target_transform)
        self._base_folder = pathlib.Path(self.root) / "oxford-iiit-pet"
        self._images_folder = self._base_folder / "images"
        self._anns_folder = self._base_folder / "annotations"
        if download:
            self._download()
        if not self._check_exists():
            raise missing([self._images_folder, self._anns_folder], "Dataset not found")
        self._read_list(self._anns_folder / f"{self._split}.txt")

    def _read_list(self, path) -> None:
        names, self._labels, self._bin_labels = [], [], []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                name, label, species, _ = line.split()
                self._labels.append(int(label) - 1)
                self._bin_labels.append(int(species) - 1)
            except ValueError:
                raise ValueError(
                    f"{path}, line {number}: a name and 3 numbers expected, got {line!r}"
                ) from None
            names.append(name)
        breeds = {(name.rsplit("_", 1)[0], label) for name, label in zip(names, self._labels, strict=True)}
        self.classes = [
            " ".join(part.title() for part in breed.split("_"))
            for breed, _ in sorted(breeds, key=lambda item: item[1])
        ]
        self.bin_classes = ["Cat", "Dog"]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.bin_class_to_idx = {name: i for i, name in enumerate(self.bin_classes)}
        self._images = [self._images_folder / f"{name}.jpg" for name in names]
        self._segs = [self._anns_folder / "trimaps" / f"{name}.png" for name in names]

    def _target(self, kind: str, index: int):
        if kind == "category":
            return self._labels[index]
        if kind == "binary-category":
            return self._bin_labels[index]
        return open_picture(self._segs[index])

    def __getitem__(self, idx: int):
        image = open_picture(self._images[idx], "RGB")
        targets = tuple(self._target(kind, idx) for kind in self._target_types)
        target = targets if len(targets) > 1 else targets[0] if targets else None
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self) -> int:
        return len(self._images)

    def _check_exists(self) -> bool:
        return self._images_folder.is_dir() and self._anns_folder.is_dir()

    def _download(self) -> None:
        if self._check_exists():
            return
        for url, md5 in self._RESOURCES:
            download_and_extract_archive(url, str(self._base_folder), md5=md5)
