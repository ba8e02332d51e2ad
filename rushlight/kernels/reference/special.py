"""Special functions in plain NumPy, each computed in float64 and rounded to the type of its operands.

What would be a table of coefficients elsewhere is computed here: from power series, or by Chebyshev interpolation of
an integral that the trapezoidal rule gives to full precision (Trefethen and Weideman, SIAM Review 56, 2014).
Numbers in brackets, as (DLMF 9.5.8), are formulas of the NIST Digital Library of Mathematical Functions.
"""

import functools
import math

import numpy as np

from rushlight.kernels.reference.elementwise import digamma, erfc, erfinv, lgamma

__all__ = [
    "entr", "erfcx", "igamma", "igammac", "log_ndtr", "logit", "ndtr", "ndtri", "polygamma", "sinc", "trigamma", "xlog1py",
    "zeta",
]  # fmt: skip


def double(function):
    """The kernel of a function of flat float64 arrays, for every floating type."""

    @functools.wraps(function)
    def kernel(*operands, out=None):
        operands = [np.asanyarray(o) for o in operands]
        kind = next((o.dtype for o in operands if o.ndim), operands[0].dtype)
        shape = np.broadcast_shapes(*(o.shape for o in operands))
        flat = [np.broadcast_to(o, shape).astype(np.float64).reshape(-1) for o in operands]
        with np.errstate(all="ignore"):
            value = function(*flat).reshape(shape)
            value = value.astype(kind if out is None else out.dtype)
        if out is None:
            return value
        np.copyto(out, value)
        return out

    return kernel


def polynomial(x, coefficients):
    """The polynomial with these coefficients, the constant one first."""
    y = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        y *= x
        y += c
    return y


def series(x, term, n):
    """The polynomial whose coefficients are term(0) ... term(n - 1)."""
    return polynomial(x, [term(k) for k in range(n)])


def clenshaw(x, low: float, high: float, coefficients):
    """A Chebyshev series on [low, high] (Clenshaw, 1955)."""
    t = (2 * x - (low + high)) / (high - low)
    a = b = np.zeros_like(t)
    for c in coefficients[:0:-1]:
        a, b = 2 * t * a - b + c, a
    return t * a - b + coefficients[0]


@functools.cache
def fit(function, low: float, high: float, n: int):
    """The Chebyshev series, of n terms, of a function on [low, high]."""
    angles = np.pi * (np.arange(n) + 0.5) / n
    values = function((np.cos(angles) * (high - low) + (high + low)) / 2)
    series = 2 / n * np.cos(np.outer(np.arange(n), angles)) @ values
    series[0] /= 2
    return series


def choose(cases, *operands, missing=np.nan):
    """For each element the function of the first (condition, function) of `cases` whose condition holds."""
    out = np.full(operands[0].shape, missing)
    free = np.ones(out.shape, bool)
    for condition, function in cases:
        here = free & condition
        if here.any():
            out[here] = function(*(o[here] for o in operands))
        free &= ~here
    return out


# -- elementary -----------------------------------------------------------------------------------------


@double
def entr(x):
    """-x log x; 0 at 0 and minus infinity below."""
    return np.where(x > 0, -x * np.log(x), np.where(x == 0, 0.0, np.where(x < 0, -np.inf, x)))


@double
def xlog1py(x, y):
    """x log(1 + y), and 0 where x is 0."""
    return np.where((x == 0) & ~np.isnan(y), 0.0, x * np.log1p(y))


def logit(x, eps=None, out=None):
    """log(x / (1 - x)), of x limited to [eps, 1 - eps] where eps is given."""
    wide = x.astype(np.float32) if x.dtype.kind == "V" or x.dtype.itemsize == 2 else x
    with np.errstate(all="ignore"):
        if eps is not None:
            one = wide.dtype.type(1)
            wide = np.where(
                wide < eps, wide.dtype.type(eps), np.where(wide > 1 - eps, one - wide.dtype.type(eps), wide)
            )
        value = np.asanyarray(np.log(wide / (1 - wide))).astype(x.dtype)
    if out is None:
        return value
    np.copyto(out, value)
    return out


