"""The Transformer: stacks of layers of attention and of pairs of linear layers."""

import copy
import math
import warnings

from rushlight.autograd.grad_mode import is_grad_enabled
from rushlight.nn import functional as F
from rushlight.nn.activation import GELU, ReLU
from rushlight.nn.containers import ModuleList
from rushlight.nn.dropout import Dropout
from rushlight.nn.init import xavier_uniform_
from rushlight.nn.linear import Linear
from rushlight.nn.module import Module
from rushlight.nn.multihead import MultiheadAttention
from rushlight.nn.normalization import LayerNorm
from rushlight.ops.creation import full
from rushlight.ops.masks import masked_fill
from rushlight.ops.multihead import canonical_mask, none_or_dtype
from rushlight.ops.rearranging import triu


def _generate_square_subsequent_mask(sz, device=None, dtype=None):
    return triu(full((sz, sz), -math.inf, dtype=dtype, device=device), 1)


def _is_causal(mask, is_causal, length: int | None) -> bool:
    """The hint where there is one, else whether the mask is the causal one."""
    if is_causal is not None or mask is None:
        return is_causal is True
    if tuple(mask.shape) != (length, length):
        return False
    return bool((mask == _generate_square_subsequent_mask(length, dtype=mask.dtype)).all())


def _length(x, batch_first: bool) -> int | None:
    if x.is_nested:
        return None  # each piece has its own
    return x.shape[0] if x.dim() == 2 else x.shape[1 if batch_first else 0]


def _get_activation_fn(activation):
    """The function of that name; PyTorch's name, which copies of its layers import."""
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return getattr(F, activation)


def _get_clones(layer, count: int) -> ModuleList:
    """Copies of a layer; PyTorch's name, which copies of its layers import."""
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


