"""RegNet."""

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.vision.models._builders import (
    ISSUE,
    RECIPES,
    build_model,
    entry,
    imagenet_weights,
    init_layers,
    model_builder,
    swag,
)
from rushlight.vision.models._utils import _make_divisible
from rushlight.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation

__all__ = [
    "RegNet",
    "RegNet_X_1_6GF_Weights",
    "RegNet_X_3_2GF_Weights",
    "RegNet_X_8GF_Weights",
    "RegNet_X_16GF_Weights",
    "RegNet_X_32GF_Weights",
    "RegNet_X_400MF_Weights",
    "RegNet_X_800MF_Weights",
    "RegNet_Y_1_6GF_Weights",
    "RegNet_Y_3_2GF_Weights",
    "RegNet_Y_8GF_Weights",
    "RegNet_Y_16GF_Weights",
    "RegNet_Y_32GF_Weights",
    "RegNet_Y_128GF_Weights",
    "RegNet_Y_400MF_Weights",
    "RegNet_Y_800MF_Weights",
    "regnet_x_1_6gf",
    "regnet_x_3_2gf",
    "regnet_x_8gf",
    "regnet_x_16gf",
    "regnet_x_32gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_y_1_6gf",
    "regnet_y_3_2gf",
    "regnet_y_8gf",
    "regnet_y_16gf",
    "regnet_y_32gf",
    "regnet_y_128gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
]  # fmt: skip


class SimpleStemIN(Conv2dNormActivation):
    """The first convolution.

    Args:
        width_in, width_out: channels of input and output.
        norm_layer, activation_layer: functions that make normalisation and activation.
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        norm_layer: Callable[..., nn.Module],
        activation_layer: Callable[..., nn.Module],
    ):
        layers = {"norm_layer": norm_layer, "activation_layer": activation_layer}
        super().__init__(width_in, width_out, kernel_size=3, stride=2, **layers)


class BottleneckTransform(nn.Sequential):
    """A 3x3 convolution between 1x1 convolutions, in Y networks with squeeze and excitation.

    Args:
        width_in, width_out: channels of input and output.
        stride: of the 3x3 convolution.
        norm_layer, activation_layer: functions that make normalisation and activation.
        group_width: channels of a group of the 3x3 convolution.
        bottleneck_multiplier: channels inside, as a multiple of those of the output.
        se_ratio: channels in squeeze and excitation, as a multiple of those of the input; None for none.
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: Callable[..., nn.Module],
        activation_layer: Callable[..., nn.Module],
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None,
    ):
        width = round(width_out * bottleneck_multiplier)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation_layer)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["a"] = conv(width_in, width, kernel_size=1)
        layers["b"] = conv(width, width, kernel_size=3, stride=stride, groups=width // group_width)
        if se_ratio:
            layers["se"] = SqueezeExcitation(width, round(se_ratio * width_in), activation=activation_layer)
        layers["c"] = conv(width, width_out, kernel_size=1, activation_layer=None)
        super().__init__(layers)


class ResBottleneckBlock(nn.Module):
    """`BottleneckTransform` and a shortcut past it; arguments as there."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: Callable[..., nn.Module],
        activation_layer: Callable[..., nn.Module],
        group_width: int = 1,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
    ):
        super().__init__()
        self.proj = None
        if width_in != width_out or stride != 1:
            layers = {"norm_layer": norm_layer, "activation_layer": None}
            self.proj = Conv2dNormActivation(width_in, width_out, kernel_size=1, stride=stride, **layers)
        self.f = BottleneckTransform(
            width_in,
            width_out,
            stride,
            norm_layer,
            activation_layer,
            group_width,
            bottleneck_multiplier,
            se_ratio,
        )
        self.activation = activation_layer(inplace=True)

    def forward(self, x):
        shortcut = x if self.proj is None else self.proj(x)
        return self.activation(shortcut + self.f(x))


class AnyStage(nn.Sequential):
    """Blocks of one width.

    Args:
        width_in, width_out: channels of input and output.
        stride: of the first block.
        depth: number of blocks.
        block_constructor: makes a block.
        norm_layer, activation_layer, group_width, bottleneck_multiplier, se_ratio: as in `BottleneckTransform`.
        stage_index: number of the stage, for the blocks' names.
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        depth: int,
        block_constructor: Callable[..., nn.Module],
        norm_layer: Callable[..., nn.Module],
        activation_layer: Callable[..., nn.Module],
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None = None,
        stage_index: int = 0,
    ):
        super().__init__()
        rest = norm_layer, activation_layer, group_width, bottleneck_multiplier, se_ratio
        for i in range(depth):
            sizes = (width_out, width_out, 1) if i else (width_in, width_out, stride)
            self.add_module(f"block{stage_index}-{i}", block_constructor(*sizes, *rest))


