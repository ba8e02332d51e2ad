"""Cholesky, QR, eigenvalue and singular value decompositions.

The gradients are those of PyTorch: of eigenvectors and singular vectors only where values differ, and for complex
numbers only where the result does not depend on the vectors' phase.
"""

import numpy as np

from rushlight import return_types
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import empty_by, eye_by
from rushlight.ops import lapack
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
from rushlight.ops.matrices import (
    FactorNode,
    LinAlgError,
    failed,
    info_tensor,
    matrices,
    not_implemented,
    square,
)
from rushlight.ops.registry import op
from rushlight.ops.triangular import linalg_solve_triangular as solve_triangular

NOT_POSITIVE = (
    "The factorization could not be completed because the input is not positive-definite (the leading minor of order "
    "{0} is not positive-definite)."
)

# -- Cholesky ---------------------------------------------------------------------------------------


class LinalgCholeskyExBackward0(FactorNode):
    upper = False

    def backward(self, grad):
        (factor,) = self.unpack_all()
        low, grad = (factor.mH, grad.mH) if self.upper else (factor, grad)
        inner = (low.mH @ grad).tril()
        inner = 0.5 * (inner + inner.tril(-1).mH)
        left = solve_triangular(low.mH, inner, upper=True)
        return solve_triangular(low, left, upper=False, left=False)


def _cholesky(name: str, a: Tensor, upper: bool) -> tuple[Tensor, np.ndarray]:
    array, info = lapack.cholesky(square(name, a, kernel="cholesky_cpu"), bool(upper))
    if not recording(a):
        return wrap(array), info
    factor = record(array, LinalgCholeskyExBackward0, (a,), upper=upper)
    factor._node.keep((factor,))
    return factor, info


@op(name="linalg_cholesky_ex", method=False)
def cholesky_ex(input, *, upper=False, check_errors=False, out=None):
    """The Cholesky factors of positive definite matrices, and how far the factorisation got.

    Args:
        input: A, a tensor [..., n, n], symmetric or Hermitian; only one triangle is read.
        upper: return (and read) the upper triangle, A = L^H L, not the lower one, A = L L^H.
        check_errors: raise where a factorisation fails.
        out: two tensors for the result.
    Returns:
        (L [..., n, n], info [...]): info is the order of the first leading minor that is not positive, or 0.
    Raises:
        LinAlgError: a matrix is not positive definite and `check_errors` is set.

    >>> import rushlight as torch
    >>> torch.linalg.cholesky_ex(torch.tensor([[4.0]])).L
    tensor([[2.]])
    """
    factor, info = _cholesky("linalg.cholesky_ex", input, upper)
    if check_errors and info.any():
        raise failed("linalg.cholesky_ex", info, NOT_POSITIVE)
    return write_outs((factor, info_tensor(info)), out, return_types.linalg_cholesky_ex)


