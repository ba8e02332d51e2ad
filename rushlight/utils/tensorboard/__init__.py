"""Event files for TensorBoard, with the names of `torch.utils.tensorboard`.

Files are written here without any other package; `pip install rushlight[tensorboard]` brings the program that shows them:
`tensorboard --logdir runs`.
"""

from rushlight.utils.tensorboard.records import RecordWriter
from rushlight.utils.tensorboard.writer import FileWriter, SummaryWriter

__all__ = ["FileWriter", "RecordWriter", "SummaryWriter"]
