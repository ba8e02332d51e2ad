"""Transforms and constraints against PyTorch's: values, inverses, Jacobians, gradients, caches, registries."""

import numpy as np
import pytest

import rushlight
from tests.distributions.table import Make

torch = pytest.importorskip("torch")

WIDE, POSITIVE = {"low": -2.0}, {"low": 0.2}

#: name -> the transform, and the shape and range of what it transforms
TRANSFORMS = {
    "abs": (lambda m: m.d.AbsTransform(), (3, 4), WIDE),
    "affine": (lambda m: m.d.AffineTransform(m.t(1.0), m.t(-2.0, 0.5, 1.0, 3.0)), (3, 4), WIDE),
    "affine-number": (lambda m: m.d.AffineTransform(1.0, -2.0), (3, 4), WIDE),
    "affine-event": (lambda m: m.d.AffineTransform(m.t(1.0), m.t(-2.0, 0.5, 1.0, 3.0), event_dim=1), (3, 4), WIDE),
    "cat": (lambda m: m.d.CatTransform([m.d.ExpTransform(), m.d.TanhTransform()], dim=-1, lengths=[1, 3]), (3, 4), WIDE),
    "compose": (lambda m: m.d.ComposeTransform([m.d.AffineTransform(0.5, 2.0), m.d.SigmoidTransform()]), (3, 4), WIDE),
    "compose-events": (lambda m: m.d.ComposeTransform([m.d.ExpTransform(), m.d.ExpTransform().inv, m.d.StickBreakingTransform()]), (3, 4), WIDE),
    "corr-cholesky": (lambda m: m.d.CorrCholeskyTransform(), (2, 6), WIDE),
    "cdf": (lambda m: m.d.CumulativeDistributionTransform(m.d.Normal(m.t(0.0), m.t(1.0))), (3, 4), WIDE),
    "exp": (lambda m: m.d.ExpTransform(), (3, 4), WIDE),
    "identity": (lambda m: m.d.identity_transform, (3,), WIDE),
    "independent": (lambda m: m.d.IndependentTransform(m.d.ExpTransform(), 1), (3, 4), WIDE),
    "inverse": (lambda m: m.d.ExpTransform().inv, (3, 4), POSITIVE),
    "lower-cholesky": (lambda m: m.d.LowerCholeskyTransform(), (2, 3, 3), WIDE),
    "positive-definite": (lambda m: m.d.PositiveDefiniteTransform(), (2, 3, 3), WIDE),
    "power": (lambda m: m.d.PowerTransform(m.t(2.0, -0.5, 1.0, 3.0)), (3, 4), POSITIVE),
    "reshape": (lambda m: m.d.ReshapeTransform((4,), (2, 2)), (3, 4), WIDE),
    "sigmoid": (lambda m: m.d.SigmoidTransform(), (3, 4), WIDE),
    "softmax": (lambda m: m.d.SoftmaxTransform(), (3, 4), WIDE),
    "softplus": (lambda m: m.d.SoftplusTransform(), (3, 4), WIDE),
    "stack": (lambda m: m.d.StackTransform([m.d.ExpTransform(), m.d.TanhTransform(), m.d.identity_transform], dim=0), (3, 4), WIDE),
    "stick-breaking": (lambda m: m.d.StickBreakingTransform(), (3, 4), WIDE),
    "tanh": (lambda m: m.d.TanhTransform(), (3, 4), WIDE),
}  # fmt: skip
names = pytest.mark.parametrize("name", TRANSFORMS)


def results(framework, name) -> dict:
    """All that a transform computes."""
    make, shape, limits = TRANSFORMS[name]
    m = Make(framework, requires_grad=True)
    t, x = make(m), m.r(*shape, **limits)
    y = t(x)
    back = t.inv(y.detach())
    found = {"y": y, "back": back, "forward_shape": tuple(t.forward_shape(x.shape)), "repr": repr(t)}
    found["inverse_shape"] = tuple(t.inverse_shape(y.shape))
    found["bijective"] = t.bijective
    for end in ("domain", "codomain"):
        constraint = getattr(t, end)
        found[end] = repr(constraint)
        found[f"{end} dims"] = constraint.event_dim
        found[f"{end} check"] = constraint.check(x if end == "domain" else y)
    try:
        found["sign"] = t.sign
    except NotImplementedError:
        found["sign"] = None
    try:
        jacobian = t.log_abs_det_jacobian(x, y)
        found["jacobian"], found["inverse jacobian"] = jacobian, t.inv.log_abs_det_jacobian(y, x)
        total = jacobian.sum() + (y * y).sum()
    except NotImplementedError:
        total = (y * y).sum()
    total.backward()
    for i, leaf in enumerate(m.leaves):
        found[f"gradient {i}"] = leaf.grad
    return found


