"""One batch of training: its hooks, the loss, its gradients, the optimizer's step, the schedulers."""

import functools
import time

import rushlight as torch
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.memory import detached
from rushlight.lightning.utilities.rank_zero import rank_zero_warn


class Optimization:
    """The part of the fit loop that optimizes."""

    def _prepare(self) -> None:
        """Find out what there is to do in each step."""
        self.plain, self.training_step = self.is_plain(), self.trainer._steps["training_step", 2]

    def is_plain(self) -> bool:
        """Whether a batch is a loss, its gradients and the step of one optimizer, and nothing comes between or after."""
        trainer = self.trainer
        hooks = (
            "on_train_batch_start", "on_train_batch_end", "on_before_zero_grad", "on_before_backward",
            "on_after_backward", "on_before_optimizer_step",
        )  # fmt: skip
        own = (
            "optimizer_step", "optimizer_zero_grad", "backward", "configure_gradient_clipping", "training_step_end",
            "training_epoch_end",
        )  # fmt: skip
        asked = any(trainer.hooks[name] for name in hooks) or any(trainer.own[name] for name in own)
        special = trainer.gradient_clip_val is not None or trainer._anomalies is not None
        scheduled = any(config.interval == "step" for config in trainer.lr_scheduler_configs)
        changed = trainer.changes_batches or not trainer.precision_plugin.plain
        one = len(trainer.optimizers) == 1 and trainer._plain_steps
        automatic = trainer.lightning_module.automatic_optimization
        return one and automatic and not (asked or special or scheduled or changed)

    def _plain_batches(self, count: int) -> bool:
        """Train on so many batches where `is_plain`, or until there is more to do; False ends the epoch.

        What `_train_batch` comes to then, in one loop: asking at each point costs 5 % of a small network's step.
        """
        trainer, results, training_step = self.trainer, self.results, self.training_step
        optimizer = trainer.optimizers[0]
        results.fx = "training_step"
        while True:
            try:
                batch = self._next_batch()
            except StopIteration:
                return False
            results.start_batch(batch)
            loss = training_step(batch, self.batch_idx)
            if type(loss) is not torch.Tensor:
                loss = self._loss(loss, {})
            optimizer.zero_grad()
            if loss is not None:
                loss.backward()
            optimizer.step()
            self.steps += 1
            count -= 1
            stops = trainer.should_stop or trainer._stop_signal
            if not count or self.is_last_batch or stops or time.monotonic() >= self.look_at:
                self._batch_ended({}, batch)
                return True
            self.batches_that_stepped += 1
            self.phase = "between"

    def _train_batch(self) -> bool:
        """Train on a batch; False ends the epoch."""
        trainer = self.trainer
        try:
            batch = self._next_batch()
        except StopIteration:
            return False
        batch = trainer.transfer(batch, 0)
        self.results.start_batch(batch)
        skips = trainer.call("on_train_batch_start", batch, self.batch_idx) == -1
        if skips:  # the rest of the epoch
            self.is_last_batch = True
        output = None if skips else self.optimize(batch)
        if trainer.lr_scheduler_configs:
            self.step_schedulers("step", plateau=False)
        self._batch_ended(output, batch, skips)
        return not skips

    def _batch_ended(self, output, batch, skips: bool = False) -> None:
        """The schedulers of epochs, and the hooks after a batch."""
        trainer = self.trainer
        if self.is_last_batch and trainer.lr_scheduler_configs:
            self.step_schedulers("epoch", plateau=False)
        if skips:
            return
        self.phase = "batch_end"
        if self.outputs is not None:
            self.outputs.append(output)
        trainer.call("on_train_batch_end", output, batch, self.batch_idx)
        if self.is_last_batch or time.monotonic() >= self.look_at:
            self.look_at = trainer.look(output, batch, self.batch_idx)

    @property
    def accumulating(self) -> bool:
        """Whether gradients are only added up after this batch."""
        every = self.trainer.accumulate_grad_batches
        return every != 1 and (self.batch_idx + 1) % every != 0 and not self.is_last_batch

    def optimize(self, batch):
        """Run `training_step` and, unless it does so itself, compute gradients and step; returns its output."""
        trainer = self.trainer
        module = trainer.lightning_module
        if not module.automatic_optimization:
            output = self._training_step(batch)
            return (
                {} if output is None else detached(output if isinstance(output, dict) else {"loss": output})
            )
        optimizers = trainer.optimizers
        if len(optimizers) <= 1:
            return self._with_optimizer(batch, optimizers[0] if optimizers else None)
        outputs = []
        # Lightning 1.x: training_step(batch, batch_idx, optimizer_idx)
        for number, optimizer in enumerate(optimizers):
            with module.toggled_optimizer(optimizer):
                outputs.append(self._with_optimizer(batch, optimizer, number))
        return outputs

    def _with_optimizer(self, batch, optimizer, number: int | None = None) -> dict:
        trainer = self.trainer
        output: dict = {}
        every = trainer.accumulate_grad_batches
        if optimizer is None or (every != 1 and self.accumulating):
            self._closure(batch, optimizer, number, output)
            self.steps += (
                optimizer is None and not self.accumulating
            )  # without an optimizer, steps are batches
        elif not trainer.own["optimizer_step"] and trainer._plain_steps:
            self._closure_and_clip(batch, optimizer, number, output)
            optimizer.step()
            self.steps += 1
        else:  # the optimizer, or the model, decides when and how often to compute
            closure = functools.partial(self._closure_and_clip, batch, optimizer, number, output)
            if trainer.own["optimizer_step"]:
                trainer._ask_optimizer_step(number, optimizer, closure)
            else:
                optimizer.step(closure=closure)
            if not output:
                raise MisconfigurationException(
                    "The closure hasn't been executed. HINT: did you call `optimizer_closure()` in your `optimizer_step` "
                    "hook? It could also happen because the `optimizer.step(optimizer_closure)` call did not execute it "
                    "internally."
                )
            self.steps += 1
        return {} if output.get("loss") is None else output

    def _closure_and_clip(self, batch, optimizer, number, output: dict):
        """What happens before an optimizer's step."""
        trainer = self.trainer
        loss = self._closure(batch, optimizer, number, output)
        if trainer.hooks["on_before_optimizer_step"]:
            trainer.call("on_before_optimizer_step", optimizer)
        if trainer.gradient_clip_val is not None or trainer.own["configure_gradient_clipping"]:
            trainer._ask_clipping(number, optimizer)
        return loss

    def _closure(self, batch, optimizer, number, output: dict):
        """The loss and its gradients."""
        trainer = self.trainer
        loss = self._loss(self._training_step(batch, number), output)
        if optimizer is not None and self.batch_idx % trainer.accumulate_grad_batches == 0:
            if trainer.hooks["on_before_zero_grad"]:
                trainer.call("on_before_zero_grad", optimizer)
            if trainer.own["optimizer_zero_grad"]:
                trainer._ask(
                    trainer.lightning_module, "optimizer_zero_grad", self.epoch, self.batch_idx, optimizer
                )
            else:
                optimizer.zero_grad()
        if loss is not None:
            self.backward(loss)
        return loss

    def _training_step(self, batch, number: int | None = None):
        trainer = self.trainer
        arguments = (batch, self.batch_idx) if number is None else (batch, self.batch_idx, number)
        step = trainer._steps["training_step", len(arguments)]
        self.results.fx = "training_step"
        if trainer.precision_plugin.plain:
            output = step(*arguments)
        else:
            with trainer.precision_plugin.forward_context():
                output = step(*arguments)
        return trainer._ask_old("training_step_end", output) if trainer.own["training_step_end"] else output

    def _loss(self, step_output, output: dict):
        """The loss to differentiate; `output` gets what hooks are given."""
        loss = step_output
        if isinstance(step_output, dict):
            if "loss" not in step_output:
                raise MisconfigurationException(
                    "In automatic_optimization, when `training_step` returns a dict, the 'loss' key needs to be present"
                )
            output.update(detached({key: value for key, value in step_output.items() if key != "loss"}))
            loss = step_output["loss"]
        if loss is None:
            output["loss"] = None
            rank_zero_warn("`training_step` returned `None`. If this was on purpose, ignore this warning...")
            return None
        if not isinstance(loss, torch.Tensor):
            raise MisconfigurationException(
                "In automatic optimization, `training_step` must return a Tensor, a dict, or None (where the step will be "
                f"skipped), got {type(loss).__name__}."
            )
        if self.trainer._anomalies is not None:
            self.trainer._anomalies.check_loss(loss)
        if self.trainer.accumulate_grad_batches != 1:
            loss = loss / self.trainer.accumulate_grad_batches
        output["loss"] = loss.detach()
        return loss

    def backward(self, loss, *args, **kwargs) -> None:
        """Compute the gradients of a loss, with the hooks around it."""
        trainer = self.trainer
        if trainer.hooks["on_before_backward"]:
            trainer.call("on_before_backward", loss)
        if args or kwargs or trainer.own["backward"]:
            trainer._ask(trainer.lightning_module, "backward", loss, *args, **kwargs)
        else:
            loss.backward()
        if trainer.hooks["on_after_backward"]:
            trainer.call("on_after_backward")

    def step(self, optimizer, closure=None, **kwargs):
        """Take a step that the model asks for."""
        if self.trainer.lightning_module.automatic_optimization:
            return optimizer.step(closure=closure, **kwargs) if closure else optimizer.step(**kwargs)

        def closure_and_hook():
            loss = closure()
            self.trainer.call("on_before_optimizer_step", optimizer)
            return loss

        if closure is None:
            self.trainer.call("on_before_optimizer_step", optimizer)
        result = optimizer.step(closure=closure_and_hook, **kwargs) if closure else optimizer.step(**kwargs)
        self.steps += 1
        return result

    def step_schedulers(self, interval: str, plateau: bool) -> None:
        """Step the schedulers of that interval, those that watch a metric or the others."""
        trainer = self.trainer
        if not trainer.lightning_module.automatic_optimization or (interval == "step" and self.accumulating):
            return
        number = (self.batch_idx if interval == "step" else self.epoch) + 1
        for config in trainer.lr_scheduler_configs:
            if (
                config.reduce_on_plateau is not plateau
                or config.interval != interval
                or number % config.frequency
            ):
                continue
            metric = trainer.callback_metrics.get(config.monitor) if plateau else None
            if plateau and metric is None:
                message = f"ReduceLROnPlateau conditioned on metric {config.monitor} which is not available"
                if config.strict:
                    raise MisconfigurationException(
                        f"{message}. Available metrics are: {list(trainer.callback_metrics)}. Condition can be set using "
                        "`monitor` key in lr scheduler dict"
                    )
                rank_zero_warn(
                    f"{message} but strict is set to `False`. Skipping learning rate update.",
                    category=RuntimeWarning,
                )
                continue
            trainer._ask_scheduler_step(config.scheduler, metric)
