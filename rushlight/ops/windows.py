"""Window functions: hann_window and its kin, and those of torch.signal.windows."""

import math
from collections.abc import Iterable

import numpy as np

from rushlight.devices import strided
from rushlight.dtypes import SCALAR_NAMES, float32, float64, get_default_dtype
from rushlight.ops.common import Tensor, wrap
from rushlight.ops.registry import op

# -- the functions of torch -------------------------------------------------------------------------

_DOC = """{doc}

    Args:
        window_length: the number of values.
        periodic: of a period of this length, as spectral analysis wants it; else symmetric, both ends alike.{more}
        dtype, layout, device, pin_memory, requires_grad: as for `torch.zeros`.
    Returns:
        A tensor [window_length].
    Raises:
        RuntimeError: the length is negative, or the type no floating-point one.

    >>> import rushlight as torch
    >>> torch.{name}(4)
    {example}
    """


def _window(name: str, length, periodic: bool, formula, options: dict) -> Tensor:
    """A window from a formula of the positions 0, 1, ..., n and of n, the distance of the ends."""
    from rushlight.ops.creation import empty

    kind = options["dtype"] or get_default_dtype()
    if not hasattr(length, "__index__"):
        raise TypeError(
            f"{name}(): argument 'window_length' (position 1) must be int, not {type(length).__name__}"
        )
    if kind.is_complex:
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{SCALAR_NAMES[kind]}'")
    if not kind.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {kind}")
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    result = empty(length, **{**options, "dtype": kind})
    if length == 1:
        result._array[...] = 1
    elif length:
        exact = kind.numpy if kind in (float32, float64) else np.dtype(np.float32)
        positions = np.arange(length, dtype=exact)
        result._array[...] = formula(positions, length if periodic else length - 1).astype(kind.numpy)
    return result


def _options(dtype, layout, device, pin_memory, requires_grad) -> dict:
    return {
        "dtype": dtype, "layout": layout, "device": device, "pin_memory": pin_memory, "requires_grad": requires_grad,
    }  # fmt: skip


def _documented(doc: str, example: str, more: str = ""):
    def document(function):
        more_args = "".join(f"\n        {line}" for line in more.splitlines())
        function.__doc__ = _DOC.format(name=function.__name__, doc=doc, example=example, more=more_args)
        return op(method=False)(function)

    return document


