"""Questions about models."""

from rushlight.lightning.core.module import is_overridden

__all__ = ["get_torchvision_model", "is_overridden"]


def get_torchvision_model(model_name: str, **kwargs):
    """A network of `torchvision.models`, by its name.

    Args:
        model_name: such as "resnet18". **kwargs: those of its function.
    """
    from rushlight.vision import models

    return models.get_model(model_name, **kwargs)