class _Layer(Module):
    """What layers of encoder and decoder share: attention to itself and two linear layers."""

    def _make(
        self, d_model, nhead, dim_feedforward, dropout, layer_norm_eps, batch_first, norm_first, bias, made, cross
    ):  # fmt: skip
        attention = {"dropout": dropout, "bias": bias, "batch_first": batch_first, **made}
        self.self_attn = MultiheadAttention(d_model, nhead, **attention)
        if cross:
            self.multihead_attn = MultiheadAttention(d_model, nhead, **attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **made)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **made)
        self.norm_first = norm_first
        count = 3 if cross else 2
        for i in range(1, count + 1):
            setattr(self, f"norm{i}", LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made))
        for i in range(1, count + 1):
            setattr(self, f"dropout{i}", Dropout(dropout))

    def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
        x = self.self_attn(
            x, x, x, attn_mask=attn_mask, key_padding_mask=key_padding_mask, need_weights=False, is_causal=is_causal
        )[0]  # fmt: skip
        return self.dropout1(x)

    def _feed_forward(self, x):
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Attention to itself and two linear layers, each added to its input and normalized.

    Args:
        d_model: the size E of the input.
        nhead: how many heads the attention has.
        dim_feedforward: the size between the linear layers.
        dropout: the probability of dropping an element.
        activation: "relu", "gelu" or a function, between the linear layers.
        layer_norm_eps: eps of the layer normalizations.
        batch_first: whether batches are [N, S, E] instead of [S, N, E].
        norm_first: whether to normalize before instead of after.
        bias: whether linear layers and normalizations have biases.
        device, dtype: where and of which type the parameters are.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.

    >>> import rushlight as torch
    >>> torch.nn.TransformerEncoderLayer(8, 2, 16)(torch.ones(5, 2, 8)).shape
    torch.Size([5, 2, 8])
    """

    __constants__ = ["norm_first"]

    def __init__(
        self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu, layer_norm_eps=1e-05,
        batch_first=False, norm_first=False, bias=True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        made = {"device": device, "dtype": dtype}
        self._make(
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            made,
            False,
        )
        self.activation = activation = _get_activation_fn(activation)
        self.activation_relu_or_gelu = 0
        if activation is F.relu or isinstance(activation, ReLU):
            self.activation_relu_or_gelu = 1
        elif activation is F.gelu or isinstance(activation, GELU):
            self.activation_relu_or_gelu = 2

    def __setstate__(self, state):
        super().__setstate__(state)
        if not hasattr(self, "activation"):
            self.activation = F.relu

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        """Apply the layer.

        Args:
            src: [S, N, E], or as `batch_first` says; or [S, E].
            src_mask: [S, S] or [N * nhead, S, S]; True where a place does not attend to another, or numbers.
            src_key_padding_mask: [N, S]; True at places that nobody attends to, or numbers.
            is_causal: a hint that `src_mask` is the causal one.
        Returns:
            A tensor like `src`.
        """
        src_key_padding_mask = canonical_mask(
            src_key_padding_mask, "src_key_padding_mask", none_or_dtype(src_mask), "src_mask", src.dtype
        )
        src_mask = canonical_mask(src_mask, "src_mask", None, "", src.dtype, False)
        if self.norm_first:
            x = src + self._sa_block(self.norm1(src), src_mask, src_key_padding_mask, is_causal)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(src + self._sa_block(src, src_mask, src_key_padding_mask, is_causal))
        return self.norm2(x + self._ff_block(x))

    def _ff_block(self, x):
        return self.dropout2(self._feed_forward(x))


class TransformerDecoderLayer(_Layer):
    """Attention to itself, attention to a memory and two linear layers, each added to its input and normalized.

    Args:
        d_model: the size E of the input.
        nhead: how many heads the attentions have.
        dim_feedforward: the size between the linear layers.
        dropout: the probability of dropping an element.
        activation: "relu", "gelu" or a function, between the linear layers.
        layer_norm_eps: eps of the layer normalizations.
        batch_first: whether batches are [N, T, E] instead of [T, N, E].
        norm_first: whether to normalize before instead of after.
        bias: whether linear layers and normalizations have biases.
        device, dtype: where and of which type the parameters are.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.

    >>> import rushlight as torch
    >>> layer = torch.nn.TransformerDecoderLayer(8, 2, 16)
    >>> layer(torch.ones(3, 2, 8), memory=torch.ones(5, 2, 8)).shape
    torch.Size([3, 2, 8])
    """

    __constants__ = ["norm_first"]

    def __init__(
        self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu, layer_norm_eps=1e-05,
        batch_first=False, norm_first=False, bias=True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        made = {"device": device, "dtype": dtype}
        self._make(
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            made,
            True,
        )
        self.activation = _get_activation_fn(activation)

    def __setstate__(self, state):
        state.setdefault("activation", F.relu)
        super().__setstate__(state)

    def forward(
        self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
        tgt_is_causal=False, memory_is_causal=False,
    ):  # fmt: skip
        """Apply the layer.

        Args:
            tgt: [T, N, E], or as `batch_first` says; or [T, E].
            memory: likewise, of length S.
            tgt_mask: [T, T] or [N * nhead, T, T]; True where a place does not attend to another, or numbers.
            memory_mask: [T, S] or [N * nhead, T, S], likewise.
            tgt_key_padding_mask, memory_key_padding_mask: [N, T] and [N, S]; True at places nobody attends to.
            tgt_is_causal, memory_is_causal: hints that the masks are the causal ones.
        Returns:
            A tensor like `tgt`.
        """
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        x = tgt
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), *own)
            x = x + self._mha_block(self.norm2(x), *other)
            return x + self._ff_block(self.norm3(x))
        x = self.norm1(x + self._sa_block(x, *own))
        x = self.norm2(x + self._mha_block(x, *other))
        return self.norm3(x + self._ff_block(x))

    def _mha_block(self, x, mem, attn_mask, key_padding_mask, is_causal=False):
        x = self.multihead_attn(
            x, mem, mem, attn_mask=attn_mask, key_padding_mask=key_padding_mask, is_causal=is_causal,
            need_weights=False,
        )[0]  # fmt: skip
        return self.dropout2(x)

    def _ff_block(self, x):
        return self.dropout3(self._feed_forward(x))


class TransformerEncoder(Module):
    """A stack of encoder layers.

    Args:
        encoder_layer: the layer that is copied; all copies start with its parameters.
        num_layers: how many there are.
        norm: a layer that is applied at the end, or None.
        enable_nested_tensor: whether, without gradients and in evaluation, padded places come out as zeros, as where
            PyTorch leaves them out.
        mask_check: whether that is done only where all padding is at the end.

    >>> import rushlight as torch
    >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> torch.nn.TransformerEncoder(layer, 2)(torch.ones(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    __constants__ = ["norm"]

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers = _get_clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check
        reason = _why_not_nested(encoder_layer)
        if enable_nested_tensor and reason:
            warnings.warn(
                f"enable_nested_tensor is True, but self.use_nested_tensor is False because {reason}",
                stacklevel=2,
            )
            self.use_nested_tensor = False

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        """Apply the layers.

        Args:
            src: [S, N, E], or as the layers' `batch_first` says; or [S, E].
            mask: [S, S] or [N * nhead, S, S]; True where a place does not attend to another, or numbers.
            src_key_padding_mask: [N, S]; True at places that nobody attends to, or numbers.
            is_causal: a hint whether `mask` is the causal one; found out where None.
        Returns:
            A tensor like `src`.
        """
        src_key_padding_mask = canonical_mask(
            src_key_padding_mask, "src_key_padding_mask", none_or_dtype(mask), "mask", src.dtype
        )
        mask = canonical_mask(mask, "mask", None, "", src.dtype, False)
        is_causal = _is_causal(mask, is_causal, _length(src, self.layers[0].self_attn.batch_first))
        output = src
        for layer in self.layers:
            output = layer(
                output, src_mask=mask, is_causal=is_causal, src_key_padding_mask=src_key_padding_mask
            )
        if (
            src_key_padding_mask is not None
            and mask is None
            and self._leaves_padding_out(src, src_key_padding_mask)
        ):
            output = masked_fill(output, (src_key_padding_mask != 0).unsqueeze(-1), 0.0)
        return output if self.norm is None else self.norm(output)

    def _leaves_padding_out(self, src, padding) -> bool:
        first = self.layers[0]
        if not self.use_nested_tensor or first.training or src.dim() != 3:
            return False
        if is_grad_enabled() and (src.requires_grad or any(p.requires_grad for p in first.parameters())):
            return False
        padded = padding._array != 0
        return not self.mask_check or bool((padded[:, 1:] >= padded[:, :-1]).all())


def _why_not_nested(layer) -> str:
    """Why PyTorch would not leave padding out with such layers; nothing where it would."""
    if not isinstance(layer, TransformerEncoderLayer):
        return "encoder_layer was not TransformerEncoderLayer"
    attention = layer.self_attn
    if layer.norm_first:
        return "encoder_layer.norm_first was True"
    if not attention.batch_first:
        return "encoder_layer.self_attn.batch_first was not True(use batch_first for better inference performance)"
    if not attention._qkv_same_embed_dim:
        return "encoder_layer.self_attn._qkv_same_embed_dim was not True"
    if attention.in_proj_bias is None:
        return "encoder_layer.self_attn was passed bias=False"
    if not layer.activation_relu_or_gelu:
        return "encoder_layer.activation_relu_or_gelu was not True"
    if layer.norm1.eps != layer.norm2.eps:
        return "encoder_layer.norm1.eps was not equal to encoder_layer.norm2.eps"
    return "encoder_layer.self_attn.num_heads is odd" if attention.num_heads % 2 else ""


class TransformerDecoder(Module):
    """A stack of decoder layers.

    Args:
        decoder_layer: the layer that is copied; all copies start with its parameters.
        num_layers: how many there are.
        norm: a layer that is applied at the end, or None.

    >>> import rushlight as torch
    >>> decoder = torch.nn.TransformerDecoder(torch.nn.TransformerDecoderLayer(8, 2, 16), 2)
    >>> decoder(torch.ones(3, 2, 8), torch.ones(5, 2, 8)).shape
    torch.Size([3, 2, 8])
    """

    __constants__ = ["norm"]

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = _get_clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
        tgt_is_causal=None, memory_is_causal=False,
    ):  # fmt: skip
        """Apply the layers; arguments as for `TransformerDecoderLayer`.

        `tgt_is_causal=None` finds out whether `tgt_mask` is the causal one.
        """
        length = _length(tgt, self.layers[0].self_attn.batch_first)
        tgt_is_causal = _is_causal(tgt_mask, tgt_is_causal, length)
        output = tgt
        for layer in self.layers:
            output = layer(
                output, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
                memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return output if self.norm is None else self.norm(output)


class Transformer(Module):
    """An encoder and a decoder that attends to what the encoder makes of the source.

    Args:
        d_model: the size E of source and target.
        nhead: how many heads the attentions have.
        num_encoder_layers, num_decoder_layers: how many layers there are.
        dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias: as for
            `TransformerEncoderLayer`.
        custom_encoder, custom_decoder: modules in place of the usual ones.
        device, dtype: where and of which type the parameters are.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.

    >>> import rushlight as torch
    >>> model = torch.nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    >>> model(torch.ones(2, 5, 8), torch.ones(2, 3, 8)).shape
    torch.Size([2, 3, 8])
    """

    def __init__(
        self, d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048, dropout=0.1,
        activation=F.relu, custom_encoder=None, custom_decoder=None, layer_norm_eps=1e-05, batch_first=False,
        norm_first=False, bias=True, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        made = {"device": device, "dtype": dtype}
        layer = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        )  # fmt: skip
        if custom_encoder is None:
            encoder_layer = TransformerEncoderLayer(*layer, **made)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
            self.encoder = TransformerEncoder(encoder_layer, num_encoder_layers, norm)
        else:
            self.encoder = custom_encoder
        if custom_decoder is None:
            decoder_layer = TransformerDecoderLayer(*layer, **made)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
            self.decoder = TransformerDecoder(decoder_layer, num_decoder_layers, norm)
        else:
            self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        for p in self.parameters():
            if p.dim() > 1:
                xavier_uniform_(p)

    def forward(
        self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None,
        tgt_key_padding_mask=None, memory_key_padding_mask=None, src_is_causal=None, tgt_is_causal=None,
        memory_is_causal=False,
    ):  # fmt: skip
        """Encode the source, and decode the target.

        Args:
            src: [S, N, E]; [N, S, E] if `batch_first`; or [S, E].
            tgt: likewise, of length T.
            src_mask, tgt_mask, memory_mask: [S, S], [T, T] and [T, S]; True where a place does not attend to another,
                or numbers that are added to the scores.
            src_key_padding_mask, tgt_key_padding_mask, memory_key_padding_mask: [N, S], [N, T] and [N, S]; True at
                places that nobody attends to, or numbers.
            src_is_causal, tgt_is_causal, memory_is_causal: hints that masks are causal; found out where None.
        Returns:
            A tensor like `tgt`.
        Raises:
            RuntimeError: the batches or the sizes differ.
        """
        at = 0 if self.batch_first else 1
        if src.dim() == 3 and src.size(at) != tgt.size(at):
            raise RuntimeError(
                f"the batch number of src and tgt must be equal: got {src.size(at)} and {tgt.size(at)}"
            )
        if src.size(-1) != self.d_model or tgt.size(-1) != self.d_model:
            raise RuntimeError(
                f"the feature number of src and tgt must be equal to d_model: got {src.size(-1)} and {tgt.size(-1)} "
                f"for {self.d_model}"
            )
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """The causal mask [sz, sz]: -inf above the diagonal, else 0.

        >>> import rushlight as torch
        >>> torch.nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        return _generate_square_subsequent_mask(sz, device, dtype)


__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
]  # fmt: skip
