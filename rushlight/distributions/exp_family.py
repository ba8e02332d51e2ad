"""Exponential families."""

from rushlight import autograd
from rushlight.distributions.distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """A distribution whose density is exp(<t(x), theta> - F(theta) + k(x)).

    Subclasses give the natural parameters theta, the log normalizer F and the mean of the carrier measure k, from which
    the entropy follows by Bregman divergences. Source: Nielsen and Nock, Entropies and cross-entropies of exponential
    families, 2010.
    """

    @property
    def _natural_params(self):
        raise NotImplementedError

    def _log_normalizer(self, *natural_params):
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self):
        raise NotImplementedError

    def entropy(self):
        """The entropy, in nats."""
        parameters = [p.detach().requires_grad_() for p in self._natural_params]
        normalizer = self._log_normalizer(*parameters)
        slopes = autograd.grad(normalizer.sum(), parameters, create_graph=True)
        result = normalizer - self._mean_carrier_measure
        for p, slope in zip(parameters, slopes, strict=True):
            result = result - (p * slope).reshape(self._batch_shape + (-1,)).sum(-1)
        return result
