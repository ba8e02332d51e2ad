"""MaxViT."""

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import numpy as np

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import Tensor, nn
from rushlight.vision.models._builders import (
    BICUBIC,
    RECIPES,
    build_model,
    entry,
    imagenet_weights,
    init_layers,
    model_builder,
)
from rushlight.vision.models._utils import _ovewrite_named_param
from rushlight.vision.models.swin_transformer import relative_position_index
from rushlight.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation
from rushlight.vision.ops.stochastic_depth import StochasticDepth

__all__ = ["MaxVit", "MaxVit_T_Weights", "maxvit_t"]


def _halved(size: tuple[int, int]) -> tuple[int, int]:
    """The size after a strided 3x3 convolution."""
    return (size[0] - 1) // 2 + 1, (size[1] - 1) // 2 + 1


class MBConv(nn.Module):
    """A 1x1 convolution, one per channel, squeeze and excitation, and a linear 1x1, with a shortcut past them.

    Args:
        in_channels, out_channels: channels of input and output.
        expansion_ratio: channels inside, as a multiple of the output's.
        squeeze_ratio: channels in squeeze and excitation, as a multiple of the output's.
        stride: 1 or 2.
        activation_layer, norm_layer: functions that make activation and normalisation.
        p_stochastic_dropout: how often all of it is dropped while training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion_ratio: float,
        squeeze_ratio: float,
        stride: int,
        activation_layer: Callable[..., nn.Module],
        norm_layer: Callable[..., nn.Module],
        p_stochastic_dropout: float = 0.0,
    ):
        super().__init__()
        self.proj = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            pool = [nn.AvgPool2d(kernel_size=3, stride=stride, padding=1)] if stride == 2 else []
            shortcut = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=1, bias=True)
            self.proj = nn.Sequential(*pool, shortcut)
        drop = p_stochastic_dropout
        self.stochastic_depth = StochasticDepth(drop, mode="row") if drop else nn.Identity()
        width = int(out_channels * expansion_ratio)
        conv = partial(
            Conv2dNormActivation, activation_layer=activation_layer, norm_layer=norm_layer, inplace=None
        )
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["pre_norm"] = norm_layer(in_channels)
        layers["conv_a"] = conv(in_channels, width, kernel_size=1)
        layers["conv_b"] = conv(width, width, kernel_size=3, stride=stride, groups=width)
        squeeze = int(out_channels * squeeze_ratio)
        layers["squeeze_excitation"] = SqueezeExcitation(width, squeeze, activation=nn.SiLU)
        layers["conv_c"] = nn.Conv2d(width, out_channels, kernel_size=1, bias=True)
        self.layers = nn.Sequential(layers)

    def forward(self, x):
        return self.proj(x) + self.stochastic_depth(self.layers(x))


class RelativePositionalMultiHeadAttention(nn.Module):
    """Attention with a learned table of what each relative position adds.

    Args:
        feat_dim: features.
        head_dim: features of a head.
        max_seq_len: places, those of a square window.
    """

    def __init__(self, feat_dim: int, head_dim: int, max_seq_len: int):
        super().__init__()
        if feat_dim % head_dim != 0:
            raise ValueError(f"feat_dim: {feat_dim} must be divisible by head_dim: {head_dim}")
        self.n_heads = feat_dim // head_dim
        self.head_dim = head_dim
        self.size = math.isqrt(max_seq_len)
        self.max_seq_len = max_seq_len
        self.to_qkv = nn.Linear(feat_dim, self.n_heads * self.head_dim * 3)
        self.scale_factor = feat_dim**-0.5
        self.merge = nn.Linear(self.head_dim * self.n_heads, feat_dim)
        self.relative_position_bias_table = nn.Parameter(
            torch.empty(((2 * self.size - 1) ** 2, self.n_heads), dtype=torch.float32)
        )
        self.register_buffer("relative_position_index", relative_position_index(self.size, self.size))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def get_relative_positional_bias(self):
        """What is added before the softmax, (1, heads, places, places)."""
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)]
        bias = bias.view(self.max_seq_len, self.max_seq_len, -1)
        return bias.permute(2, 0, 1).contiguous().unsqueeze(0)

    def forward(self, x):
        """Attention inside each window of (N, windows, places, features)."""
        n, windows, places, features = x.shape
        shape = n, windows, places, 3, self.n_heads, self.head_dim
        q, k, v = self.to_qkv(x).reshape(shape).permute(3, 0, 1, 4, 2, 5)
        scores = q @ (k * self.scale_factor).transpose(-2, -1)
        weights = F.softmax(scores + self.get_relative_positional_bias(), dim=-1)
        out = (weights @ v).permute(0, 1, 3, 2, 4).reshape(n, windows, places, features)
        return self.merge(out)


class SwapAxes(nn.Module):
    """The input with two dimensions exchanged.

    Args:
        a, b: the dimensions.
    """

    def __init__(self, a: int, b: int):
        super().__init__()
        self.a = a
        self.b = b

    def forward(self, x):
        return torch.swapaxes(x, self.a, self.b)


class WindowPartition(nn.Module):
    """A picture (N, C, H, W) as windows of `p` x `p`: (N, windows, p * p, C)."""

    def forward(self, x, p: int):
        n, channels, height, width = x.shape
        x = x.reshape(n, channels, height // p, p, width // p, p).permute(0, 2, 4, 3, 5, 1)
        return x.reshape(n, (height // p) * (width // p), p * p, channels)


class WindowDepartition(nn.Module):
    """The way back: windows (N, windows, p * p, C) as a picture (N, C, H, W), with so many windows in each direction."""

    def forward(self, x, p: int, h_partitions: int, w_partitions: int):
        n, _, _, channels = x.shape
        x = x.reshape(n, h_partitions, w_partitions, p, p, channels).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(n, channels, h_partitions * p, w_partitions * p)


class PartitionAttentionLayer(nn.Module):
    """Attention among neighbours, or among the places of a sparse grid, then two linear layers.

    Args:
        in_channels: channels.
        head_dim: channels of a head.
        partition_size: height and width of a window, or of the grid.
        partition_type: "window" or "grid".
        grid_size: height and width of the picture.
        mlp_ratio: features between the linear layers, as a multiple of the channels.
        activation_layer: function that makes the activation.
        norm_layer: function of the number of channels that makes the normalisation before the attention.
        attention_dropout: probability of zero after the attention.
        mlp_dropout: probability of zero after the linear layers.
        p_stochastic_dropout: how often a branch is dropped while training.
    """

    def __init__(
        self,
        in_channels: int,
        head_dim: int,
        partition_size: int,
        partition_type: str,
        grid_size: tuple[int, int],
        mlp_ratio: int,
        activation_layer: Callable[..., nn.Module],
        norm_layer: Callable[..., nn.Module],
        attention_dropout: float,
        mlp_dropout: float,
        p_stochastic_dropout: float,
    ):
        super().__init__()
        self.n_heads = in_channels // head_dim
        self.head_dim = head_dim
        self.n_partitions = grid_size[0] // partition_size
        self.partition_type = partition_type
        self.grid_size = grid_size
        if partition_type not in ("grid", "window"):
            raise ValueError("partition_type must be either 'grid' or 'window'")
        grid = partition_type == "grid"
        sizes = partition_size, self.n_partitions
        self.p, self.g = sizes[::-1] if grid else sizes
        self.partition_op = WindowPartition()
        self.departition_op = WindowDepartition()
        self.partition_swap = SwapAxes(-2, -3) if grid else nn.Identity()
        self.departition_swap = SwapAxes(-2, -3) if grid else nn.Identity()
        self.attn_layer = nn.Sequential(
            norm_layer(in_channels),
            RelativePositionalMultiHeadAttention(in_channels, head_dim, partition_size**2),
            nn.Dropout(attention_dropout),
        )
        self.mlp_layer = nn.Sequential(
            nn.LayerNorm(in_channels),
            nn.Linear(in_channels, in_channels * mlp_ratio),
            activation_layer(),
            nn.Linear(in_channels * mlp_ratio, in_channels),
            nn.Dropout(mlp_dropout),
        )
        self.stochastic_dropout = StochasticDepth(p_stochastic_dropout, mode="row")

    def forward(self, x):
        if self.grid_size[0] % self.p or self.grid_size[1] % self.p:
            raise AssertionError(
                "Grid size must be divisible by partition size. Got grid size of "
                f"{self.grid_size} and partition size of {self.p}"
            )
        x = self.partition_swap(self.partition_op(x, self.p))
        x = x + self.stochastic_dropout(self.attn_layer(x))
        x = x + self.stochastic_dropout(self.mlp_layer(x))
        rows, columns = self.grid_size[0] // self.p, self.grid_size[1] // self.p
        return self.departition_op(self.departition_swap(x), self.p, rows, columns)


class MaxVitLayer(nn.Module):
    """`MBConv`, attention in windows, attention on a grid.

    Args:
        in_channels, out_channels: channels of input and output.
        squeeze_ratio, expansion_ratio, stride: as in `MBConv`.
        norm_layer, activation_layer: functions that make normalisation and activation.
        head_dim, mlp_ratio, mlp_dropout, attention_dropout: as in `PartitionAttentionLayer`.
        p_stochastic_dropout: how often a branch is dropped while training.
        partition_size, grid_size: as in `PartitionAttentionLayer`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        squeeze_ratio: float,
        expansion_ratio: float,
        stride: int,
        norm_layer: Callable[..., nn.Module],
        activation_layer: Callable[..., nn.Module],
        head_dim: int,
        mlp_ratio: int,
        mlp_dropout: float,
        attention_dropout: float,
        p_stochastic_dropout: float,
        partition_size: int,
        grid_size: tuple[int, int],
    ):
        super().__init__()
        ratios = expansion_ratio, squeeze_ratio, stride
        conv = MBConv(in_channels, out_channels, *ratios, activation_layer, norm_layer, p_stochastic_dropout)
        layers: OrderedDict[str, nn.Module] = OrderedDict(MBconv=conv)
        rates = attention_dropout, mlp_dropout, p_stochastic_dropout
        for kind in ("window", "grid"):
            layers[f"{kind}_attention"] = PartitionAttentionLayer(
                *(out_channels, head_dim, partition_size, kind, grid_size, mlp_ratio),
                activation_layer,
                nn.LayerNorm,
                *rates,
            )
        self.layers = nn.Sequential(layers)

    def forward(self, x):
        return self.layers(x)


