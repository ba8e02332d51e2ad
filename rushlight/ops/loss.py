"""Losses of two tensors of one shape, element by element: squared, absolute and cross-entropy errors."""

import math
import warnings

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.grad_mode import no_grad
from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES
from rushlight.ops.activation import logsigmoid
from rushlight.ops.common import (
    MODE,
    Tensor,
    as_type,
    broadcast_error,
    check_operands,
    check_tensor,
    floating,
    not_implemented,
    promote,
    record,
    result_type,
    sum_to,
    wrap,
    write_out,
)
from rushlight.ops.registry import op
from rushlight.tensor import recording

REDUCTIONS = ("mean", "sum", "none")


def reduction_of(size_average, reduce, reduction: str) -> str:
    """The reduction, also from the two deprecated arguments, with a warning."""
    if size_average is None and reduce is None:
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"{reduction} is not a valid value for reduction: expected 'none', 'mean' or 'sum'"
            )
        return reduction
    average, reduces = size_average is None or size_average, reduce is None or reduce
    reduction = ("mean" if average else "sum") if reduces else "none"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
        stacklevel=3,
    )
    return reduction


def reduce_loss(loss: Tensor, reduction: str) -> Tensor:
    """The loss of all elements as it is, or its mean, or its sum."""
    if reduction == "mean":
        return loss.mean()
    return loss.sum() if reduction == "sum" else loss


# -- fused element-by-element losses ----------------------------------------------------------------


class ElementwiseLossNode(Node):
    """A loss of two tensors of one type that broadcast; `slopes` gives its derivatives."""

    weight = None

    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        gx, gy = self.slopes(x, y, to_x is not None, to_y is not None)
        if self.reduction == "mean":
            grad = grad / max(self.count, 1)
        if self.weight is not None:
            grad = grad * self.weight
        return (
            None if gx is None else sum_to(grad * gx, x._array.shape),
            None if gy is None else sum_to(grad * gy, y._array.shape),
        )

    def slopes(self, x, y, to_x: bool, to_y: bool) -> tuple:
        """The derivatives by x and y: the second is minus the first unless a subclass knows better."""
        slope = self.slope(x, y)
        return slope if to_x else None, -slope if to_y else None


def fused(array: np.ndarray, node_type, x: Tensor, y: Tensor, reduction: str, **fields) -> Tensor:
    """The reduced loss from that of all elements, times the `weight` among the fields."""
    weight = fields.get("weight")
    if weight is not None:
        try:
            array = K.mul(array, as_type(weight, x.dtype)._array)
        except ValueError:
            raise broadcast_error("loss", array.shape, weight._array.shape) from None
    array = array.astype(x._array.dtype, copy=False)
    count = array.size
    if reduction == "mean":
        array = K.mean(array)
    elif reduction == "sum":
        array = K.sum(array)
    if recording(x, y):
        return record(array, node_type, (x, y), x, y, reduction=reduction, count=count, **fields)
    return wrap(array)


def _pair(name: str, input, target) -> tuple[Tensor, Tensor]:
    """Both tensors in one floating-point type, with PyTorch's warning where their sizes differ."""
    if not isinstance(target, Tensor):
        check_tensor(name, target, "target", 2)
    x, y = check_tensor(name, input)._array, target._array
    if x.shape != y.shape:
        warnings.warn(
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}). "
            "This will likely "
            "lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )
    if x.dtype is not y.dtype:
        common = result_type(input, target)
        input, target = as_type(input, common), as_type(target, common)
    if input._array.dtype.kind in "iubc" and name != "l1_loss":
        raise not_implemented(name.removesuffix("_loss") + "_cpu", input)
    return input, target


def _difference(name: str, x: Tensor, y: Tensor) -> np.ndarray:
    try:
        return K.sub(x._array, y._array)
    except ValueError:
        raise broadcast_error(name, x._array.shape, y._array.shape) from None


def _weigh(loss: Tensor, weight, reduction: str, input: Tensor) -> Tensor:
    """The weighted loss of all elements, reduced: its mean is divided by the sum of weights."""
    if weight._array.shape != input._array.shape:
        raise ValueError("Weights and input must have the same size.")
    weighted = loss * weight
    if reduction == "mean":
        return weighted.sum() / weight.sum()
    return weighted.sum() if reduction == "sum" else weighted


class MseLossBackward0(ElementwiseLossNode):
    def backward(self, grad):
        x, y = self.unpack()
        if MODE.enabled or x._array.shape != y._array.shape or x._array.dtype.kind != "f":
            return super().backward(grad)
        to_x, to_y = self.edges
        factor = K.mul(grad._array, 2.0 / max(self.count, 1) if self.reduction == "mean" else 2.0)
        slope = K.mul(K.sub(x._array, y._array), factor)
        return None if to_x is None else wrap(slope), None if to_y is None else wrap(K.neg(slope))

    def slope(self, x, y):
        return (x - y) * 2


