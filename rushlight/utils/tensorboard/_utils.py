"""Pictures as arrays in the layout that is written."""

from importlib import import_module

import numpy as np


def figure_to_image(figures, close: bool = True) -> np.ndarray:
    """Figures of matplotlib as pictures.

    Args:
        figures: one figure, or a list of figures of one size.
        close: forget them, where pyplot made them.
    Returns:
        uint8, (3, height, width), or (N, 3, height, width) for a list.
    """
    if isinstance(figures, list):
        return np.stack([figure_to_image(figure, close) for figure in figures])
    canvas = import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(figures)
    canvas.draw()
    image = np.array(canvas.buffer_rgba())[:, :, :3].transpose(2, 0, 1)
    if close:
        import_module("matplotlib.pyplot").close(figures)
    return image


def make_grid(images: np.ndarray, ncols: int = 8) -> np.ndarray:
    """Pictures (N, 1 or 3, H, W) beside each other without gaps: (3, rows * H, columns * W)."""
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise AssertionError(f"expected pictures of shape (N, 1 or 3, H, W), got {list(images.shape)}")
    count, _, height, width = images.shape
    columns = min(count, ncols)
    rows = -(-count // columns)
    grid = np.zeros((rows * columns, 3, height, width), images.dtype)
    grid[:count] = images
    grid = grid.reshape(rows, columns, 3, height, width).transpose(2, 0, 3, 1, 4)
    return grid.reshape(3, rows * height, columns * width)


def convert_to_HWC(tensor: np.ndarray, input_format: str) -> np.ndarray:
    """A picture, or a batch as a grid, with channels last; grey ones in three channels.

    Args:
        tensor: the array.
        input_format: its dimensions in order, such as "CHW", "NHWC" or "HW".
    """
    input_format = input_format.upper()
    if len(set(input_format)) != len(input_format):
        raise AssertionError(
            f"You can not use the same dimension shorthand twice. input_format: {input_format}"
        )
    if tensor.ndim != len(input_format):
        raise AssertionError(
            f"size of input tensor and input format are different. tensor shape: {tensor.shape}, "
            f"input_format: {input_format}"
        )
    if tensor.ndim == 4:
        return make_grid(tensor.transpose([input_format.find(c) for c in "NCHW"])).transpose(1, 2, 0)
    if tensor.ndim == 2:
        tensor, input_format = tensor[..., None], input_format + "C"
    tensor = tensor.transpose([input_format.find(c) for c in "HWC"])
    return np.repeat(tensor, 3, axis=2) if tensor.shape[2] == 1 else tensor


def prepare_video(videos: np.ndarray) -> np.ndarray:
    """Videos (N, T, C, H, W) as one, of frames that show all of them in a grid: (T, rows * H, columns * W, C).

    The grid has a power of two of places, and as many columns as rows, or twice or four times as many.
    """
    count, frames, channels, height, width = videos.shape
    places = 1 << max(count - 1, 0).bit_length()
    rows = 1 << (count.bit_length() - 1) // 2
    padded = np.zeros((places, frames, channels, height, width), videos.dtype)
    padded[:count] = videos
    grid = padded.reshape(rows, places // rows, frames, channels, height, width).transpose(2, 0, 4, 1, 5, 3)
    return grid.reshape(frames, rows * height, -1, channels)
