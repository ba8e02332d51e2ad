"""Models and data of random numbers, with which mistakes are reported."""

import rushlight as torch
from rushlight import nn
from rushlight.lightning.core.datamodule import LightningDataModule
from rushlight.lightning.core.module import LightningModule
from rushlight.nn import functional as F
from rushlight.utils.data import DataLoader, Dataset, IterableDataset, Subset

__all__ = [
    "BoringDataModule", "BoringDataModuleNoLen", "BoringModel", "DemoModel", "IterableBoringDataModule",
    "ManualOptimBoringModel", "Net", "RandomDataset", "RandomDictDataset", "RandomIterableDataset",
    "RandomIterableDatasetWithLen",
]  # fmt: skip


class RandomDataset(Dataset):
    """Standard normal rows.

    Args:
        size: numbers in a row. length: how many rows.

    >>> RandomDataset(32, 64)[0].shape
    torch.Size([32])
    """

    def __init__(self, size: int, length: int):
        self.len = length
        self.data = torch.randn(length, size)

    def __getitem__(self, index):
        return self.data[index]

    def __len__(self) -> int:
        return self.len


class RandomDictDataset(RandomDataset):
    """The same as dictionaries: a row "a", and "b", which is 2 more."""

    def __getitem__(self, index):
        a = self.data[index]
        return {"a": a, "b": a + 2}


class RandomIterableDataset(IterableDataset):
    """Standard normal rows, drawn as they are asked for.

    Args:
        size: numbers in a row. count: how many rows.
    """

    def __init__(self, size: int, count: int):
        self.count, self.size = count, size

    def __iter__(self):
        return (torch.randn(self.size) for _ in range(self.count))


class RandomIterableDatasetWithLen(RandomIterableDataset):
    """The same, which says how many there are."""

    def __len__(self) -> int:
        return self.count


class BoringModel(LightningModule):
    """A linear layer of 32 numbers whose outputs learn to be 1; its loaders are its own.

    >>> import rushlight as torch
    >>> BoringModel()(torch.zeros(4, 32)).shape
    torch.Size([4, 2])
    """

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(32, 2)

    def forward(self, x):
        """The layer."""
        return self.layer(x)

    def loss(self, preds, labels=None):
        """Mean squared error to the labels, ones by default."""
        return F.mse_loss(preds, torch.ones_like(preds) if labels is None else labels)

    def step(self, batch):
        """The loss of a batch."""
        return self.loss(self(batch))

    def training_step(self, batch, batch_idx):
        """The loss, as "loss"."""
        return {"loss": self.step(batch)}

    def validation_step(self, batch, batch_idx):
        """The loss, as "x"."""
        return {"x": self.step(batch)}

    def test_step(self, batch, batch_idx):
        """The loss, as "y"."""
        return {"y": self.step(batch)}

    def configure_optimizers(self):
        """Gradient descent whose rate falls to a tenth each epoch."""
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)]

    def train_dataloader(self):
        """64 random rows."""
        return DataLoader(RandomDataset(32, 64))

    def val_dataloader(self):
        """64 random rows."""
        return DataLoader(RandomDataset(32, 64))

    def test_dataloader(self):
        """64 random rows."""
        return DataLoader(RandomDataset(32, 64))

    def predict_dataloader(self):
        """64 random rows."""
        return DataLoader(RandomDataset(32, 64))


class ManualOptimBoringModel(BoringModel):
    """The same with manual optimization."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        """A step of the optimizer."""
        optimizer = self.optimizers()
        loss = self.step(batch)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return loss


class BoringDataModule(LightningDataModule):
    """256 random rows: a quarter each for training, validation, testing and prediction."""

    def __init__(self):
        super().__init__()
        self.random_full = RandomDataset(32, 64 * 4)

    def setup(self, stage: str) -> None:
        """Divide the rows."""
        if stage == "fit":
            self.random_train = Subset(self.random_full, indices=range(64))
        if stage in ("fit", "validate"):
            self.random_val = Subset(self.random_full, indices=range(64, 64 * 2))
        if stage == "test":
            self.random_test = Subset(self.random_full, indices=range(64 * 2, 64 * 3))
        if stage == "predict":
            self.random_predict = Subset(self.random_full, indices=range(64 * 3, 64 * 4))

    def train_dataloader(self):
        """The first quarter."""
        return DataLoader(self.random_train)

    def val_dataloader(self):
        """The second."""
        return DataLoader(self.random_val)

    def test_dataloader(self):
        """The third."""
        return DataLoader(self.random_test)

    def predict_dataloader(self):
        """The fourth."""
        return DataLoader(self.random_predict)


class BoringDataModuleNoLen(BoringDataModule):
    """Random rows, drawn as they are asked for: 512, 128, 256 and 64 of them."""

    def __init__(self):
        LightningDataModule.__init__(self)

    def setup(self, stage: str) -> None:
        """Make the datasets."""
        if stage == "fit":
            self.random_train = RandomIterableDataset(32, 512)
        if stage in ("fit", "validate"):
            self.random_val = RandomIterableDataset(32, 128)
        if stage == "test":
            self.random_test = RandomIterableDataset(32, 256)
        if stage == "predict":
            self.random_predict = RandomIterableDataset(32, 64)


class IterableBoringDataModule(LightningDataModule):
    """Two loaders at once: one of rows that are kept, one of rows that are drawn as they are asked for."""

    def setup(self, stage: str) -> None:
        """Make the datasets."""
        if stage == "fit":
            self.train_datasets = _pair(16)
        if stage in ("fit", "validate"):
            self.val_datasets = _pair(32)
        if stage == "test":
            self.test_datasets = _pair(64)
        if stage == "predict":
            self.predict_datasets = _pair(128)

    def train_dataloader(self):
        """Of 16 rows each."""
        return [DataLoader(dataset) for dataset in self.train_datasets]

    def val_dataloader(self):
        """Of 32."""
        return [DataLoader(dataset) for dataset in self.val_datasets]

    def test_dataloader(self):
        """Of 64."""
        return [DataLoader(dataset) for dataset in self.test_datasets]

    def predict_dataloader(self):
        """Of 128."""
        return [DataLoader(dataset) for dataset in self.predict_datasets]


def _pair(length: int) -> list:
    return [RandomDataset(4, length), RandomIterableDataset(4, length)]


class DemoModel(LightningModule):
    """A linear layer of 32 numbers whose sum of outputs falls.

    Args:
        out_dim: how many outputs. learning_rate: Adam's.
    """

    def __init__(self, out_dim: int = 10, learning_rate: float = 0.02):
        super().__init__()
        self.l1 = nn.Linear(32, out_dim)
        self.learning_rate = learning_rate

    def forward(self, x):
        """The layer, rectified."""
        return torch.relu(self.l1(x.view(x.size(0), -1)))

    def training_step(self, batch, batch_nb):
        """The sum of the outputs."""
        return self(batch).sum()

    def configure_optimizers(self):
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


class Net(nn.Module):
    """The convolutional network of PyTorch's MNIST example: (N, 1, 28, 28) to log-probabilities (N, 10).

    >>> import rushlight as torch
    >>> Net()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        """Log-probabilities."""
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        x = torch.flatten(self.dropout1(F.max_pool2d(x, 2)), 1)
        x = self.dropout2(F.relu(self.fc1(x)))
        return F.log_softmax(self.fc2(x), dim=1)
