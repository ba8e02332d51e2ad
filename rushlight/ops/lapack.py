"""What NumPy's LAPACK does not offer, on arrays: triangular systems, LU, LDL, partial Cholesky, matrix exponentials.

Matrices are the last two dimensions. Stacks are factorised together, one column of all matrices at a time, except for
LDL, whose pivoting decides per matrix.
"""

import math
from functools import lru_cache

import numpy as np

from rushlight.kernels.reference.layout import c_order, empty_by, eye_by, zeros_by

_BLOCK = 32  # columns that LU eliminates before it updates the rest by one product
_DIRECT = 64  # the largest triangular system that is not split


@lru_cache(maxsize=256)
def _upper(n: int) -> np.ndarray:
    """Which elements of a square matrix are on or above the diagonal."""
    mask = np.triu(np.ones((n, n), bool))
    mask.flags.writeable = False
    return mask


def size_of(x: np.ndarray) -> np.ndarray:
    """The size by which LAPACK chooses pivots: |re| + |im|."""
    return np.abs(x.real) + np.abs(x.imag) if x.dtype.kind == "c" else np.abs(x)


def adjoint(a: np.ndarray) -> np.ndarray:
    """The conjugate transpose."""
    a = a.swapaxes(-1, -2)
    return a.conj() if a.dtype.kind == "c" else a


# -- triangular systems -----------------------------------------------------------------------------


def solve_triangular(a: np.ndarray, b: np.ndarray, upper: bool, unit: bool = False) -> np.ndarray:
    """x of a x = b, where only one triangle of `a` counts, and its diagonal as ones if `unit`; leading dimensions
    broadcast. A zero on the diagonal gives infinities, as division does."""
    n = a.shape[-1]
    if n > _DIRECT:
        k = n // 2
        first, second = (..., slice(k), slice(k)), (..., slice(k, n), slice(k, n))
        if upper:
            low = solve_triangular(a[second], b[..., k:, :], upper, unit)
            top = solve_triangular(a[first], b[..., :k, :] - a[..., :k, k:] @ low, upper, unit)
        else:
            top = solve_triangular(a[first], b[..., :k, :], upper, unit)
            low = solve_triangular(a[second], b[..., k:, :] - a[..., k:, :k] @ top, upper, unit)
        return np.concatenate((top, low), -2)
    if not upper:  # turned around, so that elimination finds zeros below the diagonal and has nothing to do
        a, b = a[..., ::-1, ::-1], b[..., ::-1, :]
    a = np.where(_upper(n), a, a.dtype.type(0))
    if unit:
        a[..., range(n), range(n)] = 1
    try:
        x = np.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        x = _substitute(a, b)
    return x if upper else c_order(x[..., ::-1, :])


