"""`SummaryWriter`: scalars, pictures, histograms and so on as event files."""

import os
import socket
import time
from datetime import datetime

from rushlight.utils.tensorboard import messages as m
from rushlight.utils.tensorboard import summary as s
from rushlight.utils.tensorboard._convert_np import make_np
from rushlight.utils.tensorboard._utils import figure_to_image
from rushlight.utils.tensorboard.embedding import embedding_config, write_embedding
from rushlight.utils.tensorboard.graph import graph
from rushlight.utils.tensorboard.records import EventFileWriter

__all__ = ["FileWriter", "SummaryWriter"]


class FileWriter:
    """Write events to a new file in a folder.

    Args:
        log_dir: the folder.
        max_queue: how many events wait in memory at most.
        flush_secs: after how many seconds at most they are written.
        filename_suffix: the end of the file's name.
    """

    def __init__(self, log_dir, max_queue: int = 10, flush_secs: float = 120, filename_suffix: str = ""):
        self.event_writer = EventFileWriter(os.fspath(log_dir), max_queue, flush_secs, filename_suffix)

    def get_logdir(self) -> str:
        """The folder."""
        return self.event_writer.get_logdir()

    def add_event(self, event, step=None, walltime: float | None = None) -> None:
        """Add an event, with its step and its time in seconds since 1970 (now by default)."""
        event.wall_time = time.time() if walltime is None else walltime
        if step is not None:
            event.step = int(step)
        self.event_writer.add_event(event)

    def add_summary(self, summary, global_step=None, walltime: float | None = None) -> None:
        """Add values as an event."""
        self.add_event(m.Event(summary=summary), global_step, walltime)

    def add_graph(self, graph_profile: tuple, walltime: float | None = None) -> None:
        """Add a graph and the record of its running time."""
        definition, steps = graph_profile
        self.add_event(m.Event(graph_def=definition), None, walltime)
        run = m.TaggedRunMetadata(tag="step1", run_metadata=steps)
        self.add_event(m.Event(tagged_run_metadata=run), None, walltime)

    def flush(self) -> None:
        """Write what waits."""
        self.event_writer.flush()

    def close(self) -> None:
        """Write what waits and close the file."""
        self.event_writer.close()

    def reopen(self) -> None:
        """After `close`: begin another file in the same folder."""
        self.event_writer.reopen()


def _histogram_bins() -> list[float]:
    """The limits of TensorBoard's histograms: a tenth apart, from 1e-12 to 1e20, on both sides of 0."""
    limits = [1e-12]
    while limits[-1] * 1.1 < 1e20:
        limits.append(limits[-1] * 1.1)
    return [*(-limit for limit in reversed(limits)), 0, *limits]


