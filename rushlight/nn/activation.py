"""Activation layers: each applies the function of the same name in `nn.functional`."""

import warnings

from rushlight.nn import functional as F
from rushlight.nn import init as _init
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.ops.creation import empty


class _Activation(Module):
    """An activation without settings; a subclass has its function as `_function`."""

    _function: staticmethod

    def __init__(self):
        super().__init__()

    def forward(self, input):
        return self._function(input)


class _InPlace(_Activation):
    """An activation whose only setting is `inplace`, whether to write the result into the input."""

    def __init__(self, inplace=False):
        Module.__init__(self)
        self.inplace = inplace

    def forward(self, input):
        return self._function(input, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class _InPlaceQuiet(_InPlace):
    """The same, for layers that PyTorch prints without it."""

    def extra_repr(self) -> str:
        return ""


def _doc(name: str, formula: str, args: str = "", call: str = "", shape: tuple = (2,)) -> str:
    args = f"\n    Args:\n        {args}\n" if args else ""
    sizes = ", ".join(map(str, shape))
    return f"""{formula}
{args}
    >>> import rushlight as torch
    >>> torch.nn.{name}({call})(torch.zeros({sizes})).shape
    torch.Size({list(shape)})
    """


_INPLACE = "inplace: write the result into the input."


def _simple(name: str, base: type, formula: str, args: str = "", function: str | None = None):
    """An activation layer with no setting but perhaps `inplace`."""
    fields = {
        "_function": staticmethod(getattr(F, function or name.lower())),
        "__doc__": _doc(name, formula, args),
    }
    return type(name, (base,), {"__module__": __name__, **fields})


Sigmoid = _simple("Sigmoid", _Activation, "1 / (1 + exp(-x)).")
Tanh = _simple("Tanh", _Activation, "The hyperbolic tangent.")
LogSigmoid = _simple("LogSigmoid", _Activation, "log(1 / (1 + exp(-x))).")
Softsign = _simple("Softsign", _Activation, "x / (1 + |x|).")
Tanhshrink = _simple("Tanhshrink", _Activation, "x - tanh(x).")
ReLU = _simple("ReLU", _InPlace, "max(x, 0).", _INPLACE)
SiLU = _simple("SiLU", _InPlace, "x / (1 + exp(-x)).", _INPLACE)
Mish = _simple("Mish", _InPlace, "x * tanh(softplus(x)).", _INPLACE)
SELU = _simple("SELU", _InPlace, "ELU, scaled so that means stay near 0 and variances near 1.", _INPLACE)
Hardsigmoid = _simple("Hardsigmoid", _InPlaceQuiet, "x / 6 + 1/2, but not below 0 nor above 1.", _INPLACE)
Hardswish = _simple("Hardswish", _InPlaceQuiet, "x * hardsigmoid(x).", _INPLACE)


class _Settings(Module):
    """An activation with settings, printed in the order in which `_settings` names them."""

    _settings: tuple[str, ...]

    def extra_repr(self) -> str:
        text = ", ".join(f"{name}={getattr(self, name)}" for name in self._settings)
        return text + ", inplace=True" if getattr(self, "inplace", False) else text


class Threshold(_Settings):
    __doc__ = _doc(
        "Threshold",
        "x where it is above the threshold, else a value.",
        "threshold: the threshold.\n        value: what stands for what is not above it.\n        "
        + _INPLACE,
        "0.1, 20",
    )
    _settings = "threshold", "value"

    def __init__(self, threshold, value, inplace=False):
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input):
        return F.threshold(input, self.threshold, self.value, self.inplace)


class RReLU(_Settings):
    __doc__ = _doc(
        "RReLU",
        "x, times a number drawn at random where x is negative (in training; else the mean).",
        "lower, upper: the range of that number.\n        " + _INPLACE,
    )
    _settings = "lower", "upper"

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, inplace=False):
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input):
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class Hardtanh(_Settings):
    __doc__ = _doc(
        "Hardtanh",
        "x, but not below `min_val` nor above `max_val`.",
        f"min_val, max_val: the bounds.\n        {_INPLACE}\n        min_value, max_value: their old names.",
    )
    _settings = "min_val", "max_val"

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        super().__init__()
        self.min_val = min_val if min_value is None else _renamed("min_value", "min_val", min_value)
        self.max_val = max_val if max_value is None else _renamed("max_value", "max_val", max_value)
        self.inplace = inplace
        if self.max_val <= self.min_val:
            raise AssertionError(f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})")

    def forward(self, input):
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


