"""SSDlite: SSD for telephones."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from rushlight import Tensor, nn
from rushlight.vision.models.detection import _utils as det_utils
from rushlight.vision.models.detection._builders import RECIPES, coco_entry, coco_weights, detector_builder
from rushlight.vision.models.detection.anchor_utils import DefaultBoxGenerator
from rushlight.vision.models.detection.backbone_utils import freeze_first, mobilenet_stages
from rushlight.vision.models.detection.ssd import (
    SSD,
    SSDScoringHead,
    TwoHeads,
    check_maps,
    without_size,
)
from rushlight.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from rushlight.vision.ops import Conv2dNormActivation

__all__ = ["SSDLite320_MobileNet_V3_Large_Weights", "ssdlite320_mobilenet_v3_large"]


def _prediction_block(
    in_channels: int, out_channels: int, kernel_size: int, norm_layer: Callable[..., nn.Module]
) -> nn.Sequential:
    """A convolution of every channel on its own, and one of all at every place."""
    return nn.Sequential(
        Conv2dNormActivation(
            in_channels,
            in_channels,
            kernel_size,
            groups=in_channels,
            norm_layer=norm_layer,
            activation_layer=nn.ReLU6,
        ),
        nn.Conv2d(in_channels, out_channels, 1),
    )


def _extra_block(in_channels: int, out_channels: int, norm_layer: Callable[..., nn.Module]) -> nn.Sequential:
    """A further map, half as large."""
    half, how = out_channels // 2, {"norm_layer": norm_layer, "activation_layer": nn.ReLU6}
    return nn.Sequential(
        Conv2dNormActivation(in_channels, half, kernel_size=1, **how),
        Conv2dNormActivation(half, half, kernel_size=3, stride=2, groups=half, **how),
        Conv2dNormActivation(half, out_channels, kernel_size=1, **how),
    )


def _normal_init(conv: nn.Module) -> None:
    for layer in conv.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, mean=0.0, std=0.03)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, 0.0)


def _blocks(in_channels, num_anchors, columns: int, norm_layer) -> nn.ModuleList:
    layers = nn.ModuleList(
        _prediction_block(channels, columns * anchors, 3, norm_layer)
        for channels, anchors in zip(in_channels, num_anchors, strict=True)
    )
    _normal_init(layers)
    return layers


class SSDLiteClassificationHead(SSDScoringHead):
    """The classes of all anchors.

    Args:
        in_channels: channels of each feature map.
        num_anchors: boxes per place of each.
        num_classes: classes including the background.
        norm_layer: normalisation.
    """

    def __init__(
        self,
        in_channels: list[int],
        num_anchors: list[int],
        num_classes: int,
        norm_layer: Callable[..., nn.Module],
    ):
        super().__init__(_blocks(in_channels, num_anchors, num_classes, norm_layer), num_classes)


class SSDLiteRegressionHead(SSDScoringHead):
    """The boxes of all anchors.

    Args:
        in_channels: channels of each feature map.
        num_anchors: boxes per place of each.
        norm_layer: normalisation.
    """

    def __init__(self, in_channels: list[int], num_anchors: list[int], norm_layer: Callable[..., nn.Module]):
        super().__init__(_blocks(in_channels, num_anchors, 4, norm_layer), 4)


class SSDLiteHead(TwoHeads):
    """The classes and the boxes of all anchors.

    Args:
        in_channels: channels of each feature map.
        num_anchors: boxes per place of each.
        num_classes: classes including the background.
        norm_layer: normalisation.
    """

    def __init__(
        self,
        in_channels: list[int],
        num_anchors: list[int],
        num_classes: int,
        norm_layer: Callable[..., nn.Module],
    ):
        classification = SSDLiteClassificationHead(in_channels, num_anchors, num_classes, norm_layer)
        super().__init__(classification, SSDLiteRegressionHead(in_channels, num_anchors, norm_layer))


class SSDLiteFeatureExtractorMobileNet(nn.Module):
    """The blocks of a MobileNet, cut inside one of them, and further ones.

    Args:
        backbone: the blocks.
        c4_pos: which one is cut, after its expansion.
        norm_layer: normalisation of the further ones.
        width_mult: their channels beside the usual.
        min_depth: their fewest channels.

    Raises:
        ValueError: that block cannot be cut, as its input is added to its output.
    """

    def __init__(
        self,
        backbone: nn.Module,
        c4_pos: int,
        norm_layer: Callable[..., nn.Module],
        width_mult: float = 1.0,
        min_depth: int = 16,
    ):
        super().__init__()
        cut = backbone[c4_pos]
        if cut.use_res_connect:
            raise ValueError("backbone[c4_pos].use_res_connect should be False")
        self.features = nn.Sequential(
            nn.Sequential(*backbone[:c4_pos], cut.block[0]),
            nn.Sequential(cut.block[1:], *backbone[c4_pos + 1 :]),
        )
        depths = [max(min_depth, int(depth * width_mult)) for depth in (512, 256, 256, 128)]
        before = [backbone[-1].out_channels, *depths[:-1]]
        self.extra = nn.ModuleList(
            _extra_block(a, b, norm_layer) for a, b in zip(before, depths, strict=True)
        )
        _normal_init(self.extra)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Feature maps by name."""
        maps = []
        for block in (*self.features, *self.extra):
            x = block(x)
            maps.append(x)
        return OrderedDict((str(i), value) for i, value in enumerate(maps))


