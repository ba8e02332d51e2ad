"""`x[...]` and `x[...] = value`: basic indexing gives views, tensors and lists as indices give copies."""

import operator
import warnings

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node, connect
from rushlight.autograd.views import after, before, check_writable, view_of
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import c_order, zeros_by
from rushlight.ops.common import MODE, Tensor, record, recording, sum_to, wrap
from rushlight.ops.creation import fill_value_of
from rushlight.ops.data import to_array
from rushlight.ops.registry import op
from rushlight.ops.shape import AliasBackward0, SelectBackward0, SliceBackward0, UnsqueezeBackward0, embed

_FULL = slice(None)

# -- reading: basic ---------------------------------------------------------------------------------


class _InsertBackward0(UnsqueezeBackward0):
    """A basic index that ends with a new dimension."""

    def backward(self, grad):
        return embed(grad, self.shape, self.pick)


_InsertBackward0.__name__ = "UnsqueezeBackward0"


class _PartAliasBackward0(AliasBackward0):
    def backward(self, grad):
        return embed(grad, self.shape, self.pick)


_PartAliasBackward0.__name__ = "AliasBackward0"


def getitem(self, index):
    """The elements at an index: a view where it is made of numbers, slices, None and `...`, else a copy.

    Raises:
        IndexError: out of range, too many indices, or of an unknown kind.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]])[:, 1]
    tensor([2, 4])
    """
    kind = type(index)
    if kind is int:
        where = (index, ...)
    elif kind is tuple:
        where = _basic(index)
    elif kind is slice:
        where = _basic((index,))
    else:
        where = None
    if where is None:
        return _getitem_general(self, index)
    return _getitem_basic(self, where)


def _basic(index: tuple):
    """A basic index as NumPy wants it to give a view in any case; None where it is not basic."""
    dots = False
    for i in index:
        kind = type(i)
        if kind is int or i is None:
            continue
        if kind is slice:
            if i.step is not None and i.step <= 0:
                raise ValueError(
                    f"step must be greater than zero, got {i}. Use torch.flip to reverse a dimension."
                )
        elif i is Ellipsis:
            dots = True
        else:
            return None
    return index if dots else (*index, ...)


def _getitem_basic(x: Tensor, where: tuple) -> Tensor:
    array = x._strided()
    try:
        out = array[where]
    except IndexError as error:
        raise _index_error(array, where, error) from None
    view = view_of(x, out)
    if x._rg and MODE.enabled:
        node = connect(_basic_node(where)(), (x,))
        node.shape, node.pick = array.shape, operator.itemgetter(where)
        view._node, view._rg = node, True
    return view


def _basic_node(where: tuple) -> type[Node]:
    """The node that PyTorch shows: that of the last step."""
    for i in reversed(where):
        if type(i) is int:
            return SelectBackward0
        if i is None:
            return _InsertBackward0
        if i is not Ellipsis and (i != _FULL or len(where) == 2):
            return SliceBackward0
    return _PartAliasBackward0


def _index_error(array: np.ndarray, where: tuple, error: Exception) -> Exception:
    """PyTorch's words for an index that NumPy refused."""
    if array.ndim == 0 and any(type(i) is int for i in where):
        return IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
            "convert a "
            "0-dim tensor to a number"
        )
    text = str(error)
    if "too many indices" in text:
        return IndexError(f"too many indices for tensor of dimension {array.ndim}, got {where}")
    return IndexError(text.replace("for axis", "for dimension"))


# -- reading: general -------------------------------------------------------------------------------


def _index_array(item) -> np.ndarray:
    """A tensor, array or list as an index array of int64 or bool."""
    array = item._array if isinstance(item, Tensor) else item
    if not isinstance(array, np.ndarray):
        array = to_array(array, None)
        if array.size == 0:
            array = array.astype(np.int64)
    kind = array.dtype
    if kind == np.int64 or kind == np.bool_:
        return array
    if kind == np.int32:
        return array.astype(np.int64)
    if kind == np.uint8:
        warnings.warn(
            "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.",
            stacklevel=5,
        )
        return array.astype(np.bool_)
    raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, got {array.dtype}")


