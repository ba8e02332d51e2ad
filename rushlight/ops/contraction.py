"""Products of tensors over chosen dimensions, of chains of matrices, and of vectors in space."""

import itertools
import math
import warnings

from rushlight.autograd.node import shown_as
from rushlight.ops.common import Tensor, check_tensor, not_implemented, promote, write_out
from rushlight.ops.linalg import matmul
from rushlight.ops.registry import numpy_names, op
from rushlight.tensor import check_dim


@op(method=False)
def tensordot(a, b, dims=2, out=None):
    """Sums of products over some dimensions of two tensors.

    Args:
        a, b: tensors.
        dims: the number of dimensions, a's last and b's first; or a pair of lists of dimensions.
        out: where to put the result.
    Returns:
        A tensor of a's other dimensions, then b's.
    Raises:
        RuntimeError: the sizes of the dimensions differ.

    >>> import rushlight as torch
    >>> torch.tensordot(torch.ones(2, 3), torch.ones(3, 4), dims=1).shape
    torch.Size([2, 4])
    """
    x, y = check_tensor("tensordot", a, "a")._array, check_tensor("tensordot", b, "b", 2)._array
    dims_a, dims_b = _contracted_dims(x.ndim, y.ndim, dims)
    if len(dims_a) != len(dims_b):
        raise RuntimeError("both dimension lists should have same length")
    dims_a, dims_b = [check_dim(d, x.ndim) for d in dims_a], [check_dim(d, y.ndim) for d in dims_b]
    for i, j in zip(dims_a, dims_b, strict=True):
        if x.shape[i] != y.shape[j] and 1 in (x.shape[i], y.shape[j]):  # the one is repeated
            a, b = (a.sum(i, True), b) if y.shape[j] == 1 else (a, b.sum(j, True))
            x, y = a._array, b._array
        if x.shape[i] != y.shape[j]:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {x.shape[i]} in dim {i} and "
                "second has size "
                f"{y.shape[j]} in dim {j}"
            )
    kept_a = [i for i in range(x.ndim) if i not in dims_a]
    kept_b = [i for i in range(y.ndim) if i not in dims_b]
    shape = [x.shape[i] for i in kept_a] + [y.shape[i] for i in kept_b]
    inner_size = math.prod(x.shape[i] for i in dims_a)
    rows, columns = math.prod(x.shape[i] for i in kept_a), math.prod(y.shape[i] for i in kept_b)
    left = a.permute(*kept_a, *dims_a).reshape(rows, inner_size)
    right = b.permute(*dims_b, *kept_b).reshape(inner_size, columns)
    return write_out(matmul(left, right).reshape(shape), out, exact=True)


def _contracted_dims(rank_a: int, rank_b: int, dims) -> tuple:
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, (tuple, list)):
        first, second = dims
        return [first] if isinstance(first, int) else list(first), [second] if isinstance(
            second, int
        ) else list(second)
    if dims < 0:
        raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
    if dims > min(rank_a, rank_b):
        raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
    return list(range(rank_a - dims, rank_a)), list(range(dims))


@op(method=False)
def chain_matmul(*matrices, out=None):
    """The product of several matrices, in the order that costs the fewest multiplications.

    >>> import rushlight as torch
    >>> torch.linalg.multi_dot([torch.ones(2, 3), torch.ones(3, 4), torch.ones(4, 1)]).shape
    torch.Size([2, 1])
    """
    if len(matrices) == 1 and isinstance(matrices[0], (tuple, list)):
        matrices = matrices[0]
    warnings.warn(
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use "
        "torch.linalg.multi_dot "
        "instead, which accepts a list of two or more tensors rather than multiple parameters.",
        stacklevel=2,
    )
    for t in matrices:
        if check_tensor("chain_matmul", t)._array.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {t._array.ndim}, expected 2 instead.")
    return write_out(matrices[0] if len(matrices) == 1 else _chain(list(matrices)), out)


def _chain(matrices: list) -> Tensor:
    """The product of matrices, split where it is cheapest.

    Source: Cormen et al., Introduction to Algorithms, 15.2.
    """
    sizes = [t._array.shape[0] for t in matrices] + [matrices[-1]._array.shape[1]]
    cost, split = {(i, i): 0 for i in range(len(matrices))}, {}
    for length in range(1, len(matrices)):
        for i in range(len(matrices) - length):
            j = i + length
            cost[i, j], split[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i: int, j: int) -> Tensor:
        if i == j:
            return matrices[i]
        k = split[i, j]
        return matmul(product(i, k), product(k + 1, j))

    return product(0, len(matrices) - 1)


