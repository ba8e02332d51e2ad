"""Fourier transforms, of one, two or more dimensions.

Three linear functions do it all: complex to complex, real to complex, and complex to real, where the last dimension
holds only the half that a real signal's spectrum needs. Source: NumPy's pocketfft, in the type of the input.
"""

import numpy as np

from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES, get_default_dtype
from rushlight.kernels.reference.layout import ones_by
from rushlight.ops.common import Tensor, check_tensor, conj, record, recording, wrap, write_out
from rushlight.ops.padding import constant_pad_nd
from rushlight.ops.registry import numpy_names, op
from rushlight.tensor import check_dim

# -- the three transforms ---------------------------------------------------------------------------

#: How a transform is scaled: not at all, by 1 / sqrt(n), by 1 / n. In NumPy's words, forwards and backwards.
PLAIN, ROOT, MEAN = 0, 1, 2
_FORWARD, _BACKWARD = ("backward", "ortho", "forward"), ("forward", "ortho", "backward")


class FftC2CBackward0(Node):
    def backward(self, grad):
        return c2c(grad, self.dims, self.scale, not self.forward)


class FftR2CBackward0(Node):
    def backward(self, grad):
        if not self.onesided:
            return c2c(grad, self.dims, self.scale, False).real
        half = grad._array.shape[self.dims[-1]]
        return c2r(
            grad * _weights(grad, self.dims[-1], half, self.length, 0.5), self.dims, self.scale, self.length
        )


class FftC2RBackward0(Node):
    def backward(self, grad):
        spectrum = r2c(grad, self.dims, self.scale)
        last = self.dims[-1]
        half = spectrum._array.shape[last]
        return spectrum * _weights(spectrum, last, half, grad._array.shape[last], 2)


def _weights(like: Tensor, dim: int, half: int, length: int, weight: float) -> Tensor:
    """1 for the frequencies that stand for themselves, `weight` for those that also stand for their mirror image."""
    weights = ones_by(like._array, half, like._array.real.dtype)
    weights[1 : 1 + length - half] = weight
    return wrap(weights.reshape(-1, *(1,) * (like._array.ndim - 1 - dim)))


def c2c(x: Tensor, dims: tuple, scale: int, forward: bool) -> Tensor:
    """The transform of complex numbers (or of real ones with a gradient that flows through their conversion)."""
    if not dims:
        return x
    norm = (_FORWARD if forward else _BACKWARD)[scale]
    if len(dims) == 1:
        array = (np.fft.fft if forward else np.fft.ifft)(x._array, axis=dims[0], norm=norm)
    else:
        array = (np.fft.fftn if forward else np.fft.ifftn)(x._array, axes=dims, norm=norm)
    if not recording(x):
        return wrap(array)
    return record(array, FftC2CBackward0, (x,), dims=dims, scale=scale, forward=forward)


def r2c(x: Tensor, dims: tuple, scale: int, onesided: bool = True) -> Tensor:
    """The forward transform of real numbers; half of the last dimension if `onesided`."""
    if not onesided:
        array = np.fft.fftn(x._array, axes=dims, norm=_FORWARD[scale])
    elif len(dims) == 1:
        array = np.fft.rfft(x._array, axis=dims[0], norm=_FORWARD[scale])
    else:
        array = np.fft.rfftn(x._array, axes=dims, norm=_FORWARD[scale])
    if not recording(x):
        return wrap(array)
    length = x._array.shape[dims[-1]]
    return record(array, FftR2CBackward0, (x,), dims=dims, scale=scale, onesided=onesided, length=length)


def c2r(x: Tensor, dims: tuple, scale: int, length: int) -> Tensor:
    """The backward transform of half a spectrum to `length` real numbers."""
    array = x._array
    if len(dims) > 1:
        array = np.fft.ifftn(array, axes=dims[:-1], norm=_BACKWARD[scale])
    array = np.fft.irfft(array, length, axis=dims[-1], norm=_BACKWARD[scale])
    if not recording(x):
        return wrap(array)
    return record(array, FftC2RBackward0, (x,), dims=dims, scale=scale)


