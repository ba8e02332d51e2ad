"""The same memory in other shapes and orders: view, reshape, transpose, permute and their like."""

import math
import warnings

import numpy as np
from numpy.lib.stride_tricks import as_strided as as_strided_array

from rushlight import kernels as K
from rushlight.autograd.node import Node, connect
from rushlight.autograd.views import before, check_writable, view_of
from rushlight.devices import contiguous_format
from rushlight.dtypes import SCALAR_NAMES
from rushlight.dtypes import dtype as dtype_class
from rushlight.kernels.reference.layout import empty_by, zeros_by
from rushlight.ops.common import (
    MODE,
    Tensor,
    check_tensor,
    overloaded,
    record,
    recording,
    required_dim,
    unset,
    wrap,
)
from rushlight.ops.registry import alias, numpy_names, op
from rushlight.sparse_tensor import SparseError
from rushlight.tensor import check_dim

# -- helpers ----------------------------------------------------------------------------------------


def viewed(x: Tensor, array: np.ndarray, node_type: type[Node], **fields) -> Tensor:
    """A view of `x` that shows `array`, with its node where the graph is being recorded."""
    view = view_of(x, array)
    if x._rg and MODE.enabled:
        node = connect(node_type(), (x,))
        node.__dict__.update(fields)
        view._node, view._rg = node, True
    return view


class PartNode(Node):
    """A view of part of a tensor's elements: `pick` takes the part from an array of `shape`."""

    def backward(self, grad):
        return embed(grad, self.shape, self.pick)


class EmbedBackward0(Node):
    def backward(self, grad):
        return part(grad, self.pick, SliceBackward0)


class SliceBackward0(PartNode):
    pass


class SelectBackward0(PartNode):
    pass


class DiagonalBackward0(PartNode):
    pass


def embed(grad: Tensor, shape: tuple, pick) -> Tensor:
    """Zeros of `shape`, with `grad` in the part that `pick` takes."""
    array = zeros_by(grad._array, shape)
    K.copy(pick(array), grad._array)
    if recording(grad):
        return record(array, EmbedBackward0, (grad,), pick=pick)
    return wrap(array)


def part(x: Tensor, pick, node_type: type[PartNode]) -> Tensor:
    """The view of `x` that `pick` takes from its array."""
    array = x._strided()
    return viewed(x, pick(array), node_type, shape=array.shape, pick=pick)


def sizes(op_name: str, args: tuple):
    """A shape given as several numbers or as one sequence of them."""
    if len(args) == 1:
        only = args[0]
        if type(only) is int:
            return args
        try:
            return tuple(only)
        except TypeError:
            pass
    elif not args:
        raise TypeError(f'{op_name}() missing 1 required positional arguments: "shape"')
    return args


def dims_tuple(dims, ndim: int, op_name: str) -> tuple:
    """Dimensions given as one number or several, counted from the front; each may occur once."""
    if not isinstance(dims, (tuple, list)):
        dims = (dims,)
    found = tuple(check_dim(d, ndim) for d in dims)
    if len(set(found)) != len(found):
        repeated = next(d for d in found if found.count(d) > 1)
        raise RuntimeError(f"{op_name}(): dim {repeated} appears multiple times in the list of dims")
    return found


def same_memory(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a reshaped array still lies in the other's memory."""
    return a.size == 0 or np.may_share_memory(a, b)


def strided(array: np.ndarray, shape: tuple, strides: tuple) -> np.ndarray:
    """A writeable view of an array with this shape and these steps in bytes."""
    if array.flags.c_contiguous and array.dtype.kind != "V" and array.size:
        return np.ndarray.__new__(
            type(array), shape, array.dtype, array, 0, strides
        )  # ten times quicker than as_strided
    return as_strided_array(array, shape, strides, subok=True)


def at_dim(dim: int, what) -> tuple:
    return (slice(None),) * dim + (what,)


class AliasBackward0(Node):
    def backward(self, grad):
        return grad


def slice_dim(x: Tensor, dim: int, start: int, stop: int) -> Tensor:
    """The positions from `start` up to `stop` of a dimension, as a view."""
    where = at_dim(dim, slice(start, stop))
    return part(x, lambda a: a[where], SliceBackward0)


# -- other shapes -----------------------------------------------------------------------------------


class ViewBackward0(Node):
    def backward(self, grad):
        return reshape(grad, self.shape)


class UnsafeViewBackward0(ViewBackward0):
    pass


class ViewAsTypeBackward0(Node):
    """Bits read as another type have no gradient."""


def _shape_error(array: np.ndarray, shape) -> Exception:
    try:
        shape = [int(s.__index__()) for s in shape]
    except AttributeError:
        bad = next(s for s in shape if not hasattr(s, "__index__"))
        return TypeError(f"shape: expected ints, got {type(bad).__name__} in {tuple(shape)}")
    if shape.count(-1) > 1:
        return RuntimeError("only one dimension can be inferred")
    if any(s < -1 for s in shape):
        return RuntimeError(f"invalid shape dimension {next(s for s in shape if s < -1)}")
    if array.size == 0 and -1 in shape and 0 in shape:
        return RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {shape} because the unspecified dimension size "
            "-1 can be "
            "any value and is ambiguous"
        )
    return RuntimeError(
        f"shape '{shape}' is invalid for input of size {array.size} (got a tensor of shape "
        f"{list(array.shape)})"
    )


