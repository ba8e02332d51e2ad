"""The native kernels of attention and CTC against the reference ones: sizes around the vectors' and blocks', layouts."""

import numpy as np
import pytest

from rushlight import kernels as K
from rushlight.kernels.reference import attention as reference
from rushlight.kernels.reference import ctc as reference_ctc


def _heads(rng, n, h, rows, size, dtype, packed):
    """[n, h, rows, size], its own memory or part of a projection [n, rows, 2 * h * size]."""
    if not packed:
        return rng.standard_normal((n, h, rows, size)).astype(dtype)
    whole = rng.standard_normal((n, rows, 2, h, size)).astype(dtype)
    return whole[:, :, 1].swapaxes(1, 2)


SIZES = [(1, 1, 1, 1), (3, 5, 4, 2), (17, 33, 16, 16), (64, 64, 32, 32), (100, 257, 20, 36), (9, 2100, 8, 8)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("how", ["plain", "causal", "bias", "keep", "all"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_attention(sizes, how, dtype):
    rng = np.random.default_rng(0)
    queries, keys, size, value_size = sizes
    packed = how != "plain"
    q = _heads(rng, 2, 3, queries, size, dtype, packed)
    k = _heads(rng, 2, 3, keys, size, dtype, packed)
    v = _heads(rng, 2, 3, keys, value_size, dtype, packed)
    bias = keep = None
    if how in ("bias", "all"):
        bias = rng.standard_normal((2, 1, 1, keys)).astype(dtype)
        bias[..., : keys // 2] = -np.inf
        if how == "all":
            bias = np.broadcast_to(bias.swapaxes(2, 3), (2, 1, keys, queries)).swapaxes(2, 3)
        bias = np.broadcast_to(bias, (2, 3, queries, keys))
    if how in ("keep", "all"):
        keep = (rng.random((2, 3, queries, keys)) < 0.7).astype(dtype)
    args = (bias, keep, 1 / 0.7, 0.3, how in ("causal", "all"))
    results = []
    for kernels in (K, reference):
        out = np.full((queries, 2, 3, value_size), 7, dtype).transpose(1, 2, 0, 3)
        lse = kernels.attention(q, k, v, *args, out)
        g = np.random.default_rng(1).standard_normal(out.shape).astype(dtype)
        grads = [np.full(x.shape, 7, dtype) for x in (q, k, v)]
        kernels.attention_backward(g, q, k, v, out, lse, *args, *grads)
        results.append([out, lse, *grads])
    tol = 3e-5 if dtype == "float32" else 1e-12
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


def test_attention_to_nothing():
    """Rows without a key are zeros; nan and infinity are not hidden."""
    q = np.ones((1, 1, 3, 4), np.float32)
    for value in (-np.inf, np.nan, np.inf):
        bias = np.zeros((1, 1, 3, 5), np.float32)
        bias[:, :, 1] = value
        found = []
        for kernels in (K, reference):
            out = np.empty((1, 1, 3, 4), np.float32)
            k = np.ones((1, 1, 5, 4), np.float32)
            with np.errstate(invalid="ignore"):
                kernels.attention(q, k, k, bias, None, 1.0, 1.0, False, out)
            found.append(out)
        np.testing.assert_array_equal(np.isnan(found[0]), np.isnan(found[1]))
        np.testing.assert_allclose(*found, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1, 2, 0), (5, 3, 4, 2), (40, 4, 30, 12)])
def test_ctc(shape, dtype):
    rng = np.random.default_rng(0)
    steps, n, classes, labels = shape
    x = rng.standard_normal((steps, n, classes)).astype(dtype) * 3
    log_probs = x - np.log(np.exp(x).sum(2, keepdims=True))
    log_probs[:, 0, 1] = -np.inf
    targets = rng.integers(1, classes, (n, labels))
    lengths, sizes = rng.integers(0, steps + 1, n), rng.integers(0, labels + 1, n)
    results = []
    for kernels in (K, reference_ctc):
        loss, alpha = kernels.ctc_loss(log_probs, targets, lengths, sizes, 0)
        for zero in (False, True):
            g = np.arange(1.0, n + 1).astype(dtype)
            grad = kernels.ctc_loss_backward(g, log_probs, targets, lengths, sizes, loss, alpha, 0, zero)
            results.append((loss, grad))
    tol = 1e-4 if dtype == "float32" else 1e-10
    for a, b in zip(results[:2], results[2:], strict=True):
        for i, j in zip(a, b, strict=True):
            np.testing.assert_allclose(i, j, rtol=tol, atol=tol)
