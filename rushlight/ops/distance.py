"""Norms, distances and angles."""

import math

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import shown_as
from rushlight.dtypes import SCALAR_NAMES
from rushlight.ops.common import (
    MODE,
    Tensor,
    as_type,
    broadcast_error,
    check_tensor,
    or_sparse,
    result_type,
    wrap,
    write_out,
)
from rushlight.ops.convert import cast
from rushlight.ops.reduction import ReductionNode, axes_of, count_of, reduced
from rushlight.ops.registry import numpy_names, op
from rushlight.tensor import check_dim

# -- norms of vectors -------------------------------------------------------------------------------


class LinalgVectorNormBackward0(ReductionNode):
    def backward(self, grad):
        y, x = self.unpack_with_output()
        y, grad = self.restore(y), self.restore(grad)
        return norm_slope(x, y, grad, self.order, self.axes)


def norm_slope(x: Tensor, y: Tensor, grad: Tensor, order: float, axes) -> Tensor:
    """The gradient of x from that of its norm y of this order, both with the reduced dimensions kept."""
    if order == 0:
        return x.new_zeros(x.shape)
    if order == 1:
        return x.sgn() * grad
    if order == 2:
        if MODE.enabled:  # as PyTorch: the second derivative at 0 is NaN
            return (x * (grad / y)).masked_fill(y == 0, 0)
        return x * (grad / y).masked_fill(y == 0, 0)
    if math.isinf(order):
        size = x.abs()
        hits = (size == y) | size.isnan() & y.isnan()
        every = tuple(range(x._array.ndim)) if axes is None else axes
        return x.sgn() * hits * (grad / hits.sum(every, True))
    if order < 1:
        power = x.sgn() * x.abs().pow(order - 1).masked_fill(x == 0, 0)
    elif order < 2:
        power = x.sgn() * x.abs().pow(order - 1)
    else:
        power = x * x.abs().pow(order - 2)
    return power * (grad / y.pow(order - 1)).masked_fill(y == 0, 0)


def _norm_array(x: np.ndarray, order: float, axes, keepdim: bool) -> np.ndarray:
    if x.dtype.itemsize == 2:  # squares soon exceed the range of float16
        return _norm_array(x.astype(np.float32), order, axes, keepdim).astype(x.dtype)
    if order == 2 and x.dtype.kind == "f":
        return K.norm(x, axes, keepdim)
    size = K.abs(x)
    if order == 2:
        return K.sqrt(K.sum(K.mul(size, size), axes, keepdim))
    if order == 1:
        return K.sum(size, axes, keepdim)
    if order == 0:
        return K.sum((size != 0).astype(size.dtype), axes, keepdim)
    if math.isinf(order):
        return (K.amax if order > 0 else K.amin)(size, axes, keepdim)
    power = K.sum(K.pow(size, np.asanyarray(order, size.dtype)), axes, keepdim)
    return K.pow(power, np.asanyarray(1 / order, size.dtype))


