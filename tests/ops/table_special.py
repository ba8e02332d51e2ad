"""Special functions: `torch.special` and those of them that are also in `torch`."""

from tests.ops.table import C, I, Row, T

M = T((3, 4))
POSITIVE = T((3, 4), 0.2, 4.0)


def special(name, spec=M, id="", **options):
    """A function of one tensor in torch.special."""
    call = lambda torch, x: getattr(torch.special, name)(x)
    wrong = () if id else (lambda torch: getattr(torch.special, name)("x"),)
    return Row(f"special_{name}", call, (spec,), id=id, wrong=wrong, **options)


def both(name, spec=M, id="", **options):
    """A function of one tensor that is also a method."""
    wrong = () if id else (lambda torch: getattr(torch, name)("x"),)
    return Row(name, lambda torch, x: getattr(torch, name)(x), (spec,), id=id, wrong=wrong, **options)


def plain(name, low=-9.0, high=9.0):
    """A function without a gradient, on both sides of where its formula changes.

    PyTorch's are off by up to 1e-6; tests/kernels/test_special.py compares ours with SciPy's to 1e-11.
    """
    return [
        special(name, T((40,), low, high), grad=False, tol=2e-5, tol32=2e-5),
        special(name, T((3, 4), low / 8, high / 8), id="small", grad=False, tol=1e-9),
        special(name, I((4,), 6, 1), id="int", grad=False),
    ]


def polynomial(name, low=-1.5, high=1.5):
    """An orthogonal polynomial of each degree."""
    call = lambda torch, x, n: getattr(torch.special, name)(x, n)
    return [
        Row(f"special_{name}", call, (T((5, 12), low, high), I((12,), 12, -2)), grad=False, tol=1e-8, tol32=2e-3,
            wrong=(lambda torch: getattr(torch.special, name)("x", 1),)),
        Row(f"special_{name}", lambda torch, x: getattr(torch.special, name)(x, 3), (T((5,)),), id="number", grad=False),
    ]  # fmt: skip


TWO = (POSITIVE, POSITIVE)

ROWS = [
    both("i0"), both("i0", T((30,), -30, 30), id="wide"), both("i0", I((4,)), id="int", grad=False),
    special("i0e"), special("i0e", T((30,), -30, 30), id="wide"),
    special("i1"), special("i1", T((30,), -30, 30), id="wide"), special("i1", I((4,)), id="int", grad=False),
    special("i1e"), special("i1e", T((30,), -30, 30), id="wide"),
    special("entr", POSITIVE), special("entr", I((4,), 3, -1), id="int", grad=False),
    special("erfcx"), special("erfcx", T((30,), -4, 60), id="wide"),
    special("ndtr"), special("ndtr", I((4,)), id="int", grad=False),
    special("ndtri", T((30,), 0.01, 0.99)), special("ndtri", T((8,), 1e-12, 1e-7), id="tail", tol=1e-7, fd=False),
    special("log_ndtr"), special("log_ndtr", T((30,), -30, 8), id="wide"),
    both("sinc"), both("sinc", C((3,)), id="complex", fd=False), both("sinc", I((4,), 3, -2), id="int", grad=False),
    both("logit", T((3, 4), 0.05, 0.95)),
    Row("logit", lambda torch, x: torch.logit(x, 0.2), (T((3, 4), 0.0, 1.0),), id="eps", fd=False),
    Row("logit", lambda torch, x: x.logit(eps=1e-6), (I((4,), 2),), id="int", grad=False),
    *[Row("polygamma", lambda torch, x, n=n: torch.polygamma(n, x), (T((3, 4), 0.3, 12.0),), id=str(n), tol=1e-9) for n in range(4)],
    Row("polygamma", lambda torch, x: x.polygamma(1), (T((3, 4), -3.9, -3.1),), id="method", tol=1e-8,
        wrong=(lambda torch: torch.polygamma(-1, torch.ones(1)), lambda torch: torch.polygamma(1, "x"))),
    Row("mvlgamma", lambda torch, x: torch.mvlgamma(x, 3), (T((3, 4), 1.5, 5),), tol=1e-9,
        wrong=(lambda torch: torch.mvlgamma(torch.ones(1), 0), lambda torch: torch.mvlgamma("x", 1))),
    Row("mvlgamma", lambda torch, x: x.mvlgamma(p=2), (I((4,), 6, 2),), id="int", grad=False),
    Row("igamma", lambda torch, a, x: torch.igamma(a.detach(), x), TWO, tol=1e-8, fd=False,
        wrong=(lambda torch: torch.igamma(torch.ones(2), 1.0), lambda torch: torch.igamma(torch.tensor([1]), torch.tensor([1])),
               lambda torch: torch.igamma(torch.ones(2), torch.ones(3)),
               lambda torch: torch.igamma(torch.ones(2, requires_grad=True), torch.ones(2)).sum().backward())),
    Row("igamma", lambda torch, a, x: torch.special.gammainc(a, x), (T((40,), 1, 400), T((40,), 1, 400)), id="large", grad=False, tol=3e-9),
    Row("igammac", lambda torch, a, x: torch.igammac(a.detach(), x), TWO, tol=1e-8, fd=False),
    Row("igammac", lambda torch, a, x: torch.special.gammaincc(a, x), (T((40,), 1, 400), T((40,), 1, 400)), id="large", grad=False, tol=3e-9),
    Row("special_xlog1py", lambda torch, x, y: torch.special.xlog1py(x, y), (M, POSITIVE),
        wrong=(lambda torch: torch.special.xlog1py(1, 2), lambda torch: torch.special.xlog1py(torch.ones(2), torch.ones(3)))),
    Row("special_xlog1py", lambda torch, y: torch.special.xlog1py(0.5, y), (POSITIVE,), id="number"),
    Row("special_xlog1py", lambda torch, x: torch.special.xlog1py(x, 2), (I((4,)),), id="int", grad=False),
    Row("special_zeta", lambda torch, x, q: torch.special.zeta(x.detach(), q), (T((3, 4), 1.1, 6), POSITIVE), tol=1e-8, fd=False,
        wrong=(lambda torch: torch.special.zeta(1, 2),)),
    Row("special_zeta", lambda torch, q: torch.special.zeta(2, q), (T((4,), 0.1, 30),), id="number", tol=1e-8),
    *plain("airy_ai"), *plain("bessel_j0"), *plain("bessel_j1"), *plain("bessel_y0", 0.1, 30), *plain("bessel_y1", 0.1, 30),
    *plain("modified_bessel_i0"), *plain("modified_bessel_i1"), *plain("modified_bessel_k0", 0.1), *plain("modified_bessel_k1", 0.1),
    *plain("scaled_modified_bessel_k0", 0.1), *plain("scaled_modified_bessel_k1", 0.1), *plain("spherical_bessel_j0"),
    *[row for kind in "tuvw" for row in polynomial(f"chebyshev_polynomial_{kind}")],
    *[row for kind in "tuvw" for row in polynomial(f"shifted_chebyshev_polynomial_{kind}", -0.2, 1.2)],
    *polynomial("hermite_polynomial_h"), *polynomial("hermite_polynomial_he"), *polynomial("laguerre_polynomial_l"),
    *polynomial("legendre_polynomial_p"),
]  # fmt: skip
