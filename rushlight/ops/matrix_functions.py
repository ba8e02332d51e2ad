"""Powers and exponentials of matrices, Vandermonde's matrices, diagonals, Householder's reflections."""

import numpy as np

from rushlight import return_types
from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import c_order, eye_by
from rushlight.ops import lapack
from rushlight.ops.common import MODE, Tensor, check_tensor, record, recording, wrap, write_out, write_outs
from rushlight.ops.matrices import (
    LAPACK_TYPES,
    check_square,
    matrices,
    not_implemented,
    wrong_type,
)
from rushlight.ops.registry import alias, op

# -- powers and exponentials ------------------------------------------------------------------------


@op()
def matrix_power(input, n, *, out=None):
    """A square matrix times itself, n times; the power of the inverse where n is negative.

    Args:
        input: a tensor [..., k, k].
        n: an integer.
        out: where to put the result.
    Raises:
        RuntimeError: the matrices are not square. LinAlgError: n is negative and one is singular.

    >>> import rushlight as torch
    >>> torch.matrix_power(torch.tensor([[1, 1], [0, 1]]), 3)
    tensor([[1, 3],
            [0, 1]])
    """
    from rushlight.ops.solve import inv

    array = check_tensor("linalg_matrix_power", input, "A")._array
    if not hasattr(n, "__index__"):
        raise TypeError(
            f"linalg_matrix_power(): argument 'n' (position 2) must be int, not {type(n).__name__}"
        )
    if array.ndim < 2:
        raise RuntimeError("linalg.matrix_power: The input tensor A must have at least 2 dimensions.")
    check_square("linalg.matrix_power", array)
    n = n.__index__()
    if n == 0:
        zero = input.masked_fill(wrap(np.ones((), bool)), 0)
        return write_out(zero + wrap(eye_by(array, array.shape[-1])), out)
    base = inv(input) if n < 0 else input
    n, result = abs(n), None
    if n == 1:
        return write_out(base.clone() if base is input else base, out)
    while n:
        if n & 1:
            result = base if result is None else result @ base
        n >>= 1
        if n:
            base = base @ base
    return write_out(result, out, exact=True)


@op(name="linalg_matrix_power", method=False)
def linalg_matrix_power(input, n, *, out=None):
    """A square matrix times itself, n times; the power of the inverse where n is negative.

    >>> import rushlight as torch
    >>> torch.linalg.matrix_power(torch.tensor([[1, 1], [0, 1]]), 3)
    tensor([[1, 3],
            [0, 1]])
    """
    return matrix_power(input, n, out=out)


class LinalgMatrixExpBackward0(Node):
    """The block of exp([[A^H, grad], [0, A^H]]) that grad comes to.

    Source: Mathias, A chain rule for matrix functions and applications, 1996.
    """

    def backward(self, grad):
        from rushlight.ops.joining import cat

        (a,) = self.unpack()
        adjoint, n = a.mH, a._array.shape[-1]
        zero = a.new_zeros(a.shape)
        block = cat((cat((adjoint, grad), -1), cat((zero, adjoint), -1)), -2)
        return linalg_matrix_exp(block)[..., :n, n:]