class BlockParams:
    """The sizes of the stages; each argument but the last is a list with one number per stage.

    Args:
        depths: number of blocks.
        widths: channels.
        group_widths: channels of a group.
        bottleneck_multipliers: channels inside a block, as a multiple of those outside.
        strides: of the first block.
        se_ratio: channels in squeeze and excitation, as a multiple of the input's; None for none.
    """

    def __init__(
        self,
        depths: list[int],
        widths: list[int],
        group_widths: list[int],
        bottleneck_multipliers: list[float],
        strides: list[int],
        se_ratio: float | None = None,
    ):
        self.depths = depths
        self.widths = widths
        self.group_widths = group_widths
        self.bottleneck_multipliers = bottleneck_multipliers
        self.strides = strides
        self.se_ratio = se_ratio

    @classmethod
    def from_init_params(
        cls,
        depth: int,
        w_0: int,
        w_a: float,
        w_m: float,
        group_width: int,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
        **kwargs,
    ) -> "BlockParams":
        """The sizes by the rule of the paper: widths that grow linearly, brought to a few powers and multiples of 8.

        Args:
            depth: number of blocks in all.
            w_0: first width, a multiple of 8.
            w_a: growth of the width per block.
            w_m: ratio between the widths of two stages, more than 1.
            group_width: channels of a group.
            bottleneck_multiplier: channels inside a block, as a multiple of those outside.
            se_ratio: channels in squeeze and excitation, as a multiple of the input's; None for none.
            **kwargs: those of the network; not used.
        """
        if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % 8 != 0:
            raise ValueError("Invalid RegNet settings")
        linear = torch.arange(depth) * w_a + w_0
        power = torch.round(torch.log(linear / w_0) / math.log(w_m))
        blocks = (torch.round(w_0 * torch.pow(w_m, power) / 8) * 8).int().tolist()
        widths = sorted(set(blocks))  # they never become smaller
        depths = [blocks.count(width) for width in widths]
        inside = [int(width * bottleneck_multiplier) for width in widths]
        groups = [min(group_width, width) for width in inside]
        fitting = [_make_divisible(width, group) for width, group in zip(inside, groups, strict=True)]
        return cls(
            depths=depths,
            widths=[int(width / bottleneck_multiplier) for width in fitting],
            group_widths=groups,
            bottleneck_multipliers=[bottleneck_multiplier] * len(widths),
            strides=[2] * len(widths),
            se_ratio=se_ratio,
        )

    def _get_expanded_params(self):
        return zip(
            self.widths,
            self.strides,
            self.depths,
            self.group_widths,
            self.bottleneck_multipliers,
            strict=True,
        )


class RegNet(nn.Module):
    """Networks of a design space in which widths grow by a simple rule.

    Source: Radosavovic et al., Designing Network Design Spaces, 2020.

    Args:
        block_params: the sizes of the stages.
        num_classes: outputs.
        stem_width: channels of the first convolution.
        stem_type: used in place of `SimpleStemIN`.
        block_type: used in place of `ResBottleneckBlock`.
        norm_layer: function of the number of channels that makes a normalisation; batch normalisation by default.
        activation: function that makes the activation; ReLU by default.
    """

    def __init__(
        self,
        block_params: BlockParams,
        num_classes: int = 1000,
        stem_width: int = 32,
        stem_type: Callable[..., nn.Module] | None = None,
        block_type: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        activation: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        layers = norm_layer or nn.BatchNorm2d, activation or nn.ReLU
        block_type = block_type or ResBottleneckBlock
        self.stem = (stem_type or SimpleStemIN)(3, stem_width, *layers)
        width = stem_width
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for i, (out, stride, depth, group, inside) in enumerate(block_params._get_expanded_params(), 1):
            sizes = width, out, stride, depth
            stages[f"block{i}"] = AnyStage(
                *sizes, block_type, *layers, group, inside, block_params.se_ratio, stage_index=i
            )
            width = out
        self.trunk_output = nn.Sequential(stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(width, num_classes)
        init_layers(self, _fill_conv, partial(nn.init.normal_, mean=0.0, std=0.01), bias=False)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.avgpool(self.trunk_output(self.stem(x))).flatten(start_dim=1))


def _fill_conv(weight) -> None:
    out, _, height, width = weight.shape
    nn.init.normal_(weight, mean=0.0, std=math.sqrt(2.0 / (height * width * out)))


def _build(kind, weights, progress, *sizes, se_ratio=None, **kwargs) -> RegNet:
    params = BlockParams.from_init_params(*sizes, se_ratio=se_ratio, **kwargs)
    return build_model(kind, weights, progress, params, **kwargs)


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=ISSUE + "new-recipe")
RegNet_Y_400MF_Weights = _weights("RegNet_Y_400MF", 4344144,
    V1=entry("regnet_y_400mf-c65dace8", 74.046, 91.716, 0.402, 16.806, recipe=RECIPES + "small-models"),
    V2=entry("regnet_y_400mf-e6988f5f", 75.804, 92.742, 0.402, 16.806, resize_size=232))