@op(name="linalg_vector_norm", method=False)
@numpy_names
def vector_norm(input, ord=2, dim=None, keepdim=False, *, dtype=None, out=None):
    """The norm of vectors: (the sum of |x|^ord)^(1/ord).

    Args:
        input: x, a tensor of floating-point or complex numbers.
        ord: the order, any number; infinity for the largest |x|, 0 for the count of non-zero elements.
        dim: a dimension or several, taken as one vector; None for all.
        keepdim: keep the reduced dimensions, with size 1.
        dtype: convert to this type first.
        out: where to put the result.
    Raises:
        RuntimeError: the numbers are integers.

    >>> import rushlight as torch
    >>> torch.linalg.vector_norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = check_tensor("linalg_vector_norm", input, "self")
    if x._array.dtype.kind in "iub":
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{SCALAR_NAMES[x.dtype]}. "
            "Convert it first: x.float()"
        )
    x = x if dtype is None else cast(x, dtype)
    array, order = x._array, float(ord)
    axes = axes_of(dim, array.ndim)
    if (order < 0 or math.isinf(order)) and not count_of(array.shape, axes):
        what = (
            "an empty tensor" if axes is None else f"the dimension {axes[0]} because this dimension is empty"
        )
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on {what} because the operation does not "
            "have an identity"
        )
    result = reduced(_norm_array(array, order, axes, keepdim), LinalgVectorNormBackward0, x, axes, keepdim)
    if result._node is not None:
        result._node.save_output(result, x)
        result._node.order = order
    return write_out(result, out, exact=True)


def norms_of(tensors: list[Tensor], order: float) -> list[Tensor]:
    """The norm of each of several tensors, where no gradients are wanted."""
    if order == 2 and all(type(t) is Tensor and t._array.dtype == np.float32 for t in tensors):
        return [wrap(K.norm(t._array, None, False)) for t in tensors]
    return [vector_norm(t, order) for t in tensors]


# -- norms of matrices ------------------------------------------------------------------------------


@op(name="linalg_matrix_norm", method=False)
@numpy_names
def matrix_norm(input, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None, out=None):
    """The norm of matrices.

    Args:
        input: A, a tensor [..., n, m] of floating-point or complex numbers.
        ord: "fro" for Frobenius's, 1 or -1 for the largest or smallest sum of a column, inf or -inf for that
            of a row, 2 or -2 for the largest or smallest singular value, "nuc" for their sum.
        dim: the two dimensions of the matrices.
        keepdim: keep them, with size 1.
        dtype: convert to this type first.
        out: where to put the result.
    Raises:
        RuntimeError: there are fewer than two dimensions, or the order is unknown.

    >>> import rushlight as torch
    >>> torch.linalg.matrix_norm(torch.ones(2, 2))
    tensor(2.)
    """
    if check_tensor("linalg_matrix_norm", input, "input")._array.ndim < 2:
        raise RuntimeError("linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    if isinstance(dim, int) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    rows, columns = (check_dim(d, input._array.ndim) for d in dim)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    if input._array.dtype.kind in "iub":
        raise RuntimeError(
            f"linalg.matrix_norm: Expected a floating point or complex tensor as input. Got {SCALAR_NAMES[input.dtype]}. "
            "Convert it first: A.float()"
        )
    if ord == "fro":
        return vector_norm(input, 2, (rows, columns), keepdim, dtype=dtype, out=out)
    if ord in ("nuc", 2, -2):
        return write_out(
            _spectral_norm(input if dtype is None else cast(input, dtype), ord, rows, columns, keepdim),
            out,
            exact=True,
        )
    if isinstance(ord, str) or abs(ord) not in (1, math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if abs(ord) == math.inf:
        rows, columns = columns, rows
    sums = vector_norm(input, 1, rows, True, dtype=dtype)
    result = _largest(sums, columns, True) if ord > 0 else sums.amin(columns, True)
    if not keepdim:
        result = result.squeeze((rows, columns))
    return write_out(result, out, exact=True)


def _largest(sizes: Tensor, dim: int, keepdim: bool) -> Tensor:
    """The largest of sizes, 0 where there are none."""
    return sizes.amax(dim, keepdim) if sizes._array.shape[dim] else sizes.sum(dim, keepdim)


def _spectral_norm(A: Tensor, ord, rows: int, columns: int, keepdim: bool) -> Tensor:
    """A norm of singular values."""
    from rushlight.ops.decompositions import svdvals

    values = svdvals(A.movedim((rows, columns), (-2, -1)))
    if ord == "nuc":
        result = values.sum(-1)
    else:
        result = _largest(values, -1, False) if ord > 0 else values.amin(-1)
    if keepdim:
        for d in sorted((rows, columns)):
            result = result.unsqueeze(d)
    return result


@op(name="linalg_norm", method=False)
@numpy_names
def linalg_norm(input, ord=None, dim=None, keepdim=False, *, out=None, dtype=None):
    """The norm of vectors or matrices, as the number of dimensions says.

    Args:
        input: A, a tensor of floating-point or complex numbers.
        ord: the order; None for 2 (of all elements as one vector where `dim` is None).
        dim: a dimension for vectors, two for matrices; None for all of one or two dimensions.
        keepdim: keep the reduced dimensions, with size 1.
        out: where to put the result.
        dtype: convert to this type first.
    Raises:
        RuntimeError: the numbers of dimensions and the order do not go together.

    >>> import rushlight as torch
    >>> torch.linalg.norm(torch.tensor([[3.0, 4.0]]))
    tensor(5.)
    """
    rank = check_tensor("linalg_norm", input, "input")._array.ndim
    if dim is not None:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        if len(dims) not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}"
            )
    elif ord is not None:
        if rank not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {rank}D."
            )
        dims = tuple(range(rank))
    else:
        return vector_norm(input, 2, None, keepdim, dtype=dtype, out=out)
    if ord is not None and (len(dims) == 2 or isinstance(ord, str)):
        return matrix_norm(input, ord, dims, keepdim, dtype=dtype, out=out)
    return vector_norm(input, 2 if ord is None else ord, dims, keepdim, dtype=dtype, out=out)


@op()
@or_sparse
def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    """The norm of all elements, or of those along some dimensions, as one vector.

    Args:
        input: a tensor of floating-point or complex numbers.
        p: the order, any number; "fro" is 2; "nuc" is the sum of the singular values of matrices.
        dim: a dimension or several; None for all.
        keepdim: keep the reduced dimensions, with size 1.
        out: where to put the result.
        dtype: convert to this type first.
    Raises:
        RuntimeError: the numbers are integers, or the order is unknown.

    >>> import rushlight as torch
    >>> torch.norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if p == "nuc":
        dim = tuple(range(input.ndim)) if dim is None else (dim,) if isinstance(dim, int) else dim
        return matrix_norm(input, "nuc", dim, keepdim, dtype=dtype, out=out)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")
    return vector_norm(input, 2 if p is None or p == "fro" else p, dim, keepdim, dtype=dtype, out=out)


