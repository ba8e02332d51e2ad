"""What functions do with nested tensors of the layout `torch.strided`: mostly the same with each piece.

Each function here is called as `function(func, *args, **kwargs)`, where `func` is the one that was called.
"""

from rushlight.nested import attention, pointwise
from rushlight.nested.strided import StridedNestedTensor, from_pieces, strided
from rushlight.nested.tensor import SHARED, Nested
from rushlight.tensor import Tensor, check_dim

OPS = StridedNestedTensor.ops
OPS |= SHARED
OPS["dropout"] = pointwise.dropout
OPS["scaled_dot_product_attention"] = attention.scaled_dot_product_attention


def strided_op(*names: str):
    """Decorator: what the functions of these names do with nested tensors of this layout."""

    def register(function):
        OPS.update(dict.fromkeys(names, function))
        return function

    return register


def _dim(nt: StridedNestedTensor, dim: int, message: str) -> int:
    """The dimension of pieces that a dimension of the nested tensor is; not that of the batch."""
    dim = check_dim(dim, nt.dim())
    if dim == 0:
        raise RuntimeError(message)
    return dim - 1


def _last(nt: StridedNestedTensor, dim: int, name: str) -> int:
    if check_dim(dim, nt.dim()) != nt.dim() - 1:
        raise RuntimeError(
            f"{name} for nested tensors is currently only supported for the last dimension, got dimension {dim}."
        )
    return -1


def _each(nt: StridedNestedTensor, function) -> StridedNestedTensor:
    """The function of each piece, as a nested tensor."""
    return from_pieces([function(p) for p in nt._pieces()])


def _several(nt: StridedNestedTensor, function) -> tuple:
    """The function of each piece, which gives several tensors, as several nested tensors."""
    return tuple(from_pieces(list(parts)) for parts in zip(*map(function, nt._pieces()), strict=True))


# -- the last dimension, which all pieces share -----------------------------------------------------


def _rows(nt: StridedNestedTensor, name: str) -> Tensor:
    """All elements as rows of the last dimension."""
    if nt.dim() < 2:
        raise RuntimeError(f"{name}: expected pieces of one dimension at least, got numbers")
    return nt._values.view(-1, nt.size(-1))


@strided_op("linear")
def _linear(func, input, weight, bias=None):
    found = func(_rows(input, "linear"), weight, bias)
    return strided(found.reshape(-1), [(*s[:-1], weight.shape[0]) for s in input._sizes], input.dim())


@strided_op("layer_norm")
def _layer_norm(func, input, normalized_shape, weight=None, bias=None, *args, **kwargs):
    if weight is None or bias is None:
        raise ValueError("NestedTensor layer_norm requires weight and bias")
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    return _each(input, lambda p: func(p, shape, weight, bias, *args, **kwargs))


@strided_op("embedding")
def _embedding(func, input, weight, *args, **kwargs):
    if isinstance(weight, Nested):  # torch.embedding has the weight first
        return _each(weight, lambda p: func(input, p, *args, **kwargs))
    return _each(input, lambda p: func(p, weight, *args, **kwargs))


@strided_op("sum")
def _sum(func, nt, dim=None, keepdim=False, **kwargs):
    if dim is None:
        raise nt._unsupported("sum")
    dims = dim if isinstance(dim, list | tuple) else [dim]
    if len(dims) != 1:
        raise RuntimeError("NestedTensor only allows reduction of a single dimension for now.")
    if check_dim(dims[0], nt.dim()) != nt.dim() - 1:
        raise RuntimeError(
            f"NestedTensor can only be reduced across the last dimension for now got dimension {dims[0]} instead."
        )
    if not keepdim:
        raise RuntimeError("NestedTensor always requires keepdim=True for now.")
    return _each(nt, lambda p: func(p, -1, True, **kwargs))


@strided_op("softmax")
def _softmax(func, input, dim=None, *args, **kwargs):
    inner = _dim(input, -1 if dim is None else dim, "Cannot apply softmax across nested dimension 0")
    return _each(input, lambda p: func(p, inner, *args, **kwargs))


@strided_op("chunk")
def _chunk(func, nt, chunks, dim=0):
    last, n = _last(nt, dim, "Chunk"), nt.size(-1)
    if n % chunks:
        raise RuntimeError(
            "Chunk for nested tensors is only supported for nested tensors with trailing dimension divisible by "
            f"chunks, got: {n} % {chunks} != 0"
        )
    return _several(nt, lambda p: func(p, chunks, last))


@strided_op("split", "split_with_sizes")
def _split(func, nt, sizes, dim=0):
    if isinstance(sizes, int):
        raise nt._unsupported("split.Tensor")
    last = _last(nt, dim, "split_with_sizes")
    return _several(nt, lambda p: func(p, sizes, last))


# -- dimensions -------------------------------------------------------------------------------------


@strided_op("transpose", "swapaxes", "swapdims")
def _transpose(func, nt, dim0, dim1):
    inner = [_dim(nt, d, "Nested tensor dimension 0 cannot be transposed") for d in (dim0, dim1)]
    return _each(nt, lambda p: p.transpose(*inner))


@strided_op("mT")
def _matrix_transpose(func, nt):
    return nt.transpose(-2, -1)


