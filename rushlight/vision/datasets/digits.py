"""The handwritten digits that come with the package."""

from importlib.resources import files

import numpy as np

from rushlight.ops.creation import from_numpy
from rushlight.utils.data import Dataset


class Digits(Dataset):
    """1,797 handwritten digits, grey pictures of 8x8 pixels: 1,438 to train on and 359 held out.

    Args:
        train: which part; every fifth digit is held out.
        transform: applied to each picture, a float tensor of shape (1, 8, 8) with values from 0 to 1.
        target_transform: applied to each label, an int from 0 to 9.

    Attributes: `data`, a uint8 tensor of shape (N, 8, 8) with values from 0 to 16, `targets`, an int64 tensor of
    shape (N,), and `classes`, the names of the labels.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository
    (1998), its test set; licence CC BY 4.0.

    >>> from rushlight.vision.datasets import Digits
    >>> image, label = Digits(train=False)[0]
    >>> image.shape, label
    (torch.Size([1, 8, 8]), 4)
    """

    classes = [str(i) for i in range(10)]

    def __init__(self, train: bool = True, transform=None, target_transform=None):
        with (
            (files(__package__) / "digits.npz").open("rb") as file,
            np.load(file, allow_pickle=False) as content,
        ):
            images, labels = content["images"], content["labels"]
        part = (np.arange(len(labels)) % 5 != 4) == train
        self.data = from_numpy(images[part])
        self.targets = from_numpy(labels[part].astype(np.int64))
        self.train, self.transform, self.target_transform = train, transform, target_transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int):
        image = (self.data[index].float() / 16).unsqueeze(0)
        label = int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label
