"""Figures of numbers over time, and of how well classes are told apart."""

import copy
import csv
import os
import re
import warnings
from collections import defaultdict

import numpy as np

import rushlight as torch
from rushlight.metrics import AUROC, ROC, AveragePrecision, ConfusionMatrix, PrecisionRecallCurve
from rushlight.tensor import Tensor
from rushlight.utils.figure import new_figure
from rushlight.validation import expected_calibration_error

__all__ = [
    "calibration",
    "confusion_matrix",
    "curves",
    "learning_rates",
    "precision_recall_curve",
    "roc_curve",
]


def curves(
    history, *, x: str | None = None, smooth: float = 0.0, log: bool = False, title: str | None = None
):
    """Loss and metrics over training; names that differ only in "train", "val" and so on share one chart.

    Args:
        history: a list of numbers; a dictionary of lists by name; or the path of a CSV file with a header, as
            `CSVLogger` writes it (or its folder). Empty places and NaN are left out.
        x: the column that is the horizontal axis: by default "step" or "epoch" if there is one, else places in the list.
        smooth: how much of the smoothed value before goes into the next one, 0 (nothing) to 1; the values themselves
            are then drawn pale behind.
        log: logarithmic vertical axes.
        title: of the figure.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed. ValueError: there is nothing to draw, or no column `x`.

    >>> from rushlight import plot
    >>> figure = plot.curves({"train_loss": [1.0, 0.5, 0.3], "val_loss": [1.1, 0.7, 0.6], "val_acc": [0.5, 0.7, 0.8]})
    >>> [axes.get_title() for axes in figure.axes]
    ['loss', 'acc']
    """
    columns = _columns(history)
    x = x or next((name for name in ("step", "epoch") if name in columns), None)
    if x is not None and x not in columns:
        raise ValueError(f"curves: there is no column {x!r}; there are {[*columns]}")
    places = columns.get(x)
    charts = defaultdict(dict)
    for name, values in columns.items():
        if name not in ("step", "epoch", x):
            charts[_subject(name)][name] = _points(places, values, name)
    charts = {subject: {n: p for n, p in lines.items() if len(p[0])} for subject, lines in charts.items()}
    charts = {subject: lines for subject, lines in charts.items() if lines}
    if not charts:
        raise ValueError("curves: there are no numbers to draw")
    across = min(len(charts), 3)
    down = -(-len(charts) // across)
    figure, axes = new_figure(4.6 * across, 3.3 * down, down, across)
    for ax, (subject, lines) in zip(axes.flat, charts.items(), strict=False):
        roles = [_role(name) for name in lines]
        for i, (name, (at, values)) in enumerate(lines.items()):
            # Training is blue in each chart, validation orange, unless that is not all that tells lines apart.
            colour = roles[i] if None not in roles and len(set(roles)) == len(roles) else i
            _line(ax, at, values, name, smooth, f"C{colour % 10}")
        if x == "epoch":
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(title=subject, xlabel=x or "number", yscale="log" if log else "linear")
        ax.grid(alpha=0.3)
        if len(lines) > 1:
            ax.legend()
    for ax in axes.flat[len(charts) :]:
        ax.remove()
    figure.suptitle(title) if title else None
    return figure


def _columns(history) -> dict:
    """The lists of numbers by name, with NaN for empty places."""
    if isinstance(history, str | os.PathLike):
        path = os.path.join(history, "metrics.csv") if os.path.isdir(history) else history
        with open(path, newline="", encoding="utf-8") as file:
            rows = [*csv.DictReader(file)]
        names = rows[0] if rows else ()
        return {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}
    if not isinstance(history, dict):
        history = {"value": history}
    return {name: np.array([float(value) for value in values]) for name, values in history.items()}


_ROLES = {
    "train": 0,
    "training": 0,
    "val": 1,
    "valid": 1,
    "validation": 1,
    "test": 2,
    "epoch": None,
    "step": None,
}


def _words(name: str) -> list[str]:
    return re.split(r"[_/ ]+", name)


def _subject(name: str) -> str:
    """What is measured: the name without "train", "val" and so on."""
    return " ".join(word for word in _words(name) if word.lower() not in _ROLES) or name


def _role(name: str) -> int | None:
    """0 for training, 1 for validation, 2 for tests, None for what says nothing of it."""
    return next((role for word in _words(name) if (role := _ROLES.get(word.lower())) is not None), None)


def _points(places, values, name: str) -> tuple:
    if places is not None and len(places) != len(values):
        raise ValueError(f"curves: {name!r} has {len(values)} numbers, the horizontal axis {len(places)}")
    places = np.arange(1, len(values) + 1) if places is None else places
    there = ~np.isnan(values)
    return places[there], values[there]


def _line(ax, at, values, name: str, smooth: float, colour: str) -> None:
    marker = "o" if len(values) <= 30 else None
    if not smooth:
        ax.plot(at, values, label=name, marker=marker, markersize=3, color=colour)
        return
    ax.plot(at, values, alpha=0.25, color=colour)
    ax.plot(at, _smoothed(values, smooth), color=colour, label=name)


def _smoothed(values, weight: float) -> list:
    """A running mean in which older values count less, the first ones corrected for what is missing before them."""
    out, mean = [], 0.0
    for i, value in enumerate(values, 1):
        mean = weight * mean + (1 - weight) * value
        out.append(mean / (1 - weight**i))
    return out


def learning_rates(scheduler, steps: int, *, metrics=None, log: bool = False):
    """What a scheduler makes of the learning rate, found on a copy: neither it nor its optimizer changes.

    Args:
        scheduler: a learning rate scheduler.
        steps: how often it steps.
        metrics: for `ReduceLROnPlateau`, the number that it watches, at each step.
        log: a logarithmic vertical axis.
    Returns:
        A matplotlib figure, with a line for each group of parameters.
    Raises:
        ImportError: matplotlib is not installed.

    >>> from rushlight import plot
    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    >>> figure = plot.learning_rates(torch.optim.lr_scheduler.StepLR(optimizer, 10), 30)
    >>> figure.axes[0].lines[0].get_ydata()[[0, 10, 20]].round(4).tolist(), optimizer.param_groups[0]["lr"]
    ([0.1, 0.01, 0.001], 0.1)
    """
    rates = _rates(scheduler, steps, metrics)
    figure, ((ax,),) = new_figure(5.5, 3.3)
    for i, group in enumerate(rates.T):
        ax.plot(range(len(rates)), group, label=f"group {i}")
    ax.set(xlabel="step", ylabel="learning rate", title=type(scheduler).__name__)
    ax.set_yscale("log" if log else "linear")
    ax.grid(alpha=0.3)
    if rates.shape[1] > 1:
        ax.legend()
    return figure


def _rates(scheduler, steps: int, metrics) -> np.ndarray:
    """The learning rates before each step and after the last, (steps + 1, groups)."""
    optimizer = scheduler.optimizer
    # The parameters themselves, and what the optimizer knows of them, aren't copied: they stay as they are.
    shared = {id(p): p for group in optimizer.param_groups for p in group["params"]}
    shared[id(optimizer.state)] = defaultdict(dict)
    scheduler = copy.deepcopy(scheduler, shared)
    now = lambda: [float(group["lr"]) for group in scheduler.optimizer.param_groups]
    rates = [now()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the optimizer makes no steps between
        for i in range(steps):
            scheduler.step() if metrics is None else scheduler.step(float(metrics[i]))
            rates.append(now())
    return np.array(rates)


def confusion_matrix(
    predicted, expected=None, *, names=None, normalize: bool = False, title: str | None = None
):
    """How often each class was taken for each: rows are the true classes, columns what was predicted.

    Args:
        predicted: classes (N,), or scores (N, classes); or without `expected` the matrix itself, of counts.
        expected: the true classes, (N,).
        names: of the classes.
        normalize: write shares of the true class instead of counts. The colours always show shares.
        title: the share of right ones by default.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed. ValueError: the matrix isn't square, or there are not as many names.

    >>> from rushlight import plot
    >>> figure = plot.confusion_matrix(torch.tensor([0, 1, 1, 1]), torch.tensor([0, 1, 0, 1]), names=["cat", "dog"])
    >>> figure.axes[0].get_title()
    '3 of 4 right (75.0 %)'
    """
    counts = np.asarray(_counts(predicted, expected, names))
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"confusion_matrix: expected a square matrix, got shape {list(counts.shape)}")
    classes = len(counts)
    names = [*map(str, range(classes) if names is None else names)]
    if len(names) != classes:
        raise ValueError(f"confusion_matrix: {len(names)} names for {classes} classes")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    longest = max(map(len, map(str, names)))
    size = min(max(3.0, 0.5 * classes + 1.3), 11)
    room = min(0.09 * longest, 2.5)  # for the names
    figure, ((ax,),) = new_figure(size + 1.2 + room, size + (0.7 * room if longest > 3 else 0.3))
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    beside = ax.inset_axes([1 + 0.2 / size, 0, 0.2 / size, 1])  # as high as the matrix
    figure.colorbar(image, cax=beside, label="share of the true class")
    if classes <= 25:
        for (i, j), share in np.ndenumerate(shares):
            text = f"{share:.2f}" if normalize else f"{counts[i, j]:g}"
            colour = "white" if share > 0.5 else "black" if counts[i, j] else "0.7"
            ax.text(j, i, text, ha="center", va="center", fontsize=9, color=colour)
    slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if longest > 3 else {}
    shown = slice(None, None, -(-classes // 40))
    small = {"fontsize": 7} if classes > 25 else {}
    ax.set_xticks(range(classes)[shown], names[shown], **slanted, **small)
    ax.set_yticks(range(classes)[shown], names[shown], **small)
    right, total = np.trace(counts), counts.sum()
    ax.set(xlabel="predicted", ylabel="true")
    ax.set_title(
        title or f"{right:g} of {total:g} right ({right / max(total, 1e-12):.1%})".replace("%)", " %)")
    )
    return figure


def _counts(predicted, expected, names):
    if expected is None:
        return predicted.detach().numpy() if isinstance(predicted, Tensor) else predicted
    predicted, expected = torch.as_tensor(predicted), torch.as_tensor(expected)
    if predicted.dim() == 2:
        classes = predicted.shape[1]
        predicted = predicted.argmax(1)
    else:
        classes = len(names) if names else int(max(predicted.max(), expected.max())) + 1
    matrix = ConfusionMatrix("multiclass", num_classes=max(classes, 2))
    matrix.update(predicted, expected)
    return matrix.compute().numpy()


def roc_curve(scores, expected, *, names=None):
    """The share of true positives against that of false ones, at every threshold, with the area below.

    Args:
        scores: of class 1, (N,); or of each class, (N, classes): each is then ranked against the rest.
        expected: the true classes, (N,).
        names: of the classes.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed.

    >>> from rushlight import plot
    >>> figure = plot.roc_curve(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1]))
    >>> figure.axes[0].lines[0].get_label()
    'area 0.750'
    """
    figure, ax = _ranking(scores, expected, names, ROC, AUROC, lambda fpr, tpr, _: (fpr, tpr))
    ax.plot([0, 1], [0, 1], "--", color="0.6", label="chance", linewidth=1)
    ax.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    ax.legend(loc="lower right", fontsize=9)
    return figure


def precision_recall_curve(scores, expected, *, names=None):
    """Precision against recall at every threshold, with the average precision.

    Args:
        scores: of class 1, (N,); or of each class, (N, classes): each is then ranked against the rest.
        expected: the true classes, (N,).
        names: of the classes.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed.

    >>> from rushlight import plot
    >>> figure = plot.precision_recall_curve(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1]))
    >>> figure.axes[0].lines[0].get_label()
    'average 0.833'
    """
    figure, ax = _ranking(
        scores, expected, names, PrecisionRecallCurve, AveragePrecision, lambda precision, recall, _: (recall, precision)
    )  # fmt: skip
    ax.set(xlabel="recall", ylabel="precision", title="precision against recall")
    ax.legend(loc="lower left", fontsize=9)
    return figure


def _ranking(scores, expected, names, curve, area, points):
    scores, expected = torch.as_tensor(scores), torch.as_tensor(expected)
    binary = scores.dim() == 1
    options = {} if binary else {"task": "multiclass", "num_classes": scores.shape[1]}
    curve, area = curve(**options), area(**options, average=None)
    for metric in (curve, area):
        metric.update(scores, expected)
    lines, areas = curve.compute(), area.compute().reshape(-1).tolist()
    lines = [lines] if binary else lines
    figure, ((ax,),) = new_figure(4.6, 4.4)
    word = "area" if isinstance(area, AUROC) else "average"
    for i, (line, value) in enumerate(zip(lines, areas, strict=True)):
        own = "" if binary else f"{names[i] if names else f'class {i}'}: "
        x, y = (part.numpy() for part in points(*line))
        ax.plot(x, y, label=f"{own}{word} {value:.3f}", drawstyle="steps-post" if word == "average" else None)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    ax.grid(alpha=0.3)
    return figure, ax


def calibration(probabilities, expected, *, bins: int = 15):
    """How often a network is right, against how sure it was; below, how often it was so sure.

    Args:
        probabilities: of each class, (N, classes).
        expected: the true classes, (N,).
        bins: how many bins of confidence.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed.

    Niculescu-Mizil and Caruana, "Predicting Good Probabilities with Supervised Learning" (2005).

    >>> from rushlight import plot
    >>> figure = plot.calibration(torch.tensor([[0.8, 0.2], [0.6, 0.4]]), torch.tensor([0, 1]))
    >>> figure.axes[0].get_title()
    'calibration error 0.400'
    """
    probabilities, expected = torch.as_tensor(probabilities).detach(), torch.as_tensor(expected)
    error = float(expected_calibration_error(probabilities, expected, bins))
    confidence, predicted = probabilities.max(1)
    right = (predicted == expected).numpy()
    place = np.clip(np.ceil(confidence.numpy() * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    accuracy = np.bincount(place, right, bins) / np.maximum(counts, 1)
    middles = (np.arange(bins) + 0.5) / bins
    figure, ((upper,), (lower,)) = new_figure(4.4, 5.2, 2, 1, sharex=True, height_ratios=[3, 1])
    upper.bar(middles, accuracy, 0.9 / bins, label="is right")
    upper.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1, label="as sure as right")
    upper.set(ylim=(0, 1), ylabel="accuracy", title=f"calibration error {error:.3f}")
    upper.legend(loc="upper left", fontsize=9)
    lower.bar(middles, counts / counts.sum(), 0.9 / bins, color="0.6")
    lower.set(xlim=(0, 1), xlabel="confidence", ylabel="share")
    for ax in (upper, lower):
        ax.grid(alpha=0.3)
        ax.set_axisbelow(True)
    return figure