def _substitute(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = np.array(np.broadcast_to(b, (*batch, *b.shape[-2:])))
    with np.errstate(all="ignore"):
        for i in reversed(range(a.shape[-1])):
            x[..., i, :] /= a[..., i, i, None]
            x[..., :i, :] -= a[..., :i, i, None] * x[..., None, i, :]
    return x


# -- LU ---------------------------------------------------------------------------------------------


def lu(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The LU factorisation with row exchanges, as LAPACK's getrf.

    Returns:
        Both factors in one array [..., m, n]; the rows exchanged, from 1, int32 [..., k]; per matrix the number of the
        first zero on U's diagonal, or 0.
    """
    *batch, m, n = a.shape
    a = np.array(a, order="C").reshape(math.prod(batch), m, n)
    k = min(m, n)
    pivots = empty_by(a, (len(a), k), np.int32)
    info = zeros_by(a, len(a), np.int32)
    each = np.arange(len(a))
    with np.errstate(all="ignore"):
        for start in range(0, k, _BLOCK):
            stop = min(start + _BLOCK, k)
            for j in range(start, stop):
                chosen = j + size_of(a[:, j:, j]).argmax(1)
                pivots[:, j] = chosen + 1
                a[each, j], a[each, chosen] = a[each, chosen], a[each, j]
                pivot = a[:, j, j].copy()
                zero = pivot == 0
                info[zero & (info == 0)] = j + 1
                pivot[zero] = 1
                a[:, j + 1 :, j] /= pivot[:, None]
                a[:, j + 1 :, j + 1 : stop] -= a[:, j + 1 :, j, None] * a[:, j, None, j + 1 : stop]
            if stop < n:
                a[:, start:stop, stop:] = solve_triangular(
                    a[:, start:stop, start:stop], a[:, start:stop, stop:], upper=False, unit=True
                )
                a[:, stop:, stop:] -= a[:, stop:, start:stop] @ a[:, start:stop, stop:]
    return a.reshape(*batch, m, n), pivots.reshape(*batch, k), info.reshape(batch)


def row_order(pivots: np.ndarray, m: int) -> np.ndarray:
    """The order of m rows after the exchanges: row i of the factorised matrix is row order[i] of the given one."""
    *batch, k = pivots.shape
    flat = pivots.reshape(math.prod(batch), k) - 1
    order = np.broadcast_to(np.arange(m), (len(flat), m)).copy()
    each = np.arange(len(flat))
    for j in range(k):
        order[each, j], order[each, flat[:, j]] = order[each, flat[:, j]], order[each, j]
    return order.reshape(*batch, m)


def lu_solve(factors: np.ndarray, pivots: np.ndarray, b: np.ndarray, adjoint_: bool = False) -> np.ndarray:
    """x of a x = b, or of a^H x = b, where `a` was factorised by `lu`; leading dimensions broadcast."""
    order = row_order(pivots, factors.shape[-1])
    batch = np.broadcast_shapes(factors.shape[:-2], b.shape[:-2])
    order = np.broadcast_to(order, (*batch, order.shape[-1]))[..., None]
    b = np.broadcast_to(b, (*batch, *b.shape[-2:]))
    if not adjoint_:
        y = solve_triangular(factors, np.take_along_axis(b, order, -2), upper=False, unit=True)
        return solve_triangular(factors, y, upper=True)
    turned = adjoint(factors)
    y = solve_triangular(turned, solve_triangular(turned, b, upper=False), upper=True, unit=True)
    return np.take_along_axis(y, np.argsort(order, -2), -2)


# -- Cholesky ---------------------------------------------------------------------------------------


def cholesky(a: np.ndarray, upper: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cholesky factors of a stack of which some may not be positive definite.

    Returns:
        The factors, where they fail as far as they go, and per matrix the order of the first leading minor that is not
        positive, or 0.
    """
    info = zeros_by(a, a.shape[:-2], np.int32)
    try:
        return np.linalg.cholesky(a, upper=upper), info
    except np.linalg.LinAlgError:
        pass
    lower = np.tril(adjoint(a) if upper else a)
    for index in np.ndindex(info.shape):
        info[index] = _cholesky_in_place(lower[index])
    return (adjoint(lower) if upper else lower), info


def _cholesky_in_place(a: np.ndarray) -> int:
    for j in range(len(a)):
        pivot = a[j, j].real - np.vdot(a[j, :j], a[j, :j]).real
        if not pivot > 0:
            a[j, j] = pivot
            return j + 1
        a[j, j] = np.sqrt(pivot)
        a[j + 1 :, j] = (a[j + 1 :, j] - a[j + 1 :, :j] @ a[j, :j].conj()) / a[j, j]
    return 0


# -- LDL --------------------------------------------------------------------------------------------

_ALPHA = (1 + 17**0.5) / 8


def ldl(a: np.ndarray, hermitian: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The factorisation L D L^T (L^H if `hermitian`), D of blocks 1x1 and 2x2, as LAPACK's sytrf with the lower triangle.

    Source: Bunch and Kaufman, Some stable methods for calculating inertia and solving symmetric linear systems, 1977.
    """
    out = np.tril(a)
    pivots = empty_by(a, a.shape[:-1], np.int32)
    info = zeros_by(a, a.shape[:-2], np.int32)
    for index in np.ndindex(info.shape):
        info[index] = _ldl_in_place(out[index], pivots[index], hermitian and a.dtype.kind == "c")
    return out, pivots, info


def _ldl_in_place(a: np.ndarray, pivots: np.ndarray, hermitian: bool) -> int:
    n, k, info = len(a), 0, 0
    while k < n:
        if hermitian:
            a[k, k] = a[k, k].real
        chosen, step = _ldl_pivot(a, k)
        if chosen < 0:
            pivots[k], info, k = k + 1, info or k + 1, k + 1
            continue
        last = k + step - 1
        if chosen != last:
            _ldl_exchange(a, k, last, chosen, hermitian)
        below = a[k + step :, k : k + step]
        if below.size:
            block = a[k : k + step, k : k + step].copy()
            if step == 2:
                block[0, 1] = block[1, 0].conj() if hermitian else block[1, 0]
            scaled = np.linalg.solve(block.T, below.T).T
            a[k + step :, k + step :] -= np.tril(scaled @ (below.conj() if hermitian else below).T)
            below[...] = scaled
        pivots[k : k + step] = chosen + 1 if step == 1 else -(chosen + 1)
        k += step
    return info


def _ldl_pivot(a: np.ndarray, k: int) -> tuple[int, int]:
    """The row to bring up and the size of the block; row -1 where the column is zero."""
    here, column = size_of(a[k, k]), size_of(a[k + 1 :, k])
    largest = column.max() if column.size else 0
    if max(here, largest) == 0 or here != here:
        return -1, 1
    if here >= _ALPHA * largest:
        return k, 1
    i = k + 1 + int(column.argmax())
    across = max(size_of(a[i, k:i]).max(), size_of(a[i + 1 :, i]).max(initial=0))
    if here >= _ALPHA * largest * (largest / across):
        return k, 1
    return i, 1 if size_of(a[i, i]) >= _ALPHA * across else 2


def _ldl_exchange(a: np.ndarray, k: int, row: int, other: int, hermitian: bool) -> None:
    """Exchange two rows and columns of the part of a symmetric matrix that begins at k, given by its lower triangle."""
    turn = np.conj if hermitian else np.asarray
    a[other + 1 :, [row, other]] = a[other + 1 :, [other, row]]
    between = turn(a[row + 1 : other, row]).copy()
    a[row + 1 : other, row] = turn(a[other, row + 1 : other])
    a[other, row + 1 : other] = between
    a[other, row] = turn(a[other, row])
    a[[row, other], [row, other]] = a[[other, row], [other, row]]
    if row != k:
        a[[row, other], k] = a[[other, row], k]


def ldl_solve(factors: np.ndarray, pivots: np.ndarray, b: np.ndarray, hermitian: bool) -> np.ndarray:
    """x of a x = b, where `a` was factorised by `ldl`; leading dimensions broadcast."""
    batch = np.broadcast_shapes(factors.shape[:-2], b.shape[:-2])
    factors = np.broadcast_to(factors, (*batch, *factors.shape[-2:]))
    pivots = np.broadcast_to(pivots, (*batch, pivots.shape[-1]))
    x = np.array(np.broadcast_to(b, (*batch, *b.shape[-2:])))
    for index in np.ndindex(*batch):
        _ldl_solve_in_place(factors[index], pivots[index], x[index], hermitian and b.dtype.kind == "c")
    return x


def _ldl_solve_in_place(a: np.ndarray, pivots: np.ndarray, x: np.ndarray, hermitian: bool) -> None:
    n, k, blocks = len(a), 0, []
    while k < n:
        step = 1 if pivots[k] > 0 else 2
        blocks.append((k, step))
        rows, other, end = [k + step - 1, abs(int(pivots[k])) - 1], slice(k, k + step), k + step
        x[rows] = x[rows[::-1]]
        x[end:] -= a[end:, other] @ x[other]
        block = a[other, other].copy()
        if step == 2:
            block[0, 1] = block[1, 0].conj() if hermitian else block[1, 0]
        with np.errstate(all="ignore"):
            x[other] = x[other] / block if step == 1 else np.linalg.solve(block, x[other])
        k = end
    for k, step in reversed(blocks):
        here, end = slice(k, k + step), k + step
        below = a[end:, here].T
        x[here] -= (below.conj() if hermitian else below) @ x[end:]
        rows = [k + step - 1, abs(int(pivots[k])) - 1]
        x[rows] = x[rows[::-1]]


# -- matrix exponential -----------------------------------------------------------------------------

_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_RADIUS = 5.371920351148152  # where the approximation of this degree is accurate to 2^-53


def matrix_exp(a: np.ndarray) -> np.ndarray:
    """The exponential of matrices: a rational approximation of degree 13, after scaling; then repeated squaring.

    Source: Higham, The scaling and squaring method for the matrix exponential revisited, 2005.
    """
    if not a.size:
        return a.copy()
    size = np.abs(a).sum(-2).max(-1)
    with np.errstate(all="ignore"):
        squarings = np.ceil(np.log2(np.where(size > _RADIUS, size / _RADIUS, 1)))
    squarings = np.where(np.isfinite(squarings), squarings, 0).astype(np.int64)[..., None, None]
    a = a * np.exp2(-squarings).astype(a.real.dtype)
    one = eye_by(a, a.shape[-1])
    c = _PADE
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    odd = a @ (a6 @ (a6 * c[13] + a4 * c[11] + a2 * c[9]) + a6 * c[7] + a4 * c[5] + a2 * c[3] + one * c[1])
    even = a6 @ (a6 * c[12] + a4 * c[10] + a2 * c[8]) + a6 * c[6] + a4 * c[4] + a2 * c[2] + one * c[0]
    result = np.linalg.solve(even - odd, even + odd)
    with np.errstate(all="ignore"):
        for i in range(int(squarings.max())):
            result = np.where(squarings > i, result @ result, result)
    return result
