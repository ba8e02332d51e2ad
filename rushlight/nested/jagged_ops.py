"""What functions do with jagged tensors. Most work on the packed values, with dimensions counted anew.

Each function here is called as `function(func, *args, **kwargs)`, where `func` is the one that was called.
"""

import numpy as np

from rushlight.devices import contiguous_format
from rushlight.nested import attention, pointwise
from rushlight.nested.jagged import NestedTensor, from_list, jagged, pack
from rushlight.nested.sizes import Cuts, RaggedSize
from rushlight.nested.tensor import SHARED, Nested
from rushlight.tensor import Tensor, check_dim, wrap

OPS = NestedTensor.ops
OPS |= SHARED
OPS["dropout"] = pointwise.dropout
OPS["scaled_dot_product_attention"] = attention.scaled_dot_product_attention


def jagged_op(*names: str):
    """Decorator: what the functions of these names do with jagged tensors."""

    def register(function):
        OPS.update(dict.fromkeys(names, function))
        return function

    return register


def _own(nt, name: str) -> NestedTensor:
    """The first argument, which has to be the nested one."""
    if not isinstance(nt, NestedTensor):
        raise NotImplementedError(
            f"{name}(): expected the first argument to be a jagged layout NestedTensor, got {type(nt).__name__}"
        )
    return nt


def _plain(nt, name: str) -> NestedTensor:
    """The first argument, which has to be ragged next to the batch and without holes."""
    if _own(nt, name)._ragged_idx != 1 or nt._cuts.lengths is not None:
        raise ValueError(
            f"NestedTensor {name}(): expected input to be a contiguous jagged layout NestedTensor, ragged in dimension "
            f"1 and without holes, got one ragged in dimension {nt._ragged_idx}"
        )
    return nt


def _inner(nt: NestedTensor, dim: int, name: str, ndim: int | None = None, ragged: bool = False) -> int:
    """The dimension of the packed values that a dimension of the nested tensor is."""
    dim = check_dim(dim, ndim or nt.dim())
    if dim == 0:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
    if dim == nt._ragged_idx and not ragged:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on ragged dim")
    return dim - 1


def _each(nt: NestedTensor, found):
    """Packed values, or several of them, in the structure of `nt`."""
    if isinstance(found, Tensor):
        return nt._with(found)
    return type(found)(map(nt._with, found))


# -- the packed values as they are ------------------------------------------------------------------


@jagged_op("linear", "conv1d", "conv2d", "conv3d")
def _on_values(func, input, *args, **kwargs):
    return input._with(func(_plain(input, func.__name__)._values, *args, **kwargs))


@jagged_op("embedding")
def _embedding(func, input, weight, *args, **kwargs):
    if not isinstance(input, NestedTensor):  # torch.embedding has the weight first
        return weight._with(func(input, _plain(weight, "embedding")._values, *args, **kwargs))
    return input._with(func(_plain(input, "embedding")._values, weight, *args, **kwargs))


@jagged_op("contiguous")
def _contiguous(func, self, memory_format=contiguous_format):
    if self._cuts.lengths is not None:
        return from_list(list(self._pieces()))
    values = self._values.contiguous()
    return self if values is self._values else self._with(values)


@jagged_op("copy_")
def _copy(func, self, src, non_blocking=False):
    if not (isinstance(self, NestedTensor) and isinstance(src, NestedTensor)):
        raise ValueError("NestedTensor copy_(): expected self and src to be jagged layout NestedTensors")
    if [p.shape for p in self._pieces()] != [p.shape for p in src._pieces()]:
        raise RuntimeError(
            f"copy_(): expected compatible input and src shapes, but got: {self.shape} and {src.shape}"
        )
    self._values.copy_(src._values)
    return self


@jagged_op("is_same_size")
def _is_same_size(func, input, other):
    return isinstance(input, NestedTensor) and isinstance(other, NestedTensor) and input._size == other._size


