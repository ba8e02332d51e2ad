"""How detectors' builders and classes of weights are made."""

import functools
from collections.abc import Callable
from typing import Any

from rushlight.nn import Module
from rushlight.vision.models._meta import _COCO_CATEGORIES
from rushlight.vision.models._utils import _ovewrite_value_param, handle_legacy_interface
from rushlight.vision.models.detection._utils import overwrite_eps
from rushlight.vision.models.detection.backbone_utils import _validate_trainable_layers
from rushlight.vision.models.registry import register_model
from rushlight.vision.models.weights import Weights, WeightsEnum
from rushlight.vision.transforms._presets import ObjectDetection

DOWNLOADS = "https://download.pytorch.org/models/"
RECIPES = "https://github.com/pytorch/vision/tree/main/references/detection#"
PULLS = "https://github.com/pytorch/vision/pull/"
_AS_IN_THE_PAPER = "These weights were produced by following a similar training recipe as on the paper."


def coco_entry(
    file: str, recipe: str, ops: float, size: float, doc: str = _AS_IN_THE_PAPER, **metrics: float
) -> dict[str, Any]:
    """One row of a table of weights trained on COCO.

    Args:
        file: name without its ending; the beginning of its SHA256 checksum is the last part.
        recipe: where it is told how they were trained.
        ops: 10^9 multiplications and additions for one picture.
        size: of the file in MB.
        doc: how they were trained, in a sentence.
        **metrics: mean average precision in percent: `box_map` and so on.
    """
    return {
        "file": file,
        "recipe": recipe,
        "_metrics": {"COCO-val2017": metrics},
        "_ops": ops,
        "_file_size": size,
        "_docs": doc,
    }


def coco_weights(name: str, module: str, num_params: int, *, common: dict | None = None, **members: dict):
    """A class of weights trained on COCO; DEFAULT is COCO_V1.

    Args:
        name: of the class.
        module: where it is defined.
        num_params: number of the model's parameters.
        common: further facts that hold for all members.
        **members: for each name what `coco_entry` gives.
    """
    shared = {"categories": _COCO_CATEGORIES, "min_size": (1, 1), **(common or {}), "num_params": num_params}
    values = {}
    for key, row in members.items():
        meta = {**shared, **{k: v for k, v in row.items() if k != "file"}}
        values[key] = Weights(f"{DOWNLOADS}{row['file']}.pth", ObjectDetection, meta)
    values["DEFAULT"] = values["COCO_V1"]
    enum = WeightsEnum(name, list(values.items()), module=module)
    enum.__doc__ = f"Pretrained weights of {name.removesuffix('_Weights')}: {', '.join(members)}."
    return enum


_DOC = """{summary}

    Args:
        weights: pretrained weights, a member of `{weights}` or its name; by default none.
        progress: show a bar while downloading them.
        num_classes: classes including the background; those of the weights, or {classes}, by default.
{extra}        weights_backbone: pretrained weights of the backbone, a member of `{backbone}` or its name; without any, and
            offline, pass None.
        trainable_backbone_layers: how many parts of a pretrained backbone learn, counted from the end: 0 to {most},
            {usual} by default. Without pretrained weights all do.
        **kwargs: arguments of `{kind}`.
    """


def detector_builder(
    weights: type[WeightsEnum],
    backbone: type[WeightsEnum],
    *,
    kind: type[Module],
    pretrained: str | None = "IMAGENET1K_V1",
    legacy: str = "IMAGENET1K_V1",
    legacy_weights=None,
    layers: tuple[int, int] = (5, 3),
    classes: int = 91,
    no_eps: bool = False,
) -> Callable:
    """Decorator that makes a detector's builder of a function that makes the detector.

    The function is called with `num_classes`, `weights_backbone` (verified), `progress`, `trained` (whether anything is
    pretrained), `layers` (how many parts of the backbone learn), and further keyword arguments.

    Args:
        weights: the class of the detector's weights.
        backbone: that of the backbone's.
        kind: the class of the detector.
        pretrained: the backbone's weights that are used by default; None for none.
        legacy: those that `pretrained_backbone=True` stands for.
        legacy_weights: those that `pretrained=True` stands for; COCO_V1 by default.
        layers: parts of the backbone, and how many of them learn by default.
        classes: by default.
        no_eps: whether the weights COCO_V1 were trained when `FrozenBatchNorm2d` had no `eps`.
    """
    enum, backbone_enum = weights, backbone
    default = None if pretrained is None else backbone_enum[pretrained]

    def decorate(make: Callable[..., Module]) -> Callable[..., Module]:
        def builder(
            *,
            weights=None,
            progress=True,
            num_classes=None,
            weights_backbone=default,
            trainable_backbone_layers=None,
            **kwargs,
        ):
            weights, weights_backbone = enum.verify(weights), backbone_enum.verify(weights_backbone)
            if weights is not None:
                weights_backbone = None
                known = len(weights.meta["categories"])
                num_classes = _ovewrite_value_param("num_classes", num_classes, known)
                if "num_keypoints" in kwargs and "keypoint_names" in weights.meta:
                    known = len(weights.meta["keypoint_names"])
                    _ovewrite_value_param("num_keypoints", kwargs["num_keypoints"], known)
            trained = weights is not None or weights_backbone is not None
            learning = _validate_trainable_layers(trained, trainable_backbone_layers, *layers)
            model = make(
                num_classes=classes if num_classes is None else num_classes,
                weights_backbone=weights_backbone,
                progress=progress,
                trained=trained,
                layers=learning,
                **kwargs,
            )
            if weights is not None:
                model.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))
                if no_eps and weights is enum["COCO_V1"]:
                    overwrite_eps(model, 0.0)
            return model

        functools.update_wrapper(builder, make, assigned=("__module__", "__name__", "__qualname__"))
        del builder.__wrapped__
        builder.__annotations__ = {
            "weights": enum | None,
            "progress": bool,
            "num_classes": int | None,
            "weights_backbone": backbone_enum | None,
            "trainable_backbone_layers": int | None,
            "kwargs": Any,
            "return": kind,
        }
        builder.__doc__ = _DOC.format(
            summary=make.__doc__, weights=enum.__name__, backbone=backbone_enum.__name__, kind=kind.__name__,
            classes=classes, most=layers[0], usual=layers[1], extra="",
        )  # fmt: skip
        old = handle_legacy_interface(
            weights=("pretrained", legacy_weights or enum["COCO_V1"]),
            weights_backbone=("pretrained_backbone", backbone_enum[legacy]),
        )
        return register_model()(old(builder))

    return decorate
