"""LightningModule: a network with its losses, optimizers and data in one class."""

import contextlib

import rushlight as torch
from rushlight import nn
from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.core.hooks import CheckpointHooks, DataHooks, ModelHooks
from rushlight.lightning.core.hparams import HyperparametersMixin
from rushlight.lightning.core.saving import class_only, load_from_checkpoint
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_warn
from rushlight.lightning.utilities.types import GradClipAlgorithmType

__all__ = ["LightningModule"]


class LightningModule(HyperparametersMixin, ModelHooks, DataHooks, CheckpointHooks, nn.Module):
    """A network together with what a training run needs to know.

    A subclass defines `training_step` and `configure_optimizers`, usually `forward`, and `validation_step`, `test_step`,
    `predict_step` and hooks as it needs them. `Trainer` runs it.

    >>> import rushlight as torch
    >>> from rushlight import lightning as pl
    >>> class Line(pl.LightningModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = torch.nn.Linear(1, 1)
    ...     def training_step(self, batch, batch_idx):
    ...         x, y = batch
    ...         loss = torch.nn.functional.mse_loss(self.layer(x), y)
    ...         self.log("loss", loss)
    ...         return loss
    ...     def configure_optimizers(self):
    ...         return torch.optim.SGD(self.parameters(), lr=0.1)
    >>> x = torch.linspace(-1, 1, 32)[:, None]
    >>> data = torch.utils.data.TensorDataset(x, 3 * x + 1)
    >>> trainer = pl.Trainer(max_epochs=20, logger=False, enable_checkpointing=False, enable_progress_bar=False,
    ...                      enable_model_summary=False, log_every_n_steps=1)
    >>> trainer.fit(Line(), torch.utils.data.DataLoader(data, 8))
    >>> bool(trainer.callback_metrics["loss"] < 1e-2)
    True
    """

    CHECKPOINT_HYPER_PARAMS_KEY = "hyper_parameters"
    CHECKPOINT_HYPER_PARAMS_NAME = "hparams_name"
    CHECKPOINT_HYPER_PARAMS_TYPE = "hparams_type"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._trainer = self._fabric = None
        self._fabric_optimizers: list = []
        self._log_hyperparams = False
        self.example_input_array = None
        self.automatic_optimization = True
        self.strict_loading = True
        self._toggled: dict = {}

    # -- the run that it is in --------------------------------------------------------------------------

    @property
    def trainer(self):
        """The Trainer that runs it; under Fabric, what has Fabric's names.

        Raises:
            RuntimeError: there is none.
        """
        if self._fabric is not None:
            return _FabricAsTrainer(self._fabric)
        if self._trainer is None:
            raise RuntimeError(f"{type(self).__qualname__} is not attached to a `Trainer`.")
        return self._trainer

    @trainer.setter
    def trainer(self, trainer) -> None:
        for child in self.children():
            if isinstance(child, LightningModule):
                child.trainer = trainer
        self._trainer = trainer

    def __getstate__(self):
        return {
            **self.__dict__,
            "_trainer": None,
            "_fabric": None,
        }  # copies and pickles are of the model alone

    @property
    def current_epoch(self) -> int:
        """Number of the epoch, from 0."""
        return self._trainer.current_epoch if self._trainer else 0

    @property
    def global_step(self) -> int:
        """How many optimizer steps were taken."""
        return self._trainer.global_step if self._trainer else 0

    @property
    def logger(self):
        """The first logger; None without one."""
        owner = self._fabric or self._trainer
        return owner.logger if owner else None

    @property
    def loggers(self) -> list:
        """All loggers."""
        owner = self._fabric or self._trainer
        return owner.loggers if owner else []

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The type of the parameters."""
        return next((p.dtype for p in self.parameters()), torch.get_default_dtype())

    global_rank = local_rank = property(lambda self: 0, doc="Number of this process: the only one.")
    on_gpu = property(lambda self: self.device.type == "cuda", doc="Whether the parameters are on a GPU.")
    fabric = property(
        lambda self: self._fabric,
        lambda self, fabric: setattr(self, "_fabric", fabric),
        doc="The Fabric that has set it up; None without one.",
    )

    def optimizers(self, use_pl_optimizer: bool = True):
        """The optimizer, or the list of them, for manual optimization.

        Args:
            use_pl_optimizer: wrapped, so that their steps are counted and hooks called.
        """
        if self._fabric is not None:
            found = self._fabric_optimizers
        else:
            found = self.trainer._wrapped_optimizers if use_pl_optimizer else self.trainer.optimizers
        return found[0] if len(found) == 1 else found

    def lr_schedulers(self):
        """The scheduler, the list of them, or None."""
        found = [config.scheduler for config in self.trainer.lr_scheduler_configs]
        return found[0] if len(found) == 1 else (found or None)

    def print(self, *args, **kwargs) -> None:
        """Print without disturbing the progress bar."""
        bar = None if self._fabric is not None else self.trainer.progress_bar_callback
        (bar.print if bar is not None and bar.is_enabled else print)(*args, **kwargs)

    # -- logging ----------------------------------------------------------------------------------------

    def log(
        self, name: str, value, prog_bar: bool = False, logger: bool | None = None, on_step: bool | None = None,
        on_epoch: bool | None = None, reduce_fx="mean", enable_graph: bool = False, sync_dist: bool = False,
        sync_dist_group=None, add_dataloader_idx: bool = True, batch_size: int | None = None,
        metric_attribute: str | None = None, rank_zero_only: bool = False,
    ) -> None:  # fmt: skip
        """Log a value.

        Args:
            name: under which name; logged both per step and per epoch, it becomes `name_step` and `name_epoch`.
            value: a number, a tensor with one element, or a metric with `compute` and `reset`.
            prog_bar: show it in the progress bar.
            logger: give it to the loggers; True by default.
            on_step, on_epoch: log the value itself, or what `reduce_fx` makes of an epoch's values. In training steps
                the former by default, in all others the latter.
            reduce_fx: "mean", "sum", "min" or "max"; the mean is weighted with the sizes of the batches.
            add_dataloader_idx: with several loaders, add the number of the loader to the name.
            batch_size: the size of the batch, where it can't be seen from the batch.
            enable_graph, sync_dist, sync_dist_group, metric_attribute, rank_zero_only: accepted; there is one process,
                and values are kept without their graph.
        Raises:
            MisconfigurationException: not here, or twice with different arguments. ValueError: such a value can't be
                logged.
        """
        trainer = self._trainer
        if self._fabric is not None:
            if logger is not False:
                self._fabric.log(name, value)
            return
        if trainer is None:
            rank_zero_warn(
                "You are trying to `self.log()` but the `self.trainer` reference is not registered on the model yet. "
                "This is most likely because the model hasn't been passed to the `Trainer`"
            )
            return
        results = trainer._results
        if results is not None and type(value) is torch.Tensor:  # the usual case: again, and no sum to keep
            entry = results.steps.get((results.fx, name))
            asked = (prog_bar, logger is None or logger, on_step, on_epoch, reduce_fx)
            if entry is not None and entry.asked == asked:
                entry.last, entry.touched = value.detach(), True
                return
        if results is None:
            raise MisconfigurationException(
                "You can't `self.log()` before a run has begun, after it has ended, or in prediction: log in a step or an "
                "epoch-end hook"
            )
        results.log(
            name, value, prog_bar, logger is None or logger, on_step, on_epoch, reduce_fx, add_dataloader_idx,
            batch_size,
        )  # fmt: skip

    def log_dict(
        self, dictionary, prog_bar: bool = False, logger: bool | None = None, on_step: bool | None = None,
        on_epoch: bool | None = None, reduce_fx="mean", enable_graph: bool = False, sync_dist: bool = False,
        sync_dist_group=None, add_dataloader_idx: bool = True, batch_size: int | None = None,
        rank_zero_only: bool = False,
    ) -> None:  # fmt: skip
        """Log several values.

        Args:
            dictionary: of names and values; metric collections have `items` too.
            prog_bar, logger, on_step, on_epoch, reduce_fx, enable_graph, sync_dist, sync_dist_group, add_dataloader_idx,
                batch_size, rank_zero_only: as for `log`.
        """
        if self._fabric is not None:
            if logger is not False:
                self._fabric.log_dict(dictionary)
            return
        for name, value in dictionary.items():
            self.log(
                name, value, prog_bar, logger, on_step, on_epoch, reduce_fx, enable_graph, sync_dist, sync_dist_group,
                add_dataloader_idx, batch_size, rank_zero_only=rank_zero_only,
            )  # fmt: skip

    # -- what a subclass defines ------------------------------------------------------------------------

    def forward(self, *args, **kwargs):
        """Same as `torch.nn.Module.forward`."""
        return super().forward(*args, **kwargs)

    def training_step(self, *args, **kwargs):
        """From (batch, batch_idx) to the loss: a tensor, a dictionary with "loss", or None to skip the batch."""
        raise MisconfigurationException(
            "`training_step` must be implemented to be used with the Lightning Trainer"
        )

    def validation_step(self, *args, **kwargs):
        """What to do with a batch (batch, batch_idx, dataloader_idx=0) in validation."""

    def test_step(self, *args, **kwargs):
        """What to do with a batch (batch, batch_idx, dataloader_idx=0) in testing."""

    def predict_step(self, *args, **kwargs):
        """The prediction for (batch, batch_idx, dataloader_idx=0): by default `self(batch)`."""
        return self(args[0] if args else kwargs["batch"])

    def configure_callbacks(self):
        """A callback or a list of them, added to those of the trainer; of the same kind, they take their places."""
        return []

    def configure_optimizers(self):
        """The optimizers and schedulers.

        Returns:
            An optimizer; a list of them; (list of optimizers, list of schedulers); a dictionary {"optimizer": ...,
            "lr_scheduler": a scheduler or {"scheduler", "interval", "frequency", "monitor", "strict", "name"},
            "monitor": ...} or several; or None.
        """
        raise MisconfigurationException(
            "`configure_optimizers` must be implemented to be used with the Lightning Trainer"
        )

    # -- optimization -----------------------------------------------------------------------------------

    def manual_backward(self, loss, *args, **kwargs) -> None:
        """Compute gradients in manual optimization; use it instead of `loss.backward()`.

        Args:
            loss: a loss without dimensions.
        Raises:
            MisconfigurationException: optimization is automatic.
        """
        if self._fabric is not None:
            self._fabric.backward(loss, *args, **kwargs)
            return
        if self.automatic_optimization:
            raise MisconfigurationException(
                "After `loss.backward()` or `self.manual_backward(loss)` in automatic optimization the trainer would "
                "do it again. Set `self.automatic_optimization = False` in `__init__`"
            )
        self.trainer.fit_loop.backward(loss, *args, **kwargs)

    def backward(self, loss, *args, **kwargs) -> None:
        """Compute gradients."""
        (self._fabric.backward if self._fabric else torch.Tensor.backward)(loss, *args, **kwargs)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer, optimizer_closure=None) -> None:
        """Take a step.

        Args:
            epoch, batch_idx: where the run is.
            optimizer: whose.
            optimizer_closure: runs `training_step`, clears the gradients and computes them; must be called.
        """
        optimizer.step(closure=optimizer_closure)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer) -> None:
        """Clear the gradients."""
        optimizer.zero_grad()

    def lr_scheduler_step(self, scheduler, metric=None) -> None:
        """Step a scheduler; `metric` is what it monitors, or None."""
        if metric is None:
            scheduler.step()
        else:
            scheduler.step(metric)

    def configure_gradient_clipping(
        self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None
    ) -> None:
        """Clip gradients, before each step.

        Args:
            optimizer: whose parameters.
            gradient_clip_val, gradient_clip_algorithm: those of the Trainer.
        """
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def clip_gradients(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        """Clip gradients by their norm or their value.

        Args:
            optimizer: whose parameters.
            gradient_clip_val: the largest norm or value; that of the Trainer by default; 0 for no clipping.
            gradient_clip_algorithm: "norm", the default, or "value".
        Raises:
            MisconfigurationException: another algorithm, or not what the Trainer was given.
        """
        if self._fabric is not None:
            by_value = gradient_clip_algorithm == GradClipAlgorithmType.VALUE
            limit = {"clip_val" if by_value else "max_norm": gradient_clip_val}
            self._fabric.clip_gradients(self, optimizer, **limit)
            return
        given = {"gradient_clip_val": gradient_clip_val, "gradient_clip_algorithm": gradient_clip_algorithm}
        for name, value in given.items():
            of_trainer = getattr(self.trainer, name)
            if value is not None and of_trainer is not None and value != of_trainer:
                raise MisconfigurationException(
                    f"You have set `Trainer({name}={of_trainer!r})` and have passed `clip_gradients({name}={value!r})`. "
                    "Please use only one of them."
                )
            given[name] = of_trainer if value is None else value
        limit, algorithm = (
            given["gradient_clip_val"],
            GradClipAlgorithmType.of(given["gradient_clip_algorithm"] or "norm"),
        )
        if not limit:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if algorithm is GradClipAlgorithmType.VALUE:
            nn.utils.clip_grad_value_(parameters, limit)
        else:
            nn.utils.clip_grad_norm_(parameters, limit)

    def toggle_optimizer(self, optimizer) -> None:
        """Have only this optimizer's parameters require gradients, until `untoggle_optimizer`.

        Args:
            optimizer: one of `self.optimizers()`.
        """
        found = self._fabric_optimizers or self.trainer.optimizers
        everything = {p for o in found for group in o.param_groups for p in group["params"]}
        own = {p for group in optimizer.param_groups for p in group["params"]}
        object.__setattr__(self, "_toggled", {p: p.requires_grad for p in everything})
        for p in everything:
            p.requires_grad = p in own and self._toggled[p]

    def untoggle_optimizer(self, optimizer) -> None:
        """Undo `toggle_optimizer`."""
        for p, required in self._toggled.items():
            p.requires_grad = required
        object.__setattr__(self, "_toggled", {})

    @contextlib.contextmanager
    def toggled_optimizer(self, optimizer):
        """`toggle_optimizer` for a `with` block."""
        self.toggle_optimizer(optimizer)
        try:
            yield
        finally:
            self.untoggle_optimizer(optimizer)

    # -- freezing, saving -------------------------------------------------------------------------------

    def freeze(self) -> None:
        """No parameter learns any longer, and the model is in evaluation mode."""
        for p in self.parameters():
            p.requires_grad = False
        self.eval()

    def unfreeze(self) -> None:
        """All parameters learn, and the model is in training mode."""
        for p in self.parameters():
            p.requires_grad = True
        self.train()

    @class_only
    def load_from_checkpoint(
        cls, checkpoint_path, map_location=None, hparams_file=None, strict: bool | None = None,
        weights_only: bool | None = None, **kwargs,
    ):  # fmt: skip
        """A model from a checkpoint: made with the hyperparameters that it holds, with its weights.

        Args:
            checkpoint_path: the file.
            map_location: "cpu", for files saved from a GPU.
            hparams_file: a .yaml file with hyperparameters, where the checkpoint has none.
            strict: whether the names of the weights must agree exactly.
            weights_only: True refuses files that hold more than data; by default they are trusted.
            **kwargs: arguments of `__init__` that the checkpoint doesn't hold, or that replace those it holds.
        Raises:
            FileNotFoundError: no such file. RuntimeError: weights that don't fit.
        """
        return load_from_checkpoint(
            cls, checkpoint_path, map_location, hparams_file, strict, weights_only, kwargs
        )

    def all_gather(self, data, group=None, sync_grads: bool = False):
        """Tensors of all processes: of the only one, as they are."""
        return data

    def to_torchscript(self, file_path=None, method: str | None = "script", example_inputs=None, **kwargs):
        """There is no TorchScript here."""
        raise NotImplementedError(
            "to_torchscript: there is no TorchScript here. Save the weights: torch.save(state_dict)"
        )

    def to_onnx(self, file_path=None, input_sample=None, **kwargs):
        """There is no ONNX here."""
        raise NotImplementedError(
            "to_onnx: there is no export to ONNX here. Save the weights: torch.save(state_dict)"
        )


class _FabricAsTrainer:
    """What `self.trainer` is in a model that Fabric has set up."""

    def __init__(self, fabric):
        self._fabric = fabric

    def __getattr__(self, name: str):
        try:
            return getattr(self._fabric, name)
        except AttributeError:
            raise AttributeError(
                f"Your LightningModule code tried to access `self.trainer.{name}` but this attribute is not available when "
                "using Fabric with a LightningModule."
            ) from None


def is_overridden(method_name: str, instance=None, parent=None) -> bool:
    """Whether an object defines a method of its own instead of its base class's.

    Args:
        method_name: the name of the method.
        instance: the object; None has none.
        parent: the base class; found by itself for models, datamodules and callbacks.
    Raises:
        ValueError: the base class is to be given.
    """
    if instance is None:
        return False
    if parent is None:
        parent = next(
            (base for base in (LightningModule, DataHooks, Callback) if isinstance(instance, base)), None
        )
    if parent is None:
        raise ValueError("Expected a parent")
    if method_name in getattr(instance, "__dict__", ()):
        return True
    own = getattr(type(instance), method_name, None)
    return own is not None and own is not getattr(parent, method_name, None)