class SummaryWriter:
    """Write what TensorBoard shows: `tensorboard --logdir runs`.

    Each `add_...` takes a tag, which names what it adds and groups by its part before "/", the number of the step, and
    the time in seconds since 1970 (now by default). Values are tensors or NumPy arrays.

    Args:
        log_dir: the folder of this run; by default runs/ and the date, the time and the computer's name.
        comment: after the default folder's name.
        purge_step: what was written from this step on before a crash is to be dropped.
        max_queue: how many events wait in memory at most.
        flush_secs: after how many seconds at most they are written.
        filename_suffix: the end of the files' names.

    >>> import os, tempfile
    >>> from rushlight.utils.tensorboard import SummaryWriter
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with SummaryWriter(folder) as writer:
    ...         for step in range(3):
    ...             writer.add_scalar("loss/train", 1 / (step + 1), step)
    ...     os.listdir(folder)[0].startswith("events.out.tfevents.")
    True
    """

    def __init__(
        self, log_dir=None, comment: str = "", purge_step: int | None = None, max_queue: int = 10, flush_secs: float = 120,
        filename_suffix: str = "",
    ):  # fmt: skip
        if not log_dir:
            now = datetime.now().strftime("%b%d_%H-%M-%S")
            log_dir = os.path.join("runs", f"{now}_{socket.gethostname()}{comment}")
        self.log_dir, self.purge_step = log_dir, purge_step
        self.max_queue, self.flush_secs, self.filename_suffix = max_queue, flush_secs, filename_suffix
        self.default_bins = _histogram_bins()
        self.file_writer = self.all_writers = None
        self._projector = ""
        self._get_file_writer()

    def _new_writer(self, folder) -> FileWriter:
        return FileWriter(folder, self.max_queue, self.flush_secs, self.filename_suffix)

    def _get_file_writer(self) -> FileWriter:
        """The writer; a new one after `close`."""
        if self.file_writer is None:
            self.file_writer = self._new_writer(self.log_dir)
            self.all_writers = {self.file_writer.get_logdir(): self.file_writer}
            if self.purge_step is not None:
                step, self.purge_step = self.purge_step, None
                self.file_writer.add_event(m.Event(step=step, file_version="brain.Event:2"))
                start = m.SessionLog(status=m.SESSION_START)
                self.file_writer.add_event(m.Event(step=step, session_log=start))
        return self.file_writer

    def get_logdir(self):
        """The folder of this run."""
        return self.log_dir

    def add_scalar(
        self, tag: str, scalar_value, global_step=None, walltime=None, new_style: bool = False, double_precision: bool = False
    ) -> None:  # fmt: skip
        """Add a number.

        Args:
            scalar_value: a number, or a tensor of one.
            new_style: as a tensor, which TensorBoard reads faster.
            double_precision: then as float64.
        """
        values = s.scalar(tag, scalar_value, new_style=new_style, double_precision=double_precision)
        self._add(values, global_step, walltime)

    def _add(self, values, global_step=None, walltime=None) -> None:
        self._get_file_writer().add_summary(values, global_step, walltime)

    def add_scalars(self, main_tag: str, tag_scalar_dict: dict, global_step=None, walltime=None) -> None:
        """Add several numbers that are shown in one chart: each goes into a run of its own, in a subfolder.

        Args:
            main_tag: the chart.
            tag_scalar_dict: numbers by name.
        """
        walltime = time.time() if walltime is None else walltime
        folder = self._get_file_writer().get_logdir()
        for tag, value in tag_scalar_dict.items():
            path = f"{folder}/{self._subfolder(main_tag, tag)}"
            if path not in self.all_writers:
                self.all_writers[path] = self._new_writer(path)
            self.all_writers[path].add_summary(s.scalar(main_tag, value), global_step, walltime)

    @staticmethod
    def _subfolder(main_tag: str, tag: str) -> str:
        """The folder of one of the numbers of `add_scalars`."""
        return f"{main_tag.replace('/', '_')}_{tag}"

    def add_tensor(self, tag: str, tensor, global_step=None, walltime=None) -> None:
        """Add a whole tensor."""
        self._add(s.tensor_proto(tag, tensor), global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values,
        global_step=None,
        bins="tensorflow",
        walltime=None,
        max_bins: int | None = None,
    ) -> None:
        """Add a histogram of values.

        Args:
            bins: limits, or "tensorflow" for TensorBoard's own, or a rule of `numpy.histogram` such as "auto".
            max_bins: join neighbouring bins where there are more.
        """
        bins = self.default_bins if isinstance(bins, str) and bins == "tensorflow" else bins
        self._add(s.histogram(tag, values, bins, max_bins=max_bins), global_step, walltime)

    def add_histogram_raw(
        self, tag: str, min, max, num, sum, sum_squares, bucket_limits, bucket_counts, global_step=None, walltime=None
    ) -> None:  # fmt: skip
        """Add a histogram that was counted elsewhere.

        Args:
            min, max, num, sum, sum_squares: of the values.
            bucket_limits: the upper limit of each bin.
            bucket_counts: how many values lie in each bin.
        """
        if len(bucket_limits) != len(bucket_counts):
            raise ValueError("len(bucket_limits) != len(bucket_counts), see the document.")
        values = s.histogram_raw(tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts)
        self._add(values, global_step, walltime)

    def add_image(
        self, tag: str, img_tensor, global_step=None, walltime=None, dataformats: str = "CHW"
    ) -> None:
        """Add a picture: uint8 from 0 to 255, or floats from 0 to 1.

        Args:
            dataformats: its dimensions in order, such as "CHW", "HWC" or "HW".
        """
        self._add(s.image(tag, img_tensor, dataformats=dataformats), global_step, walltime)

    def add_images(
        self, tag: str, img_tensor, global_step=None, walltime=None, dataformats: str = "NCHW"
    ) -> None:
        """Add several pictures as a grid."""
        self._add(s.image(tag, img_tensor, dataformats=dataformats), global_step, walltime)

    def add_image_with_boxes(
        self, tag: str, img_tensor, box_tensor, global_step=None, walltime=None, rescale: float = 1, dataformats: str = "CHW",
        labels=None,
    ) -> None:  # fmt: skip
        """Add a picture with boxes.

        Args:
            box_tensor: (N, 4), of (x1, y1, x2, y2) in pixels.
            rescale: draw it so many times larger.
            labels: a text for each box.
        """
        labels = [labels] if isinstance(labels, str) else labels
        if labels is not None and len(labels) != len(box_tensor):
            labels = None
        values = s.image_boxes(tag, img_tensor, box_tensor, rescale, dataformats, labels)
        self._add(values, global_step, walltime)

    def add_figure(self, tag: str, figure, global_step=None, close: bool = True, walltime=None) -> None:
        """Add a figure of matplotlib, or a list of them as a grid; `close` forgets those of pyplot."""
        formats = "NCHW" if isinstance(figure, list) else "CHW"
        self.add_image(tag, figure_to_image(figure, close), global_step, walltime, dataformats=formats)

    def add_video(self, tag: str, vid_tensor, global_step=None, fps: float = 4, walltime=None) -> None:
        """Add videos (N, T, C, H, W), beside each other, as one moving GIF."""
        self._add(s.video(tag, vid_tensor, fps), global_step, walltime)

    def add_audio(
        self, tag: str, snd_tensor, global_step=None, sample_rate: int = 44100, walltime=None
    ) -> None:
        """Add sound: values from -1 to 1, `sample_rate` per second."""
        self._add(s.audio(tag, snd_tensor, sample_rate=sample_rate), global_step, walltime)

    def add_text(self, tag: str, text_string: str, global_step=None, walltime=None) -> None:
        """Add text, which is shown as Markdown."""
        self._add(s.text(tag, text_string), global_step, walltime)

    def add_graph(
        self, model, input_to_model=None, verbose: bool = False, use_strict_trace: bool = True
    ) -> None:
        """Add the operations of a model, found by running it.

        Args:
            input_to_model: its input, or a tuple of inputs.
            verbose: print the operations.
            use_strict_trace: without effect here.
        """
        self._get_file_writer().add_graph(graph(model, input_to_model, verbose, use_strict_trace))

    @staticmethod
    def _encode(rawstr: str) -> str:
        """A tag as the name of a folder."""
        return rawstr.replace("%", "%25").replace("/", "%2f").replace("\\", "%5c")

    def add_embedding(
        self, mat, metadata=None, label_img=None, global_step=None, tag: str = "default", metadata_header=None
    ) -> None:
        """Add vectors for TensorBoard's projector.

        Args:
            mat: (N, D).
            metadata: a label for each, or a list of labels if there is a header.
            label_img: a picture for each, (N, C, H, W).
            metadata_header: names of the columns of labels.
        """
        mat = make_np(mat)
        global_step = 0 if global_step is None else global_step
        subdir = f"{str(global_step).zfill(5)}/{self._encode(tag)}"
        logdir = self._get_file_writer().get_logdir()
        folder = os.path.join(logdir, subdir)
        if os.path.isdir(folder):
            print("warning: Embedding dir exists, did you set global_step for add_embedding()?")
        elif os.path.exists(folder):
            raise NotADirectoryError(f"Path: `{folder}` exists, but is a file. Cannot proceed.")
        os.makedirs(folder, exist_ok=True)
        write_embedding(folder, mat, metadata, label_img, metadata_header)
        self._projector += embedding_config(tag, subdir, global_step, metadata, label_img)
        with open(os.path.join(logdir, "projector_config.pbtxt"), "w", encoding="utf-8") as file:
            file.write(self._projector)

    def add_pr_curve(
        self,
        tag: str,
        labels,
        predictions,
        global_step=None,
        num_thresholds: int = 127,
        weights=None,
        walltime=None,
    ) -> None:
        """Add a precision-recall curve.

        Args:
            labels: 0 or 1 for each sample.
            predictions: the probability of 1.
            num_thresholds: how many points, 127 at most.
            weights: of the samples.
        """
        values = s.pr_curve(tag, make_np(labels), make_np(predictions), num_thresholds, weights)
        self._add(values, global_step, walltime)

    def add_pr_curve_raw(
        self, tag: str, true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts, precision,
        recall, global_step=None, num_thresholds: int = 127, weights=None, walltime=None,
    ) -> None:  # fmt: skip
        """Add a precision-recall curve that was counted elsewhere, one value per threshold in each argument."""
        counts = true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts
        values = s.pr_curve_raw(tag, *counts, precision, recall, num_thresholds, weights)
        self._add(values, global_step, walltime)

    def add_custom_scalars_multilinechart(
        self, tags: list, category: str = "default", title: str = "untitled"
    ) -> None:
        """Show several scalars in one chart."""
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(
        self, tags: list, category: str = "default", title: str = "untitled"
    ) -> None:
        """Show a scalar between two others, its margins: tags of the value, the lower and the upper one."""
        self.add_custom_scalars({category: {title: ["Margin", tags]}})

    def add_custom_scalars(self, layout: dict) -> None:
        """Lay out charts of scalars: `{category: {chart: ["Multiline" or "Margin", tags]}}`, once per run."""
        self._add(s.custom_scalars(layout))

    def add_mesh(
        self, tag: str, vertices, colors=None, faces=None, config_dict: dict | None = None, global_step=None, walltime=None
    ) -> None:  # fmt: skip
        """Add points in space, or with `faces` a surface.

        Args:
            vertices: (B, N, 3).
            colors: (B, N, 3), from 0 to 255.
            faces: (B, M, 3), of numbers of vertices.
            config_dict: settings of THREE.js.
        """
        self._add(s.mesh(tag, vertices, colors, faces, config_dict), global_step, walltime)

    def add_hparams(
        self, hparam_dict: dict, metric_dict: dict, hparam_domain_discrete: dict | None = None, run_name: str | None = None,
        global_step=None,
    ) -> None:  # fmt: skip
        """Add hyperparameters and what came of them, as a run of its own in a subfolder.

        Args:
            hparam_dict: values by name: numbers, texts, booleans.
            metric_dict: numbers by name.
            hparam_domain_discrete: lists of the values that are possible, by name.
            run_name: the subfolder; the time by default.
        """
        if type(hparam_dict) is not dict or type(metric_dict) is not dict:
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        summaries = s.hparams(hparam_dict, metric_dict, hparam_domain_discrete)
        folder = os.path.join(self._get_file_writer().get_logdir(), run_name or str(time.time()))
        with SummaryWriter(log_dir=folder) as writer:
            for values in summaries:
                writer.file_writer.add_summary(values, global_step)
            for name, value in metric_dict.items():
                writer.add_scalar(name, value, global_step)

    def flush(self) -> None:
        """Write what waits."""
        for writer in (self.all_writers or {}).values():
            writer.flush()

    def close(self) -> None:
        """Write what waits and close the files; what is added later goes into new ones."""
        for writer in (self.all_writers or {}).values():
            writer.close()
        self.file_writer = self.all_writers = None

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        self.close()
