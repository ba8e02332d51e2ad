"""Pseudo-inverses, least squares, rank and condition of matrices."""

import math

import numpy as np

from rushlight import dtypes, return_types
from rushlight.kernels.reference.layout import empty_by, zeros_by
from rushlight.ops.common import (
    Tensor,
    check_tensor,
    record,
    record_many,
    recording,
    wrap,
    write_out,
    write_outs,
)
from rushlight.ops.decompositions import eigvalsh, svdvals
from rushlight.ops.matrices import (
    LAPACK_TYPES,
    FactorNode,
    batch_of,
    check_square,
    fold,
)
from rushlight.ops.registry import op

# -- thresholds of singular values ------------------------------------------------------------------


def _tolerances(a: np.ndarray, atol, rtol) -> tuple[np.ndarray, np.ndarray]:
    """The absolute and relative tolerance; by default no absolute one, and epsilon times the larger size."""
    if rtol is None:
        eps = np.finfo(a.dtype).eps * max(a.shape[-2:])
        rtol = eps if atol is None else np.where(_plain(atol) > 0, 0, eps)
    return _plain(0 if atol is None else atol), _plain(rtol)


def _plain(value) -> np.ndarray:
    if isinstance(value, Tensor):
        if value._array.dtype.kind == "c":
            raise RuntimeError(
                f"torch.linalg.pinv: tolerances must not be of complex type. Got {value.dtype}"
            )
        value = value._array
    return np.asanyarray(value)


def _threshold(s: np.ndarray, atol: np.ndarray, rtol: np.ndarray) -> np.ndarray:
    """Below which size singular values count as zero, with a dimension to compare them with."""
    largest = s.max(-1, initial=0)
    return np.asanyarray(np.maximum(atol, rtol * largest))[..., None]


