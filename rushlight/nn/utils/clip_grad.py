"""Limits on gradients."""

import types
import warnings

from rushlight.autograd.grad_mode import no_grad
from rushlight.ops.creation import tensor as _tensor
from rushlight.ops.distance import norms_of, vector_norm
from rushlight.ops.joining import stack
from rushlight.tensor import Tensor


def _listed(tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters) -> list[Tensor]:
    return [param.grad for param in parameters if param.grad is not None]


@no_grad()
def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None) -> Tensor:
    """The norm of tensors as if they were one vector.

    Args:
        tensors: an iterable of tensors, or one.
        norm_type: the p of the norm; may be infinite.
        error_if_nonfinite: whether a norm that is infinite or no number is an error.
        foreach: accepted, without effect.
    Raises:
        RuntimeError: the norm is not finite, and `error_if_nonfinite`.

    >>> import rushlight as torch
    >>> torch.nn.utils.get_total_norm([torch.tensor([3.0]), torch.tensor([4.0])])
    tensor(5.)
    """
    norm_type = float(norm_type)
    norms = norms_of(_listed(tensors), norm_type)
    if not norms:
        return _tensor(0.0)
    total = vector_norm(stack(norms), norm_type)
    if error_if_nonfinite and not total.isfinite():
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it "
            "cannot be clipped. To disable this error and scale the gradients by the non-finite norm "
            "anyway, set `error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(parameters, max_norm, total_norm: Tensor, foreach=None) -> None:
    """Scale gradients down, in place, from a total norm to `max_norm` where that is less.

    Args:
        parameters: an iterable of tensors, or one.
        max_norm: the largest norm.
        total_norm: what `get_total_norm` gave.
        foreach: accepted, without effect.
    """
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for grad in _gradients(_listed(parameters)):
        grad.mul_(factor)


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None) -> Tensor:
    """Scale the gradients of parameters down, in place, so that their norm together is at most `max_norm`.

    Args:
        parameters: an iterable of tensors, or one.
        max_norm: the largest norm.
        norm_type: the p of the norm; may be infinite.
        error_if_nonfinite: whether a norm that is infinite or no number is an error.
        foreach: accepted, without effect.
    Returns:
        The norm before.
    Raises:
        RuntimeError: the norm is not finite, and `error_if_nonfinite`.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> (w * 4).sum().backward()
    >>> torch.nn.utils.clip_grad_norm_([w], 1.0)
    tensor(4.)
    >>> w.grad
    tensor([1.0000])
    """
    generated = isinstance(parameters, types.GeneratorType)
    parameters = _listed(parameters)
    if generated and not parameters:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None) -> Tensor:
    """The old name of `clip_grad_norm_`; warns."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@no_grad()
def clip_grad_value_(parameters, clip_value, foreach=None) -> None:
    """Limit each element of the gradients of parameters, in place, to ±clip_value.

    Args:
        parameters: an iterable of tensors, or one.
        clip_value: the limit.
        foreach: accepted, without effect.
    """
    clip_value = float(clip_value)
    for grad in _gradients(_listed(parameters)):
        grad.clamp_(min=-clip_value, max=clip_value)
