"""LU and LDL factorisations, and systems with matrices given by them."""

import numpy as np

from rushlight import return_types
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import c_order, empty_by
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
    LAPACK_TYPES,
    FactorNode,
    batch_of,
    check_square,
    fold,
    info_tensor,
    not_implemented,
    wrong_type,
)
from rushlight.ops.registry import op
from rushlight.ops.triangular import check_system
from rushlight.ops.triangular import linalg_solve_triangular as solve_triangular
from rushlight.phantom import is_phantom

# -- LU ---------------------------------------------------------------------------------------------


def lu_gradient(grad_l, grad_u, p: Tensor, low: Tensor, up: Tensor) -> Tensor:
    """The gradient of A = P L U from those of L and U (either may be None); P is a permutation."""
    from rushlight.ops.joining import cat

    m, n = low._array.shape[-2], up._array.shape[-1]
    k = min(m, n)
    square_l, square_u = low.narrow(-2, 0, k), up.narrow(-1, 0, k)
    inner = None
    if grad_l is not None:
        inner = (square_l.mH @ grad_l.narrow(-2, 0, k)).tril(-1)
    if grad_u is not None:
        part = (grad_u.narrow(-1, 0, k) @ square_u.mH).triu()
        inner = part if inner is None else inner + part
    if n > k and grad_u is not None:
        inner = inner - (grad_u.narrow(-1, k, n - k) @ up.narrow(-1, k, n - k).mH).tril(-1)
    if m > k and grad_l is not None:
        inner = inner - (low.narrow(-2, k, m - k).mH @ grad_l.narrow(-2, k, m - k)).triu()
    if n > k:  # L^-H [inner U1^-H, grad_U2]
        grad = solve_triangular(square_u.mH, inner, upper=False, left=False)
        rest = (
            grad_u.narrow(-1, k, n - k) if grad_u is not None else grad.new_zeros((*grad.shape[:-1], n - k))
        )
        grad = solve_triangular(square_l.mH, cat((grad, rest), -1), upper=True, unitriangular=True)
    else:  # [L1^-H inner; grad_L2] U^-H
        grad = solve_triangular(square_l.mH, inner, upper=True, unitriangular=True)
        if m > k:
            rest = (
                grad_l.narrow(-2, k, m - k)
                if grad_l is not None
                else grad.new_zeros((*grad.shape[:-2], m - k, k))
            )
            grad = cat((grad, rest), -2)
        grad = solve_triangular(square_u.mH, grad, upper=False, left=False)
    return p @ grad


class LinalgLuFactorExBackward0(FactorNode):
    def backward(self, grad):
        factors, pivots = self.unpack_all()
        p, low, up = lu_unpack(factors, pivots)
        k = min(factors._array.shape[-2:])
        return lu_gradient(grad.narrow(-1, 0, k), grad.narrow(-2, 0, k), p, low, up)


class LinalgLuBackward0(FactorNode):
    def backward(self, _, grad_l, grad_u):
        low, up, p = self.unpack_all()
        return lu_gradient(grad_l, grad_u, p, low, up)


def _check_lu(name: str, a, pivot: bool) -> np.ndarray:
    array = check_tensor(name.removeprefix("torch.").replace(".", "_"), a, "A")._array
    if array.ndim < 2:
        raise RuntimeError(
            f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(array.shape)} instead"
        )
    not_implemented("lu_cpu", a)
    if not pivot:
        raise RuntimeError(
            f"{name.replace('torch', 'linalg')}: LU without pivoting is not implemented on the CPU"
        )
    return array


def factorize(a, pivot: bool) -> tuple[Tensor, Tensor, np.ndarray]:
    """LU, pivots and info of a tensor."""
    factors, pivots, info = lapack.lu(_check_lu("torch.lu_factor", a, pivot))
    pivots = wrap(pivots)
    if not recording(a):
        return wrap(factors), pivots, info
    result = record(factors, LinalgLuFactorExBackward0, (a,))
    result._node.keep((result,), pivots)
    return result, pivots, info