def sinc(x, out=None):
    """sin(pi x) / (pi x), 1 at 0."""
    wide = x.astype(np.float64) if x.dtype.kind != "c" else x.astype(np.complex128)
    with np.errstate(all="ignore"):
        scaled = np.pi * np.where(wide == 0, 1, wide)
        value = np.asanyarray(np.where(wide == 0, 1, np.sin(scaled) / scaled)).astype(x.dtype)
    if out is None:
        return value
    np.copyto(out, value)
    return out


# -- the error function's relatives ---------------------------------------------------------------------


def _scaled_erfc(x):
    """(1 + 2x) exp(x * x) erfc(x) for x >= 0, by a continued fraction (DLMF 7.9.2) unless x is small."""
    small = x < 2
    z = np.where(small, 2, x)
    f = np.zeros_like(z)
    for k in range(150, 0, -1):
        f = (k / 2) / (z + f)
    tail = 1 / (np.sqrt(np.pi) * (z + f))
    return (1 + 2 * x) * np.where(small, np.exp(x * x) * erfc(x), tail)


def _by_fraction(t):
    x = 4 * (1 + t) / (1 - t)
    return _scaled_erfc(x)


def _erfcx(x):
    """Shepherd and Laframboise, Mathematics of Computation 36 (1981): a series in (|x| - 4) / (|x| + 4)."""
    size = np.abs(x)
    t = np.where(np.isinf(size), 1.0, (size - 4) / (size + 4))
    tail = clenshaw(t, -1.0, 1.0, fit(_by_fraction, -1.0, 1.0, 32)) / (1 + 2 * size)
    return np.where(x < 0, 2 * np.exp(x * x) - tail, tail)


@double
def erfcx(x):
    """exp(x * x) erfc(x)."""
    return _erfcx(x)


@double
def ndtr(x):
    """The normal distribution function."""
    return 0.5 * erfc(-x * math.sqrt(0.5))


def _log_ndtr(x):
    t = x * math.sqrt(0.5)
    low = x < -1
    near = np.where(low, 0, t)
    return np.where(low, np.log(_erfcx(-t) / 2) - t * t, np.log1p(-erfc(near) / 2))


@double
def log_ndtr(x):
    """The logarithm of the normal distribution function."""
    return _log_ndtr(x)


def _low_quantile(p):
    """By steps of Newton's on the logarithm, which is nearly a parabola."""
    x = np.where(p < 1e-10, -np.sqrt(-2 * np.log(p)), math.sqrt(2) * erfinv(2 * np.maximum(p, 1e-10) - 1))
    target = np.log(p)
    for _ in range(4):
        cdf = _erfcx(-x * math.sqrt(0.5))  # over the density, but for a factor
        error = np.log(cdf / 2) - x * x / 2 - target
        x = x - error * cdf * math.sqrt(math.pi / 2)
    return x


@double
def ndtri(p):
    """The normal distribution's quantiles."""
    upper = p > 0.5
    lower = np.where(upper, 1 - p, p)
    x = choose(
        [
            (lower > 0.1, lambda p: math.sqrt(2) * erfinv(2 * p - 1)),
            (lower > 0, _low_quantile),
            (lower == 0, lambda p: p - np.inf),
        ],
        lower,
    )
    return np.where(upper, -x, x)


# -- the gamma function's relatives ---------------------------------------------------------------------

# (2k)! / B(2k), of Euler and Maclaurin's formula.
_BERNOULLI = [
    1 / 6,
    -1 / 30,
    1 / 42,
    -1 / 30,
    5 / 66,
    -691 / 2730,
    7 / 6,
    -3617 / 510,
    43867 / 798,
    -174611 / 330,
]
_EULER_MACLAURIN = [b / math.factorial(2 * k + 2) for k, b in enumerate(_BERNOULLI)]


def _zeta(s, q):
    """Summed up to q + n >= 10, then by Euler and Maclaurin's formula (DLMF 25.11.5)."""
    total = np.zeros_like(q)
    a = q.copy()
    steps = int(max(10, math.ceil(10 - min(a.min(initial=0), 0))))
    for i in range(steps):
        more = (i < 10) | (a < 10)
        total += np.where(more, np.power(a, -s), 0)
        a += more
    power = np.power(a, -s)
    total += np.where(power == 0, 0, a * power / (s - 1)) + power / 2
    factor = s * power / a
    for k, b in enumerate(_EULER_MACLAURIN):
        total += b * factor
        factor = factor * (s + 2 * k + 1) * (s + 2 * k + 2) / (a * a)
    return np.where(np.isinf(q), 0.0, total)


