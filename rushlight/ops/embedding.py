"""Rows of a table by number: embedding, one_hot."""

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import c_order, empty_by, zeros_by
from rushlight.ops.common import (
    MODE,
    Tensor,
    check_tensor,
    record,
    recording,
    wrap,
)
from rushlight.ops.masks import masked_fill
from rushlight.ops.positions import PlacedNode, check_bounds
from rushlight.ops.registry import op
from rushlight.ops.shape import unsqueeze

# -- embedding --------------------------------------------------------------------------------------


@op(method=False)
def one_hot(input, num_classes=-1):
    """Each class number as a row of zeros with a single one.

    Args:
        input: (*), int64 class numbers.
        num_classes: how many classes there are; one more than the largest number where -1.
    Returns:
        (*, num_classes), int64.
    Raises:
        RuntimeError: a number is negative or too large.

    >>> import rushlight as torch
    >>> torch.nn.functional.one_hot(torch.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    array = check_tensor("one_hot", input)._array
    if array.dtype != np.int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, got {input.dtype}"
        )
    if array.size == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(empty_by(array, (*array.shape, num_classes), np.int64))
    if array.min() < 0:
        raise RuntimeError(f"Class values must be non-negative, got {int(array.min())}.")
    if num_classes == -1:
        num_classes = int(array.max()) + 1
    elif num_classes < 1:
        raise RuntimeError(f"num_classes should be positive, got {num_classes}")
    elif array.max() >= num_classes:
        raise RuntimeError(
            f"Class values must be smaller than num_classes, got {int(array.max())} for {num_classes}."
        )
    found = zeros_by(array, (array.size, num_classes), np.int64)
    found[np.arange(array.size), array.reshape(-1)] = 1
    return wrap(found.reshape(*array.shape, num_classes))


class EmbeddingBackward0(PlacedNode):
    def backward(self, grad):
        return embedding_gradient(grad, self.index, self.rows, self.padding, self.by_frequency)


class _SparseEmbedding(PlacedNode):
    """The gradient of the table has entries only in the rows that were looked up."""

    def backward(self, grad):
        index, rows = self.index._array.reshape(-1).astype(np.int64), grad.reshape(-1, grad.shape[-1])
        if self.padding >= 0:
            used = np.flatnonzero(index != self.padding)
            index, rows = index[used], rows.index_select(0, wrap(used))
        return sparse_rows(rows, index, self.rows)


def sparse_rows(rows: Tensor, index: np.ndarray, count: int) -> Tensor:
    """A sparse matrix of `count` rows with these ones at the places of the index."""
    from rushlight.ops.sparse import build
    from rushlight.sparse_tensor import Pattern

    return build(rows, Pattern(index[None], (count,), False))


_SparseEmbedding.__name__ = _SparseEmbedding.__qualname__ = "EmbeddingBackward0"


class EmbeddingDenseBackwardBackward0(Node):
    def backward(self, grad):
        found = embedding(self.index, grad)
        if self.padding >= 0:
            found = masked_fill(found, unsqueeze(wrap(self.index._array == self.padding), -1), 0)
        return found if self.scale is None else found * wrap(self.scale)


def embedding_gradient(grad: Tensor, index: Tensor, rows: int, padding: int, by_frequency: bool) -> Tensor:
    array, flat = grad._array, index._array.reshape(-1)
    scale = None
    if by_frequency and flat.size:
        scale = (1 / np.bincount(flat, minlength=rows)[index._array])[..., None].astype(array.dtype)
        array = array * scale
    array = array.reshape(-1, array.shape[-1]) if flat.size else array.reshape(0, array.shape[-1])
    found = K.embedding_backward(c_order(array), flat.astype(np.int64, copy=False), rows)
    if padding >= 0:
        found[padding] = 0
    if recording(grad):
        return record(
            found, EmbeddingDenseBackwardBackward0, (grad,), index=index, padding=padding, scale=scale
        )
    return wrap(found)


@op(method=False)
def embedding(
    input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
):  # fmt: skip
    """The rows of a table at the given positions.

    Args:
        input: (*), int32 or int64 positions.
        weight: (V, D), the table.
        padding_idx: a row that gets no gradient.
        max_norm: rows that are longer are scaled down to this length first, in place.
        norm_type: which norm measures the length.
        scale_grad_by_freq: divide the gradient of a row by how often it was looked up.
        sparse: whether the gradient of the table is a sparse tensor.
    Returns:
        (*, D).
    Raises:
        IndexError: a position is out of range. RuntimeError: positions of another type.

    >>> import rushlight as torch
    >>> torch.nn.functional.embedding(torch.tensor([1, 1]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [3., 4.]])
    """
    if sparse and scale_grad_by_freq:
        raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
    table = check_tensor("embedding", weight, "weight")._array
    index = check_tensor("embedding", input, "input", 2)._array
    if table.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, got shape {list(table.shape)}")
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; "
            "but got "
            f"torch.{SCALAR_NAMES[input.dtype]}Tensor instead (while checking arguments for embedding). Use "
            "input.long()."
        )
    rows = table.shape[0]
    padding = -1
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"padding_idx must be within num_embeddings: got {padding_idx} for {rows}")
        padding = padding_idx % rows

    def error(bad):
        fix = f"; make it nn.Embedding({bad + 1}, ...) at least" if bad >= rows else ""
        return IndexError(
            f"index out of range in self: embedding got index {bad} for a table of {rows} rows{fix}"
        )

    check_bounds(index, rows, error)
    if max_norm is not None:
        renormalise(weight, index, max_norm, norm_type)
    found = weight._array.take(index, 0)
    if not (weight._rg and MODE.enabled):
        return wrap(found)
    return record(
        found,
        _SparseEmbedding if sparse else EmbeddingBackward0,
        (weight,),
        input,
        rows=rows,
        padding=padding,
        by_frequency=scale_grad_by_freq,
    )


def renormalise(weight: Tensor, index: np.ndarray, max_norm: float, norm_type: float) -> None:
    """Scale down, in place, the rows that are looked up and too long."""
    used = np.unique(index)
    table = weight._array
    lengths = np.linalg.norm(table[used], norm_type, 1)
    long = lengths > max_norm
    table[used[long]] *= (max_norm / (lengths[long] + 1e-7))[:, None].astype(table.dtype)
    weight._bump()
