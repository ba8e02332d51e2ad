"""The random numbers that distributions are made of: PyTorch's, after the same seed."""

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
SHAPES = 10 ** RNG.uniform(-2, 3, 300)
COUNTS = np.floor(10 ** RNG.uniform(0, 4, 300))
CHANCES = np.where(np.arange(300) % 2, RNG.uniform(0, 1, 300), RNG.uniform(0, 0.05, 300))
CHANCES[:3] = 0, 1, 0.5

#: name -> a call with a function that makes tensors
CALLS = {
    "gamma": lambda torch, t: torch._standard_gamma(t(SHAPES)),
    "gamma-expanded": lambda torch, t: torch._standard_gamma(t(SHAPES[:5]).expand(7, 5)),
    "gamma-transposed": lambda torch, t: torch._standard_gamma(t(SHAPES[:12]).reshape(3, 4).t()),
    "gamma-zero": lambda torch, t: torch._standard_gamma(t(np.array([0.0, 1e-9, 1.0]))),
    "dirichlet": lambda torch, t: torch._sample_dirichlet(t(SHAPES).reshape(-1, 5)),
    "dirichlet-small": lambda torch, t: torch._sample_dirichlet(t(np.full((9, 3), 0.01))),
    "binomial": lambda torch, t: torch.binomial(t(COUNTS), t(CHANCES)),
    "binomial-transposed": lambda torch, t: torch.binomial(t(COUNTS[:12]).reshape(3, 4).t(), t(CHANCES[:12]).reshape(3, 4).t()),
    "binomial-broadcast": lambda torch, t: torch.binomial(t(COUNTS[:12]).reshape(3, 4), t(CHANCES[:4])),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_numbers(name, dtype):
    found = []
    for framework in (rushlight, torch):
        framework.manual_seed(3)
        kind = getattr(framework, dtype)
        drawn = CALLS[name](framework, lambda a: framework.from_numpy(np.array(a)).to(kind))  # noqa: B023
        found.append((drawn.numpy(), framework.rand(1).item()))
    (ours, our_next), (theirs, their_next) = found
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=1e-6 if dtype == "float32" else 1e-14)
    assert our_next == their_next


def test_generators():
    g, h = rushlight.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    ours = rushlight._standard_gamma(rushlight.ones(4), generator=g)
    assert ours.tolist() == torch._standard_gamma(torch.ones(4), generator=h).tolist()
    counts = rushlight.binomial(rushlight.full((4,), 9.0), rushlight.full((4,), 0.3), generator=g)
    assert (
        counts.tolist() == torch.binomial(torch.full((4,), 9.0), torch.full((4,), 0.3), generator=h).tolist()
    )


def test_wrong_inputs():
    calls = [
        lambda torch: torch._standard_gamma(torch.tensor([1])),
        lambda torch: torch._sample_dirichlet(torch.tensor([1])),
        lambda torch: torch.binomial(torch.tensor([1]), torch.tensor([0.5])),
        lambda torch: torch.binomial(torch.tensor([1.0]), torch.tensor([0.5]).double()),
        lambda torch: torch.binomial(1.0, torch.tensor([0.5])),
    ]
    for call in calls:
        with pytest.raises(Exception) as theirs:
            call(torch)
        with pytest.raises(Exception) as ours:
            call(rushlight)
        assert type(ours.value) is type(theirs.value)


def test_gradient_of_gamma_numbers():
    found = []
    for framework in (rushlight, torch):
        framework.manual_seed(0)
        shape = framework.from_numpy(SHAPES.copy()).requires_grad_()
        x = framework._standard_gamma(shape)
        assert x.grad_fn.name() == "StandardGammaBackward0"
        x.sum().backward()
        found.append(shape.grad.numpy())
    np.testing.assert_allclose(*found, rtol=2e-3)


def test_random_numbers_have_no_other_gradients():
    p = rushlight.tensor([0.5], requires_grad=True)
    rushlight.binomial(rushlight.tensor([4.0]), p).sum().backward()
    assert p.grad.tolist() == [0.0]