@op(method=False)
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The squared error.

    Args:
        input, target: tensors of one shape.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".
        weight: a tensor of that shape: the weight of each element.
    Returns:
        A number; with "none" the error of every element.

    >>> import rushlight as torch
    >>> torch.nn.functional.mse_loss(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(2.)
    """
    if size_average is not None or reduce is not None or reduction not in REDUCTIONS:
        reduction = reduction_of(size_average, reduce, reduction)
    try:
        same = input._array.dtype is target._array.dtype and input._array.shape == target._array.shape
    except AttributeError:
        same = False
    if not same or input._array.dtype.kind in "iub":
        input, target = _pair("mse_loss", input, target)
    if weight is not None:
        return _weigh(mse_loss(input, target, reduction="none"), weight, reduction, input)
    d = _difference("mse_loss", input, target)
    return fused(K.mul(d, d), MseLossBackward0, input, target, reduction)


@op(method=False)
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The absolute error.

    Args:
        input, target: tensors of one shape.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".
        weight: a tensor of that shape: the weight of each element.
    Returns:
        A number; with "none" the error of every element.

    >>> import rushlight as torch
    >>> torch.nn.functional.l1_loss(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(1.)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    input, target = _pair("l1_loss", input, target)
    loss = (input - target).abs()
    return reduce_loss(loss, reduction) if weight is None else _weigh(loss, weight, reduction, input)


class SmoothL1LossBackward0(ElementwiseLossNode):
    def slope(self, x, y):
        d = x - y
        return (d / self.beta).where(d.abs() < self.beta, d.sgn()) if self.beta else d.sgn()


@op(method=False)
def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """The squared error divided by 2 * beta where it is below beta, else the absolute error less beta / 2.

    Args:
        input, target: tensors of one shape.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".
        beta: where one turns into the other; 0 for the absolute error.
    Raises:
        RuntimeError: beta is negative.

    Source: Girshick, Fast R-CNN (2015).

    >>> import rushlight as torch
    >>> torch.nn.functional.smooth_l1_loss(torch.tensor([3.0]), torch.tensor([1.0]))
    tensor(1.5000)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    input, target = _pair("smooth_l1_loss", input, target)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta. Got {beta}")
    size = K.abs(_difference("smooth_l1_loss", input, target))
    if beta:  # (m / beta) (size - m / 2), m the smaller of size and beta
        near = K.minimum(size, beta)
        array = K.mul_add(size, near, -0.5, out=size)
        array = K.mul(array, K.div(near, beta, out=near), out=array)
    else:
        array = size
    return fused(array, SmoothL1LossBackward0, input, target, reduction, beta=beta)


class HuberLossBackward0(ElementwiseLossNode):
    def slope(self, x, y):
        return (x - y).clamp(-self.delta, self.delta)


@op(method=False)
def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """Half the squared error where it is below delta, else delta times the absolute error less delta / 2.

    Args:
        input, target: tensors of one shape.
        reduction: "mean", "sum" or "none".
        delta: where one turns into the other.
        weight: a tensor of that shape: the weight of each element.
    Raises:
        RuntimeError: delta is not positive.

    Source: Huber, Robust Estimation of a Location Parameter (1964).

    >>> import rushlight as torch
    >>> torch.nn.functional.huber_loss(torch.tensor([3.0]), torch.tensor([1.0]))
    tensor(1.5000)
    """
    reduction = reduction_of(None, None, reduction)
    input, target = _pair("huber_loss", input, target)
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta. Got {delta}")
    size = K.abs(_difference("huber_loss", input, target))
    near = K.minimum(size, delta)
    array = K.mul(K.mul_add(size, near, -0.5, out=size), near, out=size)
    if weight is None:
        return fused(array, HuberLossBackward0, input, target, reduction, delta=delta)
    if weight._array.shape != input._array.shape:
        raise ValueError("Weights and input must have the same size.")
    return reduce_loss(
        fused(array, HuberLossBackward0, input, target, "none", delta=delta) * weight, reduction
    )


# -- binary cross entropy ---------------------------------------------------------------------------


class BinaryCrossEntropyBackward0(ElementwiseLossNode):
    def slopes(self, x, y, to_x, to_y):
        gx = (x - y) / ((1 - x) * x).clamp(min=1e-12) if to_x else None
        gy = (1 - x).log().clamp(min=-100) - x.log().clamp(min=-100) if to_y else None
        return gx, gy


@op(method=False)
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The cross entropy of probabilities with targets between 0 and 1; logarithms are bounded by -100.

    Args:
        input: probabilities, between 0 and 1.
        target: a tensor of the same shape.
        weight: a tensor that broadcasts to it: the weight of each element.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".
    Raises:
        ValueError: the shapes differ. RuntimeError: an input is not between 0 and 1, or the types differ.

    >>> import rushlight as torch
    >>> torch.nn.functional.binary_cross_entropy(torch.tensor([0.5]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    x, y = check_tensor("binary_cross_entropy", input)._array, target._array
    if x.shape != y.shape:
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}) is "
            "deprecated. "
            f"Please ensure they have the same size{_shape_hint(x.shape, y.shape)}."
        )
    if x.dtype != y.dtype:
        raise RuntimeError(
            f"Found dtype {SCALAR_NAMES[target.dtype]} but expected {SCALAR_NAMES[input.dtype]}: convert "
            "the target with "
            ".to(input.dtype)"
        )
    if x.dtype.kind in "iubc":
        raise not_implemented("binary_cross_entropy", input)
    if x.size and not (K.amin(x) >= 0 and K.amax(x) <= 1):
        raise RuntimeError(
            "all elements of input should be between 0 and 1: binary_cross_entropy wants probabilities. "
            "Apply sigmoid "
            "first, or use binary_cross_entropy_with_logits"
        )
    with np.errstate(divide="ignore"):
        log_p, log_q = np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)
    array = ((y - 1) * log_q - y * log_p).astype(x.dtype, copy=False)
    return fused(array, BinaryCrossEntropyBackward0, input, target, reduction, weight=weight)