@op(method=False)
def nuclear_norm(input, dim=None, keepdim=False, *, out=None):
    """The sum of the singular values of matrices.

    Args:
        input: a tensor of at least two dimensions.
        dim: the two dimensions of the matrices; the last two by default.
        keepdim: keep them, with size 1.
        out: where to put the result.

    >>> import rushlight as torch
    >>> torch.nuclear_norm(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(7.)
    """
    return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, out=out)


@op(method=False)
def frobenius_norm(input, dim=(), keepdim=False, *, out=None):
    """The root of the sum of squares, of all elements or of those along one or two dimensions.

    Args:
        input: a tensor of floating-point or complex numbers.
        dim: up to two dimensions; none for all.
        keepdim: keep them, with size 1.
        out: where to put the result.
    Raises:
        RuntimeError: there are more than two dimensions.

    >>> import rushlight as torch
    >>> torch.frobenius_norm(torch.tensor([[3.0, 4.0]]), (0, 1))
    tensor(5.)
    """
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(dims) > 2:
        raise RuntimeError(f"Expected at most 2 dimensions, but got {len(dims)} dimensions instead.")
    return vector_norm(input, 2, dims or None, keepdim, out=out)


# -- distances --------------------------------------------------------------------------------------


@op()
def dist(input, other, p=2):
    """The norm of the difference.

    Args:
        input, other: tensors that broadcast.
        p: the order of the norm.

    >>> import rushlight as torch
    >>> torch.dist(torch.tensor([3.0, 4.0]), torch.zeros(2))
    tensor(5.)
    """
    return shown_as("DistBackward0", vector_norm(input - check_tensor("dist", other, "other", 2), p))


