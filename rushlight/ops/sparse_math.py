"""Arithmetic, functions and reductions of sparse tensors, and other arrangements of their entries."""

import numpy as np

from rushlight.autograd.node import Node, connect
from rushlight.autograd.views import after, before, check_writable
from rushlight.dtypes import promote_types
from rushlight.ops import comparison, complex_parts, unary  # noqa: F401 - their methods are used here
from rushlight.ops.common import Number, Tensor, check_tensor, record, recording, result_type, wrap
from rushlight.ops.elementwise import div as dense_div
from rushlight.ops.joining import cat as dense_cat
from rushlight.ops.sparse import (
    _added,
    build,
    cast,
    coalesce,
    entries_at,
    replaced,
    sparse_op,
    values_of,
)
from rushlight.sparse_tensor import Pattern, SparseTensor, unsupported
from rushlight.tensor import check_dim

# -- functions of one number that keep zeros -----------------------------------------------------------------


def in_place(name: str, function, coalesced: bool = False) -> None:
    def method(self, *args, **kwargs):
        if coalesced and not self.is_coalesced():
            raise RuntimeError(f"{name}_ requires coalesced input; use x = x.coalesce() first")
        return replaced(self, function(self, *args, **kwargs))

    method.__name__ = method.__qualname__ = name + "_"
    method.__doc__ = f"In-place form of `{name}`."
    setattr(SparseTensor, name + "_", method)


def _unary(name: str, coalesced: bool = True) -> None:
    dense = getattr(Tensor, name)
    # The gradient function's name is PyTorch's, as the dense op has it.
    node = name.title().replace("_", "") + "Backward0"

    def function(input, *args, out=None, **kwargs):
        x = coalesce(input) if coalesced else input
        return build(dense(values_of(x), *args, **kwargs), x._pattern, node)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`{name}` of each entry; what is zero stays zero."
    sparse_op(name)(function)
    if hasattr(Tensor, name + "_"):
        in_place(name, function, coalesced)


for _name in (
    "abs", "absolute", "arcsin", "arcsinh", "arctan", "arctanh", "asin", "asinh", "atan", "atanh", "ceil", "deg2rad",
    "erf", "erfinv", "expm1", "floor", "frac", "isinf", "isnan", "isneginf", "isposinf", "log1p", "nan_to_num",
    "positive", "rad2deg", "relu", "round", "sgn", "sign", "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh",
    "trunc",
):  # fmt: skip
    if hasattr(Tensor, _name):
        _unary(_name)
for _name in ("neg", "negative", "conj_physical", "conj"):
    _unary(_name, coalesced=False)
SparseTensor.__neg__, SparseTensor.__abs__ = SparseTensor.ops["neg"], SparseTensor.ops["abs"]


@sparse_op("pow")
def pow(input, exponent, *, out=None):
    """Each entry to the power of a number.

    Raises:
        RuntimeError: the exponent is 0, which would give ones everywhere.
    """
    if not isinstance(exponent, Number):
        raise NotImplementedError("pow: sparse tensors take a number as exponent; use x.to_dense() first")
    if exponent == 0:
        raise RuntimeError(
            "cannot raise to zeroth power on sparse tensor; it would make the result tensor dense"
        )
    x = coalesce(input)
    return build(values_of(x) ** exponent, x._pattern, "PowBackward0")


in_place("pow", pow)
SparseTensor.__pow__ = pow

# -- arithmetic ----------------------------------------------------------------------------------------------


def _single(value) -> bool:
    """Whether an operand is one number."""
    return isinstance(value, Number) or (
        isinstance(value, Tensor) and not isinstance(value, SparseTensor) and value.ndim == 0
    )


def _together(op: str, x: SparseTensor, y: SparseTensor) -> tuple:
    """Two sparse tensors as such of one type."""
    if x.shape != y.shape:
        raise RuntimeError(
            f"{op}: expected sizes of 'self' and 'other' to match, but {list(x.shape)} != {list(y.shape)}"
        )
    if x.sparse_dim() != y.sparse_dim():
        raise RuntimeError(
            f"{op}: expected 'self' and 'other' to have same number of sparse dimensions, but {x.sparse_dim()} != "
            f"{y.sparse_dim()}"
        )
    kind = promote_types(x.dtype, y.dtype)
    return cast(x, kind), cast(y, kind)


