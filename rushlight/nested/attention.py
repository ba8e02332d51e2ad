"""Attention of nested tensors: each piece attends by itself."""

from rushlight.nested.tensor import Nested
from rushlight.tensor import Tensor


def scaled_dot_product_attention(
    func, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """`scaled_dot_product_attention` of nested queries, keys and values (pieces, heads, ragged, features)."""
    inputs = (query, key, value)
    _check(inputs, attn_mask)
    options = {"dropout_p": dropout_p, "is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa}
    first = query
    if all(t._ragged_idx == 1 and t.dim() > 3 for t in inputs if hasattr(t, "_ragged_idx")) and hasattr(
        first, "_ragged_idx"
    ):
        return first._with(func(*(t._values for t in inputs), **options))
    found = [func(q, k, v, **options) for q, k, v in zip(*(t._pieces() for t in inputs), strict=True)]
    return first._of_pieces(found)


def _check(inputs: tuple, mask) -> None:
    names = ("query", "key", "value")
    if not all(isinstance(t, Nested) and type(t) is type(inputs[0]) for t in inputs):
        got = ", ".join(f"{n}.is_nested: {t.is_nested}" for n, t in zip(names, inputs, strict=True))
        raise ValueError(
            f"Expected query, key, and value to be nested tensors of one layout, but got {got} instead."
        )
    if len({t.dtype for t in inputs}) > 1:
        got = ", ".join(f"{n}.dtype: {t.dtype}" for n, t in zip(names, inputs, strict=True))
        raise ValueError(f"Expected query, key, and value to have the same dtype, but got {got} instead.")
    if min(t.dim() for t in inputs) < 3:
        got = ", ".join(f"{n}.dim: {t.dim()}" for n, t in zip(names, inputs, strict=True))
        raise ValueError(
            f"Expected query, key, and value to all be at least 3 dimensional, but got {got} instead."
        )
    if len({getattr(t, "_ragged_idx", 1) for t in inputs}) > 1:
        got = ", ".join(str(t._ragged_idx) for t in inputs)
        raise ValueError(
            f"Expected query, key, and value to all be ragged on the same dimension, but got ragged dims {got}."
        )
    if len({t.size(0) for t in inputs}) > 1:
        got = ", ".join(str(t.size(0)) for t in inputs)
        raise RuntimeError(f"Expected query, key, and value to have as many pieces, but got {got}.")
    if isinstance(mask, Tensor):
        raise ValueError("Masks are not yet supported! Use is_causal=True, or attend piece by piece.")


def attend_with_heads(heads, query, key, value, masks: tuple, need_weights: bool, average: bool) -> tuple:
    """What `nn.MultiheadAttention` does with nested tensors, in evaluation and without gradients only, as in PyTorch.

    Args:
        heads: the module.
        query, key, value: the same nested tensor, three times.
        masks: what was given as masks.
        need_weights, average: whether to return weights, and their mean over the heads.
    Returns:
        The output, nested likewise; and the weights of each piece, padded with zeros, or None.
    Raises:
        AssertionError: otherwise.
    """
    from rushlight.nested.strided import StridedNestedTensor, from_pieces

    why = _why_not(heads, query, key, value, masks)
    if not why and not isinstance(query, StridedNestedTensor):
        why = "some Tensor argument has_torch_function: use a nested tensor of layout torch.strided"
    if why:
        raise AssertionError(
            "MultiheadAttention does not support NestedTensor outside of its fast path. The fast path was not hit "
            f"because {why}"
        )
    found = [heads(p, p, p, need_weights=need_weights, average_attn_weights=average) for p in query._pieces()]
    weights = from_pieces([w for _, w in found]).to_padded_tensor(0.0) if need_weights else None
    return from_pieces([out for out, _ in found]), weights


def _why_not(heads, query, key, value, masks) -> str:
    """Why PyTorch would refuse; nothing where it would not."""
    from rushlight.autograd import is_grad_enabled

    if not (query is key is value):
        return "non-self attention was used (query, key, and value are not the same Tensor)"
    if heads.training:
        return "training is enabled"
    if not heads.batch_first:
        return "batch_first was not True"
    if any(m is not None for m in masks):
        return "masks were given, which are not supported with NestedTensor input"
    if is_grad_enabled() and any(p.requires_grad for p in (query, *heads.parameters())):
        return "grad is enabled and at least one of query or the input/output projection weights or biases requires_grad"
    return ""
