"""Sizes of maps, and how much of the picture one value of a map sees."""

from dataclasses import dataclass

from rushlight import nn

__all__ = ["Stage", "output_size", "receptive_field"]

_WINDOWED = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.LPPool1d, nn.LPPool2d, nn.LPPool3d,
)  # fmt: skip
_GLOBAL = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.Linear, nn.Flatten)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Stage:
    """The map after one layer. Where directions differ, values are tuples.

    Attributes:
        name: of the layer.
        kernel, stride, padding, dilation: its window.
        size: height (and width) of the map; None if no size was given.
        receptive_field: side of the part of the picture that one value depends on, in pixels.
        jump: pixels of the picture between neighbouring values.
        start: middle of the part that the first value sees, where 0.5 is that of the picture's first pixel.
    """

    name: str
    kernel: int | tuple
    stride: int | tuple
    padding: int | tuple
    dilation: int | tuple
    size: int | tuple | None
    receptive_field: int | tuple
    jump: int | tuple
    start: float | tuple


def output_size(size, kernel_size, stride=1, padding=0, dilation=1, *, ceil_mode: bool = False, strict=False):
    """The size of a map after a convolution or a pooling: floor((W - F + 2P) / S) + 1 for a window of size F.

    Args:
        size: W, a number or one per direction.
        kernel_size, stride, padding, dilation: of the window; a number or one per direction. A dilated window has
            size D (F - 1) + 1.
        ceil_mode: round up, as poolings can; a window must still start inside the padded picture.
        strict: refuse windows that do not fit a whole number of times.
    Returns:
        A number, or a tuple if any argument is one.
    Raises:
        ValueError: the window is larger than the padded picture, or does not fit where `strict`.

    >>> from rushlight.utils.receptive_field import output_size
    >>> output_size(224, 7, 2, 3), output_size((32, 28), 5)
    (112, (28, 24))
    """
    values = (size, kernel_size, stride, padding, dilation)
    count = max((len(v) for v in values if isinstance(v, tuple | list)), default=0)
    if count:
        columns = zip(*(_each(v, count) for v in values), strict=True)
        return tuple(output_size(*c, ceil_mode=ceil_mode, strict=strict) for c in columns)
    span = dilation * (kernel_size - 1) + 1
    room = size + 2 * padding - span
    if room < 0:
        raise ValueError(
            f"output_size: a window of {span} is larger than the input of {size} with its padding of {padding}"
        )
    if strict and room % stride:
        raise ValueError(
            f"output_size: ({size} - {span} + 2 * {padding}) / {stride} + 1 = {room / stride + 1:.3g} is no whole number: "
            "the windows do not cover the input evenly"
        )
    if not ceil_mode:
        return room // stride + 1
    steps = -(-room // stride) + 1
    return steps - 1 if (steps - 1) * stride >= size + padding else steps


def receptive_field(layers, input_size=None) -> list[Stage]:
    """What one value after each layer of a stack sees of the picture (Dumoulin and Visin, 2016; Araujo et al., 2019).

    Args:
        layers: a `Sequential` (others in it are entered), any module whose children run one after the other, or a
            list of layers or of tuples (kernel, stride, padding, dilation), of which the last ones may be left out.
        input_size: height (and width) of the picture, for the sizes of the maps.
    Returns:
        One `Stage` per convolution or pooling. Layers that work on each value by itself are passed over.
    Raises:
        TypeError: a layer whose values see no window, such as a transposed convolution.

    >>> from rushlight.utils.receptive_field import receptive_field
    >>> last = receptive_field([(3,), (3,), (3,)], 32)[-1]  # three 3x3 convolutions see 7x7
    >>> last.receptive_field, last.size
    (7, 26)
    """
    stages: list[Stage] = []
    field, jump, start, size = 1, 1, 0.5, input_size
    for name, kernel, stride, padding, dilation, ceil_mode in _windows(layers):
        if kernel is None:  # everything
            break
        same = padding == "same"
        if same:
            padding = _map(lambda k, d: d * (k - 1) // 2, kernel, dilation)
        elif padding == "valid":
            padding = 0
        if size is not None and not same:
            size = output_size(size, kernel, stride, padding, dilation, ceil_mode=ceil_mode)
        field = _map(lambda f, k, d, j: f + d * (k - 1) * j, field, kernel, dilation, jump)
        start = _map(
            lambda s, k, d, p, j: s + (d * (k - 1) / 2 - p) * j, start, kernel, dilation, padding, jump
        )
        jump = _map(lambda j, s: j * s, jump, stride)
        stages.append(Stage(name, kernel, stride, padding, dilation, size, field, jump, start))
    return stages


def _windows(layers, prefix: str = ""):
    """(name, kernel, stride, padding, dilation, ceil_mode) of each layer with windows."""
    named = layers.named_children() if isinstance(layers, nn.Module) else enumerate(layers)
    if isinstance(layers, _WINDOWED + _TRANSPOSED):
        named = [("", layers)]
    for key, layer in named:
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(layer, _TRANSPOSED + (nn.Upsample,)):
            raise TypeError(
                f"receptive_field: layer {name!r} is {type(layer).__name__}, which has no window of its own on its input. "
                "Give the layers before it."
            )
        if isinstance(layer, _WINDOWED):
            yield name, *_window(layer)
        elif isinstance(layer, _GLOBAL):
            yield name, None, None, None, None, False
        elif isinstance(layer, nn.Module):
            yield from _windows(layer, name)
        else:
            kernel, stride, padding, dilation = (*layer, *(None, 1, 0, 1)[len(layer) :])
            yield name, kernel, stride, padding, dilation, False


def _window(layer: nn.Module) -> tuple:
    stride = layer.kernel_size if getattr(layer, "stride", None) is None else layer.stride
    parts = (layer.kernel_size, stride, getattr(layer, "padding", 0), getattr(layer, "dilation", 1))
    return *map(_plain, parts), getattr(layer, "ceil_mode", False)


def _plain(value):
    """One number where all directions agree."""
    if isinstance(value, tuple | list):
        return value[0] if len(set(value)) == 1 else tuple(value)
    return value


def _each(value, count: int):
    return tuple(value) if isinstance(value, tuple | list) else (value,) * count


def _map(function, *values):
    """A function of numbers, for each direction where any value is a tuple."""
    count = max((len(v) for v in values if isinstance(v, tuple)), default=0)
    if not count:
        return function(*values)
    return _plain(tuple(function(*c) for c in zip(*(_each(v, count) for v in values), strict=True)))
