"""PyTorch's exporter to ONNX, which is not here."""

from typing import NoReturn

__all__ = ["export", "is_in_onnx_export"]


def is_in_onnx_export() -> bool:
    """Whether a model is being exported: never."""
    return False


def export(model, args=(), f=None, **options) -> NoReturn:
    """Refuse: there is no exporter.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError(
        "onnx.export: Rushlight cannot write ONNX. Save model.state_dict() with torch.save, load it in PyTorch, and "
        "export it there."
    )
