"""Swin transformers for films: Liu et al., "Video Swin Transformer", 2021, https://arxiv.org/abs/2106.13230."""

import itertools
import math
from collections.abc import Callable
from functools import partial

import rushlight as torch
from rushlight import fx, nn
from rushlight.nn import functional as F
from rushlight.vision.models._builders import init_layers, model_builder
from rushlight.vision.models.swin_transformer import PatchMerging, SwinTransformerBlock
from rushlight.vision.models.video._weights import kinetics_row, kinetics_weights

__all__ = [
    "Swin3D_B_Weights",
    "Swin3D_S_Weights",
    "Swin3D_T_Weights",
    "SwinTransformer3d",
    "swin3d_b",
    "swin3d_s",
    "swin3d_t",
]


def _to_windows(x, window: list[int]):
    """(N, T, H, W, C) as (N windows, places in a window, C); sizes are multiples of the window's."""
    n, *sizes, channels = x.shape
    split = [part for size, by in zip(sizes, window, strict=True) for part in (size // by, by)]
    x = x.view(n, *split, channels)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, math.prod(window), channels)


def _from_windows(x, window: list[int], sizes: list[int]):
    counts = [size // by for size, by in zip(sizes, window, strict=True)]
    x = x.view(-1, *counts, *window, x.shape[-1])
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, *sizes, x.shape[-1])


def _shift_mask(x, window: list[int], shift: list[int]):
    """-100 between places of a window that only the shift around the border has brought together, else 0."""
    regions = x.new_zeros((1, *x.shape[1:4], 1))
    parts = [
        (slice(0, -size), slice(-size, -by), slice(-by, None)) for size, by in zip(window, shift, strict=True)
    ]
    for number, (time, row, column) in enumerate(itertools.product(*parts)):
        regions[:, time, row, column] = number
    regions = _to_windows(regions, window).squeeze(-1)
    return (regions.unsqueeze(1) != regions.unsqueeze(2)).to(x.dtype) * -100.0


@fx.wrap
def _get_window_and_shift_size(shift_size: list[int], size_dhw: list[int], window_size: list[int]):
    """Windows no larger than the film; one that holds everything need not be shifted. Changes and gives both lists."""
    for i in range(3):
        if size_dhw[i] <= window_size[i]:
            window_size[i], shift_size[i] = size_dhw[i], 0
    return window_size, shift_size


@fx.wrap
def _get_relative_position_bias(table, index, window_size: list[int]):
    """The entries of a table for all pairs of places in a window, (1, heads, places, places)."""
    places = math.prod(window_size)
    bias = table[index[:places, :places].flatten()].view(places, places, -1)
    return bias.permute(2, 0, 1).contiguous().unsqueeze(0)


@fx.wrap
def shifted_window_attention_3d(
    input,
    qkv_weight,
    proj_weight,
    relative_position_bias,
    window_size: list[int],
    num_heads: int,
    shift_size: list[int],
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    qkv_bias=None,
    proj_bias=None,
    training: bool = True,
):
    """Attention inside windows of a film, which may be shifted.

    Args:
        input: (N, T, H, W, C).
        qkv_weight: (3 C, C), of queries, keys and values.
        proj_weight: (C, C), of the result.
        relative_position_bias: (1, heads, places, places), added before the softmax.
        window_size: frames, height and width of a window.
        num_heads: heads.
        shift_size: by how many frames, rows and columns the windows are shifted.
        attention_dropout: probability of zero of the attention's weights.
        dropout: probability of zero of the result.
        qkv_bias: (3 C,).
        proj_bias: (C,).
        training: without it nothing is dropped.

    Returns:
        (N, T, H, W, C).
    """
    _, time, height, width, channels = input.shape
    x = _padded(input, window_size)
    sizes = list(x.shape[1:4])
    shifted = sum(shift_size) > 0
    if shifted:
        x = torch.roll(x, shifts=tuple(-by for by in shift_size), dims=(1, 2, 3))
        mask = _shift_mask(x, window_size, shift_size)
    x = _to_windows(x, window_size)
    count, places, _ = x.shape
    qkv = F.linear(x, qkv_weight, qkv_bias).reshape(count, places, 3, num_heads, channels // num_heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    scores = (q * (channels // num_heads) ** -0.5) @ k.transpose(-2, -1) + relative_position_bias
    if shifted:
        windows = mask.shape[0]
        scores = scores.view(count // windows, windows, num_heads, places, places)
        scores = (scores + mask.unsqueeze(1).unsqueeze(0)).view(-1, num_heads, places, places)
    weights = F.dropout(F.softmax(scores, dim=-1), p=attention_dropout, training=training)
    x = (weights @ v).transpose(1, 2).reshape(count, places, channels)
    x = F.dropout(F.linear(x, proj_weight, proj_bias), p=dropout, training=training)
    x = _from_windows(x, window_size, sizes)
    if shifted:
        x = torch.roll(x, shifts=tuple(shift_size), dims=(1, 2, 3))
    return x[:, :time, :height, :width, :].contiguous()


def _padded(x, multiple: list[int]):
    """(N, T, H, W, C) with zeros behind, so that sizes are multiples of these."""
    below = [-size % by for size, by in zip(x.shape[1:4], multiple, strict=True)]
    return F.pad(x, (0, 0, 0, below[2], 0, below[1], 0, below[0]))


class ShiftedWindowAttention3d(nn.Module):
    """`shifted_window_attention_3d` as a layer, with a learned table of what each relative position adds.

    Args:
        dim: channels.
        window_size: frames, height and width of a window.
        shift_size: by how many frames, rows and columns the windows are shifted.
        num_heads: heads.
        qkv_bias, proj_bias: whether the linear layers have biases.
        attention_dropout: probability of zero of the attention's weights.
        dropout: probability of zero of the result.
    """

    def __init__(
        self,
        dim: int,
        window_size: list[int],
        shift_size: list[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        if len(window_size) != 3 or len(shift_size) != 3:
            raise ValueError("window_size and shift_size must be of length 3")
        self.window_size = window_size
        self.shift_size = shift_size
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self.define_relative_position_bias_table()
        self.define_relative_position_index()

    def define_relative_position_bias_table(self) -> None:
        """Make the table: one row for each relative position, one column for each head."""
        rows = math.prod(2 * size - 1 for size in self.window_size)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, self.num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def define_relative_position_index(self) -> None:
        """Make the buffer (places, places) that says which row of the table is for each pair of places."""
        ranges = [torch.arange(size) for size in self.window_size]
        index = 0
        for size, at in zip(self.window_size, torch.meshgrid(*ranges, indexing="ij"), strict=True):
            at = at.flatten()
            index = index * (2 * size - 1) + at[:, None] - at[None, :] + size - 1
        self.register_buffer("relative_position_index", index)

    def get_relative_position_bias(self, window_size: list[int]):
        """What is added before the softmax in windows of this size, (1, heads, places, places)."""
        return _get_relative_position_bias(
            self.relative_position_bias_table, self.relative_position_index, window_size
        )

    def forward(self, x):
        _, t, h, w, _ = x.shape
        window_size, shift_size = _get_window_and_shift_size(
            list(self.shift_size), [t, h, w], list(self.window_size)
        )
        return shifted_window_attention_3d(
            x,
            self.qkv.weight,
            self.proj.weight,
            self.get_relative_position_bias(window_size),
            window_size,
            self.num_heads,
            shift_size=shift_size,
            attention_dropout=self.attention_dropout,
            dropout=self.dropout,
            qkv_bias=self.qkv.bias,
            proj_bias=self.proj.bias,
            training=self.training,
        )


class PatchEmbed3d(nn.Module):
    """Patches of a film as vectors.

    Args:
        patch_size: frames, height and width of a patch.
        in_channels: channels of the film.
        embed_dim: of the vectors.
        norm_layer: function of the number of channels that makes a normalisation; none by default.
    """

    def __init__(
        self,
        patch_size: list[int],
        in_channels: int = 3,
        embed_dim: int = 96,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        self.tuple_patch_size = tuple(patch_size[:3])
        size = self.tuple_patch_size
        self.proj = nn.Conv3d(in_channels, embed_dim, kernel_size=size, stride=size)
        self.norm = nn.Identity() if norm_layer is None else norm_layer(embed_dim)

    def forward(self, x):
        """(N, C, T, H, W) to (N, T', H', W', embed_dim)."""
        t, h, w = (-size % by for size, by in zip(x.shape[2:], self.tuple_patch_size, strict=True))
        x = self.proj(F.pad(x, (0, w, 0, h, 0, t)))
        return self.norm(x.permute(0, 2, 3, 4, 1))


class SwinTransformer3d(nn.Module):
    """A transformer with attention inside windows of a film (N, 3, T, H, W), shifted in every other block.

    Args:
        patch_size: frames, height and width of a patch.
        embed_dim: channels in the first stage; they double from stage to stage.
        depths: number of blocks in each stage.
        num_heads: heads in each stage.
        window_size: frames, height and width of a window.
        mlp_ratio: features between the linear layers of a block, as a multiple of the channels.
        dropout: probability of zero after attention and linear layers.
        attention_dropout: probability of zero of the attention's weights.
        stochastic_depth_prob: how often the last block is dropped; the first never is.
        num_classes: outputs.
        norm_layer: function of the number of channels that makes a normalisation; layer normalisation by default.
        block: used in place of `SwinTransformerBlock`.
        downsample_layer: makes what is between stages.
        patch_embed: used in place of `PatchEmbed3d`.
    """

    def __init__(
        self,
        patch_size: list[int],
        embed_dim: int,
        depths: list[int],
        num_heads: list[int],
        window_size: list[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.1,
        num_classes: int = 400,
        norm_layer: Callable[..., nn.Module] | None = None,
        block: Callable[..., nn.Module] | None = None,
        downsample_layer: Callable[..., nn.Module] = PatchMerging,
        patch_embed: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        self.num_classes = num_classes
        block = block or SwinTransformerBlock
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        self.patch_embed = (patch_embed or PatchEmbed3d)(
            patch_size=patch_size, embed_dim=embed_dim, norm_layer=norm_layer
        )
        self.pos_drop = nn.Dropout(p=dropout)
        layers: list[nn.Module] = []
        probabilities = (stochastic_depth_prob * float(i) / (sum(depths) - 1) for i in itertools.count())
        for i, depth in enumerate(depths):
            dim = embed_dim * 2**i
            stage = [
                block(
                    dim,
                    num_heads[i],
                    window_size=window_size,
                    shift_size=[0 if j % 2 == 0 else size // 2 for size in window_size],
                    mlp_ratio=mlp_ratio,
                    dropout=dropout,
                    attention_dropout=attention_dropout,
                    stochastic_depth_prob=next(probabilities),
                    norm_layer=norm_layer,
                    attn_layer=ShiftedWindowAttention3d,
                )
                for j in range(depth)
            ]
            layers.append(nn.Sequential(*stage))
            if i < len(depths) - 1:
                layers.append(downsample_layer(dim, norm_layer))
        self.features = nn.Sequential(*layers)
        self.num_features = embed_dim * 2 ** (len(depths) - 1)
        self.norm = norm_layer(self.num_features)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(self.num_features, num_classes)
        init_layers(self, linear=partial(nn.init.trunc_normal_, std=0.02))

    def forward(self, x):
        x = self.norm(self.features(self.pos_drop(self.patch_embed(x))))
        return self.head(torch.flatten(self.avgpool(x.permute(0, 4, 1, 2, 3)), 1))


_row = partial(
    kinetics_row,
    preset={"mean": (0.4850, 0.4560, 0.4060), "std": (0.2290, 0.2240, 0.2250)},
    min_size=(1, 1),
    min_temporal_size=1,
    recipe="https://github.com/SwinTransformer/Video-Swin-Transformer#kinetics-400",
)
# fmt: off
Swin3D_T_Weights = kinetics_weights("Swin3D_T", __name__, KINETICS400_V1=_row(
    "swin3d_t-7615ae03", 77.715, 93.519, num_params=28158070, _ops=43.882, _file_size=121.543))
Swin3D_S_Weights = kinetics_weights("Swin3D_S", __name__, KINETICS400_V1=_row(
    "swin3d_s-da41c237", 79.521, 94.158, num_params=49816678, _ops=82.841, _file_size=218.288))
Swin3D_B_Weights = kinetics_weights("Swin3D_B", __name__,
    KINETICS400_V1=_row("swin3d_b_1k-24f7c7c6", 79.427, 94.386,
        num_params=88048984, _ops=140.667, _file_size=364.134),
    KINETICS400_IMAGENET22K_V1=_row("swin3d_b_22k-7c6ae6fa", 81.643, 95.574,
        num_params=88048984, _ops=140.667, _file_size=364.134))
# fmt: on


def _model(name: str, weights, embed_dim: int, depth: int, heads: int):
    return model_builder(
        name,
        weights,
        kind=SwinTransformer3d,
        legacy="KINETICS400_V1",
        doc="A Swin transformer for films (Liu et al., Video Swin Transformer, 2021).",
        patch_size=[2, 4, 4],
        embed_dim=embed_dim,
        depths=[2, 2, depth, 2],
        num_heads=[heads * 2**i for i in range(4)],
        window_size=[8, 7, 7],
        stochastic_depth_prob=0.1,
    )


swin3d_t = _model("swin3d_t", Swin3D_T_Weights, 96, 6, 3)
swin3d_s = _model("swin3d_s", Swin3D_S_Weights, 96, 18, 3)
swin3d_b = _model("swin3d_b", Swin3D_B_Weights, 128, 18, 4)
