"""Statistics of samples: covariance, correlation, histograms."""

import collections

import numpy as np

from rushlight import return_types
from rushlight.kernels.reference.layout import empty_by
from rushlight.ops.common import Tensor, check_tensor, floating, not_implemented, wrap, write_outs
from rushlight.ops.registry import op
from rushlight.phantom import is_phantom


def _weights(name: str, weights, what: str, count: int, kinds: str) -> None:
    if weights.ndim > 1:
        raise RuntimeError(
            f"{name}(): expected {what} to have one or fewer dimensions but got {weights.ndim}"
        )
    if weights._array.dtype.kind not in kinds:
        kind = "integral" if kinds == "iu" else "floating point"
        raise RuntimeError(
            f"{name}(): expected {what} to have {kind} dtype but got {what} with {weights.dtype} dtype"
        )
    if weights.numel() != count:
        raise RuntimeError(
            f"{name}(): expected {what} to have the same numel as there are observations in the input "
            f"but got {weights.numel()} != {count}"
        )
    if weights.numel() and bool((weights < 0).any()):
        raise RuntimeError(f"{name}(): {what} cannot be negative")


@op()
def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariance matrix of variables (rows) over observations (columns).

    Args:
        input: (variables, observations), or one variable.
        correction: what is taken from the number of observations: 1 unbiased, 0 the plain mean.
        fweights: how often each observation was seen, whole numbers.
        aweights: the weight of each observation.
    Returns:
        (variables, variables); a number for one variable.
    Raises:
        RuntimeError: more than two dimensions, or weights that don't fit.

    >>> import rushlight as torch
    >>> torch.cov(torch.tensor([[0.0, 2.0], [2.0, 0.0]]))
    tensor([[ 2., -2.],
            [-2.,  2.]])
    """
    x = check_tensor("cov", input)
    if x.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {x.ndim} dimensions"
        )
    if x._array.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = x.reshape(1, -1) if x.ndim < 2 else x
    count = x.shape[1]
    w = None
    if fweights is not None:
        _weights("cov", fweights, "fweights", count, "iu")
        w = fweights
    if aweights is not None:
        _weights("cov", aweights, "aweights", count, "fV")
        w = aweights if w is None else w * aweights
    x = floating(x)
    total = count if w is None else w.sum()
    mean = x.mean(1, keepdim=True) if w is None else (x * w).sum(1, keepdim=True) / total
    if w is not None and aweights is not None and correction != 0:
        norm = total - correction * (w * aweights).sum() / total
    else:
        norm = total - correction
    x = x - mean
    weighted = x if w is None else x * w
    norm = max(norm, 0) if w is None else norm.clamp(min=0)
    return (x @ weighted.t().conj() / norm).squeeze()


@op()
def corrcoef(input):
    """The matrix of Pearson's correlation coefficients of variables (rows).

    Args:
        input: (variables, observations), or one variable.
    Raises:
        RuntimeError: more than two dimensions.

    >>> import rushlight as torch
    >>> torch.corrcoef(torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if check_tensor("corrcoef", input).ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    c = cov(input)
    if not c.ndim:
        return c / c
    d = c.diagonal()
    spread = (d.real if d.is_complex() else d).sqrt()
    c = c / spread.unsqueeze(-1) / spread.unsqueeze(0)
    return c if c.is_complex() else c.clamp(-1, 1)


def _check_histogram(name: str, input: Tensor, weight) -> None:
    if input._array.dtype not in (np.float32, np.float64):
        raise not_implemented(name, input._array)
    if weight is not None and weight.dtype != input.dtype:
        raise RuntimeError(
            f"{name}(): if weight tensor is provided, input tensor and weight tensor should have the same dtype, "
            f"but got input {input.dtype}, and weight {weight.dtype}"
        )


def _edges(points: np.ndarray, counts, range) -> list[np.ndarray]:
    """Evenly spaced edges for each column of `points`, over `range` or from its least to its largest."""
    made = []
    for i, count in enumerate(counts):
        if range is not None:
            low, high = range[2 * i], range[2 * i + 1]
        elif len(points):
            low, high = points[:, i].min(), points[:, i].max()
        else:
            low, high = 0.0, 1.0
        if not (np.isfinite(low) and np.isfinite(high)):
            raise RuntimeError(f"torch.histogramdd: dimension {i}'s range [{low}, {high}] is not finite")
        if low == high:
            low, high = low - 0.5, high + 0.5
        if low > high:
            raise RuntimeError("min should not exceed max")
        made.append(np.linspace(low, high, count + 1, dtype=points.dtype))
    return made


def _counted(points: np.ndarray, edges, weight, density: bool) -> np.ndarray:
    weights = None if weight is None else weight._array.reshape(-1)
    shape = tuple(len(e) - 1 for e in edges)
    if is_phantom(points):
        return empty_by(points, shape)
    places = np.zeros(len(points), np.intp)
    inside = np.ones(len(points), bool)
    for i, e in enumerate(edges):
        at = np.searchsorted(e, points[:, i], "right") - 1
        at = np.where(points[:, i] == e[-1], len(e) - 2, at)
        inside &= (at >= 0) & (at < len(e) - 1)
        places = places * shape[i] + np.clip(at, 0, shape[i] - 1)
    chosen = None if weights is None else weights[inside]
    hist = np.bincount(places[inside], chosen, int(np.prod(shape))).astype(points.dtype).reshape(shape)
    if density:
        volume = np.ones((), points.dtype)
        for e in edges:
            volume = np.multiply.outer(volume, np.diff(e))
        hist = hist / hist.sum() / volume
    return np.asanyarray(hist, points.dtype)


@op()
def histogram(input, bins, *, range=None, weight=None, density=False, out=None):
    """How many elements fall between each pair of edges, and the edges.

    Args:
        input: a floating-point tensor of any shape.
        bins: the number of bins of equal width, or the increasing edges as a tensor.
        range: (lowest, highest) edge; the least and largest element by default.
        weight: what each element counts, of the input's shape.
        density: divide so that the integral is 1.
        out: two tensors for the result.
    Returns:
        `hist` and `bin_edges`; the last bin includes its right edge.
    Raises:
        RuntimeError: types or shapes don't fit.

    >>> import rushlight as torch
    >>> torch.histogram(torch.tensor([1.0, 2.0, 1.0]), bins=2).hist
    tensor([2., 1.])
    """
    _check_histogram("histogram", check_tensor("histogram", input), weight)
    points = input.detach()._array.reshape(-1, 1)
    if isinstance(bins, Tensor):
        if bins.dtype != input.dtype:
            raise RuntimeError(
                f"torch.histogram(): input tensor and bins tensors should have the same dtype, but got input with dtype "
                f"{input.dtype} and bins with dtype {bins.dtype}"
            )
        edges = [bins._array]
    else:
        if bins <= 0:
            raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins}")
        edges = _edges(points, [bins], range)
    results = wrap(_counted(points, edges, weight, density)), wrap(np.array(edges[0]))
    return write_outs(results, out, return_types.histogram)


