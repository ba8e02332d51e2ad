"""Products of matrices and vectors, and linear layers."""

import math
import warnings

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node, connect
from rushlight.dtypes import SCALAR_NAMES
from rushlight.ops.common import (
    MODE,
    Tensor,
    check_tensor,
    conj,
    promote,
    record,
    sum_to,
    wrap,
    write_out,
)
from rushlight.ops.registry import alias, op
from rushlight.tensor import check_dim, recording

_C_NAMES = {
    "Float": "float", "Double": "double", "Half": "c10::Half", "BFloat16": "c10::BFloat16", "Long": "int64_t",
    "Int": "int", "Short": "int16_t", "Char": "signed char", "Byte": "unsigned char", "Bool": "bool",
    "ComplexFloat": "c10::complex<float>", "ComplexDouble": "c10::complex<double>",
}  # fmt: skip


def _name(t: Tensor) -> str:
    return SCALAR_NAMES[t.dtype]


# -- matmul -----------------------------------------------------------------------------------------


class ProductNode(Node):
    """A product of two matrices, or of stacks of them, whose leading dimensions broadcast."""

    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        if not MODE.enabled and grad._array.dtype.kind != "c" and grad._array.ndim == 2:
            g = grad._array
            return (
                None if to_x is None else wrap(K.matmul(g, y._array.T)),
                None if to_y is None else wrap(K.matmul(x._array.T, g)),
            )
        return (
            None if to_x is None else sum_to(matmul(grad, conj(y.mT)), x._array.shape),
            None if to_y is None else sum_to(matmul(conj(x.mT), grad), y._array.shape),
        )


class MmBackward0(ProductNode):
    pass


class BmmBackward0(ProductNode):
    pass


class UnsafeViewBackward0(ProductNode):
    """PyTorch computes these products as views of a plain or batched one, and so names their nodes."""


class DotBackward0(Node):
    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        return None if to_x is None else grad * conj(y), None if to_y is None else grad * conj(x)


class MvBackward0(Node):
    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        return (
            None if to_x is None else grad.unsqueeze(1) * conj(y),
            None if to_y is None else matmul(conj(x.t()), grad),
        )


@op()
def matmul(input, other, *, out=None):
    """The product of two matrices, vectors, or stacks of matrices.

    Args:
        input: a tensor [..., n, k], or a vector [k].
        other: a tensor [..., k, m], or a vector [k]; leading dimensions broadcast.
        out: where to put the result.
    Returns:
        A tensor [..., n, m], without the dimension that a vector lacks.
    Raises:
        RuntimeError: the inner dimensions or the types differ, or one has no dimensions.

    >>> import rushlight as torch
    >>> torch.matmul(torch.tensor([[1, 2], [3, 4]]), torch.tensor([1, 1]))
    tensor([3, 7])
    """
    try:
        x, y = input._array, other._array
    except AttributeError:
        check_tensor("matmul", input)
        check_tensor("matmul", other, "other", 2)
        raise
    if (
        x.ndim == 2
        and y.ndim == 2
        and x.dtype is y.dtype
        and x.shape[1] == y.shape[0]
        and x.dtype.kind != "b"
    ):
        result = wrap(K.matmul(x, y))
        if MODE.enabled and (input._rg or other._rg):
            node = connect(MmBackward0(), (input, other))
            node.save(input, other)
            result._node, result._rg = node, True
    else:
        result = _matmul(input, other)
    return result if out is None else write_out(result, out)


def _matmul(input: Tensor, other: Tensor) -> Tensor:
    """`matmul` where the two are not plain matrices that go together."""
    x, y = input._array, other._array
    if not x.ndim or not y.ndim:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D"
        )
    if y.ndim == 1:
        return dot(input, other) if x.ndim == 1 else _times_vector(input, other)
    if x.ndim == 1:
        return _matmul(input.unsqueeze(0), other).squeeze(-2)
    _check_product(x, y, input, other)
    if x.ndim == 2 and y.ndim == 2:
        node_type = MmBackward0
    elif y.ndim == 2:
        return _folded(input, other)
    else:
        node_type = BmmBackward0 if x.ndim == 3 and y.ndim == 3 else UnsafeViewBackward0
    array = K.matmul(x, y)
    return record(array, node_type, (input, other), input, other) if recording(input, other) else wrap(array)


def _times_vector(input: Tensor, vector: Tensor) -> Tensor:
    if input._array.ndim == 2:
        return mv(input, vector)
    _check_product(input._array, vector._array.reshape(-1, 1), input, vector)
    return _folded(input, vector.unsqueeze(1)).squeeze(-1)


