"""Sizes of maps, and how much of the picture one value of a map sees."""

import inspect
from dataclasses import dataclass

from rushlight import nn
from rushlight.tensor import Tensor

__all__ = ["Stage", "output_size", "receptive_field"]

_WINDOWED = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.LPPool1d, nn.LPPool2d, nn.LPPool3d,
)  # fmt: skip
_GLOBAL = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.Linear, nn.Flatten)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_POOLS = {f"{kind}_pool{n}d" for kind in ("max", "avg", "lp") for n in (1, 2, 3)}  # functions
_WHOLE = {f"adaptive_{kind}_pool{n}d" for kind in ("max", "avg") for n in (1, 2, 3)} | {
    "flatten",
    "mean",
    "linear",
}


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
    if not all(isinstance(v, int | tuple | list) for v in values):
        raise TypeError(
            f"output_size: numbers expected, or one per direction, got {', '.join(type(v).__name__ for v in values)}. For "
            "all layers of a model there is receptive_field(model, size)"
        )
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
    """What one value after each layer sees of the picture (Dumoulin and Visin, 2016; Araujo et al., 2019).

    Args:
        layers: a `Sequential` (others in it are entered), any other model, whose operations are followed through
            its branches, or a list of layers or of tuples (kernel, stride, padding, dilation), of which the last ones
            may be left out.
        input_size: height (and width) of the picture, for the sizes of the maps; of a longer shape such as
            (1, 3, 224, 224) the last two.
    Returns:
        One `Stage` per convolution or pooling. Layers that work on each value by itself are passed over; where
        branches meet, a value sees what all of them see. It ends where a layer sees the whole picture; gates that do,
        such as those of squeeze and excitation, are left out.
    Raises:
        TypeError: a layer whose values see no window, such as a transposed convolution, or a model that decides by
            values what it does.

    >>> from rushlight.utils.receptive_field import receptive_field
    >>> last = receptive_field([(3,), (3,), (3,)], 32)[-1]  # three 3x3 convolutions see 7x7
    >>> last.receptive_field, last.size
    (7, 26)
    """
    if isinstance(input_size, tuple | list):
        input_size = tuple(input_size)[-2:]
    stage = Stage("", 1, 1, 0, 1, input_size, 1, 1, 0.5)
    if not _is_stack(layers):
        return _followed(layers, stage)
    stages: list[Stage] = []
    for name, *window in _windows(layers):
        if window[0] is None:  # everything
            break
        stage = _behind(stage, name, *window)
        stages.append(stage)
    return stages


