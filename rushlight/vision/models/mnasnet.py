"""MNASNet."""

import warnings
from functools import partial

from rushlight import Tensor, nn
from rushlight.vision.models._builders import (
    PULL,
    entry,
    fan_out,
    imagenet_weights,
    init_layers,
    model_builder,
)
from rushlight.vision.models._utils import _make_divisible

__all__ = [
    "MNASNet", "MNASNet0_5_Weights", "MNASNet0_75_Weights", "MNASNet1_0_Weights", "MNASNet1_3_Weights", "mnasnet0_5",
    "mnasnet0_75", "mnasnet1_0", "mnasnet1_3",
]  # fmt: skip

_BN_MOMENTUM = 1 - 0.9997  # the paper's, counted from the other side


class _InvertedResidual(nn.Module):
    """Few channels outside, many inside: a 1x1 convolution, one per channel, and a linear 1x1."""

    def __init__(
        self,
        in_ch: int,
        out_ch: int,
        kernel_size: int,
        stride: int,
        expansion_factor: int,
        bn_momentum: float = 0.1,
    ):
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        if kernel_size not in (3, 5):
            raise ValueError(f"kernel_size should be 3 or 5 instead of {kernel_size}")
        mid = in_ch * expansion_factor
        self.apply_residual = in_ch == out_ch and stride == 1
        self.layers = nn.Sequential(
            *_conv(in_ch, mid, 1, momentum=bn_momentum),
            nn.ReLU(inplace=True),
            *_conv(
                mid,
                mid,
                kernel_size,
                padding=kernel_size // 2,
                stride=stride,
                groups=mid,
                momentum=bn_momentum,
            ),
            nn.ReLU(inplace=True),
            *_conv(mid, out_ch, 1, momentum=bn_momentum),
        )

    def forward(self, input):
        return self.layers(input) + input if self.apply_residual else self.layers(input)


def _conv(in_ch: int, out_ch: int, kernel_size: int, *, momentum=_BN_MOMENTUM, **kwargs) -> list[nn.Module]:
    conv = nn.Conv2d(in_ch, out_ch, kernel_size, bias=False, **kwargs)
    return [conv, nn.BatchNorm2d(out_ch, momentum=momentum)]


def _stack(
    in_ch: int, out_ch: int, kernel_size: int, stride: int, exp_factor: int, repeats: int, bn_momentum: float
) -> nn.Sequential:
    """Inverted residuals, the first with the stride."""
    if repeats < 1:
        raise ValueError(f"repeats should be >= 1, instead got {repeats}")
    first = _InvertedResidual(in_ch, out_ch, kernel_size, stride, exp_factor, bn_momentum)
    rest = [
        _InvertedResidual(out_ch, out_ch, kernel_size, 1, exp_factor, bn_momentum) for _ in range(1, repeats)
    ]
    return nn.Sequential(first, *rest)


def _get_depths(alpha: float) -> list[int]:
    """The numbers of channels, multiples of 8."""
    return [_make_divisible(depth * alpha, 8) for depth in (32, 16, 24, 40, 80, 96, 192, 320)]


def _stem(first: int, second: int) -> list[nn.Module]:
    """A strided convolution, and one per channel."""
    return [
        *_conv(3, first, 3, padding=1, stride=2),
        nn.ReLU(inplace=True),
        *_conv(first, first, 3, padding=1, stride=1, groups=first),
        nn.ReLU(inplace=True),
        *_conv(first, second, 1, padding=0, stride=1),
    ]


# Kernel, stride, expansion and repeats of each stack.
_STACKS = ((3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1))


class MNASNet(nn.Module):
    """A network for phones found by search (variant B1).

    Source: Tan et al., MnasNet: Platform-Aware Neural Architecture Search for Mobile, 2019.

    Args:
        alpha: factor of all numbers of channels.
        num_classes: outputs.
        dropout: probability of zero before the last layer.

    >>> from rushlight.vision.models import MNASNet
    >>> MNASNet(0.5, num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    _version = 2  # 1 had as many channels in the first layers whatever alpha was

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2):
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"alpha should be greater than 0.0 instead of {alpha}")
        self.alpha = alpha
        self.num_classes = num_classes
        depths = _get_depths(alpha)
        stacks = [
            _stack(depths[i], depths[i + 1], *settings, _BN_MOMENTUM) for i, settings in enumerate(_STACKS, 1)
        ]
        self.layers = nn.Sequential(
            *_stem(depths[0], depths[1]),
            *stacks,
            *_conv(depths[7], 1280, 1, padding=0, stride=1),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(1280, num_classes))
        linear = partial(nn.init.kaiming_uniform_, mode="fan_out", nonlinearity="sigmoid")
        init_layers(self, fan_out, linear)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.layers(x).mean([2, 3]))

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args) -> None:
        version = local_metadata.get("version", None)
        if version not in (1, 2):
            raise ValueError(f"version should be set to 1 or 2 instead of {version}")
        if version == 1 and self.alpha != 1.0:
            depths = _get_depths(self.alpha)
            old = [*_stem(32, 16), _stack(16, depths[2], *_STACKS[0], _BN_MOMENTUM)]
            for i, layer in enumerate(old):
                self.layers[i] = layer
            self._version = 1
            warnings.warn(
                "A new version of MNASNet model has been implemented. Your checkpoint was saved using the previous "
                "version. This checkpoint will load and work as before, but you may want to upgrade by training a "
                "newer model or transfer learning from an updated ImageNet checkpoint.",
                UserWarning,
                stacklevel=2,
            )
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe="https://github.com/1e100/mnasnet_trainer")
MNASNet0_5_Weights = _weights("MNASNet0_5", 2218512,
    V1=entry("mnasnet0.5_top1_67.823-3ffadce67e", 67.734, 87.49, 0.104, 8.591))
MNASNet0_75_Weights = _weights("MNASNet0_75", 3170208,
    V1=entry("mnasnet0_75-7090bc5f", 71.18, 90.496, 0.215, 12.303, resize_size=232, recipe=PULL + "6019"))
MNASNet1_0_Weights = _weights("MNASNet1_0", 4383312,
    V1=entry("mnasnet1.0_top1_73.512-f206786ef8", 73.456, 91.51, 0.314, 16.915))
MNASNet1_3_Weights = _weights("MNASNet1_3", 6282256,
    V1=entry("mnasnet1_3-a4c69d6f", 76.506, 93.522, 0.526, 24.246, resize_size=232, recipe=PULL + "6019"))
# fmt: on

_model = partial(
    model_builder,
    kind=MNASNet,
    doc="An MNASNet (Tan et al., MnasNet: Platform-Aware Neural Architecture Search for Mobile, 2019).",
)
mnasnet0_5 = _model("mnasnet0_5", MNASNet0_5_Weights, 0.5)
mnasnet0_75 = _model("mnasnet0_75", MNASNet0_75_Weights, 0.75)
mnasnet1_0 = _model("mnasnet1_0", MNASNet1_0_Weights, 1.0)
mnasnet1_3 = _model("mnasnet1_3", MNASNet1_3_Weights, 1.3)
