"""ConvNeXt."""

from collections.abc import Callable, Sequence
from functools import partial

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import Tensor, nn
from rushlight.vision.models._builders import RECIPES, entry, imagenet_weights, init_layers, model_builder
from rushlight.vision.ops.misc import Conv2dNormActivation, Permute
from rushlight.vision.ops.stochastic_depth import StochasticDepth

__all__ = [
    "ConvNeXt", "ConvNeXt_Base_Weights", "ConvNeXt_Large_Weights", "ConvNeXt_Small_Weights", "ConvNeXt_Tiny_Weights",
    "convnext_base", "convnext_large", "convnext_small", "convnext_tiny",
]  # fmt: skip


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of (N, C, H, W)."""

    def forward(self, x):
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """A 7x7 convolution per channel, then two linear layers at each place, and a shortcut past them.

    Args:
        dim: channels.
        layer_scale: first value of the factor by which each channel of the result is multiplied.
        stochastic_depth_prob: how often all of it is dropped while training.
        norm_layer: function of the number of channels that makes a normalisation; layer normalisation by default.
    """

    def __init__(
        self,
        dim: int,
        layer_scale: float,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim, bias=True),
            Permute([0, 2, 3, 1]),
            norm_layer(dim),
            nn.Linear(in_features=dim, out_features=4 * dim, bias=True),
            nn.GELU(),
            nn.Linear(in_features=4 * dim, out_features=dim, bias=True),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(torch.ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input):
        result = self.stochastic_depth(self.layer_scale * self.block(input))
        result += input
        return result


class CNBlockConfig:
    """A stage: its channels, those after it (None at the end), and its number of blocks."""

    def __init__(self, input_channels: int, out_channels: int | None, num_layers: int):
        self.input_channels = input_channels
        self.out_channels = out_channels
        self.num_layers = num_layers

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(input_channels={self.input_channels}, out_channels={self.out_channels}, "
            f"num_layers={self.num_layers})"
        )


class ConvNeXt(nn.Module):
    """A convolutional network with what vision transformers have taught.

    Source: Liu et al., A ConvNet for the 2020s, 2022.

    Args:
        block_setting: the stages.
        stochastic_depth_prob: how often the last block is dropped; the first never is.
        layer_scale: first value of the factor by which each channel of a block's result is multiplied.
        num_classes: outputs.
        block: used in place of `CNBlock`.
        norm_layer: function of the number of channels that makes the normalisation between stages.
        **kwargs: not used.

    >>> from rushlight.vision.models.convnext import CNBlockConfig, ConvNeXt
    >>> ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        block_setting: list[CNBlockConfig],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        **kwargs,
    ):
        super().__init__()
        if not block_setting:
            raise ValueError("The block_setting should not be empty")
        if not isinstance(block_setting, Sequence) or not all(
            isinstance(cnf, CNBlockConfig) for cnf in block_setting
        ):
            raise TypeError("The block_setting should be List[CNBlockConfig]")
        block = block or CNBlock
        norm_layer = norm_layer or partial(LayerNorm2d, eps=1e-6)
        patches = {"kernel_size": 4, "stride": 4, "padding": 0, "bias": True}
        first = block_setting[0].input_channels
        stem = Conv2dNormActivation(3, first, **patches, norm_layer=norm_layer, activation_layer=None)
        layers: list[nn.Module] = [stem]
        total = sum(cnf.num_layers for cnf in block_setting)
        count = 0
        for cnf in block_setting:
            stage = []
            for _ in range(cnf.num_layers):
                probability = stochastic_depth_prob * count / (total - 1.0)
                stage.append(block(cnf.input_channels, layer_scale, probability))
                count += 1
            layers.append(nn.Sequential(*stage))
            if cnf.out_channels is not None:
                halve = nn.Conv2d(cnf.input_channels, cnf.out_channels, kernel_size=2, stride=2)
                layers.append(nn.Sequential(norm_layer(cnf.input_channels), halve))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        last = block_setting[-1]
        width = last.input_channels if last.out_channels is None else last.out_channels
        self.classifier = nn.Sequential(norm_layer(width), nn.Flatten(1), nn.Linear(width, num_classes))
        draw = partial(nn.init.trunc_normal_, std=0.02)
        init_layers(self, draw, draw)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)))


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=RECIPES + "convnext", min_size=(32, 32))
ConvNeXt_Tiny_Weights = _weights("ConvNeXt_Tiny", 28589128,
    V1=entry("convnext_tiny-983f1562", 82.52, 96.146, 4.456, 109.119, resize_size=236))
ConvNeXt_Small_Weights = _weights("ConvNeXt_Small", 50223688,
    V1=entry("convnext_small-0c510722", 83.616, 96.65, 8.684, 191.703, resize_size=230))
ConvNeXt_Base_Weights = _weights("ConvNeXt_Base", 88591464,
    V1=entry("convnext_base-6075fbad", 84.062, 96.87, 15.355, 338.064, resize_size=232))
ConvNeXt_Large_Weights = _weights("ConvNeXt_Large", 197767336,
    V1=entry("convnext_large-ea097f82", 84.414, 96.976, 34.361, 754.537, resize_size=232))
# fmt: on


def _model(name: str, weights, widths: tuple[int, ...], depths: tuple[int, ...], probability: float):
    after = (*widths[1:], None)
    settings = [CNBlockConfig(*row) for row in zip(widths, after, depths, strict=True)]
    doc = "A ConvNeXt (Liu et al., A ConvNet for the 2020s, 2022)."
    defaults = {"stochastic_depth_prob": probability}
    return model_builder(name, weights, settings, kind=ConvNeXt, doc=doc, defaults=defaults)


# fmt: off
convnext_tiny = _model("convnext_tiny", ConvNeXt_Tiny_Weights, (96, 192, 384, 768), (3, 3, 9, 3), 0.1)
convnext_small = _model("convnext_small", ConvNeXt_Small_Weights, (96, 192, 384, 768), (3, 3, 27, 3), 0.4)
convnext_base = _model("convnext_base", ConvNeXt_Base_Weights, (128, 256, 512, 1024), (3, 3, 27, 3), 0.5)
convnext_large = _model("convnext_large", ConvNeXt_Large_Weights, (192, 384, 768, 1536), (3, 3, 27, 3), 0.5)
# fmt: on
