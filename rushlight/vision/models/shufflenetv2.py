"""ShuffleNet v2."""

from collections.abc import Callable
from functools import partial

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.vision.models._builders import PULL, entry, imagenet_weights, model_builder

__all__ = [
    "ShuffleNetV2", "ShuffleNet_V2_X0_5_Weights", "ShuffleNet_V2_X1_0_Weights", "ShuffleNet_V2_X1_5_Weights",
    "ShuffleNet_V2_X2_0_Weights", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]  # fmt: skip


def channel_shuffle(x, groups: int):
    """The channels of (N, C, H, W) in another order: one of each group in turn.

    Args:
        x: the features.
        groups: number of groups.

    >>> from rushlight.vision.models.shufflenetv2 import channel_shuffle
    >>> channel_shuffle(torch.arange(6).reshape(1, 6, 1, 1), 2).flatten()
    tensor([0, 3, 1, 4, 2, 5])
    """
    n, channels, height, width = x.size()
    x = x.view(n, groups, channels // groups, height, width)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(n, channels, height, width)


class InvertedResidual(nn.Module):
    """Half of the channels pass as they are, or strided; the others through a bottleneck; then all are shuffled.

    Args:
        inp: channels of the input.
        oup: channels of the output.
        stride: 1 to 3.
    """

    def __init__(self, inp: int, oup: int, stride: int):
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError("illegal stride value")
        self.stride = stride
        half = oup // 2
        if stride == 1 and inp != half << 1:
            raise ValueError(
                f"Invalid combination of stride {stride}, inp {inp} and oup {oup} values. If stride == 1 then inp "
                "should be equal to oup // 2 << 1."
            )
        self.branch1 = nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(
                self.depthwise_conv(inp, inp, kernel_size=3, stride=stride, padding=1),
                nn.BatchNorm2d(inp),
                *_pointwise(inp, half),
            )
        self.branch2 = nn.Sequential(
            *_pointwise(inp if stride > 1 else half, half),
            self.depthwise_conv(half, half, kernel_size=3, stride=stride, padding=1),
            nn.BatchNorm2d(half),
            *_pointwise(half, half),
        )

    @staticmethod
    def depthwise_conv(
        i: int, o: int, kernel_size: int, stride: int = 1, padding: int = 0, bias: bool = False
    ) -> nn.Conv2d:
        """A convolution for each channel."""
        return nn.Conv2d(i, o, kernel_size, stride, padding, bias=bias, groups=i)

    def forward(self, x):
        if self.stride == 1:
            kept, changed = x.chunk(2, dim=1)
            out = torch.cat((kept, self.branch2(changed)), dim=1)
        else:
            out = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        return channel_shuffle(out, 2)


def _pointwise(inp: int, oup: int) -> list[nn.Module]:
    return [nn.Conv2d(inp, oup, 1, 1, 0, bias=False), nn.BatchNorm2d(oup), nn.ReLU(inplace=True)]


class ShuffleNetV2(nn.Module):
    """A network for small devices that is fast and not just small in operations.

    Source: Ma et al., ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, 2018.

    Args:
        stages_repeats: number of blocks in each of three stages.
        stages_out_channels: channels after the first convolution, each stage, and the last convolution.
        num_classes: outputs.
        inverted_residual: used in place of `InvertedResidual`.
    """

    def __init__(
        self,
        stages_repeats: list[int],
        stages_out_channels: list[int],
        num_classes: int = 1000,
        inverted_residual: Callable[..., nn.Module] = InvertedResidual,
    ):
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError("expected stages_repeats as list of 3 positive ints")
        if len(stages_out_channels) != 5:
            raise ValueError("expected stages_out_channels as list of 5 positive ints")
        self._stage_out_channels = stages_out_channels
        width, *widths, last = stages_out_channels
        first = nn.Conv2d(3, width, 3, 2, 1, bias=False)
        self.conv1 = nn.Sequential(first, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        for i, (repeats, out) in enumerate(zip(stages_repeats, widths, strict=True), 2):
            blocks = [inverted_residual(width, out, 2)]
            blocks += [inverted_residual(out, out, 1) for _ in range(repeats - 1)]
            setattr(self, f"stage{i}", nn.Sequential(*blocks))
            width = out
        self.conv5 = nn.Sequential(*_pointwise(width, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return self.fc(x.mean([2, 3]))


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe="https://github.com/ericsun99/Shufflenet-v2-Pytorch")
ShuffleNet_V2_X0_5_Weights = _weights("ShuffleNet_V2_X0_5", 1366792,
    V1=entry("shufflenetv2_x0.5-f707e7126e", 60.552, 81.746, 0.04, 5.282))
ShuffleNet_V2_X1_0_Weights = _weights("ShuffleNet_V2_X1_0", 2278604,
    V1=entry("shufflenetv2_x1-5666bf0f80", 69.362, 88.316, 0.145, 8.791))
ShuffleNet_V2_X1_5_Weights = _weights("ShuffleNet_V2_X1_5", 3503624,
    V1=entry("shufflenetv2_x1_5-3c479a10", 72.996, 91.086, 0.296, 13.557, resize_size=232,
        recipe=PULL + "5906"))
ShuffleNet_V2_X2_0_Weights = _weights("ShuffleNet_V2_X2_0", 7393996,
    V1=entry("shufflenetv2_x2_0-8be3c8ee", 76.23, 93.006, 0.583, 28.433, resize_size=232,
        recipe=PULL + "5906"))
# fmt: on

_model = partial(
    model_builder,
    kind=ShuffleNetV2,
    doc="A ShuffleNet v2 (Ma et al., Practical Guidelines for Efficient CNN Architecture Design, 2018).",
)
_REPEATS = [4, 8, 4]
shufflenet_v2_x0_5 = _model(
    "shufflenet_v2_x0_5", ShuffleNet_V2_X0_5_Weights, _REPEATS, [24, 48, 96, 192, 1024]
)
shufflenet_v2_x1_0 = _model(
    "shufflenet_v2_x1_0", ShuffleNet_V2_X1_0_Weights, _REPEATS, [24, 116, 232, 464, 1024]
)
shufflenet_v2_x1_5 = _model(
    "shufflenet_v2_x1_5", ShuffleNet_V2_X1_5_Weights, _REPEATS, [24, 176, 352, 704, 1024]
)
shufflenet_v2_x2_0 = _model(
    "shufflenet_v2_x2_0", ShuffleNet_V2_X2_0_Weights, _REPEATS, [24, 244, 488, 976, 2048]
)