@op(name="linalg_matrix_rank", method=False)
def matrix_rank(input, tol=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """The number of singular values above a threshold, the larger one of `atol` and `rtol` times the largest.

    Args:
        input: A, a tensor [..., m, n].
        tol: the older name of `atol`.
        hermitian: A is symmetric or Hermitian: take its eigenvalues' sizes.
        atol: the absolute threshold, a number or a tensor [...]; by default 0.
        rtol: the relative threshold; by default, and without `atol`, epsilon times max(m, n).
        out: where to put the result.
    Returns:
        An int64 tensor [...].

    >>> import rushlight as torch
    >>> torch.linalg.matrix_rank(torch.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    array = check_tensor("linalg_matrix_rank", input, "input")._array
    if array.dtype not in LAPACK_TYPES:
        raise RuntimeError("This function doesn't handle types other than float and double")
    if array.ndim < 2:
        raise RuntimeError(
            "torch.linalg.matrix_rank: The input tensor input must have at least 2 dimensions."
        )
    if not array.size:
        return write_out(wrap(zeros_by(array, array.shape[:-2], np.int64)), out)
    atol, rtol = (_plain(tol), _plain(0)) if tol is not None else _tolerances(array, atol, rtol)
    s = np.abs(eigvalsh(input.detach())._array) if hermitian else svdvals(input.detach())._array
    rank = np.count_nonzero(s > _threshold(s, atol, rtol), -1)
    return write_out(wrap(np.asanyarray(rank, np.int64)), out)


# -- pseudo-inverse ---------------------------------------------------------------------------------


class LinalgPinvBackward0(FactorNode):
    """Source: Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems whose
    variables separate, 1973."""

    def backward(self, grad):
        inverse, a = self.unpack_all()
        return pinv_gradient(grad, inverse, a)


def pinv_gradient(grad: Tensor, inverse: Tensor, a: Tensor) -> Tensor:
    """The gradient of A from that of its pseudo-inverse."""
    adjoint, grad = inverse.mH, grad.mH
    if a._array.shape[-2] <= a._array.shape[-1]:
        k = grad @ inverse
        across = k @ adjoint
        return across - (inverse @ k).mH - (a @ inverse) @ across + (adjoint @ inverse) @ (grad - k @ a)
    k = inverse @ grad
    across = adjoint @ k
    return across - (k @ inverse).mH + (grad - a @ k) @ inverse @ adjoint - (across @ inverse) @ a


def _pinv(a: np.ndarray, atol, rtol, hermitian: bool) -> np.ndarray:
    if not a.size:
        return empty_by(a, (*a.shape[:-2], a.shape[-1], a.shape[-2]))
    if hermitian:
        values, u = np.linalg.eigh(a)
        size, vh = np.abs(values), u.swapaxes(-1, -2).conj()
    else:
        u, values, vh = np.linalg.svd(a, full_matrices=False)
        size = values
    kept = size > _threshold(size, *_tolerances(a, atol, rtol))
    scaled = np.where(kept, 1 / np.where(kept, values, 1), 0).astype(values.dtype)
    return (vh.swapaxes(-1, -2).conj() * scaled[..., None, :]) @ u.swapaxes(-1, -2).conj()


@op(name="linalg_pinv", method=False)
def pinv(input, rcond=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """The pseudo-inverse of Moore and Penrose.

    Args:
        input: A, a tensor [..., m, n].
        rcond: the older name of `rtol`.
        hermitian: A is symmetric or Hermitian; only its lower triangle is read.
        atol: singular values up to this count as zero, a number or a tensor [...]; by default 0.
        rtol: so do those up to this times the largest; by default, and without `atol`, epsilon times max(m, n).
        out: where to put the result.
    Returns:
        A tensor [..., n, m].
    Raises:
        RuntimeError: there are fewer than two dimensions, or another type.

    >>> import rushlight as torch
    >>> torch.linalg.pinv(torch.tensor([[3.0], [4.0]]))
    tensor([[0.1200, 0.1600]])
    """
    array = check_tensor("linalg_pinv", input, "input")._array
    if array.dtype not in LAPACK_TYPES or array.ndim < 2:
        kind = dtypes.SCALAR_NAMES[input.dtype]
        raise RuntimeError(
            f"linalg.pinv({kind}{{{list(array.shape)}}}): expected a tensor with 2 or more dimensions of float, double, "
            "cfloat or cdouble types"
        )
    if hermitian:
        check_square("linalg.eigh", array)
    result = _pinv(array, atol, rcond if rtol is None else rtol, hermitian)
    if not recording(input):
        return write_out(wrap(result), out)
    inverse = record(result, LinalgPinvBackward0, (input,))
    inverse._node.keep((inverse,), input)
    return write_out(inverse, out)


@op()
def pinverse(input, rcond=1e-15):
    """The pseudo-inverse; `torch.linalg.pinv` is its successor.

    >>> import rushlight as torch
    >>> torch.pinverse(torch.tensor([[3.0], [4.0]]))
    tensor([[0.1200, 0.1600]])
    """
    return pinv(input, rtol=rcond)


# -- least squares ----------------------------------------------------------------------------------


class LinalgLstsqBackward0(FactorNode):
    def backward(self, grad_x, grad_residuals, *_):
        x, a, b = self.unpack_all()
        to_a, to_b = self.edges
        vector = b._array.ndim == a._array.ndim - 1
        if vector:
            x, b = x.unsqueeze(-1), b.unsqueeze(-1)
            grad_x = None if grad_x is None else grad_x.unsqueeze(-1)
        grad_a = grad_b = None
        if grad_x is not None:
            inverse = pinv(a)
            grad_b = inverse.mH @ grad_x
            if to_a is not None:
                grad_a = pinv_gradient(grad_x @ b.mH, inverse, a)
        if grad_residuals is not None:
            rest = 2 * (a @ x - b) * grad_residuals.unsqueeze(-2)
            grad_a = rest @ x.mH if grad_a is None else grad_a + rest @ x.mH
            grad_b = -rest if grad_b is None else grad_b - rest
        if grad_a is not None:
            grad_a = fold(grad_a, a)
        if grad_b is not None:
            grad_b = fold(grad_b, b)
            grad_b = grad_b.squeeze(-1) if vector else grad_b
        return grad_a if to_a is not None else None, grad_b if to_b is not None else None


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _full_rank_solution(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """By QR, as LAPACK's gels: the matrices must be of full rank."""
    from rushlight.ops.lapack import adjoint, solve_triangular

    if a.shape[-2] >= a.shape[-1]:
        q, r = np.linalg.qr(a)
        return solve_triangular(r, adjoint(q) @ b, upper=True)
    q, r = np.linalg.qr(adjoint(a))
    return q @ solve_triangular(adjoint(r), b, upper=False)


@op(name="linalg_lstsq", method=False)
def lstsq(input, b, rcond=None, *, driver=None, out=None):
    """The X with the least |A X - B|, of these the shortest.

    Args:
        input: A, a tensor [..., m, n].
        b: B, a tensor [..., m, k], or vectors [..., m]; leading dimensions broadcast.
        rcond: singular values up to this times the largest count as zero; by default epsilon times max(m, n).
        out: four tensors for the result.
        driver: "gels" (QR; full rank only), "gelsy" (the default), "gelsd" or "gelss", as LAPACK's routines; the last
            three are computed by singular values here.
    Returns:
        (solution [..., n, k]; residuals [..., k], the squared errors where m > n, the rank is full, and the driver is
        not gelsy, else empty; rank [...], empty for gels; singular_values, empty for gels and gelsy).
    Raises:
        RuntimeError: shapes or types do not go together.

    >>> import rushlight as torch
    >>> torch.linalg.lstsq(torch.tensor([[3.0], [4.0]]), torch.tensor([[3.0], [4.0]])).rank
    tensor(1)
    """
    name, A, B = (
        "torch.linalg.lstsq",
        check_tensor("linalg_lstsq", input),
        check_tensor("linalg_lstsq", b, "b", 2),
    )
    a, b = A._array, B._array
    if a.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if b.ndim < 1:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if a.dtype not in LAPACK_TYPES:
        raise RuntimeError("This function doesn't handle types other than float and double")
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype "
            f"{dtypes.SCALAR_NAMES[A.dtype]} and other's dtype {dtypes.SCALAR_NAMES[B.dtype]}"
        )
    if driver is not None and driver not in _DRIVERS:
        raise RuntimeError(f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    driver = driver or "gelsy"
    vector = a.ndim - 1 == b.ndim and a.shape[:-1] == b.shape
    right = b[..., None] if vector else b
    if right.ndim < 2 or a.shape[-2] != right.shape[-2]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-2)")
    batch = batch_of(a, right)
    x, rank, values = _solutions(a, right, rcond, driver)
    m, n = a.shape[-2:]
    residuals = empty_by(a, 0, a.real.dtype)
    if m > n and driver != "gelsy" and (driver == "gels" or (rank == n).all()):
        error = a @ x - right
        residuals = np.asanyarray((error.real**2 + error.imag**2).sum(-2))
    x = np.array(np.broadcast_to(x, (*batch, *x.shape[-2:])), order="C")
    arrays = (x[..., 0] if vector else x, residuals, rank, values)
    if not recording(A, B):
        return write_outs(tuple(map(wrap, arrays)), out, return_types.linalg_lstsq, exact=False)
    outputs = record_many(
        arrays, LinalgLstsqBackward0, (A, B), differentiable=(True, residuals.size > 0, False, False)
    )
    outputs[0]._node.keep(outputs[:1], A, B)
    return write_outs(outputs, out, return_types.linalg_lstsq)


