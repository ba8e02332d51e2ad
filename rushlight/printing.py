"""How tensors print: `repr(tensor)` and `set_printoptions`, in PyTorch's form."""

import contextlib
import dataclasses
import math

import numpy as np

from rushlight.devices import sparse_coo, strided
from rushlight.dtypes import bool_, get_default_dtype, int64


@dataclasses.dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


OPTIONS = _Options()

_PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
) -> None:
    """Set how tensors are printed.

    Args:
        precision: digits after the decimal point (default 4).
        threshold: more elements than this are summarised (default 1000).
        edgeitems: how many items a summary shows at each end of a dimension (default 3).
        linewidth: characters per line (default 80).
        profile: "default", "short" or "full": sets the four above.
        sci_mode: scientific notation always (True), never (False), or where it is needed (None).

    >>> import rushlight as torch
    >>> torch.set_printoptions(precision=2)
    >>> torch.tensor([1.12345])
    tensor([1.12])
    >>> torch.set_printoptions(profile="default")
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    chosen = {**_PROFILES.get(profile, {}), **{k: v for k, v in given.items() if v is not None}}
    for name, value in chosen.items():
        setattr(OPTIONS, name, value)
    OPTIONS.sci_mode = sci_mode


def get_printoptions() -> dict:
    """The current options, as keyword arguments of `set_printoptions`."""
    return dataclasses.asdict(OPTIONS)


@contextlib.contextmanager
def printoptions(**kwargs):
    """Print with other options inside a `with` block; takes the arguments of `set_printoptions`.

    >>> import rushlight as torch
    >>> from rushlight.printing import printoptions
    >>> with printoptions(precision=1):
    ...     print(torch.tensor([0.25]))
    tensor([0.2])
    """
    before = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        set_printoptions(**before)


def tensor_repr(tensor, *, tensor_contents: str | None = None) -> str:
    """A tensor as PyTorch prints it.

    Args:
        tensor: what to print.
        tensor_contents: what to show in place of its elements.
    """
    kind = type(tensor)
    ours = kind.__module__.partition(".")[0] == "rushlight" and not hasattr(
        kind, "_metadata"
    )  # of tv_tensors
    prefix = "tensor(" if ours else f"{kind.__name__}("
    if tensor.layout is not strided:
        return _sparse_repr(tensor, prefix)
    array, dtype = tensor._array, tensor.dtype
    suffixes = []
    if tensor.is_meta:
        body, suffixes = "...", ["device='meta'", f"size={tuple(array.shape)}"]
        shown_dtype = dtype not in (get_default_dtype(), bool_)
    elif array.size == 0:
        body = "[]"
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
        shown_dtype = dtype is not get_default_dtype()
    else:
        body = _body(array, len(prefix)) if tensor_contents is None else ""
        if not OPTIONS.edgeitems:
            suffixes.append(f"size={tuple(array.shape)}")
        default = get_default_dtype()
        shown_dtype = dtype not in (default, default.to_complex(), int64, bool_)
    if shown_dtype:
        suffixes.append(f"dtype={dtype}")
    suffixes += _history(tensor)
    return _with_suffixes(
        prefix + (body if tensor_contents is None else tensor_contents), suffixes, len(prefix)
    )


def body_of(tensor, indent: int) -> str:
    """The numbers of a tensor in their brackets, whose further lines are indented."""
    return _body(tensor._array, indent)


def _history(tensor) -> list[str]:
    if tensor.grad_fn is not None:
        return [f"grad_fn=<{type(tensor.grad_fn).__name__}>"]
    return ["requires_grad=True"] if tensor.requires_grad else []


def _sparse_repr(tensor, prefix: str) -> str:
    parts = []
    for name, array in tensor._parts():
        opening = f"{name}=tensor("
        body = _body(array, len(prefix) + len(opening)) if array.size else "[]"
        if array.size == 0:
            body += f", size={tuple(array.shape)}" if array.ndim != 1 or name == "values" else ""
        parts.append(opening + body + ")")
    text = prefix + (",\n" + " " * len(prefix)).join(parts)
    suffixes = [f"size={tuple(tensor.shape)}", f"nnz={tensor._nnz()}"]
    if tensor.dtype not in (get_default_dtype(), get_default_dtype().to_complex(), int64, bool_):
        suffixes.append(f"dtype={tensor.dtype}")
    suffixes += [f"layout={tensor.layout}", *_history(tensor)]
    if tensor.layout is sparse_coo:  # on a line of their own
        text, suffixes = f"{text},\n{' ' * len(prefix)}{suffixes[0]}", suffixes[1:]
    return _with_suffixes(text, suffixes, len(prefix))


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    used = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if used + len(suffix) + 2 > OPTIONS.linewidth:
            text += ",\n" + " " * indent + suffix
            used = indent + len(suffix)
        else:
            text += ", " + suffix
            used += len(suffix) + 2
    return text + ")"


def _body(array: np.ndarray, indent: int) -> str:
    summarise = array.size > OPTIONS.threshold
    if array.dtype.kind not in "biuc":
        with np.errstate(invalid="ignore"):  # ml_dtypes' NaNs
            array = array.astype(np.float64)
    sample = _summary(array) if summarise else array
    if array.dtype.kind == "c":
        formatter = _ComplexFormatter(sample)
    else:
        formatter = _FloatFormatter(sample) if array.dtype.kind == "f" else _PlainFormatter(sample)
    return _nested(array, indent, summarise, formatter)


def _summary(array: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    edge = OPTIONS.edgeitems
    if edge == 0:
        return array if array.ndim == 1 else array[:0]
    for axis, size in enumerate(array.shape):
        if size > 2 * edge:
            array = np.take(array, [*range(edge), *range(size - edge, size)], axis)
    return array


def _nested(array: np.ndarray, indent: int, summarise: bool, formatter) -> str:
    if array.ndim == 0:
        return formatter(array.item())
    if array.ndim == 1:
        return _row(array, indent, summarise, formatter)
    edge = OPTIONS.edgeitems

    def parts(rows) -> list[str]:
        return [_nested(row, indent + 1, summarise, formatter) for row in rows]

    if summarise and len(array) > 2 * edge:
        slices = [*parts(array[:edge]), "...", *parts(array[len(array) - edge :])]
    else:
        slices = parts(array)
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(slices) + "]"


def _row(array: np.ndarray, indent: int, summarise: bool, formatter) -> str:
    edge = OPTIONS.edgeitems
    if summarise and not edge:
        items = ["..."]
    elif summarise and len(array) > 2 * edge:
        items = [*map(formatter, array[:edge].tolist()), " ...", *map(formatter, array[-edge:].tolist())]
    else:
        items = list(map(formatter, array.tolist()))
    per_line = max(1, (OPTIONS.linewidth - indent) // (formatter.width + 2))
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


class _PlainFormatter:
    """Integers and truth values, all as wide as the widest."""

    def __init__(self, sample: np.ndarray):
        self.width = max((len(str(v)) for v in sample.ravel().tolist()), default=1)

    def __call__(self, value) -> str:
        return str(value).rjust(self.width)


class _FloatFormatter:
    """Floating-point numbers: whole, with a fixed number of digits, or in scientific notation."""

    def __init__(self, sample: np.ndarray):
        self.width = 1
        self.spec = ".0f"
        self.whole = True
        values = sample[np.isfinite(sample) & (sample != 0)]
        if values.size == 0:
            return
        sizes = np.abs(values)
        low, high = float(sizes.min()), float(sizes.max())
        self.whole = bool((values == np.ceil(values)).all())
        scientific = OPTIONS.sci_mode
        if scientific is None:
            scientific = high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4
        if scientific:
            self.whole = False
            self.spec = f".{OPTIONS.precision}e"
        elif not self.whole:
            self.spec = f".{OPTIONS.precision}f"
        # A whole number gets a point after it.
        self.width = max(len(format(v, self.spec)) for v in values.tolist()) + self.whole

    def __call__(self, value: float) -> str:
        text = format(value, self.spec)
        if self.whole and math.isfinite(value):
            text += "."
        return text.rjust(self.width)


class _ComplexFormatter:
    """Complex numbers: real and imaginary parts formatted apart."""

    def __init__(self, sample: np.ndarray):
        sample = sample.astype(np.complex128)
        self.real, self.imag = _FloatFormatter(sample.real), _FloatFormatter(sample.imag)
        self.width = self.real.width + self.imag.width + 1

    def __call__(self, value: complex) -> str:
        imag = self.imag(value.imag).lstrip() + "j"
        return self.real(value.real) + ("" if imag[0] in "+-" else "+") + imag
