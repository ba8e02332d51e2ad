"""How gamma and beta numbers change with their parameters while the distribution function keeps its value.

Source: Figurnov, Mohamed and Mnih, Implicit Reparameterization Gradients (2018). The derivatives of the incomplete gamma
and beta functions are those of their series and continued fractions, term by term, so that they are exact.
"""

import numpy as np

from rushlight.kernels.reference.elementwise import digamma
from rushlight.kernels.reference.special import _iterate, choose, double

__all__ = ["dirichlet_gradient", "gamma_gradient"]

_LARGE = 1e5  # above it, Cornish and Fisher's expansion is exact to rounding


def _gamma_series(a, x):
    """For x <= a + 1: P = density * x / a * S, where S is the sum of x ** n / ((a + 1) ... (a + n))."""

    def step(i, a, x, term, slope, total, slopes):
        term = term * x / (a + i)
        slope = slope - 1 / (a + i)
        total, slopes = total + term, slopes + term * slope
        return [a, x, term, slope, total, slopes], ~(term * (1 - slope) > 1e-17 * np.abs(slopes))

    one, zero = np.ones_like(a), np.zeros_like(a)
    *_, total, slopes = _iterate(step, [a, x, one, zero, one, zero])
    return -x / a * (total * (np.log(x) - digamma(a + 1)) + slopes)


def _gamma_fraction(a, x):
    """For x > a + 1: 1 - P = density * x * F with a continued fraction F, differentiated along (Lentz, 1976)."""

    def step(i, a, b, c, d, f, dc, dd, df):
        n = -i * (i - a)  # whose slope is i, while that of b is -1
        b = b + 2
        dd = -(i * d + n * dd - 1)
        d = 1 / (n * d + b)
        dd = dd * d * d
        dc = -1 + i / c - n * dc / (c * c)
        c = b + n / c
        delta, change = c * d, dc * d + c * dd
        return [a, b, c, d, f * delta, dc, dd, df * delta + f * change], ~(
            np.abs(delta - 1) + np.abs(change) > 1e-16
        )

    b = x + 1 - a
    d = 1 / b
    # The first c stands for b + n / c with c -> infinity.
    start = [a, b, np.full_like(a, 1e300), d, d, np.zeros_like(a), d * d, d * d]
    _, _, _, _, f, _, _, df = _iterate(step, start)
    return x * (f * (np.log(x) - digamma(a)) + df)


def _gamma_large(a, x):
    """Cornish and Fisher's expansion: x as a function of a and of a normal number z, which stays."""
    root = np.sqrt(a)
    z = (x - a) / root
    for _ in range(4):
        value = a + root * z + (z * z - 1) / 3 + (z**3 - 7 * z) / (36 * root)
        z = z - (value - x) / (root + 2 / 3 * z + (3 * z * z - 7) / (36 * root))
    return 1 + z / (2 * root) - (z**3 - 7 * z) / (72 * root**3)


@double
def gamma_gradient(a, x):
    """dx / da for a number x of the gamma distribution with shape a."""
    return choose(
        [
            (x == 0, lambda a, x: np.zeros_like(x)),
            (a > _LARGE, _gamma_large),
            (x <= a + 1, _gamma_series),
            (x > a + 1, _gamma_fraction),
        ],
        a,
        x,
    )


def _beta_fraction(a, b, x, slope_a, slope_b):
    """The F in I(a, b; x) = x ** a * (1 - x) ** b / (a * B(a, b)) * F, a continued fraction (DLMF 8.17.22).

    Returns:
        It and its derivative in the direction (slope_a, slope_b).
    """

    def step(i, a, b, x, c, d, f, dc, dd, df):
        m = i // 2
        low, high = a + i - 1, a + i
        if i % 2:
            n = -(a + m) * (a + b + m) * x / (low * high)
            dn = n * (slope_a / (a + m) + (slope_a + slope_b) / (a + b + m) - slope_a * (1 / low + 1 / high))
        else:
            n = m * (b - m) * x / (low * high)
            dn = m * slope_b * x / (low * high) - n * slope_a * (1 / low + 1 / high)
        t = 1 + n * d
        dd = -(dn * d + n * dd) / (t * t)
        d = 1 / t
        dc = dn / c - n * dc / (c * c)
        c = 1 + n / c
        delta, change = c * d, dc * d + c * dd
        return [a, b, x, c, d, f * delta, dc, dd, df * delta + f * change], ~(
            np.abs(delta - 1) + np.abs(change) > 1e-16
        )

    one, zero = np.ones_like(a), np.zeros_like(a)
    # F = 1 / (1 + d1 / (1 + ...)), from the inverse of the fraction that Lentz's method gives.
    *_, f, _, _, df = _iterate(step, [a, b, x, one, zero, one, zero, zero, zero])
    return 1 / f, -df / (f * f)


def _lower_beta(x, a, b):
    f, df = _beta_fraction(a, b, x, 1.0, 0.0)
    return -x / a * (f * (np.log(x) - digamma(a + 1) + digamma(a + b)) + df)


def _upper_beta(x, a, b):
    f, df = _beta_fraction(b, a, 1 - x, 0.0, 1.0)
    return x / b * (f * (np.log(x) - digamma(a) + digamma(a + b)) + df)


@double
def dirichlet_gradient(x, a, total):
    """dx / da / (1 - x) for a number x of the beta distribution with parameters a and total - a."""
    b = total - a
    left = x <= (a + 1) / (total + 2)
    return choose([(x == 0, lambda x, a, b: x), (left, _lower_beta), (~left, _upper_beta)], x, a, b)
