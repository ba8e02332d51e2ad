"""Inverses, linear systems and determinants."""

import math

import numpy as np

from rushlight import return_types
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import c_order, eye_by, zeros_by
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
    SINGULAR,
    FactorNode,
    batch_of,
    check_square,
    failed,
    fold,
    info_tensor,
    square,
    wrong_type,
)
from rushlight.ops.registry import op
from rushlight.ops.triangular import check_system

# -- inverse ----------------------------------------------------------------------------------------


class LinalgInvExBackward0(FactorNode):
    def backward(self, grad):
        (inverse,) = self.unpack_all()
        adjoint = inverse.mH
        return -(adjoint @ (grad @ adjoint))


def _inverse(name: str, a) -> tuple[Tensor, np.ndarray | None]:
    """The inverse, and LAPACK's info where a matrix is singular, else None."""
    array = square(name, a)
    info = None
    try:
        with np.errstate(all="ignore"):
            found = np.linalg.inv(array)
    except np.linalg.LinAlgError:
        factors, pivots, info = lapack.lu(array)
        found = lapack.lu_solve(factors, pivots, eye_by(array, array.shape[-1]))
    if not recording(a):
        return wrap(found), info
    inverse = record(found, LinalgInvExBackward0, (a,))
    inverse._node.keep((inverse,))
    return inverse, info


def _checked_inverse(name: str, a, out) -> Tensor:
    inverse, info = _inverse(name, a)
    if info is not None and info.any():
        raise failed(name, info, SINGULAR)
    return inverse if out is None else write_out(inverse, out, exact=True)


@op(name="linalg_inv", method=False)
def inv(A, *, out=None):
    """The inverse of square matrices.

    Args:
        A: a tensor [..., n, n].
        out: where to put the result.
    Raises:
        RuntimeError: the matrices are not square. LinAlgError: one is singular.

    >>> import rushlight as torch
    >>> torch.linalg.inv(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return _checked_inverse("linalg.inv", A, out)


@op()
def inverse(input, *, out=None):
    """The inverse of square matrices: `torch.linalg.inv`.

    >>> import rushlight as torch
    >>> torch.inverse(torch.tensor([[2.0]]))
    tensor([[0.5000]])
    """
    return _checked_inverse("linalg.inv", input, out)


@op(name="linalg_inv_ex", method=False)
def inv_ex(A, *, check_errors=False, out=None):
    """The inverse of square matrices, and which are singular.

    Args:
        A: a tensor [..., n, n].
        check_errors: raise where a matrix is singular.
        out: two tensors for the result.
    Returns:
        (inverse [..., n, n], info [...]): info is the number of the first zero on the diagonal of U, or 0.

    >>> import rushlight as torch
    >>> torch.linalg.inv_ex(torch.tensor([[2.0]])).info
    tensor(0, dtype=torch.int32)
    """
    inverse, info = _inverse("linalg.inv", A)
    if info is None:
        info = zeros_by(A._array, A._array.shape[:-2], np.int32)
    elif check_errors and info.any():
        raise failed("linalg.inv_ex", info, SINGULAR)
    return write_outs((inverse, info_tensor(info)), out, return_types.linalg_inv_ex)


# -- linear systems ---------------------------------------------------------------------------------


class LinalgSolveExBackward0(FactorNode):
    left = True

    def backward(self, grad):
        x, a, b = self.unpack_all()
        to_a, to_b = self.edges
        vector = _is_vector(a._array, b._array)
        if vector:
            x, grad = x.unsqueeze(-1), grad.unsqueeze(-1)
        grad_b = linalg_solve(a.mH, grad, left=self.left)
        grad_a = None
        if to_a is not None:
            grad_a = fold(-(grad_b @ x.mH) if self.left else -(x.mH @ grad_b), a)
        if to_b is None:
            return grad_a, None
        return grad_a, fold(grad_b.squeeze(-1) if vector else grad_b, b)


def _is_vector(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the right-hand side is a stack of vectors, not of matrices."""
    return b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])


def _system(A, B, left: bool) -> tuple[Tensor, np.ndarray | None]:
    """The solution, and LAPACK's info where a matrix is singular, else None."""
    name = "linalg.solve"
    a, b = check_tensor("linalg_solve", A, "A")._array, check_tensor("linalg_solve", B, "B", 2)._array
    if a.dtype not in LAPACK_TYPES:
        raise wrong_type(name, A, "lu_cpu")
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {SCALAR_NAMES[A.dtype]} and B of type "
            f"{SCALAR_NAMES[B.dtype]} instead"
        )
    if a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    check_square(name, a)
    vector = _is_vector(a, b)
    if vector and not left:
        raise RuntimeError(
            f"{name}: Vector broadcasting of the left hand side is not supported for left=False. In this case "
            "linalg.solve is equivalent to B / A.squeeze(-1)"
        )
    if vector:
        b = b[..., None]
    elif b.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor B must have at least 2 dimensions.")
    check_system(name, a, b, left)
    batch_of(a, b)
    info = None
    try:
        with np.errstate(all="ignore"):
            if left:
                x = np.linalg.solve(a, b)
            else:
                x = np.linalg.solve(a.swapaxes(-1, -2), b.swapaxes(-1, -2)).swapaxes(-1, -2)
                x = c_order(x)
    except np.linalg.LinAlgError:
        factors, pivots, info = lapack.lu(a)
        x = lapack.lu_solve(factors, pivots, b if left else lapack.adjoint(b), not left)
        x = x if left else lapack.adjoint(x)
    if vector:
        x = x[..., 0]
    if not recording(A, B):
        return wrap(x), info
    result = record(x, LinalgSolveExBackward0, (A, B), left=left)
    result._node.keep((result,), A, B)
    return result, info