# -- arguments --------------------------------------------------------------------------------------


def scale_of(norm: str | None, forward: bool) -> int:
    """The scaling that a `norm` asks for in a direction."""
    if norm == "ortho":
        return ROOT
    if norm is None or norm == "backward":
        return PLAIN if forward else MEAN
    if norm == "forward":
        return MEAN if forward else PLAIN
    raise RuntimeError(f'Invalid normalization mode: "{norm}"; expected "backward", "ortho" or "forward"')


def _number_type(name: str, x: Tensor) -> Tensor:
    """The tensor; integers as the default floating-point type."""
    check_tensor(f"fft_{name}", x)
    kind = x._array.dtype.kind
    if kind in "iub":
        return x.to(get_default_dtype())
    if kind == "V" or x._array.dtype.itemsize < 4:
        raise RuntimeError(
            f"Unsupported dtype {SCALAR_NAMES[x.dtype]}: Fourier transforms take float32 or float64"
        )
    return x


def _as_complex(x: Tensor) -> Tensor:
    return x if x._array.dtype.kind == "c" else x.to(_complex_type(x))


def _complex_type(x: Tensor):
    from rushlight.dtypes import complex64, complex128

    return complex64 if x._array.dtype.itemsize == 4 else complex128


def _real_only(name: str, x: Tensor) -> Tensor:
    if isinstance(x, Tensor) and x._array.dtype.kind == "c":
        many = "real-valued input tensor" if name.endswith(("n", "2")) else "real input tensor"
        raise RuntimeError(f"{name} expects a {many}, but got {SCALAR_NAMES[x.dtype]}")
    return _number_type(name, x)


def _dim_of(dim: int, ndim: int) -> int:
    if not ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return check_dim(dim, ndim)


def _check_points(n: int) -> None:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")


def _shape_and_dims(x: Tensor, s, dim) -> tuple[tuple, list]:
    """The dimensions, counted from the front, and the sizes to transform."""
    ndim, shape = x._array.ndim, x._array.shape
    s = None if s is None else [s] if isinstance(s, int) else list(s)
    if dim is not None:
        dims = tuple(_dim_of(d, ndim) for d in ([dim] if isinstance(dim, int) else dim))
        if len(set(dims)) != len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is not None:
        if len(s) > ndim:
            raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {ndim} dimensions.")
        dims = tuple(range(ndim - len(s), ndim))
    else:
        dims = tuple(range(ndim))
    sizes = [shape[d] if s is None or s[i] == -1 else s[i] for i, d in enumerate(dims)]
    for n in sizes:
        _check_points(n)
    return dims, sizes


def _resized(x: Tensor, dims: tuple, sizes) -> Tensor:
    """The tensor cut or filled up with zeros."""
    shape = x._array.shape
    widths = [0] * x._array.ndim
    for d, n in zip(dims, sizes, strict=True):
        widths[d] = n - shape[d]
    if not any(widths):
        return x
    return constant_pad_nd(x, [w for d in reversed(widths) for w in (0, d)])


def _put(name: str, result: Tensor, out) -> Tensor:
    if isinstance(out, Tensor) and (out._array.dtype.kind == "c") != (result._array.dtype.kind == "c"):
        wanted = "complex" if result._array.dtype.kind == "c" else "floating point"
        raise RuntimeError(f"{name} expects a {wanted} output tensor, but got {SCALAR_NAMES[out.dtype]}")
    return result if out is None else write_out(result, out)


# -- the public functions ---------------------------------------------------------------------------


def _full(name: str, forward: bool):
    """fft and ifft, and their forms of more dimensions."""

    def transform(x, s, dim, norm):
        x = _number_type(name, x)
        dims, sizes = _shape_and_dims(x, s, dim)
        scale = scale_of(norm, forward)
        if (
            len(dims) == 1
            and x._array.dtype.kind != "c"
            and not name.endswith("n")
            and not name.endswith("2")
        ):
            found = r2c(_resized(x, dims, sizes), dims, scale, onesided=False)
            # Backwards is the conjugate of forwards.
            return found if forward else conj(found)
        return c2c(_resized(_as_complex(x), dims, sizes), dims, scale, forward)

    return transform


