"""Sparse tensors: making them, taking them apart, and their gradients.

All that sparse tensors do is made of two steps that gradients pass: `values_of` takes the values out as a dense tensor,
`build` makes a sparse tensor of values and their places. Between them stand ordinary ops on the values.
"""

import numpy as np

from rushlight.autograd.node import Node, connect
from rushlight.devices import check_device, sparse_coo, sparse_csr, strided
from rushlight.dtypes import SCALAR_NAMES
from rushlight.dtypes import dtype as dtype_class
from rushlight.ops.common import MODE, Tensor, check_tensor, record, recording, wrap
from rushlight.ops.data import as_tensor
from rushlight.ops.registry import op
from rushlight.sparse_tensor import Pattern, SparseTensor, _check_coalesced, make


def sparse_op(*names: str):
    """List a function as what ops of these names do with sparse tensors, and make it their method."""

    def register(function):
        for name in names:
            SparseTensor.ops[name] = function
            setattr(SparseTensor, name, function)
        return function

    return register


class ValuesBackward0(Node):
    def backward(self, grad):
        return build(grad, self.pattern)


class BuildNode(Node):
    """A sparse tensor made of values at given places. Each op that ends with one has a subclass of PyTorch's name."""

    def backward(self, grad):
        return entries_at(grad, self.pattern)


_build_nodes: dict[str, type] = {}


def _build_node(name: str) -> type:
    found = _build_nodes.get(name)
    if found is None:
        found = _build_nodes[name] = type(name, (BuildNode,), {"__module__": __name__})
    return found


def values_of(x: SparseTensor) -> Tensor:
    """The values, one for each entry, through which gradients flow."""
    if x._rg and MODE.enabled:
        return record(x._data, ValuesBackward0, (x,), pattern=x._pattern)
    return wrap(x._data)


def build(
    values: Tensor, pattern: Pattern, name: str = "SparseCooTensorWithDimsAndTensorsBackward0"
) -> SparseTensor:
    """The sparse tensor with these values at these places.

    Args:
        values: (nnz, *dense sizes).
        pattern: the places.
        name: the gradient function's.
    """
    made = make(values._array, pattern)
    if values._rg and MODE.enabled:
        node = connect(_build_node(name)(), (values,))
        node.pattern = pattern
        made._node, made._rg = node, True
    return made


def entries_at(x: Tensor, pattern: Pattern) -> Tensor:
    """The entries of a tensor, dense or sparse, at given places: a dense tensor (nnz, *dense sizes)."""
    if not isinstance(x, SparseTensor):
        dense_shape = x._array.shape[len(pattern.size) :]
        rows = int(np.prod(pattern.size, dtype=np.int64))
        return x.reshape((rows, *dense_shape)).index_select(0, wrap(pattern.flat))
    if x._pattern is pattern:
        return values_of(x)
    merged = coalesce(x)
    values, known = values_of(merged), merged._pattern.flat
    if not len(known):
        return values.new_zeros((pattern.nnz, *values.shape[1:]))
    at = np.minimum(np.searchsorted(known, pattern.flat), len(known) - 1)
    missing = known[at] != pattern.flat
    found = values.index_select(0, wrap(at))
    if not missing.any():
        return found
    return found.masked_fill(wrap(missing.reshape(-1, *(1,) * (values.ndim - 1))), 0)


# -- making ---------------------------------------------------------------------------------------------


@op(method=False)
def sparse_coo_tensor(
    indices=None, values=None, size=None, *, dtype=None, device=None, pin_memory=False, requires_grad=False,
    check_invariants=None, is_coalesced=None,
):  # fmt: skip
    """A sparse tensor from the places of its entries and their values; `sparse_coo_tensor(size)` has no entries.

    Args:
        indices: (sparse dimensions, nnz), integers: the place of each entry. An entry may be given several times:
            its value is then the sum.
        values: (nnz, *dense sizes).
        size: the shape; by default as small as the indices allow.
        dtype: the type of the values.
        requires_grad: whether the result is a leaf that requires gradients; where False, gradients flow to `values`.
        check_invariants: accepted: indices are always checked.
        is_coalesced: says that the places are sorted and all different.
    Returns:
        A sparse tensor (layout `torch.sparse_coo`).
    Raises:
        RuntimeError: the shapes do not go together, or an index is negative or too large.

    >>> import rushlight as torch
    >>> torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 0.]])
    """
    check_device(device)
    if values is None:
        shape = indices if size is None else size
        made = _without_entries(shape, len(shape), dtype)
        return made.requires_grad_(requires_grad)
    values = as_tensor(values, dtype=dtype)
    places = np.ascontiguousarray(as_tensor(indices)._array, np.int64)
    if places.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(places.shape)}")
    if values.ndim == 0:
        values = values.reshape(1)
    sizes = _sizes(places, values._array, size)
    pattern = Pattern(places, sizes[: len(places)], bool(is_coalesced) or places.shape[1] < 2)
    if is_coalesced and (np.diff(pattern.flat) <= 0).any():
        raise RuntimeError("cannot set is_coalesced to true if indices correspond to uncoalesced COO tensor")
    if is_coalesced is False:
        pattern.coalesced = False
    if requires_grad:
        return make(values.detach()._array, pattern).requires_grad_()
    return build(values, pattern)


