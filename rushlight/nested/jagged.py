"""Nested tensors of the layout `torch.jagged`: one dimension differs from piece to piece, and is packed."""

import math

import numpy as np

from rushlight import devices
from rushlight.devices import Size, contiguous_format
from rushlight.nested.sizes import Cuts, RaggedSize
from rushlight.nested.tensor import Nested, new
from rushlight.tensor import Tensor, check_dim, wrap


class NestedTensor(Nested, asked_at_once=False):
    """A nested tensor of the layout `torch.jagged`.

    Args:
        values: the pieces, one after another along one dimension.
        offsets: (pieces + 1,), int64: where in that dimension each begins; the last is the end.
        lengths: (pieces,), how long each is, where there are holes between them.
        requires_grad: whether gradients flow to it.
    """

    ops: dict = {}
    _layout = devices.jagged
    _cuts: Cuts
    _ragged_idx: int  # which dimension is ragged, that of the batch being 0

    def __new__(
        cls, values, offsets, *, lengths=None, requires_grad=False, _ragged_idx=1, _metadata_cache=None
    ):
        made = jagged(values, Cuts(offsets, lengths), _ragged_idx)
        return made.requires_grad_() if requires_grad else made

    def values(self) -> Tensor:
        """Its packed values: the pieces, one after another."""
        v = self._values
        return v.view_as(v) if v._rg else v.detach()

    def offsets(self) -> Tensor:
        """(pieces + 1,): where each piece begins in the packed dimension; the last is the end."""
        return self._cuts.offsets

    def lengths(self) -> Tensor | None:
        """(pieces,): how long each piece is, where there are holes between them; None otherwise."""
        return self._cuts.lengths

    _offsets = property(offsets)
    _lengths = property(lengths)

    def _get_max_seqlen(self) -> int:
        return self._cuts.longest

    def _get_min_seqlen(self) -> int:
        return min(self._cuts.counts, default=0)

    _max_seqlen, _min_seqlen = property(_get_max_seqlen), property(_get_min_seqlen)

    def _with(self, values: Tensor, ragged_idx: int | None = None) -> "NestedTensor":
        return jagged(values, self._cuts, self._ragged_idx if ragged_idx is None else ragged_idx)

    def _parts(self) -> list:
        cuts = self._cuts
        return [self._values, cuts.offsets, *([] if cuts.lengths is None else [cuts.lengths])]

    @property
    def shape(self) -> Size:
        """Its dimensions, of which one is ragged."""
        sizes, r = tuple(self._values.shape), self._ragged_idx
        return Size((len(self._cuts), *sizes[: r - 1], self._cuts.size, *sizes[r:]))

    _size = property(lambda self: tuple(self.shape))

    def size(self, dim: int | None = None):
        """Its dimensions, or the one numbered `dim`."""
        shape = self.shape
        return shape if dim is None else shape[check_dim(dim, len(shape))]

    def dim(self) -> int:
        """The number of its dimensions, that of the batch included."""
        return self._values.dim() + 1

    def numel(self) -> int:
        """The number of its elements."""
        cuts, v = self._cuts, self._values
        if cuts.lengths is None:
            return v.numel()
        return sum(cuts.counts) * math.prod(n for i, n in enumerate(v.shape) if i != self._ragged_idx - 1)

    def stride(self, dim: int | None = None):
        """Steps between neighbours along each dimension (or along `dim`), in elements."""
        steps = self._values.stride()
        steps = (self._cuts.size * steps[self._ragged_idx - 1], *steps)
        return steps if dim is None else steps[check_dim(dim, len(steps))]

    def is_contiguous(self, memory_format=contiguous_format) -> bool:
        """Whether its packed values are, and there are no holes between them."""
        return self._cuts.lengths is None and self._values.is_contiguous(memory_format)

    def __len__(self) -> int:
        return len(self._cuts)

    def __repr__(self, *, tensor_contents=None) -> str:
        grad = ", requires_grad=True" if self._rg else ""
        if self._node is not None:
            grad = f", grad_fn={self.grad_fn}"
        return f"NestedTensor(size={self._size}, offsets={self._cuts.offsets}{grad}, contiguous={self.is_contiguous()})"

    def unbind(self, dim: int = 0) -> tuple:
        """Its pieces.

        Raises:
            RuntimeError: `dim` is not 0.
        """
        if dim != 0:
            raise RuntimeError(f"unbind(): only supported for NestedTensor on dim=0, got {dim}")
        return self._pieces()

    def _pieces(self) -> tuple:
        cuts, along = self._cuts, self._ragged_idx - 1
        if cuts.lengths is None:
            return tuple(self._values.split(cuts.counts, along))
        places = zip(cuts.starts, cuts.counts, strict=True)
        return tuple(self._values.narrow(along, start, n) for start, n in places)

    def _of_pieces(self, pieces: list) -> "NestedTensor":
        """Pieces as long as its own, packed next to the batch, in its structure."""
        from rushlight.ops.joining import cat

        r = self._ragged_idx - 1
        packed = cat([p.transpose(0, r) for p in pieces]).transpose(0, r)
        if self._cuts.lengths is None:
            return self._with(packed)
        ends = np.cumsum([0, *self._cuts.counts])
        return jagged(packed, Cuts(wrap(ends)), self._ragged_idx)

    def _matching(self, other: Tensor, name: str) -> Tensor:
        if isinstance(other, Nested):
            if not (isinstance(other, NestedTensor) and self._cut_like(other.shape)):
                shown = tuple(other.shape) if isinstance(other, NestedTensor) else other._layout
                raise RuntimeError(
                    f"cannot call binary pointwise function {name} with inputs of shapes {self._size} and {shown}: the "
                    "pieces have to be cut by the very same offsets tensor, as by "
                    "torch.nested.nested_tensor_from_jagged(values, other.offsets())"
                )
            return other._values
        if other.dim() > self.dim():
            raise NotImplementedError("NYI: broadcasting NT with T with larger dim")
        squeezed = other
        while squeezed.dim() and squeezed.shape[0] == 1:
            squeezed = squeezed.squeeze(0)
        if squeezed.dim() <= self.dim() - 2:
            return squeezed
        if other.dim() != self.dim() or other.shape[0] != len(self):
            raise RuntimeError(
                f"cannot call binary pointwise function {name} with inputs of shapes {self.shape} and {other.shape}"
            )
        return pack(other, self)

    def _cut_like(self, shape) -> bool:
        """Whether a shape is the same up to the ragged dimension; -1 stands for any size."""
        own = self._size[: self._ragged_idx + 1]
        return len(shape) >= len(own) and all(
            n == m or (not isinstance(n, RaggedSize) and n == -1) for n, m in zip(shape, own, strict=False)
        )

    def to_padded_tensor(self, padding: float, output_size=None) -> Tensor:
        """A dense tensor of its pieces, each padded at its end.

        Args:
            padding: the value of added elements.
            output_size: the size of the result, of which only that of the ragged dimension counts; shorter than a
                piece, it cuts the piece.
        Returns:
            (pieces, ..., size of the longest, ...).
        Raises:
            RuntimeError: there are holes between the pieces.
        """
        cuts, r = self._cuts, self._ragged_idx
        if cuts.lengths is not None:
            raise RuntimeError("to_padded_tensor(): not supported for nested tensors with holes")
        longest = cuts.longest if output_size is None else output_size[r]
        values = self._values.transpose(0, r - 1)
        rows, within = cuts.rows, cuts.within
        if longest < cuts.longest:
            kept = (within < longest).nonzero().squeeze(1)
            values, rows, within = values[kept], rows[kept], within[kept]
        blank = values.new_full((len(cuts) * longest, *values.shape[1:]), padding)
        padded = blank.index_copy(0, rows * longest + within, values)
        return padded.unflatten(0, (len(cuts), longest)).transpose(1, r)

    def __reduce_ex__(self, protocol):
        return rebuilt, (self._values, self._cuts.offsets, self._cuts.lengths, self._ragged_idx)


