"""Checkpoints: everything that a run needs to go on as if nothing had happened, in Lightning's format.

The keys are Lightning's, so files go both ways; what Lightning has no place for (random streams, the place in the loader,
what the epoch has logged, the loggers' places) is under "rushlight".
"""

import os

from rushlight.lightning.core.checkpoint_io import TorchCheckpointIO
from rushlight.lightning.trainer import data
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.parsing import accepts
from rushlight.lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from rushlight.lightning.utilities.seed import collect_rng_states
from rushlight.lightning.version import __version__

# -- saving ---------------------------------------------------------------------------------------------


def dump(trainer, weights_only: bool = False) -> dict:
    """What goes into a checkpoint.

    Args:
        trainer: the trainer.
        weights_only: only the weights and the hyperparameters.
    """
    module, datamodule, loop = trainer.lightning_module, trainer.datamodule, trainer.fit_loop
    checkpoint = {
        "epoch": trainer.current_epoch,
        "global_step": trainer.global_step,
        "pytorch-lightning_version": __version__,
        "state_dict": module.state_dict(),
        "loops": _loops(trainer),
    }
    if not weights_only:
        checkpoint["callbacks"] = {c.state_key: state for c in trainer.callbacks if (state := c.state_dict())}
        checkpoint["optimizer_states"] = [optimizer.state_dict() for optimizer in trainer.optimizers]
        checkpoint["lr_schedulers"] = [
            config.scheduler.state_dict() for config in trainer.lr_scheduler_configs
        ]
    for owner in (module, datamodule):
        if owner is not None and owner.hparams:
            checkpoint[owner.CHECKPOINT_HYPER_PARAMS_NAME] = getattr(owner, "_hparams_name", "kwargs")
            checkpoint[owner.CHECKPOINT_HYPER_PARAMS_KEY] = dict(owner.hparams)
    if datamodule is not None and (state := datamodule.state_dict()):
        checkpoint[type(datamodule).__qualname__] = state
    if not weights_only:
        for callback in trainer.callbacks:
            callback.on_save_checkpoint(trainer, module, checkpoint)
        if datamodule is not None:
            datamodule.on_save_checkpoint(checkpoint)
    module.on_save_checkpoint(checkpoint)
    if not weights_only:  # last, as saving may draw random numbers too
        checkpoint["rushlight"] = _place(trainer, loop)
    return checkpoint


def _place(trainer, loop) -> dict:
    """Where the run is."""
    repeated = loop.phase == "batch"  # that batch isn't done
    streams = loop.position.streams() if loop.position is not None else collect_rng_states()
    if loop.phase == "logged" and loop.streams is not None:
        streams = {**streams, **loop.streams}
    counts = ("epoch", "epochs_done", "steps", "batches_that_stepped", "is_last_batch")
    return {
        "phase": "between" if repeated else loop.phase,
        "counts": {
            **{name: getattr(loop, name) for name in counts},
            "batch_idx": loop.batch_idx - repeated,
            "total_batches": loop.total_batches - repeated,
        },
        "workers": [
            data.worker_streams(loop.loader, now=True) if loop.batches is None else [],
            data.worker_streams(loop.val_loop.loader, now=loop.phase != "logged"),
        ],
        "should_stop": trainer.should_stop,
        "val_batches": loop.val_loop.given_before if loop.phase == "logged" else loop.val_loop.given,
        "outputs": loop.outputs,
        "streams": streams,
        "position": loop.position.state_dict(loop.position.given - repeated)
        if loop.batches is not None
        else None,
        "results": loop.results.state_dict(),
        "metrics": trainer.metrics.state_dict(),
        "module_metrics": {name: metric.metric_state for name, metric in _metrics(trainer.lightning_module)},
        "loggers": [{**logger.state_dict(), "step": loop.batches_that_stepped} for logger in trainer.loggers],
        "gradients": _gradients(trainer.lightning_module) if _carries_gradients(trainer, loop) else {},
    }


def _carries_gradients(trainer, loop) -> bool:
    """Whether gradients that are there now will be used by a later batch."""
    return loop.batches is not None and (
        loop.accumulating or not trainer.lightning_module.automatic_optimization
    )


def _gradients(module) -> dict:
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


def _metrics(module) -> list:
    """Metrics that are parts of the model, with states that its `state_dict` doesn't have."""
    return [(name, part) for name, part in module.named_modules() if hasattr(part, "metric_state")]


def _progress(
    ready: int, completed: int | None = None, names=("ready", "completed", "started", "processed")
) -> dict:
    """A counter in Lightning's form."""
    completed = ready if completed is None else completed
    counts = {"ready": ready, "completed": completed, "started": ready, "processed": ready}
    counts = {name: counts[name] for name in names}
    return {"total": dict(counts), "current": dict(counts)}


