"""Scaled dot product attention in plain NumPy.

Queries are [N, H, L, E], keys [N, H, S, E], values [N, H, S, D], with any strides; a bias is [N, H, L, S], often
broadcast. `keep` is None, or what dropout keeps of each weight: ones and zeros [N, H, L, S], times `kept`.
Rows in which no key may be attended to give zeros.
"""

import numpy as np

from rushlight.kernels.reference.layout import widen


def _scores(q, k, bias, scale, causal):
    """What the softmax is taken of."""
    scores = np.matmul(widen(q) * widen(q).dtype.type(scale), widen(k).swapaxes(-1, -2))
    if bias is not None:
        scores += widen(bias)
    if causal:
        scores[..., ~np.tri(*scores.shape[-2:], dtype=bool)] = -np.inf
    return scores


def attention(q, k, v, bias, keep, kept, scale, causal, out):
    """Write softmax(q k^T scale + bias) v into out[N, H, L, D].

    Returns:
        The logarithm of the sum of exponentials of each row of scores, [N, H, L], for the backward pass.
    """
    scores = _scores(q, k, bias, scale, causal)
    if not scores.shape[-1]:
        out[...] = 0
        return np.full(scores.shape[:-1], -np.inf, scores.dtype)
    top = scores.max(-1, keepdims=True)
    shift = np.where(np.isneginf(top), 0, top)
    weights = np.exp(scores - shift)
    total = weights.sum(-1, keepdims=True)
    weights /= np.where(total == 0, 1, total)
    if keep is not None:
        weights *= widen(keep) * weights.dtype.type(kept)
    out[...] = np.matmul(weights, widen(v)).astype(out.dtype, copy=False)
    with np.errstate(divide="ignore"):
        return (np.log(total) + shift)[..., 0]


def attention_backward(g, q, k, v, out, lse, bias, keep, kept, scale, causal, gq, gk, gv):
    """Write the gradients of `attention`'s q, k and v into gq, gk and gv, given its output's g.

    Args:
        out, lse: what `attention` wrote and returned; the others are as they were there.
    """
    scores = _scores(q, k, bias, scale, causal)
    g, out = widen(g), widen(out)
    finite = np.where(np.isneginf(lse), 0, lse)[..., None]
    weights = np.exp(scores - finite)
    dropped = weights if keep is None else weights * (widen(keep) * weights.dtype.type(kept))
    slope = np.matmul(g, widen(v).swapaxes(-1, -2))
    if keep is not None:
        slope *= widen(keep) * weights.dtype.type(kept)
    slope -= (g * out).sum(-1, keepdims=True)
    slope *= weights * weights.dtype.type(scale)
    gq[...] = np.matmul(slope, widen(k)).astype(gq.dtype, copy=False)
    gk[...] = np.matmul(slope.swapaxes(-1, -2), widen(q)).astype(gk.dtype, copy=False)
    gv[...] = np.matmul(dropped.swapaxes(-1, -2), g).astype(gv.dtype, copy=False)


__all__ = ["attention", "attention_backward"]