class MaxVitBlock(nn.Module):
    """Layers of one width, the first with stride 2.

    Args:
        in_channels, out_channels: channels of input and output.
        squeeze_ratio, expansion_ratio, norm_layer, activation_layer, head_dim, mlp_ratio, mlp_dropout,
            attention_dropout, partition_size: as in `MaxVitLayer`.
        input_grid_size: height and width of the input.
        n_layers: number of layers.
        p_stochastic: how often the branches of each layer are dropped while training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        squeeze_ratio: float,
        expansion_ratio: float,
        norm_layer: Callable[..., nn.Module],
        activation_layer: Callable[..., nn.Module],
        head_dim: int,
        mlp_ratio: int,
        mlp_dropout: float,
        attention_dropout: float,
        partition_size: int,
        input_grid_size: tuple[int, int],
        n_layers: int,
        p_stochastic: list[float],
    ):
        super().__init__()
        if len(p_stochastic) != n_layers:
            raise ValueError(
                f"p_stochastic must have length n_layers={n_layers}, got p_stochastic={p_stochastic}."
            )
        self.layers = nn.ModuleList()
        self.grid_size = _halved(input_grid_size)
        for i, p in enumerate(p_stochastic):
            self.layers.append(
                MaxVitLayer(
                    out_channels if i else in_channels,
                    out_channels,
                    squeeze_ratio,
                    expansion_ratio,
                    1 if i else 2,
                    norm_layer,
                    activation_layer,
                    head_dim,
                    mlp_ratio,
                    mlp_dropout,
                    attention_dropout,
                    p,
                    partition_size,
                    self.grid_size,
                )
            )

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class MaxVit(nn.Module):
    """Convolutions, attention among neighbours and attention on a grid, in turn.

    Source: Tu et al., MaxViT: Multi-Axis Vision Transformer, 2022.

    Args:
        input_size: height and width of the pictures.
        stem_channels: channels of the first convolutions.
        partition_size: height and width of windows and grids.
        block_channels: channels of each block.
        block_layers: number of layers in each block.
        head_dim: channels of a head.
        stochastic_depth_prob: how often the last branches are dropped; the first never are.
        norm_layer: function of the number of channels that makes a normalisation; batch normalisation by default.
        activation_layer: function that makes the activation.
        squeeze_ratio: channels in squeeze and excitation, as a multiple of the layer's.
        expansion_ratio: channels inside a convolution block, as a multiple of the layer's.
        mlp_ratio: features between the linear layers, as a multiple of the channels.
        mlp_dropout: probability of zero after the linear layers.
        attention_dropout: probability of zero after the attention.
        num_classes: outputs.
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        stem_channels: int,
        partition_size: int,
        block_channels: list[int],
        block_layers: list[int],
        head_dim: int,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., nn.Module] | None = None,
        activation_layer: Callable[..., nn.Module] = nn.GELU,
        squeeze_ratio: float = 0.25,
        expansion_ratio: float = 4,
        mlp_ratio: int = 4,
        mlp_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
    ):
        super().__init__()
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        size = _halved(input_size)
        _check_sizes(size, len(block_channels), partition_size)
        conv = partial(Conv2dNormActivation, kernel_size=3)
        self.stem = nn.Sequential(
            conv(
                3,
                stem_channels,
                stride=2,
                norm_layer=norm_layer,
                activation_layer=activation_layer,
                bias=False,
                inplace=None,
            ),
            conv(stem_channels, stem_channels, norm_layer=None, activation_layer=None, bias=True),
        )
        self.partition_size = partition_size
        self.blocks = nn.ModuleList()
        drop = np.linspace(0, stochastic_depth_prob, sum(block_layers)).tolist()
        width = stem_channels
        for out, count in zip(block_channels, block_layers, strict=True):
            block = MaxVitBlock(
                in_channels=width,
                out_channels=out,
                squeeze_ratio=squeeze_ratio,
                expansion_ratio=expansion_ratio,
                norm_layer=norm_layer,
                activation_layer=activation_layer,
                head_dim=head_dim,
                mlp_ratio=mlp_ratio,
                mlp_dropout=mlp_dropout,
                attention_dropout=attention_dropout,
                partition_size=partition_size,
                input_grid_size=size,
                n_layers=count,
                p_stochastic=drop[:count],
            )
            self.blocks.append(block)
            width, size, drop = out, block.grid_size, drop[count:]
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Linear(width, num_classes, bias=False),
        )
        draw = partial(nn.init.normal_, std=0.02)
        init_layers(self, draw, draw)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x)


