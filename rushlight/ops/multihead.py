"""Multi-head attention: projections, masks, attention of every head, output projection."""

import math
import warnings

import numpy as np

from rushlight.dtypes import bool_
from rushlight.kernels.reference.layout import empty_by
from rushlight.ops.attention import AttentionNode, attend, attention_weights
from rushlight.ops.common import Tensor, check_tensor, wrap
from rushlight.ops.creation import zeros
from rushlight.ops.dropout import dropout
from rushlight.ops.joining import cat
from rushlight.ops.linalg import matmul
from rushlight.ops.linear import linear
from rushlight.ops.padding import pad
from rushlight.ops.registry import op


def canonical_mask(mask, mask_name, other_type, other_name, target_type, check_other=True) -> Tensor | None:
    """A mask as numbers that are added to the scores: 0, and -inf where a mask of truth values is set.

    Raises:
        AssertionError: the mask holds integers.
    """
    if mask is None:
        return None
    kind = mask.dtype
    if kind != bool_ and not kind.is_floating_point:
        raise AssertionError(f"only bool and floating types of {mask_name} are supported, got {kind}")
    if check_other and other_type is not None and kind != other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    if kind != bool_:
        return mask
    dtype = target_type.numpy
    return wrap(np.where(mask._array, np.float32(-np.inf), np.float32(0)).astype(dtype, copy=False))


def none_or_dtype(input):
    """The type of a mask, None where there is none."""
    if input is None:
        return None
    if isinstance(input, Tensor):
        return input.dtype
    raise RuntimeError("input to _none_or_dtype() must be None or torch.Tensor")


class SelfAttentionBackward0(AttentionNode):
    """Attention of one projection that holds queries, keys and values side by side, or of several."""