def _item(item):
    """One part of an index in its plain form: int, slice, None, Ellipsis, bool or array."""
    if item is None or item is Ellipsis or type(item) in (int, bool):
        return item
    if isinstance(item, slice):
        if item.step is not None and item.step <= 0:
            raise ValueError(
                f"step must be greater than zero, got {item}. Use torch.flip to reverse a dimension."
            )
        return item
    if isinstance(item, (bool, np.bool_)):
        return bool(item)
    if isinstance(item, (Tensor, np.ndarray)):
        array = _index_array(item)
        if array.ndim:
            return array
        return bool(array) if array.dtype == np.bool_ else int(array)
    if isinstance(item, (list, tuple, range)):
        return _index_array(list(item))
    if hasattr(item, "__index__"):
        return operator.index(item)
    if isinstance(item, str):
        raise TypeError(f"new(): invalid data type 'str': the index {item!r} of a tensor must be a number")
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
        "(got "
        f"{type(item).__name__}); convert it: int(...), or .long() for a tensor"
    )


def _means_tuple(index) -> bool:
    """Whether an index is several; PyTorch takes short lists of lists, slices and tensors for tuples."""
    if isinstance(index, tuple):
        return True
    if not isinstance(index, list) or len(index) >= 32:
        return False
    if not any(
        i is None or i is Ellipsis or isinstance(i, (Tensor, np.ndarray, list, tuple, slice)) for i in index
    ):
        return False
    warnings.warn(
        "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in "
        "pytorch 2.9; use "
        "x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as tensor index, "
        "x[torch.tensor(seq)], which will result either in an error or a different result",
        stacklevel=5,
    )
    return True


def parse(shape: tuple, index) -> tuple[tuple, tuple | None]:
    """An index as a basic part, and what remains for tensors.

    Args:
        shape: that of the indexed tensor.
        index: as written between the brackets.
    Returns:
        The basic index, and the index of the resulting view: arrays and full slices (or None).
    """
    items = [_item(i) for i in (index if _means_tuple(index) else (index,))]
    used = sum(i.ndim if isinstance(i, np.ndarray) and i.dtype == np.bool_ else _uses(i) for i in items)
    if used > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}, got {used}")
    basic: list = []
    arrays: list = []  # for each dimension of the view: an array, or a full slice
    dim = 0
    for number, i in enumerate(items):
        if i is Ellipsis:
            rest = len(shape) - used
            basic += [_FULL] * rest
            arrays += [_FULL] * rest
            dim += rest
            used = len(shape)  # a second one stands for nothing
        elif type(i) is int:
            basic.append(i)
            dim += 1
        elif i is None or type(i) is slice:
            basic.append(i)
            arrays.append(_FULL)
            dim += i is not None
        elif type(i) is bool:
            basic.append(None)
            arrays.append(np.zeros(int(i), np.int64))
        elif i.dtype == np.bool_:
            if i.shape != shape[dim : dim + i.ndim]:
                raise IndexError(
                    f"The shape of the mask {list(i.shape)} at index {number} does not match the shape of "
                    "the indexed "
                    f"tensor {list(shape)} at index {dim}"
                )
            basic += [_FULL] * i.ndim
            arrays.append(i)
            dim += i.ndim
        else:
            basic.append(_FULL)
            arrays.append(i)
            dim += 1
    if all(a is _FULL for a in arrays):
        return (*basic, ...), None
    return (*basic, ...), tuple(arrays)


def _uses(item) -> int:
    return 0 if item is None or item is Ellipsis or type(item) is bool else 1


def _trivial(basic: tuple) -> bool:
    return all(i is Ellipsis or (type(i) is slice and i == _FULL) for i in basic)


