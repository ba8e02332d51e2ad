"""Distributions of correlation matrices."""

import math

import rushlight as torch
from rushlight.devices import Size
from rushlight.distributions import constraints
from rushlight.distributions.beta import Beta
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Lower Cholesky factors of correlation matrices, whose density is proportional to det ** (concentration - 1).

    Args:
        dim: the number of variables, at least 2.
        concentration: 1 for the uniform distribution; more favours the identity.
        validate_args: whether arguments are checked.
    Raises:
        ValueError: there are fewer than 2 variables.

    Source: Lewandowski, Kurowicka and Joe, Journal of Multivariate Analysis 100, 2009 (the onion method).
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim, concentration=1.0, validate_args=None):
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        c = self.concentration
        offset = torch.arange(dim - 1, dtype=c.dtype)
        offset = torch.cat([offset.new_zeros((1,)), offset])
        self._beta = Beta(offset + 0.5, (c + 0.5 * (dim - 2)).unsqueeze(-1) - 0.5 * offset)
        super().__init__(c.size(), Size((dim, dim)), validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(LKJCholesky, batch_shape, _instance, "dim")

    def sample(self, sample_shape=Size()):
        # A radius and a direction for each row.
        y = self._beta.sample(sample_shape).unsqueeze(-1)
        normal = torch.randn(self._extended_shape(sample_shape), dtype=y.dtype).tril(-1)
        direction = normal / normal.norm(dim=-1, keepdim=True)
        direction[..., 0, :].fill_(0.0)
        w = torch.sqrt(y) * direction
        tiny = torch.finfo(w.dtype).tiny
        return w + torch.diag_embed(torch.clamp(1 - torch.sum(w**2, dim=-1), min=tiny).sqrt())

    def log_prob(self, value):
        self._check_value(value)
        c, n = self.concentration, self.dim - 1
        order = 2 * (c - 1).unsqueeze(-1) + self.dim - torch.arange(2, self.dim + 1)
        density = torch.sum(order * value.diagonal(dim1=-1, dim2=-2)[..., 1:].log(), dim=-1)
        alpha = c + 0.5 * n
        return density - (
            0.5 * n * math.log(math.pi) + torch.mvlgamma(alpha - 0.5, n) - torch.lgamma(alpha) * n
        )