@op(name="linalg_cholesky", method=False)
def linalg_cholesky(input, *, upper=False, out=None):
    """The Cholesky factors of positive definite matrices: the triangular L of A = L L^H.

    Args:
        input: A, a tensor [..., n, n], symmetric or Hermitian; only one triangle is read.
        upper: return (and read) the upper triangle, A = L^H L.
        out: where to put the result.
    Raises:
        LinAlgError: a matrix is not positive definite.

    >>> import rushlight as torch
    >>> torch.linalg.cholesky(torch.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return write_out(_checked_cholesky("linalg.cholesky", input, upper), out, exact=True)


@op()
def cholesky(input, upper=False, *, out=None):
    """The Cholesky factors of positive definite matrices; `torch.linalg.cholesky` is its successor.

    >>> import rushlight as torch
    >>> torch.cholesky(torch.tensor([[4.0]]))
    tensor([[2.]])
    """
    not_implemented("cholesky_cpu", check_tensor("cholesky", input))
    return write_out(_checked_cholesky("cholesky", input, upper), out)


def _checked_cholesky(name: str, a: Tensor, upper: bool) -> Tensor:
    factor, info = _cholesky(name, a, upper)
    if info.any():
        raise failed(name, info, NOT_POSITIVE)
    return factor


# -- QR ---------------------------------------------------------------------------------------------


class LinalgQrBackward0(FactorNode):
    mode = "reduced"

    def backward(self, grad_q, grad_r):
        if self.mode == "r":
            raise RuntimeError(
                "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use "
                "linalg.qr(A, mode='reduced') if you are going to differentiate through linalg.qr."
            )
        q, r = self.unpack_all()
        m, n = q._array.shape[-2], r._array.shape[-1]
        if self.mode == "complete" and m > n:
            raise RuntimeError(
                "The QR decomposition is not differentiable when mode='complete' and nrows > ncols."
            )
        inner = -(q.mH @ grad_q) if grad_q is not None else None
        if grad_r is not None:
            along = grad_r @ r.mH
            inner = along if inner is None else along + inner
        if m >= n:
            upper = inner.triu()
            grad = q @ (upper + upper.mH - _real_diagonal(upper))
            if grad_q is not None:
                grad = grad + grad_q
            return solve_triangular(r.mH, grad, upper=False, left=False)
        skew = (inner.mH - inner).tril()
        grad = q @ (skew - 0.5 * _imaginary_diagonal(skew))
        square_part = r.narrow(-1, 0, m).mH
        grad = solve_triangular(square_part, grad, upper=False, left=False)
        grad = _widen(grad, n)
        return grad if grad_r is None else grad + q @ grad_r


def _real_diagonal(x: Tensor) -> Tensor:
    diagonal = x.diagonal(0, -2, -1)
    return (diagonal.real if x.is_complex() else diagonal).diag_embed()


def _imaginary_diagonal(x: Tensor) -> Tensor:
    diagonal = x.diagonal(0, -2, -1)
    return (diagonal.imag * 1j if x.is_complex() else diagonal).diag_embed()


def _widen(x: Tensor, columns: int) -> Tensor:
    from rushlight.ops.joining import cat

    return cat((x, x.new_zeros((*x._array.shape[:-1], columns - x._array.shape[-1]))), -1)


def _qr(name: str, a: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    array = matrices(name, a, kernel="geqrf_cpu")
    found = np.linalg.qr(array, mode)
    arrays = (empty_by(array, 0), found) if mode == "r" else tuple(found)
    if not recording(a):
        return tuple(map(wrap, arrays))
    factors = record_many(arrays, LinalgQrBackward0, (a,), mode=mode)
    factors[0]._node.keep(factors)
    return factors


@op(name="linalg_qr", method=False)
def linalg_qr(A, mode="reduced", *, out=None):
    """The QR decomposition A = Q R, of orthonormal columns and an upper triangle.

    Args:
        A: a tensor [..., m, n].
        mode: "reduced" for Q [..., m, k] and R [..., k, n] with k = min(m, n); "complete" for Q [..., m, m] and
            R [..., m, n]; "r" for an empty Q and the reduced R.
        out: two tensors for the result.
    Raises:
        RuntimeError: there are fewer than two dimensions, or the mode is another.

    >>> import rushlight as torch
    >>> torch.linalg.qr(torch.tensor([[3.0], [4.0]])).R
    tensor([[-5.]])
    """
    return write_outs(_qr("linalg.qr", A, mode), out, return_types.linalg_qr)


@op()
def qr(input, some=True, *, out=None):
    """The QR decomposition, complete where not `some`; `torch.linalg.qr` is its successor.

    >>> import rushlight as torch
    >>> torch.qr(torch.tensor([[3.0], [4.0]])).R
    tensor([[-5.]])
    """
    return write_outs(_qr("linalg.qr", input, "reduced" if some else "complete"), out, return_types.qr)


# -- eigenvalues ------------------------------------------------------------------------------------


class _EigenNode(FactorNode):
    """The gradient of eigenvalues and eigenvectors.

    Source: Boeddeker et al., On the computation of complex-valued gradients with application to statistically optimum
    beamforming, 2017.
    """

    hermitian = True

    def backward(self, grad_l, grad_v):
        values, vectors = self.unpack_all()
        adjoint = vectors.mH
        if grad_v is None:
            if self.hermitian:
                return (vectors * grad_l.unsqueeze(-2)) @ adjoint
            return _solve(adjoint, grad_l.unsqueeze(-1) * adjoint)
        inner = adjoint @ grad_v
        diagonal = inner.diagonal(0, -2, -1)
        if inner.is_complex():
            _check_phase(
                diagonal._array.imag, "linalg_eigh" if self.hermitian else "linalg_eig", "eigenvectors"
            )
        if self.hermitian:
            inner = 0.5 * (inner - inner.mH)
        else:
            inner = inner - adjoint @ (vectors * diagonal.real.unsqueeze(-2))
        conjugate = values.conj()
        inner = _over_differences(inner, conjugate.unsqueeze(-2) - conjugate.unsqueeze(-1))
        if grad_l is not None:
            inner = inner + grad_l.diag_embed()
        if self.hermitian:
            return vectors @ (inner.to(vectors.dtype) @ adjoint)
        return _solve(adjoint, inner @ adjoint)


class LinalgEighBackward0(_EigenNode):
    pass


class LinalgEigBackward0(_EigenNode):
    hermitian = False

    def backward(self, grad_l, grad_v):
        grad = super().backward(grad_l, grad_v)
        return grad.real if self.real else grad


def _solve(a: Tensor, b: Tensor) -> Tensor:
    from rushlight.ops.solve import linalg_solve

    return linalg_solve(a, b)


def _over_differences(x: Tensor, differences: Tensor) -> Tensor:
    """x divided by differences of all pairs, 0 on the diagonal."""
    one = wrap(eye_by(x._array, x._array.shape[-1], dtype=bool))
    return (x / differences.masked_fill(one, 1)).masked_fill(one, 0)


def _check_phase(imaginary: np.ndarray, name: str, vectors: str) -> None:
    if not np.allclose(imaginary, 0, rtol=1e-2, atol=1e-2):
        raise RuntimeError(
            f"{name}_backward: The {vectors} in the complex case are specified up to multiplication by e^{{i phi}}. "
            "The specified loss function depends on this quantity, so it is ill-defined."
        )


def _eigen(arrays, a: Tensor, node_type) -> tuple[Tensor, ...]:
    if not recording(a):
        return tuple(map(wrap, arrays))
    outputs = record_many(arrays, node_type, (a,), real=a._array.dtype.kind != "c")
    outputs[0]._node.keep(outputs)
    return outputs


def _triangle(uplo: str) -> str:
    if not isinstance(uplo, str) or uplo.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")
    return uplo.upper()


def _eigh(name: str, a, uplo: str, vectors: bool = True):
    if isinstance(a, Tensor):
        not_implemented("linalg_eigh_cpu", a)
    array, uplo = square(name, a), _triangle(uplo)
    try:
        if vectors or recording(a):
            return _eigen(tuple(np.linalg.eigh(array, uplo)), a, LinalgEighBackward0)
        return (wrap(np.linalg.eigvalsh(array, uplo)),)
    except np.linalg.LinAlgError:
        if np.isnan(array).any():
            nans = np.full_like(array, np.nan)
            return _eigen((nans[..., 0].real.copy(), nans), a, LinalgEighBackward0)
        raise _not_converged(name) from None


def _not_converged(name: str) -> LinAlgError:
    return LinAlgError(
        f"{name}: The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated "
        "eigenvalues (error code: 1)."
    )


@op(name="linalg_eigh", method=False)
def eigh(input, UPLO="L", *, out=None):
    """The eigenvalues, in ascending order, and eigenvectors of symmetric or Hermitian matrices.

    Args:
        input: A, a tensor [..., n, n]; only one triangle is read.
        UPLO: "L" to read the lower triangle, "U" the upper one.
        out: two tensors for the result.
    Returns:
        (eigenvalues [..., n], real; eigenvectors [..., n, n], in columns).
    Raises:
        RuntimeError: the matrices are not square. LinAlgError: the iteration does not converge.

    >>> import rushlight as torch
    >>> torch.linalg.eigh(torch.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    return write_outs(_eigh("linalg.eigh", input, UPLO), out, return_types.linalg_eigh)


@op(name="linalg_eigvalsh", method=False)
def eigvalsh(input, UPLO="L", *, out=None):
    """The eigenvalues of symmetric or Hermitian matrices, in ascending order.

    >>> import rushlight as torch
    >>> torch.linalg.eigvalsh(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 2.])
    """
    return write_out(_eigh("linalg.eigvalsh", input, UPLO, vectors=False)[0], out, exact=True)


def _eig(name: str, a, vectors: bool = True):
    if isinstance(a, Tensor) and a._array.dtype.kind in "iub":
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {SCALAR_NAMES[a.dtype]}"
        )
    if isinstance(a, Tensor):
        not_implemented("linalg_eig_out_cpu", a)
    array = square(name, a)
    if not np.isfinite(array).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    kind = np.result_type(array.dtype, np.complex64)
    try:
        if not (vectors or recording(a)):
            return (wrap(np.linalg.eigvals(array).astype(kind, copy=False)),)
        arrays = tuple(x.astype(kind, copy=False) for x in np.linalg.eig(array))
    except np.linalg.LinAlgError:
        raise _not_converged(name) from None
    return _eigen(arrays, a, LinalgEigBackward0)


