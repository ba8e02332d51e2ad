"""Batches of sequences of different lengths: padded, packed, and apart."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from rushlight import dtypes
from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES
from rushlight.ops.adjoint import LinearNode, apply_linear
from rushlight.ops.common import MODE, Tensor, broadcast_error, check_tensor, record, recording, sum_to, wrap
from rushlight.ops.data import as_tensor
from rushlight.ops.recurrent import check_batch_sizes
from rushlight.tensor import check_dim


class PackedSequence_(NamedTuple):
    """The fields of a `PackedSequence`."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(PackedSequence_):
    """Sequences of different lengths without padding, step after step, the longest first.

    Made by `pack_padded_sequence` and `pack_sequence`; recurrent layers take and give it.

    Args:
        data: (all steps of all sequences, *), first step 0 of all sequences, then step 1 of those that have one ...
        batch_sizes: how many sequences have each step, int64.
        sorted_indices: which of the sequences comes first, second ..., or None for the given order.
        unsorted_indices: the inverse of that.
    Raises:
        AssertionError: batch_sizes are missing.

    >>> import rushlight as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 3, 2]), tensor([2, 1]))
    """

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not (isinstance(data, list | tuple) and len(data) == 2):
                raise AssertionError(
                    "Expected data to be a list or tuple of length 2, (data, batch_sizes); PackedSequences are "
                    "made by pack_sequence and pack_padded_sequence"
                )
            data, batch_sizes = data
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs):
        """The data converted as `Tensor.to` does; itself where nothing changes."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, *self[1:])

    def cpu(self, *args, **kwargs):
        """Itself: it is on the CPU."""
        return self.to(*args, device="cpu", **kwargs)

    def cuda(self, *args, **kwargs):
        """Raises an error, as `Tensor.cuda` does: there is no GPU."""
        return type(self)(self.data.cuda(*args, **kwargs), *self[1:])

    def pin_memory(self):
        """Itself with its data as `Tensor.pin_memory` gives it."""
        return type(self)(self.data.pin_memory(), *self[1:])

    def is_pinned(self) -> bool:
        """Whether the data are in pinned memory."""
        return self.data.is_pinned()

    @property
    def is_cuda(self) -> bool:
        """False: it is on the CPU."""
        return self.data.is_cuda


def _converter(name: str, kind: dtypes.dtype):
    def convert(self):
        return self.to(dtype=kind)

    convert.__name__, convert.__qualname__ = name, f"PackedSequence.{name}"
    convert.__doc__ = f"""Itself with data of type {str(kind).removeprefix("torch.")}."""
    return convert


for _name, _kind in {
    "double": dtypes.float64, "float": dtypes.float32, "half": dtypes.float16, "long": dtypes.int64,
    "int": dtypes.int32, "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8,
}.items():  # fmt: skip
    setattr(PackedSequence, _name, _converter(_name, _kind))


def invert_permutation(permutation):
    """The inverse of a permutation, a 1-D tensor of indices; None for None.

    >>> import rushlight as torch
    >>> torch.nn.utils.rnn.invert_permutation(torch.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    order = permutation._array
    inverse = np.empty_like(order)
    inverse[order] = np.arange(order.size)
    return wrap(inverse)


# -- packing --------------------------------------------------------------------------------------------


class PackPaddedSequenceBackward0(LinearNode):
    """Rows taken out of a padded batch."""


class PadPackedSequenceBackward0(LinearNode):
    """Rows put into a padded batch."""


def _places(batch_sizes: np.ndarray, batch_first: bool) -> tuple:
    """The first two indices into a padded batch of all rows of the packed one, in order."""
    steps = np.repeat(np.arange(len(batch_sizes)), batch_sizes)
    starts = np.cumsum(batch_sizes) - batch_sizes
    samples = np.arange(len(steps)) - np.repeat(starts, batch_sizes)
    return (samples, steps) if batch_first else (steps, samples)


def _taking(places: tuple, shape: tuple) -> tuple:
    """The function that takes the rows at these places out of an array of this shape, and its adjoint."""

    def put(rows):
        padded = np.zeros(shape, rows.dtype)
        padded[places] = rows
        return padded

    return (lambda padded: padded[places]), put


def _pack_padded_sequence(input, lengths, batch_first):
    """The rows of a padded batch without the padding, and how many there are of each step."""
    sizes = check_tensor("_pack_padded_sequence", lengths, "lengths", 2)._array
    if sizes.ndim != 1 or sizes.dtype != np.int64:
        raise RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {sizes.ndim}D cpu "
            f"{SCALAR_NAMES[lengths.dtype]} tensor"
        )
    if check_tensor("_pack_padded_sequence", input)._array.size == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    shape = input._array.shape
    check_dim(1, len(shape))
    batch, steps = shape[:2] if batch_first else (shape[1], shape[0])
    if len(sizes) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={batch})"
        )
    if sizes.min() <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if (sizes[1:] > sizes[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you "
            "do not need ONNX exportability."
        )
    if sizes[0] > steps:
        raise RuntimeError(
            f"pack_padded_sequence: expected lengths of at most {steps}, the steps of the input {list(shape)}, got "
            f"{sizes[0]}{'' if batch_first else '; is it a case for batch_first=True?'}"
        )
    batch_sizes = (sizes[None] > np.arange(sizes[0])[:, None]).sum(1)
    take, put = _taking(_places(batch_sizes, batch_first), shape)
    return apply_linear(input, take, put, PackPaddedSequenceBackward0), wrap(batch_sizes)


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """A padded batch as a `PackedSequence`: without the padding.

    Args:
        input: (steps, batch, *), or (batch, steps, *) where `batch_first`.
        lengths: of each sequence, a list or a tensor.
        batch_first: which dimension is the batch.
        enforce_sorted: whether the sequences come longest first already; else they are sorted here.
    Returns:
        A `PackedSequence`.
    Raises:
        RuntimeError: a length is not positive, or they are not sorted, or not one for each sequence.

    >>> import rushlight as torch
    >>> padded = torch.tensor([[1, 2, 0], [3, 0, 0]])
    >>> torch.nn.utils.rnn.pack_padded_sequence(padded, [2, 1], batch_first=True).data
    tensor([1, 3, 2])
    """
    lengths = (
        lengths.to(dtypes.int64) if isinstance(lengths, Tensor) else as_tensor(lengths, dtype=dtypes.int64)
    )
    order = None
    if not enforce_sorted:
        lengths, order = lengths.sort(descending=True)
        input = input.index_select(0 if batch_first else 1, order)
    data, batch_sizes = _pack_padded_sequence(input, lengths, batch_first)
    return PackedSequence(data, batch_sizes, order, None)


def _pad_packed_sequence(data, batch_sizes, batch_first, padding_value, total_length):
    """The rows of a packed batch with padding, and the lengths."""
    sizes = check_batch_sizes(
        "_pad_packed_sequence", batch_sizes, check_tensor("_pad_packed_sequence", data, "data")
    )
    if 0 < total_length < len(sizes):
        raise RuntimeError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {len(sizes)}"
        )
    steps, batch = max(total_length, len(sizes)), int(sizes[0])
    lead = (batch, steps) if batch_first else (steps, batch)
    places = _places(sizes, batch_first)
    take, put = _taking(places, (*lead, *data._array.shape[1:]))
    padded = apply_linear(data, put, take, PadPackedSequenceBackward0)
    if padding_value:
        empty = np.ones(lead, bool)
        empty[places] = False
        padded._array[empty] = padding_value
    lengths = (sizes[:, None] > np.arange(batch)[None]).sum(0)
    return padded, wrap(lengths)


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """A `PackedSequence` as a padded batch.

    Args:
        sequence: a `PackedSequence`.
        batch_first: whether the result is (batch, steps, *) instead of (steps, batch, *).
        padding_value: what stands behind the ends.
        total_length: how many steps the result has; by default as many as the longest sequence.
    Returns:
        The batch, and the lengths.
    Raises:
        ValueError: `total_length` is too small.

    >>> import rushlight as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])])
    >>> torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2],
            [3, 0]]), tensor([2, 1]))
    """
    longest = sequence.batch_sizes.size(0)
    if total_length is not None and total_length < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {longest}"
        )
    padded, lengths = _pad_packed_sequence(
        sequence.data, sequence.batch_sizes, batch_first, padding_value, total_length or longest
    )
    back = sequence.unsorted_indices
    if back is None:
        return padded, lengths
    return padded.index_select(0 if batch_first else 1, back), lengths[back]


