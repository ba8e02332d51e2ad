"""EfficientNet, v1 and v2."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.vision.models._builders import (
    BICUBIC,
    ISSUE,
    RECIPES,
    build_model,
    entry,
    fan_out,
    imagenet_weights,
    init_layers,
    model_builder,
)
from rushlight.vision.models._utils import _make_divisible
from rushlight.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation
from rushlight.vision.ops.stochastic_depth import StochasticDepth

__all__ = [
    "EfficientNet", "EfficientNet_B0_Weights", "EfficientNet_B1_Weights", "EfficientNet_B2_Weights",
    "EfficientNet_B3_Weights", "EfficientNet_B4_Weights", "EfficientNet_B5_Weights", "EfficientNet_B6_Weights",
    "EfficientNet_B7_Weights", "EfficientNet_V2_L_Weights", "EfficientNet_V2_M_Weights",
    "EfficientNet_V2_S_Weights", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3",
    "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7", "efficientnet_v2_l",
    "efficientnet_v2_m", "efficientnet_v2_s",
]  # fmt: skip


@dataclass
class _MBConvConfig:
    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    block: Callable[..., nn.Module]

    @staticmethod
    def adjust_channels(channels: int, width_mult: float, min_value: int | None = None) -> int:
        """The multiple of 8 nearest to `channels * width_mult`."""
        return _make_divisible(channels * width_mult, 8, min_value)


class MBConvConfig(_MBConvConfig):
    """A stage of `MBConv` blocks: table 1 of the paper, table 4 of that on v2.

    Args:
        expand_ratio: channels inside, as a multiple of those of the input.
        kernel: size of the convolution per channel.
        stride: of the first block.
        input_channels: channels of the input.
        out_channels: channels of the output.
        num_layers: number of blocks.
        width_mult: factor of the channels.
        depth_mult: factor of the number of blocks.
        block: used in place of `MBConv`.
    """

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        block: Callable[..., nn.Module] | None = None,
    ):
        super().__init__(
            expand_ratio,
            kernel,
            stride,
            self.adjust_channels(input_channels, width_mult),
            self.adjust_channels(out_channels, width_mult),
            self.adjust_depth(num_layers, depth_mult),
            block or MBConv,
        )

    @staticmethod
    def adjust_depth(num_layers: int, depth_mult: float) -> int:
        """`num_layers * depth_mult`, rounded up."""
        return math.ceil(num_layers * depth_mult)


class FusedMBConvConfig(_MBConvConfig):
    """A stage of `FusedMBConv` blocks: table 4 of the paper on v2.

    Args:
        expand_ratio: channels inside, as a multiple of those of the input.
        kernel: size of the first convolution.
        stride: of the first block.
        input_channels: channels of the input.
        out_channels: channels of the output.
        num_layers: number of blocks.
        block: used in place of `FusedMBConv`.
    """

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        block: Callable[..., nn.Module] | None = None,
    ):
        super().__init__(
            expand_ratio, kernel, stride, input_channels, out_channels, num_layers, block or FusedMBConv
        )


class _Residual(nn.Module):
    """A block with a shortcut where input and output have one shape, dropped at random while training."""

    def __init__(self, cnf: _MBConvConfig, stochastic_depth_prob: float, layers: list[nn.Module]):
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels

    def forward(self, input):
        result = self.block(input)
        if self.use_res_connect:
            result = self.stochastic_depth(result)
            result += input
        return result


class MBConv(_Residual):
    """A 1x1 convolution, one per channel, squeeze and excitation, and a linear 1x1.

    Args:
        cnf: the sizes.
        stochastic_depth_prob: how often all of it is dropped.
        norm_layer: function of the number of channels that makes a normalisation.
        se_layer: makes the squeeze and excitation.
    """

    def __init__(
        self,
        cnf: MBConvConfig,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., nn.Module],
        se_layer: Callable[..., nn.Module] = SqueezeExcitation,
    ):
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        inp, width = cnf.input_channels, cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        layers: list[nn.Module] = []
        if width != inp:
            layers.append(conv(inp, width, kernel_size=1))
        layers += [
            conv(width, width, kernel_size=cnf.kernel, stride=cnf.stride, groups=width),
            se_layer(width, max(1, inp // 4), activation=partial(nn.SiLU, inplace=True)),
            conv(width, cnf.out_channels, kernel_size=1, activation_layer=None),
        ]
        super().__init__(cnf, stochastic_depth_prob, layers)


class FusedMBConv(_Residual):
    """An ordinary convolution instead of a 1x1 and one per channel.

    Args:
        cnf: the sizes.
        stochastic_depth_prob: how often all of it is dropped.
        norm_layer: function of the number of channels that makes a normalisation.
    """

    def __init__(
        self,
        cnf: FusedMBConvConfig,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., nn.Module],
    ):
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        inp, out = cnf.input_channels, cnf.out_channels
        width = cnf.adjust_channels(inp, cnf.expand_ratio)
        first = {"kernel_size": cnf.kernel, "stride": cnf.stride}
        if width != inp:
            layers = [conv(inp, width, **first), conv(width, out, kernel_size=1, activation_layer=None)]
        else:
            layers = [conv(inp, out, **first)]
        super().__init__(cnf, stochastic_depth_prob, layers)


class EfficientNet(nn.Module):
    """Networks whose depth, width and size of pictures grow together.

    Source: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019; EfficientNetV2:
    Smaller Models and Faster Training, 2021.

    Args:
        inverted_residual_setting: the stages.
        dropout: probability of zero before the last layer.
        stochastic_depth_prob: how often the last block is dropped; the first never is.
        num_classes: outputs.
        norm_layer: function of the number of channels that makes a normalisation; batch normalisation by default.
        last_channel: channels before the last layer; four times those of the last stage by default.
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[MBConvConfig | FusedMBConvConfig],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Callable[..., nn.Module] | None = None,
        last_channel: int | None = None,
    ):
        super().__init__()
        settings = inverted_residual_setting
        if not settings:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not isinstance(settings, Sequence) or not all(isinstance(cnf, _MBConvConfig) for cnf in settings):
            raise TypeError("The inverted_residual_setting should be List[MBConvConfig]")
        norm_layer = norm_layer or nn.BatchNorm2d
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        layers: list[nn.Module] = [conv(3, settings[0].input_channels, kernel_size=3, stride=2)]
        total = sum(cnf.num_layers for cnf in settings)
        count = 0
        for cnf in settings:
            stage: list[nn.Module] = []
            for _ in range(cnf.num_layers):
                cnf = copy.copy(cnf)
                if stage:
                    cnf.input_channels = cnf.out_channels
                    cnf.stride = 1
                stage.append(cnf.block(cnf, stochastic_depth_prob * float(count) / total, norm_layer))
                count += 1
            layers.append(nn.Sequential(*stage))
        width = settings[-1].out_channels
        last_channel = 4 * width if last_channel is None else last_channel
        layers.append(conv(width, last_channel, kernel_size=1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout, inplace=True), nn.Linear(last_channel, num_classes)
        )
        bound = 1.0 / math.sqrt(num_classes)
        init_layers(self, fan_out, partial(nn.init.uniform_, a=-bound, b=bound))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