@strided_op("unsqueeze")
def _unsqueeze(func, nt, dim):
    dim = check_dim(dim, nt.dim() + 1)
    if dim == 0:
        raise RuntimeError(
            "unsqueeze(): For nested tensors, unsqueezing dimension 0 is not supported at the moment"
        )
    return _each(nt, lambda p: p.unsqueeze(dim - 1))


@strided_op("squeeze")
def _squeeze(func, nt, dim=None):
    if dim is None:
        raise RuntimeError(
            "squeeze(): For nested tensors, squeeze without the dim argument is not supported at the moment, however "
            "you can use squeeze(Tensor self, int dim) instead"
        )
    inner = _dim(
        nt, dim, "squeeze(): For nested tensors, squeezing dimension 0 is not supported at the moment"
    )
    return _each(nt, lambda p: p.squeeze(inner))


@strided_op("flatten")
def _flatten(func, nt, start_dim=0, end_dim=-1):
    start, end = check_dim(start_dim, nt.dim()), check_dim(end_dim, nt.dim())
    return nt if start == end else nt.shape


@strided_op("view", "reshape")
def _view(func, nt, *size):
    size = tuple(size[0]) if len(size) == 1 and isinstance(size[0], list | tuple) else size
    name = func.__name__
    if not size or size[0] != len(nt._sizes):
        raise RuntimeError(
            f"{name}: For now nested {name} cannot change or infer the implicit batch dimension: expected "
            f"{len(nt._sizes)} first, got {list(size)}"
        )

    def sizes(own):
        """-1 is the piece's own size where there was a dimension."""
        return [own[i] if n == -1 and i < len(own) else n for i, n in enumerate(size[1:])]

    return _each(nt, lambda p: func(p, sizes(p.shape)))


@strided_op("reshape_as")
def _reshape_as(func, nt, other):
    own = zip(nt._pieces(), other._sizes, strict=True)
    return from_pieces([p.reshape(s) for p, s in own])


# -- parts ------------------------------------------------------------------------------------------


@strided_op("select")
def _select(func, nt, dim, index):
    dim = check_dim(dim, nt.dim())
    if dim == 0:
        return nt[index]
    return _each(nt, lambda p: p.select(dim - 1, index))


@strided_op("narrow")
def _narrow(func, nt, dim, start, length):
    if dim != 0:
        raise RuntimeError(f"narrow(): only dim=0 supported for nested tensors, but got: {dim}")
    return from_pieces(list(nt._pieces()[start : start + length]))


@strided_op("__getitem__")
def _getitem(func, nt, index):
    parts = list(index) if isinstance(index, tuple) else [index]
    if isinstance(parts[0], int) and not isinstance(parts[0], bool):
        pieces, n = nt._pieces(), len(nt._sizes)
        if not -n <= parts[0] < n:
            raise IndexError(f"index {parts[0]} is out of bounds for dimension 0 with size {n}")
        piece = pieces[parts[0]]
        return piece[tuple(parts[1:])] if parts[1:] else piece
    if parts == [...]:
        return nt
    if parts[0] is None:
        return nt.unsqueeze(0)
    if parts[0] is ... and all(isinstance(p, int) for p in parts[1:]):
        return _each(nt, lambda p: p[tuple(parts)])
    raise nt._unsupported("slice.Tensor" if any(isinstance(p, slice) for p in parts) else "index.Tensor")


# -- joining, multiplying, copying ------------------------------------------------------------------


@strided_op("cat", "concat", "concatenate")
def _cat(func, tensors, dim=0):
    for t in tensors:
        if not isinstance(t, StridedNestedTensor):
            raise RuntimeError("cat(): expected each tensor in given list to be nested.")
    dim = check_dim(dim, tensors[0].dim())
    if dim == 0:
        return from_pieces([p for t in tensors for p in t._pieces()])
    return from_pieces([func(list(ps), dim - 1) for ps in zip(*(t._pieces() for t in tensors), strict=True)])


@strided_op("matmul", "__matmul__", "bmm")
def _matmul(func, a, b):
    from rushlight.ops.linalg import matmul

    if not (isinstance(a, Nested) and isinstance(b, Nested)):
        got = ("nested", "non-nested") if isinstance(a, Nested) else ("non-nested", "nested")
        raise RuntimeError(f"Expected both to be nested, but got a {got[0]} self and {got[1]} other")
    if len(a._sizes) != len(b._sizes):
        raise RuntimeError(
            f"matmul: Expected size for the 1st dimension of 2nd input tensor to be: {len(a._sizes)}"
        )
    return from_pieces(list(map(matmul, a._pieces(), b._pieces())))


@strided_op("contiguous")
def _contiguous(func, nt, memory_format=None):
    return nt


@strided_op("copy_")
def _copy(func, nt, src, non_blocking=False):
    if not (isinstance(nt, StridedNestedTensor) and isinstance(src, StridedNestedTensor)):
        raise RuntimeError("copy_ only supports tensors that are the same size for Nested implementations")
    nt._values.copy_(nt._matching(src, "copy_"))
    return nt


@strided_op("is_same_size")
def _is_same_size(func, a, b):
    return isinstance(a, Nested) and isinstance(b, Nested) and a._sizes == b._sizes