@_documented("Hann's window: sin^2(pi i / n).", "tensor([0.0000, 0.5000, 1.0000, 0.5000])")
def hann_window(
    window_length,
    periodic=True,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    options = _options(dtype, layout, device, pin_memory, requires_grad)
    return _window(
        "hann_window", window_length, periodic, lambda i, n: 0.5 - 0.5 * np.cos(i * (2 * np.pi / n)), options
    )


@_documented(
    "Hamming's window: alpha - beta cos(2 pi i / n).",
    "tensor([0.0800, 0.5400, 1.0000, 0.5400])",
    "alpha, beta: its two coefficients.",
)
def hamming_window(
    window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    options = _options(dtype, layout, device, pin_memory, requires_grad)
    return _window(
        "hamming_window",
        window_length,
        periodic,
        lambda i, n: alpha - beta * np.cos(i * (2 * np.pi / n)),
        options,
    )


@_documented(
    "Blackman's window: 0.42 - 0.5 cos(2 pi i / n) + 0.08 cos(4 pi i / n).",
    "tensor([-2.9802e-08,  3.4000e-01,  1.0000e+00,  3.4000e-01])",
)
def blackman_window(
    window_length,
    periodic=True,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    def formula(i, n):
        i = i * (np.pi / n)
        return np.cos(i * 4) * 0.08 - np.cos(i * 2) * 0.5 + 0.42

    options = _options(dtype, layout, device, pin_memory, requires_grad)
    return _window("blackman_window", window_length, periodic, formula, options)


@_documented("Bartlett's window, a triangle: 1 - |2 i / n - 1|.", "tensor([0.0000, 0.5000, 1.0000, 0.5000])")
def bartlett_window(
    window_length,
    periodic=True,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    def formula(i, n):
        rising = i * (2 / n)
        return np.minimum(rising, 2 - rising)

    options = _options(dtype, layout, device, pin_memory, requires_grad)
    return _window("bartlett_window", window_length, periodic, formula, options)


@_documented(
    "Kaiser's window: I0(beta sqrt(1 - (2 i / n - 1)^2)) / I0(beta).",
    "tensor([5.2773e-05, 2.1567e-01, 1.0000e+00, 2.1567e-01])",
    "beta: its shape; larger is narrower.",
)
def kaiser_window(
    window_length, periodic=True, beta=12.0, *, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    def formula(i, n):
        inside = np.maximum(1 - (2 * i.astype(np.float64) / n - 1) ** 2, 0)
        return np.i0(beta * np.sqrt(inside)) / np.i0(beta)

    options = _options(dtype, layout, device, pin_memory, requires_grad)
    return _window("kaiser_window", window_length, periodic, formula, options)


# -- torch.signal.windows ---------------------------------------------------------------------------

_SIGNAL_DOC = """{doc}

    Args:
        M: the number of values.{more}
        sym: symmetric, both ends alike, for filters; else periodic, for spectral analysis.
        dtype, layout, device, requires_grad: as for `torch.zeros`; float32 or float64.
    Returns:
        A tensor [M].
    Raises:
        ValueError: the length or another argument is negative, or the type is another.

    >>> import rushlight as torch
    >>> torch.signal.windows.{name}({example})
    {value}
    """


def _signal(doc: str, value: str, more: str = "", example: str = "3"):
    def document(function):
        name = function.__name__
        more_args = "".join(f"\n        {line}" for line in more.splitlines())
        function.__doc__ = _SIGNAL_DOC.format(
            doc=doc, name=name, value=value, more=more_args, example=example
        )
        return op(name=f"signal_windows_{name}", method=False)(function)

    return document


def _check(name: str, M: int, dtype, layout):
    """The type; raises where the common arguments are wrong."""
    dtype = get_default_dtype() if dtype is None else dtype
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if dtype not in (float32, float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    return dtype


def _positions(start: float, step: float, M: int, dtype, device, requires_grad: bool) -> Tensor:
    from rushlight.ops.creation import linspace

    return linspace(start, start + (M - 1) * step, M, dtype=dtype, device=device, requires_grad=requires_grad)


def _constant(M: int, dtype, requires_grad: bool) -> Tensor:
    """A window of at most one value."""
    return wrap(np.ones(M, dtype.numpy)).requires_grad_(requires_grad)


@_signal(
    "The exponential window exp(-|i - center| / tau), also Poisson's.", "tensor([0.3679, 1.0000, 0.3679])",
    "center: the position of its peak; for windows that are not `sym`.\ntau: how fast it decays.",
)  # fmt: skip
def exponential(
    M, *, center=None, tau=1.0, sym=True, dtype=None, layout=strided, device=None, requires_grad=False
):
    dtype = _check("exponential", M, dtype, layout)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if M == 0:
        return _constant(M, dtype, requires_grad)
    if center is None:
        center = (M if not sym and M > 1 else M - 1) / 2
    return (-_positions(-center / tau, 1 / tau, M, dtype, device, requires_grad).abs()).exp()


@_signal("The sine's window sin(pi (i + 1/2) / M).", "tensor([0.5000, 1.0000, 0.5000])")
def cosine(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    dtype = _check("cosine", M, dtype, layout)
    if M == 0:
        return _constant(M, dtype, requires_grad)
    step = math.pi / (M + 1 if not sym and M > 1 else M)
    return _positions(0.5 * step, step, M, dtype, device, requires_grad).sin()


@_signal(
    "Gauss's window exp(-(i - center)^2 / (2 std^2)).", "tensor([0.6065, 1.0000, 0.6065])", "std: its width."
)
def gaussian(M, *, std=1.0, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    dtype = _check("gaussian", M, dtype, layout)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    if M == 0:
        return _constant(M, dtype, requires_grad)
    start, step = -(M if not sym and M > 1 else M - 1) / 2, 1 / (std * math.sqrt(2))
    return (-(_positions(start * step, step, M, dtype, device, requires_grad) ** 2)).exp()


@_signal(
    "Kaiser's window I0(beta sqrt(1 - x^2)) / I0(beta) with x from -1 to 1.", "tensor([5.2773e-05, 1.0000e+00, 5.2773e-05])",
    "beta: its shape; larger is narrower.",
)  # fmt: skip
def kaiser(M, *, beta=12.0, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    from rushlight.ops.special import i0

    dtype = _check("kaiser", M, dtype, layout)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M <= 1:
        return _constant(M, dtype, requires_grad)
    beta = float(dtype.numpy.type(beta))  # so that no root is of a negative number
    step = 2 * beta / (M if not sym else M - 1)
    end = min(beta, -beta + (M - 1) * step)
    positions = _positions(-beta, (end + beta) / (M - 1), M, dtype, device, requires_grad)
    inside = (beta * beta - positions**2).clamp_min(0)
    return i0(inside.sqrt()) / i0(wrap(np.asanyarray(beta, dtype.numpy)))


@_signal("Hamming's window 0.54 - 0.46 cos(2 pi i / (M - 1)).", "tensor([0.0800, 1.0000, 0.0800])")
def hamming(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    return general_hamming(M, sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


@_signal("Hann's window 1/2 - 1/2 cos(2 pi i / (M - 1)).", "tensor([0., 1., 0.])")
def hann(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    return general_hamming(
        M, alpha=0.5, sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
    )


@_signal("Blackman's window, of the three coefficients 0.42, 0.5 and 0.08.", "tensor([1.0000, 0.3400])",
         example="4, sym=False)[2:4].round(decimals=4")  # fmt: skip
def blackman(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    dtype = _check("blackman", M, dtype, layout)
    return general_cosine(
        M,
        a=[0.42, 0.5, 0.08],
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


@_signal("Bartlett's window, a triangle: 1 - |2 i / (M - 1) - 1|.", "tensor([0., 1., 0.])")
def bartlett(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    dtype = _check("bartlett", M, dtype, layout)
    if M <= 1:
        return _constant(M, dtype, requires_grad)
    return 1 - _positions(-1, 2 / (M if not sym else M - 1), M, dtype, device, requires_grad).abs()


@_signal(
    "A sum of cosines: a[0] - a[1] cos(x) + a[2] cos(2 x) - ... with x = 2 pi i / (M - 1).",
    "tensor([0.0800, 1.0000, 0.0800])", "a: the coefficients.", "3, a=[0.54, 0.46]",
)  # fmt: skip
def general_cosine(M, *, a: Iterable, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    dtype = _check("general_cosine", M, dtype, layout)
    if M <= 1:
        return _constant(M, dtype, requires_grad)
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    k = _positions(0, 2 * math.pi / (M if not sym else M - 1), M, dtype, device, requires_grad)
    signed = np.array([(-1) ** i * w for i, w in enumerate(a)], dtype.numpy)[:, None]
    order = np.arange(len(signed), dtype=dtype.numpy)[:, None]
    return (wrap(signed) * (wrap(order) * k).cos()).sum(0)


@_signal("The window alpha - (1 - alpha) cos(2 pi i / (M - 1)).", "tensor([0.0800, 1.0000, 0.0800])",
         "alpha: its coefficient.")  # fmt: skip
def general_hamming(M, *, alpha=0.54, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    return general_cosine(
        M,
        a=[alpha, 1.0 - alpha],
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


@_signal(
    "Nuttall's window, of four coefficients with low side lobes.",
    "tensor([3.6280e-04, 1.0000e+00, 3.6280e-04])",
)
def nuttall(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    return general_cosine(
        M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, dtype=dtype, layout=layout, device=device,
        requires_grad=requires_grad,
    )  # fmt: skip
