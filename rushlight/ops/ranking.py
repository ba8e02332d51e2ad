"""Margin losses: of pairs, triplets and labels."""

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import shown_as
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import ones_by
from rushlight.ops.activation import logsigmoid
from rushlight.ops.common import Tensor, broadcast_error, check_tensor, promote, wrap
from rushlight.ops.distance import pairwise_distance
from rushlight.ops.loss import ElementwiseLossNode, fused, reduce_loss, reduction_of, softplus_array
from rushlight.ops.registry import op


@op(method=False)
def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """The distance of similar pairs (target 1), and what others (target -1) lack of the margin.

    Args:
        input: distances.
        target: 1 or -1 for each.
        margin: how far apart others should be.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".

    >>> import rushlight as torch
    >>> torch.nn.functional.hinge_embedding_loss(torch.tensor([0.5, 0.25]), torch.tensor([1, -1]))
    tensor(0.6250)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensor("hinge_embedding_loss", input)
    apart = (margin - input).clamp_min(0) * (target != 1)
    return reduce_loss(apart + input * (target != -1), reduction)


class SoftMarginLossBackward0(ElementwiseLossNode):
    def slopes(self, x, y, to_x, to_y):
        shared = -(-x * y).sigmoid()
        return shared * y if to_x else None, shared * x if to_y else None


@op(method=False)
def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """log(1 + exp(-target * input)).

    Args:
        input: scores.
        target: 1 or -1 for each.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".

    >>> import rushlight as torch
    >>> torch.nn.functional.soft_margin_loss(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    input, target = promote("soft_margin_loss", input, target)
    if input._array.dtype.kind in "iub":
        raise RuntimeError(
            f"soft_margin_loss: result type Float can't be cast to the desired output type {input.dtype}; convert the "
            "input, x.float()"
        )
    try:
        product = K.mul(input._array, target._array)
    except ValueError:
        raise broadcast_error("soft_margin_loss", input._array.shape, target._array.shape) from None
    return fused(softplus_array(K.neg(product)), SoftMarginLossBackward0, input, target, reduction)


@op(method=False)
def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """max(0, -target * (input1 - input2) + margin): the first should rank higher where the target is 1.

    Args:
        input1, input2: scores.
        target: 1 where the first should be the higher, -1 where the second.
        margin: by how much.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".
    Raises:
        RuntimeError: the numbers of dimensions differ.

    >>> import rushlight as torch
    >>> F = torch.nn.functional
    >>> F.margin_ranking_loss(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([1.0]))
    tensor(2.)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if not input1._array.ndim == input2._array.ndim == target._array.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return reduce_loss((-target * (input1 - input2) + margin).clamp_min(0), reduction)


@op(method=False)
def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """One minus the cosine of similar vectors (target 1), and that of others (target -1) above the margin.

    Args:
        input1, input2: tensors [n, d] or [d].
        target: 1 or -1 for each pair, [n] or [].
        margin: the cosine that others may have.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".
    Raises:
        RuntimeError: the shapes do not go together.

    >>> import rushlight as torch
    >>> x = torch.tensor([[1.0, 0.0]])
    >>> torch.nn.functional.cosine_embedding_loss(x, x, torch.tensor([-1]))
    tensor(1.)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    rank = target._array.ndim
    if rank > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if not input1._array.ndim == input2._array.ndim == rank + 1:
        raise RuntimeError(
            f"{rank}D target tensor expects {rank + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and "
            f"{list(input2.shape)}."
        )
    tiny = 1e-12
    size1, size2 = (input1 * input1).sum(rank) + tiny, (input2 * input2).sum(rank) + tiny
    cosine = (input1 * input2).sum(rank) / (size1 * size2).sqrt()
    loss = (1 - cosine) * (target == 1) + (cosine - margin).clamp_min(0) * (target == -1)
    return reduce_loss(loss, reduction)


@op(method=False)
def triplet_margin_loss(
    anchor,
    positive,
    negative,
    margin=1.0,
    p=2,
    eps=1e-6,
    swap=False,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    """max(0, distance to the positive - distance to the negative + margin).

    Args:
        anchor, positive, negative: tensors [n, d] or [d].
        margin: how much further away the negative should be.
        p: the norm of the distance.
        eps: added to the differences.
        swap: measure the negative from the positive where that is nearer.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".
    Raises:
        ValueError: the margin is not positive. RuntimeError: the numbers of dimensions differ.

    Source: Balntas et al., Learning shallow convolutional feature descriptors with triplet losses (2016).

    >>> import rushlight as torch
    >>> x = torch.zeros(1, 2)
    >>> torch.nn.functional.triplet_margin_loss(x, x, x)
    tensor(1.)
    """
    reduction = reduction_of(size_average, reduce, reduction)

    def distance(a, b):
        return pairwise_distance(a, b, p, eps)

    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap, reduction=reduction
    )


@op(method=False)
def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """`triplet_margin_loss` with a distance of one's own.

    Args:
        anchor, positive, negative: tensors with as many dimensions.
        distance_function: takes two of them; the Euclidean distance by default.
        margin: how much further away the negative should be.
        swap: measure the negative from the positive where that is nearer.
        reduction: "mean", "sum" or "none".
    Raises:
        ValueError: the margin is not positive. RuntimeError: the numbers of dimensions differ.

    >>> import rushlight as torch
    >>> x = torch.zeros(1, 2)
    >>> torch.nn.functional.triplet_margin_with_distance_loss(x, x, x, margin=2.0)
    tensor(2.)
    """
    reduction = reduction_of(None, None, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    ranks = [t._array.ndim for t in (anchor, positive, negative)]
    if len(set(ranks)) != 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, "
            "but got: anchor "
            f"{ranks[0]}D, positive {ranks[1]}D, and negative {ranks[2]}D inputs"
        )
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduce_loss((margin + near - far).clamp_min(0), reduction)


def _check_long(target: Tensor) -> None:
    if target._array.dtype != np.int64:
        raise RuntimeError(
            f"expected scalar type Long but found {SCALAR_NAMES[target.dtype]}: use target.long()"
        )


@op(method=False)
def multi_margin_loss(
    input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
):
    """For each sample, the mean over the other classes of max(0, margin - score of its class + score)^p.

    Args:
        input: scores [n, classes] or [classes].
        target: class numbers [n] or [].
        p: 1 or 2.
        margin: by how much the score of the class should be the highest.
        weight: a tensor [classes]: the weight of each class.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".
    Raises:
        ValueError: p is neither 1 nor 2. RuntimeError: the shapes do not go together, or a class number is
            out of range.

    >>> import rushlight as torch
    >>> torch.nn.functional.multi_margin_loss(torch.tensor([[0.0, 0.5]]), torch.tensor([1]))
    tensor(0.2500)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight._array.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    x, t = (
        check_tensor("multi_margin_loss", input)._array,
        check_tensor("multi_margin_loss", target, "target", 2)._array,
    )
    if x.ndim > 2 or 0 in x.shape[-1:]:
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(x.shape)}"
        )
    samples, classes = (x.shape[0] if x.ndim == 2 else 1), (x.shape[-1] if x.ndim else 1)
    if t.ndim > 1 or t.size != samples:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples "
            "(batch size). "
            f"Expected target size [{samples}], but got {list(t.shape)}. Input has shape {list(x.shape)}."
        )
    if weight is not None and weight._array.shape != (classes,):
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    _check_long(target)
    if t.size and not (t.min() >= 0 and t.max() < classes):
        raise RuntimeError(
            f"target out of range: expected class numbers from 0 to {classes - 1}, got {t.min()} to {t.max()}"
        )
    rows, labels = input.reshape(samples, classes), target.reshape(samples, 1)
    lack = (margin - rows.gather(1, labels) + rows).relu()
    if p == 2:
        lack = lack * lack
    own = wrap(labels._array == np.arange(classes))
    loss = lack.masked_fill(own, 0)
    if weight is not None:
        loss = loss * weight.detach().index_select(0, target.reshape(-1)).unsqueeze(1)
    loss = loss.sum(1) / classes
    return shown_as("MultiMarginLossBackward0", reduce_loss(loss if t.ndim else loss.squeeze(0), reduction))


@op(method=False)
def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """For each sample, the sum of max(0, 1 - score of a label + score of another class), divided by classes.

    Args:
        input: scores [n, classes] or [classes].
        target: the class numbers of each sample, then -1, in the same shape.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".
    Raises:
        RuntimeError: the shapes differ, or a class number is out of range.

    >>> import rushlight as torch
    >>> torch.nn.functional.multilabel_margin_loss(torch.tensor([0.0, 0.5]), torch.tensor([1, -1]))
    tensor(0.2500)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    x = check_tensor("multilabel_margin_loss", input)._array
    t = check_tensor("multilabel_margin_loss", target, "target", 2)._array
    if x.ndim > 2 or 0 in x.shape[-1:]:
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(x.shape)}"
        )
    if t.shape != x.shape:
        raise RuntimeError(f"inconsistent target size: {list(t.shape)} for input of size: {list(x.shape)}")
    _check_long(target)
    classes = x.shape[-1] if x.ndim else 1
    if t.size and not (t.min() >= -1 and t.max() < classes):
        raise RuntimeError(f"argument #2 'target' is out of range: expected -1 to {classes - 1}")
    t = t.reshape(-1, classes)
    listed = np.logical_and.accumulate(t >= 0, 1)
    labels = np.where(listed, t, 0)
    others = ones_by(t, t.shape, bool)
    rows, columns = np.nonzero(listed)
    others[rows, t[rows, columns]] = False
    pairs = wrap(listed[:, :, None] & others[:, None, :])
    scores = input.reshape(-1, classes)
    lack = (1 - scores.gather(1, wrap(labels)).unsqueeze(2) + scores.unsqueeze(1)).relu()
    loss = (lack * pairs).sum((1, 2)) / classes
    loss = loss if x.ndim == 2 else loss.squeeze(0)
    return shown_as("MultilabelMarginLossBackward0", reduce_loss(loss, reduction))


@op(method=False)
def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The binary cross entropy of sigmoid(input) with labels, averaged over classes.

    Args:
        input: scores [..., classes].
        target: 0 or 1 for each, of the same shape.
        weight: a tensor that broadcasts to it: the weight of each class.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".

    >>> import rushlight as torch
    >>> torch.nn.functional.multilabel_soft_margin_loss(torch.zeros(1, 2), torch.ones(1, 2))
    tensor(0.6931)
    """
    if size_average is not None or reduce is not None:
        reduction = reduction_of(size_average, reduce, reduction)
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not valid")
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    loss = loss.sum(-1) / input._array.shape[-1]
    return reduce_loss(loss, reduction)