@double
def zeta(s, q):
    """Hurwitz's zeta function, the sum of (q + n) ** -s."""
    pole = (s == 1) | ((q <= 0) & (q == np.floor(q)) & (s > 1))
    good = (s > 1) & ((q > 0) | (s == np.floor(s))) & (q > -1e6)
    return np.where(pole, np.inf, choose([(good & ~pole, _zeta)], s, q))


def _trigamma(x):
    """Recurrence up to 10, then the asymptotic series (DLMF 5.15.8); reflection (DLMF 5.15.6) below 1/2."""
    low = x < 0.5
    y = np.where(low, 1 - x, x)
    total = np.zeros_like(y)
    for _ in range(10):
        more = y < 10
        total += np.where(more, 1 / (y * y), 0)
        y = y + more
    r = 1 / (y * y)
    total += 1 / y + r / 2 + polynomial(r, [0.0, *_BERNOULLI[:8]]) / y
    return np.where(low, (np.pi / np.sin(np.pi * x)) ** 2 - total, total)


@double
def trigamma(x):
    """The second derivative of the logarithm of the gamma function."""
    return _trigamma(x)


def polygamma(n: int, x, out=None):
    """Derivative number n of digamma."""
    if n < 2:
        return (trigamma if n else digamma)(x, out=out)
    scale = (-1.0) ** (n + 1)

    @double
    def kernel(x):
        return scale * np.exp(math.lgamma(n + 1.0)) * zeta(np.full_like(x, n + 1), x)

    return kernel(x, out=out)


def _log1p_minus(x):
    """log(1 + x) - x, accurate near 0."""
    near = np.abs(x) < 0.2
    y = np.where(near, x, 0)
    # log(1 + y) = 2 artanh(y / (2 + y))
    r = y / (2 + y)
    s = r * r
    small = 2 * r * s * series(s, lambda k: 1 / (2 * k + 3), 14) - y * r
    return np.where(near, small, np.log1p(x) - x)


_STIRLING = [b / ((2 * k + 2) * (2 * k + 1)) for k, b in enumerate(_BERNOULLI[:8])]


def gamma_density(a, x):
    """x ** a * exp(-x) / gamma(a), by Stirling's series for large a."""
    large = a > 10
    big = np.where(large, a, 10.0)
    r = 1 / big
    stirling = polynomial(r * r, _STIRLING) * r
    exact = np.sqrt(big / (2 * np.pi)) * np.exp(big * _log1p_minus((x - big) / big) - stirling)
    return np.where(large, exact, np.exp(a * np.log(x) - x - lgamma(a)))


def _iterate(step, state, most=20000):
    """Repeat `step(i, *state)`, which returns the new state and what is done, for those elements that are not done."""
    state = [s.copy() for s in state]
    at = np.arange(state[0].size)
    part = state
    for i in range(1, most):
        part, done = step(i, *part)
        if done.any() or i == most - 1:
            for whole, some in zip(state, part, strict=True):
                whole[at] = some
            part = [some[~done] for some in part]
            at = at[~done]
            if not at.size:
                break
    return state


def _lower_series(a, x):
    """The lower incomplete gamma function over its density: the sum of x ** n / (a ... (a + n)) (DLMF 8.7.1)."""

    def step(i, a, x, term, total):
        term = term * x / (a + i)
        total = total + term
        return [a, x, term, total], ~(term > 1e-17 * total)

    return _iterate(step, [a, x, 1 / a, 1 / a])[3]


def _upper_fraction(a, x):
    """The upper incomplete gamma function over its density: a continued fraction (DLMF 8.9.2), by Lentz's method."""
    tiny = 1e-300

    def step(i, a, b, c, d, f):
        an = -i * (i - a)
        b = b + 2
        d = 1 / (an * d + b)
        c = b + an / np.where(c == 0, tiny, c)
        delta = c * d
        return [a, b, c, d, f * delta], ~(np.abs(delta - 1) > 1e-16)

    b = x + 1 - a
    d = 1 / np.where(b == 0, tiny, b)
    return _iterate(step, [a, b, np.full_like(x, 1 / tiny), d, d])[4]


