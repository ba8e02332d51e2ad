"""Batches of distributions as distributions of arrays."""

from rushlight.devices import Size
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import _sum_rightmost

__all__ = ["Independent"]


class Independent(Distribution):
    """Another distribution, whose last batch dimensions become part of the event.

    Args:
        base_distribution: the other distribution.
        reinterpreted_batch_ndims: how many dimensions.
        validate_args: whether arguments are checked.
    Raises:
        ValueError: the batch has fewer dimensions.

    >>> import rushlight as torch
    >>> d = torch.distributions
    >>> d.Independent(d.Normal(torch.zeros(3), torch.ones(3)), 1).log_prob(torch.zeros(3))
    tensor(-2.7568)
    """

    arg_constraints = {}

    def __init__(self, base_distribution, reinterpreted_batch_ndims, validate_args=None):
        batch = base_distribution.batch_shape
        if reinterpreted_batch_ndims > len(batch):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual "
                f"{reinterpreted_batch_ndims} vs {len(batch)}"
            )
        cut = len(batch) - reinterpreted_batch_ndims
        self.base_dist = base_distribution
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        super().__init__(
            batch[:cut], batch[cut:] + base_distribution.event_shape, validate_args=validate_args
        )

    def __class_getitem__(cls, item):
        return cls

    def expand(self, batch_shape, _instance=None):
        """The same distribution for a larger batch."""
        return self._expanded(Independent, batch_shape, _instance, "reinterpreted_batch_ndims")

    @property
    def has_rsample(self) -> bool:
        """Whether the other distribution has it."""
        return self.base_dist.has_rsample

    @property
    def has_enumerate_support(self) -> bool:
        """Whether the other distribution has it, and no dimension has become part of the event."""
        return self.reinterpreted_batch_ndims == 0 and self.base_dist.has_enumerate_support

    @constraints.dependent_property
    def support(self):
        """The constraint that values satisfy."""
        n = self.reinterpreted_batch_ndims
        return constraints.independent(self.base_dist.support, n) if n else self.base_dist.support

    @property
    def mean(self):
        """The mean."""
        return self.base_dist.mean

    @property
    def mode(self):
        """The most probable value."""
        return self.base_dist.mode

    @property
    def variance(self):
        """The variance of each element."""
        return self.base_dist.variance

    def sample(self, sample_shape=Size()):
        """Random values, through which no gradient flows."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=Size()):
        """Random values, through which gradients flow."""
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value):
        """The logarithm of the probability, or its density, at `value`."""
        return _sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self):
        """The entropy, in nats."""
        return _sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand=True):
        """All possible values, where no dimension has become part of the event."""
        if self.reinterpreted_batch_ndims > 0:
            raise NotImplementedError("Enumeration over cartesian product is not implemented")
        return self.base_dist.enumerate_support(expand=expand)

    def __repr__(self):
        return f"{type(self).__name__}({self.base_dist}, {self.reinterpreted_batch_ndims})"