@names
def test_values(name):
    ours, theirs = results(rushlight, name), results(torch, name)
    assert ours.keys() == theirs.keys()
    for what, b in theirs.items():
        a = ours[what]
        if isinstance(b, torch.Tensor):
            assert str(a.dtype) == str(b.dtype), what
            assert tuple(a.shape) == tuple(b.shape), what
            np.testing.assert_allclose(
                a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-9, err_msg=what
            )
        else:
            assert a == b, what


@names
def test_cache_and_equality(name):
    make, shape, limits = TRANSFORMS[name]
    m, n = Make(rushlight), Make(torch)
    t = make(m)
    assert (t == make(m)) == (make(n) == make(n))
    assert t.inv.inv == t
    cached = t.with_cache(1)
    assert cached.with_cache(1) is cached
    x = m.r(*shape, **limits)
    y = cached(x)
    if name != "compose-events":
        assert cached(x) is y
        assert cached.inv(y) is x


def test_transform_errors():
    calls = [
        lambda m: m.d.ExpTransform(cache_size=2),
        lambda m: m.d.ReshapeTransform((2,), (3,)),
        lambda m: m.d.ReshapeTransform((2, 2), (4,)).forward_shape(m.torch.Size((3, 4))),
        lambda m: m.d.ReshapeTransform((2, 2), (4,)).inverse_shape(m.torch.Size(())),
        lambda m: m.d.CorrCholeskyTransform().forward_shape(m.torch.Size((2,))),
        lambda m: m.d.CorrCholeskyTransform().inverse_shape(m.torch.Size((2, 3))),
        lambda m: m.d.CorrCholeskyTransform()(m.r(2)),
        lambda m: m.d.StickBreakingTransform().forward_shape(m.torch.Size(())),
        lambda m: m.d.IndependentTransform(m.d.ExpTransform(), 2)(m.r(3)),
        lambda m: m.d.CatTransform([m.d.ExpTransform()], lengths=[1, 2]),
        lambda m: m.d.CatTransform([3]),
        lambda m: m.d.CatTransform([m.d.ExpTransform()])(m.r(3)),
        lambda m: m.d.StackTransform([m.d.ExpTransform()])(m.r(3)),
        lambda m: m.d.StackTransform([m.d.ExpTransform()], dim=2)(m.r(3)),
        lambda m: m.d.CorrCholeskyTransform().event_dim,
        lambda m: m.d.AbsTransform().log_abs_det_jacobian(m.r(2), m.r(2)),
        lambda m: m.d.utils.tril_matrix_to_vec(m.r(2, 2), 5),
        lambda m: m.d.utils.vec_to_tril_matrix(m.r(2)),
    ]
    for i, call in enumerate(calls):
        with pytest.raises(Exception) as theirs:
            call(Make(torch))
        with pytest.raises(Exception) as ours:
            call(Make(rushlight))
        assert type(ours.value) is type(theirs.value), f"{i}: {ours.value!r}, PyTorch's {theirs.value!r}"


