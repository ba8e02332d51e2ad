"""Continuous Bernoulli distributions."""

import math

import rushlight as torch
from rushlight.devices import Size
from rushlight.distributions import constraints
from rushlight.distributions._probabilities import ProbsOrLogits
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.utils import broadcast_all, clamp_probs, lazy_property, logits_to_probs
from rushlight.nn.functional import binary_cross_entropy_with_logits

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(ProbsOrLogits, ExponentialFamily):
    """Numbers in [0, 1] whose density is proportional to probs ** x * (1 - probs) ** (1 - x).

    Args:
        probs: in (0, 1); not the mean.
        logits: or their logits.
        lims: between these probabilities, where the formulas are unstable, Taylor's series are used.
        validate_args: whether arguments are checked.

    Source: Loaiza-Ganem and Cunningham, The continuous Bernoulli, 2019.

    >>> import rushlight as torch
    >>> torch.distributions.ContinuousBernoulli(torch.tensor([0.5])).mean
    tensor([0.5000])
    """

    support = constraints.unit_interval
    _mean_carrier_measure = 0
    has_rsample = True

    def __init__(self, probs=None, logits=None, lims=(0.499, 0.501), validate_args=None):
        self._lims = lims
        self._check_probs = validate_args is not None
        self._set_either(probs, logits, validate_args)

    def _adjusted(self, param, name):
        if name == "logits":
            return param
        if self._check_probs and not self.arg_constraints["probs"].check(param).all():
            raise ValueError("The parameter probs has invalid values")
        return clamp_probs(param)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(ContinuousBernoulli, batch_shape, _instance, "_lims", "_check_probs")

    @lazy_property
    def probs(self):
        """The probabilities, clamped."""
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    def _outside_unstable_region(self):
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut_probs(self):
        """The probabilities, with a harmless one in place of the unstable."""
        return torch.where(self._outside_unstable_region(), self.probs, self._lims[0])

    def _select(self, formula, taylor):
        return torch.where(self._outside_unstable_region(), formula, taylor)

    def _cont_bern_log_norm(self):
        p = self._cut_probs()
        below, above = torch.where(p <= 0.5, p, 0.0), torch.where(p >= 0.5, p, 1.0)
        size = torch.where(p <= 0.5, torch.log1p(-2.0 * below), torch.log(2.0 * above - 1.0))
        x = torch.pow(self.probs - 0.5, 2)
        taylor = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x
        return self._select(torch.log(torch.abs(torch.log1p(-p) - torch.log(p))) - size, taylor)

    @property
    def mean(self):
        p, x = self._cut_probs(), self.probs - 0.5
        taylor = 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * torch.pow(x, 2)) * x
        return self._select(p / (2.0 * p - 1.0) + 1.0 / (torch.log1p(-p) - torch.log(p)), taylor)

    @property
    def variance(self):
        p, x = self._cut_probs(), torch.pow(self.probs - 0.5, 2)
        taylor = 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x
        exact = p * (p - 1.0) / torch.pow(1.0 - 2.0 * p, 2) + 1.0 / torch.pow(
            torch.log1p(-p) - torch.log(p), 2
        )
        return self._select(exact, taylor)

    def _uniform(self, sample_shape):
        return torch.rand(self._extended_shape(sample_shape), dtype=self.probs.dtype)

    def sample(self, sample_shape=Size()):
        with torch.no_grad():
            return self.icdf(self._uniform(sample_shape))

    def rsample(self, sample_shape=Size()):
        return self.icdf(self._uniform(sample_shape))

    def log_prob(self, value):
        self._check_value(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none") + self._cont_bern_log_norm()

    def cdf(self, value):
        self._check_value(value)
        p = self._cut_probs()
        exact = (torch.pow(p, value) * torch.pow(1.0 - p, 1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        inside = self._select(exact, value)
        return torch.where(value <= 0.0, 0.0, torch.where(value >= 1.0, 1.0, inside))

    def icdf(self, value):
        p = self._cut_probs()
        rest = torch.log1p(-p)
        return self._select((torch.log1p(-p + value * (2.0 * p - 1.0)) - rest) / (torch.log(p) - rest), value)

    def entropy(self):
        log0, log1 = torch.log1p(-self.probs), torch.log(self.probs)
        return self.mean * (log0 - log1) - self._cont_bern_log_norm() - log0

    @property
    def _natural_params(self):
        return (self.logits,)

    def _log_normalizer(self, x):
        low, high = (limit - 0.5 for limit in self._lims)
        outside = (x <= low) | (x > high)
        cut = torch.where(outside, x, low)
        exact = torch.log(torch.abs(torch.expm1(cut))) - torch.log(torch.abs(cut))
        return torch.where(outside, exact, 0.5 * x + torch.pow(x, 2) / 24.0 - torch.pow(x, 4) / 2880.0)
