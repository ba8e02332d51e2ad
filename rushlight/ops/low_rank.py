"""Decompositions of low rank, from random products; LOBPCG; and the functions that PyTorch removed."""

import numpy as np

from rushlight import dtypes
from rushlight.kernels.reference.layout import empty_by, eye_by
from rushlight.ops.common import Tensor, check_tensor, record_many, recording, wrap
from rushlight.ops.decompositions import linalg_qr, linalg_svd
from rushlight.ops.matrices import FactorNode
from rushlight.ops.registry import op

# -- random range finder ----------------------------------------------------------------------------


def _basis(a: Tensor, q: int, niter: int, mean: Tensor | None) -> Tensor:
    """q orthonormal columns whose span nearly holds the range of A - mean.

    Source: Halko, Martinsson and Tropp, Finding structure with randomness, 2009, algorithm 4.4.
    """
    from rushlight.ops.random import randn

    kind = (
        a.dtype
        if a.dtype in (dtypes.float16, dtypes.float32, dtypes.float64) or a.is_complex()
        else dtypes.float32
    )
    start = randn(a._array.shape[-1], q, dtype=kind, device=a.device)

    def times(x, adjoint=False):
        product = (a.mH if adjoint else a) @ x
        return product if mean is None else product - (mean.mH if adjoint else mean) @ x

    columns = linalg_qr(times(start)).Q
    for _ in range(niter):
        columns = linalg_qr(times(columns, adjoint=True)).Q
        columns = linalg_qr(times(columns)).Q
    return columns


@op(method=False)
def svd_lowrank(A, q=6, niter=2, M=None):
    """The largest singular values and their vectors, approximately, from random products.

    Args:
        A: a tensor [..., m, n].
        q: how many, slightly more than the rank.
        niter: the number of subspace iterations.
        M: a tensor that broadcasts to A, to subtract from it.
    Returns:
        (U [..., m, q], S [..., q], V [..., n, q]): A - M is about U diag(S) V^H.
    Source:
        Halko, Martinsson and Tropp, Finding structure with randomness, 2009, algorithm 5.1.

    >>> import rushlight as torch
    >>> U, S, V = torch.svd_lowrank(torch.eye(3), q=2)
    >>> U.shape
    torch.Size([3, 2])
    """
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    m, n = check_tensor("svd_lowrank", A, "A")._array.shape[-2:]
    M = None if M is None else M.broadcast_to(A.shape)
    if m < n:
        A, M = A.mH, None if M is None else M.mH
    columns = _basis(A, q, niter, M)
    small = columns.mH @ A
    if M is not None:
        small = small - columns.mH @ M
    u, s, vh = linalg_svd(small, full_matrices=False)
    u, v = columns @ u, vh.mH
    return (v, s, u) if m < n else (u, s, v)


@op(method=False)
def pca_lowrank(A, q=None, center=True, niter=2):
    """Principal components: `svd_lowrank` of a matrix whose columns are centred.

    Args:
        A: samples [..., m, n], one in each row.
        q: how many components; by default min(6, m, n).
        center: subtract the mean of each column first.
        niter: the number of subspace iterations.
    Returns:
        (U [..., m, q], S [..., q], V [..., n, q]): V holds the components in columns.
    Raises:
        ValueError: q is negative or above min(m, n), or `niter` is negative.

    >>> import rushlight as torch
    >>> torch.pca_lowrank(torch.eye(3))[2].shape
    torch.Size([3, 3])
    """
    m, n = check_tensor("pca_lowrank", A, "A")._array.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)


# -- LOBPCG -----------------------------------------------------------------------------------------


class LOBPCGAutogradFunctionBackward(FactorNode):
    """The gradient of some eigenvalues and eigenvectors of a symmetric matrix, by its other eigenvectors."""

    def backward(self, grad_l, grad_v):
        from rushlight.ops.decompositions import eigh

        values, vectors, a = self.unpack_all()
        inner = vectors.mT @ grad_v if grad_v is not None else None
        grad = (vectors * grad_l.unsqueeze(-2)) @ vectors.mT if grad_l is not None else None
        if inner is not None:
            gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
            one = wrap(eye_by(gaps._array, gaps._array.shape[-1], dtype=bool))
            within = vectors @ (inner / gaps.masked_fill(one, 1)).masked_fill(one, 0) @ vectors.mT
            every, basis = eigh(a)
            k, largest = values._array.shape[-1], self.largest
            n = every._array.shape[-1]
            others = basis.narrow(-1, 0, n - k) if largest else basis.narrow(-1, k, n - k)
            rest = every.narrow(-1, 0, n - k) if largest else every.narrow(-1, k, n - k)
            outside = (
                others @ ((others.mT @ grad_v) / (values.unsqueeze(-2) - rest.unsqueeze(-1))) @ vectors.mT
            )
            grad = within + outside if grad is None else grad + within + outside
        return grad


