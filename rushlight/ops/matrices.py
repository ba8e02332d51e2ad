"""What the ops of linear algebra share: checks of matrices, errors, nodes that keep their outputs, `out=`."""

import numpy as np

from rushlight.autograd.node import Node
from rushlight.dtypes import SCALAR_NAMES
from rushlight.ops.common import MODE, Tensor, check_tensor, sum_to, wrap

LAPACK_TYPES = frozenset(map(np.dtype, ("float32", "float64", "complex64", "complex128")))


class _LinAlgError(RuntimeError):
    """A matrix has no result: it is singular or not positive definite, or an iteration did not converge."""


LinAlgError = _LinAlgError  # PyTorch's has both names too


# -- checks -----------------------------------------------------------------------------------------


def matrices(name: str, a, argument: str = "A", position: int = 1, kernel: str | None = None) -> np.ndarray:
    """The array of a tensor of matrices of a type that LAPACK has; `kernel` as in `wrong_type`.

    Raises:
        TypeError: it is no tensor. RuntimeError: it has fewer than two dimensions or another type.
    """
    if not isinstance(a, Tensor):
        check_tensor(name.replace(".", "_"), a, argument, position)
    array = a._array
    if array.dtype not in LAPACK_TYPES:
        raise wrong_type(name, a, kernel)
    if array.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.")
    return array


def square(name: str, a, argument: str = "A", kernel: str | None = None) -> np.ndarray:
    """The array of a tensor of square matrices of a type that LAPACK has."""
    array = matrices(name, a, argument, kernel=kernel)
    check_square(name, array)
    return array


def check_square(name: str, array: np.ndarray, argument: str = "A") -> None:
    m, n = array.shape[-2:]
    if m != n:
        raise RuntimeError(
            f"{name}: {argument} must be batches of square matrices, but they are {m} by {n} matrices".lstrip(
                ": "
            )
        )


def wrong_type(name: str, a: Tensor, kernel: str | None = None) -> Exception:
    """The error for a type that LAPACK doesn't have, that of PyTorch's `kernel` where it gets as far as that."""
    kind = SCALAR_NAMES[a.dtype]
    if kernel and (a.dtype.is_floating_point or a.dtype.is_complex):
        return NotImplementedError(f"\"{kernel}\" not implemented for '{kind}': convert it with .float()")
    if a.dtype.is_floating_point or a.dtype.is_complex:
        return RuntimeError(
            f"{name}: Low precision dtypes not supported. Got {kind}. Convert it first: x.float()"
        )
    return RuntimeError(
        f"{name}: Expected a floating point or complex tensor as input. Got {kind}. Convert it first: x.float()"
    )


def not_implemented(kernel: str, a: Tensor) -> None:
    """Raise PyTorch's error of a kernel for a type that LAPACK doesn't have."""
    if a._array.dtype not in LAPACK_TYPES:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{SCALAR_NAMES[a.dtype]}'")


def failed(name: str, info: np.ndarray, reason: str) -> LinAlgError:
    """The error for the first matrix of a stack whose `info` is not 0; `reason` may use it as {0}."""
    where = next(i for i, code in enumerate(info.reshape(-1)) if code)
    element = f"(Batch element {where}): " if info.ndim else ""
    return LinAlgError(f"{name}: {element}{reason.format(info.reshape(-1)[where])}")


SINGULAR = "The diagonal element {0} is zero, the inversion could not be completed because the input matrix is singular."


# -- results ----------------------------------------------------------------------------------------


class FactorNode(Node):
    """A node whose backward needs its outputs: `keep` them, and get them back joined to the graph."""

    kept: tuple = ()  # the numbers of the outputs that were saved

    def keep(self, outputs, *inputs) -> None:
        """Save some outputs, without making a cycle, and some inputs."""
        self.kept = tuple([o._nr for o in outputs])
        self.save(*[o._share() for o in outputs], *inputs)

    def unpack_all(self) -> list:
        """The outputs and inputs that were saved."""
        saved = list(self.unpack())
        if MODE.enabled:
            for i, number in enumerate(self.kept):
                saved[i] = saved[i]._share()
                saved[i]._node, saved[i]._nr, saved[i]._rg = self, number, True
        return saved


def info_tensor(info: np.ndarray) -> Tensor:
    return wrap(np.asanyarray(info, np.int32))


def batch_of(*arrays: np.ndarray) -> tuple:
    """The leading dimensions that stacks of matrices broadcast to."""
    try:
        return np.broadcast_shapes(*[a.shape[:-2] for a in arrays])
    except ValueError:
        a, b = (list(x.shape[:-2]) for x in arrays)
        raise RuntimeError(f"the batch dimensions {a} and {b} do not broadcast together") from None


def fold(grad: Tensor, like: Tensor) -> Tensor:
    """A gradient summed over the leading dimensions along which `like` was broadcast."""
    return sum_to(grad, like._array.shape)


__all__ = [
    "LAPACK_TYPES", "SINGULAR", "FactorNode", "LinAlgError", "batch_of", "check_square", "failed", "fold",
    "info_tensor", "matrices", "not_implemented", "square", "wrong_type",
]  # fmt: skip
