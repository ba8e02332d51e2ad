"""Factorisations, systems, determinants, least squares and functions of matrices.

Signs and phases of eigenvectors and singular vectors are the library's own choice: rows use what doesn't depend on them.
"""

import warnings

from tests.ops.table import C, I, Row, T

M, BATCH, TALL, WIDE, RIGHT = T((3, 3)), T((2, 3, 3)), T((4, 3)), T((3, 4)), T((3, 2))
COMPLEX = C((3, 3))


def positive(torch, x):
    """A positive definite matrix."""
    return x @ x.mH + 3 * torch.eye(x.shape[-1], dtype=x.dtype)


def regular(torch, x):
    """A matrix far from singular."""
    return x + 5 * torch.eye(x.shape[-1], dtype=x.dtype)


def symmetric(x):
    return x + x.mH


def spread(torch, x):
    """A symmetric matrix with eigenvalues far from each other."""
    return symmetric(x) + torch.diag(torch.arange(x.shape[-1]) * 9).to(x.dtype)


def distinct(torch, x):
    """A matrix with real eigenvalues far from each other."""
    return 0.3 * x + torch.diag(torch.arange(x.shape[-1]) * 9.0).to(x.dtype)


def quietly(call):
    """A call without the warnings of old functions."""

    def quiet(*args):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(*args)

    return quiet


def op(name, call, *inputs, complex=True, batch=True, **options):
    """Rows of one op: matrices, stacks of them, complex ones."""
    rows = [Row(name, call, inputs, **options)]
    if batch:
        stacked = {**options, "wrong": (), "fd": False, "grad2": False, "layouts": False}
        rows.append(Row(name, call, (T((2, *inputs[0].shape)), *inputs[1:]), id="batch", **stacked))
    if complex:
        options = {**options, "wrong": (), "layouts": False}
        rows.append(Row(name, call, tuple(C(i.shape) for i in inputs), id="complex", **options))
    return rows


def wrong(*calls):
    """Wrong calls, as text."""
    return tuple(lambda torch, c=c: eval(c, {"torch": torch}) for c in calls)


def of_square(name):
    """What functions of square matrices refuse."""
    return wrong(
        f"{name}(torch.ones(2, 3))",
        f"{name}(torch.ones(3))",
        f"{name}(torch.ones(2, 2).long())",
        f"{name}(2)",
    )


LOW = {"tol": 1e-8, "tol32": 1e-4}
VALUE = {"grad": False, **LOW}


def projectors(vectors):
    """The projections on each column: independent of signs and phases."""
    return vectors.unsqueeze(-2) * vectors.conj().unsqueeze(-3)


def svd_parts(u, s, vh):
    """What doesn't depend on the singular vectors' phases."""
    return s, u @ vh, projectors(u)


