"""Figures of functions: activations with their gradients, and the ways of optimizers over a surface."""

import numpy as np

import rushlight as torch
from rushlight import nn
from rushlight.utils.figure import new_figure

__all__ = ["activation_functions", "descend", "himmelblau", "optimizer_paths"]

_ACTIVATIONS = (
    "Sigmoid", "Tanh", "ReLU", "LeakyReLU", "ELU", "SELU", "GELU", "SiLU", "Mish", "Softplus", "Hardswish", "Softsign",
)  # fmt: skip


def activation_functions(functions=None, *, low: float = -5.0, high: float = 5.0, columns: int = 4):
    """Activation functions and their gradients.

    Args:
        functions: a dictionary of functions (or modules) of a tensor by name, or a list of them; by default those that are
            in use.
        low, high: the ends of the horizontal axis.
        columns: charts per row.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed.

    >>> from rushlight import plot
    >>> figure = plot.activation_functions([torch.nn.ReLU(), torch.tanh])
    >>> [axes.get_title() for axes in figure.axes]
    ['ReLU', 'tanh']
    """
    if functions is None:
        functions = [getattr(nn, name)() for name in _ACTIVATIONS]
    if not isinstance(functions, dict):
        functions = {getattr(f, "__name__", type(f).__name__): f for f in functions}
    across = min(columns, len(functions))
    down = -(-len(functions) // across)
    figure, axes = new_figure(2.7 * across, 2.3 * down + 0.3, down, across, sharex=True)
    for ax, (name, function) in zip(axes.flat, functions.items(), strict=False):
        x = torch.linspace(low, high, 401, dtype=torch.float64, requires_grad=True)
        y = function(x)
        (gradient,) = torch.autograd.grad(y.sum(), x)
        at = x.detach().numpy()
        ax.axhline(0, color="0.8", linewidth=0.8)
        ax.axvline(0, color="0.8", linewidth=0.8)
        ax.plot(at, y.detach().numpy(), label="function")
        ax.plot(at, gradient.numpy(), "--", label="gradient")
        ax.set_title(name, fontsize=10)
        ax.tick_params(labelsize=8)
    for ax in axes.flat[len(functions) :]:
        ax.remove()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def himmelblau(x, y):
    """Himmelblau's function, (x² + y - 11)² + (x + y² - 7)²: four minima, all of them 0, and one maximum between.

    Himmelblau, Applied Nonlinear Programming (1972).

    >>> from rushlight import plot
    >>> plot.himmelblau(3, 2)
    0
    """
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def descend(function, start, optimizer, steps: int = 100):
    """The way of an optimizer down a surface.

    Args:
        function: of two tensors, x and y.
        start: the place (x, y) to begin at.
        optimizer: makes an optimizer of a list of parameters.
        steps: how many steps; fewer if it leaves the finite numbers.
    Returns:
        The places, (steps + 1, 2), float64.

    >>> from rushlight import plot
    >>> path = plot.descend(plot.himmelblau, (0.0, 0.0), lambda params: torch.optim.Adam(params, lr=0.1), 200)
    >>> path[-1].round(decimals=3)
    tensor([3., 2.], dtype=torch.float64)
    """
    place = nn.Parameter(torch.tensor([float(value) for value in start], dtype=torch.float64))
    moves = optimizer([place])
    path = [place.detach().clone()]

    def closure():
        moves.zero_grad()
        value = function(place[0], place[1])
        value.backward()
        return value

    for _ in range(steps):
        moves.step(closure)
        if not torch.isfinite(place).all():
            break
        path.append(place.detach().clone())
    return torch.stack(path)


def _usual_optimizers() -> dict:
    optim = torch.optim
    return {
        "SGD": lambda p: optim.SGD(p, lr=0.01),
        "SGD with momentum": lambda p: optim.SGD(p, lr=0.001, momentum=0.9),
        "RMSprop": lambda p: optim.RMSprop(p, lr=0.03),
        "Adam": lambda p: optim.Adam(p, lr=0.2),
    }


def optimizer_paths(
    function=himmelblau, start=(0.0, 0.0), optimizers: dict | None = None, *, steps: int = 100, x_range=(-5.0, 5.0),
    y_range=(-5.0, 5.0), dimensions: tuple = (2, 3), title: str | None = None,
):  # fmt: skip
    """The ways of optimizers from one place, on a map of a surface and on the surface in space.

    Args:
        function: of two tensors, x and y; also of many places at once.
        start: the place (x, y) to begin at.
        optimizers: by name, functions that make an optimizer of a list of parameters; by default SGD, SGD with momentum,
            RMSprop and Adam.
        steps: how many steps each makes.
        x_range, y_range: what is shown.
        dimensions: 2 for the map, 3 for the surface in space, or both.
        title: of the figure.
    Returns:
        A matplotlib figure.
    Raises:
        ImportError: matplotlib is not installed.

    >>> from rushlight import plot
    >>> adam = {"Adam": lambda params: torch.optim.Adam(params, lr=0.1)}
    >>> figure = plot.optimizer_paths(lambda x, y: x**2 + 3 * y**2, (4, 3), adam, steps=20)
    >>> [axes.name for axes in figure.axes[:2]]
    ['rectilinear', '3d']
    """
    dimensions = (dimensions,) if isinstance(dimensions, int) else dimensions
    optimizers = _usual_optimizers() if optimizers is None else optimizers
    paths = {name: descend(function, start, make, steps).numpy() for name, make in optimizers.items()}
    surface = _surface(function, x_range, y_range)
    figure, axes = new_figure(5.6 * len(dimensions), 5.0)
    axes[0, 0].remove()
    for i, dimension in enumerate(dimensions, 1):
        projection = {"projection": "3d"} if dimension == 3 else {}
        ax = figure.add_subplot(1, len(dimensions), i, **projection)
        (_space if dimension == 3 else _map)(ax, function, surface, paths)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(handles), 5), frameon=False)
    figure.suptitle(title) if title else None
    return figure