def _getitem_general(x: Tensor, index) -> Tensor:
    basic, arrays = parse(x._array.shape, index)
    view = x if arrays is not None and _trivial(basic) else _getitem_basic(x, basic)
    return view if arrays is None else advanced(view, arrays, _tensors_of(index))


def take_arrays(array: np.ndarray, where: tuple) -> np.ndarray:
    """The copy that an index of arrays and full slices selects."""
    try:
        if len(where) == 1 and where[0].dtype != np.bool_ and array.flags.c_contiguous:
            return array.take(where[0], 0)
        return c_order(array[where])
    except IndexError as error:
        raise _array_error(array, where, error) from None


def _array_error(array: np.ndarray, where: tuple, error: Exception) -> Exception:
    text = str(error)
    if "shape mismatch" in text:
        shapes = ", ".join(str(list(w.shape)) for w in where if w is not _FULL)
        return IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        )
    dim = 0
    for w in where:
        if w is not _FULL and w.dtype != np.bool_ and w.size:
            n = array.shape[dim]
            low, high = int(w.min()), int(w.max())
            if high >= n or low < -n:
                return IndexError(
                    f"index {high if high >= n else low} is out of bounds for dimension {dim} with size {n}"
                )
        dim += 1 if w is _FULL or w.dtype != np.bool_ else w.ndim
    return IndexError(text)


class IndexBackward0(Node):
    def backward(self, grad):
        self.unpack()  # refuses an index that was changed since
        return unindexed(grad, self.shape, self.where)


class IndexPutZerosBackward0(Node):
    """The gradient of an indexed tensor, as a function of the gradient of the result."""

    def backward(self, grad):
        return advanced(grad, self.where)


def _tensors_of(index) -> tuple:
    """The tensors in an index: a gradient needs them as they were."""
    items = index if type(index) in (tuple, list) else (index,)
    return tuple(i for i in items if isinstance(i, Tensor))


def advanced(x: Tensor, where: tuple, tensors: tuple = ()) -> Tensor:
    """A copy of what an index of arrays and full slices selects; `tensors` are those that the arrays belong to."""
    array = x._strided()
    out = take_arrays(array, where)
    if x._rg and MODE.enabled:
        return record(out, IndexBackward0, (x,), *tensors, shape=array.shape, where=where)
    return wrap(out)


def unindexed(grad: Tensor, shape: tuple, where: tuple) -> Tensor:
    """Zeros of `shape`, with `grad` added at the places that the index selects."""
    array = _scattered(grad._array, shape, where)
    if recording(grad):
        return record(array, IndexPutZerosBackward0, (grad,), where=where)
    return wrap(array)


def _scattered(g: np.ndarray, shape: tuple, where: tuple) -> np.ndarray:
    if len(where) == 1 and where[0].dtype != np.bool_ and len(shape) > 1 and g.size:
        rows = where[0].reshape(-1)
        width = g.size // rows.size
        return K.embedding_backward(g.reshape(rows.size, width), rows % shape[0], shape[0]).reshape(shape)
    array = zeros_by(g, shape)
    if any(w is not _FULL and w.dtype != np.bool_ for w in where):
        np.add.at(array, where, g)
    else:
        array[where] = g
    return array


# -- writing ----------------------------------------------------------------------------------------


class CopySlices(Node):
    """A tensor after part of it was overwritten."""

    def backward(self, grad):
        self.unpack()
        to_self, to_value = self.edges
        kept = given = None
        if to_self is not None:
            kept = grad.clone()
            setitem(kept, self.index, 0)
        if to_value is not None:
            given = fitted(getitem(grad, self.index), self.value_shape)
            if given.dtype is not self.value_dtype:
                given = given.to(self.value_dtype)
        return kept, given


class IndexPutBackward0(CopySlices):
    pass


