"""Networks for classification as the first part of detectors."""

import warnings
from collections.abc import Callable

from rushlight import nn
from rushlight.vision.models import mobilenetv2, mobilenetv3, resnet
from rushlight.vision.models._utils import IntermediateLayerGetter, handle_legacy_interface
from rushlight.vision.models.registry import get_model_weights
from rushlight.vision.models.weights import WeightsEnum
from rushlight.vision.ops.feature_pyramid_network import (
    ExtraFPNBlock,
    FeaturePyramidNetwork,
    LastLevelMaxPool,
)
from rushlight.vision.ops.misc import FrozenBatchNorm2d

_MOBILENETS = {
    name: getattr(module, name)
    for module, names in (
        (mobilenetv2, ["mobilenet_v2"]),
        (mobilenetv3, ["mobilenet_v3_large", "mobilenet_v3_small"]),
    )
    for name in names
}


class BackboneWithFPN(nn.Module):
    """A network with a feature pyramid on top.

    Args:
        backbone: whose children run one after the other.
        return_layers: for each child whose output goes into the pyramid, its name and that of the map.
        in_channels_list: their channels.
        out_channels: channels of the pyramid's maps.
        extra_blocks: adds further maps; `LastLevelMaxPool` by default.
        norm_layer: normalisation of the pyramid.
    """

    def __init__(
        self,
        backbone: nn.Module,
        return_layers: dict[str, str],
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ):
        super().__init__()
        self.body = IntermediateLayerGetter(backbone, return_layers=return_layers)
        self.fpn = FeaturePyramidNetwork(
            in_channels_list=in_channels_list,
            out_channels=out_channels,
            extra_blocks=LastLevelMaxPool() if extra_blocks is None else extra_blocks,
            norm_layer=norm_layer,
        )
        self.out_channels = out_channels

    def forward(self, x) -> dict:
        """The pyramid's maps by name."""
        return self.fpn(self.body(x))


def _legacy(builders) -> Callable:
    """The weights that `pretrained=True` stands for, from the name of the network."""
    return lambda kwargs: get_model_weights(builders[kwargs["backbone_name"]])["IMAGENET1K_V1"]


@handle_legacy_interface(weights=("pretrained", _legacy(vars(resnet))))
def resnet_fpn_backbone(
    *,
    backbone_name: str,
    weights: WeightsEnum | None,
    norm_layer: Callable[..., nn.Module] = FrozenBatchNorm2d,
    trainable_layers: int = 3,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
) -> BackboneWithFPN:
    """A ResNet with a feature pyramid, of which the first layers do not learn.

    Args:
        backbone_name: name of the network, such as "resnet50".
        weights: pretrained weights of it.
        norm_layer: its normalisation.
        trainable_layers: how many of its five parts learn, counted from the end.
        returned_layers: which of its four layers go into the pyramid, from 1; all by default.
        extra_blocks: adds further maps; `LastLevelMaxPool` by default.

    Raises:
        ValueError: a number is out of range.
    """
    backbone = vars(resnet)[backbone_name](weights=weights, norm_layer=norm_layer)
    return _resnet_fpn_extractor(backbone, trainable_layers, returned_layers, extra_blocks)