def _check_sizes(size: tuple[int, int], blocks: int, partition_size: int) -> None:
    """Windows must fit into the picture at every block."""
    sizes = []
    for _ in range(blocks):
        size = _halved(size)
        sizes.append(size)
    for i, (height, width) in enumerate(sizes):
        if height % partition_size or width % partition_size:
            raise ValueError(
                f"Input size {sizes[i]} of block {i} is not divisible by partition size {partition_size}. Consider "
                f"changing the partition size or the input size.\nCurrent configuration yields the following block "
                f"input sizes: {sizes}."
            )


def _build(kind, weights, progress, **kwargs) -> MaxVit:
    if weights is not None:
        _ovewrite_named_param(kwargs, "input_size", weights.meta["min_size"])
    kwargs.setdefault("input_size", (224, 224))
    return build_model(kind, weights, progress, **kwargs)


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=RECIPES + "maxvit", min_size=(224, 224))
MaxVit_T_Weights = _weights("MaxVit_T", 30919624,
    V1=entry("maxvit_t-bc5ab103", 83.7, 96.722, 5.558, 118.769, resize_size=224, interpolation=BICUBIC))
# fmt: on

maxvit_t = model_builder(
    "maxvit_t",
    MaxVit_T_Weights,
    kind=MaxVit,
    build=_build,
    doc="MaxViT, tiny (Tu et al., MaxViT: Multi-Axis Vision Transformer, 2022).",
    stem_channels=64,
    block_channels=[64, 128, 256, 512],
    block_layers=[2, 2, 5, 2],
    head_dim=32,
    stochastic_depth_prob=0.2,
    partition_size=7,
)