def fitted(grad: Tensor, shape: tuple) -> Tensor:
    """The gradient of a value that was broadcast from `shape`, which may have further leading ones."""
    extra = len(shape) - grad._array.ndim
    return sum_to(grad, shape) if extra <= 0 else sum_to(grad, shape[extra:]).reshape(shape)


def setitem(self, index, value):
    """Write `value`, a tensor or a number, to the elements at an index.

    Raises:
        IndexError: as for reading. RuntimeError: shapes or types don't fit, or autograd forbids it.
    """
    check_writable(self)
    if type(index) is int:
        basic, arrays = (index, ...), None
    elif type(index) is slice or type(index) is tuple:
        basic, arrays = _basic(index if type(index) is tuple else (index,)), None
    else:
        basic = arrays = None
    if basic is None:
        basic, arrays = parse(self._array.shape, index)
    is_tensor = isinstance(value, Tensor)
    if arrays is not None and is_tensor and value._array.dtype != self._array.dtype:
        _check_put_type(self, arrays, value)
    if MODE.enabled and (self._rg or (is_tensor and value._rg and self.dtype.category > 1)):
        old = before(self)
        node_type = CopySlices if arrays is None else IndexPutBackward0
        node = connect(node_type(), (old, value if is_tensor else None))
        node.index = index
        tensors = _tensors_of(index)
        if tensors:
            node.save(*tensors)
        if is_tensor:
            node.value_shape, node.value_dtype = value._array.shape, value.dtype
    else:
        node = None
    source = value._array if is_tensor else _scalar(self, value)
    if is_tensor and source.dtype != self._array.dtype:
        source = _cast_quietly(source, self._array.dtype)
    _write(self._array, basic, arrays, source)
    after(self, node)


def _check_put_type(t: Tensor, arrays: tuple, value: Tensor) -> None:
    """Only a single number may be of another type than the elements that a mask selects."""
    masks = all(a is _FULL or a.dtype == np.bool_ for a in arrays)
    if not (masks and value._array.size == 1):
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {SCALAR_NAMES[t.dtype]} for "
            "the "
            f"destination and {SCALAR_NAMES[value.dtype]} for the source."
        )


def _scalar(t: Tensor, value):
    kind = t._array.dtype
    if type(value) in (float, int) and kind.kind == "f" and kind.itemsize > 2 and -3e38 < value < 3e38:
        return value
    if not isinstance(value, (bool, int, float, complex, np.number, np.bool_)):
        raise TypeError(
            f"can't assign a {type(value).__name__} to a torch.{SCALAR_NAMES[t.dtype]}Tensor; wrap it: "
            "x[...] = torch.tensor(value)"
        )
    with np.errstate(all="ignore"):
        return np.asanyarray(fill_value_of(value, t.dtype, "setitem")).astype(kind)


def _cast_quietly(source: np.ndarray, kind: np.dtype) -> np.ndarray:
    with np.errstate(all="ignore"):
        return (source.real if source.dtype.kind == "c" and kind.kind != "c" else source).astype(kind)


def _write(array: np.ndarray, basic: tuple, arrays: tuple | None, source) -> None:
    """Write numbers, of the array's own type, to the elements at an index."""
    try:
        if arrays is None:
            array[basic] = source
        else:
            array[basic][arrays] = source
    except IndexError as error:
        if arrays is None:
            raise _index_error(array, basic, error) from None
        raise _array_error(array[basic], arrays, error) from None
    except ValueError:
        wanted = array[basic] if arrays is None else take_arrays(array[basic], arrays)
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(source.shape)} cannot be broadcast to indexing "
            "result of "
            f"shape {list(wanted.shape)}"
        ) from None


def delitem(self, index):
    """Elements of a tensor cannot be deleted: raises TypeError."""
    raise TypeError("Tensor does not support deleting items")


Tensor.__getitem__ = getitem
Tensor.__setitem__ = setitem
Tensor.__delitem__ = delitem


