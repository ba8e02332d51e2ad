"""Half-normal distributions."""

import math

from rushlight.distributions._folded import Folded
from rushlight.distributions.normal import Normal

__all__ = ["HalfNormal"]


class HalfNormal(Folded):
    """The absolute value of a normal number around 0.

    Args:
        scale: the standard deviation of that number.
        validate_args: whether arguments are checked.

    >>> import rushlight as torch
    >>> torch.distributions.HalfNormal(1.0).mean
    tensor(0.7979)
    """

    _base = Normal

    def __init__(self, scale, validate_args=None):
        super().__init__(scale, validate_args)

    def expand(self, batch_shape, _instance=None):
        return super().expand(batch_shape, _instance=self._get_checked_instance(HalfNormal, _instance))

    @property
    def mean(self):
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self):
        return self.scale.pow(2) * (1 - 2 / math.pi)
