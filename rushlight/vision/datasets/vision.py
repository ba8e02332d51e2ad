"""What all data sets of pictures share: their transforms and their printed form."""

import os

from rushlight.utils.data import Dataset


class VisionDataset(Dataset):
    """Base of the data sets of pictures; subclasses define `__getitem__` and `__len__`.

    Args:
        root: folder of the data; `~` is expanded.
        transforms: called with (image, target), returns both.
        transform: called with the image. Not together with `transforms`.
        target_transform: called with the target. Not together with `transforms`.

    Raises:
        ValueError: both kinds of transforms are given.

    >>> from rushlight.vision.datasets import FakeData
    >>> FakeData(size=3)
    Dataset FakeData
        Number of datapoints: 3
    """

    _repr_indent = 4

    def __init__(self, root=None, transforms=None, transform=None, target_transform=None):
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        separate = transform is not None or target_transform is not None
        if transforms is not None and separate:
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        self.transform, self.target_transform = transform, target_transform
        self.transforms = StandardTransform(transform, target_transform) if separate else transforms

    def __getitem__(self, index: int):
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")

    def _transformed(self, image, target):
        """The item after `transforms`, or after `transform` and `target_transform` as they are now."""
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __repr__(self) -> str:
        body = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            body.append(f"Root location: {self.root}")
        body += self.extra_repr().splitlines()
        if getattr(self, "transforms", None) is not None:
            body.append(repr(self.transforms))
        return "\n".join(
            [f"Dataset {type(self).__name__}", *(" " * self._repr_indent + line for line in body)]
        )

    def extra_repr(self) -> str:
        """Further lines of the printed form."""
        return ""


class StandardTransform:
    """A transform of the image and one of the target as one transform of both.

    Args:
        transform: called with the image.
        target_transform: called with the target.

    >>> from rushlight.vision.datasets.vision import StandardTransform
    >>> StandardTransform(len, str)("four", 2)
    (4, '2')
    """

    def __init__(self, transform=None, target_transform=None):
        self.transform, self.target_transform = transform, target_transform

    __call__ = VisionDataset._transformed

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        for head, transform in (
            ("Transform: ", self.transform),
            ("Target transform: ", self.target_transform),
        ):
            if transform is not None:
                first, *rest = repr(transform).splitlines()
                lines += [head + first, *(" " * len(head) + line for line in rest)]
        return "\n".join(lines)
