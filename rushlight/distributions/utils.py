"""What distributions share: broadcasting of parameters, probabilities and logits, triangular matrices."""

import math
from functools import update_wrapper

import rushlight as torch
from rushlight.nn import functional as F

__all__ = [
    "broadcast_all", "clamp_probs", "euler_constant", "lazy_property", "logits_to_probs", "probs_to_logits",
    "tril_matrix_to_vec", "vec_to_tril_matrix",
]  # fmt: skip

euler_constant = 0.57721566490153286060
Number = (bool, int, float)


def broadcast_all(*values):
    """Tensors and numbers as tensors of one shape; numbers take the type of the first tensor.

    Raises:
        ValueError: something else is among them.
    """
    if not all(isinstance(v, (torch.Tensor, *Number)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    kind = next((v.dtype for v in values if isinstance(v, torch.Tensor)), torch.get_default_dtype())
    return torch.broadcast_tensors(
        *[v if isinstance(v, torch.Tensor) else torch.tensor(v, dtype=kind) for v in values]
    )


def _standard_normal(shape, dtype=None, device=None):
    """Standard normal numbers."""
    return torch.empty(shape, dtype=dtype).normal_()


def _sum_rightmost(value, dim: int):
    """The sum over the last `dim` dimensions."""
    return value if dim == 0 else value.reshape(value.shape[:-dim] + (-1,)).sum(-1)


def logits_to_probs(logits, is_binary: bool = False):
    """Probabilities from logits: by the logistic function, or by softmax over the last dimension."""
    return torch.sigmoid(logits) if is_binary else F.softmax(logits, dim=-1)


def clamp_probs(probs):
    """Probabilities, none closer to 0 or 1 than the resolution of their type."""
    eps = torch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs, is_binary: bool = False):
    """The inverse of `logits_to_probs`, of clamped probabilities."""
    clamped = clamp_probs(probs)
    return torch.log(clamped) - torch.log1p(-clamped) if is_binary else torch.log(clamped)


class lazy_property:
    """A property that is computed, with gradients, when it is first asked for, and kept."""

    def __init__(self, wrapped):
        self.wrapped = wrapped
        update_wrapper(self, wrapped)

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        with torch.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def _tril_mask(n: int, diag: int):
    places = torch.arange(n)
    return places < places.view(-1, 1) + (diag + 1)


def tril_matrix_to_vec(mat, diag: int = 0):
    """The lower triangle of matrices (..., n, n), row by row, as vectors.

    Args:
        diag: the last diagonal that belongs to it; 0 for the main one.
    Raises:
        ValueError: there is no such diagonal.
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    return mat[..., _tril_mask(n, diag)]


def vec_to_tril_matrix(vec, diag: int = 0):
    """The inverse of `tril_matrix_to_vec`: matrices that are 0 above the triangle.

    Raises:
        ValueError: no triangle has as many elements.
    """
    shift = 1 + 2 * diag
    size = vec.shape[-1]
    n = (-shift + math.sqrt(shift * shift + 8 * size + 4 * abs(diag) * (diag + 1))) / 2
    if round(n) - n > torch.finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {size} which cannot be expressed as the lower triangular part of a square D "
            "x D matrix."
        )
    n = round(n)
    mat = vec.new_zeros(vec.shape[:-1] + (n, n))
    mat[..., _tril_mask(n, diag)] = vec
    return mat
