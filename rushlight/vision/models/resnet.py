"""ResNet, ResNeXt and Wide ResNet."""

from collections.abc import Callable
from functools import partial

import rushlight as torch
from rushlight import Tensor, nn
from rushlight.vision.models._builders import (
    ISSUE,
    PULL,
    RECIPES,
    entry,
    fan_out,
    imagenet_weights,
    init_layers,
    model_builder,
)

__all__ = [
    "ResNeXt50_32X4D_Weights", "ResNeXt101_32X8D_Weights", "ResNeXt101_64X4D_Weights", "ResNet",
    "ResNet18_Weights", "ResNet34_Weights", "ResNet50_Weights", "ResNet101_Weights", "ResNet152_Weights",
    "Wide_ResNet50_2_Weights", "Wide_ResNet101_2_Weights", "resnet18", "resnet34", "resnet50", "resnet101",
    "resnet152", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2",
    "wide_resnet101_2",
]  # fmt: skip


def conv3x3(
    in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """A 3x3 convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(
        in_planes, out_planes, kernel_size=3, stride=stride, padding=dilation, dilation=dilation, groups=groups,
        bias=False,
    )  # fmt: skip


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(in_planes, out_planes, kernel_size=1, stride=stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut past them.

    Args:
        inplanes: channels of the input.
        planes: channels of the output.
        stride: of the first convolution.
        downsample: what brings the input to the shape of the output; None where it has it.
        groups: 1.
        base_width: 64.
        dilation: 1.
        norm_layer: function of the number of channels that makes a normalisation; batch normalisation by default.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock only supports groups=1 and base_width=64")
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """A 3x3 convolution between 1x1 convolutions, and a shortcut past them.

    The 3x3 convolution has the stride, not the first 1x1 as in the paper.

    Args:
        inplanes: channels of the input.
        planes: a quarter of the channels of the output.
        stride: of the 3x3 convolution.
        downsample: what brings the input to the shape of the output; None where it has it.
        groups: of the 3x3 convolution.
        base_width: its channels for each group, for 64 planes.
        dilation: of the 3x3 convolution.
        norm_layer: function of the number of channels that makes a normalisation; batch normalisation by default.
    """

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ResNet(nn.Module):
    """A residual network: four stages of blocks with shortcuts.

    Source: He et al., Deep Residual Learning for Image Recognition, 2016; with `groups` Xie et al., Aggregated Residual
    Transformations for Deep Neural Networks, 2017; with `width_per_group` Zagoruyko and Komodakis, Wide Residual
    Networks, 2016.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        layers: number of blocks in each stage.
        num_classes: outputs.
        zero_init_residual: start each block as the identity (Goyal et al., 2017).
        groups: of the 3x3 convolutions of a `Bottleneck`.
        width_per_group: their channels in a group, in the first stage.
        replace_stride_with_dilation: for each of the last three stages, keep the size and dilate instead.
        norm_layer: function of the number of channels that makes a normalisation; batch normalisation by default.

    >>> from rushlight.vision.models.resnet import BasicBlock, ResNet
    >>> ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: list[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: list[bool] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes = 64
        self.dilation = 1
        dilate = replace_stride_with_dilation or [False, False, False]
        if len(dilate) != 3:
            raise ValueError(
                f"replace_stride_with_dilation should be None or a 3-element tuple, got {dilate}"
            )
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = nn.Conv2d(3, self.inplanes, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], stride=2, dilate=dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], stride=2, dilate=dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], stride=2, dilate=dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)

        init_layers(self, fan_out, bias=False)
        if zero_init_residual:
            for m in self.modules():
                last = m.bn3 if isinstance(m, Bottleneck) else m.bn2 if isinstance(m, BasicBlock) else None
                if last is not None and last.weight is not None:
                    nn.init.zeros_(last.weight)

    def _make_layer(
        self, block, planes: int, blocks: int, stride: int = 1, dilate: bool = False
    ) -> nn.Sequential:
        """A stage: only its first block has a stride, and a shortcut that changes the shape."""
        first_dilation = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        width = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != width:
            downsample = nn.Sequential(conv1x1(self.inplanes, width, stride), self._norm_layer(width))
        settings = {"groups": self.groups, "base_width": self.base_width, "norm_layer": self._norm_layer}
        layers = [block(self.inplanes, planes, stride, downsample, dilation=first_dilation, **settings)]
        self.inplanes = width
        layers += [block(width, planes, dilation=self.dilation, **settings) for _ in range(1, blocks)]
        return nn.Sequential(*layers)

    def _forward_impl(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))

    def forward(self, x: Tensor) -> Tensor:
        return self._forward_impl(x)


# fmt: off
# file, accuracy of the best and of the best five guesses, 10^9 operations, MB
_weights = partial(imagenet_weights, module=__name__, recipe=RECIPES + "resnet")
ResNet18_Weights = _weights("ResNet18", 11689512,
    V1=entry("resnet18-f37072fd", 69.758, 89.078, 1.814, 44.661))
