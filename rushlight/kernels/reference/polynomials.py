"""Orthogonal polynomials of each element, whose degree is another operand, by their recurrences (DLMF 18.9)."""

import math

import numpy as np

from rushlight.kernels.reference.special import double

__all__ = [
    "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v", "chebyshev_polynomial_w",
    "hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p",
    "shifted_chebyshev_polynomial_t", "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w",
]  # fmt: skip


def _recur(x, n, first, step):
    """p[n](x), where p[0] = 1, p[1] = first and p[k + 1] = step(k, p[k], p[k - 1]); 0 for negative degrees."""
    n = np.trunc(n)
    result = np.where(n == 0, 1.0, np.where(n == 1, first, 0.0))
    before, now = np.ones_like(x), first
    for k in range(1, int(n.max(initial=0))):
        before, now = now, step(k, now, before)
        result = np.where(n == k + 1, now, result)
    return np.where(np.isnan(x) & (n > 0), np.nan, result)


def _chebyshev(name: str, first, by_angle, doc: str):
    """A kind of Chebyshev polynomials, and the same shifted to [0, 1]; inside [-1, 1] large degrees go by the angle."""

    def function(x, n):
        n = np.trunc(n)
        inside = (np.abs(x) < 1) & (n > 8)
        angle = np.arccos(np.where(inside, x, 0))
        outside = _recur(x, np.where(inside, 0, n), first(x), lambda k, p, q: 2 * x * p - q)
        return np.where(inside, by_angle(n, angle), outside)

    def shifted(x, n):
        return function(2 * x - 1, n)

    for f, prefix, suffix in ((function, "", ""), (shifted, "shifted_", ", shifted to [0, 1]")):
        f.__name__ = f.__qualname__ = prefix + name
        f.__doc__ = f"{doc}{suffix}."
    return double(function), double(shifted)


chebyshev_polynomial_t, shifted_chebyshev_polynomial_t = _chebyshev(
    "chebyshev_polynomial_t",
    lambda x: x,
    lambda n, t: np.cos(n * t),
    "Chebyshev's polynomial of the first kind",
)
chebyshev_polynomial_u, shifted_chebyshev_polynomial_u = _chebyshev(
    "chebyshev_polynomial_u", lambda x: 2 * x, lambda n, t: np.sin((n + 1) * t) / np.sin(t),
    "Chebyshev's polynomial of the second kind",
)  # fmt: skip
chebyshev_polynomial_v, shifted_chebyshev_polynomial_v = _chebyshev(
    "chebyshev_polynomial_v", lambda x: 2 * x - 1, lambda n, t: np.cos((n + 0.5) * t) / np.cos(t / 2),
    "Chebyshev's polynomial of the third kind",
)  # fmt: skip
chebyshev_polynomial_w, shifted_chebyshev_polynomial_w = _chebyshev(
    "chebyshev_polynomial_w", lambda x: 2 * x + 1, lambda n, t: np.sin((n + 0.5) * t) / np.sin(t / 2),
    "Chebyshev's polynomial of the fourth kind",
)  # fmt: skip


@double
def hermite_polynomial_h(x, n):
    """Hermite's polynomial in physics' form; not a number above degree 512."""
    return _limited(x, n, lambda n: _recur(x, n, 2 * x, lambda k, p, q: 2 * (x * p - k * q)))


@double
def hermite_polynomial_he(x, n):
    """Hermite's polynomial in probability's form; not a number above degree 512."""
    return _limited(x, n, lambda n: _recur(x, n, x, lambda k, p, q: x * p - k * q))


def _limited(x, n, function):
    large = n > 512
    return np.where(large, math.nan, function(np.where(large, 0, n)))


@double
def laguerre_polynomial_l(x, n):
    """Laguerre's polynomial."""
    return _recur(x, n, 1 - x, lambda k, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1))


@double
def legendre_polynomial_p(x, n):
    """Legendre's polynomial."""
    return _recur(x, n, x, lambda k, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1))
