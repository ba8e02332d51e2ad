"""Bessel and Airy functions: power series near 0, elsewhere Chebyshev series of integrals (see `special`)."""

import math

import numpy as np

from rushlight.kernels.reference.special import choose, clenshaw, double, fit, series

__all__ = [
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "i0", "i0e", "i1", "i1e", "k0", "k0e", "k1", "k1e",
    "spherical_bessel_j0",
]  # fmt: skip

EULER = 0.57721566490153286061
_NODES = np.arange(-32, 33) * 0.25  # of the trapezoidal rule for exp(-s * s) times something smooth
_WEIGHTS = 0.25 * np.exp(-_NODES * _NODES)


def _psi(k: int) -> float:
    return -EULER + sum(1 / j for j in range(1, k))


def _small_i(x, order):
    """I by its power series (DLMF 10.25.2), whose terms are all positive."""
    f = math.factorial
    return series(x * x / 4, lambda k: 1 / (f(k) * f(k + order)), 32) * (x / 2 if order else 1)


def _large_i(order):
    def function(r):
        """sqrt(x) exp(-x) I(x) at x = 1 / r, by the integral (DLMF 10.32.3)."""
        n = 2000
        theta = np.arange(1, n) * np.pi / n
        weights = np.cos(order * theta) / n
        found = [np.sum(np.exp(-2 * x * np.sin(theta / 2) ** 2) * weights) * np.sqrt(x) for x in 1 / r]
        ends = [np.sqrt(x) * (1 + (-1) ** order * np.exp(-2 * x)) / (2 * n) for x in 1 / r]
        return np.array(found) + np.array(ends)

    return function


_LARGE_I = [_large_i(0), _large_i(1)]


def _scaled_i(x, order):
    size = np.abs(x)
    r = 1 / np.maximum(size, 8)
    value = choose(
        [
            (size < 8, lambda x, r: np.exp(-x) * _small_i(x, order)),
            (
                size < np.inf,
                lambda x, r: clenshaw(r, 0.0, 0.125, fit(_LARGE_I[order], 0.0, 0.125, 26)) * np.sqrt(r),
            ),
            (np.isinf(size), lambda x, r: 0 * r),
        ],
        size,
        r,
    )
    return np.where(x < 0, -value, value) if order else value


def _unscaled(scaled, x):
    """exp(|x|) times it, without overflow on the way."""
    half = np.exp(np.abs(x) / 2)
    return np.where(np.isinf(x), np.copysign(np.inf, x), scaled * half * half)


@double
def i0(x):
    """The modified Bessel function of the first kind of order 0."""
    return np.abs(_unscaled(_scaled_i(x, 0), x))


@double
def i0e(x):
    """exp(-|x|) I0(x)."""
    return _scaled_i(x, 0)


@double
def i1(x):
    """The modified Bessel function of the first kind of order 1."""
    return _unscaled(_scaled_i(x, 1), x)


@double
def i1e(x):
    """exp(-|x|) I1(x)."""
    return _scaled_i(x, 1)


def _second_kind(x, order, sign):
    """What is added to the logarithm in the power series of K (sign 1) and Y (sign -1) (DLMF 10.31.1, 10.8.1)."""
    f = math.factorial
    y = x * x / 4
    if order == 0:
        return series(y, lambda k: sign**k * _psi(k + 1) / f(k) ** 2, 24)
    return series(y, lambda k: sign**k * (_psi(k + 1) + _psi(k + 2)) / (f(k) * f(k + 1)), 24)


def _small_k(x, order):
    log = np.log(x / 2)
    if order == 0:
        return _second_kind(x, 0, 1) - log * _small_i(x, 0)
    return 1 / x + log * _small_i(x, 1) - x / 4 * _second_kind(x, 1, 1)


def _hankel(order):
    def function(r):
        """The slowly varying factor of K at 1 / r, and of J + iY at i / r (DLMF 10.32.8, 10.9.11)."""
        s = _NODES * _NODES
        base = 1 + np.multiply.outer(r, s / 2)
        if order == 0:
            return (base**-0.5) @ _WEIGHTS / math.sqrt(math.pi)
        return (base**0.5) @ (2 * s * _WEIGHTS) / math.sqrt(math.pi)

    return function


_HANKEL = [_hankel(0), _hankel(1)]


def _hankel_imaginary(order):
    return lambda r: _HANKEL[order](1j * r)


_PHASED = [_hankel_imaginary(0), _hankel_imaginary(1)]