class BinaryCrossEntropyWithLogitsBackward0(ElementwiseLossNode):
    def slopes(self, x, y, to_x, to_y):
        if self.pos_weight is None:
            return x.sigmoid() - y if to_x else None, -x if to_y else None
        p = self.pos_weight
        t = p * y
        gx = (t + 1 - y) * x.sigmoid() - t if to_x else None
        return gx, logsigmoid(-x) - p * logsigmoid(x) if to_y else None


def softplus_array(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)), without overflow."""
    return K.neg(K.logsigmoid(K.neg(x)))


@op(method=False)
def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """The cross entropy of sigmoid(input) with targets between 0 and 1, computed without overflow.

    Args:
        input: a tensor of any numbers.
        target: a tensor of the same shape.
        weight: a tensor that broadcasts to it: the weight of each element.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean", "sum" or "none".
        pos_weight: a tensor that broadcasts to it: the weight of the positive part.
    Raises:
        ValueError: the shapes differ.

    >>> import rushlight as torch
    >>> torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensor("binary_cross_entropy_with_logits", input)
    if target._array.shape != input._array.shape:
        raise ValueError(
            f"Target size ({target.size()}) must be the same as input size ({input.size()})"
            f"{_shape_hint(input._array.shape, target._array.shape)}"
        )
    if input._array.dtype.kind in "iub":
        raise not_implemented("log_sigmoid_cpu", input)
    if target._array.dtype.kind in "iub":
        raise RuntimeError(
            f"result type {SCALAR_NAMES[input.dtype]} can't be cast to the desired output type "
            f"{SCALAR_NAMES[target.dtype]}: convert the target with .to(input.dtype)"
        )
    if input._array.dtype != target._array.dtype:
        common = result_type(input, target)
        input, target = as_type(input, common), as_type(target, common)
    x, y = input._array, target._array
    if pos_weight is None:
        array = K.sub(softplus_array(x), K.mul(x, y))
    else:
        try:
            weighted = K.mul(y, as_type(pos_weight.detach(), input.dtype)._array)
            array = K.add(K.mul(K.sub(1.0, y), softplus_array(x)), K.mul(weighted, softplus_array(K.neg(x))))
        except ValueError:
            raise broadcast_error(
                "binary_cross_entropy_with_logits", pos_weight._array.shape, y.shape
            ) from None
    fields = {"weight": weight, "pos_weight": pos_weight}
    return fused(array, BinaryCrossEntropyWithLogitsBackward0, input, target, reduction, **fields)


# -- divergences and likelihoods --------------------------------------------------------------------


class XlogyBackward0(Node):
    def backward(self, grad):
        x, y = self.unpack()
        to_x, to_y = self.edges
        gx = gy = None
        if to_x is not None:
            gx = sum_to(grad * y.log().masked_fill((x == 0) & (y <= 0), 0), x._array.shape)
        if to_y is not None:
            gy = sum_to(grad * x / y, y._array.shape)
        return gx, gy