def _no_zero(name: str, info: np.ndarray) -> None:
    if info.any():
        where = next(i for i, code in enumerate(info.reshape(-1)) if code)
        number = info.reshape(-1)[where]
        element = f"(Batch element {where}): " if info.ndim else ""
        raise RuntimeError(
            f"{name}: {element}U[{number},{number}] is zero and using it on lu_solve would result in a division by zero. "
            "If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
            "linalg.lu_factor_ex(A, pivot)"
        )


@op(name="linalg_lu_factor_ex", method=False)
def lu_factor_ex(A, *, pivot=True, check_errors=False, out=None):
    """The LU factorisation with row exchanges, in one tensor, and whether U is singular.

    Args:
        A: a tensor [..., m, n].
        pivot: exchange rows; must be true on the CPU.
        check_errors: raise where U has a zero on its diagonal.
        out: three tensors for the result.
    Returns:
        (LU [..., m, n]: U and, below its diagonal, L without its diagonal of ones; pivots [..., k], int32: the rows, from
        1, that were exchanged with rows 1, 2, ...; info [...]: the number of the first zero on U's diagonal, or 0).

    >>> import rushlight as torch
    >>> torch.linalg.lu_factor_ex(torch.tensor([[1.0, 2.0], [2.0, 0.0]])).LU
    tensor([[2.0000, 0.0000],
            [0.5000, 2.0000]])
    """
    factors, pivots, info = factorize(A, pivot)
    if check_errors:
        _no_zero("torch.linalg.lu_factor_ex", info)
    return write_outs((factors, pivots, info_tensor(info)), out, return_types.linalg_lu_factor_ex)


@op(name="linalg_lu_factor", method=False)
def lu_factor(A, *, pivot=True, out=None):
    """The LU factorisation with row exchanges, in one tensor, for `torch.linalg.lu_solve`.

    Raises:
        RuntimeError: U has a zero on its diagonal.

    >>> import rushlight as torch
    >>> torch.linalg.lu_factor(torch.tensor([[1.0, 2.0], [2.0, 0.0]])).pivots
    tensor([2, 2], dtype=torch.int32)
    """
    factors, pivots, info = factorize(A, pivot)
    _no_zero("torch.linalg.lu_factor", info)
    return write_outs((factors, pivots), out, return_types.linalg_lu_factor)


@op(name="linalg_lu", method=False)
def linalg_lu(A, *, pivot=True, out=None):
    """The factors of A = P L U: a permutation, a lower triangle with ones on its diagonal, an upper triangle.

    Args:
        A: a tensor [..., m, n].
        pivot: exchange rows; must be true on the CPU.
        out: three tensors for the result.
    Returns:
        (P [..., m, m], L [..., m, k], U [..., k, n]), k = min(m, n).

    >>> import rushlight as torch
    >>> torch.linalg.lu(torch.tensor([[1.0, 2.0], [2.0, 0.0]])).U
    tensor([[2., 0.],
            [0., 2.]])
    """
    factors, pivots, _ = lapack.lu(_check_lu("linalg.lu", A, pivot))
    arrays = (_permutation(pivots, factors), *_triangles(factors))
    if not recording(A):
        return write_outs(tuple(map(wrap, arrays)), out, return_types.linalg_lu)
    outputs = record_many(arrays, LinalgLuBackward0, (A,), differentiable=(False, True, True))
    outputs[1]._node.keep(outputs[1:], outputs[0])
    return write_outs(outputs, out, return_types.linalg_lu)


