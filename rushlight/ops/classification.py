"""Losses of class scores: cross entropy and negative log likelihood."""

import math

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node, connect, shown_as, tick
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import ones_by, zeros_by
from rushlight.ops.common import MODE, Tensor, check_tensor, not_implemented, wrap
from rushlight.ops.linear import linear
from rushlight.ops.loss import REDUCTIONS, reduction_of
from rushlight.ops.registry import op
from rushlight.ops.softmax import SoftmaxBackward0, log_softmax


def _rows(x: np.ndarray) -> np.ndarray:
    """Scores [n, classes, ...] or [classes] as rows; without a copy where channels are last in memory."""
    if x.ndim == 2:
        return x
    return x.reshape(1, -1) if x.ndim == 1 else np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def _from_rows(rows: np.ndarray, shape: tuple) -> np.ndarray:
    """Rows of scores in the shape that they had before `_rows`."""
    if len(shape) == 2:
        return rows
    if len(shape) == 1:
        return rows.reshape(shape)
    return np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


class _ClassNode(Node):
    """A loss of class scores of `shape`; saves scores or rows of probabilities, class numbers and weights."""

    def scale(self, grad):
        """The gradient of each row's loss: a Tensor under `create_graph`, else a number or an array."""
        if MODE.enabled:
            grad = (
                grad / self.total if self.reduction == "mean" and self.total else grad
            )  # with no total all is 0
            return grad.unsqueeze(self.axis) if self.reduction == "none" else grad
        if self.reduction == "none":
            return grad._array.reshape(-1)
        scale = float(grad._array)
        if self.reduction == "mean":
            return scale / self.total if self.total else math.nan
        return scale

    @property
    def axis(self) -> int:
        """The dimension of the classes."""
        return 0 if len(self.shape) == 1 else 1

    def shares(self, dtype, smoothing: float = 0.0) -> Tensor:
        """What the loss multiplies each negative log probability with, in the shape of the scores."""
        _, target, weight = self.unpack()
        target, classes = target._array.reshape(-1), self.shape[self.axis]
        w = ones_by(target, classes, dtype) if weight is None else weight._array
        used = target != self.ignore_index
        shares = zeros_by(target, (len(target), classes), dtype)
        rows = np.flatnonzero(used)
        shares[rows, target[rows]] = w[target[rows]] * (1 - smoothing)
        if smoothing:
            shares += (w * (smoothing / classes)) * used[:, None]
        return wrap(_from_rows(shares, self.shape))


class CrossEntropyNode(_ClassNode):
    def backward(self, grad):
        p, target, weight = self.unpack()
        scale = self.scale(grad)
        if not MODE.enabled:
            rows, w = target._array.reshape(-1), None if weight is None else weight._array
            result = K.cross_entropy_backward(
                p._array, rows, w, self.ignore_index, self.label_smoothing, scale
            )
            return wrap(_from_rows(result, self.shape))
        shares = self.shares(p._array.dtype, self.label_smoothing)
        return scale * (self.probabilities(p) * shares.sum(self.axis, True) - shares)

    def probabilities(self, p: Tensor) -> Tensor:
        """The saved probabilities as the softmax of the input that they are, so that gradients flow on."""
        node = SoftmaxBackward0()
        node.seq, node.edges, node.axis = tick(), self.edges, self.axis
        node.edge_outputs = self.edge_outputs
        p = wrap(_from_rows(p._array, self.shape))
        node.save_output(p)
        p._node, p._rg = node, True
        return p


class NllNode(_ClassNode):
    def backward(self, grad):
        x, target, weight = self.unpack()
        scale = self.scale(grad)
        if not MODE.enabled:
            rows, w = target._array.reshape(-1), None if weight is None else weight._array
            result = K.nll_loss_backward(_rows(x._array), rows, w, self.ignore_index, scale)
            return wrap(_from_rows(result, self.shape))
        return -scale * self.shares(x._array.dtype)


def _named(base: type, name: str) -> type:
    """The node under PyTorch's name, which both losses share."""
    return type(name, (base,), {"__module__": __name__})


_NODES = {
    (base, flat): _named(base, "NllLossBackward0" if flat else "NllLoss2DBackward0")
    for base in (CrossEntropyNode, NllNode)
    for flat in (True, False)
}


