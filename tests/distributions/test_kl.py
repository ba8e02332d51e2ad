"""Kullback-Leibler divergences of all pairs of distributions that PyTorch has them for."""

import numpy as np
import pytest

import rushlight
from tests.distributions.table import Make

torch = pytest.importorskip("torch")

#: Two distributions of each type; the second one's support is the larger, or its probabilities include 0 and 1.
PAIRS = {
    "Bernoulli": (lambda m: m.d.Bernoulli(m.t(0.2, 1.0, 0.0)), lambda m: m.d.Bernoulli(m.t(0.6, 1.0, 0.3))),
    "Beta": (lambda m: m.d.Beta(m.r(3), m.r(3, seed=1)), lambda m: m.d.Beta(m.r(3, seed=2), m.r(3, seed=3))),
    "Binomial": (lambda m: m.d.Binomial(5, m.r(3, high=0.9)), lambda m: m.d.Binomial(m.t(5, 3, 5), m.r(3, high=0.9, seed=1))),
    "Categorical": (lambda m: m.d.Categorical(m.t([[0.2, 0.8, 0.0]] * 3)), lambda m: m.d.Categorical(m.t([[0.3, 0.3, 0.4]] * 3))),
    "Cauchy": (lambda m: m.d.Cauchy(m.r(3), m.r(3)), lambda m: m.d.Cauchy(m.r(3, seed=1), m.r(3, seed=2))),
    "ContinuousBernoulli": (lambda m: m.d.ContinuousBernoulli(m.t(0.2, 0.5, 0.8)), lambda m: m.d.ContinuousBernoulli(m.t(0.3, 0.6, 0.4))),
    "Dirichlet": (lambda m: m.d.Dirichlet(m.r(3, 4)), lambda m: m.d.Dirichlet(m.r(3, 4, seed=1))),
    "Exponential": (lambda m: m.d.Exponential(m.r(3)), lambda m: m.d.Exponential(m.r(3, seed=1))),
    "Gamma": (lambda m: m.d.Gamma(m.r(3), m.r(3, seed=1)), lambda m: m.d.Gamma(m.r(3, seed=2), m.r(3, seed=3))),
    "Geometric": (lambda m: m.d.Geometric(m.r(3, high=0.9)), lambda m: m.d.Geometric(m.r(3, high=0.9, seed=1))),
    "Gumbel": (lambda m: m.d.Gumbel(m.r(3), m.r(3)), lambda m: m.d.Gumbel(m.r(3, seed=1), m.r(3, seed=2))),
    "HalfNormal": (lambda m: m.d.HalfNormal(m.r(3)), lambda m: m.d.HalfNormal(m.r(3, seed=1))),
    "Independent": (lambda m: m.d.Independent(m.d.Normal(m.r(3, 2), m.r(3, 2)), 1),
                    lambda m: m.d.Independent(m.d.Normal(m.r(3, 2), m.r(3, 2, seed=1)), 1)),
    "Laplace": (lambda m: m.d.Laplace(m.r(3), m.r(3)), lambda m: m.d.Laplace(m.r(3, seed=1), m.r(3, seed=2))),
    "LowRankMultivariateNormal": (lambda m: m.d.LowRankMultivariateNormal(m.r(2, 3), m.r(2, 3, 2), m.r(2, 3)),
                                  lambda m: m.d.LowRankMultivariateNormal(m.r(2, 3, seed=1), m.r(3, 1, seed=2), m.r(3, seed=3))),
    "MultivariateNormal": (lambda m: m.d.MultivariateNormal(m.r(2, 3), m.cov(3, 2)), lambda m: m.d.MultivariateNormal(m.r(3, seed=1), m.cov(3, seed=2))),
    "Normal": (lambda m: m.d.Normal(m.r(3), m.r(3)), lambda m: m.d.Normal(m.r(3, seed=1), m.r(3, seed=2))),
    "OneHotCategorical": (lambda m: m.d.OneHotCategorical(m.r(3, 4)), lambda m: m.d.OneHotCategorical(m.r(3, 4, seed=1))),
    "Pareto": (lambda m: m.d.Pareto(m.r(3), m.t(3.0, 1.5, 0.5)), lambda m: m.d.Pareto(m.t(0.1, 0.2, 9.0), m.r(3, seed=2))),
    "Poisson": (lambda m: m.d.Poisson(m.r(3)), lambda m: m.d.Poisson(m.r(3, seed=1))),
    "TransformedDistribution": (lambda m: m.d.LogNormal(m.r(3), m.r(3)), lambda m: m.d.LogNormal(m.r(3, seed=1), m.r(3, seed=2))),
    "Uniform": (lambda m: m.d.Uniform(m.t(0.3, 0.2, -1.0), m.t(0.5, 0.9, 2.0)), lambda m: m.d.Uniform(m.t(0.0, 0.4, -2.0), m.t(1.0, 0.8, 3.0))),
}  # fmt: skip


def registered():
    """The pairs that PyTorch has a function for, by the names of their types."""
    names = [(p.__name__, q.__name__) for p, q in torch.distributions.kl._KL_REGISTRY]
    return sorted(n for n in names if n[0] in PAIRS and n[1] in PAIRS)


@pytest.mark.parametrize(("p", "q"), registered(), ids="-".join)
def test_divergence_and_gradients(p, q):
    found = []
    for framework in (rushlight, torch):
        make = Make(framework, requires_grad=True)
        result = framework.distributions.kl_divergence(PAIRS[p][0](make), PAIRS[q][1](make))
        finite = framework.isfinite(result)
        if result.requires_grad and finite.all():
            result.sum().backward()
        grads = [leaf.grad for leaf in make.leaves]
        found.append((result.detach().numpy(), [None if g is None else g.numpy() for g in grads]))
    (ours, our_grads), (theirs, their_grads) = found
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    for a, b in zip(our_grads, their_grads, strict=True):
        assert (a is None) == (b is None)
        if b is not None and np.isfinite(b).all():
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8)


def test_the_same_pairs_are_registered():
    def names(framework):
        return {(p.__name__, q.__name__) for p, q in framework.distributions.kl._KL_REGISTRY}

    missing = names(torch) - names(rushlight)
    assert not missing


def test_ambiguous_pairs_and_subclasses():
    d = rushlight.distributions

    class A(d.Normal):
        pass

    class B(A):
        pass

    d.register_kl(A, d.Normal)(lambda p, q: "left")
    d.register_kl(d.Normal, A)(lambda p, q: "right")
    a, n = A(0.0, 1.0), d.Normal(0.0, 1.0)
    assert d.kl_divergence(a, n) == "left"
    assert d.kl_divergence(n, B(0.0, 1.0)) == "right"
    with pytest.warns(RuntimeWarning, match="Ambiguous kl_divergence"):
        assert d.kl_divergence(a, a) == "left"
    assert d.kl_divergence(n, n).item() == 0
