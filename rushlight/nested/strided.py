"""Nested tensors of the layout `torch.strided`: pieces of any sizes, one after another in a row of numbers."""

import math

import numpy as np

from rushlight import devices
from rushlight.devices import Size
from rushlight.nested.tensor import Nested, new, shape_array
from rushlight.tensor import Tensor, check_dim, wrap


class StridedNestedTensor(Nested, asked_at_once=False):
    """A nested tensor of the layout `torch.strided`; `torch.nested.nested_tensor` makes them."""

    ops: dict = {}
    _layout = devices.strided
    _sizes: list[tuple]  # of each piece
    _ndim: int

    def values(self) -> Tensor:
        """Its elements, piece by piece, (elements,)."""
        v = self._values
        return v.view_as(v) if v._rg else v.detach()

    def _with(self, values: Tensor) -> "StridedNestedTensor":
        return strided(values, self._sizes, self._ndim)

    @property
    def shape(self):
        """Raises RuntimeError: its sizes differ; `size(dim)` says those that do not."""
        raise RuntimeError(
            "Internal error: NestedTensorImpl doesn't support sizes: those of a nested tensor of layout torch.strided "
            "differ from piece to piece. Use nt.size(dim) for a dimension of one size, or [t.shape for t in nt.unbind()]."
        )

    def size(self, dim: int | None = None):
        """The dimension numbered `dim`.

        Raises:
            RuntimeError: it is not the same in all pieces, or no dimension is given.
        """
        if dim is None:
            return self.shape
        dim = check_dim(dim, self._ndim)
        if dim == 0:
            return len(self._sizes)
        found = {sizes[dim - 1] for sizes in self._sizes}
        if len(found) != 1:
            raise RuntimeError(f"Given dimension {dim} is irregular and does not have a size.")
        return found.pop()

    def _nested_tensor_size(self) -> Tensor:
        return wrap(np.array(self._sizes, np.int64).reshape(len(self._sizes), self._ndim - 1))

    def _places_in_memory(self) -> tuple:
        """The sizes of its pieces, their strides, and where each begins."""
        sizes = self._nested_tensor_size()._array
        ahead = np.concatenate([sizes[:, 1:], np.ones((len(sizes), 1), np.int64)], 1)[:, : self._ndim - 1]
        strides = np.cumprod(ahead[:, ::-1], 1)[:, ::-1]
        begins = np.cumsum([0, *sizes.prod(1)])[:-1]
        return tuple(wrap(np.ascontiguousarray(a)) for a in (sizes, strides, begins))

    def dim(self) -> int:
        """The number of its dimensions, that of the batch included."""
        return self._ndim

    def stride(self, dim: int | None = None):
        """Raises RuntimeError: its pieces have strides, and it has none."""
        raise RuntimeError(
            "Internal error: NestedTensorImpl doesn't support strides. Use those of nt.unbind()."
        )

    def is_contiguous(self, memory_format=None) -> bool:
        """Always."""
        return True

    def __len__(self) -> int:
        return len(self.shape)

    def __repr__(self, *, tensor_contents=None) -> str:
        shown = [str(p.detach().requires_grad_(self._rg)) for p in self.detach()._pieces()]
        lines = ["\n".join(f"  {line}" for line in text.split("\n")) for text in shown]
        grad = ", requires_grad=True" if self._rg else ""
        if self._node is not None:
            grad = f", grad_fn=<{self.grad_fn.name()}>"
        return "nested_tensor([\n" + ",\n".join(lines) + f"\n]{grad})"

    def unbind(self, dim: int = 0) -> tuple:
        """Its pieces.

        Raises:
            RuntimeError: `dim` is not 0.
        """
        if dim != 0:
            raise RuntimeError(
                f"NestedTensor can only be unbound along dimension 0 got dimension {dim} instead."
            )
        return self._pieces()

    def _pieces(self) -> tuple:
        if not self._sizes:
            return ()
        parts = self._values.split([math.prod(sizes) for sizes in self._sizes])
        return tuple(part.view(sizes) for part, sizes in zip(parts, self._sizes, strict=True))

    def _of_pieces(self, pieces: list) -> "StridedNestedTensor":
        return from_pieces(pieces)

    def _matching(self, other: Tensor, name: str) -> Tensor:
        if not isinstance(other, Nested):
            if other.dim():
                raise RuntimeError(
                    f"{name}: Expected both self and other to be nested, but got a nested self and non-nested other "
                    f"of shape {list(other.shape)}. Use layout=torch.jagged, or nested operands."
                )
            return other
        if not isinstance(other, StridedNestedTensor):
            raise RuntimeError(
                f"{name}: expected nested tensors of one layout, got torch.strided and torch.jagged"
            )
        if other._sizes != self._sizes:
            raise RuntimeError(
                f"{name} does not support broadcasting when given a NestedTensor: expected pieces of sizes "
                f"{list(map(list, self._sizes))}, got {list(map(list, other._sizes))}"
            )
        return other._values

    def to_padded_tensor(self, padding: float, output_size=None) -> Tensor:
        """A dense tensor of its pieces, each padded at the ends of its dimensions.

        Args:
            padding: the value of added elements.
            output_size: the size of the result; by default the largest sizes.
        Returns:
            (pieces, *largest sizes).
        Raises:
            RuntimeError: `output_size` is too small.
        """
        if not self._sizes:
            return self._values.new_full((0,), padding)
        sizes = shape_array(self._pieces()).max(0).tolist()
        if output_size is not None:
            output_size = tuple(output_size)
            if len(output_size) != self._ndim or any(
                n < m for n, m in zip(output_size[1:], sizes, strict=True)
            ):
                raise RuntimeError(
                    "Value in output_size is less than NestedTensor padded size. Truncation is not supported: expected "
                    f"at least {[len(self._sizes), *sizes]}, got {list(output_size)}"
                )
            sizes = list(output_size[1:])
        blank = self._values.new_full((len(self._sizes) * math.prod(sizes),), padding)
        return blank.index_copy(0, wrap(self._places(sizes)), self._values).view(-1, *sizes)

    def _places(self, sizes: list) -> np.ndarray:
        """Where each element is in a dense tensor of these sizes per piece."""
        places = np.arange(len(self._sizes) * math.prod(sizes)).reshape(-1, *sizes)
        found = [p[tuple(map(slice, own))].ravel() for p, own in zip(places, self._sizes, strict=True)]
        return np.concatenate(found)

    def __reduce_ex__(self, protocol):
        return strided, (self._values, self._sizes, self._ndim)


