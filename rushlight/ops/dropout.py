"""Dropout: elements or whole channels set to zero at random, drawn as PyTorch draws them."""

import math
import warnings
from math import prod

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.views import assign, before, check_writable
from rushlight.ops.adjoint import LinearNode, apply_linear
from rushlight.ops.common import Tensor, check_tensor, keep_order, wrap
from rushlight.ops.registry import op

_SELU_LIMIT = 1.7580993408473766  # minus the value that selu tends to for negative x


class MulBackward0(LinearNode):
    """A product with a mask, which needs no gradient."""


def _drawn(input: Tensor, shape: tuple, keep: float, kind) -> np.ndarray:
    """Ones of a type with probability `keep`, else zeros, in the memory order in which PyTorch's mask is drawn."""
    x = input._array
    draws = wrap(np.empty_like(x, kind, shape=prod(shape))).bernoulli_(keep)._array
    if shape == x.shape and (input._format is not None or input._base is not None):
        order = sorted(range(x.ndim), key=lambda d: -x.strides[d])
        return draws.reshape([shape[d] for d in order]).transpose(np.argsort(order))
    return draws.reshape(shape)


def _masked(input: Tensor, p: float, shape: tuple) -> Tensor:
    """Drop elements with probability p, one for each of `shape`, and scale the others up."""
    if p == 1:
        function = lambda x: K.mul(x, 0.0)
    else:
        mask, scale = _drawn(input, shape, 1 - p, bool), 1 / (1 - p)
        function = lambda x: K.mask_scale(x, mask, scale)
    return keep_order(apply_linear(input, function, function, MulBackward0), input)


def _alpha_masked(input: Tensor, p: float, shape: tuple) -> Tensor:
    """Put selu's lower limit in the place of what is dropped, then restore mean 0 and variance 1."""
    if p == 1:
        return apply_linear(input, lambda x: K.mul(x, 0.0), lambda g: K.mul(g, 0.0), MulBackward0)
    mask = wrap(_drawn(input, shape, 1 - p, input._array.dtype))
    a = 1 / math.sqrt((_SELU_LIMIT**2 * p + 1) * (1 - p))
    shift = (mask - 1) * (_SELU_LIMIT * a) + _SELU_LIMIT * a * p
    return input * (mask * a) + shift


