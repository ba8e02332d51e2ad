"""MobileNet v3."""

from collections.abc import Callable, Sequence
from functools import partial

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.vision.models._builders import (
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

__all__ = [
    "MobileNetV3", "MobileNet_V3_Large_Weights", "MobileNet_V3_Small_Weights", "mobilenet_v3_large",
    "mobilenet_v3_small",
]  # fmt: skip


class InvertedResidualConfig:
    """One row of the paper's tables 1 and 2.

    Args:
        input_channels: channels of the input.
        kernel: size of the convolution per channel.
        expanded_channels: channels inside.
        out_channels: channels of the output.
        use_se: with squeeze and excitation.
        activation: "HS" for Hardswish, "RE" for ReLU.
        stride: of the convolution per channel.
        dilation: of the same; more than 1 replaces the stride.
        width_mult: factor of all numbers of channels.
    """

    def __init__(
        self,
        input_channels: int,
        kernel: int,
        expanded_channels: int,
        out_channels: int,
        use_se: bool,
        activation: str,
        stride: int,
        dilation: int,
        width_mult: float,
    ):
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se = use_se
        self.use_hs = activation == "HS"
        self.stride = stride
        self.dilation = dilation

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        """The multiple of 8 nearest to `channels * width_mult`."""
        return _make_divisible(channels * width_mult, 8)


class InvertedResidual(nn.Module):
    """A 1x1 convolution, one per channel, squeeze and excitation, and a linear 1x1.

    Args:
        cnf: the sizes.
        norm_layer: function of the number of channels that makes a normalisation.
        se_layer: makes the squeeze and excitation.
    """

    def __init__(
        self,
        cnf: InvertedResidualConfig,
        norm_layer: Callable[..., nn.Module],
        se_layer: Callable[..., nn.Module] = partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid),
    ):
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        width = cnf.expanded_channels
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer)
        activation = nn.Hardswish if cnf.use_hs else nn.ReLU
        layers: list[nn.Module] = []
        if width != cnf.input_channels:
            layers.append(conv(cnf.input_channels, width, kernel_size=1, activation_layer=activation))
        layers.append(
            conv(
                width,
                width,
                kernel_size=cnf.kernel,
                stride=1 if cnf.dilation > 1 else cnf.stride,
                dilation=cnf.dilation,
                groups=width,
                activation_layer=activation,
            )
        )
        if cnf.use_se:
            layers.append(se_layer(width, _make_divisible(width // 4, 8)))
        layers.append(conv(width, cnf.out_channels, kernel_size=1, activation_layer=None))
        self.block = nn.Sequential(*layers)
        self.out_channels = cnf.out_channels
        self._is_cn = cnf.stride > 1

    def forward(self, input):
        result = self.block(input)
        if self.use_res_connect:
            result += input
        return result


class MobileNetV3(nn.Module):
    """A network for small devices, found by search.

    Source: Howard et al., Searching for MobileNetV3, 2019.

    Args:
        inverted_residual_setting: the blocks.
        last_channel: channels before the last layer.
        num_classes: outputs.
        block: used in place of `InvertedResidual`.
        norm_layer: function of the number of channels that makes a normalisation; batch normalisation by default.
        dropout: probability of zero before the last layer.
        **kwargs: those of the builders that chose the blocks; not used.
    """

    def __init__(
        self,
        inverted_residual_setting: list[InvertedResidualConfig],
        last_channel: int,
        num_classes: int = 1000,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        dropout: float = 0.2,
        **kwargs,
    ):
        super().__init__()
        settings = inverted_residual_setting
        if not settings:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not isinstance(settings, Sequence) or not all(
            isinstance(cnf, InvertedResidualConfig) for cnf in settings
        ):
            raise TypeError("The inverted_residual_setting should be List[InvertedResidualConfig]")
        block = block or InvertedResidual
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.Hardswish)
        width = settings[-1].out_channels
        self.features = nn.Sequential(
            conv(3, settings[0].input_channels, kernel_size=3, stride=2),
            *[block(cnf, norm_layer) for cnf in settings],
            conv(width, 6 * width, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * width, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        init_layers(self, fan_out, partial(nn.init.normal_, mean=0, std=0.01))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


# Input channels, kernel, channels inside, output channels, squeeze and excitation, activation, stride.
_LARGE = (
    (16, 3, 16, 16, False, "RE", 1),
    (16, 3, 64, 24, False, "RE", 2),
    (24, 3, 72, 24, False, "RE", 1),
    (24, 5, 72, 40, True, "RE", 2),
    (40, 5, 120, 40, True, "RE", 1),
    (40, 5, 120, 40, True, "RE", 1),
    (40, 3, 240, 80, False, "HS", 2),
    (80, 3, 200, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 480, 112, True, "HS", 1),
    (112, 3, 672, 112, True, "HS", 1),
    (112, 5, 672, 160, True, "HS", 2),
    (160, 5, 960, 160, True, "HS", 1),
    (160, 5, 960, 160, True, "HS", 1),
)
_SMALL = (
    (16, 3, 16, 16, True, "RE", 2),
    (16, 3, 72, 24, False, "RE", 2),
    (24, 3, 88, 24, False, "RE", 1),
    (24, 5, 96, 40, True, "HS", 2),
    (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 120, 48, True, "HS", 1),
    (48, 5, 144, 48, True, "HS", 1),
    (48, 5, 288, 96, True, "HS", 2),
    (96, 5, 576, 96, True, "HS", 1),
    (96, 5, 576, 96, True, "HS", 1),
)


def _build(kind, weights, progress, rows, last_channel: int, **kwargs) -> MobileNetV3:
    """With `width_mult`, `reduced_tail` (half the channels in the last stage) and `dilated` (not strided there)."""
    width_mult = kwargs.get("width_mult", 1.0)
    divider = 2 if kwargs.get("reduced_tail", False) else 1
    dilation = 2 if kwargs.get("dilated", False) else 1
    settings = []
    for i, (inp, kernel, inside, out, use_se, activation, stride) in enumerate(rows, 1):
        tail = (
            len(rows) - i
        )  # of the three blocks of the last stage the first has the input of the stage before
        if tail < 3:
            out //= divider
        if tail < 2:
            inp, inside = inp // divider, inside // divider
        rate = dilation if tail < 3 else 1
        settings.append(
            InvertedResidualConfig(inp, kernel, inside, out, use_se, activation, stride, rate, width_mult)
        )
    last_channel = InvertedResidualConfig.adjust_channels(last_channel // divider, width_mult)
    return build_model(kind, weights, progress, settings, last_channel, **kwargs)


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=RECIPES + "mobilenetv3-large--small")
MobileNet_V3_Large_Weights = _weights("MobileNet_V3_Large", 5483032,
    V1=entry("mobilenet_v3_large-8738ca79", 74.042, 91.34, 0.217, 21.114),
    V2=entry("mobilenet_v3_large-5c1a4163", 75.274, 92.566, 0.217, 21.107, resize_size=232,
        recipe=ISSUE + "new-recipe-with-reg-tuning"))
MobileNet_V3_Small_Weights = _weights("MobileNet_V3_Small", 2542856,
    V1=entry("mobilenet_v3_small-047dcff4", 67.668, 87.402, 0.057, 9.829))
# fmt: on

_model = partial(
    model_builder,
    kind=MobileNetV3,
    build=_build,
    doc="A MobileNet v3 (Howard et al., Searching for MobileNetV3, 2019).",
)
mobilenet_v3_large = _model("mobilenet_v3_large", MobileNet_V3_Large_Weights, _LARGE, 1280)
mobilenet_v3_small = _model("mobilenet_v3_small", MobileNet_V3_Small_Weights, _SMALL, 1024)
