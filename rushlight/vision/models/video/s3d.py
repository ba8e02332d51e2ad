"""S3D: Xie et al., "Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs in Video Classification", 2018,
https://arxiv.org/abs/1712.04851."""

from collections.abc import Callable
from functools import partial

import rushlight as torch
from rushlight import nn
from rushlight.vision.models._builders import model_builder
from rushlight.vision.models.video._weights import kinetics_row, kinetics_weights
from rushlight.vision.ops import Conv3dNormActivation

__all__ = ["S3D", "S3D_Weights", "s3d"]


class TemporalSeparableConv(nn.Sequential):
    """A convolution in space, then one in time.

    Args:
        in_planes, out_planes: channels.
        kernel_size, stride, padding: of both.
        norm_layer: function of the number of channels that makes a normalisation.
    """

    def __init__(
        self,
        in_planes: int,
        out_planes: int,
        kernel_size: int,
        stride: int,
        padding: int,
        norm_layer: Callable[..., nn.Module],
    ):
        sizes = kernel_size, stride, padding
        space = [(n, size, size) for n, size in zip((1, 1, 0), sizes, strict=True)]
        time = [(size, n, n) for n, size in zip((1, 1, 0), sizes, strict=True)]
        super().__init__(
            Conv3dNormActivation(in_planes, out_planes, *space, bias=False, norm_layer=norm_layer),
            Conv3dNormActivation(out_planes, out_planes, *time, bias=False, norm_layer=norm_layer),
        )


class SepInceptionBlock3D(nn.Module):
    """Four branches side by side, whose channels are put together.

    Args:
        in_planes: channels of the input.
        b0_out, b1_mid, b1_out, b2_mid, b2_out, b3_out: channels within and after the branches.
        norm_layer: function of the number of channels that makes a normalisation.
    """

    def __init__(
        self,
        in_planes: int,
        b0_out: int,
        b1_mid: int,
        b1_out: int,
        b2_mid: int,
        b2_out: int,
        b3_out: int,
        norm_layer: Callable[..., nn.Module],
    ):
        super().__init__()
        point = partial(Conv3dNormActivation, kernel_size=1, stride=1, norm_layer=norm_layer)
        cube = partial(TemporalSeparableConv, kernel_size=3, stride=1, padding=1, norm_layer=norm_layer)
        self.branch0 = point(in_planes, b0_out)
        self.branch1 = nn.Sequential(point(in_planes, b1_mid), cube(b1_mid, b1_out))
        self.branch2 = nn.Sequential(point(in_planes, b2_mid), cube(b2_mid, b2_out))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, stride=1, padding=1), point(in_planes, b3_out))

    def forward(self, x):
        return torch.cat((self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)), 1)


class S3D(nn.Module):
    """An Inception network whose convolutions are in space and in time by turns, for films (N, 3, T, H, W).

    Args:
        num_classes: outputs.
        dropout: probability of zero before the classifier.
        norm_layer: function of the number of channels that makes a normalisation.
    """

    def __init__(
        self,
        num_classes: int = 400,
        dropout: float = 0.2,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        norm_layer = norm_layer or partial(nn.BatchNorm3d, eps=0.001, momentum=0.001)
        block = partial(SepInceptionBlock3D, norm_layer=norm_layer)
        self.features = nn.Sequential(
            TemporalSeparableConv(3, 64, 7, 2, 3, norm_layer),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            Conv3dNormActivation(64, 64, kernel_size=1, stride=1, norm_layer=norm_layer),
            TemporalSeparableConv(64, 192, 3, 1, 1, norm_layer),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            block(192, 64, 96, 128, 16, 32, 32),
            block(256, 128, 128, 192, 32, 96, 64),
            nn.MaxPool3d(3, 2, 1),
            block(480, 192, 96, 208, 16, 48, 64),
            block(512, 160, 112, 224, 24, 64, 64),
            block(512, 128, 128, 256, 24, 64, 64),
            block(512, 112, 144, 288, 32, 64, 64),
            block(528, 256, 160, 320, 32, 128, 128),
            nn.MaxPool3d(2, 2, 0),
            block(832, 256, 160, 320, 32, 128, 128),
            block(832, 384, 192, 384, 48, 128, 128),
        )
        self.avgpool = nn.AvgPool3d(kernel_size=(2, 7, 7), stride=1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Conv3d(1024, num_classes, kernel_size=1))

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x))).mean(dim=(2, 3, 4))


S3D_Weights = kinetics_weights(
    "S3D",
    __name__,
    KINETICS400_V1=kinetics_row(
        "s3d-d76dad2f",
        68.368,
        88.050,
        resize_size=(256, 256),
        min_size=(224, 224),
        min_temporal_size=14,
        recipe="https://github.com/pytorch/vision/tree/main/references/video_classification#s3d",
        num_params=8320048,
        _ops=17.979,
        _file_size=31.972,
    ),
)
s3d = model_builder(
    "s3d",
    S3D_Weights,
    kind=S3D,
    legacy="KINETICS400_V1",
    doc="A separable network for films (Xie et al., Rethinking Spatiotemporal Feature Learning, 2018).",
)