NestedTensor.__module__ = (
    "rushlight.nested._internal.nested_tensor"  # where PyTorch has it, and files name it
)


def pack(dense: Tensor, like: NestedTensor) -> Tensor:
    """The packed values of a dense tensor, of whose ragged dimension each piece takes the beginning.

    Args:
        dense: (pieces, ..., at least the longest or 1, ...).
        like: says how long the pieces are.
    """
    cuts, r = like._cuts, like._ragged_idx
    by_piece = dense.transpose(1, r)
    if by_piece.shape[1] == 1:
        found = by_piece.squeeze(1).index_select(0, cuts.rows)
    else:
        found = by_piece.flatten(0, 1).index_select(0, cuts.rows * by_piece.shape[1] + cuts.within)
    return found.transpose(0, r - 1)


def jagged(values: Tensor, cuts: Cuts, ragged_idx: int = 1) -> NestedTensor:
    """A nested tensor on packed values, whose gradient graph is theirs.

    Args:
        values: the pieces, one after another along the dimension `ragged_idx - 1`.
        cuts: where each is.
        ragged_idx: the number of the ragged dimension of the nested tensor.
    """
    made = new(NestedTensor)
    made._values, made._cuts, made._ragged_idx = values, cuts, ragged_idx
    return made


def rebuilt(values, offsets, lengths, ragged_idx) -> NestedTensor:
    """The tensor that was pickled."""
    return jagged(values, Cuts(offsets, lengths), ragged_idx)


def from_list(tensors: list, dtype=None, device=None) -> NestedTensor:
    """A jagged tensor of tensors that differ in one dimension at most, through which gradients flow to them.

    Raises:
        RuntimeError: there are none, they are of several types or numbers of dimensions, or they differ in several.
    """
    from rushlight.ops.joining import cat

    if not tensors:
        raise RuntimeError("Cannot construct a nested tensor from an empty tensor list")
    for what, found in (("dtype", {t.dtype for t in tensors}), ("dim", {t.dim() for t in tensors})):
        if len(found) > 1:
            raise RuntimeError(
                f"When constructing a nested tensor, all tensors in list must have the same {what}, got "
                + ", ".join(sorted(map(str, found)))
            )
    if not tensors[0].dim():
        raise RuntimeError("Cannot construct a nested tensor from a list of zero-dim tensors")
    ragged = [
        i for i, sizes in enumerate(zip(*(t.shape for t in tensors), strict=True)) if len(set(sizes)) > 1
    ]
    if len(ragged) > 1:
        raise RuntimeError(
            "Cannot represent given tensor list as a nested tensor with the jagged layout. Note that the jagged layout "
            "only allows for a single ragged dimension. For example: (B, *, D_0, D_1, ..., D_N), with ragged * dim. "
            "Use layout=torch.strided."
        )
    along = ragged[0] if ragged else 0
    ends = [0]
    for t in tensors:
        ends.append(ends[-1] + t.shape[along])
    values = cat(tensors, along).to(device=device, dtype=dtype)
    return jagged(values, Cuts(wrap(np.array(ends, np.int64))), along + 1)
