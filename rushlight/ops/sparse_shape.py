"""Other arrangements of sparse tensors' entries: transposes, selections, joined tensors."""

import builtins

import numpy as np

from rushlight.ops.common import Tensor, wrap
from rushlight.ops.joining import cat as dense_cat
from rushlight.ops.sparse import build, sparse_op, values_of
from rushlight.ops.sparse_math import in_place
from rushlight.sparse_tensor import SparseTensor, unsupported
from rushlight.tensor import check_dim


def _rearranged(x: SparseTensor, indices, size, node: str, coalesced=False, values=None) -> SparseTensor:
    pattern = x._pattern.with_indices(indices, size, coalesced)
    return build(values_of(x) if values is None else values, pattern, node)


@sparse_op("transpose", "swapaxes", "swapdims")
def transpose(input, dim0, dim1):
    """Two dimensions swapped, both sparse or both dense."""
    return _transposed(input, dim0, dim1, "TransposeBackward0")


def _transposed(x: SparseTensor, dim0: int, dim1: int, node: str) -> SparseTensor:
    first, second = check_dim(dim0, x.ndim), check_dim(dim1, x.ndim)
    count = x.sparse_dim()
    if (first < count) != (second < count):
        raise RuntimeError("sparse transpose: transposed dimensions must be both sparse or both dense")
    pattern = x._pattern
    if first >= count:
        return build(values_of(x).transpose(first - count + 1, second - count + 1), pattern, node)
    if first == second:
        return build(values_of(x), pattern, node)
    if count == 2:
        return build(values_of(x), pattern.transposed, node)
    order = list(range(count))
    order[first], order[second] = second, first
    return _rearranged(x, pattern.indices[order], [pattern.size[d] for d in order], node)


@sparse_op("t")
def t(input):
    """The transpose of a matrix."""
    if input.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 sparse and 0 dense dimensions, but self is {input.ndim}D"
        )
    return _transposed(input, 0, 1, "TBackward0") if input.ndim == 2 else input


in_place("transpose", transpose)
in_place("t", t)


@sparse_op("permute")
def permute(input, *dims):
    """The dimensions in another order; sparse ones stay before dense ones."""
    if len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = tuple(dims[0])
    order = [check_dim(d, input.ndim) for d in dims]
    count = input.sparse_dim()
    if sorted(order) != list(range(input.ndim)):
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(order)}"
        )
    if builtins.any(d >= count for d in order[:count]):
        raise RuntimeError("permute(sparse_coo): sparse dimensions must stay before dense ones")
    values = values_of(input).permute(0, *(d - count + 1 for d in order[count:]))
    pattern = input._pattern
    indices, size = pattern.indices[order[:count]], [pattern.size[d] for d in order[:count]]
    same = order[:count] == list(range(count))
    return _rearranged(input, indices, size, "PermuteBackward0", same and pattern.coalesced, values)


for _name in ("T", "mT", "H", "mH"):
    setattr(
        SparseTensor,
        _name,
        property(
            lambda self, conjugate="H" in _name: (
                self.conj().transpose(-2, -1) if conjugate and self.is_complex() else self.transpose(-2, -1)
            ),
            doc="The transpose of a matrix.",
        ),
    )


@sparse_op("unsqueeze")
def unsqueeze(input, dim):
    """A dimension of size 1 inserted before `dim`."""
    dim = check_dim(dim, input.ndim + 1)
    count, pattern = input.sparse_dim(), input._pattern
    if dim > count:
        return build(values_of(input).unsqueeze(dim - count + 1), pattern, "UnsqueezeBackward0")
    indices = np.insert(pattern.indices, dim, 0, 0)
    size = (*pattern.size[:dim], 1, *pattern.size[dim:])
    return _rearranged(input, indices, size, "UnsqueezeBackward0", pattern.coalesced)


@sparse_op("select")
def select(input, dim, index):
    """The part at one position of a dimension, which goes away; dense where no sparse dimension is left."""
    dim = check_dim(dim, input.ndim)
    size = input.shape[dim]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    count, pattern = input.sparse_dim(), input._pattern
    if dim >= count:
        return build(values_of(input).select(dim - count + 1, index), pattern, "SelectBackward0")
    used = np.flatnonzero(pattern.indices[dim] == index % size)
    values = values_of(input).index_select(0, wrap(used))
    if count == 1:
        return values.sum(0)
    indices = np.delete(pattern.indices[:, used], dim, 0)
    return _rearranged(
        input,
        indices,
        np.delete(pattern.size, dim).tolist(),
        "SelectBackward0",
        pattern.coalesced or len(used) < 2,
        values,
    )


