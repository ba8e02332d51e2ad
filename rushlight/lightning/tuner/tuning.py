"""The Tuner: learning rate and batch size, found by trying."""

from rushlight.lightning.tuner.batch_size_scaling import scale_batch_size
from rushlight.lightning.tuner.lr_finder import LRFinder, apply_suggestion, attribute_name, lr_find
from rushlight.lightning.utilities.exceptions import MisconfigurationException


class Tuner:
    """Finds a learning rate or a batch size for a model.

    Args:
        trainer: whose settings the trials have. Trials run on copies: afterwards the model's weights, the loaders and the
            random streams are as before.
    """

    def __init__(self, trainer):
        self._trainer = trainer

    def lr_find(
        self, model, train_dataloaders=None, val_dataloaders=None, dataloaders=None, datamodule=None, method: str = "fit",
        min_lr: float = 1e-8, max_lr: float = 1, num_training: int = 100, mode: str = "exponential",
        early_stop_threshold: float | None = 4.0, update_attr: bool = True, attr_name: str = "",
    ) -> LRFinder:  # fmt: skip
        """Train a copy while the learning rate grows.

        Args:
            model: the LightningModule.
            train_dataloaders, val_dataloaders, datamodule: as for `Trainer.fit`.
            method: "fit".
            min_lr, max_lr: from where to where the rate grows.
            num_training: in how many steps.
            mode: "exponential" or "linear".
            early_stop_threshold: stop when the smoothed loss is so many times the best; None for never.
            update_attr: set `model.lr` or `model.learning_rate` (or `hparams`') to the suggestion.
            attr_name: the name of that attribute, if it is another one.
        Returns:
            The result: `suggestion()`, `suggestions()`, `plot()`, `results`.
        Raises:
            MisconfigurationException, AttributeError: the model has no such attribute.
        """
        if method != "fit":
            raise MisconfigurationException("lr_find: only method='fit' makes sense")
        if hasattr(train_dataloaders, "train_dataloader"):
            train_dataloaders, datamodule = None, train_dataloaders
        if update_attr:
            attribute_name(model, attr_name)
        given = {} if train_dataloaders is None else {"train": train_dataloaders}
        finder = lr_find(
            self._trainer, model, given, datamodule, min_lr, max_lr, num_training, mode, early_stop_threshold
        )
        if update_attr:
            apply_suggestion(model, finder, attr_name)
        return finder

    def scale_batch_size(
        self, model, train_dataloaders=None, val_dataloaders=None, dataloaders=None, datamodule=None, method: str = "fit",
        mode: str = "power", steps_per_trial: int = 3, init_val: int = 2, max_trials: int = 25,
        batch_arg_name: str = "batch_size", margin: float = 0.05, max_val: int = 8192,
    ) -> int:  # fmt: skip
        """Find the largest batch size that fits into memory, or holds all the data, and set it.

        Args:
            model: the LightningModule.
            train_dataloaders, datamodule: where the data come from: the model's or the datamodule's own methods, since the
                loaders have to be made anew.
            mode: "power" doubles until it fails; "binsearch" then looks in between.
            steps_per_trial: steps with each size.
            init_val: the first size.
            max_trials: how many sizes to try.
            batch_arg_name: the attribute that holds the size.
            margin: take this share less than what was found; with "binsearch" only.
            max_val: go no further than this.
        Returns:
            The size.
        Raises:
            MisconfigurationException: there is no such attribute. ValueError: an unknown mode.
        """
        if hasattr(train_dataloaders, "train_dataloader"):
            train_dataloaders, datamodule = None, train_dataloaders
        given = {} if train_dataloaders is None else {"train": train_dataloaders}
        before, self._trainer.datamodule = self._trainer.datamodule, datamodule
        held, model._trainer = model._trainer, self._trainer
        try:
            return scale_batch_size(
                self._trainer,
                model,
                given,
                mode,
                steps_per_trial,
                init_val,
                max_trials,
                batch_arg_name,
                margin,
                max_val,
            )
        finally:
            self._trainer.datamodule, model._trainer = before, held
