"""Pictures with labels of their pixels, painted in the colours of a palette."""

import os

import numpy as np

from rushlight.ops.creation import from_numpy
from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.folder import is_image_file
from rushlight.vision.datasets.vision import VisionDataset


class SegmentationPairs(VisionDataset):
    """A folder of pictures, and one of label pictures of the same names.

    Args:
        images: folder of the pictures.
        labels: folder of the label pictures, which have one colour per class.
        palette: (red, green, blue) of each class by its name. The colour of the class "void", if there is one, is
            label -1; the others are numbered from 0 in this order.
        label_suffix: what the names of label pictures have behind those of the pictures, such as "_L".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int64 tensor of shape (height, width).
        transforms: applied to both; instead of the other two.

    Attributes: `classes`, `class_to_idx`, `palette`, `images`, `masks`.

    Raises:
        FileNotFoundError: there are no pictures, or one without label; names it.
        ValueError: a label picture has a colour that is not in the palette, or another size; names it.
    """

    void = -1

    def __init__(
        self,
        images,
        labels,
        palette: dict,
        label_suffix: str = "",
        transform=None,
        target_transform=None,
        transforms=None,
    ):
        super().__init__(images, transforms, transform, target_transform)
        self.palette = {name: tuple(color) for name, color in palette.items()}
        self.classes = [name for name in self.palette if name != "void"]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        numbers = {
            _code(color): self.class_to_idx.get(name, self.void) for name, color in self.palette.items()
        }
        if len(numbers) != len(self.palette):
            raise ValueError("palette: two classes have the same colour")
        self._codes = np.array(sorted(numbers), np.int64)
        self._numbers = np.array([numbers[code] for code in self._codes.tolist()], np.int64)
        self.images, self.masks = self._pairs(os.path.expanduser(labels), label_suffix)

    def _pairs(self, folder, suffix: str):
        masks = {os.path.splitext(name)[0]: name for name in os.listdir(folder) if is_image_file(name)}
        names = sorted(name for name in os.listdir(self.root) if is_image_file(name))
        if not names:
            raise FileNotFoundError(f"Couldn't find any picture in {self.root}.")
        stems = [os.path.splitext(name)[0] + suffix for name in names]
        alone = [name for name, stem in zip(names, stems, strict=True) if stem not in masks]
        if alone:
            raise FileNotFoundError(
                f"{os.path.join(self.root, alone[0])}: there is no label picture in {folder}"
            )
        return (
            [os.path.join(self.root, name) for name in names],
            [os.path.join(folder, masks[stem]) for stem in stems],
        )

    def _label(self, path: str):
        colors = np.asarray(open_picture(path, "RGB")).astype(np.int64)
        codes = (colors[..., 0] << 16) + (colors[..., 1] << 8) + colors[..., 2]
        places = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
        wrong = np.argwhere(self._codes[places] != codes)
        if len(wrong):
            row, column = wrong[0].tolist()
            raise ValueError(
                f"{path}: the colour {tuple(colors[row, column].tolist())} in row {row}, column {column} "
                "is not in the palette"
            )
        return from_numpy(self._numbers[places])

    def __getitem__(self, index: int):
        image, label = open_picture(self.images[index], "RGB"), self._label(self.masks[index])
        if tuple(label.shape) != image.size[::-1]:
            raise ValueError(
                f"{self.masks[index]}: it has {tuple(label.shape)} pixels, its picture {image.size[::-1]}"
            )
        return (image, label) if self.transforms is None else self.transforms(image, label)

    def __len__(self) -> int:
        return len(self.images)


def _code(color) -> int:
    if len(color) != 3 or any(value not in range(256) for value in color):
        raise ValueError(f"palette: three numbers from 0 to 255 expected, got {color}")
    return (color[0] << 16) + (color[1] << 8) + color[2]
