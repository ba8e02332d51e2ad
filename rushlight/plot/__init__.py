"""Pictures of training and of what was learned: each function returns a matplotlib figure.

`figure.savefig("name.png")` writes it, `SummaryWriter.add_figure` shows it in TensorBoard, a notebook shows it as it is.
"""

from rushlight.plot.curves import (
    calibration,
    confusion_matrix,
    curves,
    learning_rates,
    precision_recall_curve,
    roc_curve,
)
from rushlight.plot.functions import activation_functions, descend, himmelblau, optimizer_paths
from rushlight.plot.graph import autograd_dot, autograd_graph
from rushlight.plot.pictures import keypoints, predictions, segmentation
from rushlight.vision.figures import activation_figure, filter_figure

__all__ = [
    "activation_figure",
    "activation_functions",
    "autograd_dot",
    "autograd_graph",
    "calibration",
    "confusion_matrix",
    "curves",
    "descend",
    "filter_figure",
    "himmelblau",
    "keypoints",
    "learning_rates",
    "optimizer_paths",
    "precision_recall_curve",
    "predictions",
    "roc_curve",
    "segmentation",
]
