"""Kullback-Leibler divergences between normal distributions of vectors; `kl` imports them."""

import rushlight as torch
from rushlight.distributions.kl import register_kl
from rushlight.distributions.lowrank_multivariate_normal import (
    LowRankMultivariateNormal,
    _batch_lowrank_logdet,
    _batch_lowrank_mahalanobis,
)
from rushlight.distributions.multivariate_normal import MultivariateNormal, _batch_mahalanobis, half_log_det


def _batch_trace_XXT(matrices):
    return matrices.pow(2).sum((-2, -1))


def _log_det(d):
    """The logarithm of the covariance's determinant."""
    if isinstance(d, LowRankMultivariateNormal):
        return _batch_lowrank_logdet(*d._parts(), d._capacitance_tril)
    return 2 * half_log_det(d._unbroadcasted_scale_tril)


def _factors(d) -> list:
    """Matrices whose outer products add up to the covariance."""
    if isinstance(d, LowRankMultivariateNormal):
        factor, diagonal = d._parts()
        return [factor, torch.diag_embed(diagonal.sqrt())]
    return [d._unbroadcasted_scale_tril]


def _trace_of_ratio(p, q):
    """The trace of q's precision times p's covariance."""
    if isinstance(q, LowRankMultivariateNormal):
        factor, diagonal = q._parts()
        inner = factor.mT / diagonal.unsqueeze(-2)
        A = torch.linalg.solve_triangular(q._capacitance_tril, inner, upper=False)
        root = diagonal.rsqrt().unsqueeze(-1)
        return sum(_batch_trace_XXT(f * root) - _batch_trace_XXT(A.matmul(f)) for f in _factors(p))
    total = 0
    for factor in _factors(p):
        tril = q._unbroadcasted_scale_tril
        batch = torch.broadcast_shapes(tril.shape[:-2], factor.shape[:-2])
        tril, factor = tril.expand(batch + tril.shape[-2:]), factor.expand(batch + factor.shape[-2:])
        total = total + _batch_trace_XXT(torch.linalg.solve_triangular(tril, factor, upper=False))
    return total


def _distance(q, x):
    """x's squared Mahalanobis distance."""
    if isinstance(q, LowRankMultivariateNormal):
        return _batch_lowrank_mahalanobis(*q._parts(), x, q._capacitance_tril)
    return _batch_mahalanobis(q._unbroadcasted_scale_tril, x)


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(MultivariateNormal, MultivariateNormal)
def _kl_normal_vectors(p, q):
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Multivariate Normals with different event shapes cannot be computed: got "
            f"{p.event_shape} and {q.event_shape}"
        )
    distance = _distance(q, q.loc - p.loc)
    return 0.5 * (_log_det(q) - _log_det(p) + _trace_of_ratio(p, q) + distance - p.event_shape[0])
