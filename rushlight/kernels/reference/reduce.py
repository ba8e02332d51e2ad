"""Reductions, softmax and classification losses in plain NumPy. Floating-point sums are taken in float64."""

import functools
import math

import numpy as np

from rushlight.kernels.reference.layout import widen


def _quiet(function):
    """Without NumPy's warnings, and with arrays as results."""

    @functools.wraps(function)
    def kernel(*args, **options):
        with np.errstate(all="ignore"):
            result = function(*args, **options)
        return tuple(result) if isinstance(result, tuple) else np.asanyarray(result)

    return kernel


def _accumulator(x: np.ndarray):
    """The type that sums of x are taken in."""
    return np.int64 if x.dtype.kind in "iub" else np.complex128 if x.dtype.kind == "c" else np.float64


def _count(x: np.ndarray, axes) -> int:
    """How many elements each result of a reduction combines."""
    return x.size if axes is None else math.prod(x.shape[a] for a in axes)


@_quiet
def sum(x, axes=None, keepdims=False):
    """Sum over `axes` (a tuple, or None for all); integers and booleans sum to int64."""
    kind = np.dtype(np.int64) if x.dtype.kind in "iub" else x.dtype
    return np.asanyarray(np.sum(x, axes, _accumulator(x), keepdims=keepdims)).astype(kind, copy=False)


@_quiet
def prod(x, axes=None, keepdims=False):
    """Product over `axes`; integers and booleans multiply to int64."""
    kind = np.dtype(np.int64) if x.dtype.kind in "iub" else x.dtype
    return np.asanyarray(np.prod(x, axes, _accumulator(x), keepdims=keepdims)).astype(kind, copy=False)


@_quiet
def mean(x, axes=None, keepdims=False):
    """Mean over `axes` of floating-point or complex numbers."""
    total = np.asanyarray(np.sum(x, axes, _accumulator(x), keepdims=keepdims))
    return (total / np.float64(_count(x, axes))).astype(x.dtype, copy=False)


@_quiet
def amax(x, axes=None, keepdims=False):
    """The largest over `axes`; nan where there is one."""
    return np.max(x, axes, keepdims=keepdims)


@_quiet
def amin(x, axes=None, keepdims=False):
    """The smallest over `axes`; nan where there is one."""
    return np.min(x, axes, keepdims=keepdims)


@_quiet
def argmax(x, axis=None, keepdims=False):
    """Index of the first largest element, or of the first nan."""
    return np.asanyarray(np.argmax(x, axis, keepdims=keepdims)).astype(np.int64, copy=False)


@_quiet
def argmin(x, axis=None, keepdims=False):
    """Index of the first smallest element, or of the first nan."""
    return np.asanyarray(np.argmin(x, axis, keepdims=keepdims)).astype(np.int64, copy=False)


@_quiet
def norm(x, axes=None, keepdims=False):
    """The root of the sum of squares over `axes` of floating-point numbers."""
    return np.sqrt(np.asanyarray(np.sum(np.square(x), axes, _accumulator(x), keepdims=keepdims))).astype(
        x.dtype, copy=False
    )


@_quiet
def var(x, axes=None, correction=1, keepdims=False):
    """Variance over `axes`: squared deviations from the mean, divided by their number less `correction`."""
    kind = _accumulator(x)
    count = _count(x, axes)
    deviation = x - np.sum(x, axes, kind, keepdims=True) / np.float64(count)
    squares = (
        np.square(deviation.real) + np.square(deviation.imag) if x.dtype.kind == "c" else np.square(deviation)
    )
    total = np.asanyarray(np.sum(squares, axes, keepdims=keepdims))
    return (total / np.float64(max(0, count - correction))).astype(x.real.dtype, copy=False)


def _with_index(x, index, axis):
    values = np.take_along_axis(x, np.expand_dims(index, axis), axis).squeeze(axis) if x.ndim else x.copy()
    return values, index


def max_with_index(x, axis):
    """The largest along one axis, and the index of its first occurrence."""
    return _with_index(x, argmax(x, axis if x.ndim else None), axis)


def min_with_index(x, axis):
    """The smallest along one axis, and the index of its first occurrence."""
    return _with_index(x, argmin(x, axis if x.ndim else None), axis)


# -- softmax --------------------------------------------------------------------------------------------


def _axis_sum(x, axis):
    return np.sum(x, axis, np.float64, keepdims=True).astype(x.dtype)


@_quiet
def softmax(x, axis):
    """exp(x), divided by its sum along one axis."""
    wide = widen(x)
    e = np.exp(wide - np.max(wide, axis, keepdims=True)) if x.size else wide
    return (e / _axis_sum(e, axis)).astype(x.dtype, copy=False)


@_quiet
def log_softmax(x, axis):
    """Logarithm of softmax, without its overflow."""
    wide = widen(x)
    shifted = wide - np.max(wide, axis, keepdims=True) if x.size else wide
    return (shifted - np.log(_axis_sum(np.exp(shifted), axis))).astype(x.dtype, copy=False)


