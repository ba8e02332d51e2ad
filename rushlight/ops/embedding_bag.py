"""Sums, means and maxima of rows of a table, which integers choose in bags."""

import warnings

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import c_order, zeros_by
from rushlight.ops.common import MODE, Tensor, check_tensor, record, recording, wrap
from rushlight.ops.embedding import embedding_gradient, renormalise, sparse_rows
from rushlight.ops.gather import scatter_add
from rushlight.ops.index_ops import index_select
from rushlight.ops.positions import check_bounds
from rushlight.ops.registry import op

_MODES = ("sum", "mean", "max")


class EmbeddingBagBackward0(Node):
    """`bags` says which rows are in which bag."""

    def backward(self, grad):
        weight, samples = self.unpack()
        to_weight, to_samples = self.edges if len(self.edges) == 2 else (self.edges[0], None)
        bags = self.bags
        gw = gs = None
        if bags.mode == "max":
            return self._to_largest(grad)
        rows = None
        if to_weight is not None or MODE.enabled:
            rows = index_select(grad, 0, wrap(bags.of_entry))
        if to_weight is not None:
            scaled = rows
            if bags.mode == "mean":
                sizes = np.maximum(bags.sizes, 1)[bags.of_entry].astype(grad._array.dtype)
                scaled = scaled / wrap(sizes[:, None])
            if samples is not None:
                chosen = samples if bags.kept is None else index_select(samples, 0, wrap(bags.kept))
                scaled = scaled * chosen.unsqueeze(1)
            if self.sparse:
                gw = sparse_rows(scaled, bags.index, bags.rows)
            else:
                gw = embedding_gradient(scaled, wrap(bags.index), bags.rows, -1, bags.by_frequency)
        if to_samples is not None:
            gs = self._to_samples(grad, rows, weight, samples)
        return (gw, gs) if len(self.edges) == 2 else gw

    def _to_largest(self, grad) -> Tensor:
        bags = self.bags
        used = grad * wrap((bags.sizes > 0)[:, None].astype(grad._array.dtype))
        zeros = wrap(zeros_by(grad._array, (bags.rows, grad._array.shape[1])))
        return scatter_add(zeros, 0, wrap(bags.largest), used)

    def _to_samples(self, grad, rows, weight, samples) -> Tensor:
        bags = self.bags
        if MODE.enabled:
            found = (rows * index_select(weight, 0, wrap(bags.index))).sum(1)
        else:
            g = c_order(grad._array)
            found = wrap(K.sampled_matmul(bags.of_entry, bags.index, g, c_order(weight._array)))
        if bags.kept is None:
            return found
        nothing = wrap(zeros_by(samples._array, samples._array.shape, found._array.dtype))
        return scatter_add(nothing, 0, wrap(bags.kept), found)


class _Bags:
    """Which rows are in which bag, without those of the padding."""

    def __init__(self, index, starts, count, rows, padding, mode, by_frequency):
        index = index.astype(np.int64, copy=False)
        ends = np.append(starts[1:count], len(index)) if len(starts) == count else starts[1:]
        self.of_entry = np.repeat(np.arange(count), ends - starts[:count])
        self.all_bags = self.of_entry
        self.kept = None
        if padding >= 0 and (index == padding).any():
            self.kept = np.flatnonzero(index != padding)
            index, self.of_entry = index[self.kept], self.of_entry[self.kept]
        self.index, self.rows, self.mode, self.by_frequency = index, rows, mode, by_frequency
        self.sizes = np.bincount(self.of_entry, minlength=count)
        self.crow = np.concatenate([[0], np.cumsum(self.sizes)])
        self.largest = None


def _reduced(bags: _Bags, table: np.ndarray, samples, places: bool) -> np.ndarray:
    """One row for each bag; notes where the largest elements are for "max" if `places` are wanted."""
    count, width = len(bags.sizes), table.shape[1]
    wide = table if table.dtype.kind == "f" and table.itemsize > 2 else table.astype(np.float32)
    if bags.mode == "max":
        return _largest(bags, wide, count, width, places).astype(table.dtype, copy=False)
    values = (
        np.ones(len(bags.index), wide.dtype) if samples is None else samples.astype(wide.dtype, copy=False)
    )
    if samples is not None and bags.kept is not None:
        values = values[bags.kept]
    found = K.csr_matmul(bags.crow, bags.index, c_order(values), c_order(wide))
    if bags.mode == "mean":
        found /= np.maximum(bags.sizes, 1)[:, None].astype(wide.dtype)
    return found.astype(table.dtype, copy=False)