RegNet_Y_800MF_Weights = _weights("RegNet_Y_800MF", 6432512,
    V1=entry("regnet_y_800mf-1b27b58c", 76.42, 93.136, 0.834, 24.774, recipe=RECIPES + "small-models"),
    V2=entry("regnet_y_800mf-58fc7688", 78.828, 94.502, 0.834, 24.774, resize_size=232))
RegNet_Y_1_6GF_Weights = _weights("RegNet_Y_1_6GF", 11202430,
    V1=entry("regnet_y_1_6gf-b11a554e", 77.95, 93.966, 1.612, 43.152, recipe=RECIPES + "small-models"),
    V2=entry("regnet_y_1_6gf-0d7bc02a", 80.876, 95.444, 1.612, 43.152, resize_size=232))
RegNet_Y_3_2GF_Weights = _weights("RegNet_Y_3_2GF", 19436338,
    V1=entry("regnet_y_3_2gf-b5a9779c", 78.948, 94.576, 3.176, 74.567, recipe=RECIPES + "medium-models"),
    V2=entry("regnet_y_3_2gf-9180c971", 81.982, 95.972, 3.176, 74.567, resize_size=232))
RegNet_Y_8GF_Weights = _weights("RegNet_Y_8GF", 39381472,
    V1=entry("regnet_y_8gf-d0d0e4a8", 80.032, 95.048, 8.473, 150.701, recipe=RECIPES + "medium-models"),
    V2=entry("regnet_y_8gf-dc2b1b54", 82.828, 96.33, 8.473, 150.701, resize_size=232))
RegNet_Y_16GF_Weights = _weights("RegNet_Y_16GF", 83590140,
    V1=entry("regnet_y_16gf-9e6ed7dd", 80.424, 95.24, 15.912, 319.49, recipe=RECIPES + "large-models"),
    V2=entry("regnet_y_16gf-3e4a00f9", 82.886, 96.328, 15.912, 319.49, resize_size=232),
    SWAG_E2E_V1=swag("regnet_y_16gf_swag-43afe44d", 86.012, 98.054, 46.735, 319.49, crop_size=384),
    SWAG_LINEAR_V1=swag("regnet_y_16gf_lc_swag-f3ec0043", 83.976, 97.244, 15.912, 319.49))
RegNet_Y_32GF_Weights = _weights("RegNet_Y_32GF", 145046770,
    V1=entry("regnet_y_32gf-4dee3f7a", 80.878, 95.34, 32.28, 554.076, recipe=RECIPES + "large-models"),
    V2=entry("regnet_y_32gf-8db6d4b5", 83.368, 96.498, 32.28, 554.076, resize_size=232),
    SWAG_E2E_V1=swag("regnet_y_32gf_swag-04fdfa75", 86.838, 98.362, 94.826, 554.076, crop_size=384),
    SWAG_LINEAR_V1=swag("regnet_y_32gf_lc_swag-e1583746", 84.622, 97.48, 32.28, 554.076))
RegNet_Y_128GF_Weights = _weights("RegNet_Y_128GF", 644812894,
    SWAG_E2E_V1=swag("regnet_y_128gf_swag-c8ce3e52", 88.228, 98.682, 374.57, 2461.564, crop_size=384),
    SWAG_LINEAR_V1=swag("regnet_y_128gf_lc_swag-cbe8ce12", 86.068, 97.844, 127.518, 2461.564))
RegNet_X_400MF_Weights = _weights("RegNet_X_400MF", 5495976,
    V1=entry("regnet_x_400mf-adf1edd5", 72.834, 90.95, 0.414, 21.258, recipe=RECIPES + "small-models"),
    V2=entry("regnet_x_400mf-62229a5f", 74.864, 92.322, 0.414, 21.257, resize_size=232,
        recipe=ISSUE + "new-recipe-with-fixres"))
RegNet_X_800MF_Weights = _weights("RegNet_X_800MF", 7259656,
    V1=entry("regnet_x_800mf-ad17e45c", 75.212, 92.348, 0.8, 27.945, recipe=RECIPES + "small-models"),
    V2=entry("regnet_x_800mf-94a99ebd", 77.522, 93.826, 0.8, 27.945, resize_size=232,
        recipe=ISSUE + "new-recipe-with-fixres"))