@op(method=False)
def lobpcg(
    A, k=None, B=None, X=None, n=None, iK=None, niter=None, tol=None, largest=None, method=None, tracker=None,
    ortho_iparams=None, ortho_fparams=None, ortho_bparams=None,
):  # fmt: skip
    """The largest (or smallest) generalised eigenvalues A x = l B x of symmetric positive definite matrices, and their
    eigenvectors, by locally optimal preconditioned conjugate gradients.

    Args:
        A: a tensor [..., m, m], symmetric.
        k: how many; by default the columns of X, or 1.
        B: a tensor of A's shape, symmetric positive definite; by default 1.
        X: where to start, [..., m, n]; by default normally distributed.
        n: the number of columns where X is not given, m >= 3 n; by default k.
        iK: a preconditioner [..., m, m], near the inverse of A; by default 1.
        niter: the largest number of iterations; by default 1000.
        tol: what the relative residuals must get below; by default the root of epsilon.
        largest: the largest eigenvalues (the default), not the smallest.
        method: "basic" or "ortho"; both keep the basis orthonormal here.
        tracker: must be None: the iterations cannot be watched.
        ortho_iparams, ortho_fparams, ortho_bparams: accepted, without effect.
    Returns:
        (eigenvalues [..., k], eigenvectors [..., m, k]).
    Raises:
        ValueError: m is below 3 n.
    Source:
        Knyazev, Toward the optimal preconditioned eigensolver, 2001.

    >>> import rushlight as torch
    >>> torch.lobpcg(torch.diag(torch.tensor([1.0, 2.0, 3.0, 5.0])), k=1)[0]
    tensor([5.0000])
    """
    from rushlight.ops.random import randn

    a = check_tensor("lobpcg", A, "A")._array
    if a.shape[-2] != a.shape[-1]:
        raise AssertionError(f"A must be square, got shape {A.shape}")
    if B is not None and B._array.shape != a.shape:
        raise AssertionError(f"A and B must have same shape, got {A.shape} vs {B.shape}")
    if tracker is not None:
        raise NotImplementedError(
            "lobpcg: tracker= is not supported; compare results after some niter instead"
        )
    if method not in (None, "basic", "ortho"):
        raise ValueError(f"lobpcg: expected method 'basic' or 'ortho', got {method!r}")
    m = a.shape[-1]
    k = (1 if X is None else X._array.shape[-1]) if k is None else k
    n = (k if n is None else n) if X is None else X._array.shape[-1]
    if m < 3 * n:
        raise ValueError(
            f"LOBPCG algorithm is not applicable when the number of A rows (={m}) is smaller than 3 x the number of "
            f"requested eigenpairs (={n})"
        )
    largest = True if largest is None else largest
    tol = np.finfo(a.dtype).eps ** 0.5 if tol is None else tol
    values = empty_by(a, (*a.shape[:-2], k))
    vectors = empty_by(a, (*a.shape[:-2], m, k))
    pick = lambda t, index: None if t is None else t._array[index if t._array.ndim == a.ndim else ...]
    for index in np.ndindex(a.shape[:-2]):
        start = pick(X, index) if X is not None else randn(m, n, dtype=A.dtype)._array
        found = _lobpcg(a[index], pick(B, index), start, pick(iK, index), niter or 1000, tol, largest, k)
        values[index], vectors[index] = found
    if not recording(A, B):
        return wrap(values), wrap(vectors)
    if B is not None:
        raise ValueError("lobpcg.backward does not support backward with B != I yet.")
    symmetric = (A + A.mT) / 2
    outputs = record_many((values, vectors), LOBPCGAutogradFunctionBackward, (symmetric,), largest=largest)
    outputs[0]._node.keep(outputs, symmetric)
    return outputs