@sparse_op("add")
def add(input, other, *, alpha=1, out=None):
    """input + alpha * other, of two sparse tensors, or of a dense and a sparse one (which is dense).

    Raises:
        RuntimeError: a dense tensor is added to a sparse one: use add(dense, sparse).
    """
    return _added_up("AddBackward0", input, other, alpha)


@sparse_op("sub", "subtract")
def sub(input, other, *, alpha=1, out=None):
    """input - alpha * other, as `add`."""
    return _added_up("SubBackward0", input, other, -alpha)


def _added_up(node: str, input, other, alpha) -> Tensor:
    if not isinstance(input, SparseTensor):
        return _plus_sparse(input, other, alpha, node)
    if not isinstance(other, SparseTensor):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    x, y = _together("add", input, other)
    a, b = values_of(x), values_of(y)
    b = b if alpha == 1 else -b if alpha == -1 else b * alpha
    p, q = x._pattern, y._pattern
    if p is q:
        return build(a + b, p, node)
    pattern = p.with_indices(np.concatenate([p.indices, q.indices], 1), p.size)
    if p.coalesced and q.coalesced:
        merged, group = pattern.unique
        return build(_added(dense_cat([a, b]), group, merged.nnz), merged, node)
    return build(dense_cat([a, b]), pattern, node)


class _PlusSparse(Node):
    def backward(self, grad):
        to_dense, to_sparse = self.edges
        part = None
        if to_sparse is not None:
            part = entries_at(grad, self.pattern)
            part = build(part if self.alpha == 1 else part * self.alpha, self.pattern)
        return None if to_dense is None else grad, part


class _PlusSparseAdd(_PlusSparse):
    pass


class _PlusSparseSub(_PlusSparse):
    pass


_PlusSparseAdd.__name__, _PlusSparseSub.__name__ = "AddBackward0", "SubBackward0"


def _plus_sparse(x: Tensor, y: SparseTensor, alpha, node: str) -> Tensor:
    """The dense x + alpha * y."""
    kind = result_type(x, wrap(y._data))
    x = x.to(kind)
    if x.shape != y.shape:
        raise RuntimeError(
            f"add: expected 'self' and 'other' to have the same sizes, but got {list(x.shape)} and {list(y.shape)}"
        )
    array = x._array.copy(order="C")
    _add_into(array, y, alpha)
    if recording(x, y):
        node_type = _PlusSparseAdd if node == "AddBackward0" else _PlusSparseSub
        return record(array, node_type, (x, y), pattern=y._pattern, alpha=alpha)
    return wrap(array)


def _add_into(array: np.ndarray, y: SparseTensor, alpha) -> None:
    """Add alpha * y to an array."""
    merged = coalesce(y.detach())
    data = merged._data if alpha == 1 else merged._data * np.asarray(alpha, merged._data.dtype)
    array[tuple(merged._pattern.indices)] += data.astype(array.dtype, copy=False)


def add_(self, other, *, alpha=1):
    """In-place form of `add`; of a dense tensor too."""
    return _add_in_place(self, other, alpha, "AddBackward0")


def sub_(self, other, *, alpha=1):
    """In-place form of `sub`; of a dense tensor too."""
    return _add_in_place(self, other, -alpha, "SubBackward0")


def _add_in_place(self, other, alpha, name: str) -> Tensor:
    if isinstance(self, SparseTensor):
        return replaced(self, cast(_added_up(name, self, other, alpha), self.dtype))
    check_writable(self)
    if self.shape != other.shape:
        raise RuntimeError(
            f"add: expected 'self' and 'other' to have the same sizes, but got {list(self.shape)} and {list(other.shape)}"
        )
    old, node = before(self), None
    if recording(old, other):
        node = connect((_PlusSparseAdd if name == "AddBackward0" else _PlusSparseSub)(), (old, other))
        node.pattern, node.alpha = other._pattern, alpha
    _add_into(self._array, other, alpha)
    return after(self, node)