def _resnet_fpn_extractor(
    backbone: nn.Module,
    trainable_layers: int,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    norm_layer: Callable[..., nn.Module] | None = None,
) -> BackboneWithFPN:
    """`resnet_fpn_backbone` of a network that is there already."""
    if not 0 <= trainable_layers <= 5:
        raise ValueError(f"Trainable layers should be in the range [0,5], got {trainable_layers}")
    learning = ["layer4", "layer3", "layer2", "layer1", "conv1"][:trainable_layers]
    if trainable_layers == 5:
        learning.append("bn1")
    for name, parameter in backbone.named_parameters():
        if not name.startswith(tuple(learning)):
            parameter.requires_grad_(False)
    returned_layers = returned_layers or [1, 2, 3, 4]
    if min(returned_layers) <= 0 or max(returned_layers) >= 5:
        raise ValueError(f"Each returned layer should be in the range [1,4]. Got {returned_layers}")
    names = {f"layer{k}": str(i) for i, k in enumerate(returned_layers)}
    channels = [backbone.inplanes // 8 * 2 ** (k - 1) for k in returned_layers]
    return BackboneWithFPN(backbone, names, channels, 256, extra_blocks=extra_blocks, norm_layer=norm_layer)


def _validate_trainable_layers(
    is_trained: bool, trainable_backbone_layers: int | None, max_value: int, default_value: int
) -> int:
    """How many parts of the backbone learn: all, unless it has pretrained weights."""
    if not is_trained:
        if trainable_backbone_layers is not None:
            warnings.warn(
                "Changing trainable_backbone_layers has no effect if neither pretrained nor pretrained_backbone have been "
                f"set to True, falling back to trainable_backbone_layers={max_value} so that all layers are trainable",
                stacklevel=4,
            )
        return max_value
    layers = default_value if trainable_backbone_layers is None else trainable_backbone_layers
    if not 0 <= layers <= max_value:
        raise ValueError(f"Trainable backbone layers should be in the range [0,{max_value}], got {layers} ")
    return layers


@handle_legacy_interface(weights=("pretrained", _legacy(_MOBILENETS)))
def mobilenet_backbone(
    *,
    backbone_name: str,
    weights: WeightsEnum | None,
    fpn: bool,
    norm_layer: Callable[..., nn.Module] = FrozenBatchNorm2d,
    trainable_layers: int = 2,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
) -> nn.Module:
    """A MobileNet, with a feature pyramid or with one map, of which the first layers do not learn.

    Args:
        backbone_name: "mobilenet_v2", "mobilenet_v3_large" or "mobilenet_v3_small".
        weights: pretrained weights of it.
        fpn: whether there is a pyramid.
        norm_layer: its normalisation.
        trainable_layers: how many of its parts learn, counted from the end.
        returned_layers: which of its parts go into the pyramid; the last two by default.
        extra_blocks: adds further maps; `LastLevelMaxPool` by default.

    Raises:
        ValueError: a number is out of range.
    """
    backbone = _MOBILENETS[backbone_name](weights=weights, norm_layer=norm_layer)
    return _mobilenet_extractor(backbone, fpn, trainable_layers, returned_layers, extra_blocks)


def freeze_first(features: nn.Sequential, starts: list[int], trainable_layers: int) -> None:
    """Only the last parts of a network learn.

    Args:
        features: the network.
        starts: where each part starts.
        trainable_layers: how many parts learn.

    Raises:
        ValueError: there are fewer parts.
    """
    if not 0 <= trainable_layers <= len(starts):
        raise ValueError(
            f"Trainable layers should be in the range [0,{len(starts)}], got {trainable_layers} "
        )
    first = len(features) if trainable_layers == 0 else starts[len(starts) - trainable_layers]
    for block in features[:first]:
        for parameter in block.parameters():
            parameter.requires_grad_(False)


def mobilenet_stages(features: nn.Sequential) -> list[int]:
    """Where the maps of a MobileNet become smaller: the first block, those with a step of 2, and the last."""
    steps = [i for i, block in enumerate(features) if getattr(block, "_is_cn", False)]
    return [0, *steps, len(features) - 1]


def _mobilenet_extractor(
    backbone: nn.Module,
    fpn: bool,
    trainable_layers: int,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    norm_layer: Callable[..., nn.Module] | None = None,
) -> nn.Module:
    """`mobilenet_backbone` of a network that is there already."""
    features = backbone.features
    stages = mobilenet_stages(features)
    freeze_first(features, stages, trainable_layers)
    count, out_channels = len(stages), 256
    if not fpn:
        model = nn.Sequential(features, nn.Conv2d(features[-1].out_channels, out_channels, 1))
        model.out_channels = out_channels
        return model
    returned_layers = [count - 2, count - 1] if returned_layers is None else returned_layers
    if min(returned_layers) < 0 or max(returned_layers) >= count:
        raise ValueError(
            f"Each returned layer should be in the range [0,{count - 1}], got {returned_layers} "
        )
    names = {f"{stages[k]}": str(i) for i, k in enumerate(returned_layers)}
    channels = [features[stages[k]].out_channels for k in returned_layers]
    return BackboneWithFPN(features, names, channels, out_channels, extra_blocks, norm_layer)
