"""First values of parameters: functions that fill a tensor in place, outside the graph, and return it."""

import functools
import math
import warnings

import numpy as np

from rushlight.autograd.grad_mode import no_grad
from rushlight.kernels.reference.layout import c_order
from rushlight.ops.creation import empty_like, from_numpy
from rushlight.ops.creation import eye as _eye
from rushlight.ops.random import randperm
from rushlight.tensor import Tensor

_LINEAR = {"linear", "sigmoid", *(f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3))}


def calculate_gain(nonlinearity, param=None):
    """The factor by which a layer's weights should be larger because an activation follows it.

    Args:
        nonlinearity: the name of the activation in `nn.functional`, or of a linear layer.
        param: the negative slope, for 'leaky_relu'.
    Raises:
        ValueError: no such activation is known.

    >>> import rushlight as torch
    >>> round(torch.nn.init.calculate_gain("leaky_relu", 0.2), 4)
    1.3868
    """
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        if isinstance(param, bool) or not isinstance(param, int | float):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + param**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator=None) -> Tensor:
    """Draw from the uniform distribution on [a, b).

    >>> import rushlight as torch
    >>> torch.nn.init.uniform_(torch.empty(3, 5)).shape
    torch.Size([3, 5])
    """
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator=None) -> Tensor:
    """Draw from the normal distribution with this mean and standard deviation."""
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value.

    >>> import rushlight as torch
    >>> torch.nn.init.constant_(torch.empty(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


@no_grad()
def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return tensor.zero_()


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity; ValueError where it is no matrix."""
    _check_matrix(tensor)
    return tensor.copy_(_eye(*tensor.shape))


@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the weight of a convolution so that it passes on as many input channels as it can.

    Args:
        tensor: the weight, with 3, 4 or 5 dimensions.
        groups: the groups of the convolution.
    Raises:
        ValueError: wrong number of dimensions, or channels not divisible by `groups`.
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    outer, inner, *kernel = tensor.shape
    if outer % groups:
        raise ValueError("dim 0 must be divisible by groups")
    tensor.zero_()
    centre = tuple(k // 2 for k in kernel)
    per_group = outer // groups
    for group in range(groups):
        for channel in range(min(per_group, inner)):
            tensor[(group * per_group + channel, channel, *centre)] = 1
    return tensor


def _check_matrix(tensor: Tensor) -> None:
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output of this weight depends on, and how many outputs depend on an input."""
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    outer, inner, *kernel = tensor.shape
    return inner * math.prod(kernel), outer * math.prod(kernel)


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    modes = ["fan_in", "fan_out"]
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {modes}")
    return _calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator=None) -> Tensor:
    """Draw uniformly from ±gain * sqrt(6 / (fan in + fan out)).

    Args:
        tensor: a weight with 2 dimensions or more.
        gain: see `calculate_gain`.
        generator: where random numbers come from.

    Source: Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010.

    >>> import rushlight as torch
    >>> bool(torch.nn.init.xavier_uniform_(torch.empty(3, 3)).abs().max() < 1)
    True
    """
    std = gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator=None) -> Tensor:
    """Draw from the normal distribution with standard deviation gain * sqrt(2 / (fan in + fan out)).

    Args and source as for `xavier_uniform_`.
    """
    std = gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    return normal_(tensor, 0.0, std, generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float | None:
    """The standard deviation; None, with a warning, where there is nothing to fill."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return None
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator=None
) -> Tensor:
    """Draw uniformly from ±gain * sqrt(3 / fan).

    Args:
        tensor: a weight with 2 dimensions or more.
        a: the negative slope of the leaky ReLU that follows.
        mode: which fan: 'fan_in' keeps variances in the forward pass, 'fan_out' in the backward pass.
        nonlinearity: the activation that follows, 'relu' or 'leaky_relu'.
        generator: where random numbers come from.

    Source: He et al., Delving Deep into Rectifiers, ICCV 2015.
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator=None
) -> Tensor:
    """Draw from the normal distribution with standard deviation gain / sqrt(fan).

    Args and source as for `kaiming_uniform_`.
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor if std is None else normal_(tensor, 0, std, generator)


def _uniform_bias_(bias: Tensor | None, weight: Tensor) -> None:
    """A bias as PyTorch's layers begin with: uniform from ±1/sqrt(fan in) of the weight."""
    if bias is not None:
        fan_in, _ = _calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        uniform_(bias, -bound, bound)


