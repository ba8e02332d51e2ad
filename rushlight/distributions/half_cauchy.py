"""Half-Cauchy distributions."""

import rushlight as torch
from rushlight.distributions._folded import Folded
from rushlight.distributions.cauchy import Cauchy

__all__ = ["HalfCauchy"]


class HalfCauchy(Folded):
    """The absolute value of a Cauchy number around 0.

    Args:
        scale: the median.
        validate_args: whether arguments are checked.

    >>> import rushlight as torch
    >>> torch.distributions.HalfCauchy(1.0).cdf(torch.tensor(1.0))
    tensor(0.5000)
    """

    _base = Cauchy

    def __init__(self, scale, validate_args=None):
        super().__init__(scale, validate_args)

    def expand(self, batch_shape, _instance=None):
        return super().expand(batch_shape, _instance=self._get_checked_instance(HalfCauchy, _instance))

    @property
    def mean(self):
        return torch.full(self._extended_shape(), torch.inf, dtype=self.scale.dtype)

    @property
    def variance(self):
        return self.base_dist.variance
