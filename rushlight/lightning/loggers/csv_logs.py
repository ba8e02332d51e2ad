"""Metrics as a .csv file, hyperparameters as a .yaml file."""

import csv
import os

import rushlight as torch
from rushlight.lightning.core.saving import save_hparams_to_yaml
from rushlight.lightning.loggers.logger import FolderLogger, plain
from rushlight.lightning.utilities.rank_zero import rank_zero_warn


class ExperimentWriter:
    """The two files of a run.

    Args:
        log_dir: their folder.

    Rows are appended; when a new name appears, the file is written anew under another name and renamed, so that it is
    whole at any moment.
    """

    NAME_HPARAMS_FILE = "hparams.yaml"
    NAME_METRICS_FILE = "metrics.csv"

    def __init__(self, log_dir: str):
        self.log_dir = log_dir
        self.hparams: dict = {}
        self._hparams_written: dict | None = None
        self.metrics: list[dict] = []  # rows that are not in the file yet
        self.keys: list[str] = []
        self.rows = 0  # in the file
        self.metrics_file_path = os.path.join(log_dir, self.NAME_METRICS_FILE)
        os.makedirs(log_dir, exist_ok=True)

    def log_hparams(self, params: dict) -> None:
        """Take hyperparameters."""
        self.hparams.update(params)

    def log_metrics(self, metrics_dict: dict, step: int | None = None) -> None:
        """Take a row."""
        row = {key: _plain(value) for key, value in metrics_dict.items()}
        self.metrics.append({**row, "step": len(self.metrics) + self.rows if step is None else step})

    def save(self, to_disk: bool = False) -> None:
        """Write what was taken.

        Args:
            to_disk: wait until it is on the disk.
        """
        if self.hparams != (self._hparams_written or {}):
            save_hparams_to_yaml(os.path.join(self.log_dir, self.NAME_HPARAMS_FILE), self.hparams)
            self._hparams_written = dict(self.hparams)
        if self.metrics:
            keys = sorted({key for row in self.metrics for key in row}.union(self.keys))
            if keys != self.keys and self.rows:
                self._write(self._read()[: self.rows], keys)
            self.keys = keys
            with open(
                self.metrics_file_path, "a" if self.rows else "w", newline="", encoding="utf-8"
            ) as file:
                writer = csv.DictWriter(file, self.keys)
                if not self.rows:
                    writer.writeheader()
                writer.writerows(self.metrics)
            self.rows += len(self.metrics)
            self.metrics = []
        if to_disk and os.path.exists(self.metrics_file_path):
            with open(self.metrics_file_path, "rb") as file:
                os.fsync(file.fileno())

    def cut(self, rows: int, keys: list[str]) -> None:
        """Forget what came after that many rows."""
        present = self._read()[:rows] if os.path.exists(self.metrics_file_path) else []
        self.keys = keys if len(present) == rows else []
        self.rows = rows if len(present) == rows else 0
        if self.rows:
            self._write(present, keys)

    def _read(self) -> list[dict]:
        with open(self.metrics_file_path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def _write(self, rows: list[dict], keys: list[str]) -> None:
        temporary = self.metrics_file_path + ".tmp"
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, keys, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.metrics_file_path)


def _plain(value):
    """A number for the file, of a tensor too."""
    return value.item() if isinstance(value, torch.Tensor) else value


class CSVLogger(FolderLogger):
    """Write metrics to `metrics.csv` and hyperparameters to `hparams.yaml`.

    Args:
        save_dir: the folder of all experiments.
        name: of the experiment.
        version: a number, the name of a folder, or None for the next number.
        prefix: before every name.
        flush_logs_every_n_steps: write every so many steps; before checkpoints it is always written.

    A run that goes on from a checkpoint cuts the file to what it was then and goes on in it.
    """

    def __init__(
        self, save_dir, name: str | None = "lightning_logs", version: int | str | None = None, prefix: str = "",
        flush_logs_every_n_steps: int = 100,
    ):  # fmt: skip
        super().__init__(save_dir, name, version)
        self._prefix, self._every = prefix, flush_logs_every_n_steps
        self._experiment: ExperimentWriter | None = None
        self._calls = 0

    @property
    def experiment(self) -> ExperimentWriter:
        """The writer of the files."""
        if self._experiment is None:
            path = os.path.join(self.log_dir, ExperimentWriter.NAME_METRICS_FILE)
            if os.path.exists(path):
                rank_zero_warn(
                    f"Experiment logs directory {self.log_dir} exists and is not empty. Previous log files in this "
                    "directory will be deleted when the new ones are saved!"
                )
            self._experiment = ExperimentWriter(self.log_dir)
        return self._experiment

    def log_hyperparams(self, params=None, *args, **kwargs) -> None:
        """Take hyperparameters."""
        self.experiment.log_hparams(plain(params))

    def log_metrics(self, metrics: dict, step: int | None = None) -> None:
        """Take values."""
        prefix = f"{self._prefix}-" if self._prefix else ""
        self.experiment.log_metrics({prefix + key: value for key, value in metrics.items()}, step)
        self._calls += 1

    def save(self) -> None:
        """Write what was taken, if it is time."""
        writer = self._experiment
        if writer is not None and (
            self._calls % self._every == 0 or writer.hparams != (writer._hparams_written or {})
        ):
            writer.save()

    def finalize(self, status: str) -> None:
        """Write everything."""
        if self._experiment is not None:
            self._experiment.save()

    def state_dict(self) -> dict:
        """How far the file goes, with everything on the disk."""
        self.experiment.save(to_disk=True)
        return {
            **self._place(),
            "rows": self.experiment.rows,
            "keys": self.experiment.keys,
            "calls": self._calls,
        }

    def load_state_dict(self, state_dict: dict, adopt: bool = False) -> None:
        """Go on where `state_dict` was called, if it is the same folder."""
        if adopt:
            self._adopt(state_dict)
        if state_dict.get("log_dir") == os.path.abspath(self.log_dir):
            self._experiment = ExperimentWriter(self.log_dir)
            self._experiment.cut(state_dict["rows"], state_dict["keys"])
            self._calls = state_dict["calls"]