# -- padding --------------------------------------------------------------------------------------------


class _PadSequence(Node):
    """Sequences copied into one padded batch."""

    def backward(self, grad):
        if not self.batch_first:
            grad = grad.transpose(0, 1)
        return tuple(
            None if e is None else sum_to(grad[i, place], shape)
            for i, (e, place, shape) in enumerate(zip(self.edges, self.places, self.shapes, strict=True))
        )


_PadSequence.__name__ = _PadSequence.__qualname__ = "CopySlices"  # PyTorch composes it of these


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Sequences of different lengths as one batch, padded to the longest.

    Args:
        sequences: tensors (length, *), which differ in the first size only.
        batch_first: whether the result is (batch, steps, *) instead of (steps, batch, *).
        padding_value: what fills the rest.
        padding_side: "right" or "left".
    Returns:
        A tensor of the first sequence's type.
    Raises:
        RuntimeError: there are no sequences, or their other sizes differ.

    >>> import rushlight as torch
    >>> torch.nn.utils.rnn.pad_sequence([torch.tensor([1, 2]), torch.tensor([3])], batch_first=True)
    tensor([[1, 2],
            [3, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    for t in sequences:
        if not check_tensor("pad_sequence", t, "sequences")._array.ndim:
            raise RuntimeError(
                "pad_sequence: expected sequences (length, *), got a tensor without dimensions"
            )
    arrays = [t._array for t in sequences]
    steps, rest = max(len(a) for a in arrays), arrays[0].shape[1:]
    lead = (len(arrays), steps) if batch_first else (steps, len(arrays))
    padded = np.full((*lead, *rest), padding_value, arrays[0].dtype)
    by_sample = padded if batch_first else padded.swapaxes(0, 1)
    places = [slice(steps - len(a), steps) if padding_side == "left" else slice(len(a)) for a in arrays]
    for target, place, a in zip(by_sample, places, arrays, strict=True):
        try:
            target[place] = a
        except ValueError:
            raise broadcast_error("pad_sequence", (len(a), *rest), a.shape) from None
    if not (MODE.enabled and recording(*sequences)):
        return wrap(padded)
    shapes = [a.shape for a in arrays]
    sequences = tuple(t.to(sequences[0].dtype) for t in sequences)
    return record(padded, _PadSequence, sequences, places=places, shapes=shapes, batch_first=batch_first)


def unpad_sequence(padded_sequences, lengths, batch_first=False) -> list:
    """The sequences of a padded batch, each with its own length.

    Args:
        padded_sequences: (steps, batch, *), or (batch, steps, *) where `batch_first`.
        lengths: of each sequence.
        batch_first: which dimension is the batch.
    Returns:
        A list of tensors.

    >>> import rushlight as torch
    >>> torch.nn.utils.rnn.unpad_sequence(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    by_sample = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [
        sequence[: max(0, length)].clone()
        for sequence, length in zip(by_sample, lengths.tolist(), strict=True)
    ]


def pack_sequence(sequences, enforce_sorted=True):
    """Sequences as a `PackedSequence`.

    Args:
        sequences: tensors (length, *).
        enforce_sorted: whether they come longest first already; else they are sorted here.
    Returns:
        A `PackedSequence`.
    Raises:
        RuntimeError: they are not sorted.

    >>> import rushlight as torch
    >>> torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]).data
    tensor([1, 3, 2])
    """
    sequences = list(sequences)
    lengths = as_tensor([t.size(0) for t in sequences], dtype=dtypes.int64)
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences) -> list:
    """The sequences of a `PackedSequence`, in the order in which they were packed.

    >>> import rushlight as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])])
    >>> torch.nn.utils.rnn.unpack_sequence(packed)
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip
