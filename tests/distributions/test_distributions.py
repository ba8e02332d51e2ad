"""Every distribution against PyTorch's: samples of a seed, densities and their gradients, moments, printed forms."""

import warnings

import numpy as np
import pytest

import rushlight
from tests.distributions.table import CASES, Make

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:Singular sample detected")

cases = pytest.mark.parametrize("name", CASES)


def both(name, **options):
    """A distribution in both frameworks, and what made them."""
    if name == "GeneralizedPareto":  # PyTorch's takes no other type
        options["dtype"] = "float32"
    ours, theirs = Make(rushlight, **options), Make(torch, **options)
    return CASES[name](ours), CASES[name](theirs), ours, theirs


def same(ours, theirs, what="", tol=1e-9):
    """Compare two results."""
    assert type(ours).__name__ == type(theirs).__name__, what
    assert str(ours.dtype) == str(theirs.dtype), what
    assert tuple(ours.shape) == tuple(theirs.shape), what
    tol = max(tol, 2e-5) if ours.dtype is rushlight.float32 else tol
    np.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), rtol=tol, atol=tol, err_msg=what
    )


def draw(d, framework, shape, how):
    """Samples after a seed."""
    framework.manual_seed(7)
    return getattr(d, how)(shape)


def given(value):
    """One of PyTorch's samples as our tensor."""
    return rushlight.from_numpy(value.detach().numpy().copy())


def run(framework, call):
    """A result, or the type of the error."""
    try:
        return call()
    except (NotImplementedError, ValueError, RuntimeError, AttributeError) as e:
        assert type(e).__module__ == "builtins", framework
        return type(e)


@cases
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_samples(name, dtype):
    ours, theirs, *_ = both(name, dtype=dtype)
    for shape in ((), (5,), (2, 30)):
        a = draw(ours, rushlight, shape, "sample")
        b = draw(theirs, torch, shape, "sample")
        same(a, b, f"sample {shape}")
        assert rushlight.rand(1).item() == torch.rand(1).item(), "the streams go on differently"


@cases
def test_reparametrised_samples_and_their_gradients(name):
    ours, theirs, mine, others = both(name, requires_grad=True)
    assert ours.has_rsample == theirs.has_rsample
    if not theirs.has_rsample:
        return
    a, b = draw(ours, rushlight, (4,), "rsample"), draw(theirs, torch, (4,), "rsample")
    same(a, b, "rsample")
    if not b.requires_grad:
        assert not a.requires_grad
        return
    a.sin().sum().backward()
    try:
        b.sin().sum().backward()
    except RuntimeError as e:  # PyTorch's Wishart changes what it needs
        assert "modified by an inplace operation" in str(e)
        return
    # PyTorch approximates the implicit gradients of gamma and beta numbers.
    for x, y in zip(mine.leaves, others.leaves, strict=True):
        assert (x.grad is None) == (y.grad is None)
        if y.grad is not None:
            same(x.grad, y.grad, "gradient of rsample", 3e-3)


@cases
def test_log_prob_and_its_gradients(name):
    ours, theirs, mine, others = both(name, requires_grad=True)
    value = draw(theirs, torch, (3,), "sample")
    a, b = ours.log_prob(given(value)), theirs.log_prob(value)
    same(a, b, "log_prob")
    if b.requires_grad:
        a.exp().sum().backward()
        b.exp().sum().backward()
        for x, y in zip(mine.leaves, others.leaves, strict=True):
            assert (x.grad is None) == (y.grad is None)
            if y.grad is not None:
                same(x.grad, y.grad, "gradient of log_prob", 1e-8)


@cases
@pytest.mark.parametrize("what", ["entropy", "perplexity", "mean", "mode", "variance", "stddev"])
def test_moments(name, what):
    ours, theirs, mine, others = both(name, requires_grad=True)

    def get(d):
        value = getattr(d, what)
        return value() if callable(value) else value

    a, b = run(rushlight, lambda: get(ours)), run(torch, lambda: get(theirs))
    if isinstance(b, type):
        assert a is b
        return
    same(a, b, what)
    if b.requires_grad and torch.isfinite(b).all():
        a.sum().backward()
        b.sum().backward()
        for x, y in zip(mine.leaves, others.leaves, strict=True):
            if y.grad is not None and torch.isfinite(y.grad).all():
                same(x.grad, y.grad, f"gradient of {what}", 1e-7)