@_quiet
def softmax_backward(g, y, axis):
    """Gradient of y = softmax(x)."""
    wide, y = widen(g), widen(y)
    return ((wide - _axis_sum(wide * y, axis)) * y).astype(g.dtype, copy=False)


@_quiet
def log_softmax_backward(g, y, axis):
    """Gradient of y = log_softmax(x)."""
    wide, y = widen(g), widen(y)
    return (wide - np.exp(y) * _axis_sum(wide, axis)).astype(g.dtype, copy=False)


@_quiet
def logsumexp(x, axes, keepdims=False):
    """Logarithm of the sum of exp(x) over `axes`, without its overflow."""
    wide = widen(x)
    top = np.max(wide, axes, keepdims=True) if x.size else np.sum(wide, axes, keepdims=True)
    top = np.where(np.isinf(top), 0, top).astype(wide.dtype)
    total = np.log(np.sum(np.exp(wide - top), axes, np.float64, keepdims=True)) + top
    return (total if keepdims else total.squeeze(axes)).astype(x.dtype, copy=False)


# -- classification losses ------------------------------------------------------------------------------


def _row_weights(target, weight, ignore_index, classes, kind):
    """Each row's weight (0 where its target is ignored), and its target made safe to index with."""
    used = target != ignore_index
    safe = np.where(used, target, 0)
    if np.any((safe < 0) | (safe >= classes)) or (used.any() and not classes):
        bad = target[used & ((target < 0) | (target >= classes))][0]
        raise IndexError(f"Target {bad} is out of bounds. (expected 0 <= target < {classes} classes)")
    if weight is None or not used.any():
        return used.astype(kind), safe
    return np.where(used, widen(weight)[safe], 0).astype(kind), safe


def _rows(target):
    return np.arange(len(target))


@_quiet
def cross_entropy(logits, target, weight, ignore_index, label_smoothing):
    """Cross entropy of logits[N, C] with class numbers[N].

    Returns:
        The loss of each row (weighted, 0 where ignored), the probabilities[N, C] for
        `cross_entropy_backward`, and the sum of the rows' weights.
    """
    wide = widen(logits)
    n, classes = wide.shape
    row_weight, safe = _row_weights(target, weight, ignore_index, classes, wide.dtype)
    log_p = log_softmax(wide, 1)
    loss = -row_weight * log_p[_rows(target), safe] if n else np.zeros(0, wide.dtype)
    loss[target == ignore_index] = 0
    if label_smoothing:
        spread = -_axis_sum(log_p if weight is None else log_p * widen(weight), 1)[:, 0]
        spread = np.where(target == ignore_index, 0, spread)
        loss = loss * (1 - label_smoothing) + spread * (label_smoothing / classes)
    probabilities = np.exp(log_p).astype(logits.dtype, copy=False)
    return loss.astype(logits.dtype, copy=False), probabilities, float(row_weight.sum(dtype=np.float64))


@_quiet
def cross_entropy_backward(probabilities, target, weight, ignore_index, label_smoothing, scale):
    """Gradient of sum(scale * loss of each row) of `cross_entropy` with respect to the logits.

    Args:
        scale: a number, or one for each row[N].
    """
    p = widen(probabilities)
    classes = p.shape[1]
    row_weight, safe = _row_weights(target, weight, ignore_index, classes, p.dtype)
    part = row_weight * p.dtype.type(1 - label_smoothing)
    grad = p * part[:, None]
    grad[_rows(target), safe] -= part
    if label_smoothing:
        w = np.ones(classes, p.dtype) if weight is None else widen(weight)
        grad += (p * w.sum(dtype=np.float64).astype(p.dtype) - w) * p.dtype.type(label_smoothing / classes)
    grad *= np.asanyarray(scale, p.dtype).reshape(-1, 1)
    grad[target == ignore_index] = 0
    return grad.astype(probabilities.dtype, copy=False)


@_quiet
def nll_loss(log_p, target, weight, ignore_index):
    """Negative log likelihood of log_p[N, C]: the loss of each row, and the sum of the rows' weights."""
    wide = widen(log_p)
    row_weight, safe = _row_weights(target, weight, ignore_index, wide.shape[1], wide.dtype)
    loss = -row_weight * wide[_rows(target), safe] if len(target) else np.zeros(0, wide.dtype)
    loss[target == ignore_index] = 0
    return loss.astype(log_p.dtype, copy=False), float(row_weight.sum(dtype=np.float64))


@_quiet
def nll_loss_backward(log_p, target, weight, ignore_index, scale):
    """Gradient of sum(scale * loss of each row) of `nll_loss`; of log_p only shape and dtype matter."""
    row_weight, safe = _row_weights(target, weight, ignore_index, log_p.shape[1], widen(log_p[:0]).dtype)
    grad = np.zeros(log_p.shape, log_p.dtype)
    if len(target):
        grad[_rows(target), safe] = -row_weight * np.asanyarray(scale, row_weight.dtype)
        grad[target == ignore_index] = 0
    return grad


__all__ = [
    name for name, f in list(globals().items()) if getattr(f, "__module__", "") == __name__ and name[0] != "_"
]