SparseTensor.add_, SparseTensor.sub_ = add_, sub_
SparseTensor.ops.update(add_=add_, sub_=sub_)
SparseTensor.__add__ = SparseTensor.__iadd__ = add
SparseTensor.__iadd__, SparseTensor.__isub__ = add_, sub_
SparseTensor.__sub__ = sub
SparseTensor.__radd__ = lambda self, other: _added_up("AddBackward0", _dense_operand(other), self, 1)
SparseTensor.__rsub__ = lambda self, other: _added_up("SubBackward0", _dense_operand(other), self, -1)


def _dense_operand(value) -> Tensor:
    if not isinstance(value, Tensor):
        raise RuntimeError(
            "add(number, sparse) is not supported: the result would have no zeros. Use x.to_dense()."
        )
    return value


@sparse_op("mul", "multiply")
def mul(input, other, *, out=None):
    """The product with a number, a sparse tensor, or a dense one that broadcasts to the sparse one's shape: sparse."""
    if not isinstance(input, SparseTensor):
        input, other = other, input
    check_operand("mul", other)
    if _single(other):
        return build(values_of(input) * other, input._pattern, "MulBackward0")
    if isinstance(other, SparseTensor):
        return _times_sparse(input, other)
    pattern = input._pattern
    if np.broadcast_shapes(input.shape, other.shape) != tuple(input.shape):
        raise NotImplementedError(
            f"mul: a dense tensor of shape {list(other.shape)} does not broadcast to the sparse one's {list(input.shape)}"
        )
    return build(values_of(input) * entries_at(other.expand(input.shape), pattern), pattern, "MulBackward0")


def check_operand(name: str, value) -> None:
    """Refuse what is neither a tensor nor a number."""
    if not isinstance(value, (Tensor, *Number)):
        check_tensor(name, value, "other", 2)


def _times_sparse(input: SparseTensor, other: SparseTensor) -> SparseTensor:
    x, y = _together("mul", input, other)
    if x._pattern is y._pattern and x.is_coalesced():
        return build(values_of(x) * values_of(y), x._pattern, "MulBackward0")
    x, y = coalesce(x), coalesce(y)
    p, q = x._pattern, y._pattern
    _, i, j = np.intersect1d(p.flat, q.flat, assume_unique=True, return_indices=True)
    a, b = values_of(x).index_select(0, wrap(i)), values_of(y).index_select(0, wrap(j))
    return build(a * b, p.with_indices(p.indices[:, i], p.size, True), "MulBackward0")


@sparse_op("div", "divide", "true_divide")
def div(input, other, *, rounding_mode=None, out=None):
    """The quotient by a number.

    Raises:
        RuntimeError: the divisor is no single number.
    """
    check_operand("div", other)
    if not isinstance(input, SparseTensor) or not _single(other):
        raise RuntimeError(
            "Sparse division requires a scalar or zero-dim dense tensor divisor (got shape "
            f"{list(getattr(other, 'shape', ()))} for divisor)"
        )
    x = input if rounding_mode is None else coalesce(input)
    return build(dense_div(values_of(x), other, rounding_mode=rounding_mode), x._pattern, "DivBackward0")


@sparse_op("floor_divide")
def floor_divide(input, other, *, out=None):
    """The quotient by a number, rounded downwards."""
    return div(input, other, rounding_mode="floor")


for _name, _function in (("mul", mul), ("div", div), ("floor_divide", floor_divide)):
    in_place(_name, _function)
SparseTensor.__mul__ = SparseTensor.__rmul__ = mul
SparseTensor.__truediv__, SparseTensor.__floordiv__ = div, floor_divide
SparseTensor.__imul__, SparseTensor.__itruediv__ = SparseTensor.mul_, SparseTensor.div_


def _refused(name: str):
    def operator(self, other):
        if not isinstance(other, (Tensor, *Number)):
            return NotImplemented
        raise unsupported(name)

    return operator


