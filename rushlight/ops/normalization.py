"""Normalisation over the batch, over features, over groups of channels and over neighbouring channels."""

from functools import lru_cache
from math import prod

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES, from_numpy_dtype
from rushlight.kernels.reference.layout import empty_by, zeros_by
from rushlight.ops.common import MODE, Tensor, check_tensor, record, wrap
from rushlight.ops.conv import mark_format
from rushlight.ops.padding import constant_pad_nd
from rushlight.ops.pooling import avg_pool3d
from rushlight.ops.registry import op
from rushlight.tensor import recording


def _low(array: np.ndarray) -> bool:
    """Whether arithmetic on it is done in float32."""
    return array.dtype.itemsize <= 2


def _check_types(name: str, kind: np.dtype, *others) -> None:
    """Refuse integers, and parameters of another type than the input's save float32 beside half precision."""
    wanted = SCALAR_NAMES[from_numpy_dtype(kind)]
    if kind.kind in "iubc":
        raise NotImplementedError(f"\"{name}\" not implemented for '{wanted}': convert the input, x.float()")
    for other in others:
        if other is not None and other != kind and not (kind.itemsize <= 2 and other == np.float32):
            raise RuntimeError(
                f"{name}: mixed dtype (CPU): expect parameter to have scalar type of {wanted}, got "
                f"{SCALAR_NAMES[from_numpy_dtype(other)]}; all inputs must share same datatype. Convert the "
                "input, x.to(weight.dtype), or the module, module.to(x.dtype)"
            )


# -- batch normalisation --------------------------------------------------------------------------------


class NativeBatchNormBackward0(Node):
    """Statistics are the input's own with `train`, else given ones (`mean`, `rstd`) without gradient."""

    def backward(self, grad):
        x, w = self.unpack()
        to_x, to_w, to_b = self.edges
        if MODE.enabled:
            return self._composed(grad, x, w)
        w_array = None if w is None else w._array
        gx, gw, gb = K.batch_norm_backward(grad._array, x._array, self.mean, self.rstd, w_array, self.train)
        return (
            None if to_x is None else wrap(gx),
            None if to_w is None else wrap(gw),
            None if to_b is None else wrap(gb),
        )

    def _composed(self, grad, x, w):
        to_x, to_w, to_b = self.edges
        dims = (0, *range(2, x._array.ndim))
        column = (1, -1, *(1,) * (x._array.ndim - 2))
        if self.train:
            centred = x - x.mean(dims, keepdim=True)
            rstd = ((centred * centred).mean(dims, keepdim=True) + self.eps).rsqrt()
        else:
            centred, rstd = x - wrap(self.mean.reshape(column)), wrap(self.rstd.reshape(column))
        normal = centred * rstd
        gw, gb = (grad * normal).sum(dims), grad.sum(dims)
        gx = None
        if to_x is not None:
            gx, count = grad, x._array.size // x._array.shape[1]
            if self.train:
                gx = grad - (gb / count).reshape(column) - normal * (gw / count).reshape(column)
            gx = gx * (rstd if w is None else rstd * w.reshape(column))
        return gx, None if to_w is None else gw, None if to_b is None else gb