def _check_probability(name: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: dropout probability has to be between 0 and 1, but got {p}")


def _apply(
    name: str, function, input, p: float, training: bool, inplace: bool, by_channel: bool = False
) -> Tensor:
    """Drop something where `training`; the mask has one element for each channel where `by_channel`."""
    _check_probability(name, p)
    x = check_tensor(name, input)._array
    if not training or p == 0 or x.size == 0:
        return input
    if by_channel and x.ndim < 2:
        raise RuntimeError(
            f"{name}: Feature dropout requires at least 2 dimensions in the input, got {x.ndim}"
        )
    if x.dtype.kind in "iub":
        raise RuntimeError(
            f"{name}: result type Float can't be cast to the desired output type {input.dtype}; convert the "
            "input, x.float()"
        )
    shape = (*x.shape[:2], *(1,) * (x.ndim - 2)) if by_channel else x.shape
    if not inplace:
        return function(input, p, shape)
    check_writable(input)
    return assign(input, function(before(input), p, shape), name)


@op(method=False)
def dropout(input, p=0.5, training=True, inplace=False):
    """Set elements to zero with probability p, and divide the others by 1 - p.

    Args:
        input: a tensor of floating-point numbers.
        p: the probability of being dropped.
        training: whether to drop at all.
        inplace: write the result into the input.
    Returns:
        A tensor of the input's shape.
    Raises:
        ValueError: p is no probability.

    Source: Srivastava et al., JMLR 15, 2014.

    >>> import rushlight as torch
    >>> torch.nn.functional.dropout(torch.ones(3), training=False)
    tensor([1., 1., 1.])
    """
    return _apply("dropout", _masked, input, p, training, inplace)


@op(method=False)
def feature_dropout(input, p, train):
    """Set whole channels to zero with probability p, and divide the others by 1 - p, for any shape.

    >>> import rushlight as torch
    >>> torch.feature_dropout(torch.ones(1, 2), 0.5, False)
    tensor([[1., 1.]])
    """
    return _apply("feature_dropout", _masked, input, p, train, False, by_channel=True)


@op(method=False)
def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout for `selu`: dropped elements take its lower limit, and mean 0 and variance 1 are kept.

    Args:
        input: a tensor of floating-point numbers.
        p: the probability of being dropped.
        training: whether to drop at all.
        inplace: write the result into the input.
    Returns:
        A tensor of the input's shape.
    Raises:
        ValueError: p is no probability.

    Source: Klambauer et al., Self-Normalizing Neural Networks, NeurIPS 2017.

    >>> import rushlight as torch
    >>> torch.nn.functional.alpha_dropout(torch.ones(3))
    tensor([1., 1., 1.])
    """
    return _apply("alpha_dropout", _alpha_masked, input, p, training, inplace)


@op(method=False)
def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """`alpha_dropout` of whole channels.

    >>> import rushlight as torch
    >>> torch.nn.functional.feature_alpha_dropout(torch.ones(1, 3))
    tensor([[1., 1., 1.]])
    """
    return _apply("feature_alpha_dropout", _alpha_masked, input, p, training, inplace, by_channel=True)


@op(method=False)
def dropout1d(input, p=0.5, training=True, inplace=False):
    """Set whole channels of (N, C, L) or (C, L) to zero with probability p; see `dropout`.

    >>> import rushlight as torch
    >>> torch.nn.functional.dropout1d(torch.ones(1, 2), training=False)
    tensor([[1., 1.]])
    """
    _check_probability("dropout1d", p)
    dims = check_tensor("dropout1d", input)._array.ndim
    if dims not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {dims}D input. Note that dropout1d exists "
            "to provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional "
            "batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    if dims == 3:
        return _apply("dropout1d", _masked, input, p, training, inplace, by_channel=True)
    return _without_batch("dropout1d", input, p, training, inplace)


def _without_batch(name: str, input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    if inplace:
        check_writable(input)
        return assign(input, _without_batch(name, before(input), p, training, False), name)
    return _apply(name, _masked, input.unsqueeze(0), p, training, False, by_channel=True).squeeze(0)


@op(method=False)
def dropout2d(input, p=0.5, training=True, inplace=False):
    """Set whole channels of (N, C, H, W) to zero with probability p; see `dropout`.

    >>> import rushlight as torch
    >>> torch.nn.functional.dropout2d(torch.ones(1, 1, 1, 2), training=False)
    tensor([[[[1., 1.]]]])
    """
    _check_probability("dropout2d", p)
    dims = check_tensor("dropout2d", input)._array.ndim
    if dims not in (3, 4):
        warnings.warn(
            f"dropout2d: Received a {dims}-D input to dropout2d, which is deprecated and will result in an "
            "error in a future "
            "release. To retain the behavior and silence this warning, please use dropout instead. Note that "
            "dropout2d exists "
            "to provide channel-wise dropout on inputs with 2 spatial dimensions, a channel dimension, and "
            "an optional batch "
            "dimension (i.e. 3D or 4D inputs).",
            stacklevel=2,
        )
    if dims == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior "
            "is desired - input "
            "is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a "
            "future release to "
            "interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D "
            "channel-wise "
            "dropout behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _apply("dropout2d", _masked, input, p, training, inplace, by_channel=True)


@op(method=False)
def dropout3d(input, p=0.5, training=True, inplace=False):
    """Set whole channels of (N, C, D, H, W) or (C, D, H, W) to zero with probability p; see `dropout`.

    >>> import rushlight as torch
    >>> torch.nn.functional.dropout3d(torch.ones(1, 1, 1, 1, 2), training=False)
    tensor([[[[[1., 1.]]]]])
    """
    _check_probability("dropout3d", p)
    dims = check_tensor("dropout3d", input)._array.ndim
    if dims not in (4, 5):
        warnings.warn(
            f"dropout3d: Received a {dims}-D input to dropout3d, which is deprecated and will result in an "
            "error in a future "
            "release. To retain the behavior and silence this warning, please use dropout instead. Note that "
            "dropout3d exists "
            "to provide channel-wise dropout on inputs with 3 spatial dimensions, a channel dimension, and "
            "an optional batch "
            "dimension (i.e. 4D or 5D inputs).",
            stacklevel=2,
        )
    if dims == 4:
        return _without_batch("dropout3d", input, p, training, inplace)
    return _apply("dropout3d", _masked, input, p, training, inplace, by_channel=True)