class _Heads:
    """Views [N, H, L, E] of projections: of [L, N, parts * H * E], or of [N, L, parts * H * E] if `batch_first`.

    They are the same for arrays and tensors.
    """

    def __init__(self, parts, heads: int, batch_first: bool):
        self.parts, self.heads, self.batch_first = parts, heads, batch_first

    def split(self, *projections) -> tuple:
        """Queries, keys and values."""
        return tuple(
            [view for x, n in zip(projections, self.parts, strict=True) for view in self._views(x, n)]
        )

    def _views(self, x, parts: int) -> list:
        a, b, features = x.shape
        if not self.batch_first:
            x = x.swapaxes(0, 1)
            a, b = b, a
        x = _reshaped_last(x, (parts, self.heads, features // (parts * self.heads)))
        return [x[:, :, i].swapaxes(1, 2) for i in range(parts)]

    def output(self, x):
        """The view of [L, N, H * E], which the output always is."""
        length, n, features = x.shape
        return x.reshape((length, n, self.heads, features // self.heads)).swapaxes(0, 1).swapaxes(1, 2)


def _reshaped_last(x, sizes: tuple):
    """A view with the last dimension split; NumPy finds it whatever the strides."""
    return x.reshape((*x.shape[:-1], *sizes)) if isinstance(x, np.ndarray) else x.unflatten(-1, sizes)


def _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads) -> bool:
    """Raise where numbers of dimensions do not go together; whether there is a batch."""
    dims = query.dim()
    if dims not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {dims}-D query tensor"
        )
    batched = dims == 3
    what = "batched (3-D)" if batched else "unbatched (2-D)"
    if key.dim() != dims or value.dim() != dims:
        raise AssertionError(
            f"For {what} `query`, expected `key` and `value` to be {dims}-D but found {key.dim()}-D and "
            f"{value.dim()}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.dim() != dims - 1:
        raise AssertionError(
            f"For {what} `query`, expected `key_padding_mask` to be `None` or {dims - 1}-D but found "
            f"{key_padding_mask.dim()}-D tensor instead"
        )
    if attn_mask is not None:
        if attn_mask.dim() not in (2, 3):
            raise AssertionError(
                f"For {what} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.dim()}-D "
                "tensor instead"
            )
        expected = (num_heads, query.shape[0], key.shape[0])
        if not batched and attn_mask.dim() == 3 and tuple(attn_mask.shape) != expected:
            raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}")
    return batched


@op(method=False)
def multi_head_attention_forward(
    query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn,
    dropout_p, out_proj_weight, out_proj_bias, training=True, key_padding_mask=None, need_weights=True, attn_mask=None,
    use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, static_k=None,
    static_v=None, average_attn_weights=True, is_causal=False,
):  # fmt: skip
    """The attention that `nn.MultiheadAttention` applies, as a function of its parameters.

    Args:
        query: [L, N, E], or [L, E] without a batch.
        key: [S, N, Ek]; value: [S, N, Ev]. E is `embed_dim_to_check`.
        num_heads: H, by which E is divided.
        in_proj_weight: [3 E, E], the projections of all three; or None with `use_separate_proj_weight`, and
            `q_proj_weight` [E, E], `k_proj_weight` [E, Ek] and `v_proj_weight` [E, Ev].
        in_proj_bias: [3 E] or None.
        bias_k, bias_v: [1, 1, E] or None: one more key and value for everybody.
        add_zero_attn: whether to add a key and value of zeros.
        dropout_p: the probability of dropping a weight while `training`.
        out_proj_weight, out_proj_bias: [E, E] and [E] (or None), the projection of the output.
        key_padding_mask: [N, S]; True, or -inf, at keys that nobody attends to.
        need_weights: whether to return the weights too.
        attn_mask: [L, S] or [N * H, L, S]; True where a query does not attend to a key, or numbers that are added.
        static_k, static_v: [N * H, S, E / H], in place of the projected ones.
        average_attn_weights: whether to return the weights' mean over the heads.
        is_causal: a hint that `attn_mask` is the causal one.
    Returns:
        The output [L, N, E], and the weights [N, L, S] (or [N, H, L, S]), None without `need_weights`.
    Raises:
        AssertionError, RuntimeError: shapes do not go together.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """
    for i, (name, t) in enumerate((("query", query), ("key", key), ("value", value))):
        check_tensor("multi_head_attention_forward", t, name, i + 1)
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    return attention_of_heads(
        query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn,
        dropout_p if training else 0.0, out_proj_weight, out_proj_bias, key_padding_mask, need_weights, attn_mask,
        separate, static_k, static_v, average_attn_weights, is_causal,
    )  # fmt: skip


def attention_of_heads(
    query, key, value, embed_dim, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn, dropout_p,
    out_proj_weight, out_proj_bias, key_padding_mask, need_weights, attn_mask, separate, static_k=None, static_v=None,
    average_weights=True, is_causal=False, batch_first=False,
) -> tuple:  # fmt: skip
    """`multi_head_attention_forward`, also of batches [N, L, E], which spares turning them around."""
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = _unsqueezed(query, key, value)
        batch_first = False
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    key_padding_mask = canonical_mask(
        key_padding_mask, "key_padding_mask", none_or_dtype(attn_mask), "attn_mask", query.dtype
    )
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    causal = is_causal and key_padding_mask is None and not need_weights
    attn_mask = None if causal else canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, False)
    n_at = 0 if batch_first else 1
    batch, length, source = query.shape[n_at], query.shape[1 - n_at], key.shape[1 - n_at]
    _check_sizes(query, key, value, embed_dim, num_heads, separate)
    projections, parts = _project(query, key, value, in_proj_weight, in_proj_bias, separate)
    attn_mask = _checked_mask(attn_mask, batch, num_heads, length, source)
    heads = _Heads(parts, num_heads, batch_first)
    if (
        bias_k is not None
        or bias_v is not None
        or add_zero_attn
        or static_k is not None
        or static_v is not None
    ):
        q, k, v, more = _extended(
            heads.split(*projections), bias_k, bias_v, add_zero_attn, static_k, static_v, batch
        )
        inputs, split = (q, k, v), _unchanged
        if more:
            attn_mask = None if attn_mask is None else pad(attn_mask, (0, more))
            key_padding_mask = None if key_padding_mask is None else pad(key_padding_mask, (0, more))
        source = k.shape[2]
    else:
        inputs, split = projections, heads.split
    bias = _merged(attn_mask, key_padding_mask, batch, source)
    weights = None
    if need_weights or (bias is not None and bias._rg):
        q, k, v = [t.contiguous() for t in split(*inputs)]  # batched products are twice as fast
        weights = _weights(q, k, bias, causal, need_weights)
        if dropout_p > 0:
            weights = dropout(weights, dropout_p)
        out = matmul(weights, v).permute(2, 0, 1, 3).reshape(length, batch, embed_dim)
    else:
        out = attend(
            inputs, split, heads.output, empty_by(query._array, (length, batch, embed_dim)),
            SelfAttentionBackward0, _broadcast_bias(bias, batch, num_heads, length, source), dropout_p, causal,
        )  # fmt: skip
    out = linear(out.reshape(length * batch, embed_dim), out_proj_weight, out_proj_bias)
    out = out.view(length, batch, out.shape[1])
    if batch_first:
        out = out.transpose(1, 0)
    elif not batched:
        out = out.squeeze(1)
    if not need_weights:
        return out, None
    weights = weights.mean(1) if average_weights else weights
    return out, weights if batched else weights.squeeze(0)


def _unchanged(*tensors):
    return tensors


def _weights(q, k, bias, causal, plain: bool) -> Tensor:
    """The weights [N, H, L, S]; nan where there is nothing to attend to if `plain`, as where they are returned."""
    if not plain:
        return attention_weights(q, k, bias, 1 / math.sqrt(q.shape[-1]), causal)
    scores = matmul(q * math.sqrt(1.0 / q.shape[-1]), k.mT)
    return (scores if bias is None else scores + bias).softmax(-1)


def _unsqueezed(query, key, value) -> tuple:
    """With a batch dimension; the same tensors stay the same."""
    q = query.unsqueeze(1)
    k = q if key is query else key.unsqueeze(1)
    return q, k, k if value is key else value.unsqueeze(1)


def _check_sizes(query, key, value, embed_dim, num_heads, separate) -> None:
    features = query.shape[-1]
    if features != embed_dim:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim}, but got {features}")
    if features % num_heads:
        raise AssertionError(f"embed_dim {features} not divisible by num_heads {num_heads}")
    if separate is not None:
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
            )
    elif key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def _project(query, key, value, weight, bias, separate) -> tuple:
    """The projections, as few as can be, and how many of queries, keys and values each holds."""
    if separate is None:
        if weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        if key is value:
            if query is key:
                return (linear(query, weight, bias),), (3,)
            sizes = [weight.shape[0] // 3, weight.shape[0] // 3 * 2]
            weights = weight.split(sizes)
            biases = (None, None) if bias is None else bias.split(sizes)
            return (linear(query, weights[0], biases[0]), linear(key, weights[1], biases[1])), (1, 2)
        weights = weight.chunk(3)
    else:
        weights = separate
        for name, w, x in zip("qkv", weights, (query, key, value), strict=True):
            if w is None:
                raise AssertionError(f"use_separate_proj_weight is True but {name}_proj_weight is None")
            expected = (query.shape[-1], x.shape[-1])
            if tuple(w.shape) != expected:
                full = {"q": "query", "k": "key", "v": "value"}[name]
                raise AssertionError(f"expecting {full} weights shape of {expected}, but got {w.shape}")
    biases = (None, None, None) if bias is None else bias.chunk(3)
    return tuple(map(linear, (query, key, value), weights, biases)), (1, 1, 1)


def _checked_mask(mask, batch, heads, length, source) -> Tensor | None:
    """The mask as [1, 1, L, S] or [N, H, L, S]."""
    if mask is None:
        return None
    if mask.dim() == 2:
        if tuple(mask.shape) != (length, source):
            raise RuntimeError(
                f"The shape of the 2D attn_mask is {mask.shape}, but should be {(length, source)}."
            )
        return mask.view(1, 1, length, source)
    expected = (batch * heads, length, source)
    if tuple(mask.shape) != expected:
        raise RuntimeError(f"The shape of the 3D attn_mask is {mask.shape}, but should be {expected}.")
    return mask.reshape(batch, heads, length, source)


def _extended(views, bias_k, bias_v, add_zero_attn, static_k, static_v, batch) -> tuple:
    """Queries, keys and values [N, H, L, E] with biases, static ones and zeros; how many keys were added."""
    q, k, v = views
    heads, size = q.shape[1], q.shape[3]
    more = 0
    if bias_k is not None and bias_v is not None:
        if static_k is not None:
            raise AssertionError("bias cannot be added to static key.")
        if static_v is not None:
            raise AssertionError("bias cannot be added to static value.")
        shape = (batch, heads, 1, size)
        k = cat([k, bias_k.reshape(1, heads, 1, size).expand(*shape)], 2)
        v = cat([v, bias_v.reshape(1, heads, 1, size).expand(*shape)], 2)
        more += 1
    elif bias_k is not None:
        raise AssertionError("bias_k is set but bias_v is None")
    elif bias_v is not None:
        raise AssertionError("bias_v is set but bias_k is None")
    k = _static("static_k", static_k, k, batch * heads, size)
    v = _static("static_v", static_v, v, batch * heads, size)
    if add_zero_attn:
        nothing = zeros(batch, heads, 1, size, dtype=k.dtype)
        k, v = cat([k, nothing], 2), cat([v, nothing], 2)
        more += 1
    return q, k, v, more


def _static(name: str, given, projected, rows: int, size: int) -> Tensor:
    if given is None:
        return projected
    if given.shape[0] != rows:
        raise AssertionError(f"expecting {name}.size(0) of {rows}, but got {given.shape[0]}")
    if given.shape[2] != size:
        raise AssertionError(f"expecting {name}.size(2) of {size}, but got {given.shape[2]}")
    return given.reshape(*projected.shape[:2], given.shape[1], size)


def _merged(attn_mask, key_padding_mask, batch, source) -> Tensor | None:
    """Both masks as one that broadcasts to [N, H, L, S]."""
    if key_padding_mask is None:
        return attn_mask
    for axis, expected in enumerate((batch, source)):
        if key_padding_mask.shape[axis] != expected:
            raise AssertionError(
                f"Expected key_padded_mask.shape[{axis}] to be {expected}, but got {key_padding_mask.shape[axis]}"
            )
    padding = key_padding_mask.reshape(batch, 1, 1, source)
    return padding if attn_mask is None else attn_mask + padding


def _broadcast_bias(bias, batch, heads, length, source) -> np.ndarray | None:
    return None if bias is None else np.broadcast_to(bias._array, (batch, heads, length, source))
