"""Convolutions whose taps move with the input."""

import math

import rushlight as torch
from rushlight import kernels as K
from rushlight import nn
from rushlight.autograd.grad_mode import MODE
from rushlight.autograd.node import Node
from rushlight.nn import init
from rushlight.nn.modules.utils import _pair
from rushlight.ops.common import check_tensor, record, recording, wrap


class _DeformColumnsBackward(Node):
    """The gradients go to the input, the offsets and, if there is one, the mask."""

    def backward(self, grad):
        if MODE.enabled:
            raise RuntimeError("double backwards on deform_conv2d not supported")
        x, offset, *mask = self.unpack()
        found = K.deform_columns_backward(
            grad._array, x._array, offset._array, mask[0]._array if mask else None, *self.settings
        )
        return tuple(wrap(g) for g in found if g is not None)


def _columns(input, offset, mask, *settings):
    """What the taps see: [N, C * taps, places of the output]."""
    inputs = (input, offset) if mask is None else (input, offset, mask)
    array = K.deform_columns(input._array, offset._array, None if mask is None else mask._array, *settings)
    if recording(*inputs):
        return record(array, _DeformColumnsBackward, inputs, *inputs, settings=settings)
    return wrap(array)


def _check(input, offset, weight, mask, kernel, stride, padding, dilation) -> tuple[int, int]:
    """The size of the output; RuntimeError where shapes do not fit."""
    if input.dim() != 4 or offset.dim() != 4 or weight.dim() != 4:
        raise RuntimeError(
            "deform_conv2d(): input, offset and weight should have 4 dimensions, got "
            f"{input.dim()}, {offset.dim()} and {weight.dim()}"
        )
    taps = kernel[0] * kernel[1]
    groups = offset.shape[1] // (2 * taps)
    if groups == 0:
        raise RuntimeError(
            "the shape of the offset tensor at dimension 1 is not valid. It should be a multiple of 2 * weight.size[2] * "
            f"weight.size[3].\nGot offset.shape[1]={offset.shape[1]}, while 2 * weight.size[2] * weight.size[3]={2 * taps}"
        )
    if min(*stride, *dilation) <= 0 or min(padding) < 0:
        raise RuntimeError(
            f"deform_conv2d(): stride and dilation should be positive and padding not negative, got {stride}, "
            f"{dilation} and {padding}"
        )
    channels = input.shape[1]
    if channels % weight.shape[1] or weight.shape[0] % (channels // weight.shape[1]):
        raise RuntimeError(
            f"deform_conv2d(): a weight of shape {list(weight.shape)} does not fit an input of {channels} channels"
        )
    out = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(input.shape[2:], kernel, stride, padding, dilation, strict=True)
    )
    if min(out) <= 0:
        raise RuntimeError(f"Calculated output size too small - out_h: {out[0]} out_w: {out[1]}")
    for name, given, count in (("offset", offset, 2 * groups * taps), ("mask", mask, groups * taps)):
        if given is not None and tuple(given.shape) != (input.shape[0], count, *out):
            raise RuntimeError(
                f"deform_conv2d(): {name} should have the shape {[input.shape[0], count, *out]}, got {list(given.shape)}"
            )
    if channels % groups:
        raise RuntimeError(
            f"deform_conv2d(): {channels} channels do not divide into {groups} groups of offsets"
        )
    return out


def deform_conv2d(
    input, offset, weight, bias=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), mask=None
):
    """A convolution whose taps look at places that are moved, and weighs what they see.

    Source: Dai et al., Deformable Convolutional Networks, ICCV 2017; Zhu et al., Deformable ConvNets v2, CVPR 2019.

    Args:
        input: (N, C, H, W).
        offset: (N, groups * taps * 2, out_H, out_W): for each tap how far it moves down and to the right, in pixels.
        weight: (out_C, C / weight groups, kernel_H, kernel_W).
        bias: (out_C,).
        stride: one number or (vertical, horizontal), as the next two.
        padding: zeros around the input.
        dilation: distance between taps.
        mask: (N, groups * taps, out_H, out_W): what each tap is multiplied by.

    Returns:
        (N, out_C, out_H, out_W).

    Raises:
        RuntimeError: shapes or types do not fit, or a gradient of the gradient is wanted.

    >>> from rushlight.vision.ops import deform_conv2d
    >>> x, right = torch.arange(9.0).reshape(1, 1, 3, 3), torch.zeros(1, 2, 3, 3)
    >>> right[:, 1] = 0.5
    >>> deform_conv2d(x, right, torch.ones(1, 1, 1, 1))
    tensor([[[[0.5000, 1.5000, 1.0000],
              [3.5000, 4.5000, 2.5000],
              [6.5000, 7.5000, 4.0000]]]])
    """
    for name, given in (("input", input), ("offset", offset), ("weight", weight)):
        check_tensor("deform_conv2d", given, name)
    kernel = tuple(weight.shape[-2:])
    stride, padding, dilation = (tuple(_pair(v)) for v in (stride, padding, dilation))
    out = _check(input, offset, weight, mask, kernel, stride, padding, dilation)
    n, channels = input.shape[:2]
    groups = channels // weight.shape[1]
    columns = _columns(input, offset, mask, kernel, stride, padding, dilation)
    columns = columns.reshape(n, groups, weight[0].numel(), out[0] * out[1])
    y = torch.matmul(weight.reshape(groups, weight.shape[0] // groups, -1), columns)
    y = y.reshape(n, weight.shape[0], *out)
    return y if bias is None else y + bias.reshape(-1, 1, 1)


class DeformConv2d(nn.Module):
    """`deform_conv2d` as a layer, called with the input, the offsets and, if wanted, the mask.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: one number or (height, width), as the next three.
        stride: step.
        padding: zeros around the input.
        dilation: distance between taps.
        groups: of channels that are convolved on their own.
        bias: whether there is one.

    Raises:
        ValueError: the channels do not divide into the groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair(kernel_size)
        self.stride = _pair(stride)
        self.padding = _pair(padding)
        self.dilation = _pair(dilation)
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, as `Conv2d` does."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input, offset, mask=None):
        return deform_conv2d(
            input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask
        )

    def __repr__(self) -> str:
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        for name, usual in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            if getattr(self, name) != usual:
                parts.append(f"{name}={getattr(self, name)}")
        if self.bias is None:
            parts.append("bias=False")
        return f"{type(self).__name__}({', '.join(parts)})"
