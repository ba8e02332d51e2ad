"""Parametrizations, weight and spectral normalization, fusion and the other tools, against PyTorch."""

import copy
import warnings

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")
BOTH = (rushlight, torch)


def same(ours, theirs, what: str, tol: float = 1e-5) -> None:
    """Compare tensors by dtype, shape and value."""
    assert str(ours.dtype) == str(theirs.dtype), what
    assert tuple(ours.shape) == tuple(theirs.shape), what
    ours, theirs = ours.detach().numpy(), theirs.detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=tol, atol=tol, err_msg=what)


def compare(make, shape, steps: int = 2):
    """A layer made in both: print, state, and a few steps of training; returns the layers."""
    layers = []
    for t in BOTH:
        t.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers.append(make(t))
    ours, theirs = layers
    assert repr(ours) == repr(theirs)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    x = np.random.default_rng(1).normal(size=shape).astype("float32")
    for t, layer in zip(BOTH, layers, strict=True):
        optimizer = t.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(steps):
            optimizer.zero_grad()
            (layer(t.from_numpy(x)) ** 2).mean().backward()
            optimizer.step()
        layer.eval()
        same(layer(t.from_numpy(x)).detach(), layer(t.from_numpy(x)).detach(), "evaluation changes nothing")
    same(ours(rushlight.from_numpy(x)), theirs(torch.from_numpy(x)), "output")
    states = ours.state_dict(), theirs.state_dict()
    assert list(states[0]) == list(states[1])
    for name, value in states[1].items():
        same(states[0][name], value, name)
    return layers


def symmetric(t):
    """A parametrization with an inverse."""

    class Symmetric(t.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).T

        def right_inverse(self, x):
            return x.triu()

    return Symmetric()


def product(t):
    """A parametrization by two vectors."""

    class Product(t.nn.Module):
        def forward(self, x, y):
            return x.unsqueeze(1) * y.unsqueeze(0)

        def right_inverse(self, z):
            return z[:, 0] + 1, z[0] + 2

    return Product()


def double(t):
    """A parametrization without an inverse."""

    class Double(t.nn.Module):
        def forward(self, x):
            return 2 * x

    return Double()


def registered(*kinds, name="weight", **options):
    """A linear layer with these parametrizations."""

    def make(t):
        layer = t.nn.Linear(3, 3)
        for kind in kinds:
            t.nn.utils.parametrize.register_parametrization(layer, name, kind(t), **options)
        return layer

    return make


def normed(what, layer, *args, home="parametrizations", **options):
    """A layer with a parametrization or a hook of nn.utils."""

    def make(t):
        utils = t.nn.utils.parametrizations if home == "parametrizations" else t.nn.utils
        return getattr(utils, what)(eval(f"t.nn.{layer}", {"t": t}), *args, **options)

    return make


IMAGES = (2, 3, 6, 6)
LAYERS = {
    "inverse": (registered(symmetric), (4, 3)),
    "several originals": (registered(product), (4, 3)),
    "chain": (registered(symmetric, double), (4, 3)),
    "bias": (registered(double, name="bias"), (4, 3)),
    "weight norm": (normed("weight_norm", "Linear(3, 4)"), (4, 3)),
    "weight norm of columns": (normed("weight_norm", "Linear(3, 4)", dim=1), (4, 3)),
    "weight norm of all": (normed("weight_norm", "Linear(3, 4)", dim=None), (4, 3)),
    "weight norm of a convolution": (normed("weight_norm", "Conv2d(3, 2, 3)"), IMAGES),
    "spectral norm": (normed("spectral_norm", "Linear(3, 4)", n_power_iterations=2), (4, 3)),
    "spectral norm of a transposed convolution": (normed("spectral_norm", "ConvTranspose2d(3, 2, 3)"), IMAGES),
    "spectral norm of a vector": (normed("spectral_norm", "Linear(3, 4)", "bias"), (4, 3)),
    "old weight norm": (normed("weight_norm", "Conv2d(3, 2, 3)", home="utils"), IMAGES),
    "old weight norm of all": (normed("weight_norm", "Linear(3, 4)", dim=None, home="utils"), (4, 3)),
    "old spectral norm": (normed("spectral_norm", "Conv2d(3, 2, 3)", home="utils"), IMAGES),
    "old spectral norm of a transposed convolution": (
        normed("spectral_norm", "ConvTranspose2d(3, 2, 3)", home="utils"), IMAGES),
}  # fmt: skip