RegNet_X_1_6GF_Weights = _weights("RegNet_X_1_6GF", 9190136,
    V1=entry("regnet_x_1_6gf-e3633e7f", 77.04, 93.44, 1.603, 35.339, recipe=RECIPES + "small-models"),
    V2=entry("regnet_x_1_6gf-a12f2b72", 79.668, 94.922, 1.603, 35.339, resize_size=232,
        recipe=ISSUE + "new-recipe-with-fixres"))
RegNet_X_3_2GF_Weights = _weights("RegNet_X_3_2GF", 15296552,
    V1=entry("regnet_x_3_2gf-f342aeae", 78.364, 93.992, 3.177, 58.756, recipe=RECIPES + "medium-models"),
    V2=entry("regnet_x_3_2gf-7071aa85", 81.196, 95.43, 3.177, 58.756, resize_size=232))
RegNet_X_8GF_Weights = _weights("RegNet_X_8GF", 39572648,
    V1=entry("regnet_x_8gf-03ceed89", 79.344, 94.686, 7.995, 151.456, recipe=RECIPES + "medium-models"),
    V2=entry("regnet_x_8gf-2b70d774", 81.682, 95.678, 7.995, 151.456, resize_size=232))
RegNet_X_16GF_Weights = _weights("RegNet_X_16GF", 54278536,
    V1=entry("regnet_x_16gf-2007eb11", 80.058, 94.944, 15.941, 207.627, recipe=RECIPES + "medium-models"),
    V2=entry("regnet_x_16gf-ba3796d7", 82.716, 96.196, 15.941, 207.627, resize_size=232))
RegNet_X_32GF_Weights = _weights("RegNet_X_32GF", 107811560,
    V1=entry("regnet_x_32gf-9d47f8d0", 80.622, 95.248, 31.736, 412.039, recipe=RECIPES + "large-models"),
    V2=entry("regnet_x_32gf-6eb8fdc6", 83.014, 96.288, 31.736, 412.039, resize_size=232))
# fmt: on

_model = partial(
    model_builder,
    kind=RegNet,
    build=_build,
    defaults={"norm_layer": partial(nn.BatchNorm2d, eps=1e-05, momentum=0.1)},
)
_x = partial(_model, doc="A RegNetX (Radosavovic et al., Designing Network Design Spaces, 2020).")
_y = partial(
    _model,
    se_ratio=0.25,
    doc="A RegNetY, with squeeze and excitation (Radosavovic et al., Designing Network Design Spaces, 2020).",
)
# number of blocks, first width, growth, ratio between stages, width of a group
regnet_y_400mf = _y("regnet_y_400mf", RegNet_Y_400MF_Weights, 16, 48, 27.89, 2.09, 8)
regnet_y_800mf = _y("regnet_y_800mf", RegNet_Y_800MF_Weights, 14, 56, 38.84, 2.4, 16)
regnet_y_1_6gf = _y("regnet_y_1_6gf", RegNet_Y_1_6GF_Weights, 27, 48, 20.71, 2.65, 24)
regnet_y_3_2gf = _y("regnet_y_3_2gf", RegNet_Y_3_2GF_Weights, 21, 80, 42.63, 2.66, 24)
regnet_y_8gf = _y("regnet_y_8gf", RegNet_Y_8GF_Weights, 17, 192, 76.82, 2.19, 56)
regnet_y_16gf = _y("regnet_y_16gf", RegNet_Y_16GF_Weights, 18, 200, 106.23, 2.48, 112)
regnet_y_32gf = _y("regnet_y_32gf", RegNet_Y_32GF_Weights, 20, 232, 115.89, 2.53, 232)
regnet_y_128gf = _y("regnet_y_128gf", RegNet_Y_128GF_Weights, 27, 456, 160.83, 2.52, 264)
regnet_x_400mf = _x("regnet_x_400mf", RegNet_X_400MF_Weights, 22, 24, 24.48, 2.54, 16)
regnet_x_800mf = _x("regnet_x_800mf", RegNet_X_800MF_Weights, 16, 56, 35.73, 2.28, 16)
regnet_x_1_6gf = _x("regnet_x_1_6gf", RegNet_X_1_6GF_Weights, 18, 80, 34.01, 2.25, 24)
regnet_x_3_2gf = _x("regnet_x_3_2gf", RegNet_X_3_2GF_Weights, 25, 88, 26.31, 2.25, 48)
regnet_x_8gf = _x("regnet_x_8gf", RegNet_X_8GF_Weights, 23, 80, 49.56, 2.88, 120)
regnet_x_16gf = _x("regnet_x_16gf", RegNet_X_16GF_Weights, 22, 216, 55.59, 2.1, 128)
regnet_x_32gf = _x("regnet_x_32gf", RegNet_X_32GF_Weights, 23, 320, 69.86, 2.0, 168)
