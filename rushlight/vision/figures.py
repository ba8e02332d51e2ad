"""Pictures of filters and of what layers make of a picture, as figures of matplotlib."""

from rushlight.autograd.grad_mode import no_grad
from rushlight.nn import Module
from rushlight.tensor import Tensor
from rushlight.utils.figure import new_figure
from rushlight.vision.utils import make_grid

__all__ = ["activation_figure", "activations", "filter_figure"]


def _figure(width: float, height: float, rows: int = 1):
    """A figure and its axes, one below the other."""
    figure, axes = new_figure(width, height, rows)
    return figure, axes[:, 0]


def _show(axes, maps: Tensor, columns: int, title: str) -> None:
    """Draw maps of shape (N, C, H, W) beside each other, each from its own darkest to its brightest value."""
    grid = make_grid(
        maps.detach().float(), nrow=columns, padding=1, normalize=True, scale_each=True, pad_value=1.0
    )
    axes.imshow(grid.permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.set_title(title)
    axes.set_axis_off()


def _rows(count: int, columns: int) -> int:
    return -(-count // columns)


def filter_figure(layer, *, columns: int = 8, limit: int = 64, title: str | None = None):
    """The filters of a convolution: in colour if they see 3 channels, else one grey picture per filter and channel.

    Args:
        layer: a `Conv2d`, a model (its first `Conv2d` is drawn), or a weight of shape (filters, channels, height, width).
        columns: filters per row.
        limit: how many are drawn.
        title: of the figure; the shape by default.
    Returns:
        A matplotlib figure; `figure.savefig(path)` writes it.
    Raises:
        ImportError: matplotlib is not installed. ValueError: there is no such weight.

    >>> from rushlight.vision.figures import filter_figure
    >>> figure = filter_figure(torch.nn.Conv2d(3, 16, 5))
    >>> figure.axes[0].get_title()
    '16 filters of 3 x 5 x 5'
    """
    weight = layer if isinstance(layer, Tensor) else _first_filters(layer)
    if weight.dim() != 4:
        raise ValueError(f"filter_figure: expected a weight of 4 dimensions, got shape {list(weight.shape)}")
    count, channels, height, width = weight.shape
    maps = weight if channels == 3 else weight.reshape(count * channels, 1, height, width)
    maps = maps[:limit]
    figure, (axes,) = _figure(columns, _rows(len(maps), columns) + 0.5)
    _show(axes, maps, columns, title or f"{count} filters of {channels} x {height} x {width}")
    return figure


def _first_filters(model) -> Tensor:
    if isinstance(model, Module):
        for module in model.modules():
            weight = getattr(module, "weight", None)
            if weight is not None and weight.dim() == 4:
                return weight
    raise ValueError(f"filter_figure: {type(model).__name__} has no filters of 4 dimensions")


def activations(model: Module, x, layers=None) -> dict:
    """What layers of a model make of an input; the model is left as it is, in its mode.

    Args:
        model: the model.
        x: its input.
        layers: name of a layer, or several, as `named_modules` has them; by default all convolutions.
    Returns:
        The outputs by name, in the order of the calls, without gradients.
    Raises:
        ValueError: there is no layer of a name.

    >>> from rushlight.vision.figures import activations
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    >>> {name: out.shape for name, out in activations(net, torch.zeros(1, 1, 8, 8), ["0", "1"]).items()}
    {'0': torch.Size([1, 4, 6, 6]), '1': torch.Size([1, 4, 6, 6])}
    """
    modules = dict(model.named_modules())
    layers = [layers] if isinstance(layers, str) else layers
    if layers is None:
        layers = [name for name, m in modules.items() if getattr(getattr(m, "weight", None), "ndim", 0) == 4]
    unknown = [name for name in layers if name not in modules]
    if unknown:
        parts = ", ".join(name for name, _ in model.named_children())
        raise ValueError(f"activations: the model has no layer {unknown[0]!r}; its parts are {parts}")
    kept: dict = {}

    def keep(name):
        # A copy: the next layer may work in place.
        return lambda module, args, output: kept.__setitem__(name, output.detach().clone())

    handles = [modules[name].register_forward_hook(keep(name)) for name in layers]
    try:
        with no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return kept


def activation_figure(model: Module, x, layers=None, *, columns: int = 8, limit: int = 16):
    """The maps that layers make of one picture, a block of grey pictures per layer.

    Args:
        model: the model; put it into `eval` mode first.
        x: the picture, (C, H, W), or a batch, of which the first is drawn.
        layers: names of layers; by default all convolutions.
        columns: maps per row.
        limit: how many maps of each layer are drawn.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed. ValueError: there is no layer of a name, or none makes maps.

    >>> from rushlight.vision.figures import activation_figure
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    >>> figure = activation_figure(net, torch.rand(1, 8, 8), ["0", "1"])
    >>> [axes.get_title() for axes in figure.axes]
    ['0: 4 maps of 6 x 6', '1: 4 maps of 6 x 6']
    """
    found = activations(model, x.unsqueeze(0) if x.dim() == 3 else x[:1], layers)
    found = {name: maps[0].unsqueeze(1) for name, maps in found.items() if maps.dim() == 4}
    if not found:
        raise ValueError("activation_figure: none of the layers makes maps of shape (N, C, H, W)")
    rows = sum(_rows(min(len(maps), limit), columns) for maps in found.values())
    figure, all_axes = _figure(columns, rows + 0.4 * len(found), len(found))
    for axes, (name, maps) in zip(all_axes, found.items(), strict=True):
        count, _, height, width = maps.shape
        _show(axes, maps[:limit], columns, f"{name}: {count} maps of {height} x {width}")
    return figure
