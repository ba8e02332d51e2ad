"""nn.Transformer and its layers against PyTorch: state, outputs, gradients, dropout, masks, evaluation, training."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")
BOTH = (rushlight, torch)


def near(ours, theirs, tol=1e-5):
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=tol, atol=tol)


def _inputs(t, *shapes):
    rng = np.random.default_rng(1)
    return [t.from_numpy(rng.standard_normal(s).astype("float32")).requires_grad_() for s in shapes]


def _both(run):
    """What `run(t)` gives for both frameworks, from one seed; PyTorch's prototype warnings aside."""
    results = []
    for t in BOTH:
        t.manual_seed(5)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*(nested|enable_nested_tensor).*")
            results.append(run(t))
    return results


def _encoder_layer(t, **how):
    return t.nn.TransformerEncoderLayer(8, 2, 16, **how)


def _decoder_layer(t, **how):
    return t.nn.TransformerDecoderLayer(8, 2, 16, **how)


LAYERS = {
    "default": {},
    "batch-first": {"batch_first": True},
    "norm-first": {"norm_first": True, "dropout": 0.3},
    "batch-norm-first": {"norm_first": True, "batch_first": True, "dropout": 0.3},
    "gelu": {"activation": "gelu", "dropout": 0.0},
    "callable": {"activation": "tanh"},
    "no-bias": {"bias": False, "layer_norm_eps": 1e-3, "batch_first": True},
}


def _options(t, name):
    how = dict(LAYERS[name])
    if how.get("activation") == "tanh":
        how["activation"] = t.tanh
    return how


def _compare(found):
    (ours, our_results), (theirs, their_results) = found
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for a, b in zip(our_results, their_results, strict=True):
        near(a, b)


def _results(layer, out, inputs):
    out.pow(2).sum().backward()
    return layer, [out, *[x.grad for x in inputs], *[p.grad for p in layer.parameters()]]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("mask", ["", "mask", "padding", "causal"])
def test_encoder_layer(name, mask):
    def run(t):
        layer, (x,) = _encoder_layer(t, **_options(t, name)), _inputs(t, (5, 5, 8))
        more = {
            "mask": {"src_mask": t.eye(5) == 0},
            "padding": {"src_key_padding_mask": t.arange(5) > t.tensor([[1], [2], [4], [3], [0]])},
            "causal": {
                "src_mask": t.nn.Transformer.generate_square_subsequent_mask(5),
                "is_causal": True,
            },
        }.get(mask, {})
        return _results(layer, layer(x, **more), [x])

    _compare(_both(run))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("masked", [False, True])
def test_decoder_layer(name, masked):
    def run(t):
        how = _options(t, name)
        first = how.get("batch_first", False)
        shapes = ((3, 5, 8), (3, 4, 8)) if first else ((5, 3, 8), (4, 3, 8))
        layer, inputs = _decoder_layer(t, **how), _inputs(t, *shapes)
        more = {}
        if masked:
            more = {
                "tgt_mask": t.nn.Transformer.generate_square_subsequent_mask(5), "tgt_is_causal": True,
                "memory_key_padding_mask": t.arange(4) > t.tensor([[1], [2], [3]]),
            }  # fmt: skip
        return _results(layer, layer(*inputs, **more), inputs)

    _compare(_both(run))


@pytest.mark.parametrize("batch_first", [False, True])
def test_transformer(batch_first):
    def run(t):
        model = t.nn.Transformer(8, 2, 2, 2, 16, 0.2, batch_first=batch_first)
        shapes = ((3, 6, 8), (3, 5, 8)) if batch_first else ((6, 3, 8), (5, 3, 8))
        inputs = _inputs(t, *shapes)
        mask = model.generate_square_subsequent_mask(5)
        out = model(*inputs, tgt_mask=mask, src_key_padding_mask=t.arange(6) > t.tensor([[1], [5], [3]]))
        return _results(model, out, inputs)

    found = _both(run)
    _compare(found)
    assert repr(found[0][0]) == repr(found[1][0])


def test_unbatched():
    def run(t):
        model = t.nn.Transformer(8, 2, 1, 1, 16, 0.2)
        inputs = _inputs(t, (6, 8), (5, 8))
        return _results(model, model(*inputs), inputs)

    _compare(_both(run))


