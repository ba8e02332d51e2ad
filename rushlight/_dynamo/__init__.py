"""Names of PyTorch's compiler that scripts set: accepted, as nothing is compiled."""

from rushlight._dynamo import config
from rushlight.compiler import disable, is_compiling, list_backends, reset

__all__ = ["config", "disable", "is_compiling", "list_backends", "reset"]