# Expansion, kernel, stride, input and output channels, number of blocks.
_V1 = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
)
# The first three stages are fused.
_V2_S = (
    (1, 3, 1, 24, 24, 2),
    (4, 3, 2, 24, 48, 4),
    (4, 3, 2, 48, 64, 4),
    (4, 3, 2, 64, 128, 6),
    (6, 3, 1, 128, 160, 9),
    (6, 3, 2, 160, 256, 15),
)
_V2_M = (
    (1, 3, 1, 24, 24, 3),
    (4, 3, 2, 24, 48, 5),
    (4, 3, 2, 48, 80, 5),
    (4, 3, 2, 80, 160, 7),
    (6, 3, 1, 160, 176, 14),
    (6, 3, 2, 176, 304, 18),
    (6, 3, 1, 304, 512, 5),
)
_V2_L = (
    (1, 3, 1, 32, 32, 4),
    (4, 3, 2, 32, 64, 7),
    (4, 3, 2, 64, 96, 7),
    (4, 3, 2, 96, 192, 10),
    (6, 3, 1, 192, 224, 19),
    (6, 3, 2, 224, 384, 25),
    (6, 3, 1, 384, 640, 7),
)


def _build(kind, weights, progress, settings: list[_MBConvConfig], **kwargs) -> EfficientNet:
    return build_model(kind, weights, progress, settings, kwargs.pop("dropout"), **kwargs)


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=RECIPES + "efficientnet-v1")
EfficientNet_B0_Weights = _weights("EfficientNet_B0", 5288548,
    V1=entry("efficientnet_b0_rwightman-7f5810bc", 77.692, 93.532, 0.386, 20.451, interpolation=BICUBIC))
EfficientNet_B1_Weights = _weights("EfficientNet_B1", 7794184,
    V1=entry("efficientnet_b1_rwightman-bac287d4", 78.642, 94.186, 0.687, 30.134, crop_size=240,
        interpolation=BICUBIC),
    V2=entry("efficientnet_b1-c27df63c", 79.838, 94.934, 0.687, 30.136, crop_size=240, resize_size=255,
        recipe=ISSUE + "new-recipe-with-lr-wd-crop-tuning"))
EfficientNet_B2_Weights = _weights("EfficientNet_B2", 9109994,
    V1=entry("efficientnet_b2_rwightman-c35c1473", 80.608, 95.31, 1.088, 35.174, crop_size=288,
        resize_size=288, interpolation=BICUBIC))
