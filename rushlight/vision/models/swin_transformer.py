"""Swin transformer, v1 and v2."""

import math
from collections.abc import Callable
from functools import partial

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import fx, nn
from rushlight.vision.models._builders import (
    BICUBIC,
    RECIPES,
    entry,
    imagenet_weights,
    init_layers,
    model_builder,
)
from rushlight.vision.models.vision_transformer import init_mlp
from rushlight.vision.ops.misc import MLP, Permute
from rushlight.vision.ops.stochastic_depth import StochasticDepth

__all__ = [
    "SwinTransformer", "Swin_B_Weights", "Swin_S_Weights", "Swin_T_Weights", "Swin_V2_B_Weights", "Swin_V2_S_Weights",
    "Swin_V2_T_Weights", "swin_b", "swin_s", "swin_t", "swin_v2_b", "swin_v2_s", "swin_v2_t",
]  # fmt: skip


@fx.wrap
def _patch_merging_pad(x):
    """The four neighbours in (..., H, W, C) as (..., H / 2, W / 2, 4 C); odd sizes are padded."""
    height, width = x.shape[-3:-1]
    x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    return torch.cat([x[..., i::2, j::2, :] for j in (0, 1) for i in (0, 1)], -1)


class PatchMerging(nn.Module):
    """Half the size and twice the channels, of (..., H, W, C).

    Args:
        dim: channels of the input.
        norm_layer: function of the number of channels that makes a normalisation.
    """

    def __init__(self, dim: int, norm_layer: Callable[..., nn.Module] = nn.LayerNorm):
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(4 * dim)

    def forward(self, x):
        return self.reduction(self.norm(_patch_merging_pad(x)))


class PatchMergingV2(nn.Module):
    """`PatchMerging` that normalises its result."""

    def __init__(self, dim: int, norm_layer: Callable[..., nn.Module] = nn.LayerNorm):
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(2 * dim)

    def forward(self, x):
        return self.norm(self.reduction(_patch_merging_pad(x)))