@sparse_op("index_select")
def index_select(input, dim, index, *, out=None):
    """The parts at several positions of a dimension."""
    dim = check_dim(dim, input.ndim)
    wanted = index._array.reshape(-1)
    size = input.shape[dim]
    if wanted.dtype.kind != "i":
        raise RuntimeError("index_select(): Expected dtype int32/int64 for index")
    if ((wanted < -size) | (wanted >= size)).any():
        raise IndexError(f"index_select(): index out of range for a dimension of size {size}")
    wanted = wanted % size if size else wanted
    count, pattern = input.sparse_dim(), input._pattern
    if dim >= count:
        found = values_of(input).index_select(dim - count + 1, wrap(wanted))
        return build(found, pattern, "IndexSelectBackward0")
    order = np.argsort(pattern.indices[dim], kind="stable")
    starts = np.searchsorted(pattern.indices[dim][order], np.arange(size + 1))
    lengths = np.diff(starts)[wanted]
    entries = order[ranges(starts[wanted], lengths)]
    indices = pattern.indices[:, entries]
    indices[dim] = np.repeat(np.arange(len(wanted)), lengths)
    new_size = (*pattern.size[:dim], len(wanted), *pattern.size[dim + 1 :])
    values = values_of(input).index_select(0, wrap(entries))
    return _rearranged(input, indices, new_size, "IndexSelectBackward0", False, values)


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """start, start + 1, ... of each length, one after another."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)


@sparse_op("narrow_copy")
def narrow_copy(input, dim, start, length):
    """The parts at `length` positions of a dimension from `start` on."""
    dim = check_dim(dim, input.ndim)
    if start < 0:
        start += input.shape[dim]
    if length < 0 or start + length > input.shape[dim]:
        raise RuntimeError(
            f"start ({start}) + length ({length}) exceeds dimension size ({input.shape[dim]})."
        )
    return index_select(input, dim, wrap(np.arange(start, start + length)))


def getitem(self, key):
    """Positions of leading dimensions, whole slices, and tensors of positions.

    Raises:
        NotImplementedError: another kind of index, such as a slice with bounds: use narrow_copy.
    """
    found, dim = self, 0
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, int) or (isinstance(part, Tensor) and part.ndim == 0):
            found = found.select(dim, int(part))
        elif isinstance(part, slice) and part == slice(None):
            dim += 1
        elif part is None:
            found = found.unsqueeze(dim)
            dim += 1
        elif isinstance(part, Tensor) and part.ndim == 1 and part.dtype.category == 1:
            found = found.index_select(dim, part)
            dim += 1
        else:
            raise unsupported(
                "as_strided", f"x.narrow_copy(dim, start, length) or x.to_dense(); got the index {part!r}"
            )
    return found


SparseTensor.__getitem__ = getitem


@sparse_op("cat", "concat", "concatenate")
def cat(tensors, dim=0, *, out=None):
    """Sparse tensors one after another along a sparse dimension."""
    tensors = list(tensors)
    if not builtins.all(isinstance(t, SparseTensor) for t in tensors):
        raise RuntimeError(
            "torch.cat(): expected all tensors to be sparse or all to be dense; use to_dense() first"
        )
    first = tensors[0]
    dim = check_dim(dim, first.ndim)
    if dim >= first.sparse_dim():
        raise NotImplementedError("cat: only sparse dimensions can be joined; use x.to_dense() first")
    indices, start = [], 0
    for i, x in enumerate(tensors):
        if x.ndim != first.ndim or builtins.any(
            a != b for d, (a, b) in enumerate(zip(x.shape, first.shape, strict=True)) if d != dim
        ):
            raise RuntimeError(
                f"All tensors must have the same shape: {list(x.shape)} (tensor {i}) and {list(first.shape)} (tensor 0), "
                f"except in the concatenating dimension: {dim}"
            )
        moved = x._pattern.indices.copy()
        moved[dim] += start
        indices.append(moved)
        start += x.shape[dim]
    size = first._pattern.size
    pattern = first._pattern.with_indices(np.concatenate(indices, 1), (*size[:dim], start, *size[dim + 1 :]))
    return build(dense_cat([values_of(x) for x in tensors]), pattern, "CatBackward0")


@sparse_op("stack")
def stack(tensors, dim=0, *, out=None):
    """Sparse tensors along a new dimension."""
    return cat([unsqueeze(x, dim) for x in tensors], dim)


for _name in ("cat", "concat", "concatenate", "stack"):
    delattr(SparseTensor, _name)
