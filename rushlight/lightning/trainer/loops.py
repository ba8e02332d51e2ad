"""The loops: epochs of training with validation in between, and evaluation. Everything else is called from here.

`FitLoop.phase` says what has been done, so that a run that went on from a checkpoint does the rest and nothing twice:
"batch" (a batch runs), "batch_end" (its hooks run), "logged" (its metrics are with the loggers), "validated" (so is the
validation after it), "between" (all is done for this batch), "epoch_end" (the batches of the epoch are done), "outside".
"""

import itertools
import time

import rushlight as torch
from rushlight.lightning.trainer import data
from rushlight.lightning.trainer.logging import Results
from rushlight.lightning.trainer.optimization import Optimization
from rushlight.lightning.trainer.tables import print_results
from rushlight.lightning.utilities.rank_zero import rank_zero_info
from rushlight.lightning.utilities.seed import collect_rng_states


class FitLoop(Optimization):
    """Epochs of training.

    Attributes:
        epoch: epochs that are over; epochs_done: those whose batches are done.
        batch_idx: number of the batch in its epoch; total_batches: batches begun in all epochs.
        steps: optimizer steps; batches_that_stepped: batches after which there was one, which is the loggers' step.
        max_batches: in an epoch; val_check_batch: validation comes after so many.
    """

    def __init__(self, trainer, min_epochs, max_epochs, min_steps, max_steps: int):
        self.trainer = trainer
        self.min_epochs, self.max_epochs = min_epochs, max_epochs
        self.min_steps, self.max_steps = min_steps, max_steps
        self.epoch = self.epochs_done = self.total_batches = self.steps = self.batches_that_stepped = 0
        self.batch_idx = -1
        self.is_last_batch = False
        self.phase, self.resumed = "outside", None
        self.max_batches = self.val_check_batch = data.INFINITE
        self.results = Results(trainer, training=True)
        self.val_loop = EvaluationLoop(trainer, "val")
        self.loader = self.position = self.batches = None
        self.ahead: list = []  # the next batch, where the length is unknown
        self.loaded_epoch = 0
        self.outputs: list | None = None
        self.streams: dict | None = None
        self.validated, self.look_at = False, 0.0

    # -- epochs -----------------------------------------------------------------------------------------

    def run(self, restored: dict | None = None) -> None:
        """Train until there is a reason to stop.

        Args:
            restored: where a checkpoint was in the loader, and its random streams.
        """
        trainer = self.trainer
        self._load()
        if self.max_batches == 0:
            rank_zero_info("`Trainer.fit` stopped: No training batches.")
            return
        if self.resumed is None and self.done():
            return
        if trainer.enable_validation:
            self.val_loop.load()
        self.position = data.Position(self.loader)
        if restored:
            for streams, loader in zip(restored["workers"], (self.loader, self.val_loop.loader), strict=True):
                data.restart_workers(loader, streams, at_once=True)
        if not restored or restored["position"]:
            self._open(restored and restored["position"])
        trainer._results = self.results
        trainer.call("on_train_start")
        if restored and restored["streams"]:
            self.position.set_streams(restored["streams"])
        while self.resumed or not self.done():
            self._epoch()
        trainer.call("on_train_end")

    def done(self) -> bool:
        """Whether there is a reason to stop."""
        if 0 <= self.max_steps <= self.steps:
            rank_zero_info(f"`Trainer.fit` stopped: `max_steps={self.max_steps!r}` reached.")
            return True
        if self.max_epochs not in (-1, None) and self.epochs_done >= self.max_epochs:
            self.epoch = self.epochs_done
            rank_zero_info(f"`Trainer.fit` stopped: `max_epochs={self.max_epochs!r}` reached.")
            return True
        return self.trainer.should_stop and self.can_stop_early

    @property
    def whole(self) -> bool:
        """Whether a checkpoint taken now holds a state that an undisturbed run has too."""
        return self.phase in ("between", "outside", "logged")

    @property
    def can_stop_early(self) -> bool:
        """Whether the least numbers of epochs and steps are reached."""
        return self.epochs_done >= (self.min_epochs or 0) and self.steps >= (self.min_steps or 0)

    def _load(self) -> None:
        """Get the loaders, now or again."""
        trainer = self.trainer
        every = trainer.reload_dataloaders_every_n_epochs
        if self.loader is not None and not (every and self.epoch - self.loaded_epoch >= every):
            return
        self.loader = trainer._source.request("train", "max_size_cycle")
        self.loaded_epoch, self.batches = self.epoch, None
        self.max_batches = data.limited("train", data.length(self.loader), trainer.limit_train_batches)
        data.check_length(self.max_batches, trainer.log_every_n_steps, trainer.loggers)
        if trainer._val_interval_seconds is None:
            self.val_check_batch = data.val_check_batch(
                trainer.val_check_interval, trainer.check_val_every_n_epoch, self.max_batches
            )

    def _open(self, state: dict | None = None) -> None:
        """Start the loader, or let it go on where it was."""
        data.set_epoch(self.loader, self.epochs_done)
        self.position = data.Position(self.loader)
        self.batches, self.ahead = self.position.open(state), []
        if self.max_batches == data.INFINITE and not (state and self.is_last_batch):
            self._look_ahead()

    def _look_ahead(self) -> None:
        self.ahead = list(itertools.islice(self.batches, 1))

    def _next_batch(self):
        """Begin the next batch; StopIteration ends the epoch."""
        if self.max_batches != data.INFINITE:
            batch = next(self.batches)
            self.is_last_batch = self.batch_idx + 2 >= self.max_batches
        elif self.ahead:
            batch = self.ahead[0]
            self._look_ahead()
            self.is_last_batch = not self.ahead
        else:
            raise StopIteration
        self.phase = "batch"
        self.batch_idx += 1
        self.total_batches += 1
        self.position.given += 1
        return batch

    def _epoch(self) -> None:
        """One epoch, or what a checkpoint has left of it."""
        trainer, resumed = self.trainer, self.resumed
        self.resumed = None
        trainer._results = self.results
        if resumed is None:
            self._load()
            self.batch_idx, self.is_last_batch = -1, False
            self.outputs = [] if trainer.own["training_epoch_end"] else None  # a hook of Lightning 1.x
            trainer.call("on_train_epoch_start")
            if self.batches is None:
                self._open()
        if resumed != "epoch_end":
            self._batches(resumed)
            if not self.validated:
                trainer.metrics.collect()
            self.results.in_batches = False
            self.epochs_done += 1
            self.batches, self.phase = None, "epoch_end"
            if self.outputs is not None:
                trainer._ask(trainer.lightning_module, "training_epoch_end", self.outputs)
            trainer.call("on_train_epoch_end")
        self._finish_epoch()

    def _finish_epoch(self) -> None:
        metrics = self.trainer.metrics
        metrics.collect()
        if self.is_last_batch:
            self.step_schedulers("epoch", plateau=True)
        self.batches_that_stepped -= 1  # an epoch's values belong to its last step
        metrics.send(metrics.collect())
        self.batches_that_stepped += 1
        self.results.reset()
        self.epoch, self.phase = self.epochs_done, "outside"

    # -- batches ----------------------------------------------------------------------------------------

    def _batches(self, resumed: str | None) -> None:
        """The batches of an epoch."""
        self._prepare()
        if resumed in ("batch_end", "logged", "validated"):
            self._after_batch(resumed)
        while not self._epoch_over():
            plain = self.plain and self.trainer.accumulate_grad_batches == 1
            if not (self._plain_batches(self._until_due()) if plain else self._train_batch()):
                break
            self._after_batch("batch_end")

    def _until_due(self) -> int:
        """After how many batches there is something to do besides training: to log, to validate, or to stop."""
        trainer = self.trainer
        every, validates = trainer.log_every_n_steps, trainer.enable_validation
        if trainer.fast_dev_run or (validates and trainer._val_interval_seconds is not None):
            return 1
        counts = [every - self.batches_that_stepped % every if every else 100]
        if validates and self.val_check_batch != data.INFINITE:
            done = self.total_batches if trainer.check_val_every_n_epoch is None else self.batch_idx + 1
            counts.append(self.val_check_batch - done % self.val_check_batch)
        if self.max_steps >= 0:
            counts.append(self.max_steps - self.steps)
        return min(counts)

    def _epoch_over(self) -> bool:
        if self.is_last_batch or 0 <= self.max_steps <= self.steps:
            return True
        return self.trainer.should_stop and self.can_stop_early

    def _after_batch(self, phase: str) -> None:
        """Log, validate, and let schedulers see the result; as far as it isn't done."""
        trainer = self.trainer
        stepped = trainer.accumulate_grad_batches == 1 or not self.accumulating
        if phase == "batch_end" and (stepped or not trainer.lightning_module.automatic_optimization):
            every = trainer.log_every_n_steps
            if every and (
                (self.batches_that_stepped + 1) % every == 0 or trainer.should_stop or trainer.fast_dev_run
            ):
                trainer.metrics.send_steps()
        self.phase = "logged"
        due = phase != "validated" and trainer.enable_validation and self._validation_due()
        self.validated = due or phase == "validated"
        if due:
            trainer.metrics.collect()
            if stepped:
                trainer._ask(trainer.lightning_module, "on_validation_model_zero_grad")
            self.streams = collect_rng_states()  # a checkpoint taken within has to begin the validation again
            self.val_loop.run()
            trainer._results = self.results
        if trainer.lr_scheduler_configs:
            self.step_schedulers("step", plateau=True)
        self.batches_that_stepped += stepped
        self.phase = "between"
        if trainer._stop_signal:
            trainer._stop_now()

    def _validation_due(self) -> bool:
        trainer, every = self.trainer, self.trainer.check_val_every_n_epoch
        if every is not None and (self.epoch + 1) % every:
            return False
        if trainer.should_stop and self.can_stop_early:
            return True
        if trainer._val_interval_seconds is not None:
            return time.monotonic() - self.val_loop.finished_at >= trainer._val_interval_seconds
        if self.val_check_batch == data.INFINITE:
            return self.is_last_batch
        count = self.total_batches if every is None else self.batch_idx + 1
        return count % self.val_check_batch == 0


