"""Data sets in memory."""

from rushlight.vision.datasets.vision import VisionDataset


class InMemory(VisionDataset):
    """The items of another data set, read and decoded once.

    Args:
        dataset: gives (picture, target) items. Its own transforms are applied once, while it is read.
        transform: applied to each picture each time it is asked for.
        target_transform: applied to each target.
        transforms: applied to both; instead of the other two.

    Attributes: `items`, a list; those of `dataset`, such as `classes`, are reached through this one.

    >>> from rushlight.vision.datasets import FakeData, InMemory
    >>> data = InMemory(FakeData(size=4, image_size=(3, 8, 8)), transform=lambda image: image.size)
    >>> data[2][0], data.num_classes
    ((8, 8), 10)
    """

    def __init__(self, dataset, transform=None, target_transform=None, transforms=None):
        super().__init__(getattr(dataset, "root", None), transforms, transform, target_transform)
        self.dataset = dataset
        self.items = [dataset[i] for i in range(len(dataset))]

    def __getattr__(self, name: str):
        if name == "dataset":  # asked for while this one is being copied
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, index: int):
        item = self.items[index]
        return item if self.transforms is None else self.transforms(*item)

    def __len__(self) -> int:
        return len(self.items)

    def extra_repr(self) -> str:
        """What it was read from."""
        return f"Items of: {type(self.dataset).__name__}"