@op(method=False)
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The distances of vectors along the last dimension: the norms of x1 - x2 + eps.

    Args:
        x1, x2: tensors [..., d] that broadcast.
        p: the order of the norm.
        eps: added to the differences.
        keepdim: keep the last dimension, with size 1.

    >>> import rushlight as torch
    >>> torch.nn.functional.pairwise_distance(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2), eps=0)
    tensor([5.])
    """
    return shown_as("NormBackward1", vector_norm(x1 - x2 + eps, p, -1, keepdim))


@op(method=False)
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between vectors.

    Args:
        x1, x2: tensors that broadcast.
        dim: the dimension of the vectors.
        eps: the least length that they are divided by.
    Raises:
        RuntimeError: the numbers are integers.

    >>> import rushlight as torch
    >>> torch.cosine_similarity(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    from rushlight.ops.parts import broadcast_tensors

    common = result_type(
        check_tensor("cosine_similarity", x1, "x1"), check_tensor("cosine_similarity", x2, "x2", 2)
    )
    try:
        x1, x2 = broadcast_tensors(x1, x2)
    except RuntimeError:
        raise broadcast_error("cosine_similarity", x1._array.shape, x2._array.shape) from None
    if not (common.is_floating_point or common.is_complex):
        raise RuntimeError(
            f"expected common dtype to be floating point, yet common dtype is {SCALAR_NAMES[common]}"
        )
    x1, x2 = as_type(x1, common), as_type(x2, common)
    sizes = []
    for x in (x1, x2):
        size = vector_norm(x, 2, dim, True)
        # The least length bounds the value without stopping the gradient.
        sizes.append(_bounded(size, eps))
    return ((x1 / sizes[0]) * (x2 / sizes[1])).sum(dim)


def _bounded(size: Tensor, least: float) -> Tensor:
    from rushlight.autograd.grad_mode import no_grad

    size = size.clone()
    with no_grad():
        size.clamp_min_(least)
    return size


@op(method=False)
def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """Vectors divided by their norms.

    Args:
        input: a tensor of floating-point or complex numbers.
        p: the order of the norm.
        dim: the dimension or dimensions of the vectors.
        eps: the least norm that they are divided by.
        out: where to put the result.

    >>> import rushlight as torch
    >>> torch.nn.functional.normalize(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return write_out(input / vector_norm(input, p, dim, True).clamp_min(eps).expand_as(input), out)


@op(method=False)
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The distances of all pairs of vectors from two sets.

    Args:
        x1: a tensor [..., n, d].
        x2: a tensor [..., m, d]; leading dimensions broadcast.
        p: the order of the norm, not negative.
        compute_mode: accepted, without effect: distances are computed from differences.
    Returns:
        A tensor [..., n, m].
    Raises:
        RuntimeError: the shapes do not go together.

    >>> import rushlight as torch
    >>> torch.cdist(torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    for number, t in ((1, x1), (2, x2)):
        if check_tensor("cdist", t, f"x{number}", number)._array.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, X{number} got: {t._array.ndim}D")
    if x1._array.shape[-1] != x2._array.shape[-1]:
        raise RuntimeError(
            "X1 and X2 must have the same number of columns. X1: "
            f"{x1._array.shape[-1]} X2: {x2._array.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    return shown_as("CdistBackward0", vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1))


@op(method=False)
def pdist(input, p=2.0):
    """The distances of all pairs of rows.

    Args:
        input: a tensor [n, d].
        p: the order of the norm, not negative.
    Returns:
        A tensor [n * (n - 1) / 2]: row 0 with 1, 2, ..., then row 1 with 2, ...
    Raises:
        RuntimeError: it is no matrix.

    >>> import rushlight as torch
    >>> torch.pdist(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    tensor([5.])
    """
    if check_tensor("pdist", input)._array.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input._array.ndim}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = (wrap(i) for i in np.triu_indices(input._array.shape[0], 1))
    differences = input.index_select(0, first) - input.index_select(0, second)
    return shown_as("PdistBackward0", vector_norm(differences, p, -1))


@op(name="linalg_vecdot", method=False)
@numpy_names
def vecdot(x, y, *, dim=-1, out=None):
    """The dot products of vectors along a dimension, the first one conjugated.

    Args:
        x, y: tensors of floating-point or complex numbers that broadcast.
        dim: the dimension of the vectors.
        out: where to put the result.
    Raises:
        RuntimeError: the types are others or differ, or the shapes do not broadcast together.

    >>> import rushlight as torch
    >>> torch.linalg.vecdot(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([11.])
    """
    name = "linalg.vecdot"
    if check_tensor("linalg_vecdot", x, "x")._array.dtype.kind in "iub":
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {SCALAR_NAMES[x.dtype]}. Convert it "
            "first: x.float()"
        )
    if x._array.dtype != check_tensor("linalg_vecdot", y, "y", 2)._array.dtype:
        raise RuntimeError(
            f"{name}: Expected x and y to have the same dtype, but found x of type {SCALAR_NAMES[x.dtype]} and y of type "
            f"{SCALAR_NAMES[y.dtype]} instead"
        )
    return write_out((x.conj() * y if x.is_complex() else x * y).sum(dim), out, exact=True)


@op(inplace=True)
@numpy_names
def renorm(input, p, dim, maxnorm, *, out=None):
    """A tensor whose slices along a dimension are scaled down where their p-norm exceeds `maxnorm`.

    >>> import rushlight as torch
    >>> torch.renorm(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), p=2, dim=0, maxnorm=1)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if check_tensor("renorm", input).ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    axis = check_dim(dim, input.ndim)
    others = [d for d in range(input.ndim) if d != axis]
    norms = vector_norm(input, p, others, keepdim=True)
    scale = (maxnorm / (norms + 1e-7)).where(norms > maxnorm, norms.new_ones(()))
    return write_out(shown_as("RenormBackward0", input * scale), out, exact=True)