def _mobilenet_extractor(backbone: nn.Module, trainable_layers: int, norm_layer: Callable[..., nn.Module]):
    """The feature maps of a MobileNet, of which the first parts do not learn."""
    features = backbone.features
    stages = mobilenet_stages(features)
    freeze_first(features, stages, trainable_layers)
    return SSDLiteFeatureExtractorMobileNet(features, stages[-2], norm_layer)


SSDLite320_MobileNet_V3_Large_Weights = coco_weights(
    "SSDLite320_MobileNet_V3_Large_Weights", __name__, 3440060,
    COCO_V1=coco_entry("ssdlite320_mobilenet_v3_large_coco-a79551df", RECIPES + "ssdlite320-mobilenetv3-large", 0.583, 13.418,
                       box_map=21.3),
)  # fmt: skip


@detector_builder(SSDLite320_MobileNet_V3_Large_Weights, MobileNet_V3_Large_Weights, kind=SSD, layers=(6, 6))
def ssdlite320_mobilenet_v3_large(
    num_classes, weights_backbone, progress, trained, layers, norm_layer=None, **kwargs
):
    """SSDlite with MobileNetV3-Large, for pictures of 320 x 320 (Howard et al., Searching for MobileNetV3, 2019)."""
    if norm_layer is None:
        norm_layer = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    backbone = mobilenet_v3_large(
        weights=weights_backbone,
        progress=progress,
        norm_layer=norm_layer,
        reduced_tail=weights_backbone is None,
        **{name: kwargs.pop(name) for name in ("width_mult", "dilated") if name in kwargs},
    )
    if weights_backbone is None:
        _normal_init(backbone)
    backbone = _mobilenet_extractor(backbone, layers, norm_layer)
    size = (320, 320)
    anchors = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.2, max_ratio=0.95)
    channels = det_utils.retrieve_out_channels(backbone, size)
    check_maps(channels, anchors)
    head = SSDLiteHead(channels, anchors.num_anchors_per_location(), num_classes, norm_layer)
    usual = {
        "score_thresh": 0.001,
        "nms_thresh": 0.55,
        "detections_per_img": 300,
        "topk_candidates": 300,
        "image_mean": [0.5, 0.5, 0.5],  # to -1 ... 1
        "image_std": [0.5, 0.5, 0.5],
    }
    return SSD(backbone, anchors, size, num_classes, head=head, **{**usual, **without_size(kwargs)})