def _solutions(a: np.ndarray, b: np.ndarray, rcond, driver: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The solutions, ranks and singular values, empty where the driver does not give them."""
    none = empty_by(a, 0, a.real.dtype)
    if not a.size or not b.size:
        rank = empty_by(a, 0 if driver == "gels" else a.shape[:-2], np.int64)
        s = np.zeros((*a.shape[:-2], min(a.shape[-2:])), none.dtype) if driver in ("gelsd", "gelss") else none
        batch = batch_of(a, b)
        return np.zeros((*batch, a.shape[-1], b.shape[-1]), a.dtype), rank, s
    if driver == "gels":
        return _full_rank_solution(a, b), empty_by(a, 0, np.int64), none
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    if rcond is None:
        rcond = np.finfo(a.dtype).eps * max(a.shape[-2:])
    kept = s > rcond * s[..., :1]
    scaled = np.where(kept, 1 / np.where(kept, s, 1), 0).astype(s.dtype)
    x = vh.swapaxes(-1, -2).conj() @ (scaled[..., None] * (u.swapaxes(-1, -2).conj() @ b))
    rank = np.asanyarray(np.count_nonzero(kept, -1), np.int64)
    return x, rank, s if driver in ("gelsd", "gelss") else none


# -- condition --------------------------------------------------------------------------------------


@op(name="linalg_cond", method=False)
def cond(input, p=None, *, out=None):
    """The condition number of matrices: the norm times that of the inverse.

    Args:
        input: A, a tensor [..., n, n]; [..., m, n] where p is None, 2 or -2.
        p: the norm: None or 2 for the quotient of the largest and the smallest singular value, -2 for its inverse,
            "fro", "nuc", 1, -1, inf or -inf.
        out: where to put the result.
    Raises:
        RuntimeError: the norm is another, or needs square matrices.

    >>> import rushlight as torch
    >>> torch.linalg.cond(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor(2.)
    """
    from rushlight.ops.distance import matrix_norm
    from rushlight.ops.solve import inv_ex

    if check_tensor("linalg_cond", input, "input")._array.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p is None or p in (2, -2):
        if not input.numel():
            return write_out(svdvals(input).sum(-1) * 0, out)
        s = svdvals(input)
        result = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
        return write_out(result, out)
    if p not in ("fro", "nuc") and (isinstance(p, str) or abs(p) not in (1, math.inf)):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    check_square(f"linalg.cond(ord={p})", input._array)
    if not input.numel():
        return write_out(input.abs().sum((-2, -1)), out)
    if p == "nuc":
        s = svdvals(input)
        return write_out(s.sum(-1) * (1 / s).sum(-1), out)
    inverse, info = inv_ex(input)
    singular = info._array > 0
    if singular.any():
        inverse = inverse.masked_fill(wrap(singular)[..., None, None], math.inf)
    result = matrix_norm(input, p) * matrix_norm(inverse, p)
    # zero times infinity, for the norm of a zero matrix, is infinite here
    undefined = np.isnan(result._array)
    return write_out(result.masked_fill(wrap(undefined), math.inf) if undefined.any() else result, out)
