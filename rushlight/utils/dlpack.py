"""Exchange of memory with other libraries by the DLPack protocol."""

from rushlight.ops.data import from_dlpack

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor):
    """A capsule of the tensor's memory, for another library to take once.

    >>> import rushlight as torch
    >>> type(torch.utils.dlpack.to_dlpack(torch.ones(2))).__name__
    'PyCapsule'
    """
    return tensor.__dlpack__()
