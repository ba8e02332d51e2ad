"""LightningDataModule: the data of a project in one class."""

from rushlight.lightning.core.hooks import CheckpointHooks, DataHooks
from rushlight.lightning.core.hparams import HyperparametersMixin
from rushlight.lightning.core.saving import class_only, load_datamodule
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.utils._pytree import tree_flatten

__all__ = ["LightningDataModule"]


class LightningDataModule(HyperparametersMixin, DataHooks, CheckpointHooks):
    """Loaders for training, validation, testing and prediction, and how to prepare their data.

    >>> import rushlight as torch
    >>> from rushlight import lightning as pl
    >>> class Numbers(pl.LightningDataModule):
    ...     def train_dataloader(self):
    ...         return torch.utils.data.DataLoader(range(10), batch_size=5)
    >>> len(Numbers().train_dataloader())
    2
    """

    name: str | None = None
    CHECKPOINT_HYPER_PARAMS_KEY = "datamodule_hyper_parameters"
    CHECKPOINT_HYPER_PARAMS_NAME = "datamodule_hparams_name"
    CHECKPOINT_HYPER_PARAMS_TYPE = "datamodule_hparams_type"

    def __init__(self):
        super().__init__()
        self.trainer = None
        self._log_hyperparams = False
        self.prepare_data_per_node = True
        self.allow_zero_length_dataloader_with_multiple_devices = False

    @classmethod
    def from_datasets(
        cls, train_dataset=None, val_dataset=None, test_dataset=None, predict_dataset=None, batch_size: int = 1,
        num_workers: int = 0, **datamodule_kwargs,
    ):  # fmt: skip
        """A datamodule of datasets: training is shuffled, all else in order.

        Args:
            train_dataset, val_dataset, test_dataset, predict_dataset: datasets; for all but training, lists or
                dictionaries of them too.
            batch_size, num_workers: of the loaders.
            **datamodule_kwargs: arguments of `__init__`.
        """
        from rushlight.utils.data import DataLoader, IterableDataset

        def loader(dataset, shuffle=False):
            if isinstance(dataset, dict):
                return {key: loader(value) for key, value in dataset.items()}
            if isinstance(dataset, list | tuple) and not shuffle:
                return [loader(value) for value in dataset]
            shuffle = shuffle and not isinstance(dataset, IterableDataset)
            return DataLoader(dataset, batch_size, shuffle=shuffle, num_workers=num_workers)

        module = cls(**datamodule_kwargs)
        if train_dataset is not None:
            module.train_dataloader = lambda: loader(train_dataset, shuffle=True)
        for name, dataset in (("val", val_dataset), ("test", test_dataset), ("predict", predict_dataset)):
            if dataset is not None:
                setattr(module, f"{name}_dataloader", lambda dataset=dataset: loader(dataset))
        return module

    def state_dict(self) -> dict:
        """What goes into checkpoints."""
        return {}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take back what `state_dict` gave."""

    def on_exception(self, exception: BaseException) -> None:
        """The run ended with an exception."""

    def __str__(self) -> str:
        return "\n".join(f"{{{kind} dataloader: {self._sizes(name)}}}" for kind, name in (
            ("Train", "train"), ("Validation", "val"), ("Test", "test"), ("Predict", "predict")))  # fmt: skip

    def _sizes(self, kind: str) -> str:
        """The sizes of the data sets of a kind of loaders, as far as they are known."""
        try:
            loaders = getattr(self, f"{kind}_dataloader")()
        except MisconfigurationException:
            return "None"
        loaders = tree_flatten(loaders)[0]
        sizes = []
        for loader in loaders:
            try:
                sizes.append(f"size={len(getattr(loader, 'dataset', loader))}")
            except (TypeError, NotImplementedError):
                sizes.append("size=unavailable")
        return sizes[0] if len(sizes) == 1 else " ; ".join(f"{i}. {size}" for i, size in enumerate(sizes, 1))

    @class_only
    def load_from_checkpoint(
        cls, checkpoint_path, map_location=None, hparams_file=None, weights_only: bool | None = None, **kwargs
    ):
        """A datamodule made with the hyperparameters that a checkpoint holds.

        Args:
            checkpoint_path, map_location, hparams_file, weights_only, **kwargs: as for LightningModule.
        """
        return load_datamodule(cls, checkpoint_path, map_location, hparams_file, weights_only, kwargs)