EfficientNet_B3_Weights = _weights("EfficientNet_B3", 12233232,
    V1=entry("efficientnet_b3_rwightman-b3899882", 82.008, 96.054, 1.827, 47.184, crop_size=300,
        resize_size=320, interpolation=BICUBIC))
EfficientNet_B4_Weights = _weights("EfficientNet_B4", 19341616,
    V1=entry("efficientnet_b4_rwightman-23ab8bcd", 83.384, 96.594, 4.394, 74.489, crop_size=380,
        resize_size=384, interpolation=BICUBIC))
EfficientNet_B5_Weights = _weights("EfficientNet_B5", 30389784,
    V1=entry("efficientnet_b5_lukemelas-1a07897c", 83.444, 96.628, 10.266, 116.864, crop_size=456,
        resize_size=456, interpolation=BICUBIC))
EfficientNet_B6_Weights = _weights("EfficientNet_B6", 43040704,
    V1=entry("efficientnet_b6_lukemelas-24a108a5", 84.008, 96.916, 19.068, 165.362, crop_size=528,
        resize_size=528, interpolation=BICUBIC))
EfficientNet_B7_Weights = _weights("EfficientNet_B7", 66347960,
    V1=entry("efficientnet_b7_lukemelas-c5b4e57e", 84.122, 96.908, 37.746, 254.675, crop_size=600,
        resize_size=600, interpolation=BICUBIC))
EfficientNet_V2_S_Weights = _weights("EfficientNet_V2_S", 21458488, (33, 33),
    V1=entry("efficientnet_v2_s-dd5fe13b", 84.228, 96.878, 8.366, 82.704, crop_size=384, resize_size=384,
        recipe=RECIPES + "efficientnet-v2"))
EfficientNet_V2_M_Weights = _weights("EfficientNet_V2_M", 54139356, (33, 33),
    V1=entry("efficientnet_v2_m-dc08266a", 85.112, 97.156, 24.582, 208.01, crop_size=480, resize_size=480,
        recipe=RECIPES + "efficientnet-v2"))
EfficientNet_V2_L_Weights = _weights("EfficientNet_V2_L", 118515272, (33, 33),
    V1=entry("efficientnet_v2_l-59c71312", 85.808, 97.788, 56.08, 454.573, crop_size=480, resize_size=480,
        interpolation=BICUBIC, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), recipe=RECIPES + "efficientnet-v2"))
# fmt: on

_model = partial(model_builder, kind=EfficientNet, build=_build)


def _v1(name: str, weights, width: float, depth: float, dropout: float, **fixed):
    settings = [MBConvConfig(*row, width_mult=width, depth_mult=depth) for row in _V1]
    doc = "An EfficientNet (Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019)."
    return _model(name, weights, settings, doc=doc, defaults={"dropout": dropout}, last_channel=None, **fixed)


def _v2(name: str, weights, rows, dropout: float):
    settings = [
        *[FusedMBConvConfig(*row) for row in rows[:3]],
        *[MBConvConfig(*row) for row in rows[3:]],
    ]
    fixed = {"last_channel": 1280, "norm_layer": partial(nn.BatchNorm2d, eps=1e-03)}
    doc = "An EfficientNet v2 (Tan and Le, EfficientNetV2: Smaller Models and Faster Training, 2021)."
    return _model(name, weights, settings, doc=doc, defaults={"dropout": dropout}, **fixed)


_slow_norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
efficientnet_b0 = _v1("efficientnet_b0", EfficientNet_B0_Weights, 1.0, 1.0, 0.2)
efficientnet_b1 = _v1("efficientnet_b1", EfficientNet_B1_Weights, 1.0, 1.1, 0.2)
efficientnet_b2 = _v1("efficientnet_b2", EfficientNet_B2_Weights, 1.1, 1.2, 0.3)
efficientnet_b3 = _v1("efficientnet_b3", EfficientNet_B3_Weights, 1.2, 1.4, 0.3)
efficientnet_b4 = _v1("efficientnet_b4", EfficientNet_B4_Weights, 1.4, 1.8, 0.4)
efficientnet_b5 = _v1("efficientnet_b5", EfficientNet_B5_Weights, 1.6, 2.2, 0.4, norm_layer=_slow_norm)
efficientnet_b6 = _v1("efficientnet_b6", EfficientNet_B6_Weights, 1.8, 2.6, 0.5, norm_layer=_slow_norm)
efficientnet_b7 = _v1("efficientnet_b7", EfficientNet_B7_Weights, 2.0, 3.1, 0.5, norm_layer=_slow_norm)
efficientnet_v2_s = _v2("efficientnet_v2_s", EfficientNet_V2_S_Weights, _V2_S, 0.2)
efficientnet_v2_m = _v2("efficientnet_v2_m", EfficientNet_V2_M_Weights, _V2_M, 0.3)
efficientnet_v2_l = _v2("efficientnet_v2_l", EfficientNet_V2_L_Weights, _V2_L, 0.4)