def _reshaped(x: Tensor, shape) -> Tensor:
    """The view of `x` of this shape; a copy where there can be no view."""
    array = x._strided()
    try:
        out = array.reshape(shape)
        if out.shape != shape and min(shape) < -1:  # NumPy takes any negative number for -1
            raise ValueError
    except (ValueError, TypeError):
        raise _shape_error(array, shape) from None
    if array.flags.c_contiguous or same_memory(out, array):
        result, kind = view_of(x, out), ViewBackward0
    else:
        result, kind = wrap(out), UnsafeViewBackward0
    if x._rg and MODE.enabled:
        node = connect(kind(), (x,))
        node.shape = array.shape
        result._node, result._rg = node, True
    return result


@op()
def reshape(input, *shape, **named):
    """The same elements in another shape: a view where memory allows, else a copy.

    Args:
        input: a tensor.
        shape: the new dimensions; one of them may be -1, which is then worked out.
    Raises:
        RuntimeError: the shape holds another number of elements.

    >>> import rushlight as torch
    >>> torch.reshape(torch.arange(4), (2, -1))
    tensor([[0, 1],
            [2, 3]])
    """
    if named:
        shape = (named["shape"],)
    try:
        return _reshaped(input, sizes("reshape", shape))
    except AttributeError:
        check_tensor("reshape", input)
        raise


