"""Layer, group, root-mean-square and local response normalization."""

from rushlight.autograd.function import Function
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.ops.creation import arange, empty


class _Affine(Module):
    """A learned scale and shift, at first 1 and 0; both None where `affine` is False."""

    def _make_affine(self, shape, affine: bool, bias: bool, device, dtype) -> None:
        made = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(empty(shape, **made)) if affine else None)
        self.register_parameter("bias", Parameter(empty(shape, **made)) if affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


def _shape(normalized_shape) -> tuple[int, ...]:
    return (int(normalized_shape),) if hasattr(normalized_shape, "__index__") else tuple(normalized_shape)


class LayerNorm(_Affine):
    """Each sample to mean 0 and variance 1 over its last dimensions, then scaled and shifted.

    Args:
        normalized_shape: the sizes of those last dimensions, or of the last one.
        eps: added to the variance.
        elementwise_affine: whether there are a learned scale and shift for each element.
        bias: whether there is a learned shift.
        device, dtype: where and of which type the parameters are.

    Source: Ba, Kiros & Hinton, Layer Normalization, 2016.

    >>> import rushlight as torch
    >>> torch.nn.LayerNorm(2)(torch.tensor([1.0, 3.0]))
    tensor([-1.0000,  1.0000], grad_fn=<NativeLayerNormBackward0>)
    """

    def __init__(
        self, normalized_shape, eps=1e-05, elementwise_affine=True, bias=True, device=None, dtype=None
    ):
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_affine(self.normalized_shape, elementwise_affine, bias, device, dtype)

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class GroupNorm(_Affine):
    """Groups of channels of each sample to mean 0 and variance 1, then each channel scaled and shifted.

    Args:
        num_groups: into how many groups the channels are divided.
        num_channels: the number of channels.
        eps: added to the variance.
        affine: whether there are a learned scale and shift for each channel.
        device, dtype: where and of which type the parameters are.
        bias: whether there is a learned shift.
    Raises:
        ValueError: `num_channels` is not divisible by `num_groups`.

    Source: Wu & He, Group Normalization, ECCV 2018.

    >>> import rushlight as torch
    >>> torch.nn.GroupNorm(2, 4)(torch.rand(3, 4, 5, 5)).shape
    torch.Size([3, 4, 5, 5])
    """

    def __init__(
        self, num_groups, num_channels, eps=1e-05, affine=True, device=None, dtype=None, *, bias=True
    ):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make_affine(num_channels, affine, bias, device, dtype)

    def forward(self, input):
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """Each sample divided by its root mean square over its last dimensions, then scaled.

    Args:
        normalized_shape: the sizes of those last dimensions, or of the last one.
        eps: added to the mean square; the smallest step of the type by default.
        elementwise_affine: whether there is a learned scale for each element.
        device, dtype: where and of which type the parameters are.

    Source: Zhang & Sennrich, Root Mean Square Layer Normalization, NeurIPS 2019.

    >>> import rushlight as torch
    >>> torch.nn.RMSNorm(4)(torch.rand(2, 4)).shape
    torch.Size([2, 4])
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        made = (
            Parameter(empty(self.normalized_shape, device=device, dtype=dtype))
            if elementwise_affine
            else None
        )
        self.register_parameter("weight", made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x):
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """Each element divided by (k + alpha * mean square over neighbouring channels) ** beta.

    Args:
        size: the number of neighbouring channels.
        alpha, beta, k: the numbers in the formula.

    Source: Krizhevsky, Sutskever & Hinton, ImageNet Classification, NeurIPS 2012.

    >>> import rushlight as torch
    >>> torch.nn.LocalResponseNorm(2)(torch.rand(1, 4, 3, 3)).shape
    torch.Size([1, 4, 3, 3])
    """

    def __init__(self, size, alpha=0.0001, beta=0.75, k=1.0):
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input):
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class _CrossMapLRN2d(Function):
    """As PyTorch computes it: channel 0 stays in every later sum, and the gradient takes the plain window."""

    @staticmethod
    def forward(ctx, input, size, alpha=1e-4, beta=0.75, k=1):
        if input.dim() != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead.")
        ctx.size, ctx.alpha, ctx.beta = size, alpha, beta
        reach, row, column = int((size - 1) / 2 + 1), *_rows_and_columns(input)
        window = (column < row + reach) & ((column > row - reach) | (column == 0))
        scale = _mixed(window, input * input) * (alpha / size) + k
        output = scale.pow(-beta) * input
        ctx.save_for_backward(input, output, scale)
        return output

    @staticmethod
    def backward(ctx, grad):
        input, output, scale = ctx.saved_tensors
        row, column = _rows_and_columns(input)
        first = row - int(ctx.size - (ctx.size - 1) / 2)
        window = (column >= first) & (column < first + ctx.size)
        ratio = _mixed(window, grad * output / scale) * (2 * ctx.alpha * ctx.beta / ctx.size)
        return scale.pow(-ctx.beta) * grad - input * ratio, None, None, None, None


def _rows_and_columns(input):
    """The numbers of the channels, as a column and as a row."""
    channel = arange(input.size(1), device=input.device)
    return channel.unsqueeze(1), channel.unsqueeze(0)


def _mixed(window, input):
    """Sums over channels: of those that are true in each row of the window."""
    return (window.to(input.dtype) @ input.flatten(2)).reshape(input.shape)


class CrossMapLRN2d(Module):
    """Local response normalization of images as Caffe had it; `LocalResponseNorm` takes any input.

    Args:
        size: the number of neighbouring channels.
        alpha, beta, k: the numbers in the formula.

    >>> import rushlight as torch
    >>> torch.nn.CrossMapLRN2d(2)(torch.rand(1, 4, 3, 3)).shape
    torch.Size([1, 4, 3, 3])
    """

    def __init__(self, size, alpha=0.0001, beta=0.75, k=1):
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input):
        return _CrossMapLRN2d.apply(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


__all__ = ["CrossMapLRN2d", "GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]