def _batch_norm_error(input, running_mean, running_var, weight, bias, training) -> Exception | None:
    """What is wrong with the arguments, in the order in which PyTorch looks."""
    x = check_tensor("batch_norm", input)._array
    if training and x.ndim >= 2 and x.size == x.shape[1] and x.shape[0] == 1:
        return ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}; use a "
            "larger batch "
            "(drop_last=True in the DataLoader drops a last batch of 1) or model.eval()"
        )
    if not training:
        for what, given in (("running_mean", running_mean), ("running_var", running_var)):
            if given is None:
                return RuntimeError(
                    f"batch_norm: {what} must be defined in evaluation mode; pass training=True"
                )
    channels = x.shape[1] if x.ndim > 1 else 0
    for what, given in (
        ("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)
    ):  # fmt: skip
        if given is not None and check_tensor("batch_norm", given, what)._array.shape != (channels,):
            return RuntimeError(
                f"batch_norm: {what} should contain {channels} elements not {given._array.size}: input has "
                "shape "
                f"{list(x.shape)}, whose second dimension is the channels; make the layer with "
                f"num_features={channels}"
            )
    return None


def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05
):
    """Normalise each channel over the batch and all positions, then scale and shift it.

    Args:
        input: (N, C) or (N, C, *sizes).
        running_mean: (C,), the mean to use in evaluation; training moves it towards the batch's, in place.
        running_var: (C,), the variance likewise (the unbiased one).
        weight: (C,), the scale, or None.
        bias: (C,), the shift, or None.
        training: whether to use the batch's own statistics.
        momentum: how far the running statistics move.
        eps: what is added to the variance.
    Returns:
        A tensor of the input's shape.
    Raises:
        ValueError: training with one value per channel. RuntimeError: sizes or types do not fit.

    Source: Ioffe and Szegedy, Batch Normalization, ICML 2015.

    >>> import rushlight as torch
    >>> torch.nn.functional.batch_norm(torch.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    try:
        x = input._array
        shape = (x.shape[1],)
        fits = x.dtype.kind == "f" and (not training or x.shape[0] > 1 or x.size > x.shape[1])
        for t in (running_mean, running_var, weight, bias):
            if t is not None and (t._array.shape != shape or t._array.dtype is not x.dtype):
                fits = False
        fits = fits and (training or (running_mean is not None and running_var is not None))
    except (AttributeError, IndexError):
        fits = False
    if not fits:
        error = _batch_norm_error(input, running_mean, running_var, weight, bias, training)
        if error:
            raise error
        given = (t._array.dtype for t in (running_mean, running_var, weight, bias) if t is not None)
        _check_types("batch_norm", x.dtype, *given)
    w, b = None if weight is None else weight._array, None if bias is None else bias._array
    if training:
        y, mean, rstd, var = K.batch_norm_train(x, w, b, eps)
        count = x.size // x.shape[1] if x.size else 0
        if running_mean is not None and count:
            _move(running_mean, mean, momentum)
        if running_var is not None and count:
            _move(running_var, var, momentum, count / max(count - 1, 1))
    else:
        y = K.batch_norm_eval(x, running_mean._array, running_var._array, w, b, eps)
        mean = rstd = None
    if recording(input, weight, bias):
        if mean is None:
            mean, rstd = _given_statistics(running_mean._array, running_var._array, x, eps)
        fields = {"mean": mean, "rstd": rstd, "train": training, "eps": eps}
        out = record(y, NativeBatchNormBackward0, (input, weight, bias), input, weight, **fields)
    else:
        out = wrap(y)
    if input._format is not None or input._base is not None:
        mark_format(out, input)
    return out


op(method=False)(batch_norm)


def _move(running: Tensor, found: np.ndarray, momentum: float, correction: float = 1.0) -> None:
    """running = (1 - momentum) * running + momentum * correction * found, in place."""
    array = running._array
    step = K.mul(found, momentum * correction)
    K.mul(array, 1 - momentum, out=array)
    K.add(array, step if step.dtype is array.dtype else step.astype(array.dtype), out=array)
    running._bump()


def _given_statistics(mean, var, x, eps):
    """Mean and 1 / sqrt(var + eps) in the type of the arithmetic, as a backward pass needs them."""
    kind = np.dtype(np.float32) if _low(x) else x.dtype
    return mean.astype(kind), (1 / np.sqrt(var.astype(kind) + kind.type(eps))).astype(kind)


# -- layer normalisation --------------------------------------------------------------------------------


class NativeLayerNormBackward0(Node):
    """Rows of `rows` x `width` elements, normalised each by its own statistics."""

    def backward(self, grad):
        x, w, b = self.unpack()
        to_x, to_w, to_b = self.edges
        if MODE.enabled:
            return self._composed(grad, x, w)
        rows = (self.rows, self.width)
        flat_w = None if w is None else w._array.reshape(-1)
        gx, gw, gb = K.layer_norm_backward(
            grad._array.reshape(rows), x._array.reshape(rows), self.mean, self.rstd, flat_w
        )
        return (
            None if to_x is None else wrap(gx.reshape(x._array.shape)),
            None if to_w is None else wrap(gw.reshape(w._array.shape)),
            None if to_b is None else wrap(gb.reshape(b._array.shape).astype(b._array.dtype, copy=False)),
        )

    def _composed(self, grad, x, w):
        to_x, to_w, to_b = self.edges
        shape = x._array.shape
        lead, dims = tuple(range(len(shape) - self.dims)), tuple(range(len(shape) - self.dims, len(shape)))
        centred = x - x.mean(dims, keepdim=True)
        rstd = ((centred * centred).mean(dims, keepdim=True) + self.eps).rsqrt()
        normal = centred * rstd
        gx = gw = gb = None
        if to_x is not None:
            scaled = grad if w is None else grad * w
            gx = (
                scaled - scaled.mean(dims, keepdim=True) - normal * (scaled * normal).mean(dims, keepdim=True)
            )
            gx = gx * rstd
        if to_w is not None:
            gw = (grad * normal).sum(lead) if lead else grad * normal
        if to_b is not None:
            gb = grad.sum(lead) if lead else grad
        return gx, gw, gb


@lru_cache(maxsize=1024)
def _check_normalized(name, x_shape, x_kind, normalized_shape, w, b) -> tuple:
    """The trailing dimensions to normalise over; `w` and `b` are the parameters' (shape, type), or None."""
    shape = tuple([n.__index__() for n in normalized_shape])
    if not shape:
        raise RuntimeError(
            f"{name}: Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    for what, given in (("weight", w), ("bias", b)):
        if given is not None and given[0] != shape:
            raise RuntimeError(
                f"{name}: Expected {what} to be of same shape as normalized_shape, but got {what} of shape "
                f"{list(given[0])} and normalized_shape = {list(shape)}"
            )
    if x_shape[max(len(x_shape) - len(shape), 0) :] != shape:
        wanted = ", ".join(map(str, shape))
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {wanted}], but got input "
            f"of size{list(x_shape)}: {name} normalises the last dimensions; make it with normalized_shape="
            f"{list(x_shape[-len(shape) :])}"
        )
    _check_types(name, x_kind, *(given and given[1] for given in (w, b)))
    return shape