def _k(x, order, scaled):
    def small(x):
        return _small_k(x, order) * (np.exp(x) if scaled else 1)

    def large(x):
        value = clenshaw(1 / x, 0.0, 0.5, fit(_HANKEL[order], 0.0, 0.5, 28)) * np.sqrt(np.pi / (2 * x))
        return value if scaled else value * np.exp(-x)

    return choose([(x == 0, lambda x: x + np.inf), ((x > 0) & (x <= 2), small), (x > 2, large)], x)


@double
def k0(x):
    """The modified Bessel function of the second kind of order 0."""
    return _k(x, 0, False)


@double
def k1(x):
    """The modified Bessel function of the second kind of order 1."""
    return _k(x, 1, False)


@double
def k0e(x):
    """exp(x) K0(x)."""
    return _k(x, 0, True)


@double
def k1e(x):
    """exp(x) K1(x)."""
    return _k(x, 1, True)


def _small_j(x, order):
    f = math.factorial
    return series(x * x / 4, lambda k: (-1) ** k / (f(k) * f(k + order)), 26) * (x / 2 if order else 1)


def _small_y(x, order):
    log = np.log(x / 2)
    if order == 0:
        return 2 / np.pi * (log * _small_j(x, 0) - _second_kind(x, 0, -1))
    return 2 / np.pi * (log * _small_j(x, 1) - 1 / x - x / 4 * _second_kind(x, 1, -1))


def _large_jy(x, order):
    """J + iY for x > 5, from their modulus and phase (DLMF 10.17.5)."""
    series = fit(_PHASED[order], 0.0, 0.2, 26)
    r = 1 / x
    p, q = clenshaw(r, 0.0, 0.2, series.real), clenshaw(r, 0.0, 0.2, series.imag)
    c, s = np.cos(x) * math.sqrt(0.5), np.sin(x) * math.sqrt(0.5)
    cos, sin = (c + s, s - c) if order == 0 else (s - c, -s - c)
    scale = np.sqrt(2 / (np.pi * x))
    return scale * (p * cos - q * sin), scale * (p * sin + q * cos)


def _j(x, order):
    size = np.abs(x)
    value = choose(
        [
            (size <= 5, lambda x: _small_j(x, order)),
            (np.isinf(size), lambda x: 0 * np.ones_like(x)),
            (size > 5, lambda x: _large_jy(x, order)[0]),
        ],
        size,
    )
    return np.where(x < 0, -value, value) if order else value


def _y(x, order):
    return choose(
        [
            (x == 0, lambda x: x - np.inf),
            ((x > 0) & (x <= 5), lambda x: _small_y(x, order)),
            (np.isposinf(x), lambda x: 0 * np.ones_like(x)),
            (x > 5, lambda x: _large_jy(x, order)[1]),
        ],
        x,
    )


@double
def bessel_j0(x):
    """The Bessel function of the first kind of order 0."""
    return _j(x, 0)


@double
def bessel_j1(x):
    """The Bessel function of the first kind of order 1."""
    return _j(x, 1)


@double
def bessel_y0(x):
    """The Bessel function of the second kind of order 0."""
    return _y(x, 0)


@double
def bessel_y1(x):
    """The Bessel function of the second kind of order 1."""
    return _y(x, 1)


@double
def spherical_bessel_j0(x):
    """sin(x) / x, 1 at 0 and 0 at infinity."""
    value = np.where(x == 0, 1.0, np.sin(x) / np.where(x == 0, 1, x))
    return np.where(np.isinf(x), 0.0, value)


def _airy_integral(z):
    """Ai(z) for |z| >= 1 and |arg z| < 2 pi / 3, by steepest descent (DLMF 9.5.8)."""
    root = np.sqrt(z)
    total = np.zeros_like(z)
    for s in np.arange(0.5, 80) * 0.1:
        total += np.exp(-root * (s * s)) * math.cos(s**3 / 3)
    return 0.1 / np.pi * np.exp(-2 / 3 * z * root) * total


def _airy_series(x):
    """The power series (DLMF 9.4.1)."""
    cube = x**3
    f = g = total_f = total_g = np.ones_like(x)
    for k in range(1, 12):
        f = f * cube / ((3 * k - 1) * (3 * k))
        g = g * cube / ((3 * k) * (3 * k + 1))
        total_f, total_g = total_f + f, total_g + g
    return 3 ** (-2 / 3) / math.gamma(2 / 3) * total_f - 3 ** (-1 / 3) / math.gamma(1 / 3) * x * total_g


def _airy_below(x):
    turn = np.exp(1j * np.pi / 3)
    return 2 * (turn * _airy_integral(-x * turn)).real


@double
def airy_ai(x):
    """The Airy function Ai."""
    return choose([(np.abs(x) < 1.5, _airy_series), (x > 0, _airy_integral), (x < 0, _airy_below)], x)
