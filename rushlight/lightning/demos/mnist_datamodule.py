"""MNIST for the examples of Lightning."""

import rushlight as torch
from rushlight.lightning.core.datamodule import LightningDataModule
from rushlight.utils.data import DataLoader, random_split
from rushlight.vision import datasets, transforms

__all__ = ["MNIST", "MNISTDataModule"]

_DATASETS_PATH = "./data"


def MNIST(*args, **kwargs):
    """The dataset of torchvision.

    Args:
        *args, **kwargs: those of `torchvision.datasets.MNIST`.
    """
    return datasets.MNIST(*args, **kwargs)


class MNISTDataModule(LightningDataModule):
    """MNIST in three parts: training and validation from its training images, testing from its test images.

    Args:
        data_dir: the folder of the data; downloaded if need be.
        val_split: how many of the training images are for validation.
        num_workers: of the loaders.
        normalize: from -1 to 1 instead of from 0 to 1.
        seed: accepted; the images are divided in the same way each time.
        batch_size: of the loaders.
    """

    name = "mnist"
    num_classes = property(lambda self: 10, doc="Ten digits.")

    def __init__(
        self, data_dir: str = _DATASETS_PATH, val_split: int = 5000, num_workers: int = 16, normalize: bool = False,
        seed: int = 42, batch_size: int = 32,
    ):  # fmt: skip
        super().__init__()
        self.data_dir, self.val_split, self.num_workers = data_dir, val_split, num_workers
        self.normalize, self.seed, self.batch_size = normalize, seed, batch_size

    def prepare_data(self) -> None:
        """Download what isn't there."""
        MNIST(self.data_dir, train=True, download=True)
        MNIST(self.data_dir, train=False, download=True)

    def setup(self, stage: str) -> None:
        """Divide the training images."""
        dataset = MNIST(self.data_dir, train=True, download=False, transform=self.default_transforms)
        parts = [len(dataset) - self.val_split, self.val_split]
        self.dataset_train, self.dataset_val = random_split(
            dataset, parts, generator=torch.Generator().manual_seed(42)
        )

    def _loader(self, dataset, shuffle: bool = False):
        return DataLoader(
            dataset, self.batch_size, shuffle=shuffle, num_workers=self.num_workers, drop_last=True, pin_memory=True
        )  # fmt: skip

    def train_dataloader(self):
        """Training images, shuffled."""
        return self._loader(self.dataset_train, shuffle=True)

    def val_dataloader(self):
        """Validation images."""
        return self._loader(self.dataset_val)

    def test_dataloader(self):
        """Test images."""
        return self._loader(
            MNIST(self.data_dir, train=False, download=False, transform=self.default_transforms)
        )

    @property
    def default_transforms(self):
        """From images to tensors."""
        if not self.normalize:
            return transforms.ToTensor()
        return transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean=(0.5,), std=(0.5,))])