class FoldedBackward0(Node):
    """A stack of matrices times one matrix: computed as one product of two matrices."""

    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        rows = grad.reshape(-1, y._array.shape[1])
        gx = gy = None
        if to_x is not None:
            gx = matmul(rows, conj(y.mT)).reshape(x._array.shape)
        if to_y is not None:
            gy = matmul(conj(x.reshape(-1, y._array.shape[0]).mT), rows)
        return gx, gy


FoldedBackward0.__name__ = FoldedBackward0.__qualname__ = "UnsafeViewBackward0"


def _folded(input: Tensor, other: Tensor) -> Tensor:
    x, y = input._array, other._array
    shape = (*x.shape[:-1], y.shape[1])
    array = K.matmul(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), y).reshape(shape)
    return (
        record(array, FoldedBackward0, (input, other), input, other)
        if recording(input, other)
        else wrap(array)
    )


def _check_product(x: np.ndarray, y: np.ndarray, input: Tensor, other: Tensor) -> None:
    """Raise where two arrays of at least two dimensions cannot be multiplied."""
    if x.shape[-1] != y.shape[-2]:
        if y.ndim > 2:
            batch = list(np.broadcast_shapes(x.shape[:-2], y.shape[:-2]))
            raise RuntimeError(
                f"Expected size for first two dimensions of batch2 tensor to be: [{math.prod(batch)}, {x.shape[-1]}] but "
                f"got: [{math.prod(batch)}, {y.shape[-2]}]. (matmul: got shapes {list(x.shape)} and {list(y.shape)})"
            )
        rows = math.prod(x.shape[:-1])
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x.shape[-1]} and {y.shape[-2]}x{y.shape[-1]}): matmul "
            f"got {list(x.shape)} and {list(y.shape)}, and needs {x.shape[-1]} == {y.shape[-2]}.{_transpose_hint(x, y)}"
        )
    if x.dtype != y.dtype:
        if x.ndim > 2 and y.ndim > 2:
            raise RuntimeError(f"expected scalar type {_name(input)} but found {_name(other)}")
        raise _types_differ(input, other)
    if x.dtype.kind == "b":
        raise NotImplementedError(
            "\"addmm_impl_cpu_\" not implemented for 'Bool': convert with .float() or .long()"
        )
    for i, (m, n) in enumerate(zip(x.shape[-3::-1], y.shape[-3::-1], strict=False)):
        if m != n and m != 1 and n != 1:
            dim = max(x.ndim, y.ndim) - 3 - i
            raise RuntimeError(
                f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton dimension {dim} "
                f"(matmul: got shapes {list(x.shape)} and {list(y.shape)})"
            )


def _transpose_hint(x: np.ndarray, y: np.ndarray) -> str:
    if x.shape[-1] == y.shape[-1]:
        return " Transpose the second one: x @ y.T"
    if x.shape[-2] == y.shape[-2]:
        return " Transpose the first one: x.T @ y"
    return ""


def _types_differ(input: Tensor, other: Tensor) -> RuntimeError:
    a, b = _C_NAMES.get(_name(input), _name(input)), _C_NAMES.get(_name(other), _name(other))
    return RuntimeError(
        f"expected m1 and m2 to have the same dtype, but got: {a} != {b}. Convert one of them: x.to(y.dtype)"
    )


def _operator(self, other):
    return matmul(self, other) if isinstance(other, Tensor) else NotImplemented


def _reflected(self, other):
    return matmul(other, self) if isinstance(other, Tensor) else NotImplemented


Tensor.__matmul__, Tensor.__rmatmul__ = _operator, _reflected


@op()
def mm(input, mat2, *, out=None):
    """The product of two matrices.

    Args:
        input: a tensor [n, k].
        mat2: a tensor [k, m].
        out: where to put the result.
    Raises:
        RuntimeError: they are no matrices, or their inner dimensions or types differ.

    >>> import rushlight as torch
    >>> torch.mm(torch.tensor([[1, 2]]), torch.tensor([[3], [4]]))
    tensor([[11]])
    """
    check_tensor("mm", mat2, "mat2", 2)
    for name, t in (("self", check_tensor("mm", input)), ("mat2", mat2)):
        if t._array.ndim != 2:
            raise RuntimeError(
                f"{name} must be a matrix. mm: got shapes {list(input.shape)} and {list(mat2.shape)}"
            )
    return matmul(input, mat2, out=out)