@op()
def view(input, *shape, size=None, dtype=None):
    """The same memory in another shape, or read as another type.

    Args:
        input: a tensor.
        shape: the new dimensions, one of which may be -1; or a dtype.
    Raises:
        RuntimeError: the shape holds another number of elements, or memory is laid out so that it
            needs a copy.

    >>> import rushlight as torch
    >>> torch.arange(4).view(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    if size is not None:
        shape = (size,)
    if dtype is not None or (len(shape) == 1 and isinstance(shape[0], dtype_class)):
        return _view_dtype(input, dtype or shape[0])
    shape = sizes("view", shape)
    array = input._strided()
    try:
        out = array.reshape(shape)
        if out.shape != shape and min(shape) < -1:  # NumPy takes any negative number for -1
            raise ValueError
    except (ValueError, TypeError):
        raise _shape_error(array, shape) from None
    if not array.flags.c_contiguous and not same_memory(out, array):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans "
            "across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    result = view_of(input, out)
    if input._rg and MODE.enabled:
        node = connect(ViewBackward0(), (input,))
        node.shape = array.shape
        result._node, result._rg = node, True
    return result


def _view_dtype(x: Tensor, kind: dtype_class) -> Tensor:
    array = x._strided()
    old, new = array.dtype.itemsize, kind.itemsize
    if old != new:
        if array.ndim == 0:
            raise RuntimeError(
                f"self.dim() cannot be 0 to view {SCALAR_NAMES[x.dtype]} as {SCALAR_NAMES[kind]} (different "
                "element sizes)"
            )
        if array.shape[-1] * old % new:
            raise RuntimeError(
                f"self.size(-1) must be divisible by {new // old} to view {SCALAR_NAMES[x.dtype]} as "
                f"{SCALAR_NAMES[kind]} (different element sizes), but got {array.shape[-1]}"
            )
        if array.strides[-1] != old and array.shape[-1] > 1:
            raise RuntimeError(
                f"self.stride(-1) must be 1 to view {SCALAR_NAMES[x.dtype]} as {SCALAR_NAMES[kind]} "
                "(different element "
                f"sizes), but got {array.strides[-1] // old}"
            )
    view = view_of(x, array.view(kind.numpy))
    if x._rg and MODE.enabled and x.dtype is kind:
        view._node, view._rg = connect(AliasBackward0(), (x,)), True
    return view


@op()
def view_as(input, other):
    """The same memory in the shape of another tensor.

    >>> import rushlight as torch
    >>> torch.arange(4).view_as(torch.zeros(2, 2)).shape
    torch.Size([2, 2])
    """
    return view(input, other._array.shape)


@op()
def reshape_as(input, other):
    """The same elements in the shape of another tensor.

    >>> import rushlight as torch
    >>> torch.arange(4).reshape_as(torch.zeros(2, 2)).shape
    torch.Size([2, 2])
    """
    return _reshaped(input, other._array.shape)


@op()
def flatten(input, start_dim=0, end_dim=-1):
    """The dimensions from `start_dim` to `end_dim` made one.

    Args:
        input: a tensor.
        start_dim, end_dim: the first and the last of them.
    Raises:
        RuntimeError: the first comes after the last.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3, 4).flatten(1).shape
    torch.Size([2, 12])
    """
    shape = check_tensor("flatten", input)._array.shape
    first, last = check_dim(start_dim, len(shape)), check_dim(end_dim, len(shape))
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if first == last and shape:
        return input
    return _reshaped(input, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@op()
def ravel(input):
    """All elements in one dimension.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).ravel()
    tensor([1, 2, 3, 4])
    """
    return view(input.contiguous(), -1)


@op()
@numpy_names
def unflatten(input, dim, sizes):
    """One dimension made several.

    Args:
        input: a tensor.
        dim: the dimension.
        sizes: what it becomes; one of them may be -1.
    Raises:
        RuntimeError: their product is not the size of the dimension.

    >>> import rushlight as torch
    >>> torch.zeros(2, 6).unflatten(1, (3, -1)).shape
    torch.Size([2, 3, 2])
    """
    shape = check_tensor("unflatten", input)._array.shape
    dim = check_dim(dim, len(shape))
    if not len(sizes):
        raise RuntimeError("unflatten: sizes must be non-empty")
    inner = [int(s) for s in sizes]
    known = math.prod(s for s in inner if s != -1)
    if inner.count(-1) == 1 and known and shape[dim] % known == 0:
        inner[inner.index(-1)] = shape[dim] // known
    if -1 in inner or math.prod(inner) != shape[dim]:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} "
            f"({shape[dim]}) in the "
            "input tensor"
        )
    return view(input, (*shape[:dim], *inner, *shape[dim + 1 :]))


class SqueezeBackward0(ViewBackward0):
    pass


class SqueezeBackward1(ViewBackward0):
    pass


class SqueezeBackward2(ViewBackward0):
    pass


def _squeeze(array: np.ndarray, dim) -> tuple[np.ndarray, type[Node]]:
    if dim is None:
        return array.squeeze(), SqueezeBackward0
    if isinstance(dim, (tuple, list)):
        dims = dims_tuple(dim, array.ndim, "squeeze")
        return array.squeeze(tuple(d for d in dims if array.ndim and array.shape[d] == 1)), SqueezeBackward2
    dim = check_dim(dim, array.ndim)
    squeezable = array.ndim and array.shape[dim] == 1
    return array.squeeze(dim) if squeezable else array.view(), SqueezeBackward1


@op(inplace=lambda self, dim=None: _set_view(self, _squeeze(self._strided(), dim)[0], SqueezeBackward3))
def squeeze(input, dim=None, *, axis=None):
    """Dimensions of size 1 taken away: all of them, or those given where their size is 1.

    >>> import rushlight as torch
    >>> torch.zeros(1, 3, 1).squeeze().shape
    torch.Size([3])
    """
    array = input._strided()
    out, node_type = _squeeze(array, dim if axis is None else axis)
    return viewed(input, out, node_type, shape=array.shape)


class SqueezeBackward3(ViewBackward0):
    pass


class UnsqueezeBackward0(ViewBackward0):
    pass


class UnsqueezeBackward1(ViewBackward0):
    pass


_INSERT = [at_dim(d, None) for d in range(8)]


def _unsqueeze(array: np.ndarray, dim: int) -> np.ndarray:
    rank = array.ndim + 1
    if dim < 0:
        dim += rank
    if not 0 <= dim < rank:
        check_dim(dim if dim >= rank else dim - rank, rank)
    return array[_INSERT[dim] if dim < 8 else at_dim(dim, None)]


@op(inplace=lambda self, dim: _set_view(self, _unsqueeze(self._strided(), dim), UnsqueezeBackward1))
def unsqueeze(input, dim=None, *, axis=None):
    """A dimension of size 1 inserted before `dim`.

    >>> import rushlight as torch
    >>> torch.zeros(3).unsqueeze(0).shape
    torch.Size([1, 3])
    """
    if dim is None:
        dim = required_dim("unsqueeze", axis)
    try:
        array = input._strided()
    except SparseError:
        return overloaded("unsqueeze", input, dim)
    view = view_of(input, _unsqueeze(array, dim))
    if input._rg and MODE.enabled:
        node = connect(UnsqueezeBackward0(), (input,))
        node.shape = array.shape
        view._node, view._rg = node, True
    return view


def _set_view(t: Tensor, array: np.ndarray, node_type: type[Node], **fields) -> Tensor:
    """Give `t` another shape of its own memory, in place."""
    if t._rg and MODE.enabled:
        check_writable(t)
        node = connect(node_type(), (before(t),))
        node.__dict__.update(fields, shape=t._array.shape)
        t._node, t._nr = node, 0
    if not array.flags.c_contiguous and t._format is None:
        t._format = "fixed"  # this order of dimensions is the user's wish
    t._array = array
    t._bump()
    return t


# -- other orders -----------------------------------------------------------------------------------


class TransposeBackward0(Node):
    def backward(self, grad):
        return transpose(grad, *self.dims)


class TransposeBackward1(TransposeBackward0):
    pass


@op(inplace=lambda self, dim0, dim1: _transpose_in_place(self, dim0, dim1))
def transpose(input, dim0, dim1):
    """Two dimensions swapped.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).transpose(0, 1).shape
    torch.Size([3, 2])
    """
    try:
        array = input._strided()
    except SparseError:
        return overloaded("transpose", input, dim0, dim1)
    try:
        out = array.swapaxes(dim0, dim1)
    except (ValueError, TypeError):
        dim0, dim1 = check_dim(dim0, array.ndim), check_dim(dim1, array.ndim)
        out = array.view() if array.ndim == 0 else array.swapaxes(dim0, dim1)
    view = view_of(input, out)
    if input._rg and MODE.enabled:
        node = connect(TransposeBackward0(), (input,))
        node.dims = dim0, dim1
        view._node, view._rg = node, True
    return view


def _transpose_in_place(self, dim0, dim1):
    """In-place form of `transpose`."""
    array = self._strided()
    dims = check_dim(dim0, array.ndim), check_dim(dim1, array.ndim)
    return _set_view(self, array.swapaxes(*dims) if array.ndim else array, TransposeBackward1, dims=dims)


alias("swapdims", transpose)


@op(inplace=lambda self, axis0, axis1: _transpose_in_place(self, axis0, axis1))
def swapaxes(input, axis0, axis1):
    """Two dimensions swapped: `transpose` under NumPy's name.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).swapaxes(0, 1).shape
    torch.Size([3, 2])
    """
    return transpose(input, axis0, axis1)


class TBackward0(Node):
    def backward(self, grad):
        return t(grad)


class TBackward1(TBackward0):
    pass


@op(inplace=lambda self: _set_view(self, _t_array(self), TBackward1))
def t(input):
    """The transpose of a matrix; vectors and single numbers as they are.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).t().shape
    torch.Size([3, 2])
    """
    try:
        return viewed(input, _t_array(input), TBackward0)
    except SparseError:
        return overloaded("t", input)


def _t_array(x: Tensor) -> np.ndarray:
    if x._array.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {x._array.ndim}D. Use transpose(dim0, "
            "dim1)."
        )
    return x._array.T


class PermuteBackward0(Node):
    def backward(self, grad):
        return permute(grad, self.inverse)


@op()
def permute(input, *dims, **named):
    """The dimensions in another order.

    Args:
        input: a tensor.
        dims: for each new dimension, the old one that it is.
    Raises:
        RuntimeError: not every dimension is named once.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3, 4).permute(2, 0, 1).shape
    torch.Size([4, 2, 3])
    """
    if named:
        dims = (named["dims"],)
    try:
        array = check_tensor("permute", input)._strided()
    except SparseError:
        return overloaded("permute", input, *dims)
    dims = () if not dims else sizes("permute", dims)
    if len(dims) != array.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the "
            "desired "
            f"ordering of dimensions i.e. input.dim() = {array.ndim} is not equal to len(dims) = {len(dims)}"
        )
    order = tuple([check_dim(d, array.ndim) for d in dims])
    if len(set(order)) != len(order):
        raise RuntimeError(f"permute(): duplicate dims are not allowed, got {tuple(dims)}")
    return _permuted(input, array, order)


def _permuted(x: Tensor, array: np.ndarray, order: tuple) -> Tensor:
    view = view_of(x, array.transpose(order))
    if x._rg and MODE.enabled:
        node = connect(PermuteBackward0(), (x,))
        node.inverse = tuple(sorted(range(len(order)), key=order.__getitem__))
        view._node, view._rg = node, True
    return view


@op()
def movedim(input, source, destination):
    """Dimensions moved to other places; the others keep their order.

    Args:
        input: a tensor.
        source: a dimension or several.
        destination: where each of them goes.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3, 4).movedim(0, -1).shape
    torch.Size([3, 4, 2])
    """
    array = check_tensor("movedim", input)._strided()
    from_, to = dims_tuple(source, array.ndim, "movedim"), dims_tuple(destination, array.ndim, "movedim")
    if len(from_) != len(to):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(from_)} dims) should contain the "
            "same number "
            f"of dims as destination ({list(to)} dims)"
        )
    if array.ndim == 0:
        return viewed(input, array.view(), AliasBackward0)
    order = [d for d in range(array.ndim) if d not in from_]
    for place_, dim in sorted(zip(to, from_, strict=True)):
        order.insert(place_, dim)
    return _permuted(input, array, tuple(order))


alias("moveaxis", movedim)


def _T(self):
    """The dimensions in reverse order: the transpose of a matrix."""
    array = self._strided()
    if array.ndim not in (0, 2):
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and "
            "it will throw "
            "an error in a future release. Consider `x.mT` to transpose batches of matrices or "
            "`x.permute(*torch.arange("
            "x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor.",
            stacklevel=2,
        )
    return _permuted(self, array, tuple(range(array.ndim - 1, -1, -1)))


def _mT(self):
    """The last two dimensions swapped."""
    if self._array.ndim < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {self.ndim}-D tensor."
        )
    return transpose(self, -2, -1)


Tensor.T, Tensor.mT = property(_T), property(_mT)


# -- other sizes of one's own memory ----------------------------------------------------------------


def resize_(self, *sizes_, memory_format=contiguous_format):
    """Change the shape in place, with new memory where more is needed; what is new is not initialised.

    Raises:
        RuntimeError: the tensor requires gradients.
    """
    if self._rg:
        raise RuntimeError("cannot resize variables that require grad")
    shape = tuple(int(n) for n in sizes("resize_", sizes_))
    array = self._strided()
    if array.shape == shape:
        return self
    flat = array.ravel(order="K")  # as it lies in memory, whose part it stays where that is dense
    if math.prod(shape) <= flat.size:
        self._array = flat[: math.prod(shape)].reshape(shape)
    else:
        self._array = unset(shape, array.dtype) if type(array) is np.ndarray else empty_by(array, shape)
        self._array.reshape(-1)[: flat.size] = flat
    self._bump()
    return self


def resize_as_(self, the_template, memory_format=contiguous_format):
    """`resize_` to the shape of another tensor."""
    return resize_(self, the_template._array.shape)


Tensor.resize_, Tensor.resize_as_ = resize_, resize_as_


def _atleast(name: str, rank: int, reach):
    def one(x):
        return reach(x) if check_tensor(name, x)._array.ndim < rank else x

    def function(*tensors):
        if len(tensors) == 1:
            only = tensors[0]
            return one(only) if isinstance(only, Tensor) else tuple(one(x) for x in only)
        return tuple(one(x) for x in tensors)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The tensor, or each of several, with {rank} or more dimensions.

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor(1)).ndim
    {rank}
    """
    return op(method=False)(function)


def _reach_3d(x):
    if x._array.ndim == 2:
        return unsqueeze(x, -1)
    return unsqueeze(unsqueeze(x, 0), -1) if x._array.ndim else reshape(x, (1, 1, 1))


atleast_1d = _atleast("atleast_1d", 1, lambda x: reshape(x, (1,)))
atleast_2d = _atleast("atleast_2d", 2, lambda x: unsqueeze(x, 0) if x._array.ndim else reshape(x, (1, 1)))
atleast_3d = _atleast("atleast_3d", 3, _reach_3d)
