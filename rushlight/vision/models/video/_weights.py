"""How the classes of weights of networks for films are made."""

from functools import partial

from rushlight.vision.models._builders import DOWNLOADS
from rushlight.vision.models.video._categories import _KINETICS400_CATEGORIES
from rushlight.vision.models.weights import Weights, WeightsEnum
from rushlight.vision.transforms._presets import VideoClassification


def kinetics_row(
    file: str, top1: float, top5: float, *, crop_size=(224, 224), resize_size=(256,), preset=None, **meta
) -> Weights:
    """Weights trained on Kinetics-400.

    Args:
        file: name without its ending; its last part is the beginning of the file's SHA256 checksum.
        top1: accuracy in percent.
        top5: how often the class is among the five best guesses, in percent.
        crop_size, resize_size: height and width.
        preset: more arguments of `VideoClassification`.
        **meta: more facts.
    """
    transforms = partial(VideoClassification, crop_size=crop_size, resize_size=resize_size, **(preset or {}))
    metrics = {"Kinetics-400": {"acc@1": top1, "acc@5": top5}}
    return Weights(
        f"{DOWNLOADS}{file}.pth",
        transforms,
        {"categories": _KINETICS400_CATEGORIES, "_metrics": metrics, **meta},
    )


def kinetics_weights(name: str, module: str, **members: Weights) -> type[WeightsEnum]:
    """The class of weights of one network; the first is the default."""
    default = next(iter(members.values()))
    enum = WeightsEnum(f"{name}_Weights", [*members.items(), ("DEFAULT", default)], module=module)
    enum.__doc__ = f"Pretrained weights of {name}: {', '.join(members)}."
    return enum