ResNet34_Weights = _weights("ResNet34", 21797672, V1=entry("resnet34-b627a593", 73.314, 91.42, 3.664, 83.275))
ResNet50_Weights = _weights("ResNet50", 25557032,
    V1=entry("resnet50-0676ba61", 76.13, 92.862, 4.089, 97.781),
    V2=entry("resnet50-11ad3fa6", 80.858, 95.434, 4.089, 97.79, resize_size=232,
        recipe=ISSUE + "issuecomment-1013906621"))
ResNet101_Weights = _weights("ResNet101", 44549160,
    V1=entry("resnet101-63fe2227", 77.374, 93.546, 7.801, 170.511),
    V2=entry("resnet101-cd907fc2", 81.886, 95.78, 7.801, 170.53, resize_size=232,
        recipe=ISSUE + "new-recipe"))
ResNet152_Weights = _weights("ResNet152", 60192808,
    V1=entry("resnet152-394f9c45", 78.312, 94.046, 11.514, 230.434),
    V2=entry("resnet152-f82ba261", 82.284, 96.002, 11.514, 230.474, resize_size=232,
        recipe=ISSUE + "new-recipe"))
ResNeXt50_32X4D_Weights = _weights("ResNeXt50_32X4D", 25028904,
    V1=entry("resnext50_32x4d-7cdf4587", 77.618, 93.698, 4.23, 95.789, recipe=RECIPES + "resnext"),
    V2=entry("resnext50_32x4d-1a0047aa", 81.198, 95.34, 4.23, 95.833, resize_size=232,
        recipe=ISSUE + "new-recipe"))
ResNeXt101_32X8D_Weights = _weights("ResNeXt101_32X8D", 88791336,
    V1=entry("resnext101_32x8d-8ba56ff5", 79.312, 94.526, 16.414, 339.586, recipe=RECIPES + "resnext"),
    V2=entry("resnext101_32x8d-110c445d", 82.834, 96.228, 16.414, 339.673, resize_size=232,
        recipe=ISSUE + "new-recipe-with-fixres"))
ResNeXt101_64X4D_Weights = _weights("ResNeXt101_64X4D", 83455272,
    V1=entry("resnext101_64x4d-173b62eb", 83.246, 96.454, 15.46, 319.318, resize_size=232,
        recipe=PULL + "5935"))
Wide_ResNet50_2_Weights = _weights("Wide_ResNet50_2", 68883240,
    V1=entry("wide_resnet50_2-95faca4d", 78.468, 94.086, 11.398, 131.82, recipe=PULL + "912#issue-445437439"),
    V2=entry("wide_resnet50_2-9ba9bcbe", 81.602, 95.758, 11.398, 263.124, resize_size=232,
        recipe=ISSUE + "new-recipe-with-fixres"))
Wide_ResNet101_2_Weights = _weights("Wide_ResNet101_2", 126886696,
    V1=entry("wide_resnet101_2-32ee1156", 78.848, 94.284, 22.753, 242.896,
        recipe=PULL + "912#issue-445437439"),
    V2=entry("wide_resnet101_2-d733dc28", 82.51, 96.02, 22.753, 484.747, resize_size=232,
        recipe=ISSUE + "new-recipe"))
# fmt: on

_resnet = partial(
    model_builder,
    kind=ResNet,
    doc="A ResNet (He et al., Deep Residual Learning for Image Recognition, 2016).",
)
resnet18 = _resnet("resnet18", ResNet18_Weights, BasicBlock, [2, 2, 2, 2])
resnet34 = _resnet("resnet34", ResNet34_Weights, BasicBlock, [3, 4, 6, 3])
resnet50 = _resnet("resnet50", ResNet50_Weights, Bottleneck, [3, 4, 6, 3])
resnet101 = _resnet("resnet101", ResNet101_Weights, Bottleneck, [3, 4, 23, 3])
resnet152 = _resnet("resnet152", ResNet152_Weights, Bottleneck, [3, 8, 36, 3])


def _groups(groups: int, width: int) -> dict:
    doc = "A ResNeXt (Xie et al., Aggregated Residual Transformations for Deep Neural Networks, 2017)."
    return {"required": {"groups": groups, "width_per_group": width}, "doc": doc}


def _wide(factor: int) -> dict:
    doc = "A Wide ResNet (Zagoruyko and Komodakis, Wide Residual Networks, 2016)."
    return {"required": {"width_per_group": 64 * factor}, "doc": doc}


# fmt: off
resnext50_32x4d = _resnet("resnext50_32x4d", ResNeXt50_32X4D_Weights, Bottleneck, [3, 4, 6, 3], **_groups(32, 4))
resnext101_32x8d = _resnet("resnext101_32x8d", ResNeXt101_32X8D_Weights, Bottleneck, [3, 4, 23, 3], **_groups(32, 8))
resnext101_64x4d = _resnet("resnext101_64x4d", ResNeXt101_64X4D_Weights, Bottleneck, [3, 4, 23, 3], **_groups(64, 4))
wide_resnet50_2 = _resnet("wide_resnet50_2", Wide_ResNet50_2_Weights, Bottleneck, [3, 4, 6, 3], **_wide(2))
wide_resnet101_2 = _resnet("wide_resnet101_2", Wide_ResNet101_2_Weights, Bottleneck, [3, 4, 23, 3], **_wide(2))
# fmt: on