def _sizes(places: np.ndarray, values: np.ndarray, size) -> tuple:
    """The checked shape of a sparse tensor with these entries."""
    if len(values) != places.shape[1]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {places.shape[1]}, nnz from values: "
            f"{len(values)}"
        )
    low = places.min(1, initial=0)
    if (low < 0).any():
        d = int(np.flatnonzero(low < 0)[0])
        raise RuntimeError(f"found negative index {int(low[d])} for dim {d}")
    high = places.max(1, initial=-1)
    if size is None:
        return (*(int(n) + 1 for n in high), *values.shape[1:])
    sizes = tuple(int(n) for n in size)
    if len(sizes) != len(places) + values.ndim - 1:
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({len(places)}) + dense_dim ({values.ndim - 1}), but got {len(sizes)}"
        )
    for d, (n, largest) in enumerate(zip(sizes, high, strict=False)):
        if largest >= n:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {d}, size is {n} but found index {int(largest)}"
            )
    if sizes[len(places) :] != values.shape[1:]:
        raise RuntimeError(
            f"values has incorrect size, expected {[len(values), *sizes[len(places) :]]}, got {list(values.shape)}"
        )
    return sizes


def _without_entries(size, sparse_dim: int, dtype=None) -> SparseTensor:
    from rushlight.dtypes import get_default_dtype

    size = tuple(int(n) for n in size)
    kind = get_default_dtype() if dtype is None else dtype
    pattern = Pattern(np.zeros((sparse_dim, 0), np.int64), size[:sparse_dim], True)
    return make(np.zeros((0, *size[sparse_dim:]), kind.numpy), pattern)


def zeros_of(x: SparseTensor, dtype=None) -> SparseTensor:
    """A sparse tensor of the shape of another, without entries."""
    return _without_entries(x.shape, x.sparse_dim(), dtype or x.dtype)


class ToSparseBackward0(BuildNode):
    """A dense tensor's entries as a sparse one: the gradient goes back as a dense one."""

    def backward(self, grad):
        return grad.to_dense() if isinstance(grad, SparseTensor) else grad