@jagged_op("rms_norm", "layer_norm")
def _norm(func, input, normalized_shape, *args, **kwargs):
    shape = (normalized_shape,) if isinstance(normalized_shape, int | RaggedSize) else tuple(normalized_shape)
    name = func.__name__
    if len(shape) >= input.dim():
        raise RuntimeError(
            f"{name}(): not supported when normalizing over the batch dimension for NestedTensor"
        )
    if input._cuts.size not in shape:
        return input._with(func(input._values, shape, *args, **kwargs))
    if name == "rms_norm":
        raise ValueError("rms_norm(): Normalization over the ragged dim not supported for nested tensors")
    _plain(input, name)
    weight, bias, eps = (*args, *[None] * 2)[:2] + (kwargs.get("eps", args[2] if len(args) > 2 else 1e-5),)
    if kwargs.get("weight", weight) is not None or kwargs.get("bias", bias) is not None:
        raise RuntimeError(f"{name}(): no weight or bias can be as large as the ragged dimension")
    pieces = [func(p, p.shape[p.dim() - len(shape) :], eps=eps) for p in input._pieces()]
    return input._of_pieces(pieces)


# -- one dimension counted anew ---------------------------------------------------------------------


@jagged_op("split", "split_with_sizes", "narrow", "squeeze", "diff", "unsafe_split", "unsafe_chunk")
def _along(func, nt, *args, **kwargs):
    name = func.__name__
    _plain(nt, name)
    if name == "narrow":
        dim, *rest = args if args else (kwargs.pop("dim"),)
        return _each(nt, func(nt._values, _inner(nt, dim, name), *rest, **kwargs))
    if name == "squeeze":
        if not args and "dim" not in kwargs:
            raise NestedTensor._unsupported("squeeze without a dimension")
        return nt._with(func(nt._values, _inner(nt, args[0] if args else kwargs["dim"], name)))
    size, dim = (*args, None, None)[:2]
    dim = kwargs.pop("dim", dim)
    if dim is None:
        dim = -1 if name == "diff" else 0
    given = () if size is None else (size,)
    return _each(nt, func(nt._values, *given, *args[2:], dim=_inner(nt, dim, name), **kwargs))


@jagged_op("chunk")
def _chunk(func, nt, chunks, dim=0):
    _plain(nt, "chunk")
    if check_dim(dim, nt.dim()):
        return _each(nt, func(nt._values, chunks, _inner(nt, dim, "chunk")))
    counts = (nt._cuts.offsets[1:] - nt._cuts.offsets[:-1]).chunk(chunks)
    ends = [wrap(_ends(c._array)) for c in counts]
    values = nt._values.split([int(c.sum()) for c in counts])
    return [jagged(v, Cuts(e)) for v, e in zip(values, ends, strict=True)]


def _ends(counts):
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


@jagged_op("select")
def _select(func, nt, dim, index):
    if check_dim(dim, nt.dim()) == 0:
        return nt._pieces()[index]
    if nt._cuts.lengths is not None:
        raise ValueError(
            "select(): not yet supported on dim != 0 for non-contiguous nested tensor with holes"
        )
    inner = _inner(nt, dim, "select")
    return nt._with(nt._values.select(inner, index), nt._ragged_idx - (inner < nt._ragged_idx - 1))


@jagged_op("unsqueeze")
def _unsqueeze(func, nt, dim):
    inner = _inner(nt, dim, "unsqueeze", nt.dim() + 1, ragged=True)
    return nt._with(nt._values.unsqueeze(inner), nt._ragged_idx + (inner <= nt._ragged_idx - 1))


@jagged_op("__getitem__")
def _getitem(func, nt, index):
    parts = list(index) if isinstance(index, tuple) else [index]
    if sum(p is Ellipsis for p in parts) == 1:
        at = parts.index(Ellipsis)
        named = sum(p is not None for p in parts) - 1
        parts[at : at + 1] = [...] * (nt.dim() - named)
    if isinstance(parts[0], int) and not isinstance(parts[0], bool):
        piece, rest = nt._pieces()[parts[0]], tuple(slice(None) if p is ... else p for p in parts[1:])
        return piece[rest] if rest else piece
    dim = 0
    for part in parts:
        if part is None:
            nt = nt.unsqueeze(dim)
        elif isinstance(part, int) and not isinstance(part, bool):
            nt, dim = nt.select(dim, part), dim - 1
        elif isinstance(part, slice):
            at = (slice(None),) * _inner(_plain(nt, "slice"), dim, "slice")
            nt = nt._with(nt._values[(*at, part)])
        elif part is not ...:
            raise NestedTensor._unsupported("index.Tensor")
        dim += 1
    return nt


