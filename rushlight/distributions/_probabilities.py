"""Distributions that are given by probabilities or by logits; the others are computed when they are asked for."""

from rushlight.devices import Size
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits

EITHER = "Either `probs` or `logits` must be specified, but not both."


class ProbsOrLogits(Distribution):
    """A distribution with the parameter `probs` or `logits`."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    _is_binary = True

    def _set_either(self, probs, logits, validate_args, **others) -> None:
        """Keep one of them, broadcast with other parameters, which take its type."""
        if (probs is None) == (logits is None):
            raise ValueError(EITHER)
        name = "probs" if logits is None else "logits"
        *values, param = broadcast_all(*others.values(), probs if logits is None else logits)
        for other, value in zip(others, values, strict=True):
            setattr(self, other, value.type_as(param))
        setattr(self, name, self._adjusted(param, name))
        self._param = getattr(self, name)
        Distribution.__init__(self, self._param.shape, validate_args=validate_args)

    def _adjusted(self, param, name: str):
        return param

    def _new(self, *args, **kwargs):
        return self._param.new(*args, **kwargs)

    @lazy_property
    def logits(self):
        """The logits."""
        return probs_to_logits(self.probs, is_binary=self._is_binary)

    @lazy_property
    def probs(self):
        """The probabilities."""
        return logits_to_probs(self.logits, is_binary=self._is_binary)

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self._param.size()


class OfCategorical(Distribution):
    """A distribution whose parameters are those of its `_categorical`."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def _new(self, *args, **kwargs):
        return self._categorical._new(*args, **kwargs)

    @property
    def _param(self):
        return self._categorical._param

    @property
    def probs(self):
        """The probabilities."""
        return self._categorical.probs

    @property
    def logits(self):
        """The logarithms of the probabilities."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self._categorical.param_shape


def all_values(param, batch_shape, count: int, expand: bool, dtype=None):
    """0 ... count - 1 along a new first dimension, perhaps repeated for the batch."""
    import rushlight as torch

    values = torch.arange(count, dtype=dtype or param.dtype).view((-1,) + (1,) * len(batch_shape))
    return values.expand((-1,) + batch_shape) if expand else values
