"""Integrals and derivatives of sampled functions."""

from rushlight.ops.common import Tensor, check_tensor, floating
from rushlight.ops.joining import cat
from rushlight.ops.registry import alias, numpy_names, op
from rushlight.tensor import check_dim


def _widths(name: str, y: Tensor, x, dx, axis: int):
    """The distances between samples: a number, or a tensor that broadcasts along `axis`."""
    if x is None:
        return dx
    if x.ndim == 1 and y.ndim > 0:
        if x.shape[0] != y.shape[axis]:
            raise RuntimeError(
                f"{name}: There must be one `x` value for each sample point: expected {y.shape[axis]}, got {x.shape[0]}"
            )
        return x.diff().reshape(-1, *[1] * (y.ndim - 1 - axis))
    if x.ndim == 0:
        return x.new_zeros(())
    return x.diff(dim=check_dim(axis - y.ndim, x.ndim))


def _pieces(name: str, y, x, dx, dim):
    """The area under each pair of neighbouring samples."""
    axis = check_dim(dim, check_tensor(name, y).ndim)
    if y._array.dtype.kind == "b":
        raise RuntimeError(f"{name}: received a bool input for `y`, but bool is not supported")
    n = y.shape[axis]
    if x is not None and x._array.dtype.kind == "b":
        raise RuntimeError(f"{name}: received a bool input for `x`, but bool is not supported")
    sums = y.narrow(axis, 1, max(n - 1, 0)) + y.narrow(axis, 0, max(n - 1, 0)) if n else y
    return floating(sums * _widths(name, y, x, dx, axis)) / 2 if n else floating(sums), axis


@op(method=False)
@numpy_names
def trapezoid(y, x=None, *, dx=1, dim=-1):
    """The integral of samples by the trapezoidal rule.

    Args:
        y: values of the function.
        x: where they were taken; `dx` apart if not given.
        dx: the distance between samples.
        dim: the dimension along which to integrate.
    Returns:
        A tensor without that dimension.

    >>> import rushlight as torch
    >>> torch.trapezoid(torch.tensor([1.0, 5.0, 10.0]))
    tensor(10.5000)
    """
    pieces, axis = _pieces("trapezoid", y, x, dx, dim)
    return pieces.sum(axis if pieces.ndim == y.ndim else axis - y.ndim)


alias("trapz", trapezoid, method=False)


@op(method=False)
@numpy_names
def cumulative_trapezoid(y, x=None, *, dx=1, dim=-1):
    """The running integral of samples by the trapezoidal rule: one value fewer than there are samples.

    Args:
        y, x, dx, dim: as in `trapezoid`.

    >>> import rushlight as torch
    >>> torch.cumulative_trapezoid(torch.tensor([1.0, 5.0, 10.0]))
    tensor([ 3.0000, 10.5000])
    """
    pieces, axis = _pieces("cumulative_trapezoid", y, x, dx, dim)
    return pieces.cumsum(axis if pieces.ndim == y.ndim else axis - y.ndim)


def _spacings(input: Tensor, spacing, dims: list[int]) -> list:
    """For each dimension: a number, or the coordinates of the samples."""
    if spacing is None:
        spacing = 1
    if isinstance(spacing, Tensor | int | float | complex):
        if isinstance(spacing, Tensor) and spacing.ndim:
            raise RuntimeError(
                "torch.gradient: expected a number or a sequence for spacing, got a tensor; pass (spacing,)"
            )
        return [spacing] * len(dims)
    spacing = list(spacing)
    if len(spacing) != len(dims):
        raise RuntimeError(
            f"torch.gradient expected spacing to be unspecified, a scalar, or a list of length {len(dims)} "
            f"(one for each dimension), but got a list of length {len(spacing)}"
        )
    return spacing


def _slope(f: Tensor, axis: int, h, edge_order: int) -> Tensor:
    """Second-order differences inside (also for uneven spacing), one-sided ones at both ends."""
    n = f.shape[axis]
    at = lambda start, length=1: f.narrow(axis, start, length)
    if isinstance(h, Tensor) and h.ndim:
        gaps = h.diff().reshape(-1, *[1] * (f.ndim - 1 - axis))
        gap = lambda i: gaps.narrow(0, i % (n - 1), 1)
        left, right = gaps.narrow(0, 0, n - 2), gaps.narrow(0, 1, n - 2)
        inner = (
            at(2, n - 2) * left / (right * (left + right))
            + at(1, n - 2) * (right - left) / (left * right)
            - at(0, n - 2) * right / (left * (left + right))
        )
    else:
        gap = lambda i: h
        inner = (at(2, n - 2) - at(0, n - 2)) / (h * 2)
    if edge_order == 1:
        first, last = (at(1) - at(0)) / gap(0), (at(n - 1) - at(n - 2)) / gap(-1)
    else:
        a, b = gap(0), gap(1)
        first = -at(0) * (2 * a + b) / (a * (a + b)) + at(1) * (a + b) / (a * b) - at(2) * a / (b * (a + b))
        a, b = gap(-2), gap(-1)
        last = (
            at(n - 3) * b / (a * (a + b))
            - at(n - 2) * (a + b) / (a * b)
            + at(n - 1) * (a + 2 * b) / (b * (a + b))
        )
    return cat([first, inner, last], axis)


@op(method=False)
def gradient(input, *, spacing=None, dim=None, edge_order=1):
    """The slope of a sampled function along each dimension, by second-order central differences.

    Args:
        input: the samples.
        spacing: the distance between them (1 by default), or for each dimension a distance or the coordinates (a vector).
        dim: the dimensions; all by default.
        edge_order: 1 or 2, the order of the differences at the ends.
    Returns:
        A list of tensors, one for each dimension.
    Raises:
        RuntimeError: a dimension is too small, or spacing doesn't fit.

    >>> import rushlight as torch
    >>> torch.gradient(torch.tensor([0.0, 1.0, 4.0, 9.0]))[0]
    tensor([1., 2., 4., 5.])
    """
    check_tensor("gradient", input)
    dims = list(range(input.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    dims = [check_dim(d, input.ndim) for d in dims]
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"dim {dims} appears multiple times in the list of dims (gradient)")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    for d in dims:
        if input.shape[d] < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1: "
                f"got {input.shape[d]} in dimension {d}"
            )
    f = floating(input)
    return tuple(
        _slope(f, d, h, edge_order) for d, h in zip(dims, _spacings(input, spacing, dims), strict=True)
    )