@cases
def test_distribution_functions(name):
    ours, theirs, *_ = both(name)
    value = draw(theirs, torch, (3,), "sample")
    a, b = run(rushlight, lambda: ours.cdf(given(value))), run(torch, lambda: theirs.cdf(value))
    assert a is b if isinstance(b, type) else same(a, b, "cdf") is None
    p = torch.tensor(0.3, dtype=value.dtype).expand(theirs.batch_shape).clone()
    a, b = run(rushlight, lambda: ours.icdf(given(p))), run(torch, lambda: theirs.icdf(p))
    assert a is b if isinstance(b, type) else same(a, b, "icdf") is None


@cases
def test_enumerate_support(name):
    ours, theirs, *_ = both(name)
    assert ours.has_enumerate_support == theirs.has_enumerate_support
    for expand in (True, False):
        a = run(rushlight, lambda expand=expand: ours.enumerate_support(expand))
        b = run(torch, lambda expand=expand: theirs.enumerate_support(expand))
        assert a is b if isinstance(b, type) else same(a, b, "enumerate_support") is None


@cases
def test_shapes_printed_forms_and_constraints(name):
    ours, theirs, *_ = both(name)
    assert repr(ours) == repr(theirs)
    assert (ours.batch_shape, ours.event_shape) == (tuple(theirs.batch_shape), tuple(theirs.event_shape))
    assert repr(ours.support) == repr(theirs.support)
    assert {k: repr(v) for k, v in ours.arg_constraints.items()} == {
        k: repr(v) for k, v in theirs.arg_constraints.items()
    }
    assert type(ours).__module__ == type(theirs).__module__.replace("torch", "rushlight")


@cases
def test_expand(name):
    ours, theirs, *_ = both(name)
    shape = (2, *theirs.batch_shape)
    a, b = ours.expand(shape), theirs.expand(shape)
    assert repr(a) == repr(b)
    assert type(a) is type(ours)
    value = draw(b, torch, (), "sample")
    same(draw(a, rushlight, (), "sample"), value, "sample of the expanded one")
    same(a.log_prob(given(value)), b.log_prob(value), "log_prob of the expanded one")
    same(ours.expand(ours.batch_shape).log_prob(given(value)), theirs.log_prob(value))


@cases
def test_values_outside_the_support(name):
    ours, theirs, *_ = both(name)
    for number in (-3.5, float("nan")):
        value = torch.full(theirs.batch_shape + theirs.event_shape, number)
        a, b = run(rushlight, lambda: ours.log_prob(given(value))), run(torch, lambda: theirs.log_prob(value))  # noqa: B023
        assert (a is b) if isinstance(b, type) else not isinstance(a, type)


def test_errors():
    nan = float("nan")
    calls = [
        lambda m: m.d.Normal(m.t(0.0), m.t(-1.0)),
        lambda m: m.d.Normal(m.t(nan), m.t(1.0)),
        lambda m: m.d.Normal("x", 1),
        lambda m: m.d.Normal(0.0, 1.0).log_prob(1.0),
        lambda m: m.d.Normal(m.r(3), m.r(3)).log_prob(m.r(2)),
        lambda m: m.d.Bernoulli(1.5),
        lambda m: m.d.Bernoulli(),
        lambda m: m.d.Bernoulli(0.5, 0.5),
        lambda m: m.d.Bernoulli(m.t(0.5, 0.2)).log_prob(m.t(0.0, 2.0)),
        lambda m: m.d.Categorical(m.t(0.5)),
        lambda m: m.d.Categorical(m.t(0.5, -0.5, 1.0)),
        lambda m: m.d.Categorical(m.r(3)).log_prob(m.t(5.0)),
        lambda m: m.d.Dirichlet(m.t(1.0)),
        lambda m: m.d.Dirichlet(m.r(3)).log_prob(m.t(0.5, 0.6, 0.1)),
        lambda m: m.d.Geometric(m.t(0.0)),
        lambda m: m.d.Uniform(m.t(1.0), m.t(0.0)),
        lambda m: m.d.Uniform(0.0, 1.0).log_prob(m.t(2.0)),
        lambda m: m.d.Multinomial(m.t(2.0), m.r(3)),
        lambda m: m.d.Binomial(m.t(2.0, 3.0), m.t(0.5)).entropy(),
        lambda m: m.d.Independent(m.d.Normal(0.0, 1.0), 1),
        lambda m: m.d.Independent(m.d.Bernoulli(m.r(3, high=0.9)), 1).enumerate_support(),
        lambda m: m.d.LKJCholesky(1),
        lambda m: m.d.MultivariateNormal(m.t(1.0), m.cov(1)),
        lambda m: m.d.MultivariateNormal(m.r(2)),
        lambda m: m.d.MultivariateNormal(m.r(2), m.t(1.0)),
        lambda m: m.d.MultivariateNormal(m.r(2), -m.cov(2)),
        lambda m: m.d.LowRankMultivariateNormal(m.r(2), m.r(3, 1), m.r(2)),
        lambda m: m.d.LowRankMultivariateNormal(m.r(2), m.r(2, 1), m.r(3)),
        lambda m: m.d.Wishart(m.t(0.5), m.cov(3)),
        lambda m: m.d.Wishart(m.t(4.5)),
        lambda m: m.d.MixtureSameFamily(m.d.Normal(0.0, 1.0), m.d.Normal(m.r(2), 1.0)),
        lambda m: m.d.MixtureSameFamily(m.d.Categorical(m.r(3)), m.d.Normal(m.r(2), 1.0)),
        lambda m: m.d.TransformedDistribution(m.d.Normal(0.0, 1.0), 3),
        lambda m: m.d.TransformedDistribution(m.d.Normal(0.0, 1.0), [3]),
        lambda m: m.d.TransformedDistribution(m.d.Normal(0.0, 1.0), m.d.StickBreakingTransform()),
        lambda m: m.d.kl_divergence(m.d.Normal(0.0, 1.0), m.d.Poisson(1.0)),
        lambda m: m.d.kl_divergence(m.d.Binomial(2, m.t(0.5)), m.d.Binomial(3, m.t(0.5))),
        lambda m: m.d.biject_to(m.d.constraints.one_hot),
    ]  # fmt: skip
    for i, call in enumerate(calls):
        with pytest.raises(Exception) as theirs:
            call(Make(torch))
        with pytest.raises(Exception) as ours:
            call(Make(rushlight))
        assert type(ours.value) is type(theirs.value), f"{i}: {ours.value!r}, PyTorch's {theirs.value!r}"
        if isinstance(theirs.value, ValueError):
            assert str(ours.value)[:60] == str(theirs.value)[:60]


