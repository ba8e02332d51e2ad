"""PyTorch's CPU random streams, natively: the draws and the loops over float32, float64, int64 and bool."""

from rushlight import _native
from rushlight.kernels.reference import random as reference

__all__ = ["MT19937"]


class MT19937(_native.MT19937, reference.MT19937):
    """A stream of random numbers, as in the reference kernels."""

    def __init__(self, seed: int = reference.DEFAULT_SEED):
        super().__init__()
        self.seed(seed)
