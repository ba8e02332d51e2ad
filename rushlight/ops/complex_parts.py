"""Views of complex numbers' parts, and conjugates."""

import numpy as np

from rushlight.autograd.node import Node
from rushlight.autograd.views import after, before, check_writable
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import empty_by
from rushlight.ops.common import MODE, Tensor, check_tensor, floating, record, recording, wrap, write_out
from rushlight.ops.registry import op
from rushlight.ops.shape import as_strided_array, transpose, viewed

# -- parts of complex numbers -----------------------------------------------------------------------


class ViewAsRealBackward0(Node):
    def backward(self, grad):
        return view_as_complex(grad.contiguous())


@op(method=False)
def view_as_real(input):
    """Complex numbers as pairs of real ones, in a new last dimension of size 2.

    >>> import rushlight as torch
    >>> torch.view_as_real(torch.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    array = check_tensor("view_as_real", input)._strided()
    if array.dtype.kind != "c":
        raise RuntimeError(f"view_as_real is only supported for complex tensors, got {input.dtype}")
    real = array.real
    out = as_strided_array(real, (*array.shape, 2), (*array.strides, real.itemsize), subok=True)
    return viewed(input, out, ViewAsRealBackward0)


class ViewAsComplexBackward0(Node):
    def backward(self, grad):
        return view_as_real(grad)


@op(method=False)
def view_as_complex(input):
    """Pairs of real numbers in the last dimension as complex ones.

    Raises:
        RuntimeError: the last dimension is not of size 2, or its elements are not neighbours in memory.

    >>> import rushlight as torch
    >>> torch.view_as_complex(torch.tensor([[1.0, 2.0]]))
    tensor([1.+2.j])
    """
    array = check_tensor("view_as_complex", input)._strided()
    if array.dtype not in (np.float32, np.float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a tensor of "
            f"scalar type: {SCALAR_NAMES[input.dtype]}"
        )
    if not array.ndim or array.shape[-1] != 2:
        raise RuntimeError(f"Tensor must have a last dimension of size 2, got shape {list(array.shape)}")
    kind = np.dtype(np.complex64 if array.itemsize == 4 else np.complex128)
    if not array.size:  # whose strides are all 0
        return viewed(input, empty_by(array, array.shape[:-1], kind), ViewAsComplexBackward0)
    if array.strides[-1] != array.itemsize:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(
        s % (2 * array.itemsize) for s, n in zip(array.strides[:-1], array.shape[:-1], strict=True) if n > 1
    ):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    return viewed(input, array.view(kind)[..., 0], ViewAsComplexBackward0)


@op(method=False)
def real(input):
    """The real parts, as a view; a real tensor as it is.

    >>> import rushlight as torch
    >>> torch.real(torch.tensor([1 + 2j]))
    tensor([1.])
    """
    if check_tensor("real", input)._array.dtype.kind != "c":
        return input
    return view_as_real(input)[..., 0]


@op(method=False)
def imag(input):
    """The imaginary parts, as a view.

    Raises:
        RuntimeError: the tensor is real.

    >>> import rushlight as torch
    >>> torch.imag(torch.tensor([1 + 2j]))
    tensor([2.])
    """
    if check_tensor("imag", input)._array.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return view_as_real(input)[..., 1]


def _set_real(self, value):
    real(self).copy_(value if isinstance(value, Tensor) else wrap(np.asanyarray(value)))


def _set_imag(self, value):
    imag(self).copy_(value if isinstance(value, Tensor) else wrap(np.asanyarray(value)))


Tensor.real, Tensor.imag = property(real, _set_real), property(imag, _set_imag)


class ConjBackward0(Node):
    def backward(self, grad):
        return conj(grad)


@op()
def conj(input):
    """The complex conjugate; a real tensor as it is.

    >>> import rushlight as torch
    >>> torch.tensor([1 + 2j]).conj()
    tensor([1.-2.j])
    """
    x = check_tensor("conj", input)._array
    if x.dtype.kind != "c":
        return input
    array = np.asanyarray(np.conjugate(x))
    return record(array, ConjBackward0, (input,)) if recording(input) else wrap(array)


def _conj_in_place(self):
    """In-place form of `conj_physical`."""
    check_writable(self)
    if self._array.dtype.kind != "c":
        self._bump()
        return self
    result = conj(before(self))
    np.copyto(self._array, result._array)
    return after(self, result._node)


@op(inplace=_conj_in_place)
def conj_physical(input, *, out=None):
    """The complex conjugate, written out in memory.

    >>> import rushlight as torch
    >>> torch.conj_physical(torch.tensor([1 + 2j]))
    tensor([1.-2.j])
    """
    return write_out(conj(input), out, exact=True)


@op()
def resolve_conj(input):
    """The tensor itself: conjugation is never pending here.

    >>> import rushlight as torch
    >>> torch.tensor([1 + 2j]).resolve_conj()
    tensor([1.+2.j])
    """
    return check_tensor("resolve_conj", input)


@op()
def resolve_neg(input):
    """The tensor itself: negation is never pending here.

    >>> import rushlight as torch
    >>> torch.tensor([1.0]).resolve_neg()
    tensor([1.])
    """
    return check_tensor("resolve_neg", input)


@op()
def is_conj(input) -> bool:
    """Whether a conjugation is pending: never.

    >>> import rushlight as torch
    >>> torch.tensor([1j]).conj().is_conj()
    False
    """
    return False


@op()
def is_neg(input) -> bool:
    """Whether a negation is pending: never.

    >>> import rushlight as torch
    >>> torch.tensor([1.0]).is_neg()
    False
    """
    return False


@op()
def adjoint(input):
    """The last two dimensions swapped, and complex numbers conjugated.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).adjoint().shape
    torch.Size([3, 2])
    """
    if input._array.ndim < 2:
        raise RuntimeError(
            f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {input.ndim}-D "
            "tensor."
        )
    return conj(transpose(input, -2, -1))


def _H(self):
    """The conjugate transpose of a matrix."""
    if self._array.ndim not in (0, 2):
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor.")
    return conj(transpose(self, 0, 1)) if self._array.ndim else conj(self)


Tensor.H, Tensor.mH = property(_H), property(adjoint)


class AngleBackward0(Node):
    def backward(self, grad):
        (z,) = self.unpack()
        if not z.is_complex():
            return z.new_zeros(z.shape)
        square = z.real * z.real + z.imag * z.imag
        turned = z * grad * 1j / square.masked_fill(square == 0, 1)
        return turned.masked_fill(square == 0, 0)


@op()
def angle(input, *, out=None):
    """The angle of complex numbers, in radians; of real ones, pi where they are negative, else 0.

    >>> import rushlight as torch
    >>> torch.angle(torch.tensor([1j, -1.0]))
    tensor([1.5708, 3.1416])
    """
    x = floating(check_tensor("angle", input))
    array = np.angle(x._array) if x._array.dtype.kind == "c" else _real_angle(x._array)
    if x._rg and MODE.enabled:
        return write_out(record(array, AngleBackward0, (x,), x), out)
    return write_out(wrap(array), out)


def _real_angle(x: np.ndarray) -> np.ndarray:
    array = np.asanyarray((x < 0) * np.pi).astype(x.dtype)
    np.copyto(array, x, where=x != x)
    return array
