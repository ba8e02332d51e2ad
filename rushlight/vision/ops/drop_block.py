"""Dropping whole blocks of feature maps."""

from math import prod

import rushlight as torch
from rushlight.nn import Module
from rushlight.nn import functional as F


def _drop_block(input, p: float, block_size: int, inplace: bool, eps: float, training: bool, n: int):
    """`drop_block2d` and `drop_block3d`: the last `n` dimensions are those of blocks."""
    if p < 0.0 or p > 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}.")
    if input.ndim != n + 2:
        raise ValueError(f"input should be {n + 2} dimensional. Got {input.ndim} dimensions.")
    if not training or p == 0.0:
        return input
    sizes = input.shape[2:]
    block_size = min(block_size, *sizes)
    if block_size % 2 == 0:
        raise ValueError(f"block size should be odd. Got {block_size} which is even.")
    centres = [size - block_size + 1 for size in sizes]
    noise = torch.empty((*input.shape[:2], *centres), dtype=input.dtype)
    noise.bernoulli_(p * prod(sizes) / (block_size**n * prod(centres)))
    noise = F.pad(noise, [block_size // 2] * (2 * n), value=0)
    pool = F.max_pool2d if n == 2 else F.max_pool3d
    kept = 1 - pool(noise, kernel_size=block_size, stride=1, padding=block_size // 2)
    scale = kept.numel() / (eps + kept.sum())
    return input.mul_(kept).mul_(scale) if inplace else input * kept * scale


def drop_block2d(
    input, p: float, block_size: int, inplace: bool = False, eps: float = 1e-6, training: bool = True
):
    """Zero square blocks at random places of every channel, and scale what is left so that the mean stays.

    Source: Ghiasi et al., DropBlock, NeurIPS 2018.

    Args:
        input: (N, C, H, W).
        p: share of the elements that becomes zero.
        block_size: height and width of a block, odd.
        inplace: change `input` itself.
        eps: added to the number of elements left.
        training: without it nothing is dropped.

    Raises:
        ValueError: `p`, `block_size` or the shape is not as described.
    """
    return _drop_block(input, p, block_size, inplace, eps, training, 2)


def drop_block3d(
    input, p: float, block_size: int, inplace: bool = False, eps: float = 1e-6, training: bool = True
):
    """`drop_block2d` for cubes in (N, C, D, H, W)."""
    return _drop_block(input, p, block_size, inplace, eps, training, 3)


class DropBlock2d(Module):
    """`drop_block2d` as a layer.

    Args:
        p: share of the elements that becomes zero.
        block_size: height and width of a block, odd.
        inplace: change the input itself.
        eps: added to the number of elements left.
    """

    def __init__(self, p: float, block_size: int, inplace: bool = False, eps: float = 1e-6):
        super().__init__()
        self.p = p
        self.block_size = block_size
        self.inplace = inplace
        self.eps = eps

    def forward(self, input):
        return drop_block2d(input, self.p, self.block_size, self.inplace, self.eps, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, block_size={self.block_size}, inplace={self.inplace})"


class DropBlock3d(DropBlock2d):
    """`drop_block3d` as a layer."""

    def forward(self, input):
        return drop_block3d(input, self.p, self.block_size, self.inplace, self.eps, self.training)