LAYERS |= {
    f"orthogonal {layer} {kind} {trivial}": (
        normed("orthogonal", layer, orthogonal_map=kind, use_trivialization=trivial), (4, 3))
    for layer in ("Linear(3, 3)", "Linear(3, 5)", "Linear(3, 2)") for kind in (None, "matrix_exp", "cayley", "householder")
    for trivial in (True, False)
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_trains_as_in_pytorch(name):
    compare(*LAYERS[name])


@pytest.mark.parametrize("leave", [True, False])
def test_removal(leave):
    weights = []
    for t in BOTH:
        t.manual_seed(0)
        layer = registered(symmetric)(t)
        parametrize = t.nn.utils.parametrize
        assert parametrize.is_parametrized(layer) and parametrize.is_parametrized(layer, "weight")
        assert not parametrize.is_parametrized(layer, "bias")
        assert parametrize.type_before_parametrizations(layer) is t.nn.Linear
        original = layer.parametrizations.weight.original
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=leave)
        assert type(layer) is t.nn.Linear and layer.weight is original and "weight" in layer._parameters
        assert list(layer.state_dict()) == ["bias", "weight"]
        weights.append(layer.weight)
    same(*weights, "weight")


@pytest.mark.parametrize("what", ["weight_norm", "spectral_norm"])
def test_removal_of_hooks(what):
    layers = []
    for t in BOTH:
        t.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer = getattr(t.nn.utils, what)(t.nn.Linear(3, 4))
        layer(t.ones(1, 3))
        layers.append(getattr(t.nn.utils, "remove_" + what)(layer))
        assert not layer._forward_pre_hooks and not layer._state_dict_hooks
        with pytest.raises(ValueError, match="not found"):
            getattr(t.nn.utils, "remove_" + what)(layer)
    assert list(layers[0].state_dict()) == list(layers[1].state_dict())
    same(layers[0].weight, layers[1].weight, "weight")


def test_assignment_copy_and_cache():
    for t in BOTH:
        parametrize = t.nn.utils.parametrize
        layer = registered(symmetric)(t)
        layer.weight = t.ones(3, 3)
        assert bool((layer.weight == 1).all())
        twin = copy.deepcopy(layer)
        with t.no_grad():
            twin.parametrizations.weight.original.add_(1)
        assert bool((layer.weight == 1).all()) and not bool((twin.weight == 1).all())
        assert layer.weight is not layer.weight
        with parametrize.cached():
            assert layer.weight is layer.weight
        with pytest.raises(RuntimeError, match="state_dict"):
            layer.__getstate__()
        with pytest.raises(RuntimeError, match="does not implement right_inverse"):
            registered(double)(t).weight = t.ones(3, 3)
        target = t.nn.Linear(3, 3)
        parametrize.transfer_parametrizations_and_params(layer, target)
        assert bool((target.weight == 1).all())


def test_refusals():
    errors = []
    for t in BOTH:

        class Shorter(t.nn.Module):
            def forward(self, x):
                return x[:1]

        register = t.nn.utils.parametrize.register_parametrization
        shorter, calls = Shorter(), []
        calls += [lambda t=t, s=shorter, r=register: r(t.nn.Linear(2, 2), "weight", s)]
        calls += [lambda t=t, s=shorter, r=register: r(t.nn.Linear(2, 2), "other", s)]
        calls += [lambda t=t: t.nn.utils.parametrize.remove_parametrizations(t.nn.Linear(2, 2), "weight")]
        calls += [lambda t=t: t.nn.utils.parametrizations.spectral_norm(t.nn.Linear(2, 2), dim=2)]
        calls += [
            lambda t=t: t.nn.utils.parametrizations.spectral_norm(t.nn.Linear(2, 2), n_power_iterations=0)
        ]
        found = []
        for call in calls:
            with pytest.raises(Exception) as error:
                call()
            found.append((type(error.value), str(error.value)))
        errors.append(found)
    assert errors[0] == errors[1]


