"""Kullback-Leibler divergences, found by the types of the two distributions.

`_gaussian_kl` adds those between normal distributions of vectors.
"""

import math
import warnings
from functools import total_ordering

import rushlight as torch
from rushlight import autograd
from rushlight.distributions.bernoulli import Bernoulli
from rushlight.distributions.beta import Beta
from rushlight.distributions.binomial import Binomial
from rushlight.distributions.categorical import Categorical
from rushlight.distributions.cauchy import Cauchy
from rushlight.distributions.continuous_bernoulli import ContinuousBernoulli
from rushlight.distributions.dirichlet import Dirichlet
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.exponential import Exponential
from rushlight.distributions.gamma import Gamma
from rushlight.distributions.geometric import Geometric
from rushlight.distributions.gumbel import Gumbel
from rushlight.distributions.half_normal import HalfNormal
from rushlight.distributions.independent import Independent
from rushlight.distributions.laplace import Laplace
from rushlight.distributions.normal import Normal
from rushlight.distributions.one_hot_categorical import OneHotCategorical
from rushlight.distributions.pareto import Pareto
from rushlight.distributions.poisson import Poisson
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.uniform import Uniform
from rushlight.distributions.utils import _sum_rightmost, euler_constant
from rushlight.nn.functional import softplus

__all__ = ["kl_divergence", "register_kl"]

_KL_REGISTRY: dict = {}  # the functions by the types of p and q
_KL_MEMOIZE: dict = {}  # what was found for types, perhaps subclasses
_LOG_2_PI = math.log(2 * math.pi)


def register_kl(type_p, type_q):
    """A decorator for the function that computes KL(p || q) for these types and their subclasses.

    Args:
        type_p: a subclass of Distribution.
        type_q: a subclass of Distribution.
    Raises:
        TypeError: one of them is no class; it need not derive from Distribution, as other libraries' do.

    >>> import rushlight as torch
    >>> from rushlight.distributions import Normal, register_kl
    >>> class Narrow(Normal):
    ...     pass
    >>> @register_kl(Narrow, Narrow)
    ... def _kl(p, q):
    ...     return torch.zeros(())
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def decorator(function):
        _KL_REGISTRY[type_p, type_q] = function
        _KL_MEMOIZE.clear()
        return function

    return decorator


@total_ordering
class _Match:
    """A pair of types; pairs of more special types come first."""

    def __init__(self, *types):
        self.types = types

    def __eq__(self, other):
        return self.types == other.types

    def __le__(self, other):
        for x, y in zip(self.types, other.types, strict=True):
            if not issubclass(x, y):
                return False
            if x is not y:
                break
        return True


def _dispatch_kl(type_p, type_q):
    """The function of the most special pair of types, the first type counting more; None where there is none."""
    matches = [m for m in _KL_REGISTRY if issubclass(type_p, m[0]) and issubclass(type_q, m[1])]
    if not matches:
        return None
    left = min(_Match(*m) for m in matches).types
    right = min(_Match(*reversed(m)) for m in matches).types[::-1]
    if _KL_REGISTRY[left] is not _KL_REGISTRY[right]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). Please register_kl({left[0].__name__}, "
            f"{right[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _KL_REGISTRY[left]


def kl_divergence(p, q):
    """KL(p || q), the mean of log p(x) - log q(x) over x drawn from p.

    Args:
        p: a distribution.
        q: a distribution.
    Returns:
        A tensor of the batch shape.
    Raises:
        NotImplementedError: none is known for these types; `register_kl` adds one.

    >>> import rushlight as torch
    >>> d = torch.distributions
    >>> d.kl_divergence(d.Normal(0.0, 1.0), d.Normal(1.0, 1.0))
    tensor(0.5000)
    """
    key = type(p), type(q)
    if key not in _KL_MEMOIZE:
        _KL_MEMOIZE[key] = _dispatch_kl(*key)
    function = _KL_MEMOIZE[key]
    if function is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {p.__class__.__name__} and q type {q.__class__.__name__}"
        )
    return function(p, q)


def _infinite(name: str, p_type, *q_types) -> None:
    """KL is infinite: p draws what q cannot. `name` is a parameter, which gives the shape."""
    for q_type in q_types:
        register_kl(p_type, q_type)(lambda p, q: torch.full_like(getattr(p, name), torch.inf))


_infinite("concentration1", Beta, Pareto)
_infinite("probs", ContinuousBernoulli, Pareto)
_infinite("rate", Exponential, Beta, ContinuousBernoulli, Pareto, Uniform)
_infinite("concentration", Gamma, Beta, ContinuousBernoulli, Pareto, Uniform)
_infinite("scale", Pareto, Beta, ContinuousBernoulli, Uniform)
_infinite("rate", Poisson, Bernoulli, Binomial)
for _type in (Gumbel, Laplace, Normal):
    _infinite("loc", _type, Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform)


def _x_log_x(x):
    return torch.special.xlogy(x, x)


def _outside(result, condition):
    """The result, infinite where p draws what q cannot."""
    return result.masked_fill(condition, torch.inf)


# -- of one family --------------------------------------------------------------------------------------


@register_kl(Bernoulli, Bernoulli)
def _kl_bernoulli_bernoulli(p, q):
    ones = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    zeros = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    ones = _outside(ones, q.probs == 0).masked_fill(p.probs == 0, 0)
    return ones + _outside(zeros, q.probs == 1).masked_fill(p.probs == 1, 0)


@register_kl(Beta, Beta)
def _kl_beta_beta(p, q):
    p1, p0, q1, q0 = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    p_total, q_total = p1 + p0, q1 + q0
    norms = q1.lgamma() + q0.lgamma() + p_total.lgamma() - p1.lgamma() - p0.lgamma() - q_total.lgamma()
    slopes = (p1 - q1) * p1.digamma() + (p0 - q0) * p0.digamma() + (q_total - p_total) * p_total.digamma()
    return norms + slopes


@register_kl(Binomial, Binomial)
def _kl_binomial_binomial(p, q):
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    each = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return _outside(p.total_count * each, p.total_count > q.total_count)


@register_kl(Categorical, Categorical)
def _kl_categorical_categorical(p, q):
    terms = p.probs * (p.logits - q.logits)
    return _outside(terms, q.probs == 0).masked_fill(p.probs == 0, 0).sum(-1)


@register_kl(Cauchy, Cauchy)
def _kl_cauchy_cauchy(p, q):
    distance = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return distance.log() - (4 * p.scale * q.scale).log()


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _kl_continuous_bernoulli_continuous_bernoulli(p, q):
    norm_p = p._cont_bern_log_norm() + torch.log1p(-p.probs)
    return p.mean * (p.logits - q.logits) + norm_p - q._cont_bern_log_norm() - torch.log1p(-q.probs)


@register_kl(Dirichlet, Dirichlet)
def _kl_dirichlet_dirichlet(p, q):
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    norms = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return norms + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(Exponential, Exponential)
def _kl_exponential_exponential(p, q):
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(ExponentialFamily, ExponentialFamily)
def _kl_expfamily_expfamily(p, q):
    """A Bregman divergence. Source: Nielsen and Nock, 2010."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman divergences"
        )
    own = [x.detach().requires_grad_() for x in p._natural_params]
    normalizer = p._log_normalizer(*own)
    slopes = autograd.grad(normalizer.sum(), own, create_graph=True)
    result = q._log_normalizer(*q._natural_params) - normalizer
    for x, y, slope in zip(own, q._natural_params, slopes, strict=True):
        result = result - _sum_rightmost((y - x) * slope, len(q.event_shape))
    return result


