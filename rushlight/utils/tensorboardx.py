"""The names of tensorboardX: the writer of `rushlight.utils.tensorboard` with tensorboardX's arguments.

Under `python -m rushlight` this is what `import tensorboardX` gives.
"""

import json
import time

from rushlight.utils.tensorboard import FileWriter, RecordWriter
from rushlight.utils.tensorboard import SummaryWriter as _SummaryWriter
from rushlight.utils.tensorboard import messages as m
from rushlight.utils.tensorboard import summary as s
from rushlight.utils.tensorboard._convert_np import make_np

__all__ = ["FileWriter", "RecordWriter", "SummaryWriter"]


class _NoWriter:
    """A file writer that writes nothing."""

    def __init__(self, logdir):
        self._logdir = logdir

    def get_logdir(self):
        """The folder that would be written to."""
        return self._logdir

    def _nothing(self, *args, **kwargs) -> None:
        """Nothing is written."""

    add_event = add_summary = add_graph = flush = close = reopen = _nothing


class SummaryWriter(_SummaryWriter):
    """`rushlight.utils.tensorboard.SummaryWriter`, which can also keep scalars in memory.

    Args:
        logdir, log_dir: the folder of this run.
        comment, purge_step, max_queue, flush_secs, filename_suffix: as there.
        write_to_disk: False to write nothing.

    >>> import os, tempfile
    >>> from rushlight.utils.tensorboardx import SummaryWriter
    >>> with tempfile.TemporaryDirectory() as folder, SummaryWriter(logdir=folder) as writer:
    ...     writer.add_scalar("loss", 0.5, 1, summary_description="of training")
    ...     len(os.listdir(folder))
    1
    """

    def __init__(
        self, logdir=None, comment: str = "", purge_step: int | None = None, max_queue: int = 10, flush_secs: float = 120,
        filename_suffix: str = "", write_to_disk: bool = True, log_dir=None,
    ):  # fmt: skip
        self._write_to_disk = write_to_disk
        self.scalar_dict: dict = {}
        super().__init__(logdir or log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix)

    logdir = property(lambda self: self.log_dir, doc="The folder of this run.")

    def _new_writer(self, folder):
        return super()._new_writer(folder) if self._write_to_disk else _NoWriter(folder)

    def add_scalar(
        self, tag: str, scalar_value, global_step=None, walltime=None, display_name: str = "", summary_description: str = ""
    ) -> None:  # fmt: skip
        """Add a number.

        Args:
            display_name: what TensorBoard calls it.
            summary_description: what it is, as Markdown.
        """
        values = s.scalar(tag, scalar_value)
        if display_name or summary_description:
            values.value[0].metadata = m.SummaryMetadata(
                display_name=display_name, summary_description=summary_description
            )
        self._add(values, global_step, walltime)

    def add_scalars(self, main_tag: str, tag_scalar_dict: dict, global_step=None, walltime=None) -> None:
        """Add several numbers that are shown in one chart, and keep them for `export_scalars_to_json`."""
        walltime = time.time() if walltime is None else walltime
        super().add_scalars(main_tag, tag_scalar_dict, global_step, walltime)
        for tag, value in tag_scalar_dict.items():
            name = f"{self._get_file_writer().get_logdir()}/{main_tag}/{tag}"
            entry = [walltime, global_step, float(make_np(value).squeeze())]
            self.scalar_dict.setdefault(name, []).append(entry)

    @staticmethod
    def _subfolder(main_tag: str, tag: str) -> str:
        return f"{main_tag}/{tag}"  # without PyTorch's underscores

    def export_scalars_to_json(self, path) -> None:
        """Write what `add_scalars` took so far: `{name: [[time, step, value], ...]}`, and forget it."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.scalar_dict, file)
        self.scalar_dict = {}

    def add_hparams(
        self, hparam_dict: dict, metric_dict: dict, name: str | None = None, global_step=None
    ) -> None:
        """Add hyperparameters and what came of them, in a subfolder `name` (the time by default)."""
        super().add_hparams(hparam_dict, metric_dict, None, name, global_step)

    def add_image_with_boxes(
        self, tag: str, img_tensor, box_tensor, global_step=None, walltime=None, dataformats: str = "CHW", labels=None,
        rescale: float = 1,
    ) -> None:  # fmt: skip
        """Add a picture with boxes (N, 4), of (x1, y1, x2, y2) in pixels, and a text for each."""
        super().add_image_with_boxes(
            tag, img_tensor, box_tensor, global_step, walltime, rescale, dataformats, labels
        )