def _orthonormal(x: np.ndarray, b: np.ndarray | None) -> np.ndarray:
    """The columns made orthonormal (in the product of b), those that depend on others left out."""
    gram = x.T @ (x if b is None else b @ x)
    scale = 1 / np.sqrt(np.maximum(gram.diagonal(), np.finfo(x.dtype).tiny))
    size, turn = np.linalg.eigh(gram * scale * scale[:, None])
    kept = size > np.finfo(x.dtype).eps * 10 * size.max(initial=0)
    return (x * scale) @ (turn[:, kept] / np.sqrt(size[kept])).astype(x.dtype)


def _lobpcg(a, b, x, preconditioner, niter: int, tol: float, largest: bool, k: int):
    """The first k eigenpairs of one matrix, iterating on all columns of x."""
    times_b = (lambda v: v) if b is None else (lambda v: b @ v)
    sign, n = -1 if largest else 1, x.shape[1]
    x = _orthonormal(x, b)
    norm_a = np.linalg.norm(a @ x) / max(np.linalg.norm(x), 1e-300)
    norm_b = np.linalg.norm(times_b(x)) / max(np.linalg.norm(x), 1e-300)
    basis, columns, direction = x, x.shape[1], None
    for _ in range(niter + 1):
        values, turn = np.linalg.eigh(sign * (basis.T @ a @ basis))
        values, turn = sign * values[:n], turn[:, :n]
        if basis.shape[1] > columns:  # the part of the step that leaves the old vectors
            direction = basis[:, columns:] @ turn[columns:]
        x = basis @ turn
        residual = a @ x - times_b(x) * values
        error = np.linalg.norm(residual[:, :k], axis=0) / (
            np.linalg.norm(x[:, :k], axis=0) * (norm_a + np.abs(values[:k]) * norm_b)
        )
        if (error < tol).all():
            break
        step = residual if preconditioner is None else preconditioner @ residual
        extra = step if direction is None else np.concatenate((step, direction), 1)
        for _ in range(2):  # twice is enough (Parlett)
            extra = _orthonormal(extra - x @ (x.T @ times_b(extra)), b)
        basis, columns = np.concatenate((x, extra), 1), x.shape[1]
    return values[:k], x[:, :k]


# -- what PyTorch removed ---------------------------------------------------------------------------

_REMOVED = "This function was deprecated since version 1.9 and is now removed. "


def _removed(name: str, message: str):
    def function(*args, **kwargs):
        raise RuntimeError(_REMOVED + message)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"Removed from PyTorch, as from here: raises a RuntimeError that says what to use.\n\n    {message}"
    )
    return function


solve = _removed(
    "solve",
    "`torch.solve` is deprecated in favor of `torch.linalg.solve`. `torch.linalg.solve` has its arguments reversed and does "
    "not return the LU factorization. X = torch.solve(B, A).solution should be replaced with: X = torch.linalg.solve(A, B)",
)
lstsq = _removed(
    "lstsq",
    "`torch.lstsq` is deprecated in favor of `torch.linalg.lstsq`. X, _ = torch.lstsq(B, A).solution[:A.size(1)] should be "
    "replaced with: X = torch.linalg.lstsq(A, B).solution",
)
eig = _removed(
    "eig",
    "`torch.linalg.eig` returns complex tensors of dtype `cfloat` or `cdouble` rather than real tensors mimicking complex "
    "tensors. L, V = torch.eig(A, eigenvectors=True) should be replaced with: L_complex, V_complex = torch.linalg.eig(A)",
)
symeig = _removed(
    "symeig",
    "The default behavior has changed from using the upper triangular portion of the matrix by default to using the lower "
    "triangular portion. L, V = torch.symeig(A, eigenvectors=True) should be replaced with: L, V = torch.linalg.eigh(A, "
    "UPLO='U' if upper else 'L')",
)
matrix_rank = _removed(
    "matrix_rank",
    "Please use the `torch.linalg.matrix_rank` function instead. The parameter 'symmetric' was renamed in "
    "`torch.linalg.matrix_rank()` to 'hermitian'.",
)
for _function in (solve, lstsq, eig, symeig):
    setattr(Tensor, _function.__name__, _function)
