"""nn.MultiheadAttention against PyTorch: parameters, outputs, weights, gradients, masks, dropout, errors, training."""

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")
BOTH = (rushlight, torch)


def near(ours, theirs, tol=1e-5):
    """Compare two results, which may be None."""
    if theirs is None:
        assert ours is None
        return
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=tol, atol=tol)


def _run(t, make, shapes, options, backward=True):
    """Outputs and gradients of a layer made and called from one seed."""
    t.manual_seed(5)
    layer = make(t)
    rng = np.random.default_rng(1)
    made = [t.from_numpy(rng.standard_normal(s).astype("float32")).requires_grad_() for s in shapes]
    query, key, value = (made * 3)[:3] if len(made) == 1 else (*made, *made[1:])[:3]
    masks = {k: make(t, rng) if callable(make) else make for k, make in options.items()}
    out, weights = layer(query, key, value, **masks)
    results = [out, weights]
    if backward:
        total = (out * out).sum() + (0 if weights is None else (weights * weights).sum())
        total.backward()
        results += [x.grad for x in made] + [p.grad for p in layer.parameters()]
    return layer, results


def _bools(*shape):
    """A mask that never hides everything from a query."""

    def make(t, rng):
        mask = rng.random(shape) < 0.4
        mask[..., 0] = False
        return t.from_numpy(mask)

    return make


def _floats(*shape):
    return lambda t, rng: t.from_numpy(rng.standard_normal(shape).astype("float32"))


def _causal(t, rng):
    return t.nn.Transformer.generate_square_subsequent_mask(5)


