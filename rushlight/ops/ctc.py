"""Connectionist temporal classification."""

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import c_order
from rushlight.ops.common import Tensor, check_tensor, record, recording, wrap
from rushlight.ops.comparison import where
from rushlight.ops.loss import REDUCTIONS, reduction_of
from rushlight.ops.registry import op

_WHERE = "(while checking arguments for ctc_loss)"


class CtcLossBackward0(Node):
    """PyTorch has no derivative of this gradient, which is that of a log softmax's input: nor have we."""

    def backward(self, grad):
        (log_probs,) = self.unpack()
        g, x = c_order(grad._array), c_order(log_probs._array)
        found = K.ctc_loss_backward(
            g, x, *self.arguments, self.loss, self.alpha, self.blank, self.zero_infinity
        )
        return record(found, _NoDerivative, (log_probs,)) if recording(log_probs) else wrap(found)


class _NoDerivative(Node):
    def backward(self, grad):
        raise RuntimeError(
            "derivative for aten::_ctc_loss_backward is not implemented: ctc_loss has first derivatives only"
        )


_NoDerivative.__name__ = _NoDerivative.__qualname__ = "NotImplemented"


def _lengths(name: str, given, count: int) -> np.ndarray:
    """Lengths as int64, from a tensor or a sequence."""
    if isinstance(given, Tensor):
        if given._array.dtype.kind not in "iu":
            raise RuntimeError(f"{name} must be integral, got {given.dtype}")
        given = given._array.reshape(-1)
    elif not isinstance(given, list | tuple):
        raise TypeError(
            f"ctc_loss(): argument '{name}' must be a Tensor or a tuple of ints, not {type(given).__name__}"
        )
    lengths = np.asanyarray(given)
    if lengths.dtype.kind not in "iu" and lengths.size:
        raise TypeError(f"ctc_loss(): argument '{name}' must be a tuple of ints, got {list(given)}")
    if lengths.shape != (count,):
        raise RuntimeError(f"{name} must be of size batch_size: expected {count}, got {lengths.size}")
    return lengths.astype(np.int64)


