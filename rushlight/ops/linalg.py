"""Products of matrices and vectors, and linear layers."""

import math

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node, connect
from rushlight.dtypes import SCALAR_NAMES
from rushlight.ops.common import (
    MODE,
    Tensor,
    check_tensor,
    conj,
    or_sparse,
    overloaded,
    record,
    sum_to,
    wrap,
    write_out,
)
from rushlight.ops.registry import alias, op
from rushlight.sparse_tensor import SparseTensor
from rushlight.tensor import recording

_C_NAMES = {
    "Float": "float", "Double": "double", "Half": "c10::Half", "BFloat16": "c10::BFloat16", "Long": "int64_t",
    "Int": "int", "Short": "int16_t", "Char": "signed char", "Byte": "unsigned char", "Bool": "bool",
    "ComplexFloat": "c10::complex<float>", "ComplexDouble": "c10::complex<double>",
}  # fmt: skip


def type_name(t: Tensor) -> str:
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
        return overloaded("matmul", input, other)
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
    return result if out is None else write_out(result, out, exact=True)


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
    check_product(x, y, input, other)
    if y.ndim == 2 and x.ndim > 2:
        return _folded(input, other)
    return _product(input, other, MmBackward0 if x.ndim == y.ndim == 2 else UnsafeViewBackward0)


def _product(input: Tensor, other: Tensor, node_type: type[Node]) -> Tensor:
    array = K.matmul(input._array, other._array)
    return record(array, node_type, (input, other), input, other) if recording(input, other) else wrap(array)


def _times_vector(input: Tensor, vector: Tensor) -> Tensor:
    if input._array.ndim == 2:
        return mv(input, vector)
    check_product(input._array, vector._array.reshape(-1, 1), input, vector)
    return _folded(input, vector.unsqueeze(1)).squeeze(-1)


class FoldedBackward0(Node):
    """A stack of matrices times one matrix: computed as one product of two matrices."""

    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        inner, columns = y._array.shape
        count = math.prod(x._array.shape[:-1])
        rows = grad.reshape(count, columns)
        gx = gy = None
        if to_x is not None:
            gx = matmul(rows, conj(y.mT)).reshape(x._array.shape)
        if to_y is not None:
            gy = matmul(conj(x.reshape(count, inner).mT), rows)
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


def check_product(x: np.ndarray, y: np.ndarray, input: Tensor, other: Tensor) -> None:
    """Raise where two arrays of at least two dimensions cannot be multiplied."""
    if x.shape[-1] != y.shape[-2]:
        if y.ndim > 2:
            batch = list(np.broadcast_shapes(x.shape[:-2], y.shape[:-2]))
            raise RuntimeError(
                f"Expected size for first two dimensions of batch2 tensor to be: [{math.prod(batch)}, "
                f"{x.shape[-1]}] but "
                f"got: [{math.prod(batch)}, {y.shape[-2]}]. (matmul: got shapes {list(x.shape)} and "
                f"{list(y.shape)})"
            )
        rows = math.prod(x.shape[:-1])
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x.shape[-1]} and "
            f"{y.shape[-2]}x{y.shape[-1]}): matmul "
            f"got {list(x.shape)} and {list(y.shape)}, and needs {x.shape[-1]} == "
            f"{y.shape[-2]}.{_transpose_hint(x, y)}"
        )
    if x.dtype != y.dtype:
        if x.ndim > 2 and y.ndim > 2:
            raise RuntimeError(f"expected scalar type {type_name(input)} but found {type_name(other)}")
        raise types_differ(input, other)
    if x.dtype.kind == "b":
        raise NotImplementedError(
            "\"addmm_impl_cpu_\" not implemented for 'Bool': convert with .float() or .long()"
        )
    for i, (m, n) in enumerate(zip(x.shape[-3::-1], y.shape[-3::-1], strict=False)):
        if m != n and m != 1 and n != 1:
            dim = max(x.ndim, y.ndim) - 3 - i
            raise RuntimeError(
                f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton "
                f"dimension {dim} "
                f"(matmul: got shapes {list(x.shape)} and {list(y.shape)})"
            )