#: name -> the constraint, and values to check
CONSTRAINTS = {
    "boolean": (lambda m, c: c.boolean, [0.0, 1.0, 0.5]),
    "cat": (lambda m, c: c.cat([c.positive, c.unit_interval], -1, [1, 2]), [[0.5, 0.5, 2.0], [-1.0, 0.0, 1.0]]),
    "corr_cholesky": (lambda m, c: c.corr_cholesky, [[[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [0.6, 0.9]]]),
    "greater_than": (lambda m, c: c.greater_than(m.t(1.0)), [0.0, 1.0, 2.0]),
    "greater_than_eq": (lambda m, c: c.greater_than_eq(1), [0.0, 1.0, 2.0]),
    "half_open_interval": (lambda m, c: c.half_open_interval(0.0, 1.0), [0.0, 1.0, 2.0]),
    "independent": (lambda m, c: c.independent(c.positive, 1), [[0.0, 1.0], [2.0, 1.0]]),
    "integer_interval": (lambda m, c: c.integer_interval(0, 3), [0.0, 1.5, 3.0, 4.0]),
    "interval": (lambda m, c: c.interval(-1.0, m.t(1.0)), [-2.0, 0.0, 1.0]),
    "less_than": (lambda m, c: c.less_than(1.0), [0.0, 1.0]),
    "lower_cholesky": (lambda m, c: c.lower_cholesky, [[[1.0, 0.0], [2.0, 3.0]], [[1.0, 0.0], [2.0, -3.0]], [[1.0, 1.0], [2.0, 3.0]]]),
    "lower_triangular": (lambda m, c: c.lower_triangular, [[[1.0, 0.0], [2.0, 3.0]], [[1.0, 1.0], [2.0, 3.0]]]),
    "mixture": (lambda m, c: c.MixtureSameFamilyConstraint(c.interval(m.t(0.0, 1.0), 3.0)), [0.5, 2.0]),
    "multinomial": (lambda m, c: c.multinomial(3), [[1.0, 2.0], [1.0, 3.0], [-1.0, 2.0]]),
    "nonnegative": (lambda m, c: c.nonnegative, [-1.0, 0.0, 1.0]),
    "nonnegative_integer": (lambda m, c: c.nonnegative_integer, [-1.0, 0.0, 1.5]),
    "one_hot": (lambda m, c: c.one_hot, [[0.0, 1.0], [1.0, 1.0], [0.5, 0.5]]),
    "positive": (lambda m, c: c.positive, [-1.0, 0.0, 1.0]),
    "positive_definite": (lambda m, c: c.positive_definite, [[[2.0, 1.0], [1.0, 2.0]], [[1.0, 2.0], [2.0, 1.0]]]),
    "positive_integer": (lambda m, c: c.positive_integer, [-1.0, 1.0, 1.5]),
    "positive_semidefinite": (lambda m, c: c.positive_semidefinite, [[[1.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]]),
    "real": (lambda m, c: c.real, [float("nan"), 1.0]),
    "real_vector": (lambda m, c: c.real_vector, [[float("nan"), 1.0], [1.0, 1.0]]),
    "simplex": (lambda m, c: c.simplex, [[0.5, 0.5], [0.5, 0.6], [-0.5, 1.5]]),
    "square": (lambda m, c: c.square, [[[1.0, 2.0], [3.0, 4.0]]]),
    "stack": (lambda m, c: c.stack([c.positive, c.unit_interval], 0), [[0.5, -1.0], [0.5, 2.0]]),
    "symmetric": (lambda m, c: c.symmetric, [[[1.0, 2.0], [2.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]]]),
    "unit_interval": (lambda m, c: c.unit_interval, [-0.5, 0.5, 1.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints(name):
    found = []
    for framework in (rushlight, torch):
        m = Make(framework)
        make, value = CONSTRAINTS[name]
        constraint = make(m, m.d.constraints)
        made = {"check": constraint.check(m.t(value)).tolist(), "repr": repr(constraint)}
        made |= {"event_dim": constraint.event_dim, "is_discrete": constraint.is_discrete}
        for registry in ("biject_to", "transform_to"):
            try:
                t = getattr(m.d, registry)(constraint)
            except NotImplementedError:
                made[registry] = None
                continue
            shape = (2, 2, 2)[: max(1, t.domain.event_dim)] if name not in ("cat", "stack") else (2, 3)
            x = m.r(*((1,) if name == "corr_cholesky" else shape), low=-2.0)
            y = t(x)
            made[registry] = (repr(t), np.round(y.tolist(), 9).tolist(), constraint.check(y).tolist())
        found.append(made)
    assert found[0] == found[1]


def test_dependent_constraints():
    c = rushlight.distributions.constraints
    assert c.is_dependent(c.dependent) and not c.is_dependent(c.real)
    assert c.dependent(event_dim=1).event_dim == 1
    for name in ("event_dim", "is_discrete"):
        with pytest.raises(NotImplementedError):
            getattr(c.dependent, name)
    with pytest.raises(ValueError):
        c.dependent.check(rushlight.zeros(1))
    assert rushlight.distributions.Uniform.support.event_dim == 0
    with pytest.raises(TypeError):
        rushlight.distributions.biject_to.register(3, None)(lambda c: c)


def test_registering_a_constraint():
    d = rushlight.distributions

    class Even(d.constraints.Constraint):
        pass

    d.transform_to.register(Even)(lambda constraint: d.ExpTransform())
    assert isinstance(d.transform_to(Even()), d.ExpTransform)
    with pytest.raises(NotImplementedError, match="Cannot transform Even constraints"):
        d.biject_to(Even())
