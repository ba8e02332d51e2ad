"""Models for the commands, by name."""

import warnings

import rushlight as torch
from rushlight import nn
from rushlight.cli.errors import CommandError, one_line, told
from rushlight.utils.finetune import load_matching
from rushlight.vision import models
from rushlight.vision.models.weights import load_safetensors

_NO_CLASSIFIERS = ("autoencoder", "dcgan_*", "unet", "variational_autoencoder")
_OWN = ("linear", "mlp")
_OWN_CHANNELS = ("lenet5", "nin", "nin_imagenet", "xception")  # the others want 3
_SMALL = ("lenet5", "nin", "highway", *_OWN)


def names() -> list[str]:
    """All models that `train` knows."""
    return sorted({*models.list_models(module=models, exclude=_NO_CLASSIFIERS), *_OWN})


def check_name(name: str) -> str:
    """The name in small letters.

    Raises:
        CommandError: there is no such model.
    """
    import difflib

    if name.lower() not in names():
        near = difflib.get_close_matches(name.lower(), names(), 3, 0.4)
        hint = f"; is {' or '.join(near)} meant?" if near else ""
        raise CommandError(f"--model: there is no classifier {name!r}{hint}")
    return name.lower()


def choose(name: str, format: str) -> str:
    """The model that "auto" means for data of a format."""
    if name != "auto":
        return check_name(name)
    return {"csv": "mlp", "mnist": "lenet5", "cifar": "lenet5"}.get(format, "resnet18")


def wanted_input(name: str, format: str) -> tuple[int | None, int | None]:
    """Image size and channels that a model takes; None where it takes those of the data."""
    size = None
    if format == "folder":
        size = 32 if name in _SMALL else 299 if name in ("inception_v3", "xception") else 224
    elif name.startswith(("vit_", "maxvit")):
        size = 224
    return size, None if name in (*_OWN, *_OWN_CHANNELS, "highway") else 3


def mlp(inputs: int, outputs: int, hidden=(64, 64), dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with rectifiers between them.

    Args:
        inputs: numbers that it gets, of any shape.
        outputs: numbers that it gives.
        hidden: units of the layers between; none for a linear model.
        dropout: share of them that is left out in training.

    >>> from rushlight.cli.models import mlp
    >>> [tuple(p.shape) for p in mlp(4, 3, [8]).parameters()]
    [(8, 4), (8,), (3, 8), (3,)]
    """
    layers: list = [nn.Flatten()]
    for width in hidden:
        layers += [nn.Linear(inputs, width), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def build(name: str, shape: tuple, outputs: int, settings) -> nn.Module:
    """A model for inputs of a shape, tried on one.

    Args:
        name: one of `names()`.
        shape: of one input.
        outputs: how many numbers it gives.
        settings: hidden, dropout, model_arg.
    Raises:
        CommandError: it doesn't take such inputs, or such arguments.
    """
    size = 1
    for n in shape:
        size *= n
    if name in _OWN:
        if settings.model_arg:
            raise CommandError(f"--model-arg: {name} has none; --hidden and --dropout are its own")
        net = mlp(size, outputs, settings.hidden if name == "mlp" else (), settings.dropout or 0.0)
    else:
        if len(shape) != 3:
            raise CommandError(f"--model: {name} is for pictures; tables have mlp and linear")
        arguments = _arguments(name, shape, size, outputs) | settings.model_arg
        with told(before=f"model {name}: "), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net = models.get_model(name, **arguments)
    _try(net, name, shape, outputs)
    return net


def _arguments(name: str, shape: tuple, size: int, outputs: int) -> dict:
    channels, side = shape[0], shape[1]
    arguments: dict = {"num_classes": outputs}
    if name in _OWN_CHANNELS:
        arguments["in_channels"] = channels
    if name == "lenet5" or name.startswith("vit_"):
        arguments["image_size"] = side
    if name.startswith("maxvit"):
        arguments["input_size"] = (side, side)
    if name == "highway":
        arguments["in_features"] = size
    if name in ("googlenet", "inception_v3"):
        arguments |= {"aux_logits": False, "init_weights": True}
    return arguments


def _try(net: nn.Module, name: str, shape: tuple, outputs: int) -> None:
    """Whether the model takes such inputs; random streams and the model's mode stay as they are."""
    mode = net.training
    try:
        with torch.no_grad():
            found = net.eval()(torch.zeros(1, *shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise CommandError(
            f"model {name} doesn't take inputs of shape {list(shape)}: {one_line(error)}; --image-size, --channels and "
            "--model change that"
        ) from error
    finally:
        net.train(mode)
    if tuple(found.shape) != (1, outputs):
        raise CommandError(f"model {name} gives {list(found.shape)[1:]} numbers where {outputs} are wanted")


def load_weights(net: nn.Module, path: str) -> str:
    """Take over the weights of a local file that fit; returns what was taken.

    Raises:
        CommandError: no such file, another format, or nothing fits.
    """
    with told(Exception, before=f"--weights {path}: "):  # a damaged file raises nearly anything
        found = (
            load_safetensors(path) if path.endswith(".safetensors") else torch.load(path, weights_only=True)
        )
        if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
            found = found["state_dict"]
        if not isinstance(found, dict):
            raise CommandError(f"--weights {path}: a state_dict expected, got {type(found).__name__}")
        own = found and all(name.startswith("net.") for name in found)
        return str(load_matching(net, found, prefix="net." if own else ""))
