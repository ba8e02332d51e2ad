"""Layers that put elements around their input, in one, two and three dimensions."""

from rushlight.nn import functional as F
from rushlight.nn.module import Module
from rushlight.nn.sizes import _ntuple


class _PadNd(Module):
    """Padding whose values come from the input."""

    _dims: int
    _mode: str

    def __init__(self, padding):
        super().__init__()
        self.padding = _ntuple(2 * self._dims)(padding)

    def forward(self, input):
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ReflectionPadNd(_PadNd):
    _mode = "reflect"


class _ReplicationPadNd(_PadNd):
    _mode = "replicate"


class _CircularPadNd(_PadNd):
    _mode = "circular"

    def forward(self, input):
        n = self._dims
        if input.dim() not in (n + 1, n + 2):
            raise ValueError(f"expected {n + 1}D or {n + 2}D input (got {input.dim()}D input)")
        return F.pad(input, self.padding, "circular")


class _ConstantPadNd(Module):
    _dims: int

    def __init__(self, padding, value):
        super().__init__()
        self.value = value
        self.padding = _ntuple(2 * self._dims)(padding)

    def forward(self, input):
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPadNd:
    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


_KINDS = {
    "ConstantPad": ((_ConstantPadNd,), "elements of one value", ", 3.5"),
    "ReflectionPad": ((_ReflectionPadNd,), "the input reflected at its border", ""),
    "ReplicationPad": ((_ReplicationPadNd,), "the elements at the border repeated", ""),
    "CircularPad": ((_CircularPadNd,), "the elements from the opposite side", ""),
}


def _define(kind: str, n: int, bases: tuple, what: str, value: str):
    name = f"{kind}{n}d"
    shape, result = ", ".join(["1", "2", *["4"] * n]), [1, 2, *[6] * n]
    doc = f"""Puts {what} around {("a signal", "an image", "a volume")[n - 1]}.

    Args:
        padding: how many on each side, or {2 * n} numbers: before and after the last dimension, and so on.
{"        value: the value." if value else ""}
    >>> import rushlight as torch
    >>> torch.nn.{name}(1{value})(torch.ones({shape})).shape
    torch.Size({result})
    """
    return type(name, bases, {"__module__": __name__, "_dims": n, "__doc__": doc})


ConstantPad1d, ConstantPad2d, ConstantPad3d = (
    _define("ConstantPad", n, *_KINDS["ConstantPad"]) for n in (1, 2, 3)
)
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = (
    _define("ReflectionPad", n, *_KINDS["ReflectionPad"]) for n in (1, 2, 3)
)
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = (
    _define("ReplicationPad", n, *_KINDS["ReplicationPad"]) for n in (1, 2, 3)
)
CircularPad1d, CircularPad2d, CircularPad3d = (
    _define("CircularPad", n, *_KINDS["CircularPad"]) for n in (1, 2, 3)
)
ZeroPad1d, ZeroPad2d, ZeroPad3d = (
    _define("ZeroPad", n, (_ZeroPadNd, base), "zeros", "")
    for n, base in enumerate((ConstantPad1d, ConstantPad2d, ConstantPad3d), 1)
)

__all__ = [f"{kind}{n}d" for kind in (*_KINDS, "ZeroPad") for n in (1, 2, 3)]
