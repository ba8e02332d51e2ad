"""Scaled dot product attention, over heads that lie anywhere in memory."""

import math

import numpy as np

from rushlight import kernels as K
from rushlight.autograd.grad_mode import enable_grad
from rushlight.autograd.node import Node, connect
from rushlight.dtypes import SCALAR_NAMES
from rushlight.kernels.reference.layout import c_order, empty_by, zeros_by
from rushlight.ops.common import MODE, Tensor, check_tensor, recording, wrap
from rushlight.ops.dropout import dropout
from rushlight.ops.linalg import matmul
from rushlight.ops.masks import masked_fill
from rushlight.ops.rearranging import repeat_interleave
from rushlight.ops.registry import op
from rushlight.ops.softmax import softmax

_C_NAMES = {
    "Float": "float", "Double": "double", "Half": "c10::Half", "BFloat16": "c10::BFloat16", "Long": "long int",
    "Int": "int", "Short": "short int", "Char": "signed char", "Byte": "unsigned char", "Bool": "bool",
    "ComplexFloat": "c10::complex<float>", "ComplexDouble": "c10::complex<double>",
}  # fmt: skip


class AttentionNode(Node):
    """softmax(q k^T scale + bias) v of all heads, of which no weights are kept.

    `split` makes views [N, H, L, E] of queries, keys and values from the inputs, and of their gradients from
    gradients of the inputs; `heads` makes such a view of the output.
    """

    def backward(self, grad):
        out, *inputs = self.unpack()
        if MODE.enabled:
            return self._recorded(grad, inputs)
        arrays = [t._array for t in inputs]
        grads = [empty_by(a, a.shape) for a in arrays]
        q, k, v = map(_rows_together, self.split(*arrays))
        g, found = _rows_together(self.heads(grad._array)), self.heads(out._array)
        K.attention_backward(
            g,
            q,
            k,
            v,
            found,
            self.lse,
            self.bias,
            self.keep,
            self.kept,
            self.scale,
            self.causal,
            *self.split(*grads),
        )
        return tuple(None if e is None else wrap(g) for e, g in zip(self.edges, grads, strict=True))

    def _recorded(self, grad, inputs) -> tuple:
        """The gradients of the same thing composed of recorded operations, for higher derivatives."""
        from rushlight.autograd import grad as gradients

        wanted = [i for i, e in enumerate(self.edges) if e is not None]
        with enable_grad():
            aliases = [t.view(t.shape) for t in inputs]  # so that hooks on the inputs are not run here
            q, k, v = self.split(*aliases)
            weights = attention_weights(
                q, k, None if self.bias is None else wrap(self.bias), self.scale, self.causal
            )
            if self.keep is not None:
                weights = weights * wrap(self.keep * self.keep.dtype.type(self.kept))
            found = gradients(
                matmul(weights, v), [aliases[i] for i in wanted], self.heads(grad), create_graph=True
            )
        return tuple(found[wanted.index(i)] if i in wanted else None for i in range(len(inputs)))


def _rows_together(x: np.ndarray) -> np.ndarray:
    """With the elements of a row next to each other in memory, as the native kernel wants them."""
    return x if x.strides[-1] == x.itemsize else c_order(x)


def attend(
    inputs, split, heads, out, node_type, bias=None, dropout_p=0.0, causal=False, scale=None
) -> Tensor:
    """Attention as one recorded operation.

    Args:
        inputs: the tensors that hold queries, keys and values.
        split: makes views q [N, H, L, E], k [N, H, S, E] and v [N, H, S, D] from (arrays like) them.
        heads: makes a view [N, H, L, D] of the output.
        out: the array for the output.
        node_type: the `AttentionNode` to record.
        bias: an array that broadcasts to [N, H, L, S], added to the scores.
        dropout_p: the probability of dropping a weight.
        causal: whether query i attends to keys up to i only.
        scale: what the products are scaled by; 1 / sqrt(E) by default.
    """
    q, k, v = map(_rows_together, split(*[t._array for t in inputs]))
    if scale is None:
        scale = 1 / math.sqrt(q.shape[-1]) if q.shape[-1] else 1.0
    keep, kept = None, 1.0
    if dropout_p > 0:
        kept = 0.0 if dropout_p == 1 else 1 / (1 - dropout_p)
        keep = _drawn(q, (*q.shape[:-1], k.shape[-2]), 1 - dropout_p)
    lse = K.attention(q, k, v, bias, keep, kept, scale, causal, heads(out))
    result = wrap(out)
    if recording(*inputs):
        node = connect(node_type(), inputs)
        node.split, node.heads, node.lse, node.bias = split, heads, lse, bias
        node.keep, node.kept, node.scale, node.causal = keep, kept, scale, causal
        node.save_output(result, *inputs)
        result._node, result._rg = node, True
    return result


