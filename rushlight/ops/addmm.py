"""Products of matrices added to something: addmm and its relatives."""

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.ops.common import Tensor, check_tensor, conj, or_sparse, record, sum_to, wrap, write_out
from rushlight.ops.deprecated import also_in_old_order
from rushlight.ops.linalg import (
    check_batches,
    check_product,
    check_vector,
    expandable,
    matmul,
    mv,
    outer,
    type_name,
    types_differ,
)
from rushlight.ops.registry import op
from rushlight.tensor import check_dim, recording


class AddedProductNode(Node):
    """beta * input + alpha * (x @ y), the product summed over a leading dimension that is one too many."""

    def backward(self, grad):
        x, y = self.unpack()
        to_input, to_x, to_y = self.edges
        alpha, beta = (v.conjugate() if isinstance(v, complex) else v for v in (self.alpha, self.beta))
        scaled = grad if alpha == 1 else grad * alpha
        if x._array.ndim > grad._array.ndim:
            scaled = scaled.expand(x._array.shape[0], *scaled._array.shape)
        return (
            None if to_input is None else sum_to(grad if beta == 1 else grad * beta, self.shape),
            None if to_x is None else matmul(scaled, conj(y.mT)),
            None if to_y is None else matmul(conj(x.mT), scaled),
        )


class AddmmBackward0(AddedProductNode):
    pass


class AddbmmBackward0(AddedProductNode):
    pass


class BaddbmmBackward0(AddedProductNode):
    pass


def _added(node_type, input: Tensor, x: Tensor, y: Tensor, beta, alpha, out, summed=False) -> Tensor:
    if input._array.dtype != y._array.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {type_name(input)} and {type_name(y)}"
        )
    if x._array.dtype != y._array.dtype:
        raise types_differ(x, y)
    array = K.matmul(x._array, y._array)
    if summed:
        array = K.sum(array, (0,), False).astype(array.dtype, copy=False)
    if input._array.dtype.kind in "iu":
        beta, alpha = int(beta), int(alpha)
    if alpha != 1:
        array = K.mul(array, alpha).astype(array.dtype, copy=False)
    shape = array.shape
    if beta != 0:  # where it is 0, not even a nan of the input counts
        addend = expandable(input._array, shape)
        array = K.add(array, addend if beta == 1 else K.mul(addend, beta).astype(array.dtype, copy=False))
    else:
        expandable(input._array, shape)
    if recording(input, x, y):
        fields = {"shape": input._array.shape, "beta": beta, "alpha": alpha}
        return write_out(record(array, node_type, (input, x, y), x, y, **fields), out, exact=True)
    return write_out(wrap(array), out, exact=True)


@op(inplace=True)
@also_in_old_order(3, "beta", "alpha")
@or_sparse
def addmm(input, mat1, mat2, *, beta=1, alpha=1, out=None):
    """beta * input + alpha * (mat1 @ mat2).

    Args:
        input: a tensor that broadcasts to [n, m].
        mat1: a tensor [n, k].
        mat2: a tensor [k, m].
        beta, alpha: numbers.
        out: where to put the result.
    Raises:
        RuntimeError: the shapes do not go together, or the types differ.

    >>> import rushlight as torch
    >>> torch.addmm(torch.tensor([1, 1]), torch.tensor([[1, 2]]), torch.tensor([[1, 0], [0, 1]]))
    tensor([[2, 3]])
    """
    for name, t in (
        ("mat1", check_tensor("addmm", mat1, "mat1", 2)),
        ("mat2", check_tensor("addmm", mat2, "mat2", 3)),
    ):
        if t._array.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, got {t._array.ndim}-D tensor")
    if mat1._array.dtype == mat2._array.dtype or mat1._array.shape[1] != mat2._array.shape[0]:
        check_product(mat1._array, mat2._array, mat1, mat2)
    return _added(AddmmBackward0, check_tensor("addmm", input), mat1, mat2, beta, alpha, out)


@op(inplace=True)
@also_in_old_order(3, "beta", "alpha")
def baddbmm(input, batch1, batch2, *, beta=1, alpha=1, out=None):
    """beta * input + alpha * (batch1 @ batch2), for stacks of matrices.

    Args:
        input: a tensor that broadcasts to [b, n, m].
        batch1: a tensor [b, n, k].
        batch2: a tensor [b, k, m].
        beta, alpha: numbers.
        out: where to put the result.
    Raises:
        RuntimeError: the shapes do not go together, or the types differ.

    >>> import rushlight as torch
    >>> torch.baddbmm(torch.ones(1), torch.ones(2, 1, 3), torch.ones(2, 3, 1)).flatten()
    tensor([4., 4.])
    """
    _check_three("baddbmm", batch1, batch2)
    return _added(BaddbmmBackward0, check_tensor("baddbmm", input), batch1, batch2, beta, alpha, out)


