"""What the networks for segmentation share."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from rushlight import nn
from rushlight.nn.functional import interpolate
from rushlight.vision.models._builders import DOWNLOADS
from rushlight.vision.models._meta import _VOC_CATEGORIES
from rushlight.vision.models._utils import (
    IntermediateLayerGetter,
    _ovewrite_value_param,
    handle_legacy_interface,
)
from rushlight.vision.models.registry import register_model
from rushlight.vision.models.weights import Weights, WeightsEnum
from rushlight.vision.transforms._presets import SemanticSegmentation

_RECIPES = "https://github.com/pytorch/vision/tree/main/references/segmentation#"


def resized(x, size):
    """Maps brought to the height and width `size` by bilinear interpolation."""
    return interpolate(x, size=size, mode="bilinear", align_corners=False)


class _SimpleSegmentationModel(nn.Module):
    """Features, a classifier on the last ones, and perhaps an auxiliary one on earlier ones, at the picture's size.

    Args:
        backbone: gives a dictionary with "out" and, for the auxiliary classifier, "aux".
        classifier: makes the result of "out".
        aux_classifier: makes that of "aux", whose loss helps training.

    Its result is an OrderedDict with "out" and "aux", of shape (N, classes, H, W) each.
    """

    def __init__(
        self, backbone: nn.Module, classifier: nn.Module, aux_classifier: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = aux_classifier

    def forward(self, x):
        size = x.shape[-2:]
        features = self.backbone(x)
        result = OrderedDict(out=resized(self.classifier(features["out"]), size))
        if self.aux_classifier is not None:
            result["aux"] = resized(self.aux_classifier(features["aux"]), size)
        return result


def segmentation_weights(
    name: str, module: str, file: str, num_params: int, recipe: str, scores: tuple, ops: float, size: float
):
    """The class of weights of one network, trained on the pictures of COCO that have the 20 classes of VOC.

    Args:
        name: of the class.
        module: where it is defined.
        file: name without its ending.
        num_params: number of the model's parameters, with those of the auxiliary classifier.
        recipe: section of torchvision's page on training.
        scores: mean intersection over union and accuracy of the pixels, in percent.
        ops: 10^9 multiplications and additions for one picture.
        size: of the file in MB.
    """
    meta = {
        "categories": _VOC_CATEGORIES,
        "min_size": (1, 1),
        "num_params": num_params,
        "recipe": _RECIPES + recipe,
        "_metrics": {"COCO-val2017-VOC-labels": {"miou": scores[0], "pixel_acc": scores[1]}},
        "_ops": ops,
        "_file_size": size,
    }
    weights = Weights(f"{DOWNLOADS}{file}.pth", partial(SemanticSegmentation, resize_size=520), meta)
    enum = WeightsEnum(name, [("COCO_WITH_VOC_LABELS_V1", weights), ("DEFAULT", weights)], module=module)
    enum.__doc__ = f"Pretrained weights of {name.removesuffix('_Weights')}: COCO_WITH_VOC_LABELS_V1."
    return enum


def features_of(backbone: nn.Module, out: str, aux: str | None) -> IntermediateLayerGetter:
    """The outputs of the layer `out` and, unless it is None, of `aux`, under the names "out" and "aux"."""
    return IntermediateLayerGetter(backbone, {out: "out"} if aux is None else {out: "out", aux: "aux"})


def segmentation_builder(
    name: str,
    weights: type[WeightsEnum],
    backbone: Callable[..., nn.Module],
    weights_backbone: type[WeightsEnum],
    build: Callable[[nn.Module, int, bool | None], nn.Module],
    doc: str,
) -> Callable[..., nn.Module]:
    """The function that makes a network of this kind; it is registered.

    Args:
        name: of the function.
        weights: the class of weights that it takes.
        backbone: function that makes the network for the features, with or without weights.
        weights_backbone: the class of weights of that.
        build: makes the network from the backbone, the number of classes, and whether there is an auxiliary classifier.
        doc: what the network is, with its source.
    """
    enum, backbone_enum = weights, weights_backbone

    def builder(
        *,
        weights=None,
        progress=True,
        num_classes=None,
        aux_loss=None,
        weights_backbone=backbone_enum.IMAGENET1K_V1,
        **kwargs,
    ):
        if kwargs:  # torchvision passes over them, misspelt ones too
            raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(kwargs))}'")
        weights, weights_backbone = enum.verify(weights), backbone_enum.verify(weights_backbone)
        if weights is not None:
            weights_backbone = None
            num_classes = _ovewrite_value_param("num_classes", num_classes, len(weights.meta["categories"]))
            aux_loss = _ovewrite_value_param("aux_loss", aux_loss, True)
        features = backbone(weights=weights_backbone)
        model = build(features, 21 if num_classes is None else num_classes, aux_loss)
        if weights is not None:
            model.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))
        return model

    builder.__name__ = builder.__qualname__ = name
    builder.__module__ = build.__module__
    builder.__annotations__ = {"weights": enum | None, "weights_backbone": backbone_enum | None}
    builder.__doc__ = f"""{doc}

    Args:
        weights: pretrained weights, a member of `{enum.__name__}` or its name; random by default.
        progress: show a bar while downloading them.
        num_classes: maps of the result, 21 by default.
        aux_loss: whether there is an auxiliary classifier, and "aux" in the result.
        weights_backbone: pretrained weights of the network for the features; None for random ones.
        **kwargs: none.
    Raises:
        TypeError: there are others.
    """
    legacy = {
        "weights": ("pretrained", enum.COCO_WITH_VOC_LABELS_V1),
        "weights_backbone": ("pretrained_backbone", backbone_enum.IMAGENET1K_V1),
    }
    return register_model()(handle_legacy_interface(**legacy)(builder))