@op(name="linalg_matrix_exp", method=False)
def linalg_matrix_exp(input):
    """The exponential of square matrices: 1 + A + A^2 / 2 + A^3 / 6 + ...

    Args:
        input: A, a tensor [..., n, n].
    Raises:
        RuntimeError: the matrices are not square, or of integers.

    >>> import rushlight as torch
    >>> torch.linalg.matrix_exp(torch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    name = "linalg.matrix_exp"
    array = check_tensor("linalg_matrix_exp", input, "input")._array
    if array.dtype.kind in "iub":
        raise wrong_type(name, input)
    if array.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    check_square(name, array)
    if array.dtype not in LAPACK_TYPES:
        return linalg_matrix_exp(input.float()).to(input.dtype)
    result = lapack.matrix_exp(array)
    if not recording(input):
        return wrap(result)
    return record(result, LinalgMatrixExpBackward0, (input,), input)


alias("matrix_exp", linalg_matrix_exp)


@op(name="linalg_vander", method=False)
def vander(x, N=None):
    """Vandermonde's matrices: the powers 0, 1, ..., N - 1 of numbers.

    Args:
        x: a tensor [..., n].
        N: the number of powers; by default n.
    Returns:
        A tensor [..., n, N].
    Raises:
        RuntimeError: N is not above 1 or x holds truth values.

    >>> import rushlight as torch
    >>> torch.linalg.vander(torch.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [1, 2, 4],
            [1, 3, 9]])
    """
    array = check_tensor("linalg_vander", x, "x")._array
    if array.dtype.kind == "b":
        raise RuntimeError(
            "linalg.vander supports floating point, complex, and integer tensors, but got Bool"
        )
    if not array.ndim:
        x = x.unsqueeze(0)
        array = x._array
    if N is None:
        N = array.shape[-1]
    if N <= 1:
        raise RuntimeError("N must be greater than 1.")
    from rushlight.ops.joining import cat

    column = x.unsqueeze(-1)
    powers = column.expand(*array.shape, N - 1).cumprod(-1)  # integers become int64
    return cat((powers.new_ones(column.shape), powers), -1)


@op(name="vander", method=False)
def decreasing_vander(x, N=None, increasing=False):
    """Vandermonde's matrix of a vector: its powers N - 1, ..., 1, 0, or in increasing order.

    Args:
        x: a vector [n].
        N: the number of powers; by default n.
        increasing: the power 0 first.
    Raises:
        RuntimeError: x is no vector, or N is negative.

    >>> import rushlight as torch
    >>> torch.vander(torch.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    if check_tensor("vander", x, "x").ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    x = x.long() if x._array.dtype.kind in "iub" else x
    powers = vander(x, count) if count > 1 else x.new_ones((x.shape[0], count))
    return powers if increasing else powers.flip(1)


@op(name="linalg_diagonal", method=False)
def linalg_diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """The diagonals of matrices, as a view.

    Args:
        A: a tensor of at least two dimensions.
        offset: how far above (or, negative, below) the main diagonal.
        dim1, dim2: the dimensions of the matrices.

    >>> import rushlight as torch
    >>> torch.linalg.diagonal(torch.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return check_tensor("linalg_diagonal", A, "A").diagonal(offset, dim1, dim2)


# -- Householder's reflections ----------------------------------------------------------------------


def _reflected(vectors: Tensor, tau: Tensor, x: Tensor, left: bool, adjoint: bool) -> Tensor:
    """Q x (or Q^H x, x Q, x Q^H), where Q is the product of reflections 1 - tau v v^H.

    With V the vectors in columns and D their tau, Q = 1 - V T V^H, T = (1 + D triu(V^H V, 1))^-1 D: products and one
    triangular system in place of one reflection after another.

    Source: Schreiber and Van Loan, A storage-efficient WY representation for products of Householder transformations,
    1989; Joffrain et al., Accumulating Householder transformations, revisited, 2006.
    """
    from rushlight.ops.triangular import linalg_solve_triangular

    m, k = vectors._array.shape[-2], tau._array.shape[-1]
    one = wrap(eye_by(vectors._array, m, k))
    v = vectors.narrow(-1, 0, k).tril(-1) + one
    mixed = tau.unsqueeze(-1) * (v.mH @ v).triu(1) + one[:k]
    t = linalg_solve_triangular(mixed, tau.diag_embed(), upper=True, unitriangular=True)
    t = t.mH if adjoint else t
    return x - v @ (t @ (v.mH @ x)) if left else x - ((x @ v) @ t) @ v.mH


class _ReflectionNode(Node):
    """Its gradient is that of `_reflected`, computed anew."""

    def backward(self, grad):
        from rushlight.autograd import enable_grad
        from rushlight.autograd import grad as gradient

        inputs, again = self.unpack(), MODE.enabled
        with enable_grad():
            if not again:
                inputs = [
                    t.detach().requires_grad_(e is not None) for t, e in zip(inputs, self.edges, strict=True)
                ]
            wanted = [i for i, e in enumerate(self.edges) if e is not None]
            found = gradient(self.function(*inputs), [inputs[i] for i in wanted], grad, create_graph=again)
        results = dict(zip(wanted, found, strict=True))
        return tuple(results.get(i) for i in range(len(inputs)))


class LinalgHouseholderProductBackward0(_ReflectionNode):
    pass


class OrmqrBackward0(_ReflectionNode):
    pass


def _apply(function, node_type, inputs, out, exact=True) -> Tensor:
    """A function of tensors, recorded as one node."""
    array = function(*[t.detach() for t in inputs])._array
    if not recording(*inputs):
        return write_out(wrap(array), out, exact=exact)
    return write_out(record(array, node_type, inputs, *inputs, function=function), out, exact=exact)


def _householder(name: str, a, tau, out) -> Tensor:
    x, t = check_tensor(name, a)._array, check_tensor(name, tau, "tau", 2)._array
    name = "torch.linalg.householder_product"
    if x.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    m, n = x.shape[-2:]
    if m < n:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if n < t.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    if x.ndim - t.ndim != 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal to {t.ndim} and "
            f"input.ndim is equal to {x.ndim}"
        )
    if t.shape[:-1] != x.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got {list(t.shape[:-1])}"
        )
    if x.dtype != t.dtype:
        raise RuntimeError(
            f"{name}: tau dtype {SCALAR_NAMES[tau.dtype]} does not match input dtype {SCALAR_NAMES[a.dtype]}"
        )
    not_implemented("orgqr_cpu", a)
    one = wrap(eye_by(x, m, n))
    return _apply(
        lambda v, t: _reflected(v, t, one, True, False),
        LinalgHouseholderProductBackward0,
        (a, tau),
        out,
        exact=False,
    )


@op(name="linalg_householder_product", method=False)
def householder_product(input, tau, *, out=None):
    """The first columns of a product of Householder's reflections, such as the Q of `torch.geqrf`.

    Args:
        input: A, the reflections' vectors below the diagonal of a tensor [..., m, n], m >= n.
        tau: their factors [..., k], k <= n.
        out: where to put the result.
    Returns:
        A tensor [..., m, n].
    Raises:
        RuntimeError: the shapes do not go together.

    >>> import rushlight as torch
    >>> torch.linalg.householder_product(torch.tensor([[0.0], [0.0]]), torch.tensor([2.0]))
    tensor([[-1.],
            [ 0.]])
    """
    return _householder("linalg_householder_product", input, tau, out)


@op()
def orgqr(input, input2, *, out=None):
    """The first columns of a product of Householder's reflections: `torch.linalg.householder_product`.

    >>> import rushlight as torch
    >>> torch.orgqr(torch.tensor([[0.0], [0.0]]), torch.tensor([2.0]))
    tensor([[-1.],
            [ 0.]])
    """
    return _householder("orgqr", input, input2, out)


@op()
def ormqr(input, input2, input3, left=True, transpose=False, *, out=None):
    """A matrix times a product Q of Householder's reflections.

    Args:
        input: the reflections' vectors below the diagonal of a tensor [..., q, k].
        input2: their factors, tau [..., k].
        input3: the matrix [..., m, n].
        left: Q times the matrix, q = m; else the matrix times Q, q = n.
        transpose: take the conjugate transpose of Q.
        out: where to put the result.
    Raises:
        RuntimeError: the shapes do not go together.

    >>> import rushlight as torch
    >>> torch.ormqr(torch.tensor([[0.0], [0.0]]), torch.tensor([2.0]), torch.ones(2, 1))
    tensor([[-1.],
            [ 1.]])
    """
    a, t, x = (
        check_tensor("ormqr", v, n, i)._array
        for i, (v, n) in enumerate([(input, "input"), (input2, "input2"), (input3, "input3")], 1)
    )
    name, dim = "torch.ormqr", -2 if left else -1
    if a.ndim < 2 or x.ndim < 2:
        raise RuntimeError(f"{name}: {'input' if a.ndim < 2 else 'other'} must have at least 2 dimensions.")
    if x.shape[dim] < t.shape[-1]:
        raise RuntimeError(f"{name}: other.shape[{dim}] must be greater than or equal to tau.shape[-1]")
    if x.shape[dim] != a.shape[-2]:
        raise RuntimeError(f"{name}: other.shape[{dim}] must be equal to input.shape[-2]")
    if t.shape[-1] != min(x.shape[dim], a.shape[-1]):
        raise RuntimeError(f"{name}: tau.shape[-1] must be equal to min(other.shape[{dim}], input.shape[-1])")
    if a.ndim - t.ndim != 1 or a.ndim != x.ndim:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input and other as many, but got tau.ndim equal to "
            f"{t.ndim}, other.ndim {x.ndim} and input.ndim {a.ndim}"
        )
    if t.shape[:-1] != a.shape[:-2] or x.shape[:-2] != a.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau and other to be equal to input.shape[:-2]"
        )
    if not a.dtype == t.dtype == x.dtype:
        raise RuntimeError(
            f"{name}: Expected input, tau and other to have the same dtype, but got {input.dtype}, {input2.dtype} and "
            f"{input3.dtype}"
        )
    not_implemented("ormqr_cpu", input)
    left, transpose = bool(left), bool(transpose)
    return _apply(
        lambda v, t, x: _reflected(v, t, x, left, transpose), OrmqrBackward0, (input, input2, input3), out
    )


@op()
def geqrf(input, *, out=None):
    """The QR decomposition as LAPACK gives it: R in the upper triangle, Householder's reflections below.

    Args:
        input: a tensor [..., m, n].
        out: two tensors for the result.
    Returns:
        (a [..., m, n], tau [..., min(m, n)]).

    >>> import rushlight as torch
    >>> torch.geqrf(torch.tensor([[3.0], [4.0]])).a
    tensor([[-5.0000],
            [ 0.5000]])
    """
    if check_tensor("geqrf", input)._array.ndim < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    not_implemented("geqrf_cpu", input)
    array = matrices("geqrf", input)
    if recording(input):
        raise NotImplementedError("the derivative for 'geqrf' is not implemented; use torch.linalg.qr")
    a, tau = np.linalg.qr(array, "raw")
    results = c_order(a.swapaxes(-1, -2)), tau
    return write_outs(
        tuple(wrap(r.astype(array.dtype, copy=False)) for r in results), out, return_types.geqrf, exact=False
    )
