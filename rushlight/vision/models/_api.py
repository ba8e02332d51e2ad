"""Weights and the list of models under the name of torchvision's module."""

from rushlight.vision.models.registry import (
    BUILTIN_MODELS,
    get_model,
    get_model_builder,
    get_model_weights,
    get_weight,
    list_models,
    register_model,
)
from rushlight.vision.models.weights import Weights, WeightsEnum

__all__ = [
    "BUILTIN_MODELS",
    "Weights",
    "WeightsEnum",
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "get_weight",
    "list_models",
    "register_model",
]