class EvaluationLoop:
    """Validation, testing or prediction.

    Args:
        trainer: the trainer.
        kind: "val", "test" or "predict".
    """

    def __init__(self, trainer, kind: str):
        self.trainer, self.kind = trainer, kind
        self.name = "validation" if kind == "val" else kind
        self.results = None if kind == "predict" else Results(trainer, training=False)
        self.loader, self.max_batches = None, []
        self.loaded_epoch = 0
        self.finished_at = time.monotonic()
        self.has_run = False
        self.predictions: list[list] = []
        self.given = self.given_before = 0  # batches so far, and before the present run

    def load(self) -> None:
        """Get the loaders, now or again."""
        trainer, every = self.trainer, self.trainer.reload_dataloaders_every_n_epochs
        fitting = trainer.state.fn == "fit"
        due = every and trainer.current_epoch - self.loaded_epoch >= every
        if self.loader is not None and fitting and not due:
            return
        self.loaded_epoch = trainer.current_epoch
        self.loader = trainer._source.request(self.kind, "sequential")
        limit = getattr(trainer, f"limit_{self.kind}_batches")
        self.max_batches = [
            data.limited(self.kind, data.length(item), limit) for item in self.loader.flattened
        ]

    def run(self, sanity: float | None = None, verbose: bool = False, keep: bool = True) -> list:
        """Go through the loaders.

        Args:
            sanity: batches from each, at most, for a check before training.
            verbose: print the metrics.
            keep: return predictions.
        Returns:
            A dictionary of metrics for each loader; of prediction, its outputs.
        """
        trainer = self.trainer
        if getattr(trainer, f"limit_{self.kind}_batches") == 0:
            return []
        self.load()
        limits = [count if sanity is None else min(sanity, count) for count in self.max_batches]
        if sum(limits) == 0:
            return []
        inference = trainer.inference_mode and trainer.state.fn != "fit"
        previous, trainer._results = trainer._results, self.results
        with (
            torch.inference_mode() if inference else torch.no_grad(),
            trainer._stage(self.kind, sanity is not None),
        ):
            returned = self._run(limits, verbose, keep)
        trainer._results = previous
        self.finished_at = time.monotonic()
        self.has_run = self.has_run or not trainer.sanity_checking
        return returned

    def _run(self, limits: list, verbose: bool, keep: bool) -> list:
        trainer, name, metrics = self.trainer, self.name, self.trainer.metrics
        self.given = self.given_before = self.given if trainer.state.fn == "fit" else 0
        data.set_epoch(self.loader, trainer.fit_loop.epochs_done)
        self.loader.limits = limits
        batches = iter(self.loader)
        trainer._capture_modes()
        trainer._ask(trainer.lightning_module, f"on_{name}_model_eval")
        trainer.call(f"on_{name}_start")
        trainer.call(f"on_{name}_epoch_start")
        old_hook = next((h for h in (f"{name}_epoch_end", f"{name}_end") if trainer.own[h]), None)
        outputs: list[list] = [[] for _ in limits]
        self.predictions = outputs
        logged: list[dict] = []
        current = 0
        for batch, index, number in batches:
            if number != current:
                logged.append(self._loader_ended())
                current = number
            output = self._batch(batch, index, number, len(limits) > 1)
            if old_hook or (self.kind == "predict" and keep):
                outputs[number].append(output)
        if self.results is not None:
            logged.append(self._loader_ended())
            self.results.loader = None
        if old_hook:
            trainer._ask(trainer.lightning_module, old_hook, outputs if len(outputs) > 1 else outputs[0])
        trainer.call(f"on_{name}_epoch_end")
        if self.results is not None and not trainer.sanity_checking:
            final = metrics.collect()
            metrics.send({key: value for part in (*logged, final) for key, value in part.items()})
            logged = [{key: float(value) for key, value in {**part, **final}.items()} for part in logged]
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            trainer.fit_loop.phase = "validated"
        trainer.call(f"on_{name}_end")
        if self.results is None:
            trainer._restore_modes()
            return outputs if len(outputs) > 1 else outputs[0]
        self.results.reset()
        trainer._ask(trainer.lightning_module, f"on_{name}_model_train")
        if verbose:
            print_results(logged, "validate" if self.kind == "val" else self.kind)
        return logged

    def _batch(self, batch, index: int, number: int, several: bool):
        trainer, name = self.trainer, self.name
        batch = trainer.transfer(batch, number)
        where = (batch, index, number) if several else (batch, index)
        if self.results is not None:
            self.results.start_batch(batch, number if several else None)
        trainer.call(f"on_{name}_batch_start", *where)
        if self.results is not None:
            self.results.fx = f"{name}_step"
        with trainer.precision_plugin.forward_context():
            output = trainer._ask_old(f"{name}_step_end", trainer._steps[f"{name}_step", len(where)](*where))
        trainer.call(f"on_{name}_batch_end", output, *where)
        if trainer._stop_signal:
            trainer._stop_now()
        if self.results is not None and not trainer.sanity_checking:
            trainer.metrics.send_steps(self.given)
            self.given += 1
        return output

    def _loader_ended(self) -> dict:
        """The metrics of the loader that has just ended."""
        if self.results is None:
            return {}
        if self.results.in_batches and not self.trainer.sanity_checking:
            self.trainer.metrics.collect()
        self.results.in_batches = False
        return {} if self.trainer.sanity_checking else self.trainer.metrics.collect()