def _renamed(old: str, new: str, value):
    warnings.warn(
        f"keyword argument `{old}` is deprecated and renamed to `{new}`", FutureWarning, stacklevel=3
    )
    return value


class ReLU6(Hardtanh):
    __doc__ = _doc("ReLU6", "x, but not below 0 nor above 6.", _INPLACE)

    def __init__(self, inplace=False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class _Alpha(_Settings):
    _function: staticmethod
    _settings = ("alpha",)

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input):
        return self._function(input, self.alpha, self.inplace)


class ELU(_Alpha):
    __doc__ = _doc(
        "ELU", "x, or alpha * (exp(x) - 1) where x is negative.", "alpha: the factor.\n        " + _INPLACE
    )
    _function = staticmethod(F.elu)


class CELU(_Alpha):
    __doc__ = _doc(
        "CELU",
        "x, or alpha * (exp(x / alpha) - 1) where x is negative.",
        "alpha: the factor.\n        " + _INPLACE,
    )
    _function = staticmethod(F.celu)


class LeakyReLU(_Settings):
    __doc__ = _doc("LeakyReLU", "x, times `negative_slope` where x is negative.",
                   "negative_slope: the factor.\n        " + _INPLACE)  # fmt: skip
    _settings = ("negative_slope",)

    def __init__(self, negative_slope=0.01, inplace=False):
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input):
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class PReLU(_Settings):
    __doc__ = _doc(
        "PReLU",
        "x, times a learned number where x is negative.",
        "num_parameters: how many such numbers: 1, or one for each channel.\n        init: their first value."
        "\n        device, dtype: where and of which type they are.",
    )
    _settings = ("num_parameters",)

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the first value again."""
        _init.constant_(self.weight, self.init)

    def forward(self, input):
        return F.prelu(input, self.weight)


class GLU(_Settings):
    __doc__ = _doc(
        "GLU",
        "The first half of x times the sigmoid of the second half: half as large along `dim`.",
        "dim: the dimension that is halved.",
    ).replace("zeros(2)", "zeros(4)")
    _settings = ("dim",)

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.glu(input, self.dim)


class GELU(Module):
    __doc__ = _doc("GELU", "x times the probability that a standard normal number is below x.",
                   "approximate: 'none', or 'tanh' for an approximation.")  # fmt: skip

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input):
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class _Shrink(Module):
    _function: staticmethod

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        return self._function(input, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Hardshrink(_Shrink):
    __doc__ = _doc("Hardshrink", "x, or 0 where x is within ±lambd.", "lambd: the limit.")
    _function = staticmethod(F.hardshrink)


class Softshrink(_Shrink):
    __doc__ = _doc("Softshrink", "x moved towards 0 by lambd, but not past it.", "lambd: the distance.")
    _function = staticmethod(F.softshrink)


class Softplus(_Settings):
    __doc__ = _doc("Softplus", "log(1 + exp(beta * x)) / beta, or x where beta * x is above the threshold.",
                   "beta: the factor.\n        threshold: the threshold.")  # fmt: skip
    _settings = "beta", "threshold"

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input):
        return F.softplus(input, self.beta, self.threshold)


class _Dim(_Settings):
    _function: staticmethod
    _settings = ("dim",)

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return self._function(input, self.dim, _stacklevel=5)


class Softmax(_Dim):
    __doc__ = _doc(
        "Softmax", "exp(x) divided by its sum along `dim`: probabilities.", "dim: the dimension.", "dim=0"
    )
    _function = staticmethod(F.softmax)


class Softmin(_Dim):
    __doc__ = _doc("Softmin", "softmax(-x) along `dim`.", "dim: the dimension.", "dim=0")
    _function = staticmethod(F.softmin)


class LogSoftmax(_Dim):
    __doc__ = _doc("LogSoftmax", "log(softmax(x)) along `dim`.", "dim: the dimension.", "dim=0")
    _function = staticmethod(F.log_softmax)


class Softmax2d(Module):
    __doc__ = _doc("Softmax2d", "Softmax over the channels of images (N, C, H, W).", shape=(1, 3, 2, 2))

    def forward(self, input):
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead")
        return F.softmax(input, -3, _stacklevel=5)


__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]  # fmt: skip
