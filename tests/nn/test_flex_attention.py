"""flex_attention and masks by blocks, against PyTorch's results on the CPU; gradients against those of SDPA."""

import importlib
import warnings

import numpy as np
import pytest

import rushlight
from rushlight.nn.functional import scaled_dot_product_attention

torch = pytest.importorskip("torch")
BOTH = [(t, importlib.import_module(f"{t.__name__}.nn.attention.flex_attention")) for t in (rushlight, torch)]


def _causal(b, h, q, k):
    return q >= k


def _window(b, h, q, k):
    return (q - k).abs() < 3 + h


def _inputs(t, heads=4, shared=4, length=10, other=10, size=8, dtype="float32"):
    rng = np.random.default_rng(0)
    shapes = ((2, heads, length, size), (2, shared, other, size), (2, shared, other, size + 1))
    return [t.from_numpy(rng.standard_normal(s).astype("float32")).to(getattr(t, dtype)) for s in shapes]


def _table(t):
    bias = t.arange(20.0).sin()
    slopes = t.arange(1, 5) / 4.0
    return {
        "none": None,
        "scores": lambda s, b, h, q, k: s + (q - k) * slopes[h],
        "table": lambda s, b, h, q, k: s + bias[q - k + 10],
        "chosen": lambda s, b, h, q, k: t.where(q >= k, s, -float("inf")),
        "capped": lambda s, b, h, q, k: 2.0 * t.tanh(s / 2.0),
    }


CASES = {
    **{name: ({}, name, None, {}) for name in _table(rushlight)},
    "causal": ({}, "none", _causal, {}),
    "heads": ({}, "capped", _window, {}),
    "shared": ({"shared": 2}, "scores", _causal, {"enable_gqa": True, "scale": 0.3}),
    "lengths": ({"length": 6, "other": 9}, "none", _window, {}),
    "half": ({"dtype": "bfloat16"}, "none", _causal, {}),
    "nothing seen": ({}, "none", lambda b, h, q, k: (q > 2) & (k > 1), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_results(case):
    sizes, score, mask, options = CASES[case]
    results = []
    for t, flex in BOTH:
        q, k, v = _inputs(t, **sizes)
        blocks = mask and flex.create_block_mask(
            mask, 1, 4, q.shape[-2], k.shape[-2], device="cpu", BLOCK_SIZE=4
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append(flex.flex_attention(q, k, v, _table(t)[score], blocks, **options))
    ours, theirs = results
    assert str(ours.dtype) == str(theirs.dtype)
    tol = 2e-2 if case == "half" else 1e-5
    np.testing.assert_allclose(ours.float().numpy(), theirs.float().numpy(), rtol=tol, atol=tol)


def test_more_results():
    q, k, v = _inputs(rushlight)
    flex = BOTH[0][1]
    _, aux = flex.flex_attention(q, k, v, return_aux=flex.AuxRequest(lse=True, max_scores=True))
    scores = q @ k.mT / 8**0.5
    np.testing.assert_allclose(aux.lse.numpy(), scores.logsumexp(-1).numpy(), rtol=1e-5)
    np.testing.assert_allclose(aux.max_scores.numpy(), scores.amax(-1).numpy(), rtol=1e-5)
    with pytest.warns(FutureWarning, match="return_aux"):
        assert flex.flex_attention(q, k, v, return_lse=True)[1].equal(aux.lse)


def test_gradients():
    flex = BOTH[0][1]
    made = [x[..., :8].detach().requires_grad_() for x in _inputs(rushlight)]
    mask = flex.create_block_mask(_causal, None, None, 10, 10)
    ours = rushlight.autograd.grad(flex.flex_attention(*made, block_mask=mask).square().sum(), made)
    theirs = rushlight.autograd.grad(scaled_dot_product_attention(*made, is_causal=True).square().sum(), made)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mask", (_causal, _window, lambda b, h, q, k: q < 3))
@pytest.mark.parametrize("apart", (True, False))
def test_blocks(mask, apart):
    masks = [
        flex.create_block_mask(
            mask, 2, 3, 20, 17, device="cpu", BLOCK_SIZE=(4, 2), separate_full_blocks=apart
        )
        for _, flex in BOTH
    ]
    ours, theirs = masks
    assert str(ours) == str(theirs) and repr(ours) == repr(theirs)
    assert ours.shape == theirs.shape and ours.numel() == theirs.numel()
    assert ours.sparsity() == pytest.approx(theirs.sparsity())
    assert ours.to_dense().tolist() == theirs.to_dense().tolist()
    names = (
        "kv_num_blocks kv_indices full_kv_num_blocks full_kv_indices q_num_blocks q_indices full_q_num_blocks"
    )
    for name in names.split():
        a, b = getattr(ours, name), getattr(theirs, name)
        assert (a is None) == (b is None) and (a is None or a.tolist() == b.tolist()), name
    assert str(ours[0, 1:]) == str(theirs[0, 1:])
    assert ours.to("cpu") is ours


def test_masks_joined():
    for t, flex in BOTH:
        both = flex.and_masks(_causal, _window)
        either = flex.or_masks(_causal, _window)
        seen = [flex.create_mask(m, 1, 2, 5, 5, device="cpu") for m in (both, either, _causal, _window)]
        assert t.equal(seen[0], seen[2] & seen[3]) and t.equal(seen[1], seen[2] | seen[3])
        score = _table(t)["chosen"]
        assert flex.create_mask(score, 1, 1, 2, 2, device="cpu").tolist() == [[[[True, False], [True, True]]]]
        with pytest.raises(RuntimeError):
            flex.and_masks(3)


MISTAKES = {
    "dimensions": lambda t, f: f.flex_attention(*[t.ones(2, 3, 4)] * 3),
    "size": lambda t, f: f.flex_attention(t.ones(1, 1, 2, 3), t.ones(1, 1, 2, 4), t.ones(1, 1, 2, 4)),
    "heads": lambda t, f: f.flex_attention(t.ones(1, 2, 2, 4), *[t.ones(1, 1, 2, 4)] * 2),
    "uneven heads": lambda t, f: f.flex_attention(
        t.ones(1, 3, 2, 4), *[t.ones(1, 2, 2, 4)] * 2, enable_gqa=True
    ),
    "samples": lambda t, f: f.flex_attention(t.ones(2, 1, 2, 4), *[t.ones(1, 1, 2, 4)] * 2),
    "mask": lambda t, f: f.flex_attention(
        *[t.ones(1, 1, 2, 4)] * 3, block_mask=f.create_block_mask(_causal, 1, 1, 4, 4, device="cpu")
    ),
    "slice": lambda t, f: f.flex_attention(
        *[t.ones(1, 1, 4, 4)] * 3, block_mask=f.create_block_mask(_causal, 1, 1, 4, 4, device="cpu")[0]
    ),
    "both": lambda t, f: f.flex_attention(
        *[t.ones(1, 1, 4, 4)] * 3, return_lse=True, return_aux=f.AuxRequest(lse=True)
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case):
    kinds = []
    for t, flex in BOTH:
        with pytest.raises(Exception) as caught, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            MISTAKES[case](t, flex)
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]
