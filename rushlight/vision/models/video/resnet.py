"""Residual networks for films: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", 2018,
https://arxiv.org/abs/1711.11248."""

from collections.abc import Callable, Sequence
from functools import partial

from rushlight import nn
from rushlight.vision.models._builders import fan_out, model_builder
from rushlight.vision.models.video._weights import kinetics_row, kinetics_weights

__all__ = [
    "MC3_18_Weights",
    "R2Plus1D_18_Weights",
    "R3D_18_Weights",
    "VideoResNet",
    "mc3_18",
    "r2plus1d_18",
    "r3d_18",
]


class Conv3DSimple(nn.Conv3d):
    """A 3x3x3 convolution.

    Args:
        in_planes: channels of the input.
        out_planes: channels of the result.
        midplanes: not used.
        stride: in time and space.
        padding: zeros around, in time and space.
    """

    def __init__(
        self, in_planes: int, out_planes: int, midplanes=None, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__(in_planes, out_planes, 3, stride, padding, bias=False)

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        """The stride of the shortcut beside it."""
        return stride, stride, stride


class Conv3DNoTemporal(nn.Conv3d):
    """A 3x3 convolution of each picture by itself. Arguments as of `Conv3DSimple`; time has no stride."""

    def __init__(
        self, in_planes: int, out_planes: int, midplanes=None, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__(
            in_planes, out_planes, (1, 3, 3), (1, stride, stride), (0, padding, padding), bias=False
        )

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        """The stride of the shortcut beside it."""
        return 1, stride, stride


class Conv2Plus1D(nn.Sequential):
    """A 3x3 convolution in space, then one of 3 in time. Arguments as of `Conv3DSimple`.

    `midplanes` are the channels between both.
    """

    def __init__(
        self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__(
            nn.Conv3d(
                in_planes, midplanes, (1, 3, 3), (1, stride, stride), (0, padding, padding), bias=False
            ),
            nn.BatchNorm3d(midplanes),
            nn.ReLU(inplace=True),
            nn.Conv3d(midplanes, out_planes, (3, 1, 1), (stride, 1, 1), (padding, 0, 0), bias=False),
        )

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        """The stride of the shortcut beside it."""
        return stride, stride, stride


def _midplanes(inplanes: int, planes: int) -> int:
    """As many channels between the parts of a (2+1)-d convolution as give it the weights of a 3-d one."""
    return (inplanes * planes * 3 * 3 * 3) // (inplanes * 3 * 3 + 3 * planes)


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut past them.

    Args:
        inplanes: channels of the input.
        planes: channels of the result.
        conv_builder: the kind of convolution.
        stride: of the first.
        downsample: what brings the input to the shape of the result; None where it has it.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        conv_builder: Callable[..., nn.Module],
        stride: int = 1,
        downsample: nn.Module | None = None,
    ) -> None:
        middle = _midplanes(inplanes, planes)
        super().__init__()
        self.conv1 = nn.Sequential(
            conv_builder(inplanes, planes, middle, stride), nn.BatchNorm3d(planes), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(conv_builder(planes, planes, middle), nn.BatchNorm3d(planes))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        out = self.conv2(self.conv1(x))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """A convolution between ones of size 1, and a shortcut past them. Arguments as of `BasicBlock`."""

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        conv_builder: Callable[..., nn.Module],
        stride: int = 1,
        downsample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        middle = _midplanes(inplanes, planes)
        wide = planes * self.expansion
        self.conv1 = nn.Sequential(
            nn.Conv3d(inplanes, planes, 1, bias=False), nn.BatchNorm3d(planes), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(
            conv_builder(planes, planes, middle, stride), nn.BatchNorm3d(planes), nn.ReLU(inplace=True)
        )
        self.conv3 = nn.Sequential(nn.Conv3d(planes, wide, 1, bias=False), nn.BatchNorm3d(wide))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        out = self.conv3(self.conv2(self.conv1(x)))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class BasicStem(nn.Sequential):
    """The first convolution: 7x7 in space, 3 in time."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )


class R2Plus1dStem(nn.Sequential):
    """The first convolutions: 7x7 in space, then 3 in time."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(45),
            nn.ReLU(inplace=True),
            nn.Conv3d(45, 64, (3, 1, 1), 1, (1, 0, 0), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )


class VideoResNet(nn.Module):
    """A residual network for films of shape (N, 3, T, H, W).

    Args:
        block: `BasicBlock` or `Bottleneck`.
        conv_makers: the kind of convolution in each of the four stages.
        layers: number of blocks in each stage.
        stem: what comes first.
        num_classes: outputs.
        zero_init_residual: start each `Bottleneck` as the identity.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        conv_makers: Sequence,
        layers: list[int],
        stem: Callable[..., nn.Module],
        num_classes: int = 400,
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        self.inplanes = 64
        self.stem = stem()
        self.layer1 = self._make_layer(block, conv_makers[0], 64, layers[0], stride=1)
        self.layer2 = self._make_layer(block, conv_makers[1], 128, layers[1], stride=2)
        self.layer3 = self._make_layer(block, conv_makers[2], 256, layers[2], stride=2)
        self.layer4 = self._make_layer(block, conv_makers[3], 512, layers[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool3d((1, 1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv3d):
                fan_out(m.weight)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.zeros_(m.bias)
        if zero_init_residual:
            for m in self.modules():
                if isinstance(m, Bottleneck):
                    nn.init.zeros_(m.conv3[1].weight)

    def _make_layer(self, block, conv_builder, planes: int, blocks: int, stride: int) -> nn.Sequential:
        """A stage: only its first block has a stride, and a shortcut that changes the shape."""
        width = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != width:
            strides = conv_builder.get_downsample_stride(stride)
            downsample = nn.Sequential(
                nn.Conv3d(self.inplanes, width, 1, strides, bias=False), nn.BatchNorm3d(width)
            )
        first = block(self.inplanes, planes, conv_builder, stride, downsample)
        self.inplanes = width
        return nn.Sequential(first, *(block(width, planes, conv_builder) for _ in range(1, blocks)))

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(self.avgpool(x).flatten(1))


def _weights(name: str, file: str, num_params: int, top1: float, top5: float, ops: float, size: float):
    """The class of weights of one network; `ops` are 10^9 operations for a film, `size` MB."""
    row = kinetics_row(
        file,
        top1,
        top5,
        crop_size=(112, 112),
        resize_size=(128, 171),
        min_size=(1, 1),
        recipe="https://github.com/pytorch/vision/tree/main/references/video_classification",
        num_params=num_params,
        _ops=ops,
        _file_size=size,
    )
    return kinetics_weights(name, __name__, KINETICS400_V1=row)


# fmt: off
R3D_18_Weights = _weights("R3D_18", "r3d_18-b3b3357e", 33371472, 63.2, 83.479, 40.697, 127.359)
MC3_18_Weights = _weights("MC3_18", "mc3_18-a90a0ba3", 11695440, 63.96, 84.13, 43.343, 44.672)
R2Plus1D_18_Weights = _weights(
    "R2Plus1D_18", "r2plus1d_18-91a641e6", 31505325, 67.463, 86.175, 40.519, 120.318)
# fmt: on

_SOURCE = "(Tran et al., A Closer Look at Spatiotemporal Convolutions for Action Recognition, 2018)."
_video = partial(model_builder, kind=VideoResNet, legacy="KINETICS400_V1")


def _stages(conv_makers: list, stem: type[nn.Module]) -> tuple:
    """The first arguments of an 18-layer `VideoResNet`."""
    return BasicBlock, conv_makers, [2, 2, 2, 2], stem


r3d_18 = _video(
    "r3d_18",
    R3D_18_Weights,
    *_stages([Conv3DSimple] * 4, BasicStem),
    doc=f"A ResNet of 18 layers of 3-d convolutions {_SOURCE}",
)
mc3_18 = _video(
    "mc3_18",
    MC3_18_Weights,
    *_stages([Conv3DSimple, *[Conv3DNoTemporal] * 3], BasicStem),
    doc=f"A ResNet of 18 layers whose later convolutions are in space only {_SOURCE}",
)
r2plus1d_18 = _video(
    "r2plus1d_18",
    R2Plus1D_18_Weights,
    *_stages([Conv2Plus1D] * 4, R2Plus1dStem),
    doc=f"A ResNet of 18 layers with convolutions in space and in time by turns {_SOURCE}",
)