@register_kl(Gamma, Gamma)
def _kl_gamma_gamma(p, q):
    norms = q.concentration * (p.rate / q.rate).log() + q.concentration.lgamma() - p.concentration.lgamma()
    slopes = (p.concentration - q.concentration) * p.concentration.digamma()
    return norms + slopes + (q.rate - p.rate) * (p.concentration / p.rate)


@register_kl(Geometric, Geometric)
def _kl_geometric_geometric(p, q):
    return -p.entropy() - torch.log1p(-q.probs) / p.probs - q.logits


@register_kl(Gumbel, Gumbel)
def _kl_gumbel_gumbel(p, q):
    ratio, shift = p.scale / q.scale, (q.loc - p.loc) / q.scale
    return (
        -ratio.log()
        - shift
        + ratio * euler_constant
        + torch.exp(shift + (1 + ratio).lgamma())
        - (1 + euler_constant)
    )


@register_kl(HalfNormal, HalfNormal)
def _kl_halfnormal_halfnormal(p, q):
    return _kl_normal_normal(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _kl_independent_independent(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "KL between Independents with different reinterpreted_batch_ndims is not implemented"
        )
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Laplace, Laplace)
def _kl_laplace_laplace(p, q):
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * torch.exp(-distance / p.scale) - 1


@register_kl(Normal, Normal)
def _kl_normal_normal(p, q):
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(OneHotCategorical, OneHotCategorical)
def _kl_onehotcategorical_onehotcategorical(p, q):
    return _kl_categorical_categorical(p._categorical, q._categorical)


@register_kl(Pareto, Pareto)
def _kl_pareto_pareto(p, q):
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return _outside(result, p.scale < q.scale)