def _class_loss(
    name: str, base: type, input: Tensor, target: Tensor, weight, ignore_index, reduction, smoothing=0.0
):
    """The loss of scores [n, classes, ...] or [classes] and class numbers [n, ...] or []."""
    x, t = input._array, target._array
    w = None
    if x.ndim != 2 or t.ndim != 1 or x.shape[0] != t.shape[0] or t.dtype != np.int64 or weight is not None:
        _check(name, x, target, weight)
        w = None if weight is None else weight._array
        if t.dtype == np.uint8:
            target = wrap(t.astype(np.int64))
        t = target._array.reshape(-1)
    if x.dtype.kind in "iub":
        raise not_implemented("log_softmax_lastdim_kernel_impl", x)
    if base is CrossEntropyNode:
        losses, saved, total = K.cross_entropy(_rows(x), t, w, ignore_index, smoothing)
    else:
        losses, total = K.nll_loss(_rows(x), t, w, ignore_index)
    if reduction == "none":
        result = wrap(losses.reshape(target._array.shape))
    else:
        array = K.sum(losses)
        result = wrap(K.div(array, total).astype(array.dtype, copy=False) if reduction == "mean" else array)
    if input._rg and MODE.enabled:
        node = connect(_NODES[base, x.ndim <= 2](), (input,))
        node.save(wrap(saved) if base is CrossEntropyNode else input, target, weight)
        node.shape, node.total, node.reduction = x.shape, total, reduction
        node.ignore_index, node.label_smoothing = ignore_index, smoothing
        result._node, result._rg = node, True
    return result


def _check(name: str, x: np.ndarray, target: Tensor, weight) -> None:
    """Raise where sizes or types do not go together, as PyTorch does."""
    t = target._array
    if not x.ndim:
        raise ValueError(f"{name}: expected scores with 1 or more dimensions, got a number")
    if x.ndim == 1 and t.ndim == 1 and t.shape[0] != 1:
        raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {t.shape[0]}")
    batch = t.shape[0] if t.ndim else 0
    if x.ndim > 1 and x.shape[0] != batch:
        raise ValueError(
            f"Expected input batch_size ({x.shape[0]}) to match target batch_size ({batch}). {name}: got "
            "input "
            f"{list(x.shape)} and target {list(t.shape)}"
        )
    if x.ndim <= 2 and t.ndim > 1:
        raise RuntimeError(
            f"0D or 1D target tensor expected, multi-target not supported. {name}: got input "
            f"{list(x.shape)} and target "
            f"{list(t.shape)}{'; squeeze the target: target.squeeze(1)' if t.shape[1:] == (1,) else ''}"
        )
    if x.ndim > 2 and t.shape[1:] != x.shape[2:]:
        expected = [x.shape[0], *x.shape[2:]]
        raise RuntimeError(
            f"Expected target size {expected}, got {list(t.shape)} ({name}: input {list(x.shape)})"
        )
    if t.dtype not in (np.int64, np.uint8):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {SCALAR_NAMES[target.dtype]}. {name}: class "
            "numbers are "
            "wanted; convert them: target.long()"
        )
    classes = x.shape[0] if x.ndim == 1 else x.shape[1]
    if weight is not None:
        if weight._array.shape != (classes,):
            raise RuntimeError(
                f"weight tensor should be defined either for all {classes} classes or no classes but got "
                "weight tensor of "
                f"shape: {list(weight.shape)}"
            )
        if weight._array.dtype != x.dtype:
            raise RuntimeError(
                f"expected scalar type {SCALAR_NAMES[wrap(x).dtype]} but found {SCALAR_NAMES[weight.dtype]} "
                f"({name}: weight)"
            )


@op(method=False)
def cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
):
    """The cross entropy of softmax(input) with class numbers, or with probabilities of classes.

    Args:
        input: scores [n, classes, ...], or [classes] for one sample.
        target: class numbers [n, ...], or []; or probabilities of the input's shape.
        weight: a tensor [classes]: the weight of each class.
        size_average, reduce: deprecated; use `reduction`.
        ignore_index: the class number of samples to leave out.
        reduction: "mean" (weighted), "sum" or "none".
        label_smoothing: how much of the target, from 0 to 1, is spread evenly over the classes.
    Returns:
        A number; with "none" the loss of every sample.
    Raises:
        ValueError: the batch sizes differ. IndexError: a class number is out of bounds. RuntimeError: other
            sizes or the
            types do not go together.

    >>> import rushlight as torch
    >>> torch.nn.functional.cross_entropy(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """
    if size_average is not None or reduce is not None or reduction not in REDUCTIONS:
        reduction = reduction_of(size_average, reduce, reduction)
    try:
        shapes = input._array.shape, target._array.shape
    except AttributeError:
        check_tensor("cross_entropy_loss", input)
        check_tensor("cross_entropy_loss", target, "target", 2)
        raise
    if label_smoothing and not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if shapes[0] == shapes[1]:
        return _with_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    loss = _class_loss(
        "cross_entropy", CrossEntropyNode, input, target, weight, ignore_index, reduction, label_smoothing
    )
    return shown_as("AddBackward0", loss) if label_smoothing else loss