# -- several dimensions counted anew ----------------------------------------------------------------


@jagged_op("transpose", "swapaxes", "swapdims")
def _transpose(func, nt, dim0, dim1):
    dim0, dim1 = check_dim(dim0, nt.dim()), check_dim(dim1, nt.dim())
    r = nt._ragged_idx
    if r in (dim0, dim1) and 0 in (dim0, dim1):
        raise ValueError("Transpose is not supported on the batch dimension for jagged NT")
    to = dim1 if dim0 == r else dim0 if dim1 == r else r
    inner = [_inner(nt, d, "transpose", ragged=True) for d in (dim0, dim1)]
    return nt._with(nt._values.transpose(*inner), to)


@jagged_op("permute")
def _permute(func, nt, *dims):
    dims = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else dims
    if len(dims) != nt.dim():
        raise ValueError(
            f"permute(): number of dimensions in the tensor input ({nt.dim()}) does not match the length of the "
            f"desired ordering of dimensions ({len(dims)})."
        )
    dims = [check_dim(d, nt.dim()) for d in dims]
    if len(set(dims)) < len(dims):
        raise ValueError("permute(): duplicate dims are not allowed.")
    if nt._cuts.lengths is not None:
        raise ValueError("permute(): not supported on jagged layout nested tensor with holes")
    if dims[0] != 0:
        raise ValueError("Permute is not supported on the batch dimension for jagged NT")
    return nt._with(nt._values.permute([d - 1 for d in dims[1:]]), dims.index(nt._ragged_idx))


@jagged_op("movedim")
def _movedim(func, nt, source, destination):
    many = (source, destination) if isinstance(source, list | tuple) else ([source], [destination])
    source, destination = ([check_dim(d, nt.dim()) for d in dims] for dims in many)
    left = iter(d for d in range(nt.dim()) if d not in source)
    moved = dict(zip(destination, source, strict=True))
    return nt.permute([moved[d] if d in moved else next(left) for d in range(nt.dim())])


@jagged_op("mT")
def _matrix_transpose(func, nt):
    return nt.transpose(-2, -1)


@jagged_op("view", "reshape")
def _view(func, nt, *size, **kwargs):
    size = size or (kwargs.get("size", kwargs.get("shape")),)
    size = tuple(size[0]) if len(size) == 1 and isinstance(size[0], list | tuple) else size
    if nt._ragged_idx != 1 and nt._size != size:
        raise RuntimeError(
            f"view(): does not support ragged_idx != 1 except when inp._size == size. inp._size is ({nt._size}) and "
            f"size is ({size})."
        )
    if len(size) < 3 or not nt._cut_like(size):
        raise RuntimeError(f"view(): cannot view shape {nt._size} as {list(size)}")
    at = nt._ragged_idx - 1
    inner = [nt._values.shape[at] if i == at else n for i, n in enumerate(size[1:])]
    return nt._with(func(nt._values, inner))


@jagged_op("view_as", "reshape_as")
def _view_as(func, nt, other):
    return nt.reshape(other.shape)


@jagged_op("unflatten")
def _unflatten(func, nt, dim, sizes):
    at = check_dim(dim, nt.dim())
    return nt.reshape(*nt.shape[:at], *sizes, *nt.shape[at + 1 :])


@jagged_op("flatten")
def _flatten(func, nt, start_dim=0, end_dim=-1):
    start, end = (_inner(nt, d, "flatten") + 1 for d in (start_dim, end_dim))
    if start == end:
        return nt
    inner = nt._values.shape[start - 1 : end]
    if start < nt._ragged_idx < end:
        raise RuntimeError("flatten(): not supported for NestedTensor on ragged dim")
    return nt.reshape(*nt.shape[:start], inner.numel(), *nt.shape[end + 1 :])