def _surface(function, x_range, y_range) -> tuple:
    x, y = (torch.linspace(*ends, 121, dtype=torch.float64) for ends in (x_range, y_range))
    x, y = torch.meshgrid(x, y, indexing="xy")
    values = torch.as_tensor(function(x, y)).detach().expand(x.shape)
    return x.numpy(), y.numpy(), values.numpy()


def _heights(values: np.ndarray) -> np.ndarray:
    """Heights at which the map has lines: closer together near the lowest place."""
    low, high = values.min(), values.max()
    return low + (high - low) * np.linspace(0, 1, 24) ** 3


def _inside(path: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The way as far as it is shown: up to where it leaves the map."""
    out = (path[:, 0] < x.min()) | (path[:, 0] > x.max()) | (path[:, 1] < y.min()) | (path[:, 1] > y.max())
    return path[: int(np.argmax(out))] if out.any() else path


def _map(ax, function, surface: tuple, paths: dict) -> None:
    x, y, values = surface
    heights = _heights(values)
    if heights[-1] > heights[0]:
        ax.contourf(x, y, values, heights, cmap="Greys", alpha=0.55, norm="asinh")
        ax.contour(x, y, values, heights, colors="0.45", linewidths=0.5)
    for name, path in paths.items():
        (line,) = ax.plot(*path.T, ".-", label=name, linewidth=1.6, markersize=3.5, zorder=3)
        ax.plot(*path[-1], "*", color=line.get_color(), markersize=13, markeredgecolor="white", zorder=4)
    first = next(iter(paths.values()))[0]
    ax.plot(*first, "o", color="black", markersize=7, zorder=5)
    ax.annotate("start", first, xytext=(8, -14), textcoords="offset points", zorder=5)
    ax.set(xlabel="x", ylabel="y", xlim=(x.min(), x.max()), ylim=(y.min(), y.max()))


def _space(ax, function, surface: tuple, paths: dict) -> None:
    x, y, values = surface
    ax.plot_surface(x, y, values, cmap="viridis", alpha=0.6, linewidth=0, rstride=3, cstride=3)
    lift = 0.01 * (values.max() - values.min())  # above the surface, which would hide half of the line
    for name, path in paths.items():
        path = _inside(path, x, y)
        height = torch.as_tensor(function(*torch.tensor(path.T.copy()))).numpy()
        ax.plot(*path.T, height + lift, ".-", label=name, linewidth=1.8, markersize=3, zorder=10)
    ax.set(xlabel="x", ylabel="y")
    ax.view_init(elev=50, azim=-60)