def _padded(targets: Tensor, lengths: np.ndarray, classes: int) -> np.ndarray:
    """The labels [N, S], also from those of all samples one after the other."""
    array = targets._array.astype(np.int64, copy=False)
    longest = int(lengths.max(initial=0))
    if array.ndim == 2:
        if array.shape[0] != len(lengths):
            raise RuntimeError(
                f"Expected tensor to have size {len(lengths)} at dimension 0, but got size {array.shape[0]} for "
                f"argument #2 'targets' {_WHERE}"
            )
        if array.shape[1] < longest:
            raise RuntimeError(
                f"Expected tensor to have size at least {longest} at dimension 1, but got size {array.shape[1]} for "
                f"argument #2 'targets' {_WHERE}"
            )
        array = array[:, :longest]
    elif array.ndim == 1:
        if array.size != lengths.sum():
            raise RuntimeError(
                f"Expected tensor to have size {lengths.sum()} at dimension 0, but got size {array.size} for argument "
                f"#2 'targets' {_WHERE}"
            )
        rows = np.repeat(np.arange(len(lengths)), lengths)
        columns = np.arange(array.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        flat, array = array, np.zeros((len(lengths), longest), np.int64)
        array[rows, columns] = flat
    else:
        raise RuntimeError(
            f"Expected 1 to 2 dimensions, but got {array.ndim}-dimensional tensor for argument #2 'targets' {_WHERE}"
        )
    used = array[np.arange(longest) < lengths[:, None]]
    if used.size and not (used.min() >= 0 and used.max() < classes):
        bad = int(used[(used < 0) | (used >= classes)][0])
        raise IndexError(f"ctc_loss: target {bad} is out of range for {classes} classes")
    return c_order(array)


def aten_ctc_loss(
    log_probs, targets, input_lengths, target_lengths, blank=0, reduction=1, zero_infinity=False
):
    """`nn.functional.ctc_loss` with a number for the reduction: 0 for "none", 1 for "mean", 2 for "sum".

    >>> import rushlight as torch
    >>> scores = torch.zeros(3, 1, 2).log_softmax(2)
    >>> torch.ctc_loss(scores, torch.tensor([[1]]), (3,), (1,), reduction=0)
    tensor([0.2877])
    """
    x = check_tensor("ctc_loss", log_probs, "log_probs")._array
    check_tensor("ctc_loss", targets, "targets", 2)
    unbatched = x.ndim == 2
    if unbatched:
        log_probs = log_probs.unsqueeze(1)
        targets = targets.unsqueeze(0) if targets._array.ndim == 1 else targets
        x = log_probs._array
    if x.ndim != 3:
        raise RuntimeError(
            f"Expected 3-dimensional tensor, but got {x.ndim}-dimensional tensor for argument #1 'log_probs' {_WHERE}"
        )
    if x.dtype not in (np.float32, np.float64):
        raise NotImplementedError(
            f"\"ctc_loss_cpu\" not implemented for '{SCALAR_NAMES[log_probs.dtype]}': convert log_probs, x.float()"
        )
    if isinstance(input_lengths, Tensor) != isinstance(target_lengths, Tensor):
        raise TypeError(
            "ctc_loss(): input_lengths and target_lengths must both be tensors or both tuples of ints, got "
            f"{type(input_lengths).__name__} and {type(target_lengths).__name__}"
        )
    steps, count, classes = x.shape
    if not x.size:
        raise RuntimeError("log_probs tensor must not be empty")
    if not 0 <= blank < classes:
        raise RuntimeError(f"blank must be in label range: got {blank} for {classes} classes")
    inputs, wanted = (
        _lengths("input_lengths", input_lengths, count), _lengths("target_lengths", target_lengths, count)
    )  # fmt: skip
    for name, lengths, most in (("input_lengths", inputs, steps), ("target_lengths", wanted, None)):
        for bad in lengths[(lengths < 0) | (lengths > (lengths if most is None else most))]:
            bound = f"at least 0, but got value {bad}" if bad < 0 else f"at most {most}, but got value {bad}"
            raise RuntimeError(f"Expected {name} to have value {bound} {_WHERE}")
    labels = _padded(targets, wanted, classes)
    x = c_order(x)
    loss, alpha = K.ctc_loss(x, labels, inputs, wanted, blank)
    if recording(log_probs):
        result = record(
            loss, CtcLossBackward0, (log_probs,), log_probs, arguments=(labels, inputs, wanted), loss=loss,
            alpha=alpha, blank=blank, zero_infinity=zero_infinity,
        )  # fmt: skip
    else:
        result = wrap(loss)
    if zero_infinity:
        result = where(wrap(np.isposinf(loss)), 0.0, result)
    if reduction == 1:
        return (result / wrap(np.maximum(wanted, 1).astype(loss.dtype))).mean()
    if reduction == 2:
        return result.sum()
    return result.squeeze(0) if unbatched else result


@op(method=False)
def ctc_loss(
    log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False
):
    """The negative log likelihood of label sequences that are aligned with longer inputs in any way.

    Args:
        log_probs: (T, N, C), or (T, C) for one sample: log probabilities of classes, from `log_softmax`.
        targets: (N, S) labels, or those of all samples one after the other.
        input_lengths: (N,), tensor or tuple: how many steps each sample has.
        target_lengths: (N,), likewise: how many labels.
        blank: the class that means no label.
        reduction: "mean" (of the losses divided by target lengths), "sum" or "none".
        zero_infinity: whether infinite losses, of inputs that are too short, and their gradients become 0.
    Returns:
        A number; with "none" the loss of every sample.
    Raises:
        RuntimeError: shapes, types or lengths do not go together. IndexError: a label is out of range.

    Source: Graves et al., Connectionist Temporal Classification, ICML 2006.

    >>> import rushlight as torch
    >>> scores = torch.zeros(3, 1, 2).log_softmax(2)
    >>> torch.nn.functional.ctc_loss(scores, torch.tensor([[1]]), (3,), (1,))
    tensor(0.2877)
    """
    if reduction not in REDUCTIONS:
        reduction = reduction_of(None, None, reduction)
    code = {"none": 0, "mean": 1, "sum": 2}[reduction]
    return aten_ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, code, zero_infinity)