@op()
def bmm(input, mat2, *, out=None):
    """The products of two stacks of matrices.

    Args:
        input: a tensor [b, n, k].
        mat2: a tensor [b, k, m].
        out: where to put the result.
    Returns:
        A tensor [b, n, m].
    Raises:
        RuntimeError: they do not have three dimensions, or sizes or types differ.

    >>> import rushlight as torch
    >>> torch.bmm(torch.ones(2, 1, 3), torch.ones(2, 3, 1)).shape
    torch.Size([2, 1, 1])
    """
    x, y = check_tensor("bmm", input)._array, check_tensor("bmm", mat2, "mat2", 2)._array
    _check_batches("bmm", x, y)
    if x.dtype != y.dtype:
        raise RuntimeError(f"expected scalar type {_name(input)} but found {_name(mat2)}")
    return matmul(input, mat2, out=out)


def _check_batches(name: str, x: np.ndarray, y: np.ndarray) -> None:
    for which, a in (("batch1", x), ("batch2", y)):
        if a.ndim != 3:
            raise RuntimeError(
                f"{which} must be a 3D tensor. {name}: got shapes {list(x.shape)} and {list(y.shape)}"
            )
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{x.shape[0]}, {x.shape[2]}] but got: "
            f"[{y.shape[0]}, {y.shape[1]}]. ({name}: got shapes {list(x.shape)} and {list(y.shape)})"
        )


@op()
def mv(input, vec, *, out=None):
    """The product of a matrix and a vector.

    Args:
        input: a tensor [n, k].
        vec: a tensor [k].
        out: where to put the result.
    Raises:
        RuntimeError: the shapes are others, or the types differ.

    >>> import rushlight as torch
    >>> torch.mv(torch.tensor([[1, 2], [3, 4]]), torch.tensor([1, 1]))
    tensor([3, 7])
    """
    x, y = check_tensor("mv", input)._array, check_tensor("mv", vec, "vec", 2)._array
    if x.ndim != 2 or y.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {x.ndim}, {y.ndim}")
    if x.shape[1] != y.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({x.shape[0]}), mat ({x.shape[0]}x{x.shape[1]}), vec ({y.shape[0]})"
        )
    if x.dtype != y.dtype:
        raise RuntimeError(
            f"addmv input tensors must have the same dtype, but got {_name(input)} and {_name(vec)}. Convert one of them"
        )
    array = K.matmul(x, y.reshape(-1, 1)).reshape(-1)
    result = record(array, MvBackward0, (input, vec), input, vec) if recording(input, vec) else wrap(array)
    return write_out(result, out)


@op()
def dot(input, tensor, *, out=None):
    """The sum of the products of two vectors' elements.

    Args:
        input, tensor: tensors [n].
        out: where to put the result.
    Raises:
        RuntimeError: they are no vectors, or their sizes or types differ.

    >>> import rushlight as torch
    >>> torch.dot(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor(11)
    """
    x, y = check_tensor("dot", input)._array, check_tensor("dot", tensor, "tensor", 2)._array
    if x.ndim != 1 or y.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {x.ndim}D and {y.ndim}D tensors")
    if x.dtype != y.dtype:
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {_name(input)} and {_name(tensor)}"
        )
    if x.shape != y.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{x.size}] and src [{y.size}] to have the same number of elements, "
            f"but got {x.size} and {y.size} elements respectively"
        )
    array = K.matmul(x.reshape(1, -1), y.reshape(-1, 1)).reshape(())
    result = (
        record(array, DotBackward0, (input, tensor), input, tensor)
        if recording(input, tensor)
        else wrap(array)
    )
    return write_out(result, out)


@op()
def vdot(input, other, *, out=None):
    """The dot product of two vectors, the first one conjugated.

    >>> import rushlight as torch
    >>> torch.vdot(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor(11)
    """
    return dot(conj(check_tensor("vdot", input)), other, out=out)


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
    return write_out(tensordot(input, other, ([-1], [-1])), out)