def _normalized(name: str, input, normalized_shape, weight, bias) -> tuple:
    """The trailing dimensions to normalise over, checked against the input and the parameters."""
    try:
        x = input._array
        w = None if weight is None else (weight._array.shape, weight._array.dtype)
        b = None if bias is None else (bias._array.shape, bias._array.dtype)
        sizes = tuple(normalized_shape)
    except (AttributeError, TypeError):
        for what, value in (("input", input), ("weight", weight), ("bias", bias)):
            if value is not None or what == "input":
                check_tensor(name, value, what)
        raise TypeError(
            f"{name}(): argument 'normalized_shape' (position 2) must be tuple of ints, not "
            f"{type(normalized_shape).__name__}"
        ) from None
    return _check_normalized(name, x.shape, x.dtype, sizes, w, b)


@op(method=False)
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05):
    """Normalise over the last dimensions, then scale and shift each element.

    Args:
        input: (*, *normalized_shape).
        normalized_shape: the sizes of the last dimensions.
        weight: a tensor of that shape, the scale, or None.
        bias: likewise the shift.
        eps: what is added to the variance.
    Returns:
        A tensor of the input's shape.
    Raises:
        RuntimeError: shapes or types do not fit.

    Source: Ba et al., Layer Normalization, 2016.

    >>> import rushlight as torch
    >>> torch.nn.functional.layer_norm(torch.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    shape = _normalized("layer_norm", input, normalized_shape, weight, bias)
    x = input._strided()
    width = prod(shape)
    rows = x.size // width if width else 0
    w, b = (None if t is None else t._array.reshape(-1) for t in (weight, bias))
    if x.size:
        y, mean, rstd = K.layer_norm(x.reshape(rows, width), w, b, eps)
        y = y.reshape(x.shape)
    else:
        y, mean, rstd = empty_by(x, x.shape), zeros_by(x, rows), zeros_by(x, rows)
    if MODE.enabled and recording(input, weight, bias):
        return record(
            y, NativeLayerNormBackward0, (input, weight, bias), input, weight, bias,
            mean=mean, rstd=rstd, rows=rows, width=width, dims=len(shape), eps=eps,
        )  # fmt: skip
    return wrap(y)


# -- group and instance normalisation -------------------------------------------------------------------


class NativeGroupNormBackward0(Node):
    """Groups of channels of each sample are rows with their own statistics; scale and shift by channel."""

    def backward(self, grad):
        x, w, b = self.unpack()
        to_x, to_w, to_b = self.edges
        if x._array.size == 0:
            return tuple(
                None if e is None else t.new_zeros(t.shape)
                for e, t in zip(self.edges, (x, w, b), strict=True)
            )
        if not MODE.enabled and grad._array.dtype == x._array.dtype:
            w = None if w is None else w._array
            groups = len(self.mean) // len(x._array)
            found = K.group_norm_backward(grad._array, x._array, self.mean, self.rstd, w, groups)
            gx, gw, gb = (None if e is None else wrap(a) for e, a in zip(self.edges, found, strict=True))
            return gx, gw, gb if gb is None else gb.to(b.dtype)
        column = (1, -1, *(1,) * (x._array.ndim - 2))
        dims = (0, *range(2, x._array.ndim))
        scaled = grad if w is None else grad * w.reshape(column)
        gx, normal = self._composed(scaled, x)
        return (
            gx if to_x is not None else None,
            (grad * normal).sum(dims).to(w.dtype) if to_w is not None else None,
            grad.sum(dims).to(b.dtype) if to_b is not None else None,
        )

    def _composed(self, scaled, x):
        shape, rows = x._array.shape, (len(self.mean), -1)
        flat, scaled = x.reshape(rows), scaled.reshape(rows)
        centred = flat - flat.mean(1, keepdim=True)
        rstd = ((centred * centred).mean(1, keepdim=True) + self.eps).rsqrt()
        normal = centred * rstd
        gx = (scaled - scaled.mean(1, keepdim=True) - normal * (scaled * normal).mean(1, keepdim=True)) * rstd
        return gx.reshape(shape), normal.reshape(shape)


def _check_groups(input, num_groups, weight, bias) -> None:
    shape = check_tensor("group_norm", input)._array.shape
    if len(shape) < 2:
        raise RuntimeError(
            f"group_norm: Expected at least 2 dimensions for input tensor but received {len(shape)}"
        )
    if shape[0] and prod(shape) == shape[0] * num_groups and shape[0] == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {list(shape)}: group_norm "
            "needs "
            "several values in each group; use fewer groups"
        )
    if shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(shape)} and num_groups={num_groups}"
        )
    for what, given in (("weight", weight), ("bias", bias)):
        if given is not None and check_tensor("group_norm", given, what)._array.shape != (shape[1],):
            raise RuntimeError(
                f"Expected {what} to be a vector of size equal to the number of channels in input, but got "
                f"{what} of "
                f"shape {list(given.shape)} and input of shape {list(shape)}"
            )
    _check_types("group_norm", input._array.dtype, *(t._array.dtype for t in (weight, bias) if t is not None))


@op(method=False)
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-05):
    """Normalise groups of channels of each sample, then scale and shift each channel.

    Args:
        input: (N, C, *sizes).
        num_groups: into how many groups the channels are divided.
        weight: (C,), the scale, or None.
        bias: (C,), the shift, or None.
        eps: what is added to the variance.
    Returns:
        A tensor of the input's shape.
    Raises:
        RuntimeError: sizes or types do not fit. ValueError: a group has only one value.

    Source: Wu and He, Group Normalization, ECCV 2018.

    >>> import rushlight as torch
    >>> torch.nn.functional.group_norm(torch.tensor([[1.0, 3.0, 5.0, 5.0]]), 2)
    tensor([[-1.0000,  1.0000,  0.0000,  0.0000]])
    """
    _check_groups(input, num_groups, weight, bias)
    x = input._array
    w, b = None if weight is None else weight._array, None if bias is None else bias._array
    y, mean, rstd = K.group_norm(x, w, b, num_groups, eps)
    if MODE.enabled and recording(input, weight, bias):
        fields = {"mean": mean, "rstd": rstd, "eps": eps}
        out = record(y, NativeGroupNormBackward0, (input, weight, bias), input, weight, bias, **fields)
    else:
        out = wrap(y)
    if input._format is not None or input._base is not None:
        mark_format(out, input)
    return out


@op(method=False)
def instance_norm(
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-05,
):
    """Normalise each channel of each sample over its positions, then scale and shift it.

    Args:
        input: (N, C, *sizes).
        running_mean, running_var: (C,), statistics to use where `use_input_stats` is False; else moved
            towards the mean of the samples' own, in place. None for none.
        weight, bias: (C,), the scale and the shift, or None.
        use_input_stats: whether to use each sample's own statistics.
        momentum: how far the running statistics move.
        eps: what is added to the variance.
    Returns:
        A tensor of the input's shape.
    Raises:
        ValueError: there is only one position. RuntimeError: sizes or types do not fit.

    Source: Ulyanov et al., Instance Normalization, 2016.

    >>> import rushlight as torch
    >>> torch.nn.functional.instance_norm(torch.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """
    shape = check_tensor("instance_norm", input)._array.shape
    if use_input_stats and prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    n, c = shape[:2]
    repeated = [None if t is None else t.repeat(n) for t in (running_mean, running_var, weight, bias)]
    flat = input.reshape((1, n * c, *shape[2:]))
    out = batch_norm(flat, *repeated, use_input_stats, momentum, eps).reshape(shape)
    if use_input_stats:
        for running, samples in zip((running_mean, running_var), repeated[:2], strict=True):
            if running is not None:
                np.copyto(running._array, samples._array.reshape(n, c).mean(0))
                running._bump()
    return out


# -- compositions ---------------------------------------------------------------------------------------


@op(method=False)
def local_response_norm(input, size, alpha=0.0001, beta=0.75, k=1.0):
    """Divide each element by (k + alpha * mean of squares over neighbouring channels) ^ beta.

    Args:
        input: (N, C, *sizes).
        size: how many neighbouring channels.
        alpha, beta, k: the constants of the formula.
    Returns:
        A tensor of the input's shape.
    Raises:
        ValueError: the input has fewer than three dimensions.

    Source: Krizhevsky et al., ImageNet Classification with Deep CNNs, NeurIPS 2012.

    >>> import rushlight as torch
    >>> torch.nn.functional.local_response_norm(torch.ones(1, 1, 1), 1, alpha=1.0, beta=1.0)
    tensor([[[0.5000]]])
    """
    shape = check_tensor("local_response_norm", input)._array.shape
    if len(shape) < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {len(shape)} dimensions)")
    if 0 in shape:
        return input
    n, c = shape[:2]
    rest = prod(shape[2:])
    squares = (input * input).reshape((n, 1, c, 1, rest))
    padded = constant_pad_nd(squares, (0, 0, 0, 0, size // 2, (size - 1) // 2))
    mean = avg_pool3d(padded, (size, 1, 1), stride=1).reshape(shape)
    return input / (mean * alpha + k).pow(beta)


@op(method=False)
def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Divide by the root of the mean square over the last dimensions, then scale each element.

    Args:
        input: (*, *normalized_shape).
        normalized_shape: the sizes of the last dimensions.
        weight: a tensor of that shape, the scale, or None.
        eps: what is added to the mean square; by default the type's smallest step at 1.
    Returns:
        A tensor of the input's shape.
    Raises:
        RuntimeError: shapes do not fit.

    Source: Zhang and Sennrich, Root Mean Square Layer Normalization, NeurIPS 2019.

    >>> import rushlight as torch
    >>> torch.nn.functional.rms_norm(torch.tensor([[3.0, 3.0]]), (2,))
    tensor([[1., 1.]])
    """
    shape = _normalized("rms_norm", input, normalized_shape, weight, None)
    wide = input.float() if _low(input._array) else input
    eps = float(np.finfo(wide._array.dtype).eps) if eps is None else eps
    dims = tuple(range(-len(shape), 0))
    normal = wide * ((wide * wide).mean(dims, keepdim=True) + eps).rsqrt()
    normal = normal.to(input.dtype)
    return normal if weight is None else normal * weight