@functools.cache
def _temme() -> list[list[float]]:
    """The coefficients of c[k](eta) in Temme's expansion, from their recurrence (DLMF 8.12.10)."""
    from fractions import Fraction

    n = 34
    mu = [Fraction(0), Fraction(1)]  # lambda - 1 as a series in eta: mu mu' = eta (1 + mu)
    for k in range(2, n):
        inner = sum((j * mu[j] * mu[k + 1 - j] for j in range(2, k)), Fraction(0))
        mu.append((mu[k - 1] - inner) / (k + 1))
    reciprocal = [Fraction(1)]  # eta / mu
    for k in range(1, n - 1):
        reciprocal.append(-sum((mu[j + 1] * reciprocal[k - j] for j in range(1, k + 1)), Fraction(0)))
    rows = [reciprocal[1:]]
    for _ in range(1, 10):
        last = rows[-1]
        # The poles of c' / eta and of g / mu cancel.
        g = -last[1]
        rows.append([(j + 2) * last[j + 2] + g * reciprocal[j + 1] for j in range(len(last) - 2)])
    return [[float(c) for c in row[:16]] for row in rows]


def _temme_upper(a, x):
    """The upper regularised function where a is large and near x. Source: Temme, SIAM J. Math. Anal. 10, 1979."""
    mu = (x - a) / a
    half = -_log1p_minus(mu)
    eta = np.copysign(np.sqrt(2 * half), mu)
    r = 1 / a
    series = np.zeros_like(a)
    for row in reversed(_temme()):
        series = series * r + polynomial(eta, row)
    return 0.5 * erfc(eta * np.sqrt(a / 2)) + np.exp(-a * half) / np.sqrt(2 * np.pi * a) * series


def _small_upper(a, x):
    """1 - P without cancellation, for small x."""
    total, term = np.zeros_like(a), np.ones_like(a)
    for n in range(1, 40):
        term = term * (-x / n)
        total += term / (a + n)
    log_x = np.log(x)
    first = -np.expm1(a * log_x - lgamma(1 + a))
    return first - np.exp(a * log_x - lgamma(a)) * total


def _regularised(a, x, upper: bool):
    """The upper or lower regularised incomplete gamma function for positive, finite a and x."""

    def lower_first(a, x):
        p = gamma_density(a, x) * _lower_series(a, x)
        return 1 - p if upper else p

    def upper_first(a, x):
        q = gamma_density(a, x) * _upper_fraction(a, x)
        return q if upper else 1 - q

    def large(a, x):
        q = _temme_upper(a, x)
        if upper:
            return q
        mu = (x - a) / a
        eta = np.copysign(np.sqrt(-2 * _log1p_minus(mu)), mu)
        return np.where(
            eta < 0, 0.5 * erfc(-eta * np.sqrt(a / 2)) - (q - 0.5 * erfc(eta * np.sqrt(a / 2))), 1 - q
        )

    near = (a > 200) & (np.abs(x - a) < 4.5 * np.sqrt(a))
    cases = [(near, large)]
    if upper:
        cases.append(((x <= 1.1) & np.where(x <= 0.5, -0.4 / np.log(x) >= a, x * 1.1 >= a), _small_upper))
    cases += [((x > 1.1) & (x > a), upper_first), (x == x, lower_first)]
    return choose(cases, a, x)


def _igamma(a, x, upper):
    zero, one = (1.0, 0.0) if upper else (0.0, 1.0)
    bad = (x < 0) | (a < 0) | np.isnan(x) | np.isnan(a) | ((a == 0) & (x == 0)) | (np.isinf(a) & np.isinf(x))
    inside = (x > 0) & (a > 0) & np.isfinite(a) & np.isfinite(x)
    limits = np.where(bad, np.nan, np.where((a == 0) | np.isinf(x), one, zero))
    return np.where(inside, choose([(inside, lambda a, x: _regularised(a, x, upper))], a, x), limits)


@double
def igamma(a, x):
    """The lower regularised incomplete gamma function."""
    return _igamma(a, x, False)


@double
def igammac(a, x):
    """The upper regularised incomplete gamma function."""
    return _igamma(a, x, True)
