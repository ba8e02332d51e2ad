"""Attention with several heads."""

from rushlight.nn.init import constant_, xavier_normal_, xavier_uniform_
from rushlight.nn.linear import NonDynamicallyQuantizableLinear
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.ops.creation import empty
from rushlight.ops.multihead import attention_of_heads


class MultiheadAttention(Module):
    """Attends from queries to keys and values, in several heads with projections of their own.

    Args:
        embed_dim: the size E of queries and of the output.
        num_heads: how many heads there are; E is a multiple of it.
        dropout: the probability of dropping a weight in training.
        bias: whether the projections have biases.
        add_bias_kv: whether there is one more key and value, which are learned.
        add_zero_attn: whether there is one more key and value, which are zero.
        kdim, vdim: the sizes of keys and values; E by default.
        batch_first: whether batches are [N, L, E] instead of [L, N, E].
        device, dtype: where and of which type the parameters are.
    Attributes: `in_proj_weight` [3 E, E] and `in_proj_bias` [3 E]; with other sizes of keys or values `q_proj_weight`,
        `k_proj_weight` and `v_proj_weight`; `out_proj`, a linear layer.
    Raises:
        ValueError: a size is not positive. AssertionError: E is no multiple of `num_heads`.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.

    >>> import rushlight as torch
    >>> x = torch.ones(5, 2, 8)
    >>> out, weights = torch.nn.MultiheadAttention(8, 2)(x, x, x)
    >>> out.shape, weights.shape
    (torch.Size([5, 2, 8]), torch.Size([2, 5, 5]))
    """

    __constants__ = ["batch_first"]

    def __init__(
        self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None,
        vdim=None, batch_first=False, device=None, dtype=None,
    ):  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
                f"num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(f"embed_dim must be divisible by num_heads: got {embed_dim} and {num_heads}")
        made = {"device": device, "dtype": dtype}
        if self._qkv_same_embed_dim:
            self.in_proj_weight = Parameter(empty((3 * embed_dim, embed_dim), **made))
            for name in "qkv":
                self.register_parameter(f"{name}_proj_weight", None)
        else:
            self.q_proj_weight = Parameter(empty((embed_dim, embed_dim), **made))
            self.k_proj_weight = Parameter(empty((embed_dim, self.kdim), **made))
            self.v_proj_weight = Parameter(empty((embed_dim, self.vdim), **made))
            self.register_parameter("in_proj_weight", None)
        if bias:
            self.in_proj_bias = Parameter(empty(3 * embed_dim, **made))
        else:
            self.register_parameter("in_proj_bias", None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, **made)
        if add_bias_kv:
            self.bias_k = Parameter(empty((1, 1, embed_dim), **made))
            self.bias_v = Parameter(empty((1, 1, embed_dim), **made))
        else:
            self.bias_k = self.bias_v = None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            constant_(self.in_proj_bias, 0.0)
            constant_(self.out_proj.bias, 0.0)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                xavier_normal_(bias)

    def __setstate__(self, state):
        state.setdefault("_qkv_same_embed_dim", True)
        super().__setstate__(state)

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True,
        is_causal=False,
    ):  # fmt: skip
        """Attend.

        Args:
            query: [L, N, E]; [N, L, E] if `batch_first`; or [L, E] without a batch.
            key, value: likewise, of length S and sizes `kdim` and `vdim`.
            key_padding_mask: [N, S]; True at keys that nobody attends to, or numbers that are added to the scores.
            need_weights: whether to return the weights too; it is faster without.
            attn_mask: [L, S] or [N * num_heads, L, S]; True where a query does not attend to a key, or numbers.
            average_attn_weights: whether to return the weights' mean over the heads.
            is_causal: a hint that `attn_mask` is the causal one.
        Returns:
            The output, like `query`; and the weights [N, L, S], or [N, num_heads, L, S], or None.
        """
        if query.is_nested or key.is_nested or value.is_nested:
            from rushlight.nested.attention import attend_with_heads

            masks = attn_mask, key_padding_mask
            return attend_with_heads(self, query, key, value, masks, need_weights, average_attn_weights)
        separate = None
        if not self._qkv_same_embed_dim:
            separate = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        return attention_of_heads(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k,
            self.bias_v, self.add_zero_attn, self.dropout if self.training else 0.0, self.out_proj.weight,
            self.out_proj.bias, key_padding_mask, need_weights, attn_mask, separate,
            average_weights=average_attn_weights, is_causal=is_causal, batch_first=self.batch_first,
        )  # fmt: skip

    def merge_masks(self, attn_mask, key_padding_mask, query) -> tuple:
        """Both masks as one, and its kind.

        Args:
            attn_mask: [L, L] or [N * num_heads, L, L], or None.
            key_padding_mask: [N, L], or None.
            query: [N, L, E].
        Returns:
            None and None without masks; the padding mask and 1 where it is alone; else [N, num_heads, L, L] and 2.
        """
        if attn_mask is None:
            return key_padding_mask, None if key_padding_mask is None else 1
        n, length, _ = query.shape
        if attn_mask.dim() == 3:
            merged = attn_mask.view(n, -1, length, length)
        else:
            merged = attn_mask.view(1, 1, length, length).expand(n, self.num_heads, -1, -1)
        if key_padding_mask is not None:
            merged = merged + key_padding_mask.view(n, 1, 1, length).expand(-1, self.num_heads, -1, -1)
        return merged, 2


__all__ = ["MultiheadAttention"]
