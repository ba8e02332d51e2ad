"""Multiscale vision transformers: Fan et al., "Multiscale Vision Transformers", 2021, https://arxiv.org/abs/2104.11227;
Li et al., "MViTv2: Improved Multiscale Vision Transformers for Classification and Detection", 2022,
https://arxiv.org/abs/2112.01526."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import rushlight as torch
from rushlight import fx, nn
from rushlight.nn import functional as F
from rushlight.vision.models._builders import init_layers
from rushlight.vision.models._utils import _ovewrite_named_param, handle_legacy_interface
from rushlight.vision.models.registry import register_model
from rushlight.vision.models.video._weights import kinetics_row, kinetics_weights
from rushlight.vision.ops import MLP, StochasticDepth

__all__ = ["MViT", "MViT_V1_B_Weights", "MViT_V2_S_Weights", "mvit_v1_b", "mvit_v2_s"]


@dataclass
class MSBlockConfig:
    """The sizes of one block: heads, channels, and how queries, and keys and values, are pooled in (T, H, W)."""

    num_heads: int
    input_channels: int
    output_channels: int
    kernel_q: list[int]
    kernel_kv: list[int]
    stride_q: list[int]
    stride_kv: list[int]


@fx.wrap
def _unsqueeze(x, target_dim: int, expand_dim: int):
    """`x` with this number of dimensions, one of which may be absent, and how many it had."""
    dims = x.dim()
    if dims == target_dim - 1:
        x = x.unsqueeze(expand_dim)
    elif dims != target_dim:
        raise ValueError(f"Unsupported input dimension {x.shape}")
    return x, dims


@fx.wrap
def _squeeze(x, target_dim: int, expand_dim: int, tensor_dim: int):
    return x.squeeze(expand_dim) if tensor_dim == target_dim - 1 else x


class Pool(nn.Module):
    """What makes a film of vectors smaller; the first vector, that of the class, stays out of it.

    Args:
        pool: pooling or convolution of (N, C, T, H, W).
        norm: normalisation; None for none.
        activation: comes after it; None for none.
        norm_before_pool: do both before pooling.
    """

    def __init__(
        self,
        pool: nn.Module,
        norm: nn.Module | None,
        activation: nn.Module | None = None,
        norm_before_pool: bool = False,
    ):
        super().__init__()
        self.pool = pool
        layers = [layer for layer in (norm, activation) if layer is not None]
        self.norm_act = nn.Sequential(*layers) if layers else None
        self.norm_before_pool = norm_before_pool

    def forward(self, x, thw):
        x, dims = _unsqueeze(x, 4, 1)
        class_token, x = torch.tensor_split(x, indices=(1,), dim=2)
        x = x.transpose(2, 3)
        batch, heads, channels = x.shape[:3]
        x = x.reshape((batch * heads, channels) + thw).contiguous()
        if self.norm_before_pool and self.norm_act is not None:
            x = self.norm_act(x)
        x = self.pool(x)
        thw = tuple(x.shape[2:])
        x = x.reshape(batch, heads, channels, -1).transpose(2, 3)
        x = torch.cat((class_token, x), dim=2)
        if not self.norm_before_pool and self.norm_act is not None:
            x = self.norm_act(x)
        return _squeeze(x, 4, 1, dims), thw


def _relative(table, queries: int, keys: int):
    """The rows (queries, keys, C) of a table of relative positions, stretched if it has not the fitting length."""
    length = 2 * max(queries, keys) - 1
    if table.shape[0] != length:
        table = F.interpolate(table.t().unsqueeze(0), size=length, mode="linear").squeeze(0).t()
    by_query, by_key = max(keys / queries, 1.0), max(queries / keys, 1.0)
    at = torch.arange(keys)[None, :] + (1.0 - keys)
    distance = torch.arange(queries)[:, None] * by_query - at * by_key
    return table[distance.long()]


@fx.wrap
def _add_rel_pos(attn, q, q_thw, k_thw, rel_pos_h, rel_pos_w, rel_pos_t):
    """Scores (N, heads, queries, keys) with what the distances in rows, columns and frames add; changes `attn`."""
    batch, heads, _, channels = q.shape
    q = q[:, :, 1:].reshape(batch, heads, *q_thw, channels)
    time, row, column = (
        _relative(table, have, other)
        for table, have, other in zip((rel_pos_t, rel_pos_h, rel_pos_w), q_thw, k_thw, strict=True)
    )
    added = (
        torch.einsum("bythwc,hkc->bythwk", q, row)[..., None, :, None]
        + torch.einsum("bythwc,wkc->bythwk", q, column)[..., None, None, :]
        + torch.einsum("bythwc,tkc->bythwk", q, time)[..., :, None, None]
    )
    attn[:, :, 1:, 1:] += added.reshape(batch, heads, math.prod(q_thw), math.prod(k_thw))
    return attn


@fx.wrap
def _add_shortcut(x, shortcut, residual_with_cls_embed: bool):
    if residual_with_cls_embed:
        return x.add_(shortcut)
    x[:, :, 1:, :] += shortcut[:, :, 1:, :]
    return x


class MultiscaleAttention(nn.Module):
    """Attention whose queries, keys and values are pooled.

    Args:
        input_size: frames, rows and columns of the input.
        embed_dim, output_dim: channels of the input and of the result.
        num_heads: heads.
        kernel_q, stride_q: of the pooling of queries; empty for none.
        kernel_kv, stride_kv: of that of keys and values.
        residual_pool: add the pooled queries to the result.
        residual_with_cls_embed: also to the vector of the class.
        rel_pos_embed: learn what relative positions add to the scores.
        dropout: probability of zero of the result.
        norm_layer: function of the number of channels that makes a normalisation.
    """

    def __init__(
        self,
        input_size: list[int],
        embed_dim: int,
        output_dim: int,
        num_heads: int,
        kernel_q: list[int],
        kernel_kv: list[int],
        stride_q: list[int],
        stride_kv: list[int],
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        dropout: float = 0.0,
        norm_layer: Callable[..., nn.Module] = nn.LayerNorm,
    ):
        super().__init__()
        self.embed_dim = embed_dim
        self.output_dim = output_dim
        self.num_heads = num_heads
        self.head_dim = output_dim // num_heads
        self.scaler = 1.0 / math.sqrt(self.head_dim)
        self.residual_pool = residual_pool
        self.residual_with_cls_embed = residual_with_cls_embed
        self.qkv = nn.Linear(embed_dim, 3 * output_dim)
        dropped = [nn.Dropout(dropout, inplace=True)] if dropout > 0.0 else []
        self.project = nn.Sequential(nn.Linear(output_dim, output_dim), *dropped)
        self.pool_q = self._pool(kernel_q, stride_q, norm_layer)
        self.pool_k = self._pool(kernel_kv, stride_kv, norm_layer)
        self.pool_v = self._pool(kernel_kv, stride_kv, norm_layer)
        self.rel_pos_h = self.rel_pos_w = self.rel_pos_t = None
        if rel_pos_embed:
            size = max(input_size[1:])
            counts = (size // stride[1] if len(stride) > 0 else size for stride in (stride_q, stride_kv))
            space, time = 2 * max(counts) - 1, 2 * input_size[0] - 1
            self.rel_pos_h, self.rel_pos_w, self.rel_pos_t = (
                nn.Parameter(torch.zeros(length, self.head_dim)) for length in (space, space, time)
            )
            for table in (self.rel_pos_h, self.rel_pos_w, self.rel_pos_t):
                nn.init.trunc_normal_(table, std=0.02)

    def _pool(self, kernel: list[int], stride: list[int], norm_layer) -> Pool | None:
        """A convolution of each channel by itself and a normalisation; None where it would change nothing."""
        if math.prod(kernel) <= 1 and math.prod(stride) <= 1:
            return None
        channels = self.head_dim
        padding = [size // 2 for size in kernel]
        conv = nn.Conv3d(channels, channels, kernel, stride, padding, groups=channels, bias=False)
        return Pool(conv, norm_layer(channels))

    def forward(self, x, thw):
        batch, places, _ = x.shape
        qkv = self.qkv(x).reshape(batch, places, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.transpose(1, 3).unbind(dim=2)
        k, k_thw = (k, thw) if self.pool_k is None else self.pool_k(k, thw)
        v = v if self.pool_v is None else self.pool_v(v, thw)[0]
        q, thw = (q, thw) if self.pool_q is None else self.pool_q(q, thw)
        attn = torch.matmul(self.scaler * q, k.transpose(2, 3))
        if self.rel_pos_h is not None:
            attn = _add_rel_pos(attn, q, thw, k_thw, self.rel_pos_h, self.rel_pos_w, self.rel_pos_t)
        x = torch.matmul(attn.softmax(dim=-1), v)
        if self.residual_pool:
            _add_shortcut(x, q, self.residual_with_cls_embed)
        return self.project(x.transpose(1, 2).reshape(batch, -1, self.output_dim)), thw


class MultiscaleBlock(nn.Module):
    """Attention and two linear layers, each with a normalisation before and a shortcut past it.

    Args:
        input_size: frames, rows and columns of the input.
        cnf: its sizes.
        residual_pool, residual_with_cls_embed, rel_pos_embed, dropout, norm_layer: as of `MultiscaleAttention`.
        proj_after_attn: the attention changes the number of channels, not the linear layers.
        stochastic_depth_prob: how often a branch is dropped while training.
    """

    def __init__(
        self,
        input_size: list[int],
        cnf: MSBlockConfig,
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        proj_after_attn: bool,
        dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Callable[..., nn.Module] = nn.LayerNorm,
    ):
        super().__init__()
        self.proj_after_attn = proj_after_attn
        self.pool_skip = None
        if math.prod(cnf.stride_q) > 1:
            kernel = [s + 1 if s > 1 else s for s in cnf.stride_q]
            self.pool_skip = Pool(nn.MaxPool3d(kernel, cnf.stride_q, [k // 2 for k in kernel]), None)
        attn_dim = cnf.output_channels if proj_after_attn else cnf.input_channels
        self.norm1 = norm_layer(cnf.input_channels)
        self.norm2 = norm_layer(attn_dim)
        self.needs_transposal = isinstance(self.norm1, nn.BatchNorm1d)
        self.attn = MultiscaleAttention(
            input_size,
            cnf.input_channels,
            attn_dim,
            cnf.num_heads,
            kernel_q=cnf.kernel_q,
            kernel_kv=cnf.kernel_kv,
            stride_q=cnf.stride_q,
            stride_kv=cnf.stride_kv,
            rel_pos_embed=rel_pos_embed,
            residual_pool=residual_pool,
            residual_with_cls_embed=residual_with_cls_embed,
            dropout=dropout,
            norm_layer=norm_layer,
        )
        hidden = [4 * attn_dim, cnf.output_channels]
        self.mlp = MLP(attn_dim, hidden, activation_layer=nn.GELU, dropout=dropout, inplace=None)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.project = None
        if cnf.input_channels != cnf.output_channels:
            self.project = nn.Linear(cnf.input_channels, cnf.output_channels)

    def _normed(self, norm, x):
        return norm(x.transpose(1, 2)).transpose(1, 2) if self.needs_transposal else norm(x)

    def forward(self, x, thw):
        first = self._normed(self.norm1, x)
        attended, new_thw = self.attn(first, thw)
        x = self.project(first) if self.project is not None and self.proj_after_attn else x
        skip = x if self.pool_skip is None else self.pool_skip(x, thw)[0]
        x = skip + self.stochastic_depth(attended)
        second = self._normed(self.norm2, x)
        x = self.project(second) if self.project is not None and not self.proj_after_attn else x
        return x + self.stochastic_depth(self.mlp(second)), new_thw


class PositionalEncoding(nn.Module):
    """The vector of the class before all others and, without relative positions, what each position adds.

    Args:
        embed_size: channels.
        spatial_size: rows and columns.
        temporal_size: frames.
        rel_pos_embed: whether the attention knows the positions.
    """

    def __init__(
        self, embed_size: int, spatial_size: tuple[int, int], temporal_size: int, rel_pos_embed: bool
    ):
        super().__init__()
        self.spatial_size = spatial_size
        self.temporal_size = temporal_size
        self.class_token = nn.Parameter(torch.zeros(embed_size))
        self.spatial_pos = self.temporal_pos = self.class_pos = None
        if not rel_pos_embed:
            self.spatial_pos = nn.Parameter(torch.zeros(spatial_size[0] * spatial_size[1], embed_size))
            self.temporal_pos = nn.Parameter(torch.zeros(temporal_size, embed_size))
            self.class_pos = nn.Parameter(torch.zeros(embed_size))

    def forward(self, x):
        token = self.class_token.expand(x.size(0), -1).unsqueeze(1)
        x = torch.cat((token, x), dim=1)
        if self.spatial_pos is None:
            return x
        places = (self.temporal_pos[:, None] + self.spatial_pos[None]).flatten(0, 1)
        return x + torch.cat((self.class_pos[None], places))[None]


class MViT(nn.Module):
    """A transformer that sees ever fewer and wider vectors, for films (N, 3, T, H, W).

    Args:
        spatial_size: rows and columns of the film.
        temporal_size: its frames.
        block_setting: the sizes of each block.
        residual_pool, residual_with_cls_embed, rel_pos_embed: as of `MultiscaleAttention`.
        proj_after_attn: as of `MultiscaleBlock`.
        dropout: probability of zero before the classifier.
        attention_dropout: probability of zero within the blocks.
        stochastic_depth_prob: how often the last block is dropped; the first never is.
        num_classes: outputs.
        block: used in place of `MultiscaleBlock`.
        norm_layer: function of the number of channels that makes a normalisation; layer normalisation by default.
        patch_embed_kernel, patch_embed_stride, patch_embed_padding: of the first convolution.

    Raises:
        ValueError: there are no blocks.
    """

    def __init__(
        self,
        spatial_size: tuple[int, int],
        temporal_size: int,
        block_setting: Sequence[MSBlockConfig],
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        proj_after_attn: bool,
        dropout: float = 0.5,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        num_classes: int = 400,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        patch_embed_kernel: tuple[int, int, int] = (3, 7, 7),
        patch_embed_stride: tuple[int, int, int] = (2, 4, 4),
        patch_embed_padding: tuple[int, int, int] = (1, 3, 3),
    ):
        super().__init__()
        if len(block_setting) == 0:
            raise ValueError("The configuration parameter can't be empty.")
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        channels = block_setting[0].input_channels
        self.conv_proj = nn.Conv3d(3, channels, patch_embed_kernel, patch_embed_stride, patch_embed_padding)
        sizes = (temporal_size, *spatial_size)
        size = [n // stride for n, stride in zip(sizes, self.conv_proj.stride, strict=True)]
        self.pos_encoding = PositionalEncoding(channels, (size[1], size[2]), size[0], rel_pos_embed)
        self.blocks = nn.ModuleList()
        for i, cnf in enumerate(block_setting):
            self.blocks.append(
                (block or MultiscaleBlock)(
                    input_size=size,
                    cnf=cnf,
                    residual_pool=residual_pool,
                    residual_with_cls_embed=residual_with_cls_embed,
                    rel_pos_embed=rel_pos_embed,
                    proj_after_attn=proj_after_attn,
                    dropout=attention_dropout,
                    stochastic_depth_prob=stochastic_depth_prob * i / (len(block_setting) - 1.0),
                    norm_layer=norm_layer,
                )
            )
            if len(cnf.stride_q) > 0:
                size = [n // stride for n, stride in zip(size, cnf.stride_q, strict=True)]
        last = block_setting[-1].output_channels
        self.norm = norm_layer(last)
        self.head = nn.Sequential(nn.Dropout(dropout, inplace=True), nn.Linear(last, num_classes))
        for parameter in self.pos_encoding.parameters():
            nn.init.trunc_normal_(parameter, std=0.02)
        init_layers(self, linear=partial(nn.init.trunc_normal_, std=0.02))

    def forward(self, x):
        x = self.conv_proj(_unsqueeze(x, 5, 2)[0])
        x = self.pos_encoding(x.flatten(2).transpose(1, 2))
        thw = (self.pos_encoding.temporal_size, *self.pos_encoding.spatial_size)
        for block in self.blocks:
            x, thw = block(x, thw)
        return self.head(self.norm(x)[:, 0])


def _blocks(widths: list[int], outputs: list[int], first: list[int], narrowing: tuple, kernel_q, stride_q):
    """The settings of 16 blocks.

    Args:
        widths, outputs: channels of the input and of the result of each.
        first: heads of each.
        narrowing: the numbers of the blocks that halve rows and columns.
        kernel_q, stride_q: of the other blocks' queries.
    """
    settings, kv = [], 8
    for i, (heads, have, make) in enumerate(zip(first, widths, outputs, strict=True)):
        narrow = i in narrowing
        kv = kv // 2 if narrow else kv
        settings.append(
            MSBlockConfig(
                num_heads=heads,
                input_channels=have,
                output_channels=make,
                kernel_q=[3, 3, 3] if narrow else list(kernel_q),
                kernel_kv=[3, 3, 3],
                stride_q=[1, 2, 2] if narrow else list(stride_q),
                stride_kv=[1, kv, kv],
            )
        )
    return settings


def _mvit(block_setting, weights, progress: bool, **kwargs: Any) -> MViT:
    if weights is not None:
        _ovewrite_named_param(kwargs, "num_classes", len(weights.meta["categories"]))
        _ovewrite_named_param(kwargs, "spatial_size", weights.meta["min_size"])
        _ovewrite_named_param(kwargs, "temporal_size", weights.meta["min_temporal_size"])
    defaults = {
        "spatial_size": (224, 224),
        "temporal_size": 16,
        "residual_pool": False,
        "residual_with_cls_embed": True,
        "rel_pos_embed": False,
        "proj_after_attn": False,
        "stochastic_depth_prob": 0.2,
    }
    model = MViT(block_setting=block_setting, **{**defaults, **kwargs})
    if weights is not None:
        model.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))
    return model


_row = partial(
    kinetics_row,
    preset={"mean": (0.45, 0.45, 0.45), "std": (0.225, 0.225, 0.225)},
    min_size=(224, 224),
    min_temporal_size=16,
)
# fmt: off
MViT_V1_B_Weights = kinetics_weights("MViT_V1_B", __name__, KINETICS400_V1=_row(
    "mvit_v1_b-dbeb1030", 78.477, 93.582, num_params=36610672, _ops=70.599, _file_size=139.764,
    recipe="https://github.com/facebookresearch/pytorchvideo/blob/main/docs/source/model_zoo.md"))
MViT_V2_S_Weights = kinetics_weights("MViT_V2_S", __name__, KINETICS400_V1=_row(
    "mvit_v2_s-ae3be167", 80.757, 94.665, num_params=34537744, _ops=64.224, _file_size=131.884,
    recipe="https://github.com/facebookresearch/SlowFast/blob/main/MODEL_ZOO.md"))
# fmt: on


@register_model()
@handle_legacy_interface(weights=("pretrained", MViT_V1_B_Weights.KINETICS400_V1))
def mvit_v1_b(*, weights: MViT_V1_B_Weights | None = None, progress: bool = True, **kwargs: Any) -> MViT:
    """A base MViT (Fan et al., Multiscale Vision Transformers, 2021).

    Args:
        weights: pretrained weights, a member of `MViT_V1_B_Weights` or its name; random ones by default.
        progress: show a bar while downloading them.
        **kwargs: arguments of `MViT`.
    """
    widths = [96, 192, 192, *[384] * 11, 768, 768]
    outputs = [192, 192, *[384] * 11, 768, 768, 768]
    blocks = _blocks(widths, outputs, [1, 2, 2, *[4] * 11, 8, 8], (1, 3, 14), [], [])
    return _mvit(
        blocks,
        MViT_V1_B_Weights.verify(weights),
        progress,
        **{"residual_pool": False, "residual_with_cls_embed": False, **kwargs},
    )


@register_model()
@handle_legacy_interface(weights=("pretrained", MViT_V2_S_Weights.KINETICS400_V1))
def mvit_v2_s(*, weights: MViT_V2_S_Weights | None = None, progress: bool = True, **kwargs: Any) -> MViT:
    """A small MViTv2 (Li et al., MViTv2: Improved Multiscale Vision Transformers, 2022).

    Args:
        weights: pretrained weights, a member of `MViT_V2_S_Weights` or its name; random ones by default.
        progress: show a bar while downloading them.
        **kwargs: arguments of `MViT`.
    """
    widths = [96, 96, 192, 192, *[384] * 11, 768]
    outputs = [96, 192, 192, *[384] * 11, 768, 768]
    blocks = _blocks(widths, outputs, [1, 2, 2, *[4] * 11, 8, 8], (1, 3, 14), [3, 3, 3], [1, 1, 1])
    fixed = {"residual_pool": True, "residual_with_cls_embed": False}
    fixed |= {"rel_pos_embed": True, "proj_after_attn": True}
    return _mvit(blocks, MViT_V2_S_Weights.verify(weights), progress, **{**fixed, **kwargs})