def _triangles(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    m, n = factors.shape[-2:]
    k = min(m, n)
    low = np.tril(factors[..., :k], -1)
    low[..., range(k), range(k)] = 1
    return low, np.triu(factors[..., :k, :])


def _permutation(pivots: np.ndarray, factors: np.ndarray) -> np.ndarray:
    m = factors.shape[-2]
    order = lapack.row_order(pivots, m)
    return np.asanyarray(order[..., None, :] == np.arange(m)[:, None], factors.dtype)


class LuUnpackBackward0(FactorNode):
    def backward(self, _, grad_l, grad_u):
        m, n = self.shape[-2:]
        k = min(m, n)
        parts = []
        if grad_l is not None:
            parts.append(_wider(grad_l.tril(-1), -1, n - k))
        if grad_u is not None:
            parts.append(_wider(grad_u.triu(), -2, m - k))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _wider(x: Tensor, dim: int, by: int) -> Tensor:
    from rushlight.ops.joining import cat

    if not by:
        return x
    shape = list(x._array.shape)
    shape[dim] = by
    return cat((x, x.new_zeros(shape)), dim)


@op(method=False)
def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True, *, out=None):
    """The matrices P, L and U of a factorisation by `torch.linalg.lu_factor`.

    Args:
        LU_data: the factors in one tensor [..., m, n].
        LU_pivots: the exchanged rows, int32 [..., k].
        unpack_data: make L and U; else they are empty.
        unpack_pivots: make P; else it is empty.
        out: three tensors for the result.

    >>> import rushlight as torch
    >>> torch.lu_unpack(*torch.linalg.lu_factor(torch.tensor([[1.0, 2.0], [2.0, 0.0]]))).L
    tensor([[1.0000, 0.0000],
            [0.5000, 1.0000]])
    """
    factors = check_tensor("lu_unpack", LU_data, "LU_data")._array
    pivots = check_tensor("lu_unpack", LU_pivots, "LU_pivots", 2)._array
    if factors.ndim < 2:
        raise RuntimeError(
            f"torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: {list(factors.shape)} instead"
        )
    if unpack_pivots and pivots.dtype != np.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\nNote: this function "
            "is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    m, n = factors.shape[-2:]
    p = empty_by(factors, 0)
    if unpack_pivots:
        if pivots.shape != (*factors.shape[:-2], min(m, n)) or (
            pivots.size and not is_phantom(pivots) and not (pivots.min() >= 1 and pivots.max() <= m)
        ):
            raise RuntimeError(
                "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive."
                "Did you properly pass the result of lu_factor?"
            )
        p = _permutation(pivots, factors)
    low, up = _triangles(factors) if unpack_data else (empty_by(factors, 0), empty_by(factors, 0))
    if not (unpack_data and recording(LU_data)):
        return write_outs((wrap(p), wrap(low), wrap(up)), out, return_types.lu_unpack)
    outputs = record_many(
        (p, low, up), LuUnpackBackward0, (LU_data,), differentiable=(False, True, True), shape=factors.shape
    )
    return write_outs(outputs, out, return_types.lu_unpack)


class LinalgLuSolveBackward0(FactorNode):
    def backward(self, grad):
        x, factors, pivots, b = self.unpack_all()
        to_factors, _, to_b = self.edges
        left, adjoint = self.options
        grad_b = grad_factors = None
        if to_b is not None:
            grad_b = fold(linalg_lu_solve(factors, pivots, grad, left=left, adjoint=not adjoint), b)
        if to_factors is not None:
            if not left:
                x, grad, adjoint = x.mH, grad.mH, not adjoint
            grad_factors = fold(_factors_gradient(factors, pivots, x, grad, adjoint), factors)
        return grad_factors, None, grad_b


def _factors_gradient(factors: Tensor, pivots: Tensor, x: Tensor, grad: Tensor, adjoint: bool) -> Tensor:
    """The gradient of the factors from that of the solution of P L U x = b, or of its adjoint."""
    p, low, up = lu_unpack(factors, pivots)
    if not adjoint:
        inner = solve_triangular(up.mH, grad, upper=False)
        grad_u = -(inner @ x.mH).triu()
        outer = solve_triangular(low.mH, inner, upper=True, unitriangular=True)
        return grad_u - (outer @ (up @ x).mH).tril(-1)
    turned = p.mH @ x
    inner = solve_triangular(low, p.mH @ grad, upper=False, unitriangular=True)
    grad_l = -(turned @ inner.mH).tril(-1)
    outer = solve_triangular(up, inner, upper=True)
    return grad_l - ((low.mH @ turned) @ outer.mH).triu()