def _from_real(name: str, forward: bool):
    """rfft and ihfft: half a spectrum of real numbers."""

    def transform(x, s, dim, norm):
        x = _real_only(name, x)
        dims, sizes = _shape_and_dims(x, s, dim)
        if not dims:
            raise RuntimeError(f"{name} must transform at least one axis")
        scale, x = scale_of(norm, forward), _resized(x, dims, sizes)
        if forward:
            return r2c(x, dims, scale)
        return c2c(conj(r2c(x, dims[-1:], scale)), dims[:-1], scale, False)

    return transform


def _to_real(name: str, forward: bool):
    """irfft and hfft: real numbers from half a spectrum."""

    def transform(x, s, dim, norm):
        x = _as_complex(_number_type(name, x))
        last = _last_size(s)
        dims, sizes = _half_shape(name, x, s, dim, last)
        length = last if last != -1 else 2 * (sizes[-1] - 1)
        _check_points(length)
        sizes[-1] = length // 2 + 1
        scale, x = scale_of(norm, forward), _resized(x, dims, sizes)
        if not forward:
            return c2r(x, dims, scale, length)
        x = c2c(x, dims[:-1], scale, True)
        return c2r(conj(x), dims[-1:], scale, length)

    return transform


def _last_size(s) -> int:
    if s is None:
        return -1
    return s if isinstance(s, int) else ([*s] or [-1])[-1]