@jagged_op("expand", "broadcast_to")
def _expand(func, nt, *size):
    size = tuple(size[0]) if len(size) == 1 and isinstance(size[0], list | tuple) else size
    if len(size) != nt.dim() or not nt._cut_like(size):
        raise RuntimeError(f"expand(): cannot expand shape {nt._size} -> {list(size)}")
    at = nt._ragged_idx - 1
    return nt._with(nt._values.expand([-1 if i == at else n for i, n in enumerate(size[1:])]))


@jagged_op("expand_as")
def _expand_as(func, tensor, other):
    if isinstance(tensor, NestedTensor):
        return tensor.expand(other.shape)
    return other._with(other._matching(tensor, "expand_as").expand_as(other._values))


# -- joining and multiplying ------------------------------------------------------------------------


@jagged_op("cat", "concat", "concatenate")
def _cat(func, tensors, dim=0):
    first = next(t for t in tensors if isinstance(t, NestedTensor))
    inner = _inner(first, dim, "cat")
    packed = [
        first._matching(t, "cat") if isinstance(t, Nested) else t.expand_as(first)._values for t in tensors
    ]
    return first._with(func(packed, inner))


@jagged_op("stack")
def _stack(func, tensors, dim=0):
    first = tensors[0]
    for t in tensors:
        if not isinstance(t, NestedTensor):
            raise RuntimeError("stack(): expected all nested tensors inputs")
        if t.dim() != first.dim():
            raise RuntimeError("stack(): expected all nested tensors to have the same dim")
        if not first._cut_like(t.shape):
            raise RuntimeError("stack(): expected all nested tensors to have the same nested structure")
    inner = _inner(first, dim, "stack", first.dim() + 1)
    return first._with(func([t._values for t in tensors], inner))


@jagged_op("bmm")
def _bmm(func, input, mat2):
    for what, t in (("input", input), ("mat2", mat2)):
        if t.dim() != 3:
            raise ValueError(f"bmm(): {what} must be 3D, got {t.dim()}D")
    return input @ mat2


@jagged_op("__rmatmul__")
def _rmatmul(func, self, other):
    return _matmul(func, other, self)


@jagged_op("matmul", "__matmul__")
def _matmul(func, a, b):
    from rushlight.ops.joining import stack
    from rushlight.ops.linalg import matmul

    nested_a, nested_b = isinstance(a, NestedTensor), isinstance(b, NestedTensor)
    if nested_a and nested_b:
        if min(a.dim(), b.dim()) > 3 and a._cut_like(b.shape):
            return a._with(matmul(a._values, b._values))
        if (
            a.dim() == b.dim() == 3
            and (a._ragged_idx, b._ragged_idx) == (2, 1)
            and a._cuts.size == b._cuts.size
        ):
            return stack(list(map(matmul, a._pieces(), b._pieces())))
    elif nested_a and a._ragged_idx < a.dim() - 1:
        if b.dim() == 2 < a.dim():
            return a._with(matmul(a._values, b))
        if a.dim() == b.dim():
            return a._with(pack(matmul(a.to_padded_tensor(0.0), b), a))
    elif nested_b and b._ragged_idx >= 2:
        if a.dim() == 2 < b.dim():
            return b._with(matmul(a, b._values))
        if a.dim() == b.dim():
            return b._with(pack(matmul(a, b.to_padded_tensor(0.0)), b))
    raise RuntimeError(
        f"matmul(): not supported between inputs of shapes {tuple(a.shape)} and {tuple(b.shape)}"
    )


@jagged_op("masked_select")
def _masked_select(func, input, mask):
    if input.dim() > 2:
        raise RuntimeError("masked_select only support 2-D selections currently")
    if input.shape != mask.shape:
        raise RuntimeError(f"Mask with shape {mask.shape} is not compatible with input's shape {input.shape}")
    before = wrap(_ends(mask._values._array))
    return jagged(input._values.masked_select(mask._values), Cuts(before[input._cuts.offsets]))
