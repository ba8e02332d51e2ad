"""Figures of pictures with what a network says about them."""

import numpy as np

import rushlight as torch
from rushlight.utils.figure import new_figure

__all__ = ["keypoints", "predictions", "segmentation"]


def _shown(picture) -> np.ndarray:
    """A picture (C, H, W) or (H, W) as matplotlib takes it. Values beyond 0 to 1 (normalized ones) are spread over it."""
    picture = torch.as_tensor(picture).detach()
    array = (picture.permute(1, 2, 0) if picture.dim() == 3 else picture).numpy()
    array = array / 255 if array.dtype == np.uint8 else array.astype(np.float32)
    low, high = array.min(), array.max()
    if low < 0 or high > 1:
        array = (array - low) / max(high - low, 1e-12)
    return array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array


def _grid(pictures, columns: int, extra: float = 0.35):
    """A figure with the pictures beside each other, and their axes."""
    count = len(pictures)
    if not count:
        raise ValueError("there are no pictures to show")
    across = min(columns, count)
    down = -(-count // across)
    figure, axes = new_figure(1.7 * across, (1.7 + extra) * down, down, across)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, picture in zip(axes.flat, pictures, strict=False):
        ax.imshow(_shown(picture), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    return figure, axes.flat


def predictions(images, predicted, expected=None, *, names=None, columns: int = 8, limit: int = 32):
    """Pictures with the classes that were predicted; wrong ones have a red frame and say what is true.

    Args:
        images: (N, C, H, W) or (N, H, W): uint8, floats from 0 to 1, or normalized.
        predicted: classes (N,), or scores (N, classes), whose softmax is then shown as a probability if they aren't
            probabilities already.
        expected: the true classes, (N,).
        names: of the classes.
        columns: pictures per row.
        limit: how many are shown.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed. ValueError: there are no pictures.

    >>> from rushlight import plot
    >>> figure = plot.predictions(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), torch.tensor([0, 0]), names=["cat", "dog"])
    >>> [axes.get_title() for axes in figure.axes]
    ['cat', 'dog, not cat']
    """
    scores = torch.as_tensor(predicted).detach()
    likely = None
    if scores.dim() == 2:
        sums = scores.sum(1)
        given = bool((scores >= 0).all()) and bool((sums - 1).abs().max() < 1e-3)
        likely, scores = (scores if given else scores.softmax(1)).max(1)
    figure, axes = _grid(images[:limit], columns)
    name = lambda label: str(names[int(label)] if names is not None else int(label))
    for i, ax in zip(range(min(len(images), limit)), axes, strict=False):
        text = name(scores[i])
        wrong = expected is not None and int(scores[i]) != int(expected[i])
        text += f", not {name(expected[i])}" if wrong else ""
        text += f"\n{float(likely[i]):.0%}".replace("%", " %") if likely is not None else ""
        ax.set_title(text, fontsize=9, color="tab:red" if wrong else "black")
        if wrong:
            _frame(ax)
    return figure


def _frame(ax) -> None:
    ax.set_axis_on()
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(color="tab:red", linewidth=3)


def keypoints(images, points, expected=None, *, columns: int = 4, limit: int = 16):
    """Pictures with points on them, such as the corners of eyes and mouth.

    Args:
        images: (N, C, H, W) or (N, H, W).
        points: the predicted points in pixels, (N, points, 2) of (x, y), or (N, 2 * points); NaN where there is none.
        expected: the true ones, likewise.
        columns: pictures per row.
        limit: how many are shown.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed. ValueError: there are no pictures.

    >>> from rushlight import plot
    >>> figure = plot.keypoints(torch.rand(2, 1, 8, 8), torch.rand(2, 5, 2) * 8, torch.rand(2, 10) * 8)
    >>> len(figure.axes)
    2
    """
    figure, axes = _grid(images[:limit], columns, extra=0.05)
    marks = [(points, "x", "tab:red", "predicted")]
    if expected is not None:
        marks.insert(0, (expected, "o", "lime", "true"))
    for i, ax in zip(range(min(len(images), limit)), axes, strict=False):
        ax.autoscale(False)  # a point beyond the picture does not make it smaller
        for places, marker, colour, label in marks:
            x, y = torch.as_tensor(places[i]).detach().reshape(-1, 2).numpy().T
            filled = {"facecolors": "none", "edgecolors": colour} if marker == "o" else {"color": colour}
            ax.scatter(x, y, s=24, marker=marker, label=label, linewidths=1.4, **filled)
    if expected is not None:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def segmentation(
    image, predicted, expected=None, *, names=None, opacity: float = 0.55, ignore_index: int = 255
):
    """A picture, and beside it the classes of its pixels in colours on it.

    Args:
        image: (C, H, W) or (H, W).
        predicted: the class of each pixel, (H, W), or scores (classes, H, W).
        expected: the true ones, (H, W): then what is wrong is shown too.
        names: of the classes.
        opacity: of the colours, 0 to 1.
        ignore_index: a class that isn't shown, nor counted as wrong.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed. ValueError: there are no as many pixels as classes of them.

    >>> from rushlight import plot
    >>> figure = plot.segmentation(torch.rand(3, 8, 8), torch.eye(8).long(), torch.zeros(8, 8).long())
    >>> [axes.get_title() for axes in figure.axes]
    ['picture', 'predicted', 'true', 'wrong: 12.5 %']
    """
    background = _shown(image)
    predicted = torch.as_tensor(predicted).detach()
    predicted = (predicted.argmax(0) if predicted.dim() == 3 else predicted).numpy()
    masks = {"picture": None, "predicted": predicted}
    if expected is not None:
        expected = torch.as_tensor(expected).numpy()
        wrong = (predicted != expected) & (expected != ignore_index)
        share = wrong.sum() / max((expected != ignore_index).sum(), 1)
        masks |= {"true": expected, f"wrong: {100 * share:.1f} %": wrong}
    for title, mask in masks.items():
        if mask is not None and mask.shape != background.shape[:2]:
            raise ValueError(
                f"segmentation: the picture has shape {list(background.shape[:2])}, {title} {list(mask.shape)}"
            )
    height, width = background.shape[:2]
    figure, axes = new_figure(2.8 * len(masks), 2.8 * height / width + 0.7, 1, len(masks))
    for ax, (title, mask) in zip(axes[0], masks.items(), strict=True):
        ax.imshow(background, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(title, fontsize=10)
        ax.set_axis_off()
        if mask is not None:
            ax.imshow(_coloured(mask, opacity, ignore_index), interpolation="nearest")
    present = [mask for mask in (predicted, expected) if mask is not None]
    _legend(figure, sorted({*np.concatenate([np.unique(mask) for mask in present])} - {ignore_index}), names)
    return figure


def _colour(number: int) -> tuple:
    from matplotlib import colormaps

    if number < 10:
        return colormaps["tab10"](number)[:3]
    return colormaps["hsv"](number * 0.381966 % 1)[
        :3
    ]  # the golden section: neighbours differ, and none repeats


def _coloured(mask: np.ndarray, opacity: float, ignore_index: int) -> np.ndarray:
    """The classes of pixels as colours (H, W, 4), transparent where nothing is to be shown; wrong pixels in red."""
    out = np.zeros((*mask.shape, 4), np.float32)
    if mask.dtype == bool:
        out[mask] = (0.9, 0.1, 0.1, 0.85)
        return out
    for number in np.unique(mask):
        if number != ignore_index:
            out[mask == number] = (*_colour(int(number)), opacity)
    return out


def _legend(figure, numbers: list, names) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(color=_colour(int(number)), label=str(names[int(number)] if names is not None else int(number)))
        for number in numbers
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(handles), 8) or 1,
        frameon=False,
        fontsize=9,
    )