def _half_shape(name: str, x: Tensor, s, dim, last: int) -> tuple[tuple, list]:
    """As `_shape_and_dims`, where the last size is that of the result."""
    if last != -1:
        _check_points(last)
    dims, sizes = _shape_and_dims(x, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    return dims, sizes


_DOC = """{doc}

    Args:
        input: a tensor of {numbers}.
        {size}: {size_doc}; cut or filled up with zeros. By default that of the input.
        dim: {dim_doc}.
        norm: "backward" (the default: only inverse transforms are divided by n), "forward" (only forward ones), or
            "ortho" (both by sqrt(n)).
        out: where to put the result.
    Raises:
        RuntimeError: a size is not positive, or the type is another. IndexError: there is no such dimension.

    >>> import rushlight as torch
    >>> torch.fft.{name}({example}).shape
    torch.Size({shape})
    """


def _public(name: str, transform, doc: str, numbers: str, shape: str) -> None:
    """Define one function, of the form that the end of its name tells."""
    rank = name[-1] if name[-1] in "2n" else "1"

    def one(input, n=None, dim=-1, norm=None, *, out=None):
        _dim_of(dim, check_tensor(f"fft_{name}", input)._array.ndim)
        if n is not None:
            _check_points(n)
        return _put(name, transform(input, None if n is None else (n,), (dim,), norm), out)

    def two(input, s=None, dim=(-2, -1), norm=None, *, out=None):
        return _put(name, transform(input, s, dim, norm), out)

    def many(input, s=None, dim=None, norm=None, *, out=None):
        return _put(name, transform(input, s, dim, norm), out)

    function = {"1": one, "2": two, "n": many}[rank]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOC.format(
        name=name, doc=doc, numbers=numbers, shape=shape, size="n" if rank == "1" else "s",
        size_doc="the size to transform" if rank == "1" else "the sizes to transform",
        dim_doc={"1": "the dimension", "2": "the two dimensions", "n": "the dimensions; all, or the last ones of `s`"}[rank],
        example="torch.zeros(4)" if rank == "1" else "torch.zeros(2, 4)",
    )  # fmt: skip
    globals()[name] = op(name=f"fft_{name}", method=False)(numpy_names(function))


_COUNT = {"": "one dimension", "2": "two dimensions", "n": "some dimensions"}
_ANY, _REAL = "real or complex numbers", "real numbers"
for _end, _over in _COUNT.items():
    _lead = "" if _end == "" else "2, "
    for _name, _make, _forward, _doc, _numbers, _shape in (
        ("fft", _full, True, f"The Fourier transform over {_over}.", _ANY, "4"),
        ("ifft", _full, False, f"The inverse Fourier transform over {_over}.", _ANY, "4"),
        ("rfft", _from_real, True, f"Half of the Fourier transform of real numbers over {_over}, the rest of which mirrors "
         "it.", _REAL, "3"),
        ("irfft", _to_real, False, f"The inverse of `rfft`: real numbers, from half of their transform over {_over}.",
         "complex numbers", "6"),
        ("hfft", _to_real, True, f"The real Fourier transform, over {_over}, of a signal that mirrors its conjugate, "
         "given by its first half.", "complex numbers", "6"),
        ("ihfft", _from_real, False, f"The inverse of `hfft`: half of a signal that mirrors its conjugate, over {_over}.",
         _REAL, "3"),
    ):  # fmt: skip
        _public(_name + _end, _make(_name + _end, _forward), _doc, _numbers, f"[{_lead}{_shape}]")


# -- frequencies and shifts -------------------------------------------------------------------------


def _frequencies(name: str, positions, n: int, d: float, options: dict, out) -> Tensor:
    from rushlight.ops.creation import empty

    kind = options["dtype"] or get_default_dtype()
    if not (kind.is_floating_point or kind.is_complex):
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    if kind.is_complex:
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{SCALAR_NAMES[kind]}'")
    result = empty(len(positions), **{**options, "dtype": kind})
    result._array[...] = (positions.astype(kind.numpy) * (1.0 / (n * d) if n * d else np.inf)).astype(
        kind.numpy
    )
    return write_out(result, out)


@op(name="fft_fftfreq", method=False)
def fftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """The frequencies of the results of `fft`: 0, 1, ..., then the negative ones, divided by n d.

    Args:
        n: the number of samples.
        d: the time between samples.
        out: where to put the result.
        dtype, layout, device, requires_grad: as for `torch.zeros`.

    >>> import rushlight as torch
    >>> torch.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    positions = np.concatenate((np.arange((n + 1) // 2), np.arange(-(n // 2), 0)))
    return _frequencies("fftfreq", positions, n, d, options, out)


@op(name="fft_rfftfreq", method=False)
def rfftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """The frequencies of the results of `rfft`: 0, 1, ..., n // 2, divided by n d.

    Args:
        n: the number of samples.
        d: the time between samples.
        out: where to put the result.
        dtype, layout, device, requires_grad: as for `torch.zeros`.

    >>> import rushlight as torch
    >>> torch.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _frequencies("rfftfreq", np.arange(n // 2 + 1), n, d, options, out)


def _shifted(input: Tensor, dim, inverse: bool) -> Tensor:
    shape = check_tensor("fft_ifftshift" if inverse else "fft_fftshift", input)._array.shape
    dims = range(len(shape)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    dims = [check_dim(d, len(shape)) for d in dims]
    if not dims:
        return input.clone()
    return input.roll([(shape[d] + 1) // 2 if inverse else shape[d] // 2 for d in dims], dims)


@op(name="fft_fftshift", method=False)
def fftshift(input, dim=None):
    """Frequencies in the order of `fftfreq` in ascending order, 0 in the middle.

    Args:
        input: a tensor.
        dim: a dimension or several; None for all.

    >>> import rushlight as torch
    >>> torch.fft.fftshift(torch.tensor([0, 1, -2, -1]))
    tensor([-2, -1,  0,  1])
    """
    return _shifted(input, dim, False)


@op(name="fft_ifftshift", method=False)
def ifftshift(input, dim=None):
    """The inverse of `fftshift`.

    >>> import rushlight as torch
    >>> torch.fft.ifftshift(torch.tensor([-2, -1, 0, 1]))
    tensor([ 0,  1, -2, -1])
    """
    return _shifted(input, dim, True)