def _drawn(like: np.ndarray, shape: tuple, probability: float) -> np.ndarray:
    """Ones with this probability, else zeros, from the stream and in the order of PyTorch's dropout."""
    if probability == 0:
        return zeros_by(like, shape)
    return wrap(empty_by(like, shape)).bernoulli_(probability)._array


def attention_weights(q, k, bias, scale, causal) -> Tensor:
    """softmax(q k^T scale + bias) of tensors [..., L, E] and [..., S, E]; zeros where no key may be attended to."""
    scores = matmul(q * scale, k.mT)
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = masked_fill(scores, wrap(~np.tri(*scores._array.shape[-2:], dtype=bool)), -math.inf)
    if bias is None or not scores._array.size:
        return softmax(scores, -1)
    nothing = np.isneginf(scores._array.max(-1, keepdims=True))
    if not nothing.any():
        return softmax(scores, -1)
    return masked_fill(softmax(masked_fill(scores, wrap(nothing), 0.0), -1), wrap(nothing), 0.0)


def _node(name: str) -> type[AttentionNode]:
    return type(name, (AttentionNode,), {"__module__": __name__})


_FLASH = _node("ScaledDotProductFlashAttentionForCpuBackward0")
_MATH = {2: _node("MmBackward0")}
_MATH_BATCHED = _node("UnsafeViewBackward0")


def _as_given(*arrays):
    return arrays


def _four(a):
    """An array or tensor as [N, H, L, E]."""
    return a if a.ndim == 4 else a.reshape((-1, 1, *a.shape[-2:]))


def _each_four(*arrays):
    return tuple([_four(a) for a in arrays])


@op(method=False)
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, *, scale=None, enable_gqa=False
):
    """softmax(query @ key^T * scale + mask) @ value.

    Args:
        query: [..., Hq, L, E].
        key: [..., H, S, E].
        value: [..., H, S, D].
        attn_mask: broadcasts to [..., Hq, L, S]; of truth values, True where a key is attended to, or of numbers
            that are added to the scores.
        dropout_p: the probability of dropping a weight; applied whenever it is above 0.
        is_causal: whether query i attends to keys 0 to i only.
        scale: what the products are scaled by; 1 / sqrt(E) by default.
        enable_gqa: whether several heads of queries may share one of keys and values: Hq is a multiple of H.
    Returns:
        [..., Hq, L, D]; zeros for queries that may attend to no key.
    Raises:
        RuntimeError: shapes or types do not go together.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.

    >>> import rushlight as torch
    >>> x = torch.ones(1, 2, 4)
    >>> torch.nn.functional.scaled_dot_product_attention(x, x, x).shape
    torch.Size([1, 2, 4])
    """
    flash = _check(query, key, value, attn_mask, dropout_p, is_causal, enable_gqa)
    if enable_gqa:
        key, value = _repeated(query, key), _repeated(query, value)
    q, k, v = query._array, key._array, value._array
    bias = _bias(attn_mask, q.dtype)
    if q.dtype.kind not in "fV" or (bias is not None and bias._rg):
        return _composed(query, key, value, bias, dropout_p, is_causal, scale)
    lead = q.shape[:-2]
    if k.shape[:-2] != lead or v.shape[:-2] != lead:
        lead = _broadcast(query, key, value)
        query, key, value = (t.expand(*lead, *t._array.shape[-2:]) for t in (query, key, value))
        q, k, v = query._array, key._array, value._array
    array = None
    if bias is not None:
        full = (*lead, q.shape[-2], k.shape[-2])
        try:
            array = np.broadcast_to(bias._array, full)
        except ValueError:
            raise _mask_error(bias._array.shape, full) from None
        array = array if len(full) == 4 else array.reshape(-1, 1, *full[-2:])
    shape = (*lead, q.shape[-2], v.shape[-1])
    out = np.empty_like(q) if flash else empty_by(q, shape)
    split, heads = (_as_given, _same) if q.ndim == 4 else (_each_four, _four)
    node_type = _FLASH if flash else _MATH.get(q.ndim, _MATH_BATCHED)
    return attend((query, key, value), split, heads, out, node_type, array, dropout_p, is_causal, scale)


def _same(a):
    return a


def _composed(query, key, value, bias, dropout_p, is_causal, scale) -> Tensor:
    """Attention of ordinary operations, for biases that want gradients and for PyTorch's errors."""
    if scale is None:
        scale = 1 / math.sqrt(query._array.shape[-1])
    weights = attention_weights(query, key, bias, scale, is_causal)
    return matmul(dropout(weights, dropout_p) if dropout_p > 0 else weights, value)


def _repeated(query: Tensor, t: Tensor) -> Tensor:
    """The heads of keys or values, repeated to as many as the queries have."""
    times = query._array.shape[-3] // max(t._array.shape[-3], 1)
    return t if times == 1 else repeat_interleave(t, times, -3)