@op()
def to_sparse(input, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
    """The entries that are not zero as a sparse tensor.

    Args:
        input: a tensor.
        sparse_dim: how many dimensions the indices choose from, the first ones; all by default. Or a layout.
        layout: `torch.sparse_coo` or `torch.sparse_csr`.
        dense_dim: accepted for COO as 0 or None.
    Returns:
        A coalesced sparse tensor.
    Raises:
        RuntimeError: there are not so many dimensions.

    >>> import rushlight as torch
    >>> torch.tensor([[0.0, 5.0], [0.0, 0.0]]).to_sparse()
    tensor(indices=tensor([[0],
                           [1]]),
           values=tensor([5.]),
           size=(2, 2), nnz=1, layout=torch.sparse_coo)
    """
    x = check_tensor("to_sparse", input)._array
    if sparse_dim is sparse_coo or sparse_dim is sparse_csr:
        sparse_dim, layout = None, sparse_dim
    if layout is sparse_csr:
        return to_sparse(input).to_sparse_csr()
    if layout not in (None, sparse_coo):
        raise NotImplementedError(f"to_sparse: the layout {layout} is not supported; use torch.sparse_coo")
    count = x.ndim if sparse_dim is None else sparse_dim
    if not 0 <= count <= x.ndim or (count == 0 and x.ndim):
        raise RuntimeError(
            f"sparse_dim argument must be in >0 and <= the number of dimensions of the input, got {sparse_dim} for "
            f"{x.ndim}"
        )
    used = x != 0
    if count < x.ndim:
        used = used.any(tuple(range(count, x.ndim)))
    places = np.stack(np.nonzero(used)) if count else np.zeros((0, int(used)), np.int64)
    pattern = Pattern(np.ascontiguousarray(places), x.shape[:count], True)
    found = make(x[used] if count else x.reshape(1)[: int(used)], pattern)
    if recording(input):
        found._node, found._rg = connect(ToSparseBackward0(), (input,)), True
    return found


@sparse_op("to_sparse")
def sparse_to_sparse(input, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
    """Itself, or in compressed rows."""
    if sparse_csr in (sparse_dim, layout):
        return input.to_sparse_csr()
    return input


def to_sparse_coo(self):
    """The entries that are not zero, by their places: `to_sparse()`.

    >>> import rushlight as torch
    >>> torch.eye(2).to_sparse_coo().indices()
    tensor([[0, 1],
            [0, 1]])
    """
    return self.to_sparse()


Tensor.to_sparse_coo = to_sparse_coo


# -- taking apart -----------------------------------------------------------------------------------------


@sparse_op("values")
def values(input):
    """(nnz, *dense sizes): the values of the entries.

    Raises:
        RuntimeError: the tensor is not coalesced.
    """
    _check_coalesced(input, "values")
    return values_of(input)


@sparse_op("coalesce")
def coalesce(input):
    """The same tensor with its places sorted, and values of the same place added; itself where it is coalesced."""
    pattern = input._pattern
    if pattern.coalesced:
        return input
    merged, group = pattern.unique
    return build(_added(values_of(input), group, merged.nnz), merged, "CoalesceBackward0")


def _added(values: Tensor, group: np.ndarray, count: int) -> Tensor:
    """The sums of the values of each group."""
    if values._array.dtype.kind == "b":
        return (_added(wrap(values._array.astype(np.int64)), group, count)) != 0
    return values.new_zeros((count, *values.shape[1:])).index_add(0, wrap(group), values)


class ToDenseBackward0(Node):
    def backward(self, grad):
        return build(entries_at(grad, self.pattern), self.pattern)


@sparse_op("to_dense")
def sparse_to_dense(input, dtype=None, *, masked_grad=True):
    """The dense tensor of the same elements.

    Args:
        input: a sparse tensor.
        dtype: must be None, as in PyTorch.
        masked_grad: accepted: the gradient has the places of `input`.
    """
    if dtype is not None:
        raise RuntimeError("dtype argument is not supported by sparse_to_dense; use x.to(dtype).to_dense()")
    pattern = input._pattern
    rows = int(np.prod(pattern.size, dtype=np.int64))
    array = _added(wrap(input._data), pattern.flat, rows)._array.reshape(input.shape)
    if recording(input):
        return record(array, ToDenseBackward0, (input,), pattern=pattern)
    return wrap(array)


@op()
def to_dense(input, dtype=None, *, masked_grad=None):
    """The tensor itself, or in another type; of a sparse tensor, the dense one of the same elements.

    >>> import rushlight as torch
    >>> torch.eye(2).to_sparse().to_dense()
    tensor([[1., 0.],
            [0., 1.]])
    """
    return input if dtype is None else input.to(dtype)


SparseTensor.to_dense = sparse_to_dense


@op()
def sparse_mask(input, mask):
    """The elements at the places of a sparse tensor.

    Args:
        input: a dense or sparse tensor.
        mask: a sparse tensor of the same shape.
    Returns:
        A sparse tensor with the places of `mask`.

    >>> import rushlight as torch
    >>> torch.ones(2, 2).sparse_mask(torch.eye(2).to_sparse()).values()
    tensor([1., 1.])
    """
    if not isinstance(mask, SparseTensor):
        raise NotImplementedError(
            f"Could not run 'aten::sparse_mask': expected a sparse mask, got layout {mask.layout}"
        )
    if input.shape != mask.shape:
        raise RuntimeError(
            f"sparse_mask(): operands have incompatible sizes; self has size {list(input.shape)} but mask has size "
            f"{list(mask.shape)}"
        )
    return build(entries_at(input, mask._pattern), mask._pattern, "SparseMaskBackward0")


SparseTensor.sparse_mask = sparse_mask


# -- copies and types -------------------------------------------------------------------------------------


@sparse_op("clone")
def clone(input, *, memory_format=None):
    """A copy, through which gradients flow."""
    pattern = input._pattern
    return build(
        values_of(input).clone(),
        pattern.with_indices(pattern.indices.copy(), pattern.size, pattern.coalesced),
        "CloneBackward0",
    )


def cast(x: SparseTensor, kind: dtype_class) -> SparseTensor:
    """The tensor with values of another type; itself where it has that type."""
    if x.dtype is kind:
        return x
    return build(values_of(x).to(kind), x._pattern, "ToCopyBackward0")


@sparse_op("to")
def to(input, *args, **kwargs):
    """The tensor with another type; arguments as for dense tensors."""
    from rushlight.ops.convert import _parse_to

    kind, _, copy, _ = _parse_to(args, kwargs)
    found = input if kind is None else cast(input, kind)
    return clone(found) if copy and found is input else found


def _caster(name: str, kind: dtype_class) -> None:
    method = sparse_op(name)(lambda self, memory_format=None: cast(self, kind))
    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"The tensor with values of type {kind}."


def _define_casters() -> None:
    from rushlight import dtypes

    for name in (
        "double", "half", "bfloat16", "long", "short", "cfloat", "cdouble",
    ):  # fmt: skip
        _caster(name, getattr(dtypes, name))
    for name, kind in (
        ("float", dtypes.float32), ("int", dtypes.int32), ("char", dtypes.int8), ("byte", dtypes.uint8),
        ("bool", dtypes.bool_),
    ):  # fmt: skip
        _caster(name, kind)


_define_casters()


@sparse_op("type_as")
def type_as(input, other):
    """The tensor with values of the type of another."""
    return cast(input, other.dtype)


@sparse_op("type")
def type_(self, dtype=None, non_blocking=False):
    """The old name of its type, such as "torch.sparse.FloatTensor"; or the tensor in another type."""
    from rushlight.ops.convert import _LEGACY_NAMES

    if dtype is None:
        return f"torch.sparse.{SCALAR_NAMES[self.dtype]}Tensor"
    return cast(
        self, _LEGACY_NAMES[dtype.replace("torch.sparse.", "torch.")] if isinstance(dtype, str) else dtype
    )


@sparse_op("cpu")
def cpu(self, memory_format=None):
    """The tensor on the CPU, where it is already."""
    return self


def replaced(self: SparseTensor, result: SparseTensor) -> SparseTensor:
    """`self`, changed in place into `result`."""
    if self._rg and self._node is None and MODE.enabled:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation. Wrap the update in "
            "torch.no_grad(), or use the out-of-place form."
        )
    if result._rg and MODE.enabled:
        self._node, self._nr, self._rg = result._node, result._nr, True
    return self._become(result)


@sparse_op("copy_")
def copy_(self, src, non_blocking=False):
    """Take over the elements of another sparse tensor, in place."""
    if not isinstance(src, SparseTensor):
        raise RuntimeError(
            "copy_() between dense and sparse Tensors is not implemented! Found self type = sparse"
        )
    return replaced(self, clone(cast(src, self.dtype)))


@sparse_op("zero_")
def zero_(self):
    """Drop all entries, in place."""
    return replaced(self, zeros_of(self))


@sparse_op("zeros_like", "empty_like")
def zeros_like(input, *, dtype=None, layout=None, device=None, requires_grad=False, **_format):
    """A sparse tensor of the same shape without entries; dense where the layout asks for that."""
    made = zeros_of(input, dtype)
    return (made.to_dense() if layout is strided else made).requires_grad_(requires_grad)


@sparse_op("sparse_resize_")
def sparse_resize_(self, size, sparse_dim: int, dense_dim: int):
    """Make it larger in place; an empty tensor may also change its number of dimensions."""
    size = tuple(int(n) for n in size)
    if self._nnz() == 0:
        return replaced(self, _without_entries(size, sparse_dim, self.dtype))
    if (sparse_dim, dense_dim) != (self.sparse_dim(), self.dense_dim()) or len(size) != self.ndim:
        raise RuntimeError(
            "changing the number of dense or sparse dimensions on a non-empty tensor is not supported"
        )
    if (
        any(new < old for new, old in zip(size, self.shape, strict=True))
        or size[sparse_dim:] != self.shape[sparse_dim:]
    ):
        raise RuntimeError("shrinking the size of dimensions of a non-empty sparse tensor is not supported")
    pattern = self._pattern
    return replaced(
        self, make(self._data, pattern.with_indices(pattern.indices, size[:sparse_dim], pattern.coalesced))
    )


@sparse_op("sparse_resize_and_clear_")
def sparse_resize_and_clear_(self, size, sparse_dim: int, dense_dim: int):
    """Drop all entries and change the shape, in place."""
    return replaced(self, _without_entries(size, sparse_dim, self.dtype))


@sparse_op("is_same_size")
def is_same_size(input, other) -> bool:
    """Whether two tensors have the same shape."""
    return input.shape == other.shape


def _dense_only(name: str):
    kind = "sparse tensor" if name == "values" else "sparse coordinate tensor"

    def method(self):
        if name.startswith("_"):
            raise NotImplementedError(
                f"Could not run 'aten::{name}' with arguments from the 'CPU' backend: use to_sparse()"
            )
        raise RuntimeError(f"{name} expected {kind} layout but got Strided; use to_sparse() first")

    method.__name__ = method.__qualname__ = name
    method.__doc__ = "Raises: only sparse tensors have it."
    return method


for _name in ("coalesce", "indices", "values", "is_coalesced", "_indices", "_values", "_nnz"):
    setattr(Tensor, _name, _dense_only(_name))


def _dims(self) -> int:
    """How many dimensions indices choose from: none of a dense tensor's."""
    return 0


def _all_dims(self) -> int:
    """How many dimensions each value has: all of a dense tensor's."""
    return self.ndim


Tensor.sparse_dim, Tensor.dense_dim = _dims, _all_dims