FAST = {"need_weights": False}
CASES = {
    "plain": ({}, ((5, 3, 8),), {}),
    "fast": ({}, ((5, 3, 8),), FAST),
    "per-head": ({}, ((5, 3, 8),), {"average_attn_weights": False}),
    "dropout": ({"dropout": 0.3}, ((5, 3, 8),), {}),
    "dropout-fast": ({"dropout": 0.3}, ((5, 3, 8),), FAST),
    "cross": ({"dropout": 0.1}, ((5, 3, 8), (4, 3, 8)), {}),
    "cross-fast": ({"dropout": 0.1}, ((5, 3, 8), (4, 3, 8)), FAST),
    "three": ({}, ((5, 3, 8), (4, 3, 8), (4, 3, 8)), FAST),
    "sizes": ({"kdim": 6, "vdim": 5}, ((5, 3, 8), (4, 3, 6), (4, 3, 5)), {}),
    "sizes-fast": ({"kdim": 6, "vdim": 5, "bias": False}, ((5, 3, 8), (4, 3, 6), (4, 3, 5)), FAST),
    "no-bias": ({"bias": False}, ((5, 3, 8),), FAST),
    "no-bias-cross": ({"bias": False}, ((5, 3, 8), (4, 3, 8)), FAST),
    "bias-kv": ({"add_bias_kv": True}, ((5, 3, 8),), {"key_padding_mask": _bools(3, 5)}),
    "zero": ({"add_zero_attn": True}, ((5, 3, 8),), {"attn_mask": _bools(5, 5), **FAST}),
    "both-more": ({"add_zero_attn": True, "add_bias_kv": True}, ((5, 3, 8),), {"attn_mask": _floats(5, 5)}),
    "batch-first": ({"batch_first": True, "dropout": 0.2}, ((3, 5, 8),), FAST),
    "batch-first-weights": ({"batch_first": True}, ((3, 5, 8), (3, 4, 8)), {}),
    "batch-first-cross": (
        {"batch_first": True, "dropout": 0.2},
        ((3, 5, 8), (3, 4, 8)),
        {"key_padding_mask": _bools(3, 4), **FAST},
    ),
    "unbatched": ({"dropout": 0.2}, ((5, 8),), {}),
    "unbatched-fast": ({"batch_first": True}, ((5, 8), (4, 8)), {"key_padding_mask": _bools(4), **FAST}),
    "unbatched-mask": ({}, ((5, 8),), {"attn_mask": _bools(2, 5, 5)}),
    "mask": ({}, ((5, 3, 8),), {"attn_mask": _bools(5, 5), **FAST}),
    "mask-3d": ({}, ((5, 3, 8),), {"attn_mask": _floats(6, 5, 5), **FAST}),
    "mask-both": ({}, ((5, 3, 8),), {"attn_mask": _bools(5, 5), "key_padding_mask": _bools(3, 5), **FAST}),
    "mask-floats": ({}, ((5, 3, 8),), {"attn_mask": _floats(5, 5), "key_padding_mask": _floats(3, 5)}),
    "causal": ({}, ((5, 3, 8),), {"attn_mask": _causal, "is_causal": True, **FAST}),
    "causal-weights": ({}, ((5, 3, 8),), {"attn_mask": _causal, "is_causal": True}),
    "causal-padding": (
        {},
        ((5, 3, 8),),
        {"attn_mask": _causal, "is_causal": True, "key_padding_mask": _floats(3, 5), **FAST},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_layer(name):
    how, shapes, options = CASES[name]
    found = [_run(t, lambda t: t.nn.MultiheadAttention(8, 2, **how), shapes, options) for t in BOTH]
    (ours, our_results), (theirs, their_results) = found
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        near(a, b, 1e-6)
    for a, b in zip(our_results, their_results, strict=True):
        near(a, b)
    assert our_results[0].stride() == their_results[0].stride()
    assert our_results[0].grad_fn.name() == type(their_results[0].grad_fn).__name__


@pytest.mark.parametrize(
    "name", ["fast", "batch-first", "cross-fast", "mask-both", "unbatched-fast", "plain"]
)
def test_evaluation(name):
    how, shapes, options = CASES[name]
    results = []
    for t in BOTH:
        with t.no_grad():
            results.append(
                _run(t, lambda t: t.nn.MultiheadAttention(8, 2, **how).eval(), shapes, options, False)[1]
            )
    for a, b in zip(*results, strict=True):
        near(a, b)


def test_mask_gradient():
    """A mask of numbers that are learned gets its gradient."""
    found = []
    for t in BOTH:
        t.manual_seed(2)
        layer, x = t.nn.MultiheadAttention(4, 2, dropout=0.2), t.randn(3, 2, 4)
        mask = t.randn(3, 3).requires_grad_()
        layer(x, x, x, attn_mask=mask, need_weights=False)[0].pow(2).sum().backward()
        found.append(mask.grad)
    near(*found)


def test_second_derivative():
    found = []
    for t in BOTH:
        t.manual_seed(2)
        layer, x = t.nn.MultiheadAttention(4, 2, dropout=0.2).double(), t.randn(3, 2, 4).double()
        x.requires_grad_()
        # PyTorch has second derivatives of its composed attention only, which dropout makes it use.
        out = layer(x, x, x, need_weights=False)[0]
        (g,) = t.autograd.grad(out.pow(2).sum(), x, create_graph=True)
        found.append(t.autograd.grad(g.pow(2).sum(), [x, *layer.parameters()]))
    for a, b in zip(*found, strict=True):
        near(a, b, 1e-6)


def test_hooks_run_once_under_create_graph():
    x = rushlight.randn(2, 3, 4, 5).requires_grad_()
    calls = []
    x.register_hook(lambda g: calls.append(1))
    out = rushlight.nn.functional.scaled_dot_product_attention(x, x, x)
    rushlight.autograd.grad(out.sum(), x, create_graph=True)
    assert len(calls) == 1


def test_frozen_inputs():
    """Gradients go where they are wanted only."""
    for wanted in range(3):
        qkv = [rushlight.randn(2, 3, 4, 5) for _ in range(3)]
        qkv[wanted].requires_grad_()
        rushlight.nn.functional.scaled_dot_product_attention(*qkv).sum().backward()
        assert [t.grad is not None for t in qkv] == [i == wanted for i in range(3)]


WRONG = {
    "sizes": lambda t: t.nn.MultiheadAttention(0, 2),
    "heads": lambda t: t.nn.MultiheadAttention(7, 2),
    "dims": lambda t: _call(t, q=t.ones(8)),
    "key-dims": lambda t: _call(t, k=t.ones(5, 8)),
    "unbatched-key": lambda t: _call(t, q=t.ones(5, 8)),
    "padding-dims": lambda t: _call(t, key_padding_mask=t.zeros(5).bool()),
    "padding-shape": lambda t: _call(t, key_padding_mask=t.zeros(3, 4).bool()),
    "padding-type": lambda t: _call(t, key_padding_mask=t.zeros(3, 5).long()),
    "mask-dims": lambda t: _call(t, attn_mask=t.zeros(5).bool()),
    "mask-2d": lambda t: _call(t, attn_mask=t.zeros(5, 4).bool()),
    "mask-3d": lambda t: _call(t, attn_mask=t.zeros(3, 5, 5).bool()),
    "causal": lambda t: _call(t, is_causal=True),
    "embedding": lambda t: _call(t, q=t.ones(5, 3, 6)),
    "key-shape": lambda t: _call(t, v=t.ones(4, 3, 8)),
    "backend": lambda t: t.nn.attention.sdpa_kernel("math").__enter__(),
}


def _call(t, q=..., k=..., v=..., **options):
    q, k, v = (t.ones(5, 3, 8) if x is ... else x for x in (q, k, v))
    return t.nn.MultiheadAttention(8, 2)(q, k, v, **options)


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name):
    with pytest.raises(Exception) as theirs:
        WRONG[name](torch)
    with pytest.raises(Exception) as ours:
        WRONG[name](rushlight)
    assert type(ours.value) is type(theirs.value), (ours.value, theirs.value)


def test_mismatched_masks_warn():
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask"):
        _call(rushlight, attn_mask=rushlight.zeros(5, 5), key_padding_mask=rushlight.zeros(3, 5).bool())


def test_backends():
    names = ("ERROR", "MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "OVERRIDEABLE")
    for name in names:
        ours, theirs = (getattr(t.nn.attention.SDPBackend, name) for t in BOTH)
        assert int(ours) == int(theirs) and repr(ours) == repr(theirs)
    with rushlight.nn.attention.sdpa_kernel([rushlight.nn.attention.SDPBackend.MATH], set_priority=True):
        pass


def test_merge_masks():
    found = []
    for t in BOTH:
        layer = t.nn.MultiheadAttention(4, 2, batch_first=True)
        mask, padding, x = t.ones(3, 3), t.ones(2, 3), t.ones(2, 3, 4)
        found.append([layer.merge_masks(m, p, x) for m in (None, mask) for p in (None, padding)])
    for (a, kind_a), (b, kind_b) in zip(*found, strict=True):
        assert kind_a == kind_b
        near(a, b)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_training(dropout):
    """Twenty steps from one seed."""
    losses = []
    for t in BOTH:
        t.manual_seed(0)
        layer = t.nn.MultiheadAttention(16, 4, dropout=dropout, batch_first=True)
        optimizer = t.optim.SGD(layer.parameters(), lr=0.5)
        x, y = t.randn(4, 10, 16), t.randn(4, 10, 16)
        found = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = (layer(x, x, x, need_weights=False)[0] - y).pow(2).mean()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        losses.append(found)
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert losses[0][-1] < losses[0][0]
