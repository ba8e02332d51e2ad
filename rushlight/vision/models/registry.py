"""The models by name."""

import fnmatch
import inspect
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, get_args

from rushlight.nn import Module
from rushlight.vision.models.weights import WeightsEnum

BUILTIN_MODELS: dict[str, Callable[..., Module]] = {}


def register_model(name: str | None = None):
    """A decorator that lists a function which builds a model.

    Args:
        name: what it is to be found under; the function's name by default.

    Raises:
        ValueError: the name is taken.
    """

    def wrapper(fn):
        key = fn.__name__ if name is None else name
        if key in BUILTIN_MODELS:
            raise ValueError(f"An entry is already registered under the name '{key}'.")
        BUILTIN_MODELS[key] = fn
        return fn

    return wrapper


def list_models(
    module: ModuleType | None = None,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
) -> list[str]:
    """The names of the registered models, sorted.

    Args:
        module: only those whose builders are in modules right below this one.
        include: only those that match one of these patterns of `fnmatch`.
        exclude: and none of these.

    >>> from rushlight.vision import models
    >>> models.list_models(include="alex*")
    ['alexnet']
    """
    names = {
        name
        for name, builder in BUILTIN_MODELS.items()
        if module is None or builder.__module__.rpartition(".")[0] == module.__name__
    }
    chosen = _matching(names, include) if include else names
    return sorted(chosen - _matching(names, exclude or ()))


def _matching(names: set[str], patterns: Iterable[str] | str) -> set[str]:
    patterns = [patterns] if isinstance(patterns, str) else patterns
    return {name for pattern in patterns for name in fnmatch.filter(names, pattern)}


def get_model_builder(name: str) -> Callable[..., Module]:
    """The function that builds the model of this name; capitals make no difference.

    Raises:
        ValueError: there is no such model.
    """
    try:
        return BUILTIN_MODELS[name.lower()]
    except KeyError:
        raise ValueError(f"Unknown model {name.lower()}; list_models() gives the names") from None


def get_model(name: str, **config: Any) -> Module:
    """A model by its name.

    Args:
        name: one of `list_models()`.
        **config: arguments of its builder, such as `weights` and `num_classes`.

    >>> from rushlight.vision import models
    >>> type(models.get_model("AlexNet", num_classes=10)).__name__
    'AlexNet'
    """
    return get_model_builder(name)(**config)


def get_model_weights(name: Callable | str) -> type[WeightsEnum]:
    """The pretrained weights that a model has.

    Args:
        name: of the model, or its builder.
    """
    builder = get_model_builder(name) if isinstance(name, str) else name
    parameters = inspect.signature(builder).parameters
    if "weights" not in parameters:
        raise ValueError("The method is missing the 'weights' argument.")
    annotation = parameters["weights"].annotation
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, WeightsEnum):
            return kind
    raise ValueError(
        "The WeightsEnum class for the specific method couldn't be retrieved. Make sure the typing info is correct."
    )


def get_weight(name: str) -> WeightsEnum:
    """Pretrained weights by their full name, such as "ResNet50_Weights.IMAGENET1K_V1".

    Raises:
        ValueError: the name has another form, or there is no such class of weights.
        KeyError: the class has no such weights.
    """
    try:
        enum_name, value_name = name.split(".")
    except ValueError:
        raise ValueError(f"Invalid weight name provided: '{name}'.") from None
    models = sys.modules[__name__.rpartition(".")[0]]
    packages = [
        value for _, value in inspect.getmembers(models, inspect.ismodule) if hasattr(value, "__path__")
    ]
    for space in (models, *packages):
        found = vars(space).get(enum_name)
        if isinstance(found, type) and issubclass(found, WeightsEnum):
            return found[value_name]
    raise ValueError(f"The weight enum '{enum_name}' for the specific method couldn't be retrieved.")
