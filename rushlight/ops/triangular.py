"""Systems with triangular matrices, and with matrices given by their Cholesky factors."""

import numpy as np

from rushlight import return_types
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import c_order, eye_by
from rushlight.ops import lapack
from rushlight.ops.common import (
    check_tensor,
    conj,
    record,
    record_many,
    recording,
    wrap,
    write_out,
    write_outs,
)
from rushlight.ops.matrices import (
    SINGULAR,
    FactorNode,
    batch_of,
    check_square,
    failed,
    fold,
    not_implemented,
    square,
)
from rushlight.ops.registry import op

# -- triangular systems -----------------------------------------------------------------------------


class LinalgSolveTriangularBackward0(FactorNode):
    def backward(self, grad):
        x, a, b = self.unpack_all()
        to_a, to_b = self.edges
        upper, left, unit = self.options
        grad_b = linalg_solve_triangular(a.mH, grad, upper=not upper, left=left, unitriangular=unit)
        grad_a = None
        if to_a is not None:
            grad_a = -(grad_b @ x.mH) if left else -(x.mH @ grad_b)
            grad_a = fold(grad_a.triu(int(unit)) if upper else grad_a.tril(-int(unit)), a)
        return grad_a, None if to_b is None else fold(grad_b, b)


def check_system(name: str, a: np.ndarray, b: np.ndarray, left: bool = True, vector: bool = False) -> None:
    """Raise where the shapes do not fit the equation."""
    if a.shape[-2 if left else -1] != b.shape[-2 if left else -1]:
        equation = "AX = B" if left else "XA = B"
        shape_b = f"{b.shape[-2]}x{b.shape[-1]}"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} "
            f"({a.shape[-2]}x{a.shape[-1]} and {shape_b})"
        )


def triangular(a: np.ndarray, b: np.ndarray, upper: bool, left: bool, unit: bool) -> np.ndarray:
    """x of a x = b, or of x a = b where not `left`, with one triangle of `a`."""
    if left:
        return lapack.solve_triangular(a, b, upper, unit)
    turned = lapack.solve_triangular(a.swapaxes(-1, -2), b.swapaxes(-1, -2), not upper, unit)
    return c_order(turned.swapaxes(-1, -2))


@op(name="linalg_solve_triangular", method=False)
def linalg_solve_triangular(input, B, *, upper, left=True, unitriangular=False, out=None):
    """The solution of A X = B, or of X A = B, with a triangular A.

    Args:
        input: A, a tensor [..., n, n], of which one triangle is read.
        B: a tensor [..., n, k], or [..., k, n] where not `left`; leading dimensions broadcast.
        upper: whether A is an upper triangle.
        left: whether A stands left of X.
        unitriangular: take the diagonal of A as ones.
        out: where to put the result.
    Returns:
        X, of B's shape; infinities where the diagonal has zeros.
    Raises:
        RuntimeError: the shapes do not go together.

    >>> import rushlight as torch
    >>> torch.linalg.solve_triangular(torch.tensor([[2.0]]), torch.tensor([[6.0]]), upper=True)
    tensor([[3.]])
    """
    name = "linalg.solve_triangular"
    for argument, t in (("A", input), ("B", B)):
        if check_tensor("linalg_solve_triangular", t, argument, 1 + (t is B))._array.ndim < 2:
            raise RuntimeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.")
        not_implemented("triangular_solve_cpu", t)
    a, b = input._array, B._array
    check_square(name, a)
    check_system(name, a, b, left)
    batch_of(a, b)
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {SCALAR_NAMES[input.dtype]} and B of type "
            f"{SCALAR_NAMES[B.dtype]} instead"
        )
    array = triangular(a, b, bool(upper), left, bool(unitriangular))
    if not recording(input, B):
        return write_out(wrap(array), out, exact=True)
    x = record(
        array, LinalgSolveTriangularBackward0, (input, B), options=(bool(upper), left, bool(unitriangular))
    )
    x._node.keep((x,), input, B)
    return write_out(x, out, exact=True)


class TriangularSolveBackward0(FactorNode):
    def backward(self, grad, grad_copy):
        x, a, b = self.unpack_all()
        upper, transpose, unit = self.options
        grad_a = grad_b = None
        if grad is not None:
            grad_b = triangular_solve(grad, conj(a), upper, not transpose, unit).solution
            grad_a = -(conj(x) @ grad_b.mT) if transpose else -(grad_b @ x.mH)
            grad_a = fold(grad_a.triu(int(unit)) if upper else grad_a.tril(-int(unit)), a)
            grad_b = fold(grad_b, b)
        if grad_copy is not None:
            copied = fold(grad_copy, a)
            grad_a = copied if grad_a is None else grad_a + copied
        return grad_b, grad_a


