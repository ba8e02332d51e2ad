"""Student's t distributions."""

import math

import rushlight as torch
from rushlight.devices import Size
from rushlight.distributions import constraints
from rushlight.distributions.chi2 import Chi2
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import _standard_normal

__all__ = ["StudentT"]


class StudentT(Distribution):
    """Student's t distribution.

    Args:
        df: the degrees of freedom.
        loc: the median.
        scale: the scale.
        validate_args: whether arguments are checked.

    >>> import rushlight as torch
    >>> torch.distributions.StudentT(4.0).variance
    tensor(2.)
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        self._set(validate_args, df=df, loc=loc, scale=scale)
        self._chi2 = Chi2(self.df)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(StudentT, batch_shape, _instance)

    @property
    def mean(self):
        return self.loc.masked_fill(self.df <= 1, torch.nan)

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        df = torch.where(self.df > 2, self.df, 3.0)
        finite = self.scale.pow(2) * df / (df - 2)
        return finite.masked_fill(self.df <= 2, torch.inf).masked_fill(self.df <= 1, torch.nan)

    def rsample(self, sample_shape=Size()):
        normal = _standard_normal(self._extended_shape(sample_shape), dtype=self.df.dtype)
        chi2 = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (normal * torch.rsqrt(chi2 / self.df))

    def log_prob(self, value):
        self._check_value(value)
        df, y = self.df, (value - self.loc) / self.scale
        norm = (
            self.scale.log()
            + 0.5 * df.log()
            + 0.5 * math.log(math.pi)
            + torch.lgamma(0.5 * df)
            - torch.lgamma(0.5 * (df + 1.0))
        )
        return -0.5 * (df + 1.0) * torch.log1p(y**2.0 / df) - norm

    def entropy(self):
        df, half = self.df, 0.5 * (self.df + 1)
        beta = torch.lgamma(0.5 * df) + math.lgamma(0.5) - torch.lgamma(half)
        return (
            self.scale.log() + half * (torch.digamma(half) - torch.digamma(0.5 * df)) + 0.5 * df.log() + beta
        )
