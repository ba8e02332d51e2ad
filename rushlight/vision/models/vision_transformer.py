"""Vision transformer."""

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import Tensor, nn
from rushlight.vision.models._builders import (
    RECIPES,
    SWAG,
    build_model,
    entry,
    imagenet_weights,
    model_builder,
    swag,
)
from rushlight.vision.models._utils import _ovewrite_named_param
from rushlight.vision.ops.misc import MLP, Conv2dNormActivation

__all__ = [
    "ViT_B_16_Weights", "ViT_B_32_Weights", "ViT_H_14_Weights", "ViT_L_16_Weights", "ViT_L_32_Weights",
    "VisionTransformer", "vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32",
]  # fmt: skip


class ConvStemConfig(NamedTuple):
    """One of the convolutions that make patches."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d
    activation_layer: Callable[..., nn.Module] = nn.ReLU


def init_mlp(mlp: nn.Module) -> None:
    """The first weights of the linear layers of a transformer's block."""
    for m in mlp.modules():
        if isinstance(m, nn.Linear):
            nn.init.xavier_uniform_(m.weight)
            nn.init.normal_(m.bias, std=1e-6)


class MLPBlock(MLP):
    """The two linear layers of a block.

    Args:
        in_dim: features of input and output.
        mlp_dim: features in between.
        dropout: probability of zero after each layer.
    """

    _version = 2  # 1 called its layers linear_1 and linear_2

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float):
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, inplace=None, dropout=dropout)
        init_mlp(self)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args) -> None:
        if (local_metadata.get("version") or 1) < 2:
            for i in range(2):
                for kind in ("weight", "bias"):
                    old = f"{prefix}linear_{i + 1}.{kind}"
                    if old in state_dict:
                        state_dict[f"{prefix}{3 * i}.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def _check_sequence(input) -> None:
    torch._assert(input.dim() == 3, f"Expected (batch_size, seq_length, hidden_dim) got {input.shape}")


class EncoderBlock(nn.Module):
    """Attention and two linear layers, each with a normalisation before and a shortcut past it.

    Args:
        num_heads: heads of the attention.
        hidden_dim: features.
        mlp_dim: features between the linear layers.
        dropout: probability of zero after attention and linear layers.
        attention_dropout: probability of zero of the attention's weights.
        norm_layer: function of the number of features that makes a normalisation.
    """

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Callable[..., nn.Module] = partial(nn.LayerNorm, eps=1e-6),
    ):
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(
            hidden_dim, num_heads, dropout=attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input):
        _check_sequence(input)
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Learned positions, the blocks, and a normalisation.

    Args:
        seq_length: number of places.
        num_layers: number of blocks.
        num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer: as in `EncoderBlock`.
    """

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Callable[..., nn.Module] = partial(nn.LayerNorm, eps=1e-6),
    ):
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, seq_length, hidden_dim).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        settings = num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
        self.layers = nn.Sequential(
            OrderedDict((f"encoder_layer_{i}", EncoderBlock(*settings)) for i in range(num_layers))
        )
        self.ln = norm_layer(hidden_dim)

    def forward(self, input):
        _check_sequence(input)
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """A transformer that reads a picture as a sequence of patches.

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale, 2021; the
    stem of convolutions Xiao et al., Early Convolutions Help Transformers See Better, 2021.

    Args:
        image_size: height and width of the pictures.
        patch_size: height and width of a patch.
        num_layers: number of blocks.
        num_heads: heads of the attention.
        hidden_dim: features.
        mlp_dim: features between the linear layers of a block.
        dropout: probability of zero after attention and linear layers.
        attention_dropout: probability of zero of the attention's weights.
        num_classes: outputs.
        representation_size: features of one more layer before the last; None for none.
        norm_layer: function of the number of features that makes a normalisation.
        conv_stem_configs: convolutions that make the patches, instead of one.

    >>> from rushlight.vision.models import VisionTransformer
    >>> VisionTransformer(8, 4, 1, 2, 16, 32, num_classes=10)(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Callable[..., nn.Module] = partial(nn.LayerNorm, eps=1e-6),
        conv_stem_configs: list[ConvStemConfig] | None = None,
    ):
        super().__init__()
        if image_size % patch_size:
            raise AssertionError("Input shape indivisible by patch size!")
        self.image_size = image_size
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.mlp_dim = mlp_dim
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.num_classes = num_classes
        self.representation_size = representation_size
        self.norm_layer = norm_layer
        if conv_stem_configs is None:
            self.conv_proj = nn.Conv2d(3, hidden_dim, kernel_size=patch_size, stride=patch_size)
        else:
            self.conv_proj = _stem(conv_stem_configs, hidden_dim)
        self.class_token = nn.Parameter(torch.zeros(1, 1, hidden_dim))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            self.seq_length,
            num_layers,
            num_heads,
            hidden_dim,
            mlp_dim,
            dropout,
            attention_dropout,
            norm_layer,
        )
        heads: OrderedDict[str, nn.Module] = OrderedDict()
        if representation_size is not None:
            heads["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            heads["act"] = nn.Tanh()
        heads["head"] = nn.Linear(representation_size or hidden_dim, num_classes)
        self.heads = nn.Sequential(heads)
        self._init_weights()

    def _init_weights(self) -> None:
        last = self.conv_proj
        if isinstance(last, nn.Conv2d):
            nn.init.trunc_normal_(last.weight, std=math.sqrt(1 / math.prod(last.weight.shape[1:])))
        else:
            last = last.conv_last
            nn.init.normal_(last.weight, mean=0.0, std=math.sqrt(2.0 / last.out_channels))
        nn.init.zeros_(last.bias)
        if self.representation_size is not None:
            before = self.heads.pre_logits
            nn.init.trunc_normal_(before.weight, std=math.sqrt(1 / before.in_features))
            nn.init.zeros_(before.bias)
        nn.init.zeros_(self.heads.head.weight)
        nn.init.zeros_(self.heads.head.bias)

    def _process_input(self, x):
        """Pictures (N, 3, H, W) as sequences of patches (N, places, features)."""
        n, _, height, width = x.shape
        for name, size in (("height", height), ("width", width)):
            message = f"Wrong image {name}! Expected {self.image_size} but got {size}!"
            torch._assert(size == self.image_size, message)
        rows, columns = height // self.patch_size, width // self.patch_size
        return self.conv_proj(x).reshape(n, self.hidden_dim, rows * columns).permute(0, 2, 1)

    def forward(self, x: Tensor):
        x = self._process_input(x)
        n = x.shape[0]
        x = torch.cat([self.class_token.expand(n, -1, -1), x], dim=1)
        return self.heads(self.encoder(x)[:, 0])


def _stem(configs: list[ConvStemConfig], hidden_dim: int) -> nn.Sequential:
    stem = nn.Sequential()
    channels = 3
    for i, (out, kernel_size, stride, norm_layer, activation_layer) in enumerate(configs):
        layers = {"norm_layer": norm_layer, "activation_layer": activation_layer}
        conv = Conv2dNormActivation(channels, out, kernel_size, stride, **layers)
        stem.add_module(f"conv_bn_relu_{i}", conv)
        channels = out
    stem.add_module("conv_last", nn.Conv2d(channels, hidden_dim, kernel_size=1))
    return stem


def interpolate_embeddings(
    image_size: int,
    patch_size: int,
    model_state: "OrderedDict[str, torch.Tensor]",
    interpolation_mode: str = "bicubic",
    reset_heads: bool = False,
) -> "OrderedDict[str, torch.Tensor]":
    """A model's weights for pictures of another size: its positions are interpolated.

    Args:
        image_size: height and width of the new pictures.
        patch_size: height and width of a patch.
        model_state: the state_dict of a `VisionTransformer`; changed.
        interpolation_mode: as in `interpolate`.
        reset_heads: leave out the weights of the last layers.

    Returns:
        The state_dict of the new model.
    """
    old = model_state["encoder.pos_embedding"]
    n, length, features = old.shape
    if n != 1:
        raise ValueError(f"Unexpected position embedding shape: {old.shape}")
    side = image_size // patch_size
    if side**2 + 1 == length:
        return model_state
    old_side = math.isqrt(length - 1)
    if old_side**2 != length - 1:
        raise ValueError(
            "seq_length is not a perfect square! Instead got seq_length_1d * seq_length_1d = "
            f"{old_side**2} and seq_length = {length - 1}"
        )
    grid = old[:, 1:].permute(0, 2, 1).reshape(1, features, old_side, old_side)
    grid = F.interpolate(grid, size=side, mode=interpolation_mode, align_corners=True)
    places = grid.reshape(1, features, side**2).permute(0, 2, 1)
    model_state["encoder.pos_embedding"] = torch.cat([old[:, :1], places], dim=1)
    if reset_heads:
        return OrderedDict((key, value) for key, value in model_state.items() if not key.startswith("heads"))
    return model_state


def _build(kind, weights, progress, **kwargs) -> VisionTransformer:
    if weights is not None:
        _ovewrite_named_param(kwargs, "image_size", weights.meta["min_size"][0])
    kwargs.setdefault("image_size", 224)
    return build_model(kind, weights, progress, **kwargs)


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=SWAG, min_size=(224, 224))
ViT_B_16_Weights = _weights("ViT_B_16", 86567656,
    V1=entry("vit_b_16-c867db91", 81.072, 95.318, 17.564, 330.285, recipe=RECIPES + "vit_b_16"),
    SWAG_E2E_V1=swag("vit_b_16_swag-9ac1b537", 85.304, 97.65, 55.484, 331.398, crop_size=384,
        num_params=86859496, min_size=(384, 384)),
    SWAG_LINEAR_V1=swag("vit_b_16_lc_swag-4e70ced5", 81.886, 96.18, 17.564, 330.285))