@op()
def outer(input, vec2, *, out=None):
    """The products of every element of one vector with every element of another.

    Args:
        input: a tensor [n].
        vec2: a tensor [m].
        out: where to put the result.
    Returns:
        A tensor [n, m].
    Raises:
        RuntimeError: they are no vectors.

    >>> import rushlight as torch
    >>> torch.outer(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    _check_vector("outer", "self", check_tensor("outer", input))
    _check_vector("outer", "vec2", check_tensor("outer", vec2, "vec2", 2))
    return write_out(input.unsqueeze(1) * vec2, out)


def _check_vector(name: str, argument: str, t: Tensor) -> None:
    if t._array.ndim != 1:
        raise RuntimeError(f"{name}: Expected 1-D argument {argument}, but got {t._array.ndim}-D")


alias("ger", outer)


# -- products added to something --------------------------------------------------------------------


class AddedProductNode(Node):
    """beta * input + alpha * (x @ y), the product summed over a leading dimension where it has one too many."""

    def backward(self, grad):
        x, y = self.unpack()
        to_input, to_x, to_y = self.edges
        scaled = grad if self.alpha == 1 else grad * self.alpha
        if x._array.ndim > grad._array.ndim:
            scaled = scaled.expand(x._array.shape[0], *scaled._array.shape)
        return (
            None if to_input is None else sum_to(grad if self.beta == 1 else grad * self.beta, self.shape),
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
        raise RuntimeError(f"self and mat2 must have the same dtype, but got {_name(input)} and {_name(y)}")
    if x._array.dtype != y._array.dtype:
        raise _types_differ(x, y)
    array = K.matmul(x._array, y._array)
    if summed:
        array = K.sum(array, (0,), False)
    if input._array.dtype.kind in "iu":
        beta, alpha = int(beta), int(alpha)
    if alpha != 1:
        array = K.mul(array, alpha)
    shape = array.shape
    if beta != 0:  # where it is 0, not even a nan of the input counts
        addend = _expand_to(input._array, shape)
        array = K.add(array, addend if beta == 1 else K.mul(addend, beta))
    else:
        _expand_to(input._array, shape)
    if recording(input, x, y):
        fields = {"shape": input._array.shape, "beta": beta, "alpha": alpha}
        return record(array, node_type, (input, x, y), x, y, **fields)
    return write_out(wrap(array), out)


def _expand_to(array: np.ndarray, shape: tuple) -> np.ndarray:
    """The array, which must broadcast to this shape."""
    try:
        if np.broadcast_shapes(array.shape, shape) == shape:
            return array
    except ValueError:
        pass
    lead = len(shape) - array.ndim
    dim = next(
        (i for i in reversed(range(len(shape))) if i >= lead and array.shape[i - lead] not in (1, shape[i])),
        0,
    )
    have = array.shape[dim - lead] if lead >= 0 else array.ndim
    raise RuntimeError(
        f"The expanded size of the tensor ({shape[dim]}) must match the existing size ({have}) at non-singleton dimension "
        f"{dim}.  Target sizes: {list(shape)}.  Tensor sizes: {list(array.shape)}"
    )


@op(inplace=True)
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
        _check_product(mat1._array, mat2._array, mat1, mat2)
    return _added(AddmmBackward0, check_tensor("addmm", input), mat1, mat2, beta, alpha, out)


@op(inplace=True)
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
    _check_batches(name, x, y)


@op(inplace=True)
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
    return write_out(_weighted(input, beta, mv(mat, vec), alpha), out)


def _weighted(input: Tensor, beta, product: Tensor, alpha) -> Tensor:
    """beta * input + alpha * product, of the product's shape."""
    product = product if alpha == 1 else product * alpha
    _expand_to(input._array, product._array.shape)
    return product if beta == 0 else product + (input if beta == 1 else input * beta)


@op(inplace=True)
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
    _check_vector("addr", "vec1", check_tensor("addr", vec1, "vec1", 2))
    _check_vector("addr", "vec2", check_tensor("addr", vec2, "vec2", 3))
    return write_out(_weighted(check_tensor("addr", input), beta, outer(vec1, vec2), alpha), out)


# -- linear layers ----------------------------------------------------------------------------------


class LinearNode(Node):
    """x @ w.T + b, over the last dimension of x."""

    def backward(self, grad):
        x, w = self.unpack()
        edges = self.edges
        gx = gw = gb = None
        if not MODE.enabled and grad._array.dtype.kind != "c":
            a, g = x._array, grad._array
            if a.ndim != 2:
                g, a = g.reshape(-1, g.shape[-1]), a.reshape(-1, a.shape[-1])
            if edges[0] is not None:
                gx = K.linear_backward_input(g, w._array)
                gx = wrap(gx if x._array.ndim == 2 else gx.reshape(x._array.shape))
            with_bias = len(edges) > 2 and edges[2] is not None
            if edges[1] is not None:
                gw, gb = K.linear_backward_weight(g, a, with_bias)
                gw, gb = wrap(gw), wrap(gb) if with_bias else None
            elif with_bias:
                gb = wrap(K.sum(g, (0,), False))
            return (gx, gw, gb) if len(edges) > 2 else (gx, gw)
        rows = grad.reshape(-1, grad._array.shape[-1])
        if edges[0] is not None:
            gx = matmul(grad, conj(w))
        if edges[1] is not None:
            gw = matmul(rows.t(), conj(x.reshape(-1, x._array.shape[-1])))
        if len(edges) == 2:
            return gx, gw
        return gx, gw, None if edges[2] is None else rows.sum(0)