_FAILED = "The solver failed because the input matrix is singular."


@op(name="linalg_solve", method=False)
def linalg_solve(A, B, *, left=True, out=None):
    """The solution X of A X = B, or of X A = B.

    Args:
        A: a tensor [..., n, n].
        B: a tensor [..., n, k], [..., k, n] where not `left`, or vectors [..., n]; leading dimensions broadcast.
        left: whether A stands left of X.
        out: where to put the result.
    Returns:
        X, of B's shape.
    Raises:
        RuntimeError: shapes or types do not go together. LinAlgError: a matrix is singular.

    >>> import rushlight as torch
    >>> torch.linalg.solve(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([2.0, 4.0]))
    tensor([1., 1.])
    """
    x, info = _system(A, B, left)
    if info is not None and info.any():
        raise failed("torch.linalg.solve", info, _FAILED)
    return x if out is None else write_out(x, out, exact=True)


@op(name="linalg_solve_ex", method=False)
def solve_ex(A, B, *, left=True, check_errors=False, out=None):
    """The solution X of A X = B, and which matrices are singular.

    Args:
        A, B, left: as for `torch.linalg.solve`.
        check_errors: raise where a matrix is singular.
        out: two tensors for the result.
    Returns:
        (result, info [...]): info is the number of the first zero on the diagonal of U, or 0.

    >>> import rushlight as torch
    >>> torch.linalg.solve_ex(torch.tensor([[2.0]]), torch.tensor([4.0])).result
    tensor([2.])
    """
    x, info = _system(A, B, left)
    if info is None:
        info = zeros_by(A._array, A._array.shape[:-2], np.int32)
    elif check_errors and info.any():
        raise failed("torch.linalg.solve_ex", info, _FAILED)
    return write_outs((x, info_tensor(info)), out, return_types.linalg_solve_ex)


@op(name="linalg_tensorsolve", method=False)
def tensorsolve(input, other, dims=None, *, out=None):
    """The solution X of the system tensordot(A, X, X.ndim) = B.

    Args:
        input: A, a tensor of B's shape followed by that of X, as many elements in both parts.
        other: B, a tensor.
        dims: dimensions of A to move to its end first.
        out: where to put the result.
    Raises:
        RuntimeError: the numbers of elements differ.

    >>> import rushlight as torch
    >>> torch.linalg.tensorsolve(torch.eye(4).reshape(2, 2, 4), torch.ones(2, 2))
    tensor([1., 1., 1., 1.])
    """
    if dims is not None:
        input = input.movedim(tuple(dims), tuple(range(input.ndim - len(dims), input.ndim)))
    rows, columns = input._array.shape[: other.ndim], input._array.shape[other.ndim :]
    if not math.prod(columns) == math.prod(rows) == other.numel():
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but "
            f"got {math.prod(columns)} != {other.numel() if math.prod(rows) == math.prod(columns) else math.prod(rows)}"
        )
    n = other.numel()
    return write_out(linalg_solve(input.reshape(n, n), other.reshape(n)).reshape(columns), out)


@op(name="linalg_tensorinv", method=False)
def tensorinv(input, ind=2, *, out=None):
    """The inverse of the linear map that `torch.tensordot` with A is.

    Args:
        input: A, a tensor, as many elements in its first `ind` dimensions as in the others.
        ind: the number of the map's output dimensions.
        out: where to put the result.
    Raises:
        RuntimeError: `ind` is not positive, or the numbers of elements differ. LinAlgError: there is no inverse.

    >>> import rushlight as torch
    >>> torch.linalg.tensorinv(torch.eye(4).reshape(2, 2, 4)).shape
    torch.Size([4, 2, 2])
    """
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    shape = input._array.shape
    first, last = shape[:ind], shape[ind:]
    n = math.prod(last)
    if n != math.prod(first):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{n} != {math.prod(first)}"
        )
    inverse, info = _inverse("linalg.inv", input.reshape(n, n))
    if info is not None:
        raise failed("inv", info, SINGULAR)
    return write_out(inverse.reshape((*last, *first)), out)


# -- determinants -----------------------------------------------------------------------------------


class LinalgDetBackward0(FactorNode):
    """grad times the adjugate: det(A) A^-H where A is regular, and its limit by singular values where it is not."""

    def backward(self, grad):
        det, a = self.unpack_all()
        scaled = _diagonal(grad * det.conj(), a)
        singular = np.abs(det._array) < 100 * np.finfo(det._array.dtype).eps
        if not singular.any():
            return linalg_solve(a.mH, scaled)
        if singular.all():
            return _singular_det(a, grad)
        mask = wrap(singular)[..., None, None]
        one = wrap(eye_by(a._array, a._array.shape[-1]))
        regular = linalg_solve(one.where(mask, a).mH, scaled)
        return _singular_det(a, grad).where(mask, regular)