# -- copies in place --------------------------------------------------------------------------------


class CopyBackwards(Node):
    def backward(self, grad):
        to_self, to_source = self.edges
        given = None
        if to_source is not None:
            given = sum_to(grad, self.shape)
            if given.dtype is not self.kind:
                given = given.to(self.kind)
        return None if to_self is None else grad.new_zeros(grad._array.shape), given


def copy_(self, src, non_blocking=False):
    """Copy the elements of another tensor into this one, converting their type.

    Args:
        src: a tensor whose shape broadcasts to this one's.
        non_blocking: accepted, without effect on the CPU.
    Raises:
        RuntimeError: the shapes don't fit.

    >>> import rushlight as torch
    >>> torch.zeros(2).copy_(torch.tensor([1, 2]))
    tensor([1., 2.])
    """
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}")
    check_writable(self)
    node = None
    if MODE.enabled and (self._rg or (src._rg and self.dtype.category > 1)):
        node = connect(CopyBackwards(), (before(self), src))
        node.shape, node.kind = src._array.shape, src.dtype
    array, source = self._array, src._array
    try:
        if array.dtype == source.dtype:
            K.copy(array, source)
        else:
            _copy_cast(array, source)
    except ValueError:
        raise _copy_error(array.shape, source.shape) from None
    return after(self, node)


def _copy_cast(array: np.ndarray, source: np.ndarray) -> None:
    if source.dtype.kind == "c" and array.dtype.kind != "c":
        warnings.warn("Casting complex values to real discards the imaginary part", stacklevel=3)
        source = source.real
    with np.errstate(all="ignore"):
        np.copyto(array, source, casting="unsafe")


def _copy_error(shape: tuple, source: tuple) -> RuntimeError:
    from rushlight.ops.common import broadcast_error

    try:
        both = np.broadcast_shapes(shape, source)
    except ValueError:
        return broadcast_error("copy_", shape, source)
    return RuntimeError(
        f"output with shape {list(shape)} doesn't match the broadcast shape {list(both)} (copy_)"
    )


class FillBackward2(Node):
    def backward(self, grad):
        return grad.new_zeros(grad._array.shape)


class FillBackward3(Node):
    def backward(self, grad):
        to_self, to_value = self.edges
        return (
            None if to_self is None else grad.new_zeros(grad._array.shape),
            None if to_value is None else grad.sum().to(self.kind),
        )


class ZeroBackward0(FillBackward2):
    pass


def fill_(self, value):
    """Set all elements to a number, or to the one in a tensor without dimensions.

    >>> import rushlight as torch
    >>> torch.zeros(2).fill_(3)
    tensor([3., 3.])
    """
    check_writable(self)
    node = None
    if isinstance(value, Tensor):
        if value._array.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value._array.ndim} "
                "dimensions."
            )
        if recording(self, value):
            node = connect(FillBackward3(), (before(self), value))
            node.kind = value.dtype
        _copy_cast(self._array, value._array)
        return after(self, node)
    if self._rg and MODE.enabled:
        node = connect(FillBackward2(), (before(self),))
    self._array.fill(_scalar(self, value))
    return after(self, node)


def zero_(self):
    """Set all elements to zero.

    >>> import rushlight as torch
    >>> torch.ones(2).zero_()
    tensor([0., 0.])
    """
    check_writable(self)
    node = connect(ZeroBackward0(), (before(self),)) if self._rg and MODE.enabled else None
    self._array.fill(0)
    return after(self, node)


Tensor.copy_, Tensor.fill_, Tensor.zero_ = copy_, fill_, zero_


@op(method=False)
def fill(input, value):
    """A tensor of the same shape and type filled with a number.

    >>> import rushlight as torch
    >>> torch.fill(torch.zeros(2), 1)
    tensor([1., 1.])
    """
    return fill_(input.clone(), value)