@register_kl(Poisson, Poisson)
def _kl_poisson_poisson(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(TransformedDistribution, TransformedDistribution)
def _kl_transformed_transformed(p, q):
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError(
            "KL between distributions that are transformed differently is not implemented"
        )
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Uniform, Uniform)
def _kl_uniform_uniform(p, q):
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return _outside(result, (q.low > p.low) | (q.high < p.high))


# -- of different families: the mean of -log q over p, less p's entropy ---------------------------------


@register_kl(Bernoulli, Poisson)
def _kl_bernoulli_poisson(p, q):
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


def _over_continuous_bernoulli(p, q):
    return -p.entropy() - p.mean * q.logits - torch.log1p(-q.probs) - q._cont_bern_log_norm()


def _over_exponential(p, q):
    return -p.entropy() - q.rate.log() + q.rate * p.mean


register_kl(Beta, ContinuousBernoulli)(_over_continuous_bernoulli)
for _type in (Beta, ContinuousBernoulli, Gamma):
    register_kl(_type, Exponential)(_over_exponential)


def _gamma_norm(q):
    """The part of -log q that does not depend on x, for a gamma distribution q."""
    return q.concentration.lgamma() - q.concentration * q.rate.log()


@register_kl(Beta, Gamma)
def _kl_beta_gamma(p, q):
    total = p.concentration1 + p.concentration0
    mean_log = p.concentration1.digamma() - total.digamma()
    return -p.entropy() + _gamma_norm(q) - (q.concentration - 1) * mean_log + q.rate * p.mean


@register_kl(Beta, Normal)
@register_kl(ContinuousBernoulli, Normal)
def _kl_unit_normal(p, q):
    square = p.variance + (p.mean - q.loc).pow(2)
    return -p.entropy() + 0.5 * _LOG_2_PI + q.scale.log() + square / (2 * q.scale.pow(2))


@register_kl(Beta, Uniform)
def _kl_beta_uniform(p, q):
    return _outside(-p.entropy() + (q.high - q.low).log(), (q.low > 0) | (q.high < 1))


@register_kl(ContinuousBernoulli, Uniform)
def _kl_continuous_bernoulli_uniform(p, q):
    # As in PyTorch, the limits themselves count as outside.
    return _outside(-p.entropy() + (q.high - q.low).log(), (q.low >= 0) | (q.high <= 1))


@register_kl(Exponential, Gamma)
def _kl_exponential_gamma(p, q):
    ratio = q.rate / p.rate
    shape = q.concentration
    return -shape * ratio.log() + ratio + shape.lgamma() + shape * euler_constant - (1 + euler_constant)


@register_kl(Exponential, Gumbel)
def _kl_exponential_gumbel(p, q):
    product, shift = p.rate * q.scale, q.loc / q.scale
    return product.log() - 1 - shift + torch.exp(shift) * product / (product + 1) + product.reciprocal()


@register_kl(Exponential, Normal)
def _kl_exponential_normal(p, q):
    variance, square = q.scale.pow(2), p.rate.pow(2)
    moment = square.reciprocal() - q.loc / p.rate + q.loc.pow(2) * 0.5
    return 0.5 * torch.log(square * variance * 2 * math.pi) - 1 + moment / variance


def _negative_gamma_entropy(p):
    """The mean of log x in units of 1 / rate, less the norm, for a gamma distribution p."""
    c = p.concentration
    return (c - 1) * c.digamma() - c.lgamma() - c


@register_kl(Gamma, Gumbel)
def _kl_gamma_gumbel(p, q):
    product, shift = p.rate * q.scale, q.loc / q.scale
    moment = torch.exp(shift) * (1 + product.reciprocal()).pow(-p.concentration) - shift
    return _negative_gamma_entropy(p) + product.log() + p.concentration / product + moment


@register_kl(Gamma, Normal)
def _kl_gamma_normal(p, q):
    variance, square = q.scale.pow(2), p.rate.pow(2)
    moment = 0.5 * (p.concentration.pow(2) + p.concentration) / square
    moment = moment - q.loc * p.concentration / p.rate + 0.5 * q.loc.pow(2)
    return 0.5 * torch.log(square * variance * 2 * math.pi) + _negative_gamma_entropy(p) + moment / variance


@register_kl(Gumbel, Normal)
def _kl_gumbel_normal(p, q):
    ratio = p.scale / q.scale
    shift = (p.loc + p.scale * euler_constant - q.loc) / q.scale
    square = (math.pi * ratio * 0.5).pow(2) / 3 + shift.pow(2) * 0.5
    return -(ratio / math.sqrt(2 * math.pi)).log() + square - (euler_constant + 1)


