"""What transforms share: draws from PyTorch's stream, and checks of settings."""

import numbers
from collections.abc import Sequence

import rushlight as torch
from rushlight.nn import Module
from rushlight.tensor import Tensor
from rushlight.vision.transforms import functional as F


def uniform(low, high) -> float:
    """One number from the default generator."""
    return torch.empty(1).uniform_(float(low), float(high)).item()


def randint(low: int, high: int) -> int:
    """One integer from the default generator."""
    return torch.randint(low, high, size=(1,)).item()


def chance(p: float) -> bool:
    """True with probability `p`; compared in float32, as PyTorch compares a tensor with a number."""
    return bool(torch.rand(1)._array[0] < p)


class Chance(Module):
    """A transform that leaves the image as it is, except with probability `p`."""

    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, img):
        return self.change(img) if chance(self.p) else img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


def setup_size(size, error_msg="Please provide only two dimensions (h, w) for size."):
    """A size given as one number or as (height, width), as the latter."""
    if isinstance(size, numbers.Number):
        return int(size), int(size)
    if isinstance(size, Sequence) and len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(error_msg)
    return size


def check_sequence(x, name: str, lengths=(2,)) -> None:
    wanted = " or ".join(str(n) for n in lengths)
    if not isinstance(x, Sequence):
        raise TypeError(f"{name} should be a sequence of length {wanted}.")
    if len(x) not in lengths:
        raise ValueError(f"{name} should be a sequence of length {wanted}.")


def setup_angle(x, name: str, lengths=(2,)) -> list[float]:
    """A range of angles; one number is that to both sides of 0."""
    if isinstance(x, numbers.Number):
        if x < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        x = [-x, x]
    else:
        check_sequence(x, name, lengths)
    return [float(d) for d in x]


def setup_fill(fill):
    if fill is None:
        return 0
    if not isinstance(fill, (Sequence, numbers.Number)):
        raise TypeError("Fill should be either a sequence or a number.")
    return fill


def fill_for(img, fill):
    """The colour outside of the image as the functions on this kind of image take it."""
    if fill is None or not isinstance(img, Tensor):
        return fill
    if isinstance(fill, (int, float)):
        return [float(fill)] * F.get_dimensions(img)[0]
    return [float(f) for f in fill]


def setup_mode(interpolation):
    """Pillow's number of a mode as the mode."""
    return F._interpolation_modes_from_int(interpolation) if isinstance(interpolation, int) else interpolation
