"""Event files for TensorBoard."""

import os
from importlib.util import find_spec

from rushlight.lightning.core.saving import save_hparams_to_yaml
from rushlight.lightning.loggers.logger import FolderLogger, flattened, plain
from rushlight.lightning.utilities.rank_zero import rank_zero_warn
from rushlight.utils.tensorboard import SummaryWriter
from rushlight.utils.tensorboard import summary as summaries


def can_be_shown() -> bool:
    """Whether TensorBoard is installed. Its files are written without it."""
    return find_spec("tensorboard") is not None


class TensorBoardLogger(FolderLogger):
    """Write metrics, hyperparameters and the graph as event files.

    Args:
        save_dir: the folder of all experiments.
        name: of the experiment; "" for no folder of its own.
        version: a number, the name of a folder, or None for the next number.
        log_graph: write the model's graph, where it has an `example_input_array`.
        default_hp_metric: write a metric `hp_metric` of -1 with the hyperparameters, without which TensorBoard doesn't
            show them.
        prefix: before every name.
        sub_dir: a folder within that of the run.
        **kwargs: arguments of the SummaryWriter.

    `logger.experiment` is the SummaryWriter, for pictures, histograms and so on.
    """

    NAME_HPARAMS_FILE = "hparams.yaml"

    def __init__(
        self, save_dir, name: str | None = "lightning_logs", version: int | str | None = None, log_graph: bool = False,
        default_hp_metric: bool = True, prefix: str = "", sub_dir=None, **kwargs,
    ):  # fmt: skip
        super().__init__(save_dir, name, version)
        self._log_graph, self._default_hp_metric = log_graph, default_hp_metric
        self._prefix, self._sub_dir, self._options = prefix, sub_dir, kwargs
        self._experiment = None
        self.hparams: dict = {}
        self._hparams_saved = False

    sub_dir = property(lambda self: self._sub_dir, doc="The folder within that of the run.")

    @property
    def log_dir(self) -> str:
        """The folder of this run."""
        folder = FolderLogger.log_dir.fget(self)
        return folder if self._sub_dir is None else os.path.join(folder, self._sub_dir)

    @property
    def experiment(self):
        """The SummaryWriter."""
        if self._experiment is None:
            os.makedirs(self.log_dir, exist_ok=True)
            self._experiment = SummaryWriter(log_dir=self.log_dir, **self._options)
        return self._experiment

    def log_hyperparams(self, params, metrics=None, step: int | None = None) -> None:
        """Take hyperparameters.

        Args:
            params: a dictionary or Namespace.
            metrics: numbers to show with them.
            step: the number of the step.
        """
        self.hparams.update(plain(params))
        if metrics is None and self._default_hp_metric:
            metrics = {"hp_metric": -1}
        if isinstance(metrics, int | float):
            metrics = {"hp_metric": metrics}
        if not self.hparams or not metrics:
            return
        kinds = (bool, int, float, str)
        shown = {
            key: value if isinstance(value, kinds) else str(value)
            for key, value in flattened(self.hparams).items()
        }
        self.log_metrics(metrics, step or 0)
        for values in summaries.hparams(
            shown, dict(metrics)
        ):  # beside the run's own values, not in a subfolder
            self.experiment.file_writer.add_summary(values)

    def log_metrics(self, metrics: dict, step: int | None = None) -> None:
        """Take values."""
        prefix, numbers = f"{self._prefix}-" if self._prefix else "", {}
        for key, value in metrics.items():
            if isinstance(value, dict):
                self.experiment.add_scalars(prefix + key, value, step)
            else:
                numbers[prefix + key] = value
        if numbers:
            self.experiment.file_writer.add_summary(summaries.scalars(numbers), step)

    def log_graph(self, model, input_array=None) -> None:
        """Write the model's graph, where that was asked for."""
        if not self._log_graph:
            return
        example = getattr(model, "example_input_array", None) if input_array is None else input_array
        if example is None:
            rank_zero_warn(
                "Could not log computational graph to TensorBoard: The `model.example_input_array` attribute is not set or "
                "`input_array` was not given."
            )
            return
        self.experiment.add_graph(model, example)

    def save(self) -> None:
        """Write the hyperparameters; events are written by the SummaryWriter in time."""
        if self._hparams_saved or not os.path.isdir(self.log_dir):
            return
        path = os.path.join(self.log_dir, self.NAME_HPARAMS_FILE)
        if not os.path.isfile(path):
            save_hparams_to_yaml(path, self.hparams)
        self._hparams_saved = True

    def finalize(self, status: str) -> None:
        """Write everything."""
        if self._experiment is not None:
            self._experiment.flush()
            self._experiment.close()
            self._experiment = None
        if status == "success":  # also of a run that logged nothing: its checkpoints may lie there
            self.save()

    def state_dict(self) -> dict:
        """Which run it is, with everything written."""
        if self._experiment is not None:
            self._experiment.flush()
        return self._place()

    def load_state_dict(self, state_dict: dict, adopt: bool = False) -> None:
        """Go on in the same folder; TensorBoard drops what came after the checkpoint (`purge_step`)."""
        if adopt:
            self._adopt(state_dict)
        if state_dict.get("log_dir") == os.path.abspath(self.log_dir):
            self._options = {**self._options, "purge_step": state_dict.get("step", 0)}