@op()
def triangular_solve(input, A, upper=True, transpose=False, unitriangular=False, *, out=None):
    """The solution of A X = input, or of A^T X = input, with a triangular A; `torch.linalg.solve_triangular` is its
    successor.

    Args:
        input: a tensor [..., n, k].
        A: a tensor [..., n, n]; leading dimensions broadcast.
        upper: whether A is an upper triangle.
        transpose: solve with the transpose of A.
        unitriangular: take the diagonal of A as ones.
        out: two tensors for the result.
    Returns:
        (solution, a copy of A).

    >>> import rushlight as torch
    >>> torch.triangular_solve(torch.tensor([[6.0]]), torch.tensor([[2.0]])).solution
    tensor([[3.]])
    """
    _check_pair("triangular_solve", input, A)
    not_implemented("triangular_solve_cpu", A)
    b, a = input._array, A._array
    batch = batch_of(a, b)
    if transpose:
        array = triangular(a.swapaxes(-1, -2), b, not upper, True, unitriangular)
    else:
        array = triangular(a, b, bool(upper), True, unitriangular)
    copied = np.array(np.broadcast_to(a, (*batch, *a.shape[-2:])))
    if not recording(input, A):
        return write_outs((wrap(array), wrap(copied)), out, return_types.triangular_solve)
    outputs = record_many((array, copied), TriangularSolveBackward0, (input, A))
    outputs[0]._node.options = (bool(upper), bool(transpose), bool(unitriangular))
    outputs[0]._node.keep(outputs[:1], A, input)
    return write_outs(outputs, out, return_types.triangular_solve)


def _check_pair(name: str, b, a) -> None:
    """Checks of the older functions, which take the right-hand side first."""
    torch_name = name if name == "cholesky_solve" else f"torch.{name}"
    for t, argument, shown in ((b, "input", "b"), (a, "A", "A" if name == "triangular_solve" else "u")):
        if check_tensor(name, t, argument, 1 + (t is a))._array.ndim < 2:
            raise RuntimeError(
                f"{torch_name}: Expected {shown} to have at least 2 dimensions, but it has {t._array.ndim} dimensions "
                "instead"
            )
    x, y = a._array, b._array
    check_square("", x)
    if x.shape[-1] != y.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for {name}: each A matrix is {x.shape[-1]} by {x.shape[-1]} but each b matrix is "
            f"{y.shape[-2]} by {y.shape[-1]}"
        )
    if x.dtype != y.dtype:
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {SCALAR_NAMES[b.dtype]} and A of type "
            f"{SCALAR_NAMES[a.dtype]} instead."
        )


# -- Cholesky factors -------------------------------------------------------------------------------


class CholeskySolveBackward0(FactorNode):
    def backward(self, grad):
        x, b, factor = self.unpack_all()
        to_b, to_factor = self.edges
        grad_b = cholesky_solve(grad, factor, self.upper)
        grad_factor = None
        if to_factor is not None:
            common = grad_b @ x.mH
            common = fold(common + common.mH, factor)
            grad_factor = -(factor @ common) if self.upper else -(common @ factor)
        return None if to_b is None else fold(grad_b, b), grad_factor


@op()
def cholesky_solve(input, input2, upper=False, *, out=None):
    """The solution X of A X = input, where A is given by its Cholesky factors.

    Args:
        input: a tensor [..., n, k].
        input2: L, the factors [..., n, n], A = L L^H, or L^H L if `upper`; leading dimensions broadcast.
        upper: whether the factors are upper triangles.
        out: where to put the result.
    Raises:
        RuntimeError: the shapes do not go together.

    >>> import rushlight as torch
    >>> torch.cholesky_solve(torch.tensor([[8.0]]), torch.tensor([[2.0]]))
    tensor([[2.]])
    """
    for name, t in (
        ("b", check_tensor("cholesky_solve", input)),
        ("u", check_tensor("cholesky_solve", input2, "input2", 2)),
    ):
        if t._array.ndim < 2:
            raise RuntimeError(
                f"{name} should have at least 2 dimensions, but has {t._array.ndim} dimensions instead"
            )
    _check_pair("cholesky_solve", input, input2)
    not_implemented("cholesky_solve_cpu", input2)
    b, factor = input._array, input2._array
    batch_of(factor, b)
    low = lapack.adjoint(factor) if upper else factor
    array = lapack.solve_triangular(low, b, upper=False)
    array = lapack.solve_triangular(lapack.adjoint(low), array, upper=True)
    if not recording(input, input2):
        return write_out(wrap(array), out)
    x = record(array, CholeskySolveBackward0, (input, input2), upper=bool(upper))
    x._node.keep((x,), input, input2)
    return write_out(x, out)


class CholeskyInverseBackward0(FactorNode):
    def backward(self, grad):
        inverse, factor = self.unpack_all()
        common = inverse @ ((grad + grad.mH) @ inverse)
        return -(factor @ common) if self.upper else -(common @ factor)


@op()
def cholesky_inverse(input, upper=False, *, out=None):
    """The inverse of matrices that are given by their Cholesky factors.

    Args:
        input: the factors L [..., n, n] of L L^H, or of L^H L if `upper`.
        upper: whether the factors are upper triangles.
        out: where to put the result.
    Raises:
        LinAlgError: a factor's diagonal holds a zero.

    >>> import rushlight as torch
    >>> torch.cholesky_inverse(torch.tensor([[2.0]]))
    tensor([[0.2500]])
    """
    not_implemented("cholesky_inverse_out_cpu", check_tensor("cholesky_inverse", input))
    factor = square("cholesky_inverse", input)
    zero = factor.diagonal(0, -2, -1) == 0
    if zero.any():
        raise failed("cholesky_inverse", np.where(zero.any(-1), zero.argmax(-1) + 1, 0), SINGULAR)
    low = lapack.adjoint(factor) if upper else factor
    inverse = lapack.solve_triangular(low, eye_by(factor, factor.shape[-1]), upper=False)
    array = lapack.adjoint(inverse) @ inverse
    if not recording(input):
        return write_out(wrap(array), out)
    result = record(array, CholeskyInverseBackward0, (input,), upper=bool(upper))
    result._node.keep((result,), input)
    return write_out(result, out)
