"""Distributions with parameters, made alike in both frameworks."""

import numpy as np


class Make:
    """A framework, with short names for its tensors and distributions."""

    def __init__(self, torch, requires_grad=False, dtype="float64"):
        self.torch, self.d = torch, torch.distributions
        self.requires_grad, self.dtype = requires_grad, getattr(torch, dtype)
        self.leaves = []

    def t(self, *values):
        """A parameter."""
        leaf = self.torch.tensor(values[0] if len(values) == 1 else list(values), dtype=self.dtype)
        if self.requires_grad:
            leaf.requires_grad_()
            self.leaves.append(leaf)
        return leaf

    def r(self, *shape, low=0.3, high=2.0, seed=0):
        """A parameter drawn uniformly."""
        return self.t(np.random.default_rng(seed).uniform(low, high, shape).tolist())

    def cov(self, n, *batch, seed=0):
        """A positive definite matrix."""
        a = np.random.default_rng(seed).normal(size=(*batch, n, n))
        return self.t((a @ np.swapaxes(a, -1, -2) + n * np.eye(n)).tolist())

    def tril(self, n, *batch, seed=0):
        """A lower Cholesky factor."""
        a = np.random.default_rng(seed).normal(size=(*batch, n, n))
        return self.t(np.linalg.cholesky(a @ np.swapaxes(a, -1, -2) + n * np.eye(n)).tolist())