@op(inplace=True)
def xlogy(input, other, *, out=None):
    """input * log(other), and 0 where the input is 0.

    Args:
        input: a tensor or a number.
        other: a tensor whose shape broadcasts with the first's, or a number.
        out: where to put the result.

    >>> import rushlight as torch
    >>> torch.xlogy(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    check_operands("xlogy", input, other, "any")
    input, other = (floating(t) for t in promote("xlogy", input, other))
    x, y = input._array, other._array
    try:
        with np.errstate(all="ignore"):
            array = np.where((x == 0) & ~np.isnan(y), x.dtype.type(0), x * np.log(y)).astype(
                x.dtype, copy=False
            )
    except ValueError:
        raise broadcast_error("xlogy", x.shape, y.shape) from None
    if recording(input, other):
        return write_out(record(array, XlogyBackward0, (input, other), input, other), out)
    return write_out(wrap(array), out)


@op(method=False)
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """Kullback and Leibler's divergence of probabilities from others: target * (log(target) - input).

    Args:
        input: log probabilities.
        target: probabilities; log probabilities with `log_target`.
        size_average, reduce: deprecated; use `reduction`.
        reduction: "mean" of all elements, "batchmean" (the sum divided by the batch size), "sum" or "none".
        log_target: whether the target is logarithms.

    >>> import rushlight as torch
    >>> torch.nn.functional.kl_div(torch.zeros(1, 2), torch.ones(1, 2), reduction="batchmean")
    tensor(0.)
    """
    if size_average is not None or reduce is not None:
        reduction = reduction_of(size_average, reduce, reduction)
    elif reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support "
            "size.'batchmean' divides only "
            "by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave "
            "the same as "
            "'batchmean' in the next major release.",
            stacklevel=2,
        )
    elif reduction != "batchmean":
        reduction_of(None, None, reduction)
    if input._array.dtype.kind in "iub" and target._array.dtype.kind in "iub":
        raise RuntimeError("kl_div: Integral inputs not supported.")
    loss = target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input._array.shape[0] if input._array.ndim else loss.sum()
    return reduce_loss(loss, reduction)


@op(method=False)
def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    """The negative log likelihood of counts under Poisson's distribution.

    Args:
        input: its mean, or the logarithm of that.
        target: the counts, of the same shape.
        log_input: whether the input is logarithms.
        full: add Stirling's approximation of log(target!).
        size_average, reduce: deprecated; use `reduction`.
        eps: keeps log(input + eps) finite without `log_input`.
        reduction: "mean", "sum" or "none".

    >>> import rushlight as torch
    >>> torch.nn.functional.poisson_nll_loss(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(1.)
    """
    if size_average is not None or reduce is not None:
        reduction = reduction_of(size_average, reduce, reduction)
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return reduce_loss(loss, reduction)


@op(method=False)
def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """The negative log likelihood of targets under normal distributions.

    Args:
        input: the means.
        target: what was observed, of the same shape.
        var: the variances: of that shape, or with 1 in place of one size, or without the last; or one number.
        full: add the constant log(2 pi) / 2.
        eps: the least variance.
        reduction: "mean", "sum" or "none".
    Raises:
        ValueError: the variance has another shape, or is negative.

    Source: Nix and Weigend, Estimating the Mean and Variance of the Target Probability Distribution (1994).

    >>> import rushlight as torch
    >>> torch.nn.functional.gaussian_nll_loss(torch.tensor([0.0]), torch.tensor([1.0]), torch.tensor([1.0]))
    tensor(0.5000)
    """
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * input.new_ones(input.shape)
    elif (var._array < 0).any():
        raise ValueError("var has negative entry/entries")
    shape = input._array.shape
    if var._array.shape != shape:
        if shape[:-1] == var._array.shape:
            var = var.unsqueeze(-1)
        elif var.dim() != len(shape) or sum(n for m, n in zip(shape, var.shape, strict=True) if m != n) != 1:
            raise ValueError(
                f"var is of incorrect size: expected {list(shape)}, with 1 in place of at most one size, got "
                f"{list(var.shape)}"
            )
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not valid")
    var = var.clone()
    with no_grad():  # the least variance bounds it without stopping its gradient
        var.clamp_(min=eps)
    loss = 0.5 * (var.log() + (input - target) ** 2 / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduce_loss(loss, reduction)


def _shape_hint(predicted: tuple, target: tuple) -> str:
    """The likely fix where predictions of shape (N, 1) meet targets of shape (N), or the other way round."""
    if predicted == (*target, 1):
        return ": input.squeeze(-1)"
    return ": target.squeeze(-1)" if target == (*predicted, 1) else ""