for _name in ("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "mod"):
    setattr(SparseTensor, f"__{_name}__", _refused(_name))
SparseTensor.__hash__ = object.__hash__

# -- reductions ----------------------------------------------------------------------------------------------


@sparse_op("sum")
def sum(input, dim=None, keepdim=False, *, dtype=None, out=None):
    """The sum over dimensions, all by default.

    Returns:
        A dense tensor where no sparse dimension is left, else a coalesced sparse one.
    """
    x = input if dtype is None else cast(input, dtype)
    values = values_of(x)
    if dim is None or dim == ():
        return values.sum()
    dims = [dim] if isinstance(dim, int) else list(dim)
    dims = sorted(check_dim(d, x.ndim) for d in dims)
    count = x.sparse_dim()
    inner = [d - count + 1 for d in dims if d >= count]
    if inner:
        values = values.sum(inner, keepdim)
    gone = [d for d in dims if d < count]
    kept = [d for d in range(count) if d not in gone]
    if gone and not kept and not keepdim:
        return values.sum(0)
    pattern = x._pattern
    if gone:
        indices, size = pattern.indices, list(pattern.size)
        if keepdim:
            indices = indices.copy()
            indices[gone] = 0
            size = [1 if d in gone else n for d, n in enumerate(size)]
        else:
            indices, size = indices[kept], [size[d] for d in kept]
        pattern = pattern.with_indices(indices, size)
    merged, group = pattern.unique
    if group is not None:
        values = _added(values, group, merged.nnz)
    return build(values, merged, "SparseSumBackward0")


@sparse_op("norm")
def norm(input, p="fro", dim=None, keepdim=False, dtype=None):
    """The norm of all elements."""
    if dim is not None:
        raise NotImplementedError(
            "norm: sparse tensors have the norm of all elements only; use x.to_dense() first"
        )
    return values_of(coalesce(input)).reshape(-1).norm(2 if p in ("fro", None) else p)


@sparse_op("any")
def any(input):
    """Whether an element is not zero."""
    return values_of(input).any()


def _softmax(name: str, input, dim, dtype):
    """Softmax over the entries along a dimension; what is not an entry counts as minus infinity."""
    check_tensor(f"sparse.{name}", input)
    if not isinstance(input, SparseTensor):
        raise NotImplementedError(f"sparse.{name}: expected a sparse tensor; use torch.{name} for dense ones")
    x = coalesce(input if dtype is None else cast(input, dtype))
    dim = check_dim(dim, x.ndim)
    values, pattern, count = values_of(x), x._pattern, x.sparse_dim()
    node = "SparseSoftmaxBackward0" if name == "softmax" else "SparseLogSoftmaxBackward0"
    if dim >= count:
        return build(getattr(values, name)(dim - count + 1), pattern, node)
    others = Pattern(np.delete(pattern.indices, dim, 0), np.delete(pattern.size, dim), False)
    merged, group = others.unique
    rows = wrap(group)
    largest = np.full((merged.nnz, *values.shape[1:]), -np.inf, values._array.dtype)
    np.maximum.at(largest, group, values._array)
    shifted = values - wrap(largest[group])
    totals = _added(shifted.exp(), group, merged.nnz).index_select(0, rows)
    return build(shifted.exp() / totals if name == "softmax" else shifted - totals.log(), pattern, node)


def softmax(input, dim, *, dtype=None):
    """Softmax along a dimension of a sparse tensor, over its entries: the others count as minus infinity.

    Args:
        input: a sparse tensor.
        dim: the dimension.
        dtype: the type to compute in.
    Returns:
        A coalesced sparse tensor with the same places.

    >>> import rushlight as torch
    >>> torch.sparse.softmax(torch.eye(2).to_sparse(), 1).values()
    tensor([1., 1.])
    """
    return _softmax("softmax", input, dim, dtype)


def log_softmax(input, dim, *, dtype=None):
    """The logarithm of `softmax`.

    >>> import rushlight as torch
    >>> torch.sparse.log_softmax(torch.eye(2).to_sparse(), 1).values()
    tensor([0., 0.])
    """
    return _softmax("log_softmax", input, dim, dtype)
