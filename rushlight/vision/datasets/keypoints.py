"""Points in faces."""

import numpy as np

from rushlight.ops.creation import from_numpy
from rushlight.vision.datasets.table import _numbers, read_table
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.utils import _to_pil


class FacialKeypoints(VisionDataset):
    """Grey pictures of faces, 96x96 pixels, and 15 points in each: eyes, brows, nose and mouth.

    Args:
        path: CSV file with the columns `left_eye_center_x`, `left_eye_center_y` and so on, and `Image`, 9,216 values
            with spaces between them. Rows that lack a point are left out.
        transform: applied to each picture, a PIL image of mode L.
        target_transform: applied to the points, a float tensor of shape (15, 2) with (x, y) from -1 to 1.
        transforms: applied to both; instead of the other two.

    Attributes: `data`, a uint8 tensor of shape (N, 96, 96), `targets`, a float tensor of shape (N, 15, 2), `names` of
    the points. A file without points, such as that of the test, gives pictures alone; `targets` is None.

    Raises:
        ValueError: columns are absent, or a picture has another size; names the file and the row.

    Source: "Facial Keypoints Detection", Kaggle (2013), data of Y. Bengio.
    """

    size = 96

    def __init__(self, path, transform=None, target_transform=None, transforms=None):
        super().__init__(path, transforms, transform, target_transform)
        table = read_table(self.root)
        if "Image" not in table:
            raise ValueError(f"{path}: there is no column 'Image'; it has {', '.join(table)}")
        pictures = table.pop("Image")
        self.names = [name.removesuffix("_x") for name in table if name.endswith("_x")]
        lacking = [f"{name}_y" for name in self.names if f"{name}_y" not in table]
        if lacking:
            raise ValueError(f"{path}: there is no column {lacking[0]!r}")
        kept, self.targets = range(len(pictures)), None
        if self.names:
            columns = [
                _numbers(path, f"{name}_{axis}", table[f"{name}_{axis}"])
                for name in self.names
                for axis in "xy"
            ]
            points = np.stack(columns, 1)
            kept = np.flatnonzero(~np.isnan(points).any(1))
            points = points[kept].reshape(-1, len(self.names), 2)
            self.targets = from_numpy((points / (self.size / 2) - 1).astype(np.float32))
        images = [self._picture(pictures[i], i) for i in kept]
        self.data = from_numpy(np.array(images, np.uint8).reshape(-1, self.size, self.size))

    def _picture(self, cell: str, row: int) -> np.ndarray:
        try:
            values = np.array(cell.split(), np.int64)
        except ValueError as error:
            raise ValueError(f"{self.root}: the picture in row {row + 1} is damaged: {error}") from None
        if values.size != self.size**2 or values.min() < 0 or values.max() > 255:
            raise ValueError(
                f"{self.root}: the picture in row {row + 1} is damaged: {self.size**2} values from 0 to 255 expected, "
                f"got {values.size}"
            )
        return values.astype(np.uint8)

    @classmethod
    def to_pixels(cls, points):
        """Points from -1 to 1 as (x, y) in pixels, also those that a network gives."""
        return (points + 1) * (cls.size / 2)

    def __getitem__(self, index: int):
        image = _to_pil(self.data[index].numpy())
        if self.targets is None:
            return image if self.transform is None else self.transform(image)
        target = self.targets[index]
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self) -> int:
        return len(self.data)
