"""How families make their builders and their classes of weights: from tables."""

from collections.abc import Callable
from functools import partial
from typing import Any

from rushlight import nn
from rushlight.vision.models._meta import _IMAGENET_CATEGORIES
from rushlight.vision.models._utils import _ovewrite_named_param, handle_legacy_interface
from rushlight.vision.models.registry import register_model
from rushlight.vision.models.weights import Weights, WeightsEnum
from rushlight.vision.transforms._presets import ImageClassification
from rushlight.vision.transforms.functional import InterpolationMode

BICUBIC = InterpolationMode.BICUBIC
DOWNLOADS = "https://download.pytorch.org/models/"
RECIPES = "https://github.com/pytorch/vision/tree/main/references/classification#"
ISSUE = "https://github.com/pytorch/vision/issues/3995#"  # about better recipes
PULL = "https://github.com/pytorch/vision/pull/"
SWAG = "https://github.com/facebookresearch/SWAG"


def entry(file: str, top1: float, top5: float, ops: float, size: float, **more) -> dict[str, Any]:
    """One row of a table of ImageNet weights.

    Args:
        file: name without its ending; its last part is the beginning of the file's SHA256 checksum.
        top1: accuracy in percent.
        top5: how often the class is among the five best guesses, in percent.
        ops: 10^9 multiplications and additions for one picture.
        size: of the file in MB.
        **more: arguments of `ImageClassification` (`crop_size` is 224 by default); the rest is added to the facts.
    """
    arguments = ("crop_size", *ImageClassification.__init__.__kwdefaults__)
    preset = {"crop_size": 224, **{key: more.pop(key) for key in arguments if key in more}}
    metrics = {"ImageNet-1K": {"acc@1": top1, "acc@5": top5}}
    meta = {"_metrics": metrics, "_ops": ops, "_file_size": size, **more}
    return {
        "url": f"{DOWNLOADS}{file}.pth",
        "transforms": partial(ImageClassification, **preset),
        "meta": meta,
    }


def swag(file: str, *numbers: float, crop_size: int = 224, **more) -> dict[str, Any]:
    """A row of weights that come from SWAG (Singh et al., 2022), tuned as a whole or with a linear layer on top."""
    recipe = PULL + "5793" if "_lc_" in file else SWAG
    sizes = {"crop_size": crop_size, "resize_size": crop_size, "interpolation": BICUBIC}
    return entry(file, *numbers, **sizes, recipe=recipe, license=SWAG + "/blob/main/LICENSE", **more)


def imagenet_weights(
    name: str, num_params: int, min_size=(1, 1), *, module: str, recipe: str, **members: dict[str, Any]
) -> type[WeightsEnum]:
    """A class of weights trained on ImageNet.

    Its DEFAULT is IMAGENET1K_V2 where there is one, else IMAGENET1K_V1, else the first.

    Args:
        name: of the class, without "_Weights".
        num_params: number of the model's parameters.
        min_size: smallest (height, width) of pictures.
        module: where the class is defined.
        recipe: how they were trained, unless a row says otherwise.
        **members: for the end of each name what `entry` gives.
    """
    shared = {
        "categories": _IMAGENET_CATEGORIES,
        "num_params": num_params,
        "min_size": min_size,
        "recipe": recipe,
    }
    values = {
        f"IMAGENET1K_{key}": Weights(row["url"], row["transforms"], {**shared, **row["meta"]})
        for key, row in members.items()
    }
    default = next(key for key in ("IMAGENET1K_V2", "IMAGENET1K_V1", *values) if key in values)
    enum = WeightsEnum(f"{name}_Weights", [*values.items(), ("DEFAULT", values[default])], module=module)
    enum.__doc__ = f"Pretrained weights of {name}: {', '.join(values)}."
    return enum


def build_model(
    kind: type[nn.Module],
    weights: WeightsEnum | None,
    progress: bool,
    *args: Any,
    rename: Callable[[str], str] | None = None,
    **kwargs: Any,
) -> nn.Module:
    """A model, with its weights loaded if any are given.

    Args:
        kind: its class.
        weights: they decide the number of classes.
        progress: show a bar while downloading.
        *args, **kwargs: arguments of the class.
        rename: gives the model's name of a parameter for that in the file.
    """
    if weights is not None and weights.meta["categories"] is not None:
        _ovewrite_named_param(kwargs, "num_classes", len(weights.meta["categories"]))
    model = kind(*args, **kwargs)
    if weights is not None:
        state = weights.get_state_dict(progress=progress, check_hash=True)
        model.load_state_dict(
            state if rename is None else {rename(key): value for key, value in state.items()}
        )
    return model


def model_builder(
    name: str,
    weights: type[WeightsEnum],
    *args: Any,
    kind: type[nn.Module],
    doc: str,
    build: Callable[..., nn.Module] = build_model,
    defaults: dict[str, Any] | None = None,
    required: dict[str, Any] | None = None,
    legacy: str = "IMAGENET1K_V1",
    **fixed: Any,
) -> Callable[..., nn.Module]:
    """The function `name(*, weights=None, progress=True, **kwargs)` that makes a model; it is registered.

    Args:
        name: of the function.
        weights: the class of weights that it takes.
        *args: first arguments for `build` after the weights.
        kind: the class of the model.
        doc: what the model is, with its source.
        build: makes the model and loads the weights, as `build_model`.
        defaults: arguments that the caller may change.
        required: arguments that the caller may repeat.
        legacy: the weights that `pretrained=True` stands for.
        **fixed: arguments that the caller may not give.
    """
    enum = weights

    def builder(*, weights=None, progress=True, **kwargs):
        weights = enum.verify(weights)
        for key, value in (required or {}).items():
            _ovewrite_named_param(kwargs, key, value)
        return build(kind, weights, progress, *args, **fixed, **{**(defaults or {}), **kwargs})

    builder.__name__ = builder.__qualname__ = name
    builder.__module__ = kind.__module__
    builder.__annotations__ = {"weights": enum | None, "progress": bool, "kwargs": Any, "return": kind}
    builder.__doc__ = f"""{doc}

    Args:
        weights: pretrained weights, a member of `{enum.__name__}` or its name; random ones by default.
        progress: show a bar while downloading them.
        **kwargs: arguments of `{kind.__name__}`.
    """
    before = enum.__members__.get(legacy)
    return register_model()(handle_legacy_interface(weights=("pretrained", before))(builder))


def init_layers(
    model: nn.Module, conv: Callable | None = None, linear: Callable | None = None, bias: bool = True
) -> None:
    """Draw new weights for a model's layers in their order; normalisations become the identity.

    Args:
        model: the model.
        conv: function that fills the weight of a 2-d convolution; None to leave them.
        linear: function that fills the weight of a linear layer; None to leave them.
        bias: whether biases of the layers that get a new weight become 0.
    """
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
            if module.weight is not None:
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            continue
        fill = conv if isinstance(module, nn.Conv2d) else linear if isinstance(module, nn.Linear) else None
        if fill is not None:
            fill(module.weight)
            if bias and module.bias is not None:
                nn.init.zeros_(module.bias)


fan_out = partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu")