def _loops(trainer) -> dict:
    """The counters, where Lightning looks for them."""
    loop = trainer.fit_loop
    few, three = ("ready", "completed"), ("ready", "completed", "started")
    automatic = trainer.lightning_module.automatic_optimization
    batches = _progress(loop.batch_idx + 1)
    batches["total"] = dict.fromkeys(batches["total"], loop.total_batches)
    epochs = _progress(max(loop.epochs_done, loop.epoch + (loop.phase != "outside")), loop.epoch)
    epochs["total"]["processed"] = epochs["current"]["processed"] = loop.epochs_done
    ended = {"state_dict": {}, "batch_progress": {**_progress(0), "is_last_batch": False}}
    return {
        "fit_loop": {
            "state_dict": {},
            "epoch_loop.state_dict": {"_batches_that_stepped": loop.batches_that_stepped},
            "epoch_loop.batch_progress": {**batches, "is_last_batch": loop.is_last_batch},
            "epoch_loop.scheduler_progress": _progress(loop.epochs_done, names=few),
            "epoch_loop.automatic_optimization.state_dict": {},
            "epoch_loop.automatic_optimization.optim_progress": {
                "optimizer": {
                    "step": _progress(loop.steps if automatic else 0, names=few),
                    "zero_grad": _progress(loop.steps if automatic else 0, names=three),
                }
            },
            "epoch_loop.manual_optimization.state_dict": {},
            "epoch_loop.manual_optimization.optim_step_progress": _progress(
                0 if automatic else loop.steps, names=few
            ),
            "epoch_loop.val_loop.state_dict": {},
            "epoch_loop.val_loop.batch_progress": {**_progress(0), "is_last_batch": True},
            "epoch_progress": epochs,
        },
        "validate_loop": ended,
        "test_loop": ended,
        "predict_loop": {"state_dict": {}, "batch_progress": _progress(0)},
    }


# -- restoring ------------------------------------------------------------------------------------------