def _with_probabilities(input, target, weight, ignore_index, reduction, smoothing) -> Tensor:
    """Cross entropy where the target is the probability of every class."""
    if target._array.dtype.kind in "iub":
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{SCALAR_NAMES[target.dtype]} (class numbers have one dimension less than the scores: input "
            f"{list(input.shape)}; labels in one-hot form: .float())"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    shape = input._array.shape
    axis = 0 if len(shape) == 1 else 1
    classes = shape[axis]
    if weight is not None and weight._array.shape != (classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or no classes "
            "but got weight "
            f"tensor of shape: {list(weight.shape)}"
        )
    logs = log_softmax(input, axis)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / classes
    if weight is not None:
        target = target * weight.reshape([classes if i == axis else 1 for i in range(len(shape))])
    loss = -(logs * target).sum(axis)
    if reduction == "mean":
        if not loss._array.size:
            return loss.mean()
        return shown_as("DivBackward1", loss.sum() / max(math.prod(shape) // max(classes, 1), 1))
    return shown_as("NegBackward0", loss.sum()) if reduction == "sum" else loss


@op(method=False)
def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """The negative log likelihood of classes, from log probabilities.

    Args:
        input: log probabilities [n, classes, ...], or [classes] for one sample.
        target: class numbers [n, ...], or [].
        weight: a tensor [classes]: the weight of each class.
        size_average, reduce: deprecated; use `reduction`.
        ignore_index: the class number of samples to leave out.
        reduction: "mean" (weighted), "sum" or "none".
    Returns:
        A number; with "none" the loss of every sample.
    Raises:
        ValueError: the batch sizes differ. IndexError: a class number is out of bounds. RuntimeError: other
            sizes or the
            types do not go together.

    >>> import rushlight as torch
    >>> torch.nn.functional.nll_loss(torch.tensor([[-1.0, -2.0]]), torch.tensor([1]))
    tensor(2.)
    """
    if size_average is not None or reduce is not None or reduction not in REDUCTIONS:
        reduction = reduction_of(size_average, reduce, reduction)
    check_tensor("nll_loss_nd", input)
    check_tensor("nll_loss_nd", target, "target", 2)
    return _class_loss("nll_loss", NllNode, input, target, weight, ignore_index, reduction)


@op(method=False)
def linear_cross_entropy(
    input, linear_weight, target, *, linear_bias=None, weight=None, reduction="mean", ignore_index=None,
    label_smoothing=0.0, options=None,
):  # fmt: skip
    """The cross entropy of linear(input, linear_weight, linear_bias) with a target.

    Args:
        input: (in_features) or (N, in_features).
        linear_weight: (C, in_features), or (C, d1, ..., in_features) for scores (N, C, d1, ...).
        target: class numbers or probabilities, as for `cross_entropy`.
        linear_bias: (C) or (C, d1, ...).
        weight: a weight for each class.
        reduction: "mean", "sum" or "none".
        ignore_index: a class number that counts nothing.
        label_smoothing: how much of the target is spread over all classes.
        options: how PyTorch cuts the computation into pieces; accepted, without effect: the scores are computed at once.
    Raises:
        RuntimeError: the shapes do not fit.

    >>> import rushlight as torch
    >>> x, w = torch.ones(1, 2), torch.zeros(4, 2)
    >>> torch.nn.functional.linear_cross_entropy(x, w, torch.tensor([1]))
    tensor(1.3863)
    """
    name = "linear_cross_entropy"
    shape = check_tensor(name, input)._array.shape
    wide = check_tensor(name, linear_weight, "linear_weight", 2)._array.shape
    if len(shape) not in (1, 2):
        raise RuntimeError(f"{name}: expected input with dimensionality 1 or 2, got {len(shape)}")
    if len(wide) < 2:
        raise RuntimeError(f"{name}: expected linear_weight with dimensionality at least 2, got {len(wide)}")
    classes, *extra, features = wide
    if shape[-1] != features:
        raise RuntimeError(
            f"{name}: expected equal input and linear_weight last dimensions (in_features), got {shape[-1]} and "
            f"{features}, respectively"
        )
    if linear_bias is not None and linear_bias._array.shape != (classes, *extra):
        raise RuntimeError(
            f"{name}: expected linear_bias shape {(classes, *extra)}, got {tuple(linear_bias.shape)}"
        )
    if extra and len(shape) == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {wide} requires batched input, (N, {features}), got "
            f"unbatched input with shape {shape}"
        )
    scores_shape = (*shape[:-1], classes, *extra)
    if ignore_index is None:
        ignore_index = -100
    elif check_tensor(name, target, "target", 3)._array.shape == scores_shape:
        raise RuntimeError(f"{name}: ignore_index cannot be specified when target contains probabilities")
    bias = linear_bias.reshape(-1) if linear_bias is not None and extra else linear_bias
    scores = linear(input, linear_weight.reshape(-1, features) if extra else linear_weight, bias)
    return cross_entropy(
        scores.reshape(scores_shape) if extra else scores, target, weight, ignore_index=ignore_index,
        reduction=reduction, label_smoothing=label_smoothing,
    )  # fmt: skip
