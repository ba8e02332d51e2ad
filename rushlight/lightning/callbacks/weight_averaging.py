"""Running averages of the weights, with which validation, testing and checkpoints are done."""

import itertools

from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from rushlight.optim.swa_utils import AveragedModel, get_ema_avg_fn


class WeightAveraging(Callback):
    """Averages the weights while the run goes on; after it the model has the average.

    Validation is done with the average, and checkpoints hold it as "state_dict", beside the weights of the run.

    Args:
        device: accepted. use_buffers: average buffers too. **kwargs: those of `AveragedModel`.
    """

    def __init__(self, device=None, use_buffers: bool = True, **kwargs):
        self._use_buffers, self._kwargs = use_buffers, kwargs
        self._average_model: AveragedModel | None = None
        self._latest_update_step, self._latest_update_epoch = 0, -1

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Whether to take in the weights, after a step or an epoch, numbered from 0: by default after each step."""
        return step_idx is not None

    def setup(self, trainer, pl_module, stage: str) -> None:
        """Begin with the weights of the model."""
        if stage == "fit":
            self._average_model = AveragedModel(pl_module, use_buffers=self._use_buffers, **self._kwargs)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        """Take in the weights after a step."""
        steps = trainer.global_step
        if steps > self._latest_update_step and self.should_update(step_idx=steps - 1):
            self._average_model.update_parameters(pl_module)
            self._latest_update_step = steps

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        """Take in the weights after an epoch."""
        epoch = trainer.current_epoch
        if epoch > self._latest_update_epoch and self.should_update(epoch_idx=epoch):
            self._average_model.update_parameters(pl_module)
            self._latest_update_epoch = epoch

    def on_train_end(self, trainer, pl_module) -> None:
        """Give the model the average."""
        for average, current in self._pairs(pl_module):
            current.data.copy_(average.data)

    def on_validation_epoch_start(self, trainer, pl_module) -> None:
        """Validate the average."""
        self._swap(pl_module)

    def on_validation_epoch_end(self, trainer, pl_module) -> None:
        """Go on with the weights of the run."""
        self._swap(pl_module)

    def _pairs(self, pl_module):
        average = self._average_model.module
        return zip(
            itertools.chain(average.parameters(), average.buffers()),
            itertools.chain(pl_module.parameters(), pl_module.buffers()),
            strict=True,
        )

    def _swap(self, pl_module) -> None:
        if self._average_model is None:
            return
        for average, current in self._pairs(pl_module):
            kept = average.data.clone()
            average.data.copy_(current.data)
            current.data.copy_(kept)

    def state_dict(self) -> dict:
        """When it was last updated."""
        return {"latest_update_step": self._latest_update_step}

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from there."""
        self._latest_update_step = state_dict["latest_update_step"]

    def on_save_checkpoint(self, trainer, pl_module, checkpoint: dict) -> None:
        """Save the average as the model, and the weights of the run beside it."""
        if self._average_model is None:
            rank_zero_info(
                "You're using the WeightAveraging callback, but saving a checkpoint outside the 'fit' stage. The state of the "
                "WeightAveraging callback won't be saved in the checkpoint."
            )
            return
        state = self._average_model.state_dict()
        checkpoint["current_model_state"] = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k[7:]: v for k, v in state.items() if k.startswith("module.")}
        checkpoint["averaging_state"] = {k: v for k, v in state.items() if not k.startswith("module.")}

    def on_load_checkpoint(self, trainer, pl_module, checkpoint: dict) -> None:
        """Take the average, and give the model the weights of the run."""
        if self._average_model is None:
            rank_zero_warn(
                "You're using the WeightAveraging callback, but loading a checkpoint outside the 'fit' stage. The "
                "WeightAveraging state cannot be restored. If you're using the checkpoint for prediction or testing, you can "
                "ignore this warning. To disable the warning, remove the WeightAveraging callback."
            )
        elif "current_model_state" in checkpoint and "averaging_state" in checkpoint:
            average = {f"module.{k}": v for k, v in checkpoint["state_dict"].items()}
            self._average_model.load_state_dict({**average, **checkpoint["averaging_state"]})
            pl_module.load_state_dict(checkpoint["current_model_state"])
        else:
            rank_zero_warn(
                "The checkpoint was not created with WeightAveraging. Both the current and the average model will be "
                "initialized with state_dict."
            )
            self._average_model.module.load_state_dict(checkpoint["state_dict"], strict=False)


class EMAWeightAveraging(WeightAveraging):
    """An exponential moving average of the weights.

    Args:
        device, use_buffers, **kwargs: as for `WeightAveraging`.
        decay: how much of the average stays in each update.
        update_every_n_steps: update so often; update_starting_at_step: from that step on.
        update_starting_at_epoch: update after epochs too, from that one on.
    """

    def __init__(
        self, device=None, use_buffers: bool = True, decay: float = 0.999, update_every_n_steps: int = 1,
        update_starting_at_step: int | None = None, update_starting_at_epoch: int | None = None, **kwargs,
    ):  # fmt: skip
        super().__init__(device, use_buffers, **kwargs, avg_fn=get_ema_avg_fn(decay))
        self.update_every_n_steps = update_every_n_steps
        self.update_starting_at_step = update_starting_at_step
        self.update_starting_at_epoch = update_starting_at_epoch

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Whether it is time."""
        if step_idx is not None:
            begun = self.update_starting_at_step is None or step_idx >= self.update_starting_at_step
            if begun and self.update_every_n_steps > 0 and step_idx % self.update_every_n_steps == 0:
                return True
        start = self.update_starting_at_epoch
        return epoch_idx is not None and start is not None and epoch_idx >= start
