"""Pooling layers, in one, two and three dimensions."""

from rushlight.nn import functional as F
from rushlight.nn.module import Module
from rushlight.nn.sizes import _ntuple


class _MaxPoolNd(Module):
    _function: staticmethod

    def __init__(
        self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input):
        return self._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class _MaxUnpoolNd(Module):
    _function: staticmethod
    _dims: int

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        tuple_of = _ntuple(self._dims)
        self.kernel_size = tuple_of(kernel_size)
        self.stride = tuple_of(kernel_size if stride is None else stride)
        self.padding = tuple_of(padding)

    def forward(self, input, indices, output_size=None):
        return self._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPoolNd(Module):
    _function: staticmethod

    def __init__(
        self,
        kernel_size,
        stride=None,
        padding=0,
        ceil_mode=False,
        count_include_pad=True,
        divisor_override=None,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input):
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool1d(_AvgPoolNd):
    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        Module.__init__(self)
        tuple_of = _ntuple(1)
        self.kernel_size = tuple_of(kernel_size)
        self.stride = tuple_of(kernel_size if stride is None else stride)
        self.padding = tuple_of(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input):
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )


class _LPPoolNd(Module):
    _function: staticmethod

    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input):
        return self._function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class _AdaptiveAvgPoolNd(Module):
    _function: staticmethod

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, input):
        return self._function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveMaxPoolNd(Module):
    _function: staticmethod

    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input):
        return self._function(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _FractionalMaxPoolNd(Module):
    _function: staticmethod
    _dims: int

    def __init__(
        self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
    ):
        super().__init__()
        n, name, tuple_of = self._dims, type(self).__name__, _ntuple(self._dims)
        self.kernel_size = tuple_of(kernel_size)
        if n == 3 and min(self.kernel_size) <= 0:
            raise ValueError(f"kernel_size must be greater than 0, but got {kernel_size}")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else tuple_of(output_size)
        self.output_ratio = None if output_ratio is None else tuple_of(output_ratio)
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input):
        return self._function(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            self._random_samples,
        )  # fmt: skip


_SIZE = "kernel_size: size of the window."
_STRIDE = "stride: steps between neighbouring windows; the window's size by default."
_PADDING = "padding: around the input on each side."
_CEIL = "ceil_mode: whether windows may reach over the end."
_INDICES = "return_indices: whether to return the positions of the elements too."
_WANTED = "output_size: the wanted sizes; None keeps one."
_ADAPTED = "windows so chosen that the output has a given size."

# Kind: base, function, what it gives, arguments of the example, arguments.
_KINDS = {
    "MaxPool": (
        _MaxPoolNd, "max_pool", "The largest element of each window.", "2",
        (_SIZE, _STRIDE, _PADDING, "dilation: steps between elements of a window.", _INDICES, _CEIL),
    ),
    "MaxUnpool": (
        _MaxUnpoolNd, "max_unpool", "Puts what `MaxPool{n}d` chose back in its place, zeros elsewhere.", None,
        ("kernel_size, stride, padding: those of the pooling.",),
    ),
    "AvgPool": (
        _AvgPoolNd, "avg_pool", "The mean of each window.", "2",
        (_SIZE, _STRIDE, _PADDING, _CEIL, "count_include_pad: whether the padding counts as zeros."),
    ),
    "LPPool": (
        _LPPoolNd, "lp_pool", "The p-norm of each window.", "2, 2",
        ("norm_type: the p.", _SIZE, _STRIDE, _CEIL),
    ),
    "AdaptiveAvgPool": (
        _AdaptiveAvgPoolNd, "adaptive_avg_pool", f"Means of {_ADAPTED}", "3", (_WANTED,)
    ),
    "FractionalMaxPool": (
        _FractionalMaxPoolNd, "fractional_max_pool", "The largest element of each of many windows at random places.",
        "2, 3",
        (_SIZE, "output_size: the number of windows; or", "output_ratio: that number as a share of the size.",
         _INDICES, "_random_samples: the random numbers, (N, C, {n}); drawn for each input if not given."),
    ),
    "AdaptiveMaxPool": (
        _AdaptiveMaxPoolNd, "adaptive_max_pool", f"Largest elements of {_ADAPTED}", "3", (_WANTED, _INDICES),
    ),
}  # fmt: skip


def _define(kind: str, n: int):
    """The layer of this kind over `n` spatial dimensions."""
    base, function, what, example, args = _KINDS[kind]
    if kind == "AvgPool" and n == 1:
        base = _AvgPool1d
    elif kind == "AvgPool":
        args += ("divisor_override: what sums are divided by, instead of the number of elements.",)
    name = f"{kind}{n}d"
    doc = "\n        ".join((what + "\n\n    Args:", *args)).format(n=n) + "\n"
    if example:
        shape = ", ".join(["1", "2", *["6"] * n])
        doc += f"""
    >>> import rushlight as torch
    >>> torch.nn.{name}({example})(torch.ones({shape})).shape
    torch.Size({[1, 2, *[3] * n]})
    """
    fields = {"_dims": n, "_function": staticmethod(getattr(F, f"{function}{n}d"))}
    return type(name, (base,), {"__module__": __name__, "__doc__": doc, **fields})


MaxPool1d, MaxPool2d, MaxPool3d = (_define("MaxPool", n) for n in (1, 2, 3))
MaxUnpool1d, MaxUnpool2d, MaxUnpool3d = (_define("MaxUnpool", n) for n in (1, 2, 3))
AvgPool1d, AvgPool2d, AvgPool3d = (_define("AvgPool", n) for n in (1, 2, 3))
LPPool1d, LPPool2d, LPPool3d = (_define("LPPool", n) for n in (1, 2, 3))
AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d = (_define("AdaptiveAvgPool", n) for n in (1, 2, 3))
FractionalMaxPool2d, FractionalMaxPool3d = (_define("FractionalMaxPool", n) for n in (2, 3))
AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d = (_define("AdaptiveMaxPool", n) for n in (1, 2, 3))

__all__ = [name for kind in _KINDS for n in (1, 2, 3) if (name := f"{kind}{n}d") in globals()]