@op(name="linalg_lu_solve", method=False)
def linalg_lu_solve(LU, pivots, B, *, left=True, adjoint=False, out=None):
    """The solution of A X = B, where A is given by `torch.linalg.lu_factor`.

    Args:
        LU: the factors [..., n, n].
        pivots: the exchanged rows, int32 [..., n].
        B: a tensor [..., n, k], or [..., k, n] where not `left`; leading dimensions broadcast.
        left: solve A X = B, else X A = B.
        adjoint: take the conjugate transpose of A.
        out: where to put the result.
    Raises:
        RuntimeError: shapes or types do not go together.

    >>> import rushlight as torch
    >>> factors = torch.linalg.lu_factor(torch.tensor([[2.0]]))
    >>> torch.linalg.lu_solve(*factors, torch.tensor([[6.0]]))
    tensor([[3.]])
    """
    name = "linalg.lu_solve"
    factors, rows, b = (
        check_tensor("linalg_lu_solve", t, n, i)._array for i, (t, n) in enumerate([(LU, "LU"), (pivots, "pivots"), (B, "B")], 1)
    )  # fmt: skip
    if factors.dtype not in LAPACK_TYPES:
        raise wrong_type(name, LU, "linalg.lu_solve_cpu")
    if factors.dtype != b.dtype:
        raise RuntimeError(
            f"{name}: Expected LU and B to have the same dtype, but found LU of type {LU.dtype} and B of type "
            f"{B.dtype} instead"
        )
    if rows.dtype != np.int32:
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    if factors.ndim < 2:
        raise RuntimeError(f"torch.{name}: The input tensor A must have at least 2 dimensions.")
    check_square(f"torch.{name}", factors)
    if b.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor B must have at least 2 dimensions.")
    check_system(name, factors, b, left)
    if rows.shape[-1:] != factors.shape[-1:]:
        raise RuntimeError(
            f"{name}: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if rows.shape[:-1] != factors.shape[:-2]:
        raise RuntimeError(f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
                           f"{list(rows.shape)} instead")  # fmt: skip
    if rows.size and not is_phantom(rows) and rows.min() < 1:
        raise RuntimeError(
            "Pivots given to lu_solve must all be greater or equal to 1. Did you properly pass the result of lu_factor?"
        )
    if rows.size and rows.max() > factors.shape[-1]:
        raise RuntimeError("Pivots given to lu_solve must all be smaller or equal to LU.size(-2).")
    batch_of(factors, b)
    if left:
        array = lapack.lu_solve(factors, rows, b, adjoint)
    else:
        array = c_order(lapack.adjoint(lapack.lu_solve(factors, rows, lapack.adjoint(b), not adjoint)))
    if not recording(LU, B):
        return write_out(wrap(array), out, exact=True)
    x = record(array, LinalgLuSolveBackward0, (LU, None, B), options=(left, bool(adjoint)))
    x._node.keep((x,), LU, pivots, B)
    return write_out(x, out, exact=True)


@op()
def lu_solve(input, LU_data, LU_pivots, *, out=None):
    """The solution X of A X = input, where A is given by `torch.linalg.lu_factor`.

    >>> import rushlight as torch
    >>> torch.lu_solve(torch.tensor([[6.0]]), *torch.linalg.lu_factor(torch.tensor([[2.0]])))
    tensor([[3.]])
    """
    return linalg_lu_solve(LU_data, LU_pivots, input, out=out)


@op()
def lu(A, pivot=True, get_infos=False, out=None):
    """The LU factorisation with row exchanges; `torch.linalg.lu_factor` is its successor.

    Args:
        A: a tensor [..., m, n].
        pivot: exchange rows; must be true on the CPU.
        get_infos: also return the number of the first zero on U's diagonal, or 0.
        out: two or three tensors for the result.
    Returns:
        (LU, pivots), or (LU, pivots, info).

    >>> import rushlight as torch
    >>> torch.lu(torch.tensor([[1.0, 2.0], [2.0, 0.0]]))[1]
    tensor([2, 2], dtype=torch.int32)
    """
    factors, pivots, info = factorize(A, pivot)
    if get_infos:
        return write_outs((factors, pivots, info_tensor(info)), out, return_types._lu_with_info)
    return write_outs((factors, pivots), out, tuple)


# -- LDL --------------------------------------------------------------------------------------------


def _ldl(name: str, a, hermitian: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    array = check_tensor(name.removeprefix("torch.").replace(".", "_"), a, "A")._array
    if array.ndim < 2:
        raise RuntimeError("torch.linalg.ldl_factor_ex: The input tensor A must have at least 2 dimensions.")
    check_square("torch.linalg.ldl_factor_ex", array)
    not_implemented("ldl_factor_cpu", a)
    if recording(a):
        raise RuntimeError(f"{name}: has no gradient; use torch.linalg.solve or detach() its input")
    return lapack.ldl(array, bool(hermitian))


def _no_zero_block(name: str, info: np.ndarray) -> None:
    if info.any():
        first = info[info != 0].flat[0]
        raise RuntimeError(
            f"{name}: D[{first}] is zero: the matrix is singular, and ldl_solve would divide by it"
        )


@op(name="linalg_ldl_factor_ex", method=False)
def ldl_factor_ex(input, *, hermitian=False, check_errors=False, out=None):
    """The LDL factorisation of symmetric or Hermitian matrices, and whether D is singular.

    Args:
        input: A, a tensor [..., n, n], of which the lower triangle is read.
        hermitian: A is Hermitian, not symmetric; the same for real numbers.
        check_errors: raise where D is singular.
        out: three tensors for the result.
    Returns:
        (LD [..., n, n]: D of blocks 1x1 and 2x2, and L below; pivots [..., n], int32, as LAPACK's sytrf; info [...]).

    >>> import rushlight as torch
    >>> torch.linalg.ldl_factor_ex(torch.tensor([[2.0]])).LD
    tensor([[2.]])
    """
    factors, pivots, info = _ldl("torch.linalg.ldl_factor_ex", input, hermitian)
    if check_errors:
        _no_zero_block("torch.linalg.ldl_factor_ex", info)
    return write_outs(
        (wrap(factors), wrap(pivots), info_tensor(info)), out, return_types.linalg_ldl_factor_ex
    )


@op(name="linalg_ldl_factor", method=False)
def ldl_factor(input, *, hermitian=False, out=None):
    """The LDL factorisation of symmetric or Hermitian matrices, for `torch.linalg.ldl_solve`.

    >>> import rushlight as torch
    >>> torch.linalg.ldl_factor(torch.tensor([[2.0]])).pivots
    tensor([1], dtype=torch.int32)
    """
    factors, pivots, info = _ldl("torch.linalg.ldl_factor", input, hermitian)
    _no_zero_block("torch.linalg.ldl_factor", info)
    return write_outs((wrap(factors), wrap(pivots)), out, return_types.linalg_ldl_factor)


@op(name="linalg_ldl_solve", method=False)
def ldl_solve(LD, pivots, B, *, hermitian=False, out=None):
    """The solution X of A X = B, where A is given by `torch.linalg.ldl_factor`.

    Args:
        LD, pivots: the factors [..., n, n] and their pivots [..., n].
        B: a tensor [..., n, k]; leading dimensions broadcast.
        hermitian: A was factorised as a Hermitian matrix.
        out: where to put the result.

    >>> import rushlight as torch
    >>> torch.linalg.ldl_solve(*torch.linalg.ldl_factor(torch.tensor([[2.0]])), torch.tensor([[6.0]]))
    tensor([[3.]])
    """
    name = "torch.linalg.ldl_solve"
    factors, rows, b = LD._array, pivots._array, B._array
    if factors.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor LD must have at least 2 dimensions.")
    check_square(name, factors)
    if b.ndim < 2:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got -2)")
    if factors.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for {name}: each A matrix is {factors.shape[-1]} by {factors.shape[-1]} but each "
            f"b matrix is {b.shape[-2]} by {b.shape[-1]}"
        )
    if factors.dtype != b.dtype:
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {SCALAR_NAMES[B.dtype]} and A of "
            f"type {SCALAR_NAMES[LD.dtype]} instead."
        )
    if rows.shape != factors.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(rows.shape)} instead"
        )
    if rows.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {SCALAR_NAMES[pivots.dtype]}")
    batch_of(factors, b)
    if recording(LD, B):
        raise RuntimeError(f"{name}: has no gradient; use torch.linalg.solve or detach() its inputs")
    return write_out(wrap(lapack.ldl_solve(factors, rows, b, bool(hermitian))), out, exact=True)