class _LinearAddmm(LinearNode):
    pass


class _LinearMm(LinearNode):
    pass


class _LinearView(LinearNode):
    pass


class _LinearUnsafeView(LinearNode):
    pass


# PyTorch composes a linear layer of these, so its nodes are named after them.
_LINEAR_NODES = {(True, True): _LinearAddmm, (True, False): _LinearMm, (False, True): _LinearView,
                 (False, False): _LinearUnsafeView}  # fmt: skip
for _key, _public in (
    ((True, True), "AddmmBackward0"), ((True, False), "MmBackward0"),
    ((False, True), "ViewBackward0"), ((False, False), "UnsafeViewBackward0"),
):  # fmt: skip
    _LINEAR_NODES[_key].__name__ = _LINEAR_NODES[_key].__qualname__ = _public


@op(method=False)
def linear(input, weight, bias=None):
    """input @ weight.T + bias: a linear layer.

    Args:
        input: a tensor [..., in_features].
        weight: a tensor [out_features, in_features], or [in_features] for one output without dimension.
        bias: a tensor [out_features], or None.
    Returns:
        A tensor [..., out_features].
    Raises:
        RuntimeError: the sizes do not go together, or the types differ.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.linear.html

    >>> import rushlight as torch
    >>> torch.nn.functional.linear(torch.tensor([1.0, 2.0]), torch.tensor([[3.0, 4.0]]), torch.tensor([1.0]))
    tensor([12.])
    """
    try:
        x, w = input._array, weight._array
        b = None if bias is None else bias._array
        features = w.shape[1]
        if x.shape[-1] != features or x.dtype is not w.dtype or x.dtype.kind == "b":
            return _odd_linear(input, weight, bias)
    except (AttributeError, IndexError):
        return _odd_linear(input, weight, bias)
    if b is not None and (b.shape != w.shape[:1] or b.dtype is not w.dtype) or w.ndim != 2:
        return _odd_linear(input, weight, bias)
    flat = x.ndim == 2
    if flat:
        result = wrap(K.linear(x, w, b))
    else:
        lead = x.shape[:-1]
        result = wrap(K.linear(x.reshape(math.prod(lead), features), w, b).reshape(*lead, w.shape[0]))
    if MODE.enabled and (input._rg or weight._rg or b is not None and bias._rg):
        if b is None:
            node = connect(_LINEAR_NODES[flat, False](), (input, weight))
        else:
            node = connect((_LinearAddmm if flat else _LinearView)(), (input, weight, bias))
        node.save(input, weight)
        result._node, result._rg = node, True
    return result


def _odd_linear(input, weight, bias) -> Tensor:
    """`linear` for unusual shapes, and its errors."""
    x = check_tensor("linear", input)._array
    w = check_tensor("linear", weight, "weight", 2)._array
    if bias is not None:
        check_tensor("linear", bias, "bias", 3)
    if not x.ndim or not w.ndim:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are {x.ndim}D and {w.ndim}D"
        )
    if w.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {w.ndim}D (linear: the weight)"
        )
    rows = w if w.ndim == 2 else w.reshape(1, -1)
    if x.shape[-1] != rows.shape[1]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({math.prod(x.shape[:-1])}x{x.shape[-1]} and "
            f"{rows.shape[1]}x{rows.shape[0]}): linear expected input [..., {rows.shape[1]}], got {list(x.shape)} (weight "
            f"{list(w.shape)}).{_linear_hint(x, rows.shape[1])}"
        )
    if x.dtype != w.dtype:
        raise _types_differ(input, weight)
    if bias is not None and bias._array.dtype != w.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {_name(bias)} and {_name(weight)}"
        )
    if w.ndim == 1 and bias is not None:
        raise RuntimeError("mat2 must be a matrix, got 1-D tensor (linear: the weight, beside a bias)")
    product = matmul(input, weight.t())
    if bias is None:
        return product
    _expand_to(bias._array, product._array.shape)
    return product + bias