@register_kl(Laplace, Normal)
def _kl_laplace_normal(p, q):
    variance = q.scale.pow(2)
    ratio = p.scale.pow(2) / variance
    return -0.5 * torch.log(2 * ratio / math.pi) + ratio + 0.5 * (p.loc - q.loc).pow(2) / variance - 1


@register_kl(Normal, Gumbel)
def _kl_normal_gumbel(p, q):
    shift, square = (p.loc - q.loc) / q.scale, (p.scale / q.scale).pow(2)
    return -square.log() * 0.5 + shift + torch.exp(0.5 * square - shift) - 0.5 * (1 + _LOG_2_PI)


@register_kl(Normal, Laplace)
def _kl_normal_laplace(p, q):
    distance = p.loc - q.loc
    z = distance / p.scale
    spread = math.sqrt(2 / math.pi) * p.scale * torch.exp(-0.5 * z.pow(2)) + distance * torch.erf(
        math.sqrt(0.5) * z
    )
    return -torch.log(p.scale / q.scale) + spread / q.scale - 0.5 * (1 + math.log(0.5 * math.pi))


@register_kl(Pareto, Exponential)
def _kl_pareto_exponential(p, q):
    product = p.scale * q.rate
    result = (p.alpha / product).log() - p.alpha.reciprocal() + p.alpha * product / (p.alpha - 1) - 1
    return _outside(result, p.alpha <= 1)


@register_kl(Pareto, Gamma)
def _kl_pareto_gamma(p, q):
    mean_log = p.scale.log() + p.alpha.reciprocal()
    density = p.alpha.log() - mean_log - 1
    result = density + _gamma_norm(q) + (1 - q.concentration) * mean_log
    return _outside(result + q.rate * p.alpha * p.scale / (p.alpha - 1), p.alpha <= 1)


@register_kl(Pareto, Normal)
def _kl_pareto_normal(p, q):
    part = p.scale / (p.alpha - 1)
    square = p.alpha * part.pow(2) / (p.alpha - 2) + (p.alpha * part - q.loc).pow(2)
    density = (math.sqrt(2 * math.pi) * q.scale * p.alpha / p.scale).log() - p.alpha.reciprocal() - 1
    return _outside(density + square / (2 * q.scale.pow(2)), p.alpha <= 2)


def _mean_log(p, q_high):
    """The mean of log x, over a uniform distribution p, or that of log(1 - x)."""
    low, high = (1 - p.high, 1 - p.low) if q_high else (p.low, p.high)
    width = p.high - p.low
    return (_x_log_x(high) - _x_log_x(low) - width) / width


@register_kl(Uniform, Beta)
def _kl_uniform_beta(p, q):
    a, b = q.concentration1, q.concentration0
    means = (a - 1) * _mean_log(p, False) + (b - 1) * _mean_log(p, True)
    result = a.lgamma() + b.lgamma() - (a + b).lgamma() - torch.log(p.high - p.low) - means
    return _outside(result, (p.high > 1) | (p.low < 0))


@register_kl(Uniform, ContinuousBernoulli)
def _kl_uniform_continuous_bernoulli(p, q):
    return _outside(_over_continuous_bernoulli(p, q), (p.high >= 1) | (p.low <= 0))


@register_kl(Uniform, Exponential)
def _kl_uniform_exponential(p, q):
    result = q.rate * (p.high + p.low) / 2 - ((p.high - p.low) * q.rate).log()
    return _outside(result, p.low < 0)


@register_kl(Uniform, Gamma)
def _kl_uniform_gamma(p, q):
    result = _gamma_norm(q) - (p.high - p.low).log() + q.rate * (p.high + p.low) / 2
    return _outside(result + (1 - q.concentration) * _mean_log(p, False), p.low < 0)


@register_kl(Uniform, Gumbel)
def _kl_uniform_gumbel(p, q):
    ratio = q.scale / (p.high - p.low)
    high, low = (p.high - q.loc) / q.scale, (p.low - q.loc) / q.scale
    return ratio.log() + 0.5 * (high + low) - ratio * (torch.exp(-high) - torch.exp(-low))


@register_kl(Uniform, Normal)
def _kl_uniform_normal(p, q):
    width = p.high - p.low
    square = width.pow(2) / 12 + ((p.high + p.low - 2 * q.loc) / 2).pow(2)
    return (math.sqrt(math.pi * 2) * q.scale / width).log() + 0.5 * square / q.scale.pow(2)


@register_kl(Uniform, Pareto)
def _kl_uniform_pareto(p, q):
    norm = (q.alpha * q.scale.pow(q.alpha) * (p.high - p.low)).log()
    return _outside(_mean_log(p, False) * (q.alpha + 1) - norm, p.low < q.scale)


from rushlight.distributions import _gaussian_kl  # noqa: E402, F401