#: name -> how to make it
CASES = {
    "Bernoulli-probs": lambda m: m.d.Bernoulli(m.t(0.2, 0.7, 0.5)),
    "Bernoulli-logits": lambda m: m.d.Bernoulli(logits=m.t([[0.2, -1.7], [3.0, 0.0]])),
    "Beta": lambda m: m.d.Beta(m.t(0.5, 1.5, 3.0), m.t(0.7, 2.0, 1.2)),
    "Beta-broadcast": lambda m: m.d.Beta(m.r(3, 1), m.r(2, seed=1)),
    "Binomial": lambda m: m.d.Binomial(12, m.t(0.1, 0.5, 0.9)),
    "Binomial-many": lambda m: m.d.Binomial(200, logits=m.t(0.3, -0.5)),
    "Categorical-probs": lambda m: m.d.Categorical(m.r(3, 4)),
    "Categorical-logits": lambda m: m.d.Categorical(logits=m.r(5, low=-2)),
    "Cauchy": lambda m: m.d.Cauchy(m.t(0.0, 1.0), m.t(1.0, 2.5)),
    "Chi2": lambda m: m.d.Chi2(m.t(1.0, 4.0)),
    "ContinuousBernoulli": lambda m: m.d.ContinuousBernoulli(m.t(0.2, 0.4995, 0.9)),
    "ContinuousBernoulli-logits": lambda m: m.d.ContinuousBernoulli(logits=m.t(0.3, -2.0)),
    "Dirichlet": lambda m: m.d.Dirichlet(m.r(2, 3)),
    "Dirichlet-large": lambda m: m.d.Dirichlet(m.t(20.0, 5.0, 1.5)),
    "Exponential": lambda m: m.d.Exponential(m.t(0.5, 2.0)),
    "FisherSnedecor": lambda m: m.d.FisherSnedecor(m.t(3.0, 5.0), m.t(6.0, 3.0)),
    "Gamma": lambda m: m.d.Gamma(m.t(0.5, 3.0, 20.0), m.t(1.0, 2.0, 0.5)),
    "GeneralizedPareto": lambda m: m.d.GeneralizedPareto(m.t(0.0, 1.0, 0.0), m.t(1.0, 2.0, 1.0), m.t(0.3, -0.4, 0.0)),
    "Geometric": lambda m: m.d.Geometric(m.t(0.2, 0.7)),
    "Geometric-logits": lambda m: m.d.Geometric(logits=m.t(0.2, -0.7)),
    "Gumbel": lambda m: m.d.Gumbel(m.t(0.0, 1.0), m.t(1.0, 2.0)),
    "HalfCauchy": lambda m: m.d.HalfCauchy(m.t(1.0, 2.0)),
    "HalfNormal": lambda m: m.d.HalfNormal(m.t(1.0, 2.0)),
    "Independent": lambda m: m.d.Independent(m.d.Normal(m.r(2, 3), m.r(2, 3, seed=1)), 1),
    "InverseGamma": lambda m: m.d.InverseGamma(m.t(3.0, 1.5), m.t(2.0, 0.5)),
    "Kumaraswamy": lambda m: m.d.Kumaraswamy(m.t(1.5, 3.0), m.t(2.0, 1.2)),
    "LKJCholesky": lambda m: m.d.LKJCholesky(3, m.t(0.5, 2.0)),
    "Laplace": lambda m: m.d.Laplace(m.t(0.0, 1.0), m.t(1.0, 2.0)),
    "LogNormal": lambda m: m.d.LogNormal(m.t(0.0, 1.0), m.t(1.0, 0.5)),
    "LogisticNormal": lambda m: m.d.LogisticNormal(m.r(2, 3, low=-1), m.r(2, 3, seed=1)),
    "LowRankMultivariateNormal": lambda m: m.d.LowRankMultivariateNormal(m.r(2, 3), m.r(2, 3, 2), m.r(2, 3, seed=1)),
    "MixtureSameFamily": lambda m: m.d.MixtureSameFamily(
        m.d.Categorical(m.r(2, 3)), m.d.Normal(m.r(2, 3, low=-3), m.r(2, 3, seed=1))),
    "MixtureSameFamily-event": lambda m: m.d.MixtureSameFamily(
        m.d.Categorical(m.r(3)), m.d.Independent(m.d.Normal(m.r(3, 2, low=-3), m.r(3, 2, seed=1)), 1)),
    "Multinomial": lambda m: m.d.Multinomial(6, m.r(2, 3)),
    "MultivariateNormal-covariance": lambda m: m.d.MultivariateNormal(m.r(3), m.cov(3)),
    "MultivariateNormal-precision": lambda m: m.d.MultivariateNormal(m.r(2, 3), precision_matrix=m.cov(3)),
    "MultivariateNormal-tril": lambda m: m.d.MultivariateNormal(m.r(2, 1, 3), scale_tril=m.tril(3, 2)),
    "NegativeBinomial": lambda m: m.d.NegativeBinomial(m.t(3.0, 1.5), m.t(0.3, 0.8)),
    "Normal": lambda m: m.d.Normal(m.t(0.0, 1.0), m.t(1.0, 2.0)),
    "Normal-numbers": lambda m: m.d.Normal(0.5, 2),
    "OneHotCategorical": lambda m: m.d.OneHotCategorical(m.r(2, 3)),
    "OneHotCategoricalStraightThrough": lambda m: m.d.OneHotCategoricalStraightThrough(logits=m.r(2, 3)),
    "Pareto": lambda m: m.d.Pareto(m.t(1.0, 0.5), m.t(3.0, 1.5)),
    "Poisson": lambda m: m.d.Poisson(m.t(0.5, 4.0, 30.0)),
    "RelaxedBernoulli": lambda m: m.d.RelaxedBernoulli(m.t(0.7), m.t(0.2, 0.6)),
    "RelaxedOneHotCategorical": lambda m: m.d.RelaxedOneHotCategorical(m.t(0.7), logits=m.r(2, 3)),
    "StudentT": lambda m: m.d.StudentT(m.t(0.8, 1.5, 4.0), m.t(0.0, 1.0, -1.0), m.t(1.0, 2.0, 0.5)),
    "TransformedDistribution": lambda m: m.d.TransformedDistribution(
        m.d.Normal(m.t(0.0, 1.0), m.t(1.0, 0.5)), [m.d.AffineTransform(1.0, m.t(-2.0, 0.5)), m.d.SigmoidTransform()]),
    "Uniform": lambda m: m.d.Uniform(m.t(-1.0, 0.0), m.t(1.0, 5.0)),
    "VonMises": lambda m: m.d.VonMises(m.t(0.0, 1.0), m.t(0.5, 9.0)),
    "Weibull": lambda m: m.d.Weibull(m.t(1.0, 2.0), m.t(1.5, 2.5)),
    "Wishart": lambda m: m.d.Wishart(m.t(4.5), covariance_matrix=m.cov(3)),
    "Wishart-batch": lambda m: m.d.Wishart(m.t(4.5, 6.0), scale_tril=m.tril(2, 2)),
}  # fmt: skip