def _linear_hint(x: np.ndarray, features: int) -> str:
    """The likely fix of a linear layer's wrong input."""
    if x.ndim > 1 and math.prod(x.shape[1:]) == features:
        return " Flatten it first: x.flatten(1)"
    if x.ndim > 1 and x.shape[-2] == features:
        return " Transpose it first: x.mT"
    return f" Make it {x.shape[-1]} features: nn.Linear({x.shape[-1]}, ...)"


@op(method=False)
def bilinear(input1, input2, weight, bias=None):
    """For each output o, input1 @ weight[o] @ input2, plus a bias.

    Args:
        input1: a tensor [..., n].
        input2: a tensor [..., m], with the same leading dimensions.
        weight: a tensor [o, n, m].
        bias: a tensor [o], or None.
    Returns:
        A tensor [..., o].
    Raises:
        RuntimeError: the sizes do not go together.

    >>> import rushlight as torch
    >>> torch.bilinear(torch.ones(1, 2), torch.ones(1, 3), torch.ones(1, 2, 3))
    tensor([[6.]])
    """
    x, y, w = input1._array, input2._array, weight._array
    if x.ndim != y.ndim:
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {x.ndim} and {y.ndim}")
    for i in range(x.ndim - 1):
        if x.shape[i] != y.shape[i]:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {i}: got {x.shape[i]} and {y.shape[i]}"
            )
    for number, a in ((1, x), (2, y)):
        if a.shape[-1] != w.shape[number]:
            raise RuntimeError(
                f"bilinear(): input{number} size does not match weight size: got {a.shape[-1]} but expected {w.shape[number]}"
            )
    if bias is not None and bias._array.shape[0] != w.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias._array.shape[0]} but expected {w.shape[0]}"
        )
    half = tensordot(input1, weight, ([-1], [1]))  # [..., o, m]
    result = matmul(half, input2.unsqueeze(-1)).squeeze(-1)
    return result if bias is None else result + bias


# -- sums of products over chosen dimensions --------------------------------------------------------


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
        if x.shape[i] != y.shape[j]:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {x.shape[i]} in dim {i} and second has size "
                f"{y.shape[j]} in dim {j}"
            )
    kept_a = [i for i in range(x.ndim) if i not in dims_a]
    kept_b = [i for i in range(y.ndim) if i not in dims_b]
    shape = [x.shape[i] for i in kept_a] + [y.shape[i] for i in kept_b]
    inner_size = math.prod(x.shape[i] for i in dims_a)
    rows, columns = math.prod(x.shape[i] for i in kept_a), math.prod(y.shape[i] for i in kept_b)
    left = a.permute(*kept_a, *dims_a).reshape(rows, inner_size)
    right = b.permute(*dims_b, *kept_b).reshape(inner_size, columns)
    return write_out(matmul(left, right).reshape(shape), out)


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
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use torch.linalg.multi_dot "
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
    for i, t in enumerate(middle):
        if t._array.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i + 1} must be 2D but got {t._array.ndim}D")
    chain = [
        first.unsqueeze(0) if first.ndim == 1 else first,
        *middle,
        last.unsqueeze(1) if last.ndim == 1 else last,
    ]
    result = _chain(chain)
    if last.ndim == 1:
        result = result.squeeze(-1)
    return write_out(result.squeeze(0) if first.ndim == 1 else result, out)


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
    from rushlight.ops.shape import broadcast_tensors

    if input._array.ndim != other._array.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    axis = check_dim(dim, input._array.ndim)
    sizes = input._array.shape[axis], other._array.shape[axis]
    if sizes != (3, 3):
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {sizes[0]} and {sizes[1]}"
        )
    input, other = broadcast_tensors(*promote("cross", input, other))
    a, b = ([t.select(axis, i) for i in range(3)] for t in (input, other))
    parts = [a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)]
    return write_out(stack(parts, axis), out)


@op()
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
            "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the dim explicitly or "
            "simply use torch.linalg.cross.\nThe default value of dim will change to agree with that of linalg.cross in a "
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
    return input.diagonal().sum()


__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bilinear", "bmm", "chain_matmul", "cross", "dot", "inner", "kron",
    "linalg_cross", "linear", "matmul", "mm", "multi_dot", "mv", "outer", "tensordot", "trace", "vdot",
]  # fmt: skip
