"""MobileNet v2."""

from collections.abc import Callable
from functools import partial

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import Tensor, nn
from rushlight.vision.models._builders import (
    ISSUE,
    RECIPES,
    entry,
    fan_out,
    imagenet_weights,
    init_layers,
    model_builder,
)
from rushlight.vision.models._utils import _make_divisible
from rushlight.vision.ops.misc import Conv2dNormActivation

__all__ = ["MobileNetV2", "MobileNet_V2_Weights", "mobilenet_v2"]


class InvertedResidual(nn.Module):
    """Few channels outside, many inside: a 1x1 convolution, one per channel, and a linear 1x1.

    Args:
        inp: channels of the input.
        oup: channels of the output.
        stride: 1 or 2, of the middle convolution; with 1 and as many channels there is a shortcut.
        expand_ratio: channels inside, as a multiple of those of the input.
        norm_layer: function of the number of channels that makes a normalisation; batch normalisation by default.
    """

    def __init__(
        self,
        inp: int,
        oup: int,
        stride: int,
        expand_ratio: int,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        self.stride = stride
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        norm_layer = norm_layer or nn.BatchNorm2d
        hidden = round(inp * expand_ratio)
        self.use_res_connect = stride == 1 and inp == oup
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
        expand = [block(inp, hidden, kernel_size=1)] if expand_ratio != 1 else []
        self.conv = nn.Sequential(
            *expand,
            block(hidden, hidden, stride=stride, groups=hidden),
            nn.Conv2d(hidden, oup, 1, 1, 0, bias=False),
            norm_layer(oup),
        )
        self.out_channels = oup
        self._is_cn = stride > 1

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """A network for small devices, of inverted residual blocks.

    Source: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018.

    Args:
        num_classes: outputs.
        width_mult: factor of all numbers of channels.
        inverted_residual_setting: for each stage [expand_ratio, channels, number of blocks, stride of the first].
        round_nearest: numbers of channels are multiples of it.
        block: used in place of `InvertedResidual`.
        norm_layer: function of the number of channels that makes a normalisation; batch normalisation by default.
        dropout: probability of zero before the last layer.

    >>> from rushlight.vision.models import MobileNetV2
    >>> MobileNetV2(num_classes=10, width_mult=0.25)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: list[list[int]] | None = None,
        round_nearest: int = 8,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        dropout: float = 0.2,
    ):
        super().__init__()
        block = block or InvertedResidual
        norm_layer = norm_layer or nn.BatchNorm2d
        settings = inverted_residual_setting
        if settings is None:
            settings = [
                [1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1],
            ]  # fmt: skip
        if len(settings) == 0 or len(settings[0]) != 4:
            raise ValueError(
                f"inverted_residual_setting should be non-empty or a 4-element list, got {settings}"
            )
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
        width = _make_divisible(32 * width_mult, round_nearest)
        self.last_channel = _make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[nn.Module] = [conv(3, width, stride=2)]
        for expand_ratio, channels, repeats, stride in settings:
            out = _make_divisible(channels * width_mult, round_nearest)
            for i in range(repeats):
                features.append(
                    block(
                        width,
                        out,
                        stride if i == 0 else 1,
                        expand_ratio=expand_ratio,
                        norm_layer=norm_layer,
                    )
                )
                width = out
        features.append(conv(width, self.last_channel, kernel_size=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes))
        init_layers(self, fan_out, partial(nn.init.normal_, mean=0, std=0.01))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(self.features(x), (1, 1)), 1))


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=RECIPES + "mobilenetv2")
MobileNet_V2_Weights = _weights("MobileNet_V2", 3504872,
    V1=entry("mobilenet_v2-b0353104", 71.878, 90.286, 0.301, 13.555),
    V2=entry("mobilenet_v2-7ebf99e0", 72.154, 90.822, 0.301, 13.598, resize_size=232,
        recipe=ISSUE + "new-recipe-with-reg-tuning"))
# fmt: on

mobilenet_v2 = model_builder(
    "mobilenet_v2",
    MobileNet_V2_Weights,
    kind=MobileNetV2,
    doc="MobileNet v2 (Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018).",
)