def _to_windows(x, window: list[int]):
    """(N, H, W, C) as (N windows, places in a window, C); sizes are multiples of the window's."""
    n, height, width, channels = x.shape
    x = x.view(n, height // window[0], window[0], width // window[1], window[1], channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window[0] * window[1], channels)


def _from_windows(x, window: list[int], height: int, width: int):
    x = x.view(-1, height // window[0], width // window[1], window[0], window[1], x.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, x.shape[-1])


def _shift_mask(x, window: list[int], shift: list[int]):
    """-100 between places of a window that only the shift around the border has brought together, else 0."""
    height, width = x.shape[1:3]
    regions = x.new_zeros((1, height, width, 1))
    rows, columns = (
        (slice(0, -size), slice(-size, -by), slice(-by, None)) for size, by in zip(window, shift, strict=True)
    )
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            regions[:, row, column] = 3 * i + j
    regions = _to_windows(regions, window).squeeze(-1)
    return (regions.unsqueeze(1) != regions.unsqueeze(2)).to(x.dtype) * -100.0


@fx.wrap
def shifted_window_attention(
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
    logit_scale=None,
    training: bool = True,
):
    """Attention inside windows of a picture, which may be shifted.

    Args:
        input: (N, H, W, C).
        qkv_weight: (3 C, C), of queries, keys and values.
        proj_weight: (C, C), of the result.
        relative_position_bias: (1, heads, places, places), added before the softmax.
        window_size: height and width of a window.
        num_heads: heads.
        shift_size: by how many rows and columns the windows are shifted.
        attention_dropout: probability of zero of the attention's weights.
        dropout: probability of zero of the result.
        qkv_bias: (3 C,).
        proj_bias: (C,).
        logit_scale: (heads, 1, 1), the logarithm of the scale of cosine attention, as in v2.
        training: without it nothing is dropped.

    Returns:
        (N, H, W, C).
    """
    _, height, width, channels = input.shape
    right, below = -width % window_size[1], -height % window_size[0]
    x = F.pad(input, (0, 0, 0, right, 0, below))
    sizes = list(x.shape[1:3])
    # A window that holds everything need not be shifted.
    shift = [
        0 if window >= size else by for window, size, by in zip(window_size, sizes, shift_size, strict=True)
    ]
    if sum(shift) > 0:
        x = torch.roll(x, shifts=(-shift[0], -shift[1]), dims=(1, 2))
        mask = _shift_mask(x, window_size, shift)
    x = _to_windows(x, window_size)
    count, places, _ = x.shape

    if logit_scale is not None and qkv_bias is not None:
        length = qkv_bias.numel() // 3
        qkv_bias = qkv_bias.clone()
        qkv_bias[length : 2 * length].zero_()  # keys have none in v2
    qkv = F.linear(x, qkv_weight, qkv_bias).reshape(count, places, 3, num_heads, channels // num_heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    if logit_scale is not None:
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        scores = scores * torch.clamp(logit_scale, max=math.log(100.0)).exp()
    else:
        scores = (q * (channels // num_heads) ** -0.5) @ k.transpose(-2, -1)
    scores = scores + relative_position_bias
    if sum(shift) > 0:
        windows = mask.shape[0]
        scores = scores.view(count // windows, windows, num_heads, places, places) + mask.unsqueeze(
            1
        ).unsqueeze(0)
        scores = scores.view(-1, num_heads, places, places)
    weights = F.dropout(F.softmax(scores, dim=-1), p=attention_dropout, training=training)

    x = (weights @ v).transpose(1, 2).reshape(count, places, channels)
    x = F.dropout(F.linear(x, proj_weight, proj_bias), p=dropout, training=training)
    x = _from_windows(x, window_size, *sizes)
    if sum(shift) > 0:
        x = torch.roll(x, shifts=(shift[0], shift[1]), dims=(1, 2))
    return x[:, :height, :width, :].contiguous()


@fx.wrap
def _get_relative_position_bias(table, index, window: list[int]):
    """The entries of a table for all pairs of places in a window, (1, heads, places, places)."""
    places = window[0] * window[1]
    bias = table[index].view(places, places, -1)
    return bias.permute(2, 0, 1).contiguous().unsqueeze(0)


def relative_position_index(height: int, width: int):
    """For each pair of places in a window, which entry of the table of relative positions is theirs.

    Args:
        height, width: of the window.

    Returns:
        (places, places), numbers up to (2 height - 1) (2 width - 1).
    """
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    down = rows.flatten()[:, None] - rows.flatten()[None, :] + height - 1
    right = columns.flatten()[:, None] - columns.flatten()[None, :] + width - 1
    return down * (2 * width - 1) + right


class ShiftedWindowAttention(nn.Module):
    """`shifted_window_attention` as a layer, with a learned table of what each relative position adds.

    Args:
        dim: channels.
        window_size: height and width of a window.
        shift_size: by how many rows and columns the windows are shifted.
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
        if len(window_size) != 2 or len(shift_size) != 2:
            raise ValueError("window_size and shift_size must be of length 2")
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
        height, width = self.window_size
        table = torch.zeros((2 * height - 1) * (2 * width - 1), self.num_heads)
        self.relative_position_bias_table = nn.Parameter(table)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def define_relative_position_index(self) -> None:
        """Make the buffer that says which row of the table is for each pair of places."""
        self.register_buffer("relative_position_index", relative_position_index(*self.window_size).flatten())

    def get_relative_position_bias(self):
        """What is added before the softmax, (1, heads, places, places)."""
        return _get_relative_position_bias(
            self.relative_position_bias_table, self.relative_position_index, self.window_size
        )

    def forward(self, x):
        bias = self.get_relative_position_bias()
        return shifted_window_attention(
            x,
            self.qkv.weight,
            self.proj.weight,
            bias,
            self.window_size,
            self.num_heads,
            shift_size=self.shift_size,
            attention_dropout=self.attention_dropout,
            dropout=self.dropout,
            qkv_bias=self.qkv.bias,
            proj_bias=self.proj.bias,
            **({"logit_scale": self.logit_scale} if "logit_scale" in self._parameters else {}),
            training=self.training,
        )


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """Cosine attention, where a small network says what each relative position adds; arguments as in v1."""

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
        super().__init__(
            dim, window_size, shift_size, num_heads, qkv_bias, proj_bias, attention_dropout, dropout
        )
        self.logit_scale = nn.Parameter(torch.log(10 * torch.ones((num_heads, 1, 1))))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512, bias=True), nn.ReLU(inplace=True), nn.Linear(512, num_heads, bias=False)
        )
        if qkv_bias:
            length = self.qkv.bias.numel() // 3
            self.qkv.bias[length : 2 * length].data.zero_()

    def define_relative_position_bias_table(self) -> None:
        """Make the buffer with the relative positions, (1, 2 H - 1, 2 W - 1, 2), on a logarithmic scale."""
        ranges = [
            torch.arange(-(size - 1), size, dtype=torch.float32) / (size - 1) for size in self.window_size
        ]
        table = torch.stack(torch.meshgrid(ranges, indexing="ij"), dim=-1).unsqueeze(0) * 8
        table = torch.sign(table) * torch.log2(torch.abs(table) + 1.0) / 3.0
        self.register_buffer("relative_coords_table", table)

    def get_relative_position_bias(self):
        """What is added before the softmax, (1, heads, places, places)."""
        table = self.cpb_mlp(self.relative_coords_table).view(-1, self.num_heads)
        return 16 * torch.sigmoid(
            _get_relative_position_bias(table, self.relative_position_index, self.window_size)
        )


class SwinTransformerBlock(nn.Module):
    """Attention inside windows and two linear layers, each with a normalisation before and a shortcut past it.

    Args:
        dim: channels.
        num_heads: heads of the attention.
        window_size: height and width of a window.
        shift_size: by how many rows and columns the windows are shifted.
        mlp_ratio: features between the linear layers, as a multiple of the channels.
        dropout: probability of zero after attention and linear layers.
        attention_dropout: probability of zero of the attention's weights.
        stochastic_depth_prob: how often a branch is dropped while training.
        norm_layer: function of the number of channels that makes a normalisation.
        attn_layer: makes the attention.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: list[int],
        shift_size: list[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Callable[..., nn.Module] = nn.LayerNorm,
        attn_layer: Callable[..., nn.Module] = ShiftedWindowAttention,
    ):
        super().__init__()
        rates = {"attention_dropout": attention_dropout, "dropout": dropout}
        self.norm1 = norm_layer(dim)
        self.attn = attn_layer(dim, window_size, shift_size, num_heads, **rates)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.norm2 = norm_layer(dim)
        self.mlp = MLP(dim, [int(dim * mlp_ratio), dim], activation_layer=nn.GELU, dropout=dropout)
        init_mlp(self.mlp)

    def forward(self, x):
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class SwinTransformerBlockV2(SwinTransformerBlock):
    """`SwinTransformerBlock` that normalises after attention and linear layers; arguments as there."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: list[int],
        shift_size: list[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Callable[..., nn.Module] = nn.LayerNorm,
        attn_layer: Callable[..., nn.Module] = ShiftedWindowAttentionV2,
    ):
        sizes = dim, num_heads, window_size, shift_size, mlp_ratio
        rates = dropout, attention_dropout, stochastic_depth_prob
        super().__init__(*sizes, *rates, norm_layer, attn_layer)

    def forward(self, x):
        x = x + self.stochastic_depth(self.norm1(self.attn(x)))
        return x + self.stochastic_depth(self.norm2(self.mlp(x)))


class SwinTransformer(nn.Module):
    """A transformer with attention inside windows, which are shifted in every other block.

    Source: Liu et al., Swin Transformer: Hierarchical Vision Transformer using Shifted Windows, 2021; Swin Transformer
    V2: Scaling Up Capacity and Resolution, 2022.

    Args:
        patch_size: height and width of a patch.
        embed_dim: channels in the first stage; they double from stage to stage.
        depths: number of blocks in each stage.
        num_heads: heads in each stage.
        window_size: height and width of a window.
        mlp_ratio: features between the linear layers of a block, as a multiple of the channels.
        dropout: probability of zero after attention and linear layers.
        attention_dropout: probability of zero of the attention's weights.
        stochastic_depth_prob: how often the last block is dropped; the first never is.
        num_classes: outputs.
        norm_layer: function of the number of channels that makes a normalisation; layer normalisation by default.
        block: used in place of `SwinTransformerBlock`.
        downsample_layer: makes what is between stages.

    >>> from rushlight.vision.models import SwinTransformer
    >>> SwinTransformer([2, 2], 8, [1, 1], [1, 2], [2, 2], num_classes=10)(torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 10])
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
        num_classes: int = 1000,
        norm_layer: Callable[..., nn.Module] | None = None,
        block: Callable[..., nn.Module] | None = None,
        downsample_layer: Callable[..., nn.Module] = PatchMerging,
    ):
        super().__init__()
        self.num_classes = num_classes
        block = block or SwinTransformerBlock
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        patch = tuple(patch_size[:2])
        patches = nn.Conv2d(3, embed_dim, kernel_size=patch, stride=patch)
        layers: list[nn.Module] = [nn.Sequential(patches, Permute([0, 2, 3, 1]), norm_layer(embed_dim))]
        count = 0
        for i, depth in enumerate(depths):
            dim = embed_dim * 2**i
            stage = []
            for j in range(depth):
                probability = stochastic_depth_prob * float(count) / (sum(depths) - 1)
                stage.append(
                    block(
                        dim,
                        num_heads[i],
                        window_size=window_size,
                        shift_size=[0 if j % 2 == 0 else size // 2 for size in window_size],
                        mlp_ratio=mlp_ratio,
                        dropout=dropout,
                        attention_dropout=attention_dropout,
                        stochastic_depth_prob=probability,
                        norm_layer=norm_layer,
                    )
                )
                count += 1
            layers.append(nn.Sequential(*stage))
            if i < len(depths) - 1:
                layers.append(downsample_layer(dim, norm_layer))
        self.features = nn.Sequential(*layers)
        self.norm = norm_layer(dim)
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(dim, num_classes)
        init_layers(self, linear=partial(nn.init.trunc_normal_, std=0.02))

    def forward(self, x):
        x = self.permute(self.norm(self.features(x)))
        return self.head(self.flatten(self.avgpool(x)))


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=RECIPES + "swintransformer", min_size=(224, 224))
Swin_T_Weights = _weights("Swin_T", 28288354,
    V1=entry("swin_t-704ceda3", 81.474, 95.776, 4.491, 108.19, resize_size=232, interpolation=BICUBIC))
Swin_S_Weights = _weights("Swin_S", 49606258,
    V1=entry("swin_s-5e29d889", 83.196, 96.36, 8.741, 189.786, resize_size=246, interpolation=BICUBIC))
Swin_B_Weights = _weights("Swin_B", 87768224,
    V1=entry("swin_b-68c6b09e", 83.582, 96.64, 15.431, 335.364, resize_size=238, interpolation=BICUBIC))
Swin_V2_T_Weights = _weights("Swin_V2_T", 28351570, min_size=(256, 256),
    V1=entry("swin_v2_t-b137f0e2", 82.072, 96.132, 5.94, 108.626, crop_size=256, resize_size=260,
        interpolation=BICUBIC, recipe=RECIPES + "swintransformer-v2"))
Swin_V2_S_Weights = _weights("Swin_V2_S", 49737442, min_size=(256, 256),
    V1=entry("swin_v2_s-637d8ceb", 83.712, 96.816, 11.546, 190.675, crop_size=256, resize_size=260,
        interpolation=BICUBIC, recipe=RECIPES + "swintransformer-v2"))
Swin_V2_B_Weights = _weights("Swin_V2_B", 87930848, min_size=(256, 256),
    V1=entry("swin_v2_b-781e5279", 84.112, 96.864, 20.325, 336.372, crop_size=256, resize_size=272,
        interpolation=BICUBIC, recipe=RECIPES + "swintransformer-v2"))
# fmt: on


def _model(name: str, weights, embed_dim: int, depth: int, heads: int, probability: float, **fixed):
    doc = "A Swin transformer (Liu et al., Hierarchical Vision Transformer using Shifted Windows, 2021)."
    settings = {
        "patch_size": [4, 4],
        "embed_dim": embed_dim,
        "depths": [2, 2, depth, 2],
        "num_heads": [heads * 2**i for i in range(4)],
        "window_size": [7, 7],
        "stochastic_depth_prob": probability,
        "doc": doc,
    }
    return model_builder(name, weights, kind=SwinTransformer, **{**settings, **fixed})


_v2 = {
    "window_size": [8, 8],
    "block": SwinTransformerBlockV2,
    "downsample_layer": PatchMergingV2,
    "doc": "A Swin transformer v2 (Liu et al., Scaling Up Capacity and Resolution, 2022).",
}
swin_t = _model("swin_t", Swin_T_Weights, 96, 6, 3, 0.2)
swin_s = _model("swin_s", Swin_S_Weights, 96, 18, 3, 0.3)
swin_b = _model("swin_b", Swin_B_Weights, 128, 18, 4, 0.5)
swin_v2_t = _model("swin_v2_t", Swin_V2_T_Weights, 96, 6, 3, 0.2, **_v2)
swin_v2_s = _model("swin_v2_s", Swin_V2_S_Weights, 96, 18, 3, 0.3, **_v2)
swin_v2_b = _model("swin_v2_b", Swin_V2_B_Weights, 128, 18, 4, 0.5, **_v2)