def _largest(bags: _Bags, table: np.ndarray, count: int, width: int, places: bool) -> np.ndarray:
    found, bags.largest = zeros_by(table, (count, width)), zeros_by(table, (count, width), np.int64)
    filled = np.flatnonzero(bags.sizes)
    if not len(filled) or not width:
        return found
    rows, starts = table[bags.index], bags.crow[filled]
    found[filled] = np.maximum.reduceat(rows, starts, axis=0)
    if places:
        smaller = rows < found[bags.of_entry]  # nan, the largest of all, is not
        place = np.where(smaller, np.int32(len(rows)), np.arange(len(rows), dtype=np.int32)[:, None])
        bags.largest[filled] = bags.index[np.minimum.reduceat(place, starts, axis=0)]
    return found


def _check_index(name: str, input: Tensor, argument: str = "indices") -> np.ndarray:
    index = input._array
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            f"Expected tensor for argument #1 '{argument}' to have one of the following scalar types: Long, Int; but "
            f"got torch.{SCALAR_NAMES[input.dtype]}Tensor instead (while checking arguments for {name}). Use "
            "input.long()."
        )
    return index


def _check_starts(offsets: Tensor, entries: int, include_last: bool) -> np.ndarray:
    starts = _check_index("embedding_bag", offsets, "offsets").astype(np.int64, copy=False)
    if include_last and not len(starts):
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    if len(starts) and starts[0]:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, "
            f"got {int(starts[0])}"
        )
    if len(starts) and starts[-1] > entries:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {entries} but got offsets[-1] of {int(starts[-1])}"
        )
    if (np.diff(starts) < 0).any():
        raise RuntimeError(f"embedding_bag: offsets must not decrease, got {starts.tolist()}")
    return starts


def bag(
    weight, input, offsets, by_frequency, mode, sparse, samples, include_last, padding_idx, places=False
) -> tuple:
    """The reduced rows as a tensor, and the bags."""
    index = _check_index("embedding_bag", check_tensor("embedding_bag", input, "indices", 2))
    check_tensor("embedding_bag", offsets, "offsets", 3)
    table = check_tensor("embedding_bag", weight, "weight")._array
    if table.dtype.kind not in "fV":
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, Float, "
            f"Double; but got torch.{SCALAR_NAMES[weight.dtype]}Tensor instead (while checking arguments for "
            "embedding_bag)"
        )
    if samples is not None and samples._array.dtype != table.dtype:
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have the same type as tensor for argument #1 "
            f"'per_sample_weights'; but type torch.{SCALAR_NAMES[weight.dtype]}Tensor does not equal "
            f"torch.{SCALAR_NAMES[samples.dtype]}Tensor (while checking arguments for embedding_bag)"
        )
    if samples is not None and mode != "sum":
        raise RuntimeError(f"embedding_bag: per_sample_weights only supported with mode='sum', got {mode!r}")
    if sparse and by_frequency:
        raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
    rows = table.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise RuntimeError(
            f"padding_idx must be within the number of embeddings, {-rows} through {rows - 1}, but got {padding_idx}"
        )

    def error(bad):
        at = int(np.flatnonzero(index == bad)[0])
        return RuntimeError(
            f"Index {at} of input takes value {bad} which is not in the valid range [0, {rows})"
        )

    check_bounds(index, rows, error)
    starts = _check_starts(offsets, len(index), include_last)
    if include_last:  # PyTorch takes the entries up to the last offset only
        index = index[: starts[-1]]
    count = len(starts) - 1 if include_last else len(starts)
    padding = -1 if padding_idx is None else padding_idx % rows
    bags = _Bags(index, starts, count, rows, padding, mode, by_frequency)
    used = samples if samples is None or not include_last else samples[: len(index)]
    inputs = (weight,) if used is None else (weight, used)
    recorded = recording(*inputs)
    found = _reduced(bags, table, None if used is None else used._array, places or recorded)
    if recorded:
        return record(found, EmbeddingBagBackward0, inputs, weight, used, bags=bags, sparse=sparse), bags
    return wrap(found), bags