HistogramDD = collections.namedtuple("histogramdd", ["hist", "bin_edges"])


@op(method=False)
def histogramdd(input, bins, *, range=None, weight=None, density=False):
    """A histogram of points in several dimensions.

    Args:
        input: points (..., D).
        bins: the number of bins, one for all dimensions or a list, or a list of edges.
        range: lowest and highest edge of each dimension, 2 D numbers.
        weight: what each point counts.
        density: divide so that the integral is 1.
    Returns:
        `hist`, with one dimension for each coordinate, and `bin_edges`, a tuple of tensors.
    Raises:
        RuntimeError: types or shapes don't fit.

    >>> import rushlight as torch
    >>> torch.histogramdd(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), bins=[2, 2]).hist
    tensor([[1., 0.],
            [0., 1.]])
    """
    _check_histogram("histogramdd", check_tensor("histogramdd", input), weight)
    if input.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    points = input.detach()._array.reshape(-1, input.shape[-1])
    dims = points.shape[1]
    bins = [bins] * dims if isinstance(bins, int) else list(bins)
    if len(bins) != dims:
        raise RuntimeError(
            f"torch.histogramdd: expected {dims} sequences of bin edges for a {dims}-dimensional histogram but got {len(bins)}"
        )
    edges = [b._array for b in bins] if isinstance(bins[0], Tensor) else _edges(points, bins, range)
    return HistogramDD(
        wrap(_counted(points, edges, weight, density)), tuple(wrap(np.array(e)) for e in edges)
    )