def read(trainer, path, weights_only: bool | None) -> dict:
    """A checkpoint that a run shall go on from.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if type(trainer.checkpoint_io) is TorchCheckpointIO and not os.path.isfile(path):
        raise FileNotFoundError(f"Checkpoint file not found: {path}")
    rank_zero_info(f"Restoring states from the checkpoint path at {path}")
    io = trainer.checkpoint_io
    options = {"weights_only": weights_only} if accepts(io.load_checkpoint, "weights_only") else {}
    return io.load_checkpoint(path, **options)


def restore_model(trainer, checkpoint: dict) -> None:
    """Give the model, the datamodule and the callbacks what the checkpoint holds of them."""
    module, datamodule = trainer.lightning_module, trainer.datamodule
    if "state_dict" not in checkpoint:
        raise KeyError("the file has no 'state_dict': it is no checkpoint of a Trainer")
    trainer._ask(module, "on_load_checkpoint", checkpoint)
    module.load_state_dict(checkpoint["state_dict"], strict=module.strict_loading)
    if datamodule is not None:
        datamodule.on_load_checkpoint(checkpoint)
        if type(datamodule).__qualname__ in checkpoint:
            datamodule.load_state_dict(checkpoint[type(datamodule).__qualname__])
    states = checkpoint.get("callbacks") or {}
    for callback in trainer.callbacks:
        callback.on_load_checkpoint(trainer, module, checkpoint)
    for callback in trainer.callbacks:
        state = states.get(callback.state_key, states.get(type(callback).__qualname__))
        if state is not None:
            callback.load_state_dict(state)
    missing = [
        key for key in states if isinstance(key, str) and key not in {c.state_key for c in trainer.callbacks}
    ]
    if missing and trainer.state.fn == "fit":
        rank_zero_warn(
            "Be aware that when using `ckpt_path`, callbacks used to create the checkpoint need to be provided during "
            f"`Trainer` instantiation. Please add the following callbacks: {missing}."
        )


def restore_training(trainer, checkpoint: dict) -> dict:
    """Give optimizers, schedulers and the loop what the checkpoint holds of them.

    Returns:
        {"position": of the loader or None, "streams": the random streams or None, "workers": those of persistent ones}.
    Raises:
        KeyError: the checkpoint holds only weights. MisconfigurationException: it is past the last epoch.
    """
    for key, what in (("optimizer_states", "optimizer"), ("lr_schedulers", "learning rate scheduler")):
        if key not in checkpoint:
            raise KeyError(
                f"Trying to restore {what} state but checkpoint contains only the model. This is probably due to "
                "`ModelCheckpoint.save_weights_only` being set to `True`."
            )
    for optimizer, state in zip(trainer.optimizers, checkpoint["optimizer_states"], strict=False):
        optimizer.load_state_dict(state)
    for config, state in zip(trainer.lr_scheduler_configs, checkpoint["lr_schedulers"], strict=False):
        config.scheduler.load_state_dict(state)
    place = checkpoint.get("rushlight")
    restored = _restore_place(trainer, place) if place else _restore_foreign(trainer.fit_loop, checkpoint)
    loop = trainer.fit_loop
    if loop.max_epochs not in (-1, None) and trainer.current_epoch > loop.max_epochs:
        raise MisconfigurationException(
            f"You restored a checkpoint with current_epoch={trainer.current_epoch}, but you have set "
            f"Trainer(max_epochs={loop.max_epochs})."
        )
    return restored


def _restore_place(trainer, place: dict) -> dict:
    loop = trainer.fit_loop
    for name, value in place["counts"].items():
        setattr(loop, name, value)
    loop.phase = place["phase"]
    loop.resumed = None if loop.phase == "outside" else loop.phase
    trainer.should_stop = place["should_stop"]
    loop.val_loop.given = place.get("val_batches", 0)
    loop.outputs = place.get("outputs")
    loop.results.load_state_dict(place["results"])
    trainer.metrics.load_state_dict(place["metrics"])
    parameters = dict(trainer.lightning_module.named_parameters())
    for name, gradient in place["gradients"].items():
        parameters[name].grad = gradient
    for name, metric in _metrics(trainer.lightning_module):
        for key, value in place["module_metrics"].get(name, {}).items():
            setattr(metric, key, value)
    return {
        "position": place["position"],
        "streams": place["streams"],
        "workers": place.get("workers", [None, None]),
    }


def _restore_foreign(loop, checkpoint: dict) -> dict:
    """The counters of a file that Lightning wrote."""
    fit = (checkpoint.get("loops") or {}).get("fit_loop")
    if fit is None or "epoch_progress" not in fit:  # before Lightning 1.5
        loop.epoch = loop.epochs_done = checkpoint["epoch"]
        loop.steps = loop.batches_that_stepped = checkpoint["global_step"]
        return {"position": None, "streams": None, "workers": [None, None]}
    epochs = fit["epoch_progress"]["current"]
    batches = fit["epoch_loop.batch_progress"]
    loop.epoch = loop.epochs_done = epochs["processed"]
    loop.steps = checkpoint["global_step"]
    loop.batches_that_stepped = fit["epoch_loop.state_dict"].get("_batches_that_stepped", loop.steps)
    loop.total_batches = batches["total"]["ready"]
    used = batches["current"]["ready"]
    if epochs["ready"] == epochs["processed"] or batches.get("is_last_batch") or not used:
        return {"position": None, "streams": None, "workers": [None, None]}
    loop.batch_idx, loop.resumed = used - 1, "between"
    return {
        "position": {"start": {**collect_rng_states(), "loaders": []}, "given": used},
        "streams": None,
        "workers": [None, None],
    }


# -- which file -----------------------------------------------------------------------------------------


def select(trainer, path, model_given: bool) -> str | None:
    """The file that `ckpt_path` means: a path, "best", "last" or None.

    Raises:
        ValueError: there is no best one.
    """
    fn = trainer.state.fn.value
    if path is None and not model_given:
        path = "best"
        rank_zero_warn(
            f"`.{fn}(ckpt_path=None)` was called without a model. The best model of the previous `fit` call will be "
            f"used. You can pass `.{fn}(ckpt_path='best')` to use the best model or `.{fn}(ckpt_path='last')` to use the "
            "last model. If you pass a value, this warning will be silenced."
        )
    if path == "best":
        if trainer.checkpoint_callback is None:
            raise ValueError(f'`.{fn}(ckpt_path="best")` is set but `ModelCheckpoint` is not configured.')
        best = trainer.checkpoint_callback.best_model_path
        if not best:
            hint = " with `fast_dev_run=True`: no checkpoints are saved then" if trainer.fast_dev_run else ""
            raise ValueError(
                f'`.{fn}(ckpt_path="best")` is set but `ModelCheckpoint` is not configured to save the best '
                f"model{hint}. Pass an exact path: `.{fn}(ckpt_path=PATH)`"
            )
        return best
    if path == "last":
        found = [
            file
            for callback in trainer.checkpoint_callbacks
            for file in callback._find_last_checkpoints(trainer)
        ]
        if not found:
            rank_zero_warn(
                f'.{fn}(ckpt_path="last") is set, but there is no last checkpoint available. No checkpoint will be '
                "loaded. HINT: Set `ModelCheckpoint(..., save_last=True)`."
            )
            return None
        return max(found, key=lambda file: os.stat(file).st_mtime_ns)
    return None if path is None else os.fspath(path)
