"""OpenMP, which the native kernels use for their threads."""

from rushlight import kernels as K


def is_available() -> bool:
    """Whether the kernels use OpenMP threads."""
    return K.NAME == "native"