def test_invalid_parameters_are_named():
    with pytest.raises(ValueError) as theirs:
        torch.distributions.Gamma(torch.tensor([1.0, -2.0]), torch.tensor([1.0, 1.0]))
    with pytest.raises(ValueError) as ours:
        rushlight.distributions.Gamma(rushlight.tensor([1.0, -2.0]), rushlight.tensor([1.0, 1.0]))
    assert str(ours.value) == str(theirs.value)


def test_validation_can_be_switched_off():
    d = rushlight.distributions
    assert d.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    d.Distribution.set_default_validate_args(False)
    try:
        assert d.Bernoulli(0.5).log_prob(rushlight.tensor(0.5)).item() < 0
    finally:
        d.Distribution.set_default_validate_args(True)


def test_user_distributions():
    d = rushlight.distributions

    class Plain(d.Distribution):
        def sample(self, sample_shape=()):
            return rushlight.zeros(sample_shape)

    with pytest.warns(UserWarning, match="arg_constraints"):
        plain = Plain()
    with pytest.raises(NotImplementedError):
        plain.expand((2,))
    with pytest.raises(ValueError):
        d.Distribution.set_default_validate_args(2)
    with pytest.warns(FutureWarning, match="sample_n"):
        assert plain.sample_n(3).shape == (3,)

    class Named(d.Normal):
        def __init__(self, name):
            super().__init__(0.0, 1.0)

    with pytest.raises(NotImplementedError, match="custom __init__"):
        Named("x").expand((2,))

    class Twice(d.ExponentialFamily):
        arg_constraints = {"rate": d.constraints.positive}

        def __init__(self, rate):
            self.rate = rate
            super().__init__(rate.shape)

        _mean_carrier_measure = 0

        @property
        def _natural_params(self):
            return (-self.rate,)

        def _log_normalizer(self, x):
            return -rushlight.log(-x)

    rate = rushlight.tensor([0.5, 2.0])
    same_as = d.Exponential(rate).entropy().tolist()
    assert Twice(rate).entropy().tolist() == pytest.approx(same_as)
    found = d.kl_divergence(Twice(rate), Twice(rate * 2)).tolist()
    assert found == pytest.approx(d.kl_divergence(d.Exponential(rate), d.Exponential(rate * 2)).tolist())


def test_no_second_derivative_of_samples():
    x = rushlight.tensor([2.0, 3.0], requires_grad=True)
    y = rushlight.distributions.Gamma(x, 1.0).rsample()
    (g,) = rushlight.autograd.grad(y.sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="_standard_gamma_grad"):
        g.sum().backward()


def test_wishart_warns_of_few_degrees_of_freedom():
    for framework in (torch, rushlight):
        with pytest.warns(UserWarning, match="Low df"), warnings.catch_warnings(record=False):
            framework.distributions.Wishart(framework.tensor(2.5), framework.eye(3))
