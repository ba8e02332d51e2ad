"""Relaxed categorical distributions."""

import rushlight as torch
from rushlight.devices import Size
from rushlight.distributions import constraints
from rushlight.distributions._probabilities import OfCategorical
from rushlight.distributions.categorical import Categorical
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.transforms import ExpTransform
from rushlight.distributions.utils import broadcast_all, clamp_probs

__all__ = ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"]


class ExpRelaxedCategorical(OfCategorical):
    """The logarithms of relaxed one-hot vectors.

    Args:
        temperature: how far from one-hot they are.
        probs: the probabilities at temperature 0, along the last dimension; normalised.
        logits: or the logarithms of these, up to a constant.
        validate_args: whether arguments are checked.

    Source: Maddison, Mnih and Teh, The concrete distribution, 2017.
    """

    support = constraints.real_vector
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        super().__init__(self._categorical.batch_shape, self.param_shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        return self._expanded(ExpRelaxedCategorical, batch_shape, _instance, "temperature")

    def rsample(self, sample_shape=Size()):
        shape = self._extended_shape(sample_shape)
        gumbels = -(-clamp_probs(torch.rand(shape, dtype=self.logits.dtype)).log()).log()
        scores = (self.logits + gumbels) / self.temperature
        return scores - scores.logsumexp(dim=-1, keepdim=True)

    def log_prob(self, value):
        self._check_value(value)
        k = self._categorical._num_events
        logits, value = broadcast_all(self.logits, value)
        scale = torch.full_like(self.temperature, float(k)).lgamma() + self.temperature.log() * (k - 1)
        score = logits - value.mul(self.temperature)
        return (score - score.logsumexp(dim=-1, keepdim=True)).sum(-1) + scale


class RelaxedOneHotCategorical(TransformedDistribution):
    """Points of the simplex that become one-hot vectors as the temperature goes to 0, with gradients.

    Args:
        temperature: how far from one-hot they are.
        probs: the probabilities at temperature 0, along the last dimension; normalised.
        logits: or the logarithms of these, up to a constant.
        validate_args: whether arguments are checked.

    Source: Jang, Gu and Poole, Categorical reparameterization with Gumbel-softmax, 2017.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        new = self._get_checked_instance(RelaxedOneHotCategorical, _instance)
        return super().expand(batch_shape, _instance=new)

    @property
    def temperature(self):
        """The temperature."""
        return self.base_dist.temperature

    @property
    def logits(self):
        """The logits."""
        return self.base_dist.logits

    @property
    def probs(self):
        """The probabilities."""
        return self.base_dist.probs
