"""Directional derivatives of code as it stands, by dual tensors: the names of `torch.autograd.forward_ad`.

A dual tensor carries a tangent; what is computed from it carries the derivative in that direction. Nothing is pushed
along here: `unpack_dual` differentiates the recorded graph twice backwards (Townsend, "A new trick for calculating
Jacobian vector products", 2017), so that operations need no second rule each. Within `torch.no_grad()` nothing is
recorded, and so no tangent is found there.

>>> import rushlight as torch
>>> import rushlight.autograd.forward_ad as fwAD
>>> with fwAD.dual_level():
...     x = fwAD.make_dual(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]))
...     fwAD.unpack_dual(x * x)
UnpackedDualTensor(primal=tensor([0., 1.]), tangent=tensor([0., 4.]))
"""

import threading
from typing import NamedTuple

from rushlight.autograd import grad
from rushlight.autograd.function import forward_mode
from rushlight.autograd.grad_mode import enable_grad
from rushlight.ops.creation import zeros_like
from rushlight.tensor import Tensor

__all__ = [
    "UnpackedDualTensor",
    "dual_level",
    "enter_dual_level",
    "exit_dual_level",
    "make_dual",
    "unpack_dual",
]


class UnpackedDualTensor(NamedTuple):
    """A dual tensor's value, and its tangent or None."""

    primal: Tensor
    tangent: Tensor | None


class _Level(threading.local):
    """The dual tensors of the level that this thread is in; None outside."""

    duals: list | None = None  # (dual, its tangent, whether its primal required a gradient)


_LEVEL = _Level()


def enter_dual_level() -> int:
    """Begin a level, in which dual tensors can be made; returns its number, which is 0.

    Raises:
        RuntimeError: there is one; levels do not nest.
    """
    if _LEVEL.duals is not None:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _LEVEL.duals = []
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End the level; its tangents are gone.

    Raises:
        RuntimeError: there is none.
    """
    if _LEVEL.duals is None:
        raise RuntimeError("exit_dual_level: no level was entered. Call enter_dual_level() first.")
    _LEVEL.duals = None


class dual_level:
    """A level for a `with` block."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *error) -> None:
        exit_dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A tensor with a tangent: the direction in which all that is computed from it is differentiated.

    Args:
        tensor: the value, floating-point or complex.
        tangent: the direction, of the same shape and type.
        level: the level's number; only the current one exists.
    Raises:
        RuntimeError: there is no level, or the tangent does not fit. ValueError: a tensor holds integers.
    """
    if _LEVEL.duals is None:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    for what, t in (("primal", tensor), ("tangent", tangent)):
        if not (t.is_floating_point() or t.is_complex()):
            raise ValueError(f"Expected {what} to be floating point or complex, but got: {t.dtype}")
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {list(tensor.shape)} while the given forward gradient is of size "
            f"{list(tangent.shape)}."
        )
    with enable_grad():
        dual = tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
    _LEVEL.duals.append((dual, tangent, tensor.requires_grad))
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value of a tensor, and its derivative in the direction of the dual tensors that it was computed from.

    Args:
        tensor: any tensor; one that depends on no dual tensor has no tangent.
        level: the level's number; only the current one exists.
    """
    duals = _LEVEL.duals or []
    primal = tensor if any(required for *_, required in duals) else tensor.detach()
    own = next((tangent for dual, tangent, _ in duals if dual is tensor), None)
    if own is not None or not duals or not tensor.requires_grad:
        return UnpackedDualTensor(primal, own)
    with enable_grad():
        cotangent = zeros_like(tensor).requires_grad_()
        with forward_mode():
            linear = grad(
                tensor, [dual for dual, *_ in duals], cotangent, create_graph=True, allow_unused=True
            )
        reached = [(g, tangent) for g, (_, tangent, _) in zip(linear, duals, strict=True) if g is not None]
        if not reached:
            return UnpackedDualTensor(primal, None)
        keep = primal is tensor or any(tangent.requires_grad for _, tangent in reached)
        moving = [(g, tangent) for g, tangent in reached if g.requires_grad]
        tangent = None
        if moving:
            outputs, directions = zip(*moving, strict=True)
            (tangent,) = grad(outputs, [cotangent], directions, create_graph=keep, allow_unused=True)
    return UnpackedDualTensor(primal, zeros_like(tensor) if tangent is None else tangent)
