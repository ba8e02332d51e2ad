"""In-place operations on a tensor without a gradient, with arguments that have one: what the nodes save survives."""

import pytest

import rushlight

torch = pytest.importorskip("torch")

POSITIONS = [[0, 1, 2], [2, 0, 1], [1, 1, 0]]


def table(t):
    """Names of methods and their arguments after the tensor, given values that have gradients."""
    index, rows = t.tensor(POSITIONS), t.tensor([0, 2, 1])
    return {
        **{
            name: lambda v: (v,)
            for name in ("mul_", "div_", "pow_", "atan2_", "hypot_", "xlogy_", "fmod_", "remainder_")
        },
        **{
            f"scatter_reduce_ {how}": lambda v, how=how: (0, index, v, how)
            for how in ("sum", "prod", "mean", "amax", "amin")
        },
        **{
            f"index_reduce_ {how}": lambda v, how=how: (0, rows, v, how)
            for how in ("prod", "mean", "amax", "amin")
        },
        "addcmul_": lambda v: (v, v * 2),
        "addcdiv_": lambda v: (v, v * 2),
        "lerp_": lambda v: (v, v * 0.3),
        "addmm_": lambda v: (v, v),
        "copysign_": lambda v: (v - 0.5,),
        "index_add_": lambda v: (0, rows, v),
        "index_copy_": lambda v: (0, rows, v),
        "scatter_": lambda v: (0, rows[:, None].expand(3, 3), v),
        "scatter_add_": lambda v: (0, index, v),
        "masked_scatter_": lambda v: (index > 0, v),
        "put_": lambda v: (rows, v[0]),
    }


@pytest.mark.parametrize("name", table(rushlight))
def test_gradients_of_arguments(name):
    found = []
    for t in (rushlight, torch):
        x = (t.arange(9.0).reshape(3, 3) * 0.37 + 0.4) % 1 + 0.1
        values = ((t.arange(9.0).reshape(3, 3) * 0.29 + 0.2) % 1 + 0.1).requires_grad_()
        y = getattr(x, name.partition(" ")[0])(*table(t)[name](values))
        assert y is x
        (gradient,) = t.autograd.grad((y * t.arange(1.0, 10.0).reshape(3, 3)).sum(), values)
        found.append((y.detach().numpy(), gradient.numpy()))
    for ours, theirs in zip(*found, strict=True):
        assert abs(ours - theirs).max() < 1e-5