def strided(values: Tensor, sizes: list, ndim: int) -> StridedNestedTensor:
    """A nested tensor on a row of numbers, whose gradient graph is theirs.

    Args:
        values: (elements,), piece by piece.
        sizes: of each piece.
        ndim: the number of dimensions, that of the batch included.
    """
    made = new(StridedNestedTensor)
    made._values, made._sizes, made._ndim = values, [Size(s) for s in sizes], ndim
    return made


def from_pieces(pieces: list, dtype=None, device=None) -> StridedNestedTensor:
    """A nested tensor of tensors, through which gradients flow to them.

    Raises:
        RuntimeError: they are not of one number of dimensions.
    """
    from rushlight.ops.creation import empty
    from rushlight.ops.joining import cat

    if not pieces:
        return strided(empty(0, dtype=dtype, device=device), [], 1)
    for i, piece in enumerate(pieces):
        if piece.dim() != pieces[0].dim():
            raise RuntimeError(
                "All Tensors given to nested_tensor must have the same dimension. Found dimension "
                f"{piece.dim()} for Tensor at index {i} and dimension {pieces[0].dim()} for Tensor at index 0."
            )
    dtype = pieces[0].dtype if dtype is None else dtype
    values = cat([p.reshape(-1).to(device=device, dtype=dtype) for p in pieces])
    return strided(values, [p.shape for p in pieces], pieces[0].dim() + 1)
