"""Figures of matplotlib, which is imported when one is made."""

from importlib import import_module


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options):
    """A figure that belongs to no window, and its axes.

    Args:
        width, height: in inches.
        rows, columns: of axes.
        **options: of `Figure.subplots`.
    Returns:
        The figure, and an array of axes of shape (rows, columns).
    Raises:
        ImportError: matplotlib is not installed.

    >>> from rushlight.utils.figure import new_figure
    >>> figure, axes = new_figure(4, 3, rows=2)
    >>> axes.shape
    (2, 1)
    """
    try:
        figure = import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    except ImportError as error:
        raise ImportError(
            f"matplotlib is needed to draw figures, and it cannot be imported ({error}). "
            "Install it: pip install rushlight[demo]"
        ) from error
    return figure, figure.subplots(rows, columns, squeeze=False, **options)