def _behind(before: Stage, name: str, kernel, stride, padding, dilation, ceil_mode: bool) -> Stage:
    """The map after one more window."""
    same = padding == "same"
    if same:
        padding = _map(lambda k, d: d * (k - 1) // 2, kernel, dilation)
    elif padding == "valid":
        padding = 0
    size, jump = before.size, before.jump
    if size is not None and not same:
        size = output_size(size, kernel, stride, padding, dilation, ceil_mode=ceil_mode)
    field = _map(lambda f, k, d, j: f + d * (k - 1) * j, before.receptive_field, kernel, dilation, jump)
    start = _map(
        lambda s, k, d, p, j: s + (d * (k - 1) / 2 - p) * j, before.start, kernel, dilation, padding, jump
    )
    jump = _map(lambda j, s: j * s, jump, stride)
    return Stage(name, kernel, stride, padding, dilation, size, field, jump, start)


# -- models whose operations are followed --------------------------------------------------------------


def _is_stack(layers) -> bool:
    """Whether the layers certainly run one after the other."""
    if not isinstance(layers, nn.Module):
        return all(_is_stack(layer) for layer in layers if isinstance(layer, nn.Module))
    runs_in_turn = type(layers).forward in (nn.Sequential.forward, nn.ModuleList.forward)
    return not layers._modules or (runs_in_turn and all(map(_is_stack, layers.children())))


def _followed(model, picture: Stage) -> list[Stage]:
    """The stages of a model with branches."""
    if not isinstance(model, nn.Module):
        model = nn.Sequential(*model)
    seen: dict = {}  # the map that a node gives; None where it sees everything, or no picture
    stages: list[Stage] = []
    tracer = _tracer(model)
    for node in tracer.graph.nodes:
        before = [seen[one] for one in node.all_input_nodes if seen[one] is not None]
        name = tracer.node_to_qualname.get(node, node.name)
        if node.op == "output":
            break
        if node.op == "placeholder":
            seen[node] = None if seen else picture
            continue
        window = _window_of(node, name, model) if before else ()
        if window is None or not before:
            seen[node] = None
        elif window:
            seen[node] = _behind(_joined(before), name, *window)
            stages.append(seen[node])
        else:
            seen[node] = _joined(before)
    return stages


def _tracer(model: nn.Module):
    """What traced a model in evaluation mode: it has the graph, and names."""
    from rushlight.fx.proxy import TraceError  # these are above this one, and needed here alone
    from rushlight.vision.models.feature_extraction import NodePathTracer

    modes = {module: module.training for module in model.modules()}
    try:
        tracer = NodePathTracer()
        tracer.trace(model.eval())
        return tracer
    except TraceError as error:
        raise TypeError(
            f"receptive_field: the operations of {type(model).__name__} cannot be followed ({error}). Give its layers as a "
            "list"
        ) from error
    finally:
        for module, mode in modes.items():
            module.training = mode


def _window_of(node, called: str, model: nn.Module):
    """The window of an operation; () if each value is by itself, None if it sees everything."""
    if node.op == "call_module":
        layer = model.get_submodule(node.target)
        _refuse_transposed(called, layer)
        if isinstance(layer, _WINDOWED):
            return _window(layer)
        # A linear layer works on each place by itself, unless all of them were put into one before.
        whole = isinstance(layer, (*_GLOBAL, nn.MultiheadAttention)) and not isinstance(layer, nn.Linear)
        return None if whole else ()
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if name in _POOLS:
        return _window_of_pool(node)
    if name.startswith(("conv", "interpolate", "upsample")):
        raise TypeError(
            f"receptive_field: {called} is the function {name}, whose window isn't known. Use a layer for it, or give a "
            "list of windows"
        )
    return None if name in _WHOLE else ()


def _window_of_pool(node) -> tuple:
    """That of a function such as max_pool2d."""
    target = getattr(Tensor, node.target) if isinstance(node.target, str) else node.target
    bound = inspect.signature(target).bind(*node.args, **node.kwargs)
    bound.apply_defaults()
    given = bound.arguments
    stride = given.get("stride")
    parts = (given["kernel_size"], given["kernel_size"] if stride in (None, ()) else stride)
    parts += (given.get("padding", 0), given.get("dilation", 1))
    return *map(_plain, parts), bool(given.get("ceil_mode", False))


def _joined(maps: list[Stage]) -> Stage:
    """What a value sees that is computed from one of each of these maps."""
    first, *others = maps
    for other in others:
        low = _map(min, _edge(first, -1), _edge(other, -1))
        high = _map(max, _edge(first, 1), _edge(other, 1))
        field = _map(lambda a, b: _whole(b - a), low, high)
        middle = _map(lambda a, b: (a + b) / 2, low, high)
        jump = _map(max, first.jump, other.jump)
        first = Stage("", 1, 1, 0, 1, first.size, field, jump, middle)
    return first


def _edge(stage: Stage, side: int):
    """The lower (-1) or the upper (1) end of what the first value sees."""
    return _map(lambda s, f: s + side * f / 2, stage.start, stage.receptive_field)


def _whole(number: float):
    return int(number) if number == int(number) else number


# -- windows of layers ---------------------------------------------------------------------------------


def _refuse_transposed(name: str, layer) -> None:
    if isinstance(layer, _TRANSPOSED + (nn.Upsample,)):
        raise TypeError(
            f"receptive_field: layer {name!r} is {type(layer).__name__}, which has no window of its own on its input. "
            "Give the layers before it."
        )


def _windows(layers, prefix: str = ""):
    """(name, kernel, stride, padding, dilation, ceil_mode) of each layer with windows."""
    named = layers.named_children() if isinstance(layers, nn.Module) else enumerate(layers)
    if isinstance(layers, _WINDOWED + _TRANSPOSED):
        named = [("", layers)]
    for key, layer in named:
        name = f"{prefix}.{key}" if prefix else str(key)
        _refuse_transposed(name, layer)
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