ROWS = [
    # Cholesky
    *op("linalg_cholesky", lambda torch, x: torch.linalg.cholesky(positive(torch, x)), M,
        wrong=(*of_square("torch.linalg.cholesky"), *wrong("torch.linalg.cholesky(-torch.eye(2))")), **LOW),
    *op("linalg_cholesky_ex", lambda torch, x: torch.linalg.cholesky_ex(positive(torch, x), upper=True), M,
        wrong=of_square("torch.linalg.cholesky_ex"), **LOW),
    Row("linalg_cholesky_ex", lambda torch, x: (torch.linalg.cholesky_ex(symmetric(x) + torch.eye(3, dtype=x.dtype)),
        torch.linalg.cholesky_ex(symmetric(x) + torch.eye(3, dtype=x.dtype), upper=True)[1]), (BATCH,), id="indefinite",
        layouts=False, **VALUE),
    *op("cholesky", quietly(lambda torch, x: torch.cholesky(positive(torch, x), upper=True)), M, batch=False, **LOW),
    *op("cholesky_solve", lambda torch, b, x: torch.cholesky_solve(b, torch.linalg.cholesky(positive(torch, x))),
        RIGHT, M, wrong=wrong("torch.cholesky_solve(torch.ones(2), torch.eye(2))",
                              "torch.cholesky_solve(torch.ones(2, 3), torch.eye(3))"), **LOW),
    *op("cholesky_inverse", lambda torch, x: (torch.cholesky_inverse(torch.linalg.cholesky(positive(torch, x))),
        torch.cholesky_inverse(torch.linalg.cholesky(positive(torch, x)).mH, upper=True)), M,
        wrong=wrong("torch.cholesky_inverse(torch.ones(2, 3))", "torch.cholesky_inverse(torch.zeros(2, 2))"), **LOW),
    # QR
    *op("linalg_qr", lambda torch, x: torch.linalg.qr(regular(torch, x)), M, **LOW,
        wrong=wrong("torch.linalg.qr(torch.ones(2, 2), mode='some')", "torch.linalg.qr(torch.ones(2))",
                    "torch.linalg.qr(torch.ones(2, 2).long())",
                    "torch.linalg.qr(torch.ones(2, 2, requires_grad=True), mode='r').R.sum().backward()",
                    "torch.linalg.qr(torch.rand(3, 2, requires_grad=True), mode='complete').R.sum().backward()")),
    *op("linalg_qr", lambda torch, x: torch.linalg.qr(x), TALL, complex=False, batch=False, **LOW)[:1],
    Row("linalg_qr", lambda torch, x: torch.linalg.qr(x), (WIDE,), id="wide", **LOW),
    Row("linalg_qr", lambda torch, x: torch.linalg.qr(x, mode="complete"), (WIDE,), id="complete", **LOW),
    Row("linalg_qr", lambda torch, x: torch.linalg.qr(x, mode="r"), (TALL,), id="r", **VALUE),
    Row("qr", lambda torch, x: quietly(torch.qr)(x), (TALL,), **LOW),
    # eigenvalues
    *op("linalg_eigh", lambda torch, x: (lambda e: (e.eigenvalues, projectors(e.eigenvectors)))(
        torch.linalg.eigh(spread(torch, x))), M, wrong=(*of_square("torch.linalg.eigh"),
        *wrong("torch.linalg.eigh(torch.eye(2), UPLO='X')")), **LOW),
    *op("linalg_eigvalsh", lambda torch, x: torch.linalg.eigvalsh(spread(torch, x), UPLO="U"), M, **LOW,
        wrong=of_square("torch.linalg.eigvalsh")),
    *op("linalg_eig", lambda torch, x: (lambda e: (e.eigenvalues, projectors(e.eigenvectors)))(
        torch.linalg.eig(distinct(torch, x))), M, wrong=(*of_square("torch.linalg.eig"),
        *wrong("torch.linalg.eig(torch.full((2, 2), float('nan')))")), **LOW),
    *op("linalg_eigvals", lambda torch, x: torch.linalg.eigvals(distinct(torch, x)), M, **LOW),
    # singular values
    *op("linalg_svd", lambda torch, x: svd_parts(*torch.linalg.svd(x, full_matrices=False)), TALL, **LOW,
        wrong=wrong("torch.linalg.svd(torch.ones(2))", "torch.linalg.svd(torch.ones(2, 2).long())",
                    "torch.linalg.svd(torch.full((2, 2), float('nan')))", "torch.linalg.svd(torch.eye(2), driver='gesvd')")),
    Row("linalg_svd", lambda torch, x: svd_parts(*torch.linalg.svd(x, full_matrices=False)), (WIDE,), id="wide", **LOW),
    Row("linalg_svd", lambda torch, x: (lambda u, s, vh: (s, (u[:, :3] * s) @ vh))(*torch.linalg.svd(x)), (TALL,),
        id="full", **LOW),
    *op("linalg_svdvals", lambda torch, x: torch.linalg.svdvals(x), TALL, **LOW),
    Row("svd", quietly(lambda torch, x: (lambda u, s, v: (s, u @ v.mH))(*torch.svd(x))), (TALL,),
        wrong=wrong("torch.svd(torch.ones(2))"), **LOW),
    Row("svd", quietly(lambda torch, x: torch.svd(x, compute_uv=False)), (TALL,), id="values", **LOW),
    # LU
    *op("linalg_lu_factor", lambda torch, x: torch.linalg.lu_factor(x), M, **LOW,
        wrong=wrong("torch.linalg.lu_factor(torch.zeros(2, 2))", "torch.linalg.lu_factor(torch.ones(2))",
                    "torch.linalg.lu_factor(torch.eye(2), pivot=False)", "torch.linalg.lu_factor(torch.eye(2).long())")),
    *op("linalg_lu_factor_ex", lambda torch, x: torch.linalg.lu_factor_ex(x), TALL, **LOW,
        wrong=wrong("torch.linalg.lu_factor_ex(torch.zeros(2, 2), check_errors=True)")),
    *op("linalg_lu", lambda torch, x: torch.linalg.lu(x), WIDE, **LOW, wrong=wrong("torch.linalg.lu(torch.ones(2))")),
    Row("linalg_lu", lambda torch, x: torch.linalg.lu(x)[1:], (TALL,), id="tall", **LOW),
    Row("linalg_lu", lambda torch, x: torch.linalg.lu(x), (T((40, 40)),), id="blocks", layouts=False, **VALUE),
    *op("lu_unpack", lambda torch, x: torch.lu_unpack(*torch.linalg.lu_factor(x)), M, **LOW,
        wrong=wrong("torch.lu_unpack(torch.eye(2), torch.tensor([1, 2]))",
                    "torch.lu_unpack(torch.eye(2), torch.tensor([1, 5], dtype=torch.int32))")),
    *op("linalg_lu_solve", lambda torch, x, b: tuple(
        torch.linalg.lu_solve(*torch.linalg.lu_factor(x), b if left else b.mT, left=left, adjoint=adjoint)
        for left in (True, False) for adjoint in (True, False)), M, RIGHT, **LOW,
        wrong=wrong("torch.linalg.lu_solve(torch.eye(2), torch.tensor([1, 2]), torch.ones(2, 2))",
                    "torch.linalg.lu_solve(torch.eye(2), torch.tensor([1, 2], dtype=torch.int32), torch.ones(2))",
                    "torch.linalg.lu_solve(torch.eye(2), torch.tensor([0, 2], dtype=torch.int32), torch.ones(2, 1))")),
    Row("lu_solve", quietly(lambda torch, b, x: torch.lu_solve(b, *torch.linalg.lu_factor(x))), (RIGHT, M), **LOW),
    Row("lu", quietly(lambda torch, x: torch.lu(x, get_infos=True)), (M,), **LOW),
    # LDL
    Row("linalg_ldl_factor", lambda torch, x: torch.linalg.ldl_factor(symmetric(x)), (T((5, 5)),), **VALUE,
        wrong=wrong("torch.linalg.ldl_factor(torch.ones(2, 3))", "torch.linalg.ldl_factor(torch.zeros(2, 2))")),
    Row("linalg_ldl_factor_ex", lambda torch, x: torch.linalg.ldl_factor_ex(symmetric(x), hermitian=True),
        (C((2, 6, 6)),), **VALUE),
    Row("linalg_ldl_solve", lambda torch, x, b: (
        torch.linalg.ldl_solve(*torch.linalg.ldl_factor(symmetric(x), hermitian=True), b, hermitian=True),
        torch.linalg.ldl_solve(*torch.linalg.ldl_factor(x + x.mT), b)), (C((5, 5)), C((5, 2))),
        wrong=wrong("torch.linalg.ldl_solve(torch.eye(2), torch.tensor([1, 2]), torch.ones(3, 2))",
                    "torch.linalg.ldl_solve(torch.eye(2), torch.tensor([1]), torch.ones(2, 2))"), **VALUE),
    # triangular systems
    *op("linalg_solve_triangular", lambda torch, a, b: tuple(
        torch.linalg.solve_triangular(regular(torch, a), b if left else b.mT, upper=upper, left=left, unitriangular=unit)
        for upper in (True, False) for left in (True, False) for unit in (True, False)), M, RIGHT, **LOW,
        wrong=wrong("torch.linalg.solve_triangular(torch.ones(2, 3), torch.ones(2, 2), upper=True)",
                    "torch.linalg.solve_triangular(torch.eye(2), torch.ones(3, 2), upper=True)",
                    "torch.linalg.solve_triangular(torch.eye(2), torch.ones(2), upper=True)",
                    "torch.linalg.solve_triangular(torch.eye(2), torch.ones(2, 2))")),
    Row("linalg_solve_triangular", lambda torch, a, b: (
        torch.linalg.solve_triangular(regular(torch, a / 9), b, upper=True),
        torch.linalg.solve_triangular(regular(torch, a / 9), b, upper=False),
        torch.linalg.solve_triangular(a * 0, b, upper=True)), (T((70, 70)), T((70, 1))), id="large", layouts=False, **VALUE),
    *op("triangular_solve", quietly(lambda torch, b, a: tuple(
        torch.triangular_solve(b, regular(torch, a), upper, transpose, unit)
        for upper in (True, False) for transpose in (True, False) for unit in (True, False))), RIGHT, M, **LOW,
        wrong=wrong("torch.triangular_solve(torch.ones(2), torch.eye(2))",
                    "torch.triangular_solve(torch.ones(3, 3), torch.eye(2))")),
    # inverses and systems
    *op("linalg_inv", lambda torch, x: torch.linalg.inv(regular(torch, x)), M, **LOW,
        wrong=(*of_square("torch.linalg.inv"), *wrong("torch.linalg.inv(torch.ones(2, 2).half())"))),
    *op("inverse", lambda torch, x: regular(torch, x).inverse(), M, complex=False, **LOW),
    *op("linalg_inv_ex", lambda torch, x: torch.linalg.inv_ex(regular(torch, x)), M, **LOW),
    *op("linalg_solve", lambda torch, x, b: torch.linalg.solve(regular(torch, x), b), M, RIGHT, **LOW,
        wrong=wrong("torch.linalg.solve(torch.ones(2, 3), torch.ones(2))", "torch.linalg.solve(torch.eye(2), torch.ones(3))",
                    "torch.linalg.solve(torch.eye(2), torch.ones(2).long())", "torch.linalg.solve(torch.eye(2), torch.tensor(1.0))",
                    "torch.linalg.solve(torch.eye(2).half(), torch.ones(2).half())",
                    "torch.linalg.solve(torch.eye(2), torch.ones(2), left=False)")),
    Row("linalg_solve", lambda torch, x, b: torch.linalg.solve(regular(torch, x), b), (BATCH, T((2, 3))), id="vectors", **LOW),
    Row("linalg_solve", lambda torch, x, b: torch.linalg.solve(regular(torch, x), b), (BATCH, T((3,))), id="vector", **LOW),
    Row("linalg_solve", lambda torch, x, b: torch.linalg.solve(regular(torch, x), b, left=False), (BATCH, T((4, 3))),
        id="right", **LOW),
    *op("linalg_solve_ex", lambda torch, x, b: torch.linalg.solve_ex(regular(torch, x), b), M, RIGHT, **LOW),
    Row("linalg_tensorinv", lambda torch, x: torch.linalg.tensorinv(regular(torch, x).reshape(2, 2, 4)), (T((4, 4)),), **LOW,
        wrong=wrong("torch.linalg.tensorinv(torch.ones(2, 3), ind=1)", "torch.linalg.tensorinv(torch.ones(2, 2), ind=0)")),
    Row("linalg_tensorsolve", lambda torch, x, b: torch.linalg.tensorsolve(regular(torch, x).reshape(2, 2, 4), b),
        (T((4, 4)), T((2, 2))), **LOW, wrong=wrong("torch.linalg.tensorsolve(torch.ones(2, 3), torch.ones(2))")),
    # determinants
    *op("linalg_det", lambda torch, x: torch.linalg.det(x), M, wrong=of_square("torch.linalg.det"), **LOW),
    *op("det", lambda torch, x: x.det(), M, complex=False, wrong=wrong("torch.det(torch.eye(2).half())"), **LOW),
    Row("det", lambda torch, x: torch.det(x[:, None] * x), (T((3,)),), id="singular", fd=False, **LOW),
    *op("linalg_slogdet", lambda torch, x: torch.linalg.slogdet(x), M, wrong=of_square("torch.linalg.slogdet"), **LOW),
    Row("slogdet", lambda torch, x: x.slogdet(), (M,), **LOW),
    *op("logdet", lambda torch, x: torch.logdet(positive(torch, x)), M, wrong=of_square("torch.logdet"), **LOW),
    # least squares, rank, condition
    *op("linalg_pinv", lambda torch, x: torch.linalg.pinv(x), TALL, **LOW,
        wrong=wrong("torch.linalg.pinv(torch.ones(2))", "torch.linalg.pinv(torch.ones(2, 2).long())",
                    "torch.linalg.pinv(torch.ones(2, 3), hermitian=True)")),
    Row("linalg_pinv", lambda torch, x: (torch.linalg.pinv(x), torch.linalg.pinv(x, rtol=0.1), torch.linalg.pinv(x, atol=0.1)),
        (WIDE,), id="wide", **LOW),
    Row("linalg_pinv", lambda torch, x: torch.linalg.pinv(spread(torch, x), hermitian=True), (COMPLEX,), id="hermitian",
        grad2=False, fd=False, **LOW),
    Row("pinverse", lambda torch, x: x.pinverse(), (WIDE,), **LOW),
    *(Row("linalg_lstsq", lambda torch, a, b, d=driver: torch.linalg.lstsq(a, b, driver=d)[:3], (TALL, T((4, 2))), id=driver,
          **LOW) for driver in ("gels", "gelsy", "gelsd", "gelss")),
    Row("linalg_lstsq", lambda torch, a, b: torch.linalg.lstsq(a, b), (C((3, 4)), C((3,))), id="vector",
        wrong=wrong("torch.linalg.lstsq(torch.ones(2), torch.ones(2))", "torch.linalg.lstsq(torch.ones(2, 3), torch.ones(3, 3))",
                    "torch.linalg.lstsq(torch.ones(2, 3), torch.ones(2, 3), driver='best')",
                    "torch.linalg.lstsq(torch.ones(2, 3), torch.ones(2, 3).double())"), **LOW),
    Row("linalg_matrix_rank", lambda torch, x: (torch.linalg.matrix_rank(x), torch.linalg.matrix_rank(x[..., None, 0] * x),
        torch.linalg.matrix_rank(symmetric(x), hermitian=True), torch.linalg.matrix_rank(x, atol=2.0, rtol=0.1),
        torch.linalg.matrix_rank(x, torch.tensor(1.5))), (BATCH,), **VALUE,
        wrong=wrong("torch.linalg.matrix_rank(torch.ones(2))", "torch.linalg.matrix_rank(torch.ones(2, 2).long())")),
    *(Row("linalg_cond", lambda torch, x, p=p: torch.linalg.cond(x, p), (BATCH,), id=str(p), **LOW)
      for p in (None, 2, -2, "nuc")),
    *(Row("linalg_cond", lambda torch, x, p=p: torch.linalg.cond(x, p), (BATCH,), id=str(p), **VALUE)  # see test_linalg.py
      for p in (1, -1, float("inf"), float("-inf"), "fro")),
    Row("linalg_cond", lambda torch, x: torch.linalg.cond(x), (TALL,), id="tall", **LOW,
        wrong=wrong("torch.linalg.cond(torch.ones(2))", "torch.linalg.cond(torch.ones(2, 2), 3)",
                    "torch.linalg.cond(torch.ones(2, 3), 1)", "torch.linalg.cond(torch.ones(2, 2), 'x')")),
    Row("nuclear_norm", quietly(lambda torch, x: (torch.nuclear_norm(x), torch.norm(x, "nuc"), torch.linalg.norm(x, 2),
        torch.linalg.matrix_norm(x, -2, keepdim=True))), (TALL,), wrong=wrong("torch.nuclear_norm(torch.ones(2))"), **LOW),
    Row("frobenius_norm", quietly(lambda torch, x: (torch.frobenius_norm(x, (0, 1)), torch.frobenius_norm(x, 1, keepdim=True))),
        (TALL,), wrong=wrong("torch.frobenius_norm(torch.ones(2, 2, 2), (0, 1, 2))"), **LOW),
    # functions of matrices
    *op("matrix_power", lambda torch, x: tuple(torch.matrix_power(regular(torch, x), n) for n in (0, 1, 2, 5, -1, -2)), M,
        wrong=wrong("torch.matrix_power(torch.ones(2, 3), 2)", "torch.matrix_power(torch.ones(2, 2), 1.5)",
                    "torch.matrix_power(torch.ones(2, 2).long(), -1)"), tol=1e-8, tol32=1e-3),
    Row("linalg_matrix_power", lambda torch, x: torch.linalg.matrix_power(x, 3), (I((2, 2)),), grad=False),
    *op("linalg_matrix_exp", lambda torch, x: torch.linalg.matrix_exp(x), M, tol=1e-8, tol32=1e-3,
        wrong=of_square("torch.linalg.matrix_exp")),
    Row("matrix_exp", lambda torch, x: (9 * x).matrix_exp().log(), (T((2, 3, 3), 0.1, 1.0),), id="large", **LOW),
    Row("linalg_vander", lambda torch, x: (torch.linalg.vander(x), torch.linalg.vander(x, N=5)), (T((2, 3)),),
        wrong=wrong("torch.linalg.vander(torch.ones(2), N=1)", "torch.linalg.vander(torch.tensor(1.0))",
                    "torch.linalg.vander(torch.ones(2).bool())"), **LOW),
    Row("linalg_vander", lambda torch, x: torch.linalg.vander(x, N=3), (I((3,)),), id="int", grad=False),
    Row("linalg_diagonal", lambda torch, x: torch.linalg.diagonal(x, offset=1), (BATCH,),
        wrong=wrong("torch.linalg.diagonal(torch.ones(2))")),
    Row("linalg_householder_product", lambda torch, x, t: torch.linalg.householder_product(x, t), (C((5, 3)), C((3,))), **LOW,
        wrong=wrong("torch.linalg.householder_product(torch.ones(2, 3), torch.ones(2))",
                    "torch.linalg.householder_product(torch.ones(3, 2), torch.ones(3))",
                    "torch.linalg.householder_product(torch.ones(3, 2), torch.ones(2).double())")),
    Row("orgqr", lambda torch, x: torch.orgqr(*torch.geqrf(x)), (T((2, 5, 3)),), **VALUE),
    *(Row("ormqr", lambda torch, a, t, x, left=left, turn=turn: torch.ormqr(a, t, x if left else x.mT, left, turn),
          (C((4, 3)), C((3,)), C((4, 2))), id=f"{left}-{turn}", **LOW) for left in (True, False) for turn in (True, False)),
    Row("ormqr", lambda torch, a, t, x: torch.ormqr(a, t, x), (TALL, T((3,)), T((4, 2))), id="real", **LOW,
        wrong=wrong("torch.ormqr(torch.ones(3, 2), torch.ones(2), torch.ones(2, 2))")),
    Row("geqrf", lambda torch, x: torch.geqrf(x), (BATCH,), **VALUE, wrong=wrong("torch.geqrf(torch.ones(2))",
        "torch.geqrf(torch.ones(2, 2).long())")),
    # low rank: the same random numbers in both frameworks
    Row("svd_lowrank", lambda torch, x: (torch.manual_seed(0), svd_parts(*_adjoint_last(torch.svd_lowrank(x[0], q=2))))[1],
        (T((1, 5, 4)),), fd=False, layouts=False, grad2=False, **LOW),
    Row("pca_lowrank", lambda torch, x: (torch.manual_seed(0), torch.pca_lowrank(x, q=2)[1])[1], (T((5, 4)),), layouts=False,
        fd=False, tol=1e-6, tol32=1e-3, wrong=wrong("torch.pca_lowrank(torch.ones(2, 2), q=3)",
                                                    "torch.pca_lowrank(torch.ones(2, 2), niter=-1)")),
    Row("lobpcg", lambda torch, x: (torch.manual_seed(0), (lambda w, v: (w, projectors(v)))(
        *torch.lobpcg(spread(torch, x), k=2, largest=False, tol=1e-9)))[1], (T((8, 8)),), layouts=False, fd=False,
        grad2=False, dtypes=("float64",), tol=1e-5, wrong=wrong("torch.lobpcg(torch.eye(4), k=2)",
                                                               "torch.lobpcg(torch.ones(2, 3))")),
]  # fmt: skip


def _adjoint_last(usv):
    u, s, v = usv
    return u, s, v.mH