@op(name="linalg_multi_dot", method=False)
def multi_dot(tensors, *, out=None):
    """The product of two or more matrices, in the order that costs the fewest multiplications.

    Args:
        tensors: matrices; the first and the last may be vectors.
        out: where to put the result.
    Raises:
        RuntimeError: there are fewer than two, or their shapes do not go together.

    >>> import rushlight as torch
    >>> torch.linalg.multi_dot([torch.ones(2, 3), torch.ones(3, 4), torch.ones(4, 1)]).shape
    torch.Size([2, 1])
    """
    if len(tensors) < 2:
        raise RuntimeError("multi_dot(): expected at least 2 tensors but got " + str(len(tensors)))
    first, *middle, last = tensors
    for which, t in (("first", first), ("last", last)):
        if check_tensor("linalg_multi_dot", t)._array.ndim not in (1, 2):
            raise RuntimeError(f"multi_dot(): the {which} tensor must be 1D or 2D but got {t._array.ndim}D")
    for i, t in enumerate(middle):
        if t._array.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i + 1} must be 2D but got {t._array.ndim}D")
    for i, t in enumerate(tensors):
        if t._array.dtype != first._array.dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor 0 is {first.dtype} and tensor {i} "
                f"{t.dtype}"
            )
    for i, (t, u) in enumerate(itertools.pairwise(tensors)):
        if t._array.shape[-1] != u._array.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(t.shape)} and {list(u.shape)} cannot be "
                "multiplied"
            )
    chain = [
        first.unsqueeze(0) if first.ndim == 1 else first,
        *middle,
        last.unsqueeze(1) if last.ndim == 1 else last,
    ]
    result = _chain(chain)
    if last.ndim == 1:
        result = result.squeeze(-1)
    return write_out(result.squeeze(0) if first.ndim == 1 else result, out, exact=True)


@op()
def kron(input, other, *, out=None):
    """Kronecker's product: each element of the first times the whole second.

    >>> import rushlight as torch
    >>> torch.kron(torch.tensor([1, 2]), torch.tensor([1, 10]))
    tensor([ 1, 10,  2, 20])
    """
    x, y = check_tensor("kron", input)._array, check_tensor("kron", other, "other", 2)._array
    rank = max(x.ndim, y.ndim)
    shape_x, shape_y = (1,) * (rank - x.ndim) + x.shape, (1,) * (rank - y.ndim) + y.shape
    left = input.reshape([s for n in shape_x for s in (n, 1)])
    right = other.reshape([s for n in shape_y for s in (1, n)])
    return write_out((left * right).reshape([m * n for m, n in zip(shape_x, shape_y, strict=True)]), out)


@op(name="linalg_cross", method=False)
@numpy_names
def linalg_cross(input, other, *, dim=-1, out=None):
    """The cross product of vectors of three elements along a dimension.

    Args:
        input, other: tensors with as many dimensions, which broadcast.
        dim: the dimension of size 3.
        out: where to put the result.
    Raises:
        RuntimeError: the dimension is not of size 3.

    >>> import rushlight as torch
    >>> torch.linalg.cross(torch.tensor([1, 0, 0]), torch.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    from rushlight.ops.joining import stack
    from rushlight.ops.parts import broadcast_tensors

    if input._array.ndim != other._array.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    axis = check_dim(dim, input._array.ndim)
    sizes = input._array.shape[axis], other._array.shape[axis]
    if sizes != (3, 3):
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {sizes[0]} and {sizes[1]}"
        )
    input, other = broadcast_tensors(*promote("cross", input, other))
    if input._array.dtype.kind == "b":
        raise not_implemented("cross", input)
    a, b = ([t.select(axis, i) for i in range(3)] for t in (input, other))
    parts = [a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)]
    return write_out(shown_as("LinalgCrossBackward0", stack(parts, axis)), out, exact=True)


@op()
@numpy_names
def cross(input, other, dim=None, *, out=None):
    """The cross product of vectors of three elements along a dimension.

    Args:
        input, other: tensors with as many dimensions, which broadcast.
        dim: the dimension of size 3; by default the first such one, with a warning.
        out: where to put the result.
    Raises:
        RuntimeError: the dimension is not of size 3.

    >>> import rushlight as torch
    >>> torch.cross(torch.tensor([1, 0, 0]), torch.tensor([0, 1, 0]), dim=0)
    tensor([0, 0, 1])
    """
    if dim is None:
        warnings.warn(
            "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the dim "
            "explicitly or "
            "simply use torch.linalg.cross.\nThe default value of dim will change to agree with that of "
            "linalg.cross in a "
            "future release.",
            stacklevel=2,
        )
        shape = input._array.shape
        dim = next((i for i, n in enumerate(shape) if n == 3), None)
        if dim is None:
            raise RuntimeError(f"no dimension of size 3 in input: cross got shape {list(shape)}")
    return linalg_cross(input, other, dim=dim, out=out)


@op()
def trace(input):
    """The sum of a matrix's diagonal.

    Raises:
        RuntimeError: it is no matrix.

    >>> import rushlight as torch
    >>> torch.trace(torch.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    if check_tensor("trace", input)._array.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._array.ndim}")
    return shown_as("TraceBackward0", input.diagonal().sum())


@op()
def inner(input, other, *, out=None):
    """The sums of products along both tensors' last dimensions.

    Args:
        input: a tensor [..., k].
        other: a tensor [..., k].
        out: where to put the result.
    Returns:
        A tensor of the leading dimensions of both.
    Raises:
        RuntimeError: the last dimensions differ.

    >>> import rushlight as torch
    >>> torch.inner(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor(11)
    """
    x, y = check_tensor("inner", input)._array, check_tensor("inner", other, "other", 2)._array
    if not x.ndim or not y.ndim:
        return write_out(input * other, out)
    if x.shape[-1] != y.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(x.shape)} and {list(y.shape)}"
        )
    return write_out(tensordot(input, other, ([-1], [-1])), out, exact=True)