@pytest.mark.parametrize("name", ["default", "batch-first", "norm-first", "gelu"])
def test_evaluation(name):
    """Also with padding: PyTorch's fast path leaves padded places out, so that they are zero."""
    for mask_check in (True, False):

        def run(t, mask_check=mask_check):
            layer = _encoder_layer(t, **_options(t, name))
            model = t.nn.TransformerEncoder(layer, 2, t.nn.LayerNorm(8), mask_check=mask_check).eval()
            x = _inputs(t, (3, 3, 8))[0].detach()
            left = t.arange(3) > t.tensor([[1], [2], [0]])
            with t.no_grad():
                results = [model(x), model(x, src_key_padding_mask=left), model(x, mask=t.eye(3) == 0)]
                if mask_check:
                    hole = left.clone()
                    hole[0, 0], hole[0, 2] = True, False
                    results.append(model(x, src_key_padding_mask=hole))
            return [*results, model(x, src_key_padding_mask=left)]

        for a, b in zip(*_both(run), strict=True):
            near(a, b)


def test_causal_masks_are_found():
    def run(t):
        model = t.nn.TransformerEncoder(_encoder_layer(t), 1)
        x = _inputs(t, (4, 2, 8))[0]
        mask = t.nn.Transformer.generate_square_subsequent_mask(4)
        near_miss = mask.clone()
        near_miss[0, 3] = 0
        return [
            model(x, mask),
            model(x, near_miss),
            model(x, near_miss, is_causal=True),
            model(x, mask.isinf()),
        ]

    for a, b in zip(*_both(run), strict=True):
        near(a, b)


def test_custom_parts():
    class Twice(rushlight.nn.Module):
        def forward(self, x, *args, **kwargs):
            return x * 2

    model = rushlight.nn.Transformer(8, custom_encoder=Twice(), custom_decoder=Twice())
    x = rushlight.ones(2, 3, 8)
    assert model(x, x).sum() == x.sum() * 2 and not list(model.parameters())


def test_copies():
    layer = _encoder_layer(rushlight, activation="gelu").eval()
    x = rushlight.randn(4, 2, 8)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        near(other(x), layer(x), 0)


def test_state_from_pytorch():
    def run(t):
        return t.nn.Transformer(8, 2, 1, 1, 16).eval()

    ours, theirs = _both(run)
    state = {k: rushlight.from_numpy(v.numpy() * 2) for k, v in theirs.state_dict().items()}
    ours.load_state_dict(state)
    theirs.load_state_dict({k: v * 2 for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((4, 2, 8)).astype("float32")
    near(*[m(t.from_numpy(x), t.from_numpy(x)) for m, t in zip((ours, theirs), BOTH, strict=True)])


WRONG = {
    "activation": lambda t: t.nn.TransformerEncoderLayer(8, 2, activation="tanh"),
    "heads": lambda t: t.nn.TransformerDecoderLayer(8, 3),
    "batch": lambda t: t.nn.Transformer(8, 2, 1, 1, 8)(t.ones(3, 2, 8), t.ones(3, 4, 8)),
    "batch-first": lambda t: t.nn.Transformer(8, 2, 1, 1, 8, batch_first=True)(
        t.ones(3, 2, 8), t.ones(2, 2, 8)
    ),
    "features": lambda t: t.nn.Transformer(8, 2, 1, 1, 8)(t.ones(3, 2, 6), t.ones(3, 2, 8)),
    "mask-type": lambda t: _encoder_layer(t)(t.ones(3, 2, 8), t.ones(3, 3).long()),
    "causal": lambda t: _encoder_layer(t)(t.ones(3, 2, 8), is_causal=True),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name):
    with pytest.raises(Exception) as theirs, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        WRONG[name](torch)
    with pytest.raises(Exception) as ours, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        WRONG[name](rushlight)
    assert type(ours.value) is type(theirs.value), (ours.value, theirs.value)


def test_nested_tensor_warning():
    with pytest.warns(UserWarning, match="enable_nested_tensor is True, but .*batch_first was not True"):
        rushlight.nn.TransformerEncoder(_encoder_layer(rushlight), 1)


def _train(t, model, forward, target_shape, steps=20):
    optimizer = t.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    target = t.randn(*target_shape)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (forward(model) - target).pow(2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("which", ["encoder", "decoder", "transformer"])
def test_training(which):
    """Twenty steps with dropout from one seed."""

    def run(t):
        if which == "encoder":
            model = t.nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        elif which == "decoder":
            model = t.nn.TransformerDecoderLayer(16, 4, 32)
        else:
            model = t.nn.Transformer(16, 4, 1, 1, 32, batch_first=True)
        x, y = t.randn(4, 6, 16), t.randn(4, 6, 16)
        forward = (lambda m: m(x)) if which == "encoder" else (lambda m: m(x, y))
        return _train(t, model, forward, (4, 6, 16))

    ours, theirs = _both(run)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert ours[-1] < ours[0]