def aten_embedding_bag(
    weight, indices, offsets, scale_grad_by_freq=False, mode=0, sparse=False, per_sample_weights=None,
    include_last_offset=False, padding_idx=None,
):  # fmt: skip
    """`nn.functional.embedding_bag` with the arguments in ATen's order.

    Args:
        mode: 0 for "sum", 1 for "mean", 2 for "max".
    Returns:
        The result; the bag of each index; the sizes of the bags; and where the largest elements are.

    >>> import rushlight as torch
    >>> index, starts = torch.tensor([0, 1]), torch.tensor([0])
    >>> torch.embedding_bag(torch.tensor([[1.0], [2.0]]), index, starts)[0]
    tensor([[3.]])
    """
    mode = _MODES[mode]
    out, bags = bag(
        weight, indices, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights, include_last_offset, padding_idx,
        places=True,
    )  # fmt: skip
    kind = indices._array.dtype
    if mode == "sum":
        sizes = np.zeros(len(bags.sizes), kind)
        return out, wrap(np.empty(0, kind)), wrap(sizes), wrap(sizes.copy())
    sizes = bags.sizes.astype(kind)
    largest = sizes.copy() if mode == "mean" else bags.largest.astype(kind)
    return out, wrap(bags.all_bags.astype(kind)), wrap(sizes), wrap(largest)


@op(method=False)
def embedding_bag(
    input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean", sparse=False,
    per_sample_weights=None, include_last_offset=False, padding_idx=None,
):  # fmt: skip
    """The sums, means or maxima of the rows of a table that are in each bag.

    Args:
        input: int32 or int64 positions: (B, N), bags of N each; or (N,), cut into bags by `offsets`.
        weight: (V, D), the table.
        offsets: (B,), where each bag begins in a 1-D input.
        max_norm: rows that are longer are scaled down to this length first, in place.
        norm_type: which norm measures the length.
        scale_grad_by_freq: divide the gradient of a row by how often it occurs.
        mode: "sum", "mean" or "max".
        sparse: whether the gradient of the table is a sparse tensor; not for "max".
        per_sample_weights: a factor for each position, like the input; for "sum".
        include_last_offset: whether `offsets` has one more element, the end of the last bag.
        padding_idx: a row that counts nothing.
    Returns:
        (B, D); zeros for empty bags.
    Raises:
        ValueError: the arguments do not go together. RuntimeError: a position or an offset is out of range.

    >>> import rushlight as torch
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> torch.nn.functional.embedding_bag(torch.tensor([[0, 1], [1, 1]]), table)
    tensor([[2., 3.],
            [3., 4.]])
    """
    check_tensor("embedding_bag", input)
    check_tensor("embedding_bag", weight, "weight", 2)
    if weight._array.dtype == np.int64 and input._array.dtype.kind in "fV":
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is "
            "deprecated, and should now be `embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    if per_sample_weights is not None and input.size() != per_sample_weights.size():
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the same "
            f"shape as the input ({input.shape})"
        )
    if weight.dim() != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}")
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets)}"
            )
        count, each = input._array.shape
        offsets, include_last_offset = wrap(np.arange(count) * each), False
        input = input.reshape(-1)
        per_sample_weights = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    elif input.dim() != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    elif offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    elif offsets.dim() != 1:
        raise ValueError(f"offsets has to be a 1D Tensor, got {offsets.dim()}D")
    if mode not in _MODES:
        raise ValueError(f"mode has to be one of sum, mean or max, got {mode!r}")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if max_norm is not None:
        renormalise(weight, input._array, max_norm, norm_type)
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got "
            f"mode='{mode}'). Multiply embeddings and reduce them instead."
        )
    return bag(
        weight, input, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights, include_last_offset, padding_idx
    )[0]  # fmt: skip