@op(name="linalg_eig", method=False)
def eig(input, *, out=None):
    """The eigenvalues and eigenvectors of square matrices, complex and in no order.

    Args:
        input: A, a tensor [..., n, n].
        out: two tensors for the result.
    Returns:
        (eigenvalues [..., n]; eigenvectors [..., n, n], in columns of length 1).
    Raises:
        RuntimeError: the matrices are not square, or hold infinities or NaNs.

    >>> import rushlight as torch
    >>> torch.linalg.eig(torch.tensor([[2.0]])).eigenvalues
    tensor([2.+0.j])
    """
    return write_outs(_eig("linalg.eig", input), out, return_types.linalg_eig, exact=False)


@op(name="linalg_eigvals", method=False)
def eigvals(input, *, out=None):
    """The eigenvalues of square matrices, complex and in no order.

    >>> import rushlight as torch
    >>> torch.linalg.eigvals(torch.tensor([[2.0]]))
    tensor([2.+0.j])
    """
    return write_out(_eig("linalg.eigvals", input, vectors=False)[0], out)


# -- singular values --------------------------------------------------------------------------------


class LinalgSvdBackward0(FactorNode):
    """Source: Townsend, Differentiating the singular value decomposition, 2016; Wan and Zhang, Automatic
    differentiation for complex valued SVD, 2019."""

    def backward(self, grad_u, grad_s, grad_vh):
        u, s, vh = self.unpack_all()
        k = s._array.shape[-1]
        if u._array.shape[-1] != k or vh._array.shape[-2] != k:
            u, vh = u.narrow(-1, 0, k), vh.narrow(-2, 0, k)
            grad_u = None if grad_u is None else grad_u.narrow(-1, 0, k)
            grad_vh = None if grad_vh is None else grad_vh.narrow(-2, 0, k)
        m, n = u._array.shape[-2], vh._array.shape[-1]
        if grad_u is None and grad_vh is None:
            if m >= n:
                return u @ (grad_s.unsqueeze(-1) * vh)
            return (u * grad_s.unsqueeze(-2)) @ vh
        inner = _svd_inner(u, s, vh, grad_u, grad_s, grad_vh)
        if m > k and grad_u is not None:
            scaled = grad_u / s.unsqueeze(-2)
            return (u @ inner + scaled - u @ (u.mH @ scaled)) @ vh
        if n > k and grad_vh is not None:
            scaled = grad_vh / s.unsqueeze(-1)
            return u @ (inner @ vh + scaled - (scaled @ vh.mH) @ vh)
        return u @ (inner @ vh) if m >= n else (u @ inner) @ vh


def _svd_inner(u, s, vh, grad_u, grad_s, grad_vh) -> Tensor:
    """The gradient in the bases of the singular vectors."""
    from_u = None if grad_u is None else u.mH @ grad_u
    from_v = None if grad_vh is None else vh @ grad_vh.mH
    from_u = None if from_u is None else from_u - from_u.mH
    from_v = None if from_v is None else from_v - from_v.mH
    if u.is_complex():
        _check_phase(
            sum(x._array.diagonal(0, -2, -1).imag for x in (from_u, from_v) if x is not None),
            "svd",
            "singular vectors",
        )
    squares = s * s
    differences = squares.unsqueeze(-2) - squares.unsqueeze(-1)
    inner = None
    if from_u is not None:
        inner = from_u * s.unsqueeze(-2)
    if from_v is not None:
        part = s.unsqueeze(-1) * from_v
        inner = part if inner is None else inner + part
    inner = _over_differences(inner, differences)
    if grad_s is not None:
        inner = inner + grad_s.diag_embed()
    if u.is_complex() and from_u is not None and from_v is not None:
        inner = inner + (from_u.diagonal(0, -2, -1) / (2 * s)).diag_embed()
    return inner


def _svd(name: str, a, full: bool, vectors: bool = True) -> tuple[Tensor, ...]:
    array = matrices(name, a, kernel="linalg_svd_cpu")
    try:
        if not (vectors or recording(a)):
            return (wrap(np.linalg.svd(array, compute_uv=False)),)
        arrays = tuple(np.linalg.svd(array, full_matrices=bool(full)))
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"{name}: The algorithm failed to converge because the input matrix contained non-finite values."
            if not np.isfinite(array).all()
            else f"{name}: The algorithm failed to converge because the input matrix is ill-conditioned or has too many "
            "repeated singular values (error code: 1)."
        ) from None
    if not np.isfinite(arrays[1]).all():
        raise LinAlgError(
            f"{name}: The algorithm failed to converge because the input matrix contained non-finite values."
        )
    if not recording(a):
        return tuple(map(wrap, arrays))
    factors = record_many(arrays, LinalgSvdBackward0, (a,))
    factors[0]._node.keep(factors)
    return factors


def _no_driver(driver) -> None:
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend."
        )


@op(name="linalg_svd", method=False)
def linalg_svd(A, full_matrices=True, *, driver=None, out=None):
    """The singular value decomposition A = U diag(S) Vh.

    Args:
        A: a tensor [..., m, n].
        full_matrices: square U and Vh; else only the first k = min(m, n) columns and rows.
        driver: None; other algorithms are only for CUDA.
        out: three tensors for the result.
    Returns:
        (U [..., m, m or k]; S [..., k], real and descending; Vh [..., n or k, n]).
    Raises:
        LinAlgError: the matrix holds infinities or NaNs, or the iteration does not converge.

    >>> import rushlight as torch
    >>> torch.linalg.svd(torch.tensor([[0.0, 3.0], [4.0, 0.0]])).S
    tensor([4., 3.])
    """
    _no_driver(driver)
    return write_outs(_svd("linalg.svd", A, full_matrices), out, return_types.linalg_svd)


@op(name="linalg_svdvals", method=False)
def svdvals(A, *, driver=None, out=None):
    """The singular values of matrices, in descending order.

    >>> import rushlight as torch
    >>> torch.linalg.svdvals(torch.tensor([[0.0, 3.0], [4.0, 0.0]]))
    tensor([4., 3.])
    """
    _no_driver(driver)
    return write_out(
        _svd("linalg.svd", A, False, vectors=False)[-1 if not recording(A) else 1], out, exact=True
    )


@op()
def svd(input, some=True, compute_uv=True, *, out=None):
    """The singular value decomposition, with V rather than its conjugate transpose; `torch.linalg.svd` is its successor.

    Args:
        input: a tensor [..., m, n].
        some: only the first min(m, n) singular vectors.
        compute_uv: compute U and V; else they are zero.
        out: three tensors for the result.

    >>> import rushlight as torch
    >>> torch.svd(torch.tensor([[0.0, 3.0], [4.0, 0.0]])).S
    tensor([4., 3.])
    """
    if isinstance(input, Tensor) and input._array.ndim < 2:
        raise RuntimeError(
            f"linalg.svd: input should have at least 2 dimensions, but has {input.ndim} dimensions instead"
        )
    if not compute_uv:
        *batch, m, n = matrices("linalg.svd", input).shape
        u, v = input.new_zeros((*batch, m, m)), input.new_zeros((*batch, n, n))
        return write_outs((u, svdvals(input), v), out, return_types.svd)
    u, s, vh = _svd("linalg.svd", input, not some)
    return write_outs((u, s, vh.mH), out, return_types.svd)
