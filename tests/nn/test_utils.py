"""Tools for parameters and gradients, and the functions that are not ops, against PyTorch."""

import math

import numpy as np
import pytest

import rushlight
import rushlight.nn

torch = pytest.importorskip("torch")
BOTH = pytest.mark.parametrize("t", [rushlight, torch], ids=["ours", "theirs"])


def with_gradients(t, scale: float = 1.0) -> list:
    """Three parameters, two of them with gradients."""
    rng = np.random.default_rng(0)
    made = [t.nn.Parameter(t.from_numpy(rng.normal(size=s).astype("float32"))) for s in ((2, 3), (4,), (1,))]
    for param in made[:2]:
        param.grad = t.from_numpy((scale * rng.normal(size=tuple(param.shape))).astype("float32"))
    return made


CLIPS = [
    lambda t, ps: t.nn.utils.clip_grad_norm_(ps, 1.0), lambda t, ps: t.nn.utils.clip_grad_norm_(ps, 1e6),
    lambda t, ps: t.nn.utils.clip_grad_norm_(iter(ps), 0.5, norm_type=1),
    lambda t, ps: t.nn.utils.clip_grad_norm_(ps, 0.5, norm_type=math.inf),
    lambda t, ps: t.nn.utils.clip_grad_norm_(ps[0], 0.5, norm_type="inf"),
    lambda t, ps: t.nn.utils.clip_grad_norm_([], 0.5), lambda t, ps: t.nn.utils.clip_grad_norm_(ps[2:], 0.5),
    lambda t, ps: t.nn.utils.clip_grad_norm_((p for p in ps), 0.5, foreach=False),
    lambda t, ps: t.nn.utils.clip_grad_value_(ps, 0.2), lambda t, ps: t.nn.utils.clip_grad_value_(ps[0], 0.2),
    lambda t, ps: t.nn.utils.get_total_norm([p.grad for p in ps[:2]]),
    lambda t, ps: t.nn.utils.clip_grads_with_norm_(ps, 1.0, t.tensor(3.0)),
]  # fmt: skip


@pytest.mark.parametrize("clip", CLIPS)
def test_clips_as_pytorch(clip):
    results = []
    for t in (rushlight, torch):
        params = with_gradients(t)
        norm = clip(t, params)
        results.append([norm, *[p.grad for p in params]])
    for ours, theirs in zip(*results, strict=True):
        if theirs is None:
            assert ours is None
        else:
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6, strict=True)


@BOTH
def test_clipping_warns_and_refuses(t):
    with pytest.warns(UserWarning, match="empty generator"):
        t.nn.utils.clip_grad_norm_((p for p in ()), 1.0)
    with pytest.warns(FutureWarning, match="clip_grad_norm_"):
        t.nn.utils.clip_grad_norm(with_gradients(t), 1.0)
    with pytest.raises(RuntimeError, match="is non-finite"):
        t.nn.utils.clip_grad_norm_(with_gradients(t, math.inf), 1.0, error_if_nonfinite=True)
    assert not t.nn.utils.clip_grad_norm_(with_gradients(t, math.nan), 1.0).isfinite()


@BOTH
def test_parameters_as_a_vector(t):
    model = t.nn.Linear(2, 3)
    vector = t.nn.utils.parameters_to_vector(model.parameters())
    assert vector.shape == (9,)
    assert vector.requires_grad
    t.nn.utils.vector_to_parameters(t.arange(9.0), model.parameters())
    assert model.weight.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert model.bias.tolist() == [6, 7, 8]
    assert model.weight.requires_grad
    with pytest.raises(TypeError, match=r"expected torch\.Tensor, but got: list"):
        t.nn.utils.vector_to_parameters([1.0], model.parameters())


@BOTH
def test_functions_with_an_implied_dimension(t):
    for name in ("softmax", "log_softmax", "softmin"):
        function = getattr(t.nn.functional, name)
        for shape, dim in (((), 0), ((3,), 0), ((2, 3), 1), ((2, 3, 2), 0), ((1, 2, 2, 2), 1)):
            x = t.ones(shape) * 0.5
            with pytest.warns(UserWarning, match=f"Implicit dimension choice for {name}"):
                assert t.equal(function(x), function(x, dim=dim))
        assert function(t.ones(2), dim=0, dtype=t.float64).dtype == t.float64


@BOTH
def test_activations_in_place(t):
    x = t.tensor([-2.0, 0.5, 3.0])
    for name, args in (("relu", ()), ("elu", (0.5,)), ("selu", ()), ("celu", (0.5,)), ("leaky_relu", (0.1,)),
                       ("hardtanh", (-1.0, 1.0)), ("threshold", (0.7, 9.0))):  # fmt: skip
        y = x.clone()
        expected = getattr(t.nn.functional, name)(y, *args)
        assert t.equal(y, x)
        result = getattr(t.nn.functional, name + "_")(y, *args)
        assert result is y
        assert t.equal(y, expected)
        assert getattr(t.nn.functional, name)(y, *args, inplace=True) is y


@BOTH
def test_data_parallel_without_gpus(t):
    model = t.nn.DataParallel(t.nn.Linear(2, 1))
    assert list(model.state_dict()) == ["module.weight", "module.bias"]
    assert model(t.ones(3, 2)).shape == (3, 1)