@no_grad()
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator=None
) -> Tensor:
    """Draw from the normal distribution with this mean and standard deviation, values outside [a, b] anew.

    >>> import rushlight as torch
    >>> bool(torch.nn.init.trunc_normal_(torch.empty(100)).abs().max() <= 2)
    True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be "
            "incorrect.",
            stacklevel=2,
        )
    if _normal_cdf((b - mean) / std) - _normal_cdf((a - mean) / std) > 0.3:
        return _redraw_outside(tensor, mean, std, a, b, generator)
    return _reject_under_density(tensor, mean, std, a, b, generator)


def _normal_cdf(x: float) -> float:
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def _redraw_outside(tensor: Tensor, mean, std, a, b, generator) -> Tensor:
    """Most draws are within the bounds: draw normal numbers, and those outside again, until none is."""
    tensor.normal_(mean, std, generator=generator)
    if tensor.is_meta:
        return tensor
    low, high = tensor.new_tensor(a).item(), tensor.new_tensor(b).item()
    while True:
        outside = (tensor < low) | (tensor > high)
        if not outside.any():
            return tensor
        again = empty_like(tensor).normal_(mean, std, generator=generator)
        tensor[outside] = again[outside]


def _reject_under_density(tensor: Tensor, mean, std, a, b, generator) -> Tensor:
    """Few normal draws would be within the bounds: draw uniformly, and keep what is below the density."""
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2  # of the logarithm of the density
    waiting = None
    if tensor.is_meta:
        return tensor
    while waiting is None or waiting.any():
        drawn = (tensor if waiting is None else empty_like(tensor)).uniform_(a, b, generator=generator)
        density = drawn.sub(mean).div_(std).pow_(2).mul_(-0.5).sub_(peak)
        rejected = empty_like(tensor).uniform_(generator=generator).log_().gt(density)
        if waiting is None:
            waiting = rejected
        else:
            tensor[waiting] = drawn[waiting]
            waiting = waiting & rejected
    return tensor


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator=None) -> Tensor:
    """Fill with an orthogonal matrix (its rows flattened over all dimensions but the first).

    Args:
        tensor: with 2 dimensions or more.
        gain: what it is multiplied by.
        generator: where random numbers come from.

    Source: Saxe, McClelland & Ganguli, Exact solutions to the nonlinear dynamics of learning, 2013.
    """
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0 or tensor.is_meta:
        return tensor
    rows = tensor.size(0)
    columns = tensor.numel() // rows
    drawn = tensor.new_empty((rows, columns)).normal_(0, 1, generator=generator).numpy()
    q, r = np.linalg.qr(drawn.T if rows < columns else drawn)
    q = q * np.sign(np.diagonal(r))  # makes the decomposition unique, and q uniformly distributed
    q = c_order(q.T if rows < columns else q)
    return tensor.copy_(from_numpy(q.reshape(tensor.shape))).mul_(gain)


@no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator=None) -> Tensor:
    """Draw a matrix from a normal distribution, and set a share of each column to zero.

    Args:
        tensor: a matrix.
        sparsity: the share of zeros in each column.
        std: the standard deviation of the others.
        generator: where random numbers come from.

    Source: Martens, Deep learning via Hessian-free optimization, ICML 2010.
    """
    _check_matrix(tensor)
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    tensor.normal_(0, std, generator=generator)
    for column in range(columns):
        tensor[randperm(rows)[:zeros], column] = 0
    return tensor


def _old_name(function):
    """The function under its old name, without the underscore, which warns."""
    new = function.__name__
    old = new[:-1]

    @functools.wraps(function)
    def deprecated(*args, **kwargs):
        warnings.warn(
            f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)

    deprecated.__name__ = deprecated.__qualname__ = old
    deprecated.__doc__ = f"The old name of `{new}`; warns."
    return deprecated


uniform, normal, constant = _old_name(uniform_), _old_name(normal_), _old_name(constant_)
eye, dirac, sparse = _old_name(eye_), _old_name(dirac_), _old_name(sparse_)
xavier_uniform, xavier_normal = _old_name(xavier_uniform_), _old_name(xavier_normal_)
kaiming_uniform, kaiming_normal = _old_name(kaiming_uniform_), _old_name(kaiming_normal_)
orthogonal = _old_name(orthogonal_)