def _diagonal(values: Tensor, a: Tensor) -> Tensor:
    """Each value times the identity."""
    return values[..., None, None] * wrap(eye_by(a._array, a._array.shape[-1]))


def _singular_det(a: Tensor, grad: Tensor) -> Tensor:
    """The gradient of a determinant that may be 0: U diag(products of the other singular values) Vh."""
    from rushlight.ops.decompositions import linalg_svd
    from rushlight.ops.joining import cat

    u, s, vh = linalg_svd(a)
    ones = s.new_ones((*s._array.shape[:-1], 1))
    before = cat((ones, s[..., :-1]), -1).cumprod(-1)
    after = cat((ones, s.flip(-1)[..., :-1]), -1).cumprod(-1).flip(-1)
    others = (before * after) * (det(u) * det(vh)).conj().unsqueeze(-1) * grad.unsqueeze(-1)
    return (u * others.unsqueeze(-2)) @ vh


def _check_det(name: str, a, argument: str = "A") -> np.ndarray:
    if isinstance(a, Tensor) and a._array.dtype not in LAPACK_TYPES:
        raise wrong_type(name, a, "lu_cpu")
    return square(name, a, argument)


@op()
def det(input, *, out=None):
    """The determinant of square matrices.

    Args:
        input: a tensor [..., n, n].
        out: where to put the result.
    Raises:
        RuntimeError: the matrices are not square.

    >>> import rushlight as torch
    >>> torch.det(torch.tensor([[2.0, 0.0], [1.0, 3.0]]))
    tensor(6.)
    """
    array = _check_det("linalg.det", input)
    with np.errstate(all="ignore"):  # a determinant easily exceeds float32
        array = np.asanyarray(np.linalg.det(array))
    if not recording(input):
        return write_out(wrap(array), out, exact=True)
    result = record(array, LinalgDetBackward0, (input,))
    result._node.keep((result,), input)
    return write_out(result, out, exact=True)


@op(name="linalg_det", method=False)
def linalg_det(A, *, out=None):
    """The determinant of square matrices.

    Args:
        A: a tensor [..., n, n].
        out: where to put the result.
    Raises:
        RuntimeError: the matrices are not square.

    >>> import rushlight as torch
    >>> torch.linalg.det(torch.tensor([[2.0, 0.0], [1.0, 3.0]]))
    tensor(6.)
    """
    return det(A, out=out)


class LinalgSlogdetBackward0(FactorNode):
    def backward(self, grad_sign, grad_log):
        sign, a = self.unpack_all()
        if sign.is_complex():
            grad = sign.new_zeros(sign.shape) if grad_log is None else grad_log.to(sign.dtype)
            if grad_sign is not None:
                grad = grad - (grad_sign.conj() * sign).imag * 1j
        elif grad_log is None:
            return None
        else:
            grad = grad_log
        return linalg_solve(a.mH, _diagonal(grad, a))


def _slogdet(name: str, a) -> tuple[Tensor, Tensor]:
    arrays = tuple(np.asanyarray(x) for x in np.linalg.slogdet(_check_det(name, a)))
    if not recording(a):
        return wrap(arrays[0]), wrap(arrays[1])
    outputs = record_many(arrays, LinalgSlogdetBackward0, (a,))
    outputs[0]._node.keep(outputs[:1], a)
    return outputs


@op(name="linalg_slogdet", method=False)
def linalg_slogdet(A, *, out=None):
    """The sign, or the phase, of the determinant and the logarithm of its absolute value.

    Args:
        A: a tensor [..., n, n].
        out: two tensors for the result.
    Returns:
        (sign [...], logabsdet [...]): 0 and -inf for singular matrices.

    >>> import rushlight as torch
    >>> torch.linalg.slogdet(torch.tensor([[-1.0]]))
    torch.return_types.linalg_slogdet(
    sign=tensor(-1.),
    logabsdet=tensor(0.))
    """
    return write_outs(_slogdet("linalg.slogdet", A), out, return_types.linalg_slogdet)


@op()
def slogdet(input, *, out=None):
    """The sign, or the phase, of the determinant and the logarithm of its absolute value.

    >>> import rushlight as torch
    >>> torch.slogdet(torch.tensor([[-1.0]])).sign
    tensor(-1.)
    """
    return write_outs(_slogdet("linalg.slogdet", input), out, return_types.slogdet)


@op()
def logdet(input):
    """The logarithm of the determinant: NaN where that is negative, -inf where it is 0.

    >>> import rushlight as torch
    >>> torch.logdet(torch.tensor([[1.0]]))
    tensor(0.)
    """
    _check_det("logdet", input)
    sign, log = _slogdet("logdet", input)
    if input.is_complex():
        return sign.log() + log
    negative = sign._array == -1
    return log.masked_fill(wrap(np.asanyarray(negative)), math.nan) if negative.any() else log
