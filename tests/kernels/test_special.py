"""Special functions against SciPy's, in float64, over the ranges of every formula."""

import numpy as np
import pytest

from rushlight import kernels as K

special = pytest.importorskip("scipy.special")

RNG = np.random.default_rng(0)
WIDE = np.concatenate([RNG.uniform(-40, 40, 800), RNG.uniform(-2, 2, 400), [0.0, 5, 8, 600, -600]])
POSITIVE = np.abs(WIDE[WIDE != 0])
TINY = 10 ** RNG.uniform(-300, 0, 500)

#: name of the kernel, SciPy's function, arguments, relative and absolute tolerance
CASES = [
    ("i0", special.i0, WIDE, 2e-14, 0),
    ("i0e", special.i0e, WIDE, 2e-14, 0),
    ("i1", special.i1, WIDE, 2e-14, 0),
    ("i1e", special.i1e, WIDE, 2e-14, 0),
    ("k0", special.k0, POSITIVE, 2e-14, 0),
    ("k1", special.k1, POSITIVE, 2e-14, 0),
    ("k0e", special.k0e, POSITIVE, 2e-14, 0),
    ("k1e", special.k1e, POSITIVE, 2e-14, 0),
    ("bessel_j0", special.j0, WIDE, 0, 1e-14),
    ("bessel_j1", special.j1, WIDE, 0, 1e-14),
    ("bessel_y0", special.y0, POSITIVE, 1e-14, 1e-14),
    ("bessel_y1", special.y1, POSITIVE, 1e-14, 1e-14),
    ("airy_ai", lambda x: special.airy(x)[0], WIDE[:1200] / 4, 1e-12, 1e-13),
    ("erfcx", special.erfcx, WIDE[WIDE > -20], 2e-14, 0),
    ("ndtr", special.ndtr, WIDE[:1200], 1e-12, 1e-300),
    ("log_ndtr", special.log_ndtr, WIDE, 1e-12, 1e-300),
    ("ndtri", special.ndtri, TINY, 2e-14, 0),
    ("ndtri", special.ndtri, RNG.uniform(0, 1, 500), 1e-13, 1e-14),
    ("trigamma", lambda x: special.polygamma(1, x), POSITIVE, 2e-14, 0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "expected", "x", "rtol", "atol"), CASES, ids=[c[0] for c in CASES])
def test_against_scipy(name, expected, x, rtol, atol):
    np.testing.assert_allclose(getattr(K, name)(x), expected(x), rtol=rtol, atol=atol)


def test_zeta_and_polygamma():
    s, q = RNG.uniform(1.01, 20, 500), 10 ** RNG.uniform(-2, 3, 500)
    np.testing.assert_allclose(K.zeta(s, q), special.zeta(s, q), rtol=1e-14)
    np.testing.assert_allclose(K.polygamma(4, q), special.polygamma(4, q), rtol=1e-13)


def test_incomplete_gamma():
    a = 10 ** RNG.uniform(-3, 5, 3000)
    x = np.where(
        np.arange(3000) % 2,
        a * 10 ** RNG.uniform(-1, 1, 3000),
        np.abs(a + np.sqrt(a) * RNG.normal(0, 3, 3000)),
    )
    np.testing.assert_allclose(K.igamma(a, x), special.gammainc(a, x), rtol=1e-9, atol=2e-14)
    np.testing.assert_allclose(K.igammac(a, x), special.gammaincc(a, x), rtol=1e-9, atol=2e-14)


def _slope(function, a, *rest):
    """A derivative by differences of the fourth order."""
    h = 1e-3 * a
    near, far = (function(a + k * h, *rest) - function(a - k * h, *rest) for k in (1, 2))
    return (8 * near - far) / (12 * h)


def test_implicit_gradients_of_gamma_numbers():
    a, p = 10 ** RNG.uniform(-1, 7, 400), RNG.uniform(0.001, 0.999, 400)
    x = special.gammaincinv(a, p)
    found = K.gamma_gradient(a, x)
    np.testing.assert_allclose(found, _slope(special.gammaincinv, a, p), rtol=1e-7)


def test_implicit_gradients_of_beta_numbers():
    a, b, p = 10 ** RNG.uniform(-0.5, 3, 400), 10 ** RNG.uniform(-0.5, 3, 400), RNG.uniform(0.01, 0.99, 400)
    x = special.betaincinv(a, b, p)
    keep = (x > 1e-9) & (x < 1 - 1e-6)
    a, b, p, x = a[keep], b[keep], p[keep], x[keep]
    found = K.dirichlet_gradient(x, a, a + b) * (1 - x)
    np.testing.assert_allclose(found, _slope(special.betaincinv, a, b, p), rtol=2e-6)