def test_states_of_the_old_form_load_into_the_new():
    for t in BOTH:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            old = t.nn.utils.weight_norm(t.nn.Linear(3, 4))
        new = t.nn.utils.parametrizations.weight_norm(t.nn.Linear(3, 4))
        new.load_state_dict(old.state_dict())
        assert bool((new.weight == old.weight).all())


def fused(t, what):
    """A layer and a normalization after it, fused."""
    t.manual_seed(1)
    if what == "linear":
        layer, norm, x = t.nn.Linear(3, 4), t.nn.BatchNorm1d(4), t.randn(5, 3)
    elif what == "transposed":
        layer, norm, x = t.nn.ConvTranspose2d(3, 4, 2), t.nn.BatchNorm2d(4), t.randn(2, 3, 4, 4)
    else:
        layer = t.nn.Conv2d(3, 4, 2, bias=False)
        norm, x = t.nn.BatchNorm2d(4, affine=False), t.randn(2, 3, 4, 4)
    norm(layer(x))
    both = t.nn.Sequential(layer, norm).eval()
    if what == "linear":
        one = t.nn.utils.fuse_linear_bn_eval(layer, norm)
    else:
        one = t.nn.utils.fuse_conv_bn_eval(layer, norm, transpose=what == "transposed")
    return both(x), one(x), one.weight, one.bias


@pytest.mark.parametrize("what", ["linear", "convolution", "transposed"])
def test_fusion(what):
    ours, theirs = (fused(t, what) for t in BOTH)
    same(*[t.detach() for t in ours[:2]], "fused and not", 1e-4)
    for a, b in zip(ours, theirs, strict=True):
        same(a, b, what, 1e-4)
        assert a.requires_grad == b.requires_grad


def test_other_tools():
    rushlight.manual_seed(0)
    first = rushlight.rand(1)
    rushlight.manual_seed(0)
    layer = rushlight.nn.utils.skip_init(rushlight.nn.Linear, 3, 4, bias=False)
    assert repr(layer) == "Linear(in_features=3, out_features=4, bias=False)"
    assert bool((rushlight.rand(1) == first).all())
    with pytest.raises(RuntimeError, match="'device' arg"):
        rushlight.nn.utils.skip_init(rushlight.nn.ReLU)
    strides = []
    for t in BOTH:
        layer = t.nn.Sequential(t.nn.Conv2d(2, 3, 3), t.nn.Conv3d(2, 3, 3))
        t.nn.utils.convert_conv2d_weight_memory_format(layer, t.channels_last)
        t.nn.utils.convert_conv3d_weight_memory_format(layer, t.channels_last_3d)
        strides.append([layer[0].weight.stride(), layer[1].weight.stride()])
    assert strides[0] == strides[1]
    layer = rushlight.nn.Linear(2, 1, bias=False)
    with pytest.warns(FutureWarning):
        out = rushlight.nn.utils.stateless.functional_call(
            layer, {"weight": rushlight.ones(1, 2)}, rushlight.ones(2)
        )
    assert out.item() == 2


def test_gradients_of_convolutions():
    rng = np.random.default_rng(0)
    for n in (1, 2, 3):
        x, w = rng.normal(size=(2, 4, *[6] * n)), rng.normal(size=(6, 2, *[3] * n))
        settings = {"stride": 2, "padding": 1, "groups": 2}
        results = []
        for t in BOTH:
            a, b = t.from_numpy(x), t.from_numpy(w)
            out = getattr(t.nn.functional, f"conv{n}d")(a, b, **settings)
            results.append(
                [
                    getattr(t.nn.grad, f"conv{n}d_input")(a.shape, b, out, **settings),
                    getattr(t.nn.grad, f"conv{n}d_weight")(a, b.shape, out, **settings),
                ]
            )
        for ours, theirs in zip(*results, strict=True):
            same(ours, theirs, f"{n} dimensions", 1e-9)


def test_second_derivative_of_weight_norm():
    rng = np.random.default_rng(0)
    v, g = (rushlight.from_numpy(rng.normal(size=shape)).requires_grad_() for shape in ((3, 4), (3, 1)))
    assert rushlight.autograd.gradgradcheck(lambda v, g: rushlight._weight_norm(v, g, 0), (v, g))