def _bias(mask, dtype) -> Tensor | None:
    """A mask as what is added to the scores."""
    if mask is None:
        return None
    if mask._array.dtype.kind == "b":
        return wrap(np.where(mask._array, np.float32(0), np.float32(-np.inf)).astype(dtype, copy=False))
    return mask if mask._array.dtype == dtype else mask.to(wrap(np.empty(0, dtype)).dtype)


def _broadcast(query, key, value) -> tuple:
    lead = query._array.shape[:-2]
    for other in (key, value):
        try:
            lead = np.broadcast_shapes(lead, other._array.shape[:-2])
        except ValueError:
            a, b = query._array.shape, other._array.shape
            at = next(
                i for i in range(1, len(b)) if a[-2 - i] != b[-2 - i] and 1 not in (a[-2 - i], b[-2 - i])
            )
            raise RuntimeError(
                f"The size of tensor a ({a[-2 - at]}) must match the size of tensor b ({b[-2 - at]}) at non-singleton "
                f"dimension {len(a) - 2 - at} (scaled_dot_product_attention: got query {list(a)} and {list(b)}; "
                "set enable_gqa=True where several query heads share one key head)"
            ) from None
    return lead


def _mask_error(mask: tuple, scores: tuple) -> RuntimeError:
    if len(mask) <= len(scores):
        for i in range(1, len(mask) + 1):
            if mask[-i] not in (1, scores[-i]):
                return RuntimeError(
                    f"The size of tensor a ({scores[-i]}) must match the size of tensor b ({mask[-i]}) at "
                    f"non-singleton dimension {len(scores) - i} (scaled_dot_product_attention: attn_mask "
                    f"{list(mask)} does not broadcast to the scores {list(scores)})"
                )
    return RuntimeError(
        f"output with shape {list(scores)} doesn't match the broadcast shape {list(mask)} "
        "(scaled_dot_product_attention: attn_mask has more dimensions than the scores)"
    )


def _check(query, key, value, mask, dropout_p, is_causal, enable_gqa) -> bool:
    """Raise where the arguments do not go together; whether PyTorch has a fused kernel for them."""
    name = "scaled_dot_product_attention"
    for i, (label, t) in enumerate((("query", query), ("key", key), ("value", value))):
        check_tensor(name, t, label, i + 1)
    q, k, v = query._array, key._array, value._array
    if not q.dtype == k.dtype == v.dtype:
        types = [
            f"{n}.dtype: {_type_name(t)}" for n, t in (("query", query), ("key", key), ("and value", value))
        ]
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got {' '.join(types)} instead. Convert them: "
            "x.to(query.dtype)"
        )
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {q.ndim} "
            f"key.dim: {k.ndim} and value.dim: {v.ndim} instead."
        )
    if mask is not None:
        check_tensor(name, mask, "attn_mask", 4)
        kind = mask._array.dtype
        if kind.kind != "b" and kind != np.float32 and kind != q.dtype:
            raise RuntimeError(
                f"Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
                f"{_type_name(mask)} and  query.dtype: {_type_name(query)} instead."
            )
        if mask._array.ndim < 2:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-1, 0], but got -2): attn_mask needs the two "
                f"dimensions [L, S], got shape {list(mask.shape)}"
            )
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    if q.shape[-1] != k.shape[-1]:
        rows = math.prod(q.shape[:-2])
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{rows}, {q.shape[-1]}] but got: [{rows}, "
            f"{k.shape[-1]}]. ({name}: query {list(q.shape)} and key {list(k.shape)} need the same last dimension)"
        )
    if k.shape[-2] != v.shape[-2]:
        rows = math.prod(k.shape[:-2])
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{rows}, {k.shape[-2]}] but got: [{rows}, "
            f"{v.shape[-2]}]. ({name}: key {list(k.shape)} and value {list(v.shape)} need the same length)"
        )
    if enable_gqa and (
        min(q.ndim, k.ndim, v.ndim) < 3 or not k.shape[-3] or not v.shape[-3]
        or q.shape[-3] % k.shape[-3] or q.shape[-3] % v.shape[-3]
    ):  # fmt: skip
        raise RuntimeError(
            "Number of heads in key and value must divide the number of heads in query: got query "
            f"{list(q.shape)}, key {list(k.shape)} and value {list(v.shape)} with enable_gqa=True"
        )
    flash = (
        q.ndim == k.ndim == v.ndim == 4 and dropout_p == 0 and q.shape[-1] == v.shape[-1] and q.dtype.kind in "fV"
        and q.shape[0] == k.shape[0] == v.shape[0] and (k.shape[1] == v.shape[1]) and q.size and k.size
        and (enable_gqa or q.shape[1] == k.shape[1])
        and (mask is None or (mask._array.ndim in (2, 4) and not mask._rg))
    )  # fmt: skip
    if mask is not None and is_causal and not flash:
        raise RuntimeError(
            f"_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True. {name}: give "
            "one of them"
        )
    return bool(flash)


def _type_name(t: Tensor) -> str:
    return _C_NAMES.get(SCALAR_NAMES[t.dtype], SCALAR_NAMES[t.dtype])
