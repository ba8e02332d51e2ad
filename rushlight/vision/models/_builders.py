"""How each family makes its builders and its classes of weights: from tables."""

from collections.abc import Callable
from functools import partial
from typing import Any

from rushlight.nn import Module
from rushlight.vision.models._meta import _IMAGENET_CATEGORIES
from rushlight.vision.models._utils import _ovewrite_named_param, handle_legacy_interface
from rushlight.vision.models.registry import register_model
from rushlight.vision.models.weights import Weights, WeightsEnum
from rushlight.vision.transforms._presets import ImageClassification

DOWNLOADS = "https://download.pytorch.org/models/"
RECIPES = "https://github.com/pytorch/vision/tree/main/references/classification#"
ISSUE = "https://github.com/pytorch/vision/issues/"
PULL = "https://github.com/pytorch/vision/pull/"


def entry(file: str, top1: float, top5: float, ops: float, size: float, **more) -> dict[str, Any]:
    """One row of a table of ImageNet weights.

    Args:
        file: name without its ending; the beginning of its SHA256 checksum is the last part.
        top1: accuracy in percent.
        top5: accuracy of the five best guesses in percent.
        ops: 10^9 multiplications and additions for one picture.
        size: of the file in MB.
        **more: arguments of `ImageClassification` (crop_size is 224 by default), and "recipe", "license" and so on.
    """
    preset = {"crop_size": 224}
    preset.update((key, more.pop(key)) for key in ImageClassification.__init__.__kwdefaults__ if key in more)
    preset["crop_size"] = more.pop("crop_size", 224)
    metrics = {"ImageNet-1K": {"acc@1": top1, "acc@5": top5}}
    meta = {"_metrics": metrics, "_ops": ops, "_file_size": size, **more}
    return {
        "url": f"{DOWNLOADS}{file}.pth",
        "transforms": partial(ImageClassification, **preset),
        "meta": meta,
    }


def imagenet_weights(name: str, module: str, num_params: int, min_size=(1, 1), *, common=None, **members):
    """A class of weights trained on ImageNet.

    DEFAULT is IMAGENET1K_V2 where there is one, else IMAGENET1K_V1.

    Args:
        name: of the class.
        module: where it is defined.
        num_params: number of the model's parameters.
        min_size: smallest (height, width) that the model takes.
        common: further facts that hold for all members.
        **members: for each name what `entry` gives.
    """
    shared = {
        "categories": _IMAGENET_CATEGORIES,
        "num_params": num_params,
        "min_size": min_size,
        **(common or {}),
    }
    values = {
        key: Weights(row["url"], row["transforms"], {**shared, **row["meta"]}) for key, row in members.items()
    }
    values["DEFAULT"] = values.get("IMAGENET1K_V2", values["IMAGENET1K_V1"])
    enum = WeightsEnum(name, list(values.items()), module=module)
    enum.__doc__ = f"Pretrained weights of {name.removesuffix('_Weights')}: {', '.join(members)}."
    return enum


def build_model(
    kind: type[Module], weights: WeightsEnum | None, progress: bool, *args: Any, **kwargs: Any
) -> Module:
    """A model, with its weights loaded if any are given.

    Args:
        kind: its class.
        weights: they decide the number of classes.
        progress: show a bar while downloading.
        *args, **kwargs: arguments of the class.
    """
    if weights is not None:
        _ovewrite_named_param(kwargs, "num_classes", len(weights.meta["categories"]))
    model = kind(*args, **kwargs)
    if weights is not None:
        model.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))
    return model


def model_builder(
    name: str,
    weights: type[WeightsEnum],
    kind: type[Module],
    *args: Any,
    doc: str,
    legacy: str | None = "IMAGENET1K_V1",
    build: Callable[..., Module] = build_model,
    **fixed: Any,
) -> Callable[..., Module]:
    """The function `name(*, weights=None, progress=True, **kwargs)` that makes a model; it is registered.

    Args:
        name: of the function.
        weights: the class of weights that it takes.
        kind: the class of the model.
        *args: the first arguments of that class.
        doc: what the model is, with its source.
        legacy: the weights that `pretrained=True` stands for.
        build: what makes and loads the model: as `build_model`.
        **fixed: keyword arguments that the caller cannot change.
    """
    enum = weights

    def builder(*, weights=None, progress=True, **kwargs):
        weights = enum.verify(weights)
        for key, value in fixed.items():
            _ovewrite_named_param(kwargs, key, value)
        return build(kind, weights, progress, *args, **kwargs)

    builder.__name__ = builder.__qualname__ = name
    builder.__module__ = kind.__module__
    builder.__annotations__ = {"weights": enum | None, "progress": bool, "kwargs": Any, "return": kind}
    builder.__doc__ = (
        f"{doc}\n\n    Args:\n        weights: pretrained weights, a member of `{enum.__name__}` or its name; random by"
        f" default.\n        progress: show a bar while downloading them.\n        **kwargs: arguments of `{kind.__name__}`.\n"
    )
    wrapped = handle_legacy_interface(weights=("pretrained", None if legacy is None else enum[legacy]))(
        builder
    )
    return register_model()(wrapped)