def _transpose_hint(x: np.ndarray, y: np.ndarray) -> str:
    if x.shape[-1] == y.shape[-1]:
        return " Transpose the second one: x @ y.T"
    if x.shape[-2] == y.shape[-2]:
        return " Transpose the first one: x.T @ y"
    return ""


def types_differ(input: Tensor, other: Tensor) -> RuntimeError:
    a, b = _C_NAMES.get(type_name(input), type_name(input)), _C_NAMES.get(type_name(other), type_name(other))
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
    if isinstance(input, SparseTensor) or isinstance(mat2, SparseTensor):
        return overloaded("mm", input, mat2)
    for name, t in (("self", check_tensor("mm", input)), ("mat2", mat2)):
        if t._array.ndim != 2:
            raise RuntimeError(
                f"{name} must be a matrix. mm: got shapes {list(input.shape)} and {list(mat2.shape)}"
            )
    return matmul(input, mat2, out=out)


@op()
@or_sparse
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
    check_batches("bmm", x, y)
    if x.dtype != y.dtype:
        raise RuntimeError(f"expected scalar type {type_name(input)} but found {type_name(mat2)}")
    if x.dtype.kind == "b":
        raise NotImplementedError("\"bmm\" not implemented for 'Bool': convert with .float() or .long()")
    return write_out(_product(input, mat2, BmmBackward0), out, exact=True)


def check_batches(name: str, x: np.ndarray, y: np.ndarray) -> None:
    for which, a in (("batch1", x), ("batch2", y)):
        if a.ndim != 3:
            raise RuntimeError(
                f"{which} must be a 3D tensor. {name}: got shapes {list(x.shape)} and {list(y.shape)}; x @ y takes "
                "matrices too"
            )
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{x.shape[0]}, {x.shape[2]}] "
            "but got: "
            f"[{y.shape[0]}, {y.shape[1]}]. ({name}: got shapes {list(x.shape)} and {list(y.shape)})"
        )


@op()
@or_sparse
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
            "addmv input tensors must have the same dtype, but got "
            f"{type_name(vec)}, {type_name(input)}, and {type_name(vec)}. Convert one of them: x.to(y.dtype)"
        )
    array = K.matmul(x, y.reshape(-1, 1)).reshape(-1)
    result = record(array, MvBackward0, (input, vec), input, vec) if recording(input, vec) else wrap(array)
    return write_out(result, out, exact=True)


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
            f"dot : expected both vectors to have same dtype, but found {type_name(input)} and "
            f"{type_name(tensor)}"
        )
    if x.shape != y.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{x.size}] and src [{y.size}] to have the same "
            "number of elements, "
            f"but got {x.size} and {y.size} elements respectively"
        )
    array = K.matmul(x.reshape(1, -1), y.reshape(-1, 1)).reshape(())
    result = (
        record(array, DotBackward0, (input, tensor), input, tensor)
        if recording(input, tensor)
        else wrap(array)
    )
    return write_out(result, out, exact=True)


@op()
def vdot(input, other, *, out=None):
    """The dot product of two vectors, the first one conjugated.

    >>> import rushlight as torch
    >>> torch.vdot(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor(11)
    """
    return dot(conj(check_tensor("vdot", input)), other, out=out)


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
    check_vector("outer", "self", check_tensor("outer", input))
    check_vector("outer", "vec2", check_tensor("outer", vec2, "vec2", 2))
    return write_out(input.unsqueeze(1) * vec2, out)


def check_vector(name: str, argument: str, t: Tensor) -> None:
    if t._array.ndim != 1:
        raise RuntimeError(f"{name}: Expected 1-D argument {argument}, but got {t._array.ndim}-D")


alias("ger", outer)


def expandable(array: np.ndarray, shape: tuple) -> np.ndarray:
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
        f"The expanded size of the tensor ({shape[dim]}) must match the existing size ({have}) at "
        "non-singleton dimension "
        f"{dim}.  Target sizes: {list(shape)}.  Tensor sizes: {list(array.shape)}"
    )
