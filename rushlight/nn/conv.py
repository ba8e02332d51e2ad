"""Convolution layers, ordinary and transposed, in one, two and three dimensions."""

import math

from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.lazy import LazyModuleMixin
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter, UninitializedParameter
from rushlight.nn.sizes import _ntuple
from rushlight.ops.creation import empty

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What all convolution layers share; sizes are tuples here."""

    _dims: int  # the number of spatial dimensions
    _function: staticmethod

    def __init__(
        self, in_channels, out_channels, kernel_size, stride, padding, dilation, transposed, output_padding,
        groups, bias, padding_mode, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        self._check()
        self._reversed_padding_repeated_twice = self._padding_by_side()
        outer, inner = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        shape = (outer, inner // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def _check(self) -> None:
        if self.groups <= 0:
            raise ValueError("groups must be a positive integer")
        if self.in_channels % self.groups:
            raise ValueError(
                f"in_channels must be divisible by groups: got {self.in_channels} and {self.groups}"
            )
        if self.out_channels % self.groups:
            raise ValueError(
                f"out_channels must be divisible by groups: got {self.out_channels} and {self.groups}"
            )
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(
                    f"Invalid padding string {self.padding!r}, should be one of {{'same', 'valid'}}"
                )
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in _PADDING_MODES:
            modes = ", ".join(map(repr, _PADDING_MODES))
            raise ValueError(
                f"padding_mode must be one of {{{modes}}}, but got padding_mode='{self.padding_mode}'"
            )

    def _padding_by_side(self) -> list[int]:
        """The padding before and after each dimension, the last dimension first, as `F.pad` takes it."""
        if not isinstance(self.padding, str):
            return [p for p in reversed(self.padding) for _ in range(2)]
        if self.padding == "valid":
            return [0, 0] * len(self.kernel_size)
        totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        return [side for total in reversed(totals) for side in (total // 2, total - total // 2)]

    def reset_parameters(self) -> None:
        """Draw new values, uniformly from ±1/sqrt(inputs per output)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        init._uniform_bias_(self.bias, self.weight)

    def forward(self, input):
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input, weight, bias):
        if self.padding_mode != "zeros":
            padded = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            return self._function(padded, weight, bias, self.stride, 0, self.dilation, self.groups)
        return self._function(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        )
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            if value != (usual,) * len(value):
                text += f", {name}={value}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_ConvNd):
    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        tuple_of = _ntuple(self._dims)
        padding = padding if isinstance(padding, str) else tuple_of(padding)
        super().__init__(
            in_channels, out_channels, tuple_of(kernel_size), tuple_of(stride), padding,
            tuple_of(dilation), False, tuple_of(0), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip


class _ConvTransposeNd(_ConvNd):
    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1,
        bias=True, dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        tuple_of = _ntuple(self._dims)
        super().__init__(
            in_channels, out_channels, tuple_of(kernel_size), tuple_of(stride), tuple_of(padding),
            tuple_of(dilation), True, tuple_of(output_padding), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input, output_size=None):
        extra = self.output_padding if output_size is None else self._extra_for(input, list(output_size))
        return self._function(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _extra_for(self, input, output_size: list[int]) -> list[int]:
        """The output padding with which the output has the wanted size."""
        n = self._dims
        lead = 2 if input.dim() == n + 2 else 1
        if len(output_size) == lead + n:
            output_size = output_size[lead:]
        if len(output_size) != n:
            raise ValueError(
                f"ConvTranspose{n}D: for {input.dim()}D input, output_size must have {n} or {lead + n} "
                f"elements (got {len(output_size)})"
            )
        sizes = input.size()[lead:]
        smallest = [
            (size - 1) * s - 2 * p + d * (k - 1) + 1
            for size, s, p, d, k in zip(
                sizes, self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        ]
        largest = [low + s - 1 for low, s in zip(smallest, self.stride, strict=True)]
        if any(
            not low <= size <= high for low, size, high in zip(smallest, output_size, largest, strict=True)
        ):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {smallest} to "
                f"{largest} (for an input of {input.size()[2:]})"
            )
        return [size - low for size, low in zip(output_size, smallest, strict=True)]


class _LazyConv(LazyModuleMixin):
    """A convolution that takes `in_channels` from its first input."""

    def _init_lazy(self, out_channels: int, bias: bool, device, dtype) -> None:
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_channels = out_channels
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw new values, once the shapes are known."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input, *args, **kwargs) -> None:
        """Take the number of channels from the input."""
        if not self.has_uninitialized_params():
            return
        n = self._dims
        if input.dim() not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {type(self).__name__}, but "
                f"got input of size: {input.shape}"
            )
        self.in_channels = input.shape[-n - 1]
        if self.in_channels % self.groups:
            raise ValueError(
                f"in_channels must be divisible by groups: got {self.in_channels} and {self.groups}"
            )
        outer, inner = self.out_channels, self.in_channels
        if self.transposed:
            outer, inner = inner, outer
        self.weight.materialize((outer, inner // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class _LazyConvNd(_LazyConv):
    def __init__(
        self, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode, device, dtype
        )
        self._init_lazy(out_channels, bias, device, dtype)


class _LazyConvTransposeNd(_LazyConv):
    def __init__(
        self, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
        dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            0,
            0,
            kernel_size,
            stride,
            padding,
            output_padding,
            groups,
            False,
            dilation,
            padding_mode,
            device,
            dtype,
        )
        self._init_lazy(out_channels, bias, device, dtype)


_ARGS = """
    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: size of the filters, one number or {n}.
        stride: steps between neighbouring windows.
        padding: {padding}
        dilation: steps between neighbouring elements of a filter.
        groups: into how many separate groups the channels are divided.
        bias: whether a learned number is added to each channel of the output.
        padding_mode: what is put around the input: 'zeros'{modes}.
        device, dtype: where and of which type the parameters are.{more}
    Attributes: `weight` ({weight}, {kernel}) and `bias` (out_channels,).

    >>> import rushlight as torch
    >>> torch.nn.{name}({example})(torch.zeros({input})).shape
    torch.Size({output})
    """


def _define(n: int, transposed: bool):
    """The layer over `n` spatial dimensions, and its lazy form."""
    kind = "ConvTranspose" if transposed else "Conv"
    name, function = f"{kind}{n}d", f"conv_transpose{n}d" if transposed else f"conv{n}d"
    what = {1: "signals", 2: "images", 3: "volumes"}[n]
    doc = (
        f"A transposed convolution of {what}, which enlarges them."
        if transposed
        else f"A convolution of {what}."
    )
    doc += "\n" + _ARGS.format(
        n=n, name=name, kernel=", ".join(["k"] * n), input=", ".join(["5", "2", *["6"] * n]),
        example="2, 4, 2, stride=2" if transposed else "2, 4, 3",
        output=[5, 4, *[12 if transposed else 4] * n],
        weight="in_channels, out_channels / groups" if transposed else "out_channels, in_channels / groups",
        padding="what is cut off each side of the output." if transposed
        else "put around the input on each side; 'valid' for none, 'same' to keep the size.",
        modes="" if transposed else ", 'reflect', 'replicate' or 'circular'",
        more="\n        output_padding: what is added to one side of the output." if transposed else "",
    )  # fmt: skip
    fields = {
        "__module__": __name__,
        "_dims": n,
        "_function": staticmethod(getattr(F, function)),
        "__doc__": doc,
    }
    layer = type(name, (_ConvTransposeNd if transposed else _Conv,), fields)
    lazy_doc = f"A `{name}` that takes `in_channels` from its first input; its other arguments are the same."
    lazy_fields = {"__module__": __name__, "cls_to_become": layer, "__doc__": lazy_doc}
    lazy = type(f"Lazy{name}", (_LazyConvTransposeNd if transposed else _LazyConvNd, layer), lazy_fields)
    return layer, lazy


Conv1d, LazyConv1d = _define(1, False)
Conv2d, LazyConv2d = _define(2, False)
Conv3d, LazyConv3d = _define(3, False)
ConvTranspose1d, LazyConvTranspose1d = _define(1, True)
ConvTranspose2d, LazyConvTranspose2d = _define(2, True)
ConvTranspose3d, LazyConvTranspose3d = _define(3, True)

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "LazyConv1d",
    "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d",
]  # fmt: skip