@op(inplace=True)
@also_in_old_order(3, "beta", "alpha")
def addbmm(input, batch1, batch2, *, beta=1, alpha=1, out=None):
    """beta * input + alpha * the sum over the stack of batch1 @ batch2.

    Args:
        input: a tensor that broadcasts to [n, m].
        batch1: a tensor [b, n, k].
        batch2: a tensor [b, k, m].
        beta, alpha: numbers.
        out: where to put the result.
    Raises:
        RuntimeError: the shapes do not go together, or the types differ.

    >>> import rushlight as torch
    >>> torch.addbmm(torch.ones(1), torch.ones(2, 1, 3), torch.ones(2, 3, 1))
    tensor([[7.]])
    """
    _check_three("addbmm", batch1, batch2)
    return _added(
        AddbmmBackward0, check_tensor("addbmm", input), batch1, batch2, beta, alpha, out, summed=True
    )


def _check_three(name: str, batch1, batch2) -> None:
    x = check_tensor(name, batch1, "batch1", 2)._array
    y = check_tensor(name, batch2, "batch2", 3)._array
    for a in (x, y):
        check_dim(2, a.ndim)
    check_batches(name, x, y)


@op(inplace=True)
@also_in_old_order(3, "beta", "alpha")
def addmv(input, mat, vec, *, beta=1, alpha=1, out=None):
    """beta * input + alpha * (mat @ vec).

    Args:
        input: a tensor that broadcasts to [n].
        mat: a tensor [n, k].
        vec: a tensor [k].
        beta, alpha: numbers.
        out: where to put the result.
    Raises:
        RuntimeError: the shapes do not go together, or the types differ.

    >>> import rushlight as torch
    >>> torch.addmv(torch.tensor([1, 1]), torch.tensor([[1, 2], [3, 4]]), torch.tensor([1, 1]))
    tensor([4, 8])
    """
    x, v = check_tensor("addmv", mat, "mat", 2)._array, check_tensor("addmv", vec, "vec", 3)._array
    a = check_tensor("addmv", input)._array
    if x.ndim != 2 or v.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {a.ndim}, {x.ndim}, {v.ndim}")
    if x.shape[1] != v.shape[0] or a.size not in (1, x.shape[0]):
        raise RuntimeError(
            f"size mismatch, got input ({a.size}), mat ({x.shape[0]}x{x.shape[1]}), vec ({v.shape[0]})"
        )
    return write_out(_weighted(input, beta, mv(mat, vec), alpha), out, exact=True)


def _weighted(input: Tensor, beta, product: Tensor, alpha) -> Tensor:
    """beta * input + alpha * product, of the product's shape."""
    if product._array.dtype.kind in "iu":
        beta, alpha = int(beta), int(alpha)
    product = product if alpha == 1 else product * alpha
    expandable(input._array, product._array.shape)
    return product if beta == 0 else product + (input if beta == 1 else input * beta)


@op(inplace=True)
@also_in_old_order(3, "beta", "alpha")
def addr(input, vec1, vec2, *, beta=1, alpha=1, out=None):
    """beta * input + alpha * the outer product of two vectors.

    Args:
        input: a tensor that broadcasts to [n, m].
        vec1: a tensor [n].
        vec2: a tensor [m].
        beta, alpha: numbers.
        out: where to put the result.
    Raises:
        RuntimeError: they are no vectors, or the shapes do not go together.

    >>> import rushlight as torch
    >>> torch.addr(torch.tensor([[1, 1]]), torch.tensor([2]), torch.tensor([3, 4]))
    tensor([[7, 9]])
    """
    check_vector("addr", "vec1", check_tensor("addr", vec1, "vec1", 2))
    check_vector("addr", "vec2", check_tensor("addr", vec2, "vec2", 3))
    if {t._array.dtype.kind for t in (check_tensor("addr", input), vec1, vec2)} == {"b"}:
        product = outer(vec1, vec2) & bool(alpha)
        return write_out((input & bool(beta)) | product if beta else product.expand_as(input | product), out)
    return write_out(_weighted(check_tensor("addr", input), beta, outer(vec1, vec2), alpha), out)