ViT_B_32_Weights = _weights("ViT_B_32", 88224232,
    V1=entry("vit_b_32-d86f8d99", 75.912, 92.466, 4.409, 336.604, recipe=RECIPES + "vit_b_32"))
ViT_L_16_Weights = _weights("ViT_L_16", 304326632,
    V1=entry("vit_l_16-852ce7e3", 79.662, 94.638, 61.555, 1161.023, resize_size=242,
        recipe=RECIPES + "vit_l_16"),
    SWAG_E2E_V1=swag("vit_l_16_swag-4f3808c9", 88.064, 98.512, 361.986, 1164.258, crop_size=512,
        num_params=305174504, min_size=(512, 512)),
    SWAG_LINEAR_V1=swag("vit_l_16_lc_swag-4d563306", 85.146, 97.422, 61.555, 1161.023))
ViT_L_32_Weights = _weights("ViT_L_32", 306535400,
    V1=entry("vit_l_32-c7638314", 76.972, 93.07, 15.378, 1169.449, recipe=RECIPES + "vit_l_32"))
ViT_H_14_Weights = _weights("ViT_H_14", 633470440, min_size=(518, 518),
    SWAG_E2E_V1=swag("vit_h_14_swag-80465313", 88.552, 98.694, 1016.717, 2416.643, crop_size=518),
    SWAG_LINEAR_V1=swag("vit_h_14_lc_swag-c1eb923e", 85.708, 97.73, 167.295, 2411.209, num_params=632045800,
        min_size=(224, 224)))
# fmt: on

_model = partial(
    model_builder,
    kind=VisionTransformer,
    build=_build,
    doc="A vision transformer (Dosovitskiy et al., An Image is Worth 16x16 Words, 2021).",
)
_base = {"num_layers": 12, "num_heads": 12, "hidden_dim": 768, "mlp_dim": 3072}
_large = {"num_layers": 24, "num_heads": 16, "hidden_dim": 1024, "mlp_dim": 4096}
_huge = {"num_layers": 32, "num_heads": 16, "hidden_dim": 1280, "mlp_dim": 5120}
vit_b_16 = _model("vit_b_16", ViT_B_16_Weights, patch_size=16, **_base)
vit_b_32 = _model("vit_b_32", ViT_B_32_Weights, patch_size=32, **_base)
vit_l_16 = _model("vit_l_16", ViT_L_16_Weights, patch_size=16, **_large)
vit_l_32 = _model("vit_l_32", ViT_L_32_Weights, patch_size=32, **_large)
vit_h_14 = _model("vit_h_14", ViT_H_14_Weights, patch_size=14, **_huge)
